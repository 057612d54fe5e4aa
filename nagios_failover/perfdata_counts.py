"""What the loader counts, for check_perfdata: STATE/perfdata/counts and dropped, and the lines set aside in STATE/perfdata/aside.

The rows' own counts are kept in the database, in the transaction of the rows; the file shows them without it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from nagios_failover.frozen import frozen

RATE_SECONDS = 60.0
"""Over which rows_per_second is counted."""

_MODE = 0o640
_DROPPED_WIDTH = 160
_NAME_WIDTH = 40


@frozen
class LoaderCounts:
    """As the loader last wrote them. Times are epoch seconds, 0 for never."""

    raw_rows: int = 0
    bin_rows: int = 0
    lines_aside: int = 0
    metrics_aside: int = 0
    aside_at: int = 0
    loaded_at: int = 0
    rows_per_second: float = 0.0  # over the last minute


@frozen
class DroppedCounts:
    """What was dropped unread, ever; `last` is the newest file's name, by which a drop that was cut off is not counted twice."""

    files: int = 0
    lines: int = 0
    metrics: int = 0
    at: int = 0
    last: str = ""


C = TypeVar("C", LoaderCounts, DroppedCounts)


class CountFiles:
    """The files under STATE/perfdata. What cannot be read or written (a full disk) keeps nobody from their work."""

    def __init__(self, directory: Path) -> None:
        self.counts_path = directory / "counts"
        self.dropped_path = directory / "dropped"
        self.backstop_path = directory / "dropped.backstop"
        self.aside_path = directory / "aside"
        self.under_way_path = directory / "batch"
        self._places: set[str] | None = None

    def counts(self) -> LoaderCounts:
        return _read(self.counts_path, LoaderCounts)

    def write_counts(self, counts: LoaderCounts) -> None:
        temporary = self.counts_path.with_name(".counts")
        with contextlib.suppress(OSError):
            temporary.write_text("".join(f"{name}={value}\n" for name, value in asdict(counts).items()))
            temporary.chmod(_MODE)
            temporary.rename(self.counts_path)

    def dropped(self) -> DroppedCounts:
        """The loader's, and what process_perfdata's own backstop took where no loader could start (it counts no metrics)."""
        found = _read(self.dropped_path, DroppedCounts)
        with contextlib.suppress(OSError):
            lines = self.backstop_path.read_text(encoding="ascii", errors="replace").splitlines()
            at = int(self.backstop_path.stat().st_mtime)
            # what was gone before it was counted, and what a full disk cut off, has no number
            more = sum(int(count) for count in (line.partition(" ")[2] for line in lines) if count.isdecimal())
            found = replace(found, files=found.files + len(lines), lines=found.lines + more, at=max(found.at, at))
        return found

    def drop(self, name: str, *, lines: int, metrics: int, now: float) -> None:
        """Count a file before it is removed."""
        before = _read(self.dropped_path, DroppedCounts)
        if before.last == name:
            return
        after = DroppedCounts(before.files + 1, before.lines + lines, before.metrics + metrics, int(now), name)
        text = "".join(f"{key}={value}\n" for key, value in asdict(after).items())
        _write_in_place(self.dropped_path, text, _DROPPED_WIDTH)

    def begin(self, name: str) -> None:
        """A batch is under way whose last file this is."""
        _write_in_place(self.under_way_path, name, _NAME_WIDTH)

    def begun(self) -> str:
        """The last file of the batch that was under way last; "" for none."""
        with contextlib.suppress(OSError):
            return self.under_way_path.read_text(encoding="ascii", errors="replace").strip()
        return ""

    def set_aside(self, records: Iterable[tuple[str, int, str, bytes]], *, limit: int) -> None:
        """Append lines (queue file, offset, why, line), each once, however often a batch is tried. Beyond `limit` bytes the file
        becomes aside.1."""
        places = self._known_places()
        new = []
        for name, offset, why, line in records:
            place = f"# {name}:{offset}"
            if place not in places:
                places.add(place)
                new.append(f"{place} {why}\n".encode() + line + b"\n")
        if not new:
            return
        with contextlib.suppress(OSError):
            file = os.open(self.aside_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _MODE)
            try:
                os.write(file, b"".join(new))
                size = os.fstat(file).st_size
            finally:
                os.close(file)
            if size > limit:
                self.aside_path.replace(self.aside_path.with_name("aside.1"))
                self._places = set()

    def _known_places(self) -> set[str]:
        """Of the file's end: what a loader that was killed had written last."""
        if self._places is None:
            self._places = set()
            with contextlib.suppress(OSError), self.aside_path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - 1024 * 1024))
                for line in file.read().split(b"\n"):
                    if line.startswith(b"# "):
                        self._places.add(b" ".join(line.split(b" ")[:2]).decode(errors="replace"))
        return self._places


def _write_in_place(path: Path, text: str, width: int) -> None:
    """Of one width: that works on a full disk, too."""
    with contextlib.suppress(OSError):
        file = os.open(path, os.O_WRONLY | os.O_CREAT, _MODE)
        try:
            os.pwrite(file, f"{text:<{width - 1}}\n".encode("ascii"), 0)
        finally:
            os.close(file)


def _read(path: Path, kind: type[C]) -> C:
    """The counts that the file holds; those that it does not hold, or garbled, are as if nothing had been counted."""
    found: dict[str, Any] = {}
    text = ""
    with contextlib.suppress(OSError):
        text = path.read_text(encoding="utf-8", errors="replace")
    pairs = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    for name, sort in get_type_hints(kind).items():
        with contextlib.suppress(KeyError, ValueError):
            found[name] = sort(pairs[name].strip())
    return kind(**found)
