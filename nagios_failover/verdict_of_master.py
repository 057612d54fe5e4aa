"""Is the master alive? What the evidence means to a standby: a ladder of guards, read top down, the first that fits is the verdict
(docs/verdicts.md has the table). Pure: evidence and limits in, one English sentence out. Only this may lead to a failover.
"""

from __future__ import annotations

from dataclasses import replace

from nagios_failover.beat import Beat, beat, heartbeat_hint, heartbeat_reason, heartbeat_words
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
from nagios_failover.limits import Limits
from nagios_failover.role import describe_flags
from nagios_failover.verdict import FUTURE_SECONDS, Code, Verdict, could_not_look, say, seen_through, ssh_fails, status_words
from nagios_failover.words import Flag, State


def judge_master(host: str, evidence: Evidence, limits: Limits) -> Verdict:
    """What this standby says of the master `host`."""
    report = evidence.ssh
    if isinstance(report, Blocked):
        return could_not_look(host, report)
    if isinstance(report, NoAnswer):
        detour = evidence.detour
        return _judge_through(host, report, detour, evidence, limits) if detour else _judge_unseen(host, report, evidence, limits)
    if isinstance(report.process, Blocked):
        return could_not_look(host, report.process)
    pulse = beat(evidence, limits)
    if report.process is Process.MISSING:
        return _judge_missing(host, report, limits)
    stopped = f"Nagios (PID {report.pid}) is stopped (state T), {status_words(report)}{heartbeat_words(evidence)}"
    if report.process is Process.STOPPED and pulse not in (Beat.FRESH, Beat.BLOCKED):
        return say(host, State.CRITICAL, Code.STOPPED, stopped)
    if report.status_age is None:
        return say(
            host,
            State.WARNING,
            Code.STATUS_STALE,
            f"Nagios (PID {report.pid}) runs but has no status.dat: it just started, or cannot write it",
        )
    if report.status_age < -FUTURE_SECONDS:
        return say(
            host,
            State.WARNING,
            Code.UNCLEAR,
            f"{status_words(report)}: its clock was set, Nagios (PID {report.pid}) has not written since",
            "wait for a status_update_interval; then look at that host's clock",
        )
    if limits.status_critical(report.status_age):
        return _judge_stale(host, report, evidence, pulse)
    if report.process is Process.RUNNING:
        return _judge_running(host, report, evidence, pulse, limits)
    return say(host, State.WARNING, Code.UNCLEAR, f"{stopped}: not stale yet", heartbeat_hint(evidence))


def _judge_through(host: str, failure: NoAnswer, detour: Detour, evidence: Evidence, limits: Limits) -> Verdict:
    """The same ladder, by what came through the witness. A database that does not answer over the broken way tells of the way."""
    heartbeat = NOT_CONFIGURED if isinstance(evidence.heartbeat, NoAnswer) else evidence.heartbeat
    seen = judge_master(host, replace(evidence, ssh=detour.ssh, heartbeat=heartbeat, detours=()), limits)
    if seen.state is State.OK:
        seen = replace(seen, state=State.WARNING, code=Code.ALIVE_THROUGH)
    return seen_through(host, failure, detour, seen)


def _judge_running(host: str, report: HostReport, evidence: Evidence, pulse: Beat, limits: Limits) -> Verdict:
    """Process running, status.dat fresh."""
    age = max(0.0, report.status_age or 0.0)
    alive = f"Nagios (PID {report.pid}) is alive, {status_words(report)}"
    if report.flags is not None and not all(report.flags.get(flag, True) for flag in (Flag.NOTIFICATIONS, Flag.SERVICE_CHECKS)):
        role = (
            f"its role is {report.role.role}" if report.role else f"its role is unknown ({report.role_problem or 'no suite there'})"
        )
        return say(
            host,
            State.WARNING,
            Code.PASSIVE,
            f"alive, but it checks or notifies nothing ({describe_flags(report.flags)}); {role}; nobody monitors",
        )
    if report.role and report.role.active and report.role.handover:
        return say(
            host,
            State.WARNING,
            Code.HANDOVER,
            f"{alive}, and it offers the role to {report.role.handover} (term {report.role.term + 1})",
        )
    return _judge_pulse(host, alive, age, evidence, pulse, limits)


def _judge_pulse(host: str, alive: str, age: float, evidence: Evidence, pulse: Beat, limits: Limits) -> Verdict:
    """Process running and at its work: what do the age of its status.dat (in seconds) and its heartbeat say?"""
    if pulse in (Beat.FRESH, Beat.NOT_CONFIGURED) and limits.status_warning(age):
        return say(host, State.WARNING, Code.AGING, f"{alive}: beyond the warning age{heartbeat_words(evidence)}")
    if pulse in (Beat.FRESH, Beat.NOT_CONFIGURED):
        return say(host, State.OK, Code.ALIVE, f"{alive}{heartbeat_words(evidence)}")
    if pulse is Beat.BLOCKED:
        return say(host, State.WARNING, Code.NO_HEARTBEAT, f"{alive}, but {heartbeat_reason(evidence)}", heartbeat_hint(evidence))
    if pulse is Beat.NO_ANSWER:
        return say(
            host,
            limits.database_down,
            Code.NO_HEARTBEAT,
            f"{alive}, but its database does not answer ({heartbeat_reason(evidence)})",
        )
    heartbeat = evidence.heartbeat
    if pulse is Beat.STALE and isinstance(heartbeat, Heartbeat) and not limits.heartbeat_critical(heartbeat.age):
        # It is not old, but another PID's: the row still names the process before a restart.
        words = "Nagios was just restarted, or another one writes there"
        return say(host, State.WARNING, Code.STALE_HEARTBEAT, f"{alive}{heartbeat_words(evidence)}: {words}")
    state = limits.stale_heartbeat if pulse is Beat.STALE else State.WARNING
    return say(host, state, Code.STALE_HEARTBEAT, f"{alive}, but its database link is lost or slow{heartbeat_words(evidence)}")


def _judge_stale(host: str, report: HostReport, evidence: Evidence, pulse: Beat) -> Verdict:
    """Process running (or stopped while the heartbeat still speaks for it), status.dat stale."""
    old = status_words(report)
    if pulse is Beat.FRESH:
        return say(
            host,
            State.WARNING,
            Code.STATUS_STALE,
            f"{old}, but the heartbeat is fresh: status.dat is not written (disk full?), or Nagios just stopped",
        )
    if pulse is Beat.BLOCKED:
        return say(
            host,
            State.WARNING,
            Code.BLOCKED,
            f"{old}, and {heartbeat_reason(evidence)}: could not tell whether Nagios hangs",
            heartbeat_hint(evidence),
        )
    return say(host, State.CRITICAL, Code.HUNG, f"Nagios (PID {report.pid}) hangs: {old}{heartbeat_words(evidence)}")


def _judge_missing(host: str, report: HostReport, limits: Limits) -> Verdict:
    if report.status_advanced:
        return say(
            host,
            State.WARNING,
            Code.PROCESS_UNSEEN,
            f"could not see the process: PID {report.pid} is missing, but status.dat advances",
        )
    if report.status_age is not None:
        return say(host, State.CRITICAL, Code.CRASHED, f"Nagios has crashed: PID {report.pid} is gone, {status_words(report)}")
    if report.paused:
        return say(
            host,
            State.WARNING,
            Code.PAUSED,
            f"Nagios is stopped cleanly under a pause ({report.paused.reason or 'no reason given'}, by {report.paused.by})",
        )
    if report.gone_for < limits.restart_grace:
        return say(
            host, State.WARNING, Code.RESTARTING, f"Nagios was stopped cleanly; a restart is given {limits.restart_grace:g} s"
        )
    return say(host, State.CRITICAL, Code.STOPPED_CLEANLY, "Nagios was stopped cleanly and has not come back")


def _judge_unseen(host: str, failure: NoAnswer, evidence: Evidence, limits: Limits) -> Verdict:
    """ssh fails: what do the database, the network and the witnesses say?"""
    ssh = ssh_fails(failure)
    pulse = beat(evidence, limits)
    if pulse in (Beat.FRESH, Beat.BETWEEN):
        return say(host, State.WARNING, Code.SSH_BROKEN, f"alive, ssh is broken: {failure.reason}{heartbeat_words(evidence)}")
    if evidence.alone:
        names = ", ".join(witness.address for witness in evidence.witnesses)
        return say(host, State.UNKNOWN, Code.CUT_OFF, f"this standby is cut off: {ssh}, and no witness answers ({names})")
    if pulse is Beat.BLOCKED:
        return say(host, State.WARNING, Code.BLOCKED, f"{ssh}, and {heartbeat_reason(evidence)}", heartbeat_hint(evidence))
    if not isinstance(evidence.reachable, bool):
        return could_not_look(host, evidence.reachable or Blocked(f"{ssh}, and whether the host answers at all was not asked"))
    if evidence.reachable:
        return _judge_reachable(host, ssh, evidence, pulse, limits)
    if pulse is Beat.STALE:
        return say(
            host,
            State.WARNING,
            Code.UNCLEAR,
            f"its database answers, the rest of the host does not: {ssh}{heartbeat_words(evidence)}",
        )
    if evidence.replicating is True:
        return say(host, State.WARNING, Code.REPLICATING, f"the host seems down ({ssh}), but the local replica still hears from it")
    if isinstance(evidence.replicating, Blocked):
        return could_not_look(host, evidence.replicating)
    nor = "".join(f", nor through the witness {one.witness}" for one in evidence.detours if one.reached)
    return say(
        host, State.CRITICAL, Code.HOST_DOWN, f"the host is down: {ssh}{heartbeat_words(evidence)}; it does not answer at all{nor}"
    )


def _judge_reachable(host: str, ssh: str, evidence: Evidence, pulse: Beat, limits: Limits) -> Verdict:
    """ssh fails, but the host answers."""
    if pulse is Beat.STALE:
        return say(
            host,
            State.CRITICAL,
            Code.NOT_SEEN_ALIVE,
            f"Nagios is not seen alive: {ssh}{heartbeat_words(evidence)}; the host answers",
        )
    silent = evidence.replicating is False or isinstance(evidence.replicating, NotConfigured)
    state = limits.unreachable_services if silent else State.WARNING
    which = "ssh does not" if pulse is Beat.NOT_CONFIGURED else "ssh and database do not"
    return say(host, state, Code.SERVICES_SILENT, f"the host answers, {which}: {ssh}{heartbeat_words(evidence)}")
