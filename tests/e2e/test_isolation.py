"""Cut links between healthy hosts: what the second route tells, and for how long two may notify.

The witness has an account on which both hosts' Nagios users log in; one lab for the whole file.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator

import pytest

from tests.e2e.pair import looks_of, mend
from tests.lab import Host, Lab, why_not
from tests.lab.replication import accounts, restart, sql
from tests.lab.state import ADDRESSES
from tests.lab.suite import COMMAND, CONFIG, STATE, begin_as, config_text, is_active, notifies, with_options
from tests.notification_stream import Stream
from tests.takeover import join_again, raise_term, role_of

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

CHECK = "/opt/nagios-failover/bin/check_master_nagios"
WITNESS = ADDRESSES["witness"]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(name=f"isolation-{os.getpid()}") as lab:
        yield lab


@pytest.fixture(autouse=True)
def _as_it_was(lab: Lab) -> None:
    """A test that failed leaves the pair as it was then: all links are whole, and yasu is the master before each."""
    begin_well(lab, {("witness", "accounts"): f"hb@{WITNESS}"})


def begin_well(lab: Lab, options: dict[tuple[str, str], str]) -> None:
    """A healthy pair with yasu as its master."""
    for host in (lab.yasu, lab.nabira):
        if host.is_frozen():
            host.thaw()
        mend(lab, host)
    configure(lab, options)
    if is_active(lab.yasu) and str(role_of(lab.nabira)) == "standby" and not notifies(lab.nabira):
        return
    lab.wait(lambda: {str(role_of(lab.yasu)), str(role_of(lab.nabira))} == {"master", "standby"}, 90, "one is the master")
    if str(role_of(lab.yasu)) == "standby":
        swap_back(lab)


def configure(lab: Lab, options: dict[tuple[str, str], str]) -> None:
    """One and the same file on both hosts, where they have power."""
    text = with_options(config_text(lab.settings), options)
    for host in (host for host in (lab.yasu, lab.nabira) if host.is_on()):
        host.write(CONFIG, text, group="nagios", mode=0o640)


def look(host: Host) -> tuple[str, str]:
    """State and sentence, as Nagios's own check says them now."""
    said = "".join(host.run([CHECK], user="nagios", check=False).stdout.splitlines()[:1])
    match = re.fullmatch(r"MASTER (\w+) - ([^|]*?)(?: \|.*)?", said)
    return (match.group(1), match.group(2)) if match else ("", said)  # it has hit its own time limit


def acted(lab: Lab, host: Host) -> list[tuple[str, str, str]]:
    """Id, kind and outcome of the host's runs, the newest first, those aside that looked once more and refused: one slow look is
    CRITICAL, and a run follows from it."""

    def ended() -> list[list[tuple[str, str, str]]]:
        runs = json.loads(host.run([COMMAND, "history", "--json"]).stdout)
        if any(run["outcome"] == "running" for run in runs):
            return []
        return [[(run["id"], run["kind"], run["outcome"]) for run in runs if run["outcome"] != "refused"]]

    (found,) = lab.wait(ended, 60, f"no run of {host.name} is on its way")
    return found


def wait_for_look(lab: Lab, host: Host, state: str, sentence: str = ".*") -> None:
    """One look may come late, after a login over two hops: the next one is made anew."""
    seen = ("", "")

    def fits() -> bool:
        nonlocal seen
        seen = look(host)
        return seen[0] == state and re.fullmatch(sentence, seen[1]) is not None

    lab.wait(fits, 30, f"{host.name} says {state}: {sentence}", shown=lambda: f"but {seen}")


def cut_link(lab: Lab, one_way: tuple[Host, Host] | None) -> None:
    lab.cut(*(one_way or (lab.yasu, lab.nabira)), one_way=one_way is not None)


@pytest.mark.parametrize("direction", ["both", "to the standby", "to the master"])
def test_a_cut_link_between_healthy_hosts_is_seen_through_the_witness_and_no_failover(lab: Lab, direction: str) -> None:
    before = acted(lab, lab.nabira)
    ways = {"both": None, "to the standby": (lab.yasu, lab.nabira), "to the master": (lab.nabira, lab.yasu)}
    cut_link(lab, ways[direction])
    try:
        alive = r"Nagios \(PID \d+\) is alive, status.dat is \d s old"
        master = rf"yasu: seen through the witness {WITNESS}: {alive}; directly ssh fails \(.+\)"
        standby = rf"nabira: seen through the witness {WITNESS}: standby, its Nagios \(PID .*"
        for host, sentence in ((lab.nabira, master), (lab.yasu, standby)):
            wait_for_look(lab, host, "WARNING", sentence)
        for _ in range(4):  # more looks than a failover needs; Nagios's own come in between
            wait_for_look(lab, lab.nabira, "WARNING")
        assert is_active(lab.yasu) and not is_active(lab.nabira)
        assert acted(lab, lab.nabira) == before
    finally:
        lab.mend(lab.yasu, lab.nabira)
    lab.wait(lambda: look(lab.nabira)[0] == "OK", 30, "the direct way is taken again")


def test_a_master_that_dies_behind_a_cut_link_is_failed_over_by_what_the_witness_shows(lab: Lab) -> None:
    lab.cut(lab.yasu, lab.nabira)
    try:
        lab.wait(lambda: look(lab.nabira)[1].startswith("yasu: seen through"), 20, "the second route")
        lab.yasu.service("nagios").kill9()
        lab.wait(lambda: is_active(lab.nabira), 60, "nabira has taken over")
        assert f"seen through the witness {WITNESS}: Nagios has crashed" in lab.nabira.read(f"{STATE}/looks")
    finally:
        lab.mend(lab.yasu, lab.nabira)
    join_again(lab, "kill", lab.yasu, lab.nabira)
    swap_back(lab)


def stand_down(lab: Lab, host: Host) -> None:
    """Refused while a run of its own is on its way; that one ends."""
    lab.wait(lambda: host.run([COMMAND, "standdown"], check=False, timeout=90).returncode == 0, 30, f"{host.name} stands down")


def take_role(lab: Lab, host: Host) -> None:
    """Where nobody monitors: refused while a look at the other host takes too long."""
    lab.wait(
        lambda: is_active(host) or host.run([COMMAND, "failover"], check=False, timeout=90).returncode == 0,
        30,
        f"{host.name} takes the role",
    )


def swap_back(lab: Lab) -> None:
    """yasu is the master again, for the next test."""
    stand_down(lab, lab.nabira)
    take_role(lab, lab.yasu)
    lab.wait(lambda: is_active(lab.yasu) and str(role_of(lab.nabira)) == "standby", 30, "yasu is the master again")
    lab.wait(lambda: look(lab.nabira)[0] == "OK" and look(lab.yasu)[0] == "OK", 30, "the pair is well")


def test_the_trials_show_whether_the_second_route_works(lab: Lab) -> None:
    said = lab.nabira.run([COMMAND, "test", "--no-mail"], check=False, timeout=60).stdout
    assert re.search(rf"^OK +second route +yasu: hb logs in through the witness hb@{WITNESS} \(\d\.\d\d s\)$", said, re.M), said
    lab.witness.service("sshd").stop()
    try:
        said = lab.nabira.run([COMMAND, "test", "--no-mail"], check=False, timeout=60).stdout
        assert re.search(
            rf"^NOT OK +second route +yasu: hb@{WITNESS}: not through the witness hb@{WITNESS}: connect to host", said, re.M
        )
    finally:
        lab.witness.service("sshd").start()


# ---- the isolated master ----

ISOLATION = 8.0
"""[witness] isolation here, in seconds: above the longest look, so that one slow look is no isolation."""
OPTIONS = {("witness", "accounts"): f"hb@{WITNESS}", ("witness", "isolation"): f"{ISOLATION:g}"}
DOUBLED_LIMIT = 10.0
"""README: one look after the link is back (one-second settings), and a machine that is busy."""
WINDOW = ISOLATION + 16.0
"""README: isolation, and two looks of a master that waits for answers until their time limit (one-second settings: 6 s)."""
MUTED_WITHIN = 4.0
"""Seconds from the look that counted to the end until Nagios has read the command."""


@pytest.fixture
def isolating(lab: Lab) -> Lab:
    configure(lab, OPTIONS)
    return lab


def muted(host: Host) -> bool:
    return host.exists(f"{STATE}/override.isolated") and host.nagios_flags().get("enable_notifications") == "0"


def last_look_before_muting(host: Host) -> float:
    """When (epoch) it had seen nobody for `isolation` seconds: the first look of which that is true."""
    looks = looks_of(host)
    alone = [one for one in looks if one["isolated_since"] and one["uptime"] - one["isolated_since"] >= ISOLATION]
    assert looks.index(alone[0]) > 0, "a look before it is on record, too"
    return float(alone[0]["time"])


def last_update(host: Host) -> str:
    return sql(host, "SELECT last_update FROM nagios.programstatus")


def read_only(host: Host, *, check: bool = True) -> bool:
    """Without `check` False, too, when the question is cut short: a server that is made read-only loses its connections."""
    return sql(host, "SELECT @@read_only", check=check) == "1"


def test_a_cut_of_two_seconds_changes_nothing(isolating: Lab) -> None:
    lab = isolating
    before = acted(lab, lab.nabira), acted(lab, lab.yasu)
    for other in (lab.nabira, lab.witness):
        lab.cut(lab.yasu, other)
    time.sleep(2)
    lab.mend(lab.yasu)
    time.sleep(4)
    assert is_active(lab.yasu) and not is_active(lab.nabira)
    assert (acted(lab, lab.nabira), acted(lab, lab.yasu)) == before
    lab.wait(lambda: look(lab.nabira)[0] == "OK", 30, "the pair is well")


def test_a_master_that_is_cut_off_from_everybody_mutes_itself_and_stands_down_when_it_is_back(isolating: Lab) -> None:
    """The standby sees the witness, so it takes over; both may notify until the old master has counted to the end."""
    lab = isolating
    with Stream(lab) as stream:
        lab.cut(lab.yasu)
        cut_at = time.time()
        lab.wait(lambda: muted(lab.yasu), 60, "yasu has muted itself")
        counted = last_look_before_muting(lab.yasu)
        assert lab.yasu.nagios_flags()["active_service_checks_enabled"] == "1"
        lab.wait(lambda: is_active(lab.nabira), 60, "nabira has taken over")
        lab.wait(lambda: stream.notifies_now(lab.nabira), 20, "nabira notifies")
        lab.mend(lab.yasu)
        lab.wait(lambda: str(role_of(lab.yasu)) == "standby", 60, "yasu has stood down")
        last = stream.logged(lab.yasu)[-1]
        print(f"measured: mute {last - cut_at:.1f} s after the cut; both notified for {stream.doubled_by_log()} s")
        assert last - counted < MUTED_WITHIN, "what comes back is mute already"
        assert last - cut_at < WINDOW and stream.doubled_by_log() < WINDOW
    recorded = lab.witness.read("/home/hb/.nagios-failover-term.yasu.nabira")
    assert recorded.startswith("".join(re.findall(r"^term=\d+\n", lab.nabira.read(f"{STATE}/role"), re.M)) + "master=nabira\n")
    lab.wait(lambda: look(lab.nabira)[0] == "OK", 60, "nabira sees its standby")
    assert not lab.yasu.exists(f"{STATE}/override.isolated"), "another role, another term"
    swap_back(lab)


def test_a_cut_link_beside_a_witness_that_is_only_an_address_lets_both_notify_until_it_is_mended(isolating: Lab) -> None:
    """Each sees the witness, neither is alone: the README says that only an account, or a fence agent, helps here."""
    lab = isolating
    configure(lab, {("witness", "isolation"): f"{ISOLATION:g}"})
    with Stream(lab) as stream:
        lab.cut(lab.yasu, lab.nabira)
        lab.wait(lambda: stream.notifies_now(lab.nabira), 60, "nabira has taken over")
        lab.wait(lambda: stream.notifies_now(lab.yasu), 3, "and yasu goes on")
        lab.mend(lab.yasu, lab.nabira)
        mended_at = time.time()
        lab.wait(lambda: not notifies(lab.yasu), 30, "yasu has stood down")
        lab.wait(lambda: not stream.notifies_now(lab.yasu), 20, "yasu notifies nobody")
        after = stream.moments(lab.yasu)[-1] - mended_at
        print(f"measured: both notified for {stream.doubled():.1f} s, {after:.1f} s of it after the link was mended")
        assert after < DOUBLED_LIMIT
    lab.wait(lambda: look(lab.nabira)[0] == "OK", 60, "nabira sees its standby")
    swap_back(lab)


def test_a_witness_that_sees_the_master_alone_keeps_the_standby_from_acting(isolating: Lab) -> None:
    lab = isolating
    before = acted(lab, lab.nabira)
    lab.cut(lab.nabira)
    lab.wait(lambda: look(lab.nabira)[0] == "UNKNOWN", 30, "nabira is cut off")
    time.sleep(ISOLATION)
    assert is_active(lab.yasu) and not is_active(lab.nabira) and acted(lab, lab.nabira) == before
    lab.mend(lab.nabira)
    lab.wait(lambda: look(lab.nabira)[0] == "OK", 30, "the pair is well")


def test_a_master_that_was_not_failed_over_goes_on_when_its_standby_answers(isolating: Lab) -> None:
    """The whole network is gone: the standby sees no witness either, and does not act. The database, a source whose replica is not
    attached, follows: a server that is started anew meanwhile, too. A run of the standby was given up once: its term is higher."""
    lab = isolating
    raise_term(lab.nabira)
    configure(lab, {**OPTIONS, ("replication", "watch"): "yes"})
    sql(lab.yasu, accounts(lab))
    lab.cut(lab.yasu)
    lab.cut(lab.nabira)
    lab.wait(lambda: muted(lab.yasu), 60, "yasu has muted itself")
    lab.wait(lambda: read_only(lab.yasu, check=False), 10, "its database takes no writes")
    restart(lab.yasu)
    lab.wait(lambda: read_only(lab.yasu, check=False), 20, "nor after a restart")
    assert not is_active(lab.nabira) and look(lab.nabira)[0] == "UNKNOWN"
    lab.mend(lab.yasu, lab.nabira)
    lab.wait(lambda: is_active(lab.yasu) and not lab.yasu.exists(f"{STATE}/override.isolated"), 60, "yasu notifies again")
    assert not is_active(lab.nabira) and not read_only(lab.yasu)


def test_a_master_whose_standby_is_gone_goes_on_when_the_witness_has_recorded_nothing_higher(isolating: Lab) -> None:
    lab = isolating
    lab.nabira.off()
    lab.cut(lab.yasu, lab.witness)
    lab.wait(lambda: muted(lab.yasu), 60, "yasu has muted itself")
    time.sleep(2)  # a batch that was on its way
    loaded = last_update(lab.yasu)
    time.sleep(3)
    assert muted(lab.yasu), "nobody has answered yet"
    assert last_update(lab.yasu) == loaded, "and its loader loads nothing"
    lab.mend(lab.yasu, lab.witness)
    lab.wait(lambda: is_active(lab.yasu), 60, "yasu notifies again")
    lab.wait(lambda: last_update(lab.yasu) > loaded, 20, "and loads again")
    lab.nabira.on()
    lab.wait(lambda: look(lab.yasu)[0] == "OK", 60, "the standby is back")


def test_with_an_address_alone_a_long_isolation_ends_by_the_standby_or_a_person(isolating: Lab) -> None:
    lab = isolating
    configure(lab, {("witness", "isolation"): f"{ISOLATION:g}"})
    lab.nabira.off()
    lab.cut(lab.yasu, lab.witness)
    mailed = len(lab.mails())
    lab.wait(lambda: muted(lab.yasu), 60, "yasu has muted itself")
    lab.mend(lab.yasu, lab.witness)
    lab.wait(
        lambda: [m for m in lab.mails()[mailed:] if "init --master --force" in " ".join(m.body.split())], 40, "a person is told"
    )
    assert muted(lab.yasu)
    begin_as(lab, lab.yasu, "--master")
    lab.wait(lambda: is_active(lab.yasu), 30, "the person's word counts")
    lab.nabira.on()
    lab.wait(lambda: look(lab.yasu)[0] == "OK" and look(lab.nabira)[0] == "OK", 60, "the standby is back")
