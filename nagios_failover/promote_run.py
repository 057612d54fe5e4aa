"""`nagios-failover promote`: the step of a failover that a person had to finish, done again by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nagios_failover.config import Config
from nagios_failover.errors import Refused
from nagios_failover.hands import Hands
from nagios_failover.lock import A_MOMENT, run_lock
from nagios_failover.promote import idle, promote, promoted, would_promote
from nagios_failover.run_record import RunRecord, StepOutcome
from nagios_failover.state_files import StateFiles
from nagios_failover.steps import Step, Weight
from nagios_failover.words import Role
from nagios_failover.workflow import Flow, carry_out, go_on, require_none_open, start

PROMOTE = "promote"


def _check(flow: Flow) -> str:
    role = flow.state.role()
    if role.role is not Role.MASTER:
        raise Refused(
            f"the role is {role.role} (term {role.term}): its database stays a replica",
            host=flow.this,
            hint="the source is the master's database; nagios-failover status",
        )
    why = idle(flow)
    if why:
        raise Refused(f"there is no database to promote: {why}", host=flow.this, hint="[replication] watch and promote")
    flow.note("term", role.term)
    return f"role is master, term {role.term}"


STEPS: tuple[Step[Flow], ...] = (
    Step("check", lambda flow: "would look at the role", _check, Weight.FATAL),
    Step("promote", would_promote, promote, Weight.NEEDED, holds=promoted),
)


def result(flow: Flow) -> str:
    step = flow.run.record().step("promote")
    if step is None or step.outcome == StepOutcome.FAILED:
        return f"{flow.this}'s database is not the source yet (term {flow.term})"
    return f"{flow.this}'s database is the source (term {flow.term}): {step.detail}"


def run_promote(
    config: Config,
    state: StateFiles,
    *,
    trigger: str,
    force: bool = False,
    say: Callable[[str], None] | None = None,
    hands: Hands | None = None,
) -> RunRecord:
    """Do the step of an earlier run again, under the lock. Raises LockHeld, Refused (a run is open), Failed (no journal)."""
    with run_lock(state.directory, wait=A_MOMENT):
        require_none_open(config, state)
        flow = start(config, state, PROMOTE, trigger=trigger, term=state.role().term, hands=hands, say=say)
        if force:
            flow.note("force", True)
        return carry_out(flow, STEPS, result=result)


def finish(
    config: Config, state: StateFiles, record: RunRecord, *, hands: Hands | None = None, say: Callable[[str], None] | None = None
) -> RunRecord:
    """Go on with one that was cut short; the caller holds the lock."""
    flow = go_on(config, state, record, hands=hands, say=say)
    return carry_out(flow, STEPS, result=result, earlier=replace(record, steps=()))
