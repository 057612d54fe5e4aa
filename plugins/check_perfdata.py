"""check_perfdata: how the trend data is loaded: what waits and for how long, rows per second, what was set aside or dropped.

Acquire (Queue), evaluate (contexts), present (QueueSummary), main. It looks at the loader's files and at Nagios's status.dat only,
so that it says the same whatever state the database is in.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import nagiosplugin

from nagios_failover import __version__
from nagios_failover.config import Config
from nagios_failover.config_file import load
from nagios_failover.errors import FailoverError
from nagios_failover.nagios_files import read_nagios_cfg, read_program_status
from nagios_failover.perfdata_counts import RATE_SECONDS, CountFiles, DroppedCounts, LoaderCounts
from nagios_failover.perfdata_queue import PerfdataFiles
from nagios_failover.plugin_words import NumberContext, PluginParser, a_range, add_line, one_line, unknown_because
from nagios_failover.printing import span
from nagios_failover.state_files import StateFiles
from nagios_failover.user import become_nagios
from nagios_failover.words import CONFIG_FILE, Role

NAME = "PERFDATA"

_DESCRIPTION = """Says how the trend data gets from Nagios into the database: how much waits and for how long, how many rows are
loaded per second, what was set aside (malformed lines) or dropped (a queue beyond its limits). On a standby, and where no trend
data is configured, it is OK."""

_EPILOG = """OK, WARNING and CRITICAL go by the age of the oldest file that waits (-w and -c, ranges in seconds, by default
[perfdata] warning and critical) and, where they are given, by the number of files. WARNING: something was dropped or set aside
within [perfdata] lost_warning; performance data is switched off in Nagios. UNKNOWN: the configuration, the role or the queue cannot
be read."""

SWITCHED_OFF = "Nagios hands over no performance data: it is switched off there"


class Queue(nagiosplugin.Resource):  # type: ignore[misc]
    """Acquire: the role, the queue, and what the loader has counted."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.now = time.time()
        self.nothing = ""
        self.off = ""
        self.age = 0.0
        self.waiting = 0
        self.counts = self.fetched = LoaderCounts()
        self.dropped = DroppedCounts()

    def probe(self) -> Iterable[nagiosplugin.Metric]:
        role = StateFiles(self.config.paths.state).role()
        files = PerfdataFiles(self.config.paths.state)
        queue = files.queue() if files.queue_directory.is_dir() else []
        sizes = files.sizes(queue)
        self.nothing = self._why_not(role.role, sum(1 for size in sizes if size))
        if self.nothing:
            yield nagiosplugin.Metric("lost", "")
            return
        self.off = self._is_off()
        kept = CountFiles(files.directory)
        self.counts, self.dropped = kept.counts(), kept.dropped()
        self.fetched = CountFiles(files.fetched_from(self.config.peer.name).directory).counts()
        self.waiting = len(queue)
        self.age = max(0.0, self.now - queue[0].moment) if queue else 0.0
        yield nagiosplugin.Metric("lost", self.off or self.lost())
        yield nagiosplugin.Metric("age", round(self.age), "s", min=0)
        yield nagiosplugin.Metric("files", self.waiting, min=0)
        yield nagiosplugin.Metric("size", sum(sizes), "B", min=0, context="number")
        yield nagiosplugin.Metric("rows_per_second", self.rate(), min=0, context="number")
        for name, value in (
            ("rows", self.counts.raw_rows + self.counts.bin_rows),
            ("lines_aside", self.counts.lines_aside + self.fetched.lines_aside),
            ("metrics_aside", self.counts.metrics_aside + self.fetched.metrics_aside),
            ("dropped_files", self.dropped.files),
            ("dropped_lines", self.dropped.lines),
        ):
            yield nagiosplugin.Metric(name, value, "c", min=0, context="number")

    def _why_not(self, role: Role, waiting: int) -> str:
        if self.config.database.socket is None or not self.config.perfdata.load:
            return "no trend data is configured ([database] socket, [perfdata] load)"
        if role is Role.MASTER:
            return ""
        left = f"; {files_wait(waiting)} until it is the master" if waiting else ""
        return f"role {role}: no trend data is loaded here{left}"

    def _is_off(self) -> str:
        """Why nothing comes, by Nagios's own status.dat; "" also where that cannot be read, which is other checks' business."""
        try:
            status = read_program_status(read_nagios_cfg(self.config.this.nagios_cfg).status_file)
        except FailoverError:
            return ""
        return SWITCHED_OFF if status.values.get("process_performance_data") == "0" else ""

    def rate(self) -> float:
        """Rows per second in the last minute: nothing where the loader has counted none since."""
        return self.counts.rows_per_second if self.now - self.counts.loaded_at < RATE_SECONDS else 0.0

    def lost(self) -> str:
        """What was dropped or set aside lately; "" for nothing."""
        since = self.now - self.config.perfdata.lost_warning
        parts = []
        if self.dropped.at > since:
            ago = span(self.now - self.dropped.at)
            parts.append(f"{self.dropped.files} files with {self.dropped.lines} lines were dropped, the last {ago} ago")
        for counts, place in ((self.counts, "perfdata"), (self.fetched, f"perfdata/from-{self.config.peer.name}")):
            if counts.aside_at > since:
                aside = f"{counts.lines_aside} lines and {counts.metrics_aside} metrics are set aside"
                ago = span(self.now - counts.aside_at)
                parts.append(f"{aside}, the last {ago} ago (see {CountFiles(Path(place)).aside_path} in [paths] state)")
        return "; ".join(parts)


class LostContext(nagiosplugin.Context):  # type: ignore[misc]
    """What is lost stays lost: worth a word for a day, and no more."""

    def evaluate(self, metric: nagiosplugin.Metric, resource: Queue) -> nagiosplugin.Result:
        return nagiosplugin.Result(nagiosplugin.Warn if metric.value else nagiosplugin.Ok, metric=metric)


def files_wait(count: int) -> str:
    return "1 file waits" if count == 1 else f"{count} files wait"


class QueueSummary(nagiosplugin.Summary):  # type: ignore[misc]
    """Present: what waits, how fast it goes, and what is lost."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def ok(self, results: nagiosplugin.Results) -> str:
        return self._sentence()

    def problem(self, results: nagiosplugin.Results) -> str:
        if self._queue.waiting and self._queue.age > self._queue.config.perfdata.warning:
            log = self._queue.config.paths.state / "perfdata" / "loader.log"
            add_line(f"hint: {log} says why it waits")
        if self._queue.off:
            add_line("hint: ENABLE_PERFORMANCE_DATA to Nagios's command file; process_performance_data=1 in nagios.cfg")
        return self._sentence()

    def _sentence(self) -> str:
        queue = self._queue
        if queue.nothing:
            return one_line(f"{queue.config.this.name}: {queue.nothing}")
        waits = f"{files_wait(queue.waiting)}, the oldest for {span(queue.age)}" if queue.waiting else "nothing waits"
        parts = [f"{waits}, {queue.rate():g} rows/s in the last minute", queue.off, queue.lost()]
        return one_line(f"{queue.config.this.name}: {'; '.join(filter(None, parts))}")


def _parser() -> argparse.ArgumentParser:
    parser = PluginParser(NAME, prog="check_perfdata", description=_DESCRIPTION, epilog=_EPILOG)
    add = parser.add_argument
    add("-C", "--config", metavar="FILE", type=Path, default=Path(CONFIG_FILE), help=f"configuration file (default: {CONFIG_FILE})")
    add("-w", "--warning", metavar="RANGE", type=a_range, help="age (seconds) of the oldest file; default: [perfdata] warning")
    add("-c", "--critical", metavar="RANGE", type=a_range, help="age (seconds) of the oldest file; default: [perfdata] critical")
    add("--files-warning", metavar="RANGE", type=a_range, default="", help="number of files that wait; default: any")
    add("--files-critical", metavar="RANGE", type=a_range, default="", help="number of files that wait; default: any")
    add("-v", "--verbose", action="count", default=0, help="more words (-vvv: a traceback)")
    add("-V", "--version", action="version", version=f"check_perfdata {__version__} (nagios-failover {__version__})\n")
    return parser


@nagiosplugin.guarded(verbose=0)  # type: ignore[untyped-decorator]
def main(argv: Sequence[str] | None = None) -> None:
    """Entry point."""
    options = _parser().parse_args(argv)
    try:
        config = load(options.config)
        become_nagios(config)
        queue = Queue(config)
        check = nagiosplugin.Check(
            queue,
            LostContext("lost"),
            nagiosplugin.ScalarContext(
                "age", options.warning or f"{config.perfdata.warning:g}", options.critical or f"{config.perfdata.critical:g}"
            ),
            nagiosplugin.ScalarContext("files", options.files_warning, options.files_critical),
            NumberContext("number"),
            QueueSummary(queue),
        )
        check.name = NAME
        check.main(verbose=options.verbose)
    except FailoverError as error:
        unknown_because(NAME, error)


if __name__ == "__main__":
    main()
