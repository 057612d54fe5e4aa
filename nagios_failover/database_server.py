"""A connection to a server of the pair as the account of [replication] user: local over the socket, the other over TCP.

Each connection and each statement ends within [replication] timeout, so that a frozen mysqld hangs nobody. What the server or
the driver raises comes out as DatabaseFault.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nagios_failover import mysql, replica_status
from nagios_failover.config import Config
from nagios_failover.dialect import WHICH, Dialect, Statement, dialect_of
from nagios_failover.errors import CouldNotLook, DatabaseFault
from nagios_failover.evidence import Blocked
from nagios_failover.replica_status import ReplicaStatus

if TYPE_CHECKING:
    from pymysql.connections import Connection


class Server:
    """An open connection. `host` is the name of the host that the server runs on."""

    def __init__(self, connection: Connection[Any], host: str) -> None:
        self._connection = connection
        self.host = host
        self.dialect: Dialect = dialect_of(self.value(WHICH), host)

    def rows(self, statement: Statement | str) -> list[dict[str, Any]]:
        """What it returns, a dict for each row. Raises DatabaseFault."""
        sql, values = statement if isinstance(statement, Statement) else Statement(statement)
        pymysql = mysql.load()
        with _told(self.host), self._connection.cursor(pymysql.cursors.DictCursor) as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall())

    def value(self, statement: Statement | str) -> str:
        """The one value that it returns, "" for none and for NULL. Raises DatabaseFault."""
        found = self.rows(statement)
        value = next(iter(found[0].values())) if found else None
        return "" if value is None else str(value)

    def do(self, statements: Sequence[Statement | str]) -> None:
        """One after the other. Raises DatabaseFault."""
        for statement in statements:
            self.rows(statement)

    def minus(self, one: str, other: str) -> str:
        """The transactions of history `one` that history `other` lacks."""
        return self.dialect.minus(one, other, self.value)

    def count(self, earlier: str, later: str) -> int | None:
        """How many transactions position `later` has and `earlier` lacks; None where that cannot be told."""
        return self.dialect.count(earlier, later, self.value)

    def replica_status(self) -> ReplicaStatus | None:
        """None: it is no replica. Raises CouldNotLook for a server with several sources."""
        rows = self.rows(self.dialect.replica_status)
        if len(rows) > 1:
            raise CouldNotLook(
                f"its server has {len(rows)} sources", host=self.host, hint="a pair replicates over one unnamed connection"
            )
        return replica_status.parse(rows[0]) if rows else None

    def variables(self, names: Sequence[str]) -> dict[str, str]:
        """Variables and status variables by their names in small letters; those that the server does not have are left out."""
        found: dict[str, str] = {}
        listed = ", ".join(["%s"] * len(names))
        for kind in ("VARIABLES", "STATUS"):
            rows = self.rows(Statement(f"SHOW GLOBAL {kind} WHERE Variable_name IN ({listed})", tuple(names)))
            found.update({str(row["Variable_name"]).lower(): str(row["Value"]) for row in rows})
        return found

    def is_read_only(self) -> bool:
        return self.value(self.dialect.is_read_only) == "1"

    def acknowledge_nothing(self) -> None:
        """The source's side of semi-synchronous replication off, where the server has got it."""
        if self.variables([self.dialect.semi_sync.source_enabled]):
            self.do([self.dialect.semi_sync_source("OFF")])

    @contextmanager
    def admitting_administrator(self) -> Iterator[None]:
        """One that is read-only takes its administrator's writes meanwhile, and nobody else's."""
        closed = self.is_read_only() and bool(self.dialect.admit_administrator)
        if closed:
            self.do(self.dialect.admit_administrator)
        try:
            yield
        finally:
            if closed and self.is_read_only():  # else it was promoted meanwhile
                self.do(self.dialect.make_read_only)


@contextmanager
def own_server(config: Config, *, timeout: float | None = None) -> Iterator[Server]:
    """This host's server. Raises DatabaseFault, and Refused for one that is too old."""
    with _connected(config.this.name, config, timeout, socket=config.database.socket) as server:
        yield server


@contextmanager
def peer_server(config: Config, *, timeout: float | None = None) -> Iterator[Server]:
    """The other host's server, over verified TLS where [replication] tls_ca is set."""
    replication = config.replication
    with _connected(
        config.peer.name,
        config,
        timeout,
        host=config.peer.address,
        port=replication.port,
        tls_ca=replication.tls_ca,
        tls_cert=replication.tls_cert,
        tls_key=replication.tls_key,
    ) as server:
        yield server


@contextmanager
def _connected(name: str, config: Config, timeout: float | None, **where: Any) -> Iterator[Server]:
    replication = config.replication
    opened = mysql.connection(
        user=replication.user,
        password=replication.password,
        timeout=timeout or replication.timeout,
        autocommit=True,
        **where,
    )
    with _told(name):
        connection = opened.__enter__()
    try:
        yield Server(connection, name)
    finally:
        opened.__exit__(None, None, None)


@contextmanager
def _told(host: str) -> Iterator[None]:
    """What the driver raises, as a DatabaseFault with its reason."""
    try:
        pymysql = mysql.load()
    except ImportError as error:
        raise DatabaseFault(
            f"PyMySQL is not installed ({error})", host=host, hint="pip install PyMySQL in the suite's virtual environment"
        ) from error
    try:
        yield
    except (pymysql.MySQLError, OSError) as error:
        answer = mysql.classify(error, section="replication")
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        answered = isinstance(answer, Blocked)
        hint = answer.hint if isinstance(answer, Blocked) else "is its database server running?"
        raise DatabaseFault(f"database: {answer.reason}", host=host, hint=hint, code=code, answered=answered) from error
