"""What nagios.cfg must say for the pair to work. Pure: text and configuration in, findings out; examine.py reads the files.
Nagios's compiled-in values are those of 4.x (include/nagios.h).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum

from nagios_failover.config import Config
from nagios_failover.frozen import frozen
from nagios_failover.metrics import HOST_SERVICE
from nagios_failover.nagios_cfg import NagiosCfg
from nagios_failover.role import role_flags
from nagios_failover.words import Flag

WRITES_PER_AGE = 2
"""A heartbeat is written at least so often within [heartbeat] warning, status.dat within [look] status_warning: one write
that comes late is no warning."""
PULL_MARGIN_SECONDS = 5
"""Between the end of a pull's time and that of check_state_sync."""
HANDLER_SECONDS = 5
"""handle_master_event waits for nothing itself; on a host that is short of CPU its start takes a while."""

PERFDATA_TEMPLATE = r"$LASTSERVICECHECK$\t$HOSTNAME$\t$SERVICEDESC$\t$SERVICEOUTPUT$\t$SERVICESTATE$\t$SERVICEPERFDATA$"
HOST_PERFDATA_TEMPLATE = rf"$LASTHOSTCHECK$\t$HOSTNAME$\t{HOST_SERVICE}\t$HOSTOUTPUT$\t$HOSTSTATE$\t$HOSTPERFDATA$"


class Kind(StrEnum):
    WRONG = "wrong"  # it will not work like this
    ADVICE = "advice"  # it works, but better so
    UNSEEN = "not seen"  # could not look


@frozen
class Finding:
    """One line that is wrong. `place` is the file or object it stands in, `found` and `wanted` whole lines as they stand there
    and as they should; both empty where there is only something to say."""

    kind: Kind
    host: str
    place: str
    found: str
    wanted: str
    why: str

    def sentence(self) -> str:
        if not self.wanted:
            return f"{self.host}: {self.place}: {self.why}"
        return f"{self.host}: {self.place}: {self.found}, should be {self.wanted}: {self.why}"


@frozen
class Rule:
    """One setting. `compiled` is what Nagios uses when the line is missing; `wanted` is shown as the right value."""

    setting: str
    compiled: str
    right: Callable[[str], bool]
    wanted: str
    why: str
    kind: Kind = Kind.WRONG


def exactly(setting: str, wanted: str, compiled: str, why: str, kind: Kind = Kind.WRONG) -> Rule:
    return Rule(setting, compiled, lambda value: value == wanted, wanted, why, kind)


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def between(setting: str, low: float, high: float, wanted: float, compiled: str, why: str) -> Rule:
    def right(value: str) -> bool:
        number = _number(value)
        return number is not None and low <= number <= high

    return Rule(setting, compiled, right, f"{wanted:g}", why)


def rules(config: Config) -> list[Rule]:
    """What nagios.cfg must say on a host with the suite."""
    return [
        *_flag_rules(config),
        *_retention_rules(),
        *_acting_rules(config),
        *_watching_rules(config),
        *(_perfdata_rules(config) if config.database.socket else []),
        *(_host_perfdata_rules(config) if config.database.socket and config.perfdata.load else []),
    ]


def rules_without_suite(config: Config) -> list[Rule]:
    """What a master without the suite must say: only what its standby sees from outside."""
    return [_status_interval(config)]


def _flag_rules(config: Config) -> Iterator[Rule]:
    """Activity comes only from external commands, which retention keeps: nagios.cfg itself is a standby's, on both hosts."""
    settings = {
        Flag.NOTIFICATIONS: "enable_notifications",
        Flag.SERVICE_CHECKS: "execute_service_checks",
        Flag.HOST_CHECKS: "execute_host_checks",
    }
    why = "a host that starts without its saved state must start as a standby; the role turns it on"
    for flag, on in role_flags(config.pair.mode, active=False).items():
        yield exactly(
            settings[flag], "1" if on else "0", "1", why if not on else "in redundancy mode the standby checks as the master does"
        )


def _retention_rules() -> Iterator[Rule]:
    yield exactly("retain_state_information", "1", "0", "a master that restarts must come back as the master")
    yield exactly("use_retained_program_state", "1", "1", "the flags that the role set must outlive a restart")
    for what in ("host", "service", "process_host", "process_service"):
        yield exactly(f"retained_{what}_attribute_mask", "0", "0", "a mask keeps flags from coming back after a restart")


def _acting_rules(config: Config) -> Iterator[Rule]:
    longest: float = config.look.timeout
    option = "a look may take {:g} s ([look] timeout)"
    if config.sync.watch and config.sync.timeout + PULL_MARGIN_SECONDS > longest:
        longest, option = config.sync.timeout + PULL_MARGIN_SECONDS, "a pull may take {:g} s ([sync] timeout, and a margin)"
    yield exactly("check_external_commands", "1", "1", "the role's flags are set through the command file")
    yield exactly("log_external_commands", "1", "1", "an operator's own flags are recognised by their lines in nagios.log")
    yield exactly("enable_event_handlers", "1", "1", "the handler of the watch services does the failover")
    yield between(
        "service_check_timeout",
        longest + 1,
        float("inf"),
        max(60.0, longest + 1),
        "60",
        f"{option.format(longest)}, and Nagios must not cut it",
    )
    why = "the handler needs a moment to start what it does (detached from Nagios, which kills it then)"
    yield between("event_handler_timeout", HANDLER_SECONDS, float("inf"), 30, "30", why)
    yield exactly(
        "service_check_timeout_state",
        "u",
        "c",
        "a check that was cut is UNKNOWN, not CRITICAL (a failover counts its own looks either way)",
        Kind.ADVICE,
    )


def _watching_rules(config: Config) -> Iterator[Rule]:
    interval = max(1.0, config.look.interval)
    yield exactly("check_service_freshness", "1", "1", "the watch services of an idle standby run only by freshness")
    yield between(
        "service_freshness_check_interval",
        1,
        interval,
        int(interval),
        "60",
        f"the master is looked at every {config.look.interval:g} s ([look] interval)",
    )
    yield exactly("additional_freshness_latency", "0", "15", "it delays every look at the master")
    yield _status_interval(config)


def _status_interval(config: Config) -> Rule:
    """Seen from the other host within [look] status_warning, and here, after a flag was set, within [nagios] verify_timeout."""
    warning, verify = config.look.status_warning, config.nagios.verify_timeout
    longest = max(1, int(min(warning, verify) / WRITES_PER_AGE))
    limit = (
        f"status.dat is stale after {warning:g} s ([look] status_warning)"
        if warning <= verify
        else f"new flags must be seen in status.dat within {verify:g} s ([nagios] verify_timeout)"
    )
    return between("status_update_interval", 1, longest, min(10, longest), "60", limit)


def _perfdata_rules(config: Config) -> Iterator[Rule]:
    """programstatus is written whenever Nagios processes the spool."""
    spool = config.paths.state / "perfdata" / "spool"
    longest = max(1, int(config.heartbeat.warning / WRITES_PER_AGE))
    yield exactly("process_performance_data", "1", "0", "without it no heartbeat is written")
    yield exactly("service_perfdata_file", str(spool), "", "process_perfdata takes its spool from there")
    yield exactly("service_perfdata_file_template", PERFDATA_TEMPLATE, "", "the six fields that trend data is made of", Kind.ADVICE)
    yield exactly("service_perfdata_file_mode", "a", "a", "the spool grows until process_perfdata takes it")
    yield between(
        "service_perfdata_file_processing_interval",
        1,
        longest,
        min(15, longest),
        "0",
        f"each time is a heartbeat, which is stale after {config.heartbeat.warning:g} s ([heartbeat] warning)",
    )
    yield Rule(
        "service_perfdata_file_processing_command",
        "",
        bool,
        "process_perfdata",
        "it writes the heartbeat (the command is in commands.cfg.sample)",
    )


def _host_perfdata_rules(config: Config) -> Iterator[Rule]:
    """Advice: without these lines everything works but the trend of what host checks measure."""
    spool = config.paths.state / "perfdata" / "host-spool"
    why = "without it there is no trend of what host checks measure"
    yield exactly("host_perfdata_file", str(spool), "", why, Kind.ADVICE)
    yield exactly(
        "host_perfdata_file_template", HOST_PERFDATA_TEMPLATE, "", "the six fields that trend data is made of", Kind.ADVICE
    )
    yield exactly("host_perfdata_file_mode", "a", "a", "the spool grows until process_perfdata takes it", Kind.ADVICE)
    yield Rule(
        "host_perfdata_file_processing_interval",
        "0",
        lambda value: (_number(value) or 0) >= 1,
        "15",
        "without it the spool of host checks only grows",
        Kind.ADVICE,
    )
    command = "host_perfdata_file_processing_command"
    yield Rule(command, "", bool, "process-perfdata-of-hosts", "the command is in commands.cfg.sample", Kind.ADVICE)


def check_nagios_cfg(host: str, place: str, cfg: NagiosCfg, wanted: Iterable[Rule]) -> list[Finding]:
    """Every line of one host's nagios.cfg that is wrong or missing where Nagios's compiled-in value is wrong."""
    findings: list[Finding] = []
    for rule in wanted:
        value = cfg.settings.get(rule.setting)
        if not rule.right((rule.compiled if value is None else value).strip()):
            compiled = f" (Nagios takes {rule.compiled})" if rule.compiled else ""
            found = f"no {rule.setting}{compiled}" if value is None else f"{rule.setting}={value}"
            findings.append(Finding(rule.kind, host, place, found, f"{rule.setting}={rule.wanted}", rule.why))
    return findings


def check_second_opinion(config: Config) -> list[Finding]:
    """What a pair can do when the direct way to the other host is gone."""
    if config.witness.accounts or config.fence.command:
        return []
    why = (
        "neither [witness] accounts nor [fence] command: behind a cut link a master that lives cannot be told from a dead one, nor "
        "be kept from notifying"
    )
    return [Finding(Kind.ADVICE, config.this_name, str(config.path), "", "", why)]


def check_guard(config: Config, *, guarded: bool) -> list[Finding]:
    """A source that crashed starts by the drop-in that it had."""
    if guarded or not config.replication.watch or config.replication.drop_in is None:
        return []
    why = (
        "no guard before the database server: should this host crash as the master and boot, its database takes writes until it "
        "has stood down; hint: README, A host that wakes up"
    )
    return [Finding(Kind.ADVICE, config.this_name, str(config.path), "", "", why)]


def check_replica_timeout(host: str, server: str, variable: str, seconds: int) -> list[Finding]:
    """With [replication] watch: a replica must notice a silent source before the failover does. `server` and `variable` are named
    as the server itself does."""
    if seconds <= 4:
        return []
    why = "a replica must notice a silent source within seconds"
    return [Finding(Kind.WRONG, host, server, f"{variable} = {seconds}", f"{variable} = 4", why)]
