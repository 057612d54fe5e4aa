"""Both hosts' event logs as this host has them: its own with its archives, and its copy of the other's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nagios_failover.copies import Copies, offset_of, whole_lines
from nagios_failover.errors import CouldNotLook
from nagios_failover.gap import Key
from nagios_failover.log_tail import archives_of
from nagios_failover.nagios_cfg import NagiosCfg
from nagios_failover.notification_rules import AllRules, read_rules


def own_lines(cfg: NagiosCfg, since: int) -> Iterator[str]:
    """This host's log from `since` (epoch seconds) on, through its archives, the oldest first. Raises CouldNotLook."""
    try:
        archives = [path for path in archives_of(cfg) if path.stat().st_mtime >= since]
        for path in [*archives, cfg.log_file]:
            yield from _lines(path, since)
    except OSError as error:
        raise CouldNotLook(
            f"{error.filename or cfg.log_file} cannot be read: {error.strerror}",
            hint="log_file in nagios.cfg names it; run as the Nagios user, or as root",
        ) from error


def copied_lines(copies: Copies, since: int) -> Iterator[str]:
    """The copy of the other host's log from `since` on; nothing where there is none."""
    return copies.log_lines(since, copies.record())


def _lines(path: Path, since: int) -> Iterator[str]:
    with path.open("rb") as file:
        file.seek(offset_of(path, since))
        yield from whole_lines(file)


def rules_of(cfg: NagiosCfg, wanted: set[Key]) -> AllRules:
    """What objects.cache says of these objects; nothing is known where it cannot be read."""
    try:
        with cfg.object_cache_file.open(encoding="utf-8", errors="surrogateescape") as file:
            return read_rules(file, wanted, interval_length=cfg.number("interval_length", 60))
    except OSError:
        return AllRules(known=False)
