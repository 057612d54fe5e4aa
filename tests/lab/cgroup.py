"""Control groups: everything that belongs to a host is in one, so that it can be frozen and nothing can escape a clean-up.

Version 2 is preferred (also beside version 1, as systemd's hybrid layout has it): its kill reaches frozen processes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.lab.machine import LabError, NotPossibleHereError

V2_PLACES: Final = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
V1_PLACE: Final = Path("/sys/fs/cgroup/freezer")
PREFIX: Final = "nagios-failover-lab."


def hierarchy() -> tuple[int, Path]:
    """(2 or 1, mount point) of the hierarchy that can freeze on this machine."""
    for place in V2_PLACES:
        if (place / "cgroup.controllers").exists():
            return 2, place
    if (V1_PLACE / "cgroup.procs").exists():
        return 1, V1_PLACE
    raise NotPossibleHereError(
        "the lab needs control groups that can freeze, and neither version 2 nor version 1's freezer is mounted below "
        "/sys/fs/cgroup: mount -t cgroup2 none /sys/fs/cgroup"
    )


class Cgroup:
    """One control group, by lab and part (`yasu`, `net`, ...)."""

    def __init__(self, lab: str, part: str | None = None) -> None:
        self.version, top = hierarchy()
        self.path = top / f"{PREFIX}{lab}" / (part or "")

    def create(self) -> Cgroup:
        self.path.mkdir(parents=True, exist_ok=True)
        return self

    def entering(self, argv: Sequence[str]) -> list[str]:
        """A command that enters this group first and then becomes `argv`: there is no moment outside it."""
        return ["/bin/sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(self.path), *argv]

    def pids(self) -> list[int]:
        """Process ids (the outside's numbers) of this group and of those below."""
        found: list[int] = []
        for procs in [self.path / "cgroup.procs", *self.path.glob("*/cgroup.procs")]:
            with contextlib.suppress(OSError):
                found += [int(word) for word in procs.read_text().split()]
        return found

    def freeze(self) -> None:
        self._set_frozen(True)

    def thaw(self) -> None:
        self._set_frozen(False)

    def is_frozen(self) -> bool:
        try:
            if self.version == 2:
                return "frozen 1" in (self.path / "cgroup.events").read_text()
            return (self.path / "freezer.state").read_text().strip() != "THAWED"
        except OSError:
            return False

    def _set_frozen(self, frozen: bool) -> None:
        if self.version == 2:
            (self.path / "cgroup.freeze").write_text("1" if frozen else "0")
        else:
            (self.path / "freezer.state").write_text("FROZEN" if frozen else "THAWED")
        deadline = time.monotonic() + 10
        while self.is_frozen() != frozen:
            if time.monotonic() > deadline:
                raise LabError(f"{self.path.name} did not become {'frozen' if frozen else 'thawed'} within 10 s")
            time.sleep(0.005)

    def remove(self) -> None:
        """Kill everything inside, at once and for certain, and remove the group and those below it."""
        if not self.path.exists():
            return
        self._kill()
        for below in [entry for entry in self.path.iterdir() if entry.is_dir()]:
            _remove_empty(below)
        _remove_empty(self.path)

    def _kill(self) -> None:
        """SIGKILL to every process inside; returns when they are gone."""
        deadline = time.monotonic() + 20
        while True:
            if self.version == 2:
                with contextlib.suppress(OSError):
                    (self.path / "cgroup.kill").write_text("1")
            for pid in self.pids():
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            if self.version == 1:  # SIGKILL reaches a frozen process of version 1 only when it is thawed
                for group in [self.path, *self.path.glob("*/")]:
                    with contextlib.suppress(OSError):
                        (group / "freezer.state").write_text("THAWED")
            if not self.pids():
                return
            if time.monotonic() > deadline:
                raise LabError(f"{self.path.name}: processes {self.pids()} do not end within 20 s of SIGKILL")
            time.sleep(0.01)


def lab_names() -> list[str]:
    """Labs that have a control group, whether or not anything in it lives."""
    return sorted(path.name.removeprefix(PREFIX) for path in hierarchy()[1].glob(f"{PREFIX}*"))


def _remove_empty(path: Path) -> None:
    """rmdir, patiently: a killed process leaves its group only when it is reaped."""
    deadline = time.monotonic() + 10
    while True:
        try:
            path.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
