"""The two dialects of SQL that replication speaks, MariaDB's and MySQL's, behind one interface. Pure: statements go out as text.

`dialect_of` chooses by what the server says of itself. MariaDB 10.5 and MySQL 8.4 and later are acted upon; MySQL 8.0 and 5.7
are watched only; what is older is refused. The old spellings of both stand here, in replica_status.py (columns) and in
server_settings.py (settings), and nowhere else.

What is acted with was tried on MariaDB 10.11 and MySQL 9.7; what MySQL 8.0 and 5.7 say is taken from the vendor's manual.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from nagios_failover.errors import Refused
from nagios_failover.frozen import frozen
from nagios_failover.gtid import count_of_set, fork, history_at, minus, transactions_between


class Statement(NamedTuple):
    """SQL, and the values for its %s (the driver quotes them)."""

    sql: str
    values: tuple[object, ...] = ()


Ask = Callable[[Statement], str]
"""Runs a statement that returns one value, on any server of the pair."""

Rows = Callable[[Statement], list[dict[str, Any]]]
"""Runs a statement on one connection; a dict for each row."""


@frozen
class Link:
    """How a replica reaches its source. Without `tls_ca` the link is plain."""

    host: str
    port: int
    user: str
    password: str
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    connect_retry: float = 5.0
    heartbeat_period: float = 2.0


@frozen
class SemiSyncNames:
    """Variables that switch semi-synchronous replication on, and status variables that tell whether it is. A server that lacks
    them has not got the plugin."""

    source_enabled: str
    replica_enabled: str
    source_timeout: str
    source_status: str
    source_clients: str
    replica_status: str

    @property
    def all(self) -> tuple[str, ...]:
        return (
            self.source_enabled,
            self.replica_enabled,
            self.source_timeout,
            self.source_status,
            self.source_clients,
            self.replica_status,
        )


class Dialect(ABC):
    """What is said alike in both dialects is said here."""

    name: ClassVar[str]
    acts_from: ClassVar[tuple[int, int]]
    semi_sync: SemiSyncNames

    replica_status: str
    """A row for each source; replica_status.parse reads it."""
    heartbeats: str
    """One value: how many heartbeats the replica has received; "" where its status row says so itself."""
    gtid_of_the_binlog: str
    """One value: what a source has written so far, the position that its replica waits for."""
    history: str
    """One value: all transactions that a server has ever executed, as `minus` takes them."""
    stop_receiving: str
    stop_replica: str
    start_receiving: str
    stop_applying: str
    start_applying: str
    start_replica: str
    start_discards_relay_log: ClassVar[bool]
    """Is relay log that was not applied thrown away when a thread is started while neither runs? Only the source has it then."""
    forget_replication: str
    make_read_only: tuple[str, ...]
    make_writable: tuple[str, ...]
    is_read_only = "SELECT @@GLOBAL.read_only"
    position: str
    """One value: how far this server's history reaches, where it would go on as a replica."""
    forget_history: tuple[str, ...]
    """Drops the binary logs and every GTID."""
    cannot_go_on: ClassVar[frozenset[int]]
    """Errors of a replica whose source has thrown away what it needs next, or never had what it has."""
    admit_administrator: tuple[str, ...] = ()
    """A server that is read-only takes its administrator's writes then; make_read_only ends that."""
    apply_until: str
    """Applies up to a place in the source's binary log, file %s and offset %s, and stops there; receiving goes on. (To stop at a
    GTID, MariaDB ends the receiving, too, and with semi-synchronous replication that leaves a thread on the source which never
    ends and lets no replica attach again.)"""
    replica_timeout: str
    """The variable after whose seconds a replica notices that its source is silent."""
    sessions: str
    """id, user, host, command: every client's connection but this one, and the threads of replicas that are attached."""
    acting_privileges: tuple[str, ...]
    """What the account of [replication] user needs ON *.*, to watch and to act."""

    replication_privileges: tuple[str, ...] = ("REPLICATION SLAVE",)
    """What the account needs that replicas log in with."""
    dump_commands = ("Binlog Dump", "Binlog Dump GTID")
    """What `sessions` shows of an attached replica."""
    semi_sync_plugins: Mapping[str, str] = {}
    """What is not built in: a variable that it brings -> the statement that installs it."""

    dump_programs: tuple[str, ...]
    """Names of the program that dumps, the first that is there; likewise of the client, and of the one that reads binary logs."""
    load_programs: tuple[str, ...]
    binlog_programs: tuple[str, ...]
    client_package: str
    dump_options: tuple[str, ...]
    """One consistent state, with its position written in the dump as `dump_position` finds it."""
    dump_position: ClassVar[re.Pattern[bytes]]
    dump_position_is: ClassVar[int]
    """0: the first that is found, -1: the last. What is between may be anybody's text."""
    client_options: tuple[str, ...]
    """Lines of an option file: TLS verified, names too, and compressed."""

    def __init__(self, version: str) -> None:
        self.version = version

    @property
    def acts(self) -> bool:
        """May this server be acted upon? Otherwise it is only watched."""
        return number_of(self.version) >= self.acts_from

    def require_acting(self, host: str) -> None:
        """Raises Refused where the server is too old to be acted upon."""
        if not self.acts:
            least = ".".join(map(str, self.acts_from))
            raise Refused(
                f"its {self.name} {self.version} is only watched: promotion and rejoining need {self.name} {least} or later",
                host=host,
                hint="upgrade it, or [replication] promote = no",
            )

    @abstractmethod
    def change_source(self, link: Link) -> Statement:
        """The replica's link, by GTID. Resets what was set before; TLS has to be named every time."""

    def go_on_from(self, position: str) -> list[Statement]:
        """A server that was no replica would go on from its own `position` as one. For MySQL that is so by itself."""
        return []

    @abstractmethod
    def begin_at(self, position: str, history: str) -> list[Statement]:
        """After forget_history, on a copy: its own history is that of its source, `history`, up to `position`, and it would go on
        from there as a replica."""

    @abstractmethod
    def wait_for(self, position: str, seconds: float) -> Statement:
        """One value: 0 as soon as the replica has executed up to `position`, anything else after `seconds`."""

    @abstractmethod
    def count(self, earlier: str, later: str, ask: Ask) -> int | None:
        """How many transactions position `later` has and `earlier` lacks; None where that cannot be told."""

    @abstractmethod
    def minus(self, one: str, other: str, ask: Ask) -> str:
        """The transactions of history `one` that history `other` lacks, "" for none."""

    @abstractmethod
    def snapshot(self, rows: Rows) -> tuple[tuple[str, int], str]:
        """Begin a transaction that sees all as of one place in this source's binary log, (file, offset), and one position."""

    @abstractmethod
    def fork(self, own: str, theirs: str) -> str:
        """Where the binlog tool has to begin to find what history `own` has and `theirs` lacks; "": at the beginning."""

    @abstractmethod
    def binlog_arguments(self, fork: str, errant: str) -> tuple[str, ...]:
        """For the binlog tool: what is `errant`, or everything from the fork on."""

    @abstractmethod
    def count_alone(self, own: str, theirs: str, ask: Ask) -> int | None:
        """How many transactions history `own` has and history `theirs` lacks; None where that cannot be told."""

    def still_logged(self, errant: str, ask: Ask) -> bool:
        """Do this server's binary logs hold all of these? MariaDB's tool tells that by itself."""
        return True

    def semi_sync_source(self, value: str) -> str:
        """`value` is ON or OFF. OFF on every replica: its SQL thread would wait for acknowledgements itself."""
        return f"SET GLOBAL {self.semi_sync.source_enabled} = {value}"

    def semi_sync_replica(self, value: str) -> str:
        return f"SET GLOBAL {self.semi_sync.replica_enabled} = {value}"

    def kill(self, session: int) -> str:
        return f"KILL {int(session)}"


_SNAPSHOT = ("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION WITH CONSISTENT SNAPSHOT")


class MariaDB(Dialect):
    name = "MariaDB"
    acts_from = (10, 5)
    semi_sync = SemiSyncNames(
        "rpl_semi_sync_master_enabled",
        "rpl_semi_sync_slave_enabled",
        "rpl_semi_sync_master_timeout",
        "Rpl_semi_sync_master_status",
        "Rpl_semi_sync_master_clients",
        "Rpl_semi_sync_slave_status",
    )
    replica_status = "SHOW ALL SLAVES STATUS"  # SHOW SLAVE STATUS has neither the executed position nor the heartbeats
    heartbeats = ""
    gtid_of_the_binlog = "SELECT @@GLOBAL.gtid_binlog_pos"
    history = "SELECT CONCAT_WS(',', NULLIF(@@GLOBAL.gtid_binlog_state, ''), NULLIF(@@GLOBAL.gtid_slave_pos, ''))"
    stop_receiving = "STOP SLAVE IO_THREAD"
    stop_replica = "STOP SLAVE"
    start_receiving = "START SLAVE IO_THREAD"
    stop_applying = "STOP SLAVE SQL_THREAD"
    start_applying = "START SLAVE SQL_THREAD"
    start_replica = "START SLAVE"
    start_discards_relay_log = True
    forget_replication = "RESET SLAVE ALL"
    position = "SELECT @@GLOBAL.gtid_current_pos"
    forget_history = ("RESET MASTER", "SET GLOBAL gtid_slave_pos = ''")
    cannot_go_on = frozenset((1236,))
    apply_until = "START SLAVE SQL_THREAD UNTIL MASTER_LOG_FILE = %s, MASTER_LOG_POS = %s"
    make_read_only = ("SET GLOBAL read_only = ON",)
    make_writable = ("SET GLOBAL read_only = OFF",)
    replica_timeout = "slave_net_timeout"
    sessions = (
        "SELECT ID AS id, USER AS user, HOST AS host, COMMAND AS command FROM information_schema.PROCESSLIST "
        "WHERE ID <> CONNECTION_ID() AND COMMAND NOT IN ('Daemon', 'Slave_IO', 'Slave_SQL', 'Slave_worker') "
        "AND USER NOT IN ('system user', 'event_scheduler')"
    )
    acting_privileges = (
        "SLAVE MONITOR",
        "BINLOG MONITOR",
        "REPLICATION SLAVE ADMIN",
        "REPLICATION MASTER ADMIN",
        "READ_ONLY ADMIN",
        "CONNECTION ADMIN",
        "RELOAD",
        "PROCESS",
    )
    replication_privileges = ("REPLICATION SLAVE", "SHOW DATABASES", "SELECT ON mysql.proc")  # the bodies of stored routines
    dump_programs = ("mariadb-dump", "mysqldump")
    load_programs = ("mariadb", "mysql")
    binlog_programs = ("mariadb-binlog", "mysqlbinlog")
    client_package = "mariadb-client"
    dump_options = ("--single-transaction", "--gtid", "--master-data=2")
    dump_position = re.compile(rb"^-- SET GLOBAL gtid_slave_pos='([0-9,-]*)';$", re.M)
    dump_position_is = -1
    client_options = ("ssl-verify-server-cert", "compress")
    binlog_tool_knows_gtids = (10, 8)
    """Since then it takes a GTID position to begin at; before, all of the binary log is saved."""

    def change_source(self, link: Link) -> Statement:
        options = [
            ("MASTER_HOST", link.host),
            ("MASTER_PORT", link.port),
            ("MASTER_USER", link.user),
            ("MASTER_PASSWORD", link.password),
            ("MASTER_CONNECT_RETRY", max(1, round(link.connect_retry))),
            ("MASTER_HEARTBEAT_PERIOD", link.heartbeat_period),
            ("MASTER_SSL", int(link.tls_ca is not None)),
            ("MASTER_SSL_CA", str(link.tls_ca or "")),
            ("MASTER_SSL_CERT", str(link.tls_cert or "")),
            ("MASTER_SSL_KEY", str(link.tls_key or "")),
            ("MASTER_SSL_VERIFY_SERVER_CERT", int(link.tls_ca is not None)),
        ]
        return _change("CHANGE MASTER TO", options, "MASTER_USE_GTID = slave_pos")

    def begin_at(self, position: str, history: str) -> list[Statement]:
        """By gtid_slave_pos alone it would not know what servers other than the last one wrote, as soon as it is the source: an old
        source with nothing but a part of the same history would then seem to have transactions of its own."""
        state = Statement("SET GLOBAL gtid_binlog_state = %s", (history_at(position, history),))
        return [state, *self.go_on_from(position)]

    def go_on_from(self, position: str) -> list[Statement]:
        return [Statement("SET GLOBAL gtid_slave_pos = %s", (position,))]

    def wait_for(self, position: str, seconds: float) -> Statement:
        return Statement("SELECT MASTER_GTID_WAIT(%s, %s)", (position, seconds))

    def count(self, earlier: str, later: str, ask: Ask) -> int | None:
        return transactions_between(earlier, later)

    def minus(self, one: str, other: str, ask: Ask) -> str:
        return minus(one, other)

    def snapshot(self, rows: Rows) -> tuple[tuple[str, int], str]:
        for sql in _SNAPSHOT:
            rows(Statement(sql))
        answer = rows(Statement("SHOW STATUS LIKE 'Binlog_snapshot_%'"))
        found = {str(row["Variable_name"]).lower(): str(row["Value"]) for row in answer}
        place = (found["binlog_snapshot_file"], int(found["binlog_snapshot_position"]))
        position = rows(Statement("SELECT BINLOG_GTID_POS(%s, %s) AS position", place))[0]["position"]
        return place, str(position or "")

    def fork(self, own: str, theirs: str) -> str:
        return fork(own, theirs) if number_of(self.version) >= self.binlog_tool_knows_gtids else ""

    def binlog_arguments(self, fork: str, errant: str) -> tuple[str, ...]:
        return (f"--start-position={fork}",) if fork else ()

    def count_alone(self, own: str, theirs: str, ask: Ask) -> int | None:
        return transactions_between(fork(own, theirs), minus(own, theirs))


_EXECUTED = "SELECT REPLACE(@@GLOBAL.gtid_executed, CHAR(10), '')"


class MySQL(Dialect):
    """MySQL 8.4 and later, and its likes (Percona Server)."""

    name = "MySQL"
    acts_from = (8, 4)
    semi_sync = SemiSyncNames(
        "rpl_semi_sync_source_enabled",
        "rpl_semi_sync_replica_enabled",
        "rpl_semi_sync_source_timeout",
        "Rpl_semi_sync_source_status",
        "Rpl_semi_sync_source_clients",
        "Rpl_semi_sync_replica_status",
    )
    replica_status = "SHOW REPLICA STATUS"
    heartbeats = "SELECT SUM(COUNT_RECEIVED_HEARTBEATS) FROM performance_schema.replication_connection_status"
    gtid_of_the_binlog = _EXECUTED
    history = _EXECUTED
    stop_receiving = "STOP REPLICA IO_THREAD"
    stop_replica = "STOP REPLICA"
    start_receiving = "START REPLICA IO_THREAD"
    stop_applying = "STOP REPLICA SQL_THREAD"
    start_applying = "START REPLICA SQL_THREAD"
    start_replica = "START REPLICA"
    start_discards_relay_log = False
    forget_replication = "RESET REPLICA ALL"
    position = _EXECUTED
    forget_history = ("RESET BINARY LOGS AND GTIDS",)
    cannot_go_on = frozenset((1236, 13114))
    admit_administrator = ("SET GLOBAL super_read_only = OFF",)
    apply_until = "START REPLICA SQL_THREAD UNTIL SOURCE_LOG_FILE = %s, SOURCE_LOG_POS = %s"
    # Never SET PERSIST: what is persisted outranks the role's drop-in at the next start, so that a crashed old source, told by
    # its drop-in to be a replica, would come back writable.
    make_read_only = ("SET GLOBAL super_read_only = ON",)
    make_writable = ("SET GLOBAL super_read_only = OFF", "SET GLOBAL read_only = OFF")
    replica_timeout = "replica_net_timeout"
    sessions = (
        "SELECT ID AS id, USER AS user, HOST AS host, COMMAND AS command FROM performance_schema.processlist "
        "WHERE ID <> CONNECTION_ID() AND COMMAND <> 'Daemon' "
        "AND USER NOT IN ('system user', 'event_scheduler', 'mysql.session')"
    )
    acting_privileges = (
        "REPLICATION CLIENT",
        "REPLICATION_SLAVE_ADMIN",
        "SYSTEM_VARIABLES_ADMIN",
        "CONNECTION_ADMIN",
        "RELOAD",
        "PROCESS",
        "SELECT ON performance_schema.replication_connection_status",
        "SELECT ON performance_schema.processlist",
    )
    replication_privileges = ("REPLICATION SLAVE", "REPLICATION CLIENT", "SHOW DATABASES", "SHOW_ROUTINE", "FLUSH_TABLES")
    semi_sync_plugins = {  # noqa: RUF012
        f"rpl_semi_sync_{part}_enabled": f"INSTALL PLUGIN rpl_semi_sync_{part} SONAME 'semisync_{part}.so'"
        for part in ("source", "replica")
    }
    dump_programs = ("mysqldump",)
    load_programs = ("mysql",)
    binlog_programs = ("mysqlbinlog",)
    client_package = "mysql-client"
    dump_options = ("--single-transaction", "--set-gtid-purged=COMMENTED", "--no-tablespaces")
    dump_position = re.compile(rb"^/\* SET @@GLOBAL\.GTID_PURGED='\+?([0-9A-Za-z_:,\s-]*)';\*/$", re.M)
    dump_position_is = 0
    client_options = ("ssl-mode = VERIFY_IDENTITY", "compression-algorithms = zlib,uncompressed")

    def change_source(self, link: Link) -> Statement:
        options = [
            ("SOURCE_HOST", link.host),
            ("SOURCE_PORT", link.port),
            ("SOURCE_USER", link.user),
            ("SOURCE_PASSWORD", link.password),
            ("SOURCE_CONNECT_RETRY", max(1, round(link.connect_retry))),
            ("SOURCE_RETRY_COUNT", 0),  # without end; 10 tries is MySQL's own
            ("SOURCE_HEARTBEAT_PERIOD", link.heartbeat_period),
            ("SOURCE_SSL", int(link.tls_ca is not None)),
            ("SOURCE_SSL_CA", str(link.tls_ca or "")),
            ("SOURCE_SSL_CERT", str(link.tls_cert or "")),
            ("SOURCE_SSL_KEY", str(link.tls_key or "")),
            ("SOURCE_SSL_VERIFY_SERVER_CERT", int(link.tls_ca is not None)),
            ("GET_SOURCE_PUBLIC_KEY", int(link.tls_ca is None)),
        ]
        return _change("CHANGE REPLICATION SOURCE TO", options, "SOURCE_AUTO_POSITION = 1")

    def begin_at(self, position: str, history: str) -> list[Statement]:
        return [Statement("SET GLOBAL gtid_purged = %s", (position,))]

    def wait_for(self, position: str, seconds: float) -> Statement:
        return Statement("SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, %s)", (position, seconds))

    def count(self, earlier: str, later: str, ask: Ask) -> int | None:
        return count_of_set(self.minus(later, earlier, ask))

    def minus(self, one: str, other: str, ask: Ask) -> str:
        return "".join(ask(Statement("SELECT GTID_SUBTRACT(%s, %s)", (one, other))).split())

    def snapshot(self, rows: Rows) -> tuple[tuple[str, int], str]:
        """A transaction does not know its place: for the moment in which it begins nobody may commit."""
        rows(Statement("SET SESSION lock_wait_timeout = 5"))
        rows(Statement("FLUSH TABLES WITH READ LOCK"))
        try:
            for sql in _SNAPSHOT:
                rows(Statement(sql))
            found = rows(Statement("SHOW BINARY LOG STATUS"))[0]
        finally:
            rows(Statement("UNLOCK TABLES"))
        return (str(found["File"]), int(found["Position"])), "".join(str(found["Executed_Gtid_Set"]).split())

    def fork(self, own: str, theirs: str) -> str:
        return ""

    def binlog_arguments(self, fork: str, errant: str) -> tuple[str, ...]:
        return (f"--include-gtids={errant}",)

    def count_alone(self, own: str, theirs: str, ask: Ask) -> int | None:
        return count_of_set(self.minus(own, theirs, ask))

    def still_logged(self, errant: str, ask: Ask) -> bool:
        return self.minus(errant, ask(Statement("SELECT @@GLOBAL.gtid_purged")), ask) == errant


class OldMySQL(MySQL):
    """MySQL 8.0 and 5.7, watched only. The names are those of the vendor's manuals: MySQL 8.0 Reference Manual, 15.7.7.35 SHOW
    REPLICA STATUS Statement; MySQL 5.7 Reference Manual, SHOW SLAVE STATUS Statement."""

    replica_status = "SHOW SLAVE STATUS"  # 8.0.22 has the new statement, and keeps the old one
    replica_timeout = "slave_net_timeout"
    semi_sync = SemiSyncNames(
        "rpl_semi_sync_master_enabled",
        "rpl_semi_sync_slave_enabled",
        "rpl_semi_sync_master_timeout",
        "Rpl_semi_sync_master_status",
        "Rpl_semi_sync_master_clients",
        "Rpl_semi_sync_slave_status",
    )
    sessions = MySQL.sessions.replace("performance_schema.processlist", "information_schema.PROCESSLIST")


class Part(StrEnum):
    """What a server is in the pair."""

    SOURCE = "source"
    HELD = "source, held read-only until it is known who is the master"
    REPLICA = "replica"


def drop_in(part: Part, *, semi_sync: bool) -> str:
    """The file that mysqld reads at its next start, one text for both dialects: what a server does not know it skips (loose_).

    init_rpl_role: a source that crashed and starts as a replica gives up the end of its binary log, which may not have been
    acknowledged (MariaDB takes away what InnoDB had only prepared: the last transaction as a rule, acknowledged or not; seen with
    10.11). A source, also one that is held, keeps it: its replica may have it."""
    source = part is Part.SOURCE
    keeps = part is not Part.REPLICA
    waits = "ON" if source and semi_sync else "OFF"
    acknowledges = "ON" if semi_sync else "OFF"
    return f"""# Written by nagios-failover-root: this host's database is the {part}. Replaced with the role; do not edit.
[mysqld]
read_only = {"OFF" if source else "ON"}
loose_super_read_only = {"OFF" if source else "ON"}
loose_skip_slave_start = {"ON" if keeps else "OFF"}
loose_skip_replica_start = {"ON" if keeps else "OFF"}
loose_init_rpl_role = {"MASTER" if keeps else "SLAVE"}
loose_rpl_semi_sync_master_enabled = {waits}
loose_rpl_semi_sync_source_enabled = {waits}
loose_rpl_semi_sync_slave_enabled = {acknowledges}
loose_rpl_semi_sync_replica_enabled = {acknowledges}
"""


WHICH = "SELECT CONCAT(VERSION(), ' ', @@version_comment)"
"""One value, for dialect_of."""


def dialect_of(said: str, host: str) -> Dialect:
    """The dialect of a server that answered WHICH with `said`. Raises Refused for one that is too old or unknown."""
    version = said.partition(" ")[0].partition("-")[0]
    number = number_of(version)
    if "mariadb" in said.lower():
        if number >= MariaDB.acts_from:
            return MariaDB(version)
        raise Refused(f"its MariaDB {version} is too old", host=host, hint="MariaDB 10.5 or later")
    if number >= MySQL.acts_from:
        return MySQL(version)
    if number >= (5, 7):
        return OldMySQL(version)
    hint = "MySQL 8.4 or later (8.0 and 5.7 can be watched), or MariaDB 10.5 or later"
    raise Refused(f"its MySQL {version} is too old", host=host, hint=hint)


def number_of(version: str) -> tuple[int, int]:
    """`10.11.6` -> (10, 11); (0, 0) for what is no version."""
    found = re.match(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _change(verb: str, options: list[tuple[str, object]], last: str) -> Statement:
    listed = ", ".join(f"{name} = %s" for name, _ in options)
    return Statement(f"{verb} {listed}, {last}", tuple(value for _, value in options))
