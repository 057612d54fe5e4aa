import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nagios_failover.command_file import send, tagged
from nagios_failover.errors import NoReader, UsageError


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "nagios.cmd"
    os.mkfifo(path)
    return path


@pytest.fixture
def reader(pipe: Path) -> Iterator[int]:
    descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    yield descriptor
    os.close(descriptor)


def test_each_command_is_one_stamped_line_in_order(pipe: Path, reader: int) -> None:
    send(pipe, [tagged("ENABLE_NOTIFICATIONS"), "SCHEDULE_FORCED_SVC_CHECK;web1;HTTP;17"], now=1795358400)
    assert os.read(reader, 4096) == (
        b"[1795358400] ENABLE_NOTIFICATIONS;nagios-failover\n[1795358400] SCHEDULE_FORCED_SVC_CHECK;web1;HTTP;17\n"
    )


def test_what_fits_is_one_write_so_that_nothing_comes_in_between(pipe: Path, reader: int, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bytes] = []
    monkeypatch.setattr("nagios_failover.command_file.os.write", lambda _, data: writes.append(data))
    send(pipe, ["A;" + "a" * 1500, "B;" + "b" * 1500, "C;" + "c" * 1500, "D"], now=1)
    assert [[line[4:5] for line in data.splitlines()] for data in writes] == [[b"A", b"B"], [b"C", b"D"]]


@pytest.mark.parametrize("command", ["A\nB", "A\rB", "", " ", "A\0", "A;" + "x" * 5000])
def test_what_is_not_one_command_is_refused_before_anything_is_written(pipe: Path, reader: int, command: str) -> None:
    with pytest.raises(UsageError):
        send(pipe, ["ENABLE_NOTIFICATIONS", command], now=1)
    assert os.read(reader, 1) == b""


def test_nobody_reading_is_said_at_once(pipe: Path) -> None:
    with pytest.raises(NoReader) as error:
        send(pipe, ["ENABLE_NOTIFICATIONS"], now=1)
    assert (str(error.value), error.value.hint) == (f"nobody reads the command file {pipe}", "start Nagios")


def test_a_missing_pipe_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(NoReader, match="does not exist"):
        send(tmp_path / "nagios.cmd", ["ENABLE_NOTIFICATIONS"], now=1)
    assert list(tmp_path.iterdir()) == []


def test_a_plain_file_in_its_place_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "nagios.cmd"
    path.write_text("[1] EARLIER\n")
    with pytest.raises(NoReader, match="is a plain file, not a pipe"):
        send(path, ["ENABLE_NOTIFICATIONS"], now=1)
    assert path.read_text() == "[1] EARLIER\n"


def test_a_pipe_that_nobody_empties_does_not_hold_us(pipe: Path, reader: int) -> None:
    with pytest.raises(NoReader, match="is full: Nagios does not read it"):
        send(pipe, ["SCHEDULE_FORCED_SVC_CHECK;web1;HTTP;17"] * 10000, now=1)
