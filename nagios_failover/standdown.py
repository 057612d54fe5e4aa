"""Giving the role back: by a person's command, because the other host has the higher term, or to the returned preferred host."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from nagios_failover import flags as flag_state
from nagios_failover.config import Config
from nagios_failover.config_values import Failback
from nagios_failover.confirm import ring_of
from nagios_failover.demote import demote, would_demote
from nagios_failover.errors import FailoverError, Refused, StateUnreadable
from nagios_failover.hands import Hands
from nagios_failover.lock import A_MOMENT, run_lock
from nagios_failover.looks import Look
from nagios_failover.promote import idle as promote_idle
from nagios_failover.role import RoleRecord, describe_flags, role_flags
from nagios_failover.run_record import Outcome, RunRecord
from nagios_failover.shared_steps import mail_step, role_is_ours
from nagios_failover.state_files import StateFiles
from nagios_failover.steps import Step, Weight
from nagios_failover.verdict import Code
from nagios_failover.words import Role
from nagios_failover.workflow import Flow, Trigger, carry_out, go_on, known_term, rehearsal, require_none_open, start

STANDDOWN = "standdown"
LIVE_STANDBY = (Code.PEER_STANDBY, Code.PEER_THROUGH, Code.PEER_RETURNED)


def due_for_return(config: Config) -> bool:
    """Is the other host the one that gets the role back by itself?"""
    return config.pair.failback is Failback.AUTOMATIC and config.preferred_host == config.peer.name


def _check(flow: Flow) -> str:
    """Is there somebody who monitors when this host does not?"""
    try:
        role = flow.state.role()
    except StateUnreadable as error:
        raise Refused(f"no role, nothing to give back: {error.what}", host=flow.this, hint=error.hint) from error
    if role.role is not Role.MASTER:
        raise Refused(f"the role is {role.role} (term {role.term}): there is nothing to give back", host=flow.this)
    seen = flow.hands.look(by=flow.run.id, record=True)
    report = seen.evidence.report
    theirs = report.role if report else None
    code = seen.look.code
    flow.note("reason", seen.verdict.sentence)
    flow.note("term", max(role.term, theirs.term if theirs else 0))
    if code == Code.PEER_OUTRANKS or (flow.kind == STANDDOWN and flow.trigger == Trigger.COMMAND and code == Code.PEER_ACTIVE):
        flow.note("monitors", flow.peer)
        return str(seen.verdict.sentence)
    if flow.trigger != Trigger.COMMAND:
        if code == Code.PEER_ACTIVE and report and theirs is None and due_for_return(flow.config):
            flow.note("monitors", flow.peer)
            return str(seen.verdict.sentence)
        outranked = _outranked_before(flow, role) if report is None and code not in LIVE_STANDBY else None
        if outranked is not None:
            flow.note("reason", outranked.sentence)
            flow.note("term", outranked.peer_term)
            flow.note("monitors", flow.peer)
            return f"{outranked.sentence}, as was seen a moment ago; now {seen.verdict.sentence}"
        raise Refused(f"not confirmed: {seen.verdict.sentence}")
    if code not in LIVE_STANDBY and not flow.notes.get("force"):
        raise Refused(
            f"there is no live standby: {seen.verdict.sentence}",
            host=flow.this,
            hint="repair it first, or let nobody monitor with: nagios-failover standdown --force",
        )
    flow.note("live_standby", code in LIVE_STANDBY)
    return str(seen.verdict.sentence)


def _outranked_before(flow: Flow, role: RoleRecord) -> Look | None:
    """A term never goes back: a look of a moment ago that saw the higher one holds where the run's own reaches nobody (a machine so
    busy that every second login takes too long)."""
    recent = 3 * flow.config.look.interval + 2 * flow.config.look.timeout
    for look in reversed(ring_of(flow.state)):
        is_of_now = look.boot == flow.hands.boot() and 0 <= flow.hands.uptime() - look.uptime <= recent
        if is_of_now and (look.host, look.code) == (flow.peer, Code.PEER_OUTRANKS) and look.peer_term >= role.term:
            return look
    return None


def _would_check(flow: Flow) -> str:
    seen = flow.hands.look(by="dry-run", record=False)
    return f"would look whether {flow.peer} is a live standby; by this look: {seen.verdict.sentence}"


def _register(flow: Flow) -> str:
    role = flow.state.role()
    flow.remember_what_is(role)
    flow.state.write_role(replace(role, role=Role.STANDING_DOWN, run=flow.run.id, since=int(flow.hands.now()), handover=""))
    return f"role is standing-down, term {role.term}"


def _registered(flow: Flow) -> str:
    return role_is_ours(flow, Role.STANDING_DOWN, Role.STANDBY)


def _mute(flow: Flow) -> str:
    wanted = role_flags(flow.config.pair.mode, active=False)
    with suppress(FailoverError):
        flag_state.count_from_here(flow.config, flow.state, term=flow.term)
    return "; ".join([f"{describe_flags(wanted)}, seen in status.dat", *flow.hands.set_flags(wanted, ())])


def _become_standby(flow: Flow) -> str:
    flow.state.write_role(RoleRecord(Role.STANDBY, flow.peer, flow.term, flow.run.id, int(flow.hands.now())))
    return f"role is standby, master {flow.peer}, term {flow.term}"


def _is_standby(flow: Flow) -> str:
    return role_is_ours(flow, Role.STANDBY)


STEPS: tuple[Step[Flow], ...] = (
    Step("check", _would_check, _check, Weight.FATAL),
    Step(
        "register",
        lambda flow: f"would write role standing-down to {flow.state.role_path}",
        _register,
        Weight.FATAL,
        holds=_registered,
    ),
    Step(
        "mute",
        lambda flow: f"would set {describe_flags(role_flags(flow.config.pair.mode, active=False))}, and see it in status.dat",
        _mute,
        Weight.NEEDED,  # the role is given back all the same: the state watch goes on muting until it is seen
    ),
    Step("database", would_demote, demote, Weight.NEEDED, idle=promote_idle),
    Step(
        "become standby",
        lambda flow: "would write role standby and remove failover.lock",
        _become_standby,
        Weight.FATAL,
        holds=_is_standby,
    ),
    mail_step(lambda flow: result(flow)),
)


def result(flow: Flow) -> str:
    """Says who monitors now."""
    sentence = f"{flow.this} is the standby now (term {flow.term})"
    if flow.notes.get("monitors"):
        alone = flow.notes.get("alone")
        lost = f"; {alone} of its database are not in {flow.peer}'s: nagios-failover rejoin saves them" if alone else ""
        return f"{sentence}: {flow.notes['monitors']} monitors{lost}"
    if flow.notes.get("live_standby"):
        return f"{sentence}: nobody monitors until you run on {flow.peer}: nagios-failover failover"
    return f"{sentence}: nobody monitors, and it takes over again at its next checks unless it is paused (nagios-failover pause)"


def run_standdown(
    config: Config,
    state: StateFiles,
    *,
    trigger: str,
    force: bool = False,
    dry_run: bool = False,
    say: Callable[[str], None] | None = None,
    hands: Hands | None = None,
) -> RunRecord:
    """Give the role back, under the lock. Returns how it ended. Raises LockHeld, Refused (a run is open), Failed (no journal)."""
    if dry_run:
        return rehearsal(config, state, STANDDOWN, STEPS, trigger=trigger, say=say)
    with run_lock(state.directory, wait=A_MOMENT):
        require_none_open(config, state)
        flow = start(config, state, STANDDOWN, trigger=trigger, term=known_term(state), hands=hands, say=say)
        if force:
            flow.note("force", True)
        return carry_out(flow, STEPS, result=result)


def finish(
    config: Config, state: StateFiles, record: RunRecord, *, hands: Hands | None = None, say: Callable[[str], None] | None = None
) -> RunRecord:
    """Go on with a stand-down that was cut short; the caller holds the lock."""
    role = state.role()
    flow = go_on(config, state, record, hands=hands, say=say)
    before = flow.role_before()
    if before and role.run != record.id and (role.role, role.term) != (before.role, before.term):
        now = f"{role.role}, term {role.term}"
        return flow.run.close(Outcome.ABORTED, f"given up: {flow.this} has had another role since: {now}")
    if role.run != record.id:
        flow.notes = {key: value for key, value in flow.notes.items() if key == "force"}
        return carry_out(flow, STEPS, result=result, earlier=replace(record, steps=()))
    return carry_out(flow, STEPS, result=result, earlier=record)
