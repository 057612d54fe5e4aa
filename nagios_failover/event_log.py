"""Lines of nagios.log, and which of them switched a program-wide flag. Pure: log_tail.py reads the files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from nagios_failover.errors import StateUnreadable
from nagios_failover.role import Flags, Override, Owner, parse_pairs
from nagios_failover.words import COMMAND_TAG, TURN_OFF, TURN_ON, Flag

MARK = b"] EXTERNAL COMMAND: "
"""What a line must hold to be looked at: most lines of a log are something else."""

_SWITCHES: dict[str, tuple[Flag, bool]] = {
    **{name: (flag, True) for flag, name in TURN_ON.items()},
    **{name: (flag, False) for flag, name in TURN_OFF.items()},
    "ENTER_ACTIVE_MODE": (Flag.NOTIFICATIONS, True),  # Nagios's own second names
    "ENTER_STANDBY_MODE": (Flag.NOTIFICATIONS, False),
}


@dataclass(frozen=True)
class Position:
    """How far nagios.log has been read: the file (`inode`, and `head`, a sum of its first line, since inodes are used again), the
    `offset` in bytes behind its last whole line, and that line's time. `switched` is when a flag was last switched, by anybody;
    `term` is this host's term when it was read."""

    inode: int
    head: str
    offset: int
    time: int
    switched: int = 0
    term: int = 0

    def text(self) -> str:
        where = f"inode={self.inode}\nhead={self.head}\noffset={self.offset}\n"
        return f"{where}time={self.time}\nswitched={self.switched}\nterm={self.term}\n"


def parse_position(text: str) -> Position:
    """Raises StateUnreadable. A lost position loses nothing: the log is read again, and its last words are the same."""
    pairs = parse_pairs(text, "the position in nagios.log")
    try:
        numbers = {name: int(pairs[name]) for name in ("inode", "offset", "time", "switched", "term")}
        return Position(head=pairs["head"], **numbers)
    except (KeyError, ValueError) as error:
        raise StateUnreadable(f"the position in nagios.log is garbled: {error}") from error


@dataclass(frozen=True)
class ExternalCommand:
    """`[time] EXTERNAL COMMAND: NAME;arguments`, logged when Nagios obeyed it. `time` is epoch seconds."""

    time: int
    name: str
    arguments: str

    @property
    def ours(self) -> bool:
        return self.arguments == COMMAND_TAG


@dataclass(frozen=True)
class Switch:
    """A flag was set, by us or by somebody else."""

    time: int
    flag: Flag
    on: bool
    ours: bool


def parse_external_command(line: str) -> ExternalCommand | None:
    """The command in a line of nagios.log, or None where the line is another one."""
    stamp, bracket, rest = line.partition("] EXTERNAL COMMAND: ")
    if not bracket or not stamp.startswith("[") or not stamp[1:].isascii() or not stamp[1:].isdigit():
        return None
    name, _, arguments = rest.rstrip("\r\n").partition(";")
    return ExternalCommand(int(stamp[1:]), name, arguments)


def switches(lines: Iterable[str]) -> list[Switch]:
    """The flag changes in these lines, in their order."""
    found = []
    for line in lines:
        command = parse_external_command(line)
        if command and command.name.upper() in _SWITCHES:
            flag, on = _SWITCHES[command.name.upper()]
            found.append(Switch(command.time, flag, on, command.ours))
    return found


def operators_word(before: Override | None, changes: Iterable[Switch], role: Flags, *, term: int, since: int) -> Override | None:
    """The operator's override after these changes; None when he wants what the role wants.

    `role` are the flags that the role alone asks for, `since` is when it began: what was said before that counted for another
    role. For each flag the last word in the log counts, whoever said it: one of ours that says otherwise than the operator was a
    run's, and ended his."""
    flags = dict(before.flags) if before and before.term == term else {}
    newest = before.since if before and before.term == term else 0
    for change in changes:
        if change.time <= since:
            continue
        if not change.ours and change.on is not role[change.flag]:
            flags[change.flag] = change.on
            newest = max(newest, change.time)
        elif change.ours and flags.get(change.flag) is change.on:
            continue
        else:
            flags.pop(change.flag, None)
    if not flags:
        return None
    if before and before.term == term and flags == before.flags:
        return replace(before, since=newest)
    return Override(Owner.OPERATOR, flags, term=term, since=newest)
