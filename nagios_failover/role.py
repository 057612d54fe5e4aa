"""The role, the overrides and the flags that follow from them. Pure: state_files.py reads and writes them.

All our small state files have one format, which POSIX sh reads too: a `key=value` line each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from nagios_failover.errors import StateUnreadable
from nagios_failover.frozen import frozen
from nagios_failover.words import Flag, Mode, Role

Flags = Mapping[Flag, bool]


@frozen
class RoleRecord:
    """STATE/role: the one truth. `since` is epoch seconds; `run` is the run that wrote it, "" for none. `handover` names the
    host that a master offers the role to (failback = automatic), "" for none."""

    role: Role
    master: str
    term: int
    run: str
    since: int
    handover: str = ""

    @property
    def active(self) -> bool:
        """Does this host monitor by right?"""
        return self.role is Role.MASTER

    def text(self) -> str:
        lines = f"role={self.role}\nmaster={self.master}\nterm={self.term}\nrun={self.run or '-'}\nsince={self.since}\n"
        return lines + (f"handover={self.handover}\n" if self.handover else "")


class Owner(StrEnum):
    """Who set an override; the value is the file's ending (STATE/override.OWNER)."""

    OPERATOR = "operator"
    ISOLATED = "isolated"
    LEASE = "lease"
    FENCE = "fence"


@frozen
class Override:
    """Flags that are kept otherwise than the role says, and who wants it so. `writes_held`: an isolation has made the database
    read-only, too."""

    owner: Owner
    flags: Flags
    term: int
    since: int
    writes_held: bool = False

    def text(self) -> str:
        lines = [f"{flag}={'on' if on else 'off'}" for flag, on in self.flags.items()]
        held = ["writes=held"] if self.writes_held else []
        return "\n".join([*lines, f"term={self.term}", f"since={self.since}", *held, ""])


def parse_pairs(text: str, what: str) -> dict[str, str]:
    """The `key=value` lines of a state file. StateUnreadable when a line is anything else, or the last is cut off."""
    if not text.endswith("\n"):
        raise StateUnreadable(f"{what} is empty or cut off")
    if "\N{REPLACEMENT CHARACTER}" in text:
        raise StateUnreadable(f"{what} is garbled: it is not text")
    pairs: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if not equals or not key or key in pairs:
            raise StateUnreadable(f"{what} is garbled: {line[:80]!r}")
        pairs[key] = value
    return pairs


def parse_role(text: str, what: str = "the role file") -> RoleRecord:
    pairs = parse_pairs(text, what)
    try:
        run = pairs["run"]
        record = RoleRecord(
            role=Role(pairs["role"]),
            master=pairs["master"],
            term=int(pairs["term"]),
            run="" if run == "-" else run,
            since=int(pairs["since"]),
            handover=pairs.get("handover", ""),
        )
    except (KeyError, ValueError) as error:
        raise StateUnreadable(f"{what} is garbled: {error}") from error
    if not record.master or record.term < 1:
        raise StateUnreadable(f"{what} is garbled: master={record.master!r} term={record.term}")
    return record


def parse_override(owner: Owner, text: str) -> Override:
    what = f"the override file of {owner}"
    pairs = parse_pairs(text, what)
    words = {"on": True, "off": False}
    try:
        flags = {flag: words[pairs[flag]] for flag in Flag if flag in pairs}
        return Override(owner, flags, int(pairs["term"]), int(pairs["since"]), pairs.get("writes") == "held")
    except (KeyError, ValueError) as error:
        raise StateUnreadable(f"{what} is garbled: {error}") from error


def role_flags(mode: Mode, *, active: bool) -> dict[Flag, bool]:
    """The flags of a master, or of a standby in this mode."""
    checks = active or mode is Mode.REDUNDANCY
    return {Flag.NOTIFICATIONS: active, Flag.SERVICE_CHECKS: checks, Flag.HOST_CHECKS: checks}


def lapsed(override: Override, record: RoleRecord) -> bool:
    """Each override counts in the term it was given in and lapses with the next role change (a standby muted by hand must not
    stay mute once it is the master); a fence was written by the host with the higher term and holds until this host's own term
    is above it."""
    if override.owner is Owner.FENCE:
        return override.term < record.term
    return override.term != record.term


def wanted_flags(record: RoleRecord, mode: Mode, overrides: Iterable[Override]) -> dict[Flag, bool] | None:
    """What Nagios's flags should be. None while a run is on its way: then the flags are the run's.

    The operator's word goes before the role's, isolation and a lost lease before his, and a fence before everything."""
    if record.role not in (Role.MASTER, Role.STANDBY):
        return None
    flags = role_flags(mode, active=record.active)
    in_force = {override.owner: override for override in overrides if not lapsed(override, record)}
    for owner in (Owner.OPERATOR, Owner.ISOLATED, Owner.LEASE, Owner.FENCE):
        if owner in in_force:
            flags.update(in_force[owner].flags)
    return flags


def differing(wanted: Flags, actual: Flags) -> dict[Flag, bool]:
    """The flags to set, with the value wanted."""
    return {flag: on for flag, on in wanted.items() if actual.get(flag) is not on}


def describe_flags(flags: Flags) -> str:
    """`notifications off, service checks on`"""
    return ", ".join(f"{flag.replace('_', ' ')} {'on' if on else 'off'}" for flag, on in flags.items())
