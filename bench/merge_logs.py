"""Merging two event logs, 200 MB together, into a log that a process has open: beside `sort -m` of the same files, in turn; and
for how long the process is held still."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from bench.common import add
from nagios_failover.hold import Process, _look
from nagios_failover.log_files import LogFile
from nagios_failover.log_merge import Own, merge
from nagios_failover.log_swap import LogSwap
from nagios_failover.state_files import StateFiles

RUNS: Final = 5
LINES: Final = 1_800_000
EACH_SECOND: Final = 4
OWN_PART: Final = 10
"""One line of so many is this host's own."""

#: Has the log open as Nagios has, and logs a line every millisecond.
WRITER: Final = """
import os, sys, time
log = os.open(sys.argv[1], os.O_RDWR | os.O_APPEND)
while True:
    os.write(log, b"[%d] SERVICE ALERT: web1;HTTP;OK;HARD;1;logged meanwhile\\n" % time.time())
    time.sleep(0.001)
"""


def main() -> None:
    seconds, plain, held = [], [], []
    with tempfile.TemporaryDirectory(prefix="bench-merge-") as name:
        directory = Path(name)
        (directory / "archives").mkdir()
        theirs, own = directory / "theirs.log", directory / "own.log"
        make(theirs, own)
        size = (theirs.stat().st_size + own.stat().st_size) / 1e6
        for _ in range(RUNS):
            took, still = merge_once(directory, theirs, own)
            seconds.append(took)
            held.append(still * 1000)
            plain.append(sort_once(directory, theirs, own))
    sort = statistics.median(plain)
    add(f"merge_logs: sort -m of {size:.0f} MB, and fsync", sort, "s", RUNS)
    add(f"merge_logs: {size:.0f} MB", statistics.median(seconds), "s", RUNS, "sort -m", statistics.median(seconds) / sort)
    add("merge_logs: Nagios held still", statistics.median(held), "ms", RUNS)
    print(f"    held still: min {min(held):.1f}, max {max(held):.1f} ms", flush=True)


def make(theirs: Path, own: Path) -> None:
    began = int(time.time()) - LINES // EACH_SECOND - 60
    with theirs.open("w") as master, own.open("w") as standby:
        for number in range(LINES):
            alert = f"SERVICE ALERT: web{number % 97};HTTP;CRITICAL;HARD;3;CRITICAL - no answer in 10 s, look {number}"
            (standby if number % OWN_PART == 0 else master).write(f"[{began + number // EACH_SECOND}] {alert}, the last one\n")


def merge_once(directory: Path, theirs: Path, own: Path) -> tuple[float, float]:
    log = directory / "nagios.log"
    subprocess.run(["cp", str(own), str(log)], check=True)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(log)])
    try:
        time.sleep(0.3)
        process = Process(writer.pid, _look(writer.pid)[1])
        swap = LogSwap(log, directory / "archives", StateFiles(directory), lambda part: None)
        began = time.monotonic()
        end = swap.end(term=0)
        filtered = Own(set(), since=0).kept(LogFile("", log, end).own())
        lines = merge([LogFile("", theirs, theirs.stat().st_size).theirs(), filtered])
        held = swap.put(lines, end=end, process=process)
        return time.monotonic() - began, held or 0.0
    finally:
        writer.kill()
        writer.wait()


def sort_once(directory: Path, theirs: Path, own: Path) -> float:
    began = time.monotonic()
    target = directory / "sorted.log"
    subprocess.run(
        ["sort", "-m", "-s", "-k", "1,1", "-o", str(target), str(theirs), str(own)],
        check=True,
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
    )
    subprocess.run(["sync", str(target)], check=True)
    return time.monotonic() - began
