"""Fencing an old master that lives, is stopped, is dead, or comes back: on real hosts, with a fence account of its own."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator

import pytest

from tests.e2e.test_isolation import WITNESS, acted, begin_well, configure, look, stand_down, swap_back, take_role
from tests.lab import Host, Lab, why_not
from tests.lab.debian_root import CHECKOUT
from tests.lab.fence_device import OPTIONS as FENCE_OPTIONS
from tests.lab.fence_device import FenceDevice
from tests.lab.lab import PATIENCE, Mail
from tests.lab.suite import COMMAND, CONFIG, STATE, begin_as, config_text, is_active, notifies, with_options
from tests.notification_stream import Stream
from tests.switching import let_fence
from tests.takeover import has_open_run, join_again, raise_term, role_of

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

OPTIONS = {("witness", "accounts"): f"hb@{WITNESS}", ("fence", "user"): "nagios"}
DOUBLED_LIMIT = 9.0 if PATIENCE == 1 else 20.0
"""README: a pause and a look to its time limit (one-second settings: 3 and 6 s); twice as long on a machine that runs several labs.
What it was is printed."""
ALL_OFF = "notifications off, service checks off, host checks off"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(name=f"fence-{os.getpid()}") as lab:
        let_fence(lab)
        configure(lab, OPTIONS)
        yield lab


@pytest.fixture(autouse=True)
def _as_it_was(request: pytest.FixtureRequest) -> None:
    """A test that failed leaves the pair as it was then: yasu is the master before each."""
    if "lab" in request.fixturenames:
        begin_well(request.getfixturevalue("lab"), OPTIONS)


def step(host: Host, name: str) -> str:
    """Outcome and detail of a step of the host's newest run that has ended, those aside that looked once more and found nothing to
    do."""
    rows = host.run([COMMAND, "history"]).stdout.splitlines()[1:]
    run_id = next(row.split()[0] for row in rows if "  refused  " not in row and "  running  " not in row)
    said = host.run([COMMAND, "history", run_id]).stdout
    match = re.search(rf"^{re.escape(name)} +(\w+) +[\d.]+ s +(.*)$", said, re.M)
    assert match, said
    return f"{match.group(1)}: {match.group(2)}"


def taken_over(lab: Lab) -> None:
    lab.wait(lambda: is_active(lab.nabira) and str(role_of(lab.nabira)) == "master", 90, "nabira has taken over")
    lab.wait(lambda: not has_open_run(lab.nabira), 20, "the run has ended")


def test_a_stopped_master_is_killed_before_the_standby_notifies_and_is_mute_when_it_is_started_again(lab: Lab) -> None:
    """The override of the fence was written there, so its own state watch mutes it, before and beside the term rule."""
    pid = lab.yasu.nagios_pid()
    lab.yasu.service("nagios").freeze()
    taken_over(lab)
    fenced = f"done: yasu: its Nagios (PID {pid}) was killed: it is stopped; its suite keeps it so"
    assert step(lab.nabira, "fence, mild") == fenced
    assert lab.yasu.nagios_pid() is None
    assert lab.yasu.run("pgrep -c nagios4", check=False).stdout.strip() == "0", "no worker is left either"
    (term,) = re.findall(r"^term=\d+\n", lab.nabira.read(f"{STATE}/role"), re.M)
    assert term in lab.yasu.read(f"{STATE}/override.fence")
    join_again(lab, "kill", lab.yasu, lab.nabira)
    assert not notifies(lab.yasu)
    swap_back(lab)
    assert not lab.yasu.exists(f"{STATE}/override.fence"), "its own term is above the fence's now"


def test_behind_a_cut_link_the_fence_goes_through_the_witness(lab: Lab) -> None:
    pid = lab.yasu.nagios_pid()
    lab.cut(lab.yasu, lab.nabira)
    try:
        lab.wait(lambda: look(lab.nabira)[1].startswith("yasu: seen through"), 20, "the second route")
        lab.yasu.service("nagios").freeze()
        taken_over(lab)
        said = step(lab.nabira, "fence, mild")
        assert said == (
            f"done: yasu: its Nagios (PID {pid}) was killed: it is stopped; its suite keeps it so through the witness hb@{WITNESS}"
        )
    finally:
        lab.mend(lab.yasu, lab.nabira)
    join_again(lab, "kill", lab.yasu, lab.nabira)
    swap_back(lab)


DUMMY_PLUG = "/tmp/fence_dummy.plug"


def test_a_host_without_power_cannot_be_fenced_over_ssh_and_an_agent_of_debian_s_cuts_it_off(lab: Lab) -> None:
    """fence_dummy of fence-agents, whose device is a file: fed as the package's other agents are."""
    agent = {("fence", "command"): "/usr/sbin/fence_dummy", ("fence", "options"): f"\n    type=file\n    status_file={DUMMY_PLUG}"}
    configure(lab, {**OPTIONS, **agent})
    lab.nabira.write(DUMMY_PLUG, "on", owner="nagios")
    tried = lab.nabira.run([COMMAND, "test", "--no-mail"], check=False, timeout=60).stdout
    assert re.search(r"^OK +fence agent +yasu: /usr/sbin/fence_dummy says that it is on$", tried, re.M), tried
    lab.yasu.off()
    taken_over(lab)
    said = step(lab.nabira, "fence, mild")
    assert re.match(r"failed: yasu: not fenced over ssh: (through the witness \S+: [^;]+; )?directly: ", said), said
    assert step(lab.nabira, "fence, hard").startswith("done: yasu: cut off by /usr/sbin/fence_dummy (")
    assert lab.nabira.read(DUMMY_PLUG) == "off"
    back_on(lab)


def hard(fencing: str, *, timeout: int = 20) -> dict[tuple[str, str], str]:
    """For as long as a FenceDevice answers."""
    more = {("fence", "command"): "/lab/fence_lab", ("fence", "options"): f"\n    {FENCE_OPTIONS}", ("fence", "fencing"): fencing}
    plugs = {(f"host {name}", "fence_options"): f"plug={name}" for name in ("yasu", "nabira")}
    return {**OPTIONS, **more, **plugs, ("fence", "command_timeout"): str(timeout)}


def back_on(lab: Lab) -> None:
    """With this file's own configuration: the device of the test has gone, and a fence by it would fail."""
    configure(lab, OPTIONS)
    if not lab.yasu.is_on():
        lab.yasu.on()
        configure(lab, OPTIONS)
    wait_until_stood_down(lab)
    lab.wait(lambda: look(lab.nabira)[0] == "OK", 60, "nabira sees its standby")
    swap_back(lab)


def wait_until_stood_down(lab: Lab) -> None:
    """A fence that does not see the flags off in time (a busy machine) kills; then who supervises that Nagios starts it again."""

    def stood_down() -> bool:
        if lab.yasu.nagios_pid() is None:
            lab.yasu.service("nagios").start()
        return str(role_of(lab.yasu)) == "standby" and not notifies(lab.yasu)

    try:
        lab.wait(stood_down, 60, "yasu has stood down")
    except AssertionError as error:
        seen = [f"{host.name}: {look(host)}\n{host.run([COMMAND, 'history']).stdout}" for host in (lab.yasu, lab.nabira)]
        raise AssertionError("\n".join([str(error), *seen])) from error


def test_a_host_that_hangs_is_cut_off_by_the_agent(lab: Lab) -> None:
    """A frozen host answers ping and takes connections: nothing but the agent proves anything, and it takes its time."""
    configure(lab, {**hard("required"), ("look", "unreachable_services"): "critical"})
    with FenceDevice(lab, "slow") as device:
        lab.yasu.freeze()
        taken_over(lab)
        assert device.switched == ["off yasu"] and not lab.yasu.is_on()
    assert step(lab.nabira, "fence, mild").startswith("failed: yasu: not fenced over ssh: ")
    assert re.fullmatch(r"done: yasu: cut off by /lab/fence_lab \(\d+\.\d s\)", step(lab.nabira, "fence, hard"))
    assert "se cret" not in lab.nabira.run(f"cat {STATE}/runs/*").stdout
    back_on(lab)


def test_where_a_fence_is_required_and_not_proved_a_person_is_mailed_and_decides(lab: Lab) -> None:
    configure(lab, hard("required", timeout=5))
    mailed = len(lab.mails())
    with FenceDevice(lab, "silent"):
        lab.yasu.off()
        told = lab.wait(
            lambda: [mail for mail in lab.mails()[mailed:] if "is not proved to be fenced" in mail.body], 90, "a mail tells it"
        )
        assert "/lab/fence_lab did not end within 5 s ([fence] command_timeout)" in " ".join(told[0].body.split())
        assert "then run on nabira: nagios-failover failover --fenced" in " ".join(told[0].body.split())
        assert str(role_of(lab.nabira)) in ("standby", "taking-over") and not notifies(lab.nabira)
        lab.wait(lambda: lab.nabira.run([COMMAND, "failover", "--fenced"], check=False, timeout=90).returncode == 0, 90, "by hand")
    assert is_active(lab.nabira)
    back_on(lab)


def test_with_best_effort_a_device_that_fails_is_told_and_keeps_nobody_from_monitoring(lab: Lab) -> None:
    configure(lab, hard("best-effort"))
    with FenceDevice(lab, "error"):
        lab.yasu.off()
        taken_over(lab)
    said = "/lab/fence_lab ended with exit code 1: Failed: Unable to obtain correct plug status"
    assert said in step(lab.nabira, "fence, hard")
    back_on(lab)


def test_the_trials_show_whether_the_fences_would_work(lab: Lab) -> None:
    configure(lab, hard("best-effort"))
    with FenceDevice(lab) as device:
        said = lab.nabira.run([COMMAND, "test", "--no-mail"], check=False, timeout=60).stdout
        assert re.search(r"^OK +fence +yasu: nagios logs in directly, and may mute or end its Nagios$", said, re.M), said
        assert re.search(r"^OK +fence agent +yasu: /lab/fence_lab says that it is on$", said, re.M), said
        assert "status yasu" in device.asked and device.switched == [] and is_active(lab.yasu)
    configure(lab, OPTIONS)


def test_an_unknown_host_key_is_refused(lab: Lab) -> None:
    """fabric's own way is to accept it."""
    known = "/etc/ssh/ssh_known_hosts"
    kept = lab.nabira.read(known)
    lab.nabira.write(known, "".join(line for line in kept.splitlines(keepends=True) if not line.startswith("yasu")))
    try:
        program = (
            "from nagios_failover.config_file import load\n"
            "from nagios_failover.fencing import fence_mild\n"
            "print(fence_mild(load(), 9))"
        )
        said = lab.nabira.run(["/opt/nagios-failover/bin/python", "-c", program], user="nagios", env={"HOME": "/var/lib/nagios"})
        assert "proved=False" in said.stdout and "not found in known_hosts" in said.stdout, said.stdout
    finally:
        lab.nabira.write(known, kept)
    assert is_active(lab.yasu)


# ---- the old master is back ----


def fences_told(lab: Lab, mailed: int) -> list[Mail]:
    return [mail for mail in lab.mails()[mailed:] if "and is fenced" in mail.subject]


def test_an_old_master_that_is_powered_on_again_is_mute_after_one_look(lab: Lab) -> None:
    """Its disk is as it was: it comes back as the active master that it had been, and nothing was written there meanwhile."""
    before = acted(lab, lab.yasu)
    lab.yasu.off()
    taken_over(lab)
    before += acted(lab, lab.nabira)
    mailed = len(lab.mails())
    with Stream(lab) as stream:
        lab.wait(lambda: stream.notifies_now(lab.nabira), 20, "nabira notifies")
        lab.yasu.on()
        wait_until_stood_down(lab)
        lab.wait(lambda: not stream.notifies_now(lab.yasu), 20, "yasu notifies nobody")
        print(f"measured: both notified for {stream.doubled():.1f} s")
        assert stream.doubled() < DOUBLED_LIMIT, stream.doubled()
    assert is_active(lab.nabira)
    fences, standdowns = (
        [run for run in acted(lab, host) if run not in before and run[1] == kind]
        for host, kind in ((lab.nabira, "fence"), (lab.yasu, "standdown"))
    )
    assert fences or standdowns
    proved = [run for run in fences if run[2] in ("done", "incomplete")]
    lab.wait(lambda: len(fences_told(lab, mailed)) >= len(proved), 30, f"people are told of {proved}")
    assert all("What yasu has mailed since nabira became the master" in told.body for told in fences_told(lab, mailed))
    back_on(lab)


# ---- the guard ----

HOOK = "/etc/nagios-failover/guard-hook"


@pytest.fixture
def guarded(lab: Lab) -> Iterator[Lab]:
    """Both hosts run the guard before their daemons start, by the sample hook."""
    for host in (lab.yasu, lab.nabira):
        host.write(HOOK, (CHECKOUT / "guard-hook.sample").read_text(), mode=0o755)
    configure(lab, {**OPTIONS, ("run", "guard_timeout"): str(8 * PATIENCE)})
    yield lab
    for host in (lab.yasu, lab.nabira):
        if not host.is_on():
            host.on()
        host.run(["rm", "-f", HOOK])
    configure(lab, OPTIONS)


def wait_for_own_status(lab: Lab, host: Host, *, since: float) -> None:
    """What its Nagios wrote before the power cut tells nothing of the one that runs now."""
    lab.wait(lambda: int(host.nagios_flags().get("program_start", 0)) >= int(since), 60, f"{host.name} writes its status.dat anew")


def guard_said(host: Host) -> str:
    return str(re.findall(r"^said=(.*)$", host.read(f"{STATE}/guard"), re.M)[-1])


def test_with_the_guard_an_old_master_that_is_powered_on_again_never_mails(guarded: Lab) -> None:
    lab = guarded
    lab.yasu.off()
    taken_over(lab)
    with Stream(lab) as stream:
        lab.wait(lambda: stream.notifies_now(lab.nabira), 20, "nabira notifies")
        on_at = time.time()
        lab.yasu.on()
        lab.wait(lambda: str(role_of(lab.yasu)) == "standby" and lab.yasu.nagios_pid() is not None, 60, "yasu is back")
        lab.wait(lambda: look(lab.nabira)[0] == "OK", 60, "nabira sees its standby")
        lab.wait(lambda: stream.asked(lab.yasu, since=on_at) > 3, 20, "yasu's Nagios has been asked")
        time.sleep(2)  # what it sends has arrived by then
        assert stream.moments(lab.yasu) == []
    assert re.fullmatch(r"yasu: a standby now, term \d+: nabira has the higher term \d+", guard_said(lab.yasu)), guard_said(
        lab.yasu
    )


def test_with_the_guard_a_master_whose_standby_has_given_a_run_up_is_started_as_the_master(guarded: Lab) -> None:
    """The standby's term is the higher one then. The guard goes before Nagios, as systemd calls it."""
    lab = guarded
    raise_term(lab.nabira)
    lab.nabira.run([COMMAND, "pause"])
    try:
        lab.yasu.service("nagios").stop()
        lab.yasu.run(["rm", "-f", f"{STATE}/guard"])  # what it said at a boot just now counts for mariadbd's and Nagios's start
        decided = lab.yasu.run([COMMAND, "guard"], timeout=60).stdout
        assert re.fullmatch(r"yasu: master again, term \d+: nabira answers and is its standby\n", decided), decided
    finally:
        lab.yasu.service("nagios").start()
        lab.nabira.run([COMMAND, "resume"])
    lab.wait(lambda: is_active(lab.yasu), 60, "yasu monitors")
    lab.wait(lambda: look(lab.yasu)[0] == look(lab.nabira)[0] == "OK", 60, "the pair is well")
    assert (str(role_of(lab.yasu)), str(role_of(lab.nabira))) == ("master", "standby")


def test_guard_both_hosts_off_and_on_in_either_order_the_higher_term_is_master(guarded: Lab) -> None:
    """nabira is the master by now, and yasu's role file says standby of an older term, or of the same; then yasu is the master."""
    lab = guarded
    for master, other in ((lab.nabira, lab.yasu), (lab.yasu, lab.nabira)):
        if not is_active(master):
            stand_down(lab, other)
            take_role(lab, master)
        orders = ((other, master), (master, other)) if master is lab.nabira else ((master, other), (other, master))
        for first, off in zip((master, other), orders, strict=True):  # each order of going down with each of coming back
            for host in off:
                host.off()
            off_at = time.time()
            second = other if first is master else master
            first.on()
            lab.wait(lambda host=first: host.nagios_pid() is not None, 60, f"{first.name} has started")  # type: ignore[misc]
            second.on()
            for host in (master, other):
                wait_for_own_status(lab, host, since=off_at)
            lab.wait(lambda host=master: is_active(host), 90, f"{master.name} is the master again")  # type: ignore[misc]
            lab.wait(lambda host=other: not notifies(host), 60, f"{other.name} is passive")  # type: ignore[misc]
            lab.wait(lambda host=master: look(host)[0] == "OK", 60, f"{master.name} sees its standby")  # type: ignore[misc]
            assert (str(role_of(master)), str(role_of(other))) == ("master", "standby")


def test_two_guards_that_wake_up_one_after_the_other_and_the_witness_knows_the_newer(guarded: Lab) -> None:
    """yasu was failed over while it had no power; then nabira loses its power too, and yasu wakes up alone."""
    lab = guarded
    lab.yasu.off()
    taken_over(lab)
    lab.nabira.off()
    off_at = time.time()
    lab.yasu.on()
    wait_for_own_status(lab, lab.yasu, since=off_at)
    assert re.fullmatch(rf"yasu: a standby now, term \d+: the witness hb@{WITNESS} has recorded .*", guard_said(lab.yasu)), (
        guard_said(lab.yasu)
    )
    assert not notifies(lab.yasu)
    lab.nabira.on()
    wait_for_own_status(lab, lab.nabira, since=off_at)
    lab.wait(lambda: is_active(lab.nabira), 60, "nabira is the master")
    lab.wait(lambda: look(lab.nabira)[0] == "OK", 60, "nabira sees its standby")
    swap_back(lab)


def test_guard_without_a_witness_that_can_tell_a_lonely_master_is_mute_and_a_person_is_told(guarded: Lab) -> None:
    lab = guarded
    options = {("fence", "user"): "nagios", ("run", "guard_timeout"): "4"}
    configure(lab, options)
    lab.nabira.off()
    mailed = len(lab.mails())
    lab.yasu.off()
    lab.yasu.on()
    assert guard_said(lab.yasu).startswith("yasu: mute until it is known who is the master (it was, term ")
    by_hand = "nagios-failover init --master --force"
    lab.wait(lambda: [m for m in lab.mails()[mailed:] if by_hand in " ".join(m.body.split())], 30, "a mail tells it")
    time.sleep(5)
    assert not notifies(lab.yasu)
    begin_as(lab, lab.yasu, "--master")
    lab.wait(lambda: is_active(lab.yasu), 30, "the person's word counts")
    lab.nabira.on()
    lab.wait(lambda: look(lab.yasu)[0] == "OK", 60, "the standby is back")


# ---- without the suite ----


def test_an_old_master_without_the_suite_is_fenced_at_once_and_what_it_mailed_is_told() -> None:
    """It comes back behind a cut link: else it may be fenced before it has mailed anything."""
    with Lab.up(name=f"fence-plain-{os.getpid()}", suite_on=("nabira",)) as lab:
        let_fence(lab)
        lab.nabira.write(CONFIG, with_options(config_text(lab.settings), {("fence", "user"): "nagios"}), group="nagios", mode=0o640)
        lab.yasu.off()
        taken_over(lab)
        mailed = len(lab.mails())
        with Stream(lab) as stream:
            lab.wait(lambda: stream.notifies_now(lab.nabira), 20, "nabira notifies")
            lab.cut(lab.yasu, lab.nabira)
            lab.yasu.on()
            lab.wait(lambda: stream.notifies_now(lab.yasu), 20, "yasu is back and notifies, too")
            lab.mend(lab.yasu, lab.nabira)
            mended = time.time()
            (told,) = lab.wait(lambda: fences_told(lab, mailed), 30, "people are told")
            lab.wait(lambda: not notifies(lab.yasu), 20, "yasu is muted")
            lab.wait(lambda: not stream.notifies_now(lab.yasu), 20, "yasu notifies nobody")
            lab.wait(lambda: stream.notifies_now(lab.nabira), 3, "nabira goes on")
            both = stream.moments(lab.yasu)[-1] - mended
            print(f"measured: both notified for {both:.1f} s after the link was mended")
        assert both < DOUBLED_LIMIT
        assert f"its Nagios has {ALL_OFF}, seen in its status.dat" in " ".join(told.body.split())
        assert "CUSTOM: web12/HTTP is OK, to oncall  (both hosts)" in told.body
        assert step(lab.nabira, "fence, mild").startswith("done: yasu: ")
        lab.yasu.service("nagios").restart()
        lab.wait(lambda: lab.yasu.nagios_flags().get("enable_notifications") == "0", 20, "a restart keeps it muted")
