"""The heartbeat, as a verdict reads it: its column of the table, and its words."""

from __future__ import annotations

from enum import StrEnum

from nagios_failover.evidence import Blocked, Evidence, Heartbeat, HostReport, NoAnswer, NotConfigured
from nagios_failover.limits import Limits


class Beat(StrEnum):
    """The heartbeat's column of the table."""

    FRESH = "fresh"
    BETWEEN = "between the ages"
    STALE = "stale"
    NO_ANSWER = "no answer"
    NOT_CONFIGURED = "not configured"
    BLOCKED = "could not look"


def beat(evidence: Evidence, limits: Limits) -> Beat:
    """A fresh heartbeat counts only if the probed process wrote it; another PID's is an old or a foreign one: stale."""
    heartbeat = evidence.heartbeat
    if isinstance(heartbeat, NotConfigured):
        return Beat.NOT_CONFIGURED
    if isinstance(heartbeat, Blocked):
        return Beat.BLOCKED
    if isinstance(heartbeat, NoAnswer):
        return Beat.NO_ANSWER
    if limits.heartbeat_critical(heartbeat.age):
        return Beat.STALE
    report = evidence.ssh
    if isinstance(report, HostReport) and report.pid and heartbeat.pid and report.pid != heartbeat.pid:
        return Beat.STALE
    return Beat.BETWEEN if limits.heartbeat_warning(heartbeat.age) else Beat.FRESH


def heartbeat_words(evidence: Evidence) -> str:
    heartbeat = evidence.heartbeat
    if isinstance(heartbeat, NotConfigured):
        return ""
    if isinstance(heartbeat, Heartbeat):
        report = evidence.ssh
        if isinstance(report, HostReport) and report.pid and heartbeat.pid and heartbeat.pid != report.pid:
            return f", the heartbeat is {heartbeat.age:.0f} s old and of another process (PID {heartbeat.pid})"
        return f", the heartbeat is {heartbeat.age:.0f} s old"
    return f", no heartbeat ({heartbeat.reason})"


def heartbeat_reason(evidence: Evidence) -> str:
    heartbeat = evidence.heartbeat
    if isinstance(heartbeat, Blocked):
        return f"could not look at its heartbeat: {heartbeat.reason}"
    return heartbeat.reason if isinstance(heartbeat, NoAnswer) else ""


def heartbeat_hint(evidence: Evidence) -> str:
    return evidence.heartbeat.hint if isinstance(evidence.heartbeat, Blocked) else ""
