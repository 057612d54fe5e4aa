"""Which PROBLEM and RECOVERY notifications went out more than once, not at all, or are in doubt: both hosts' event logs over a
failover, judged as Nagios's own rules judge (notifications.c). Pure.

What counts as an incident is what the master of that moment logged; what counts as sent is every NOTIFICATION line, whoever wrote
it. Where the log cannot tell whether a notification was due, nothing is called missing: it is in doubt, or not listed.
Nagios logs a notification before the alert that it is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nagios_failover.event_log import Alert, ExternalCommand, Notification, Period, StateLine
from nagios_failover.findings import Audit, Finding, Kind, Sent, Takeover, clock
from nagios_failover.gap import HOST_WORDS, SERVICE_WORDS, Fields, Key
from nagios_failover.notification_rules import AllRules, Rules
from nagios_failover.one_history import History
from nagios_failover.suppression import Suppression

TOGETHER_SECONDS = 2
"""One notification to several contacts is logged within so many."""
EARLY_SECONDS = 2
"""A re-notification may be so much before its interval has gone by: clocks differ."""
SEEN_SECONDS = 30
"""A run waits so long until status.dat shows what it has switched on ([nagios] verify_timeout)."""
LATE_SECONDS = 10
"""A check that is due may be so late, and a notification with it."""


def audit(
    history: History,
    rules: AllRules,
    *,
    takeovers: Sequence[Takeover],
    status: Mapping[Key, Fields],
    seen_at: int = 0,
    watch_host: str,
    now: float,
) -> Audit:
    """`status` are the blocks of today's status.dat (of what is not well or not as usual), for what is so now and was before the
    history began; `seen_at` is when it was written, before the logs were read; 0: there is none."""
    result = Audit()
    judge = _Judge(history, rules, Suppression(history, status), takeovers)
    objects: dict[Key, _Object] = {}
    for logged in history.lines:
        line = logged.line
        if isinstance(line, (ExternalCommand, Period)) or line.host == watch_host:
            continue
        key = (line.host, line.service)
        one = objects.get(key) or objects.setdefault(key, _Object(key, judge))
        if isinstance(line, Notification) and line.kind == "NORMAL":
            one.notified(logged.host, line)
            pair = ("PROBLEM" if line.state else "RECOVERY", logged.host)
            result.sent[pair] = result.sent.get(pair, 0) + 1
        elif not isinstance(line, Notification) and logged.host == history.reigns.at(line.time):
            one.alerted(logged.host, line)
    for one in objects.values():
        is_well = status.get(one.key, {}).get("current_state", "0") == "0"
        result.findings.extend(one.end(int(now), well_at=seen_at if is_well else 0))
    result.findings.extend(_unseen(takeovers, objects, result.findings))
    for takeover in takeovers:
        if not judge.knows_all_of(takeover):
            other = judge.other(takeover.host)
            result.blind.append((takeover.known_until, takeover.active_at))
            result.notes.append(
                f"nothing could be fetched from {other} at the failover of {clock(takeover.active_at)}: what it sent after "
                f"{clock(takeover.known_until)} is in its own log only; audit there when it is back"
            )
    result.sort()
    return result


def _unseen(takeovers: Iterable[Takeover], objects: Iterable[Key], found: Sequence[Finding]) -> Iterable[Finding]:
    """What a run called in doubt, and nobody has sent twice."""
    said = {(one.notification, one.key) for one in found if one.kind is Kind.DOUBT}
    for takeover in takeovers:
        for key in objects:
            for notification in ("PROBLEM", "RECOVERY"):
                why = takeover.doubts(notification, key)
                if why and (notification, key) not in said:
                    yield Finding(Kind.DOUBT, notification, key, "", int(takeover.active_at), f"{why}; not seen to be sent again")


Recipient = tuple[str, str]
"""A contact and its command: Nagios writes one line for each."""


@dataclass
class _Incident:
    """One problem state, from its begin (0: before the history) on, as `by` logged it. `sent` are its PROBLEMs by recipient;
    `last` those of the newest notification of the whole incident: to them the recovery is due."""

    state: int
    since: int
    by: str
    sent: dict[Recipient, list[Sent]] = field(default_factory=dict)
    last: dict[Recipient, Sent] = field(default_factory=dict)


class _Judge:
    """What is the same for all objects: rules, suppression, takeovers."""

    def __init__(self, history: History, rules: AllRules, suppression: Suppression, takeovers: Sequence[Takeover]) -> None:
        self.history, self.rules, self.suppression, self.takeovers = history, rules, suppression, takeovers

    def other(self, host: str) -> str:
        return self.history.peer if host == self.history.this else self.history.this

    def begin(self, takeover: Takeover) -> int:
        """When its host began to notify: by its log, some seconds before the run saw it in status.dat on a busy machine."""
        seen = int(takeover.active_at)
        switched = [time for time, host in self.history.reigns.changes if host == takeover.host and seen - SEEN_SECONDS <= time]
        return min([seen, *switched])

    def knows_all_of(self, takeover: Takeover) -> bool:
        """Is the other host's log known to its end? It was fetched at the takeover, or copied later."""
        return takeover.fetched or self.history.until.get(self.other(takeover.host), 0) > takeover.active_at


class _Object:
    """One host or service, its lines one after the other."""

    def __init__(self, key: Key, judge: _Judge) -> None:
        self.key, self.judge = key, judge
        self.rules: Rules | None = judge.rules.objects.get(key)
        self.incident: _Incident | None = None
        self.closed: list[tuple[_Incident, int]] = []
        self.recoveries: dict[Recipient, list[Sent]] = {}
        self.told_well: set[Recipient] = set()  # a RECOVERY since the last PROBLEM
        self.told_since: set[tuple[str, Recipient]] = set()  # anything since a takeover's run
        self.first_alert: dict[str, int] = {}  # by the new master, for each takeover's run
        self.findings: list[Finding] = []

    @property
    def is_host(self) -> bool:
        return not self.key[1]

    # --- what the log says ---

    def alerted(self, by: str, line: Alert | StateLine) -> None:
        if isinstance(line, StateLine):
            if line.hard and line.state and self.incident is None:
                self.incident = _Incident(line.state, 0, by)
            return
        for takeover in self.judge.takeovers:
            if takeover.host == by and line.time >= self.judge.begin(takeover):
                self.first_alert.setdefault(takeover.run, line.time)
        if line.hard and line.state:
            self._enter(line.state, line.time, by)
        elif line.hard and self.incident:
            self._close(line.time)

    def notified(self, by: str, line: Notification) -> None:
        recipient, sent = (line.contact, line.command), Sent(line.time, by)
        if line.state:
            self._problem(recipient, sent, line.state)
        else:
            self._recovery(recipient, sent)

    def end(self, now: int, *, well_at: int) -> list[Finding]:
        """`well_at`: it was seen to be well then, whatever the logs say; 0: it was not. A master that never learned of an incident
        logs no end of it."""
        incident = self.incident
        if incident and incident.last and max(sent.time for sent in incident.last.values()) + LATE_SECONDS < well_at:
            self._close(well_at)
        if self.incident:
            self._judge_problem(self.incident, now, still_open=True)
        for incident, end in self.closed:
            self._judge_recovery(incident, end)
        return list(dict.fromkeys(self.findings))

    # --- what follows from it ---

    def _enter(self, state: int, time: int, by: str) -> None:
        before = self.incident
        if before is None:
            self.incident = _Incident(state, time, by)
        elif before.state != state:
            self._judge_problem(before, time, still_open=False)
            self.incident = _Incident(state, time, by, last=before.last)

    def _problem(self, recipient: Recipient, sent: Sent, state: int) -> None:
        if self.incident is None or (self.incident.state != state and sent.host == self.judge.history.reigns.at(sent.time)):
            self._enter(state, sent.time, sent.host)
        incident = self.incident
        assert incident is not None
        earlier = incident.sent.setdefault(recipient, [])
        if earlier and not self._is_due_again(earlier[-1], sent):
            self._doubled("PROBLEM", recipient, earlier[-1], sent)
        else:
            self._doubt_after_a_blind_moment("PROBLEM", recipient, sent)
        earlier.append(sent)
        if sent.time > max((one.time for one in incident.last.values()), default=0) + TOGETHER_SECONDS:
            incident.last = {}
        incident.last[recipient] = sent
        self.told_well.discard(recipient)

    def _recovery(self, recipient: Recipient, sent: Sent) -> None:
        earlier = self.recoveries.setdefault(recipient, [])
        if recipient in self.told_well:
            self._doubled("RECOVERY", recipient, earlier[-1], sent)
        else:
            self._doubt_after_a_blind_moment("RECOVERY", recipient, sent)
        earlier.append(sent)
        self.told_well.add(recipient)
        if self.incident:
            self._close(sent.time)

    def _close(self, time: int) -> None:
        incident = self.incident
        assert incident is not None
        self._judge_problem(incident, time, still_open=False)
        self.closed.append((incident, time))
        self.incident = None

    # --- judgements ---

    def _judge_problem(self, incident: _Incident, end: int, *, still_open: bool) -> None:
        """Was there to be a PROBLEM in this state, and was there none?"""
        if incident.sent or not incident.since or not self._anybody_wants(incident.state):
            return
        due = self.judge.suppression.due_since(self.key, incident.since, end)
        if due is None:
            return
        delay = self.rules.first_delay if self.rules else 0.0
        patience = LATE_SECONDS + delay + (2 * self.rules.check_interval if self.rules else 600.0)
        if end - due < patience and (still_open or delay or due > incident.since):
            return
        word = (HOST_WORDS if self.is_host else SERVICE_WORDS)[incident.state].upper()
        self._missing("PROBLEM", "", due, f"HARD {word} since {clock(incident.since)}, as {incident.by} logged")

    def _judge_recovery(self, incident: _Incident, time: int) -> None:
        if self.judge.suppression.why_not(self.key, time):
            return
        for recipient, problem in incident.last.items():
            contact = self.judge.rules.contacts.get(recipient[0])
            told = any(problem.time <= sent.time for sent in self.recoveries.get(recipient, ()))
            if told or (self.rules and not self.rules.wanted(0, contact, is_host=self.is_host)):
                continue
            why = f"PROBLEM by {problem.host} at {clock(problem.time)}, well at {clock(time)}"
            self._missing("RECOVERY", recipient[0], time, why, problem)

    def _anybody_wants(self, state: int) -> bool:
        rules = self.rules
        if rules is None:
            return True
        if rules.escalated or not rules.contacts:
            return rules.wanted(state, None, is_host=self.is_host)
        contacts = [self.judge.rules.contacts.get(name) for name in rules.contacts]
        return any(rules.wanted(state, contact, is_host=self.is_host) for contact in contacts)

    def _is_due_again(self, before: Sent, sent: Sent) -> bool:
        """Is this another notification about the same state, as Nagios sends them?"""
        if self.judge.suppression.reopened(self.key, before.time, sent.time):
            return True
        if self.rules is None:
            return before.host == sent.host
        interval = self.rules.interval
        return self.rules.volatile or (interval > 0 and sent.time - before.time >= interval - EARLY_SECONDS)

    # --- findings ---

    def _doubled(self, notification: str, recipient: Recipient, before: Sent, sent: Sent) -> None:
        why, kind = f"by {before.host} at {clock(before.time)}, by {sent.host} at {clock(sent.time)}", Kind.DOUBLED
        for takeover in self.judge.takeovers:
            doubt = takeover.doubts(notification, self.key)
            if doubt and before.time <= takeover.active_at and sent.host == takeover.host != before.host:
                kind, why = Kind.DOUBT, f"{why}: {doubt}"
        if self.rules is None and notification == "PROBLEM" and kind is Kind.DOUBLED:
            kind, why = Kind.DOUBT, f"{why}: its notification_interval is not known here"
        self.findings.append(Finding(kind, notification, self.key, recipient[0], sent.time, why, (before, sent)))

    def _missing(self, notification: str, contact: str, time: int, why: str, *sent: Sent) -> None:
        unsure = self.rules.unsure if self.rules else "its definition is not known here"
        known = self.judge.rules.contacts.get(contact)
        if not unsure and known and not known.always:
            unsure = f"{contact}'s notification period is not always"
        unsure = unsure or self.judge.suppression.unsure(time)
        kind = Kind.DOUBT if unsure else Kind.MISSING
        self.findings.append(Finding(kind, notification, self.key, contact, time, f"{why}; {unsure}" if unsure else why, sent))

    def _doubt_after_a_blind_moment(self, notification: str, recipient: Recipient, sent: Sent) -> None:
        """Where nothing could be fetched from the dead host, what the new master's first check of an object led to may have been
        sent by the old one already; what comes after that may not."""
        for takeover in self.judge.takeovers:
            if sent.host != takeover.host or sent.time < self.judge.begin(takeover):
                continue
            is_first = (takeover.run, recipient) not in self.told_since
            self.told_since.add((takeover.run, recipient))
            first_check = takeover.active_at + LATE_SECONDS + (self.rules.check_interval if self.rules else 300.0)
            if not is_first or self.judge.knows_all_of(takeover) or self.first_alert.get(takeover.run, sent.time) > first_check:
                continue
            unknown = f"what {self.judge.other(sent.host)} sent after {clock(takeover.known_until)} is not known here"
            why = f"by {sent.host} at {clock(sent.time)}: {unknown}"
            self.findings.append(Finding(Kind.DOUBT, notification, self.key, recipient[0], sent.time, why, (sent,)))
