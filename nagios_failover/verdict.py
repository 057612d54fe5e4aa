"""What the evidence means: a ladder of guards, read top down, the first that fits is the verdict (docs/verdicts.md has the
table). Pure: evidence and limits in, one English sentence out. `judge_master` is what a standby says of the master,
`judge_peer` what a master says of its peer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from nagios_failover.config import Config
from nagios_failover.config_values import Failback, Severity, Start
from nagios_failover.evidence import (
    NOT_CONFIGURED,
    Blocked,
    Detour,
    Evidence,
    Heartbeat,
    HostReport,
    NoAnswer,
    NotConfigured,
    Process,
)
from nagios_failover.role import RoleRecord, describe_flags
from nagios_failover.words import Flag, Role, State


class Code(StrEnum):
    """The verdict's name, for the look ring, --json and tests."""

    ALIVE = "alive"
    ALIVE_THROUGH = "alive-through-witness"
    PASSIVE = "passive"
    NO_HEARTBEAT = "no-heartbeat"
    STALE_HEARTBEAT = "stale-heartbeat"
    STATUS_STALE = "status-stale"
    AGING = "aging"
    HUNG = "hung"
    STOPPED = "stopped"
    STOPPED_CLEANLY = "stopped-cleanly"
    RESTARTING = "restarting"
    PAUSED = "paused"
    CRASHED = "crashed"
    PROCESS_UNSEEN = "process-unseen"
    BLOCKED = "could-not-look"
    SSH_BROKEN = "ssh-broken"
    NOT_SEEN_ALIVE = "not-seen-alive"
    SERVICES_SILENT = "services-silent"
    HOST_DOWN = "host-down"
    REPLICATING = "replicating"
    CUT_OFF = "cut-off"
    UNCLEAR = "unclear"
    HANDOVER = "handover-offered"
    PEER_STANDBY = "peer-standby"
    PEER_THROUGH = "standby-through-witness"
    PEER_RETURNED = "preferred-returned"
    PEER_GONE = "no-standby"
    PEER_IDLE = "standby-idle"
    PEER_ACTIVE = "two-masters"
    PEER_OUTRANKS = "outranked"
    ISOLATED = "isolated"


PEER_CODES = frozenset(
    {
        Code.PEER_STANDBY,
        Code.PEER_THROUGH,
        Code.PEER_RETURNED,
        Code.PEER_IDLE,
        Code.PEER_GONE,
        Code.PEER_ACTIVE,
        Code.PEER_OUTRANKS,
        Code.ISOLATED,
    }
)
"""What a master says of its peer: never of a death."""


@dataclass(frozen=True)
class Limits:
    """Is an age (in seconds) beyond its limit? A heartbeat, and status.dat, is fresh until `warning` says so and stale when
    `critical` does. -w and -c of the plugin put ranges in their place. `restart_grace` and `looked_ago` (how long ago a standby's
    last look may be) are in seconds. `watch` names the watch service as an external command does: host;service."""

    heartbeat_warning: Callable[[float], bool]
    heartbeat_critical: Callable[[float], bool]
    status_warning: Callable[[float], bool]
    status_critical: Callable[[float], bool]
    restart_grace: float
    looked_ago: float = float("inf")
    watch: str = "nagios-failover;Master Nagios"
    cold_standby: bool = False
    stale_heartbeat: State = State.WARNING
    database_down: State = State.WARNING
    unreachable_services: State = State.WARNING


@dataclass(frozen=True)
class Verdict:
    """`sentence` begins with the host and is the plugin's first line, the journal's and the mail's."""

    state: State
    code: Code
    sentence: str
    hint: str = ""


def above(limit: float) -> Callable[[float], bool]:
    """Is an age outside 0..limit? An age below 0 (a clock that jumped, a time in the future) is no proof of life."""
    return lambda age: not -1.0 <= age <= limit


def limits_from(config: Config) -> Limits:
    severity = {Severity.WARNING: State.WARNING, Severity.CRITICAL: State.CRITICAL}
    return Limits(
        heartbeat_warning=above(config.heartbeat.warning),
        heartbeat_critical=above(config.heartbeat.critical),
        status_warning=above(config.look.status_warning),
        status_critical=above(config.look.status_critical),
        restart_grace=config.look.restart_grace,
        looked_ago=max(60.0, 10 * config.look.interval) + config.look.timeout,
        watch=f"{config.nagios.watch_host};{config.nagios.master_watch}",
        cold_standby=config.pair.standby is Start.COLD,
        stale_heartbeat=severity[config.heartbeat.stale_heartbeat],
        database_down=severity[config.heartbeat.database_down],
        unreachable_services=severity[config.look.unreachable_services],
    )


FUTURE_SECONDS = 2.0
"""So much ahead of the clock is rounding; more says that the clock was set, and nothing of Nagios."""


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


def judge_master(host: str, evidence: Evidence, limits: Limits) -> Verdict:
    """What this standby says of the master `host`."""
    report = evidence.ssh
    if isinstance(report, Blocked):
        return _blocked(host, report)
    if isinstance(report, NoAnswer):
        detour = evidence.detour
        return _judge_through(host, report, detour, evidence, limits) if detour else _judge_unseen(host, report, evidence, limits)
    if isinstance(report.process, Blocked):
        return _blocked(host, report.process)
    pulse = beat(evidence, limits)
    if report.process is Process.MISSING:
        return _judge_missing(host, report, limits)
    if report.process is Process.STOPPED and pulse not in (Beat.FRESH, Beat.BLOCKED):
        return _verdict(
            host,
            State.CRITICAL,
            Code.STOPPED,
            f"Nagios (PID {report.pid}) is stopped (state T), {_status_words(report)}{_heartbeat_words(evidence)}",
        )
    if report.status_age is None:
        return _verdict(
            host,
            State.WARNING,
            Code.STATUS_STALE,
            f"Nagios (PID {report.pid}) runs but has no status.dat: it just started, or cannot write it",
        )
    if report.status_age < -FUTURE_SECONDS:
        return _verdict(
            host,
            State.WARNING,
            Code.UNCLEAR,
            f"{_status_words(report)}: its clock was set, Nagios (PID {report.pid}) has not written since",
            "wait for a status_update_interval; then look at that host's clock",
        )
    if limits.status_critical(report.status_age):
        return _judge_stale(host, report, evidence, pulse)
    if report.process is Process.RUNNING:
        return _judge_running(host, report, evidence, pulse, limits)
    return _verdict(
        host,
        State.WARNING,
        Code.UNCLEAR,
        f"Nagios (PID {report.pid}) is stopped (state T), {_status_words(report)}{_heartbeat_words(evidence)}: not stale yet",
        _heartbeat_hint(evidence),
    )


def _judge_through(host: str, failure: NoAnswer, detour: Detour, evidence: Evidence, limits: Limits) -> Verdict:
    """The same ladder, by what came through the witness. A database that does not answer over the broken way tells of the way."""
    heartbeat = NOT_CONFIGURED if isinstance(evidence.heartbeat, NoAnswer) else evidence.heartbeat
    seen = judge_master(host, replace(evidence, ssh=detour.ssh, heartbeat=heartbeat, detours=()), limits)
    if seen.state is State.OK:
        seen = replace(seen, state=State.WARNING, code=Code.ALIVE_THROUGH)
    return _seen_through(host, failure, detour, seen)


def _seen_through(host: str, failure: NoAnswer, detour: Detour, seen: Verdict) -> Verdict:
    words = seen.sentence.removeprefix(f"{host}: ")
    hint = seen.hint or f"mend the network between this host and {host}"
    sentence = f"{host}: seen through the witness {detour.witness}: {words}; directly {_ssh(failure)}"
    return replace(seen, sentence=sentence, hint=hint)


def _ssh(failure: NoAnswer) -> str:
    return f"ssh fails ({failure.reason})"


def _judge_running(host: str, report: HostReport, evidence: Evidence, pulse: Beat, limits: Limits) -> Verdict:
    """Process running, status.dat fresh."""
    age = max(0.0, report.status_age or 0.0)
    alive = f"Nagios (PID {report.pid}) is alive, {_status_words(report)}"
    if report.flags is not None and not all(report.flags.get(flag, True) for flag in (Flag.NOTIFICATIONS, Flag.SERVICE_CHECKS)):
        role = (
            f"its role is {report.role.role}" if report.role else f"its role is unknown ({report.role_problem or 'no suite there'})"
        )
        return _verdict(
            host,
            State.WARNING,
            Code.PASSIVE,
            f"alive, but it checks or notifies nothing ({describe_flags(report.flags)}); {role}; nobody monitors",
        )
    if report.role and report.role.active and report.role.handover:
        return _verdict(
            host,
            State.WARNING,
            Code.HANDOVER,
            f"{alive}, and it offers the role to {report.role.handover} (term {report.role.term + 1})",
        )
    if pulse in (Beat.FRESH, Beat.NOT_CONFIGURED) and limits.status_warning(age):
        return _verdict(host, State.WARNING, Code.AGING, f"{alive}: beyond the warning age{_heartbeat_words(evidence)}")
    if pulse in (Beat.FRESH, Beat.NOT_CONFIGURED):
        return _verdict(host, State.OK, Code.ALIVE, f"{alive}{_heartbeat_words(evidence)}")
    if pulse is Beat.BLOCKED:
        return _verdict(
            host, State.WARNING, Code.NO_HEARTBEAT, f"{alive}, but {_heartbeat_reason(evidence)}", _heartbeat_hint(evidence)
        )
    if pulse is Beat.NO_ANSWER:
        return _verdict(
            host,
            limits.database_down,
            Code.NO_HEARTBEAT,
            f"{alive}, but its database does not answer ({_heartbeat_reason(evidence)})",
        )
    heartbeat = evidence.heartbeat
    if pulse is Beat.STALE and isinstance(heartbeat, Heartbeat) and not limits.heartbeat_critical(heartbeat.age):
        # It is not old, but another PID's: the row still names the process before a restart.
        words = "Nagios was just restarted, or another one writes there"
        return _verdict(host, State.WARNING, Code.STALE_HEARTBEAT, f"{alive}{_heartbeat_words(evidence)}: {words}")
    state = limits.stale_heartbeat if pulse is Beat.STALE else State.WARNING
    return _verdict(
        host, state, Code.STALE_HEARTBEAT, f"{alive}, but its database link is lost or slow{_heartbeat_words(evidence)}"
    )


def _judge_stale(host: str, report: HostReport, evidence: Evidence, pulse: Beat) -> Verdict:
    """Process running (or stopped while the heartbeat still speaks for it), status.dat stale."""
    old = _status_words(report)
    if pulse is Beat.FRESH:
        return _verdict(
            host,
            State.WARNING,
            Code.STATUS_STALE,
            f"{old}, but the heartbeat is fresh: status.dat is not written (disk full?), or Nagios just stopped",
        )
    if pulse is Beat.BLOCKED:
        return _verdict(
            host,
            State.WARNING,
            Code.BLOCKED,
            f"{old}, and {_heartbeat_reason(evidence)}: could not tell whether Nagios hangs",
            _heartbeat_hint(evidence),
        )
    return _verdict(host, State.CRITICAL, Code.HUNG, f"Nagios (PID {report.pid}) hangs: {old}{_heartbeat_words(evidence)}")


def _judge_missing(host: str, report: HostReport, limits: Limits) -> Verdict:
    if report.status_advanced:
        return _verdict(
            host,
            State.WARNING,
            Code.PROCESS_UNSEEN,
            f"could not see the process: PID {report.pid} is missing, but status.dat advances",
        )
    if report.status_age is not None:
        return _verdict(
            host,
            State.CRITICAL,
            Code.CRASHED,
            f"Nagios has crashed: PID {report.pid} is gone, {_status_words(report)}",
        )
    if report.paused:
        return _verdict(
            host,
            State.WARNING,
            Code.PAUSED,
            f"Nagios is stopped cleanly under a pause ({report.paused.reason or 'no reason given'}, by {report.paused.by})",
        )
    if report.gone_for < limits.restart_grace:
        return _verdict(
            host, State.WARNING, Code.RESTARTING, f"Nagios was stopped cleanly; a restart is given {limits.restart_grace:g} s"
        )
    return _verdict(host, State.CRITICAL, Code.STOPPED_CLEANLY, "Nagios was stopped cleanly and has not come back")


def _judge_unseen(host: str, failure: NoAnswer, evidence: Evidence, limits: Limits) -> Verdict:
    """ssh fails: what do the database, the network and the witnesses say?"""
    ssh = _ssh(failure)
    pulse = beat(evidence, limits)
    if pulse in (Beat.FRESH, Beat.BETWEEN):
        return _verdict(host, State.WARNING, Code.SSH_BROKEN, f"alive, ssh is broken: {failure.reason}{_heartbeat_words(evidence)}")
    if evidence.alone:
        names = ", ".join(witness.address for witness in evidence.witnesses)
        return _verdict(host, State.UNKNOWN, Code.CUT_OFF, f"this standby is cut off: {ssh}, and no witness answers ({names})")
    if pulse is Beat.BLOCKED:
        return _verdict(host, State.WARNING, Code.BLOCKED, f"{ssh}, and {_heartbeat_reason(evidence)}", _heartbeat_hint(evidence))
    if not isinstance(evidence.reachable, bool):
        return _blocked(host, evidence.reachable or Blocked(f"{ssh}, and whether the host answers at all was not asked"))
    if evidence.reachable:
        if pulse is Beat.STALE:
            return _verdict(
                host,
                State.CRITICAL,
                Code.NOT_SEEN_ALIVE,
                f"Nagios is not seen alive: {ssh}{_heartbeat_words(evidence)}; the host answers",
            )
        silent = evidence.replicating is False or isinstance(evidence.replicating, NotConfigured)
        state = limits.unreachable_services if silent else State.WARNING
        which = "ssh does not" if pulse is Beat.NOT_CONFIGURED else "ssh and database do not"
        return _verdict(host, state, Code.SERVICES_SILENT, f"the host answers, {which}: {ssh}{_heartbeat_words(evidence)}")
    if pulse is Beat.STALE:
        return _verdict(
            host,
            State.WARNING,
            Code.UNCLEAR,
            f"its database answers, the rest of the host does not: {ssh}{_heartbeat_words(evidence)}",
        )
    if evidence.replicating is True:
        return _verdict(
            host, State.WARNING, Code.REPLICATING, f"the host seems down ({ssh}), but the local replica still hears from it"
        )
    if isinstance(evidence.replicating, Blocked):
        return _blocked(host, evidence.replicating)
    nor = "".join(f", nor through the witness {one.witness}" for one in evidence.detours if one.reached)
    return _verdict(
        host, State.CRITICAL, Code.HOST_DOWN, f"the host is down: {ssh}{_heartbeat_words(evidence)}; it does not answer at all{nor}"
    )


def judge_peer(host: str, evidence: Evidence, limits: Limits, own: RoleRecord) -> Verdict:
    """What this master says of its peer `host`. Never a reason for a failover."""
    report = evidence.ssh
    if isinstance(report, Blocked):
        return _blocked(host, report)
    if isinstance(report, NoAnswer):
        detour = evidence.detour
        if detour:
            return _judge_peer_through(host, report, detour, evidence, limits, own)
        if evidence.alone:
            names = ", ".join(witness.address for witness in evidence.witnesses)
            return _verdict(
                host, State.WARNING, Code.ISOLATED, f"this master is cut off: {_ssh(report)}, and no witness answers ({names})"
            )
        return _verdict(host, State.WARNING, Code.PEER_GONE, f"no standby: {_ssh(report)}")
    if isinstance(report.process, Blocked):
        return _blocked(host, report.process)
    if limits.cold_standby and report.process is Process.MISSING and report.role and report.role.role is Role.STANDBY:
        return _would_it_take_over(host, report, limits, "a cold standby, its Nagios does not run")
    if report.process is not Process.RUNNING or report.status_age is None or limits.status_critical(report.status_age):
        return _verdict(
            host, State.WARNING, Code.PEER_GONE, f"no standby: its Nagios is {_process_word(report)}, {_status_words(report)}"
        )
    if report.flags is None:
        return _blocked(host, Blocked("its status.dat does not say whether it notifies"))
    theirs = report.role if report.role and report.role.active else None
    if not report.flags.get(Flag.NOTIFICATIONS, False):
        if theirs:
            return _verdict(
                host,
                State.WARNING,
                Code.PASSIVE,
                f"its role is master too (term {theirs.term}, this host has term {own.term}), but it notifies nobody",
            )
        return _would_it_take_over(host, report, limits, f"standby, its Nagios (PID {report.pid}) is alive and notifies nobody")
    if theirs and not report.flags.get(Flag.SERVICE_CHECKS, True):
        return _verdict(
            host,
            State.CRITICAL,
            Code.PEER_ACTIVE,
            f"two masters: it notifies with term {theirs.term} but checks nothing, this host is the master with term {own.term}",
        )
    if theirs and theirs.term > own.term:
        return _verdict(
            host,
            State.CRITICAL,
            Code.PEER_OUTRANKS,
            f"it is the master with term {theirs.term}, this host has term {own.term}: this host stands down",
        )
    if theirs and theirs.term == own.term and (theirs.since, host) < (own.since, own.master):
        return _verdict(
            host,
            State.CRITICAL,
            Code.PEER_OUTRANKS,
            f"it is the master with term {theirs.term} as this host is, and has been for longer: this host stands down",
        )
    rank = f"term {theirs.term}" if theirs else "no term"
    return _verdict(
        host,
        State.CRITICAL,
        Code.PEER_ACTIVE,
        f"two masters: it notifies with {rank}, this host is the master with term {own.term}",
    )


def _judge_peer_through(
    host: str, failure: NoAnswer, detour: Detour, evidence: Evidence, limits: Limits, own: RoleRecord
) -> Verdict:
    seen = judge_peer(host, replace(evidence, ssh=detour.ssh, detours=()), limits, own)
    if seen.state is State.OK:
        seen = replace(seen, state=State.WARNING, code=Code.PEER_THROUGH)
    return _seen_through(host, failure, detour, seen)


def _would_it_take_over(host: str, report: HostReport, limits: Limits, words: str) -> Verdict:
    """A standby is mute: that it cannot act any more, only the master can tell people."""
    if report.role and report.handlers is False:
        hint = f"on {host}: write ENABLE_EVENT_HANDLERS to Nagios's command file, and enable_event_handlers=1 into nagios.cfg"
        return _verdict(
            host, State.WARNING, Code.PEER_IDLE, "standby, but its event handlers are off: it would not take over", hint
        )
    if report.role and report.looked_ago == float("inf"):
        command = f"printf '[0] SCHEDULE_FORCED_SVC_CHECK;{limits.watch};0\\n'"
        hint = f"set the clock of {host} right, then {command} into its command file: Nagios holds a result of the future for fresh"
        words = "standby, but it has not looked at this host since its clock was set back: it would not take over"
        return _verdict(host, State.WARNING, Code.PEER_IDLE, words, hint)
    if report.role and report.looked_ago is not None and report.looked_ago > limits.looked_ago:
        return _verdict(
            host,
            State.WARNING,
            Code.PEER_IDLE,
            f"standby, but it last looked at this host {report.looked_ago:.0f} s ago: it would not take over",
            f"on {host}: nagios-failover test",
        )
    return _verdict(host, State.OK, Code.PEER_STANDBY, words)


def judge_return(verdict: Verdict, config: Config, own: RoleRecord) -> Verdict:
    """Under `failback = automatic`, a master that is not the preferred host says so while that one is a standby and well:
    the check is not OK, so that Nagios calls the handler, which gives the role back when the time has come."""
    automatic = config.pair.failback is Failback.AUTOMATIC and config.preferred_host == config.peer.name
    if not (automatic and own.active and verdict.code is Code.PEER_STANDBY):
        return verdict
    return _verdict(
        config.peer.name,
        State.WARNING,
        Code.PEER_RETURNED,
        f"the preferred host is back as the standby; it gets the role when it has been well for {config.pair.failback_after:g} s",
    )


def _status_words(report: HostReport) -> str:
    if report.status_age is None:
        return "status.dat is gone"
    if report.status_age < -FUTURE_SECONDS:
        return f"status.dat is dated {-report.status_age:.0f} s in the future"
    return f"status.dat is {max(0.0, report.status_age):.0f} s old"


def _process_word(report: HostReport) -> str:
    return report.process.value if isinstance(report.process, Process) else "unseen"


def _verdict(host: str, state: State, code: Code, words: str, hint: str = "") -> Verdict:
    return Verdict(state, code, f"{host}: {words}", hint)


def _blocked(host: str, blocked: Blocked) -> Verdict:
    return _verdict(host, State.WARNING, Code.BLOCKED, f"could not look: {blocked.reason}", blocked.hint)


def _heartbeat_words(evidence: Evidence) -> str:
    heartbeat = evidence.heartbeat
    if isinstance(heartbeat, NotConfigured):
        return ""
    if isinstance(heartbeat, Heartbeat):
        report = evidence.ssh
        if isinstance(report, HostReport) and report.pid and heartbeat.pid and heartbeat.pid != report.pid:
            return f", the heartbeat is {heartbeat.age:.0f} s old and of another process (PID {heartbeat.pid})"
        return f", the heartbeat is {heartbeat.age:.0f} s old"
    return f", no heartbeat ({heartbeat.reason})"


def _heartbeat_reason(evidence: Evidence) -> str:
    heartbeat = evidence.heartbeat
    if isinstance(heartbeat, Blocked):
        return f"could not look at its heartbeat: {heartbeat.reason}"
    return heartbeat.reason if isinstance(heartbeat, NoAnswer) else ""


def _heartbeat_hint(evidence: Evidence) -> str:
    return evidence.heartbeat.hint if isinstance(evidence.heartbeat, Blocked) else ""
