"""The step of a switchover by which the old source follows the new one: over SQL, as the account of [replication] user, since both
servers live and nothing was written on the old one after it had been made read-only.

What that account may not do there, or a history that has parted after all, is left to `nagios-failover rejoin` over there.
"""

from __future__ import annotations

from contextlib import suppress

from nagios_failover.database_server import Server
from nagios_failover.errors import Failed, FailoverError
from nagios_failover.replication import link_to
from nagios_failover.workflow import Flow

SETTLE_SECONDS = 10.0


def would_attach(flow: Flow) -> str:
    return f"would let {flow.peer}'s database, read-only by then, follow {flow.this}'s"


def attached(flow: Flow) -> str:
    with suppress(FailoverError), flow.hands.old_source() as old:
        if old.is_read_only() and _follows(flow, old):
            return _words(flow)
    return ""


def attach_there(flow: Flow) -> str:
    """Raises Failed with the command that does it over there."""
    try:
        with flow.hands.old_source() as old:
            _require_clean(flow, old)
            say = old.dialect
            if old.replica_status() is not None:
                old.do([say.stop_replica])
            else:
                old.do(say.go_on_from(old.value(say.position)))
            semi_sync = [say.semi_sync_replica("ON")] if flow.config.replication.semi_sync else []
            old.do([say.change_source(link_to(flow.config, flow.config.this)), *semi_sync, say.start_replica])
            return _settled(flow, old)
    except FailoverError as error:
        what = f"{flow.peer}'s database does not follow yet: {error}"
        raise Failed(what, hint=f"as root on {flow.peer}: nagios-failover rejoin") from error


def _require_clean(flow: Flow, old: Server) -> None:
    if not old.is_read_only():
        raise Failed("it still takes writes", host=flow.peer)
    with flow.hands.own_database() as here:
        if here.is_read_only() or here.replica_status() is not None:
            raise Failed("its database is not the source", host=flow.this)
        errant = here.minus(old.value(old.dialect.history), here.value(here.dialect.history))
    if errant:
        raise Failed(f"it has transactions that {flow.this}'s lacks: {errant}", host=flow.peer)


def _settled(flow: Flow, old: Server) -> str:
    deadline = flow.hands.uptime() + SETTLE_SECONDS
    while not _follows(flow, old):
        if flow.hands.uptime() >= deadline:
            status = old.replica_status()
            why = (status.receive_error or status.apply_error) if status else ""
            raise Failed(why or "its replica does not start", host=flow.peer)
        flow.hands.sleep(0.1)
    return _words(flow)


def _follows(flow: Flow, old: Server) -> bool:
    status = old.replica_status()
    return status is not None and status.source_host == flow.config.this.address and status.receiving and bool(status.applying)


def _words(flow: Flow) -> str:
    return f"{flow.peer}'s database is read-only and follows {flow.this}'s"
