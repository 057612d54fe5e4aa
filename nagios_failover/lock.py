"""The one lock: one run at a time on this host, for the handler and the command line alike."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nagios_failover.errors import FailoverError, Refused
from nagios_failover.state_files import FILE_MODE, cannot_write

POLL_SECONDS = 0.05
A_MOMENT = 0.5
"""Seconds that a run, a correction or `init` waits for the lock: who only asks whether it is held (`is_held`) has it for an
instant."""


class LockHeld(Refused):
    """Another run is on its way. `seconds` is how long it has had the lock."""

    seconds = 0.0


@contextmanager
def run_lock(state_directory: Path, *, wait: float, name: str = "run.lock") -> Iterator[None]:
    """Hold STATE/`name` (flock: the kernel lets go of it when the process ends, however it ends).

    Raises LockHeld when another process still has it after `wait` seconds, Failed when the file cannot be opened."""
    path = state_directory / name
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        _acquire(descriptor, time.monotonic() + wait)
        with contextlib.suppress(OSError):  # the PID is for people; a full disk must not keep a run from its work
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def is_held(state_directory: Path) -> bool:
    """Is a run on its way? A moment's answer, good for not starting what would be refused anyway."""
    try:
        with run_lock(state_directory, wait=0):
            return False
    except LockHeld:
        return True


def held_for(state_directory: Path) -> tuple[str, float] | None:
    """Who holds the lock (a PID, or "unknown") and for how many seconds; None: nobody does, or that cannot be seen.

    The PID is written when the lock is taken, so that the file's time is when that was."""
    path = state_directory / "run.lock"
    try:
        since = path.stat().st_mtime
        if not is_held(state_directory):
            return None
        return path.read_text(encoding="ascii", errors="replace").strip() or "unknown", max(time.time() - since, 0.0)
    except (OSError, FailoverError):
        return None


def _acquire(descriptor: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise _held(descriptor) from None
        time.sleep(POLL_SECONDS)


def _held(descriptor: int) -> LockHeld:
    """Who takes the lock writes its PID: the file's age is for how long it has been held."""
    holder = os.pread(descriptor, 20, 0).decode("ascii", errors="replace").strip() or "unknown"
    error = LockHeld(f"a run is on its way: PID {holder}", hint="nagios-failover history shows it")
    error.seconds = max(0.0, time.time() - os.fstat(descriptor).st_mtime)
    return error
