"""Does this host's own replica still hear from its source? That its I/O thread runs stays true for a minute after a power cut (by
default), so that only what was received counts: a counter that grows with every heartbeat and every event."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from nagios_failover.config import Config
from nagios_failover.config_sections import HostSection
from nagios_failover.database_server import Server, own_server
from nagios_failover.dialect import Link
from nagios_failover.errors import DatabaseFault, FailoverError
from nagios_failover.evidence import Blocked, NoAnswer
from nagios_failover.frozen import frozen
from nagios_failover.replica_status import ReplicaStatus
from nagios_failover.state_files import write_atomically


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


def link_to(config: Config, source: HostSection) -> Link:
    """What a replica is told of its source. The paths are the replica's own: both hosts have one configuration."""
    section = config.replication
    return Link(
        source.address,
        section.port,
        section.replication_user,
        section.replication_password,
        section.tls_ca,
        section.tls_cert,
        section.tls_key,
        float(section.connect_retry),  # the driver quotes a float, but no subclass of it, as a number
        float(section.heartbeat_period),
    )


@frozen
class Memory:
    """STATE/replication: what check_replication compares its next look with. `counter` last grew at `grown_at` (uptime, of this
    `boot`); `semi_sync`: the replica acknowledged what it received when it was last seen connected."""

    boot: str
    counter: int
    grown_at: float
    semi_sync: bool


def read_memory(state: Path) -> Memory | None:
    """None where there is none, or it is garbled: the next look begins anew."""
    try:
        return Memory(**json.loads((state / "replication").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_memory(state: Path, memory: Memory) -> None:
    """Raises Failed with the disk's reason."""
    write_atomically(state / "replication", json.dumps(asdict(memory)) + "\n")
