"""Limits come from the configuration."""

from __future__ import annotations

from nagios_failover.config_file import parse
from nagios_failover.limits import limits_from
from nagios_failover.words import State
from tests.config_text import MINIMAL


def test_limits_are_the_configuration_s() -> None:
    limits = limits_from(parse(MINIMAL, hostname="nabira"))
    assert not limits.heartbeat_warning(60) and limits.heartbeat_warning(60.1)
    assert not limits.heartbeat_critical(300) and limits.heartbeat_critical(301)
    assert not limits.status_warning(30) and limits.status_critical(61)
    assert (limits.restart_grace, limits.stale_heartbeat, limits.unreachable_services) == (15, State.WARNING, State.WARNING)
