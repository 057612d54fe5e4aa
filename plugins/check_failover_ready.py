"""check_failover_ready: would a failover go through, could a switchover begin? Tries it all, on both hosts, all the time.

Acquire (Ready), evaluate (TrialsContext), present (ReadySummary), main. What is tried stands in nagios_failover/readiness.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import nagiosplugin

from nagios_failover import __version__
from nagios_failover.config_file import load
from nagios_failover.errors import FailoverError
from nagios_failover.plugin_words import PluginParser, add_line, one_line, unknown_because, whole_seconds
from nagios_failover.readiness import readiness, second_opinion
from nagios_failover.state_files import StateFiles
from nagios_failover.trials import Trial
from nagios_failover.user import become_nagios
from nagios_failover.words import CONFIG_FILE

NAME = "READY"

_DESCRIPTION = """Would a failover go through, could a switchover begin? Tries what either needs: rights, ssh by a new login, the
command file, nagios.cfg, databases, witnesses, the root helper, disk space, clocks, the other host, pauses, open runs, the age of
the copied state. Changes nothing and mails nothing."""

_EPILOG = """WARNING: something stands in the way; the first line says what, the lines below what mends it. UNKNOWN: the
configuration cannot be read."""


class Ready(nagiosplugin.Resource):  # type: ignore[misc]
    """Acquire: everything tried."""

    def __init__(self, config_file: Path) -> None:
        self._config_file = config_file
        self.host = ""
        self.tried: list[Trial] = []

    @property
    def failed(self) -> list[Trial]:
        return [trial for trial in self.tried if trial.ok is False]

    def probe(self) -> Iterable[nagiosplugin.Metric]:
        config = load(self._config_file)
        become_nagios(config)
        self.host = config.this_name
        self.tried = [*readiness(config, StateFiles(config.paths.state)), *second_opinion(config)]
        yield nagiosplugin.Metric("in_the_way", len(self.failed), min=0)


class TrialsContext(nagiosplugin.Context):  # type: ignore[misc]
    """Evaluate: one thing in the way is one too many."""

    def evaluate(self, metric: nagiosplugin.Metric, resource: Ready) -> nagiosplugin.Result:
        return nagiosplugin.Result(nagiosplugin.Warn if metric.value else nagiosplugin.Ok, metric=metric)

    def performance(self, metric: nagiosplugin.Metric, resource: Ready) -> nagiosplugin.Performance:
        return nagiosplugin.Performance(metric.name, metric.value, warn="0", min=0)


class ReadySummary(nagiosplugin.Summary):  # type: ignore[misc]
    """Present: what stands in the way, each with its fix under it; -v shows what is well, too."""

    def __init__(self, ready: Ready) -> None:
        self._ready = ready

    def ok(self, results: nagiosplugin.Results) -> str:
        tried = sum(trial.ok is True for trial in self._ready.tried)
        return f"{self._ready.host}: nothing stands in the way of a failover or a switchover ({tried} things tried)"

    def problem(self, results: nagiosplugin.Results) -> str:
        failed = self._ready.failed
        if not failed:
            return "nothing was tried"
        for index, trial in enumerate(failed):
            if index:
                add_line(f"{trial.name}: {trial.sentence}")
            if trial.fix:
                add_line(f"hint: {trial.fix}")
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        return one_line(f"{failed[0].name}: {failed[0].sentence}") + more

    def verbose(self, results: nagiosplugin.Results) -> list[str]:
        words = {True: "OK", False: "WARNING", None: "-"}
        return [one_line(f"{words[trial.ok]} {trial.name}: {trial.sentence}") for trial in self._ready.tried]


def _parser() -> argparse.ArgumentParser:
    parser = PluginParser(NAME, prog="check_failover_ready", description=_DESCRIPTION, epilog=_EPILOG)
    add = parser.add_argument
    add("-C", "--config", metavar="FILE", type=Path, default=Path(CONFIG_FILE), help=f"configuration file (default: {CONFIG_FILE})")
    add("-t", "--timeout", metavar="SECONDS", type=whole_seconds, default=50, help="of the whole check (default: 50)")
    add("-v", "--verbose", action="count", default=0, help="what is well, too (-vvv: a traceback)")
    add("-V", "--version", action="version", version=f"check_failover_ready {__version__} (nagios-failover {__version__})\n")
    return parser


@nagiosplugin.guarded(verbose=0)  # type: ignore[untyped-decorator]
def main(argv: Sequence[str] | None = None) -> None:
    """Entry point."""
    options = _parser().parse_args(argv)
    ready = Ready(options.config)
    check = nagiosplugin.Check(ready, TrialsContext("in_the_way"), ReadySummary(ready))
    check.name = NAME
    try:
        check.main(verbose=options.verbose, timeout=options.timeout)
    except FailoverError as error:
        unknown_because(NAME, error)


if __name__ == "__main__":
    main()
