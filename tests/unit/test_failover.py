"""What a failover run promises, with a world in memory: the lab holds the real one against the same."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from nagios_failover.account import Account
from nagios_failover.config import Config
from nagios_failover.errors import ConfigError, Failed, FailoverError, Incomplete, NoReader, UsageError
from nagios_failover.evidence import PauseMarker
from nagios_failover.failover import STEPS, TakenOver, run_failover
from nagios_failover.fenced import Fenced
from nagios_failover.journal import Journal, Run
from nagios_failover.lock import LockHeld, run_lock
from nagios_failover.resume import resume_open_runs
from nagios_failover.role import Override, Owner, RoleRecord
from nagios_failover.run_record import RunRecord
from nagios_failover.state_files import StateFiles
from nagios_failover.words import Flag, Role
from tests.fake_world import (
    ALIVE,
    CRASHED,
    CUT_OFF,
    NO_STANDBY,
    OFF,
    OFFERED,
    ON,
    OUTRANKED,
    PASSIVE,
    World,
    config_of,
    master,
    standby,
)

HOOKS = "[run]\npre_hook = /bin/pre\npost_hook = /bin/post\n"


@pytest.fixture
def state(tmp_path: Path) -> StateFiles:
    return StateFiles(tmp_path)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return config_of(tmp_path)


@pytest.fixture
def world(state: StateFiles) -> World:
    standby(state)
    return World(state)


def run(config: Config, world: World, *, trigger: str = "event", kind: str = "failover") -> RunRecord:
    return run_failover(config, world.state, trigger=trigger, kind=kind, hands=world.hands())


def outcomes(record: RunRecord) -> dict[str, str]:
    return {step.name: step.outcome for step in record.steps}


def test_a_confirmed_death_makes_this_host_the_master(config: Config, world: World) -> None:
    record = run(config, world)
    assert record.outcome == "done"
    assert record.sentence.startswith("nabira is the master now (term 4): it checks and notifies since ")
    assert record.sentence.endswith(" 2.0 s after the first look that saw it; yasu had failed")
    role = world.state.role()
    assert (role.role, role.master, role.term, role.run) == (Role.MASTER, "nabira", 4, record.id)
    assert world.flags == ON and world.state.lock_path.exists()
    assert world.looks == 3 and Journal(world.state.directory).open_runs() == []


MILD = "[fence]\nuser = nagios\n"


def test_the_old_master_is_fenced_before_anything_is_activated_and_with_the_new_term(tmp_path: Path, world: World) -> None:
    record = run(config_of(tmp_path, MILD), world)
    assert world.fences == ["mild, term 4"] and outcomes(record)["fence, mild"] == "done"
    assert record.step("fence, mild").detail == "yasu: fenced, mild"  # type: ignore[union-attr]


def test_a_fence_that_is_not_proved_is_told_and_keeps_nobody_from_monitoring(tmp_path: Path, world: World) -> None:
    world.fence["mild"] = Fenced(False, "yasu: not fenced over ssh: directly: timed out", "look there")
    record = run(config_of(tmp_path, MILD), world)
    assert record.outcome == "done" and world.flags == ON
    assert record.sentence.endswith("fence, mild: yasu: not fenced over ssh: directly: timed out; look there")


def test_the_preferred_host_that_is_offered_the_role_fences_nobody(tmp_path: Path, world: World) -> None:
    world.sees = [OFFERED]
    record = run(config_of(tmp_path, MILD), world, kind="failback")
    assert (record.outcome, world.fences, outcomes(record)["fence, mild"]) == ("done", [], "skipped")


def test_an_abort_gives_back_what_was_only_muted(tmp_path: Path, world: World) -> None:
    world.fence["mild"] = Fenced(True, "yasu: its Nagios has notifications off", was_on={Flag.NOTIFICATIONS: True})
    world.set_flags_fails = NoReader("nobody reads the command file")
    record = run(config_of(tmp_path, MILD), world)
    assert record.outcome == "aborted"
    assert world.fences == ["mild, term 4", "undone, term 4: notifications on"]
    assert world.state.role().role is Role.STANDBY


@pytest.mark.parametrize(
    ("fenced", "undone", "said"),
    [
        (Fenced(True, "yasu: its Nagios (PID 7) was killed"), None, "nobody is monitoring: yasu: its Nagios (PID 7) was killed"),
        (
            Fenced(True, "yasu: its Nagios has notifications off", was_on={Flag.NOTIFICATIONS: True}),
            Fenced(False, "yasu: timed out"),
            "nobody is monitoring: yasu: its Nagios has notifications off; yasu: timed out",
        ),
    ],
)
def test_an_abort_after_which_nobody_monitors_says_so(
    tmp_path: Path, world: World, fenced: Fenced, undone: Fenced | None, said: str
) -> None:
    world.fence = {"mild": fenced, **({"undone": undone} if undone else {})}
    world.set_flags_fails = NoReader("nobody reads the command file")
    record = run(config_of(tmp_path, MILD), world)
    assert record.outcome == "incomplete" and record.sentence.endswith(said)


def with_witness(directory: Path) -> Config:
    text = config_of(directory)
    return replace(text, witness=replace(text.witness, addresses=(), accounts=(Account("hb", "10.0.0.3"),)))


def test_the_term_is_above_a_witness_s_and_told_to_it_before_anything_is_activated(tmp_path: Path, world: World) -> None:
    world.witness_term = 7
    record = run(with_witness(tmp_path), world)
    assert (record.outcome, world.state.role().term) == ("done", 8)
    assert world.witnesses_told == [(8, "nabira")]
    assert record.step("tell witnesses").detail == "term 8, master nabira: recorded by hb@10.0.0.3"  # type: ignore[union-attr]


def test_a_witness_that_records_nothing_is_told_and_keeps_nobody_from_monitoring(tmp_path: Path, world: World) -> None:
    world.witness_fails = ["hb@10.0.0.3: no answer within 4 s"]
    record = run(with_witness(tmp_path), world)
    assert record.outcome == "done" and record.sentence.endswith("tell witnesses: not recorded: hb@10.0.0.3: no answer within 4 s")


def test_an_abort_gives_the_old_master_its_place_with_the_witness_back(tmp_path: Path, world: World) -> None:
    world.set_flags_fails = NoReader("nobody reads the command file")
    assert run(with_witness(tmp_path), world).outcome == "aborted"
    assert world.witnesses_told == [(4, "nabira"), (4, "yasu")]


BOTH = f"{MILD}command = /bin/fence_x\n"
REQUIRED = f"{BOTH}fencing = required\n"
NOT_MILD = Fenced(False, "yasu: not fenced over ssh: timed out")
NOT_HARD = Fenced(False, "yasu: not cut off: fence_x ended with exit code 1")


def test_fences_go_from_mild_to_hard_until_one_is_proved(tmp_path: Path, world: World) -> None:
    record = run(config_of(tmp_path, BOTH), world)
    assert world.fences == ["mild, term 4"]
    assert record.step("fence, hard").detail == "not needed: it is fenced already"  # type: ignore[union-attr]


def test_a_mild_fence_that_is_not_proved_is_followed_by_the_hard_one(tmp_path: Path, world: World) -> None:
    world.fence["mild"] = NOT_MILD
    record = run(config_of(tmp_path, REQUIRED), world)
    assert world.fences == ["mild, term 4", "hard, term 4"]
    assert (record.outcome, outcomes(record)["fence, mild"], outcomes(record)["fence, hard"]) == ("done", "failed", "done")


def test_where_a_fence_is_required_and_none_is_proved_nothing_is_activated(tmp_path: Path, world: World) -> None:
    world.fence = {"mild": NOT_MILD, "hard": NOT_HARD}
    record = run(config_of(tmp_path, REQUIRED), world)
    assert record.outcome == "aborted" and world.flags == OFF and world.state.role().role is Role.STANDBY
    assert record.sentence == (
        "aborted: yasu is not proved to be fenced, which [fence] fencing = required wants: yasu: not fenced over ssh: timed out; "
        "yasu: not cut off: fence_x ended with exit code 1; role and flags are as they were: standby; hint: see that yasu has no "
        "power or its Nagios is stopped, then run on nabira: nagios-failover failover --fenced"
    )


def test_with_best_effort_it_goes_on_and_both_are_told(tmp_path: Path, world: World) -> None:
    world.fence = {"mild": NOT_MILD, "hard": NOT_HARD}
    record = run(config_of(tmp_path, BOTH), world)
    assert record.outcome == "done" and NOT_MILD.sentence in record.sentence and NOT_HARD.sentence in record.sentence


def test_a_person_who_has_seen_to_it_goes_before_a_required_fence(tmp_path: Path, world: World) -> None:
    world.fence = {"mild": NOT_MILD, "hard": NOT_HARD}
    config = config_of(tmp_path, REQUIRED)
    record = run_failover(config, world.state, trigger="command", fenced_by_hand=True, hands=world.hands())
    assert (record.outcome, world.fences) == ("done", [])


def test_the_list_can_be_read_aloud(config: Config, world: World) -> None:
    assert [step.name for step in STEPS] == [
        "confirm",
        "lease",
        "register",
        "pre hook",
        "fence, mild",
        "fetch",
        "fence, hard",
        "inherit",
        "start Nagios",
        "tell witnesses",
        "activate",
        "check at once",
        "promote",
        "fetch queue",
        "perfdata services",
        "post hook",
        "verify incidents",
        "mail",
        "merge logs",
    ]
    record = run(config, world)
    skipped = {step.name: step.detail for step in record.steps if step.outcome == "skipped"}
    assert skipped["fence, hard"] == "not configured"
    assert skipped["pre hook"] == "not configured"
    assert [step.name for step in record.steps] == [step.name for step in STEPS]


def test_the_one_mail_tells_what_was_seen_what_was_done_and_what_to_do(config: Config, world: World) -> None:
    record = run(config, world)
    ((subject, body),) = world.mails
    assert subject == "[nagios-failover] nabira is the master now (term 4)"
    assert body.startswith(f"{record.sentence}.\n")
    assert body.count(f"{CRASHED[2]} (CRITICAL, by {record.id})") == 3
    assert "activate            done" in body and "register            done" in body
    assert f"nagios-failover history {record.id}" in body and "repair it" in body


# --- confirm ---


def test_critical_looks_of_the_check_count_but_the_last_one_is_the_runs_own(config: Config, world: World) -> None:
    for ago in (6, 4, 2):
        world.look_before(CRASHED, ago=ago)
    assert run(config, world).outcome == "done"
    assert world.looks == 1


@pytest.mark.parametrize("seen", [ALIVE, PASSIVE, CUT_OFF])
def test_one_look_that_is_not_critical_refuses_and_changes_nothing(
    config: Config, world: World, seen: tuple[object, object, str]
) -> None:
    world.sees = [CRASHED, CRASHED, seen]  # type: ignore[list-item]
    record = run(config, world)
    assert (record.outcome, record.sentence) == ("refused", f"not confirmed: {seen[2]}")
    assert world.state.role().role is Role.STANDBY and world.state.role().term == 3
    assert world.flags == OFF and not world.mails and not world.state.lock_path.exists()


def test_critical_looks_before_one_that_was_not_confirm_nothing(config: Config, world: World) -> None:
    for what, ago in ((CRASHED, 8.0), (CRASHED, 6.0), (ALIVE, 4.0), (CRASHED, 2.0)):
        world.look_before(what, ago=ago)
    assert run(config, world).outcome == "done"
    assert world.looks == 2, "one from the ring, two of its own"


def test_looks_before_a_boot_or_too_long_ago_confirm_nothing(config: Config, world: World) -> None:
    for ago in (1000.0, 900.0):
        world.look_before(CRASHED, ago=ago)
    for ago in (6.0, 4.0):
        world.look_before(CRASHED, ago=ago, boot="another boot")
    run(config, world)
    assert world.looks == 3


def test_looks_in_one_moment_count_once(config: Config, world: World) -> None:
    for ago in (0.3, 0.2, 0.1):
        world.look_before(CRASHED, ago=ago)
    run(config, world)
    assert world.looks == 3


def test_what_a_master_saw_of_its_peer_confirms_no_death(config: Config, world: World) -> None:
    for ago in (6.0, 4.0, 2.0):
        world.look_before(OUTRANKED, ago=ago)
    run(config, world)
    assert world.looks == 3


def test_looks_that_cannot_be_recorded_confirm_nothing(config: Config, world: World) -> None:
    world.records = False
    record = run(config, world)
    assert record.outcome == "refused" and "looks could not be recorded" in record.sentence


def test_the_same_refusal_again_and_again_stays_one_line_of_history(config: Config, world: World) -> None:
    world.sees = [ALIVE]
    for _ in range(5):
        run(config, world)
    assert [record.repeats for record in Journal(world.state.directory).runs()] == [4]


# --- why not ---


def test_a_pause_refuses_the_automation_but_not_a_person(config: Config, world: World) -> None:
    world.state.pause(PauseMarker("admin@nabira", "maintenance", 1000, None))
    record = run(config, world)
    assert record.outcome == "refused" and world.looks == 0
    assert record.sentence == ("nabira: paused until resumed by admin@nabira: maintenance; hint: nagios-failover resume on nabira")
    assert run(config, world, trigger="command").outcome == "done"


def test_a_pause_seen_on_the_master_holds_after_the_master_is_gone(config: Config, world: World) -> None:
    marked = replace(world._make(ALIVE, "check", ago=9.0), peer_pause="by admin@yasu: new kernel", peer_pause_until=world.now + 60)
    world.state.add_look(marked)
    record = run(config, world)
    assert record.outcome == "refused" and "yasu: paused until " in record.sentence and "new kernel" in record.sentence
    world.now += 61
    assert run(config, world).outcome == "done"


def test_a_garbled_pause_marker_pauses_too(config: Config, world: World) -> None:
    world.state.paused_path.write_text("garbage\n")
    record = run(config, world)
    assert record.outcome == "refused" and "paused: the pause marker" in record.sentence


@pytest.mark.parametrize("text", ["", "garbage\n", "role=master\n"])
def test_without_a_readable_role_there_is_no_failover(config: Config, world: World, text: str) -> None:
    world.state.role_path.write_text(text)
    record = run(config, world)
    assert record.outcome == "refused" and record.sentence.startswith("nabira: no role, no failover: the role file")
    assert world.looks == 0 and world.flags == OFF and world.state.role_path.read_text() == text


def test_a_master_does_not_fail_over(config: Config, world: World) -> None:
    master(world.state)
    record = run(config, world, trigger="command")
    assert record.sentence.startswith("nabira: the role is master already (term 3)") and record.outcome == "refused"


def test_a_call_that_waited_while_another_took_over_leaves_no_run(config: Config, world: World) -> None:
    master(world.state)
    with pytest.raises(TakenOver, match="another call has taken over meanwhile"):
        run(config, world, trigger="event")
    assert Journal(world.state.directory).runs() == []


def test_a_person_takes_over_from_a_master_that_lives_but_does_nothing(config: Config, world: World) -> None:
    world.sees = [PASSIVE]
    record = run(config, world, trigger="command")
    assert record.outcome == "done" and world.looks == 1


def test_while_a_run_is_on_its_way_another_is_refused(config: Config, world: World) -> None:
    with run_lock(world.state.directory, wait=0), pytest.raises(LockHeld):
        run(config, world)
    assert Journal(world.state.directory).runs() == []


def test_while_failover_lock_is_there_nothing_starts(config: Config, world: World) -> None:
    world.state.lock_path.write_text("somebody's\n")
    record = run(config, world, trigger="command")
    assert record.outcome == "refused" and "failover.lock is there though the role is standby" in record.sentence


def test_a_run_whose_nagios_cfg_cannot_be_read_is_not_opened(tmp_path: Path, world: World) -> None:
    away = config_of(tmp_path)
    with pytest.raises(ConfigError, match=r"nagios\.cfg"):
        run_failover(away, world.state, trigger="event")
    assert Journal(tmp_path).runs() == []


# --- term ---


def test_the_term_goes_above_every_term_that_was_seen(config: Config, world: World) -> None:
    world.peer_term = 11
    run(config, world)
    assert world.state.role().term == 12


# --- hooks, abort ---


def test_hooks_are_told_what_goes_on(tmp_path: Path, world: World) -> None:
    record = run(config_of(tmp_path, HOOKS), world)
    assert [argv for argv, _ in world.hooks] == [("/bin/pre",), ("/bin/post",)]
    assert world.hooks[0][1] == {
        "NAGIOS_FAILOVER_KIND": "failover",
        "NAGIOS_FAILOVER_HOST": "nabira",
        "NAGIOS_FAILOVER_MASTER": "yasu",
        "NAGIOS_FAILOVER_TERM": "4",
        "NAGIOS_FAILOVER_RUN": record.id,
        "NAGIOS_FAILOVER_MODE": "failover",
        "NAGIOS_FAILOVER_TRIGGER": "event",
        "NAGIOS_FAILOVER_REASON": CRASHED[2],
    }


def test_a_pre_hook_that_says_no_puts_role_flag_file_and_flags_back(tmp_path: Path, world: World) -> None:
    world.hook_code = 1
    world.flags[Flag.HOST_CHECKS] = True  # an operator's
    world.state.write_override(Override(Owner.OPERATOR, {Flag.HOST_CHECKS: True}, 3, 1000))
    record = run(config_of(tmp_path, HOOKS), world)
    assert record.outcome == "aborted"
    assert record.sentence == ("aborted: pre hook: /bin/pre ended with exit code 1: no; role and flags are as they were: standby")
    role = world.state.role()
    assert (role.role, role.master, role.term) == (Role.STANDBY, "yasu", 4), "an abort never lowers the term"
    assert not world.state.lock_path.exists()
    assert world.flags == {**OFF, Flag.HOST_CHECKS: True}
    assert [override.term for override in world.state.overrides()] == [4], "the operator's flags are his still"
    assert not world.mails, "the handler mails it, once"


def test_a_post_hook_that_fails_is_passed_over_and_told(tmp_path: Path, world: World) -> None:
    world.hook_code = 1
    record = run(config_of(tmp_path, "[run]\npost_hook = /bin/post\n"), world)
    assert record.outcome == "incomplete" and world.state.role().role is Role.MASTER and world.flags == ON
    assert "post hook: /bin/post ended with exit code 1: no" in record.sentence
    ((subject, body),) = world.mails
    assert subject.endswith("incomplete: a person is needed") and "What is left for a person to do\n  post hook: /bin/post" in body


def test_a_mail_that_cannot_be_sent_is_noted_and_the_run_is_done(config: Config, world: World) -> None:
    world.mail_fails = Failed("the mail was not sent: nobody listens; it is tried again at the next call")
    record = run(config, world)
    assert record.outcome == "done" and outcomes(record)["mail"] == "failed"
    assert record.sentence.endswith("mail: the mail was not sent: nobody listens; it is tried again at the next call")


# --- activate ---


def test_nobody_reading_the_command_file_aborts(config: Config, world: World) -> None:
    world.set_flags_fails = NoReader("nobody reads the command file", hint="start Nagios")
    record = run(config, world)
    assert record.outcome == "aborted" and "activate: nobody reads the command file" in record.sentence
    assert world.state.role().role is Role.STANDBY and not world.state.lock_path.exists()


def test_flags_that_are_not_seen_are_no_reason_to_stop_monitoring(config: Config, world: World) -> None:
    world.set_flags_fails = Failed("Nagios did not show notifications on within 30 s", hint="is the disk full?")
    record = run(config, world)
    assert record.outcome == "incomplete" and world.state.role().role is Role.MASTER
    assert "is the disk full?" in record.sentence


def test_what_is_not_ok_is_checked_at_once_and_the_watch_services_are_left_alone(config: Config, world: World) -> None:
    world.not_ok = [("web1", None), ("web1", "HTTP"), ("nagios-failover", "Master Nagios")]
    run(config, world)
    now = world.commands[0].rpartition(";")[2]
    assert world.commands == [f"SCHEDULE_FORCED_HOST_CHECK;web1;{now}", f"SCHEDULE_FORCED_SVC_CHECK;web1;HTTP;{now}"]


@pytest.mark.parametrize("error", [UsageError("an object's name with a newline"), MemoryError("64 MB")])
def test_a_fault_after_the_activation_does_not_undo_it(
    config: Config, world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def not_ok() -> list[tuple[str, str | None]]:
        raise error

    hands = replace(world.hands(), not_ok=not_ok)
    record = run_failover(config, world.state, trigger="event", hands=hands)
    assert record.outcome == "done" and outcomes(record)["check at once"] == "failed"
    assert world.flags == ON and world.state.role().role is Role.MASTER


def test_redundancy_mode_moves_notifications_only(tmp_path: Path, world: World) -> None:
    world.flags = {Flag.NOTIFICATIONS: False, Flag.SERVICE_CHECKS: True, Flag.HOST_CHECKS: True}
    record = run(config_of(tmp_path, "[pair]\nmode = redundancy\n"), world)
    assert world.flags == ON and "it notifies since" in record.sentence


def full_disk_from(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal takes nothing more once this step has begun."""
    real = Run.append
    full: list[bool] = []

    def append(self: Run, event: str, **values: object) -> None:
        if full:
            raise Failed(f"cannot write {self.path}: No space left on device", hint="free space")
        real(self, event, **values)
        if event == "started" and values["step"] == step:
            full.append(True)

    monkeypatch.setattr(Run, "append", append)


@pytest.mark.parametrize("step", ["activate", "post hook", "mail"])
def test_a_full_disk_under_the_journal_stops_no_monitoring_that_has_begun(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    config = config_of(tmp_path, HOOKS)
    full_disk_from(step, monkeypatch)
    with pytest.raises(FailoverError, match="No space left on device"):
        run(config, world)
    assert world.flags == ON and world.state.role().role is Role.MASTER
    monkeypatch.undo()
    (record,) = resume_open_runs(config, world.state, hands=world.hands())
    assert record.outcome == "done" and world.flags == ON


def test_a_role_that_cannot_be_written_leaves_the_run_open_and_monitoring_on(
    config: Config, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = StateFiles.write_role

    def write_role(self: StateFiles, record: RoleRecord) -> None:
        if record.role is Role.MASTER:
            raise Failed("cannot write role: No space left on device", hint="free space")
        real(self, record)

    monkeypatch.setattr(StateFiles, "write_role", write_role)
    for attempt in (lambda: run(config, world), lambda: resume_open_runs(config, world.state, hands=world.hands())):
        with pytest.raises(Incomplete, match="it checks and notifies, but its role is not written"):
            attempt()
        assert world.flags == ON and not world.mails
    monkeypatch.undo()
    (record,) = resume_open_runs(config, world.state, hands=world.hands())
    assert record.outcome == "done" and len(world.mails) == 1 and world.state.role().role is Role.MASTER


# --- killed ---


def killed_after(step: str, config: Config, world: World) -> None:
    """A run in a child that kills itself after this step's act; what it did to the world in memory is done here again."""
    child = os.fork()
    if not child:
        try:
            os.environ["NAGIOS_FAILOVER_CRASH_AFTER"] = step
            run(config, world)
        finally:
            os._exit(1)  # a child that was not killed must not go on with the tests
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    world.now += 30


@pytest.mark.parametrize("step", ["confirm", "register", "pre hook", "activate", "post hook", "mail"])
def test_a_killed_run_is_finished_by_the_next_call(tmp_path: Path, world: World, step: str) -> None:
    config = config_of(tmp_path, HOOKS)
    killed_after(step, config, world)
    (record,) = resume_open_runs(config, world.state, hands=world.hands())
    assert record.outcome == "done" and record.resumed == 1, record
    assert set(outcomes(record).values()) <= {"done", "held", "skipped"}
    assert world.state.role().role is Role.MASTER and world.state.role().term == 4
    assert world.flags == ON if step not in ("post hook", "mail") else True
    assert len(world.mails) == (0 if step == "mail" else 1)
    assert resume_open_runs(config, world.state, hands=world.hands()) == []


@pytest.mark.parametrize("step", ["register", "pre hook"])
def test_a_master_alive_again_before_the_activation_is_left_alone(tmp_path: Path, world: World, step: str) -> None:
    config = config_of(tmp_path, HOOKS)
    killed_after(step, config, world)
    world.sees = [ALIVE]
    (record,) = resume_open_runs(config, world.state, hands=world.hands())
    assert record.outcome == "aborted" and f"not confirmed any more: {ALIVE[2]}" in record.sentence
    assert world.state.role().role is Role.STANDBY and world.flags == OFF


@pytest.mark.parametrize(("follows", "outcome"), [(3, "aborted"), (4, "done")])
def test_a_master_that_its_guard_has_made_the_standby_of_this_very_run_is_not_waited_for(
    config: Config, world: World, follows: int, outcome: str
) -> None:
    """Its Nagios was started while the run was on its way; then the run was killed. Two standbys are nobody that monitors."""
    killed_after("register", config, world)
    world.sees, world.peer_follows = [PASSIVE], follows
    (record,) = resume_open_runs(config, world.state, hands=world.hands())
    assert record.outcome == outcome


@pytest.mark.parametrize("later", ["hours", "another boot"])
def test_a_run_cut_short_inside_the_activation_long_ago_looks_again(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch, later: str
) -> None:
    config = config_of(tmp_path)
    world.flags = dict(ON)  # the power went between the flags and the role
    killed_after("register", config, world)
    (open_run,) = Journal(tmp_path).open_runs()
    journal = Journal(tmp_path).run(open_run.id)
    journal.note("flags_before", {str(flag): False for flag in Flag})
    journal.step_started("activate")
    hands = world.hands()
    hands = (
        replace(hands, boot=lambda: "another boot") if later == "another boot" else replace(hands, now=lambda: time.time() + 9999)
    )
    world.sees = [ALIVE]
    (record,) = resume_open_runs(config, world.state, hands=hands)
    assert record.outcome == "aborted" and world.state.role().role is Role.STANDBY and world.flags == OFF


def test_what_was_not_seen_is_told_after_a_resume_too(tmp_path: Path, world: World) -> None:
    config = config_of(tmp_path, HOOKS)
    world.set_flags_fails = Failed("Nagios did not show notifications on within 30 s", hint="is the disk full?")
    killed_after("post hook", config, world)
    (record,) = resume_open_runs(config, world.state, hands=world.hands())
    assert record.outcome == "incomplete" and "Nagios did not show notifications on" in record.sentence


@pytest.mark.parametrize("step", ["activate", "post hook"])
def test_once_activated_it_is_finished_whatever_is_seen_of_the_old_master(tmp_path: Path, world: World, step: str) -> None:
    config = config_of(tmp_path, HOOKS)
    killed_after(step, config, world)
    world.sees = [NO_STANDBY]
    (record,) = resume_open_runs(config, world.state, hands=world.hands())
    assert record.outcome == "done" and world.state.role().role is Role.MASTER


def test_a_run_killed_while_it_looked_starts_to_look_anew(config: Config, world: World) -> None:
    killed_after("confirm", config, world)
    world.sees = [ALIVE]
    (record,) = resume_open_runs(config, world.state, hands=world.hands())
    assert (record.outcome, record.sentence) == ("refused", f"not confirmed: {ALIVE[2]}")


def test_a_role_that_was_set_anew_meanwhile_stands(config: Config, world: World) -> None:
    killed_after("register", config, world)
    master(world.state, term=20)
    (record,) = resume_open_runs(config, world.state, hands=world.hands())
    assert record.outcome == "aborted" and "has had another role since: master, term 20" in record.sentence
    assert world.state.role().term == 20


@pytest.mark.parametrize(("sees", "outcome", "role"), [(CRASHED, "done", Role.MASTER), (ALIVE, "aborted", Role.STANDBY)])
def test_a_lost_journal_does_not_leave_the_role_between_two(
    config: Config, world: World, sees: tuple[object, object, str], outcome: str, role: Role
) -> None:
    killed_after("register", config, world)
    for path in world.state.runs.glob("*.jsonl"):
        path.write_text("\0\0garbage\n")
    world.sees = [sees]  # type: ignore[list-item]
    (record,) = resume_open_runs(config, world.state, hands=world.hands())
    assert record.outcome == outcome and world.state.role().role is role


# --- failback ---


def test_the_preferred_host_takes_only_what_is_offered(config: Config, world: World) -> None:
    world.peer_term = 4
    world.sees = [ALIVE]
    assert run(config, world, kind="failback").outcome == "refused"
    world.sees = [OFFERED]
    record = run(config, world, kind="failback")
    assert record.outcome == "done"
    assert record.sentence == "nabira is the master now (term 5): it checks and notifies; yasu offered the role and stands down"


# --- dry run ---


def test_a_dry_run_walks_the_same_list_and_changes_nothing(config: Config, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nagios_failover.workflow.hands_of", lambda *_: world.hands())
    before = {path: path.read_bytes() for path in world.state.directory.rglob("*") if path.is_file()}
    said: list[str] = []
    record = run_failover(config, world.state, trigger="command", dry_run=True, say=said.append)
    assert [step.name for step in record.steps] == [step.name for step in STEPS]
    assert said[0] == (
        "confirm: would look at yasu until 3 looks in a row, 1 s apart, were CRITICAL; "
        f"by this look it would find CRITICAL and go on: {CRASHED[2]}"
    )
    assert said[2].startswith("register: would write role taking-over with term 4 to ")
    assert {path: path.read_bytes() for path in world.state.directory.rglob("*") if path.is_file()} == before
    assert world.flags == OFF and not world.mails and not world.commands


def test_a_role_record_survives_the_journal() -> None:
    role = RoleRecord(Role.MASTER, "yasu", 3, "run", 5, "nabira")
    assert "handover=nabira\n" in role.text()
