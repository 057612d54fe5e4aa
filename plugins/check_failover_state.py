"""check_failover_state: does this host's Nagios do what its role asks for? A volatile watch service on both hosts, whose handler
corrects what differs and finishes a run that was cut off.

Acquire (Role), evaluate (ReportContext), present (ReportSummary), main. What is wrong is decided in nagios_failover/flag_report.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import nagiosplugin

from nagios_failover import __version__
from nagios_failover.config import Config
from nagios_failover.config_file import load
from nagios_failover.errors import Failed, FailoverError
from nagios_failover.flag_report import FlagReport, Problem
from nagios_failover.flags import compare, record
from nagios_failover.leaving import ends_at_once
from nagios_failover.plugin_words import PluginParser, add_line, one_line, unknown_because, whole_seconds
from nagios_failover.role import describe_flags
from nagios_failover.state_files import StateFiles
from nagios_failover.user import become_nagios
from nagios_failover.words import CONFIG_FILE, State

NAME = "FAILOVER"

_STATES = {
    State.OK: nagiosplugin.Ok,
    State.WARNING: nagiosplugin.Warn,
    State.CRITICAL: nagiosplugin.Critical,
    State.UNKNOWN: nagiosplugin.Unknown,
}

_DESCRIPTION = """Does this host's Nagios do what its role asks for? Looks at the role file, at Nagios's flags in status.dat, at
what an operator switched (nagios.log), at open runs, the pause and failover.lock. Changes none of them; its event handler
(handle_master_event) corrects."""

_EPILOG = """CRITICAL: role and flags differ, or a run was cut off. WARNING: the role cannot be read (then nothing is corrected), an
override is in force, a run is on its way, status.dat is old, the pair is paused without an end, failover.lock disagrees with
the role, nagios.cfg does not keep flags, that something is well again was not mailed (its handler was killed, or Nagios has
forgotten that it was not; it is mailed now). UNKNOWN: status.dat or the configuration cannot be read."""


class Role(nagiosplugin.Resource):  # type: ignore[misc]
    """Acquire: this host's state, and what an operator switched since the last look."""

    def __init__(self, config_file: Path) -> None:
        self._config_file = config_file
        self.report: FlagReport | None = None
        self.limit = 0.0

    def probe(self) -> Iterable[nagiosplugin.Metric]:
        config = load(self._config_file)
        become_nagios(config)
        self.limit = config.look.status_critical
        state = StateFiles(config.paths.state)
        self.report = compare(config, state, also=_record(config, state))
        yield nagiosplugin.Metric("report", self.report)
        if self.report.status_age is not None:
            yield nagiosplugin.Metric("status_age", max(round(self.report.status_age), 0), "s", min=0, context="age")
        if self.report.role is not None:
            yield nagiosplugin.Metric("term", self.report.role.term, min=1, context="number")


class ReportContext(nagiosplugin.Context):  # type: ignore[misc]
    """Evaluate: the report has been judged by the time it comes here."""

    def evaluate(self, metric: nagiosplugin.Metric, resource: Role) -> nagiosplugin.Result:
        return nagiosplugin.Result(_STATES[metric.value.state], metric=metric)


class NumberContext(nagiosplugin.Context):  # type: ignore[misc]
    """Numbers are perfdata: what they mean depends on the rest."""

    def performance(self, metric: nagiosplugin.Metric, resource: Role) -> nagiosplugin.Performance:
        warning = f"{resource.limit:g}" if self.name == "age" else ""
        return nagiosplugin.Performance(metric.name, f"{metric.value:g}", metric.uom or "", warning, "", min=metric.min)


class ReportSummary(nagiosplugin.Summary):  # type: ignore[misc]
    """Present: the worst finding first, the others and what mends them under it; -v shows what was looked at."""

    def __init__(self, role: Role) -> None:
        self._role = role

    def ok(self, results: nagiosplugin.Results) -> str:
        report = self._role.report
        return one_line("; ".join([report.sentence, *report.notes])) if report else ""

    def problem(self, results: nagiosplugin.Results) -> str:
        report = self._role.report
        if report is None or not report.findings:
            return "nothing was looked at"
        order = (State.CRITICAL, State.UNKNOWN, State.WARNING)
        findings = sorted(report.findings, key=lambda finding: order.index(finding.state))
        for index, finding in enumerate(findings):
            if index:
                add_line(f"{finding.state.name}: {finding.sentence}")
            if finding.hint:
                add_line(f"hint: {finding.hint}")
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        return one_line(findings[0].sentence) + more

    def verbose(self, results: nagiosplugin.Results) -> list[str]:
        report = self._role.report
        if report is None:
            return []
        lines = [f"seen: {report.sentence}"]
        if report.wanted is not None:
            lines.append(f"wanted: {describe_flags(report.wanted)}")
        lines.extend(f"override: {override.owner}: {describe_flags(override.flags)}" for override in report.overrides)
        return [one_line(line) for line in [*lines, *report.notes]]


def _record(config: Config, state: StateFiles) -> list[Problem]:
    """Write down what an operator switched. What cannot be read, `compare` says; what cannot be written is said here."""
    try:
        record(config, state)
    except Failed as error:
        return (
            [Problem(f"what an operator switches cannot be written down: {error}", error.hint)] if state.directory.is_dir() else []
        )
    except FailoverError:
        pass
    return []


def _parser() -> argparse.ArgumentParser:
    parser = PluginParser(
        NAME,
        prog="check_failover_state",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("-C", "--config", metavar="FILE", type=Path, default=Path(CONFIG_FILE), help=f"configuration file (default: {CONFIG_FILE})")
    add("-t", "--timeout", metavar="SECONDS", type=whole_seconds, default=10, help="of the whole check (default: 10)")
    add("-v", "--verbose", action="count", default=0, help="what was looked at, too (-vvv: a traceback)")
    add("-V", "--version", action="version", version=f"check_failover_state {__version__} (nagios-failover {__version__})\n")
    return parser


@ends_at_once
@nagiosplugin.guarded(verbose=0)  # type: ignore[untyped-decorator]
def main(argv: Sequence[str] | None = None) -> None:
    """Entry point."""
    options = _parser().parse_args(argv)
    role = Role(options.config)
    check = nagiosplugin.Check(role, ReportContext("report"), NumberContext("age"), NumberContext("number"), ReportSummary(role))
    check.name = NAME
    try:
        check.main(verbose=options.verbose, timeout=options.timeout)
    except FailoverError as error:
        unknown_because(NAME, error)


if __name__ == "__main__":
    main()
