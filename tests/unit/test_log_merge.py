"""Two hosts' logs as one: every line once, in order of time, in the file where the CGIs look for it."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from nagios_failover.errors import CouldNotLook
from nagios_failover.log_merge import Own, Shelf, TimedLine, archive_end, merge, reigns, stamp_of, timed
from nagios_failover.run_record import RunRecord

NOW = 1_795_619_077
MIDNIGHT = "nagios-11-25-2026-00.log"


def line(after: int, text: str) -> bytes:
    return f"[{NOW + after}] {text}\n".encode()


def stream(*lines: bytes) -> Iterator[TimedLine]:
    return timed(lines, newest=NOW + 86_400)


def merged(*logs: list[bytes]) -> list[bytes]:
    return list(merge([stream(*log) for log in logs]))


def test_lines_come_in_order_of_time_the_masters_first_in_each_second() -> None:
    theirs = [line(1, "a"), line(3, "b"), line(3, "c")]
    ours = [line(0, "x"), line(3, "y"), line(4, "z")]
    assert merged(theirs, ours) == [line(0, "x"), line(1, "a"), line(3, "b"), line(3, "c"), line(3, "y"), line(4, "z")]


def test_a_line_of_both_stands_as_often_as_in_the_one_that_has_it_most_often() -> None:
    twice, thrice = [line(1, "a")] * 2, [line(1, "a")] * 3
    assert merged(twice, thrice) == thrice
    assert merged(thrice, twice) == thrice
    assert merged([line(1, "a"), line(1, "b")], [line(1, "b"), line(1, "a"), line(1, "c")]) == [
        line(1, "a"), line(1, "b"), line(1, "c"),
    ]  # fmt: skip


def test_merging_to_and_fro_neither_doubles_nor_loses_a_line() -> None:
    chance = random.Random(4)
    yasu, nabira, all_lines = list[bytes](), list[bytes](), Counter[bytes]()
    for turn in range(6):
        for host, log in (("yasu", yasu), ("nabira", nabira)):
            moment = turn * 100
            for _ in range(200):
                moment += chance.choice((0, 0, 1))
                log.append(line(moment, f"{host} {chance.randrange(5)}"))
        all_lines = Counter(yasu) | Counter(nabira)
        if turn % 2:
            yasu = merged(nabira, yasu)
            assert Counter(yasu) == all_lines
        else:
            nabira = merged(yasu, nabira)
            assert Counter(nabira) == all_lines
    for log in (merged(yasu, nabira), merged(nabira, yasu)):
        assert [stamp_of(one) for one in log] == sorted(stamp_of(one) for one in log)
        assert merged(log, log) == log


def test_what_has_no_time_or_a_time_that_cannot_be_stays_where_it_is() -> None:
    odd = [line(1, "a"), b"torn\n", line(-50, "the clock was set back"), line(10**8, "the clock was wrong"), line(2, "b")]
    assert merged([line(1, "m"), line(2, "n")], odd) == [line(1, "m"), *odd[:4], line(2, "n"), odd[4]]


def test_a_second_without_an_end_is_not_held_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nagios_failover.log_merge.SECOND_LIMIT", 1000)
    with pytest.raises(CouldNotLook, match="more than 500 lines of one second"):
        merged([line(0, str(number)) for number in range(2000)], [line(0, "x")])


STATES = [
    line(0, "CURRENT HOST STATE: web1;UP;HARD;1;ok"),
    line(0, "CURRENT SERVICE STATE: web1;HTTP;OK;HARD;1;ok"),
    line(0, "INITIAL SERVICE STATE: web1;HTTP;OK;HARD;1;ok"),
    line(1, "Warning: The results of service 'Master Nagios' on host 'f' are stale by 0d 0h 0m 1s (threshold=0d 0h 0m 1s)."
            "  I'm forcing an immediate check of the service."),
]  # fmt: skip
KEPT = [
    line(0, "CURRENT SERVICE STATE: f;Master Nagios;OK;HARD;1;ok"),
    line(0, "CURRENT SERVICE STATE: only-here;HTTP;OK;HARD;1;ok"),
    line(1, "SERVICE ALERT: web1;HTTP;CRITICAL;HARD;3;Warning: The results of x; I'm forcing an immediate check of the y"),
    line(1, "Nagios 4.4.6 starting... (PID=7)"),
]
THEIRS = {b"web1", b"web1\0HTTP"}


def test_what_the_standby_says_of_what_it_does_not_check_stays_out() -> None:
    own = Own(THEIRS, since=NOW - 10)
    assert [text for _, text in own.kept(stream(*sorted(STATES + KEPT)))] == sorted(KEPT)
    assert own.left_out == 4


@pytest.mark.parametrize("own", [Own(THEIRS, since=NOW + 5), Own(THEIRS, since=0, reigns=[(NOW - 1, NOW + 1)])])
def test_what_the_master_has_no_lines_of_and_what_was_said_as_the_master_stays(own: Own) -> None:
    assert [text for _, text in own.kept(stream(*STATES))] == STATES


def test_the_journal_tells_when_this_host_was_the_master() -> None:
    runs = [
        RunRecord("5", "failover", opened=500, closed=510, outcome="running", notes={"active_at": 505.0}),
        RunRecord("4", "failover", opened=400, closed=401, outcome="refused"),
        RunRecord("3", "standdown", opened=300, closed=301, outcome="done"),
        RunRecord("1", "init", opened=100, closed=101, outcome="done", sentence="yasu: role is master, master yasu, term 1"),
    ]
    assert reigns(runs, now=600) == [(101, 301), (505, 600)]
    assert reigns([], now=600) == []


def test_an_archive_is_named_after_the_end_of_its_day() -> None:
    assert archive_end(MIDNIGHT) == time.mktime((2026, 11, 25, 0, 0, 0, 0, 0, -1))
    assert [archive_end(name) for name in ("nagios-13-45-2026-00.log.gz", "nagios.log", "", "nagios-11-25-2026-00.log\n")] == [
        0
    ] * 4


def test_lines_go_to_the_file_of_their_day_whichever_file_they_come_from() -> None:
    """This host's Nagios did not run at midnight, so its log has yesterday's lines, too; the other one's stood still then, so its
    archive has today's. A clock that was wrong moves nothing."""
    shelf = Shelf((MIDNIGHT,))
    day = archive_end(MIDNIGHT)
    log = [f"[{day + after}] {after}\n".encode() for after in (-7200, -1, 0, 1)]
    archive = [f"[{day + after}] archive {after}\n".encode() for after in (-90_000, -1, 0)]

    def lines(target: str, name: str, source: list[bytes]) -> list[bytes]:
        last = list(timed(source, newest=day + 86_400))[-1][0]
        return [text for _, text in shelf.lines_for(target, name, timed(source, newest=day + 86_400), last=last)]

    assert lines(MIDNIGHT, "", log) == log[:2] and lines("", "", log) == log[2:]
    assert lines(MIDNIGHT, MIDNIGHT, archive) == archive[:2] and lines("", MIDNIGHT, archive) == archive[2:]
    wrong = [archive[0], f"[{day + 7200}] ahead\n".encode(), archive[1]]
    assert lines(MIDNIGHT, MIDNIGHT, wrong) == wrong and lines("", MIDNIGHT, wrong) == []
    assert lines(MIDNIGHT, "nagios-11-26-2026-00.log", log) == log[:2], "of a rotation that is still to come here"
