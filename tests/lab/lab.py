"""A lab: the pair yasu and nabira, their witness, the network between them and what is wrong with it."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from tests.lab import nagios_site, network, suite, target
from tests.lab.debian_root import Say, ensure_root
from tests.lab.files import inside_directory
from tests.lab.host import DISK_BYTES, Host
from tests.lab.machine import LabError, command, require_machine
from tests.lab.state import HOSTS, NAGIOS_HOSTS, Failback, Mode, Profile, Settings, Store, write_atomically
from tests.lab.suite_layer import ensure_layer

T = TypeVar("T")
PATIENCE = 3 if "PYTEST_XDIST_WORKER" in os.environ else 1
"""Several labs on one machine wait longer for everything; one that is alone is held to what its tests say."""

#: a state by any of its names -> what a plugin returns
STATES: Final = {
    "OK": 0, "UP": 0, "WARNING": 1, "CRITICAL": 2, "DOWN": 2, "UNKNOWN": 3, "UNREACHABLE": 2,
    "0": 0, "1": 1, "2": 2, "3": 3,
}  # fmt: skip


@dataclass(frozen=True)
class Mail:
    """One mail that reached the witness. `arrived` is its epoch, `sender` and `to` are the envelope's."""

    arrived: float
    sender: str
    to: tuple[str, ...]
    subject: str
    body: str


class Lab:
    """One lab by its name; a context manager that takes it down at the end."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.name = store.name
        self.hosts = {name: Host(store, name) for name in HOSTS}
        self.yasu, self.nabira, self.witness = (self.hosts[name] for name in HOSTS)

    # ---- life ----

    @classmethod
    def up(
        cls,
        name: str = "default",
        suite: str = "bookworm",
        mode: Mode = "failover",
        failback: Failback = "manual",
        services: int = 36,
        profile: Profile = "one-second",
        suite_on: Sequence[str] = NAGIOS_HOSTS,
        say: Say = lambda sentence: None,
    ) -> Self:
        """Bring up a healthy configured pair; what was left of a lab of this name is removed first."""
        require_machine()
        store = Store(name)
        settings = Settings(name, suite, mode, failback, services, profile, tuple(suite_on))
        with store.owned():
            if store.clean():
                say(f"removed what was there of the lab '{name}'")
            root = ensure_root(suite, say)
            layer = ensure_layer(root, say) if suite_on else None
            lab = cls(store)
            try:
                lab._bring_up(replace(settings, root=str(root), layer=str(layer) if layer else None), say)
            except BaseException:
                store.clean()
                raise
        return lab

    @classmethod
    def attach(cls, name: str = "default") -> Self:
        """The lab of this name that is up already."""
        require_machine()
        store = Store(name)
        store.settings()
        return cls(store)

    def down(self) -> None:
        """Take the lab down and remove everything of it."""
        with self._store.owned():
            self._store.clean()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.down()

    @property
    def settings(self) -> Settings:
        return self._store.settings()

    def host(self, name: str) -> Host:
        try:
            return self.hosts[name]
        except KeyError:
            raise LabError(f"no host is called '{name}': there are {', '.join(HOSTS)}") from None

    def shared(self, part: str) -> Path:
        """A directory that the hosts share with the outside (below /srv inside)."""
        return self._store.path / part

    def has_suite(self, host: str) -> bool:
        """Whether the suite is installed on this host."""
        return self.settings.has_suite(host)

    # ---- faults ----

    def cut(self, a: str | Host, b: str | Host = network.EVERYTHING, *, one_way: bool = False) -> None:
        """Drop silently everything between two hosts, or only what goes from a to b; `all` is every other host."""
        pairs = network.pairs(*self._ends(a, b), one_way)
        with self._store.changing_links() as box:
            box[0] = replace(box[0], cuts=box[0].cuts | pairs)
        self._apply_links()

    def mend(self, a: str | Host, b: str | Host = network.EVERYTHING) -> None:
        """Undo cuts and slowness between two hosts, in both directions."""
        pairs = network.pairs(*self._ends(a, b), one_way=False)
        with self._store.changing_links() as box:
            slow = tuple(entry for entry in box[0].slow if (entry[0], entry[1]) not in pairs)
            box[0] = replace(box[0], cuts=box[0].cuts - pairs, slow=slow)
        self._apply_links()

    def slow(self, a: str | Host, b: str | Host, delay: float) -> None:
        """New ssh and SQL connections from a to b: what is sent arrives `delay` seconds later, both ways; 0 ends it."""
        pair = self._ends(a, b)
        if network.EVERYTHING in pair:
            raise LabError("slow takes two hosts by name")
        with self._store.changing_links() as box:
            slow = tuple(entry for entry in box[0].slow if entry[:2] != pair)
            box[0] = replace(box[0], slow=(*slow, (*pair, delay)) if delay > 0 else slow)
        self._apply_links()

    def _ends(self, a: str | Host, b: str | Host) -> tuple[str, str]:
        first, second = (end.name if isinstance(end, Host) else end for end in (a, b))
        self.host(first)
        if second != network.EVERYTHING:
            self.host(second)
        if first == second:
            raise LabError(f"a link needs two different hosts, and both are {first}")
        return first, second

    def _apply_links(self) -> None:
        links = self._store.links()
        for host in self.hosts.values():
            first = host._init_pid()
            if first is not None:
                network.apply_filter(host.name, first, links)
                network.start_relays(self._store, host.name, first)

    # ---- the monitored world ----

    def set_state(self, host: str, service: str, state: str | int, output: str | None = None) -> None:
        """What the check of a monitored service (or `HOST`) finds from now on: OK, WARNING, CRITICAL, UNKNOWN, UP, DOWN."""
        settings = self.settings
        known = {*nagios_site.services_of(settings.services), *((name, nagios_site.HOST_CHECK) for name in nagios_site.MONITORED)}
        if (host, service) not in known:
            raise LabError(f"no monitored service is called {host}/{service}: try {nagios_site.MONITORED[0]} HTTP")
        try:
            value = STATES[str(state).upper()]
        except KeyError:
            raise LabError(f"'{state}' is no state: OK, WARNING, CRITICAL, UNKNOWN; UP or DOWN for HOST") from None
        directory = self._store.path / "monitored" / host
        directory.mkdir(exist_ok=True)
        write_atomically(directory / service, f"{value} {output or ''}".rstrip() + "\n")

    def mails(self, subject_contains: str | None = None) -> list[Mail]:
        """Mails that arrived at the witness, oldest first. A line without its end is one that the sink is still writing."""
        try:
            lines = (self._store.path / "mail" / "mail.jsonl").read_text().split("\n")
        except FileNotFoundError:
            return []
        raws = [json.loads(line) for line in lines[:-1]]
        mails = [Mail(raw["arrived"], raw["sender"], tuple(raw["to"]), raw["subject"], raw["body"]) for raw in raws]
        return [mail for mail in mails if subject_contains is None or subject_contains in mail.subject]

    def wait(
        self, predicate: Callable[[], T], timeout: float, what: str, *, poll: float = 0.1, shown: Callable[[], str] = str
    ) -> T:
        """Poll until the predicate is true and return what it returned; AssertionError naming `what` otherwise, with what `shown`
        then says.

        `timeout` is for a lab that is alone on its machine; see PATIENCE. What is promised in seconds the benchmarks measure."""
        timeout *= PATIENCE
        deadline = time.monotonic() + timeout
        while True:
            asked = time.monotonic()
            value = predicate()
            if value:
                return value
            answered = time.monotonic()
            if answered > deadline:
                raise AssertionError(f"not within {timeout:g} s: {what} (last seen: {value!r})\n{shown()}".rstrip())
            time.sleep(max(poll, answered - asked))  # what is costly to ask must not keep the hosts from what is waited for

    # ---- bring-up ----

    def _bring_up(self, settings: Settings, say: Say) -> None:
        self._store.create(settings)
        self._lay_out(Path(settings.root))
        network.start_bridge(self._store)
        self._each(lambda host: host.on(), HOSTS)
        say("hosts are on")
        keys = dict(zip(HOSTS, self._each(target.make_keys, HOSTS), strict=True))
        self._each(lambda host: host.lay_down(target.files_of(host.name, settings, keys)), HOSTS)
        self._each(lambda host: self._start(host, [name for name in target.services_of(host.name) if name != "nagios"]), HOSTS)
        self._each(target.wait_for_mariadb, NAGIOS_HOSTS)
        say("sshd, MariaDB and the mail sink answer")
        suite.prepare(self)
        self._each(lambda host: self._start(host, ["nagios"]), NAGIOS_HOSTS)
        pair = (self.yasu, self.nabira)
        self.wait(lambda: all(host.nagios_flags() for host in pair), 30, "Nagios writes status.dat on both hosts")
        say("Nagios runs on both hosts")
        suite.configure(self)

    def _lay_out(self, root: Path) -> None:
        """Disks, the programs for the inside, and directories that users of the hosts write to."""
        shutil.copytree(inside_directory(), self._store.path / "inside", ignore=shutil.ignore_patterns("__pycache__"))
        for program in (self._store.path / "inside").iterdir():
            program.chmod(0o755)
        for part in ("inside", "monitored"):
            (self._store.path / part).chmod(0o755)
        for part in ("checked", "mail"):
            (self._store.path / part).chmod(0o777)
        first, *others = [self._store.path / "hosts" / host / "disk.img" for host in HOSTS]
        with first.open("wb") as image:
            image.truncate(DISK_BYTES)
        command(["mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard", str(first)])
        for other in others:
            command(["cp", "--sparse=always", str(first), str(other)])

    def _each(self, act: Callable[[Host], T], names: Sequence[str]) -> list[T]:
        """Do something on several hosts side by side; the first failure is raised."""
        with ThreadPoolExecutor(len(names)) as pool:
            return list(pool.map(act, [self.hosts[name] for name in names]))

    def _start(self, host: Host, services: Sequence[str]) -> None:
        starts = "; ".join(f"/lab/service {name} start & {name}=$!" for name in services)
        waits = " && ".join(f"wait ${name}" for name in services)
        host.run(f"{starts}; {waits}", timeout=60)
