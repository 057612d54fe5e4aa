"""Connecting to MySQL and MariaDB, with time limits on everything and errors told apart.

PyMySQL's connect_timeout does not cover the handshake and its read_timeout defaults to None: both are always set here. Without
`ssl_disabled` a connection loads the system's CA bundle (47 ms CPU) and then does not verify anything: TLS is verified or off.
"""

from __future__ import annotations

import socket as socket_module
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nagios_failover.errors import Failed
from nagios_failover.evidence import Blocked, NoAnswer
from nagios_failover.load_data import guarded_connection

if TYPE_CHECKING:
    from pymysql.connections import Connection

_REFUSED_US = {
    1045: ("access denied", "compare user and password with the server's GRANTs"),
    1698: ("access denied", "compare user, host and password with the server's GRANTs"),
    1040: ("too many connections", "raise max_connections, or find who holds them"),
    1044: ("no right to the database", "GRANT SELECT on it to the watching user"),
    1049: ("no such database", "nagios-failover init-database on the master"),
    1142: ("no right to the table", "GRANT SELECT on it to the watching user"),
    1227: ("a right is missing", "compare the user's GRANTs with the README's"),
    1146: ("no such table", "nagios-failover init-database on the master; compare [heartbeat] schema"),
    1054: ("a column is missing", "compare [{section}] schema with the database"),
    1130: ("this host is not allowed to connect", "GRANT to the watching user at this host's address"),
    1129: ("this host is blocked by the server", "mariadb-admin flush-hosts"),
    1203: ("too many connections of this user", "raise max_user_connections"),
    1226: ("a resource limit of this user is used up", "raise it"),
    2026: ("TLS failed", "compare [{section}] tls_ca with the server's certificate"),
    2061: ("the server wants TLS for this password", "set [{section}] tls_ca, or pip install cryptography"),
}


def load() -> Any:
    """The pymysql module, imported without `cryptography`, which is half of what the import costs (28 ms CPU, every look).

    It encrypts a password for MySQL's caching_sha2_password where there is no TLS and the server has not got it cached;
    `connection` fetches it when a server asks for that."""
    import sys

    if "pymysql" not in sys.modules and "cryptography" not in sys.modules:
        sys.modules["cryptography"] = None  # type: ignore[assignment]
        try:
            import pymysql
        finally:
            del sys.modules["cryptography"]
    import pymysql

    return pymysql


def _connect(**options: Any) -> Connection[Any]:
    pymysql = load()
    connect = guarded_connection(pymysql) if options["local_infile"] else pymysql.connect
    try:
        opened: Connection[Any] = connect(**options)
    except RuntimeError as error:
        if "cryptography" not in str(error):
            raise
        import importlib

        if not importlib.reload(pymysql._auth)._have_cryptography:
            raise pymysql.OperationalError(2061, str(error)) from error
        opened = connect(**options)
    return opened


@contextmanager
def connection(
    *,
    timeout: float,
    user: str,
    password: str,
    database: str | None = None,
    host: str | None = None,
    port: int = 3306,
    socket: Path | None = None,
    tls_ca: Path | None = None,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    time_zone: str = "+00:00",
    local_infile: bool = False,
    autocommit: bool = False,
) -> Iterator[Connection[Any]]:
    """An open connection whose every wait is limited to `timeout` seconds. Raises pymysql.MySQLError."""
    tls: dict[str, Any] = {"ssl_disabled": True}
    if tls_ca:
        tls = {"ssl_ca": str(tls_ca), "ssl_verify_cert": True, "ssl_verify_identity": True}
        if tls_cert and tls_key:
            tls |= {"ssl_cert": str(tls_cert), "ssl_key": str(tls_key)}
    where: dict[str, Any] = {"unix_socket": str(socket)} if socket else {"host": host, "port": port}
    opened = _connect(
        user=user,
        password=password,
        database=database,
        connect_timeout=max(1, round(timeout)),
        read_timeout=timeout,
        write_timeout=timeout,
        init_command=f"SET time_zone = '{_zone(time_zone)}'",
        autocommit=autocommit,
        local_infile=local_infile,
        **where,
        **tls,
    )
    try:
        yield opened
    finally:
        opened.close()


def _zone(name: str) -> str:
    if not all(character.isalnum() or character in "+-:/_" for character in name):
        raise ValueError(f"not a time zone: {name!r}")
    return name


def classify(error: BaseException, *, section: str = "heartbeat") -> NoAnswer | Blocked:
    """Did the server not answer, or did it (or TLS, or the rights) keep us from looking? `section` is the configuration's that a
    hint names."""
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    text = str(error.args[1] if len(error.args) > 1 else error)
    if isinstance(getattr(error, "original_exception", error), socket_module.gaierror):
        return Blocked(f"its name cannot be resolved ({text})", "write an IP address into [host] address")
    if code in _REFUSED_US or "certificate" in text.lower() or "SSL" in text:
        reason, hint = _REFUSED_US.get(code, _REFUSED_US[2026])
        return Blocked(f"{reason} ({code}: {text})", hint.format(section=section))
    if code in (2002, 2003, 2005, 2006, 2013, 0) or isinstance(error, OSError):
        return NoAnswer(f"{text} ({code})" if code else text)
    return Blocked(f"{text} ({code})", "see the server's error log")


WRITE_HINT = "nagios-failover init-database makes what is missing, and says what differs and which rights [database] user needs"


@contextmanager
def told(what: str, *, hint: str) -> Iterator[None]:
    """What the server or the driver raises, as one Failed with its reason."""
    import pymysql

    try:
        yield
    except (pymysql.MySQLError, OSError, ValueError) as error:
        if error.args and error.args[0] == 1290:
            raise Failed(f"{what}: this host's server is read-only", hint="who is the source? nagios-failover status") from error
        answer = classify(error)
        hint = hint if isinstance(answer, Blocked) else "is this host's database server running?"
        raise Failed(f"{what}: {answer.reason}", hint=hint) from error
