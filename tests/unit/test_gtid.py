"""MariaDB's GTIDs as lists of domain-server-sequence, and the size of MySQL's sets."""

from __future__ import annotations

import pytest

from nagios_failover import gtid


@pytest.mark.parametrize(
    ("one", "other", "lacking"),
    [
        ("", "", ""),
        ("0-1-100", "0-1-100", ""),
        ("0-1-100", "0-1-101", ""),
        ("0-1-101", "0-1-100", "0-1-101"),
        ("0-1-100", "", "0-1-100"),
        ("0-1-100,0-2-103", "0-1-100,0-2-105", ""),
        # what the replica wrote itself, beside a line of history that is common
        ("0-1-100,0-2-101", "0-1-120", "0-2-101"),
        ("0-1-7,1-1-3", "0-1-9", "1-1-3"),
        # a binlog state and a replica's position put together name one server twice
        ("0-1-5", "0-1-3,0-1-9", ""),
        ("0-1-12,0-1-3", "0-1-9", "0-1-12"),
        ("0-2-1,\n0-1-2", "", "0-1-2,0-2-1"),
    ],
)
def test_what_one_history_has_and_the_other_lacks(one: str, other: str, lacking: str) -> None:
    assert gtid.minus(one, other) == lacking


@pytest.mark.parametrize("text", ["0-1", "0-1-x", "3E11FA47-71CA-11E1-9E33-C80AA9429562:1-5", "x"])
def test_what_is_no_gtid_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a GTID|invalid literal"):
        gtid.parse(text)


@pytest.mark.parametrize(
    ("earlier", "later", "count"),
    [
        ("0-1-100", "0-1-100", 0),
        ("0-1-100", "0-1-145", 45),
        ("0-1-100", "0-2-103", 3),  # the source changed between
        ("0-1-100,1-1-5", "0-1-101,1-1-7", 3),
        ("0-1-100", "0-1-102,1-1-4", 6),
        ("0-1-100", "0-1-99", None),
        ("", "0-1-99", None),
        ("0-1-99", "", None),
    ],
)
def test_how_many_transactions_lie_between_two_positions(earlier: str, later: str, count: int | None) -> None:
    assert gtid.transactions_between(earlier, later) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("3e11fa47-71ca-11e1-9e33-c80aa9429562:23", 1),
        ("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-3:11:47-49", 7),
        ("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5,\n2174b383-5441-11e8-b90a-c80aa9429562:1-3", 8),
        ("3e11fa47-71ca-11e1-9e33-c80aa9429562:nightly:1-3:5", 4),
    ],
)
def test_how_many_transactions_a_set_of_mysqls_names(text: str, count: int) -> None:
    assert gtid.count_of_set(text) == count


@pytest.mark.parametrize(
    ("own", "other", "fork"),
    [
        ("0-1-102", "0-1-100", "0-1-100"),
        ("0-1-100", "0-1-120", "0-1-100"),
        # the newest that both have was written by the other server
        ("0-1-99,0-2-98", "0-1-50,0-2-98,0-2-130", "0-2-98"),
        ("0-1-9,1-1-4", "0-1-7,1-1-4", "0-1-7,1-1-4"),
        ("0-2-3", "0-1-9", ""),
        ("", "0-1-9", ""),
    ],
)
def test_where_two_histories_part(own: str, other: str, fork: str) -> None:
    assert gtid.fork(own, other) == fork


@pytest.mark.parametrize(
    ("position", "later", "state"),
    [
        ("0-1-250", "0-1-250,0-2-200", "0-2-200,0-1-250"),
        # the source has gone on, or has a transaction that waits for its commit: the copy has neither
        ("0-1-250", "0-1-263,0-2-200", "0-2-200,0-1-250"),
        ("0-2-200", "0-1-201,0-2-200", "0-2-200"),
        # it was read before the source's last one
        ("0-1-250", "0-1-249,0-2-200", "0-2-200,0-1-250"),
        # a binlog state and a replica's position put together name one server twice
        ("0-1-250", "0-1-250,0-2-150,0-3-9,0-2-200", "0-2-200,0-3-9,0-1-250"),
        ("0-1-250,1-2-7", "0-1-250,0-2-200,1-1-5,1-2-7", "0-2-200,1-1-5,0-1-250,1-2-7"),
        ("", "0-1-1", ""),
        ("0-1-5", "", "0-1-5"),
    ],
)
def test_a_copy_has_all_that_its_source_had_up_to_its_position_and_nothing_more(position: str, later: str, state: str) -> None:
    assert gtid.history_at(position, later) == state
