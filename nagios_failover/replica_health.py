"""What is wrong with a server's replication, by what was seen of it and the host's role. Pure; check_replication shows it.

Each finding is a sentence without the host's name. Not being able to look is no finding: what could not be seen is in the notes.
"""

from __future__ import annotations

from collections.abc import Iterator

from nagios_failover.config_sections import ReplicationSection
from nagios_failover.frozen import frozen
from nagios_failover.replica_status import ReplicaStatus
from nagios_failover.role import RoleRecord
from nagios_failover.words import Role, State

SHOWN = 200
"""So much of an error's text or of a set of GTIDs is shown."""


@frozen
class SemiSync:
    """What the server says of semi-synchronous replication; None where it has not got it."""

    source_on: bool | None = None
    source_works: bool | None = None  # the status, which goes off when no replica acknowledges in time
    source_clients: int | None = None
    replica_works: bool | None = None


@frozen
class Seen:
    """One look at this host's server. `silent_for`: seconds since anything was last received, None at the first look. `errant`:
    transactions of this replica that its source lacks, None where that was not seen. `attached`: where replicas are connected
    from. `held`: read-only because its host is cut off."""

    server: str
    acts: bool
    status: ReplicaStatus | None
    read_only: bool
    semi_sync: SemiSync
    silent_for: float | None = None
    errant: str | None = None
    attached: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    held: bool = False


@frozen
class Finding:
    state: State
    sentence: str
    hint: str = ""


def judge(seen: Seen, role: RoleRecord, peer: str, peer_address: str, wanted: ReplicationSection) -> list[Finding]:
    """Everything that is wrong, the lag aside, the worst first; [] for a healthy server. While the role is changing, nothing is."""
    if role.role is Role.MASTER:
        found = list(_source(seen, wanted))
    elif role.role is Role.STANDBY:
        found = list(_replica(seen, peer, peer_address, wanted))
    else:
        found = []
    return sorted(found, key=lambda finding: -finding.state)


def healthy(seen: Seen, role: RoleRecord) -> str:
    """The sentence of a look that found nothing wrong."""
    status = seen.status
    if role.role is Role.STANDBY and status:
        encrypted = "over TLS" if status.tls else "without TLS"
        lag = "" if status.lag_seconds is None else f", {status.lag_seconds} s behind"
        return f"replica of {status.source_host} {encrypted}{lag}, by GTID, read-only{_acknowledging(seen)}"
    if role.role is Role.MASTER:
        return f"source, writable, {len(seen.attached)} replica{'s' if len(seen.attached) != 1 else ''} attached{_waiting(seen)}"
    return f"the role is {role.role}: the database's may be changing"


def _acknowledging(seen: Seen) -> str:
    return ", semi-synchronous" if seen.semi_sync.replica_works else ""


def _waiting(seen: Seen) -> str:
    return ", semi-synchronous" if seen.semi_sync.source_works else ""


def _replica(seen: Seen, peer: str, peer_address: str, wanted: ReplicationSection) -> Iterator[Finding]:
    status = seen.status
    if status is None:
        yield Finding(
            State.CRITICAL, "the role is standby, but its database is no replica", "nagios-failover rejoin, or setup-standby"
        )
        return
    yield from _threads(status)
    yield from _silence(seen.silent_for, wanted)
    if not seen.read_only:
        yield Finding(State.CRITICAL, "the replica is writable", "SET GLOBAL read_only = ON; [replication] drop_in keeps it")
    if seen.errant:
        what = f"the replica has transactions that its source lacks: {_short(seen.errant)}"
        yield Finding(State.CRITICAL, what, "somebody wrote here; a rejoin saves them as SQL and clones anew")
    if status.source_host not in (peer, peer_address):
        yield Finding(State.WARNING, f"the replica follows {status.source_host}, not {peer} ({peer_address})")
    if not status.by_gtid:
        yield Finding(State.WARNING, "the replica does not use GTID: it cannot be promoted safely", "set it up by setup-standby")
    if status.filters:
        what = f"the replica has filters: {_short(', '.join(status.filters))}"
        yield Finding(State.WARNING, what, "a promotion would lose what they leave out: remove them")
    if status.delay_seconds:
        yield Finding(
            State.WARNING, f"the replica is delayed by {status.delay_seconds} s on purpose", "a failover has to wait for it"
        )
    if wanted.tls_ca and not status.tls:
        yield Finding(State.WARNING, "replication is not encrypted, though [replication] tls_ca is set", "setup-standby")
    if wanted.tls_ca and status.tls and not status.tls_verified:
        yield Finding(State.WARNING, "replication does not verify its source's certificate", "setup-standby")
    if wanted.semi_sync and status.receiving and not seen.semi_sync.replica_works:
        yield Finding(State.WARNING, "replication is not semi-synchronous, though [replication] semi_sync is set")
    if seen.semi_sync.source_on:
        yield Finding(State.WARNING, "semi-synchronous replication is on for a source here: the SQL thread waits for replicas")
    yield from _only_watched(seen, wanted)


def _threads(status: ReplicaStatus) -> Iterator[Finding]:
    """What does not run, with its error in the server's words. A lag that is not known is never 0."""
    if not status.receiving:
        words = status.receiving_words.lower()
        state = "does not run" if words in ("no", "") else f"is {words}"
        yield Finding(State.CRITICAL, f"the I/O thread {state}{_because(status.receive_errno, status.receive_error)}")
    if not status.applying:
        yield Finding(State.CRITICAL, f"the SQL thread does not run{_because(status.apply_errno, status.apply_error)}")
    if status.receiving and status.applying and status.lag_seconds is None:
        yield Finding(State.WARNING, "the lag is not known")


def _because(number: int, text: str) -> str:
    return f": {_short(text)} ({number})" if number else ""


def _silence(seconds: float | None, wanted: ReplicationSection) -> Iterator[Finding]:
    if seconds is None or seconds < wanted.silence_warning:
        return
    critical = seconds >= wanted.silence_critical
    limit = wanted.silence_critical if critical else wanted.silence_warning
    what = f"nothing was received for {seconds:.0f} s, neither an event nor a heartbeat (threshold {limit:g} s)"
    yield Finding(State.CRITICAL if critical else State.WARNING, what)


def _source(seen: Seen, wanted: ReplicationSection) -> Iterator[Finding]:
    if seen.status is not None:
        what = f"the role is master, but its database is a replica of {seen.status.source_host}"
        yield Finding(State.CRITICAL, what, "nagios-failover promote")
    elif seen.read_only and seen.held:
        yield Finding(State.CRITICAL, "its database is read-only while this master is cut off", "it takes writes when that is over")
    elif seen.read_only:
        yield Finding(State.CRITICAL, "the role is master, but its database is read-only", "nagios-failover promote")
    if seen.status is None and not seen.attached:
        yield Finding(State.WARNING, "no replica is attached", "look at check_replication on the standby")
    if wanted.semi_sync and seen.status is None:
        yield from _source_waits(seen.semi_sync)
    yield from _only_watched(seen, wanted)


def _source_waits(semi_sync: SemiSync) -> Iterator[Finding]:
    if not semi_sync.source_on:
        lacks = "the server has not got it" if semi_sync.source_on is None else "it is off on this source"
        yield Finding(State.WARNING, f"[replication] semi_sync is set, but {lacks}")
    elif not semi_sync.source_works:
        clients = semi_sync.source_clients or 0
        what = f"semi-synchronous replication has degraded: commits do not wait for the replica ({clients} counted as connected)"
        yield Finding(State.WARNING, what, "it returns by itself when the replica has caught up")


def _only_watched(seen: Seen, wanted: ReplicationSection) -> Iterator[Finding]:
    if wanted.promote and not seen.acts:
        yield Finding(State.WARNING, f"{seen.server} is only watched: no failover promotes it", "upgrade it, or promote = no")


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
