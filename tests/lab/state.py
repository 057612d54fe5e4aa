"""What a lab keeps on disk, so that any later command finds it and the next `up` finds what a killed run left behind."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from tests.lab.cgroup import Cgroup
from tests.lab.machine import LabError

LABS: Final = Path("/var/lib/nagios-failover-lab")
HOSTS: Final = ("yasu", "nabira", "witness")
NAGIOS_HOSTS: Final = ("yasu", "nabira")
ADDRESSES: Final = {"yasu": "10.99.0.11", "nabira": "10.99.0.12", "witness": "10.99.0.13"}
PREFIX_LENGTH: Final = 24

Mode = Literal["failover", "redundancy"]
Failback = Literal["manual", "automatic"]
Profile = Literal["one-second", "default"]


@dataclass(frozen=True)
class Settings:
    """How a lab was brought up. `layer` is the installed suite, None while the checkout holds no package."""

    name: str
    suite: str = "bookworm"
    mode: Mode = "failover"
    failback: Failback = "manual"
    services: int = 36
    profile: Profile = "one-second"
    suite_on: tuple[str, ...] = NAGIOS_HOSTS
    root: str = ""
    layer: str | None = None

    def has_suite(self, host: str) -> bool:
        return self.layer is not None and host in self.suite_on


@dataclass(frozen=True)
class Links:
    """What is wrong with the network: `cuts` drop everything from the first host to the second; `slow` adds seconds."""

    cuts: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    slow: tuple[tuple[str, str, float], ...] = ()


class Store:
    """The directory of one lab."""

    def __init__(self, name: str) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,29}", name):
            raise LabError(f"'{name}' is no name for a lab: small letters, digits and hyphens, at most 30")
        self.name = name
        self.path = LABS / name

    def exists(self) -> bool:
        return (self.path / "lab.json").exists()

    def create(self, settings: Settings) -> None:
        for part in ("monitored", "checked", "mail", *(f"hosts/{host}" for host in HOSTS)):
            (self.path / part).mkdir(parents=True, exist_ok=True)
        self.save(settings)

    def save(self, settings: Settings) -> None:
        write_atomically(self.path / "lab.json", json.dumps(asdict(settings), indent=1))

    def settings(self) -> Settings:
        try:
            raw = json.loads((self.path / "lab.json").read_text())
        except FileNotFoundError:
            raise LabError(f"no lab '{self.name}' is up; start it with: python -m tests.lab up --name {self.name}") from None
        return Settings(**{**raw, "suite_on": tuple(raw["suite_on"])})

    def links(self) -> Links:
        try:
            raw = json.loads((self.path / "links.json").read_text())
        except FileNotFoundError:
            return Links()
        return Links(frozenset((a, b) for a, b in raw["cuts"]), tuple((a, b, float(delay)) for a, b, delay in raw["slow"]))

    @contextlib.contextmanager
    def changing_links(self) -> Iterator[list[Links]]:
        """Yield a one-element list holding the links; what it holds at the end is stored. One writer at a time."""
        with (self.path / "links.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            box = [self.links()]
            yield box
            text = json.dumps({"cuts": sorted(box[0].cuts), "slow": box[0].slow})
            write_atomically(self.path / "links.json", text)

    @contextlib.contextmanager
    def owned(self) -> Iterator[None]:
        """Only one `up` or `down` of a name at a time; the kernel forgets the owner when it dies."""
        LABS.mkdir(parents=True, exist_ok=True)
        path = LABS / f"{self.name}.lock"
        with path.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held = False
            else:
                held = True
            if not held or not _is_file(lock.fileno(), path):
                raise LabError(f"another process is bringing the lab '{self.name}' up or down; try again when it is done")
            try:
                yield
            finally:
                path.unlink()

    def clean(self) -> bool:
        """Remove everything that a lab of this name ever started or wrote; True if there was anything.

        Mounts, loop devices, veth pairs and namespaces live only as long as the processes that are killed here.
        """
        group = Cgroup(self.name)
        there = self.path.exists() or group.path.exists()
        group.remove()
        wait_until_detached([self.path / "hosts" / host / "disk.img" for host in HOSTS])
        shutil.rmtree(self.path, ignore_errors=True)
        if self.path.exists():  # a last child of a killed `up` was still writing
            shutil.rmtree(self.path)
        return there


def _is_file(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one at that path (its last owner removes it)."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def wait_until_detached(images: list[Path]) -> None:
    """Wait for the kernel to let go of these disks: a second mount of a disk that is still mounted would ruin it."""
    import time

    deadline = time.monotonic() + 20
    wanted = {str(image) for image in images}
    while True:
        attached = {image for image in loop_files() if image.removesuffix(" (deleted)") in wanted}
        if not attached:
            return
        if time.monotonic() > deadline:
            raise LabError(f"still attached to a loop device after 20 s: {', '.join(sorted(attached))}")
        time.sleep(0.02)


def loop_files() -> list[str]:
    """Files behind the machine's loop devices."""
    found = []
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            found.append(backing.read_text().strip())
    return found


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """A reader sees the old or the new text, never a part."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text)
    aside.chmod(mode)
    aside.rename(path)


__all__ = ["ADDRESSES", "HOSTS", "LABS", "NAGIOS_HOSTS", "Links", "Settings", "Store", "replace"]
