"""Do the two hosts have the same objects? An incident cannot follow to a service that is not there.

Each pull looks whether either host's objects.cache is another one (Nagios writes it when it starts); only then the master's is
copied, what is new in it, and compared. STATE/sync/HOST/drift keeps what was found.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from nagios_failover import object_drift, rsync, ssh
from nagios_failover.config import Config
from nagios_failover.copies import Copies, chunks
from nagios_failover.errors import CouldNotLook, FailoverError
from nagios_failover.frozen import frozen
from nagios_failover.nagios_cfg import NagiosCfg
from nagios_failover.nagios_files import read_nagios_cfg
from nagios_failover.state_files import write_atomically


@frozen
class Drift:
    """`count` objects differ; the first of them are `named`, a sentence each. `problem`: they could not be compared. `versions` are
    the files that were compared, the other host's and this one's."""

    count: int = 0
    named: tuple[str, ...] = ()
    problem: str = ""
    hint: str = ""
    versions: tuple[str, str] = ("", "")

    def sentence(self) -> str:
        """ "" where nothing differs."""
        if self.problem:
            return f"objects not compared: {self.problem}"
        if not self.count:
            return ""
        more = self.count - 2
        named = "; ".join([*self.named[:2], *([f"and {more} more"] if more > 0 else [])])
        return f"{self.count} object{'s differ' if self.count != 1 else ' differs'}: {named}"


def known(copies: Copies) -> Drift:
    """What the last comparison found."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        found = json.loads(copies.drift_path.read_text(encoding="utf-8"))
        named, versions = tuple(map(str, found["named"])), (str(found["versions"][0]), str(found["versions"][1]))
        return Drift(int(found["count"]), named, str(found["problem"]), str(found["hint"]), versions)
    return Drift()


def renew(config: Config, copies: Copies, there: NagiosCfg, version_there: str, *, timeout: float) -> Drift:
    """Compare anew if either side has changed since the last time. That they cannot be compared is a finding, and tried again."""
    try:
        here = read_nagios_cfg(config.this.nagios_cfg).object_cache_file
        versions = (version_there, _version(here))
        last = known(copies)
        if last.versions == versions and not last.problem:
            return last
        if not version_there:
            hint = "Nagios writes it when it starts (object_cache_file); the maintenance account must be able to read it"
            raise CouldNotLook(f"{config.peer.name}'s {there.object_cache_file} is not there", hint=hint)
        deadline = time.monotonic() + timeout
        _fetch(config, copies, there.object_cache_file, timeout=timeout)
        drift = _compare(config, copies.objects, here, versions, deadline=deadline)
    except FailoverError as error:
        drift = Drift(problem=str(error), hint=error.hint)
    write_atomically(copies.drift_path, json.dumps(asdict(drift), indent=1) + "\n", 0o600)
    return drift


def _version(path: Path) -> str:
    try:
        found = path.stat()
    except OSError as error:
        raise CouldNotLook(f"{path}: {error.strerror}", hint="Nagios writes it when it starts (object_cache_file)") from error
    return f"{found.st_size} {found.st_mtime_ns}"


def _fetch(config: Config, copies: Copies, source: Path, *, timeout: float) -> None:
    transport = ssh.held_transport(config, config.peer, timeout=min(timeout, config.ssh.timeout))
    argv = rsync.one_file(transport, config.peer.address, source, copies.objects, timeout=timeout)
    output = rsync.run(argv, timeout=timeout)
    if not output.well:
        hint = f"can {config.ssh.user} read it there?"
        raise CouldNotLook(f"{config.peer.name}'s {source}: {rsync.explain(output)}", hint=hint)


def _compare(config: Config, there: Path, here: Path, versions: tuple[str, str], *, deadline: float) -> Drift:
    names, watch = (config.peer.name, config.this.name), config.nagios.watch_host
    sides = ((there, f"{names[0]}'s objects.cache"), (here, str(here)))
    objects = [object_drift.read_objects(_until(deadline, chunks(path)), watch_host=watch, what=what) for path, what in sides]
    found = object_drift.difference(*objects)
    worth = object_drift.worth_naming(found)
    named = worth[: object_drift.NAMED]
    attributes = [
        object_drift.attributes_of(_until(deadline, chunks(path)), set(named), watch_host=watch, what=what) if named else {}
        for path, what in sides
    ]
    said = object_drift.sentences(found, named, attributes[0], attributes[1], names=names)
    return Drift(len(worth), tuple(said), versions=versions)


def _until(deadline: float, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A comparison that takes longer than the pull may is given up: the copy is what counts."""
    for piece in pieces:
        if time.monotonic() > deadline:
            raise CouldNotLook("there was no time left in [sync] timeout", hint="a longer one, or less load on this host")
        yield piece
