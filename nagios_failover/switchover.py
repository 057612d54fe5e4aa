"""The switchover: both hosts are well, and the standby becomes the master because a person wants it. Run on the standby.

The point of no return is `activate`: before it, whatever fails is put back, and the old master monitors again. What a failover
does too is a failover's own step; read STEPS first.

No notification is doubled or lost: the last copy is taken when the old master's flags have been read back off, so that all that it
ever sent is in it; what it saw after it was told to be silent, and told nobody, is told by this host (gap.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from nagios_failover import failover
from nagios_failover.activate import would_activate
from nagios_failover.attach_there import attach_there, attached, would_attach
from nagios_failover.config import Config
from nagios_failover.errors import Failed, FailoverError, Incomplete, Refused
from nagios_failover.hands import Hands, hands_of
from nagios_failover.inherit import would_fetch
from nagios_failover.journal import Journal
from nagios_failover.lease_steps import TAKE_OVER
from nagios_failover.lock import A_MOMENT, run_lock
from nagios_failover.merge_logs import tell_if_not_merged
from nagios_failover.run_record import SWITCHOVER, Outcome, RunRecord
from nagios_failover.shared_steps import mail_step
from nagios_failover.state_files import StateFiles
from nagios_failover.steps import Step, Weight
from nagios_failover.switchover_steps import (
    NOTHING,
    end_pause,
    last_sync,
    let_go_on,
    pause_both,
    quiesce,
    require_ready,
    stand_down_there,
    stood_down,
    would_be_ready,
)
from nagios_failover.words import Role, State
from nagios_failover.workflow import (
    Flow,
    Trigger,
    as_it_faced,
    carry_out,
    give_up,
    go_on,
    known_term,
    rehearsal,
    require_none_open,
    start,
    what_was_fenced,
)

NO_RETURN = "activate"
RETRY_SECONDS = 15.0
"""So long a master that could not be told to go on is left alone: the handler is called every second, and each try may take ten."""
PUT_BACK_SECONDS = 60.0
"""A person who takes over waits so long for a try that is on its way."""
AGAIN = "nagios-failover status shows both hosts, nagios-failover switchover --dry-run what is in the way; then give it again"


# --- the list ---


_FAILOVERS = {step.name: step for step in failover.STEPS}

STEPS: tuple[Step[Flow], ...] = (
    Step("ready", would_be_ready, require_ready, Weight.FATAL),
    Step("pause", lambda flow: "would pause the automation of both hosts", pause_both, Weight.FATAL),
    _FAILOVERS["register"],
    _FAILOVERS["pre hook"],
    Step(
        "quiesce",
        lambda flow: f"would tell the Nagios of {flow.peer} to be passive, as {flow.config.fence.user} over ssh, and see it so",
        quiesce,
        Weight.FATAL,
    ),
    TAKE_OVER,
    Step("last sync", would_fetch, last_sync, Weight.FATAL, idle=_FAILOVERS["fetch"].idle),
    replace(_FAILOVERS["inherit"], weight=Weight.FATAL),
    _FAILOVERS["start Nagios"],
    _FAILOVERS["tell witnesses"],
    replace(
        _FAILOVERS[NO_RETURN],
        would=lambda flow: f"the point of no return (what fails before it is put back): {would_activate(flow)}",
    ),
    _FAILOVERS["check at once"],
    _FAILOVERS["promote"],
    _FAILOVERS["fetch queue"],
    _FAILOVERS["perfdata services"],
    Step(
        "stand down",
        lambda flow: f"would let {flow.peer} stand down, by its own nagios-failover",
        stand_down_there,
        Weight.NEEDED,
        holds=stood_down,
    ),
    Step("attach database", would_attach, attach_there, Weight.NEEDED, idle=_FAILOVERS["promote"].idle, holds=attached),
    Step("unpause", lambda flow: "would end the pause on both hosts", end_pause, Weight.NEEDED),
    _FAILOVERS["post hook"],
    _FAILOVERS["verify incidents"],
    mail_step(lambda flow: result(flow)),
    _FAILOVERS["merge logs"],
)


def result(flow: Flow) -> str:
    return f"{failover.result(flow)}; {flow.peer} stands down"


# --- doors to it ---


def run_switchover(
    config: Config,
    state: StateFiles,
    *,
    dry_run: bool = False,
    say: Callable[[str], None] | None = None,
    hands: Hands | None = None,
) -> RunRecord:
    """One switchover, under the lock. Returns how it ended. Raises LockHeld, Refused (a run is open), Failed (no journal),
    Incomplete (it is to be finished: past the point of no return)."""
    if dry_run:
        rehearsed = rehearsal(config, state, SWITCHOVER, STEPS, trigger=Trigger.COMMAND, say=say)
        looked = rehearsed.step("ready")
        if looked is not None and looked.detail != NOTHING:
            raise Refused("a switchover would not begin: see above", host=config.this.name, hint="nothing was changed (dry run)")
        return rehearsed
    with run_lock(state.directory, wait=A_MOMENT):
        require_none_open(config, state)
        real = hands or hands_of(config, state)
        tried = real.ready()  # before the journal is opened: an open run is in the way, and this one is not
        hands = replace(real, ready=lambda: tried)
        return _to_the_end(start(config, state, SWITCHOVER, trigger=Trigger.COMMAND, term=known_term(state), hands=hands, say=say))


def _to_the_end(flow: Flow, earlier: RunRecord | None = None) -> RunRecord:
    ended = carry_out(flow, STEPS, result=result, earlier=earlier, abort=_put_back)
    return _unpaused(flow, tell_if_not_merged(flow, ended))


def _put_back(flow: Flow, error: FailoverError) -> RunRecord:
    """The master first: as long as it cannot be told to go on, and is not dead, the run stays open (Incomplete), and every next
    call tries again. A master that has died meanwhile is a failover's business."""
    quiet = what_was_fenced(flow)
    if quiet is not None and (quiet.proved or quiet.was_on):
        released = let_go_on(flow, quiet)
        if not released.proved and flow.hands.look(by=flow.run.id, record=True).verdict.state is not State.CRITICAL:
            flow.note_if_possible("owed", f"{error}; {released.sentence}")
            flow.note_if_possible("tried", flow.hands.now())
            raise _nobody_monitors(flow.config, flow.notes["owed"]) from error
    error.hint = error.hint or AGAIN
    return give_up(flow, error)


def _nobody_monitors(config: Config, why: str) -> Incomplete:
    return Incomplete(
        f"nobody is monitoring: {why}",
        host=config.this.name,
        hint=f"{config.peer.name} is told to go on as soon as it can be, by the checks here and by every command; "
        "to monitor from here instead: nagios-failover failover",
    )


def give_up_for_a_failover(config: Config, state: StateFiles, *, hands: Hands | None = None) -> None:
    """A person takes over: a switchover that is open because the master cannot be told to go on must not keep him from it."""
    with run_lock(state.directory, wait=PUT_BACK_SECONDS):
        for record in Journal(state.directory).open_runs():
            if record.kind == SWITCHOVER and not record.begun(NO_RETURN):
                flow = go_on(config, state, record, hands=hands, say=None)
                _unpaused(flow, give_up(flow, Failed("given up for a failover, by a person's command")))


def _unpaused(flow: Flow, record: RunRecord) -> RunRecord:
    """A run that was given up has not come to its step `unpause`."""
    if record.begun("pause") and not record.ended("unpause"):
        try:
            end_pause(flow)
        except FailoverError as error:
            flow.say(f"the pause ends by itself: {error}")
    return record


def finish(
    config: Config, state: StateFiles, record: RunRecord, *, hands: Hands | None = None, say: Callable[[str], None] | None = None
) -> RunRecord:
    """A switchover that was cut short is put back or, past the point of no return, brought to its end. The caller has the lock."""
    role = state.role()
    if 0 <= (hands.now() if hands else time.time()) - float(record.notes.get("tried", 0)) < RETRY_SECONDS:
        raise _nobody_monitors(as_it_faced(config, record), str(record.notes["owed"]))
    flow = go_on(config, state, record, hands=hands, say=say)
    if "role_before" not in flow.notes or role.run != record.id:
        sentence = "switchover was cut short before it had changed a role; give the command again"
        return _unpaused(flow, flow.run.close(Outcome.ABORTED, sentence))
    if role.role is Role.TAKING_OVER and not record.begun(NO_RETURN):
        return _unpaused(flow, _put_back(flow, Failed(f"cut short before the point of no return ({NO_RETURN})")))
    return _to_the_end(flow, record)
