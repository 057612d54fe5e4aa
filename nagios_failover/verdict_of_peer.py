"""What a master says of its peer: is there a standby that would take over, and does nobody else notify? Pure, and never a reason
for a failover.
"""

from __future__ import annotations

from dataclasses import replace

from nagios_failover.config import Config
from nagios_failover.config_values import Failback
from nagios_failover.evidence import Blocked, Detour, Evidence, HostReport, NoAnswer, Process
from nagios_failover.limits import Limits
from nagios_failover.role import RoleRecord
from nagios_failover.verdict import Code, Verdict, could_not_look, say, seen_through, ssh_fails, status_words
from nagios_failover.words import Flag, Role, State


def judge_peer(host: str, evidence: Evidence, limits: Limits, own: RoleRecord, *, holder: str = "") -> Verdict:
    """What this master says of its peer `host`. Never a reason for a failover. `holder` has the lease, "" if not known."""
    report = evidence.ssh
    if isinstance(report, Blocked):
        return could_not_look(host, report)
    if isinstance(report, NoAnswer):
        detour = evidence.detour
        if detour:
            return _judge_peer_through(host, report, detour, evidence, limits, own, holder=holder)
        if evidence.alone:
            names = ", ".join(witness.address for witness in evidence.witnesses)
            return say(
                host, State.WARNING, Code.ISOLATED, f"this master is cut off: {ssh_fails(report)}, and no witness answers ({names})"
            )
        return say(host, State.WARNING, Code.PEER_GONE, f"no standby: {ssh_fails(report)}")
    if isinstance(report.process, Blocked):
        return could_not_look(host, report.process)
    if limits.cold_standby and report.process is Process.MISSING and report.role and report.role.role is Role.STANDBY:
        return _would_it_take_over(host, report, limits, "a cold standby, its Nagios does not run")
    if report.process is not Process.RUNNING or report.status_age is None or limits.status_critical(report.status_age):
        return say(
            host, State.WARNING, Code.PEER_GONE, f"no standby: its Nagios is {_process_word(report)}, {status_words(report)}"
        )
    if report.flags is None:
        return could_not_look(host, Blocked("its status.dat does not say whether it notifies"))
    theirs = report.role if report.role and report.role.active else None
    if not report.flags.get(Flag.NOTIFICATIONS, False):
        if theirs:
            return say(
                host,
                State.WARNING,
                Code.PASSIVE,
                f"its role is master too (term {theirs.term}, this host has term {own.term}), but it notifies nobody",
            )
        return _would_it_take_over(host, report, limits, f"standby, its Nagios (PID {report.pid}) is alive and notifies nobody")
    return _judge_two_masters(host, theirs, own, checks=report.flags.get(Flag.SERVICE_CHECKS, True), holder=holder)


def _judge_two_masters(host: str, theirs: RoleRecord | None, own: RoleRecord, *, checks: bool, holder: str) -> Verdict:
    """The peer notifies. `theirs` is its role, if that says that it may."""
    if theirs and not checks:
        return say(
            host,
            State.CRITICAL,
            Code.PEER_ACTIVE,
            f"two masters: it notifies with term {theirs.term} but checks nothing, this host is the master with term {own.term}",
        )
    if theirs and theirs.term > own.term:
        return say(
            host,
            State.CRITICAL,
            Code.PEER_OUTRANKS,
            f"it is the master with term {theirs.term}, this host has term {own.term}: this host stands down",
        )
    why = _why_it_goes_first(host, theirs, own, holder) if theirs and theirs.term == own.term else ""
    if why:
        return say(
            host,
            State.CRITICAL,
            Code.PEER_OUTRANKS,
            f"it is the master with term {own.term} as this host is, and {why}: this host stands down",
        )
    rank = f"term {theirs.term}" if theirs else "no term"
    return say(
        host,
        State.CRITICAL,
        Code.PEER_ACTIVE,
        f"two masters: it notifies with {rank}, this host is the master with term {own.term}",
    )


def _why_it_goes_first(host: str, theirs: RoleRecord, own: RoleRecord, holder: str) -> str:
    """Of two masters with the same term: who has the lease, else who was it first; "" for this host."""
    if holder in (host, own.master):
        return "has the lease" if holder == host else ""
    return "has been for longer" if (theirs.since, host) < (own.since, own.master) else ""


def _judge_peer_through(
    host: str, failure: NoAnswer, detour: Detour, evidence: Evidence, limits: Limits, own: RoleRecord, *, holder: str
) -> Verdict:
    seen = judge_peer(host, replace(evidence, ssh=detour.ssh, detours=()), limits, own, holder=holder)
    if seen.state is State.OK:
        seen = replace(seen, state=State.WARNING, code=Code.PEER_THROUGH)
    return seen_through(host, failure, detour, seen)


def _would_it_take_over(host: str, report: HostReport, limits: Limits, words: str) -> Verdict:
    """A standby is mute: that it cannot act any more, only the master can tell people."""
    if report.role and report.handlers is False:
        hint = f"on {host}: write ENABLE_EVENT_HANDLERS to Nagios's command file, and enable_event_handlers=1 into nagios.cfg"
        return say(host, State.WARNING, Code.PEER_IDLE, "standby, but its event handlers are off: it would not take over", hint)
    if report.role and report.looked_ago == float("inf"):
        command = f"printf '[0] SCHEDULE_FORCED_SVC_CHECK;{limits.watch};0\\n'"
        hint = f"set the clock of {host} right, then {command} into its command file: Nagios holds a result of the future for fresh"
        words = "standby, but it has not looked at this host since its clock was set back: it would not take over"
        return say(host, State.WARNING, Code.PEER_IDLE, words, hint)
    if report.role and report.looked_ago is not None and report.looked_ago > limits.looked_ago:
        return say(
            host,
            State.WARNING,
            Code.PEER_IDLE,
            f"standby, but it last looked at this host {report.looked_ago:.0f} s ago: it would not take over",
            f"on {host}: nagios-failover test",
        )
    return say(host, State.OK, Code.PEER_STANDBY, words)


def judge_return(verdict: Verdict, config: Config, own: RoleRecord) -> Verdict:
    """Under `failback = automatic`, a master that is not the preferred host says so while that one is a standby and well:
    the check is not OK, so that Nagios calls the handler, which gives the role back when the time has come."""
    automatic = config.pair.failback is Failback.AUTOMATIC and config.preferred_host == config.peer.name
    if not (automatic and own.active and verdict.code is Code.PEER_STANDBY):
        return verdict
    return say(
        config.peer.name,
        State.WARNING,
        Code.PEER_RETURNED,
        f"the preferred host is back as the standby; it gets the role when it has been well for {config.pair.failback_after:g} s",
    )


def _process_word(report: HostReport) -> str:
    return report.process.value if isinstance(report.process, Process) else "unseen"
