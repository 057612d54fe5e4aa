"""Rows as LOAD DATA reads them, and whom a file is sent to."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from nagios_failover import mysql
from nagios_failover.load_data import NULL, _in_memory, as_lines, guarded_connection


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (("a", "1", "0.5", NULL), "a\t1\t0.5\t\\N\n"),
        ((NULL, NULL), "\\N\t\\N\n"),
        (("a\tb", "c\nd"), "a\\tb\tc\\nd\n"),
        (("C:\\", "x"), "C:\\\\\tx\n"),
        (("\\N", NULL), "\\\\N\t\\N\n"),
        (("a\0b", NULL), "a\\0b\t\\N\n"),
        (("\0N", "x"), "\\0N\tx\n"),
        (("größe 温", ""), "größe 温\t\n"),
    ],
)
def test_a_row_is_a_line_alone_and_beside_others(row: tuple[str, ...], line: str) -> None:
    assert as_lines([row]) == line.encode()
    plain, odd = ("p",) * len(row), ("\\",) * len(row)
    assert as_lines([plain, row, odd]).decode().split("\n")[1:2] == [line.rstrip("\n")]


def test_the_rows_lie_in_memory_under_a_path_of_this_process() -> None:
    with _in_memory(b"rows") as path:
        assert Path(path).read_bytes() == b"rows"
    assert not Path(path).exists()


class FakePacket:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def is_load_local_packet(self) -> bool:
        return self.data.startswith(b"\xfb")

    def get_all_data(self) -> bytes:
        return self.data


class FakeDriver:
    """What guarded_connection needs of pymysql, with a server that sends what the test says."""

    class OperationalError(Exception):
        pass

    class connections:
        class Connection:
            packet = b""
            closed = False

            def _read_packet(self) -> FakePacket:
                return FakePacket(self.packet)

            def _force_close(self) -> None:
                self.closed = True


@pytest.mark.parametrize(
    ("offered", "asked"),
    [("", b"\xfb/etc/shadow"), ("/proc/self/fd/9", b"\xfb/etc/shadow"), ("/proc/self/fd/9", b"\xfb"), ("", b"\xfb")],
)
def test_a_server_that_asks_for_another_file_gets_none(offered: str, asked: bytes) -> None:
    connection = guarded_connection(FakeDriver)()
    connection.offered, connection.packet = offered, asked
    with pytest.raises(FakeDriver.OperationalError, match="asked for the file"):
        connection._read_packet()
    assert connection.closed


@pytest.mark.parametrize(
    ("offered", "packet"), [("/proc/self/fd/9", b"\xfb/proc/self/fd/9"), ("", b"\0ok"), ("/x", b"\xffan error")]
)
def test_the_one_that_was_offered_and_every_other_packet_pass(offered: str, packet: bytes) -> None:
    connection = guarded_connection(FakeDriver)()
    connection.offered, connection.packet = offered, packet
    assert connection._read_packet().data == packet


def test_a_server_that_dies_while_it_is_sent_a_file_is_a_lost_connection() -> None:
    """With the real driver, which does not look whether the socket that it writes to is still there."""
    pymysql = mysql.load()
    here, server = socket.socketpair()
    connection = guarded_connection(pymysql)(defer_connect=True, local_infile=True)
    connection._sock, connection._rfile = here, here.makefile("rb")
    connection._next_seq_id, connection._current_timeout = 0, None
    server.close()
    with _in_memory(b"rows\n" * 1000) as path, pytest.raises(pymysql.OperationalError, match="gone away"):
        connection.offered = path
        pymysql.connections.MySQLResult(connection)._read_load_local_packet(FakePacket(b"\xfb" + path.encode()))
    connection.close()


def test_while_the_server_takes_nothing_other_work_goes_on() -> None:
    pymysql = mysql.load()
    here, server = socket.socketpair()
    connection = guarded_connection(pymysql)(defer_connect=True, local_infile=True)
    connection._sock, connection._rfile = here, here.makefile("rb")
    connection._next_seq_id, connection._current_timeout = 0, None
    done = []

    def work() -> Iterator[None]:
        for number in range(5):
            done.append(number)
            if number == 2:
                server.sendall(b"\x01\x00\x00\x00\x00")  # now it answers
            yield

    connection.meanwhile = work()
    connection._write_bytes(b"it has room for this")
    assert done == []
    assert connection._read_packet().get_all_data() == b"\x00"
    assert done == [0, 1, 2]
    connection.close()
    server.close()
