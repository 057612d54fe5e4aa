"""STATE/perfdata as the loader handles it: the queue, the lock and PID file of the single instance, and a bounded log."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from nagios_failover.errors import Failed, Refused
from nagios_failover.perfdata import QueuedSpool, in_order
from nagios_failover.state_files import sync_directory, write_atomically

LOG_SIZE = 256 * 1024
"""Bytes after which loader.log becomes loader.log.1."""

LONGEST_LINE = 4 * 1024 * 1024
"""Bytes of a line that are read at once; a longer one is no line of Nagios's."""

_MODE = 0o640


class SpoolLine(NamedTuple):
    """A line and where it begins in its file. Not whole: the file ends in it, or it is longer than LONGEST_LINE (cut here)."""

    offset: int
    data: bytes
    whole: bool = True


class SpoolLines(NamedTuple):
    """What was read: up to where, and whether that is the file's end."""

    lines: list[SpoolLine]
    end: int
    finished: bool


class PerfdataFiles:
    """The files under STATE/perfdata. Every OSError comes out as Failed, with the disk's reason; the log's is kept quiet."""

    def __init__(self, state_directory: Path) -> None:
        self.directory = state_directory / "perfdata"
        self.queue_directory = self.directory / "queue"
        self.pid_path = self.directory / "loader.pid"
        self.log_path = self.directory / "loader.log"
        self._pid_file = -1

    def claim(self) -> None:
        """Become the one loader of this host until the process ends. Raises Refused when there is one already."""
        try:
            self.queue_directory.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._pid_file = os.open(self.pid_path, os.O_RDWR | os.O_CREAT, _MODE)
            fcntl.flock(self._pid_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES) and self._pid_file >= 0:
                raise Refused("a loader runs already") from None
            raise Failed(
                f"cannot lock {self.pid_path}: {error.strerror}", hint="the directory belongs to the Nagios user"
            ) from error

    def announce(self, *, alive: bool) -> None:
        """Tell process_perfdata that this loader runs, or that it is about to end.

        Written in place and of one width: that needs no new block, so it succeeds on a full disk once the file is there. Where
        it does not, each call starts a loader that finds the lock held and ends.
        """
        with contextlib.suppress(OSError):
            os.pwrite(self._pid_file, f"{os.getpid() if alive else 0:<10}\n".encode("ascii"), 0)

    def queue(self) -> list[QueuedSpool]:
        """What is queued, oldest first."""
        try:
            return in_order(path.name for path in self.queue_directory.iterdir())
        except OSError as error:
            raise Failed(f"cannot read {self.queue_directory}: {error.strerror}") from error

    def fetched_from(self, host: str) -> FetchedFiles:
        """What waited on another host, and was fetched."""
        return FetchedFiles(self, host)

    def sizes(self, queue: Iterable[QueuedSpool]) -> list[int]:
        """In bytes; 0 for a file that is gone."""
        found = []
        for spool in queue:
            try:
                found.append((self.queue_directory / spool.name).stat().st_size)
            except OSError:
                found.append(0)
        return found

    def read_lines(self, spool: QueuedSpool, offset: int, limit: int) -> SpoolLines:
        """The lines from `offset` on, about `limit` bytes of them: always whole ones, at least one, never more than memory for
        LONGEST_LINE. A file that is gone is at its end."""
        path = self.queue_directory / spool.name
        try:
            with path.open("rb") as file:
                file.seek(offset)
                data = file.read(limit)
                if len(data) == limit and (rest := file.readline(LONGEST_LINE)):
                    data += rest
                    if not rest.endswith(b"\n") and len(rest) == LONGEST_LINE:
                        return _too_long(file, offset, data)
                    finished = not data.endswith(b"\n")
                else:
                    finished = True
        except FileNotFoundError:
            return SpoolLines([], offset, finished=True)
        except OSError as error:
            raise Failed(f"cannot read {path}: {error.strerror}") from error
        return SpoolLines(_split(offset, data), offset + len(data), finished)

    def remove(self, queued: Iterable[QueuedSpool]) -> None:
        """They are gone from the disk when this returns, and stay gone after a power cut."""
        try:
            for spool in queued:
                (self.queue_directory / spool.name).unlink(missing_ok=True)
            sync_directory(self.queue_directory)
        except OSError as error:
            raise Failed(f"cannot remove from {self.queue_directory}: {error.strerror}") from error

    def log(self, sentence: str) -> None:
        """Append a line. A log that cannot be written (a full disk) keeps nobody from their work."""
        line = f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} [{os.getpid()}] {' '.join(sentence.split())}\n"
        with contextlib.suppress(OSError):
            log = os.open(self.log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _MODE)
            try:
                size = os.fstat(log).st_size
                os.write(log, line.encode())
            finally:
                os.close(log)
            if size > LOG_SIZE:
                self.log_path.replace(self.log_path.with_name("loader.log.1"))


def _split(offset: int, data: bytes) -> list[SpoolLine]:
    lines = []
    *whole, torn = data.split(b"\n")
    for line in whole:
        lines.append(SpoolLine(offset, line))
        offset += len(line) + 1
    if torn:
        lines.append(SpoolLine(offset, torn, whole=False))
    return lines


def _too_long(file: BinaryIO, offset: int, data: bytes) -> SpoolLines:
    """The lines before it, the beginning of the long one, and where it ends: the rest is read past."""
    *lines, long = _split(offset, data)
    ended = False
    while not ended and (piece := file.readline(LONGEST_LINE)):
        ended = piece.endswith(b"\n")
    return SpoolLines([*lines, long._replace(data=long.data[:200])], file.tell(), finished=not ended)


class FetchedFiles(PerfdataFiles):
    """STATE/perfdata/from-HOST: another host's queue under its own names, since host and name together tell what is loaded.

    They are of one term, which the file `term` beside them names: what is left of an earlier one has since been loaded by that
    host itself, when it was the master again."""

    def __init__(self, files: PerfdataFiles, host: str) -> None:
        super().__init__(files.directory.parent)
        self.directory = self.queue_directory = files.directory / f"from-{host}"
        self.term_path = self.directory / "term"

    def make_empty(self, term: int) -> Path:
        """Before this term's fetch."""
        try:
            self.directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            raise Failed(f"cannot make {self.directory}: {error.strerror}") from error
        self.remove(self.queue())
        write_atomically(self.term_path, f"{term}\n")
        return self.directory

    def queue_of(self, term: int) -> list[QueuedSpool]:
        """What was fetched in this term."""
        try:
            return self.queue() if int(self.term_path.read_text(encoding="ascii")) == term else []
        except (OSError, ValueError):
            return []

    def queue(self) -> list[QueuedSpool]:
        return super().queue() if self.directory.is_dir() else []
