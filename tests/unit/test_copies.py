"""The copy of the master's files is never left worse than it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nagios_failover.copies import Copies, CopyRecord, offset_of, parse_record, write_stream
from nagios_failover.errors import CouldNotLook, Failed, StateUnreadable
from nagios_failover.nagios_cfg import parse_nagios_cfg
from tests.unit.snapshots import CREATED, contact, host, info, program

CFG = parse_nagios_cfg("log_file=/var/log/n/nagios.log\nlog_archive_path=/var/log/n/archives\nstatus_file=/var/lib/n/status.dat\n")
RECORD = CopyRecord(1000.5, 990, -2.0, 0.25, 100, 200, "nagios.log", "archives")
WHOLE = info() + program() + host("web1") + contact()


@pytest.fixture
def copies(tmp_path: Path) -> Copies:
    made = Copies(tmp_path, "yasu")
    made.make()
    return made


def lines(first: int, last: int, word: str = "LOG VERSION: 2.0") -> str:
    return "".join(f"[{time}] {word}\n" for time in range(first, last))


def log(copies: Copies) -> Path:
    return copies.incoming / "nagios.log"


def ready(copies: Copies, there: str) -> str:
    return copies.make_ready(CFG, head=there.splitlines()[0] if there else "", size=len(there))


def test_it_is_private(copies: Copies) -> None:
    assert [path.stat().st_mode & 0o777 for path in (copies.directory, copies.incoming)] == [0o700, 0o700]


def test_a_log_that_has_grown_is_gone_on_with(copies: Copies) -> None:
    log(copies).write_text(lines(0, 5))
    assert ready(copies, lines(0, 9)) == ""
    assert log(copies).read_text() == lines(0, 5)


def test_a_rotated_log_is_laid_aside_and_goes_when_its_archive_has_come(copies: Copies) -> None:
    log(copies).write_text(lines(0, 5))
    assert ready(copies, lines(50, 52)) == ""
    assert not log(copies).exists() and copies.log_before.read_text() == lines(0, 5)
    archives = copies.incoming / "archives"
    archives.mkdir()
    (archives / "nagios-11-22-2026-00.log").write_text(lines(0, 7))
    log(copies).write_text(lines(50, 52))
    assert copies.take_back(CFG, 0) == ""
    assert not copies.log_before.exists()


def test_a_log_that_was_cut_short_in_its_place_is_copied_anew_and_what_was_copied_is_kept(copies: Copies) -> None:
    log(copies).write_text(lines(0, 9))
    sizes = f"the log there has {len(lines(0, 5))} bytes, the copy {len(lines(0, 9))}"
    assert ready(copies, lines(0, 5)) == f"{sizes}: it is copied anew, and the old copy kept as well"
    assert not log(copies).exists() and copies.log_before.read_text() == lines(0, 9)
    log(copies).write_text(lines(0, 5))
    assert copies.take_back(CFG, 0) == "" and ready(copies, lines(0, 6)) == ""
    assert copies.log_before.read_text() == lines(0, 9)


def test_what_was_appended_from_another_log_is_cut_off_again(copies: Copies) -> None:
    ours = lines(10, 15)
    log(copies).write_text(ours + lines(50, 90)[len(ours) + 3 :])
    assert copies.take_back(CFG, len(ours)) == "the log was rotated there during the pull: it is read again"
    assert log(copies).read_text() == ours


def test_a_line_that_was_half_copied_is_finished(copies: Copies) -> None:
    half = lines(0, 5)[:-4]
    log(copies).write_text(lines(0, 9))
    assert copies.take_back(CFG, len(half)) == "" and log(copies).read_text() == lines(0, 9)


def test_a_status_file_that_is_left_over_is_not_appended_to(copies: Copies) -> None:
    (copies.incoming / "status.dat").write_text("half")
    ready(copies, lines(0, 2))
    assert not (copies.incoming / "status.dat").exists()


def test_a_whole_status_file_takes_the_place_of_the_one_before(copies: Copies) -> None:
    copies.status.write_text("the one before")
    (copies.incoming / "status.dat").write_text(WHOLE)
    assert copies.install(CFG) == (CREATED, len(WHOLE))
    assert copies.status.read_text() == WHOLE and copies.status_before.read_text() == "the one before"
    assert copies.snapshots() == [copies.status, copies.status_before]


@pytest.mark.parametrize("came", ["", WHOLE[:-3], WHOLE[:-1], "garbage", WHOLE[: len(info()) + 40]])
def test_one_that_is_cut_off_leaves_the_one_before(copies: Copies, came: str) -> None:
    copies.status.write_text(WHOLE)
    (copies.incoming / "status.dat").write_text(came)
    with pytest.raises(CouldNotLook):
        copies.install(CFG)
    assert copies.status.read_text() == WHOLE


def test_a_link_in_the_logs_place_is_refused(copies: Copies, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(lines(0, 3))
    log(copies).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Failed, match="is no plain file"):
        ready(copies, lines(0, 9))


def test_lines_are_read_through_archives_and_rotations_from_a_moment_on(copies: Copies) -> None:
    archives = copies.incoming / "archives"
    archives.mkdir()
    for name, first, last in (("a\nb", 0, 100), ("nagios-2", 100, 200)):
        (archives / name).write_text(lines(first, last))
        os.utime(archives / name, (last, last))
    (archives / "nagios-3").symlink_to(archives / "nagios-2")
    copies.log_before.write_text(lines(200, 300))
    log(copies).write_text(lines(300, 310) + "[310] torn")
    assert list(copies.log_lines(150, RECORD)) == lines(100, 310).splitlines(keepends=True)
    assert list(copies.log_lines(0, None)) == []


def test_an_archive_that_a_merge_has_written_anew_stays_the_older_one(copies: Copies) -> None:
    """Or what an operator switched on the day before yesterday would be his last word."""
    archives = copies.incoming / "archives"
    archives.mkdir()
    for name, first, last, written in (("nagios-11-21-2026-00.log", 0, 100, 900), ("nagios-11-22-2026-00.log", 100, 200, 200)):
        (archives / name).write_text(lines(first, last))
        os.utime(archives / name, (written, written))
    assert list(copies.log_lines(0, RECORD)) == lines(0, 200).splitlines(keepends=True)


@pytest.mark.parametrize("since", [0, 1, 4999, 50_000, 99_999, 200_000])
def test_a_long_log_is_not_read_from_its_beginning(tmp_path: Path, since: int) -> None:
    path = tmp_path / "nagios.log"
    path.write_text(lines(1, 100_000))
    with path.open("rb") as file:
        file.seek(offset_of(path, since))
        rest = file.read().decode()
    assert rest.endswith(lines(max(since, 1), 100_000))
    assert len(rest) <= len(lines(max(since, 1), 100_000)) + 2 * 65536


def test_a_line_without_an_end_in_the_log_is_passed_over(copies: Copies) -> None:
    log(copies).write_bytes(b"[1] " + b"x" * 5_000_000 + b"\n[2] LOG VERSION: 2.0\n[3] " + b"y" * 3_000_000)
    assert list(copies.log_lines(0, RECORD)) == ["[2] LOG VERSION: 2.0\n"]


def test_a_log_of_one_endless_line_is_survived(tmp_path: Path) -> None:
    path = tmp_path / "nagios.log"
    path.write_bytes(b"x" * 3_000_000)
    assert offset_of(path, 5) >= 0


def test_a_record_is_read_as_it_was_written_and_a_garbled_one_is_none(copies: Copies) -> None:
    assert copies.record() is None
    copies.write_record(RECORD)
    assert copies.record() == RECORD
    copies.record_path.write_text("pulled=x\n")
    assert copies.record() is None
    with pytest.raises(StateUnreadable):
        parse_record("pulled=x\n")


def test_the_age_goes_by_the_clock_of_the_host_that_wrote_it() -> None:
    assert RECORD.age(1000.0) == 8.0


def test_a_log_is_known_for_certain_up_to_the_begin_of_the_pull() -> None:
    assert RECORD.known_until == 998


def test_a_stream_that_breaks_off_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "retention.dat"
    path.write_text("old")

    def broken() -> object:
        yield b"new"
        raise CouldNotLook("cut off")

    with pytest.raises(CouldNotLook):
        write_stream(path, broken())  # type: ignore[arg-type]
    assert path.read_text() == "old" and [entry.name for entry in tmp_path.iterdir()] == ["retention.dat"]


def test_logs_that_were_merged_over_there_are_copied_anew(tmp_path: Path) -> None:
    """They begin as before, so rsync would append to them."""
    copies = Copies(tmp_path, "yasu")
    copies.make()
    (copies.incoming / "archives").mkdir()
    logs = [copies.incoming / "nagios.log", copies.log_before, copies.incoming / "archives" / "nagios-11-25-2026-00.log"]
    for path in [*logs, copies.status]:
        path.write_text("[1795619077] x\n")
    record = CopyRecord(1.0, 1, 0.0, 0.1, 1, 1, "nagios.log", "archives", merged="run-1 done")
    copies.write_record(record)
    assert copies.record() == record
    copies.forget_logs(record)
    assert not any(path.exists() for path in logs) and copies.status.exists()
