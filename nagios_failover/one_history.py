"""The event logs of both hosts as one history: each line once, with the host whose Nagios wrote it. Pure.

A merged log (and its copy on the other host) holds the other host's lines too, so a line that both logs have counts once. Whose
it was is told by who was the master then; that is told by the ENABLE_NOTIFICATIONS that a role change sends, with our tag.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nagios_failover.event_log import Alert, ExternalCommand, LogLine, Notification, OtherLine, Period, StateLine, parse_line
from nagios_failover.frozen import frozen
from nagios_failover.words import TURN_OFF, TURN_ON, Flag

NEAR_SECONDS = 5.0
"""A command of ours that switches on, and is so near to a run by which this host took the role, is that run's; likewise one that
switches off and is near to a run by which it gave the role away."""

Times = Sequence[tuple[float, float]]
"""Begin and end of runs."""


@frozen
class Logged:
    """One line and the host whose Nagios wrote it."""

    host: str
    line: Alert | StateLine | Notification | Period | ExternalCommand

    @property
    def time(self) -> int:
        return self.line.time


@frozen
class Reigns:
    """Who was the master when: `changes` are (time, host), in order; before the first of them `first` was it."""

    first: str
    changes: Sequence[tuple[int, str]] = ()

    def at(self, moment: float) -> str:
        master = self.first
        for time, host in self.changes:
            if time > moment:
                break
            master = host
        return master


@dataclass
class History:
    """`lines` in order of time, from `since` on. `until` is the last line's time in each host's log; missing: that log says
    nothing."""

    this: str
    peer: str
    since: int = 0
    lines: list[Logged] = field(default_factory=list)
    reigns: Reigns = field(default_factory=lambda: Reigns(""))
    until: dict[str, int] = field(default_factory=dict)

    @property
    def hosts(self) -> tuple[str, str]:
        return self.this, self.peer


def one_history(
    this: str,
    peer: str,
    own: Iterable[str],
    copied: Iterable[str],
    *,
    since: int,
    own_runs: Times,
    master: str,
    own_ends: Times = (),
) -> History:
    """`own` are this host's log lines, `copied` those of the other's log as far as they were copied, each in the log's order;
    what is older than `since` is left out. `own_runs` are the runs by which this host took the role, `own_ends` those by which it
    gave it away; `master` is who is the master now."""
    mine, theirs = _Side(own, since), _Side(copied, since)
    history = History(this, peer, since, until={host: side.until for host, side in ((this, mine), (peer, theirs)) if side.until})
    both = Counter(mine.texts) & Counter(theirs.texts)
    found: list[tuple[int, str, LogLine]] = []  # time, host ("" while it may be either's), line
    left = Counter(both)
    for text, line in zip(theirs.texts, theirs.lines, strict=True):
        shared = left[text] > 0
        left[text] -= shared
        found.append((line.time, "" if shared else peer, line))
    left = Counter(both)
    for text, line in zip(mine.texts, mine.lines, strict=True):
        if left[text] > 0:
            left[text] -= 1
        else:
            found.append((line.time, this, line))
    found.sort(key=lambda one: one[0])
    our_runs = (own_runs, own_ends)
    history.reigns = _reigns(found, history, our_runs, master)
    for time, host, line in found:
        if not isinstance(line, OtherLine):
            history.lines.append(Logged(host or _writer(line, time, history, our_runs), line))
    return history


class _Side:
    """One log: its lines of interest, and the last time that any line has. Where time steps back, another file begins that may
    hold again what an earlier one had (a log that was rotated a moment ago, the left-over of a merge): that counts once."""

    def __init__(self, raw: Iterable[str], since: int) -> None:
        self.texts: list[str] = []
        self.lines: list[LogLine] = []
        self.until = 0
        earlier, here, last = Counter[str](), Counter[str](), 0
        for raw_text in raw:
            line = parse_line(raw_text)
            if line is None or line.time < since:
                continue
            self.until = max(self.until, line.time)
            if line.time < last:
                earlier, here = earlier | here, Counter()
            last = line.time
            if isinstance(line, OtherLine):
                continue
            text = raw_text.rstrip("\r\n")
            here[text] += 1
            if here[text] > earlier[text]:
                self.texts.append(text)
                self.lines.append(line)


def _reigns(found: Sequence[tuple[int, str, LogLine]], history: History, own: tuple[Times, Times], master: str) -> Reigns:
    """Of the hosts that our own commands switched on and not off again, the newest is the master; the last one to be switched off
    is it until another is switched on. A role change sends all flags, notifications first; where an operator keeps these off,
    the checks tell."""
    on = {TURN_ON[Flag.NOTIFICATIONS], TURN_ON[Flag.SERVICE_CHECKS]}
    switches = [
        (time, host or _runs_host(line, history, own), line.name in on)
        for time, host, line in found
        if isinstance(line, ExternalCommand) and line.ours and line.name in {*on, TURN_OFF[Flag.NOTIFICATIONS]}
    ]
    first_on = next((host for _, host, is_on in switches if is_on), None)
    first = master if first_on is None else history.peer if first_on == history.this else history.this
    active, silent = [first], set[str]()
    changes: list[tuple[int, str]] = []
    for time, host, is_on in switches:
        if is_on:
            silent.discard(host)
            active = [*(one for one in active if one not in {host, *silent}), host]
        elif host in active and len(active) > 1:
            active.remove(host)
        elif host in active:
            silent.add(host)  # it hands over
        if active[-1] != (changes[-1][1] if changes else first):
            changes.append((time, active[-1]))
    return Reigns(first, changes)


def _runs_host(command: ExternalCommand, history: History, own: tuple[Times, Times]) -> str:
    """Whose command of ours a line was that both logs have: this host's, where such a run of its was on its way."""
    takes, gives = own
    runs = gives if command.name in TURN_OFF.values() else takes
    near = any(begin - NEAR_SECONDS <= command.time <= end + NEAR_SECONDS for begin, end in runs)
    return history.this if near else history.peer


def _writer(line: LogLine, time: int, history: History, own: tuple[Times, Times]) -> str:
    if isinstance(line, ExternalCommand) and line.ours:
        return _runs_host(line, history, own)
    return history.reigns.at(time)
