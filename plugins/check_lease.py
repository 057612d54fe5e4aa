"""check_lease: keeps the lease of the master's role in etcd ([quorum]), and says who has it. A watch service on every host: the
master renews by it, a standby looks.

Acquire (Keeper), evaluate (DecisionContext), present (DecisionSummary), main. What follows from what is decided in
nagios_failover/lease.py, and done in nagios_failover/lease_keeper.py.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import nagiosplugin

from nagios_failover import __version__
from nagios_failover.config import Config
from nagios_failover.config_file import load
from nagios_failover.errors import FailoverError
from nagios_failover.lease import Decision
from nagios_failover.lease_keeper import forget, keep_lease, left_here
from nagios_failover.leaving import ends_at_once
from nagios_failover.plugin_words import NumberContext, PluginParser, add_line, one_line, unknown_because
from nagios_failover.state_files import StateFiles
from nagios_failover.user import become_nagios
from nagios_failover.words import CONFIG_FILE, State

NAME = "LEASE"

_STATES = {State.OK: nagiosplugin.Ok, State.WARNING: nagiosplugin.Warn, State.CRITICAL: nagiosplugin.Critical}

_DESCRIPTION = """Keeps the lease of the master's role in etcd ([quorum]): the master renews it, the others look whose it is. A
master that cannot renew it asks the other hosts, and goes on for one lease at a time if all of them promise to stay standbys;
otherwise it notifies nobody and checks nothing before the lease can be over. Where [quorum] is not configured it does nothing."""

_EPILOG = """CRITICAL: this host is a master and has no lease any more. WARNING: etcd does not answer (nobody takes over), the
master goes on without it, nobody holds the lease. UNKNOWN: the configuration or this host's state cannot be read."""


class Keeper(nagiosplugin.Resource):  # type: ignore[misc]
    """Acquire: look, decide, and do it."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.decision = Decision.nothing(f"{config.this_name}: no lease is configured ([quorum] etcd)")

    def probe(self) -> Iterable[nagiosplugin.Metric]:
        state = StateFiles(self._config.paths.state)
        if not self._config.quorum.etcd:
            forget(state)
        else:
            self.decision = keep_lease(self._config, state)
            yield nagiosplugin.Metric("left", math.floor(left_here(state)), "s", min=0, context="number")
        yield nagiosplugin.Metric("decision", self.decision)


class DecisionContext(nagiosplugin.Context):  # type: ignore[misc]
    """Evaluate: it has been judged by the time it comes here."""

    def evaluate(self, metric: nagiosplugin.Metric, resource: Keeper) -> nagiosplugin.Result:
        return nagiosplugin.Result(_STATES[metric.value.state], metric=metric)


class DecisionSummary(nagiosplugin.Summary):  # type: ignore[misc]
    """Present: the decision's sentence, and what mends it."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def ok(self, results: nagiosplugin.Results) -> str:
        return one_line(self._keeper.decision.sentence)

    def problem(self, results: nagiosplugin.Results) -> str:
        if self._keeper.decision.hint:
            add_line(f"hint: {self._keeper.decision.hint}")
        return one_line(self._keeper.decision.sentence)


def _parser() -> argparse.ArgumentParser:
    parser = PluginParser(NAME, prog="check_lease", description=_DESCRIPTION, epilog=_EPILOG)
    add = parser.add_argument
    add("-C", "--config", metavar="FILE", type=Path, default=Path(CONFIG_FILE), help=f"configuration file (default: {CONFIG_FILE})")
    add("-v", "--verbose", action="count", default=0, help="more words (-vvv: a traceback)")
    add("-V", "--version", action="version", version=f"check_lease {__version__} (nagios-failover {__version__})\n")
    return parser


@ends_at_once
@nagiosplugin.guarded(verbose=0)  # type: ignore[untyped-decorator]
def main(argv: Sequence[str] | None = None) -> None:
    """Entry point."""
    options = _parser().parse_args(argv)
    try:
        config = load(options.config)
        become_nagios(config)
        keeper = Keeper(config)
        check = nagiosplugin.Check(keeper, DecisionContext("decision"), NumberContext("number"), DecisionSummary(keeper))
        check.name = NAME
        # etcd and the other hosts have limits of their own; this is for a state directory that hangs.
        check.main(verbose=options.verbose, timeout=math.ceil(4 * config.quorum.timeout + 4 * config.fence.timeout))
    except FailoverError as error:
        unknown_because(NAME, error)


if __name__ == "__main__":
    main()
