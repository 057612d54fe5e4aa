"""Is the master really dead? Why a run does not even look, and the looks that must agree before anything changes."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from nagios_failover.config import Config
from nagios_failover.errors import Refused, StateUnreadable
from nagios_failover.journal import Journal
from nagios_failover.looks import Look, confirmations
from nagios_failover.role import RoleRecord
from nagios_failover.run_record import SWITCHOVER
from nagios_failover.state_files import StateFiles
from nagios_failover.verdict import PEER_CODES, Code
from nagios_failover.words import Role, State
from nagios_failover.workflow import Flow, Trigger

FAILOVER = "failover"
FAILBACK = "failback"


def why_not(config: Config, state: StateFiles, *, trigger: str, now: float) -> Refused | None:
    """The reason not even to look, or None. A person's own command goes before a pause, which stops the automation."""
    host = config.this.name
    try:
        role = state.role()
    except StateUnreadable as error:
        return Refused(f"no role, no failover: {error.what}", host=host, hint=error.hint)
    if role.role not in (Role.STANDBY, Role.TAKING_OVER):
        return Refused(f"the role is {role.role} already (term {role.term})", host=host, hint="nagios-failover status")
    if role.role is Role.STANDBY and state.lock_path.exists():
        return Refused(
            f"{state.lock_path} is there though the role is standby", host=host, hint="the state watch mends it at its next check"
        )
    if trigger == Trigger.COMMAND:
        return None
    try:
        paused = state.paused(now)
    except StateUnreadable as error:
        return Refused(f"paused: {error.what}", host=host, hint="nagios-failover resume")
    if paused:
        reason = f"by {paused.by}: {paused.reason or 'no reason given'}"
        return Refused(f"paused {_until(paused.until)} {reason}", host=host, hint=f"nagios-failover resume on {host}")
    seen = next((look for look in reversed(ring_of(state)) if look.host == config.peer.name), None)
    paused_there = seen and seen.peer_pause and not 0 < seen.peer_pause_until <= now
    if seen and paused_there and not _of_an_ended_switchover(state, seen.peer_pause):
        until = _until(int(seen.peer_pause_until) or None)
        hint = f"nagios-failover resume on {seen.host}; is that host lost for good: nagios-failover failover here"
        return Refused(f"paused {until} {seen.peer_pause}", host=seen.host, hint=hint)
    return None


def _of_an_ended_switchover(state: StateFiles, words: str) -> bool:
    """A switchover of this host pauses the other one, too; if that one died under it, nobody could end the pause there."""
    marked = re.search(rf": {SWITCHOVER} ([\w-]+)$", words)
    return marked is not None and any(run.id == marked[1] and not run.open for run in Journal(state.directory).runs())


def _until(until: int | None) -> str:
    return "until resumed" if until is None else time.strftime("until %Y-%m-%d %H:%M:%S", time.localtime(until))


def next_term(own: RoleRecord, ring: Sequence[Look], witness: int = 0) -> int:
    """Above every term that is known: our own, those seen in the other host's role file, a witness's."""
    return 1 + max([own.term, witness, *(look.peer_term for look in ring)])


def ring_of(state: StateFiles) -> list[Look]:
    try:
        return state.looks()
    except StateUnreadable:
        return []


def deaths(ring: Sequence[Look]) -> list[Look]:
    """The newest looks in a row that judged a master to be dead: what this host saw of a peer while it was master itself (two
    masters, outranked) is CRITICAL too, and confirms no death."""
    found: list[Look] = []
    for look in reversed(ring):
        if look.state is not State.CRITICAL or look.code in PEER_CODES or (found and look.boot != found[-1].boot):
            break
        found.append(look)
    return found[::-1]


def confirm(flow: Flow) -> str:
    """Nagios's HARD CRITICAL counts for nothing here: looks in a row, the last one the run's own, do."""
    refused = why_not(flow.config, flow.state, trigger=flow.trigger, now=flow.hands.now())
    if refused:
        raise refused
    section = flow.config.look
    window = (section.confirmations + 1) * (section.confirm_interval + section.timeout)
    for _ in range(2 * section.confirmations + 2):
        began = flow.hands.uptime()
        seen = flow.hands.look(by=flow.run.id, record=True)
        if enough_alone(flow, seen.look.code):
            _remember_looks(flow, [seen.look], seen.verdict.sentence)
            return str(seen.verdict.sentence)
        if seen.verdict.state is not State.CRITICAL or flow.kind == FAILBACK:
            raise Refused(f"not confirmed: {seen.verdict.sentence}", hint=seen.verdict.hint)
        dead = deaths(ring_of(flow.state))
        count = confirmations(
            dead,
            host=flow.peer,
            boot=flow.hands.boot(),
            uptime=flow.hands.uptime(),
            window=window,
            spacing=0.75 * section.confirm_interval,
        )
        own = any(look.by == flow.run.id for look in dead)
        if own and count >= section.confirmations:
            _remember_looks(flow, dead, seen.verdict.sentence)
            return f"{count} looks in a row were CRITICAL: {seen.verdict.sentence}"
        flow.say(f"confirm: {count} of {section.confirmations}: {seen.verdict.sentence}")
        flow.hands.sleep(max(0.0, section.confirm_interval - (flow.hands.uptime() - began)))
    why = f"not confirmed: its looks could not be recorded: {seen.verdict.sentence}"
    raise Refused(why, host=flow.this, hint="free space under the state directory")


def enough_alone(flow: Flow, code: str) -> bool:
    """A person may take over from a master that lives but does nothing; the preferred host takes what it is offered."""
    if flow.kind == FAILBACK:
        return code == Code.HANDOVER
    return flow.trigger == Trigger.COMMAND and code == Code.PASSIVE


def _remember_looks(flow: Flow, looks: Sequence[Look], sentence: str) -> None:
    kept = [{"time": look.time, "state": look.state.name, "by": look.by, "sentence": look.sentence} for look in looks]
    flow.note("looks", kept[-10:])
    flow.note("first_seen", looks[0].time)
    flow.note("reason", sentence)


def would_confirm(flow: Flow) -> str:
    refused = why_not(flow.config, flow.state, trigger=flow.trigger, now=flow.hands.now())
    if refused:
        raise refused
    section = flow.config.look
    seen = flow.hands.look(by="dry-run", record=False).verdict
    now = "and go on" if seen.state is State.CRITICAL else "and refuse to go on"
    return (
        f"would look at {flow.peer} until {section.confirmations} looks in a row, {section.confirm_interval:g} s apart, were "
        f"CRITICAL; by this look it would find {seen.state.name} {now}: {seen.sentence}"
    )
