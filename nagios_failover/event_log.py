"""Lines of nagios.log: every form that Nagios 4 writes, and which of them switched a program-wide flag. Pure: log_tail.py and
sync_files.py read the files.

Nagios logs a notification before its command runs, and before the alert that it is about; what a plugin said comes last in a
line and may hold semicolons, names may not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from nagios_failover.errors import StateUnreadable
from nagios_failover.frozen import frozen
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


@frozen
class Position:
    """How far nagios.log has been read: the file (`inode`, and `head`, a sum of its first line, since inodes are used again), the
    `offset` in bytes behind its last whole line, and that line's time. `switched` is when a flag was last switched, by anybody;
    `term` is the term of the role that what comes behind it is said to."""

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


@frozen
class ExternalCommand:
    """`[time] EXTERNAL COMMAND: NAME;arguments`, logged when Nagios obeyed it. `time` is epoch seconds."""

    time: int
    name: str
    arguments: str

    @property
    def ours(self) -> bool:
        return self.arguments == COMMAND_TAG


@dataclass(frozen=True)
class Alert:
    """`HOST ALERT` and `SERVICE ALERT`: a state was entered, or confirmed. `service` "": the host itself. `state` is Nagios's
    number (host: 0 UP, 1 DOWN, 2 UNREACHABLE)."""

    time: int
    host: str
    service: str
    state: int
    hard: bool
    attempt: int
    output: str


@dataclass(frozen=True)
class StateLine:
    """`CURRENT` and `INITIAL HOST/SERVICE STATE`: what was so when the log was begun, no event."""

    time: int
    host: str
    service: str
    state: int
    hard: bool
    attempt: int
    output: str
    kind: str  # CURRENT or INITIAL


@dataclass(frozen=True)
class Notification:
    """One line for each contact and command. `kind` is NORMAL (a PROBLEM, or a RECOVERY where `state` is 0), ACKNOWLEDGEMENT,
    CUSTOM, FLAPPINGSTART, FLAPPINGSTOP, FLAPPINGDISABLED, DOWNTIMESTART, DOWNTIMEEND or DOWNTIMECANCELLED."""

    time: int
    contact: str
    host: str
    service: str
    kind: str
    state: int
    command: str
    output: str


@frozen
class Period:
    """`DOWNTIME ALERT` (`kind` DOWNTIME) and `FLAPPING ALERT` (FLAPPING): STARTED, STOPPED, CANCELLED or DISABLED."""

    time: int
    host: str
    service: str
    kind: str
    what: str


@dataclass(frozen=True)
class OtherLine:
    """A line with a time that is none of these: log headers, warnings, starts and stops, passive checks, handlers."""

    time: int
    text: str


LogLine = ExternalCommand | Alert | StateLine | Notification | Period | OtherLine

SERVICE_STATES = {"OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3}
HOST_STATES = {"UP": 0, "DOWN": 1, "UNREACHABLE": 2}
_FORM = re.compile(
    r"(?:(CURRENT|INITIAL) )?(HOST|SERVICE) (ALERT|STATE|NOTIFICATION|DOWNTIME ALERT|FLAPPING ALERT): (.*)", re.DOTALL
)
DIGITS = 12
_NOTIFIED = re.compile(r"(?:([A-Z]+) \()?([A-Z]+)\)?")


def is_number(text: str) -> bool:
    """A whole number that a file of Nagios's may hold: digits, and not so many that they are none of its."""
    return len(text) <= DIGITS and text.isascii() and text.isdigit()


def parse_line(line: str) -> LogLine | None:
    """What a line of nagios.log says; None for one that has no time (it is torn, or no line of Nagios's)."""
    stamp, bracket, text = line.rstrip("\r\n").partition("] ")
    if not bracket or not stamp.startswith("[") or not is_number(stamp[1:]):
        return None
    time = int(stamp[1:])
    if text.startswith("EXTERNAL COMMAND: "):
        return parse_external_command(line)
    form = _FORM.fullmatch(text)
    if form is None:
        return OtherLine(time, text)
    known, subject, kind, rest = form.groups()
    states = SERVICE_STATES if subject == "SERVICE" else HOST_STATES
    try:
        if kind == "NOTIFICATION":
            return _notification(time, rest, states)
        names, rest = _names(rest, states)
        if kind in ("ALERT", "STATE"):
            state, hardness, attempt, output = rest.split(";", 3)
            parts = (time, *names, states[state], {"HARD": True, "SOFT": False}[hardness], int(attempt), output)
            return StateLine(*parts, known or "CURRENT") if kind == "STATE" else Alert(*parts)
        return Period(time, *names, kind.partition(" ")[0], rest.partition(";")[0])
    except (ValueError, KeyError):
        return OtherLine(time, text)


def _names(rest: str, states: dict[str, int]) -> tuple[tuple[str, str], str]:
    host, _, rest = rest.partition(";")
    if states is HOST_STATES:
        return (host, ""), rest
    service, _, rest = rest.partition(";")
    return (host, service), rest


def _notification(time: int, rest: str, states: dict[str, int]) -> Notification:
    contact, _, rest = rest.partition(";")
    names, rest = _names(rest, states)
    said, command, output = rest.split(";", 2)
    form = _NOTIFIED.fullmatch(said)
    if form is None:
        raise ValueError(said)
    return Notification(time, contact, *names, form[1] or "NORMAL", states[form[2]], command, output)


@frozen
class Switch:
    """A flag was set, by us or by somebody else."""

    time: int
    flag: Flag
    on: bool
    ours: bool


def parse_external_command(line: str) -> ExternalCommand | None:
    """The command in a line of nagios.log, or None where the line is another one."""
    stamp, bracket, rest = line.partition("] EXTERNAL COMMAND: ")
    if not bracket or not stamp.startswith("[") or not is_number(stamp[1:]):
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

    `role` are the flags that the role alone asks for, `since` is when it began (0: all of the changes came after that): what was
    said before counted for another role. For each flag the last word in the log counts, whoever said it: one of ours that says
    otherwise than the operator was a run's, and ended his."""
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
