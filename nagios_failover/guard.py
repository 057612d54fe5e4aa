"""The guard: run on each host before its Nagios (and its database) starts. A host that wakes up must not go on as the master that
it was: it is passive until it knows that nobody has taken its place.

Nagios starts with the flags of retention.dat, so these are what is set; a running Nagios is left alone. Where databases replicate,
a master's mysqld starts as a held source, read-only, until this host is known to be the master again, and as a replica when another
one is; one that was a replica before (a promotion that is not at its end) stays one.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nagios_failover import flags, mail, observe, shell, witness_record
from nagios_failover.config import Config
from nagios_failover.dialect import Part, drop_in
from nagios_failover.errors import Failed, FailoverError, StateUnreadable
from nagios_failover.etcd import Etcd
from nagios_failover.evidence import Evidence, HostReport, Process
from nagios_failover.frozen import frozen
from nagios_failover.hands import ROOT_HELPER
from nagios_failover.isolation import BY_A_PERSON
from nagios_failover.journal import Journal
from nagios_failover.lease import Free, Held, Word
from nagios_failover.lock import run_lock
from nagios_failover.nagios_files import read_nagios_cfg, read_retained_flags, sync_file
from nagios_failover.overview import probe_here
from nagios_failover.report import SUBJECT
from nagios_failover.retention import with_flags
from nagios_failover.role import Flags, Override, Owner, RoleRecord, differing, lapsed, parse_pairs, role_flags, wanted_flags
from nagios_failover.run_record import Outcome
from nagios_failover.state_files import StateFiles, boot_id, cannot_write, uptime, write_atomically
from nagios_failover.witness_record import Recorded
from nagios_failover.words import Flag, Role

GUARD = "guard"
MASTER_AGAIN = "master again"
AGAIN_SECONDS = 60.0
"""Before a host's database and before its Nagios, the same was decided a moment ago."""
PAUSE_SECONDS = 1.0


@frozen
class Decision:
    """`role` is what this host starts as: master, standby, or None: nobody knows, so a master that is mute. `why` is a sentence.
    `term` and `master` are a standby's; "": the peer."""

    role: Role | None
    why: str
    term: int = 0
    master: str = ""


@frozen
class World:
    """What the guard asks, so that a test can stand in for it."""

    runs: Callable[[], bool]
    evidence: Callable[[], Evidence]
    recorded: Callable[[], list[Recorded]]
    root: Callable[[str], shell.Output]  # a verb of the root helper
    lease: Callable[[], Word | None] = lambda: None  # what etcd says; None without [quorum]
    uptime: Callable[[], float] = uptime
    sleep: Callable[[float], None] = time.sleep


def world_of(config: Config, state: StateFiles) -> World:
    return World(
        runs=lambda: _nagios_runs(config),
        evidence=lambda: observe.look(config, state).evidence,
        recorded=lambda: witness_record.read(config),
        root=lambda verb: shell.run(("sudo", "-n", str(ROOT_HELPER), verb), timeout=config.run.hook_timeout),
        lease=lambda: Etcd(config.quorum, uptime).look() if config.quorum.etcd else None,
    )


def _nagios_runs(config: Config) -> bool:
    with contextlib.suppress(FailoverError):
        return probe_here(config).process in (Process.RUNNING, Process.STOPPED)
    return False


def decide(
    config: Config, role: RoleRecord, fenced: int, evidence: Evidence, recorded: list[Recorded], word: Word | None = None
) -> Decision:
    """What a host that was the master starts as. `fenced` is the term of a fence that was written here, 0 for none. Pure."""
    peer, report = config.peer.name, evidence.report
    theirs = report.role if report else None
    if passed := _passed_in_etcd(config, role, word):
        return replace(passed, term=max(passed.term, fenced))
    follows = theirs.term if theirs and theirs.role is Role.STANDBY and theirs.master == config.this_name else 0
    if fenced > max(role.term, follows):
        return Decision(Role.STANDBY, f"it was fenced by {peer} with term {fenced}", fenced)
    if theirs and theirs.term > role.term and not follows:  # else a run there was given up: its term stays raised
        return Decision(Role.STANDBY, f"{peer} has the higher term {theirs.term}", theirs.term)
    higher = [one for one in recorded if one.term > role.term and one.master != config.this_name]
    if higher:
        best = max(higher, key=lambda one: one.term)
        return Decision(Role.STANDBY, f"the witness {best.account} has recorded the term {best.term} of {best.master}", best.term)
    if theirs and theirs.role is Role.MASTER and theirs.term == role.term and theirs.since < role.since:
        return Decision(Role.STANDBY, f"{peer} has been the master with the same term for longer", role.term)
    if theirs:
        known = "is its standby" if theirs.term > role.term else "has no higher term"
        return Decision(Role.MASTER, f"{peer} answers and {known}")
    if report and report.role_problem == f"there is no {config.paths.state}":
        return Decision(Role.MASTER, f"{peer} answers, and has no suite that could have taken over")
    alone = {one.witness for one in evidence.detours if not isinstance(one.ssh, HostReport)}
    asked = [one.account for one in recorded if not one.problem and one.account.host in alone]
    if asked and not isinstance(evidence.ssh, HostReport):
        return Decision(Role.MASTER, f"the witness {asked[0]} has recorded no higher term, and does not reach {peer} either")
    if isinstance(word, Held | Free) and word.term == role.term:
        return Decision(Role.MASTER, "etcd knows of no higher term, and nobody else has the lease")
    etcd = " nor etcd" if word else ""
    return Decision(None, f"neither {peer} nor a witness with an account{etcd} could say who is the master")


def _passed_in_etcd(config: Config, role: RoleRecord, word: Word | None) -> Decision | None:
    """Where a master has reigned with a higher term, or another host has the lease, it is the master, or about to be."""
    if not isinstance(word, Held | Free):
        return None
    holder = word.holder if isinstance(word, Held) and word.holder != config.this_name else ""
    master = holder if holder in {host.name for host in config.others} else ""
    if word.term > role.term:
        has = f", and {holder} has the lease" if holder else ""
        return Decision(Role.STANDBY, f"etcd knows of the higher term {word.term}{has}", word.term, master)
    return Decision(Role.STANDBY, f"{holder} has the lease in etcd", role.term, master) if holder else None


def guard(config: Config, state: StateFiles, *, world: World | None = None) -> str:
    """Decide, and set what this host's Nagios will start with. Returns a sentence. Raises LockHeld, StateUnreadable, Failed."""
    ready = world or world_of(config, state)
    if ready.runs():
        return f"{config.this_name}: Nagios runs already: there is nothing to guard"
    with run_lock(state.directory, wait=config.run.guard_timeout + 10):
        said = _a_moment_ago(state, ready.uptime())
        if said:
            return said
        sentence = f"{config.this_name}: {_guard(config, state, ready)}"
        write_atomically(state.directory / "guard", f"boot={boot_id()}\nuptime={int(ready.uptime())}\nsaid={sentence}\n")
        return sentence


def _a_moment_ago(state: StateFiles, now: float) -> str:
    try:
        pairs = parse_pairs((state.directory / "guard").read_text(encoding="utf-8"), "guard")
        recent = pairs["boot"] == boot_id() and 0 <= now - float(pairs["uptime"]) <= AGAIN_SECONDS
        return pairs["said"] if recent else ""
    except (OSError, UnicodeDecodeError, KeyError, ValueError, StateUnreadable):
        return ""


def _guard(config: Config, state: StateFiles, world: World) -> str:
    passive = role_flags(config.pair.mode, active=False)
    _start_with(config, passive)
    was_source = _was_source(config, state)
    if was_source:  # should this guard be cut short, the next one has to know it
        with contextlib.suppress(Failed):  # a full disk: it is held all the same
            _mute(state, writes_held=True)
    trouble = _database_starts_as(config, world, "held" if was_source else "replica")
    sentence = _decided(config, state, world, passive, was_source=was_source)
    if sentence.startswith(MASTER_AGAIN):
        if was_source:
            trouble = _database_starts_as(config, world, "source")
        state.remove_override(Owner.ISOLATED)  # last: it knows what the database was
    elif was_source and state.role().role is Role.STANDBY:
        trouble = _database_starts_as(config, world, "replica")
    return sentence + trouble


def _was_source(config: Config, state: StateFiles) -> bool:
    """A master's database: unless its drop-in says replica, and not by a guard that was cut short or did not know the master."""
    path = config.replication.drop_in
    try:
        role, overrides = state.role(), state.overrides()
    except StateUnreadable:
        return False
    if path is None or role.role is not Role.MASTER:
        return False
    if any(one.owner is Owner.ISOLATED and one.writes_held and not lapsed(one, role) for one in overrides):
        return True
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return True
    return text not in {drop_in(Part.REPLICA, semi_sync=semi_sync) for semi_sync in (True, False)}


def _mute(state: StateFiles, *, writes_held: bool) -> None:
    """Until it is known who is the master: whatever ends that gives the database its writes back, where it was the source."""
    role = state.role()
    flags_off = {Flag.NOTIFICATIONS: False}
    state.write_override(Override(Owner.ISOLATED, flags_off, role.term, _last_seen(state, role), writes_held))


def _database_starts_as(config: Config, world: World, part: str) -> str:
    """The drop-in that mysqld reads when it starts. Returns what went wrong, as a sentence's end."""
    if not config.replication.drop_in:
        return ""
    output = world.root(f"database-{part}")
    if part == "held" and not output.well:  # a sudoers file of before does not know it: a replica is read-only, too
        output = world.root("database-replica")
    said = " ".join(f"{output.stdout} {output.stderr}".split())[:300]
    return "" if output.well else f"; the drop-in of a {part} was not written: {said or f'exit code {output.code}'}"


def _decided(config: Config, state: StateFiles, world: World, passive: Flags, *, was_source: bool) -> str:
    try:
        role = state.role()
    except StateUnreadable as error:
        return f"Nagios starts passive: {error}"
    if role.role is not Role.MASTER:
        return f"its role is {role.role}, term {role.term}: Nagios starts passive"
    decision = _ask_until_known(config, state, role, world)
    if decision.role is Role.MASTER:
        others = [override for override in state.overrides() if override.owner is not Owner.ISOLATED]
        _start_with(config, wanted_flags(role, config.pair.mode, others) or passive)
        return f"{MASTER_AGAIN}, term {role.term}: {decision.why}"
    run = Journal(state.directory).open(GUARD, role.term, config.this_name, trigger=GUARD)
    if decision.role is Role.STANDBY:
        with contextlib.suppress(FailoverError):
            flags.count_from_here(config, state, term=decision.term)
        state.write_role(RoleRecord(Role.STANDBY, decision.master or config.peer.name, decision.term, run.id, int(time.time())))
        sentence = f"a standby now, term {decision.term}: {decision.why}"
    else:
        _mute(state, writes_held=was_source)
        sentence = f"mute until it is known who is the master (it was, term {role.term}): {decision.why}; {BY_A_PERSON}"
    run.close(Outcome.DONE, f"{config.this_name}: {sentence}")
    _tell(config, state, run.id, sentence)
    return sentence


def _ask_until_known(config: Config, state: StateFiles, role: RoleRecord, world: World) -> Decision:
    """A network that is just coming up, a peer that boots at the same time: ask again until the time is over."""
    deadline = world.uptime() + config.run.guard_timeout
    fenced = max((override.term for override in state.overrides() if override.owner is Owner.FENCE), default=0)
    while True:
        decision = decide(config, role, fenced, world.evidence(), world.recorded(), world.lease())
        if decision.role is not None or world.uptime() >= deadline:
            return decision
        world.sleep(PAUSE_SECONDS)


def _last_seen(state: StateFiles, role: RoleRecord) -> int:
    """Since when this host may have been replaced without knowing: its last look."""
    looks = state.looks()
    return int(looks[-1].time) if looks else role.since


def _start_with(config: Config, wanted: Flags) -> None:
    """Set the flags that Nagios reads back. Without a retention file it starts with nagios.cfg's, which are a standby's."""
    path: Path = read_nagios_cfg(config.this.nagios_cfg).state_retention_file
    kept = read_retained_flags(path)
    if kept is None or not differing(wanted, kept):
        return
    temporary = path.with_name(f".{path.name}.guard")
    try:
        with (
            path.open(encoding="utf-8", errors="surrogateescape") as old,
            temporary.open("w", encoding="utf-8", errors="surrogateescape") as new,
        ):
            os.fchmod(new.fileno(), path.stat().st_mode & 0o777)
            new.writelines(with_flags(old, wanted))
        temporary.rename(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise cannot_write(path, error) from error
    sync_file(path)


def _tell(config: Config, state: StateFiles, name: str, sentence: str) -> None:
    """Mailed when possible: now, or by the next call of the handler."""
    subject = f"{SUBJECT} {config.this_name}: {sentence.partition(':')[0]}"
    said = f"{config.this_name} was started, and its guard decided before Nagios did anything: {sentence}."
    body = f"{said}\n\nLook at both hosts: nagios-failover status\n"
    with contextlib.suppress(FailoverError):
        mail.deliver(config, state.directory, name, subject, body)
