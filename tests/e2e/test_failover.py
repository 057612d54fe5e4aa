"""A master dies and the standby's own Nagios takes over: once, with one mail, and only when it should. Real hosts, real faults.

Roles circulate: after each failover the repaired host joins as the standby, and the next test kills the other one.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.lab import Host, Lab, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

STATE = "/var/lib/nagios-failover"
BIN = "/opt/nagios-failover/bin"
HANDLER = f"{BIN}/handle_master_event"
CONFIG = "/etc/nagios-failover/nagios-failover.cfg"
NAGIOS = "/usr/sbin/nagios4 -d /etc/nagios4/nagios.cfg"
MONITORED = {f"web{number}" for number in range(1, 13)}
DEAD = ("nagios-failover", "Master Nagios", "CRITICAL", "HARD", "3")


@dataclass
class Pair:
    """The pair of a lab, by role."""

    lab: Lab

    def roles(self) -> dict[str, dict[str, str]]:
        return {host.name: role_of(host) for host in (self.lab.yasu, self.lab.nabira)}

    @property
    def master(self) -> Host:
        return next(host for host in (self.lab.yasu, self.lab.nabira) if role_of(host).get("role") == "master")

    @property
    def standby(self) -> Host:
        return next(host for host in (self.lab.yasu, self.lab.nabira) if role_of(host).get("role") == "standby")

    def healthy(self) -> bool:
        """One master that checks and notifies, one standby that does neither and sees the master alive, and nothing open."""
        roles = sorted(role.get("role", "") for role in self.roles().values())
        if roles != ["master", "standby"] or not (active(self.master) and passive(self.standby)):
            return False
        looks = looks_of(self.standby)
        return bool(looks) and looks[-1]["code"] == "alive" and looks[-1]["by"] == "check"

    def wait_healthy(self, seconds: float = 40) -> None:
        self.lab.wait(self.healthy, seconds, f"a healthy pair; roles are {self.roles()}", poll=0.3)

    def mails_since(self, moment: float, fragment: str) -> list[str]:
        return [mail.subject for mail in self.lab.mails(fragment) if mail.arrived >= moment]


def role_of(host: Host) -> dict[str, str]:
    try:
        return dict(line.split("=", 1) for line in host.read(f"{STATE}/role").splitlines())
    except FileNotFoundError:
        return {}


def active(host: Host) -> bool:
    flags = host.nagios_flags()
    return flags.get("enable_notifications") == "1" and flags.get("active_service_checks_enabled") == "1"


def passive(host: Host) -> bool:
    flags = host.nagios_flags()
    return flags.get("enable_notifications") == "0" and flags.get("active_service_checks_enabled") == "0"


def looks_of(host: Host) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in host.read(f"{STATE}/looks").splitlines()]
    except FileNotFoundError:
        return []


def runs_of(host: Host, *, since: float = 0.0, kind: str = "failover") -> list[list[dict[str, Any]]]:
    """The journals of this kind, the oldest first."""
    names = host.run(f"ls {STATE}/runs").stdout.split()
    journals = []
    for name in sorted(names):
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):  # folded into a later refusal, or half a line
            journals.append([json.loads(line) for line in host.read(f"{STATE}/runs/{name}").splitlines()])
    return [journal for journal in journals if journal and journal[0]["kind"] == kind and journal[0]["time"] >= since]


def outcome(journal: list[dict[str, Any]]) -> str:
    return str(journal[-1]["outcome"]) if journal[-1]["event"] == "closed" else "open"


def steps_done(journal: list[dict[str, Any]]) -> dict[str, str]:
    return {event["step"]: event["outcome"] for event in journal if event["event"] == "done"}


def checked_since(host: Host, moment: float) -> set[str]:
    """The monitored hosts that this host's Nagios has checked since."""
    return {name for epoch, name, _ in host.checked() if epoch > moment}


@pytest.fixture(scope="module")
def whole_pair() -> Iterator[Pair]:
    with Lab.up(name=f"failover-{os.getpid()}") as lab:
        yield Pair(lab)


@pytest.fixture
def pair(whole_pair: Pair) -> Pair:
    for host in (whole_pair.lab.yasu, whole_pair.lab.nabira):
        mend(whole_pair.lab, host)  # whatever a failed test left
    whole_pair.wait_healthy()
    return whole_pair


# --- what fails over ---


def kill(lab: Lab, host: Host) -> None:
    host.service("nagios").kill9()


def stop(lab: Lab, host: Host) -> None:
    host.service("nagios").freeze()


def clean_stop(lab: Lab, host: Host) -> None:
    host.service("nagios").stop()


def power_off(lab: Lab, host: Host) -> None:
    host.off()


def cut_off(lab: Lab, host: Host) -> None:
    lab.cut(host)


def mend(lab: Lab, host: Host) -> None:
    """The repaired host comes back as it is: its role file says master, and its Nagios checks and notifies until it looks."""
    lab.mend(host)
    if not host.is_on():
        host.on()
    nagios = host.service("nagios")
    if nagios.pid() is None:
        nagios.start()
    else:
        nagios.thaw()


@pytest.mark.parametrize("fault", [kill, stop, clean_stop, power_off, cut_off])
def test_a_dead_master_is_failed_over_once_and_mailed_once(pair: Pair, fault: Callable[[Lab, Host], None]) -> None:
    old, new = pair.master, pair.standby
    term = int(role_of(old)["term"])
    pair.lab.wait(lambda: not checked_since(new, time.time() - 5), 20, "a standby checks nothing")
    began = time.time()
    fault(pair.lab, old)
    pair.lab.wait(lambda: role_of(new).get("role") == "master", 45, f"{new.name} takes over")
    pair.lab.wait(
        lambda: runs_of(new, since=began - 1) and outcome(runs_of(new, since=began - 1)[-1]) != "open", 20, "the run ends"
    )
    runs = runs_of(new, since=began - 1)
    assert [outcome(run) for run in runs] == ["done"], runs
    assert role_of(new)["term"] == str(term + 1) and new.exists(f"{STATE}/failover.lock")
    assert active(new)
    assert len(MONITORED) == 12
    pair.lab.wait(lambda: checked_since(new, began) == MONITORED, 20, "the new master checks all twelve within their interval")
    pair.lab.set_state("web3", "HTTP", "CRITICAL")
    pair.lab.wait(
        lambda: [m for m in pair.lab.mails("web3") if m.arrived > began and new.name in m.subject + m.body + m.sender],
        30,
        "the new master notifies",
    )
    pair.lab.set_state("web3", "HTTP", "OK")
    assert len(pair.mails_since(began, f"{new.name} is the master now")) == 1
    mend(pair.lab, old)
    pair.wait_healthy(60)
    assert pair.master.name == new.name and role_of(old)["term"] == str(term + 1)
    assert not old.exists(f"{STATE}/failover.lock")
    assert len(pair.mails_since(began, f"{old.name} is the standby now")) == 1
    told = [mail for mail in pair.lab.mails("Failover state") if mail.arrived >= began]
    ill = [mail.body for mail in told if not mail.subject.endswith("is OK")]
    assert not ill, f"what a run tells itself is not told twice: {ill}"


def test_twenty_handlers_at_once_run_once(pair: Pair) -> None:
    old, new = pair.master, pair.standby
    began = time.time()
    kill(pair.lab, old)
    words = " ".join(f"'{word}'" for word in DEAD)
    new.run(f"for i in $(seq 20); do {HANDLER} {words} & done; wait", user="nagios", timeout=60)
    pair.lab.wait(lambda: role_of(new).get("role") == "master", 30, "the standby takes over")
    time.sleep(6)
    assert [outcome(run) for run in runs_of(new, since=began - 1)] == ["done"]
    assert len(pair.mails_since(began, "is the master now")) == 1
    mend(pair.lab, old)


def test_the_host_form_fails_over_on_hard_down_only(pair: Pair) -> None:
    """What a plain host check of the master calls; Nagios's own handlers are off, so that nothing else starts the run."""
    old, new = pair.master, pair.standby
    command_file = "/var/lib/nagios4/rw/nagios.cmd"
    new.run(f"echo '[1] DISABLE_EVENT_HANDLERS' > {command_file}", user="nagios")
    pair.lab.wait(lambda: new.nagios_flags().get("enable_event_handlers") == "0", 10, "event handlers are off")
    began = time.time()
    try:
        kill(pair.lab, old)
        for macros in (f"{old.name} DOWN SOFT 1", f"{old.name} UNREACHABLE HARD 3", "web1 DOWN HARD 3"):
            new.run(f"{HANDLER} {macros}", user="nagios")
        time.sleep(5)
        assert not runs_of(new, since=began)
        new.run(f"{HANDLER} {old.name} DOWN HARD 3", user="nagios")
        pair.lab.wait(lambda: role_of(new)["role"] == "master", 30, "the host form fails over")
    finally:
        # Saved too: the next test kills this Nagios, which then starts with what it saved last.
        new.run(f"printf '[1] ENABLE_EVENT_HANDLERS\\n[1] SAVE_STATE_INFORMATION\\n' > {command_file}", user="nagios")
        kept = "grep -q '^enable_event_handlers=1' /var/lib/nagios4/retention.dat"
        pair.lab.wait(lambda: new.run(kept, check=False).returncode == 0, 10, "event handlers are on again, and stay so")
    mend(pair.lab, old)


CRASH_STEPS = ("confirm", "register", "pre hook", "activate", "post hook", "mail")


@pytest.mark.parametrize("step", CRASH_STEPS)
def test_a_run_killed_after_a_step_is_finished_by_nagios_next_call(pair: Pair, step: str) -> None:
    old, new = pair.master, pair.standby
    with_hooks(new, pre="/bin/true", post="/bin/true")
    began = time.time()
    new.service("nagios").stop()
    new.run(f"NAGIOS_FAILOVER_CRASH_AFTER='{step}' {NAGIOS}")
    pair.wait_healthy()
    kill(pair.lab, old)
    pair.lab.wait(
        lambda: any(outcome(run) == "done" for run in runs_of(new, since=began)), 60, f"a run killed after {step} is done"
    )
    runs = runs_of(new, since=began)
    assert len(runs) == 1 and [event["event"] for event in runs[0]].count("resumed") == 1, runs
    assert set(steps_done(runs[0]).values()) <= {"done", "held", "skipped"}
    assert role_of(new)["role"] == "master" and active(new)
    assert len(pair.mails_since(began, "is the master now")) == 1
    with_hooks(new, pre="", post="")
    new.service("nagios").restart()
    mend(pair.lab, old)
    pair.wait_healthy(60)
    assert pair.master.name == new.name


def with_hooks(host: Host, *, pre: str, post: str) -> None:
    text = host.read(CONFIG)
    lines = [line for line in text.splitlines() if not line.startswith(("pre_hook =", "post_hook ="))]
    at = lines.index("[run]") + 1
    hooks = [f"{name} = {value}" for name, value in (("pre_hook", pre), ("post_hook", post)) if value]
    host.write(CONFIG, "\n".join([*lines[:at], *hooks, *lines[at:], ""]), owner="root", group="nagios", mode=0o640)


# --- what does not ---


def test_a_pre_hook_that_says_no_puts_everything_back(pair: Pair) -> None:
    old, new = pair.master, pair.standby
    before = {key: value for key, value in role_of(new).items() if key in ("role", "master")}
    with_hooks(new, pre="/bin/false", post="")
    began = time.time()
    kill(pair.lab, old)
    try:
        pair.lab.wait(lambda: any(outcome(run) == "aborted" for run in runs_of(new, since=began)), 40, "the run aborts")
        pair.lab.wait(lambda: role_of(new)["role"] == "standby", 5, "the role is put back")
        assert {key: value for key, value in role_of(new).items() if key in before} == before
        assert passive(new)
        time.sleep(8)
        assert len(pair.mails_since(began, "Master Nagios is CRITICAL")) == 1, "an abort at each check is one mail"
        assert len(runs_of(new, since=began)) <= 2, "nor does it fill the history"
    finally:
        with_hooks(new, pre="", post="")
    pair.lab.wait(lambda: role_of(new)["role"] == "master", 40, "the next check tries again")
    mend(pair.lab, old)


def test_a_full_disk_under_the_journal_is_mailed_and_fails_over_as_soon_as_there_is_room(pair: Pair) -> None:
    old, new = pair.master, pair.standby
    began = time.time()
    new.fill()
    try:
        kill(pair.lab, old)
        pair.lab.wait(lambda: pair.mails_since(began, "Master Nagios is CRITICAL"), 40, "it is mailed")
        body = next(mail.body for mail in pair.lab.mails("Master Nagios is CRITICAL") if mail.arrived >= began)
        assert "No space left on device" in body, body
        assert role_of(new)["role"] == "standby" and passive(new)
        time.sleep(5)
        assert len(pair.mails_since(began, "Master Nagios is CRITICAL")) == 1
    finally:
        new.unfill()
    pair.lab.wait(lambda: role_of(new)["role"] == "master", 40, "with room on the disk the next check fails over")
    mend(pair.lab, old)


@pytest.mark.parametrize("fault", ["database", "ssh and database", "frozen host", "own network"])
def test_what_is_no_death_is_not_failed_over(pair: Pair, fault: str) -> None:
    master, standby = pair.master, pair.standby
    services = [master.service("mariadbd"), *([master.service("sshd")] if fault.startswith("ssh") else [])]
    began = time.time()
    try:
        if fault == "frozen host":
            master.freeze()
        elif fault == "own network":
            pair.lab.cut(standby)
        else:
            for service in services:
                service.stop()
        pair.lab.wait(lambda: looks_of(standby)[-1]["state"] in ("WARNING", "UNKNOWN"), 25, "the standby sees it")
        time.sleep(12)
        assert role_of(standby)["role"] == "standby" and passive(standby)
        assert not [run for run in runs_of(standby, since=began) if outcome(run) != "refused"]
    finally:
        master.thaw()
        pair.lab.mend(standby)
        for service in services:
            if service.pid() is None:
                service.start()


def test_a_paused_pair_does_not_fail_over_until_it_is_resumed(pair: Pair) -> None:
    old, new = pair.master, pair.standby
    new.run([f"{BIN}/nagios-failover", "pause", "--reason", "maintenance"])
    began = time.time()
    kill(pair.lab, old)
    pair.lab.wait(lambda: looks_of(new)[-1]["state"] == "CRITICAL", 20, "the standby sees it")
    time.sleep(12)
    assert role_of(new)["role"] == "standby" and passive(new)
    mails = [mail for mail in pair.lab.mails("Master Nagios is CRITICAL") if mail.arrived >= began]
    assert len(mails) == 1 and "paused until resumed by" in mails[0].body and "maintenance" in mails[0].body
    assert len(runs_of(new, since=began)) == 1
    new.run([f"{BIN}/nagios-failover", "resume"])
    pair.lab.wait(lambda: role_of(new)["role"] == "master", 30, "the next check fails over")
    mend(pair.lab, old)


@pytest.mark.parametrize(("word", "code"), [("WARNING", 1), ("UNKNOWN", 3)])
def test_three_others_and_then_one_critical_result_do_not_fail_over(pair: Pair, word: str, code: int) -> None:
    """Nagios calls that HARD CRITICAL; the run's own looks say otherwise."""
    new = pair.standby
    plugin = f"{BIN}/check_master_nagios"
    began = time.time()
    script = f"""#!/bin/sh
n=$(cat /tmp/count 2>/dev/null || echo 0); echo $((n + 1)) > /tmp/count
[ $n -lt 3 ] && {{ echo made-up {word}; exit {code}; }}
[ $n -lt 4 ] && {{ echo made-up CRITICAL; exit 2; }}
exec {plugin}.real "$@"
"""
    new.run(f"rm -f /tmp/count; cp {plugin} {plugin}.real")
    new.write(plugin + ".new", script, mode=0o755)
    new.run(f"mv {plugin}.new {plugin}")
    refused = lambda: [run for run in runs_of(new, since=began) if outcome(run) == "refused"]  # noqa: E731
    runs = pair.lab.wait(refused, 40, "a run looks and refuses")
    new.run(f"mv {plugin}.real {plugin}")
    assert len(runs) == 1
    assert runs[0][-1]["sentence"].startswith(f"not confirmed: {pair.master.name}: Nagios (PID "), runs[0][-1]
    assert "CRITICAL;HARD;3" in new.run("grep 'Master Nagios' /var/log/nagios4/nagios.log").stdout
    assert role_of(new)["role"] == "standby" and passive(new) and not new.exists(f"{STATE}/failover.lock")


@pytest.mark.parametrize("broken", [f"{BIN}/check_master_nagios", f"{BIN}/python3"])
def test_a_broken_installation_here_does_not_fail_over(pair: Pair, broken: str) -> None:
    new = pair.standby
    began = int(time.time())
    new.run(f"mv {broken} {broken}.away")
    time.sleep(14)
    new.run(f"mv {broken}.away {broken}")
    alerts = new.run("grep 'SERVICE EVENT HANDLER: nagios-failover;Master Nagios;CRITICAL;HARD' /var/log/nagios4/nagios.log").stdout
    assert [line for line in alerts.splitlines() if int(line[1:11]) >= began], "Nagios took it for a HARD CRITICAL"
    time.sleep(6)
    assert role_of(new)["role"] == "standby" and passive(new)
    assert pair.master.name != new.name


def test_a_master_seen_alive_again_before_anything_was_activated_is_left_alone(pair: Pair) -> None:
    """Killed between register and activate, and the master came back meanwhile: everything is put back."""
    old, new = pair.master, pair.standby
    began = time.time()
    new.service("nagios").stop()
    kill(pair.lab, old)
    words = " ".join(f"'{word}'" for word in DEAD)
    new.run("rm -f " + STATE + "/looks", user="nagios")
    new.run(f"NAGIOS_FAILOVER_CRASH_AFTER=register {HANDLER} {words}", user="nagios")
    pair.lab.wait(lambda: role_of(new)["role"] == "taking-over", 30, "the run registers")
    old.service("nagios").start()
    time.sleep(3)
    new.service("nagios").start()
    pair.lab.wait(lambda: role_of(new)["role"] == "standby", 30, "the role is put back")
    run = runs_of(new, since=began)[-1]
    assert outcome(run) == "aborted" and "not confirmed any more" in run[-1]["sentence"]
    assert pair.master.name == old.name
