"""What looks have seen, for tests of verdicts: reports, heartbeats and witnesses; and any evidence at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from nagios_failover.evidence import (
    NOT_CONFIGURED,
    Blocked,
    Detour,
    Evidence,
    Heartbeat,
    HostReport,
    NoAnswer,
    Process,
    Witness,
)
from nagios_failover.limits import Limits, above
from nagios_failover.role import RoleRecord, role_flags
from nagios_failover.verdict import Code
from nagios_failover.words import Mode, Role, State

OK, WARNING, CRITICAL, UNKNOWN = State.OK, State.WARNING, State.CRITICAL, State.UNKNOWN
PID = 4711
MASTER = RoleRecord(Role.MASTER, "yasu", term=3, run="", since=1000)
PEER = replace(MASTER, master="nabira")
IDLE = replace(MASTER, role=Role.STANDBY)
LIMITS = Limits(
    heartbeat_warning=above(60),
    heartbeat_critical=above(300),
    status_warning=above(30),
    status_critical=above(60),
    restart_grace=15,
    looked_ago=100,
)
CRITICALS = replace(LIMITS, stale_heartbeat=CRITICAL, database_down=CRITICAL, unreachable_services=CRITICAL)
FRESH, BETWEEN, STALE = Heartbeat(5, PID), Heartbeat(100, PID), Heartbeat(400, PID)
SILENT = NoAnswer("no answer within 3 s")
DENIED = Blocked("access denied (1045: Access denied for user 'w'@'h')", "compare user and password with the server's GRANTs")
REFUSED = NoAnswer("connect to host yasu port 22: Connection refused")
HEARS, DEAF = (Witness("10.0.0.1", True),), (Witness("10.0.0.1", False, "no answer"), Witness("10.0.0.2", False, "no answer"))
OFF = role_flags(Mode.FAILOVER, active=False)
NO_NOTIFICATIONS = role_flags(Mode.REDUNDANCY, active=False)
HIDDEN = Blocked("PID 4711 cannot be looked at: other users' processes are hidden there", "mount /proc without hidepid")
SSH = "ssh fails (connect to host yasu port 22: Connection refused)"
DIRECT = f"; directly {SSH}"
VIA = "yasu: seen through the witness w2: "

Row = tuple[str, Evidence, State, Code, str]
"""Its name, what was seen, and the verdict: state, code, sentence."""


def report(process: Process | Blocked = Process.RUNNING, age: float | None = 3, **more: Any) -> HostReport:
    fields: dict[str, Any] = {
        "pid": PID,
        "status_created": None if age is None else 1_000_000,
        "flags": role_flags(Mode.FAILOVER, active=True),
        "role": MASTER,
    }
    return HostReport(process=process, status_age=age, **(fields | more))


def missing(age: float | None = 3, **more: Any) -> HostReport:
    return report(Process.MISSING, age, **more)


def stopped(age: float | None = 3) -> HostReport:
    return report(Process.STOPPED, age)


def through(report: HostReport | NoAnswer | Blocked, *, reached: bool = True) -> tuple[Detour, ...]:
    return (Detour("w1", NoAnswer("no answer within 2 s"), reached=False), Detour("w2", report, reached=reached))


# Any evidence at all.
blocked = st.builds(Blocked, st.just("something"))
reports = st.builds(
    HostReport,
    process=st.sampled_from(list(Process)) | blocked,
    pid=st.sampled_from([None, PID]),
    status_age=st.none() | st.floats(-1e6, 1e6),
    status_created=st.none() | st.just(1),
    flags=st.none() | st.just(role_flags(Mode.FAILOVER, active=True)) | st.just(OFF),
    role=st.none() | st.just(MASTER) | st.just(PEER),
    status_advanced=st.booleans(),
    gone_for=st.floats(0, 100),
)
heartbeats = st.builds(Heartbeat, st.floats(0, 1000), st.sampled_from([0, PID, 99]))
silences = st.just(SILENT)
evidences = st.builds(
    Evidence,
    ssh=reports | silences | blocked,
    heartbeat=heartbeats | silences | blocked | st.just(NOT_CONFIGURED),
    reachable=st.none() | st.booleans() | blocked,
    witnesses=st.sampled_from([(), HEARS, DEAF]),
    replicating=st.booleans() | blocked | st.just(NOT_CONFIGURED),
    detours=st.lists(st.builds(Detour, st.just("w"), reports | silences | blocked, st.booleans()), max_size=2).map(tuple),
)
limits = st.sampled_from([LIMITS, CRITICALS])
