"""What is looked at and printed: `status`, `test`, `check-config` and `history`. Each gathers, prints, and returns the exit
code; nothing here changes anything (`test` sends a mail)."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from nagios_failover import printing
from nagios_failover.config import Config
from nagios_failover.errors import DONE, FAILED, UsageError
from nagios_failover.evidence import PauseMarker
from nagios_failover.printing import moment, span
from nagios_failover.role import describe_flags
from nagios_failover.run_record import RunRecord
from nagios_failover.state_files import StateFiles

if TYPE_CHECKING:
    from nagios_failover.overview import HostView, LeaseView


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, default=str))


def status(config: Config, args: argparse.Namespace) -> int:
    from nagios_failover import overview
    from nagios_failover.as_json import overview_json

    seen = overview.gather(config, StateFiles(config.paths.state))
    if args.json:
        _print_json(overview_json(seen))
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
    for line in _lease_lines(seen.lease) if seen.lease else []:
        print(line)
    for host in (seen.this, seen.peer):
        if host.paused:
            print(f"pause      {host.name}: {pause_words(host.paused)}")
        for override in host.overrides:
            print(f"override   {host.name}: {override.owner}: {describe_flags(override.flags)}, since {moment(override.since)}")
    print(f"last run   {_run_line(seen.runs[0]) if seen.runs else 'none'}")
    for problem in problems:
        print(f"disagrees  {problem}")
    if not problems:
        print("disagrees  nothing")
    return DONE


def _host_row(host: HostView, config: Config) -> tuple[str, ...]:
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


def _lease_lines(lease: LeaseView) -> list[str]:
    """What check_lease said last and for how long this host may notify; whose the lease is, and which members of etcd say so."""
    here = f"valid here for another {lease.left:.0f} s" if lease.left > 0 else "not valid here"
    whose = "nobody has the lease" if not lease.holder else f"{lease.holder} has the lease, the highest term is {lease.term}"
    well = sum(not problem for _, problem in lease.members)
    return [
        f"lease      {here}: {lease.said}",
        f"etcd       {'no answer' if lease.holder is None else whose}; {well} of {len(lease.members)} members answer",
        *(f"etcd       {url}: {problem}" for url, problem in lease.members if problem),
    ]


def pause_words(marker: PauseMarker) -> str:
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
    from nagios_failover.as_json import run_json
    from nagios_failover.journal import Journal

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
