"""The words of the field: roles, states, flags and Nagios's external commands. Nothing here does anything."""

from __future__ import annotations

from enum import Enum, IntEnum, StrEnum

CONFIG_FILE = "/etc/nagios-failover/nagios-failover.cfg"
COMMAND_TAG = "nagios-failover"
"""Argument of every external command that we write, so that nagios.log tells ours from an operator's."""


class State(IntEnum):
    """A service state; the value is the plugin's exit code."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


class HostState(Enum):
    """A host state, as $HOSTSTATE$ says it."""

    UP = "UP"
    DOWN = "DOWN"
    UNREACHABLE = "UNREACHABLE"


class StateType(Enum):
    """$SERVICESTATETYPE$ and $HOSTSTATETYPE$."""

    SOFT = "SOFT"
    HARD = "HARD"


class Role(StrEnum):
    """The role of a Nagios host."""

    STANDBY = "standby"
    TAKING_OVER = "taking-over"
    MASTER = "master"
    STANDING_DOWN = "standing-down"


class Mode(StrEnum):
    """What the standby does before a failover: `redundancy` checks and is mute, `failover` is idle."""

    REDUNDANCY = "redundancy"
    FAILOVER = "failover"


class Flag(StrEnum):
    """A program-wide switch of Nagios. The value is the key used in our own state files."""

    NOTIFICATIONS = "notifications"
    SERVICE_CHECKS = "service_checks"
    HOST_CHECKS = "host_checks"


STATUS_KEY = {
    Flag.NOTIFICATIONS: "enable_notifications",
    Flag.SERVICE_CHECKS: "active_service_checks_enabled",
    Flag.HOST_CHECKS: "active_host_checks_enabled",
}
"""The flag's key in status.dat's programstatus block (Nagios 3 and 4)."""

TURN_ON = {
    Flag.NOTIFICATIONS: "ENABLE_NOTIFICATIONS",
    Flag.SERVICE_CHECKS: "START_EXECUTING_SVC_CHECKS",
    Flag.HOST_CHECKS: "START_EXECUTING_HOST_CHECKS",
}
TURN_OFF = {
    Flag.NOTIFICATIONS: "DISABLE_NOTIFICATIONS",
    Flag.SERVICE_CHECKS: "STOP_EXECUTING_SVC_CHECKS",
    Flag.HOST_CHECKS: "STOP_EXECUTING_HOST_CHECKS",
}
