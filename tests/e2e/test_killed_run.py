"""A run that is killed, wherever: Nagios's next call finishes it, or puts everything back when there is no reason any more."""

from __future__ import annotations

import time

import pytest

from tests.e2e.pair import (
    CONFIG,
    DEAD,
    HANDLER,
    NAGIOS,
    STATE,
    Pair,
    acted,
    active,
    kill,
    mend,
    outcome,
    role_of,
    runs_of,
    steps_done,
    with_hooks,
)
from tests.lab import why_not
from tests.lab.suite import with_options

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")


CRASH_STEPS = ("confirm", "register", "activate", "perfdata services", "mail")
"""Before anything has changed, before and at the point of no return, among what follows, and at the end. After every step that
acts: make test-long."""


@pytest.mark.parametrize("step", CRASH_STEPS)
def test_a_run_killed_after_a_step_is_finished_by_nagios_next_call(pair: Pair, step: str) -> None:
    old, new = pair.master, pair.standby
    before = new.read(CONFIG)
    with_hooks(new, pre="/bin/true", post="/bin/true")
    services = {("run", "perfdata_services"): "cron"}
    new.write(CONFIG, with_options(new.read(CONFIG), services), group="nagios", mode=0o640)
    new.service("cron").stop()
    began = time.time()
    new.service("nagios").stop()
    new.run(f"NAGIOS_FAILOVER_CRASH_AFTER='{step}' {NAGIOS}")
    pair.wait_healthy()
    kill(pair.lab, old)
    pair.lab.wait(
        lambda: any(outcome(run) == "done" for run in runs_of(new, since=began)), 60, f"a run killed after {step} is done"
    )
    runs = acted(runs_of(new, since=began))
    assert len(runs) == 1 and [event["event"] for event in runs[0]].count("resumed") == 1, runs
    assert set(steps_done(runs[0]).values()) <= {"done", "held", "skipped"}
    assert role_of(new)["role"] == "master" and active(new)
    assert len(pair.mails_since(began, "is the master now")) == 1
    assert steps_done(runs[0])["perfdata services"] != "skipped" and new.service("cron").pid(), "its services run"
    new.write(CONFIG, before, group="nagios", mode=0o640)
    new.service("nagios").restart()
    mend(pair.lab, old)
    pair.wait_healthy(60)
    assert pair.master.name == new.name


def test_a_master_seen_alive_again_before_anything_was_activated_is_left_alone(pair: Pair) -> None:
    """Killed between register and activate, and the master came back meanwhile: everything is put back."""
    old, new = pair.master, pair.standby
    began = time.time()
    new.service("nagios").stop()
    kill(pair.lab, old)
    words = " ".join(f"'{word}'" for word in DEAD)
    new.run("rm -f " + STATE + "/looks", user="nagios")
    called = 0.0

    def has_registered() -> bool:
        """Who is refused, since a look hit a time-out, is called again: this Nagios, which would do so, is stopped."""
        nonlocal called
        if not called or any(outcome(run) == "refused" for run in runs_of(new, since=called)):
            called = time.time()
            new.run(f"NAGIOS_FAILOVER_CRASH_AFTER=register {HANDLER} {words}", user="nagios")
        return role_of(new)["role"] == "taking-over"

    pair.lab.wait(has_registered, 30, "the run registers")
    back = int(time.time())
    old.service("nagios").start()
    pair.lab.wait(lambda: int(old.nagios_flags().get("program_start", 0)) >= back, 20, f"{old.name} writes its status.dat again")
    time.sleep(3)
    new.service("nagios").start()
    pair.lab.wait(lambda: role_of(new)["role"] == "standby", 30, "the role is put back")
    pair.lab.wait(lambda: [outcome(run) for run in acted(runs_of(new, since=began))] == ["aborted"], 20, "the run is closed")
    (run,) = acted(runs_of(new, since=began))
    assert "not confirmed any more" in run[-1]["sentence"]
    assert pair.master.name == old.name
