"""The journal: one file of JSON lines per run under STATE/runs, every line on the disk before the run goes on."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from nagios_failover.errors import Failed, StateUnreadable
from nagios_failover.run_record import BY_COMMAND_ALONE, SAID_NO, Outcome, RunRecord, parse_journal, same_words
from nagios_failover.state_files import FILE_MODE, StateFiles, cannot_write, sync_directory
from nagios_failover.words import Role

_RUN_FILE = re.compile(r"(\d{8}T\d{6}-[0-9a-f]{4,})\.jsonl")
NO_LIMIT = 50
"""Refused and aborted runs that the history keeps; runs that did something are all kept."""
DETAIL_LIMIT = 4000
"""Characters kept of a step's detail (a hook may print without end)."""


def anything_open(state: StateFiles) -> bool:
    """Is there a run to finish, or a role that only a run may have? Cheap: for each call of the handler."""
    if Journal(state.directory).open_runs():
        return True
    try:
        return state.role().role in (Role.TAKING_OVER, Role.STANDING_DOWN)
    except StateUnreadable:
        return False


class Journal:
    """The journals under `state_directory`/runs. Reading never raises for what a journal holds, only for a directory that
    cannot be read (StateUnreadable); writing raises Failed with the disk's reason."""

    def __init__(self, state_directory: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.directory = state_directory / "runs"
        self._clock = clock

    def open(self, kind: str, term: int, host: str, *, trigger: str = "", peer: str = "") -> Run:
        """Begin a run. Its first line is on the disk when this returns."""
        try:
            self.directory.mkdir(mode=0o750, exist_ok=True)
        except OSError as error:
            raise cannot_write(self.directory, error) from error
        now = self._clock()
        run_id = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now))}-{os.urandom(2).hex()}"
        run = Run(self, run_id)
        try:
            run.append("opened", kind=kind, term=term, host=host, peer=peer, trigger=trigger, pid=os.getpid())
            sync_directory(self.directory)
        except (OSError, Failed):
            with contextlib.suppress(OSError):
                run.path.unlink(missing_ok=True)
            raise
        return run

    def run(self, run_id: str) -> Run:
        """The run of this id, to go on with it."""
        return Run(self, run_id)

    def runs(self) -> list[RunRecord]:
        """Every run, the newest first."""
        return [self._read(path) for path in self._paths()]

    def open_runs(self) -> list[RunRecord]:
        """The runs that have not been closed, the oldest first, but for those that only their own command finishes. Looks at
        the end of each file only, so it is cheap enough for each call of the handler."""
        found = [self._read(path) for path in self._paths() if not _ends_closed(path)]
        return [record for record in reversed(found) if record.open and record.kind not in BY_COMMAND_ALONE]

    def _paths(self) -> list[Path]:
        try:
            found = [path for path in self.directory.iterdir() if _RUN_FILE.fullmatch(path.name)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StateUnreadable(f"{self.directory} cannot be read: {error}", hint="run as the Nagios user, or as root") from error
        # By the moment of the opening, which the name holds; two of one second by their last change.
        return sorted(found, key=_age, reverse=True)

    def _read(self, path: Path) -> RunRecord:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            return RunRecord(id=path.stem, sentence="its journal cannot be read", problem=str(error))
        return parse_journal(path.stem, text)

    def forget(self, record: RunRecord) -> None:
        with contextlib.suppress(OSError):
            self.directory.joinpath(f"{record.id}.jsonl").unlink(missing_ok=True)

    def now(self) -> float:
        return self._clock()


class Run:
    """One run's journal, being written. Each method returns when its line is on the disk, or raises Failed."""

    def __init__(self, journal: Journal, run_id: str) -> None:
        self._journal = journal
        self.id = run_id
        self.path = journal.directory / f"{run_id}.jsonl"

    def record(self) -> RunRecord:
        return self._journal._read(self.path)

    def append(self, event: str, **values: Any) -> None:
        line = json.dumps({"event": event, "time": round(self._journal.now(), 3), **values}) + "\n"
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
            try:
                data = (self._missing_newline() + line).encode()
                if os.write(descriptor, data) != len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def _missing_newline(self) -> str:
        """After a torn last line (a power cut, a full disk), ours begins on a line of its own."""
        with self.path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if not size:
                return ""
            file.seek(size - 1)
            return "" if file.read(1) == b"\n" else "\n"

    def resumed(self) -> None:
        self.append("resumed", pid=os.getpid())

    def step_started(self, name: str) -> None:
        self.append("started", step=name)

    def step_done(self, name: str, outcome: str, detail: str, seconds: float) -> None:
        self.append("done", step=name, outcome=str(outcome), detail=detail[:DETAIL_LIMIT], seconds=round(seconds, 3))

    def note(self, key: str, value: Any) -> None:
        self.append("note", key=key, value=value)

    def close(self, outcome: Outcome, sentence: str) -> RunRecord:
        """End the run. Runs that said no in the same words, with nothing but other refusals between them (a paused pair whose
        master is dead asks at every check), are folded: this one stays, with their count, and the one before it goes."""
        record = replace(self.record(), outcome=str(outcome), sentence=sentence)
        others = [run for run in self._journal.runs() if run.id != self.id]
        since_others = takewhile(lambda run: run.outcome in SAID_NO, others)
        before = next((run for run in since_others if same_words(record, run)), None)
        for old in [run for run in others if run.outcome in SAID_NO][NO_LIMIT:]:
            self._journal.forget(old)
        if before is None:
            self.append("closed", outcome=str(outcome), sentence=sentence)
        else:
            first = before.first or before.opened
            self.append("closed", outcome=str(outcome), sentence=sentence, repeats=before.repeats + 1, first=first)
            self._journal.forget(before)
        return self.record()


def _age(path: Path) -> tuple[str, float]:
    try:
        return path.name[:15], path.stat().st_mtime
    except OSError:
        return path.name[:15], 0.0


def _ends_closed(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 8192))
            last = file.read().rstrip().rpartition(b"\n")[2]
        return last.startswith(b'{"event": "closed"')
    except OSError:
        return False
