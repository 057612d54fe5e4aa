"""The source that is being replaced, as long as it can still be read: nothing may be written there any more."""

from __future__ import annotations

from contextlib import suppress

from nagios_failover.config import Config
from nagios_failover.database_server import Server
from nagios_failover.errors import DatabaseFault

_LOCK_WAIT_TIMEOUT = 1205


def silence(server: Server, config: Config) -> tuple[str, int]:
    """Make it read-only and end its clients' connections, so that nothing is acknowledged there any more. Returns how far it had
    come (a GTID), and how many connections were ended. Raises DatabaseFault.

    A client that holds a table's lock keeps a server from becoming read-only: it is ended first then."""
    dialect, ended = server.dialect, 0
    server.do(["SET SESSION lock_wait_timeout = 1"])
    try:
        server.do(dialect.make_read_only)
    except DatabaseFault as error:
        if error.code != _LOCK_WAIT_TIMEOUT:
            raise
        ended += _end_clients(server, config)
        server.do(dialect.make_read_only)
    ended += _end_clients(server, config)
    return "".join(server.value(dialect.gtid_of_the_binlog).split()), ended  # MySQL breaks its sets into lines


def _end_clients(server: Server, config: Config) -> int:
    """Everybody but the replicas and ourselves: read_only does not hold back who has the right to write all the same."""
    ended = 0
    for session in server.rows(server.dialect.sessions):
        if session["command"] in server.dialect.dump_commands or session["user"] == config.replication.user:
            continue
        with suppress(DatabaseFault):  # it has gone by itself
            server.do([server.dialect.kill(int(session["id"]))])
            ended += 1
    return ended
