"""A piece of the queue, as much as one transaction holds: read and parsed, in small steps, so that it can be done while a server
works on the piece before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nagios_failover.errors import Failed
from nagios_failover.metrics import Sample, parse_line
from nagios_failover.perfdata import QueuedSpool
from nagios_failover.perfdata_queue import PerfdataFiles, SpoolLine

LINES_OF_A_STEP = 50
"""About half a millisecond."""


class Piece:
    """The first `limit` bytes of the queue, from these positions on. What it holds is whole when `steps` has come to its end."""

    def __init__(self, files: PerfdataFiles, queue: Sequence[QueuedSpool], positions: Mapping[str, int], limit: int) -> None:
        self.files = files
        self.queue = queue
        self.positions = positions
        self.limit = limit
        self.steps = self._read()
        self.trouble: Failed | None = None
        self.samples: list[Sample] = []
        self.ends: dict[str, int] = {}
        self.finished: list[QueuedSpool] = []
        self.aside: list[tuple[str, int, str, bytes]] = []  # file, offset, why, line
        self.lines_aside = 0
        self.metrics_aside = 0

    @property
    def last(self) -> QueuedSpool:
        """The last file of which something is in it."""
        return self.queue[len(self.ends) - 1]

    def whole(self) -> Piece:
        """Raises Failed where its first file cannot be read; it ends before another one that cannot."""
        for _ in self.steps:
            pass
        if self.trouble and not self.ends:
            raise self.trouble
        return self

    def is_next(self, queue: Sequence[QueuedSpool], positions: Mapping[str, int], limit: int) -> bool:
        """Is it what would be read now? A queue may have grown at its end, and nothing else."""
        same = limit == self.limit and [*queue[: len(self.queue)]] == [*self.queue]
        return same and all(positions.get(name, 0) == self.positions.get(name, 0) for _, _, name in self.queue)

    def _read(self) -> Iterator[None]:
        left = self.limit
        for spool in self.queue:
            offset = self.positions.get(spool.name, 0)
            try:
                found = self.files.read_lines(spool, offset, left)
            except Failed as error:
                self.trouble = error
                return
            self.ends[spool.name] = found.end
            for number, line in enumerate(found.lines):
                self._take(spool, line)
                if number % LINES_OF_A_STEP == 0:
                    yield
            if not found.finished:
                return
            self.finished.append(spool)
            left -= found.end - offset
            if left <= 0:
                return

    def _take(self, spool: QueuedSpool, line: SpoolLine) -> None:
        sample = parsed(line)
        if isinstance(sample, str):
            self.lines_aside += 1
            self.aside.append((spool.name, line.offset, sample, line.data))
            return
        self.samples.append(sample)
        if sample.malformed:
            self.metrics_aside += len(sample.malformed)
            why = "no metric: " + ", ".join(piece[:80] for piece in sample.malformed[:5])
            self.aside.append((spool.name, line.offset, " ".join(why.split()), line.data))


def parsed(line: SpoolLine) -> Sample | str:
    return parse_line(line.data) if line.whole else "it is cut off, or longer than a line can be"
