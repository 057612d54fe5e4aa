"""One look at the other host: gather the evidence, complete it by what the look before saw, judge it, and (when asked) record it
in the ring.

Used by check_master_nagios, by a run's confirm step and by `watch --once`.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

from nagios_failover.config import Config
from nagios_failover.errors import FailoverError, StateUnreadable
from nagios_failover.evidence import NOT_CONFIGURED, Blocked, Evidence, HostReport, NoAnswer, NotConfigured, Process, with_report
from nagios_failover.frozen import frozen
from nagios_failover.gather import Gathered, Probes, Times, gather
from nagios_failover.limits import Limits, limits_from
from nagios_failover.looks import Look, newest
from nagios_failover.probes import probes_from
from nagios_failover.role import RoleRecord
from nagios_failover.state_files import StateFiles, boot_id, uptime
from nagios_failover.verdict import Code, Verdict
from nagios_failover.verdict_of_master import judge_master
from nagios_failover.verdict_of_peer import judge_peer, judge_return
from nagios_failover.words import Role, State


@frozen
class Observation:
    """`seconds`: how long `ssh` and `database` took, where they were asked, and the `total`."""

    evidence: Evidence
    verdict: Verdict
    look: Look
    seconds: dict[str, float]


def look(
    config: Config,
    state: StateFiles | None,
    *,
    by: str = "check",
    limits: Limits | None = None,
    record: bool = False,
    probes: Probes | None = None,
    timeout: float | None = None,
) -> Observation:
    """Look at the peer, and judge it by this host's own role: a master judges its standby, anybody else the master.

    `state` None: this host has no state, it looks as a standby without memory. With `record` the look goes into the ring; one
    that cannot be recorded says so in its verdict (without a record there is no failover)."""
    times = Times(timeout or config.look.timeout, config.ssh.timeout, config.heartbeat.timeout, config.look.reach_timeout)
    ring = _ring(state)
    boot = boot_id()
    previous = newest(ring, host=config.peer.name, boot=boot)
    own = _own_role(state)
    at_master = not (isinstance(own, RoleRecord) and own.active)
    gathered = gather(probes or probes_from(config, at_master=at_master), times)
    now = uptime()
    evidence, memory = compare(
        gathered, previous, now=now, period=config.replication.heartbeat_period, remembered=_remembered(config)
    )
    verdict = _judge(config, own, evidence, limits or limits_from(config), _holder(config, state))
    highest = max((entry.peer_term for entry in ring if entry.host == config.peer.name), default=0)
    passed = next((entry.peer_passed for entry in reversed(ring) if entry.host == config.peer.name), 0)
    report = evidence.report
    seen = Look(
        host=config.peer.name,
        time=time.time(),
        uptime=now,
        boot=boot,
        by=by,
        state=verdict.state,
        code=verdict.code,
        sentence=verdict.sentence,
        hint=verdict.hint,
        peer_term=max(highest, report.role.term if report and report.role else 0),
        peer_follows=_follows(report, config.this_name),
        peer_passed=_passed(report, passed, config.this_name),
        isolated_since=_isolated_since(verdict, previous, now),
        **memory,
        **_pause_seen(report, ring, config.peer.name),
    )
    if record and state:
        verdict, seen = _record(state, verdict, seen)
    return Observation(evidence, verdict, seen, gathered.seconds)


def _follows(report: HostReport | None, this: str) -> int:
    theirs = report.role if report else None
    return theirs.term if theirs and theirs.role is Role.STANDBY and theirs.master == this else 0


def _passed(report: HostReport | None, before: int, this: str) -> int:
    """A term of this host's standby is no successor's, however high it is: a run that was given up has raised it."""
    theirs = report.role if report else None
    if theirs is None:
        return before
    return 0 if _follows(report, this) >= max(1, before) else max(before, theirs.term)


def _isolated_since(verdict: Verdict, previous: Look | None, now: float) -> float:
    """Since when a master sees nobody, as its looks of this boot tell. That a look was late, on a host that is overloaded or was
    frozen, shows nobody: others may have failed it over meanwhile."""
    if verdict.code is not Code.ISOLATED:
        return 0.0
    return previous.isolated_since if previous and previous.isolated_since else now


def _pause_seen(report: HostReport | None, ring: list[Look], host: str) -> dict[str, Any]:
    """A pause set on the other host holds when that host has gone away since: it is what the pause was for."""
    if report:
        marker = report.paused
        if marker is None:
            return {}
        return {"peer_pause": f"by {marker.by}: {marker.reason or 'no reason given'}", "peer_pause_until": float(marker.until or 0)}
    last = next((entry for entry in reversed(ring) if entry.host == host), None)
    return {"peer_pause": last.peer_pause, "peer_pause_until": last.peer_pause_until} if last else {}


def _ring(state: StateFiles | None) -> list[Look]:
    """The looks before this one. Where they cannot be read, this one has no memory; that it cannot be recorded is said later."""
    try:
        return state.looks() if state else []
    except StateUnreadable:
        return []


def _own_role(state: StateFiles | None) -> RoleRecord | StateUnreadable | None:
    """None: this host has no state."""
    try:
        return state.role() if state else None
    except StateUnreadable as error:
        return error


def _holder(config: Config, state: StateFiles | None) -> str:
    """Who has the lease, as this host's check of it last heard; "" where that is not known, or there is none."""
    with suppress(StateUnreadable):
        kept = state.lease() if state and config.quorum.etcd else None
        return kept.holder if kept else ""
    return ""


def _judge(config: Config, own: RoleRecord | StateUnreadable | None, evidence: Evidence, limits: Limits, holder: str) -> Verdict:
    host = config.peer.name
    if isinstance(own, StateUnreadable):
        sentence = f"{host}: could not look: this host's own role is unknown ({own.what})"
        return Verdict(State.WARNING, Code.BLOCKED, sentence, own.hint)
    if own and own.active:
        return judge_return(judge_peer(host, evidence, limits, own, holder=holder), config, own)
    return judge_master(host, evidence, limits)


def _remembered(config: Config) -> float:
    """Seconds after which what a look saw of the process and status.dat says nothing of now (looks may have stood still)."""
    return 3 * config.look.interval + config.look.timeout


def compare(
    gathered: Gathered, previous: Look | None, *, now: float, period: float, remembered: float
) -> tuple[Evidence, dict[str, Any]]:
    """Pure: the evidence completed by what the look before saw, and what the next look compares with. `now` is the uptime in
    seconds, `period` the replication heartbeat's; an earlier look is compared with for `remembered` seconds."""
    evidence = gathered.evidence
    recent = previous if previous and now - previous.uptime <= remembered else None
    memory: dict[str, Any] = {}
    report = evidence.report
    if report and report.process is Process.MISSING:
        if report.status_created is not None:
            same = recent is not None and recent.missing_pid == (report.pid or 0) != 0
            advanced = same and recent is not None and 0 < recent.created < report.status_created
            evidence = with_report(evidence, replace(report, status_advanced=advanced))
            memory = {"missing_pid": report.pid or 0, "created": report.status_created}
        else:
            since = recent.gone_since if recent and recent.gone_since else now
            evidence = with_report(evidence, replace(report, gone_for=now - since))
            memory = {"gone_since": since}
    replicating, counters = _replicating(gathered.received, previous, now=now, period=period)
    return replace(evidence, replicating=replicating), memory | counters


def _replicating(
    received: int | NoAnswer | Blocked | None, previous: Look | None, *, now: float, period: float
) -> tuple[bool | Blocked | NotConfigured, dict[str, Any]]:
    """Did the counter grow within three heartbeat periods? Between two looks it is not known when it did: then it counts as
    just now, which errs on the side of life."""
    if received is None:
        return NOT_CONFIGURED, {}
    kept = {"received": previous.received, "received_at": previous.received_at} if previous else {}
    if isinstance(received, NoAnswer):
        return Blocked(f"this host's own database: {received.reason}"), kept
    if isinstance(received, Blocked):
        return replace(received, reason=f"this host's own database: {received.reason}"), kept
    if not previous or not previous.received:
        return Blocked("this host's replica: no earlier look to compare with"), {"received": received, "received_at": now}
    at = now if received > previous.received else previous.received_at
    return now - at <= 3 * period, {"received": received, "received_at": at}


def _record(state: StateFiles, verdict: Verdict, seen: Look) -> tuple[Verdict, Look]:
    try:
        state.add_look(seen)
    except FailoverError as error:
        worst = State.WARNING if verdict.state is State.OK else verdict.state
        verdict = replace(
            verdict,
            state=worst,
            sentence=f"{verdict.sentence}; this look could not be recorded ({error.what})",
            hint=error.hint or verdict.hint,
        )
    return verdict, seen
