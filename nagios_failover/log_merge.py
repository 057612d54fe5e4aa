"""Two hosts' event logs as one: lines in order of time, none doubled, none lost. Pure: bytes in, bytes out, nothing kept but the
lines of one second; log_files.py reads and writes them.

A line that several logs hold in the same second stands in the merged one as often as in that of them which holds it most often:
a log that was merged before holds this host's own lines, too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from nagios_failover.errors import CouldNotLook
from nagios_failover.frozen import frozen
from nagios_failover.run_record import TAKES_ROLE, Outcome, RunRecord

SECOND_LIMIT = 1_000_000
"""Different lines of one second; at midnight Nagios writes one for each object."""
FUTURE_SECONDS = 86_400
"""A line so far ahead of now is not believed: the clock was wrong when it was written."""

HEAD = 13
"""Bytes of `[1795619077] `."""

LATE_SECONDS = 600
"""A rotation may be so late (Nagios stood still at midnight): what was logged until then is in the archive, younger than its name.
What is younger still has a clock of its own, and stays where it is."""

_NEVER = 1 << 62

TimedLine = tuple[int, bytes]
"""The time by which a line is sorted, and the line with its end."""

_ARCHIVE = re.compile(r"nagios-(\d\d)-(\d\d)-(\d{4})-(\d\d)\.log")
_STATE = re.compile(rb"(?:CURRENT|INITIAL) (HOST|SERVICE) STATE: ([^;]*);([^;]*)")
_STATE_WORDS = (b"CURRENT ", b"INITIAL ")
_STALE = b"Warning: The results of "
_FORCING = b"I'm forcing an immediate check of the "


# --- lines ---


def timed(lines: Iterable[bytes], *, newest: int) -> Iterator[TimedLine]:
    """Each line with its time. A line without one goes with the line before it, and so does one that is older than that (the
    clock was set back) or from later than `newest`."""
    last, head = 0, b""
    for line in lines:
        if line[:HEAD] != head:  # most lines are of the second of the line before
            head = line[:HEAD]
            stamp = stamp_of(line)
            if last < stamp <= newest:
                last = stamp
        yield last, line


def stamp_of(line: bytes) -> int:
    """The epoch seconds in `[1795619077] text`, 0 for a line that has none."""
    if line[11:13] == b"] " and line[1:11].isdigit() and line[:1] == b"[":
        return int(line[1:11])
    return 0


def merge(streams: Sequence[Iterator[TimedLine]]) -> Iterator[bytes]:
    """The lines of all streams, each in order of time; of one second the first stream's come first. Raises CouldNotLook for a
    second that no Nagios has written."""
    heads = [next(stream, None) for stream in streams]
    while True:
        order = sorted((head[0], index) for index, head in enumerate(heads) if head is not None)
        if not order:
            return
        (second, first), until = order[0], order[1][0] if len(order) > 1 else _NEVER
        head = heads[first]
        if second == until or head is None:
            yield from _one_second(second, heads, streams)
            continue
        yield head[1]
        heads[first] = None
        for head in streams[first]:
            if head[0] >= until:
                heads[first] = head
                break
            yield head[1]


def _one_second(second: int, heads: list[TimedLine | None], streams: Sequence[Iterator[TimedLine]]) -> Iterator[bytes]:
    written: dict[bytes, int] = {}
    for index, stream in enumerate(streams):
        head, here = heads[index], dict[bytes, int]()
        while head is not None and head[0] == second:
            line = head[1]
            here[line] = count = here.get(line, 0) + 1
            if count > written.get(line, 0):
                written[line] = count
                yield line
            if len(here) + len(written) > SECOND_LIMIT:
                raise CouldNotLook(f"the logs hold more than {SECOND_LIMIT // 2} lines of one second ({second})")
            head = next(stream, None)
        heads[index] = head


# --- which of this host's own lines stay out ---


@dataclass
class Own:
    """What this host wrote as the standby says nothing of the objects that the master checked: that they are so and so (it did
    not look), or stale. `theirs` are those objects (`host`, `host\\0service`), `since` is where the master's lines begin, and
    `reigns` are the times (first, last) in which this host was the master itself: those lines all stay."""

    theirs: set[bytes]
    since: int
    reigns: Sequence[tuple[float, float]] = ()
    left_out: int = field(default=0, init=False)

    def kept(self, lines: Iterable[TimedLine]) -> Iterator[TimedLine]:
        for moment, line in lines:
            if self._says_nothing(line) and moment >= self.since and not self._reigned(moment):
                self.left_out += 1
            else:
                yield moment, line

    def _says_nothing(self, line: bytes) -> bool:
        if line[13:21] in _STATE_WORDS:
            form = _STATE.match(line, 13)
            return form is not None and (form[2] + (b"\0" + form[3] if form[1] == b"SERVICE" else b"")) in self.theirs
        return line.startswith(_STALE, 13) and _FORCING in line

    def _reigned(self, moment: int) -> bool:
        return any(first <= moment <= last for first, last in self.reigns)


def reigns(runs: Iterable[RunRecord], *, now: float) -> list[tuple[float, float]]:
    """When this host was the master, by its journal: from a failover to a stand-down."""
    found: list[tuple[float, float]] = []
    began: float | None = None
    for run in sorted(runs, key=lambda run: run.opened):
        if run.outcome not in (Outcome.DONE, Outcome.INCOMPLETE, Outcome.RUNNING):
            continue
        begins = run.kind in TAKES_ROLE or (run.kind == "init" and ": role is master" in run.sentence)
        moment = float(run.notes.get("active_at") or run.closed or run.opened)
        if begins and began is None:
            began = moment
        elif began is not None and not begins and run.kind in ("standdown", "init"):
            found.append((began, moment))
            began = None
    return [*found, *([(began, now)] if began is not None else [])]


# --- which file a line belongs to ---


def archive_end(name: str) -> int:
    """When the archive of this name was rotated away (Nagios writes it into the name, in local time); 0: no archive's name."""
    form = _ARCHIVE.fullmatch(name)
    if form is None:
        return 0
    month, day, year, hour = (int(part) for part in form.groups())
    try:
        return int(time.mktime((year, month, day, hour, 0, 0, 0, 0, -1)))
    except (ValueError, OverflowError):
        return 0


@frozen
class Shelf:
    """The files that are written: archives by the moment of their rotation, the oldest first, and behind them the log itself,
    "". A line goes where the CGIs look for it, whichever file it is in: one that is older than the file begins (Nagios did not run
    at midnight, or the other host rotated then), or that a late rotation has left in the archive. The other host's log may have
    been copied before that rotation, and the archive after it."""

    archives: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.archives, "")

    def begin(self, name: str) -> int:
        """The end of the archive before it; 0 for the oldest."""
        place = self.names.index(name if name in self.archives else "")
        return archive_end(self.archives[place - 1]) if place else 0

    def lines_for(self, target: str, name: str, lines: Iterator[TimedLine], *, last: int) -> Iterator[TimedLine]:
        """Of a file's lines those that belong to `target`; `last` is the time of its last line. The name of no file here counts as
        the log."""
        home = name if name in self.archives else ""
        begin, end = self.begin(home), archive_end(home) or _NEVER
        for moment, line in lines:
            if moment < begin or end <= moment < end + LATE_SECONDS:
                if self._by_time(moment) == target:
                    yield moment, line
            elif home == target:
                yield moment, line
                if last < end:
                    yield from lines  # the rest of the file is its own
            elif last < end:
                break

    def _by_time(self, moment: int) -> str:
        return next((archive for archive in self.archives if archive_end(archive) > moment), "")
