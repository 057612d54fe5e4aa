"""Could a switchover begin now, and would a failover go through? Everything that stands in the way, one trial each: what
`nagios-failover test` tries, and what else changes from day to day. check_failover_ready runs the list all the time, so that
redundancy is not lost in silence.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from nagios_failover import cfg_rules, drift, watch_replication
from nagios_failover.config import Config
from nagios_failover.copies import Copies
from nagios_failover.errors import FailoverError
from nagios_failover.evidence import HostReport, PauseMarker
from nagios_failover.journal import Journal
from nagios_failover.nagios_files import read_nagios_cfg
from nagios_failover.observe import Observation, look
from nagios_failover.replica_health import healthy, judge
from nagios_failover.state_files import StateFiles
from nagios_failover.trials import Trial, trials
from nagios_failover.verdict import Code
from nagios_failover.words import Role, State

MIB = 1 << 20


def readiness(config: Config, state: StateFiles) -> Iterator[Trial]:
    """Each as soon as it is known. Changes nothing, mails nothing."""
    yield from (trial for trial in trials(config, state, mail=False) if trial.name != "mail")
    yield _open_run(config, state)
    yield _disk(config)
    began = time.time()
    seen = look(config, state)
    yield from _peer(config, state, seen)
    yield _pause(config, state, seen.evidence.ssh)
    if isinstance(seen.evidence.ssh, HostReport):
        yield _clock(config, seen.evidence.ssh, began=began, ended=time.time())
    yield from _copy(config, state)
    yield from _replication(config, state)


def second_opinion(config: Config) -> Iterator[Trial]:
    """What the pair lacks for good: told by the plugin, but in the way of no switchover and no rejoin."""
    for finding in cfg_rules.check_second_opinion(config):
        fix = "an account at the witness ([witness] accounts), or a fence command ([fence] command)"
        yield Trial("second opinion", False, f"{config.this_name}: {finding.why}", fix)


def _open_run(config: Config, state: StateFiles) -> Trial:
    try:
        left = Journal(state.directory).open_runs()
    except FailoverError as error:
        return Trial("run", False, f"{config.this_name}: {error.what}", error.hint)
    if left:
        fix = "any command, or the handler's next call, goes on with it; nagios-failover history"
        return Trial("run", False, f"{config.this_name}: {left[0].kind} run {left[0].id} is not at its end", fix)
    return Trial("run", True, f"{config.this_name}: no run is open")


def _disk(config: Config) -> Trial:
    """The file systems that a run, Nagios's state and its log are written to."""
    places = {config.paths.state}
    try:
        cfg = read_nagios_cfg(config.this.nagios_cfg)
        places |= {path.parent for path in (cfg.status_file, cfg.state_retention_file, cfg.log_file)}
    except FailoverError:
        pass  # told by the trial of nagios.cfg
    free = {place: _free(place) for place in sorted(places)}
    short = [f"{place} has {left // MIB} MiB free" for place, left in free.items() if left < config.ready.disk_free * MIB]
    if short:
        fix = f"free space there, or lower [ready] disk_free = {config.ready.disk_free} (MiB)"
        return Trial("disk", False, f"{config.this_name}: {', '.join(short)}", fix)
    least = min(free.values(), default=0) // MIB
    return Trial("disk", True, f"{config.this_name}: {least} MiB free at least")


def _free(place: Path) -> int:
    """Bytes that the Nagios user may still write; 0 where that cannot be told."""
    try:
        found = os.statvfs(place)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize


def _peer(config: Config, state: StateFiles, seen: Observation) -> Iterator[Trial]:
    """A standby wants a master that is well, a master a standby that would take over, and terms that fit: the same, or the
    standby's is above the master's (a run that was put back has raised it)."""
    verdict, report = seen.verdict, seen.evidence.ssh
    yield Trial("other host", verdict.state is State.OK or verdict.code is Code.PEER_RETURNED, verdict.sentence, verdict.hint)
    try:
        own = state.role()
    except FailoverError:
        return  # told by the trial of the role
    if not isinstance(report, HostReport) or report.role is None:
        return
    terms = {own.role: own.term, report.role.role: report.role.term}
    if terms.keys() != {Role.MASTER, Role.STANDBY} or terms[Role.STANDBY] < terms[Role.MASTER]:
        what = (
            f"{config.this_name} is {own.role} (term {own.term}), {config.peer.name} {report.role.role} (term {report.role.term})"
        )
        yield Trial("terms", False, f"the roles do not fit together: {what}", "nagios-failover status on both hosts")
    else:
        yield Trial("terms", True, f"the master's term is {terms[Role.MASTER]}, the standby knows {terms[Role.STANDBY]}")


def _pause(config: Config, state: StateFiles, report: object) -> Trial:
    try:
        here = state.paused(time.time())
    except FailoverError as error:
        return Trial("pause", False, f"{config.this_name}: {error.what}", error.hint)
    there = report.paused if isinstance(report, HostReport) else None
    for name, marker in ((config.this_name, here), (config.peer.name, there)):
        if marker:
            return Trial("pause", False, f"{name}: {_paused(marker)}", f"nagios-failover resume on {name}")
    return Trial("pause", True, "no failover is paused")


def _paused(marker: PauseMarker) -> str:
    until = time.strftime("until %Y-%m-%d %H:%M:%S", time.localtime(marker.until)) if marker.until else "until resumed"
    return f"paused {until} by {marker.by}: {marker.reason or 'no reason given'}"


def _clock(config: Config, report: HostReport, *, began: float, ended: float) -> Trial:
    """The other host told its time, in whole seconds, at some moment between the two."""
    least, most = report.now - ended, report.now + 1 - began
    difference = 0.0 if least <= 0 <= most else min(least, most, key=abs)
    if abs(difference) <= config.ready.clock_difference:
        return Trial("clock", True, f"{config.peer.name}: its clock is this host's, as far as can be told")
    ahead = "ahead of" if difference > 0 else "behind"
    sentence = f"{config.peer.name}: its clock is {abs(difference):.0f} s {ahead} {config.this_name}'s"
    return Trial("clock", False, sentence, "let both follow the same time servers (chrony, ntpd, systemd-timesyncd)")


def _copy(config: Config, state: StateFiles) -> Iterator[Trial]:
    """Only a standby copies."""
    try:
        standby = state.role().role is Role.STANDBY
    except FailoverError:
        return
    if not (config.sync.watch and standby):
        return
    record = Copies(state.directory, config.peer.name).record()
    fix = "see what check_state_sync says"
    if record is None:
        yield Trial("copy", False, f"{config.this_name}: there is no copy of {config.peer.name}'s state", fix)
        return
    age = record.age(time.time())
    sentence = f"{config.this_name}: the copy of {config.peer.name}'s state is {age:.0f} s old"
    yield Trial("copy", age <= config.sync.warning, sentence, fix)
    found = drift.known(Copies(state.directory, config.peer.name))
    well = f"{config.this_name}: the same objects as {config.peer.name}"
    fix = found.hint or "nagios-failover sync-config"
    yield Trial("objects", not found.sentence(), f"{config.this_name}: {found.sentence()}" if found.sentence() else well, fix)


def _replication(config: Config, state: StateFiles) -> Iterator[Trial]:
    """What check_replication finds."""
    if not config.replication.watch:
        return
    try:
        role = state.role()
        seen = watch_replication.look(config, state)
    except FailoverError as error:
        yield Trial("replica", False, f"{error.host or config.this_name}: {error.what}", error.hint)
        return
    findings = judge(seen, role, config.peer.name, config.peer.address, config.replication)
    for finding in findings:
        yield Trial("replica", False, f"{config.this_name}: {finding.sentence}", finding.hint)
    lag = seen.status.lag_seconds if seen.status and role.role is Role.STANDBY else None
    if lag is not None and lag > config.replication.lag_warning:
        yield Trial("replica", False, f"{config.this_name}: the replica is {lag} s behind", "see what check_replication says")
    elif not findings:
        yield Trial("replica", True, f"{config.this_name}: {healthy(seen, role)}")
