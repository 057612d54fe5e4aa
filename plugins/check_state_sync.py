"""check_state_sync: pulls the master's state and event log to the standby, says how old the copy is, and which objects differ.

Acquire (Copy), evaluate (SyncContext), present (CopySummary), main. What is pulled and how stands in nagios_failover/sync.py.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import nagiosplugin

from nagios_failover import __version__
from nagios_failover.cfg_rules import PULL_MARGIN_SECONDS
from nagios_failover.config import Config
from nagios_failover.config_file import load
from nagios_failover.copies import Copies, CopyRecord
from nagios_failover.drift import Drift, known
from nagios_failover.errors import FailoverError, Refused
from nagios_failover.plugin_words import NumberContext, PluginParser, a_range, add_line, one_line, unknown_because
from nagios_failover.state_files import StateFiles
from nagios_failover.sync import pull, why_not
from nagios_failover.user import become_nagios
from nagios_failover.words import CONFIG_FILE

NAME = "SYNC"

_DESCRIPTION = """Copies the master's status.dat, event log and new log archives to this standby (STATE/sync), by one rsync over the
shared ssh connection, and judges the age of the copy. It also compares the two hosts' resolved objects (objects.cache, the watch
left out): an incident cannot follow to a service that is not there. On a master, and where [sync] is not configured, it does
nothing."""

_EPILOG = """OK, WARNING and CRITICAL go by the age of the copied status.dat: -w and -c are ranges (seconds), by default
[sync] warning and critical. A pull that fails leaves the copy as it was, and is named. WARNING: the other host is a standby
itself; objects differ, or could not be compared. UNKNOWN: the configuration or this host's role cannot be read."""


class Copy(nagiosplugin.Resource):  # type: ignore[misc]
    """Acquire: pull, then look at what is there."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.nothing = ""
        self.trouble: FailoverError | None = None
        self.record: CopyRecord | None = None
        self.age: float | None = None
        self.drift = Drift()

    def probe(self) -> Iterable[nagiosplugin.Metric]:
        state = StateFiles(self.config.paths.state)
        self.nothing = why_not(self.config, state)
        if self.nothing:
            yield nagiosplugin.Metric("trouble", None)
            return
        try:
            self.record = pull(self.config, state, timeout=self.config.sync.timeout)
        except FailoverError as error:
            self.trouble = error
        copies = Copies(state.directory, self.config.peer.name)
        self.record = self.record or copies.record()
        self.drift = known(copies)
        yield nagiosplugin.Metric("trouble", self.trouble)
        if self.record is None:
            yield nagiosplugin.Metric("missing", 1)
            return
        self.age = self.record.age(time.time())
        yield nagiosplugin.Metric("age", round(self.age), "s", min=0)
        yield nagiosplugin.Metric("status_size", self.record.status_size, "B", min=0, context="number")
        yield nagiosplugin.Metric("log_size", self.record.log_size, "B", min=0, context="number")
        yield nagiosplugin.Metric("pull_time", round(self.record.seconds, 2), "s", min=0, context="number")
        yield nagiosplugin.Metric("drift", self.drift.count, min=0)


class TroubleContext(nagiosplugin.Context):  # type: ignore[misc]
    """A pull that failed counts by the age of what is there; a standby in the master's place is worth a word at once."""

    def evaluate(self, metric: nagiosplugin.Metric, resource: Copy) -> nagiosplugin.Result:
        return nagiosplugin.Result(nagiosplugin.Warn if isinstance(metric.value, Refused) else nagiosplugin.Ok, metric=metric)


class MissingContext(nagiosplugin.Context):  # type: ignore[misc]
    """Without any copy a failover would inherit nothing."""

    def evaluate(self, metric: nagiosplugin.Metric, resource: Copy) -> nagiosplugin.Result:
        return nagiosplugin.Result(nagiosplugin.Critical, metric=metric)


class DriftContext(nagiosplugin.Context):  # type: ignore[misc]
    """Objects that differ, or that could not be compared, are for a person to mend by day."""

    def evaluate(self, metric: nagiosplugin.Metric, resource: Copy) -> nagiosplugin.Result:
        return nagiosplugin.Result(nagiosplugin.Warn if resource.drift.sentence() else nagiosplugin.Ok, metric=metric)

    def performance(self, metric: nagiosplugin.Metric, resource: Copy) -> nagiosplugin.Performance:
        return nagiosplugin.Performance(metric.name, metric.value, min=metric.min)


class CopySummary(nagiosplugin.Summary):  # type: ignore[misc]
    """Present: how old the copy is, and why it was not renewed."""

    def __init__(self, copy: Copy) -> None:
        self._copy = copy

    def ok(self, results: nagiosplugin.Results) -> str:
        return self._sentence()

    def problem(self, results: nagiosplugin.Results) -> str:
        trouble, drift = self._copy.trouble, self._copy.drift
        hints = [trouble.hint] if trouble and trouble.hint else []
        if drift.hint:
            hints.append(drift.hint)
        if drift.count:
            hints.append("nagios-failover sync-config --dry-run shows what is to be copied")
        for line in [*drift.named, *(f"hint: {hint}" for hint in hints)]:
            add_line(one_line(line))
        return self._sentence()

    def _sentence(self) -> str:
        copy, this = self._copy, self._copy.config.this.name
        if copy.nothing:
            return one_line(f"{this}: {copy.nothing}")
        why = f"; not renewed: {copy.trouble}" if copy.trouble else ""
        if copy.record is None:
            return one_line(f"{this}: there is no copy of {copy.config.peer.name}'s state{why}")
        sizes = f"status.dat {copy.record.status_size} bytes, log {copy.record.log_size} bytes"
        drift = f"; {copy.drift.sentence()}" if copy.drift.sentence() else ""
        return one_line(f"{this}: the copy of {copy.config.peer.name}'s state is {copy.age or 0.0:.0f} s old ({sizes}){why}{drift}")


def _parser() -> argparse.ArgumentParser:
    parser = PluginParser(
        NAME,
        prog="check_state_sync",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("-C", "--config", metavar="FILE", type=Path, default=Path(CONFIG_FILE), help=f"configuration file (default: {CONFIG_FILE})")
    add("-w", "--warning", metavar="RANGE", type=a_range, help="ages (seconds) that are well; default: [sync] warning")
    add(
        "-c",
        "--critical",
        metavar="RANGE",
        type=a_range,
        help="ages (seconds) above which it is CRITICAL; default: [sync] critical",
    )
    add("-v", "--verbose", action="count", default=0, help="more words (-vvv: a traceback)")
    add("-V", "--version", action="version", version=f"check_state_sync {__version__} (nagios-failover {__version__})\n")
    return parser


@nagiosplugin.guarded(verbose=0)  # type: ignore[untyped-decorator]
def main(argv: Sequence[str] | None = None) -> None:
    """Entry point."""
    options = _parser().parse_args(argv)
    try:
        config = load(options.config)
        become_nagios(config)
        copy = Copy(config)
        warning = options.warning or f"{config.sync.warning:g}"
        critical = options.critical or f"{config.sync.critical:g}"
        check = nagiosplugin.Check(
            copy,
            TroubleContext("trouble"),
            MissingContext("missing"),
            nagiosplugin.ScalarContext("age", warning, critical),
            DriftContext("drift"),
            NumberContext("number"),
            CopySummary(copy),
        )
        check.name = NAME
        check.main(verbose=options.verbose, timeout=round(config.sync.timeout) + PULL_MARGIN_SECONDS)
    except FailoverError as error:
        unknown_because(NAME, error)


if __name__ == "__main__":
    main()
