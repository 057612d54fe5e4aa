"""What each command of `nagios-failover` does: gather, decide, print. Each takes the configuration and its arguments, already
as the Nagios user, and returns the exit code; refusals and failures are raised and printed by cli.py."""

from __future__ import annotations

import argparse
import json
import os
import pwd
import sys
import time
from collections.abc import Callable
from typing import Any

from nagios_failover import printing
from nagios_failover.config import Config
from nagios_failover.errors import DONE, FAILED, Failed, FailoverError, Incomplete, Refused, StateUnreadable, UsageError
from nagios_failover.evidence import HostReport, PauseMarker
from nagios_failover.looks import Look
from nagios_failover.printing import moment, span
from nagios_failover.role import describe_flags
from nagios_failover.run_record import Outcome, RunRecord
from nagios_failover.state_files import StateFiles
from nagios_failover.words import Role, State

Command = Callable[[Config, argparse.Namespace], int]


def operator() -> str:
    """Who gave the command: the person behind sudo, else the user. Asked before the command becomes the Nagios user."""
    try:
        return os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, default=str))


# --- looking ---


def status(config: Config, args: argparse.Namespace) -> int:
    from nagios_failover import overview

    seen = overview.gather(config, StateFiles(config.paths.state))
    if args.json:
        _print_json(overview.as_json(seen))
        return DONE
    problems = overview.disagreements(seen)
    active = [host for host in (seen.this, seen.peer) if host.active]
    printing.emphasised(overview.summary(seen), good=len(active) == 1)
    print()
    printing.table(
        ("HOST", "ROLE", "TERM", "SINCE", "NAGIOS", "STATUS AGE", "FLAGS"),
        [_host_row(host, config) for host in (seen.this, seen.peer)],
    )
    print()
    if seen.verdict:
        print(f"look       {seen.verdict.state.name}: {seen.verdict.sentence}")
        if seen.verdict.hint:
            print(f"hint       {seen.verdict.hint}")
    for host in (seen.this, seen.peer):
        if host.paused:
            print(f"pause      {host.name}: {_pause_words(host.paused)}")
        for override in host.overrides:
            print(f"override   {host.name}: {override.owner}: {describe_flags(override.flags)}, since {moment(override.since)}")
    print(f"last run   {_run_line(seen.runs[0]) if seen.runs else 'none'}")
    for problem in problems:
        print(f"disagrees  {problem}")
    if not problems:
        print("disagrees  nothing")
    return DONE


def _host_row(host: Any, config: Config) -> tuple[str, ...]:
    here = " (this)" if host.name == config.this_name else ""
    role = host.role
    age = "-" if host.status_age is None else span(max(0.0, host.status_age))
    nagios = host.nagios + (f" ({host.pid})" if host.pid and host.nagios != "missing" else "")
    return (
        host.name + here,
        str(role.role) if role else ("no suite" if host.suite is False else "unknown"),
        str(role.term) if role else "-",
        moment(role.since) if role else "-",
        nagios,
        age,
        describe_flags(host.flags) if host.flags is not None else "not seen",
    )


def _pause_words(marker: PauseMarker) -> str:
    until = "until resumed" if marker.until is None else f"until {moment(marker.until)}"
    return f"paused {until} by {marker.by}, since {moment(marker.since)}: {marker.reason or 'no reason given'}"


def test(config: Config, args: argparse.Namespace) -> int:
    from nagios_failover.trials import trials

    bad = 0
    for trial in trials(config, StateFiles(config.paths.state), mail=not args.no_mail):
        word = "-" if trial.ok is None else "OK" if trial.ok else "NOT OK"
        print(f"{printing.mark(word)}  {trial.name:<12}  {trial.sentence}", flush=True)
        if trial.ok is False:
            bad += 1
            if trial.fix:
                print(f"{'':<22}fix: {trial.fix}", flush=True)
    print()
    printing.emphasised(f"{bad} not OK" if bad else "all OK", good=not bad)
    return FAILED if bad else DONE


def check_config(config: Config, args: argparse.Namespace) -> int:
    from nagios_failover.cfg_rules import Kind
    from nagios_failover.examine import examine_both

    findings = examine_both(config)
    for finding in findings:
        print(f"{finding.kind}: {finding.sentence()}")
    wrong = sum(finding.kind is not Kind.ADVICE for finding in findings)
    if findings:
        print()
    advice = len(findings) - wrong
    words = "nothing wrong" if not wrong else f"{wrong} line{'s' if wrong != 1 else ''} to mend"
    printing.emphasised(words + (f", {advice} to consider" if advice else ""), good=not wrong)
    if wrong:
        print("restart Nagios on a host after changing its nagios.cfg")
    return FAILED if wrong else DONE


def history(config: Config, args: argparse.Namespace) -> int:
    from nagios_failover.journal import Journal
    from nagios_failover.overview import run_json

    runs = Journal(config.paths.state).runs()
    if args.run_id is not None:
        runs = [run for run in runs if run.id == args.run_id] or [run for run in runs if run.id.startswith(args.run_id)]
        if len(runs) != 1:
            what = "no run" if not runs else f"{len(runs)} runs"
            raise UsageError(f"{what} with an id that begins with {args.run_id!r}", hint="nagios-failover history")
    if args.json:
        _print_json(run_json(runs[0]) if args.run_id is not None else [run_json(run) for run in runs])
    elif args.run_id is not None:
        _print_run(runs[0])
    elif runs:
        printing.table(("RUN", "KIND", "TERM", "OPENED", "TOOK", "OUTCOME", "WHAT"), [_run_row(run) for run in runs])
    else:
        print(f"{config.this_name}: no runs yet")
    return DONE


def _took(run: RunRecord) -> str:
    return "-" if run.closed is None else span(run.closed - run.opened)


def _what(run: RunRecord) -> str:
    repeats = f" ({run.repeats + 1} times since {moment(run.first)})" if run.repeats else ""
    return run.sentence + repeats + (f" [{run.problem}]" if run.problem else "")


def _run_row(run: RunRecord) -> tuple[str, ...]:
    return (run.id, run.kind, str(run.term), moment(run.opened), _took(run), run.outcome, _what(run))


def _run_line(run: RunRecord) -> str:
    if run.closed is None:
        return f"{run.id}: {run.kind} {run.outcome}, {moment(run.opened)}"
    return f"{run.id}: {run.kind} {run.outcome}, {moment(run.opened)}, took {_took(run)}: {_what(run)}"


def _print_run(run: RunRecord) -> None:
    print(f"run      {run.id}")
    print(f"kind     {run.kind} on {run.host}, term {run.term}")
    print(f"opened   {moment(run.opened)}")
    print(f"closed   {moment(run.closed)} (took {_took(run)})")
    print(f"trigger  {run.trigger or '-'}" + (f", resumed {run.resumed} times" if run.resumed else ""))
    print(f"outcome  {run.outcome}: {_what(run)}")
    if run.steps:
        print()
        rows = [(step.name, step.outcome, "-" if step.seconds is None else span(step.seconds), step.detail) for step in run.steps]
        printing.table(("STEP", "OUTCOME", "TOOK", "DETAIL"), rows)


# --- roles ---


def init(config: Config, args: argparse.Namespace) -> int:
    from nagios_failover.first_role import write_first_role

    for line in write_first_role(config, StateFiles(config.paths.state), master=args.master, force=args.force):
        print(line)
    return DONE


def init_database(config: Config, args: argparse.Namespace) -> int:
    from nagios_failover.programstatus import init_database as create

    for line in create(config):
        print(line)
    return DONE


def failover(config: Config, args: argparse.Namespace) -> int:
    from nagios_failover.failover import run_failover

    state = StateFiles(config.paths.state)
    run = run_failover(config, state, trigger="command", dry_run=args.dry_run, say=_say)
    return _report(run, dry_run=args.dry_run)


def standdown(config: Config, args: argparse.Namespace) -> int:
    from nagios_failover.standdown import run_standdown

    run = run_standdown(config, StateFiles(config.paths.state), trigger="command", force=args.force, say=_say)
    return _report(run)


def _say(sentence: str) -> None:
    """Progress of a run, as it goes."""
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
    print(f"note: {sentence}", file=sys.stderr, flush=True)


def pause(config: Config, args: argparse.Namespace) -> int:
    state = StateFiles(config.paths.state)
    now = int(time.time())
    until = None if args.seconds is None else now + round(args.seconds)
    marker = PauseMarker(by=f"{args.who}@{config.this_name}", reason=args.reason, since=now, until=until)
    old = _pause_here(state)
    state.pause(marker)
    print(f"{config.this_name}: {_pause_words(marker)}")
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
    return _pause_words(marker) if marker else ""


def _pause_there(config: Config, state: StateFiles) -> list[str]:
    """The other host's marker counts too, and the account that looks there cannot remove it."""
    from nagios_failover.observe import look

    report = look(config, state).evidence.ssh
    name = config.peer.name
    if not isinstance(report, HostReport):
        return [f"{name}: not seen ({report.reason}); a pause that stands there, stays"]
    if report.paused is None:
        return [f"{name}: not paused"]
    return [f"{name}: {_pause_words(report.paused)}", f"to end that too, run on {name}: nagios-failover resume"]


def ack(config: Config, args: argparse.Namespace) -> int:
    from nagios_failover.failback import acknowledge

    print(acknowledge(config, StateFiles(config.paths.state)))
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
    from nagios_failover.watch_mail import Said, mail_once

    if seen.state is not State.OK and run is None and any(look.state is State.OK for look in state.looks()[-2:]):
        return
    words = f"{run.kind} {run.outcome}: {run.sentence}" if run else ""
    mail_once(config, state, Said(config.nagios.master_watch, seen.state.name, seen.code, seen.sentence, seen.hint, words))
