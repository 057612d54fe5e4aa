import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from nagios_failover.errors import Failed, StateUnreadable
from nagios_failover.evidence import PauseMarker
from nagios_failover.looks import RING_SIZE, Look
from nagios_failover.role import Override, Owner, RoleRecord
from nagios_failover.state_files import StateFiles, boot_id, uptime, write_atomically
from nagios_failover.words import Flag, Role, State

STANDBY = RoleRecord(Role.STANDBY, "yasu", 3, "", 1000)
MASTER = RoleRecord(Role.MASTER, "nabira", 4, "r1", 1001)


@pytest.fixture
def state(tmp_path: Path) -> StateFiles:
    return StateFiles(tmp_path)


def look(number: int) -> Look:
    return Look("yasu", float(number), float(number), "boot", "check", State.OK, "alive", "yasu: alive")


def test_a_role_is_read_back_as_it_was_written(state: StateFiles) -> None:
    for record in (STANDBY, MASTER):
        state.write_role(record)
        assert state.role() == record


def test_sh_reads_the_role_too(state: StateFiles) -> None:
    state.write_role(MASTER)
    script = f". {state.role_path}; echo $role $master $term $run $since"
    assert subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout == "master nabira 4 r1 1001\n"


def test_the_flag_file_is_there_while_the_role_is_not_standby(state: StateFiles) -> None:
    for role in Role:
        state.write_role(replace(MASTER, role=role))
        assert state.lock_path.exists() is (role is not Role.STANDBY)


def test_the_track_file_is_a_fault_to_keepalived_unless_the_role_is_master(state: StateFiles) -> None:
    for role in Role:
        state.write_role(replace(MASTER, role=role))
        assert state.track_path.read_text() == ("0\n" if role is Role.MASTER else "1\n")
    state.write_role(MASTER)
    state.write_override(Override(Owner.FENCE, {Flag.NOTIFICATIONS: False}, 5, 1))
    assert state.mend_signs(MASTER) == ["track"]
    assert state.track_path.read_text() == "1\n", "who is fenced is no master"


def test_signs_that_are_astray_are_named_and_mended(state: StateFiles) -> None:
    state.write_role(MASTER)
    assert state.mend_signs(MASTER) == []
    state.lock_path.unlink()
    state.track_path.write_text("1\n")
    assert state.mend_signs(MASTER) == ["failover.lock", "track"]
    assert state.mend_signs(MASTER) == []


def test_files_are_for_the_group_to_read_and_for_nobody_else(state: StateFiles) -> None:
    state.write_role(MASTER)
    state.write_override(Override(Owner.OPERATOR, {Flag.NOTIFICATIONS: False}, 4, 1))
    assert {oct(path.stat().st_mode & 0o777) for path in state.directory.iterdir() if path.suffix != ".lock"} == {"0o640"}


def test_a_missing_role_is_no_role_but_an_error_with_the_way_out(state: StateFiles) -> None:
    with pytest.raises(StateUnreadable) as error:
        state.role()
    assert error.value.hint == "nagios-failover init --master on the host that monitors, --standby on the other"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"role=master",
        b"role=master\n",
        b"\xff\xfe\n",
        b"role=master\nmaster=\xff\nterm=1\nrun=-\nsince=1\n",
        b"role=king\nmaster=a\nterm=1\nrun=-\nsince=1\n",
        b"role=master\nrole=standby\nmaster=a\nterm=1\nrun=-\nsince=1\n",
        b"role=master\nmaster=a\nterm=0\nrun=-\nsince=1\n",
        b"role=master\nmaster=\nterm=1\nrun=-\nsince=1\n",
        b"role=master\nmaster=a\nterm=one\nrun=-\nsince=1\n",
    ],
)
def test_a_garbled_role_is_an_error_and_is_left_for_a_person_to_see(state: StateFiles, data: bytes) -> None:
    state.role_path.write_bytes(data)
    with pytest.raises(StateUnreadable) as error:
        state.role()
    assert str(state.role_path) in str(error.value)
    assert "nagios-failover init" in error.value.hint
    assert state.role_path.read_bytes() == data


def test_a_state_directory_that_is_not_mounted_is_told_from_a_missing_role(tmp_path: Path) -> None:
    away = StateFiles(tmp_path / "away")
    for read in (away.role, away.overrides, away.looks, lambda: away.paused(0)):
        with pytest.raises(StateUnreadable, match=r"the state directory .*/away is not there \(not mounted\?\)"):
            read()
    with pytest.raises(Failed) as error:
        away.write_role(MASTER)
    assert error.value.hint == f"install -d -o nagios -g adm -m 2750 {tmp_path}/away"


def test_overrides_are_read_back_and_removed(state: StateFiles) -> None:
    override = Override(Owner.FENCE, {Flag.NOTIFICATIONS: False, Flag.HOST_CHECKS: True}, 4, 7)
    state.write_override(override)
    assert state.overrides() == [override]
    state.remove_override(Owner.FENCE)
    state.remove_override(Owner.FENCE)
    assert state.overrides() == []


def test_a_pause_ends_by_itself(state: StateFiles) -> None:
    marker = PauseMarker(by="root", reason="new kernel", since=1000, until=1600)
    state.pause(marker)
    assert state.paused(1599) == marker
    assert state.paused(1601) is None


def test_a_pause_without_an_end_stays_and_its_reason_is_one_line(state: StateFiles) -> None:
    state.pause(PauseMarker(by="root", reason="two\nlines", since=1000, until=None))
    kept = state.paused(10**10)
    assert kept is not None
    assert kept.reason == "two lines"
    state.resume()
    assert state.paused(0) is None


def test_a_garbled_pause_marker_is_not_taken_for_none(state: StateFiles) -> None:
    state.paused_path.write_text("until\n")
    with pytest.raises(StateUnreadable):
        state.paused(0)


def test_the_ring_keeps_the_newest_looks_and_skips_what_is_garbled(state: StateFiles) -> None:
    for number in range(RING_SIZE + 5):
        state.add_look(look(number))
    assert [int(each.time) for each in state.looks()] == list(range(5, RING_SIZE + 5))
    state.looks_path.write_text(state.looks_path.read_text() + '{"host": "ya')
    assert len(state.looks()) == RING_SIZE


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(state: StateFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    state.write_role(STANDBY)
    before = sorted(path.name for path in state.directory.iterdir())

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Failed) as error:
        write_atomically(state.role_path, MASTER.text())
    assert str(error.value) == f"cannot write {state.role_path}: No space left on device"
    assert error.value.hint == f"free space or mend the disk under {state.directory}"
    assert state.role() == STANDBY
    assert sorted(path.name for path in state.directory.iterdir()) == before


def test_a_reader_never_sees_half_a_role(state: StateFiles) -> None:
    state.write_role(STANDBY)
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom dataclasses import replace\n"
        "from nagios_failover.state_files import StateFiles\nstate = StateFiles(Path(sys.argv[1]))\nrole = state.role()\n"
        "for n in range(200): state.write_role(replace(role, term=n + 1))\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", script, str(state.directory)])
    reads = 0
    while writer.poll() is None:
        state.role()
        reads += 1
    assert writer.wait() == 0
    assert reads > 10
    assert state.role().term == 200


def test_uptime_grows_and_the_boot_has_a_name() -> None:
    first = uptime()
    time.sleep(0.01)
    assert uptime() > first
    assert boot_id() == boot_id()


# --- what goes with the role ---

MUTE = {Flag.NOTIFICATIONS: False}
ISOLATED = Override(Owner.ISOLATED, MUTE, MASTER.term, 1001)


@pytest.mark.parametrize(
    ("new", "stays"),
    [
        (replace(MASTER, handover="yasu"), True),
        (replace(MASTER, role=Role.STANDING_DOWN), True),
        (replace(STANDBY, term=MASTER.term), False),
        (replace(STANDBY, term=MASTER.term + 1), False),
        (replace(MASTER, term=MASTER.term + 1), False),
    ],
)
def test_an_isolation_ends_with_the_role_or_the_term_and_the_loader_goes_on(
    state: StateFiles, new: RoleRecord, stays: bool
) -> None:
    state.write_role(MASTER)
    state.write_override(ISOLATED)
    state.write_role(new)
    assert state.is_isolated() is stays


def test_an_isolation_outlives_a_standdown_that_is_aborted(state: StateFiles) -> None:
    state.write_role(MASTER)
    state.write_override(ISOLATED)
    state.write_role(replace(MASTER, role=Role.STANDING_DOWN))
    state.write_role(replace(MASTER, term=7))
    assert state.overrides() == [replace(ISOLATED, term=7)]


def full(path: Path, text: str, mode: int = 0) -> None:
    raise Failed(f"cannot write {path}: No space left on device")


@pytest.mark.parametrize(("before", "during"), [(STANDBY, Role.TAKING_OVER), (MASTER, Role.STANDING_DOWN)])
def test_a_run_that_is_aborted_on_a_full_disk_has_its_role_back(
    state: StateFiles, monkeypatch: pytest.MonkeyPatch, before: RoleRecord, during: Role
) -> None:
    state.write_role(before)
    state.write_override(Override(Owner.OPERATOR, MUTE, before.term, 1))
    state.prepare_return(replace(before, term=5))
    state.write_role(RoleRecord(during, "nabira", 5, "r2", 1002))
    monkeypatch.setattr("nagios_failover.state_files.write_atomically", full)
    state.return_role(replace(before, term=5, since=1009))
    assert state.role() == replace(before, term=5)
    assert state.lock_path.exists() is (before.role is Role.MASTER) and not state.return_path.exists()


def test_what_another_run_had_prepared_is_not_put_back(state: StateFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    state.write_role(STANDBY)
    state.prepare_return(STANDBY)
    state.write_role(RoleRecord(Role.TAKING_OVER, "nabira", 5, "r2", 1002))
    monkeypatch.setattr("nagios_failover.state_files.write_atomically", full)
    with pytest.raises(Failed, match="No space left on device"):
        state.return_role(replace(STANDBY, term=5))
    assert state.role().role is Role.TAKING_OVER


def test_nothing_prepared_is_left_when_a_run_has_ended(state: StateFiles) -> None:
    state.prepare_return(STANDBY)
    state.write_role(MASTER)
    assert not state.return_path.exists()
