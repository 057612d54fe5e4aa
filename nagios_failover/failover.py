"""The failover run, and its twin, the failback of the preferred host: how a standby becomes the master.

Getting monitoring back goes before everything that can be mended later. Read STEPS first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from nagios_failover import flags as flag_state
from nagios_failover.config import Config, Start
from nagios_failover.errors import CouldNotLook, Failed, FailoverError, NoReader, Refused, StateUnreadable
from nagios_failover.journal import Journal
from nagios_failover.lock import run_lock
from nagios_failover.looks import Look, confirmations
from nagios_failover.report import run_mail
from nagios_failover.role import Flags, RoleRecord, describe_flags, role_flags, wanted_flags
from nagios_failover.run_record import Outcome, RunRecord
from nagios_failover.state_files import StateFiles
from nagios_failover.steps import Step, Weight
from nagios_failover.verdict import PEER_CODES, Code
from nagios_failover.words import Mode, Role, State
from nagios_failover.workflow import Flow, Hands, Trigger, ask_root, call_hook, carry_out, give_up, go_on, rehearsal, start

FAILOVER = "failover"
FAILBACK = "failback"


# --- why not ---


def why_not(config: Config, state: StateFiles, *, trigger: str, now: float) -> Refused | None:
    """The reason not even to look, or None. A person's own command goes before a pause, which stops the automation."""
    host = config.this.name
    try:
        role = state.role()
    except StateUnreadable as error:
        return Refused(f"no role, no failover: {error.what}", host=host, hint=error.hint)
    if role.role not in (Role.STANDBY, Role.TAKING_OVER):
        return Refused(f"the role is {role.role} already (term {role.term})", host=host, hint="nagios-failover status")
    if trigger == Trigger.COMMAND:
        return None
    try:
        paused = state.paused(now)
    except StateUnreadable as error:
        return Refused(f"paused: {error.what}", host=host, hint="nagios-failover resume")
    if paused:
        reason = f"by {paused.by}: {paused.reason or 'no reason given'}"
        return Refused(f"paused {_until(paused.until)} {reason}", host=host, hint=f"nagios-failover resume on {host}")
    seen = next((look for look in reversed(_ring(state)) if look.host == config.peer.name), None)
    if seen and seen.peer_pause and not 0 < seen.peer_pause_until <= now:
        until = _until(int(seen.peer_pause_until) or None)
        hint = f"nagios-failover resume on {seen.host}; is that host lost for good: nagios-failover failover here"
        return Refused(f"paused {until} {seen.peer_pause}", host=seen.host, hint=hint)
    return None


def _until(until: int | None) -> str:
    return "until resumed" if until is None else time.strftime("until %Y-%m-%d %H:%M:%S", time.localtime(until))


def _ring(state: StateFiles) -> list[Look]:
    try:
        return state.looks()
    except StateUnreadable:
        return []


# --- confirm ---


def deaths(ring: Sequence[Look]) -> list[Look]:
    """The newest looks in a row that judged a master to be dead: what this host saw of a peer while it was master itself (two
    masters, outranked) is CRITICAL too, and confirms no death."""
    found: list[Look] = []
    for look in reversed(ring):
        if look.state is not State.CRITICAL or look.code in PEER_CODES or (found and look.boot != found[-1].boot):
            break
        found.append(look)
    return found[::-1]


def _confirm(flow: Flow) -> str:
    """Nagios's HARD CRITICAL counts for nothing here: looks in a row, the last one the run's own, do."""
    refused = why_not(flow.config, flow.state, trigger=flow.trigger, now=flow.hands.now())
    if refused:
        raise refused
    section = flow.config.look
    window = (section.confirmations + 1) * (section.confirm_interval + section.timeout)
    for _ in range(2 * section.confirmations + 2):
        began = flow.hands.uptime()
        seen = flow.hands.look(by=flow.run.id, record=True)
        if _enough_alone(flow, seen.look.code):
            _remember_looks(flow, [seen.look], seen.verdict.sentence)
            return str(seen.verdict.sentence)
        if seen.verdict.state is not State.CRITICAL or flow.kind == FAILBACK:
            raise Refused(f"not confirmed: {seen.verdict.sentence}", hint=seen.verdict.hint)
        dead = deaths(_ring(flow.state))
        count = confirmations(
            dead,
            host=flow.peer,
            boot=flow.hands.boot(),
            uptime=flow.hands.uptime(),
            window=window,
            spacing=section.confirm_interval / 2,
        )
        own = any(look.by == flow.run.id for look in dead)
        if own and count >= section.confirmations:
            _remember_looks(flow, dead, seen.verdict.sentence)
            return f"{count} looks in a row were CRITICAL: {seen.verdict.sentence}"
        flow.say(f"confirm: {count} of {section.confirmations}: {seen.verdict.sentence}")
        flow.hands.sleep(max(0.0, section.confirm_interval - (flow.hands.uptime() - began)))
    raise Refused("not confirmed: its looks could not be recorded", host=flow.this, hint="free space under the state directory")


def _enough_alone(flow: Flow, code: str) -> bool:
    """A person may take over from a master that lives but does nothing; the preferred host takes what it is offered."""
    if flow.kind == FAILBACK:
        return code == Code.HANDOVER
    return flow.trigger == Trigger.COMMAND and code == Code.PASSIVE


def _remember_looks(flow: Flow, looks: Sequence[Look], sentence: str) -> None:
    kept = [{"time": look.time, "state": look.state.name, "by": look.by, "sentence": look.sentence} for look in looks]
    flow.note("looks", kept[-10:])
    flow.note("first_seen", looks[0].time)
    flow.note("reason", sentence)


def _would_confirm(flow: Flow) -> str:
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


# --- register ---


def next_term(own: RoleRecord, ring: Sequence[Look]) -> int:
    """Above every term that is known: our own, and those seen in the other host's role file."""
    return 1 + max([own.term, *(look.peer_term for look in ring)])


def _register(flow: Flow) -> str:
    with suppress(FailoverError):
        flag_state.record(flow.config, flow.state)  # an operator's flags are written down as his before any is ours
    role = flow.state.role()
    flow.note("term", next_term(role, _ring(flow.state)))
    flow.remember_what_is(role)
    flow.state.write_role(RoleRecord(Role.TAKING_OVER, flow.this, flow.term, flow.run.id, int(flow.hands.now())))
    return f"role is taking-over, term {flow.term} (it was {role.role}, term {role.term})"


def _registered(flow: Flow) -> str:
    role = flow.state.role()
    ours = role.run == flow.run.id and role.role in (Role.TAKING_OVER, Role.MASTER)
    return f"role is {role.role}, term {role.term}" if ours else ""


def _would_register(flow: Flow) -> str:
    term = next_term(flow.state.role(), _ring(flow.state))
    return f"would write role taking-over with term {term} to {flow.state.role_path}, and failover.lock beside it"


# --- activate ---


def flags_to_set(flow: Flow) -> Flags:
    """A master's flags, as far as no fence with a higher term holds them."""
    record = RoleRecord(Role.MASTER, flow.this, flow.term, flow.run.id, 0)
    try:
        overrides = flow.state.overrides()
    except StateUnreadable:
        overrides = []
    return wanted_flags(record, flow.config.pair.mode, overrides) or role_flags(flow.config.pair.mode, active=True)


def _activate(flow: Flow) -> str:
    """Flags, role, checks of what is not OK. Once the commands are with Nagios there is no way back: that status.dat or the role
    file does not show it (a full disk) is no reason to stop monitoring again."""
    wanted = flags_to_set(flow)
    said = [f"{describe_flags(wanted)}, seen in status.dat"]
    try:
        said.extend(flow.hands.set_flags(wanted))
    except NoReader:
        raise
    except (Failed, CouldNotLook) as error:
        flow.passed_over.append(f"activate: {error}; hint: {error.hint}")
        said = [f"{describe_flags(wanted)}, sent to Nagios but not seen in status.dat"]
    try:
        flow.state.write_role(RoleRecord(Role.MASTER, flow.this, flow.term, flow.run.id, int(flow.hands.now())))
        flow.note("active_at", flow.hands.now())
    except Failed as error:
        flow.notes["active_at"] = flow.hands.now()
        flow.passed_over.append(f"activate: {error}; hint: {error.hint}")
    return "; ".join([*said, _check_what_is_not_ok(flow)])


def _check_what_is_not_ok(flow: Flow) -> str:
    """What recovered in the gap is told at once, what is still broken is notified at once. The watch services keep their pace."""
    now = int(flow.hands.now())
    try:
        objects = [(host, service) for host, service in flow.hands.not_ok() if host != flow.config.nagios.watch_host]
        flow.hands.commands([_forced_check(host, service, now) for host, service in objects])
    except (CouldNotLook, NoReader) as error:
        return f"what is not OK is checked in its own time ({error})"
    return f"{len(objects)} objects that are not OK are checked at once"


def _forced_check(host: str, service: str | None, now: int) -> str:
    if service is None:
        return f"SCHEDULE_FORCED_HOST_CHECK;{host};{now}"
    return f"SCHEDULE_FORCED_SVC_CHECK;{host};{service};{now}"


def _activated(flow: Flow) -> str:
    role = flow.state.role()
    if role.role is not Role.MASTER or role.run != flow.run.id:
        return ""
    wanted = flags_to_set(flow)
    try:
        actual = flow.hands.flags()
    except CouldNotLook:
        return ""
    if any(actual.get(flag) is not on for flag, on in wanted.items()):
        return ""
    if "active_at" not in flow.notes:
        flow.note("active_at", float(role.since))
    return f"role is master, term {role.term}; {describe_flags(wanted)}"


def _would_activate(flow: Flow) -> str:
    cfg = flow.config.this.nagios_cfg
    return (
        f"would set {describe_flags(role_flags(flow.config.pair.mode, active=True))} by external commands to the Nagios of {cfg}, "
        "save its state, see it in status.dat, write role master, and force a check of every object that is not OK"
    )


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


def _send_mail(flow: Flow) -> str:
    now = flow.hands.now()
    record = flow.run.record()
    failed = [f"{step.name}: {step.detail}" for step in record.steps if step.outcome == "failed"]
    subject, body = run_mail(flow.config, record, result(flow), [*flow.passed_over, *failed], now=now)
    flow.hands.deliver(flow.run.id, subject, body)
    flow.note("mailed", True)
    return f"to {', '.join(flow.config.mail.to)} by {flow.config.mail.method}"


def _later(what: str) -> Callable[[Flow], str]:
    return lambda flow: f"nothing to do in this version: {what}"


def _never(flow: Flow) -> str:
    raise Failed("there is nothing to do in this version")


def _placeholder(name: str, what: str) -> Step[Flow]:
    """A step that a later version fills: it has its place in the list, and says that it does nothing."""
    return Step(name, would=_later(what), act=_never, weight=Weight.NEEDED, idle=_later(what))


def _unless(option: Callable[[Config], object], text: str) -> Callable[[Flow], str]:
    return lambda flow: "" if option(flow.config) else text


STEPS: tuple[Step[Flow], ...] = (
    Step("confirm", _would_confirm, _confirm, Weight.FATAL),
    Step("register", _would_register, _register, Weight.FATAL, holds=_registered),
    Step(
        "pre hook",
        lambda flow: f"would call {' '.join(flow.config.run.pre_hook)}; an exit code other than 0 ends the run",
        lambda flow: call_hook(flow, flow.config.run.pre_hook),
        Weight.FATAL,
        idle=_unless(lambda config: config.run.pre_hook, "not configured"),
    ),
    _placeholder("fence, mild", "the old master is neither stopped nor muted"),
    _placeholder("fetch", "logs, status and waiting perfdata of the old master are not fetched"),
    _placeholder("fence, hard", "the old master is not cut off"),
    _placeholder("inherit", "open incidents are not inherited"),
    Step(
        "start Nagios",
        lambda flow: "would let the root helper start Nagios (cold standby)",
        _start_nagios,
        Weight.FATAL,
        idle=_unless(lambda config: config.pair.standby is Start.COLD, "the standby is warm: its Nagios runs"),
        holds=_nagios_runs,
    ),
    Step("activate", _would_activate, _activate, Weight.FATAL, holds=_activated),
    _placeholder("promote", "the database's role is not changed"),
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
        "mail",
        lambda flow: f"would mail {', '.join(flow.config.mail.to)} by {flow.config.mail.method}",
        _send_mail,
        Weight.LESSER,
        holds=lambda flow: "sent already" if flow.notes.get("mailed") else "",
    ),
    _placeholder("merge logs", "the old master's event log is not merged"),
)


def result(flow: Flow) -> str:
    """The run's sentence, in the journal, the mail and the command's last line."""
    does = "notifies" if flow.config.pair.mode is Mode.REDUNDANCY else "checks and notifies"
    sentence = f"{flow.this} is the master now (term {flow.term}): it {does}"
    if flow.kind == FAILBACK:
        return f"{sentence}; {flow.peer} offered the role and stands down"
    first, active = flow.notes.get("first_seen"), flow.notes.get("active_at")
    if first and active:
        clock = time.strftime("%H:%M:%S", time.localtime(active))
        sentence += f" since {clock}, {active - first:.1f} s after the first look that saw it"
    return f"{sentence}; {flow.peer} had failed" if flow.trigger != Trigger.COMMAND else sentence


# --- doors to it ---


def run_failover(
    config: Config,
    state: StateFiles,
    *,
    trigger: str,
    kind: str = FAILOVER,
    dry_run: bool = False,
    say: Callable[[str], None] | None = None,
    hands: Hands | None = None,
) -> RunRecord:
    """One failover (or failback) run, under the lock. Returns how it ended: done, incomplete, aborted or refused.

    Raises LockHeld while another run is on its way, Refused (dry run, or an open run that must be finished first), Failed when it
    cannot be journaled. Changes nothing before the looks have confirmed the master's death."""
    if dry_run:
        return rehearsal(config, state, kind, STEPS, trigger=trigger, say=say)
    with run_lock(state.directory, wait=0):
        left = Journal(state.directory).open_runs()
        if left:
            raise Refused(f"run {left[0].id} is open", host=config.this.name, hint="it is finished first: try again")
        flow = start(config, state, kind, trigger=trigger, term=_expected_term(state), hands=hands, say=say)
        return carry_out(flow, STEPS, result=result)


def _expected_term(state: StateFiles) -> int:
    try:
        return next_term(state.role(), _ring(state))
    except StateUnreadable:
        return 0


def finish(
    config: Config, state: StateFiles, record: RunRecord, *, hands: Hands | None = None, say: Callable[[str], None] | None = None
) -> RunRecord:
    """Go on with a run that was cut short; the caller holds the lock. Where nothing has been activated and the master is seen
    alive again, everything is put back instead."""
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
        return carry_out(flow, STEPS, result=result, earlier=replace(record, steps=()))
    if role.role is Role.TAKING_OVER and not record.begun("activate"):
        seen = flow.hands.look(by=flow.run.id, record=True)
        if seen.verdict.state is not State.CRITICAL and not _enough_alone(flow, seen.look.code):
            return give_up(flow, Refused(f"not confirmed any more: {seen.verdict.sentence}"))
    return carry_out(flow, STEPS, result=result, earlier=record)
