"""`nagios-failover init`: this host's first role. Without one, nothing of ours changes a flag or acts."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace

from nagios_failover import flags, lease_keeper, witness_record
from nagios_failover.config import Config
from nagios_failover.errors import FailoverError, Refused, StateUnreadable
from nagios_failover.etcd import Etcd
from nagios_failover.evidence import HostReport
from nagios_failover.isolated_database import let_write
from nagios_failover.journal import Journal
from nagios_failover.lease import Away, Free, Held, Outranked
from nagios_failover.lease_steps import MEND
from nagios_failover.lock import A_MOMENT, run_lock
from nagios_failover.role import Override, Owner, RoleRecord
from nagios_failover.run_record import Outcome
from nagios_failover.state_files import StateFiles
from nagios_failover.words import Role


def refusal(this: str, peer: str, old: RoleRecord | str | None, theirs: RoleRecord | None, *, master: bool) -> Refused | None:
    """Why a first role cannot be written without --force. `old` is this host's record, or what is wrong with its file."""
    if isinstance(old, str):
        return Refused(old, host=this, hint="look at both hosts with nagios-failover status; --force overwrites the file")
    if old is not None:
        said = f"it has a role already: {old.role}, master {old.master}, term {old.term}"
        return Refused(said, host=this, hint="--force overwrites it; nagios-failover standdown gives a master's role back")
    if master and theirs is not None and theirs.role is not Role.STANDBY:
        said = f"{peer} has the role {theirs.role} with term {theirs.term}; a second master cannot be"
        return Refused(said, host=this, hint=f"init --standby here, or nagios-failover standdown on {peer}; --force overrules it")
    return None


def first_record(
    this: str, peer: str, old: RoleRecord | None, theirs: RoleRecord | None, *, master: bool, now: int, fenced: int = 0
) -> RoleRecord:
    """A master's term is 1, or above every term that is known, a fence's or the lease's (`fenced`) too, or it would stay mute; a
    standby copies its master's."""
    highest = max((record.term for record in (old, theirs) if record), default=0)
    if master:
        highest = max(highest, fenced)
        return RoleRecord(role=Role.MASTER, master=this, term=highest + 1, run="", since=now)
    return RoleRecord(role=Role.STANDBY, master=peer, term=max(1, highest), run="", since=now)


def write_first_role(config: Config, state: StateFiles, *, master: bool, force: bool) -> list[str]:
    """Write STATE/role, journaled, and set the flags if Nagios runs. Returns what was done, a sentence each. Raises Refused."""
    this, peer = config.this.name, config.peer.name
    with run_lock(config.paths.state, wait=A_MOMENT):
        old = _own_role(state)
        theirs, unseen = _peer_role(config, state)
        refused = refusal(this, peer, old, theirs, master=master)
        if refused and not force:
            raise refused
        known = old if isinstance(old, RoleRecord) else None
        fenced = _fenced(state)
        if master and config.quorum.etcd:
            fenced = max(fenced, _require_lease(config, state))
        record = first_record(this, peer, known, theirs, master=master, now=int(time.time()), fenced=fenced)
        journal = Journal(config.paths.state)
        run = journal.open("init", record.term, this, trigger="command")
        said = [f"{this}: role is {record.role}, master {record.master}, term {record.term}"]
        if refused:
            said.append(f"{this}: overruled by --force: {refused.what}")
        if unseen:
            said.append(f"{peer}: not seen ({unseen}): what its role and term are is not known")
        elif not master and (theirs is None or theirs.role is Role.STANDBY):
            said.append(f"{peer}: it is no master by its role file: until it is one, nobody monitors by right")
        for left in journal.open_runs():
            if left.id != run.id:  # nothing may go on with it after the role was written anew
                journal.run(left.id).close(Outcome.INCOMPLETE, f"given up: the role was written anew by run {run.id}")
                said.append(f"{this}: {left.kind} run {left.id} was open and is given up")
        with suppress(FailoverError):
            flags.count_from_here(config, state, term=record.term)
        if master:
            said += [
                f"not recorded by the witness {problem}" for problem in witness_record.record(config, term=record.term, master=this)
            ]
        held = next((override for override in _overrides(state) if override.owner is Owner.ISOLATED), None)
        state.write_role(replace(record, run=run.id))
        if master and held:  # a person says that this host goes on: with its database
            said += let_write(config, held)
        run.close(Outcome.DONE, said[0])
        return [*said, *_set_flags(config, state)]


def _require_lease(config: Config, state: StateFiles) -> int:
    """The highest term of a master before. Not even --force makes a master without the lease: it would mute itself at once."""
    promised = lease_keeper.promised(state)
    if promised:
        raise Refused(promised, host=config.this_name, hint="etcd is away, or was: the master goes on without it")
    seen = Etcd(config.quorum, lease_keeper.boot_clock).look()
    highest = seen.term if isinstance(seen, Held | Free) else 0
    word = lease_keeper.take(config, state, term=highest + 1)
    if isinstance(word, Away):
        raise Refused(
            f"without the lease there is no master, and etcd does not give it: {word.reason}", host=config.this_name, hint=MEND
        )
    if isinstance(word, Held):
        said = f"the lease is {word.holder}'s for another {word.left:.0f} s"
        raise Refused(said, host=config.this_name, hint=f"nagios-failover standdown on {word.holder}, or wait until it is over")
    if isinstance(word, Outranked):
        raise Refused(
            f"a master with term {word.term} has just had the lease", host=config.this_name, hint="nagios-failover status"
        )
    return highest


def _own_role(state: StateFiles) -> RoleRecord | str | None:
    if not state.role_path.exists():
        state.looks()  # a state directory that is not there is an error of its own
        return None
    try:
        return state.role()
    except StateUnreadable as error:
        return str(error)


def _fenced(state: StateFiles) -> int:
    """The term of a fence that the other host has laid on this one, 0 for none."""
    return max((override.term for override in _overrides(state) if override.owner is Owner.FENCE), default=0)


def _overrides(state: StateFiles) -> list[Override]:
    with suppress(StateUnreadable):
        return state.overrides()
    return []


def _peer_role(config: Config, state: StateFiles) -> tuple[RoleRecord | None, str]:
    from nagios_failover.observe import look

    evidence = look(config, state).evidence
    report = evidence.report or evidence.ssh
    return (report.role, "") if isinstance(report, HostReport) else (None, report.reason)


def _set_flags(config: Config, state: StateFiles) -> list[str]:
    """The role is written whatever comes of the flags: the state watch sets them as soon as it can."""
    try:
        return flags.correct_locked(config, state) or [f"{config.this.name}: Nagios's flags are as the role wants them"]
    except FailoverError as error:
        return [f"{config.this.name}: Nagios's flags are not set now: {error.what}", "the state watch sets them when Nagios runs"]
