"""`nagios.programstatus` on this host's own server: the heartbeat that the loader writes and the other host reads.

The table is that of Nagios 1.x (nagios-1.2, contrib/database/create_mysql): one row, no key, times in the session's time zone.
Nagios 4 writes none of it; `last_update` is here the moment at which Nagios itself called process_perfdata. The rest comes from
status.dat; what Nagios 4 no longer tells (last_command_check, enable_failure_prediction) is 0, which as a time is 1970.
"""

from __future__ import annotations

import os
import pwd
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from nagios_failover import mysql
from nagios_failover.config import Config, DatabaseSection, Schema
from nagios_failover.errors import ConfigError, Failed, FailoverError, Refused
from nagios_failover.evidence import Blocked

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
    def definition(self) -> str:
        default = "0000-00-00 00:00:00" if self.type == "datetime" else "0"
        return f"{self.name} {self.type} NOT NULL DEFAULT '{default}'"


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

CREATE_TABLE = f"CREATE TABLE {TABLE} (\n  " + ",\n  ".join(column.definition for column in COLUMNS) + "\n) ENGINE=InnoDB"

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
        with _told("the heartbeat cannot be written", hint=_WRITE_HINT):
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


_WRITE_HINT = "nagios-failover init-database says which rights [database] user needs"


@contextmanager
def _told(what: str, *, hint: str) -> Iterator[None]:
    """What the server or the driver raises, as one Failed with its reason."""
    import pymysql

    try:
        yield
    except (pymysql.MySQLError, OSError, ValueError) as error:
        if error.args and error.args[0] == 1290:
            raise Failed(f"{what}: this host's server is read-only", hint="who is the source? nagios-failover status") from error
        answer = mysql.classify(error)
        hint = hint if isinstance(answer, Blocked) else "is this host's database server running?"
        raise Failed(f"{what}: {answer.reason}", hint=hint) from error


def init_database(config: Config) -> list[str]:
    """Make the database and the table where they are missing, and say what was done, line by line; then what differs in a
    table that is there (nothing of it is changed). The two users' accounts are made, too, with the passwords of the configuration;
    without one the statements are printed for a person to run.

    Connects through [database] socket as the account that is named like the user who runs this, without a password: for root
    that is what MariaDB's unix_socket and MySQL's auth_socket are for. Raises ConfigError without [database] socket, Refused
    on a read-only server (a replica gets the table from its source), Failed when the server does not let us.
    """
    section = config.database
    if section.socket is None:
        raise ConfigError("[database] socket is not set", hint="socket = /run/mysqld/mysqld.sock, on both hosts")
    if not re.fullmatch(r"[A-Za-z0-9_$]+", section.database):
        raise ConfigError(f"[database] database: {section.database!r} is no plain name", hint="letters, digits and _")
    account = pwd.getpwuid(os.geteuid()).pw_name
    hint = f"run it as root on {config.this_name}, where the server knows root@localhost by the socket"
    try:
        with (
            _told(f"the database cannot be set up as {account}", hint=hint),
            mysql.connection(timeout=section.timeout, user=account, password="", socket=section.socket) as server,
            server.cursor() as cursor,
        ):
            version = str(_one(cursor, "SELECT VERSION()"))
            done = _make_missing(cursor, section.database)
            found = _columns(cursor, section.database)
            engine = str(_one(cursor, _ENGINE, section.database))
            wanted = grants(config, [_address(host.address) for host in config.hosts], version)
            accounts = _make_accounts(cursor, config, wanted)
    except FailoverError as error:
        error.host = config.this_name
        raise
    differs = differences(found, engine)
    state = "differs from Nagios 1.x's:" if differs else "is as Nagios 1.x has it"
    return [
        *done,
        f"the table {section.database}.{TABLE} {state}",
        *(f"  {line}" for line in differs),
        *mismatches(config),
        *accounts,
    ]


def _make_accounts(cursor: Cursor, config: Config, wanted: Sequence[str]) -> list[str]:
    """Run the statements, on this server alone (the other one makes its own). Without a password to give them they are for a
    person to run."""
    passwords = {"'PASSWORD OF [database]'": config.database.password, "'PASSWORD OF [heartbeat]'": config.heartbeat.password}
    if any(word in statement and not password for statement in wanted for word, password in passwords.items()):
        told = "Run as the server's administrator, with your passwords in place of the words:"
        return [told, *(f"  {line}" for line in wanted)]
    cursor.execute("SET SESSION sql_log_bin = 0")
    for statement in wanted:
        known = [password for word, password in passwords.items() if word in statement]
        for word in passwords:
            statement = statement.replace(word, "%s")
        cursor.execute(statement, known or None)
        if known:  # it may have been there, with another password
            cursor.execute(statement.replace("CREATE USER IF NOT EXISTS", "ALTER USER"), known)
    cursor.execute("SET SESSION sql_log_bin = 1")
    names = dict.fromkeys(f"{user}@{host}" for user, host in re.findall(r" TO '([^']*)'@'([^']*)'", "\n".join(wanted)))
    return [f"accounts {', '.join(names)} have what they need"]


_ENGINE = "SELECT COALESCE(MAX(engine), '') FROM information_schema.tables WHERE table_schema = %s AND table_name = 'programstatus'"


def _make_missing(cursor: Cursor, database: str) -> list[str]:
    wanted = {
        f"the database {database}": (
            _one(cursor, "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = %s", database),
            f"CREATE DATABASE `{database}`",
        ),
        f"the table {database}.{TABLE}": (
            _one(cursor, _ENGINE, database),
            CREATE_TABLE.replace(f"CREATE TABLE {TABLE}", f"CREATE TABLE `{database}`.{TABLE}"),
        ),
    }
    missing = {what: statement for what, (there, statement) in wanted.items() if not there}
    if missing and int(_one(cursor, "SELECT @@GLOBAL.read_only") or 0):
        # root may write on a read-only replica, and what it makes there is on no other server
        raise Refused(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing, and this host's server is read-only",
            hint="run init-database on the host whose server is the source; replication brings it here",
        )
    cursor.execute("SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION'")  # Nagios 1.x's defaults are zero dates
    for statement in missing.values():
        cursor.execute(statement)
    return [f"made {what}" for what in missing]


def _columns(cursor: Cursor, database: str) -> dict[str, str]:
    cursor.execute(
        "SELECT column_name, column_type, is_nullable FROM information_schema.columns "
        "WHERE table_schema = %s AND table_name = 'programstatus' ORDER BY ordinal_position",
        (database,),
    )
    return {str(name): f"{kind}{'' if null == 'NO' else ' NULL'}" for name, kind, null in cursor.fetchall()}


def _one(cursor: Cursor, query: str, *arguments: str) -> Any:
    cursor.execute(query, arguments)
    return (cursor.fetchone() or (None,))[0]


def _address(name: str) -> str:
    """The address that a server without reverse lookups sees; the name itself where it is unknown here."""
    try:
        return str(socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError:
        return name


def differences(found: Mapping[str, str], engine: str) -> list[str]:
    """How a table's columns (name to type, ` NULL` behind it where that may be) and engine differ from what we make."""
    lines = []
    for column in COLUMNS:
        kind = found.get(column.name)
        if kind is None:
            lines.append(f"column {column.name} is missing: ALTER TABLE {TABLE} ADD {column.definition}")
        elif _plain(kind) != _plain(column.type):
            lines.append(f"column {column.name} is {kind}, not {column.type}: ALTER TABLE {TABLE} MODIFY {column.definition}")
    known = {column.name for column in COLUMNS}
    lines.extend(f"column {name} is not of Nagios 1.x" for name in found if name not in known)
    if engine.lower() != "innodb":
        lines.append(f"its engine is {engine}, which knows no transactions: ALTER TABLE {TABLE} ENGINE=InnoDB")
    return lines


def _plain(kind: str) -> str:
    """MySQL 8 tells no display width of integers, and it means nothing."""
    return re.sub(r"(int)\(\d+\)", r"\1", kind.lower())


def mismatches(config: Config) -> list[str]:
    """Where the side that reads the heartbeat is configured for another place than the side that writes it."""
    heartbeat = config.heartbeat
    if heartbeat.schema is not Schema.NAGIOS1:
        return [f"[heartbeat] schema is {heartbeat.schema}: nobody reads this table; hint: schema = {Schema.NAGIOS1}"]
    if heartbeat.database != config.database.database:
        return [f"[heartbeat] database is {heartbeat.database}, [database] database is {config.database.database}; hint: one name"]
    return []


def grants(config: Config, addresses: Sequence[str], version: str) -> list[str]:
    """The statements for the loader's user (this host, through the socket) and the watching user (from either host: roles
    circulate). `version` is the server's, which decides how a user without a password is known by the socket."""
    loader, watcher = config.database, config.heartbeat
    by_socket = "VIA unix_socket" if "mariadb" in version.lower() else "WITH auth_socket"
    known = "BY 'PASSWORD OF [database]'" if loader.password else by_socket
    table = f"`{loader.database}`.{TABLE}"
    statements = [
        f"CREATE USER IF NOT EXISTS '{loader.user}'@'localhost' IDENTIFIED {known};",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO '{loader.user}'@'localhost';",
    ]
    tls = " REQUIRE SSL" if watcher.tls_ca else ""
    for address in addresses:
        user = f"'{watcher.user}'@'{address}'"
        statements.append(f"CREATE USER IF NOT EXISTS {user} IDENTIFIED BY 'PASSWORD OF [heartbeat]'{tls};")
        statements.append(f"GRANT SELECT ON {table} TO {user};")
    return statements
