"""check_replication: does this host's database follow the other's, or, on the master, is it followed?

Acquire (Replication), evaluate (FindingContext, LagContext), present (ReplicationSummary), main. What is looked at stands in
nagios_failover/watch_replication.py, and what is wrong with it in nagios_failover/replica_health.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import nagiosplugin

from nagios_failover import __version__
from nagios_failover.config import Config
from nagios_failover.config_file import load
from nagios_failover.errors import DatabaseFault, FailoverError
from nagios_failover.plugin_words import NumberContext, PluginParser, a_range, add_line, one_line, unknown_because
from nagios_failover.replica_health import Finding, Seen, healthy, judge
from nagios_failover.role import RoleRecord
from nagios_failover.state_files import StateFiles
from nagios_failover.user import become_nagios
from nagios_failover.watch_replication import look
from nagios_failover.words import CONFIG_FILE, Role, State

NAME = "REPLICATION"

_DESCRIPTION = """Looks at this host's own database server by the role of the host. A standby's has to be a healthy read-only
replica: threads, lag, what was last received, GTID, TLS, filters, transactions that its source lacks, semi-synchronous
replication. A master's has to be a writable source with a replica attached. Where [replication] is not configured it does
nothing."""

_EPILOG = """-w and -c are ranges for the replica's lag in seconds, by default [replication] lag_warning and lag_critical; a lag
that is not known is not 0. CRITICAL: a thread stands still, a writable replica, a role that the database does not follow, a
server that does not answer. UNKNOWN: the configuration, this host's role or the server cannot be looked at."""


class Replication(nagiosplugin.Resource):  # type: ignore[misc]
    """Acquire: one look at the server."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.role: RoleRecord | None = None
        self.seen: Seen | None = None
        self.findings: list[Finding] = []

    def probe(self) -> Iterable[nagiosplugin.Metric]:
        config = self.config
        if not config.replication.watch:
            yield nagiosplugin.Metric("finding", None)
            return
        state = StateFiles(config.paths.state)
        self.role = state.role()
        try:
            self.seen = look(config, state)
        except DatabaseFault as error:
            if error.answered:
                raise
            self.findings = [Finding(State.CRITICAL, error.what, error.hint)]
        else:
            self.findings = judge(self.seen, self.role, config.peer.name, config.peer.address, config.replication)
        yield nagiosplugin.Metric("finding", None)
        for finding in self.findings:
            yield nagiosplugin.Metric("finding", finding)
        if self.seen and self.seen.status and self.seen.status.lag_seconds is not None:
            yield nagiosplugin.Metric("lag", self.seen.status.lag_seconds, "s", min=0)
        if self.seen and self.seen.silent_for is not None:
            yield nagiosplugin.Metric("silence", round(self.seen.silent_for, 1), "s", min=0, context="number")
        if self.seen and self.role.role is Role.MASTER:
            yield nagiosplugin.Metric("replicas", len(self.seen.attached), min=0, context="number")


class FindingContext(nagiosplugin.Context):  # type: ignore[misc]
    """What is wrong besides the lag."""

    def evaluate(self, metric: nagiosplugin.Metric, resource: Replication) -> nagiosplugin.Result:
        states = {State.WARNING: nagiosplugin.Warn, State.CRITICAL: nagiosplugin.Critical}
        state = states[metric.value.state] if metric.value else nagiosplugin.Ok
        return nagiosplugin.Result(state, metric.value and metric.value.sentence, metric)


class LagContext(nagiosplugin.ScalarContext):  # type: ignore[misc]
    """The lag counts on a replica that is to be one."""

    def evaluate(self, metric: nagiosplugin.Metric, resource: Replication) -> nagiosplugin.Result:
        result = super().evaluate(metric, resource)
        if result.state == nagiosplugin.Ok:
            return result
        limit = self.critical if result.state == nagiosplugin.Critical else self.warning
        return nagiosplugin.Result(result.state, f"the replica is {metric.value} s behind (threshold {limit} s)", metric)


class ReplicationSummary(nagiosplugin.Summary):  # type: ignore[misc]
    """Present: what is wrong, the worst first, or what is well."""

    def __init__(self, replication: Replication) -> None:
        self._replication = replication

    def ok(self, results: nagiosplugin.Results) -> str:
        replication, this = self._replication, self._replication.config.this.name
        self._add_notes()
        if replication.seen is None or replication.role is None:
            return f"{this}: no replication is configured ([replication] watch)"
        return one_line(f"{this}: {replication.seen.server}: {healthy(replication.seen, replication.role)}")

    def problem(self, results: nagiosplugin.Results) -> str:
        wrong = [result.hint for result in results.most_significant if result.hint]
        wrong += [result.hint for result in results if result.hint and result.hint not in wrong]
        for finding in self._replication.findings:
            if finding.hint:
                add_line(f"hint: {finding.hint}")
        self._add_notes()
        return one_line(f"{self._replication.config.this.name}: {'; '.join(wrong)}")

    def _add_notes(self) -> None:
        for note in self._replication.seen.notes if self._replication.seen else ():
            add_line(note)


def _parser() -> argparse.ArgumentParser:
    parser = PluginParser(NAME, prog="check_replication", description=_DESCRIPTION, epilog=_EPILOG)
    add = parser.add_argument
    add("-C", "--config", metavar="FILE", type=Path, default=Path(CONFIG_FILE), help=f"configuration file (default: {CONFIG_FILE})")
    add(
        "-w",
        "--warning",
        metavar="RANGE",
        type=a_range,
        help="lags (seconds) that are well; default: [replication] lag_warning",
    )
    add(
        "-c",
        "--critical",
        metavar="RANGE",
        type=a_range,
        help="lags above which it is CRITICAL; default: [replication] lag_critical",
    )
    add("-v", "--verbose", action="count", default=0, help="more words (-vvv: a traceback)")
    add("-V", "--version", action="version", version=f"check_replication {__version__} (nagios-failover {__version__})\n")
    return parser


def longest_look(config: Config) -> int:
    """Seconds: connecting takes two waits, here and there, a statement one."""
    return round(6 * config.replication.timeout) + 1


@nagiosplugin.guarded(verbose=0)  # type: ignore[untyped-decorator]
def main(argv: Sequence[str] | None = None) -> None:
    """Entry point."""
    options = _parser().parse_args(argv)
    try:
        config = load(options.config)
        become_nagios(config)
        replication = Replication(config)
        warning = options.warning or f"{config.replication.lag_warning:g}"
        critical = options.critical or f"{config.replication.lag_critical:g}"
        check = nagiosplugin.Check(
            replication,
            FindingContext("finding"),
            LagContext("lag", warning, critical),
            NumberContext("number"),
            ReplicationSummary(replication),
        )
        check.name = NAME
        check.main(verbose=options.verbose, timeout=longest_look(config))
    except FailoverError as error:
        unknown_because(NAME, error)


if __name__ == "__main__":
    main()
