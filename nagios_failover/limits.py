"""The ages beyond which a look's findings are late or stale, and what a site chose to make of them."""

from __future__ import annotations

from collections.abc import Callable

from nagios_failover.config import Config
from nagios_failover.config_values import Severity, Start
from nagios_failover.frozen import frozen
from nagios_failover.words import State


@frozen
class Limits:
    """Is an age (in seconds) beyond its limit? A heartbeat, and status.dat, is fresh until `warning` says so and stale when
    `critical` does. -w and -c of the plugin put ranges in their place. `restart_grace` and `looked_ago` (how long ago a standby's
    last look may be) are in seconds. `watch` names the watch service as an external command does: host;service."""

    heartbeat_warning: Callable[[float], bool]
    heartbeat_critical: Callable[[float], bool]
    status_warning: Callable[[float], bool]
    status_critical: Callable[[float], bool]
    restart_grace: float
    looked_ago: float = float("inf")
    watch: str = "nagios-failover;Master Nagios"
    cold_standby: bool = False
    stale_heartbeat: State = State.WARNING
    database_down: State = State.WARNING
    unreachable_services: State = State.WARNING


def above(limit: float) -> Callable[[float], bool]:
    """Is an age outside 0..limit? An age below 0 (a clock that jumped, a time in the future) is no proof of life."""
    return lambda age: not -1.0 <= age <= limit


def limits_from(config: Config) -> Limits:
    severity = {Severity.WARNING: State.WARNING, Severity.CRITICAL: State.CRITICAL}
    return Limits(
        heartbeat_warning=above(config.heartbeat.warning),
        heartbeat_critical=above(config.heartbeat.critical),
        status_warning=above(config.look.status_warning),
        status_critical=above(config.look.status_critical),
        restart_grace=config.look.restart_grace,
        looked_ago=max(60.0, 10 * config.look.interval) + config.look.timeout,
        watch=f"{config.nagios.watch_host};{config.nagios.master_watch}",
        cold_standby=config.pair.standby is Start.COLD,
        stale_heartbeat=severity[config.heartbeat.stale_heartbeat],
        database_down=severity[config.heartbeat.database_down],
        unreachable_services=severity[config.look.unreachable_services],
    )
