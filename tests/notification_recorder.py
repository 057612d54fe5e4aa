"""When two hosts notified at once: by their event logs, by their flags, and by the mails at the sink."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.lab import Host, Lab
from tests.lab.host import STATUS_DAT
from tests.lab.service import program_block
from tests.notification_stream import LOG, LOGGED, Stream, among

EVERY_SECONDS: Final = 0.1


class Recorder:
    """`with Recorder(lab) as recorder:` sends a stream of test notifications, follows both hosts' nagios.log, each line
    stamped when it arrives, and reads both status.dat, several times a second. All from outside: no cut link hides a host."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._stream = Stream(lab)
        self._logs = {host: Followed(host) for host in (lab.yasu, lab.nabira)}
        self._both_flags: list[float] = []
        self._ended = threading.Event()
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        self._watching = self._pool.submit(self._watch)
        self._stream.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stream.__exit__(kind, error, trace)
        self._ended.set()
        self._watching.result(10)  # one that broke off has seen nothing, which is not that there was nothing

    def notified(self, host: Host) -> bool:
        """Has it notified at all, whether or not that reached anybody?"""
        return bool(self._logs[host].moments)

    def doubled(self) -> dict[str, list[float]]:
        """The moments in which both notified, oldest first, by each of the three."""
        yasu, nabira = self._lab.yasu, self._lab.nabira
        return {
            "log": among(self._logs[yasu].moments, self._logs[nabira].moments),
            "flags": list(self._both_flags),
            "mail": among(self._stream.moments(yasu), self._stream.moments(nabira)),
        }

    def _watch(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            for followed in self._logs.values():
                followed.read()
            if all(_flag_is_on(host) for host in self._logs):
                self._both_flags.append(time.time())


class Followed:
    """A host's event log from now on: when a line of a test notification arrived in it."""

    def __init__(self, host: Host) -> None:
        self._path: Path = host.from_outside(LOG)
        self._read = self._path.stat().st_size
        self._part = ""
        self.moments: list[float] = []

    def read(self) -> None:
        with self._path.open(errors="replace") as log:
            log.seek(self._read)
            text = log.read()
            self._read = log.tell()
        *lines, self._part = (self._part + text).split("\n")
        self.moments += [time.time() for line in lines if LOGGED in line]


def _flag_is_on(host: Host) -> bool:
    return program_block(host.from_outside(STATUS_DAT).read_text(errors="replace")).get("enable_notifications") == "1"
