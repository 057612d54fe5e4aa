"""What the event log holds and the snapshot (status.dat) does not: read into a Gap, and applied to one object at a time. Pure.

The rules are Nagios's own (checks.c, notifications.c): a state change forgets the last notification's time, a recovery forgets
its number and any acknowledgement, a change to another problem forgets a normal acknowledgement. Since a notification is logged
before its mail command runs, one logged in the last `doubt` seconds of life may never have left: it is not applied, so that it
is sent again. Doubled beats lost.

A master that hands over lives on: what it has logged has left, and nothing is in doubt. But from the moment at which it was told
to be silent its checks on their way still came in, and what they found it told nobody: that is put back to just before, so that
this host's next check finds it anew, and tells it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from nagios_failover.event_log import Alert, ExternalCommand, LogLine, Notification, Period, parse_line

Key = tuple[str, str]
"""A host and a service, "" for the host itself."""
Fields = dict[str, str]
Event = Alert | Notification | Period | ExternalCommand

NOTIFIED_LONG_AGO = "1"
"""A last_notification that makes the next one due at once."""
SERVICE_WORDS = ("ok", "warning", "critical", "unknown")
HOST_WORDS = ("up", "down", "unreachable")

_ACKNOWLEDGEMENTS = {
    "ACKNOWLEDGE_HOST_PROBLEM": 1,
    "ACKNOWLEDGE_SVC_PROBLEM": 2,
    "REMOVE_HOST_ACKNOWLEDGEMENT": 1,
    "REMOVE_SVC_ACKNOWLEDGEMENT": 2,
}
"""The command, and how many of its arguments name the object."""
_DELETIONS = {
    "DEL_HOST_COMMENT": "hostcomment",
    "DEL_SVC_COMMENT": "servicecomment",
    "DEL_HOST_DOWNTIME": "hostdowntime",
    "DEL_SVC_DOWNTIME": "servicedowntime",
}
_REPLAYED = ("ADD_", "DEL_ALL_", "DEL_DOWNTIME_", "SCHEDULE_AND_PROPAGATE_", "CHANGE_CUSTOM_", "DELAY_")
_SWITCHED = tuple(
    f"{verb}_{what}"
    for verb in ("ENABLE", "DISABLE")
    for what in (
        *("SVC_CHECK", "SVC_NOTIFICATIONS", "SVC_EVENT_HANDLER", "SVC_FLAP_DETECTION", "PASSIVE_SVC_CHECKS"),
        *("HOST_CHECK", "HOST_NOTIFICATIONS", "HOST_EVENT_HANDLER", "HOST_FLAP_DETECTION", "PASSIVE_HOST_CHECKS"),
        *("HOST_SVC_CHECKS", "HOST_SVC_NOTIFICATIONS", "ALL_NOTIFICATIONS_BEYOND_HOST", "HOST_AND_CHILD_NOTIFICATIONS"),
    )
)


@dataclass
class Gap:
    """The log from `since` (info.created of the snapshot) to `until`, the last sign of the master's life (epoch seconds on its
    clock). `events` are those of each object in the log's order. `deleted` are kind and id of comments and downtimes; `replay`
    are an operator's commands that Nagios obeys anew after the snapshot has been loaded. `quiet` is when a master that hands over
    was told to be silent, 0 for one that died; alerts from then on are among the events even where the snapshot has them already.
    `told` are the objects of which people were last told a PROBLEM, among those that recovered in silence."""

    since: int
    until: int
    doubt: float
    events: dict[Key, list[Event]] = field(default_factory=dict)
    deleted: set[tuple[str, str]] = field(default_factory=set)
    replay: list[ExternalCommand] = field(default_factory=list)
    acknowledgements: int = 0
    lines: int = 0
    quiet: int = 0
    told: set[Key] = field(default_factory=set)

    def in_doubt(self, moment: int) -> bool:
        """May what was logged at `moment` never have left the master?"""
        return not self.quiet and moment > 0 and self.until - moment <= self.doubt

    def in_silence(self, moment: int) -> bool:
        """Was what was logged at `moment` seen by a master that notified nobody any more?"""
        return 0 < self.quiet <= moment

    def recovered_in_silence(self) -> set[Key]:
        """Objects whose last HARD alert is such a recovery."""
        last = {key: event for key, events in self.events.items() for event in events if isinstance(event, Alert) and event.hard}
        return {key for key, event in last.items() if event.state == 0 and self.in_silence(event.time)}


def told_problems(lines: Iterable[str], keys: Container[Key]) -> set[Key]:
    """Of these objects, those about which the last notification in these lines was a PROBLEM."""
    found: set[Key] = set()
    for line in map(parse_line, (line for line in lines if " NOTIFICATION: " in line)):
        if isinstance(line, Notification) and line.kind == "NORMAL" and (line.host, line.service) in keys:
            (found.add if line.state else found.discard)((line.host, line.service))
    return found


def read_gap(lines: Iterable[str], *, since: int, until: int, doubt: float, watch_host: str, quiet: int = 0) -> Gap:
    """The gap that these lines of the master's log describe. `until` is raised to the last line's time. Lines older than the
    snapshot are looked at for what is in doubt, or was seen in silence, only."""
    parsed = [line for line in map(parse_line, lines) if line is not None]
    gap = Gap(since, max([until, since, *(line.time for line in parsed)]), doubt, quiet=quiet)
    for line in parsed:
        if line.time < since and not _still_counts(gap, line):
            continue
        if isinstance(line, ExternalCommand):
            _command(gap, line, watch_host)
        elif isinstance(line, (Alert, Notification, Period)) and line.host != watch_host:
            gap.events.setdefault((line.host, line.service), []).append(line)
        gap.lines += 1
    return gap


def _still_counts(gap: Gap, line: LogLine) -> bool:
    if isinstance(line, Notification) and gap.in_doubt(line.time):
        return True
    return isinstance(line, (Alert, Notification)) and gap.in_silence(line.time)


def _command(gap: Gap, command: ExternalCommand, watch_host: str) -> None:
    name, arguments = command.name.upper(), command.arguments.split(";")
    if command.ours or arguments[0] == watch_host:
        return
    if name in _ACKNOWLEDGEMENTS:
        names = arguments[: _ACKNOWLEDGEMENTS[name]]
        key = (names[0], names[1] if len(names) > 1 else "")
        gap.events.setdefault(key, []).append(command)
        gap.acknowledgements += name.startswith("ACKNOWLEDGE")
    elif name in _DELETIONS:
        gap.deleted.add((_DELETIONS[name], arguments[0]))
    elif name in _SWITCHED or name.startswith(_REPLAYED) or (name.startswith("SCHEDULE_") and name.endswith("_DOWNTIME")):
        gap.replay.append(command)


@dataclass
class Outcome:
    """What came of an object: notifications in doubt, or owed because nobody was told (sentences), and comments to add (author,
    text, persistent, time)."""

    in_doubt: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)
    comments: list[tuple[str, str, bool, int]] = field(default_factory=list)


class Incident:
    """The fields of one hoststatus or servicestatus block, brought forward to the master's death."""

    def __init__(self, fields: Fields, *, is_host: bool) -> None:
        self.fields = fields
        self.is_host = is_host
        self.words = HOST_WORDS if is_host else SERVICE_WORDS
        self.problem = 0
        self.notified_before = 1
        self.told = False  # of the problem that it recovered from
        self.outcome = Outcome()

    def number(self, name: str) -> int:
        return int(self.fields.get(name) or 0)

    def put(self, **values: int) -> None:
        self.fields.update((name, str(value)) for name, value in values.items())

    @property
    def state(self) -> int:
        return self.number("current_state")

    @property
    def hard(self) -> bool:
        return self.fields.get("state_type") == "1"

    @property
    def name(self) -> str:
        service = self.fields.get("service_description")
        return self.fields["host_name"] + (f"/{service}" if service else "")

    def apply(self, events: Iterable[Event], gap: Gap) -> Outcome:
        """Play the events back, then take back what is in doubt, or was seen in silence."""
        recovered = 0
        silent: Alert | None = None
        told: int | None = None
        for event in events:
            if isinstance(event, Notification) and event.kind == "NORMAL":
                told = event.state
            elif isinstance(event, Alert) and event.hard and gap.in_silence(event.time):
                silent, told = (None if told == event.state else event), None
            if isinstance(event, Notification) and event.kind == "NORMAL" and event.state == 0 and gap.in_doubt(event.time):
                recovered = event.time
            if event.time < gap.since:
                continue
            if isinstance(event, Alert):
                self._alert(event)
            elif isinstance(event, Notification):
                self._notified(event)
            elif isinstance(event, Period):
                self._period(event)
            else:
                self._acknowledged(event)
        if silent is not None and silent.state == self.state and not self._was_told():
            self._tell_anew(gap, silent)
        else:
            self._take_back(gap, recovered)
        return self.outcome

    def _was_told(self) -> bool:
        """Was somebody told of this problem in its present state? Nagios forgets the last notification's time with each change. The
        log may hold that line a second before the alert's (a busy machine), and so before the master was told to be silent."""
        return self.state != 0 and self.hard and self.number("last_notification") > 0

    def _alert(self, event: Alert) -> None:
        if (event.state, event.hard) == (self.state, self.hard):
            self.put(current_attempt=1 if event.state == 0 else event.attempt, last_check=event.time)
        elif event.state == 0:
            self._recover(event.time)
        else:
            self._enter(event.state, event.time, attempt=event.attempt, hard=event.hard)
        self.fields["plugin_output"] = event.output

    def _notified(self, event: Notification) -> None:
        if event.kind != "NORMAL":
            return
        if event.state == 0:
            if self.state != 0:
                self._recover(event.time)
            return
        if (event.state, True) != (self.state, self.hard):
            self._enter(event.state, event.time, attempt=self.number("max_attempts"), hard=True)
        if not 0 <= event.time - self.number("last_notification") <= 1:  # else it is one notification, to another contact
            self.put(current_notification_number=self.number("current_notification_number") + 1, last_notification=event.time)
        self.fields["plugin_output"] = event.output

    def _period(self, event: Period) -> None:
        if event.kind == "FLAPPING":
            self.put(is_flapping=int(event.what == "STARTED"))

    def _acknowledged(self, event: ExternalCommand) -> None:
        if event.name.upper().startswith("REMOVE"):
            self._forget_acknowledgement()
        elif self.state != 0:
            own = 2 if "service_description" in self.fields else 1
            sticky, _, persistent, author, text = (event.arguments.split(";", own + 4)[own:] + [""] * 5)[:5]
            if self.fields.get("problem_has_been_acknowledged") != "1":
                self.outcome.comments.append((author, text, persistent.strip() not in ("", "0"), event.time))
            self.put(problem_has_been_acknowledged=1, acknowledgement_type=2 if sticky.strip() == "2" else 1)

    def _enter(self, state: int, time: int, *, attempt: int, hard: bool) -> None:
        if state != self.state and self.number("acknowledgement_type") == 1:
            self._forget_acknowledgement()
        if state != self.state or hard:
            self.put(last_state_change=time)
        if hard:
            self.put(last_hard_state=state, last_hard_state_change=time)
        self.put(current_state=state, state_type=int(hard), current_attempt=max(attempt, 1), last_notification=0)
        self.put(last_check=time, has_been_checked=1, **{f"last_time_{self.words[state]}": time})

    def _recover(self, time: int) -> None:
        number = self.number("current_notification_number")
        self.problem, self.notified_before, self.told = self.state, max(number, 1), number > 0
        self._forget_acknowledgement()
        self._enter(0, time, attempt=1, hard=True)
        self.put(current_notification_number=0)

    def _forget_acknowledgement(self) -> None:
        self.put(problem_has_been_acknowledged=0, acknowledgement_type=0)

    def _tell_anew(self, gap: Gap, seen: Alert) -> None:
        """What the master saw in silence. Whether it is to be told at all, this host's Nagios decides by its own rules."""
        if self.state == 0:
            if self.told or (self.fields["host_name"], self.fields.get("service_description", "")) in gap.told:
                self.outcome.untold.append(f"RECOVERY of {self.name}")
                self._unrecover()
        elif self.hard:
            self.outcome.untold.append(f"PROBLEM of {self.name}")
            self._before_hard(at=seen.time)

    def _take_back(self, gap: Gap, recovered: int) -> None:
        last = self.number("last_notification")
        if self.state != 0 and self.number("current_notification_number") > 0 and gap.in_doubt(last):
            self.outcome.in_doubt.append(f"PROBLEM of {self.name} (logged {gap.until - last} s before the last sign of life)")
            self._unnotify()
        elif self.state == 0 and recovered:
            self.outcome.in_doubt.append(f"RECOVERY of {self.name} (logged {gap.until - recovered} s before the last sign of life)")
            self._unrecover()

    def _unnotify(self) -> None:
        """Back to where the next check decides. It finds the object failed still: the PROBLEM is sent. Or well: then the RECOVERY
        is due, for the PROBLEM has left in most cases, and Nagios sends it to whom it counts as notified. A host counts as
        notified when it was: else the check of a service on it would notify, and its own check once more."""
        number = self.number("current_notification_number") - 1
        self.put(current_notification_number=number, **{f"notified_on_{self.words[self.state]}": 1})
        self._before_hard(at=self.number("last_notification"))

    def _before_hard(self, *, at: int) -> None:
        """Whatever this host remembers of an earlier notification (next_notification, no_more_notifications) is forgotten with the
        HARD change that the next check makes. A service is taken back to one check before HARD; with a single attempt any next
        check is the one. A host that is SOFT would never be HARD again in the state in which it was HARD last, nor tell of its
        recovery: it stays HARD, was UP before, and counts as notified `at`."""
        if self.is_host:
            attempt = max(self.number("max_attempts"), 1)
            self.put(last_hard_state=0, state_type=1, current_attempt=attempt, last_notification=at)
        else:
            self.put(last_notification=0, state_type=0, current_attempt=max(self.number("max_attempts") - 1, 1))

    def _unrecover(self) -> None:
        """Back into the problem, as notified: the next check finds it well and sends the RECOVERY, to those whom an escalation made
        the last ones to be told."""
        state = self.problem or self._last_problem()
        attempt = max(self.number("max_attempts"), 1)
        self.put(current_state=state, last_hard_state=state, state_type=1, current_attempt=attempt)
        self.put(current_notification_number=self.notified_before)
        self.fields["last_notification"] = NOTIFIED_LONG_AGO

    def _last_problem(self) -> int:
        times = [self.number(f"last_time_{word}") for word in self.words[1:]]
        return 1 + times.index(max(times))
