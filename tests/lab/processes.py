"""Processes as the outside sees them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from tests.lab.machine import LabError


def start_time(pid: int) -> str | None:
    """When a process started, in the kernel's ticks since boot: with the number it names one process for ever."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def kill_session(leader: int) -> None:
    """SIGKILL to every process of a session, inside the hosts too (they keep the session that they were started in).

    Until none is left: one may fork while the others are being killed."""
    deadline = time.monotonic() + 2
    while (left := _session(leader)) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _session(leader: int) -> list[int]:
    """Its processes that are not ended yet."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader and fields[0] not in "ZX":
                found.append(int(stat.parent.name))
    return found


def only_child(pid: int) -> int:
    """The child of a process that starts exactly one, once it is there."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            raise LabError(f"process {pid} ended before it had made its namespaces") from None
        if children:
            return int(children[0])
        time.sleep(0.002)
    raise LabError(f"process {pid} started nothing within 10 s")


def close_pipes(process: subprocess.Popen[str]) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
