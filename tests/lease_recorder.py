"""Who has a valid lease, by each host's own file and clock, several times a second: never two. What each host's keeper said is
printed at the end, for whoever reads of a failure."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from nagios_failover.errors import StateUnreadable
from nagios_failover.lease import parse_lease
from nagios_failover.state_files import uptime
from tests.lab import Host, Lab
from tests.lab.suite import STATE

EVERY_SECONDS: Final = 0.1
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Recorder:
    """`with Recorder(lab) as recorder:`. All hosts of a lab share the machine's boot clock, so that moments compare."""

    def __init__(self, lab: Lab) -> None:
        self._hosts = list(lab.hosts.values())
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.seen: list[tuple[float, frozenset[str]]] = []
        self._last: dict[str, str] = {}
        self._started = uptime()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join(10)
        print(f"from {self._started:.1f} to {uptime():.1f}")

    @property
    def doubled(self) -> list[tuple[float, frozenset[str]]]:
        return [(moment, holders) for moment, holders in self.seen if len(holders) > 1]

    @property
    def holders(self) -> list[str]:
        """One after the other; "" for a time in which nobody had it."""
        names = [", ".join(sorted(holders)) for _, holders in self.seen]
        return [name for index, name in enumerate(names) if index == 0 or names[index - 1] != name]

    def _watch(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            # One that gave it away while the others were being read has it no more at the second look.
            first, again = self._holders(), self._holders()
            self.seen.append((time.time(), first & again))

    def _holders(self) -> frozenset[str]:
        return frozenset(host.name for host in self._hosts if self._valid(host))

    def _valid(self, host: Host) -> bool:
        try:
            lease = parse_lease(host.from_outside(f"{STATE}/lease").read_text())
            start = host.from_outside("/proc/1/stat").read_text().rpartition(")")[2].split()[19]
        except (OSError, StateUnreadable):
            return False
        if self._last.get(host.name) != lease.text():
            self._last[host.name] = lease.text()
            print(f"at {uptime():.1f} until {lease.until:.0f}: {lease.said}")
        return lease.left(uptime(), f"{BOOT_ID.read_text().strip()}:{start}") > 0
