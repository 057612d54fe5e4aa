"""Finishing what was cut short: a run killed by a power cut, kill -9 or a stop of Nagios is open in the journal, and the next
call of the handler or of a command goes on with it, whatever the verdict is by then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from nagios_failover import failover, promote_run, return_fence, standdown, switchover
from nagios_failover.config import Config
from nagios_failover.confirm import FAILBACK, FAILOVER
from nagios_failover.errors import Failed
from nagios_failover.hands import Hands
from nagios_failover.journal import Journal, anything_open
from nagios_failover.lock import A_MOMENT, run_lock
from nagios_failover.role import RoleRecord, role_flags
from nagios_failover.run_record import SWITCHOVER, Outcome, RunRecord
from nagios_failover.state_files import StateFiles
from nagios_failover.words import Role


def resume_open_runs(
    config: Config, state: StateFiles, say: Callable[[str], None] | None = None, *, hands: Hands | None = None
) -> list[RunRecord]:
    """Finish every open run; returns how each ended. Raises LockHeld while a run is on its way (it is not cut short then),
    StateUnreadable without a readable role, Failed when the journal cannot be written."""
    if not anything_open(state):
        return []
    with run_lock(state.directory, wait=A_MOMENT):
        journal = Journal(state.directory)
        ended = [_finish(config, state, record, say, hands) for record in journal.open_runs()]
        lost = _adopt(config, state, journal)
        return [*ended, *([_finish(config, state, lost, say, hands)] if lost else [])]


def _finish(
    config: Config, state: StateFiles, record: RunRecord, say: Callable[[str], None] | None, hands: Hands | None
) -> RunRecord:
    if record.kind in (FAILOVER, FAILBACK):
        return failover.finish(config, state, record, hands=hands, say=say)
    if record.kind == SWITCHOVER:
        return switchover.finish(config, state, record, hands=hands, say=say)
    if record.kind == standdown.STANDDOWN:
        return standdown.finish(config, state, record, hands=hands, say=say)
    if record.kind == promote_run.PROMOTE:
        return promote_run.finish(config, state, record, hands=hands, say=say)
    if record.kind == return_fence.FENCE:
        return return_fence.finish(config, state, record, hands=hands, say=say)
    run = Journal(state.directory).run(record.id)
    role = state.role()
    if role.run == record.id:
        return run.close(Outcome.DONE, f"{config.this.name}: role is {role.role}, master {role.master}, term {role.term}")
    return run.close(Outcome.ABORTED, f"{record.kind} was cut short before it had changed anything; give the command again")


def _adopt(config: Config, state: StateFiles, journal: Journal) -> RunRecord | None:
    """A role that only a run may have, and no run (its journal is lost or garbled): a run is made that has come so far."""
    role = state.role()
    if role.role not in (Role.TAKING_OVER, Role.STANDING_DOWN):
        return None
    taking_over = role.role is Role.TAKING_OVER
    kind = FAILOVER if taking_over else standdown.STANDDOWN
    run = journal.open(kind, role.term, config.this.name, trigger="event")
    lost = f"the journal of run {role.run or '?'} is lost"
    before = RoleRecord(Role.STANDBY, config.peer.name, role.term, "", role.since) if taking_over else role
    try:
        run.note("term", role.term)
        run.note("reason", lost)
        run.note("flags_before", {str(flag): on for flag, on in role_flags(config.pair.mode, active=False).items()})
        run.note("role_before", asdict(before))
        for step in ("confirm", "register") if taking_over else ("check", "register"):
            run.step_done(step, "held", f"role is {role.role}, term {role.term}; {lost}", 0.0)
        state.write_role(RoleRecord(role.role, role.master, role.term, run.id, role.since))
    except Failed:
        journal.forget(run.record())
        raise
    return run.record()
