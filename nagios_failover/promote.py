"""The step `promote`: this host's replica becomes the source. Monitoring is back already, so that nothing here is in a hurry.

Never with relay log unapplied, never with an old source that still takes writes and can be reached. Whatever keeps it from that
leaves the database read-only, and says where it stands; `nagios-failover promote` does the step again, as often as it takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from nagios_failover import old_source
from nagios_failover.database_server import Server
from nagios_failover.dialect import Part, drop_in
from nagios_failover.errors import Failed, FailoverError
from nagios_failover.frozen import frozen
from nagios_failover.promotion import Promotion, parse_promotion
from nagios_failover.replica_status import ReplicaStatus
from nagios_failover.replication import read_memory
from nagios_failover.state_files import write_atomically
from nagios_failover.workflow import Flow, ask_root

AGAIN = "nagios-failover promote"
"""The command that finishes what a run had to leave."""


@frozen
class OldSource:
    """What became of the old source. `position` "": it could not be read. `all_here`: the replica has received up to there."""

    position: str
    said: str
    all_here: bool = False


# --- the step ---


def idle(flow: Flow) -> str:
    if not flow.config.replication.watch:
        return "not configured"
    return "" if flow.config.replication.promote else "[replication] promote = no"


def would_promote(flow: Flow) -> str:
    limit = flow.config.replication.drain_timeout
    return (
        f"would make {flow.peer}'s database read-only if it can still be read, apply within {limit:g} s what {flow.this}'s replica "
        "has received, forget replication, and make it writable"
    )


def promoted(flow: Flow) -> str:
    """Is this host's database the source of this term already, and after its next start, too?"""
    kept = _kept(flow)
    if kept is None or not _starts_as_source(flow):
        return ""
    try:
        with flow.hands.own_database() as server:
            if server.replica_status() is None and not server.is_read_only():
                return f"{flow.this}'s database is writable; {kept.loss()}"
    except FailoverError:
        pass  # the act says why
    return ""


def promote(flow: Flow) -> str:
    """Returns what was done and what may be lost. Raises Failed with where it stands."""
    try:
        with flow.hands.own_database() as server:
            server.dialect.require_acting(flow.this)
            return "; ".join(_promote(flow, server))
    except _NotYet:
        raise
    except FailoverError as error:  # a refusal here is the step's, not the run's
        raise Failed(f"{error}; promotion is not at its end", hint=_then_again(error.hint)) from error


def _promote(flow: Flow, server: Server) -> Iterator[str]:
    status = server.replica_status()
    kept = _kept(flow)
    if status is not None:
        old = _silence_old_source(flow, server)
        yield old.said
        kept = _drained(flow, server, old, wanted=status.received)
        _keep(flow, kept)
        server.do([server.dialect.stop_replica, server.dialect.forget_replication])
    elif kept is None:
        kept = _not_a_replica(flow, server)
        _keep(flow, kept)
    yield kept.loss()
    if flow.config.replication.semi_sync:
        _wait_for_replicas(flow, server)
    server.do(server.dialect.make_writable)
    yield f"{flow.this}'s database is writable"
    yield from _write_drop_in(flow)  # last: a program is started for it, which is longer than all the SQL takes


def _starts_as_source(flow: Flow) -> bool:
    replication = flow.config.replication
    if replication.drop_in is None:
        return True
    with suppress(OSError, UnicodeDecodeError):
        return replication.drop_in.read_text(encoding="utf-8") == drop_in(Part.SOURCE, semi_sync=replication.semi_sync)
    return False


def _write_drop_in(flow: Flow) -> Iterator[str]:
    """A database that would come back read-only is still one that takes writes now: that is said, and nothing stops for it."""
    forgets = f"promote: a restart of {flow.this}'s mysqld forgets that it is the source"
    if flow.config.replication.drop_in is None:
        flow.pass_over(f"{forgets}; hint: [replication] drop_in")
        return
    try:
        yield ask_root(flow, "database-source")
    except Failed as error:
        flow.pass_over(f"{forgets}: {error}; hint: as root: nagios-failover-root database-source")


def _wait_for_replicas(flow: Flow, server: Server) -> None:
    """The source's side of semi-synchronous replication."""
    if server.variables([server.dialect.semi_sync.source_enabled]):
        server.do([server.dialect.semi_sync_source("ON")])
    else:
        flow.pass_over("promote: [replication] semi_sync is set, but the server has not got it; hint: install its plugin")


class _NotYet(Failed):
    """Nothing was promoted, for a reason that a person has to judge."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(f"{what}; the database stays as it is", hint=_then_again(hint))


def _then_again(hint: str) -> str:
    return hint if AGAIN in hint else "; ".join(part for part in (hint, f"then: {AGAIN}") if part)


# --- the old source ---


def _silence_old_source(flow: Flow, server: Server) -> OldSource:
    """Read-only, its clients gone, and what it had committed received here. That it cannot be reached stops nothing."""
    try:
        with flow.hands.old_source() as old:
            silenced = old_source.silence(old, flow.config)
    except FailoverError as error:
        return OldSource("", f"{flow.peer}'s database could not be made read-only: {error.what}")
    position = silenced.position
    flow.note("old_source", position)
    said = f"{flow.peer}'s database is read-only ({silenced.words}), its position is {position}"
    if _received(flow, server, position):
        return OldSource(position, said, all_here=True)
    return OldSource(position, f"{said}, not all of which has come here within {flow.config.replication.old_source_timeout:g} s")


def _received(flow: Flow, server: Server, position: str) -> bool:
    """Wait until the replica has received all that the old source had committed."""
    server.do([server.dialect.start_receiving])
    deadline = flow.hands.uptime() + flow.config.replication.old_source_timeout
    while True:
        if not server.minus(position, _known(server.replica_status())):
            return True
        if flow.hands.uptime() >= deadline:
            return False
        flow.hands.sleep(0.1)


def _known(status: ReplicaStatus | None) -> str:
    return ",".join(part for part in (status.received, status.executed) if part) if status else ""


# --- the relay log ---


def _drained(flow: Flow, server: Server, old: OldSource, wanted: str) -> Promotion:
    """Apply what was received, and prove that by GTID and by position. `wanted`: the position that was received when this began.
    Raises _NotYet with the exact state."""
    semi_sync = _acknowledged(flow, server)
    _start_applying(server)
    server.do([server.dialect.stop_receiving])
    status, applied = _apply(flow, server, wanted)
    complete = applied and (old.all_here or not old.position)
    if not complete and not flow.notes.get("force"):
        raise _NotYet(f"{flow.this}: {_not_drained(server, status, wanted)}; {old.said}", _how_to_mend(status))
    missing = server.count(status.executed, old.position) if old.position else None
    return Promotion(
        flow.term,
        flow.run.id,
        int(flow.hands.now()),
        flow.peer,
        _further(server, wanted, status.received),
        status.executed,
        old.position,
        0 if old.all_here and applied else missing,
        semi_sync,
        forced=not complete,
    )


def _further(server: Server, wanted: str, received: str) -> str:
    """MariaDB counts anew what it has received when a thread is started while neither runs."""
    return wanted if server.minus(wanted, received) else received


def _start_applying(server: Server) -> None:
    """Before the I/O thread is stopped: MariaDB throws away the relay log, applied or not, when a thread is started while neither
    runs, since it counts on the source to send it again."""
    status = _status(server)
    if status.applying:
        return
    if status.receiving_words != "No" or status.received == status.executed or not server.dialect.start_discards_relay_log:
        server.do([server.dialect.start_applying])


def _apply(flow: Flow, server: Server, wanted: str) -> tuple[ReplicaStatus, bool]:
    """Wait for the SQL thread, in slices that a frozen server cannot stretch. One that stands still is not waited for."""
    deadline = flow.hands.uptime() + (0.0 if flow.notes.get("force") else flow.config.replication.drain_timeout)
    patience = flow.hands.uptime() + 2.0  # a thread just started takes a moment to find its error again
    while True:
        status = _status(server)
        left = deadline - flow.hands.uptime()
        reached = not status.received or _wait(server, status.received, min(1.0, max(0.0, left)))
        status = _status(server)
        by_position = status.read_all or status.received_position == status.executed_position
        if reached and by_position and not server.minus(wanted, status.executed):
            return status, True
        if left <= 0 or (not status.applying and flow.hands.uptime() >= patience):
            return status, False
        flow.hands.sleep(0.05)


def _wait(server: Server, position: str, seconds: float) -> bool:
    return server.value(server.dialect.wait_for(position, seconds)) == "0"


def _status(server: Server) -> ReplicaStatus:
    status = server.replica_status()
    if status is None:
        raise _NotYet(f"{server.host}: its database is no replica any more", "who else works on it?")
    return status


def _not_drained(server: Server, status: ReplicaStatus, wanted: str) -> str:
    received, executed = status.received_position, status.executed_position
    wanted = _further(server, wanted, status.received)
    count = server.count(status.executed, wanted)
    words = (f"{count} transactions are received and not applied: " if count else "") + (
        f"received up to {received[0]}:{received[1]} (GTID {wanted or 'none'}), "
        f"executed up to {executed[0]}:{executed[1]} (GTID {status.executed or 'none'})"
    )
    if status.apply_errno:
        return f"{words}; the SQL thread has stopped: {status.apply_error} ({status.apply_errno})"
    delay = f", delayed by {status.delay_seconds} s" if status.delay_seconds else ""
    state = f"the SQL thread runs{delay}: {status.applying_state}" if status.applying else "the SQL thread does not run"
    receiving = f"; the I/O thread has stopped: {status.receive_error} ({status.receive_errno})" if status.receive_errno else ""
    return f"{words}; {state}{receiving}"


def _how_to_mend(status: ReplicaStatus) -> str:
    if status.apply_errno:
        return f"mend what the error names and start the replica's SQL thread; to give up what is not applied: {AGAIN} --force"
    if status.delay_seconds:
        return f"wait, or set the replica's delay to 0; then: {AGAIN}; to give up what is not applied: {AGAIN} --force"
    return f"when it has caught up: {AGAIN}; to give up what is not applied: {AGAIN} --force"


def _acknowledged(flow: Flow, server: Server) -> bool:
    """Was replication semi-synchronous to the end? A replica whose source is gone does not know any more: the last look does."""
    name = server.dialect.semi_sync.replica_status
    if server.variables([name]).get(name.lower()) == "ON":
        return True
    memory = read_memory(flow.state.directory)
    return memory is not None and memory.semi_sync


# --- a host that is no replica ---


def _not_a_replica(flow: Flow, server: Server) -> Promotion:
    """Without a source to follow it may only be promoted when nobody else has more: it was the source before (a host that stood
    down, and takes over again), or a person says so."""
    here = "writable" if not server.is_read_only() else "read-only"
    own = server.value(server.dialect.history)
    promotion = Promotion(flow.term, flow.run.id, int(flow.hands.now()), flow.peer, own, own, missing=None)
    if flow.notes.get("force"):
        return replace(promotion, forced=True)
    hint = f"set up replication, or, if this database is the right one: {AGAIN} --force"
    what = f"{flow.this}: its database is no replica (it is {here})"
    try:
        with flow.hands.old_source() as old:
            position = old_source.silence(old, flow.config).position
            theirs = old.value(old.dialect.history)
    except FailoverError as error:
        raise _NotYet(f"{what}, and whether {flow.peer}'s has more is not known: {error.what}", hint) from error
    lacking = server.minus(theirs, own)
    if lacking:
        raise _NotYet(f"{what}, and {flow.peer}'s has transactions that it lacks: {lacking}", hint)
    return replace(promotion, old_source=position, missing=0)


# --- the record ---


def _kept(flow: Flow) -> Promotion | None:
    """The promotion of this term, if there was one."""
    try:
        kept = parse_promotion((flow.state.directory / "promotion").read_text(encoding="utf-8"))
    except OSError:
        return None
    return kept if kept and kept.term == flow.term else None


def _keep(flow: Flow, promotion: Promotion) -> None:
    write_atomically(flow.state.directory / "promotion", promotion.text())
    flow.note("promotion", {"received": promotion.received, "executed": promotion.executed, "old_source": promotion.old_source})
