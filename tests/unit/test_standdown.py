"""Giving the role back, by command, outranked, or to the returned preferred host."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from nagios_failover import failback
from nagios_failover.config import Config
from nagios_failover.errors import Failed
from nagios_failover.evidence import Evidence, HostReport, Process
from nagios_failover.failback import acknowledge, flap_block_left, well_for
from nagios_failover.journal import Journal
from nagios_failover.looks import Look
from nagios_failover.observe import Observation
from nagios_failover.resume import resume_open_runs
from nagios_failover.role import RoleRecord
from nagios_failover.run_record import Outcome, RunRecord
from nagios_failover.standdown import result, run_standdown
from nagios_failover.state_files import StateFiles
from nagios_failover.verdict import Code, Verdict
from nagios_failover.words import Role, State
from nagios_failover.workflow import start
from tests.fake_world import A_STANDBY, NO_STANDBY, OFF, ON, OUTRANKED, World, config_of, master, standby

TWO_MASTERS = (State.CRITICAL, Code.PEER_ACTIVE, "yasu: two masters: it notifies with no term, this host is the master with term 3")


class Seen(World):
    """A world whose looks bring a report with the other host's role."""

    theirs: RoleRecord | None = None

    def _look(self, by: str, record: bool) -> Observation:
        seen = super()._look(by, record)
        report = HostReport(Process.RUNNING, 7, 1.0, 1, ON, self.theirs)
        return Observation(Evidence(report), seen.verdict, seen.look, {})


@pytest.fixture
def state(tmp_path: Path) -> StateFiles:
    return StateFiles(tmp_path)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return config_of(tmp_path, "[pair]\nfailback = automatic\nfailback_after = 60\nflap_block = 3600\n")


@pytest.fixture
def world(state: StateFiles) -> Seen:
    master(state)
    return Seen(state, sees=[A_STANDBY], flags=dict(ON))


def run(config: Config, world: World, *, trigger: str = "command", force: bool = False) -> RunRecord:
    return run_standdown(config, world.state, trigger=trigger, force=force, hands=world.hands())


def test_the_role_is_given_back_and_it_is_said_that_nobody_monitors_yet(config: Config, world: Seen) -> None:
    record = run(config, world)
    assert (record.outcome, record.sentence) == (
        "done",
        "nabira is the standby now (term 3): nobody monitors until you run on yasu: nagios-failover failover",
    )
    role = world.state.role()
    assert (role.role, role.master, role.term) == (Role.STANDBY, "yasu", 3)
    assert world.flags == OFF and not world.state.lock_path.exists() and len(world.mails) == 1


def test_without_a_live_standby_it_is_refused(config: Config, world: Seen) -> None:
    world.sees = [NO_STANDBY]
    record = run(config, world)
    assert record.outcome == "refused"
    assert record.sentence == (
        "nabira: there is no live standby: yasu: no standby: ssh fails; "
        "hint: repair it first, or let nobody monitor with: nagios-failover standdown --force"
    )
    assert world.flags == ON and world.state.role().role is Role.MASTER


def test_by_force_it_stands_down_and_says_what_comes(config: Config, world: Seen) -> None:
    world.sees = [NO_STANDBY]
    record = run(config, world, force=True)
    assert record.outcome == "done" and "takes over again at its next checks unless it is paused" in record.sentence


def test_a_standby_has_nothing_to_give_back(config: Config, world: Seen) -> None:
    standby(world.state)
    assert run(config, world).sentence == "nabira: the role is standby (term 3): there is nothing to give back"


def test_an_outranked_master_stands_down_and_takes_the_higher_term(config: Config, world: Seen) -> None:
    world.sees, world.theirs = [OUTRANKED], RoleRecord(Role.MASTER, "yasu", 9, "", 1)
    record = run(config, world, trigger="event")
    assert record.sentence == "nabira is the standby now (term 9): yasu monitors"
    assert world.state.role().term == 9 and world.flags == OFF


def test_an_outranked_master_stands_down_though_its_run_reaches_nobody(config: Config, state: StateFiles) -> None:
    """On a machine so busy that a login takes too long, each run would be refused, and the lower term would notify on."""
    master(state)
    world = World(state, sees=[NO_STANDBY], flags=dict(ON), peer_term=9)
    world.look_before(OUTRANKED, ago=10)
    record = run(config, world, trigger="event")
    assert record.sentence == "nabira is the standby now (term 9): yasu monitors"
    assert record.steps[0].detail == f"{OUTRANKED[2]}, as was seen a moment ago; now {NO_STANDBY[2]}"
    assert world.state.role().term == 9 and world.flags == OFF


@pytest.mark.parametrize("before", [{"ago": 600}, {"ago": 10, "boot": "another"}], ids=["long ago", "another boot"])
def test_what_was_seen_long_ago_makes_no_master_stand_down(config: Config, state: StateFiles, before: dict[str, Any]) -> None:
    master(state)
    world = World(state, sees=[NO_STANDBY], flags=dict(ON), peer_term=9)
    world.look_before(OUTRANKED, **before)
    assert run(config, world, trigger="event").sentence == f"not confirmed: {NO_STANDBY[2]}"


def test_a_peer_that_answers_otherwise_now_is_believed(config: Config, world: Seen) -> None:
    world.peer_term = 9
    world.look_before(OUTRANKED, ago=10)
    assert run(config, world, trigger="event").sentence == f"not confirmed: {A_STANDBY[2]}"


def test_nagios_call_alone_makes_no_master_stand_down(config: Config, world: Seen) -> None:
    record = run(config, world, trigger="event")
    assert (record.outcome, record.sentence) == ("refused", f"not confirmed: {A_STANDBY[2]}")
    assert world.flags == ON


def test_two_masters_with_the_suite_are_the_lower_ones_business(config: Config, world: Seen) -> None:
    world.sees, world.theirs = [TWO_MASTERS], RoleRecord(Role.MASTER, "yasu", 2, "", 1)
    assert run(config, world, trigger="event").outcome == "refused"


def test_a_returned_preferred_host_without_the_suite_gets_the_role(config: Config, world: Seen) -> None:
    world.sees = [TWO_MASTERS]
    assert run(config, world, trigger="event").sentence == "nabira is the standby now (term 3): yasu monitors"


def test_what_the_new_source_lacks_is_in_the_run_s_sentence(config: Config, world: Seen) -> None:
    flow = start(config, world.state, "standdown", trigger="event", term=3, hands=world.hands())
    flow.notes |= {"monitors": "yasu", "alone": "45 transactions", "term": 4}
    assert result(flow) == (
        "nabira is the standby now (term 4): yasu monitors; 45 transactions of its database are not in yasu's: "
        "nagios-failover rejoin saves them"
    )


def test_flags_that_cannot_be_seen_off_are_passed_over_and_told(config: Config, world: Seen) -> None:
    world.set_flags_fails = Failed("Nagios did not show notifications off within 30 s")
    record = run(config, world)
    assert record.outcome == "incomplete" and world.state.role().role is Role.STANDBY
    assert "mute: Nagios did not show notifications off within 30 s" in record.sentence


@pytest.mark.parametrize("step", ["check", "register", "mute", "database", "become standby", "mail"])
def test_a_killed_stand_down_is_finished_by_the_next_call(config: Config, world: Seen, step: str) -> None:
    child = os.fork()
    if not child:
        try:
            os.environ["NAGIOS_FAILOVER_CRASH_AFTER"] = step
            run(config, world)
        finally:
            os._exit(1)  # a child that was not killed must not go on with the tests
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    (record,) = resume_open_runs(config, world.state, hands=world.hands())
    assert record.outcome == "done" and world.state.role().role is Role.STANDBY, record
    assert len(world.mails) == (0 if step == "mail" else 1)


# --- the automatic way back ---


def test_well_counts_without_a_gap_and_anew_after_one(config: Config, state: StateFiles) -> None:
    ages = [well_for(config, state, now=now, boot="a") for now in (100.0, 110.0, 125.0, 200.0, 210.0)]
    assert ages == [0.0, 10.0, 25.0, 0.0, 10.0]
    assert well_for(config, state, now=215.0, boot="b") == 0.0


def done_failover(state: StateFiles) -> None:
    Journal(state.directory).open("failover", 3, "nabira").close(Outcome.DONE, "nabira is the master now")


def test_a_failover_blocks_the_way_back_and_an_acknowledgement_releases_it(config: Config, state: StateFiles) -> None:
    now = time.time()
    assert flap_block_left(config, state, now=now) == 0.0
    done_failover(state)
    assert 3590 < flap_block_left(config, state, now=now) <= 3601
    assert flap_block_left(config, state, now=now + 3601) == 0.0
    time.sleep(1.1)
    assert acknowledge(config, state).startswith("nabira: the automatic way back is open (3")
    assert flap_block_left(config, state, now=now) == 0.0
    assert acknowledge(config, state) == "nabira: acknowledged; nothing was blocked"
    time.sleep(1.1)
    done_failover(state)
    assert flap_block_left(config, state, now=now) > 0, "an acknowledgement is not for later failovers"


def test_the_role_is_offered_when_the_preferred_host_has_been_well_long_enough(
    config: Config, state: StateFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    master(state)
    ages = iter([10.0, 61.0])
    monkeypatch.setattr(failback, "well_for", lambda *_: next(ages))
    assert failback.give_back(config, state, code=Code.PEER_RETURNED) == "yasu has been well for 10 s of 60 s"
    assert state.role().handover == ""
    assert failback.give_back(config, state, code=Code.PEER_RETURNED) == "the role is offered to yasu"
    assert state.role().handover == "yasu" and state.role().role is Role.MASTER
    assert failback.withdraw(config, state) == "the offer of the role to yasu is withdrawn"
    assert state.role().handover == "" and failback.withdraw(config, state) == ""


def test_looks_carry_the_term_that_was_seen() -> None:
    assert Look("yasu", 1, 1, "b", "check", State.OK, "alive", "s", peer_term=4).peer_term == 4
    assert Verdict(*A_STANDBY).code is Code.PEER_STANDBY
