"""Does this host's own replica still hear from its source? That its I/O thread runs stays true for a minute after a power cut (by
default), so that only what was received counts: a counter that grows with every heartbeat and every event."""

from __future__ import annotations

from nagios_failover.config import Config
from nagios_failover.database_server import Server, own_server
from nagios_failover.errors import DatabaseFault, FailoverError
from nagios_failover.evidence import Blocked, NoAnswer
from nagios_failover.replica_status import ReplicaStatus


def received(config: Config) -> int | NoAnswer | Blocked:
    """The counter of this host's server. It grows while the source lives; by how much means nothing."""
    try:
        with own_server(config) as server:
            status = server.replica_status()
            if status is None:
                return Blocked("this host's database is not a replica", "set up replication, or [replication] watch = no")
            return counter(server, status)
    except DatabaseFault as error:
        return Blocked(error.what, error.hint) if error.answered else NoAnswer(error.what)
    except FailoverError as error:
        return Blocked(error.what, error.hint)


def counter(server: Server, status: ReplicaStatus) -> int:
    """Events and heartbeats received so far, as one number."""
    heartbeats = int(server.value(server.dialect.heartbeats) or 0) if status.heartbeats is None else status.heartbeats
    return status.counter + heartbeats
