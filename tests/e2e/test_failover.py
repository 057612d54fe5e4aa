"""A master dies and the standby's own Nagios takes over: once, with one mail, and only when it should. Real hosts, real faults.

Roles circulate: after each failover the repaired host joins as the standby, and the next test kills the other one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
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
    clean_stop,
    cut_off,
    kill,
    mend,
    outcome,
    power_off,
    role_of,
    runs_of,
    stop,
)
from tests.lab import Host, Lab, why_not
from tests.lab.nagios_site import check_interval

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

CHECK_INTERVAL = check_interval("one-second", len(MONITORED))


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
    assert len(pair.mails_since(began, f"{new.name} is the master now")) == 1
    mend(pair.lab, old)
    pair.wait_healthy(60)
    assert pair.master.name == new.name and role_of(old)["term"] == str(term + 1)
    assert not old.exists(f"{STATE}/failover.lock")
    pair.lab.wait(lambda: pair.mails_since(began, f"{old.name} is the standby now"), 20, "the stand-down is mailed")
    assert len(pair.mails_since(began, f"{old.name} is the standby now")) == 1
    told = [mail for mail in pair.lab.mails("Failover state") if mail.arrived >= began]
    ill = [mail.body for mail in told if not mail.subject.endswith("is OK")]
    assert not ill, f"what a run tells itself is not told twice: {ill}"


def seconds_until_all_were_checked(host: Host, run: list[dict[str, Any]]) -> float:
    """From the moment in which the run saw its host active."""
    active_at = next(event["value"] for event in run if event["event"] == "note" and event["key"] == "active_at")
    first = {name: epoch for epoch, name, _ in reversed(host.checked()) if epoch > active_at - 5}
    return max(first.values()) - float(active_at)


def test_twenty_handlers_at_once_run_once(pair: Pair) -> None:
    old, new = pair.master, pair.standby
    began = time.time()
    kill(pair.lab, old)
    words = " ".join(f"'{word}'" for word in DEAD)
    new.run(f"for i in $(seq 20); do {HANDLER} {words} & done; wait", user="nagios", timeout=60)
    pair.lab.wait(lambda: role_of(new).get("role") == "master", 30, "the standby takes over")
    time.sleep(6)
    runs = runs_of(new, since=began - 1)
    assert [outcome(run) for run in runs] == ["done"], [run[-1] for run in runs]
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
