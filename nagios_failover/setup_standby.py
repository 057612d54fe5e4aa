"""A standby's database made a replica of the master's: one command that can be given again, whatever happened before.

Two ways lead there. A server whose history is part of the source's is attached, in well under a second. Any other one (a new
one, one that has transactions of its own) is emptied and copied anew; what it alone had is saved as SQL before. Read STEPS first.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from nagios_failover import clone, own_database
from nagios_failover.comparison import compare_tables
from nagios_failover.config_values import Schema
from nagios_failover.database_server import Server
from nagios_failover.dialect import Part
from nagios_failover.errant import save_errant
from nagios_failover.errors import DatabaseFault, Failed
from nagios_failover.init_database import init_database
from nagios_failover.join_checks import check_source, decide, existing, filled, lag_words, require_leave
from nagios_failover.joining import Joining, Way, Workflow, require_standby
from nagios_failover.own_database import administered, source
from nagios_failover.replication import link_to
from nagios_failover.run_record import REJOIN, SETUP_STANDBY
from nagios_failover.steps import Step, Weight
from nagios_failover.user import as_root

SETTLE_SECONDS = 10.0


def _check_role(flow: Joining) -> str:
    """A failover in the middle of it all makes this host the master: then nothing goes on."""
    own_database.require_configured(flow.config)
    return require_standby(flow)


def _make_ready(flow: Joining) -> str:
    for said in own_database.make_ready(flow.config, Part.REPLICA, restart=flow.restart, start_stopped=flow.kind == REJOIN):
        flow.say(f"this server: {said}")
    trusted = own_database.trust_peer(flow.config)
    if trusted:
        flow.say(f"this server: {trusted}")
    return "it can be a replica, and a source tomorrow"


# --- attach ---


def _only(*ways: Way) -> Callable[[Joining], str]:
    return lambda flow: "" if flow.way in (*ways, Way.UNKNOWN) else "not needed"


def _attach(flow: Joining) -> str:
    """Where the source has thrown away what this server needs, the copy is the way."""
    require_standby(flow)
    with administered(flow.config) as here:
        say = here.dialect
        flow.note("changed", True)
        here.do(say.make_read_only)
        here.acknowledge_nothing()
        if here.replica_status() is not None:
            here.do([say.stop_replica])
        position = here.value(say.position)
        if here.replica_status() is None:
            here.do(say.go_on_from(position))
        _begin(flow, here)
    try:
        return f"{_started(flow)}, from {position}"
    except DatabaseFault as error:
        with administered(flow.config) as here:
            if error.code not in here.dialect.cannot_go_on:
                raise
            require_leave(flow, filled(flow.config, here), error.what)
        flow.note("way", Way.COPY)
        return f"not attached: {error.what}; it is copied anew"


def _begin(flow: Joining, here: Server) -> None:
    semi_sync = [here.dialect.semi_sync_replica("ON")] if flow.config.replication.semi_sync else []
    follow = here.dialect.change_source(link_to(flow.config, flow.config.peer))
    here.do([*here.dialect.make_read_only, follow, *semi_sync, here.dialect.start_replica])


def _started(flow: Joining) -> str:
    """Until the replica receives and applies. Raises DatabaseFault with what keeps it from that."""
    deadline = time.monotonic() + SETTLE_SECONDS
    config = flow.config
    while True:
        with administered(config) as here:
            status, lost = here.replica_status(), here.dialect.cannot_go_on
        if status is not None and status.receiving and status.applying:
            return f"replicates from {config.peer.name}"
        errno, error = (
            (status.receive_errno or status.apply_errno, status.receive_error or status.apply_error) if status else (0, "")
        )
        if errno in lost or time.monotonic() > deadline:
            fault = DatabaseFault(error or "the replica does not start", host=config.this_name, code=errno, answered=True)
            raise own_database.in_words(config, fault)
        time.sleep(0.05)


# --- copy ---


def _save_errant(flow: Joining) -> str:
    path, said = save_errant(flow.config, flow.state.directory, flow.run.id)
    flow.note("saved", str(path))
    return said


def _no_errant(flow: Joining) -> str:
    needed = flow.way is Way.UNKNOWN or (flow.way is Way.COPY and flow.notes.get("errant"))
    return "" if needed else "it has nothing that the source has not"


def _empty(flow: Joining) -> str:
    require_standby(flow)
    config = flow.config
    with administered(config, timeout=flow.limit) as here:
        say = here.dialect
        here.do(say.make_read_only)
        here.acknowledge_nothing()
        clone.wait_until_alone(lambda sql: here.value(sql), seconds=SETTLE_SECONDS)
        flow.note("changed", True)
        flow.note("emptied", True)  # from here on only a whole copy is worth anything
        if here.replica_status() is not None:
            here.do([say.stop_replica, say.forget_replication])
        names = existing(config, here)
        drop = [f"DROP DATABASE `{name}`" for name in names]
        here.do([*say.admit_administrator, "SET SESSION sql_log_bin = 0", *say.forget_history, *drop])
    gone = f"{', '.join(names)} dropped" if names else "there was nothing to drop"
    return f"this server is read-only and without history; {gone}"


def _copy(flow: Joining) -> str:
    require_standby(flow)
    began, names, size = time.monotonic(), list(flow.notes["databases"]), int(flow.notes["estimate"])
    done = 0

    def progress(count: int) -> None:
        nonlocal done
        done = count
        flow.progress("copy", count, size)

    def alive() -> None:
        with administered(flow.config):
            pass

    with source(flow.config) as there:
        dialect = there.dialect
        history, now = there.value(dialect.history), there.value(dialect.gtid_of_the_binlog)
    with as_root():
        position = clone.copy(flow.config, dialect, names, progress=progress, alive=alive) if names else now
    with administered(flow.config) as here:
        require_unwritten(here)
        here.do(here.dialect.begin_at(position, history))
    seconds = time.monotonic() - began
    return f"{', '.join(names) or 'nothing'} ({_bytes(done)} in {seconds:.1f} s), as of {position or 'the beginning'}"


def require_unwritten(here: Server) -> None:
    """Since it was emptied nothing but the copy has written here. Raises Failed."""
    written = here.value(here.dialect.history)
    if written:
        raise Failed(
            f"somebody has written here while the copy was loaded ({written})",
            host=here.host,
            hint="end what writes on a standby's database, and give the command again",
        )


def _bytes(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"


def _replicate(flow: Joining) -> str:
    require_standby(flow)
    with administered(flow.config) as here:
        _begin(flow, here)
    said = _started(flow)
    flow.note("emptied", False)  # the copy is whole, and goes on
    return said


# --- seen to be well ---


def _catch_up(flow: Joining) -> str:
    with source(flow.config) as there:
        goal = there.value(there.dialect.gtid_of_the_binlog)
    began = time.monotonic()
    first = None
    while True:
        with administered(flow.config) as here:
            status = here.replica_status()
            if status is None or not status.applying:
                raise Failed(
                    f"the replica has stopped: {status.apply_error if status else 'it is none any more'}",
                    host=flow.config.this_name,
                    hint="nagios-failover setup-standby --replace copies it anew",
                )
            if not goal or here.value(here.dialect.wait_for(goal, 1)) == "0":
                return f"up to {goal or 'the beginning'} of {flow.config.peer.name}, {lag_words(status)}"
        lag = status.lag_seconds or 0
        first = max(first or 0, lag)
        flow.progress("catch up", first - lag, max(first, 1))
        if time.monotonic() > began + flow.limit:
            raise Failed(
                f"not caught up within {flow.limit:g} s ([replication] setup_timeout): {lag_words(status)}",
                host=flow.config.this_name,
                hint="it goes on catching up; check_replication tells how far it is",
            )


def _verify(flow: Joining) -> str:
    said = compare_tables(flow.config, list(flow.notes["databases"]), limit=flow.limit, progress=flow.progress)
    flow.note("emptied", False)
    return said


def _no_verify(flow: Joining) -> str:
    """A clean history is proof enough for a rejoin."""
    proved = flow.way is Way.ATTACH and flow.kind == REJOIN and not flow.notes.get("emptied")
    return "not needed" if flow.way is Way.NOTHING or proved else ""


def _heartbeat(flow: Joining) -> str:
    with administered(flow.config) as here, here.admitting_administrator(), as_root():
        return "; ".join(init_database(flow.config).lines)


STEPS: tuple[Step[Joining], ...] = (
    Step("role", lambda flow: "would look whether this host is the standby", _check_role, Weight.FATAL),
    Step(
        "this server",
        lambda flow: "would make certificate, settings, drop-in and accounts of this host's server where they are missing",
        _make_ready,
        Weight.FATAL,
    ),
    Step(
        "source",
        lambda flow: f"would look over verified TLS whether {flow.config.peer.name}'s server is ready to be the source",
        check_source,
        Weight.FATAL,
    ),
    Step("compare", lambda flow: "would compare the two histories, and choose to attach or to copy", decide, Weight.FATAL),
    Step(
        "attach",
        lambda flow: "would attach this server, if its history is part of the source's",
        _attach,
        Weight.FATAL,
        idle=_only(Way.ATTACH),
    ),
    Step(
        "save",
        lambda flow: "would otherwise save as SQL what this server alone has",
        _save_errant,
        Weight.FATAL,
        idle=_no_errant,
    ),
    Step(
        "empty",
        lambda flow: f"would make this server read-only and drop {', '.join(flow.config.replication.databases)} here",
        _empty,
        Weight.FATAL,
        idle=_only(Way.COPY),
    ),
    Step("copy", lambda flow: f"would copy the databases of {flow.config.peer.name}", _copy, Weight.FATAL, idle=_only(Way.COPY)),
    Step("replicate", lambda flow: "would start the replication", _replicate, Weight.FATAL, idle=_only(Way.COPY)),
    Step("catch up", lambda flow: "would wait until it has caught up", _catch_up, Weight.FATAL, idle=_only(Way.ATTACH, Way.COPY)),
    Step(
        "verify",
        lambda flow: "would compare every table by CHECKSUM TABLE",
        _verify,
        Weight.FATAL,
        idle=_no_verify,
    ),
    Step(
        "heartbeat",
        lambda flow: "would make the accounts of the heartbeat here, which no copy brings",
        _heartbeat,
        Weight.FATAL,
        idle=lambda flow: "" if flow.config.heartbeat.schema is Schema.NAGIOS1 else "not configured",
    ),
)


def result(flow: Joining) -> str:
    config = flow.config
    how = {Way.NOTHING: "was so already", Way.ATTACH: "attached, its history was clean"}.get(flow.way, "copied anew")
    saved = f"; what it alone had is in {flow.notes['saved']}" if flow.notes.get("saved") else ""
    return f"{config.this_name}'s database is a replica of {config.peer.name}'s: {how}{saved}"


WORKFLOW = Workflow(SETUP_STANDBY, STEPS, result)
