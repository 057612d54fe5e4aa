"""The heartbeat: when did Nagios last write to the database on its own server? One query for each known schema.

The age is computed inside SQL, by the clock that also stamped it, in the session time zone that the writer uses. An empty,
doubled, zero or future time says nothing about Nagios, so that it is "could not look", never "stale".
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nagios_failover import mysql
from nagios_failover.config_sections import HeartbeatSection
from nagios_failover.config_values import Schema
from nagios_failover.evidence import Blocked, Heartbeat, NoAnswer

if TYPE_CHECKING:
    from pymysql.connections import Connection

READ_AGAIN_SECONDS = 0.3
"""Nagios 1.x deletes and inserts the row with each dump, and LOCK TABLES is not replicated: an empty table may fill at once."""

FUTURE_SECONDS = 2
"""So much ahead of the server's clock is rounding."""


def query(heartbeat: HeartbeatSection) -> str:
    """The statement that returns `age` in seconds, the writer's PID, and the time as it stands there."""
    prefix = heartbeat.prefix
    where = f"WHERE instance_id = {int(heartbeat.instance)}"
    match heartbeat.schema:
        case Schema.NAGIOS1:
            return _select(_since("last_update"), "nagios_pid", "last_update", f"{prefix}programstatus", "")
        case Schema.NDOUTILS:
            return _select(
                _since("status_update_time"), "process_id", "status_update_time", f"{prefix or 'nagios_'}programstatus", where
            )
        case Schema.ICINGA_IDO:
            return _select(
                _since("status_update_time"), "process_id", "status_update_time", f"{prefix or 'icinga_'}programstatus", where
            )
        case Schema.MERLIN:
            age = "IF(last_alive = 0, NULL, UNIX_TIMESTAMP() - last_alive)"
            return _select(age, "pid", "last_alive", f"{prefix}program_status", where)
        case Schema.NONE:
            raise ValueError("no heartbeat is configured")


def _since(column: str) -> str:
    # TIMESTAMPDIFF of the zero date is NULL in MariaDB and MySQL both; said anyway, since sql_mode may see it otherwise.
    return f"IF({column} = 0, NULL, TIMESTAMPDIFF(SECOND, {column}, NOW()))"


def _select(age: str, pid: str, column: str, table: str, where: str) -> str:
    return f"SELECT {age}, {pid}, CAST({column} AS CHAR) FROM `{table}` {where} LIMIT 3".replace("  ", " ")


def read(address: str, heartbeat: HeartbeatSection) -> Heartbeat | NoAnswer | Blocked:
    """The heartbeat on the server at `address`. Each wait is limited to [heartbeat] timeout; the whole is limited by the caller."""
    try:
        pymysql = mysql.load()
    except ImportError as error:
        return Blocked(f"PyMySQL is not installed here ({error})", "pip install PyMySQL in the suite's virtual environment")
    started = time.monotonic()
    try:
        with mysql.connection(
            host=address,
            port=heartbeat.port,
            user=heartbeat.user,
            password=heartbeat.password,
            database=heartbeat.database,
            tls_ca=heartbeat.tls_ca,
            time_zone=heartbeat.time_zone,
            timeout=heartbeat.timeout,
        ) as connection:
            rows = _rows(connection, query(heartbeat))
            if not rows:
                time.sleep(READ_AGAIN_SECONDS)
                connection.rollback()  # a new snapshot
                rows = _rows(connection, query(heartbeat))
    except (pymysql.MySQLError, OSError) as error:
        return mysql.classify(error)
    return judge_rows(rows, heartbeat, seconds=time.monotonic() - started)


def _rows(connection: Connection[Any], statement: str) -> Sequence[Sequence[Any]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        rows: Sequence[Sequence[Any]] = cursor.fetchall()
        return rows


def judge_rows(rows: Sequence[Sequence[Any]], heartbeat: HeartbeatSection, *, seconds: float) -> Heartbeat | Blocked:
    """Pure: exactly one row with a time that can be."""
    table = "program_status" if heartbeat.schema is Schema.MERLIN else "programstatus"
    if not rows:
        return Blocked(
            f"{table} is empty", "nothing writes to it: [database] and process_perfdata on the master, or [heartbeat] instance"
        )
    if len(rows) > 1:
        return Blocked(
            f"{table} has more than one row", "two Nagios write to one database; leave only one row, and only one writer"
        )
    age, pid, written = rows[0]
    if age is None:
        return Blocked(f"{table} has no time: {written}", "nothing has written to it yet")
    if age < -FUTURE_SECONDS:
        return Blocked(
            f"{table} was written {-age} s in the future ({written})",
            "compare [heartbeat] time_zone with the writer's, and the clocks",
        )
    return Heartbeat(age=float(max(0, age)), pid=int(pid or 0), seconds=seconds)
