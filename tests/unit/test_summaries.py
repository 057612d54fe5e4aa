"""How long a service was in which state, a row a day."""

from __future__ import annotations

from nagios_failover.metrics import Sample
from nagios_failover.summaries import DAY, summaries

MIDNIGHT = 20_000 * DAY
SERVICE = ("web1", "HTTP")


def sample(moment: int, state: int) -> Sample:
    return Sample(moment, *SERVICE, "", state, "", [], [])


def summed(*samples: Sample, last: dict[tuple[str, str], tuple[int, int]] | None = None) -> dict[tuple[int, int], list[int]]:
    return dict(summaries(samples, {} if last is None else last, {SERVICE: 7}))


def test_a_state_lasts_until_the_next_check() -> None:
    begin = MIDNIGHT + 1000
    assert summed(
        sample(begin, 0), sample(begin + 60, 2), sample(begin + 90, 1), sample(begin + 100, 3), sample(begin + 105, 0)
    ) == {(7, MIDNIGHT): [60, 10, 30, 5]}


def test_midnight_parts_the_days() -> None:
    assert summed(sample(MIDNIGHT - 20, 1), sample(MIDNIGHT + 30, 0)) == {
        (7, MIDNIGHT - DAY): [0, 20, 0, 0],
        (7, MIDNIGHT): [0, 30, 0, 0],
    }


def test_where_nobody_checked_nobody_knows() -> None:
    assert summed(sample(MIDNIGHT, 0), sample(MIDNIGHT + 3601, 0)) == {(7, MIDNIGHT): [0, 0, 0, 3601]}


def test_it_goes_on_from_what_the_table_has_and_older_samples_change_nothing() -> None:
    last = {SERVICE: (MIDNIGHT + 100, 2)}
    assert summed(sample(MIDNIGHT + 50, 0), sample(MIDNIGHT + 100, 0), sample(MIDNIGHT + 160, 0), last=last) == {
        (7, MIDNIGHT): [0, 0, 60, 0]
    }
    assert last == {SERVICE: (MIDNIGHT + 160, 0)}


def test_what_is_not_known_of_a_gap_is_a_year_at_most() -> None:
    sums = summed(sample(0, 0), sample(MIDNIGHT, 0))
    assert len(sums) == 366 and set(map(tuple, sums.values())) == {(0, 0, 0, DAY)}


def test_a_clock_that_was_ahead_for_a_moment_ends_no_summary() -> None:
    ahead = sample(MIDNIGHT + 300 * DAY, 0)
    last = {SERVICE: (ahead.moment, ahead.state)}
    assert summed(sample(MIDNIGHT, 1), sample(MIDNIGHT + 60, 0), last=last) == {(7, MIDNIGHT): [0, 60, 0, 0]}
