"""One look at this host's own replication, for check_replication: the server, its source where that can be asked, and the memory
of the look before."""

from __future__ import annotations

from nagios_failover.config import Config
from nagios_failover.database_server import Server, own_server, peer_server
from nagios_failover.errors import Failed, FailoverError
from nagios_failover.replica_health import Seen, SemiSync
from nagios_failover.replica_status import ReplicaStatus
from nagios_failover.replication import Memory, counter, read_memory, write_memory
from nagios_failover.state_files import StateFiles, boot_id, uptime


def look(config: Config, state: StateFiles) -> Seen:
    """Raises DatabaseFault (`answered` or not), Refused (too old), CouldNotLook. Each wait is limited by [replication] timeout."""
    with own_server(config) as server:
        status = server.replica_status()
        semi_sync = _semi_sync(server)
        silent_for, notes = _silence(server, status, semi_sync, state) if status else (None, [])
        errant, trouble = _errant(config, server) if status else (None, "")
        return Seen(
            server=f"{server.dialect.name} {server.dialect.version}",
            acts=server.dialect.acts,
            status=status,
            read_only=server.is_read_only(),
            semi_sync=semi_sync,
            silent_for=silent_for,
            errant=errant,
            attached=_attached(server),
            notes=(*notes, *([trouble] if trouble else [])),
            held=state.is_isolated(),
        )


def _semi_sync(server: Server) -> SemiSync:
    names = server.dialect.semi_sync
    found = server.variables(names.all)

    def on(name: str) -> bool | None:
        value = found.get(name.lower())
        return None if value is None else value == "ON"

    clients = found.get(names.source_clients.lower())
    return SemiSync(on(names.source_enabled), on(names.source_status), int(clients) if clients else None, on(names.replica_status))


def _attached(server: Server) -> tuple[str, ...]:
    """Hosts that replicas are connected from, one entry for each."""
    sessions = server.rows(server.dialect.sessions)
    return tuple(str(row["host"]).rpartition(":")[0] for row in sessions if row["command"] in server.dialect.dump_commands)


def _silence(server: Server, status: ReplicaStatus, semi_sync: SemiSync, state: StateFiles) -> tuple[float | None, list[str]]:
    """Seconds since the counter of what was received last grew, and what could not be remembered."""
    now, boot, before = uptime(), boot_id(), read_memory(state.directory)
    count = counter(server, status)
    known = before if before and before.boot == boot and before.grown_at <= now else None
    grown_at = known.grown_at if known and known.counter == count else now
    semi = bool(semi_sync.replica_works) if status.receiving or before is None else before.semi_sync
    notes = []
    try:
        write_memory(state.directory, Memory(boot, count, grown_at, semi))
    except Failed as error:
        notes.append(f"what was received is not remembered: {error.what}")
    return (now - grown_at if known else None), notes


def _errant(config: Config, server: Server) -> tuple[str | None, str]:
    """What this replica has executed and its source has not. The replica is asked first: what comes in between is on both."""
    mine = server.value(server.dialect.history)
    try:
        with peer_server(config) as source:
            return server.minus(mine, source.value(source.dialect.history)), ""
    except FailoverError as error:
        return None, f"not compared with the source's transactions: {error}"
