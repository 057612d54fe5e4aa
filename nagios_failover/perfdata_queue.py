"""STATE/perfdata as the loader handles it: the queue, the lock and PID file of the single instance, and a bounded log."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterable
from pathlib import Path

from nagios_failover.errors import Failed, Refused
from nagios_failover.perfdata import QueuedSpool, in_order

LOG_SIZE = 256 * 1024
"""Bytes after which loader.log becomes loader.log.1."""

_MODE = 0o640


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

    def fetched_from(self, host: str) -> Path:
        """Where the waiting files of another host lie, made if need be."""
        path = self.directory / f"from-{host}"
        try:
            path.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            raise Failed(f"cannot make {path}: {error.strerror}") from error
        return path

    def remove(self, queued: Iterable[QueuedSpool]) -> None:
        try:
            for spool in queued:
                (self.queue_directory / spool.name).unlink(missing_ok=True)
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
