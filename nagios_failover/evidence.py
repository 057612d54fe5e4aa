"""What one look has seen of the other host. Plain values: gathered by gather.py, judged by verdict_of_master.py and
verdict_of_peer.py.

Each item is a value, or NOT_CONFIGURED, or a `Blocked` (could not look, because ...). Not configured is never "no answer";
could not look is never "fails".
"""

from __future__ import annotations

from dataclasses import field, replace
from enum import Enum

from nagios_failover.frozen import frozen
from nagios_failover.role import Flags, RoleRecord, describe_flags


class NotConfigured(Enum):
    NOT_CONFIGURED = "not configured"


NOT_CONFIGURED = NotConfigured.NOT_CONFIGURED


@frozen
class Blocked:
    """Could not look. `reason` continues the sentence "could not look: ..."; `hint` says what mends it."""

    reason: str
    hint: str = ""


@frozen
class NoAnswer:
    """Looked, and nothing came back: refused, timed out, unreachable."""

    reason: str


class Process(Enum):
    """The PID that status.dat (or, where that is gone, the lock file) names."""

    RUNNING = "running"
    STOPPED = "stopped"  # state T
    MISSING = "missing"  # no such process, proved


@frozen
class PauseMarker:
    """STATE/paused. `until` is epoch seconds, None for "until resumed"."""

    by: str
    reason: str
    since: int
    until: int | None


@frozen
class HostReport:
    """What one ssh round trip brought from the other host. Ages are seconds on that host's own clock.

    `status_age` None: the status file is gone. `status_created` is info.created (epoch). `status_advanced`: it grew since an
    earlier look, with the same PID missing both times. `gone_for`: how long the file has been seen to be gone.
    `flags` None: the file does not say. `role` None: the suite is not installed there, or its role file cannot be read
    (`role_problem` says which). `handlers`: are its event handlers on? `looked_ago`: how long ago its suite last looked at this
    host; both None where that is not said. `now`: that host's clock (epoch) when it answered."""

    process: Process | Blocked
    pid: int | None
    status_age: float | None
    status_created: int | None
    flags: Flags | None
    role: RoleRecord | None
    role_problem: str = ""
    paused: PauseMarker | None = None
    status_advanced: bool = False
    gone_for: float = 0.0
    handlers: bool | None = None
    looked_ago: float | None = None
    seconds: float = 0.0
    now: int = 0


@frozen
class Heartbeat:
    """The row of programstatus. `age` is seconds, computed in SQL; `pid` is the Nagios that wrote it, 0 where unknown."""

    age: float
    pid: int
    seconds: float = 0.0


@frozen
class Witness:
    """One witness address and whether it answered; `reason` says what came instead."""

    address: str
    answered: bool
    reason: str = ""


@frozen
class Detour:
    """The same probe, sent through the account of a witness. `reached`: that witness itself let us in, so `ssh` tells of the
    host behind it."""

    witness: str
    ssh: HostReport | NoAnswer | Blocked
    reached: bool


@frozen
class Evidence:
    """One look. `ssh` NoAnswer: ssh fails. `witnesses` empty: none configured. Items that the look did not need are None or empty
    (`reachable`, `witnesses` and `detours` are asked only when ssh did not answer)."""

    ssh: HostReport | NoAnswer | Blocked
    heartbeat: Heartbeat | NoAnswer | Blocked | NotConfigured = NOT_CONFIGURED
    reachable: bool | Blocked | None = None
    witnesses: tuple[Witness, ...] = field(default_factory=tuple)
    replicating: bool | Blocked | NotConfigured = NOT_CONFIGURED
    detours: tuple[Detour, ...] = ()

    @property
    def detour(self) -> Detour | None:
        """What was seen of the host when the direct way did not answer: a report first; None where no detour came through."""
        seen = [one for one in self.detours if one.reached and not isinstance(one.ssh, NoAnswer)]
        return min(seen, key=lambda one: not isinstance(one.ssh, HostReport), default=None)

    @property
    def report(self) -> HostReport | None:
        """What the host told of itself, whichever way it came."""
        seen = self.detour.ssh if isinstance(self.ssh, NoAnswer) and self.detour else self.ssh
        return seen if isinstance(seen, HostReport) else None

    @property
    def alone(self) -> bool:
        """Does this host see nobody: not the other host, and no witness?"""
        if not self.witnesses or not isinstance(self.ssh, NoAnswer) or any(one.reached for one in self.detours):
            return False
        return not any(witness.answered for witness in self.witnesses)


def with_report(evidence: Evidence, report: HostReport) -> Evidence:
    """The evidence with its report completed."""
    detour = evidence.detour
    if isinstance(evidence.ssh, HostReport) or detour is None:
        return replace(evidence, ssh=report)
    return replace(evidence, detours=tuple(replace(one, ssh=report) if one is detour else one for one in evidence.detours))


def describe(evidence: Evidence) -> list[str]:
    """The evidence, an item a line, for people."""
    lines = _describe_ssh(evidence.ssh)
    heartbeat = evidence.heartbeat
    if isinstance(heartbeat, Heartbeat):
        by = f", written for PID {heartbeat.pid}" if heartbeat.pid else ""
        lines.append(f"heartbeat: {heartbeat.age:.0f} s old{by}, read in {heartbeat.seconds:.3f} s")
    else:
        lines.append(f"heartbeat: {_describe_missing(heartbeat)}")
    if evidence.reachable is not None:
        reach = evidence.reachable
        lines.append(
            f"host: {_describe_missing(reach) if isinstance(reach, Blocked) else 'answers' if reach else 'does not answer'}"
        )
    for witness in evidence.witnesses:
        lines.append(f"witness {witness.address}: {'answers' if witness.answered else witness.reason}")
    for detour in evidence.detours:
        through = f"through witness {detour.witness}"
        if not detour.reached and not isinstance(detour.ssh, HostReport):
            lines.append(f"{through}: the witness: {_describe_missing(detour.ssh)}")
        else:
            lines.extend(f"{through}: {line}" for line in _describe_ssh(detour.ssh))
    replicating = evidence.replicating
    if isinstance(replicating, bool):
        lines.append(f"replication: the local replica {'hears' if replicating else 'does not hear'} from it")
    else:
        lines.append(f"replication: {_describe_missing(replicating)}")
    return lines


def _describe_ssh(report: HostReport | NoAnswer | Blocked) -> list[str]:
    if not isinstance(report, HostReport):
        return [f"ssh: {_describe_missing(report)}"]
    pid = f" (PID {report.pid})" if report.pid else ""
    process = f"could not look: {report.process.reason}" if isinstance(report.process, Blocked) else f"{report.process.value}{pid}"
    lines = [f"ssh: answered in {report.seconds:.3f} s", f"process: {process}"]
    if not isinstance(report.process, Blocked):
        lines.append(f"status.dat: {'gone' if report.status_age is None else f'{report.status_age:.0f} s old'}")
    if report.flags is not None:
        lines.append(f"flags: {describe_flags(report.flags)}")
    role = report.role
    lines.append(f"role: {role.role}, term {role.term}" if role else f"role: unknown ({report.role_problem})")
    if report.paused:
        lines.append(f"paused: by {report.paused.by} ({report.paused.reason or 'no reason given'})")
    return lines


def _describe_missing(item: NoAnswer | Blocked | NotConfigured) -> str:
    if isinstance(item, NotConfigured):
        return item.value
    return f"no answer: {item.reason}" if isinstance(item, NoAnswer) else f"could not look: {item.reason}"
