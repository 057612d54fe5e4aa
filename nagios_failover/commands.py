"""The commands of `nagios-failover` that change something: roles, runs, pauses. Each takes the configuration and its arguments,
already as the Nagios user, and returns the exit code; refusals and failures are raised and printed by cli.py."""

from __future__ import annotations

import argparse
import contextlib
import os
import pwd
import sys
import time
from collections.abc import Callable

from nagios_failover import printing
from nagios_failover.config import Config
from nagios_failover.errors import DONE, Failed, FailoverError, Incomplete, Refused, StateUnreadable
from nagios_failover.evidence import HostReport, PauseMarker
from nagios_failover.looks import Look
from nagios_failover.run_record import Outcome, RunRecord
from nagios_failover.show import pause_words
from nagios_failover.state_files import StateFiles
from nagios_failover.words import Role, State

Command = Callable[[Config, argparse.Namespace], int]


def operator() -> str:
    """Who gave the command: the person behind sudo, else the user. Asked before the command becomes the Nagios user."""
    try:
        return os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def init(config: Config, args: argparse.Namespace) -> int:
    from nagios_failover.first_role import write_first_role

    for line in write_first_role(config, StateFiles(config.paths.state), master=args.master, force=args.force):
        print(line)
    return DONE


def failover(config: Config, args: argparse.Namespace) -> int:
    from nagios_failover.failover import run_failover
    from nagios_failover.journal import anything_open

    state = StateFiles(config.paths.state)
    if not args.dry_run and anything_open(state):
        from nagios_failover.switchover import give_up_for_a_failover

        give_up_for_a_failover(config, state)
    run = run_failover(config, state, trigger="command", dry_run=args.dry_run, fenced_by_hand=args.fenced, say=_say)
    return _report(run, dry_run=args.dry_run)


def switchover(config: Config, args: argparse.Namespace) -> int:
    from nagios_failover.switchover import run_switchover

    run = run_switchover(config, StateFiles(config.paths.state), dry_run=args.dry_run, say=_say)
    return _report(run, dry_run=args.dry_run)


def standdown(config: Config, args: argparse.Namespace) -> int:
    from nagios_failover.standdown import run_standdown

    run = run_standdown(config, StateFiles(config.paths.state), trigger="command", force=args.force, say=_say)
    return _report(run)


def promote(config: Config, args: argparse.Namespace) -> int:
    from nagios_failover.promote_run import run_promote

    run = run_promote(config, StateFiles(config.paths.state), trigger="command", force=args.force, say=_say)
    return _report(run)


def _say(sentence: str) -> None:
    """Progress of a run, as it goes. That nobody reads it any more (`| head`, a closed terminal) must not stop a run half way."""
    with contextlib.suppress(OSError):
        print(sentence, flush=True)


def _report(run: RunRecord, *, dry_run: bool = False) -> int:
    """How a run by hand ended: its sentence, or what went wrong in the three-part form."""
    if dry_run:
        print("nothing was changed (dry run)")
        return DONE
    if run.outcome == Outcome.DONE:
        printing.emphasised(run.sentence, good=True)
        print(f"the whole run: nagios-failover history {run.id}")
        return DONE
    what, _, hint = run.sentence.partition("; hint: ")
    kind = {Outcome.REFUSED: Refused, Outcome.ABORTED: Failed}.get(Outcome(run.outcome), Incomplete)
    raise kind(what, detail=f"the whole run: nagios-failover history {run.id}", hint=hint)


def finish_open_runs(config: Config) -> None:
    """A run that was cut off is finished by any command; what it says goes to standard error. That it cannot be finished now
    keeps no command from its own work."""
    from nagios_failover.journal import anything_open
    from nagios_failover.lock import LockHeld

    state = StateFiles(config.paths.state)
    try:
        if anything_open(state):
            from nagios_failover.resume import resume_open_runs

            for record in resume_open_runs(config, state, say=_say_aside):
                _say_aside(f"{record.kind} run {record.id} was open, and is {record.outcome}: {record.sentence}")
    except LockHeld:
        return
    except FailoverError as error:
        _say_aside(f"an open run could not be finished: {error}")


def _say_aside(sentence: str) -> None:
    with contextlib.suppress(OSError):
        print(f"note: {sentence}", file=sys.stderr, flush=True)


def pause(config: Config, args: argparse.Namespace) -> int:
    state = StateFiles(config.paths.state)
    now = int(time.time())
    until = None if args.seconds is None else now + round(args.seconds)
    marker = PauseMarker(by=f"{args.who}@{config.this_name}", reason=args.reason, since=now, until=until)
    old = _pause_here(state)
    state.pause(marker)
    print(f"{config.this_name}: {pause_words(marker)}")
    if old:
        print(f"{config.this_name}: was {old}")
    print("no failover starts while this stands; it ends with: nagios-failover resume")
    return DONE


def resume(config: Config, args: argparse.Namespace) -> int:
    state = StateFiles(config.paths.state)
    old = _pause_here(state)
    state.resume()
    print(f"{config.this_name}: failover may start again (was {old})" if old else f"{config.this_name}: was not paused")
    for line in _pause_there(config, state):
        print(line)
    return DONE


def _pause_here(state: StateFiles) -> str:
    try:
        marker = state.paused(time.time())
    except StateUnreadable as error:
        return f"paused by a garbled marker: {error}"
    return pause_words(marker) if marker else ""


def _pause_there(config: Config, state: StateFiles) -> list[str]:
    """The other host's marker counts too, and the account that looks there cannot remove it."""
    from nagios_failover.observe import look

    evidence = look(config, state).evidence
    report = evidence.report or evidence.ssh
    name = config.peer.name
    if not isinstance(report, HostReport):
        return [f"{name}: not seen ({report.reason}); a pause that stands there, stays"]
    if report.paused is None:
        return [f"{name}: not paused"]
    return [f"{name}: {pause_words(report.paused)}", f"to end that too, run on {name}: nagios-failover resume"]


def ack(config: Config, args: argparse.Namespace) -> int:
    from nagios_failover.failback import acknowledge

    print(acknowledge(config, StateFiles(config.paths.state)))
    return DONE


def sync_config(config: Config, args: argparse.Namespace) -> int:
    from nagios_failover.sync_config import sync_config as copy

    def ask(question: str) -> bool:
        if args.yes:
            return True
        if not sys.stdin.isatty():
            hint = "run it on a terminal, or with --yes after reading the difference (--dry-run)"
            raise Refused("a command would change, and there is no terminal to ask on", host=config.this_name, hint=hint)
        with contextlib.suppress(EOFError):
            return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
        return False

    copy(config, StateFiles(config.paths.state), ask=ask, say=_say, dry_run=args.dry_run)
    return DONE


def guard(config: Config, args: argparse.Namespace) -> int:
    from nagios_failover.guard import guard as decide

    print(decide(config, StateFiles(config.paths.state)))
    return DONE


def promise(config: Config, args: argparse.Namespace) -> int:
    from nagios_failover import lease_keeper

    act = lease_keeper.give if args.give else lease_keeper.promise
    print(act(config, StateFiles(config.paths.state), to=args.host, seconds=args.seconds))
    return DONE


def watch(config: Config, args: argparse.Namespace) -> int:
    """What cron does on a cold standby: look, and if that is CRITICAL, confirm and run. No Nagios runs here that could call the
    handler, so this also mails what it sees, as the handler does."""
    from nagios_failover.failover import run_failover
    from nagios_failover.observe import look

    state = StateFiles(config.paths.state)
    role = state.role()
    if role.role is not Role.STANDBY:
        _unless_quiet(args, f"{config.this_name}: the role is {role.role}: there is no master to watch")
        return DONE
    seen = look(config, state, by="watch", record=True)
    sentence = f"{seen.verdict.state.name}: {seen.verdict.sentence}"
    if seen.verdict.state is not State.CRITICAL:
        _unless_quiet(args, sentence)
        _mail_what_was_seen(config, state, seen.look)
        return DONE
    print(sentence, flush=True)
    run = run_failover(config, state, trigger="watch", say=_say)
    if run.outcome in (Outcome.REFUSED, Outcome.ABORTED):
        _mail_what_was_seen(config, state, seen.look, run=run)
    return _report(run)


def _unless_quiet(args: argparse.Namespace, sentence: str) -> None:
    if not args.quiet:
        print(sentence, flush=True)


def _mail_what_was_seen(config: Config, state: StateFiles, seen: Look, *, run: RunRecord | None = None) -> None:
    """Once per change, and when it is well again. A single look that is not OK is as good as SOFT: the second one is mailed."""
    from nagios_failover.mail import send_waiting
    from nagios_failover.watch_mail import Said, mail_once

    send_waiting(config, state.directory)
    if seen.state is not State.OK and run is None and any(look.state is State.OK for look in state.looks()[-2:]):
        return
    words = f"{run.kind} {run.outcome}: {run.sentence}" if run else ""
    mail_once(config, state, Said(config.nagios.master_watch, seen.state.name, seen.code, seen.sentence, seen.hint, words))
