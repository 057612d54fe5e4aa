"""What this host's Nagios should do, what it does, and what a person should know of it. Pure: flags.py gathers what is `Seen`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nagios_failover.evidence import PauseMarker
from nagios_failover.frozen import frozen
from nagios_failover.role import (
    Flags,
    Override,
    Owner,
    RoleRecord,
    describe_flags,
    differing,
    lapsed,
    role_flags,
    wanted_flags,
)
from nagios_failover.status_data import ProgramStatus
from nagios_failover.words import Flag, Mode, Role, State


@frozen
class Problem:
    """Something could not be seen: one sentence without the host, and what mends it."""

    sentence: str
    hint: str = ""


@frozen
class Finding:
    """Something a person should know. `sentence` begins with the host."""

    state: State
    sentence: str
    hint: str = ""


@frozen
class OpenRun:
    """A run that the journal has not closed. `seconds` since it was opened."""

    id: str
    kind: str
    seconds: float


@frozen
class Seen:
    """What was seen of this host's state at the epoch second `now`. Each item is itself or the Problem that kept it from being
    seen. `switched` is when a flag was last switched, by anybody; `running`: a process holds the lock of runs; `track_astray`: the
    file that keepalived reads does not say what the role says."""

    host: str
    now: float
    role: RoleRecord | Problem
    status: ProgramStatus | Problem
    overrides: Sequence[Override] | Problem = ()
    paused: PauseMarker | Problem | None = None
    has_lock: bool = False
    track_astray: bool = False
    open_runs: Sequence[OpenRun] = ()
    running: bool = False
    switched: int = 0
    setup: Sequence[Problem] = ()


@frozen
class FlagReport:
    """The role, the flags it asks for (`wanted`; None: nobody may set any now), those that status.dat shows (`actual`; None: not
    seen) and those to be set (`differing`). `overrides` are in force and ask for something else than the role does. `findings` is
    what is not as it should be; `sentence` the summary, host first. `unsettled`: a flag was switched since status.dat was
    written."""

    host: str
    role: RoleRecord | None
    wanted: Mapping[Flag, bool] | None
    actual: Mapping[Flag, bool] | None
    status_age: float | None
    differing: Mapping[Flag, bool]
    overrides: tuple[Override, ...]
    open_runs: tuple[OpenRun, ...]
    findings: tuple[Finding, ...]
    sentence: str
    unsettled: bool = False
    notes: tuple[str, ...] = ()

    @property
    def problems(self) -> list[str]:
        return [finding.sentence for finding in self.findings]

    @property
    def state(self) -> State:
        order = (State.OK, State.WARNING, State.UNKNOWN, State.CRITICAL)
        return max((finding.state for finding in self.findings), key=order.index, default=State.OK)


@frozen
class Limits:
    """Seconds: above `status_age` status.dat is not being written; an open-ended pause is warned of after `pause`."""

    status_age: float
    pause: float


def report(seen: Seen, mode: Mode, limits: Limits) -> FlagReport:
    """Judge what was seen. Nothing of it is a reason to fail over; it says what to correct and what to tell."""
    seen = _said_once(seen)
    role = seen.role if isinstance(seen.role, RoleRecord) else None
    status = seen.status if isinstance(seen.status, ProgramStatus) else None
    overrides = () if isinstance(seen.overrides, Problem) else tuple(seen.overrides)
    age = seen.now - status.created if status else None
    fresh = age is not None and age <= limits.status_age
    wanted = None if role is None or isinstance(seen.overrides, Problem) or seen.open_runs else wanted_flags(role, mode, overrides)
    differ: dict[Flag, bool] = {}
    # a time far ahead is a clock that was set back, not a switch that status.dat will show in a moment
    unsettled = status is not None and status.created <= seen.switched < status.created + limits.status_age
    if status and wanted and fresh and not unsettled:
        differ = differing(wanted, status.flags)
    in_force = _in_force(role, mode, overrides)
    findings = [
        *_about_role(seen, role, status),
        *_about_flags(seen.host, role, differ, in_force),
        *_about_runs(seen, role),
        *_about_overrides(seen, in_force),
        *_about_status(seen, age, limits),
        *_about_handlers(seen.host, role, status),
        *_about_pause(seen, limits),
        *(Finding(State.WARNING, f"{seen.host}: {problem.sentence}", problem.hint) for problem in seen.setup),
    ]
    return FlagReport(
        host=seen.host,
        role=role,
        wanted=wanted,
        actual=status.flags if status else None,
        status_age=age,
        differing=differ,
        overrides=in_force,
        open_runs=tuple(seen.open_runs),
        findings=tuple(findings),
        sentence=_summary(seen.host, role, status),
        unsettled=unsettled,
        notes=tuple(_notes(seen, unsettled=unsettled)),
    )


def _said_once(seen: Seen) -> Seen:
    """A state directory that is not there keeps everything in it from being seen: the role says so, that is enough."""
    if not isinstance(seen.role, Problem):
        return seen
    paused = None if seen.paused == seen.role else seen.paused
    return replace(seen, overrides=() if seen.overrides == seen.role else seen.overrides, paused=paused)


def describe_role(role: RoleRecord) -> str:
    """`master, term 3` or `standby of yasu, term 3`"""
    if role.role is Role.STANDBY:
        return f"standby of {role.master}, term {role.term}"
    return f"{role.role}, term {role.term}"


def _summary(host: str, role: RoleRecord | None, status: ProgramStatus | None) -> str:
    flags = describe_flags(status.flags) if status else "its flags were not seen"
    return f"{host}: {describe_role(role) if role else 'no role'}: {flags}"


def _in_force(role: RoleRecord | None, mode: Mode, overrides: Sequence[Override]) -> tuple[Override, ...]:
    """The overrides that ask for something else than the role."""
    if role is None or role.role not in (Role.MASTER, Role.STANDBY):
        return ()
    plain = role_flags(mode, active=role.active)
    return tuple(o for o in overrides if not lapsed(o, role) and any(plain[flag] is not on for flag, on in o.flags.items()))


def _about_role(seen: Seen, role: RoleRecord | None, status: ProgramStatus | None) -> list[Finding]:
    if isinstance(seen.role, Problem):
        goes_on = f"; Nagios goes on with {describe_flags(status.flags)}" if status else ""
        return [Finding(State.WARNING, f"{seen.host}: {seen.role.sentence}: no flag is changed{goes_on}", seen.role.hint)]
    if role and seen.has_lock is (role.role is Role.STANDBY):
        there = "is there although" if seen.has_lock else "is missing although"
        sentence = f"{seen.host}: failover.lock {there} the role is {role.role}"
        return [Finding(State.WARNING, sentence, "the handler of this service mends it")]
    if role and seen.track_astray:
        sentence = f"{seen.host}: the file track does not say that the role is {role.role}: the console's address may be astray"
        return [Finding(State.WARNING, sentence, "the handler of this service mends it")]
    return []


def _about_flags(host: str, role: RoleRecord | None, differ: Flags, in_force: Sequence[Override]) -> list[Finding]:
    if not differ or role is None:
        return []
    wrong = describe_flags({flag: not on for flag, on in differ.items()})
    kept = " and overrides are in force" if in_force else ""
    return [
        Finding(
            State.CRITICAL,
            f"{host}: role is {role.role} (term {role.term}){kept}, but Nagios has {wrong}",
            "the handler of this service sets them; it needs enable_event_handlers=1 and a command file that is read",
        )
    ]


def _about_runs(seen: Seen, role: RoleRecord | None) -> list[Finding]:
    findings = []
    for run in seen.open_runs:
        if seen.running:
            sentence = f"{seen.host}: run {run.id} ({run.kind}) is on its way for {run.seconds:.0f} s"
            findings.append(Finding(State.WARNING, sentence, f"nagios-failover history {run.id}"))
        else:
            sentence = f"{seen.host}: run {run.id} ({run.kind}) was cut off: it is finished by the next call of the handler"
            findings.append(Finding(State.CRITICAL, sentence, "or by any command, at once: nagios-failover status"))
    if not seen.open_runs and not seen.running and role and role.role not in (Role.MASTER, Role.STANDBY):
        sentence = f"{seen.host}: role is {role.role} (term {role.term}), but no run is open in the journal"
        hint = "see which host monitors with nagios-failover status, then nagios-failover init --force --master or --standby"
        findings.append(Finding(State.CRITICAL, sentence, hint))
    return findings


_WHO = {
    Owner.OPERATOR: (
        "an operator's command keeps",
        "switch it back in Nagios when it is no longer wanted; it ends with the next role",
    ),
    Owner.ISOLATED: ("cut off from the network, this host keeps", "it ends when the network is back"),
    Owner.LEASE: ("without the lease, this host keeps", "it ends when etcd gives it the lease again"),
    Owner.FENCE: (
        "fenced by the other host, this host keeps",
        "it ends when this host becomes the master again, or the other one its standby",
    ),
}


def _about_overrides(seen: Seen, in_force: Sequence[Override]) -> list[Finding]:
    """A forgotten override is how nobody is notified at night: each is a WARNING, for as long as it is in force."""
    if isinstance(seen.overrides, Problem):
        sentence = f"{seen.host}: {seen.overrides.sentence}: which flags are wanted is unknown, none is changed"
        return [Finding(State.WARNING, sentence, seen.overrides.hint)]
    findings = []
    for override in in_force:
        who, hint = _WHO[override.owner]
        minutes = max(seen.now - override.since, 0) / 60
        sentence = f"{seen.host}: {who} {describe_flags(override.flags)} (term {override.term}, for {minutes:.0f} min)"
        findings.append(Finding(State.WARNING, sentence, hint))
    return findings


def _about_status(seen: Seen, age: float | None, limits: Limits) -> list[Finding]:
    if isinstance(seen.status, Problem):
        return [Finding(State.UNKNOWN, f"{seen.host}: could not look: {seen.status.sentence}", seen.status.hint)]
    if age is not None and age > limits.status_age:
        sentence = f"{seen.host}: status.dat is {age:.0f} s old, more than {limits.status_age:.0f} s: the flags are not known"
        return [
            Finding(State.WARNING, sentence, "is the disk full? is Nagios's status_update_interval above [look] status_critical?")
        ]
    if age is not None and age < -1:
        sentence = f"{seen.host}: status.dat is of {-age:.0f} s in the future: the clock was set back"
        return [Finding(State.WARNING, sentence, "see that the clock is right")]
    return []


def _about_handlers(host: str, role: RoleRecord | None, status: ProgramStatus | None) -> list[Finding]:
    """Without event handlers Nagios calls nobody: no failover, no correction, none of our mails. Without freshness checks it
    does not run the watch services (this one too: then `nagios-failover status` and `test` say it)."""
    findings = []
    lost = "nothing is corrected" if role and role.active else "it would not take over"
    for key, what, command in (
        ("enable_event_handlers", "event handlers", "ENABLE_EVENT_HANDLERS"),
        ("check_service_freshness", "freshness checks of services", "ENABLE_SERVICE_FRESHNESS_CHECKS"),
    ):
        if status is not None and status.values.get(key) == "0":
            hint = f"write {command} to Nagios's command file, and {key}=1 into nagios.cfg"
            findings.append(Finding(State.CRITICAL, f"{host}: Nagios's {what} are off: {lost}", hint))
    return findings


def _about_pause(seen: Seen, limits: Limits) -> list[Finding]:
    if isinstance(seen.paused, Problem):
        sentence = f"{seen.host}: {seen.paused.sentence}: it counts as a pause"
        return [Finding(State.WARNING, sentence, "nagios-failover resume")]
    if seen.paused and seen.paused.until is None and seen.now - seen.paused.since > limits.pause:
        minutes = (seen.now - seen.paused.since) / 60
        sentence = f"{seen.host}: paused for {minutes:.0f} min by {seen.paused.by}, without an end: no failover starts"
        return [Finding(State.WARNING, sentence, "nagios-failover resume")]
    return []


def _notes(seen: Seen, *, unsettled: bool) -> list[str]:
    """What is as it should be and still worth a word."""
    notes = []
    if isinstance(seen.paused, PauseMarker):
        left = f"{max(seen.paused.until - seen.now, 0) / 60:.0f} min left" if seen.paused.until is not None else "no end"
        notes.append(f"paused by {seen.paused.by} ({left})")
    if unsettled:
        notes.append("a flag was just switched: status.dat does not show it yet")
    return notes
