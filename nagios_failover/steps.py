"""A workflow is a list of steps that can be read aloud; this walks it: looks whether the goal holds already, acts, journals,
times, and stops where a step that matters has failed. A dry run walks the same list and only says what it would do.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

from nagios_failover.errors import Failed, FailoverError, Incomplete, Refused
from nagios_failover.frozen import frozen
from nagios_failover.journal import Run
from nagios_failover.run_record import RunRecord, StepOutcome, StepRecord

CRASH_AFTER = "NAGIOS_FAILOVER_CRASH_AFTER"
"""Environment variable for tests: the run kills itself (SIGKILL) after the act of this step, before that is journaled, or after
a part of it (`merge logs: copying`); once per run, so that the next call can be seen to finish it."""

Flow = TypeVar("Flow")


class Weight(Enum):
    """What a step's failure means."""

    FATAL = "the run ends and puts back what it changed"
    NEEDED = "it is passed over, and the run ends incomplete: a person has to do it"
    LESSER = "it is passed over and told; the run is done all the same"


def nothing(_: object) -> str:
    """No reason to leave the step out; the goal does not hold yet."""
    return ""


@frozen
class Step(Generic[Flow]):
    """`would` tells what the step is for, in the words "would ..."; `act` does it and returns what was done, a sentence, or raises
    FailoverError. `idle` says why there is nothing to do here, `holds` that the goal holds already ("" otherwise)."""

    name: str
    would: Callable[[Flow], str]
    act: Callable[[Flow], str]
    weight: Weight
    idle: Callable[[Flow], str] = nothing
    holds: Callable[[Flow], str] = nothing


class StepFailed(Failed):
    """A fatal step has failed; `step` is its name."""

    def __init__(self, step: str, error: FailoverError) -> None:
        super().__init__(f"{step}: {error}", detail=error.detail, hint=error.hint)
        self.step = step


@dataclass
class Walk:
    """How the walk went: `passed_over` are the steps that a person has to do, `notes` what is told besides; sentences."""

    passed_over: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def walk(
    steps: Sequence[Step[Flow]], flow: Flow, run: Run, *, earlier: RunRecord | None = None, say: Callable[[str], None]
) -> Walk:
    """Do the steps in order. With `earlier`, the record of a run that was cut short, the steps that it ended are not done again.

    Raises Refused and Incomplete as a step does, StepFailed when a fatal step fails; Failed when a step's beginning cannot be
    journaled (what is not on record cannot be resumed)."""
    walked = Walk()
    for step in steps:
        before = earlier.step(step.name) if earlier else None
        if before is not None and before.outcome != StepOutcome.STARTED:
            _remember(walked, step, before)
            continue
        idle = step.idle(flow)
        if not idle:
            run.step_started(step.name)
        began = time.monotonic()
        outcome, detail = (StepOutcome.SKIPPED, idle) if idle else _do(step, flow)
        crash_if_asked(step.name, resumed=earlier is not None)
        _journal(run, StepRecord(step.name, outcome, detail, time.monotonic() - began), walked)
        say(f"{step.name}: {outcome}: {detail}")
        if outcome is StepOutcome.FAILED:
            _remember(walked, step, StepRecord(step.name, outcome, detail))
    return walked


def _do(step: Step[Flow], flow: Flow) -> tuple[StepOutcome, str]:
    held = step.holds(flow)
    if held:
        return StepOutcome.HELD, held
    try:
        return StepOutcome.DONE, step.act(flow)
    except (Refused, Incomplete):
        raise
    except FailoverError as error:
        if step.weight is Weight.FATAL:
            raise StepFailed(step.name, error) from error
        return StepOutcome.FAILED, "; ".join(part for part in (str(error), error.detail, error.hint) if part)
    except Exception as error:
        # A fault of ours in a step that can be mended later must not keep monitoring from coming back, nor be tried for ever.
        if step.weight is Weight.FATAL:
            raise StepFailed(step.name, Failed(f"unexpected: {error!r}")) from error
        return StepOutcome.FAILED, f"unexpected: {error!r}"


def _remember(walked: Walk, step: Step[Flow], record: StepRecord) -> None:
    if record.outcome == StepOutcome.FAILED:
        kept = walked.notes if step.weight is Weight.LESSER else walked.passed_over
        kept.append(f"{record.name}: {record.detail}")


def _journal(run: Run, record: StepRecord, walked: Walk) -> None:
    """What has been done is done: a full disk under the journal is told and undoes nothing."""
    try:
        run.step_done(record.name, record.outcome, record.detail, record.seconds or 0.0)
    except Failed as error:
        walked.notes.append(str(error))


def crash_if_asked(name: str, *, resumed: bool) -> None:
    if not resumed and os.environ.get(CRASH_AFTER) == name:
        os.kill(os.getpid(), signal.SIGKILL)


def rehearse(steps: Sequence[Step[Flow]], flow: Flow, *, say: Callable[[str], None]) -> list[StepRecord]:
    """The same list in a dry run: what each step would do, or why it would do nothing. Changes nothing."""
    records = []
    for step in steps:
        idle = step.idle(flow)
        outcome, detail = (StepOutcome.SKIPPED, idle) if idle else (StepOutcome.WOULD, step.would(flow))
        records.append(StepRecord(step.name, outcome, detail))
        say(f"{step.name}: {detail}")
    return records
