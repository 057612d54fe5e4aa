"""The failover run, and its twin, the failback of the preferred host: how a standby becomes the master.

Getting monitoring back goes before everything that can be mended later. Read STEPS first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from nagios_failover import flags as flag_state
from nagios_failover.activate import activate, activated, check_at_once, flags_to_set, would_activate
from nagios_failover.config import Config
from nagios_failover.config_values import Start
from nagios_failover.confirm import FAILBACK, FAILOVER, confirm, enough_alone, next_term, ring_of, would_confirm
from nagios_failover.errors import Failed, FailoverError, NoReader, Refused, StateUnreadable
from nagios_failover.fence_steps import HARD, MILD, by_hand
from nagios_failover.hands import Hands
from nagios_failover.inherit import fetch, inherit, inherited, would_fetch, would_inherit
from nagios_failover.lease_steps import TAKE
from nagios_failover.lock import A_MOMENT, run_lock
from nagios_failover.merge_logs import STEP as MERGE_LOGS
from nagios_failover.merge_logs import merge_logs, tell_if_not_merged, would_merge_logs
from nagios_failover.promote import idle as promote_idle
from nagios_failover.promote import promote, promoted, would_promote
from nagios_failover.queue_fetch import fetch_queue, would_fetch_queue
from nagios_failover.queue_fetch import idle as queue_idle
from nagios_failover.role import RoleRecord, describe_flags
from nagios_failover.run_record import Outcome, RunRecord, StepOutcome
from nagios_failover.shared_steps import mail_step, role_is_ours
from nagios_failover.state_files import StateFiles
from nagios_failover.steps import Step, Weight
from nagios_failover.verify import verify_incidents, would_verify_incidents
from nagios_failover.words import Mode, Role, State
from nagios_failover.workflow import (
    Flow,
    Trigger,
    ask_root,
    call_hook,
    carry_out,
    give_up,
    go_on,
    longest_run,
    rehearsal,
    require_none_open,
    start,
)

# --- register ---


def _register(flow: Flow) -> str:
    with suppress(FailoverError):
        flag_state.record(flow.config, flow.state)  # an operator's flags are written down as his before any is ours
    role = flow.state.role()
    flow.note("boot", flow.hands.boot())
    flow.note("term", next_term(role, ring_of(flow.state), flow.hands.witness_term()))
    flow.remember_what_is(role)
    flow.state.write_role(RoleRecord(Role.TAKING_OVER, flow.this, flow.term, flow.run.id, int(flow.hands.now())))
    return f"role is taking-over, term {flow.term} (it was {role.role}, term {role.term})"


def _registered(flow: Flow) -> str:
    return role_is_ours(flow, Role.TAKING_OVER, Role.MASTER)


def _would_register(flow: Flow) -> str:
    term = next_term(flow.state.role(), ring_of(flow.state))
    return f"would write role taking-over with term {term} to {flow.state.role_path}, and failover.lock beside it"


# --- the other steps ---


def _start_nagios(flow: Flow) -> str:
    said = ask_root(flow, "start-nagios")
    deadline = flow.hands.uptime() + flow.config.nagios.verify_timeout
    while True:
        try:
            flow.hands.commands(())
            return said
        except NoReader as error:
            if flow.hands.uptime() >= deadline:
                limit = flow.config.nagios.verify_timeout
                raise Failed(f"Nagios was started but does not read its command file after {limit:g} s: {error}") from error
        flow.hands.sleep(0.2)


def _nagios_runs(flow: Flow) -> str:
    try:
        flow.hands.commands(())
    except NoReader:
        return ""
    return "Nagios runs and reads its command file"


def _tell_witnesses(flow: Flow) -> str:
    """Before anything is activated: an old master that is cut off, or wakes up, must find the new term there."""
    flow.note("witnesses_told", True)
    failed = flow.hands.tell_witnesses(flow.term, flow.this)
    if failed:
        raise Failed(f"not recorded: {'; '.join(failed)}")
    return f"term {flow.term}, master {flow.this}: recorded by {', '.join(map(str, flow.config.witness.accounts))}"


def _unless(option: Callable[[Config], object], text: str) -> Callable[[Flow], str]:
    return lambda flow: "" if option(flow.config) else text


def _nothing_to_verify(flow: Flow) -> str:
    if not flow.config.sync.watch:
        return "not configured"
    failed = flow.run.record().step("inherit")
    return "nothing was inherited" if failed is not None and failed.outcome == StepOutcome.FAILED else ""


STEPS: tuple[Step[Flow], ...] = (
    Step("confirm", would_confirm, confirm, Weight.FATAL),
    TAKE,
    Step("register", _would_register, _register, Weight.FATAL, holds=_registered),
    Step(
        "pre hook",
        lambda flow: f"would call {' '.join(flow.config.run.pre_hook)}; an exit code other than 0 ends the run",
        lambda flow: call_hook(flow, flow.config.run.pre_hook),
        Weight.FATAL,
        idle=_unless(lambda config: config.run.pre_hook, "not configured"),
    ),
    MILD,
    Step("fetch", would_fetch, fetch, Weight.LESSER, idle=_unless(lambda config: config.sync.watch, "not configured")),
    HARD,
    Step(
        "inherit",
        would_inherit,
        inherit,
        Weight.NEEDED,
        idle=_unless(lambda config: config.sync.watch, "not configured"),
        holds=inherited,
    ),
    Step(
        "start Nagios",
        lambda flow: "would let the root helper start Nagios (cold standby)",
        _start_nagios,
        Weight.FATAL,
        idle=_unless(lambda config: config.pair.standby is Start.COLD, "the standby is warm: its Nagios runs"),
        holds=_nagios_runs,
    ),
    Step(
        "tell witnesses",
        lambda flow: f"would record the new term with {', '.join(map(str, flow.config.witness.accounts))}",
        _tell_witnesses,
        Weight.LESSER,
        idle=_unless(lambda config: config.witness.accounts, "not configured"),
    ),
    Step("activate", would_activate, activate, Weight.FATAL, holds=activated),
    Step(
        "check at once",
        lambda flow: "would force a check of every object that is not OK, the watch services aside",
        check_at_once,
        Weight.LESSER,
    ),
    Step("promote", would_promote, promote, Weight.NEEDED, idle=promote_idle, holds=promoted),
    Step("fetch queue", would_fetch_queue, fetch_queue, Weight.LESSER, idle=queue_idle),
    Step(
        "perfdata services",
        lambda flow: f"would let the root helper start {', '.join(flow.config.run.perfdata_services)}",
        lambda flow: ask_root(flow, "start-perfdata"),
        Weight.NEEDED,
        idle=_unless(lambda config: config.run.perfdata_services, "not configured"),
    ),
    Step(
        "post hook",
        lambda flow: f"would call {' '.join(flow.config.run.post_hook)}",
        lambda flow: call_hook(flow, flow.config.run.post_hook),
        Weight.NEEDED,
        idle=_unless(lambda config: config.run.post_hook, "not configured"),
    ),
    Step(
        "verify incidents",
        would_verify_incidents,
        verify_incidents,
        Weight.LESSER,
        idle=_nothing_to_verify,
    ),
    mail_step(lambda flow: result(flow), only_told=(MILD.name, HARD.name)),
    Step(
        MERGE_LOGS,
        would_merge_logs,
        merge_logs,
        Weight.LESSER,
        idle=_unless(lambda config: config.sync.watch, "not configured"),
    ),
)


def result(flow: Flow) -> str:
    """The run's sentence, in the journal, the mail and the command's last line."""
    does = "notifies" if flow.config.pair.mode is Mode.REDUNDANCY else "checks and notifies"
    off = {flag: on for flag, on in flags_to_set(flow).items() if not on}
    if off:
        does = f"monitors with {describe_flags(off)} (an override is in force)"
    sentence = f"{flow.this} is the master now (term {flow.term}): it {does}"
    if flow.kind == FAILBACK:
        return f"{sentence}; {flow.peer} offered the role and stands down"
    first, active = flow.notes.get("first_seen"), flow.notes.get("active_at")
    if first and active:
        clock = time.strftime("%H:%M:%S", time.localtime(active))
        sentence += f" since {clock}, {active - first:.1f} s after the first look that saw it"
    return f"{sentence}; {flow.peer} had failed" if flow.trigger != Trigger.COMMAND else sentence


# --- doors to it ---


class TakenOver(Refused):
    """There is nothing to do any more, nor to tell."""


def run_failover(
    config: Config,
    state: StateFiles,
    *,
    trigger: str,
    kind: str = FAILOVER,
    dry_run: bool = False,
    fenced_by_hand: bool = False,
    say: Callable[[str], None] | None = None,
    hands: Hands | None = None,
) -> RunRecord:
    """One failover (or failback) run, under the lock. Returns how it ended: done, incomplete, aborted or refused.

    Raises LockHeld while another run is on its way, Refused (dry run, or an open run that must be finished first), Failed when it
    cannot be journaled. `fenced_by_hand`: a person says that the old master is off.

    Raises TakenOver where Nagios's call has waited for the lock, and another one's run has made this host the master meanwhile.

    Changes nothing before the looks have confirmed the master's death."""
    if dry_run:
        return rehearsal(config, state, kind, STEPS, trigger=trigger, say=say)
    with run_lock(state.directory, wait=A_MOMENT):
        require_none_open(config, state)
        if trigger == Trigger.EVENT and _is_master(state):
            raise TakenOver("another call has taken over meanwhile", host=config.this.name)
        flow = start(config, state, kind, trigger=trigger, term=_expected_term(state), hands=hands, say=say)
        if fenced_by_hand:
            flow.note("fenced", by_hand(config.peer.name).note())
        return _to_the_end(flow)


def _to_the_end(flow: Flow, earlier: RunRecord | None = None) -> RunRecord:
    return tell_if_not_merged(flow, carry_out(flow, STEPS, result=result, earlier=earlier))


def _is_master(state: StateFiles) -> bool:
    try:
        return state.role().role is Role.MASTER
    except StateUnreadable:
        return False


def _expected_term(state: StateFiles) -> int:
    try:
        return next_term(state.role(), ring_of(state))
    except StateUnreadable:
        return 0


def finish(
    config: Config, state: StateFiles, record: RunRecord, *, hands: Hands | None = None, say: Callable[[str], None] | None = None
) -> RunRecord:
    """Go on with a run that was cut short; the caller holds the lock. Where nothing has been activated and the master is seen
    alive again, everything is put back instead; unless its guard has made it this host's standby, by the very term of this run."""
    role = state.role()
    flow = go_on(config, state, record, hands=hands, say=say)
    before = flow.role_before()
    if before and role.run != record.id:
        if (role.role, role.term) != (before.role, before.term):
            now = f"{role.role}, term {role.term}"
            return flow.run.close(Outcome.ABORTED, f"given up: {flow.this} has had another role since: {now}")
        flow.notes.clear()  # killed before the role was written
    if not flow.notes.get("role_before"):
        # Nothing has changed, and what was confirmed then need not be so now: from the start.
        return _to_the_end(flow, replace(record, steps=()))
    if role.role is Role.TAKING_OVER and (not record.begun("activate") or _long_ago(flow, record)):
        seen = flow.hands.look(by=flow.run.id, record=True)
        is_over = seen.verdict.state is not State.CRITICAL and not enough_alone(flow, seen.look.code)
        if is_over and seen.look.peer_follows < flow.term:
            return give_up(flow, Refused(f"not confirmed any more: {seen.verdict.sentence}"))
    return _to_the_end(flow, record)


def _long_ago(flow: Flow, record: RunRecord) -> bool:
    """Was the run cut short so long ago, or before a boot, that what it had confirmed need not hold any more?"""
    activate = record.step("activate")
    age = flow.hands.now() - (activate.started if activate else record.opened)
    return flow.notes.get("boot") != flow.hands.boot() or not 0 <= age <= longest_run(flow.config)
