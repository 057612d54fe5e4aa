"""check_master_nagios: is the master's Nagios alive? (On a master: is there a standby?)

Acquire (Look), evaluate (VerdictContext), present (VerdictSummary), main. What the evidence means is decided in
nagios_failover/verdict_of_master.py; the table is in docs/verdicts.md.
"""

from __future__ import annotations

import argparse
import math
import signal
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import nagiosplugin

from nagios_failover import __version__
from nagios_failover.config import Config
from nagios_failover.config_file import load
from nagios_failover.config_sections import HeartbeatSection, LookSection, PathsSection, SshSection
from nagios_failover.config_values import Schema, Seconds
from nagios_failover.errors import FailoverError
from nagios_failover.evidence import Evidence, Heartbeat, HostReport, describe
from nagios_failover.frozen import frozen
from nagios_failover.gather import Times, gather
from nagios_failover.leaving import ends_at_once
from nagios_failover.limits import Limits, above, limits_from
from nagios_failover.observe import look
from nagios_failover.plugin_words import PluginParser, add_line, one_line, unknown
from nagios_failover.probes import probes_by_options
from nagios_failover.state_files import StateFiles
from nagios_failover.user import become_nagios
from nagios_failover.verdict import Verdict
from nagios_failover.verdict_of_master import judge_master
from nagios_failover.words import CONFIG_FILE, State

NAME = "MASTER"

_STATES = {
    State.OK: nagiosplugin.Ok,
    State.WARNING: nagiosplugin.Warn,
    State.CRITICAL: nagiosplugin.Critical,
    State.UNKNOWN: nagiosplugin.Unknown,
}

_DESCRIPTION = """Is the Nagios on the other host alive? One ssh round trip looks at its process and its status.dat, an SQL query
at its heartbeat; only when ssh fails: does the host answer at all, and is this host on the network?"""

_EPILOG = f"""With the configuration file (-C, or {CONFIG_FILE} when neither -C nor -H is given) the look is recorded, and looks
that are recorded are what a failover counts. -H, -l, -p, -w, -c and -t override the file for one look, which is then not recorded.

With -H alone the options and your own ssh configuration are all there is, and ssh is enough: check_master_nagios -H yasu -l hb

RANGE is [@][START:][END] as in the Monitoring Plugins guidelines: 300 alerts above 300 (and below 0), @10:20 inside.
Ages that -w and -c do not name come from the file, or are {LookSection.status_warning:g} and {LookSection.status_critical:g}."""


@frozen
class Seen:
    """A look's outcome, from the configuration file or from options alone."""

    evidence: Evidence
    verdict: Verdict
    seconds: dict[str, float]


@frozen
class Thresholds:
    """Ranges for the two ages; those not given on the command line are the configuration's."""

    heartbeat: tuple[nagiosplugin.Range, nagiosplugin.Range]
    status: tuple[nagiosplugin.Range, nagiosplugin.Range]


class Look(nagiosplugin.Resource):  # type: ignore[misc]
    """Acquire: one look, and its numbers."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._started = time.monotonic()
        self.seen: Seen | None = None
        self.thresholds: Thresholds | None = None

    def probe(self) -> Iterable[nagiosplugin.Metric]:
        options = self._options
        if options.host and not options.config:
            self.seen, self.thresholds = _by_options(options)
        else:
            self.seen, self.thresholds = _by_config(options, self._started)
        yield nagiosplugin.Metric("verdict", self.seen.verdict)
        evidence, seconds = self.seen.evidence, self.seen.seconds
        if isinstance(evidence.heartbeat, Heartbeat):
            yield nagiosplugin.Metric("heartbeat_age", round(evidence.heartbeat.age), "s", min=0, context="heartbeat")
        if isinstance(evidence.ssh, HostReport):
            if evidence.ssh.status_age is not None:
                yield nagiosplugin.Metric("status_age", max(0, round(evidence.ssh.status_age)), "s", min=0, context="status")
            yield nagiosplugin.Metric("ssh_time", round(seconds["ssh"], 3), "s", min=0, context="time")
        if isinstance(evidence.heartbeat, Heartbeat):
            yield nagiosplugin.Metric("database_time", round(seconds["database"], 3), "s", min=0, context="time")


class VerdictContext(nagiosplugin.Context):  # type: ignore[misc]
    """Evaluate: the verdict has been reached by the time it comes here."""

    def evaluate(self, metric: nagiosplugin.Metric, resource: Look) -> nagiosplugin.Result:
        return nagiosplugin.Result(_STATES[metric.value.state], metric=metric)


class NumberContext(nagiosplugin.Context):  # type: ignore[misc]
    """Numbers are perfdata: what they mean depends on the rest of the evidence."""

    def performance(self, metric: nagiosplugin.Metric, resource: Look) -> nagiosplugin.Performance:
        thresholds = getattr(resource.thresholds, self.name, ("", ""))
        return nagiosplugin.Performance(metric.name, f"{metric.value:g}", metric.uom, *thresholds, min=metric.min)


class VerdictSummary(nagiosplugin.Summary):  # type: ignore[misc]
    """Present: the verdict's sentence first, with -v the evidence under it; a hint always."""

    def __init__(self, look: Look) -> None:
        self._look = look

    def ok(self, results: nagiosplugin.Results) -> str:
        return self.problem(results)

    def problem(self, results: nagiosplugin.Results) -> str:
        seen = self._look.seen
        if seen is None:
            return "nothing was looked at"
        if seen.verdict.hint:
            add_line(f"hint: {seen.verdict.hint}")
        return one_line(seen.verdict.sentence)

    def verbose(self, results: nagiosplugin.Results) -> list[str]:
        return [one_line(line) for line in describe(self._look.seen.evidence)] if self._look.seen else []


def _by_config(options: argparse.Namespace, started: float) -> tuple[Seen, Thresholds]:
    config = load(Path(options.config or CONFIG_FILE))
    become_nagios(config)
    timeout = options.timeout or config.look.timeout
    signal.alarm(math.ceil(timeout))
    limits, thresholds = _limits(limits_from(config), options, heartbeat=config.heartbeat, look=config.look)
    overridden = any(getattr(options, name) is not None for name in ("host", "login", "port", "warning", "critical", "timeout"))
    seen = look(
        _overriding(config, options),
        StateFiles(config.paths.state),
        limits=limits,
        record=not overridden,
        timeout=timeout - (time.monotonic() - started),
    )
    return Seen(seen.evidence, seen.verdict, seen.seconds), thresholds


def _overriding(config: Config, options: argparse.Namespace) -> Config:
    """The configuration with the command line's address, user and port."""
    hosts = config.hosts
    if options.host:
        peer = replace(config.peer, address=options.host)
        hosts = tuple(peer if host.name == peer.name else host for host in hosts)
    ssh = replace(config.ssh, user=options.login or config.ssh.user, port=options.port or config.ssh.port)
    return replace(config, hosts=hosts, ssh=ssh)


def _by_options(options: argparse.Namespace) -> tuple[Seen, Thresholds]:
    ssh = SshSection(user=options.login or "", port=options.port or SshSection.port)
    defaults = LookSection()
    plain = Limits(
        heartbeat_warning=above(math.inf),
        heartbeat_critical=above(math.inf),
        status_warning=above(defaults.status_warning),
        status_critical=above(defaults.status_critical),
        restart_grace=defaults.restart_grace,
    )
    limits, thresholds = _limits(plain, options, heartbeat=HeartbeatSection(), look=defaults)
    probes = probes_by_options(ssh, options.host, nagios_cfg=options.nagios_cfg or "", state=str(PathsSection.state))
    times = Times(options.timeout or defaults.timeout, ssh.timeout, HeartbeatSection.timeout, defaults.reach_timeout)
    gathered = gather(probes, times)
    return Seen(gathered.evidence, judge_master(options.host, gathered.evidence, limits), gathered.seconds), thresholds


def _limits(
    limits: Limits, options: argparse.Namespace, *, heartbeat: HeartbeatSection, look: LookSection
) -> tuple[Limits, Thresholds]:
    """-w and -c replace the heartbeat's ages, or status.dat's where there is no database."""
    beats = [nagiosplugin.Range(f"{heartbeat.warning:g}"), nagiosplugin.Range(f"{heartbeat.critical:g}")]
    status = [nagiosplugin.Range(f"{look.status_warning:g}"), nagiosplugin.Range(f"{look.status_critical:g}")]
    kind, ages = ("status", status) if heartbeat.schema is Schema.NONE else ("heartbeat", beats)
    for index, (level, given) in enumerate((("warning", options.warning), ("critical", options.critical))):
        if given is not None:
            ages[index] = given
            limits = replace(limits, **{f"{kind}_{level}": _outside(given)})
    return limits, Thresholds(heartbeat=(beats[0], beats[1]), status=(status[0], status[1]))


def _outside(ages: nagiosplugin.Range) -> Any:
    return lambda age: not ages.match(age)


def _range(text: str) -> nagiosplugin.Range:
    try:
        return nagiosplugin.Range(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a range ({error})") from error


def _timeout(text: str) -> Seconds:
    value = float(text) if text.replace(".", "", 1).isdigit() else 0.0
    if not 1 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 1 to 3600")
    return Seconds(value)


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port")
    return int(text)


def _name(text: str) -> str:
    if not text or text.startswith("-") or any(character.isspace() or not character.isprintable() for character in text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a name")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = PluginParser(
        NAME,
        prog="check_master_nagios",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    add = parser.add_argument
    add("-C", "--config", metavar="FILE", help=f"configuration file (default: {CONFIG_FILE})")
    add("-H", "--hostname", dest="host", metavar="ADDRESS", type=_name, help="the host to look at; without -C: by options alone")
    add("-l", "--logname", dest="login", metavar="USER", type=_name, help="ssh user there")
    add("-p", "--port", metavar="PORT", type=_port, help="ssh port there")
    add("-w", "--warning", metavar="RANGE", type=_range, help="age of the heartbeat in seconds (without a database: of status.dat)")
    add("-c", "--critical", metavar="RANGE", type=_range, help="the same, where it is stale")
    add("-t", "--timeout", metavar="SECONDS", type=_timeout, help=f"of the whole check (default: {LookSection.timeout:g})")
    add("--nagios-cfg", metavar="FILE", help="by options alone: nagios.cfg on that host (default: looked for)")
    add("-v", "--verbose", action="count", default=0, help="the evidence under the verdict (-vvv: a traceback too)")
    add("-V", "--version", action="version", version=f"check_master_nagios {__version__} (nagios-failover {__version__})\n")
    return parser


@ends_at_once
@nagiosplugin.guarded(verbose=0)  # type: ignore[untyped-decorator]
def main(argv: Sequence[str] | None = None) -> None:
    """Entry point. A probe that still hangs is left behind."""
    options = _parser().parse_args(argv)
    nagiosplugin.runtime.Runtime().verbose = min(options.verbose, 3) if options.verbose >= 3 else 0
    seen = Look(options)
    check = nagiosplugin.Check(
        seen,
        VerdictContext("verdict"),
        NumberContext("heartbeat"),
        NumberContext("status"),
        NumberContext("time"),
        VerdictSummary(seen),
    )
    check.name = NAME
    try:
        # The look keeps to its own time limit; the alarm is for what it cannot limit (a state directory that hangs). Once the
        # configuration is read it is set to the limit there.
        check.main(verbose=options.verbose, timeout=math.ceil(options.timeout or LookSection.timeout))
    except FailoverError as error:
        lines = [*error.detail.splitlines(), *([f"hint: {error.hint}"] if error.hint else [])]
        unknown(NAME, str(error), lines)


if __name__ == "__main__":
    main()
