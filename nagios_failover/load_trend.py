"""From the queue into the trend tables: one batch is one transaction, read as it is written, so that memory is a batch's whatever
waits. While the server works on one, the next is read. Malformed lines and metrics are set aside and counted, and hold nothing
up."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from nagios_failover.config_sections import PerfdataSection
from nagios_failover.errors import Failed, FailoverError
from nagios_failover.perfdata import QueuedSpool, parse_name
from nagios_failover.perfdata_counts import RATE_SECONDS, CountFiles, LoaderCounts
from nagios_failover.perfdata_queue import PerfdataFiles, SpoolLine
from nagios_failover.perfparse import Batch, Counts
from nagios_failover.piece import Piece, parsed

SMALLEST_BATCH = 16 * 1024
"""Bytes; a server that is too slow for more at a time gets so little."""
REST_SECONDS = 60.0
"""Between two looks for old rows, where the last one found none."""


class Store(Protocol):
    def load(self, host: str, read: Callable[[Mapping[str, int]], Batch]) -> tuple[Batch, Counts]: ...

    def forget(self, days: int, limit: int) -> int: ...

    def close(self) -> None: ...


class Loaded(NamedTuple):
    """What one batch brought: files that are wholly loaded now, and whether more waits."""

    finished: Sequence[QueuedSpool]
    more: bool


class TrendLoader:
    """`host` is whose queue the files are."""

    def __init__(
        self,
        host: str,
        files: PerfdataFiles,
        store: Store,
        options: PerfdataSection,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.host = host
        self.files = files
        self.store = store
        self.options = options
        self.count_files = CountFiles(Path(files.directory))
        self.clock = clock
        self.monotonic = monotonic
        self.largest = options.batch_kilobytes * 1024
        self.limit = self.largest
        self.positions: Mapping[str, int] = {}
        self.ahead: Piece | None = None
        self.in_doubt = parse_name(self.count_files.begun())
        self._end_drop()
        self.counts = self.count_files.counts()
        self.recent: deque[tuple[float, int]] = deque()
        self.rest_until = monotonic()

    def load(self, queue: Sequence[QueuedSpool]) -> Loaded:
        """One transaction. Raises FailoverError, after which nothing of it has happened, or all of it: the next one looks."""
        finished: list[QueuedSpool] = []

        def read(positions: Mapping[str, int]) -> Batch:
            finished.clear()
            return self._read(queue, positions, finished)

        if not any(self.files.sizes(queue)):
            return Loaded(queue, more=False)  # heartbeats
        try:
            batch, counts = self.store.load(self.host, read)
        except FailoverError:
            self.limit = max(SMALLEST_BATCH, self.limit // 2)
            raise
        self.limit = min(self.largest, self.limit * 2)
        self.positions, self.in_doubt = batch.positions, None
        self._count(batch, counts)
        return Loaded(finished, more=len(finished) < len(queue))

    def _read(self, queue: Sequence[QueuedSpool], positions: Mapping[str, int], finished: list[QueuedSpool]) -> Batch:
        piece = self.ahead
        if piece is None or not piece.is_next(queue, positions, self.limit):
            piece = Piece(self.files, queue, positions, self.limit)
        self.ahead = None
        piece.whole()
        finished.extend(piece.finished)
        known = [spool for spool in queue if spool.name in positions]
        # a file that is partly loaded may come behind the batch's last one: named before the clock was set back
        self.positions, self.in_doubt = positions, max([piece.last, *known[-1:]])
        self.count_files.begin(self.in_doubt.name)
        if piece.aside:
            self.count_files.set_aside(piece.aside, limit=self.options.aside_megabytes * 1024 * 1024)
        moved = {spool.name: positions[spool.name] for spool in known}
        moved.update((name, end) for name, end in piece.ends.items() if end)
        rest = queue[len(piece.finished) :]
        if rest:
            self.ahead = Piece(self.files, rest, moved, min(self.largest, self.limit * 2))
        return Batch(piece.samples, moved, piece.lines_aside, piece.metrics_aside, self.ahead.steps if self.ahead else None)

    def _count(self, batch: Batch, counts: Counts) -> None:
        now = self.monotonic()
        self.recent.append((now, len(batch.samples) + batch.bin_rows))
        while self.recent[0][0] < now - RATE_SECONDS:
            self.recent.popleft()
        aside_at = self.counts.aside_at
        if self._is_more_aside(batch, counts):
            aside_at = int(self.clock())
        rate = round(sum(rows for _, rows in self.recent) / RATE_SECONDS, 2)
        self.counts = LoaderCounts(*counts, aside_at=aside_at, loaded_at=int(self.clock()), rows_per_second=rate)
        self.count_files.write_counts(self.counts)

    def _is_more_aside(self, batch: Batch, counts: Counts) -> bool:
        """Since the counts were last written, by this loader or one that was killed. Where none were, as of another host's queue,
        it is what this batch brings: what that host has set aside before, it has told itself."""
        if not self.counts.loaded_at:
            return bool(batch.lines_aside or batch.metrics_aside)
        return (counts.lines_aside, counts.metrics_aside) != (self.counts.lines_aside, self.counts.metrics_aside)

    def droppable(self, queue: Sequence[QueuedSpool]) -> Sequence[QueuedSpool]:
        """The files of which it is known what is loaded. The commit of a batch that a server has not answered, to this loader or
        to one that was killed, may have come to pass: its files stay until the server tells."""
        return [spool for spool in queue if not self.in_doubt or spool > self.in_doubt]

    def drop(self, spools: Sequence[QueuedSpool]) -> None:
        """Remove files unread. What is in them is counted, but for what is loaded, and for what a disk does not give any more."""
        for spool in spools:
            lines = metrics = 0
            with contextlib.suppress(Failed):
                for line in self._lines(spool, self.positions.get(spool.name, 0)):
                    sample = parsed(line)
                    lines += 1
                    metrics += 0 if isinstance(sample, str) else len(sample.metrics)
            self.count_files.drop(spool.name, lines=lines, metrics=metrics, now=self.clock())
            self.files.remove((spool,))

    def _lines(self, spool: QueuedSpool, offset: int) -> Iterator[SpoolLine]:
        finished = False
        while not finished:
            found = self.files.read_lines(spool, offset, self.largest)
            yield from found.lines
            offset, finished = found.end, found.finished

    def _end_drop(self) -> None:
        """A loader that was killed had counted a file as dropped and not removed it yet: loaded now, it would be counted twice."""
        if dropped := parse_name(self.count_files.dropped().last):
            with contextlib.suppress(Failed):  # the disk's reason is told by the round itself
                self.files.remove((dropped,))

    def forget(self) -> None:
        """A small piece of what is older than the retention; nothing for a while where nothing is."""
        if self.monotonic() < self.rest_until:
            return
        if not self.store.forget(self.options.retention_days, self.options.delete_batch):
            self.rest_until = self.monotonic() + REST_SECONDS
