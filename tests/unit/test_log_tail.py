import os
from pathlib import Path

import pytest

from nagios_failover.errors import CouldNotLook, StateUnreadable
from nagios_failover.event_log import Position, parse_position
from nagios_failover.log_tail import read_new_switches
from nagios_failover.nagios_cfg import NagiosCfg, parse_nagios_cfg


def off(time: int) -> str:
    return f"[{time}] EXTERNAL COMMAND: DISABLE_NOTIFICATIONS;\n"


def on(time: int) -> str:
    return f"[{time}] EXTERNAL COMMAND: ENABLE_NOTIFICATIONS;nagios-failover\n"


class Log:
    """A nagios.log and its archives, written as Nagios writes them."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "nagios.log"
        self.archives = directory / "archives"
        self.archives.mkdir()
        self.path.write_text("[1000] LOG ROTATION: DAILY\n")
        self.position: Position | None = None

    def add(self, text: str) -> None:
        with self.path.open("a") as file:
            file.write(text)

    def rotate(self, time: int) -> Path:
        archive = self.archives / f"nagios-{time}.log"
        self.path.rename(archive)
        os.utime(archive, (time, time))
        self.path.write_text(f"[{time}] LOG ROTATION: DAILY\n[{time}] LOG VERSION: 2.0\n")
        return archive

    def cfg(self) -> NagiosCfg:
        return parse_nagios_cfg(f"log_file={self.path}\nlog_archive_path={self.archives}\n")

    def new(self) -> list[int]:
        found, self.position = read_new_switches(self.cfg(), self.position)
        return [switch.time for switch in found]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def test_only_what_is_new_is_read(log: Log) -> None:
    log.add(off(1001))
    assert log.new() == [1001]
    assert log.new() == []
    log.add("[1002] SERVICE ALERT: web1;HTTP;CRITICAL;SOFT;1;x\n" + on(1003))
    assert log.new() == [1003]
    assert log.position is not None
    assert (log.position.time, log.position.switched, log.position.offset) == (1003, 1003, log.path.stat().st_size)


def test_a_line_that_is_not_finished_waits_for_its_end(log: Log) -> None:
    log.add(off(1001)[:20])
    assert log.new() == []
    log.add(off(1001)[20:])
    assert log.new() == [1001]


def test_the_rest_of_a_rotated_log_is_read_before_the_new_one(log: Log) -> None:
    log.add(off(1001))
    log.new()
    log.add(on(1002))
    log.rotate(1003)
    log.add(off(1004))
    assert log.new() == [1002, 1004]
    assert log.new() == []


def test_two_rotations_since_the_last_look_lose_nothing(log: Log) -> None:
    log.new()
    log.add(off(1001))
    log.rotate(1002)
    log.add(on(1003))
    log.rotate(1004)
    log.add(off(1005))
    assert log.new() == [1001, 1003, 1005]


def test_an_archive_on_another_file_system_is_known_by_its_time(log: Log) -> None:
    log.add(off(1001))
    log.new()
    log.add(on(1002))
    archive = log.rotate(1003)
    archive.with_suffix(".copy").write_text(archive.read_text())  # another inode
    archive.unlink()
    log.add(off(1004))
    assert log.new() == [1001, 1002, 1004]


def test_a_log_that_was_emptied_in_place_is_read_from_its_beginning(log: Log) -> None:
    log.add(off(1001) * 3)
    log.new()
    log.path.write_text("[1000] LOG ROTATION: DAILY\n" + on(1005))
    assert log.new() == [1005]


def test_an_inode_used_again_is_not_taken_for_the_old_file(log: Log) -> None:
    log.add(off(1001))
    log.new()
    log.path.write_text("[1002] LOG ROTATION: DAILY\n" + on(1003) + on(1004) * 9)
    assert log.new() == [1003, *[1004] * 9]


def test_compressed_archives_are_left_alone(log: Log) -> None:
    log.new()
    archive = log.rotate(1003)
    archive.rename(archive.with_suffix(".log.gz"))
    log.add(off(1004))
    assert log.new() == [1004]


def test_a_log_that_cannot_be_read_is_said(log: Log) -> None:
    log.path.unlink()
    with pytest.raises(CouldNotLook, match=r"nagios\.log cannot be read: No such file or directory"):
        log.new()


def test_bytes_that_are_no_text_do_no_harm(log: Log) -> None:
    with log.path.open("ab") as file:
        file.write(
            b"\xff\xfe\x00garbage] EXTERNAL COMMAND: DISABLE_NOTIFICATIONS;\n[9] EXTERNAL COMMAND: \xff;\n" + off(1001).encode()
        )
    assert log.new() == [1001]


def test_a_position_is_read_back_as_it_was_written() -> None:
    position = Position(inode=7, head="00ff00ff", offset=12, time=1000, switched=999, term=3)
    assert parse_position(position.text()) == position
    with pytest.raises(StateUnreadable):
        parse_position("inode=7\n")
