"""Processes as the outside sees them."""

from __future__ import annotations

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
    """SIGKILL to every process of a session, inside the hosts too (they keep the session that they were started in)."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader:
                os.kill(int(stat.parent.name), signal.SIGKILL)
        except OSError:
            continue


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
