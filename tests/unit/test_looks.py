"""What counts as a confirmed death: CRITICAL looks in a row, since boot, in time, by nothing but our own record."""

from __future__ import annotations

from dataclasses import replace

from nagios_failover.looks import Look, confirmations, newest, parse_ring
from nagios_failover.words import State

LOOK = Look("yasu", 1_000_000, 500.0, "boot", "check", State.CRITICAL, "crashed", "yasu: gone", peer_term=2)


def at(uptime: float, state: State = State.CRITICAL, **fields: str) -> Look:
    return replace(LOOK, uptime=uptime, state=state, **fields)  # type: ignore[arg-type]


def confirmed(*ring: Look, uptime: float = 530, window: float = 40, spacing: float = 0) -> int:
    return confirmations(ring, host="yasu", boot="boot", uptime=uptime, window=window, spacing=spacing)


def test_a_look_survives_its_line() -> None:
    assert parse_ring(LOOK.line() + at(510, State.OK).line()) == [LOOK, at(510, State.OK)]


def test_a_torn_or_garbled_line_is_no_look_and_confirms_nothing() -> None:
    assert parse_ring(LOOK.line() + LOOK.line()[:40]) == [LOOK]
    assert parse_ring('garbage\n{}\n[]\n3\n{"state":"BAD"}\n' + LOOK.line().replace("CRITICAL", "CRITICALISH")) == []


def test_three_critical_looks_in_a_row() -> None:
    assert confirmed(at(510), at(520), at(530)) == 3


def test_any_other_state_ends_the_row() -> None:
    for state in (State.OK, State.WARNING, State.UNKNOWN):
        assert confirmed(at(500), at(510), at(520, state), at(530)) == 1
        assert confirmed(at(510), at(520), at(530, state)) == 0


def test_looks_before_a_boot_of_another_host_too_old_or_from_the_future_do_not_count() -> None:
    assert confirmed(at(510, boot="other"), at(520), at(530)) == 2
    assert confirmed(at(510, host="nabira"), at(520), at(530)) == 2
    assert confirmed(at(480), at(520), at(530)) == 2
    assert confirmed(at(520), at(540)) == 0


def test_a_clock_that_jumps_confirms_nothing() -> None:
    assert confirmed(replace(at(100), time=2_000_000), at(530)) == 1


def test_looks_too_close_together_count_as_one() -> None:
    assert confirmed(at(528), at(529), at(530), spacing=10) == 1
    assert confirmed(at(510), at(511), at(520), at(530), spacing=10) == 3


def test_the_newest_look_at_a_host_since_boot() -> None:
    ring = [at(510), at(520, boot="other"), at(530, host="nabira")]
    assert newest(ring, host="yasu", boot="boot") == at(510)
    assert newest(ring, host="tokyo", boot="boot") is None
