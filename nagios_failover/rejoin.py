"""The old master, repaired, becomes the standby: its role, its database, its Nagios. One command that can be given again, whatever
it was cut short by. Read STEPS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nagios_failover.errors import Refused, StateUnreadable
from nagios_failover.join_nagios import STEPS as NAGIOS_STEPS
from nagios_failover.joining import Joining, Workflow
from nagios_failover.run_record import REJOIN, Outcome, StepOutcome
from nagios_failover.setup_standby import STEPS as DATABASE_STEPS
from nagios_failover.setup_standby import result as database_result
from nagios_failover.standdown import run_standdown
from nagios_failover.steps import Step, Weight
from nagios_failover.words import Role
from nagios_failover.workflow import Trigger


def _stand_down(flow: Joining) -> str:
    """Only in favour of a live master with a higher term: what stands down checks that itself."""
    record = run_standdown(flow.config, flow.state, trigger=Trigger.EVENT, say=flow.say)
    if record.outcome not in (Outcome.DONE, Outcome.INCOMPLETE):
        raise Refused(record.sentence, host=flow.config.this_name)
    return record.sentence


def _is_standby(flow: Joining) -> str:
    try:
        role = flow.state.role()
    except StateUnreadable as error:
        raise Refused(f"no role: {error.what}", host=flow.config.this_name, hint="nagios-failover init --standby") from error
    return f"role is standby, master {role.master}, term {role.term}" if role.role is Role.STANDBY else ""


def _where_replicated(idle: Callable[[Joining], str]) -> Callable[[Joining], str]:
    return lambda flow: idle(flow) if flow.config.replication.watch else "not configured"


STEPS: tuple[Step[Joining], ...] = (
    Step(
        "stand down",
        lambda flow: "would give the role back to the other host, if that one is the master",
        _stand_down,
        Weight.FATAL,
        holds=_is_standby,
    ),
    *(replace(step, idle=_where_replicated(step.idle)) for step in DATABASE_STEPS),
    *NAGIOS_STEPS,
)


def result(flow: Joining) -> str:
    config = flow.config
    ready = flow.run.record().step("ready")
    proved = ready is not None and ready.outcome == StepOutcome.DONE
    said = f"{config.this_name} is the standby of {config.peer.name}{', and ready to take over' if proved else ''}"
    return f"{said}; {database_result(flow)}" if config.replication.watch else said


WORKFLOW = Workflow(REJOIN, STEPS, result)
