"""The heartbeat: one statement a schema, and rows that say nothing are never stale."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from nagios_failover import heartbeat, mysql
from nagios_failover.config_sections import HeartbeatSection
from nagios_failover.config_values import Port, Schema, Seconds
from nagios_failover.evidence import Blocked, Heartbeat, NoAnswer


@pytest.mark.parametrize(
    ("section", "statement"),
    [
        (
            HeartbeatSection(schema=Schema.NAGIOS1),
            "SELECT IF(last_update = 0, NULL, TIMESTAMPDIFF(SECOND, last_update, NOW())), nagios_pid, CAST(last_update AS CHAR) "
            "FROM `programstatus` LIMIT 3",
        ),
        (
            HeartbeatSection(schema=Schema.NDOUTILS, instance=2),
            "SELECT IF(status_update_time = 0, NULL, TIMESTAMPDIFF(SECOND, status_update_time, NOW())), process_id, "
            "CAST(status_update_time AS CHAR) FROM `nagios_programstatus` WHERE instance_id = 2 LIMIT 3",
        ),
        (
            HeartbeatSection(schema=Schema.ICINGA_IDO),
            "SELECT IF(status_update_time = 0, NULL, TIMESTAMPDIFF(SECOND, status_update_time, NOW())), process_id, "
            "CAST(status_update_time AS CHAR) FROM `icinga_programstatus` WHERE instance_id = 1 LIMIT 3",
        ),
        (
            HeartbeatSection(schema=Schema.MERLIN),
            "SELECT IF(last_alive = 0, NULL, UNIX_TIMESTAMP() - last_alive), pid, CAST(last_alive AS CHAR) "
            "FROM `program_status` WHERE instance_id = 1 LIMIT 3",
        ),
        (HeartbeatSection(schema=Schema.NDOUTILS, prefix="ndo_"), "`ndo_programstatus`"),
    ],
)
def test_the_statement_of_each_schema(section: HeartbeatSection, statement: str) -> None:
    assert statement in heartbeat.query(section)


def judge(*rows: tuple[Any, ...]) -> Heartbeat | Blocked:
    return heartbeat.judge_rows(rows, HeartbeatSection(schema=Schema.NAGIOS1), seconds=0.01)


def test_one_row_with_a_time_is_the_heartbeat() -> None:
    assert judge((5, 4711, "2026-11-22 14:00:00")) == Heartbeat(5.0, 4711, 0.01)
    assert judge((-1, None, "2026-11-22 14:00:00")) == Heartbeat(0.0, 0, 0.01)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ((), "programstatus is empty"),
        (((5, 1, "x"), (6, 2, "x")), "programstatus has more than one row"),
        (((None, 0, "0000-00-00 00:00:00"),), "programstatus has no time: 0000-00-00 00:00:00"),
        (((-3600, 1, "2026-11-22 15:00:00"),), "programstatus was written 3600 s in the future (2026-11-22 15:00:00)"),
    ],
)
def test_rows_that_say_nothing_of_nagios(rows: tuple[tuple[Any, ...], ...], reason: str) -> None:
    found = judge(*rows)
    assert isinstance(found, Blocked) and found.reason == reason and found.hint


@contextmanager
def listening(greet: bytes = b"") -> Iterator[int]:
    """A server that accepts and then says only this."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept = []

        def accept() -> None:
            try:
                while True:
                    connection, _ = server.accept()
                    connection.sendall(greet)
                    kept.append(connection)
            except OSError:
                return

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
        for connection in kept:
            connection.close()


def read(port: int, timeout: float = 1) -> Heartbeat | NoAnswer | Blocked:
    return heartbeat.read("127.0.0.1", HeartbeatSection(schema=Schema.NAGIOS1, port=Port(port), timeout=Seconds(timeout)))


def test_a_server_that_refuses_or_never_shakes_hands_is_no_answer_in_time() -> None:
    started = time.monotonic()
    with listening() as port:
        assert isinstance(read(port), NoAnswer)
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    refused = read(closed)
    assert isinstance(refused, NoAnswer) and refused.reason.endswith("Connection refused) (2003)")
    assert time.monotonic() - started < 3


def test_a_name_that_cannot_be_resolved_is_not_a_dead_server() -> None:
    found = heartbeat.read("no-such-host.invalid", HeartbeatSection(schema=Schema.NAGIOS1, timeout=Seconds(2)))
    assert isinstance(found, Blocked) and found.reason.startswith("its name cannot be resolved (") and found.hint


def test_a_server_that_speaks_something_else_is_not_a_heartbeat() -> None:
    with listening(b"SSH-2.0-OpenSSH_9.2\r\n") as port:
        assert isinstance(read(port), NoAnswer | Blocked)


@pytest.mark.parametrize("code", [1040, 1044, 1045, 1054, 1130, 1142, 1146, 1203, 1226, 1698, 2026, 2061, 1290, 4242])
def test_errors_that_keep_us_from_looking(code: int) -> None:
    import pymysql

    found = mysql.classify(pymysql.OperationalError(code, "said the server"))
    assert isinstance(found, Blocked) and f"({code}" in found.reason.replace(f"{code}:", f"({code}") and found.hint


@pytest.mark.parametrize("code", [2002, 2003, 2006, 2013])
def test_errors_that_are_silence(code: int) -> None:
    import pymysql

    assert isinstance(mysql.classify(pymysql.OperationalError(code, "gone away")), NoAnswer)


def test_pymysql_is_loaded_without_cryptography_and_fetches_it_when_a_password_needs_it() -> None:
    import subprocess
    import sys

    script = (
        "import sys, importlib; from nagios_failover import mysql; auth = mysql.load()._auth\n"
        "assert 'cryptography' not in sys.modules and not auth._have_cryptography\n"
        "assert importlib.reload(auth)._have_cryptography and mysql.load().connections._auth is auth\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
