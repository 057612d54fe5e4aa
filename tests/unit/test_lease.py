"""The lease, decided: every case with its whole sentence."""

from __future__ import annotations

import pytest

from nagios_failover.errors import StateUnreadable
from nagios_failover.lease import (
    Act,
    Answer,
    Away,
    Free,
    Held,
    Lease,
    Ours,
    Outranked,
    Promise,
    Word,
    keep,
    parse_lease,
    parse_promise,
)
from nagios_failover.words import Role, State

AWAY = Away("a: no answer in time")
YES, NO = Answer("nabira", True), Answer("witness", False, "it does not answer (ssh fails)")
NOW, PACE, EXTENDED = 1000.0, 21.0, 1030.0

NO_RENEWAL = "yasu: etcd does not renew the lease (a: no answer in time)"
MUTE = "it notifies nobody and checks nothing"

# role, what etcd says, seconds left, what the others say -> act, state, sentence, until
CASES: list[tuple[Role | None, Word, float, tuple[Answer, ...], Act, State, str, float]] = [
    (Role.MASTER, Ours(1028.0), 9, (), Act.HOLD, State.OK, "yasu: master, it holds the lease for 28 s", 1028.0),
    (Role.MASTER, Ours(1028.0), 0, (), Act.HOLD, State.OK, "yasu: master, it holds the lease for 28 s", 1028.0),
    (Role.MASTER, Held("nabira", 7), 9, (), Act.MUTE, State.CRITICAL, f"yasu: the lease is nabira's: {MUTE}", 0),
    (Role.MASTER, Held("nabira", 7), 0, (YES,), Act.MUTE, State.CRITICAL, f"yasu: the lease is nabira's: {MUTE}", 0),
    (
        Role.MASTER,
        Outranked(4),
        9,
        (),
        Act.MUTE,
        State.CRITICAL,
        f"yasu: the lease has been another master's with term 4 since: {MUTE}",
        0,
    ),
    (
        *(Role.MASTER, Outranked(4, "nabira"), 9, (YES,), Act.MUTE, State.CRITICAL),
        f"yasu: the lease has been another master's with term 4 since: {MUTE}",
        0,
    ),
    (
        *(Role.TAKING_OVER, Outranked(5), 9, (), Act.NOTHING, State.WARNING),
        "yasu: a run is on its way, but a master with term 5 has had the lease since",
        0,
    ),
    (Role.MASTER, Free(), 0, (), Act.MUTE, State.CRITICAL, f"yasu: it has given the lease up for a switchover: {MUTE}", 0),
    (Role.MASTER, Held("yasu", 7), 0, (), Act.MUTE, State.CRITICAL, f"yasu: it has given the lease up for a switchover: {MUTE}", 0),
    (
        *(Role.MASTER, AWAY, 17, (YES,), Act.HOLD, State.WARNING),
        f"{NO_RENEWAL}; it goes on for 30 s: nabira promised to take no lease meanwhile",
        EXTENDED,
    ),
    (
        *(Role.MASTER, AWAY, 0, (YES,), Act.HOLD, State.WARNING),
        f"{NO_RENEWAL}; it goes on for 30 s: nabira promised to take no lease meanwhile",
        EXTENDED,
    ),
    (
        *(Role.MASTER, AWAY, 17, (YES, NO), Act.MUTE, State.CRITICAL),
        f"{NO_RENEWAL}, and witness: it does not answer (ssh fails): {MUTE}",
        0,
    ),
    (
        *(Role.MASTER, AWAY, 25, (YES, NO), Act.NOTHING, State.WARNING),
        f"{NO_RENEWAL}, and witness: it does not answer (ssh fails): it is good for another 25 s",
        0,
    ),
    (Role.STANDBY, Held("nabira", 7), 0, (), Act.NOTHING, State.OK, "yasu: standby, the lease is nabira's for 7 s", 0),
    (Role.STANDBY, Held("yasu", 7), 0, (), Act.RELEASE, State.OK, "yasu: standby, it has given the lease back", 0),
    (
        *(Role.STANDBY, AWAY, 0, (), Act.NOTHING, State.WARNING),
        "yasu: standby; etcd does not answer (a: no answer in time): nobody takes over",
        0,
    ),
    (
        *(Role.STANDBY, Free(), 0, (), Act.NOTHING, State.WARNING),
        "yasu: standby, and nobody holds the lease: the master does not know of it, or has stood down",
        0,
    ),
    (Role.TAKING_OVER, Ours(1028.0), 9, (), Act.HOLD, State.OK, "yasu: taking over, with the lease", 1028.0),
    (Role.TAKING_OVER, Held("yasu", 7), 9, (), Act.NOTHING, State.OK, "yasu: a run is on its way, with the lease", 0),
    (Role.STANDING_DOWN, Held("yasu", 7), 9, (), Act.NOTHING, State.OK, "yasu: a run is on its way, with the lease", 0),
    (None, Held("yasu", 7), 9, (), Act.NOTHING, State.WARNING, "yasu: no role: the lease is neither renewed nor taken", 0),
]


@pytest.mark.parametrize(("role", "word", "left", "answers", "act", "state", "sentence", "until"), CASES)
def test_what_follows(
    role: Role | None, word: Word, left: float, answers: tuple[Answer, ...], act: Act, state: State, sentence: str, until: float
) -> None:
    made = keep(role, "yasu", word, left=left, now=NOW, pace=PACE, answers=answers, extended=EXTENDED)
    assert (made.act, made.state, made.sentence, made.until) == (act, state, sentence, until)


def test_a_standby_with_a_run_on_its_way_keeps_what_the_run_took() -> None:
    made = keep(Role.STANDBY, "yasu", Held("yasu", 7), left=0, now=NOW, pace=PACE, busy=True)
    assert (made.act, made.sentence) == (Act.NOTHING, "yasu: a run is on its way, with the lease")


def test_a_lease_is_read_as_it_was_written_rounded_down_and_is_worth_nothing_after_a_boot() -> None:
    written = Lease(1028.9, "this boot", "yasu", "yasu: master,\nit holds the lease")
    lease = parse_lease(written.text())
    assert lease == Lease(1028.0, "this boot", "yasu", "yasu: master, it holds the lease")
    assert (lease.left(1000.0, "this boot"), lease.left(1029.0, "this boot"), lease.left(1000.0, "the next boot")) == (28.0, 0, 0)
    assert parse_lease(Lease(0, "b").text()) == Lease(0, "b")


def test_a_promise_outlives_a_boot_by_its_whole_length() -> None:
    promise = Promise("yasu", 1030.0, "this boot", 30.0)
    assert parse_promise(promise.text()) == promise
    assert (promise.left(1000.0, "this boot"), promise.left(1031.0, "this boot")) == (30.0, 0)
    assert (promise.left(12.0, "the next boot"), promise.left(31.0, "the next boot")) == (18.0, 0)


@pytest.mark.parametrize("text", ["", "until=1\n", "until=x\nboot=b\nholder=-\nsaid=\n", "until=1\nboot=b\nholder=-\nsaid="])
def test_a_garbled_lease_is_none(text: str) -> None:
    with pytest.raises(StateUnreadable, match="the lease file is"):
        parse_lease(text)


@pytest.mark.parametrize("text", ["to=yasu\n", "to=yasu\nuntil=soon\nboot=b\nseconds=30\n"])
def test_a_garbled_promise_is_none(text: str) -> None:
    with pytest.raises(StateUnreadable, match="the promise file is garbled"):
        parse_promise(text)
