"""What is open, by status.dat, and who was told of it, by the event logs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nagios_failover.errors import CouldNotLook
from nagios_failover.one_history import one_history
from nagios_failover.open_incidents import OpenIncident, Told, open_incidents, read_shown, tell
from tests.unit.snapshots import CREATED, comment, contact, host, info, program, service

WATCH = "nagios-failover"
SNAPSHOT = "".join(
    [
        info(),
        program(),
        host("web1"),
        host("web2", 1, last_time_up=CREATED - 600, current_notification_number=1, last_notification=CREATED - 500),
        host(WATCH),
        service("web1", "HTTP", 2, last_time_ok=CREATED - 300, current_notification_number=2, last_notification=CREATED - 100),
        service("web1", "LOAD"),
        service("web1", "DISK", 1, problem_has_been_acknowledged=1, scheduled_downtime_depth=1, is_flapping=1, state_type=0),
        service(WATCH, "Master Nagios", 2),
        contact(),
        comment("web1", "DISK", 7, entry_type=4, text="known; really"),
        comment("web1", "HTTP", 8),
    ]
)


def pieces(text: str = SNAPSHOT) -> Iterator[bytes]:
    return iter([text.encode()])


def found(*lines: str) -> list[OpenIncident]:
    shown = read_shown(pieces(), watch_host=WATCH, what="status.dat")
    incidents = open_incidents(shown.objects, shown.acknowledgements)
    tell(incidents, one_history("nabira", "yasu", [], lines, since=0, own_runs=[], master="yasu"))
    return incidents


def mailed(ago: int, to: str = "oncall", name: str = "web1;HTTP", state: str = "CRITICAL") -> str:
    kind = "SERVICE" if ";" in name else "HOST"
    return f"[{CREATED - ago}] {kind} NOTIFICATION: {to};{name};{state};mail;x\n"


def test_only_what_is_not_well_is_open_the_oldest_first_and_never_the_watch() -> None:
    assert [(one.key, one.state, one.hard, one.since) for one in found()] == [
        (("web1", "DISK"), "WARNING", False, CREATED - 1000),
        (("web2", ""), "DOWN", True, CREATED - 600),
        (("web1", "HTTP"), "CRITICAL", True, CREATED - 300),
    ]


def test_marks_are_told() -> None:
    disk = found()[0]
    assert (disk.acknowledged, disk.downtime, disk.flapping, disk.notifies) == ("by me: known; really", True, True, True)
    assert found()[2].acknowledged == ""


def test_who_was_told_since_it_began_and_by_which_host() -> None:
    _, down, http = found(
        mailed(400),  # about an incident before this one
        mailed(300),
        mailed(100, "second"),
        mailed(500, name="web2", state="DOWN"),
        mailed(50, state="OK"),
    )
    assert http.told == [Told(CREATED - 300, "oncall", "yasu"), Told(CREATED - 100, "second", "yasu")]
    assert down.told == [Told(CREATED - 500, "oncall", "yasu")]
    assert (http.number, http.last_notification) == (2, CREATED - 100)


def test_when_it_was_written_is_told_and_a_file_that_is_cut_off_is_refused() -> None:
    assert read_shown(pieces(), watch_host=WATCH, what="x").created == CREATED
    with pytest.raises(CouldNotLook, match="is not whole"):
        read_shown(pieces(SNAPSHOT[:-3]), watch_host=WATCH, what="x")
