"""The names of queued spool files. Pure.

handlers/process_perfdata renames Nagios's spool to `MOMENT.COUNTER`: the epoch second at which Nagios made the call, and a number
that tells calls of the same second apart. The name alone proves that Nagios's scheduler was alive then, even of an empty file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_NAME = re.compile(r"([0-9]{1,10})\.([0-9]{1,10})", re.ASCII)


class QueuedSpool(NamedTuple):
    """One queued spool file; the order of the tuple is the order of the queue."""

    moment: int
    counter: int
    name: str


def parse_name(name: str) -> QueuedSpool | None:
    """None for a name that process_perfdata does not make."""
    match = _NAME.fullmatch(name)
    return QueuedSpool(int(match[1]), int(match[2]), name) if match else None


def in_order(names: Iterable[str]) -> list[QueuedSpool]:
    """The queue, oldest first; names that are not of the queue are left out."""
    return sorted(queued for queued in map(parse_name, names) if queued)


def newest_moment(queue: Sequence[QueuedSpool], *, now: float) -> int | None:
    """The heartbeat that these files prove. A moment still to come was written before the clock was set back: it proves
    nothing about now, and would keep a dead Nagios fresh."""
    return max((queued.moment for queued in queue if queued.moment <= now + 1), default=None)


class Limits(NamedTuple):
    """What may wait: files, bytes, and seconds since a file's moment."""

    files: int
    bytes: int
    seconds: float


def beyond_limits(queue: Sequence[QueuedSpool], sizes: Sequence[int], limits: Limits, *, now: float) -> Sequence[QueuedSpool]:
    """The oldest, which are to be dropped. The newest stays, whatever its size: it is the heartbeat."""
    excess = max(0, len(queue) - limits.files)
    total = sum(sizes[excess:])
    while excess < len(queue) - 1 and (total > limits.bytes or queue[excess].moment < now - limits.seconds):
        total -= sizes[excess]
        excess += 1
    return queue[:excess]
