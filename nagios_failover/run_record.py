"""What a run was: its kind, its steps, how it ended. Pure: journal.py reads and writes the files that hold it.

A journal is one file of JSON lines per run, each line an event: `opened`, `started` and `done` (a step), `note` (a value that
a resumed run needs), `resumed`, `closed`. Times are epoch seconds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Any

from nagios_failover.frozen import frozen


class Outcome(StrEnum):
    """How a run ended, or `running`. A garbled journal says nothing of how its run ended."""

    RUNNING = "running"
    DONE = "done"
    INCOMPLETE = "incomplete"  # something changed and a person is needed
    ABORTED = "aborted"  # begun, and everything put back as it was
    REFUSED = "refused"  # said no before changing anything
    GARBLED = "garbled"


SAID_NO = (Outcome.REFUSED, Outcome.ABORTED)


FAILOVER = "failover"
FAILBACK = "failback"
SWITCHOVER = "switchover"
TAKES_ROLE = (FAILOVER, FAILBACK, SWITCHOVER)
"""Runs by which a standby becomes the master."""
SETUP_STANDBY = "setup-standby"
REJOIN = "rejoin"
BY_COMMAND_ALONE = (SETUP_STANDBY, REJOIN)
"""Runs that only their own command finishes: they need root, and hours, and a failover does not wait for them."""


class StepOutcome(StrEnum):
    """What became of a step."""

    DONE = "done"
    HELD = "held"  # its goal held already
    SKIPPED = "skipped"  # nothing to do: not configured, or not in this version
    FAILED = "failed"
    WOULD = "would"  # in a dry run
    STARTED = "started"  # and not known to have ended


@frozen
class StepRecord:
    """`detail` is a sentence; `seconds` is None while the step has not ended."""

    name: str
    outcome: str
    detail: str = ""
    seconds: float | None = None
    started: float = 0.0


@frozen
class RunRecord:
    """One run as its journal tells it. `closed` is None while it is open. `repeats` counts earlier runs that ended in the same
    words and were folded into this one; `first` is when the first of them was opened. `peer` is the host that it faces, "" where it
    does not matter. `problem` says what cannot be read."""

    id: str
    kind: str = "?"
    host: str = ""
    peer: str = ""
    term: int = 0
    opened: float = 0.0
    trigger: str = ""
    closed: float | None = None
    outcome: str = Outcome.GARBLED
    sentence: str = ""
    steps: tuple[StepRecord, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)
    resumed: int = 0
    repeats: int = 0
    first: float = 0.0
    problem: str = ""

    @property
    def open(self) -> bool:
        return self.outcome == Outcome.RUNNING

    def step(self, name: str) -> StepRecord | None:
        """The step's newest record, None if the run has not come to it."""
        return next((step for step in reversed(self.steps) if step.name == name), None)

    def begun(self, name: str) -> bool:
        return self.step(name) is not None

    def ended(self, name: str) -> bool:
        step = self.step(name)
        return step is not None and step.outcome != StepOutcome.STARTED


def parse_journal(run_id: str, text: str) -> RunRecord:
    """The record of a journal's text. Never raises: a torn last line is what a power cut leaves and is left out; other lines
    that cannot be read are counted in `problem`; without its first event the whole run is GARBLED."""
    events: list[dict[str, Any]] = []
    garbled = 0
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        try:
            event = json.loads(line)
            events.append({**event, "event": str(event["event"]), "time": float(event["time"])})
        except (ValueError, KeyError, TypeError):
            torn = number == len(lines) and not line.endswith("\n")
            garbled += 0 if torn else 1
    problem = f"{garbled} line{'s' if garbled != 1 else ''} of its journal cannot be read" if garbled else ""
    if not events or events[0]["event"] != "opened":
        return RunRecord(id=run_id, sentence="its journal cannot be read", problem=problem or "its journal is empty")
    try:
        return _record(run_id, events, problem)
    except (KeyError, ValueError, TypeError) as error:
        return RunRecord(id=run_id, sentence="its journal cannot be read", problem=f"its journal is garbled: {error!r}")


def _record(run_id: str, events: list[dict[str, Any]], problem: str) -> RunRecord:
    opened = events[0]
    steps: dict[str, StepRecord] = {}
    notes: dict[str, Any] = {}
    for event in events[1:]:
        if event["event"] == "note":
            notes[str(event["key"])] = event["value"]
        elif event["event"] == "started":
            name = str(event["step"])
            steps.pop(name, None)
            steps[name] = StepRecord(name, StepOutcome.STARTED, started=event["time"])
        elif event["event"] == "done":
            name = str(event["step"])
            begun = steps.pop(name, None)
            steps[name] = StepRecord(
                name,
                str(event["outcome"]),
                str(event["detail"]),
                float(event["seconds"]),
                begun.started if begun else event["time"],
            )
    closed = next((event for event in reversed(events) if event["event"] == "closed"), None)
    return RunRecord(
        id=run_id,
        kind=str(opened["kind"]),
        host=str(opened["host"]),
        peer=str(opened.get("peer", "")),
        term=int(opened["term"]),
        opened=opened["time"],
        trigger=str(opened.get("trigger", "")),
        closed=closed["time"] if closed else None,
        outcome=str(closed["outcome"]) if closed else Outcome.RUNNING,
        sentence=str(closed["sentence"]) if closed else "",
        steps=tuple(steps.values()),
        notes=notes,
        resumed=sum(event["event"] == "resumed" for event in events),
        repeats=int(closed.get("repeats", 0)) if closed else 0,
        first=float(closed.get("first", 0.0)) if closed else 0.0,
        problem=problem,
    )


def same_words(one: RunRecord, other: RunRecord) -> bool:
    """Did both runs say no in the same words, numbers aside? Then the history keeps one of them."""
    alike = (one.kind, one.outcome, without_numbers(one.sentence)) == (other.kind, other.outcome, without_numbers(other.sentence))
    return alike and one.outcome in SAID_NO


def without_numbers(sentence: str) -> str:
    """Ages, PIDs and run ids differ from look to look; the words do not."""
    return re.sub(r"\d{8}T\d{6}-[0-9a-f]+|\d+(\.\d+)?", "#", sentence)
