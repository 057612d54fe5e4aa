"""Both hosts at one glance: what `nagios-failover status` prints and gives as JSON. Reads only.

`gather` looks (own state files, own status.dat, one look at the other host, the journal); `disagreements` and `summary` are
pure: they say in sentences what does not fit together, and who monitors.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from nagios_failover import flags, shell
from nagios_failover.config import Config
from nagios_failover.config_sections import HostSection
from nagios_failover.config_values import Start
from nagios_failover.errors import FailoverError, StateUnreadable
from nagios_failover.etcd import Etcd
from nagios_failover.evidence import Blocked, HostReport, NoAnswer, PauseMarker, Process
from nagios_failover.flag_report import Finding, FlagReport
from nagios_failover.frozen import frozen
from nagios_failover.journal import Journal
from nagios_failover.lease import Away, Free, Held
from nagios_failover.lease_keeper import boot_clock, left_here
from nagios_failover.remote import parse_report, probe_script
from nagios_failover.role import Flags, Override, RoleRecord, describe_flags, differing, wanted_flags
from nagios_failover.run_record import RunRecord
from nagios_failover.state_files import StateFiles
from nagios_failover.verdict import Verdict
from nagios_failover.words import Flag, Role, State

T = TypeVar("T")


@frozen
class HostView:
    """One host as seen from here. None: not seen, and `problems` says why. `wanted` None: no role, or a run is on its way.
    `status_age` is seconds on that host's clock; `suite`: is nagios-failover installed there?"""

    name: str
    address: str
    role: RoleRecord | None = None
    nagios: str = "not seen"  # running, stopped, missing, not seen
    pid: int | None = None
    status_age: float | None = None
    flags: Flags | None = None
    wanted: Flags | None = None
    overrides: tuple[Override, ...] = ()
    paused: PauseMarker | None = None
    suite: bool | None = None
    problems: tuple[str, ...] = ()

    @property
    def active(self) -> bool:
        """Does its Nagios notify people now?"""
        return self.nagios == Process.RUNNING.value and self.flags is not None and self.flags.get(Flag.NOTIFICATIONS, False)


@frozen
class LeaseView:
    """The master's lease as seen from here: `holder` by etcd's answer now, "" for nobody's, None when it gives none; `left` is for
    how many seconds this host may notify by its own lease file; `said` check_lease's last sentence; `members` each of etcd's with
    what is wrong with it, "" for one that answers as part of a quorum."""

    holder: str | None
    term: int | None
    left: float
    said: str
    members: tuple[tuple[str, str], ...]


@frozen
class Overview:
    config: Config
    this: HostView
    peer: HostView
    verdict: Verdict | None
    runs: tuple[RunRecord, ...]
    lock_file: bool
    time: float
    lease: LeaseView | None = None

    @property
    def open_runs(self) -> tuple[RunRecord, ...]:
        return tuple(run for run in self.runs if run.open)


def gather(config: Config, state: StateFiles, *, now: float | None = None) -> Overview:
    """Look at everything. Nothing that cannot be seen is fatal: it stands among the problems of its host."""
    from nagios_failover.observe import look

    moment = time.time() if now is None else now
    observation = look(config, state)
    return Overview(
        config=config,
        this=_this_host(config, state, moment),
        peer=_peer_host(config, observation.evidence.report or observation.evidence.ssh),
        verdict=observation.verdict,
        runs=tuple(Journal(config.paths.state).runs()),
        lock_file=state.lock_path.exists(),
        time=moment,
        lease=_lease(config, state) if config.quorum.etcd else None,
    )


def _lease(config: Config, state: StateFiles) -> LeaseView:
    try:
        kept = state.lease()
        said = kept.said if kept else "check_lease has not run yet"
    except StateUnreadable as error:
        said = str(error)
    words = Etcd(config.quorum, boot_clock).members()
    answered = next((word for _, word in words if isinstance(word, Held | Free)), None)
    return LeaseView(
        holder=None if answered is None else answered.holder if isinstance(answered, Held) else "",
        term=answered.term if answered else None,
        left=left_here(state),
        said=said,
        members=tuple((url, word.reason if isinstance(word, Away) else "") for url, word in words),
    )


def _this_host(config: Config, state: StateFiles, now: float) -> HostView:
    """This host's Nagios by the same probe as the other's; its role and flags as the state watch judges them."""
    problems: list[str] = []

    def tried(read: Callable[[], T]) -> T | None:
        try:
            return read()
        except FailoverError as error:
            problems.append(f"{config.this_name}: {error}" + (f" (hint: {error.hint})" if error.hint else ""))
            return None

    report = tried(lambda: flags.compare(config, state))
    if report is not None:
        findings = what_is_wrong(config, report)
        problems += [finding.sentence + (f" (hint: {finding.hint})" if finding.hint else "") for finding in findings]
    paused = _pause(state, now)
    seen = tried(lambda: _seen(config.this, probe_here(config))) or HostView(config.this.name, config.this.address)
    return replace(
        seen,
        role=report.role if report else tried(state.role),
        flags=report.actual if report and seen.nagios != Process.MISSING.value else None,
        wanted=report.wanted if report else None,
        overrides=report.overrides if report else (),
        paused=paused,
        suite=True,
        problems=(*seen.problems, *problems),
    )


def what_is_wrong(config: Config, report: FlagReport) -> list[Finding]:
    """The state watch's findings. That a cold standby's stopped Nagios cannot be looked at is as it should be."""
    return [finding for finding in report.findings if not (_cold(config, report.role) and finding.state is State.UNKNOWN)]


def _cold(config: Config, role: RoleRecord | None) -> bool:
    """Is Nagios stopped on a host of this role, as it should be?"""
    return config.pair.standby is Start.COLD and role is not None and role.role is Role.STANDBY


def _pause(state: StateFiles, now: float) -> PauseMarker | None:
    """The pause in force here; a garbled marker is a pause too, and is told by the state watch's findings."""
    try:
        return state.paused(now)
    except StateUnreadable:
        return PauseMarker(by="nobody knows whom", reason="the marker is garbled", since=int(now), until=None)


def probe_here(config: Config) -> HostReport:
    """What the probe says of this host itself. Raises CouldNotLook."""
    host = config.this
    output = shell.run(("sh", "-s"), timeout=config.ssh.timeout, stdin=probe_script(str(host.nagios_cfg), str(config.paths.state)))
    return parse_report(output.stdout, binary=host.nagios_binary.name)


def _peer_host(config: Config, report: HostReport | NoAnswer | Blocked) -> HostView:
    host = config.peer
    if not isinstance(report, HostReport):
        return HostView(host.name, host.address, problems=(f"{host.name}: not seen over ssh: {_reason(report)}",))
    seen = _seen(host, report)
    suite = has_suite(config, report)
    problem = (f"{host.name}: {report.role_problem}",) if report.role_problem and suite else ()
    return replace(
        seen,
        role=report.role,
        wanted=wanted_flags(report.role, config.pair.mode, ()) if report.role else None,
        paused=report.paused,
        suite=suite,
        problems=(*seen.problems, *problem),
    )


def has_suite(config: Config, report: HostReport) -> bool:
    """Is nagios-failover installed there? A master without it is as good; it has no state directory, and so no role."""
    return report.role is not None or report.role_problem != f"there is no {config.paths.state}"


def _seen(host: HostSection, report: HostReport) -> HostView:
    """What a probe brought of a host's Nagios."""
    process = report.process
    if isinstance(process, Blocked):
        return HostView(host.name, host.address, problems=(f"{host.name}: could not look at Nagios: {_reason(process)}",))
    return HostView(
        name=host.name,
        address=host.address,
        nagios=process.value,
        pid=report.pid,
        status_age=report.status_age,
        flags=None if process is Process.MISSING else report.flags,  # what a dead Nagios left in status.dat, nobody does
    )


def _reason(answer: NoAnswer | Blocked) -> str:
    return answer.reason + (f" (hint: {answer.hint})" if isinstance(answer, Blocked) and answer.hint else "")


def summary(overview: Overview) -> str:
    """Who monitors, in one sentence."""
    active = [host for host in (overview.this, overview.peer) if host.active]
    if len(active) == 2:
        return f"TWO hosts notify: {active[0].name} and {active[1].name}"
    if not active:
        unseen = [host.name for host in (overview.this, overview.peer) if host.nagios == "not seen"]
        return f"nobody is seen to notify; {unseen[0]} could not be looked at" if unseen else "NOBODY notifies"
    host = active[0]
    term = f", term {host.role.term}" if host.role else ""
    role = f"{host.role.role}{term}" if host.role else "without a role file"
    return f"{host.name} monitors and notifies ({role})"


def disagreements(overview: Overview) -> list[str]:
    """What does not fit together, each a sentence with the host first. Empty: all is well."""
    this, peer = overview.this, overview.peer
    return [
        *_process_problem(overview.config, this),
        *this.problems,
        *_process_problem(overview.config, peer),
        *peer.problems,
        *_flags_against_role(peer),
        *_role_against_role(this, peer),
    ]


def _process_problem(config: Config, host: HostView) -> list[str]:
    if host.nagios == Process.MISSING.value and not _cold(config, host.role):
        return [f"{host.name}: Nagios does not run"]
    if host.nagios == Process.STOPPED.value:
        return [f"{host.name}: Nagios (PID {host.pid}) is stopped (state T)"]
    return []


def _flags_against_role(peer: HostView) -> list[str]:
    """The other host's own state watch knows of overrides there; what is seen from here is said all the same."""
    if peer.wanted is None or peer.flags is None or peer.role is None or peer.nagios != Process.RUNNING.value:
        return []
    wrong = differing(peer.wanted, peer.flags)
    if not wrong:
        return []
    actual = describe_flags({flag: not on for flag, on in wrong.items()})
    return [f"{peer.name}: role is {peer.role.role}, but Nagios has {actual}; nagios-failover status there says why"]


def _role_against_role(this: HostView, peer: HostView) -> list[str]:
    if not this.role or not peer.role:
        return []
    ours, theirs = this.role, peer.role
    if ours.active and theirs.active:
        low = this.name if ours.term < theirs.term else peer.name
        rule = f"; {low} has the lower term and stands down" if ours.term != theirs.term else "; the terms are equal"
        return [f"both hosts have the role master: {this.name} term {ours.term}, {peer.name} term {theirs.term}{rule}"]
    if ours.role is Role.STANDBY and theirs.role is Role.STANDBY:
        return ["both hosts have the role standby: nobody monitors until you run on one of them: nagios-failover failover"]
    found = []
    if ours.master != theirs.master:
        found.append(f"{this.name} takes {ours.master} for the master, {peer.name} takes {theirs.master}")
    active, passive = (this, peer) if ours.active else (peer, this)
    if active.role and passive.role and active.role.active and passive.role.term > active.role.term:
        found.append(f"{passive.name}: term {passive.role.term} is above the term of the master {active.name}, {active.role.term}")
    return found
