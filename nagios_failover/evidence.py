"""What one look has seen of the other host. Plain values: gathered by observe.py, judged by verdict.py.

Each item is a value, or NOT_CONFIGURED, or a `Blocked` (could not look, because ...). Not configured is never "no answer";
could not look is never "fails".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from nagios_failover.role import Flags, RoleRecord


class NotConfigured(Enum):
    NOT_CONFIGURED = "not configured"


NOT_CONFIGURED = NotConfigured.NOT_CONFIGURED


@dataclass(frozen=True)
class Blocked:
    """Could not look. `reason` continues the sentence "could not look: ..."; `hint` says what mends it."""

    reason: str
    hint: str = ""


@dataclass(frozen=True)
class NoAnswer:
    """Looked, and nothing came back: refused, timed out, unreachable."""

    reason: str


class Process(Enum):
    """The PID that status.dat (or, where that is gone, the lock file) names."""

    RUNNING = "running"
    STOPPED = "stopped"  # state T
    MISSING = "missing"  # no such process, proved


@dataclass(frozen=True)
class PauseMarker:
    """STATE/paused. `until` is epoch seconds, None for "until resumed"."""

    by: str
    reason: str
    since: int
    until: int | None


@dataclass(frozen=True)
class HostReport:
    """What one ssh round trip brought from the other host. Ages are seconds on that host's own clock.

    `status_age` None: the status file is gone. `status_created` is info.created (epoch). `status_advanced`: it grew since an
    earlier look, with the same PID missing both times. `gone_for`: how long the file has been seen to be gone.
    `flags` None: the file does not say. `role` None: the suite is not installed there, or its role file cannot be read
    (`role_problem` says which)."""

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
    seconds: float = 0.0


@dataclass(frozen=True)
class Heartbeat:
    """The row of programstatus. `age` is seconds, computed in SQL; `pid` is the Nagios that wrote it, 0 where unknown."""

    age: float
    pid: int
    seconds: float = 0.0


@dataclass(frozen=True)
class Witness:
    """One witness address and whether it answered; `reason` says what came instead."""

    address: str
    answered: bool
    reason: str = ""


@dataclass(frozen=True)
class Evidence:
    """One look. `ssh` NoAnswer: ssh fails. `witnesses` empty: none configured. Items that the look did not need are None
    (`reachable` and `witnesses` are asked only when ssh did not answer)."""

    ssh: HostReport | NoAnswer | Blocked
    heartbeat: Heartbeat | NoAnswer | Blocked | NotConfigured = NOT_CONFIGURED
    reachable: bool | Blocked | None = None
    witnesses: tuple[Witness, ...] = field(default_factory=tuple)
    replicating: bool | Blocked | NotConfigured = NOT_CONFIGURED
