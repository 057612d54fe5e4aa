"""A mail log, to tell what really left from what Nagios logged. Pure.

Lines of three forms are understood, others passed over:

    {"time": 1795618962, "to": ["oncall@example.com"], "subject": "PROBLEM web1/HTTP is CRITICAL"}
        one JSON object a line; `to` may be a string, `subject` may be missing, `arrived` may stand for `time`, which is epoch
        seconds or ISO 8601
    Nov 25 15:02:42 host=smtp.example.com ... recipients=oncall@example.com ... exitcode=EX_OK
        msmtp's logfile
    Nov 25 15:02:42 yasu postfix/smtp[123]: 4F2A: to=<oncall@example.com>, ..., status=sent (250 ok)
        postfix's, in syslog or with ISO 8601 times
"""

from __future__ import annotations

import json
import re
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from nagios_failover.event_log import Notification
from nagios_failover.findings import Audit, Finding, Kind, clock
from nagios_failover.gap import Key
from nagios_failover.notification_rules import AllRules
from nagios_failover.one_history import History

LATE_SECONDS = 300
"""A mail that leaves later than this after its NOTIFICATION line is not taken for it."""
EARLY_SECONDS = 10
"""A mail so soon after the begin of what is looked at may belong to what was before."""
_OTHER_TYPES = ("ACKNOWLEDGEMENT", "CUSTOM", "FLAPPING", "DOWNTIME")
_STAMP = r"(?P<stamp>\w{3} +\d+ \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:?\d\d)?) "
_MSMTP = re.compile(_STAMP + r"(?=.*\bexitcode=EX_OK).*\brecipients=(?P<to>\S+)")
_POSTFIX = re.compile(_STAMP + r".*\bto=<(?P<to>[^>]+)>.*\bstatus=sent\b")


@dataclass(frozen=True)
class Mail:
    """`time` is epoch seconds; `subject` is "" where the log does not tell."""

    time: float
    to: str
    subject: str = ""


def parse_mails(lines: Iterable[str], *, now: float) -> list[Mail]:
    """One for each recipient, in order of time. Times without a year are of the twelve months before `now`."""
    found: list[Mail] = []
    for line in lines:
        found.extend(_json(line) if line.startswith("{") else _logged(line, now))
    return sorted(found, key=lambda mail: mail.time)


def _json(line: str) -> list[Mail]:
    try:
        raw = json.loads(line)
        when, to = raw.get("time", raw.get("arrived")), raw["to"]
        moment = datetime.fromisoformat(when).timestamp() if isinstance(when, str) else float(when)
        return [Mail(moment, str(address), str(raw.get("subject", ""))) for address in ([to] if isinstance(to, str) else to)]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def _logged(line: str, now: float) -> list[Mail]:
    form = _MSMTP.match(line) or _POSTFIX.match(line)
    if form is None:
        return []
    try:
        moment = _moment(form["stamp"], now)
    except ValueError:
        return []
    return [Mail(moment, address) for address in form["to"].split(",")]


def _moment(stamp: str, now: float) -> float:
    if stamp[0].isdigit():
        return datetime.fromisoformat(stamp).timestamp()
    year = time.localtime(now).tm_year
    moment = time.mktime(time.strptime(f"{year} {stamp}", "%Y %b %d %H:%M:%S"))
    return moment if moment <= now + 86400 else time.mktime(time.strptime(f"{year - 1} {stamp}", "%Y %b %d %H:%M:%S"))


def compare(result: Audit, history: History, rules: AllRules, mails: Sequence[Mail], *, watch_host: str) -> None:
    """Add to the audit the NOTIFICATION lines whose mail did not leave, and the mails of a PROBLEM or RECOVERY that no line tells
    of; settle what was in doubt. Only what falls within the mail log, to contacts whose address is known, is judged."""
    begin, end = mails[0].time, mails[-1].time
    left = list(mails)
    unsent: dict[tuple[str, Key, str, int], Finding] = {}
    judged: set[tuple[str, Key, str, int]] = set()
    lines = [one for one in _mailed_lines(history, rules, watch_host) if one[1].time <= end]
    # those before the mail log begins take what is left over: their mails may be in it, or may have left before
    for host, line, email in sorted(lines, key=lambda one: one[1].time < begin - 1):
        found = _place_of(left, line, email)
        inside = line.time >= begin - 1
        word, key = "PROBLEM" if line.state else "RECOVERY", (line.host, line.service)
        if inside:
            judged.add((word, key, line.contact, line.time))
        if found is not None:
            del left[found]
        elif inside:
            why = f"logged by {host} at {clock(line.time)}, and the mail log has no mail to {email}"
            unsent[word, key, line.contact, line.time] = Finding(Kind.MISSING, word, key, line.contact, line.time, why)
    result.findings = [settled for finding in result.findings if (settled := _settle(finding, judged, unsent))]
    result.findings += [*unsent.values(), *_extra(result.blind, history, rules, left, watch_host)]
    result.sort()


def _mailed_lines(history: History, rules: AllRules, watch_host: str) -> Iterator[tuple[str, Notification, str]]:
    """PROBLEMs and RECOVERIES of what is monitored, each with the host that logged it and its contact's address, where that is
    known."""
    for logged in history.lines:
        line = logged.line
        if isinstance(line, Notification) and line.kind == "NORMAL" and line.host != watch_host:
            contact = rules.contacts.get(line.contact)
            if contact is not None and contact.email:
                yield logged.host, line, contact.email


def _place_of(left: Sequence[Mail], line: Notification, email: str) -> int | None:
    first = bisect_left(left, line.time - 1.0, key=lambda mail: mail.time)
    last = bisect_left(left, float(line.time + LATE_SECONDS), key=lambda mail: mail.time)
    return next((place for place in range(first, last) if _is_of(left[place], line, email)), None)


def _settle(
    finding: Finding, judged: set[tuple[str, Key, str, int]], unsent: dict[tuple[str, Key, str, int], Finding]
) -> Finding | None:
    """A notification logged twice: did both leave, or one of them? None: once, as it should be; `unsent` forgets the other."""
    both = [(finding.notification, finding.key, finding.contact, sent.time) for sent in finding.sent]
    if len(both) != 2 or not judged.issuperset(both):
        return finding
    missing = [line for line in both if line in unsent]
    if len(missing) == 1:
        del unsent[missing[0]]
        return None
    return finding if missing else replace(finding, kind=Kind.DOUBLED, why=f"{finding.why}; both left by the mail log")


def _is_of(mail: Mail, line: Notification, email: str) -> bool:
    """A subject may leave out the notification's type; that of another type is another mail."""
    if mail.to != email or not mail.subject:
        return mail.to == email
    others = (*_OTHER_TYPES, "RECOVERY" if line.state else "PROBLEM")
    return not any(word in mail.subject for word in others) and _names(mail.subject, line.host, line.service)


def _names(subject: str, host: str, service: str) -> bool:
    """Does it name the host as a word of its own, and the service?"""
    return bool(re.search(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", subject)) and service in subject


def _extra(
    blind: Sequence[tuple[float, float]], history: History, rules: AllRules, left: Iterable[Mail], watch_host: str
) -> Iterable[Finding]:
    """Mails that no line tells of: sent twice where a line near by tells of the like and all logs are known, else in doubt. Without
    a subject it may be any mail."""
    told: dict[tuple[str, str, Key], list[tuple[str, int]]] = {}
    for line in (logged.line for logged in history.lines):
        if isinstance(line, Notification) and line.host != watch_host and (contact := rules.contacts.get(line.contact)):
            word = "PROBLEM" if line.state else "RECOVERY"
            told.setdefault((contact.email, line.contact, (line.host, line.service)), []).append((word, line.time))
    for mail in left:
        word = next((word for word in ("PROBLEM", "RECOVERY") if word in mail.subject), "")
        about = sorted((key, name) for email, name, key in told if email == mail.to and _names(mail.subject, *key))
        if not word or not about or mail.time < history.since + EARLY_SECONDS:
            continue
        key, name = about[-1]  # the longest: a service's rather than its host's
        seen = not any(begin <= mail.time <= end for begin, end in blind)
        near = seen and any(word == one and abs(mail.time - time) <= LATE_SECONDS for one, time in told[mail.to, name, key])
        kind = Kind.DOUBLED if near else Kind.DOUBT
        why = f"a mail to {mail.to} left at {clock(mail.time)} that no NOTIFICATION line tells of"
        yield Finding(kind, word, key, name, int(mail.time), why)
