"""The old master, repaired, becomes the standby: its role, then its database. Other state follows by itself (check_state_sync)."""

from __future__ import annotations

from nagios_failover.errors import Refused, StateUnreadable
from nagios_failover.joining import Joining, Workflow
from nagios_failover.run_record import REJOIN, Outcome
from nagios_failover.setup_standby import STEPS as DATABASE_STEPS
from nagios_failover.setup_standby import result
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


STEPS: tuple[Step[Joining], ...] = (
    Step(
        "stand down",
        lambda flow: "would give the role back to the other host, if that one is the master",
        _stand_down,
        Weight.FATAL,
        holds=_is_standby,
    ),
    *DATABASE_STEPS,
)


WORKFLOW = Workflow(REJOIN, STEPS, result)
