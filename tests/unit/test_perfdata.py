"""The queue's names: what they prove, and in which order."""

from __future__ import annotations

import pytest

from nagios_failover.perfdata import Limits, QueuedSpool, beyond_limits, in_order, newest_moment, parse_name


def test_a_name_holds_the_moment_of_the_call() -> None:
    assert parse_name("1763822531.911") == QueuedSpool(1763822531, 911, "1763822531.911")


@pytest.mark.parametrize(
    "name", ["", "spool", "1763822531", "1763822531.", ".911", "-1.2", "1.2.3", "1763822531.911~", "١.٢", "9" * 11 + ".1"]
)
def test_other_names_are_not_of_the_queue(name: str) -> None:
    assert parse_name(name) is None
    assert in_order([name]) == []


def test_the_queue_is_ordered_by_number_not_by_letter() -> None:
    assert [spool.name for spool in in_order(["200.9", "1000.1", "200.10", "lost+found"])] == ["200.9", "200.10", "1000.1"]


def test_the_newest_moment_is_the_heartbeat() -> None:
    assert newest_moment(in_order(["100.1", "300.1", "200.1"]), now=300.0) == 300


def test_a_moment_still_to_come_proves_nothing() -> None:
    queue = in_order(["100.1", "4000.1"])
    assert newest_moment(queue, now=130.0) == 100
    assert newest_moment(in_order(["4000.1"]), now=130.0) is None


def test_a_call_of_this_very_second_counts() -> None:
    assert newest_moment(in_order(["101.1"]), now=100.2) == 101


@pytest.mark.parametrize(
    ("limits", "dropped"),
    [
        (Limits(3, 1000, 1000), []),
        (Limits(2, 1000, 1000), ["1.1"]),
        (Limits(3, 60, 1000), ["1.1"]),
        (Limits(3, 59, 1000), ["1.1", "2.1"]),
        (Limits(3, 1, 1000), ["1.1", "2.1"]),
        (Limits(3, 1000, 97), ["1.1", "2.1"]),
        (Limits(3, 1000, 1), ["1.1", "2.1"]),
    ],
)
def test_the_oldest_go_when_too_many_too_much_or_too_old_waits(limits: Limits, dropped: list[str]) -> None:
    """Never the newest: it is the heartbeat."""
    queue = in_order(["1.1", "2.1", "3.1"])
    assert [spool.name for spool in beyond_limits(queue, [30, 30, 30], limits, now=100.0)] == dropped
