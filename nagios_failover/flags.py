"""Nagios's flags on this host: what the role asks for, what Nagios has, and making it so.

`compare` only reads. `record` writes down what an operator switched in the meantime. `correct` does both and sets what differs.
None of them changes a flag where the role cannot be read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from nagios_failover.config import Config
from nagios_failover.errors import CouldNotLook, Failed, FailoverError, StateUnreadable
from nagios_failover.event_log import Position, operators_word
from nagios_failover.flag_report import FlagReport, Limits, OpenRun, Problem, Seen, describe_role, report
from nagios_failover.flag_setting import set_flags
from nagios_failover.journal import Journal
from nagios_failover.lock import A_MOMENT, LockHeld, held_for, is_held, run_lock
from nagios_failover.log_tail import read_new_switches
from nagios_failover.nagios_cfg import NagiosCfg
from nagios_failover.nagios_files import read_nagios_cfg, read_program_status
from nagios_failover.role import Override, Owner, RoleRecord, describe_flags, lapsed, role_flags
from nagios_failover.run_record import Outcome
from nagios_failover.state_files import StateFiles
from nagios_failover.watch_mail import left_behind
from nagios_failover.words import Role

__all__ = ["compare", "correct", "count_from_here", "record", "set_flags"]

T = TypeVar("T")
READ_AGAIN_BYTES = 65536


def compare(config: Config, state: StateFiles, *, also: Sequence[Problem] = ()) -> FlagReport:
    """Look at this host: role, flags, overrides, runs. Reads only. `also`: what the caller has met with, to be told as well.
    Raises ConfigError when nagios.cfg cannot be read."""
    cfg = read_nagios_cfg(config.this.nagios_cfg)
    status = _seen(lambda: read_program_status(cfg.status_file))  # before what explains it: a fence leaves its override first
    role: RoleRecord | Problem = _seen(state.role)
    overrides: list[Override] | Problem = _seen(state.overrides)
    setup = [*also, *_setup_problems(config, cfg), *_left_behind(config, state, cfg)]
    switched = 0
    if isinstance(role, RoleRecord) and isinstance(overrides, list):
        try:
            operator, position = _operators_word(config, cfg, role, overrides, state.log_position())
            switched = position.switched
            overrides = [*(o for o in overrides if o.owner is not Owner.OPERATOR), *([operator] if operator else [])]
        except FailoverError as error:
            setup.append(Problem(f"an operator's change of a flag cannot be told from a lost one: {error}", error.hint))
    open_runs = _open_runs(state, setup)
    setup += [*_hanging_lock(config, state, open_runs), *_garbled_run(state, role)]
    in_transition = bool(open_runs) or (isinstance(role, RoleRecord) and role.role not in (Role.MASTER, Role.STANDBY))
    now = time.time()
    seen = Seen(
        host=config.this.name,
        now=now,
        role=role,
        status=status,
        overrides=overrides,
        paused=_seen(lambda: state.paused(now)),
        has_lock=state.lock_path.exists(),
        track_astray=not in_transition and isinstance(role, RoleRecord) and state.track_path.name in state.signs_astray(role),
        open_runs=open_runs,
        running=in_transition and is_held(state.directory),
        switched=switched,
        setup=setup,
    )
    return report(seen, config.pair.mode, Limits(config.look.status_critical, config.pair.pause_warning))


def record(config: Config, state: StateFiles) -> list[str]:
    """Read what is new in nagios.log and write down which flags the operator keeps. Returns what was written down, a sentence
    each. While a run is on its way nothing is: the flags are the run's. Raises FailoverError."""
    cfg = read_nagios_cfg(config.this.nagios_cfg)
    with state.alone(state.position_path):
        role = state.role()
        if role.role not in (Role.MASTER, Role.STANDBY):
            return []
        overrides = state.overrides()
        before = _of_operator(overrides)
        known = state.log_position()
        operator, position = _operators_word(config, cfg, role, overrides, known)
        if operator and operator != before:
            state.write_override(operator)
        elif before and not operator:
            state.remove_override(Owner.OPERATOR)
        if _worth_writing(known, position):
            state.write_log_position(position)
        if operator and (before is None or operator.flags != before.flags):
            return [f"{config.this.name}: an operator switched {describe_flags(operator.flags)}: kept until switched back"]
        if before and not operator and not lapsed(before, role):
            return [f"{config.this.name}: the operator gave {', '.join(before.flags)} back to the role"]
        return []


def count_from_here(config: Config, state: StateFiles, *, term: int) -> None:
    """The role of this term begins here in nagios.log: what an operator switches after this line is said to that role, be it in
    the very second in which the role is written. Called before the role's flags are sent. Raises FailoverError."""
    cfg = read_nagios_cfg(config.this.nagios_cfg)
    with state.alone(state.position_path):
        _, position = read_new_switches(cfg, state.log_position())
        state.write_log_position(replace(position, term=term))


def correct(config: Config, state: StateFiles) -> list[str]:
    """Make Nagios's flags what the role and the overrides ask for. Returns what was done, a sentence each.

    Takes the lock of the runs, for which it waits a moment, and does nothing while one is on its way or open, nor without a
    readable role. Raises CouldNotLook when status.dat cannot be seen, NoReader or Failed when Nagios does not do it."""
    try:
        with run_lock(state.directory, wait=A_MOMENT):
            return correct_locked(config, state)
    except LockHeld:
        return []


def correct_locked(config: Config, state: StateFiles) -> list[str]:
    """`correct`, for who has the lock of the runs already."""
    host = config.this.name
    try:
        role = state.role()
    except StateUnreadable:
        return []
    if role.role not in (Role.MASTER, Role.STANDBY) or Journal(state.directory).open_runs():
        return []
    try:
        done = record(config, state)
    except (CouldNotLook, Failed) as error:  # a lost log or a full disk must not keep a master passive
        done = [f"{host}: what an operator switched was not written down: {error.what}"]
    done.extend(f"{host}: {sign} follows the role {role.role} again" for sign in state.mend_signs(role))
    for override in state.overrides():
        if override.owner is not Owner.OPERATOR and lapsed(override, role):
            state.remove_override(override.owner)
    seen = compare(config, state)
    if seen.wanted is None:
        return done
    if seen.actual is None or seen.status_age is None or seen.status_age > config.look.status_critical:
        raise CouldNotLook("status.dat does not show Nagios's flags: none is changed", host=host, detail="\n".join(seen.problems))
    flags = seen.wanted if seen.unsettled else seen.differing
    if flags:
        done.extend(set_flags(config, flags))
        done.append(f"{host}: set {describe_flags(flags)}: its role is {describe_role(role)}")
    return done


def _operators_word(
    config: Config, cfg: NagiosCfg, role: RoleRecord, overrides: list[Override], known: Position | None
) -> tuple[Override | None, Position]:
    """What the operator keeps, with the log's new lines read, and how far the log has been read now."""
    changes, position = read_new_switches(cfg, known)
    plain = role_flags(config.pair.mode, active=role.active)
    since = 0 if known and known.term == role.term else role.since  # read on from within this role: order counts, not the clock
    word = operators_word(_of_operator(overrides), changes, plain, term=role.term, since=since)
    return word, replace(position, term=role.term)


def _worth_writing(known: Position | None, now: Position) -> bool:
    """Not at every line: what stands between the two holds no switch, and is soon read again."""
    if known is None or now.offset - known.offset > READ_AGAIN_BYTES:
        return True
    return (known.inode, known.head, known.switched, known.term) != (now.inode, now.head, now.switched, now.term)


def _of_operator(overrides: list[Override]) -> Override | None:
    return next((override for override in overrides if override.owner is Owner.OPERATOR), None)


def _setup_problems(config: Config, cfg: NagiosCfg) -> list[Problem]:
    """What in nagios.cfg takes the ground from under the flags."""
    problems = []
    path: Path = config.this.nagios_cfg
    if not cfg.logs_external_commands:
        problems.append(
            Problem("log_external_commands=0: an operator's change of a flag is turned back", f"log_external_commands=1 in {path}")
        )
    if not cfg.keeps_flags:
        wanted = "retain_state_information=1 and use_retained_program_state=1"
        problems.append(Problem("a restart of Nagios loses its flags", f"{wanted} in {path}"))
    return problems


def _left_behind(config: Config, state: StateFiles, cfg: NagiosCfg) -> list[Problem]:
    waiting = _seen(lambda: left_behind(config, state, cfg.status_file))
    if isinstance(waiting, Problem):
        return []  # the look at the flags says it
    return [Problem(f"{mark.service} was mailed as {mark.what}, and not yet that it is well again") for mark in waiting]


def _open_runs(state: StateFiles, setup: list[Problem]) -> list[OpenRun]:
    try:
        runs = Journal(state.directory).open_runs()
    except StateUnreadable as error:
        setup.append(Problem(str(error), error.hint))
        return []
    return [OpenRun(run.id, run.kind, max(time.time() - run.opened, 0.0)) for run in runs]


def _hanging_lock(config: Config, state: StateFiles, open_runs: Sequence[OpenRun]) -> list[Problem]:
    """Whoever holds the lock keeps every run from starting. A run says in the journal that it is on its way; a correction holds
    it for [nagios] verify_timeout at most, and `init` has looked at the other host before that."""
    holder = None if open_runs else held_for(state.directory)
    if holder is None or holder[1] <= 2 * config.nagios.verify_timeout + config.look.timeout:
        return []
    pid, seconds = holder
    sentence = f"PID {pid} holds the lock of the runs for {seconds:.0f} s, and no run is open: no failover starts"
    return [Problem(sentence, f"look at it with ps -fp {pid}; end it if it is stopped or hangs")]


def _garbled_run(state: StateFiles, role: RoleRecord | Problem) -> list[Problem]:
    """A run whose journal cannot be read cannot be finished: what it had still to do, a person must see to."""
    if isinstance(role, Problem) or not role.run:
        return []
    journal = Journal(state.directory).run(role.run)
    if not journal.path.exists() or journal.record().outcome != Outcome.GARBLED:
        return []
    sentence = f"the journal of run {role.run}, which gave this host its role, cannot be read: was it finished, was it mailed?"
    return [Problem(sentence, f"look at {journal.path}; move it away when that is settled")]


def _seen(read: Callable[[], T]) -> T | Problem:
    """What `read` brings, or the problem that kept it from being seen."""
    try:
        return read()
    except (StateUnreadable, CouldNotLook) as error:
        return Problem(error.what, error.hint)
