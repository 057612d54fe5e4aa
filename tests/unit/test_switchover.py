"""The planned change of roles: refused at once for all reasons, put back before the point of no return, finished after it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nagios_failover.config import Config
from nagios_failover.confirm import why_not
from nagios_failover.errors import Failed, Incomplete
from nagios_failover.failover import run_failover
from nagios_failover.fenced import Fenced
from nagios_failover.journal import Journal, Run
from nagios_failover.resume import resume_open_runs
from nagios_failover.run_record import Outcome, RunRecord
from nagios_failover.state_files import StateFiles
from nagios_failover.steps import CRASH_AFTER
from nagios_failover.switchover import AGAIN, give_up_for_a_failover, run_switchover
from nagios_failover.trials import Trial
from nagios_failover.words import Role
from tests.fake_world import CRASHED, OFF, ON, PASSIVE, World, config_of, master, standby

HINT = f"; hint: {AGAIN}"
QUIET = Fenced(True, "yasu: its Nagios has notifications off, seen in its status.dat", was_on=ON)


@pytest.fixture
def state(tmp_path: Path) -> StateFiles:
    return StateFiles(tmp_path)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return config_of(tmp_path, "[fence]\nuser = nagios\n")


@pytest.fixture
def world(state: StateFiles) -> World:
    standby(state)
    return World(state, fence={"quiesced": QUIET})


def run(config: Config, world: World) -> RunRecord:
    return run_switchover(config, world.state, hands=world.hands())


def outcomes(record: RunRecord) -> dict[str, str]:
    return {step.name: step.outcome for step in record.steps if step.outcome != "skipped"}


def as_it_was(world: World) -> bool:
    role = world.state.role()
    return (role.role, role.master, world.flags, world.state.paused(world.now)) == (Role.STANDBY, "yasu", OFF, None)


def test_the_roles_are_changed(config: Config, world: World) -> None:
    record = run(config, world)
    assert (record.outcome, record.sentence) == (
        "done",
        "nabira is the master now (term 4): it checks and notifies; yasu stands down",
    )
    role = world.state.role()
    assert (role.role, role.master, role.term) == (Role.MASTER, "nabira", 4)
    assert world.flags == ON and len(world.mails) == 1 and world.state.paused(world.now) is None
    assert world.fences == ["quiesced, term 4"]
    assert [words.partition(" --for")[0] for words in world.there] == ["pause", "standdown", "resume"]
    assert world.there[0].endswith(f"--reason switchover {record.id}")
    assert list(outcomes(record)) == [
        "ready",
        "pause",
        "register",
        "quiesce",
        "activate",
        "check at once",
        "stand down",
        "unpause",
        "mail",
    ]


def test_all_that_stands_in_the_way_is_listed_at_once(tmp_path: Path, world: World) -> None:
    master(world.state)
    world.ready = [Trial("ssh", True, "yes"), Trial("pause", False, "yasu: paused", "resume it")]
    said: list[str] = []
    record = run_switchover(config_of(tmp_path), world.state, hands=world.hands(), say=said.append)
    assert said == [
        "in the way: nabira: the role is master (hint: run it on the standby, yasu)",
        "in the way: yasu cannot be commanded: [fence] user is not set "
        "(hint: name an account that may act as the Nagios user there: [fence] user)",
        "in the way: yasu: paused (hint: resume it)",
    ]
    assert (record.outcome, record.sentence) == (
        "refused",
        "3 in the way: nabira: the role is master; yasu cannot be commanded: [fence] user is not set; yasu: paused; "
        "hint: nagios-failover switchover --dry-run changes nothing, and lists all",
    )
    assert world.fences == [] and world.there == []


def test_a_master_without_the_suite_is_refused(config: Config, world: World) -> None:
    world.role_there = None
    record = run(config, world)
    assert record.outcome == "refused"
    assert record.sentence.startswith("1 in the way: yasu has no role: nagios-failover cannot stand down there; ")


def test_a_master_that_does_not_obey_is_let_go_on(config: Config, world: World) -> None:
    world.fence["quiesced"] = Fenced(False, "yasu: its Nagios was not seen to be muted", was_on=ON)
    record = run(config, world)
    assert (record.outcome, record.sentence) == (
        "aborted",
        "aborted: quiesce: yasu: its Nagios was not seen to be muted; role and flags are as they were: standby" + HINT,
    )
    assert as_it_was(world) and world.state.role().term == 4
    assert world.fences == ["quiesced, term 4", "undone, term 4: notifications, service_checks, host_checks on"]
    assert world.there[-1] == "resume"


def test_as_long_as_the_master_cannot_be_let_go_on_each_next_call_tries_again(config: Config, world: World) -> None:
    world.fence["quiesced"] = Fenced(False, "yasu: its Nagios was not seen to be muted", was_on=ON)
    world.fence["undone"] = Fenced(False, "yasu: no answer")
    world.sees = [PASSIVE]
    with pytest.raises(Incomplete) as raised:
        run(config, world)
    assert raised.value.what == "nobody is monitoring: quiesce: yasu: its Nagios was not seen to be muted; yasu: no answer"
    assert "nagios-failover failover" in raised.value.hint
    world.now += 20
    before = len(world.fences)
    with pytest.raises(Incomplete):
        resume_open_runs(config, world.state, hands=world.hands())
    assert len(world.fences) == before + 1
    assert world.state.paused(world.now) is not None, "and no failover starts meanwhile"
    tries = len(world.fences)
    with pytest.raises(Incomplete) as raised:
        resume_open_runs(config, world.state, hands=world.hands())
    assert len(world.fences) == tries and raised.value.what.startswith("nobody is monitoring: "), "not every second"
    world.now += 20
    world.fence["undone"] = Fenced(True, "yasu: its Nagios was switched on again")
    (ended,) = resume_open_runs(config, world.state, hands=world.hands())
    assert (ended.outcome, ended.sentence) == (
        "aborted",
        "aborted: cut short before the point of no return (activate); role and flags are as they were: standby" + HINT,
    )
    assert as_it_was(world)


def test_a_master_that_dies_meanwhile_is_left_to_a_failover(config: Config, world: World) -> None:
    world.fence["quiesced"] = Fenced(False, "yasu: its Nagios was not seen to be muted", was_on=ON)
    world.fence["undone"] = Fenced(False, "yasu: no answer")
    world.sees = [CRASHED]
    record = run(config, world)
    assert (record.outcome, record.sentence) == (
        "incomplete",
        "given up: quiesce: yasu: its Nagios was not seen to be muted; "
        "nobody is monitoring: yasu: its Nagios was not seen to be muted; yasu: no answer",
    )
    assert as_it_was(world), "nothing keeps the handler from failing over"
    until, look = world.now + 900, world._make(CRASHED, "check")
    world.state.add_look(replace(look, peer_pause=f"by nagios@yasu: switchover {record.id}", peer_pause_until=until))
    assert why_not(config, world.state, trigger="event", now=world.now) is None, "nor the pause that is left over there"
    world.state.add_look(replace(look, peer_pause="by nagios@yasu: switchover another", peer_pause_until=until))
    assert why_not(config, world.state, trigger="event", now=world.now) is not None


def test_a_person_may_take_over_instead(config: Config, world: World) -> None:
    world.fence["quiesced"] = Fenced(False, "yasu: its Nagios was not seen to be muted", was_on=ON)
    world.fence["undone"] = Fenced(False, "yasu: no answer")
    world.sees = [PASSIVE]
    with pytest.raises(Incomplete):
        run(config, world)
    give_up_for_a_failover(config, world.state, hands=world.hands())
    assert as_it_was(world)
    record = run_failover(config, world.state, trigger="command", hands=world.hands())
    assert record.outcome == Outcome.DONE and world.state.role().role is Role.MASTER


def with_sync(tmp_path: Path) -> Config:
    return config_of(tmp_path, "[fence]\nuser = nagios\n[sync]\nwatch = yes\n")


def test_what_cannot_be_fetched_is_not_left_behind(tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nagios_failover.inherit.pull", _no_pull)
    record = run(with_sync(tmp_path), world)
    assert record.outcome == "aborted" and as_it_was(world)
    assert record.sentence == (
        "aborted: last sync: nothing was fetched: yasu: the link is cut; and there is no earlier copy; "
        "role and flags are as they were: standby" + HINT
    )


def _no_pull(*_: object, **__: object) -> None:
    raise Failed("the link is cut", host="yasu")


def test_an_activation_that_fails_is_put_back(config: Config, world: World) -> None:
    from nagios_failover.errors import NoReader

    world.set_flags_fails = NoReader("nobody reads the command file")
    record = run(config, world)
    assert record.outcome == "aborted" and as_it_was(world)
    assert world.fences[-1].startswith("undone, term 4")


def test_a_host_that_does_not_pause_ends_it_before_anything_changes(config: Config, world: World) -> None:
    world.there_fails = "pause"
    record = run(config, world)
    assert (record.outcome, record.sentence) == (
        "aborted",
        "pause: yasu: nagios-failover pause ended with exit code 3: error: no" + HINT,
    )
    assert as_it_was(world) and world.fences == []


def test_an_old_master_that_does_not_stand_down_is_named(config: Config, world: World) -> None:
    world.there_fails = "standdown"
    record = run(config, world)
    assert record.outcome == "incomplete" and world.state.role().role is Role.MASTER
    assert "stand down: yasu: nagios-failover standdown ended with exit code 3: error: no; on yasu: nagios-failover standdown" in (
        record.sentence
    )
    assert world.state.paused(world.now) is None and world.there[-1] == "resume"


def test_a_database_that_does_not_follow_is_named_with_what_attaches_it(tmp_path: Path, world: World) -> None:
    text = "[fence]\nuser = nagios\n[database]\nsocket = /run/mysqld/mysqld.sock\n[replication]\nwatch = yes\n"
    record = run(config_of(tmp_path, text), world)
    assert record.outcome == "incomplete"
    assert "attach database: yasu's database does not follow yet: " in record.sentence
    assert "as root on yasu: nagios-failover rejoin" in record.sentence


@pytest.mark.parametrize("step", ["ready", "pause", "register", "quiesce", "activate", "check at once", "stand down", "mail"])
def test_killed_after_a_step_it_is_put_back_or_finished(
    config: Config, world: World, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CRASH_AFTER, step)
    monkeypatch.setattr("nagios_failover.steps.os.kill", _die)
    with pytest.raises(Killed):
        run(config, world)
    monkeypatch.delenv(CRASH_AFTER)
    (ended,) = resume_open_runs(config, world.state, hands=world.hands())
    assert world.state.paused(world.now) is None and Journal(world.state.directory).open_runs() == []
    if step in ("ready", "pause", "register", "quiesce"):
        assert ended.outcome == Outcome.ABORTED and as_it_was(world)
        assert bool(world.fences) is (step == "quiesce") and (step != "quiesce" or "undone" in world.fences[-1])
    else:
        assert ended.outcome == Outcome.DONE and world.state.role().role is Role.MASTER
        assert world.flags == ON and len(world.mails) == 1
        assert world.role_there is not None and world.role_there.role is Role.STANDBY


@pytest.mark.parametrize("killed", [False, True])
def test_a_full_disk_under_the_journal_keeps_no_master_silent(
    config: Config, world: World, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    """There is no room any more when the master has been told to be silent: for the run itself, or for the call after its death."""
    with monkeypatch.context() as patched:
        if killed:
            patched.setenv(CRASH_AFTER, "quiesce")
            patched.setattr("nagios_failover.steps.os.kill", _die)
        else:
            patched.setattr(Run, "append", _no_room_after_quiesce)
        with pytest.raises(Killed if killed else Failed):
            run(config, world)
    with monkeypatch.context() as patched:
        patched.setattr(Run, "append", _no_room_after_quiesce)
        with pytest.raises(Failed, match="No space left"):
            resume_open_runs(config, world.state, hands=world.hands())
    assert [words.partition(",")[0] for words in world.fences] == ["quiesced", "undone"]
    assert world.state.role().role is Role.STANDBY and world.flags == OFF
    (ended,) = resume_open_runs(config, world.state, hands=world.hands())
    assert ended.outcome == Outcome.ABORTED and as_it_was(world)


_append = Run.append


def _no_room_after_quiesce(run: Run, event: str, **values: Any) -> None:
    if run.record().begun("quiesce"):
        raise Failed("cannot write the journal: No space left on device")
    _append(run, event, **values)


class Killed(BaseException):
    """No handler of ours sees a SIGKILL."""


def _die(pid: int, signal: int) -> None:
    assert pid == os.getpid()
    raise Killed
