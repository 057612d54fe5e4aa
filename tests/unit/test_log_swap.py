"""A log that a process has open and writes to is replaced in the same file: no line is lost, and the process is never left stopped.

The writer is a process of its own, which logs numbered lines as fast as it can."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nagios_failover.errors import Failed, Incomplete
from nagios_failover.hold import Process, _look, hold_still
from nagios_failover.lock import run_lock
from nagios_failover.log_swap import LogSwap
from nagios_failover.log_tail import read_new_switches
from nagios_failover.nagios_cfg import NagiosCfg
from nagios_failover.state_files import StateFiles
from nagios_failover.words import Flag

WRITER = """
import os, sys, time
log = os.open(sys.argv[1], os.O_RDWR | os.O_APPEND)
number = 0
while True:
    os.write(log, b"[1795619077] own %d\\n" % number)
    number += 1
    time.sleep(0.0001)
"""


class Site:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.state = StateFiles(directory)
        self.log = directory / "nagios.log"
        self.log.write_bytes(b"[1795619000] old\n" * 1000)
        self.inode = self.log.stat().st_ino
        self.writer = subprocess.Popen([sys.executable, "-c", WRITER, str(self.log)])
        self.wait(lambda: b"own" in self.log.read_bytes())
        self.process = Process(self.writer.pid, _look(self.writer.pid)[1])
        (directory / "archives").mkdir()

    def wait(self, condition: object) -> None:
        deadline = time.monotonic() + 10
        while not condition():  # type: ignore[operator]
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def swap(self, part: object = None) -> LogSwap:
        return LogSwap(self.log, self.directory / "archives", self.state, part or (lambda name: None))  # type: ignore[arg-type]

    def put(self, swap: LogSwap, *, theirs: int = 3000, keep: bool = True) -> float | None:
        """`theirs` lines of another host before this host's own, which are all kept or all but the old ones."""
        end = swap.end(term=0)
        own = [line for line in self.log.read_bytes()[:end].splitlines(keepends=True) if keep or b"old" not in line]
        merged = [*(b"[1795618000] their %d\n" % number for number in range(theirs)), *own]
        return swap.put(iter(merged), end=end, process=self.process)

    def assert_whole(self, *, theirs: int = 3000, old: int = 1000) -> None:
        assert self.process.state() not in ("T", "t", ""), "the writer runs"
        assert self.log.stat().st_ino == self.inode
        size = self.log.stat().st_size
        self.wait(lambda: self.log.stat().st_size > size)
        lines = self.log.read_bytes().rpartition(b"\n")[0].split(b"\n")
        assert lines[:theirs] == [b"[1795618000] their %d" % number for number in range(theirs)]
        assert lines[theirs : theirs + old] == [b"[1795619000] old"] * old
        own = lines[theirs + old :]
        assert own == [b"[1795619077] own %d" % number for number in range(len(own))]
        left = {path.name for path in self.directory.iterdir() if not path.name.startswith((".merge.", ".log.", "log."))}
        assert left == {"nagios.log", "archives"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    os.kill(site.writer.pid, signal.SIGCONT)
    site.writer.kill()
    site.writer.wait()


def test_no_line_is_lost_and_the_file_is_the_same(site: Site) -> None:
    held = site.put(site.swap())
    assert held is not None and 0 < held < 1
    site.assert_whole()


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("last", ["", "cut", "copying", "copied"])
def test_what_was_switched_on_the_other_host_is_no_word_of_this_ones_operator(site: Site, last: str, keep: bool) -> None:
    """And what is switched here after it was read last, is."""
    cfg = NagiosCfg(site.log, {"log_file": str(site.log), "log_archive_path": str(site.directory / "archives")}, {})
    switched = b"[1795619077] EXTERNAL COMMAND: DISABLE_NOTIFICATIONS;\n"
    append(site.log, switched)
    found, position = read_new_switches(cfg, None)
    assert len(found) == 1
    site.state.write_log_position(position)
    append(site.log, switched.replace(b"DIS", b"EN"))

    def part(name: str) -> None:
        if name == last:
            os.kill(os.getpid(), signal.SIGKILL)

    swap = site.swap(part)
    end = swap.end(term=0)
    assert end == position.offset
    own = [line for line in site.log.read_bytes()[:end].splitlines(keepends=True) if keep or b"old" not in line]
    theirs = [b"[1795618000] EXTERNAL COMMAND: STOP_EXECUTING_SVC_CHECKS;\n"] * (500 if keep else 5)
    child = os.fork()
    if child == 0:
        try:
            swap.put([*theirs, *own], end=end, process=site.process)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    site.swap().finish()
    append(site.log, switched)
    found, _ = read_new_switches(cfg, site.state.log_position())
    assert [(switch.flag, switch.on) for switch in found] == [(Flag.NOTIFICATIONS, True), (Flag.NOTIFICATIONS, False)]


def append(path: Path, text: bytes) -> None:
    with path.open("ab", buffering=0) as file:
        file.write(text)


def test_a_shorter_one_cuts_the_log(site: Site) -> None:
    site.put(site.swap(), theirs=10, keep=False)
    site.assert_whole(theirs=10, old=0)


def test_what_is_there_already_is_not_touched(site: Site) -> None:
    os.kill(site.writer.pid, signal.SIGSTOP)
    assert site.put(site.swap(), theirs=0) is None
    os.kill(site.writer.pid, signal.SIGCONT)
    site.assert_whole(theirs=0)


PARTS = ["beside", "recorded", "held", "cut", "copying", "copied"]


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("last", PARTS)
def test_killed_after_each_part_it_is_whole_after_the_next_call(site: Site, last: str, keep: bool) -> None:
    def part(name: str) -> None:
        if name == last:
            os.kill(os.getpid(), signal.SIGKILL)

    theirs, old = (3000, 1000) if keep else (10, 0)
    child = os.fork()
    if child == 0:
        try:
            site.put(site.swap(part), theirs=theirs, keep=keep)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    site.wait(lambda: site.process.state() not in ("T", "t"))
    swap = site.swap()
    if not swap.finish() and last in ("beside", "recorded", "held"):
        assert b"their" not in site.log.read_bytes()
        site.put(swap, theirs=theirs, keep=keep)
    site.assert_whole(theirs=theirs, old=old)


def test_killed_at_any_moment_it_is_whole_after_the_next_call(site: Site) -> None:
    """The next call waits for the lock, which the holder of a killed run still has."""
    chance = random.Random(3)
    for _ in range(25):
        child = os.fork()
        if child == 0:
            try:
                with run_lock(site.directory, wait=5):
                    site.put(site.swap())
            finally:
                os._exit(0)
        time.sleep(chance.uniform(0, 0.03))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with run_lock(site.directory, wait=5):
            assert site.process.state() not in ("T", "t")
            site.swap().finish()
        if b"their" in site.log.read_bytes():
            break
    else:
        site.put(site.swap())
    (site.directory / "run.lock").unlink()
    site.assert_whole()


def test_who_is_left_stopped_goes_on_with_the_next_call(site: Site) -> None:
    """All three processes were killed at once."""
    os.kill(site.writer.pid, signal.SIGSTOP)
    site.wait(lambda: site.process.state() == "T")
    swap = site.swap()
    swap.merged.write_bytes(b"half\n")
    record = {"log": str(site.log), "inode": site.inode, "end": 0, "length": 5, "seam": swap.end(term=0), "merged": 5, "check": 0,
              "pid": site.process.pid, "started": site.process.started, "copying": False}  # fmt: skip
    swap.record_path.write_text(json.dumps(record))
    swap.finish()
    site.wait(lambda: site.process.state() not in ("T", "t"))


def test_work_that_takes_too_long_is_ended_and_the_process_goes_on(site: Site) -> None:
    with pytest.raises(Failed, match="was not held still: that was cut short"):
        hold_still(site.process, lambda: time.sleep(60), seconds=0.2)
    assert site.process.state() not in ("T", "t")


def test_a_log_that_is_rotated_meanwhile_is_left_alone(site: Site) -> None:
    archive = site.directory / "archives" / "old"

    def part(name: str) -> None:
        if name == "recorded" and not archive.exists():
            site.log.rename(archive)
            site.log.write_bytes(b"[1795619078] LOG ROTATION: DAILY\n")

    with pytest.raises(Failed, match="was rotated in this moment"):
        site.put(site.swap(part))
    assert (
        site.log.read_bytes() == b"[1795619078] LOG ROTATION: DAILY\n"
        and b"their" not in (site.directory / "archives" / "old").read_bytes()
    )


def test_rotated_while_the_lines_are_copied_the_archive_gets_them(site: Site) -> None:
    def part(name: str) -> None:
        if name == "copying":
            site.log.rename(site.directory / "archives" / "old")
            site.log.write_bytes(b"[1795619078] LOG ROTATION: DAILY\n")
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            site.put(site.swap(part))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert site.swap().finish()
    site.log.unlink()
    (site.directory / "archives" / "old").rename(site.log)
    site.assert_whole()


def test_a_full_disk_before_the_swap_changes_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nagios_failover.log_files.SPARE_BYTES", 1 << 60)
    with pytest.raises(Failed, match="MiB free, and merging needs"):
        site.put(site.swap())
    site.assert_whole(theirs=0)


def test_a_disk_that_breaks_in_the_middle_is_gone_on_with(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def part(name: str) -> None:
        if name == "copying":
            raise OSError(5, "Input/output error")

    with pytest.raises(Incomplete, match="is half written: Input/output error"):
        site.put(site.swap(part))
    assert site.swap().finish()
    site.assert_whole()
