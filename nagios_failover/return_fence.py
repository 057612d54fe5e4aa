"""The old master is back and notifies beside the new one: it is fenced at once, and people are told what it mailed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nagios_failover import old_source, promote
from nagios_failover.config import Config
from nagios_failover.errors import Failed, Refused
from nagios_failover.fence_steps import HARD, MILD
from nagios_failover.hands import Hands
from nagios_failover.lock import A_MOMENT, run_lock
from nagios_failover.mailed_by import told
from nagios_failover.run_record import RunRecord
from nagios_failover.shared_steps import mail_step
from nagios_failover.state_files import StateFiles
from nagios_failover.steps import Step, Weight
from nagios_failover.verdict import Code
from nagios_failover.words import Role
from nagios_failover.workflow import Flow, carry_out, go_on, known_term, require_none_open, start

FENCE = "fence"


def _check(flow: Flow) -> str:
    """Is this host the master, and does the other one notify beside it by no right of its own?"""
    role = flow.state.role()
    if role.role is not Role.MASTER:
        raise Refused(f"the role is {role.role} (term {role.term}): a standby fences only in a failover", host=flow.this)
    seen = flow.hands.look(by=flow.run.id, record=True)
    flow.note("reason", seen.verdict.sentence)
    if seen.look.code != Code.PEER_ACTIVE:
        raise Refused(f"not confirmed: {seen.verdict.sentence}")
    if flow.config.quorum.etcd and flow.hands.lease_left() <= 0:
        raise Refused(f"{flow.this} has no lease: without it, it fences nobody", hint="nagios-failover status")
    flow.note("term", role.term)
    flow.note("since", role.since)
    return str(seen.verdict.sentence)


def _proved(flow: Flow) -> str:
    fenced = flow.fenced
    if fenced is None or not fenced.proved:
        said = fenced.sentence if fenced else f"{flow.peer}: nothing to fence with"
        raise Failed(said, hint=f"stop Nagios on {flow.peer}, or run on the one that shall not monitor: nagios-failover standdown")
    return fenced.sentence


def _silence(flow: Flow) -> str:
    """What its programs still write would be lost with the next rejoin."""
    with flow.hands.old_source() as server:
        silenced = old_source.silence(server, flow.config)
    return f"{flow.peer}'s database is read-only ({silenced.words}), its position is {silenced.position}"


def _list_mails(flow: Flow) -> str:
    there, here = flow.hands.mailed(float(flow.notes["since"]))
    flow.note("mailed_by_peer", told(there, here))
    return f"{flow.peer} has sent {len(there)} notifications since {flow.this} became the master, {flow.this} {len(here)}"


def result(flow: Flow) -> str:
    fenced = flow.fenced
    return f"{flow.peer} notified beside the master {flow.this} and is fenced: {fenced.sentence if fenced else ''}"


def _never_rehearsed(_: Flow) -> str:
    return ""


STEPS: tuple[Step[Flow], ...] = (
    Step("check", _never_rehearsed, _check, Weight.FATAL),
    MILD,
    HARD,
    Step("proved", _never_rehearsed, _proved, Weight.FATAL),
    Step("silence database", _never_rehearsed, _silence, Weight.LESSER, idle=promote.idle),
    Step("what it mailed", _never_rehearsed, _list_mails, Weight.LESSER),
    mail_step(result, only_told=(MILD.name, HARD.name)),
)


def run_fence(
    config: Config, state: StateFiles, *, trigger: str, hands: Hands | None = None, say: Callable[[str], None] | None = None
) -> RunRecord:
    """Fence the other host, under the lock. Returns how it ended. Raises LockHeld, Refused (a run is open), Failed (no journal)."""
    with run_lock(state.directory, wait=A_MOMENT):
        require_none_open(config, state)
        flow = start(config, state, FENCE, trigger=trigger, term=known_term(state), hands=hands, say=say)
        return carry_out(flow, STEPS, result=result)


def finish(
    config: Config, state: StateFiles, record: RunRecord, *, hands: Hands | None = None, say: Callable[[str], None] | None = None
) -> RunRecord:
    """Go on with a fence that was cut short; the caller holds the lock. What was seen then need not be so now: from the start,
    unless it is proved already."""
    flow = go_on(config, state, record, hands=hands, say=say)
    return carry_out(flow, STEPS, result=result, earlier=record if record.ended("proved") else replace(record, steps=()))
