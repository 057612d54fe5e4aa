"""What an audit finds: notifications that went out more than once, not at all, or are in doubt. Pure."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum

from nagios_failover.gap import Key


class Kind(StrEnum):
    """The order of the list."""

    DOUBLED = "more than once"
    MISSING = "not at all"
    DOUBT = "in doubt"


@dataclass(frozen=True)
class Sent:
    """A NOTIFICATION line: when, and by whose Nagios."""

    time: int
    host: str


@dataclass(frozen=True)
class Finding:
    """One notification to one contact ("": to nobody) that is not as it should be. `notification` is PROBLEM or RECOVERY, `why` a
    sentence, `time` when it was due or sent again; `sent` are those it is about: for a RECOVERY that nobody sent, its PROBLEM."""

    kind: Kind
    notification: str
    key: Key
    contact: str
    time: int
    why: str
    sent: tuple[Sent, ...] = ()

    @property
    def name(self) -> str:
        return name_of(self.key)


@dataclass(frozen=True)
class Takeover:
    """A failover of this host's journal. Where nothing was `fetched` at it, the other host's log was known until `known_until`.
    `in_doubt` are the run's own sentences, `PROBLEM of web1/HTTP (...)`."""

    run: str
    host: str
    active_at: float
    in_doubt: tuple[str, ...] = ()
    fetched: bool = True
    known_until: int = 0

    def doubts(self, notification: str, key: Key) -> str:
        """The run's own sentence about this notification, "" for none."""
        begin = f"{notification} of {name_of(key)} ("
        return next((sentence[len(begin) : -1] for sentence in self.in_doubt if sentence.startswith(begin)), "")


@dataclass
class Audit:
    """`sent` counts the NOTIFICATION lines: (PROBLEM or RECOVERY, host) -> how many. `notes` say what could not be judged, `blind`
    are the spans of time in which a host's log is not known."""

    findings: list[Finding] = field(default_factory=list)
    sent: dict[tuple[str, str], int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    blind: list[tuple[float, float]] = field(default_factory=list)

    def sort(self) -> None:
        self.findings.sort(key=lambda one: (list(Kind).index(one.kind), one.time, one.key, one.contact))

    def count(self, kind: Kind) -> int:
        return sum(finding.kind is kind for finding in self.findings)


def name_of(key: Key) -> str:
    return "/".join(part for part in key if part)


def clock(moment: float) -> str:
    """Local time of day."""
    return time.strftime("%H:%M:%S", time.localtime(moment))
