"""A steady stream of test notifications on both hosts, so that the mail sink shows who notifies at each moment."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from types import TracebackType
from typing import Final, Self

from tests.lab import Host, Lab
from tests.lab.machine import LabError

EVERY_SECONDS: Final = 0.5
PIPE: Final = "/var/lib/nagios4/rw/nagios.cmd"
LOG: Final = "/var/log/nagios4/nagios.log"
LOGGED: Final = "] SERVICE NOTIFICATION: oncall;web12;HTTP;CUSTOM"
MARK: Final = "CUSTOM web12/HTTP"


class Stream:
    """`with Stream(lab) as stream:` asks each host's Nagios for a custom notification every half second, which it sends only while
    its notifications are on. Unforced, so it is as good as a real one."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(host,), daemon=True) for host in (lab.yasu, lab.nabira)]
        self._first, self._began = 0, 0.0
        self._asked: dict[str, list[float]] = {lab.yasu.name: [], lab.nabira.name: []}

    def __enter__(self) -> Self:
        self._first, self._began = len(self._lab.mails()), time.time()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(10)

    def _ask(self, host: Host) -> None:
        ask = 'echo "[$(date +%s)] SEND_CUSTOM_SVC_NOTIFICATION;web12;HTTP;0;lab;who notifies?"'
        while not self._ended.wait(EVERY_SECONDS):
            # One that loses its power, or is frozen, just now: the next question is asked all the same.
            with contextlib.suppress(subprocess.TimeoutExpired, LabError, OSError):
                if host.is_on() and not host.is_frozen():
                    put = f"timeout 1 dd of={PIPE} conv=notrunc,nocreat oflag=nonblock status=none"
                    if host.run(f"[ -p {PIPE} ] && {ask} | {put}", check=False).returncode == 0:
                        self._asked[host.name].append(time.time())

    def asked(self, host: Host, *, since: float) -> int:
        """How often a Nagios there has been asked to send one."""
        return sum(moment >= since for moment in self._asked[host.name])

    def moments(self, host: Host) -> list[float]:
        """When the sink took a test notification of this host; epochs."""
        mails = self._lab.mails()[self._first :]
        return [mail.arrived for mail in mails if MARK in mail.subject and f"sent by {host.name}" in mail.subject]

    def logged(self, host: Host) -> list[int]:
        """When Nagios sent one, by the host's own event log; epochs. It tells of a host whose mail reaches nobody, too."""
        lines = host.read(LOG).splitlines()
        times = [int(line[1:].partition("]")[0]) for line in lines if LOGGED in line]
        return [moment for moment in times if moment >= self._began]

    def doubled_by_log(self) -> int:
        """For how many seconds both hosts' Nagios notified, whether or not it reached anybody."""
        yasu, nabira = (self.logged(host) for host in (self._lab.yasu, self._lab.nabira))
        both = sorted(set(yasu) & set(nabira))
        return both[-1] - both[0] + 1 if both else 0

    def notifies_now(self, host: Host) -> bool:
        moments = self.moments(host)
        return bool(moments) and time.time() - moments[-1] < 3 * EVERY_SECONDS

    def doubled(self) -> float:
        """For how many seconds both hosts notified: from the first to the last moment of one that lies between two of the other."""
        both = among(self.moments(self._lab.yasu), self.moments(self._lab.nabira))
        return both[-1] - both[0] if both else 0.0


def among(these: list[float], others: list[float]) -> list[float]:
    """The moments of either that have one of the other within a second and a half, oldest first."""
    return sorted(_near(these, others) + _near(others, these))


def _near(these: list[float], others: list[float]) -> list[float]:
    return [one for one in these if any(abs(one - other) < 3 * EVERY_SECONDS for other in others)]
