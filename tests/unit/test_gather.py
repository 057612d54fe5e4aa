"""What one look gathers: in time whatever hangs, and no more than it needs."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from nagios_failover.evidence import NOT_CONFIGURED, Blocked, Detour, Evidence, Heartbeat, NoAnswer, Witness
from nagios_failover.gather import Gathered, Probes, Times, gather
from tests.probe_answers import REFUSED, REPORT, after, at_once, hanging, never

BEAT = Heartbeat(5, 7)
TIMES = Times(whole=2.0, ssh=1.5, heartbeat=1.0, reach=0.5)


def timed(probes: Probes, times: Times = TIMES) -> tuple[Gathered, float]:
    started = time.monotonic()
    return gather(probes, times), time.monotonic() - started


def test_while_ssh_answers_nobody_else_is_asked() -> None:
    probes = Probes(at_once(REPORT), reachable=never, witnesses=(("w", never),), heartbeat=at_once(BEAT))
    gathered, _ = timed(probes)
    assert gathered.evidence == Evidence(REPORT, BEAT)
    assert set(gathered.seconds) == {"ssh", "database", "total"}


def test_what_could_not_be_looked_at_needs_no_witness() -> None:
    blocked = Blocked("its host key is unknown")
    assert timed(Probes(at_once(blocked), reachable=never, witnesses=(("w", never),)))[0].evidence == Evidence(blocked)


def test_when_ssh_fails_the_host_and_the_witnesses_are_asked() -> None:
    heard = Witness("w", True)
    gathered, seconds = timed(Probes(at_once(REFUSED), at_once(True), (("w", at_once(heard)),)))
    assert gathered.evidence == Evidence(REFUSED, NOT_CONFIGURED, True, (heard,))
    assert seconds < 0.5


def test_when_ssh_takes_long_they_are_asked_meanwhile_and_forgotten_when_it_answers() -> None:
    gathered, seconds = timed(Probes(after(1.0, REPORT), after(0.3, False), (("w", after(0.3, Witness("w", False))),)))
    assert gathered.evidence == Evidence(REPORT)
    assert seconds < 1.4
    gathered, seconds = timed(Probes(after(1.4, REFUSED), after(0.4, False), (("w", after(0.4, Witness("w", False))),)))
    assert gathered.evidence == Evidence(REFUSED, reachable=False, witnesses=(Witness("w", False),))
    assert seconds < 1.8


def test_the_way_through_a_witness_is_taken_only_when_the_direct_one_fails_and_all_the_time_left_is_its_own() -> None:
    detour = Detour("w", REPORT, reached=True)
    assert timed(Probes(at_once(REPORT), never, detours=(("w", never),)))[0].evidence.detours == ()
    gathered, seconds = timed(Probes(at_once(REFUSED), at_once(True), detours=(("w", after(1.2, detour)),)))
    assert gathered.evidence.detours == (detour,) and seconds < 1.4
    evidence = timed(Probes(at_once(REFUSED), at_once(True), detours=(("w", hanging),)))[0].evidence
    (late,) = evidence.detours
    assert isinstance(late.ssh, NoAnswer) and late.ssh.reason.startswith("no answer within 1.") and not late.reached


def test_that_the_host_does_not_answer_may_come_late_within_the_look() -> None:
    """On a busy machine a ping that has ended is reaped later than its own limit; without this word there is no failover."""
    assert timed(Probes(at_once(REFUSED), after(0.9, False)))[0].evidence.reachable is False


def test_it_ends_in_time_when_everything_hangs() -> None:
    gathered, seconds = timed(Probes(hanging, hanging, (("w", hanging),), hanging, hanging))
    assert seconds < TIMES.whole
    evidence = gathered.evidence
    assert evidence.ssh == NoAnswer("no answer within 1.5 s")
    assert evidence.heartbeat == NoAnswer("no answer within 1 s")
    assert evidence.reachable == Blocked("whether the host answers at all was not known in time")
    assert evidence.witnesses == (Witness("w", False, "no answer within 0.5 s"),)
    assert gathered.received == NoAnswer("no answer within 1 s")


def test_a_short_time_limit_is_everybody_s() -> None:
    gathered, seconds = timed(Probes(hanging, hanging, (), hanging), replace(TIMES, whole=1.0))
    assert seconds < 1.0
    assert gathered.evidence.ssh == NoAnswer("no answer within 0.5 s")
    assert isinstance(gathered.evidence.reachable, Blocked)


def test_an_error_of_ours_is_not_taken_for_a_dead_host_nor_does_it_cost_the_other_items() -> None:
    def broken(limit: float) -> Any:
        raise ZeroDivisionError("x")

    unexpected = Blocked("unexpected: ZeroDivisionError('x')", "please report it")
    assert gather(Probes(broken, at_once(False)), TIMES).evidence.ssh == unexpected
    evidence = gather(Probes(at_once(NoAnswer("refused")), broken, heartbeat=broken), TIMES).evidence
    assert (evidence.ssh, evidence.reachable, evidence.heartbeat) == (NoAnswer("refused"), unexpected, unexpected)
