"""What setup-standby and rejoin have in common: a run of their steps, under a lock of its own, its end and its dry run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nagios_failover.config import Config
from nagios_failover.errors import FailoverError, Incomplete, Refused, StateUnreadable
from nagios_failover.frozen import frozen
from nagios_failover.journal import Journal, Run
from nagios_failover.lock import A_MOMENT, run_lock
from nagios_failover.run_record import BY_COMMAND_ALONE, Outcome, RunRecord, StepRecord
from nagios_failover.state_files import StateFiles
from nagios_failover.steps import Step, rehearse, walk
from nagios_failover.words import Role

LOCK = "setup.lock"
"""Not the run's own lock: a failover never waits for a copy that takes hours."""

Say = Callable[[str], None]
Progress = Callable[[str, int, int], None]
"""Told what is on its way, how much of it is done, and of how much (an estimate)."""


class Way(StrEnum):
    NOTHING = "nothing"  # it is a healthy replica
    ATTACH = "attach"
    COPY = "copy"
    UNKNOWN = "unknown"  # in a dry run


@dataclass
class Joining:
    """One run on its way. `replace`: the operator has said that what is in this server may be replaced. `notes` are journaled."""

    config: Config
    state: StateFiles
    run: Run
    kind: str
    say: Say
    progress: Progress
    replace: bool = False
    restart: bool = False
    notes: dict[str, Any] = field(default_factory=dict)

    def note(self, key: str, value: Any) -> None:
        self.run.note(key, value)
        self.notes[key] = value

    @property
    def way(self) -> Way:
        return Way(self.notes.get("way", Way.NOTHING))

    @property
    def limit(self) -> float:
        return self.config.replication.setup_timeout


def require_standby(flow: Joining) -> str:
    try:
        role = flow.state.role()
    except StateUnreadable as error:
        raise Refused(f"no role: {error.what}", host=flow.config.this_name, hint=error.hint) from error
    if role.role is not Role.STANDBY:
        other = flow.config.peer.name
        raise Refused(
            f"its role is {role.role} (term {role.term}): its database is not a replica",
            host=flow.config.this_name,
            hint=f"run it on the standby, {other}; nagios-failover status",
        )
    return f"role is standby, term {role.term}"


@frozen
class Workflow:
    """`result` says in one sentence what a whole run has come to."""

    kind: str
    steps: Sequence[Step[Joining]]
    result: Callable[[Joining], str]


def run_joining(
    config: Config,
    state: StateFiles,
    workflow: Workflow,
    *,
    replace: bool = False,
    restart: bool = False,
    say: Say,
    progress: Progress,
) -> RunRecord:
    """One run, under a lock of its own. Raises Refused and Failed (nothing of the data was changed), Incomplete (this server holds
    no whole copy: the same command begins it anew); LockHeld; Failed without a journal."""
    with run_lock(state.directory, wait=A_MOMENT, name=LOCK):
        earlier = _cut_short(state)
        run = Journal(state.directory).open(workflow.kind, _term(state), config.this_name, trigger="command")
        flow = Joining(config, state, run, workflow.kind, say, progress, replace, restart)
        if earlier is not None:
            if earlier.open:
                Journal(state.directory).run(earlier.id).close(Outcome.ABORTED, f"it was cut short; run {run.id} does it")
            if earlier.notes.get("emptied"):
                flow.note("emptied", True)
        return _carry_out(flow, workflow)


def _cut_short(state: StateFiles) -> RunRecord | None:
    """The newest run of this kind, if it did not come to its end."""
    newest = next((record for record in Journal(state.directory).runs() if record.kind in BY_COMMAND_ALONE), None)
    return newest if newest is not None and newest.outcome != Outcome.DONE else None


def _term(state: StateFiles) -> int:
    try:
        return state.role().term
    except StateUnreadable:
        return 0


def _carry_out(flow: Joining, workflow: Workflow) -> RunRecord:
    try:
        walked = walk(workflow.steps, flow, flow.run, say=flow.say)
    except FailoverError as error:
        raise _ended(flow, error) from error
    except KeyboardInterrupt:
        flow.run.close(Outcome.INCOMPLETE if flow.notes.get("changed") else Outcome.ABORTED, "interrupted; give the command again")
        raise
    sentence = "; ".join([workflow.result(flow), *walked.passed_over, *walked.notes])
    return flow.run.close(Outcome.INCOMPLETE if walked.passed_over else Outcome.DONE, sentence)


def _ended(flow: Joining, error: FailoverError) -> FailoverError:
    """Close the run; the error for the operator, with where the run can be read."""
    whole = f"the whole run: nagios-failover history {flow.run.id}"
    if flow.notes.get("emptied") or flow.notes.get("changed"):
        words = f"{flow.config.this_name}'s database is no whole copy: {error}" if flow.notes.get("emptied") else str(error)
        flow.run.close(Outcome.INCOMPLETE, _one_line(words, error))
        return Incomplete(words, detail="\n".join(filter(None, (error.detail, whole))), hint=error.hint)
    flow.run.close(Outcome.REFUSED if isinstance(error, Refused) else Outcome.ABORTED, _one_line(str(error), error))
    error.detail = "\n".join(filter(None, (error.detail, whole)))
    return error


def _one_line(words: str, error: FailoverError) -> str:
    return "; ".join(part for part in (words, error.detail.replace("\n", "; "), error.hint and f"hint: {error.hint}") if part)


def rehearsal(config: Config, state: StateFiles, workflow: Workflow, *, say: Say) -> list[StepRecord]:
    """The dry run: nothing is locked, journaled or changed."""
    flow = Joining(config, state, Journal(state.directory).run("dry-run"), workflow.kind, say, lambda *_: None)
    flow.notes["way"] = Way.UNKNOWN  # every step is told
    return rehearse(workflow.steps, flow, say=say)
