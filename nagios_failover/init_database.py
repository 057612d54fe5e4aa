"""`nagios-failover init-database`: makes the databases, tables and accounts that are missing, and says what differs in the tables
that are there, of which nothing is changed."""

from __future__ import annotations

import os
import pwd
import re
import socket
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from nagios_failover import mysql, perfparse_tables
from nagios_failover.config import Config
from nagios_failover.config_values import Schema
from nagios_failover.errors import ConfigError, FailoverError, Refused
from nagios_failover.programstatus import PROGRAMSTATUS
from nagios_failover.tables import Found, Key, Table

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

NAGIOS = "Nagios 1.x"
PERFPARSE = "PerfParse"


class Wanted(NamedTuple):
    """A database and its tables; `origin` is whose layout that is."""

    database: str
    tables: Sequence[Table]
    origin: str


def wanted(config: Config) -> list[Wanted]:
    """What the loader writes to by this configuration."""
    everything = [Wanted(config.database.database, (PROGRAMSTATUS,), NAGIOS)]
    if config.perfdata.load:
        everything.append(Wanted(config.perfdata.database, perfparse_tables.TABLES, PERFPARSE))
    return everything


class Said(NamedTuple):
    """What was made and what differs, line by line; and is a table that was there another one than the loader writes to?"""

    lines: list[str]
    differs: bool


def init_database(config: Config) -> Said:
    """Make what is missing and compare the rest. The two users' accounts are made, too, with the passwords of the
    configuration; without one the statements are among the lines, for a person to run.

    Connects through [database] socket as the account that is named like the user who runs this, without a password: for root
    that is what MariaDB's unix_socket and MySQL's auth_socket are for. Raises ConfigError without [database] socket, Refused
    on a read-only server (a replica gets the tables from its source) and where PerfParse's tables are those of 2007, Failed
    when the server does not let us.
    """
    section = config.database
    if section.socket is None:
        raise ConfigError("[database] socket is not set", hint="socket = /run/mysqld/mysqld.sock, on both hosts")
    account = pwd.getpwuid(os.geteuid()).pw_name
    hint = f"run it as root on {config.this_name}, where the server knows root@localhost by the socket"
    try:
        with (
            mysql.told(f"the database cannot be set up as {account}", hint=hint),
            mysql.connection(timeout=section.timeout, user=account, password="", socket=section.socket, autocommit=True) as server,
            server.cursor() as cursor,
        ):
            version = str(_one(cursor, "SELECT VERSION()"))
            tables = _set_up(cursor, wanted(config))
            statements = grants(config, [_address(host.address) for host in config.hosts], version)
            accounts = _make_accounts(cursor, config, statements)
    except FailoverError as error:
        error.host = config.this_name
        raise
    return Said([*tables.lines, *mismatches(config), *accounts], tables.differs)


def _make_accounts(cursor: Cursor, config: Config, statements: Sequence[str]) -> list[str]:
    """Run the statements, on this server alone (the other one makes its own). Without a password to give them they are for a
    person to run."""
    passwords = {"'PASSWORD OF [database]'": config.database.password, "'PASSWORD OF [heartbeat]'": config.heartbeat.password}
    if any(word in statement and not password for statement in statements for word, password in passwords.items()):
        told = "Run as the server's administrator, with your passwords in place of the words:"
        return [told, *(f"  {line}" for line in statements)]
    cursor.execute("SET SESSION sql_log_bin = 0")
    for statement in statements:
        known = [password for word, password in passwords.items() if word in statement]
        for word in passwords:
            statement = statement.replace(word, "%s")
        cursor.execute(statement, known or None)
        if known:  # it may have been there, with another password
            cursor.execute(statement.replace("CREATE USER IF NOT EXISTS", "ALTER USER"), known)
    cursor.execute("SET SESSION sql_log_bin = 1")
    names = dict.fromkeys(f"{user}@{host}" for user, host in re.findall(r" TO '([^']*)'@'([^']*)'", "\n".join(statements)))
    return [f"accounts {', '.join(names)} have what they need"]


def _set_up(cursor: Cursor, everything: Sequence[Wanted]) -> Said:
    for each in everything:
        _refuse_2007(each, _found(cursor, each.database))
    lines, differs = _make_missing(cursor, everything), False
    for each in everything:
        said = _compared(each, _found(cursor, each.database))
        lines.extend(said.lines)
        differs |= said.differs
    return Said(lines, differs)


def _refuse_2007(each: Wanted, found: Mapping[str, Found]) -> None:
    if perfparse_tables.is_layout_of_2007({name: table.columns for name, table in found.items()}):
        raise Refused(
            f"the tables of {each.database} are PerfParse's of 2007 (0.106.2: rows by metric_id, times as numbers), and the loader "
            "writes those of 2005",
            hint="name another database in [perfdata] database; what the old one holds stays as it is",
        )


def _compared(each: Wanted, found: Mapping[str, Found]) -> Said:
    """A line for tables that are as they should be, and one for each difference."""
    lines: list[str] = []
    well: list[str] = []
    for table in each.tables:
        there = found[table.name]
        if differs := table.differences(there, origin=each.origin):
            lines.append(f"the table {each.database}.{table.name} differs from {each.origin}'s:")
            lines.extend(f"  {line}" for line in differs)
        else:
            well.append(table.name)
    if len(each.tables) == 1 and well:
        lines.append(f"the table {each.database}.{well[0]} is as {each.origin} has it")
    elif well:
        lines.append(f"{len(well)} of {len(each.tables)} tables of {each.database} are as the loader writes them")
    return Said(lines, differs=len(well) < len(each.tables))


def _make_missing(cursor: Cursor, everything: Sequence[Wanted]) -> list[str]:
    missing: dict[str, list[str]] = {}
    for each in everything:
        if not _one(cursor, "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = %s", each.database):
            missing[f"the database {each.database}"] = [f"CREATE DATABASE `{each.database}`"]
        there = _found(cursor, each.database)
        absent = [table for table in each.tables if table.name not in there]
        if absent:
            many = f"{len(absent)} tables in {each.database}"
            what = f"the table {each.database}.{absent[0].name}" if len(absent) == 1 else many
            missing[what] = [table.create(each.database) for table in absent]
    if missing and int(_one(cursor, "SELECT @@GLOBAL.read_only") or 0):
        # root may write on a read-only replica, and what it makes there is on no other server
        raise Refused(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing, and this host's server is read-only",
            hint="run init-database on the host whose server is the source; replication brings it here",
        )
    cursor.execute("SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION'")  # Nagios 1.x's defaults are zero dates
    for statements in missing.values():
        for statement in statements:
            cursor.execute(statement)
    return [f"made {what}" for what in missing]


def _found(cursor: Cursor, database: str) -> dict[str, Found]:
    """The tables of a database; none where there is no such database."""
    cursor.execute("SELECT table_name, COALESCE(engine, '') FROM information_schema.tables WHERE table_schema = %s", (database,))
    engines = dict(cursor.fetchall())
    found = {str(table): Found({}, str(engine), [], [], []) for table, engine in engines.items()}
    cursor.execute(
        "SELECT table_name, column_name, column_type, is_nullable, extra, COALESCE(collation_name, '') "
        "FROM information_schema.columns WHERE table_schema = %s ORDER BY table_name, ordinal_position",
        (database,),
    )
    for table, name, kind, null, extra, collation in cursor.fetchall():
        there = found[str(table)]
        there.columns[str(name)] = f"{kind}{'' if null == 'NO' else ' NULL'}"
        if "auto_increment" in str(extra).lower():
            there.numbered.append(str(name))
        if collation and collation not in there.collations:
            there.collations.append(str(collation))
    cursor.execute(
        "SELECT table_name, index_name, MIN(non_unique), "
        "GROUP_CONCAT(CONCAT(column_name, IF(sub_part IS NULL, '', CONCAT('(', sub_part, ')'))) ORDER BY seq_in_index) "
        "FROM information_schema.statistics WHERE table_schema = %s GROUP BY 1, 2",
        (database,),
    )
    for table, name, repeated, columns in cursor.fetchall():
        found[str(table)].keys.append(Key(str(name), not repeated, tuple(str(columns).split(","))))
    return found


def _one(cursor: Cursor, query: str, *arguments: str) -> Any:
    cursor.execute(query, arguments)
    return (cursor.fetchone() or (None,))[0]


def _address(name: str) -> str:
    """The address that a server without reverse lookups sees; the name itself where it is unknown here."""
    try:
        return str(socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError:
        return name


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
    table = f"`{loader.database}`.{PROGRAMSTATUS.name}"
    statements = [
        f"CREATE USER IF NOT EXISTS '{loader.user}'@'localhost' IDENTIFIED {known};",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO '{loader.user}'@'localhost';",
    ]
    if config.perfdata.load:
        # in a GRANT on a whole database _ stands for any character
        database = re.sub(r"([_%])", r"\\\1", config.perfdata.database)
        statements.append(f"GRANT SELECT, INSERT, UPDATE, DELETE ON `{database}`.* TO '{loader.user}'@'localhost';")
    tls = " REQUIRE SSL" if watcher.tls_ca else ""
    for address in addresses:
        user = f"'{watcher.user}'@'{address}'"
        statements.append(f"CREATE USER IF NOT EXISTS {user} IDENTIFIED BY 'PASSWORD OF [heartbeat]'{tls};")
        statements.append(f"GRANT SELECT ON {table} TO {user};")
    return statements
