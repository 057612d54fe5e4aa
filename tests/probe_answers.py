"""What the probes of a look answer, for tests: at once, late, or never."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from nagios_failover.evidence import HostReport, NoAnswer, Process
from nagios_failover.role import RoleRecord, role_flags
from nagios_failover.words import Mode, Role

T = TypeVar("T")
REPORT: Final = HostReport(
    Process.RUNNING, 7, 3.0, 1000, role_flags(Mode.FAILOVER, active=True), RoleRecord(Role.MASTER, "yasu", 4, "", 1)
)
REFUSED: Final = NoAnswer("connect to host yasu port 22: Connection refused")


def at_once(value: T) -> Callable[[float], T]:
    return lambda limit: value


def after(seconds: float, value: T) -> Callable[[float], T]:
    def ask(limit: float) -> T:
        time.sleep(seconds)
        return value

    return ask


def never(limit: float) -> Any:
    raise AssertionError("this must not be asked")


def hanging(limit: float) -> Any:
    time.sleep(30)
