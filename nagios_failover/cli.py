"""The command `nagios-failover`: its arguments, its exit codes, and how it says that something went wrong.

Exit codes: 0 done, 1 failed and nothing changed (test, check-config, audit: something is not OK), 2 wrong usage or configuration,
3 refused before acting, 4 incomplete: something changed and a person is needed, 130 interrupted.
What each command does is in commands.py, show.py and show_incidents.py.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, Protocol

from nagios_failover import __version__, commands, replication_commands, show, show_incidents, show_trend
from nagios_failover.config import Config
from nagios_failover.config_file import load
from nagios_failover.config_values import duration
from nagios_failover.errors import DONE, FAILED, FailoverError, UsageError
from nagios_failover.metrics import HOST_SERVICE
from nagios_failover.user import become_nagios
from nagios_failover.words import CONFIG_FILE

INTERRUPTED = 130
ERRORS_LOG_LIMIT = 200_000

EXIT_CODES = """exit codes:
  0 done    1 failed, nothing changed (test, check-config, audit: something is not OK)    2 wrong usage or configuration
  3 refused before acting    4 incomplete: something changed and a person is needed    130 interrupted"""


class Parser(argparse.ArgumentParser):
    """argparse that speaks as the other errors do."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"{self.prog} --help")


class Add(Protocol):
    """Adds a command; what is common to all is set."""

    def __call__(self, name: str, run: commands.Command, summary: str, details: str = "") -> Parser: ...


def build_parser() -> Parser:
    common = Parser(add_help=False)
    # SUPPRESS: a -C before the command is not overwritten by the command's own default
    common.add_argument("-C", "--config", type=Path, default=argparse.SUPPRESS, metavar="FILE", help=f"default: {CONFIG_FILE}")
    parser = Parser(
        prog="nagios-failover",
        parents=[common],
        description="Keeps a Nagios monitoring service running when the host that provides it dies.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"nagios-failover {__version__}")
    found = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)

    def add(name: str, run: commands.Command, summary: str, details: str = "") -> Parser:
        added: Parser = found.add_parser(
            name,
            parents=[common],
            help=summary,
            description=f"{summary[:1].upper()}{summary[1:]}. {details}".strip(),
            epilog=EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(run=run, stays_root=False, finishes_runs=True)
        return added

    for add_some in (
        _add_showing,
        _add_setting_up,
        _add_role_changes,
        _add_holding,
        _add_incidents,
        _add_joining,
        _add_boot_and_lease,
        _add_trend_and_watch,
    ):
        add_some(add)
    return parser


def _add_showing(add: Add) -> None:
    status = add(
        "status",
        show.status,
        "show both hosts, roles, terms, flags, and what disagrees",
        "The exit code is 0 whatever it shows.",
    )
    status.add_argument("--json", action="store_true", help="everything, with stable keys")
    test = add("test", show.test, "try out everything that a failover will need, one line each, with the fix")
    test.add_argument("--no-mail", action="store_true", help="do not send the test mail")
    check = add("check-config", show.check_config, "list every line of both hosts' nagios.cfg that is wrong, and the right one")
    check.set_defaults(finishes_runs=False)


def _add_setting_up(add: Add) -> None:
    init = add("init", commands.init, "write this host's first role", "Refuses to overwrite one.")
    role = init.add_mutually_exclusive_group(required=True)
    role.add_argument("--master", action="store_true", help="this host monitors")
    role.add_argument("--standby", action="store_true", help="this host waits")
    init.add_argument("--force", action="store_true", help="overwrite the role that is there")
    init.set_defaults(finishes_runs=False)  # it gives them up
    database = add(
        "init-database",
        replication_commands.init_database,
        "make this host's database server ready: its tables, the accounts, and what replication needs",
        "A table that is there is not changed; the exit code is 1 when one differs.",
    )
    database.add_argument("--restart", action="store_true", help="the database server may be restarted for its new settings")
    database.set_defaults(stays_root=True, finishes_runs=False)


def _add_role_changes(add: Add) -> None:
    failover = add("failover", commands.failover, "take over, now, on the standby")
    failover.add_argument("--dry-run", action="store_true", help="walk the same list and change nothing")
    failover.add_argument("--fenced", action="store_true", help="the old master has no power or no Nagios: you have seen to it")
    switchover = add(
        "switchover", commands.switchover, "change the roles of two healthy hosts, now, on the standby", "Loses nothing."
    )
    switchover.add_argument("--dry-run", action="store_true", help="list all that stands in the way, and change nothing")
    standdown = add("standdown", commands.standdown, "give the role back: this host becomes a standby")
    standdown.add_argument("--force", action="store_true", help="even when nobody is seen to monitor then")
    promote = add(
        "promote",
        commands.promote,
        "make this master's database the source: what a failover had to leave",
        "It may be called as often as it takes, and changes nothing that is done already.",
    )
    promote.add_argument("--force", action="store_true", help="give up what the replica has received and not applied")


def _add_holding(add: Add) -> None:
    pause = add("pause", commands.pause, "no failover until `resume`", "From either host; on the master, its standby sees it.")
    pause.add_argument("--for", dest="seconds", type=_duration, metavar="TIME", help="end it by itself: 90, 10m, 2h")
    pause.add_argument("--reason", default="", metavar="TEXT", help="shown by status and by the checks")
    pause.set_defaults(finishes_runs=False)  # whoever stops the automation does not want it to go on first
    add("resume", commands.resume, "end the pause")
    add("ack", commands.ack, "release the block that a failover puts on the automatic way back")
    history = add("history", show.history, "list the runs, newest first, or show one of them")
    history.add_argument("run_id", nargs="?", metavar="RUN", help="a run's id, or its beginning")
    history.set_defaults(finishes_runs=False)
    history.add_argument("--json", action="store_true", help="everything, with stable keys")


def _add_incidents(add: Add) -> None:
    copied = add(
        "sync-config",
        commands.sync_config,
        "copy the master's object configuration ([sync] config_dirs) to this standby",
        "Shows the difference, and asks where a command changes.",
    )
    copied.add_argument("--dry-run", action="store_true", help="fetch, compare, let Nagios verify it, and change nothing")
    copied.add_argument("--yes", action="store_true", help="do not ask where a command changes")
    incidents = add(
        "incidents",
        show_incidents.incidents,
        "list the open incidents, who was notified, when and by which host",
        "With --audit: every PROBLEM and RECOVERY that went out more than once, not at all, or is in doubt; exit code 1 for any.",
    )
    incidents.add_argument("--audit", action="store_true", help="compare both hosts' event logs over the failovers")
    incidents.add_argument(
        "--since",
        type=show_incidents.since,
        metavar="TIME",
        help="from when: 2h, 2026-11-25 (default: a day before the last failover)",
    )
    incidents.add_argument(
        "--mail-log",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="compare with what left: msmtp, postfix, JSON lines",
    )
    incidents.add_argument("--json", action="store_true", help="everything, with stable keys")
    incidents.set_defaults(finishes_runs=False)


def _add_joining(add: Add) -> None:
    setup = add(
        "setup-standby",
        replication_commands.setup_standby,
        "make this host's database a replica of the master's",
        "Can be given again: what was cut short is finished, and a healthy replica is left alone.",
    )
    setup.add_argument("--replace", action="store_true", help="what this host's server holds may be replaced by the source's")
    rejoin = add(
        "rejoin", replication_commands.rejoin, "the old master, repaired, becomes the standby: its role, its database, its Nagios"
    )
    for one in (setup, rejoin):
        one.add_argument("--restart", action="store_true", help="the database server may be restarted for its new settings")
        one.add_argument("--dry-run", action="store_true", help="walk the same list and change nothing")
        one.set_defaults(stays_root=True, finishes_runs=False)


def _add_boot_and_lease(add: Add) -> None:
    guard = add("guard", commands.guard, "before Nagios starts: be passive until it is known who is the master", "For boot.")
    guard.set_defaults(finishes_runs=False)
    promise = add(
        "promise", commands.promise, "take no lease for so long: asked by a master that goes on without etcd", "[quorum]."
    )
    promise.add_argument("host", metavar="HOST", help="who asks")
    promise.add_argument("--give", action="store_true", help="on a master: hold it no more, for a switchover to HOST")
    promise.add_argument("--for", dest="seconds", type=_duration, required=True, metavar="TIME", help="for so long")
    promise.set_defaults(finishes_runs=False)


def _add_trend_and_watch(add: Add) -> None:
    trend = add("trend", show_trend.trend, "show a service's metrics over time, from this host's own database")
    trend.set_defaults(finishes_runs=False)
    trend.add_argument("host", metavar="HOST", help="as Nagios names it")
    trend.add_argument("service", metavar="SERVICE", help=f"as Nagios names it; {HOST_SERVICE}: the check of the host itself")
    trend.add_argument("metric", metavar="METRIC", nargs="?", help="default: all of them")
    trend.add_argument("--since", type=_duration, default=86400.0, metavar="TIME", help="90m, 2h, 30d before now; default: 1d")
    shape = trend.add_mutually_exclusive_group()
    shape.add_argument("--output", type=Path, metavar="FILE", help="a picture, FILE.svg or FILE.png")
    shape.add_argument("--csv", action="store_true", help="a line for each slot of time, times in UTC")
    shape.add_argument("--json", action="store_true", help="the same, with stable keys")
    watch = add("watch", commands.watch, "look at the master, confirm, and fail over: for cron, on a cold standby")
    watch.add_argument("--once", action="store_true", required=True, help="one look (cron calls it again)")
    watch.add_argument(
        "-q", "--quiet", action="store_true", help="print nothing unless the master is dead (cron mails what is printed)"
    )


def _duration(text: str) -> float:
    try:
        return duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; never a traceback."""
    config = None
    try:
        args = build_parser().parse_args(arguments)
        config = load(getattr(args, "config", Path(CONFIG_FILE)))
        args.who = commands.operator()
        if not args.stays_root:
            become_nagios(config)
        if args.finishes_runs and not getattr(args, "dry_run", False):
            commands.finish_open_runs(config)
        code: int = args.run(config, args)
        sys.stdout.flush()
        return code
    except FailoverError as error:
        print(error.lines(), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("error: interrupted" + _what_goes_on(config), file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `nagios-failover history | head`: whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:  # noqa: BLE001  the last resort: one sentence for the person, the rest for whoever mends it
        where = _keep_traceback(config)
        print(
            f"error: nagios-failover has a fault: {type(error).__name__}: {' '.join(str(error).split())[:200]}\n"
            f"detail: the details are in {where}\n"
            "hint: report them; nagios-failover status shows what state the pair is in",
            file=sys.stderr,
        )
        return FAILED


def _what_goes_on(config: Config | None) -> str:
    """An interrupted run is not undone: it is open, and will be finished."""
    from nagios_failover.journal import Journal

    try:
        left = Journal(config.paths.state).open_runs() if config else []
    except FailoverError:
        return ""
    if not left:
        return ""
    opened = f"{left[0].kind} run {left[0].id} is open"
    return f"\ndetail: {opened}\nhint: Nagios's next call or any command finishes it; nagios-failover status"


def _keep_traceback(config: Config | None) -> str:
    """Write the traceback to STATE/errors.log; root (before it became the Nagios user) leaves no file there."""
    text = f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {' '.join(sys.argv)}\n{traceback.format_exc()}\n"
    if config is not None and os.geteuid() != 0:
        path = config.paths.state / "errors.log"
        try:
            if path.exists() and path.stat().st_size > ERRORS_LOG_LIMIT:
                path.rename(path.with_suffix(".log.1"))
            with path.open("a", encoding="utf-8") as log:
                log.write(text)
            return str(path)
        except OSError:
            pass
    try:
        with tempfile.NamedTemporaryFile("w", prefix="nagios-failover-", suffix=".log", delete=False) as file:
            file.write(text)
            return file.name
    except OSError as error:
        return f"no file ({error.strerror})"


if __name__ == "__main__":
    sys.exit(main())
