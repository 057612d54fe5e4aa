"""The steps of a run that fence the old master: from mild to hard, in turn until one is proved, each on record."""

from __future__ import annotations

from dataclasses import replace

from nagios_failover.config_values import Fencing
from nagios_failover.confirm import FAILBACK
from nagios_failover.errors import Failed, Refused
from nagios_failover.fenced import Fenced
from nagios_failover.lease_steps import require_lease
from nagios_failover.steps import Step, Weight
from nagios_failover.workflow import Flow, hook_environment


def by_hand(host: str) -> Fenced:
    return Fenced(True, f"{host}: fenced by hand: a person has seen to it")


def _no_fence(flow: Flow) -> str:
    if flow.kind == FAILBACK:
        return f"{flow.peer} has offered the role, and stands down"
    return "not needed: it is fenced already" if flow.fenced and flow.fenced.proved else ""


def _no_mild_fence(flow: Flow) -> str:
    return _no_fence(flow) or ("" if flow.config.fence.user else "not configured")


def _no_hard_fence(flow: Flow) -> str:
    wanted = flow.config.fence.command or flow.config.fence.fencing is Fencing.REQUIRED
    return _no_fence(flow) or ("" if wanted else "not configured")


def _would_fence_mild(flow: Flow) -> str:
    return f"would tell the Nagios of {flow.peer} to be passive, as {flow.config.fence.user} over ssh, or kill it"


def _only_with_the_lease(flow: Flow) -> None:
    """Without it nothing is done to the other host, and nothing has to be undone there."""
    try:
        require_lease(flow)
    except Failed as error:
        if flow.fenced is None:
            flow.note("fenced", Fenced(False, f"{flow.peer}: not fenced: {error.what}").note())
        raise


def _fence_mild(flow: Flow) -> str:
    _only_with_the_lease(flow)
    fenced = flow.hands.fence_mild(flow.term)
    flow.note("fenced", fenced.note())
    if not fenced.proved:
        raise Failed(fenced.sentence, hint=fenced.hint)
    return fenced.sentence


def _would_fence_hard(flow: Flow) -> str:
    command = flow.config.fence.command
    done = f"would cut {flow.peer} off by {' '.join(command)}, if it is not fenced by then" if command else "would do nothing"
    required = flow.config.fence.fencing is Fencing.REQUIRED
    return f"{done}; and would refuse to go on where no fence is proved" if required else done


def _fence_hard(flow: Flow) -> str:
    """The last of the fences: where one is required and none is proved, this host does not go on."""
    mild = flow.fenced
    fenced = mild or Fenced(False, f"{flow.peer}: not fenced: [fence] user and command are both empty")
    if flow.config.fence.command:
        _only_with_the_lease(flow)
        hard = flow.hands.fence_hard(hook_environment(flow))
        fenced = replace(hard, was_on=mild.was_on if mild and not hard.proved else {})
        flow.note("fenced", fenced.note())
    if fenced.proved:
        return fenced.sentence
    if flow.config.fence.fencing is Fencing.REQUIRED:
        tried = "; ".join(dict.fromkeys(one.sentence for one in (mild, fenced) if one))
        by_person = f"see that {flow.peer} has no power or its Nagios is stopped, then run on {flow.this}"
        raise Refused(
            f"{flow.peer} is not proved to be fenced, which [fence] fencing = required wants: {tried}",
            hint=f"{by_person}: nagios-failover failover --fenced",
        )
    raise Failed(fenced.sentence, hint=fenced.hint)


MILD = Step("fence, mild", _would_fence_mild, _fence_mild, Weight.LESSER, idle=_no_mild_fence)
HARD = Step("fence, hard", _would_fence_hard, _fence_hard, Weight.LESSER, idle=_no_hard_fence)
