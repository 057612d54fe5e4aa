"""What the event handler does once it is detached: finish what is open, act, mail. In this order: monitoring comes first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nagios_failover import abandoned_fence, failback, failover, flags, isolation, return_fence, standdown
from nagios_failover.config import Config
from nagios_failover.confirm import FAILBACK, FAILOVER
from nagios_failover.errors import FailoverError, StateUnreadable
from nagios_failover.event import Act, Event, of_this_role
from nagios_failover.lock import LockHeld
from nagios_failover.looks import Look
from nagios_failover.mail import send_waiting
from nagios_failover.nagios_files import read_nagios_cfg
from nagios_failover.resume import resume_open_runs
from nagios_failover.role import RoleRecord
from nagios_failover.run_record import Outcome, RunRecord
from nagios_failover.state_files import StateFiles
from nagios_failover.verdict import Code
from nagios_failover.watch_mail import NO_LOOK, Said, catch_up, mail_once, told
from nagios_failover.words import State
from nagios_failover.workflow import Trigger, longest_run

HINTS: dict[str, str] = {
    Code.PEER_ACTIVE: "with [fence] it is fenced; without, run on the one that shall not go on: nagios-failover standdown",
    Code.PEER_GONE: "nobody takes over from this host now: repair the other one",
}
MAILED_BY_ITSELF = (Outcome.DONE, Outcome.INCOMPLETE)


@dataclass
class Result:
    """What came of acting. `busy`: another process is at it and will tell. `runs` that ended; `said` besides."""

    busy: bool = False
    runs: tuple[RunRecord, ...] = ()
    said: tuple[str, ...] = ()

    @property
    def mailed(self) -> bool:
        """Has a run told people itself?"""
        return any(run.outcome in MAILED_BY_ITSELF for run in self.runs)

    @property
    def words(self) -> str:
        """What the watch mail adds: why what should follow has not."""
        return "; ".join([*(f"{run.kind} {run.outcome}: {run.sentence}" for run in self.runs), *self.said])


def act_on(event: Event, act: Act, look: Look | None, config: Config, state: StateFiles) -> Iterator[str]:
    """Do it all; yields sentences for the log."""
    result = _finish_open(config, state)
    if not (result.runs or result.busy or result.said):
        result = _act(act, look, config, state, earlier=result)
    if event.deadly:
        result.said += _no_role(state)
    for run in result.runs:
        yield f"run {run.id}: {run.kind} {run.outcome}: {run.sentence}"
    yield from result.said
    if result.busy:
        yield "a run is on its way: it acts and tells"
    else:
        yield from _mail(event, look, config, state, result)
        yield from _catch_up(act, config, state)
    yield from send_waiting(config, state.directory)


def _finish_open(config: Config, state: StateFiles) -> Result:
    try:
        return Result(runs=tuple(resume_open_runs(config, state)))
    except LockHeld as error:
        return _held(error, config)
    except FailoverError as error:
        return Result(said=(f"an open run was not finished: {error}",))


def _held(error: LockHeld, config: Config) -> Result:
    """Another process is at it and will tell; unless it has had the lock for longer than any run takes: then it hangs."""
    longest = longest_run(config)
    if error.seconds <= longest:
        return Result(busy=True)
    hint = "is that process stopped, or its disk hung? end it: what it left open is finished then"
    said = f"{error}, for {error.seconds:.0f} s (a run takes {longest:.0f} s at most): nothing is done meanwhile (hint: {hint})"
    return Result(said=(said,))


def _act(act: Act, look: Look | None, config: Config, state: StateFiles, *, earlier: Result) -> Result:
    try:
        if act is Act.FAILOVER:
            return Result(runs=(failover.run_failover(config, state, trigger=Trigger.EVENT),))
        if act is Act.FAILBACK:
            return Result(runs=(failover.run_failover(config, state, trigger=Trigger.EVENT, kind=FAILBACK),))
        if act is Act.FENCE:
            return Result(runs=(return_fence.run_fence(config, state, trigger=Trigger.EVENT),))
        if act is Act.STAND_DOWN:
            return Result(runs=(standdown.run_standdown(config, state, trigger=Trigger.EVENT),))
        if act is Act.GIVE_BACK:
            return Result(said=(failback.give_back(config, state, code=look.code if look else ""),))
        if act is Act.WITHDRAW:
            said = failback.withdraw(config, state)
            return Result(said=(said,) if said else ())
        if act is Act.ISOLATE and look:
            return Result(said=(*earlier.said, *isolation.isolate(config, state, look)))
        if act is Act.CORRECT:
            over = (*isolation.reconsider(config, state), *abandoned_fence.lift(config, state))
            return Result(said=(*earlier.said, *over, *flags.correct(config, state)))
    except LockHeld as error:
        return _held(error, config)
    except failover.TakenOver:
        return Result(busy=True)
    except FailoverError as error:
        hint = f" (hint: {error.hint})" if error.hint else ""
        return Result(said=(*earlier.said, f"{error}{hint}"))
    return earlier


def _no_role(state: StateFiles) -> tuple[str, ...]:
    try:
        state.role()
    except StateUnreadable as error:
        return (f"no failover: {error} (hint: {error.hint})",)
    return ()


def _mail(event: Event, look: Look | None, config: Config, state: StateFiles, result: Result) -> Iterator[str]:
    if not (event.hard or event.well):
        return
    try:
        if result.mailed:
            told(state, after_run(event, config, result.runs[-1]))
            return
        said = what_is_said(event, look, config, state, result.words)
        sentence = mail_once(config, state, said) if said else ""
    except FailoverError as error:
        sentence = f"not mailed: {error}"
    if sentence:
        yield sentence


def _catch_up(act: Act, config: Config, state: StateFiles) -> list[str]:
    """What a handler before this one could not mail."""
    if act is not Act.CORRECT:
        return []
    try:
        return catch_up(config, state, read_nagios_cfg(config.this.nagios_cfg).status_file)
    except FailoverError as error:
        return [f"not mailed: {error}"]


def after_run(event: Event, config: Config, run: RunRecord) -> Said:
    """What the watch of the other host says next, and what the run's own mail has told already."""
    name = config.nagios.master_watch if event.service is not None else event.watch
    if run.kind == FAILOVER:
        return Said(name, "WARNING", Code.PEER_GONE)
    if run.kind == return_fence.FENCE:
        return Said(name, "WARNING", Code.PASSIVE)
    return Said(name, "OK")


def what_is_said(event: Event, look: Look | None, config: Config, state: StateFiles, run_words: str) -> Said | None:
    """What to mail; None for an event that belongs to the role before. Sentences are our plugins' own; macros are not believed."""
    name = event.state.name
    if event.service == config.nagios.state_watch:
        return _state_watch_says(event, config, state, run_words)
    if event.service == config.nagios.lease_watch:
        return Said(event.watch, name, words=_keepers_word(state))
    if event.service not in (None, config.nagios.master_watch):
        return Said(event.watch, name, run=run_words)
    if look and not of_this_role(look, _role(state)):
        return None
    if look and (event.service is None or look.state.name == name):
        return Said(event.watch, name, look.code, look.sentence, look.hint or HINTS.get(look.code, ""), run_words)
    words = f"{config.this.name}: {event.watch} is {name}, but no look that says so was recorded"
    hint = "is check_master_nagios broken here? run it by hand as the Nagios user, with -v"
    return Said(event.watch, name, NO_LOOK, words, hint, run_words)


def _state_watch_says(event: Event, config: Config, state: StateFiles, run_words: str) -> Said | None:
    """What is still wrong after the correction; what was only so while a run was on its way is nothing to be woken for."""
    name = event.state.name
    try:
        seen = flags.compare(config, state)
    except FailoverError as error:
        return Said(event.watch, name, words=str(error), hint=error.hint, run=run_words)
    if any(run.seconds <= longest_run(config) for run in seen.open_runs):
        return None  # begun since this event was acted upon: it acts, and tells
    if not seen.problems and (event.state is State.WARNING or not (run_words or event.well)):
        return None  # a warning that is over; a CRITICAL one that was corrected is told
    # That a person is needed is another reason, and mailed at once.
    code = "for-a-person" if isolation.BY_A_PERSON in run_words else ""
    return Said(event.watch, name, code, words="; ".join(seen.problems) or seen.sentence, run=run_words)


def _keepers_word(state: StateFiles) -> str:
    try:
        lease = state.lease()
    except StateUnreadable as error:
        return str(error)
    return lease.said if lease else ""


def _role(state: StateFiles) -> RoleRecord | None:
    try:
        return state.role()
    except StateUnreadable:
        return None
