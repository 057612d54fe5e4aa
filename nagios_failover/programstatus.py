"""`nagios.programstatus` on this host's own server: the heartbeat that the loader writes and the other host reads.

The table is that of Nagios 1.x (nagios-1.2, contrib/database/create_mysql): one row, no key, times in the session's time zone.
Nagios 4 writes none of it; `last_update` is here the moment at which Nagios itself called process_perfdata. The rest comes from
status.dat; what Nagios 4 no longer tells (last_command_check, enable_failure_prediction) is 0, which as a time is 1970.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from nagios_failover import mysql, tables
from nagios_failover.config_sections import DatabaseSection

if TYPE_CHECKING:
    from pymysql.connections import Connection
    from pymysql.cursors import Cursor

TABLE = "programstatus"


class Column(NamedTuple):
    """A column, its type, and the key in status.dat's programstatus block that it is filled from."""

    name: str
    type: str
    status_key: str = ""

    @property
    def value(self) -> str:
        """How SQL takes the value: times are handed over as epoch seconds."""
        return "FROM_UNIXTIME(%s)" if self.type == "datetime" else "%s"

    @property
    def made(self) -> tables.Column:
        default = "0000-00-00 00:00:00" if self.type == "datetime" else "0"
        return tables.Column(self.name, self.type, default=f"DEFAULT '{default}'")


COLUMNS = (
    Column("last_update", "datetime"),
    Column("program_start", "datetime", "program_start"),
    Column("daemon_mode", "tinyint(4)", "daemon_mode"),
    Column("nagios_pid", "int(11)", "nagios_pid"),
    Column("last_command_check", "datetime", "last_command_check"),
    Column("last_log_rotation", "datetime", "last_log_rotation"),
    Column("execute_service_checks", "tinyint(4)", "active_service_checks_enabled"),
    Column("accept_passive_service_checks", "tinyint(4)", "passive_service_checks_enabled"),
    Column("enable_event_handlers", "tinyint(4)", "enable_event_handlers"),
    Column("obsess_over_services", "tinyint(4)", "obsess_over_services"),
    Column("enable_flap_detection", "tinyint(4)", "enable_flap_detection"),
    Column("enable_notifications", "tinyint(4)", "enable_notifications"),
    Column("enable_failure_prediction", "tinyint(4)", "enable_failure_prediction"),
    Column("process_performance_data", "tinyint(4)", "process_performance_data"),
)

PROGRAMSTATUS = tables.Table(TABLE, tuple(column.made for column in COLUMNS))

_INSERT = (
    f"INSERT INTO {TABLE} ({', '.join(column.name for column in COLUMNS)}) VALUES ({', '.join(column.value for column in COLUMNS)})"
)
_UPDATE = f"UPDATE {TABLE} SET {', '.join(f'{column.name} = {column.value}' for column in COLUMNS)}"
_UPDATE_MOMENT = f"UPDATE {TABLE} SET last_update = FROM_UNIXTIME(%s)"


def row(moment: int, status: Mapping[str, str]) -> tuple[int, ...]:
    """The row's values in the order of COLUMNS, times in epoch seconds. `status` is status.dat's programstatus block."""
    return (moment, *(_number(status.get(column.status_key, "0")) for column in COLUMNS[1:]))


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


class Heartbeat:
    """Writes the row over one connection to this host's own server, kept from one heartbeat to the next."""

    def __init__(self, database: DatabaseSection, *, time_zone: str) -> None:
        self._database = database
        self._time_zone = time_zone
        self._kept: Connection[Any] | None = None
        self._open = ExitStack()

    def write(self, moment: int, status: Mapping[str, str] | None) -> None:
        """One transaction, after which the table has exactly one row. Without a status only the time is written, and what
        the row says of PID and flags is kept. Raises Failed within about three times [database] timeout; the connection is
        then given up."""
        with mysql.told("the heartbeat cannot be written", hint=mysql.WRITE_HINT):
            try:
                kept = self._connected()
                with kept.cursor() as cursor:
                    _replace_row(cursor, moment, status)
                kept.commit()
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        self._kept = None
        self._open.close()

    def _connected(self) -> Connection[Any]:
        if self._kept is None:
            self._kept = self._open.enter_context(
                mysql.connection(
                    timeout=self._database.timeout,
                    user=self._database.user,
                    password=self._database.password,
                    database=self._database.database,
                    socket=self._database.socket,
                    time_zone=self._time_zone,
                )
            )
        return self._kept


def _replace_row(cursor: Cursor, moment: int, status: Mapping[str, str] | None) -> None:
    """An UPDATE where there is one row: the table that came from elsewhere may be MyISAM, which shows what DELETE leaves."""
    cursor.execute(f"SELECT COUNT(*) FROM {TABLE}")
    (rows,) = cursor.fetchone() or (0,)
    if rows == 1 and status is None:
        cursor.execute(_UPDATE_MOMENT, (moment,))
    elif rows == 1:
        cursor.execute(_UPDATE, row(moment, status or {}))
    else:
        cursor.execute(f"DELETE FROM {TABLE}")
        cursor.execute(_INSERT, row(moment, status or {}))
