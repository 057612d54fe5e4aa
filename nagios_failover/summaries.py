"""perfdata_raw_summary_data: how long each service was in which state, a row a day.

A state lasts until the next check says otherwise. Where checks are missing for longer than an hour nobody knows, and that time is
counted as undefined; so is UNKNOWN. Days are those of UTC, as all times in these tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nagios_failover.metrics import Sample
from nagios_failover.perfparse_tables import SUMMARY

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

LONGEST_GAP = 3600
"""Seconds between two checks after which the state in between is not known."""

DAY = 86400
_UNDEFINED = 3

Sums = Mapping[tuple[int, int], list[int]]


def summaries(
    samples: Iterable[Sample], last: dict[tuple[str, str], tuple[int, int]], services: Mapping[tuple[str, str], int]
) -> Sums:
    """(service id, day's beginning) to seconds OK, WARNING, CRITICAL, undefined. `last` holds each service's newest sample
    (moment, state), and is brought up to date; samples that are older than that change nothing, unless they are so much older
    that the clock was set back."""
    sums: dict[tuple[int, int], list[int]] = {}
    for sample in samples:
        service = (sample.host.rstrip(" "), sample.service.rstrip(" "))
        before = last.get(service)
        if before and before[0] >= sample.moment > before[0] - LONGEST_GAP:
            continue
        last[service] = (sample.moment, sample.state)
        if before and before[0] < sample.moment:
            state = before[1] if sample.moment - before[0] <= LONGEST_GAP else _UNDEFINED
            for day, seconds in _days(before[0], sample.moment):
                sums.setdefault((services[service], day), [0, 0, 0, 0])[state] += seconds
    return sums


def _days(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """The days between two moments and how much of each; a gap is at most a year."""
    begin = max(begin, end - 366 * DAY)
    while begin < end:
        day = begin - begin % DAY
        until = min(end, day + DAY)
        yield day, until - begin
        begin = until


def add_summary(cursor: Cursor, sums: Sums) -> None:
    if not sums:
        return
    cursor.executemany(
        f"INSERT INTO {SUMMARY.name} (service_id, ctime, sum_uptime, sum_warntime, sum_criticaltime, sum_undeftime) "
        "VALUES (%s, %s, %s, %s, %s, %s) ON DUPLICATE KEY UPDATE sum_uptime = sum_uptime + VALUES(sum_uptime), "
        "sum_warntime = sum_warntime + VALUES(sum_warntime), sum_criticaltime = sum_criticaltime + VALUES(sum_criticaltime), "
        "sum_undeftime = sum_undeftime + VALUES(sum_undeftime)",
        [(service, datetime.fromtimestamp(day, UTC).strftime("%Y-%m-%d"), *seconds) for (service, day), seconds in sums.items()],
    )
