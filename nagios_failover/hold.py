"""Holding Nagios still for a moment (SIGSTOP), and never for longer: a Nagios that stays stopped is what all this is against.

Three processes: this one waits; its child, the guard, waits for the holder and ends it when it takes too long; the holder, the
guard's child, stops Nagios, works, and lets it go on. Each of them lets Nagios go on when it ends, and one that is killed is
seen by the one above it. The holder and the guard have a session of their own, so whoever kills the run does not kill them; and
since they have the run's lock with it (a flock goes on to children), the next call waits until they have ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from nagios_failover import shell
from nagios_failover.errors import CouldNotLook, Failed
from nagios_failover.frozen import frozen
from nagios_failover.nagios_files import read_program_status
from nagios_failover.remote import NAGIOS_NAMES

STOP_SECONDS = 0.5
"""So long a process may take to stand still; one that waits for its disk does not at once."""


@frozen
class Process:
    """A process by its PID and, since PIDs are used again, the moment of its start as the system tells it."""

    pid: int
    started: str

    def state(self) -> str:
        """R, S, T and so on; "" when it is gone, or its PID is another's."""
        state, started, _ = _look(self.pid)
        return state if started == self.started and state not in ("Z", "X") else ""

    def go_on(self) -> None:
        """SIGCONT; harmless to one that runs."""
        if self.state():
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.SIGCONT)


def nagios_of(status_file: Path) -> Process | None:
    """The main process of this host's Nagios, by the PID in its status.dat; None where it does not run."""
    try:
        pid = read_program_status(status_file).pid
    except CouldNotLook:
        return None
    state, started, name = _look(pid)
    if state in ("", "Z", "X") or name.rstrip("0123456789") not in NAGIOS_NAMES:
        return None
    return Process(pid, started)


def _look(pid: int) -> tuple[str, str, str]:
    """State, start and name of a process; three empty words when it is gone."""
    if not Path("/proc/self/stat").exists():
        return _ask_ps(pid)
    try:
        head, _, rest = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")
    except OSError:
        return "", "", ""
    words = rest.split()
    return words[0], words[19], head.partition("(")[2]


def _ask_ps(pid: int) -> tuple[str, str, str]:
    """On systems without /proc."""
    words = shell.run(("ps", "-o", "stat=", "-o", "lstart=", "-o", "comm=", "-p", str(pid)), timeout=5).stdout.split()
    return (words[0][:1], " ".join(words[1:6]), words[6].rpartition("/")[2]) if len(words) > 6 else ("", "", "")


def hold_still(process: Process, work: Callable[[], None], *, seconds: float) -> float:
    """Do `work` (in a process of its own, which shares this one's open files) while `process` stands still, for `seconds` at
    most. Returns for how long it stood. Raises Failed when the work did not come to its end; what it had done by then is done."""
    reader, writer = os.pipe()
    try:
        guard = os.fork()
    except OSError as error:
        os.close(reader)
        os.close(writer)
        raise Failed(f"no process can be started: {error.strerror}") from error
    if guard == 0:
        os.close(reader)
        _guard(process, work, writer, seconds)
    try:
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            held, _, problem = pipe.read().decode("utf-8", "replace").partition(" ")
        os.waitpid(guard, 0)
    finally:
        process.go_on()
    if problem or not held:
        raise Failed(f"Nagios (PID {process.pid}) was not held still: {problem or 'that was cut short'}")
    return float(held)


def _guard(process: Process, work: Callable[[], None], writer: int, seconds: float) -> NoReturn:
    holder = 0
    try:
        os.setsid()
        holder = os.fork()
        if holder == 0:
            _hold(process, work, writer)
        os.close(writer)
        if not _ends(holder, seconds):
            os.kill(holder, signal.SIGKILL)
            _ends(holder, 1.0)  # one that hangs in its disk does not end: Nagios goes on all the same
    finally:
        process.go_on()
        os._exit(0)


def _ends(child: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if os.waitpid(child, os.WNOHANG)[0]:
            return True
        time.sleep(0.002)
    return False


def _hold(process: Process, work: Callable[[], None], writer: int) -> NoReturn:
    said = "0 that was cut short"
    try:
        began = time.monotonic()
        os.kill(process.pid, signal.SIGSTOP)
        while process.state() not in ("T", "t"):
            if time.monotonic() - began > STOP_SECONDS:
                raise Failed(f"it did not stop within {STOP_SECONDS:g} s")
            time.sleep(0.0002)
        work()
        process.go_on()
        said = f"{time.monotonic() - began:.6f}"
    except (OSError, Failed) as error:
        said = f"0 {error}"
    finally:
        process.go_on()
        with contextlib.suppress(OSError):
            os.write(writer, said.encode()[:4000])
        os._exit(0)
