"""The source that is being replaced, as long as it can still be read: nothing may be written there any more."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import NamedTuple

from nagios_failover.config import Config
from nagios_failover.database_server import Server
from nagios_failover.errors import DatabaseFault

_LOCK_WAIT_TIMEOUT = 1205
END_SECONDS = 5.0
"""A connection that was killed in the middle of a commit finishes that; one that rolls much back may take minutes."""


class Silenced(NamedTuple):
    """How far the server has come (a GTID), how many connections were ended, and how many of them were still there at the end."""

    position: str
    ended: int
    lingering: int = 0

    @property
    def words(self) -> str:
        lingering = f", {self.lingering} of them not gone after {END_SECONDS:g} s" if self.lingering else ""
        return f"{self.ended} connections ended{lingering}"


def silence(server: Server, config: Config) -> Silenced:
    """Make it read-only and end its clients' connections, so that nothing is acknowledged there any more. Raises DatabaseFault.

    A client that holds a table's lock keeps a server from becoming read-only: it is ended first then. The position is read when
    they are gone: the commit in which a client was met is still written."""
    dialect = server.dialect
    ended: set[int] = set()
    server.do(["SET SESSION lock_wait_timeout = 1"])
    try:
        server.do(dialect.make_read_only)
    except DatabaseFault as error:
        if error.code != _LOCK_WAIT_TIMEOUT:
            raise
        ended |= _end_clients(server, config)
        server.do(dialect.make_read_only)
    ended |= _end_clients(server, config)
    lingering = _wait_until_gone(server, ended)
    position = "".join(server.value(dialect.gtid_of_the_binlog).split())  # MySQL breaks its sets into lines
    return Silenced(position, len(ended), len(lingering))


def _end_clients(server: Server, config: Config) -> set[int]:
    """Everybody but the replicas and ourselves: read_only does not hold back who has the right to write all the same."""
    ended: set[int] = set()
    for session in server.rows(server.dialect.sessions):
        if session["command"] in server.dialect.dump_commands or session["user"] == config.replication.user:
            continue
        with suppress(DatabaseFault):  # it has gone by itself
            server.do([server.dialect.kill(int(session["id"]))])
            ended.add(int(session["id"]))
    return ended


def _wait_until_gone(server: Server, ended: set[int]) -> set[int]:
    """Who of them is still there after END_SECONDS."""
    deadline = time.monotonic() + END_SECONDS
    while True:
        lingering = ended & {int(session["id"]) for session in server.rows(server.dialect.sessions)} if ended else ended
        if not lingering or time.monotonic() >= deadline:
            return lingering
        time.sleep(0.02)
