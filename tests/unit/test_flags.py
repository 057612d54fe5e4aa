import os
import pwd
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from nagios_failover import flags
from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.config_values import Seconds
from nagios_failover.errors import CouldNotLook, Failed, NoReader, StateUnreadable
from nagios_failover.flags import compare, correct, count_from_here, record, set_flags
from nagios_failover.journal import Journal
from nagios_failover.lock import run_lock
from nagios_failover.nagios_files import read_program_status
from nagios_failover.role import Override, Owner, RoleRecord
from nagios_failover.run_record import Outcome
from nagios_failover.state_files import StateFiles
from nagios_failover.status_data import ProgramStatus
from nagios_failover.words import Flag, Role, State
from tests.fake_nagios import FakeNagios

ME = pwd.getpwuid(os.geteuid()).pw_name
ON = {Flag.NOTIFICATIONS: True, Flag.SERVICE_CHECKS: True, Flag.HOST_CHECKS: True}
SET_ALL = [
    "ENABLE_NOTIFICATIONS;nagios-failover",
    "START_EXECUTING_SVC_CHECKS;nagios-failover",
    "START_EXECUTING_HOST_CHECKS;nagios-failover",
    "SAVE_STATE_INFORMATION;nagios-failover",
]


@pytest.fixture
def state(tmp_path: Path) -> StateFiles:
    directory = tmp_path / "state"
    directory.mkdir()
    return StateFiles(directory)


@pytest.fixture
def config(tmp_path: Path, state: StateFiles) -> Config:
    text = (
        f"[host yasu]\nnagios_cfg = {tmp_path}/nagios.cfg\n[host nabira]\n[witness]\naddresses = none\n[mail]\nto = a@b\n"
        f"[nagios]\nuser = {ME}\nverify_timeout = 5\n[paths]\nstate = {state.directory}\n"
    )
    return parse(text, hostname="yasu")


@pytest.fixture
def nagios(tmp_path: Path) -> Iterator[FakeNagios]:
    with FakeNagios(tmp_path) as running:
        yield running


def master(state: StateFiles, *, term: int = 3, ago: int = 100) -> RoleRecord:
    role = RoleRecord(Role.MASTER, "yasu", term, "", int(time.time()) - ago)
    state.write_role(role)
    return role


def standby(state: StateFiles, *, term: int = 3) -> None:
    state.write_role(RoleRecord(Role.STANDBY, "nabira", term, "", int(time.time()) - 100))


def settle() -> None:
    """A second later: status.dat is newer than the last command."""
    time.sleep(1.3)


# ---- set_flags ----


def test_flags_are_sent_as_ours_and_saved_and_seen(config: Config, nagios: FakeNagios) -> None:
    assert set_flags(config, ON) == []
    assert nagios.commands == SET_ALL
    assert "enable_notifications=1" in nagios.retention_file.read_text()


def test_what_goes_ahead_of_them_is_obeyed_first(config: Config, nagios: FakeNagios) -> None:
    assert set_flags(config, ON, ahead=["READ_STATE_INFORMATION"]) == []
    assert nagios.commands == ["READ_STATE_INFORMATION", *SET_ALL]


def test_what_a_left_over_worker_swallows_is_sent_again_but_for_what_went_ahead(config: Config, nagios: FakeNagios) -> None:
    nagios.obeys = False
    pipe = os.open(nagios.command_file, os.O_RDONLY | os.O_NONBLOCK)

    def swallow() -> None:
        time.sleep(0.5)
        os.read(pipe, 65536)
        nagios.obeys = True

    thread = threading.Thread(target=swallow)
    thread.start()
    assert set_flags(config, ON, ahead=["READ_STATE_INFORMATION"]) == []
    thread.join()
    os.close(pipe)
    assert nagios.commands == SET_ALL


def test_nobody_reading_is_said(config: Config, tmp_path: Path) -> None:
    FakeNagios(tmp_path)
    with pytest.raises(NoReader) as error:
        set_flags(config, ON, verify_timeout=0.2)
    assert str(error.value) == f"yasu: the command file {tmp_path}/nagios.cmd does not exist"


def test_a_nagios_that_does_not_obey_is_not_believed_though_status_dat_shows_it(config: Config, nagios: FakeNagios) -> None:
    nagios.obeys = nagios.writes = False
    nagios.shall_have(1)
    nagios.write_status(created=int(time.time()) - 30)
    with pytest.raises(Failed) as error:
        set_flags(config, ON, verify_timeout=0.5)
    assert str(error.value) == "yasu: Nagios was not seen to set notifications on, service checks on, host checks on within 0.5 s"
    assert error.value.detail.endswith("s old and shows notifications on, service checks on, host checks on")


def test_flags_that_are_set_but_not_saved_are_set_and_told(config: Config, nagios: FakeNagios) -> None:
    nagios.saves = False
    short = replace(config, nagios=replace(config.nagios, verify_timeout=Seconds(2)))
    assert set_flags(short, ON) == [f"yasu: Nagios did not save {nagios.retention_file}: a restart would undo this"]


# ---- correct ----


def test_a_master_that_came_back_passive_is_made_active(config: Config, state: StateFiles, nagios: FakeNagios) -> None:
    master(state)
    assert correct(config, state) == ["yasu: set notifications on, service checks on, host checks on: its role is master, term 3"]
    assert nagios.commands == SET_ALL
    settle()
    assert (compare(config, state).state, correct(config, state)) == (State.OK, [])


def test_only_what_differs_is_set(config: Config, state: StateFiles, nagios: FakeNagios) -> None:
    nagios.shall_have(0, active_host_checks_enabled=1)
    standby(state)
    assert correct(config, state) == ["yasu: set host checks off: its role is standby of nabira, term 3"]


@pytest.mark.parametrize("text", [None, "", "role=master\n", "\0\0\0"])
def test_without_a_readable_role_nothing_is_changed(
    config: Config, state: StateFiles, nagios: FakeNagios, text: str | None
) -> None:
    if text is not None:
        state.role_path.write_text(text)
    assert correct(config, state) == []
    assert nagios.commands == []
    assert compare(config, state).state is State.WARNING


def test_an_unmounted_state_directory_changes_nothing(config: Config, state: StateFiles, nagios: FakeNagios) -> None:
    state.directory.rmdir()
    with pytest.raises(Failed):
        correct(config, state)
    report = compare(config, state)
    assert (report.state, report.wanted, nagios.commands) == (State.WARNING, None, [])
    assert f"the state directory {state.directory} is not there (not mounted?)" in report.problems[0]


def test_an_operators_flag_is_recorded_and_not_corrected(config: Config, state: StateFiles, nagios: FakeNagios) -> None:
    nagios.shall_have(1)
    master(state)
    nagios.operator("DISABLE_NOTIFICATIONS")
    assert correct(config, state)[0] == "yasu: an operator switched notifications off: kept until switched back"
    settle()
    assert nagios.flags["enable_notifications"] == 0
    assert compare(config, state).problems == ["yasu: an operator's command keeps notifications off (term 3, for 0 min)"]
    nagios.operator("ENABLE_NOTIFICATIONS")
    assert record(config, state) == ["yasu: the operator gave notifications back to the role"]
    settle()
    assert compare(config, state).state is State.OK


def test_an_operators_flag_does_not_flap_before_it_is_recorded(config: Config, state: StateFiles, nagios: FakeNagios) -> None:
    nagios.shall_have(1)
    master(state)
    nagios.operator("STOP_EXECUTING_SVC_CHECKS")
    assert dict(compare(config, state).differing) == {}


def test_what_an_operator_said_to_a_standby_does_not_mute_the_master(config: Config, state: StateFiles, nagios: FakeNagios) -> None:
    nagios.operator("DISABLE_NOTIFICATIONS", at=int(time.time()) - 200)
    master(state, ago=100)
    correct(config, state)
    assert nagios.flags["enable_notifications"] == 1


def test_in_the_second_of_a_role_change_the_order_in_the_log_counts(config: Config, state: StateFiles, nagios: FakeNagios) -> None:
    """Said before the role's flags were sent: to the role before. After them: to this one."""
    second = int(time.time())
    nagios.operator("DISABLE_NOTIFICATIONS", at=second)
    count_from_here(config, state, term=3)
    nagios.shall_have(1)
    nagios.operator("STOP_EXECUTING_SVC_CHECKS", at=second)
    state.write_role(RoleRecord(Role.MASTER, "yasu", 3, "", second))
    assert record(config, state) == ["yasu: an operator switched service checks off: kept until switched back"]
    settle()
    correct(config, state)
    assert list(nagios.flags.values()) == [1, 0, 1]


def test_his_flag_outlives_a_clock_that_was_set_back(config: Config, state: StateFiles, nagios: FakeNagios) -> None:
    nagios.shall_have(1)
    master(state, ago=0)
    record(config, state)
    nagios.operator("DISABLE_NOTIFICATIONS", at=int(time.time()) - 3600)
    correct(config, state)
    assert nagios.flags["enable_notifications"] == 0


def test_a_fence_that_comes_while_the_flags_are_looked_at_is_not_turned_back(
    config: Config, state: StateFiles, nagios: FakeNagios, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine there are seconds between two files that are read."""
    master(state)
    nagios.shall_have(1)
    nagios.write_status()

    def fenced_just_before(path: Path) -> ProgramStatus:
        state.write_override(Override(Owner.FENCE, dict.fromkeys(ON, False), term=4, since=int(time.time())))
        nagios.shall_have(0)
        nagios.write_status()
        return read_program_status(path)

    monkeypatch.setattr(flags, "read_program_status", fenced_just_before)
    assert correct(config, state) == []
    assert nagios.commands == []


def test_a_garbled_override_is_not_taken_for_none(config: Config, state: StateFiles, nagios: FakeNagios) -> None:
    master(state)
    (state.directory / "override.operator").write_text("notifications=maybe\nterm=3\nsince=1\n")
    with pytest.raises(StateUnreadable):
        correct(config, state)
    assert nagios.commands == []


def test_during_a_run_and_while_one_is_open_nothing_is_corrected(config: Config, state: StateFiles, nagios: FakeNagios) -> None:
    master(state)
    with run_lock(state.directory, wait=0):
        assert correct(config, state) == []
    run = Journal(state.directory).open("failover", 3, "yasu")
    assert correct(config, state) == []
    assert compare(config, state).state is State.CRITICAL
    run.close(Outcome.DONE, "done")
    assert nagios.commands == []
    assert correct(config, state) != []


def test_who_only_asks_for_the_lock_keeps_nobody_from_correcting(config: Config, state: StateFiles, nagios: FakeNagios) -> None:
    """Every check of the state watch has it for an instant."""
    master(state)
    asking = ExitStack()
    asking.enter_context(run_lock(state.directory, wait=0))
    threading.Timer(0.1, asking.close).start()
    assert correct(config, state) != []


def test_the_flag_file_follows_the_role(config: Config, state: StateFiles, nagios: FakeNagios) -> None:
    standby(state)
    state.lock_path.write_text("role=master\n")
    assert correct(config, state) == ["yasu: failover.lock follows the role standby again"]
    assert not state.lock_path.exists()


def test_a_stale_status_file_is_not_acted_on(config: Config, state: StateFiles, nagios: FakeNagios) -> None:
    master(state)
    nagios.writes = False
    time.sleep(0.3)
    nagios.write_status(created=int(time.time()) - 61)
    with pytest.raises(CouldNotLook):
        correct(config, state)
    assert nagios.commands == []


def test_without_a_log_a_passive_master_is_made_active_all_the_same(config: Config, state: StateFiles, nagios: FakeNagios) -> None:
    master(state)
    nagios.log_file.unlink()
    done = correct(config, state)
    assert done[0].startswith("yasu: what an operator switched was not written down: ")
    assert nagios.flags["enable_notifications"] == 1


def test_settings_that_take_the_ground_away_are_said(config: Config, state: StateFiles, nagios: FakeNagios) -> None:
    nagios.shall_have(1)
    nagios.configure(log_external_commands="0", use_retained_program_state="0")
    master(state)
    assert compare(config, state).problems == [
        "yasu: log_external_commands=0: an operator's change of a flag is turned back",
        "yasu: a restart of Nagios loses its flags",
    ]


def test_a_lock_that_nobody_lets_go_of_is_said(config: Config, state: StateFiles, nagios: FakeNagios) -> None:
    nagios.shall_have(1)
    master(state)
    with run_lock(state.directory, wait=0):
        assert compare(config, state).problems == []
        long_ago = time.time() - 60
        os.utime(state.directory / "run.lock", (long_ago, long_ago))
        assert compare(config, state).problems == [
            f"yasu: PID {os.getpid()} holds the lock of the runs for 60 s, and no run is open: no failover starts"
        ]
    os.utime(state.directory / "run.lock", (long_ago, long_ago))
    assert compare(config, state).problems == []


def test_the_run_behind_the_role_must_be_readable(config: Config, state: StateFiles, nagios: FakeNagios) -> None:
    nagios.shall_have(1)
    run = Journal(state.directory).open("failover", 3, "yasu")
    run.close(Outcome.DONE, "done")
    state.write_role(replace(master(state), run=run.id))
    assert compare(config, state).problems == []
    run.path.write_text("garbage\n")
    assert compare(config, state).problems == [
        f"yasu: the journal of run {run.id}, which gave this host its role, cannot be read: was it finished, was it mailed?"
    ]
    run.path.unlink()
    assert compare(config, state).problems == []


# ---- what outlives a run ----


def test_an_aborted_run_leaves_an_operators_override_in_force(state: StateFiles) -> None:
    standby(state)
    before = state.role()
    state.write_override(Override(Owner.OPERATOR, {Flag.SERVICE_CHECKS: True}, 3, 1))
    state.write_role(replace(before, role=Role.TAKING_OVER, term=4))
    state.write_role(replace(before, term=4))
    assert [override.term for override in state.overrides()] == [4]


@pytest.mark.parametrize(("now", "meanwhile"), [(Role.STANDBY, Role.TAKING_OVER), (Role.MASTER, Role.STANDING_DOWN)])
def test_what_an_operator_switches_during_an_aborted_run_is_his(
    config: Config, state: StateFiles, nagios: FakeNagios, now: Role, meanwhile: Role
) -> None:
    before = RoleRecord(now, "yasu", 3, "", int(time.time()) - 100)
    state.write_role(before)
    record(config, state)
    state.write_role(replace(before, role=meanwhile, term=4))
    nagios.operator("ENABLE_NOTIFICATIONS" if now is Role.STANDBY else "DISABLE_NOTIFICATIONS")
    state.write_role(replace(before, term=4, since=int(time.time())))
    record(config, state)
    assert [(override.term, dict(override.flags)) for override in state.overrides()] == [
        (4, {Flag.NOTIFICATIONS: now is Role.STANDBY})
    ]


def test_a_finished_run_ends_it(config: Config, state: StateFiles, nagios: FakeNagios) -> None:
    standby(state)
    state.write_override(Override(Owner.OPERATOR, {Flag.NOTIFICATIONS: False}, 3, 1))
    state.write_role(replace(state.role(), role=Role.TAKING_OVER, term=4))
    state.write_role(replace(state.role(), role=Role.MASTER, master="yasu"))
    correct(config, state)
    assert (state.overrides(), nagios.flags["enable_notifications"]) == ([], 1)


def test_what_had_lapsed_before_is_not_revived_by_an_aborted_run(state: StateFiles) -> None:
    standby(state)
    before = state.role()
    state.write_override(Override(Owner.OPERATOR, {Flag.SERVICE_CHECKS: True}, 2, 1))
    state.write_role(replace(before, role=Role.TAKING_OVER, term=4))
    state.write_role(replace(before, term=4))
    assert state.overrides() == []
