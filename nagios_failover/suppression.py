"""What keeps Nagios from notifying, and when it did, as the event logs tell it: downtimes, acknowledgements, flapping, a host that
is not UP, notifications switched off. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from nagios_failover.event_log import Alert, ExternalCommand, Notification, Period, StateLine
from nagios_failover.gap import Fields, Key
from nagios_failover.one_history import History, Logged

FOREVER = 1 << 60
SETTLING_SECONDS = 3
"""A host's own check follows its service's by so much: what is seen a moment later was so already."""


class Why(StrEnum):
    OFF = "notifications were switched off"
    OBJECT_OFF = "its notifications are switched off"
    DOWNTIME = "it was in downtime"
    FLAPPING = "it was flapping"
    ACKNOWLEDGED = "it was acknowledged"
    HOST_DOWN = "its host was not UP"


OF_A_RECOVERY = (Why.OFF, Why.OBJECT_OFF, Why.DOWNTIME, Why.FLAPPING)
"""What keeps a RECOVERY from being sent; a PROBLEM is kept by all."""

_OBJECT_SWITCHES = {
    **{f"{verb}_SVC_NOTIFICATIONS": 2 for verb in ("ENABLE", "DISABLE")},
    **{f"{verb}_HOST_NOTIFICATIONS": 1 for verb in ("ENABLE", "DISABLE")},
}
_MANY = tuple(
    f"{verb}_{what}"
    for verb in ("ENABLE", "DISABLE")
    for what in ("HOSTGROUP_", "SERVICEGROUP_", "CONTACT_", "CONTACTGROUP_", "HOST_SVC_NOTIF", "ALL_NOTIF", "HOST_AND_CHILD_NOTIF")
)
"""Commands that switch the notifications of many: for whom, the log does not tell."""


@dataclass
class _Spans:
    """When something was so: closed spans, and the begin of one that is open."""

    closed: list[tuple[int, int]] = field(default_factory=list)
    begun: int | None = None

    def begin(self, time: int) -> None:
        if self.begun is None:
            self.begun = time

    def end(self, time: int) -> None:
        if self.begun is not None:
            self.closed.append((self.begun, time))
            self.begun = None

    def after(self, begin: int, settling: int) -> int:
        """The first moment from `begin` on that is in no span; FOREVER for none."""
        for first, last in [*self.closed, *([(self.begun, FOREVER)] if self.begun is not None else [])]:
            if first - settling <= begin < last:
                begin = last
        return begin


class Suppression:
    """`status` is today's status.dat: what it shows and no line explains was so before the history began."""

    def __init__(self, history: History, status: Mapping[Key, Fields]) -> None:
        self.history = history
        self.spans: dict[tuple[Why, Key], _Spans] = {}
        self.many: list[tuple[int, str]] = []
        self._depth: dict[tuple[str, Key], int] = {}  # for each host: what it inherits it logs as STARTED once more
        self._sticky: dict[Key, bool] = {}
        self._state: dict[Key, int] = {}
        self._before(history.lines, status)
        for logged in history.lines:
            self._take(logged)

    # --- questions ---

    def why_not(self, key: Key, time: int, whys: Iterable[Why] = OF_A_RECOVERY) -> str:
        """Why nothing was to be sent about this object then; "" where nothing kept it."""
        return next((why for why in whys if self._after(why, key, time) > time), "")

    def due_since(self, key: Key, begin: int, end: int) -> int | None:
        """The first moment within these at which nothing kept a PROBLEM from being sent; None for none."""
        moment = begin
        while moment < end:
            later = max(self._after(why, key, moment) for why in Why)
            if later <= moment:
                return moment
            moment = later
        return None

    def reopened(self, key: Key, begin: int, end: int) -> bool:
        """Did flapping end in between? Nagios then notifies anew of what is not well."""
        return any(begin <= last <= end for _, last in self._of(Why.FLAPPING, key).closed)

    def unsure(self, time: int) -> str:
        """A command before that may have switched its notifications, as far as the log tells; "" for none."""
        found = next((name for when, name in reversed(self.many) if when <= time), "")
        return f"{found} was given before" if found else ""

    def _after(self, why: Why, key: Key, time: int) -> int:
        if why is Why.OFF:
            return self._of(why, (self.history.reigns.at(time), "")).after(time, 0)
        places = {(key[0], ""), key} if why is Why.DOWNTIME else {(key[0], "")} if why is Why.HOST_DOWN else {key}
        if why is Why.HOST_DOWN and not key[1]:
            return time
        settling = SETTLING_SECONDS if why in (Why.HOST_DOWN, Why.ACKNOWLEDGED) else 0
        return max(self._of(why, place).after(time, settling) for place in places)

    def _of(self, why: Why, key: Key) -> _Spans:
        return self.spans.setdefault((why, key), _Spans())

    # --- what was so before the history began ---

    def _before(self, lines: Iterable[Logged], status: Mapping[Key, Fields]) -> None:
        """A span whose end is told and not its begin, or that lasts today and never began, was open from the first."""
        first = self.history.reigns.first
        for host in self.history.hosts:
            if host != first:
                self._of(Why.OFF, (host, "")).begin(0)
        told: set[tuple[str, Key]] = set()
        for logged in lines:
            line = logged.line
            if isinstance(line, Period):
                key = (line.host, line.service)
                if (line.kind, key) not in told and line.what != "STARTED":
                    self._of(Why.DOWNTIME if line.kind == "DOWNTIME" else Why.FLAPPING, key).begin(0)
                    self._depth[logged.host, key] = 1
                told.add((line.kind, key))
            elif isinstance(line, ExternalCommand) and line.name.startswith("ACKNOWLEDGE_"):
                told.add(("ACKNOWLEDGED", _named(line, 2 if "_SVC_" in line.name else 1)))
            elif isinstance(line, Alert) and line.hard and not line.state:
                told.add(("ACKNOWLEDGED", (line.host, line.service)))
        for key, fields in status.items():
            if fields.get("notifications_enabled") == "0":
                self._of(Why.OBJECT_OFF, key).begin(0)
            if int(fields.get("scheduled_downtime_depth") or 0) and ("DOWNTIME", key) not in told:
                self._of(Why.DOWNTIME, key).begin(0)
            if fields.get("is_flapping") == "1" and ("FLAPPING", key) not in told:
                self._of(Why.FLAPPING, key).begin(0)
            if fields.get("problem_has_been_acknowledged") == "1" and ("ACKNOWLEDGED", key) not in told:
                self._of(Why.ACKNOWLEDGED, key).begin(0)

    # --- the lines, one after the other ---

    def _take(self, logged: Logged) -> None:
        line = logged.line
        if isinstance(line, ExternalCommand):
            self._command(line, logged.host)
        elif isinstance(line, Period):
            self._period(line, (line.host, line.service), logged.host)
        elif isinstance(line, (Alert, StateLine, Notification)) and logged.host == self.history.reigns.at(line.time):
            self._state_of(line, (line.host, line.service))

    def _period(self, line: Period, key: Key, by: str) -> None:
        spans = self._of(Why.DOWNTIME if line.kind == "DOWNTIME" else Why.FLAPPING, key)
        if line.kind == "FLAPPING":
            spans.begin(line.time) if line.what == "STARTED" else spans.end(line.time)
            return
        self._depth[by, key] = max(self._depth.get((by, key), 0) + (1 if line.what == "STARTED" else -1), 0)
        if line.what == "STARTED":
            spans.begin(line.time)
        elif not self._depth[by, key]:
            spans.end(line.time)

    def _command(self, line: ExternalCommand, host: str) -> None:
        if line.name in ("ENABLE_NOTIFICATIONS", "ENTER_ACTIVE_MODE"):
            self._of(Why.OFF, (host, "")).end(line.time)
        elif line.name in ("DISABLE_NOTIFICATIONS", "ENTER_STANDBY_MODE"):
            self._of(Why.OFF, (host, "")).begin(line.time)
        elif line.name in _OBJECT_SWITCHES:
            spans = self._of(Why.OBJECT_OFF, _named(line, _OBJECT_SWITCHES[line.name]))
            spans.end(line.time) if line.name.startswith("ENABLE") else spans.begin(line.time)
        elif line.name.startswith(_MANY):
            self.many.append((line.time, line.name))
        elif line.name in ("ACKNOWLEDGE_SVC_PROBLEM", "ACKNOWLEDGE_HOST_PROBLEM"):
            count = 2 if "_SVC_" in line.name else 1
            key = _named(line, count)
            if self._state.get(key, 1):
                self._of(Why.ACKNOWLEDGED, key).begin(line.time)
                self._sticky[key] = line.arguments.split(";")[count : count + 1] == ["2"]
        elif line.name in ("REMOVE_SVC_ACKNOWLEDGEMENT", "REMOVE_HOST_ACKNOWLEDGEMENT"):
            self._of(Why.ACKNOWLEDGED, _named(line, 2 if "_SVC_" in line.name else 1)).end(line.time)

    def _state_of(self, line: Alert | StateLine | Notification, key: Key) -> None:
        if isinstance(line, Notification) and line.kind != "NORMAL":
            return
        before, self._state[key] = self._state.get(key), line.state
        if not key[1]:
            spans = self._of(Why.HOST_DOWN, key)
            spans.begin(line.time) if line.state else spans.end(line.time)
        if line.state == 0 or (before != line.state and not self._sticky.get(key, True)):
            self._of(Why.ACKNOWLEDGED, key).end(line.time)


def _named(line: ExternalCommand, count: int) -> Key:
    names = [*line.arguments.split(";"), "", ""]
    return (names[0], names[1] if count == 2 else "")
