"""The commands of `nagios-failover` that make a pair of database servers: root's, who becomes the Nagios user for whatever touches
the state, and root again for the server's files, its socket and its start."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nagios_failover import printing
from nagios_failover.commands import _report as report
from nagios_failover.commands import _say as say
from nagios_failover.commands import finish_open_runs
from nagios_failover.config import Config
from nagios_failover.errors import DONE, FAILED, FailoverError
from nagios_failover.state_files import StateFiles
from nagios_failover.user import become_nagios
from nagios_failover.words import Role

if TYPE_CHECKING:
    from nagios_failover.joining import Workflow


def init_database(config: Config, args: argparse.Namespace) -> int:
    """The tables, and with [replication] everything that this host's server needs to be what its role says; FAILED when a table
    differs, whatever else could be done."""
    from nagios_failover.init_database import init_database as create

    role = StateFiles(config.paths.state).role().role if config.replication.watch else None
    code = DONE
    if role is not Role.STANDBY:  # a replica gets its tables from the source
        said = create(config)
        print("\n".join(said.lines))
        code = FAILED if said.differs else DONE
    if role is not None:
        from nagios_failover import own_database
        from nagios_failover.dialect import Part

        become_nagios(config, root_again=True)
        own_database.require_configured(config)
        for line in own_database.make_ready(config, Part.REPLICA if role is Role.STANDBY else Part.SOURCE, restart=args.restart):
            print(line)
        print(_trust(config))
    return code


def _trust(config: Config) -> str:
    """The other host may come later: its certificate is fetched when the command is given again."""
    from nagios_failover.own_database import trust_peer

    try:
        return trust_peer(config) or f"the certificate of {config.peer.name} is trusted"
    except FailoverError as error:
        return f"{error}; give this command again afterwards (hint: {error.hint})"


def setup_standby(config: Config, args: argparse.Namespace) -> int:
    from nagios_failover.setup_standby import WORKFLOW

    become_nagios(config, root_again=True)
    return _join(config, args, WORKFLOW, replace=args.replace)


def rejoin(config: Config, args: argparse.Namespace) -> int:
    from nagios_failover.rejoin import WORKFLOW

    become_nagios(config, root_again=True)
    if not args.dry_run:
        finish_open_runs(config)
    return _join(config, args, WORKFLOW, replace=False)


def _join(config: Config, args: argparse.Namespace, workflow: Workflow, *, replace: bool) -> int:
    from nagios_failover.joining import rehearsal, run_joining

    state = StateFiles(config.paths.state)
    if args.dry_run:
        rehearsal(config, state, workflow, say=say)
        print("nothing was changed (dry run)")
        return DONE
    with progress_bar() as progress:
        run = run_joining(config, state, workflow, replace=replace, restart=args.restart, say=say, progress=progress)
    return report(run)


class Bar:
    """Progress on a terminal; elsewhere nothing: the steps' sentences are enough."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(),
            console=Console(stderr=True, highlight=False, soft_wrap=True),  # what is said meanwhile stays as it is
            transient=True,
        )
        self._task = self._progress.add_task("", total=None, visible=False)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, what: str, done: int, total: int) -> None:
        """The total may be an estimate: the bar is never full before its end."""
        self._progress.update(self._task, description=what, completed=done, total=max(total, done + done // 50 + 1), visible=True)


class Silence:
    def __call__(self, what: str, done: int, total: int) -> None:
        pass


@contextmanager
def progress_bar() -> Iterator[Bar | Silence]:
    if not printing.on_terminal():
        yield Silence()
        return
    with Bar() as bar:
        yield bar
