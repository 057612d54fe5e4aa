"""Does this host's own replica still hear from its source? Slave_IO_Running stays Yes for slave_net_timeout (60 s by default)
after a power cut, so that only what was received counts: a counter that grows with every heartbeat and every event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nagios_failover import mysql
from nagios_failover.config import DatabaseSection
from nagios_failover.evidence import Blocked, NoAnswer

if TYPE_CHECKING:
    from pymysql.connections import Connection

_UNKNOWN_STATEMENT = 1064


def received(database: DatabaseSection) -> int | NoAnswer | Blocked:
    """The counter of the server at [database] socket. It grows while the source lives; by how much means nothing."""
    try:
        pymysql = mysql.load()
    except ImportError as error:
        return Blocked(f"PyMySQL is not installed here ({error})", "pip install PyMySQL in the suite's virtual environment")
    try:
        with (
            mysql.connection(
                socket=database.socket, user=database.user, password=database.password, timeout=database.timeout
            ) as connection,
            connection.cursor(pymysql.cursors.DictCursor) as cursor,
        ):
            status = _replica_status(connection, cursor)
            if status is None:
                return Blocked("this host's database is not a replica", "set up replication, or [replication] watch = no")
            return position(status) + _heartbeats(cursor)
    except (pymysql.MySQLError, OSError) as error:
        return mysql.classify(error)


def _replica_status(connection: Connection[Any], cursor: Any) -> Mapping[str, Any] | None:
    try:
        cursor.execute("SHOW REPLICA STATUS")
    except mysql.load().MySQLError as error:
        if error.args[:1] != (_UNKNOWN_STATEMENT,):
            raise
        cursor.execute("SHOW SLAVE STATUS")
    row: Mapping[str, Any] | None = cursor.fetchone()
    return row


def position(status: Mapping[str, Any]) -> int:
    """Pure: how far the replica has read, as one number that grows over the source's log files too. MariaDB and MySQL name the
    columns differently."""
    file = str(status.get("Master_Log_File", status.get("Source_Log_File", "")) or "")
    offset = status.get("Read_Master_Log_Pos", status.get("Read_Source_Log_Pos", 0)) or 0
    number = file.rpartition(".")[2]
    return (int(number) if number.isdigit() else 0) * 2**40 + int(offset)


def _heartbeats(cursor: Any) -> int:
    """MariaDB: a status variable. MySQL 8 and later: a column of the performance schema."""
    cursor.execute("SHOW GLOBAL STATUS LIKE 'Slave_received_heartbeats'")
    row = cursor.fetchone()
    if row is None:
        cursor.execute("SELECT SUM(COUNT_RECEIVED_HEARTBEATS) AS Value FROM performance_schema.replication_connection_status")
        row = cursor.fetchone()
    return int(row["Value"] or 0)
