"""A master dies and the standby's own Nagios takes over: once, with one mail, and only when it should. Real hosts, real faults.

Roles circulate: after each failover the repaired host joins as the standby, and the next test kills the other one.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.pair import (
    DEAD,
    HANDLER,
    MONITORED,
    STATE,
    Pair,
    active,
    checked_since,
    cut_off,
    kill,
    mend,
    outcome,
    role_of,
    runs_of,
    stop,
)
from tests.lab import Host, Lab, why_not
from tests.lab.host import STATUS_DAT
from tests.lab.nagios_site import check_interval
from tests.lab.suite import CONFIG, one_second_options, with_options
from tests.takeover import last_look

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

CHECK_INTERVAL = check_interval("one-second", len(MONITORED))
HEARTBEAT_OLD = float(one_second_options()["heartbeat", "critical"])
COMMAND_FILE = "/var/lib/nagios4/rw/nagios.cmd"


@pytest.fixture(scope="module", autouse=True)
def _no_isolation(whole_pair: Pair) -> None:
    """A master that is cut off goes on here until it is back: that it mutes itself, and tells so, is test_isolation.py's."""
    for host in (whole_pair.lab.yasu, whole_pair.lab.nabira):
        text = with_options(host.read(CONFIG), {("witness", "isolation"): "none"})
        host.write(CONFIG, text, group="nagios", mode=0o640)


def ended(lab: Lab, host: Host, *, since: float = 0.0, kind: str = "failover") -> list[list[dict[str, Any]]]:
    """The journals of this kind, when the last of them has been closed."""

    def found() -> list[list[dict[str, Any]]]:
        runs = runs_of(host, since=since, kind=kind)
        return runs if runs and outcome(runs[-1]) != "open" else []

    return lab.wait(found, 20, f"the {kind} run of {host.name} ends")


def certain(runs: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    """Those aside that changed nothing because their own look's login came too late while the heartbeat was not old yet."""
    return [run for run in runs if not (outcome(run) == "refused" and "alive, ssh is broken" in run[-1]["sentence"])]


def state_checked(host: Host) -> int:
    """When Nagios has looked at the host's own state last; an epoch."""
    found = re.search(
        r"^servicestatus \{\n(?:(?!\t\}).*\n)*?\tservice_description=Failover state\n(?:(?!\t\}).*\n)*?\tlast_check=(\d+)$",
        host.read(STATUS_DAT),
        re.M,
    )
    return int(found.group(1)) if found else 0


def wait_until_all_is_mailed(lab: Lab) -> None:
    """Both have looked at their own state once more, and what follows from that is on its way to nobody any more."""
    hosts, since = (lab.yasu, lab.nabira), time.time()
    lab.wait(lambda: all(state_checked(host) > since for host in hosts), 30, "both have looked at their state")
    time.sleep(2)
    lab.wait(lambda: not any(host.run(f"ls {STATE}/unsent/*.json", check=False).stdout for host in hosts), 30, "no mail waits")


@contextlib.contextmanager
def handlers_off(lab: Lab, host: Host) -> Iterator[None]:
    """Nagios's own handlers do not run there, so that nothing else starts a run."""
    try:
        host.run(f"echo '[1] DISABLE_EVENT_HANDLERS' > {COMMAND_FILE}", user="nagios")
        lab.wait(lambda: host.nagios_flags().get("enable_event_handlers") == "0", 10, "event handlers are off")
        yield
    finally:
        # Saved too: the next test kills this Nagios, which then starts with what it saved last.
        host.run(f"printf '[1] ENABLE_EVENT_HANDLERS\\n[1] SAVE_STATE_INFORMATION\\n' > {COMMAND_FILE}", user="nagios")
        lab.wait(lambda: host.nagios_flags().get("enable_event_handlers") == "1", 10, "event handlers are on again")
        kept = "grep -q '^enable_event_handlers=1' /var/lib/nagios4/retention.dat"
        lab.wait(lambda: host.run(kept, check=False).returncode == 0, 10, "and stay so")


@pytest.mark.parametrize("fault", [kill, stop, cut_off])
def test_a_dead_master_is_failed_over_once_and_mailed_once(pair: Pair, fault: Callable[[Lab, Host], None]) -> None:
    """A clean stop and a power cut: test_inherit.py."""
    old, new = pair.master, pair.standby
    term = int(role_of(old)["term"])
    pair.lab.wait(lambda: not checked_since(new, time.time() - 5), 20, "a standby checks nothing")
    began = time.time()
    fault(pair.lab, old)
    pair.lab.wait(lambda: role_of(new).get("role") == "master", 45, f"{new.name} takes over")
    runs = certain(ended(pair.lab, new, since=began - 1))
    assert [outcome(run) for run in runs] == ["done"], runs
    assert role_of(new)["term"] == str(term + 1) and new.exists(f"{STATE}/failover.lock")
    assert active(new)
    objects = new.read("/etc/nagios4/conf.d/monitored.cfg")
    assert set(re.findall(r"^\s*host_name\s+(\S+)", objects, re.M)) == MONITORED and len(MONITORED) == 12
    pair.lab.wait(lambda: checked_since(new, began) == MONITORED, 20, "the new master checks all twelve")
    checked_after = seconds_until_all_were_checked(new, runs[0])
    print(f"measured: all twelve were checked {checked_after:.1f} s after the activation")
    assert checked_after < CHECK_INTERVAL + 3, "within their interval, and what a busy machine takes"
    pair.lab.set_state("web3", "HTTP", "CRITICAL")
    pair.lab.wait(
        lambda: [m for m in pair.lab.mails("web3") if m.arrived > began and new.name in m.subject + m.body + m.sender],
        30,
        "the new master notifies",
    )
    pair.lab.set_state("web3", "HTTP", "OK")
    mend(pair.lab, old)
    pair.wait_healthy(60)
    assert pair.master.name == new.name and role_of(old)["term"] == str(term + 1)
    assert not old.exists(f"{STATE}/failover.lock")
    pair.lab.wait(lambda: pair.mails_since(began, f"{old.name} is the standby now"), 20, "the stand-down is mailed")
    wait_until_all_is_mailed(pair.lab)
    assert len(pair.mails_since(began, f"{new.name} is the master now")) == 1
    assert len(pair.mails_since(began, f"{old.name} is the standby now")) == 1
    told = [mail for mail in pair.lab.mails("Failover state") if mail.arrived >= began]
    ill = [mail.body for mail in told if not mail.subject.endswith("is OK")]
    assert not ill, f"what a run tells itself is not told twice: {ill}"


def seconds_until_all_were_checked(host: Host, run: list[dict[str, Any]]) -> float:
    """From the moment in which the run saw its host active."""
    active_at = next(event["value"] for event in run if event["event"] == "note" and event["key"] == "active_at")
    first = {name: epoch for epoch, name, _ in reversed(host.checked()) if epoch > active_at - 5}
    return max(first.values()) - float(active_at)


def wait_until_surely_dead(lab: Lab, standby: Host, since: float) -> None:
    """A look whose login comes late says "alive, ssh is broken" as long as the heartbeat is not old; its run refuses."""
    old_at = since + HEARTBEAT_OLD + 1
    lab.wait(lambda: time.time() > old_at and last_look(standby) == "CRITICAL", 40, "the master is seen to be dead")


def test_twenty_handlers_at_once_run_once(pair: Pair) -> None:
    old, new = pair.master, pair.standby
    with handlers_off(pair.lab, new):
        kill(pair.lab, old)
        wait_until_surely_dead(pair.lab, new, time.time())
        began = time.time()
        words = " ".join(f"'{word}'" for word in DEAD)
        new.run(f"for i in $(seq 20); do {HANDLER} {words} & done; wait", user="nagios", timeout=60)
        pair.lab.wait(lambda: role_of(new).get("role") == "master", 30, "the standby takes over")
        ended(pair.lab, new, since=began - 1)
    time.sleep(6)  # one that is late
    runs = runs_of(new, since=began - 1)
    assert [outcome(run) for run in runs] == ["done"], [run[-1] for run in runs]
    assert len(pair.mails_since(began, "is the master now")) == 1
    mend(pair.lab, old)


def test_the_host_form_fails_over_on_hard_down_only(pair: Pair) -> None:
    """What a plain host check of the master calls, once. The heartbeat is old by then: no look whose login is late is in doubt."""
    old, new = pair.master, pair.standby
    began = time.time()
    with handlers_off(pair.lab, new):
        kill(pair.lab, old)
        for macros in (f"{old.name} DOWN SOFT 1", f"{old.name} UNREACHABLE HARD 3", "web1 DOWN HARD 3"):
            new.run(f"{HANDLER} {macros}", user="nagios")
        wait_until_surely_dead(pair.lab, new, time.time())
        assert not runs_of(new, since=began)
        new.run(f"{HANDLER} {old.name} DOWN HARD 3", user="nagios")
        pair.lab.wait(lambda: role_of(new)["role"] == "master", 30, "the host form fails over")
    mend(pair.lab, old)
