"""The evidence of one look, gathered side by side. It ends inside its time limit whatever hangs: each item is asked in a thread of
its own, and one that does not come back is left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from nagios_failover.evidence import (
    NOT_CONFIGURED,
    Blocked,
    Detour,
    Evidence,
    Heartbeat,
    HostReport,
    NoAnswer,
    NotConfigured,
    Witness,
)
from nagios_failover.frozen import frozen

ASK_OTHERS_AFTER = 1.0
"""Seconds after which an ssh that has not answered is doubted, and the host and the witnesses are asked meanwhile."""

T = TypeVar("T")


@frozen
class Probes:
    """How each item is asked; the argument is its time limit in seconds. None: not configured."""

    ssh: Callable[[float], HostReport | NoAnswer | Blocked]
    reachable: Callable[[float], bool | Blocked]
    witnesses: tuple[tuple[str, Callable[[float], Witness]], ...] = ()
    heartbeat: Callable[[float], Heartbeat | NoAnswer | Blocked] | None = None
    received: Callable[[float], int | NoAnswer | Blocked] | None = None
    detours: tuple[tuple[str, Callable[[float], Detour]], ...] = ()


@frozen
class Times:
    """Time limits in seconds: of the whole look, and of the items."""

    whole: float
    ssh: float
    heartbeat: float
    reach: float

    @property
    def asking(self) -> float:
        """Seconds for asking; the rest is kept for judging and recording (a busy host, a slow disk)."""
        return self.whole - max(0.3, 0.1 * self.whole)

    @property
    def others_after(self) -> float:
        return min(ASK_OTHERS_AFTER, 0.4 * self.whole)


@frozen
class Gathered:
    """What came back. `received` is the replica's counter, not yet compared with an earlier look's."""

    evidence: Evidence
    received: int | NoAnswer | Blocked | None
    seconds: dict[str, float]


def _surely(ask: Callable[[float], T]) -> Callable[[float], T | Blocked]:
    """What one item did not expect (a garbled greeting breaks PyMySQL in its own ways) must not cost the whole look."""

    def asked(limit: float) -> T | Blocked:
        try:
            return ask(limit)
        except Exception as error:  # noqa: BLE001 - said as what it is, and never taken for an answer
            return Blocked(f"unexpected: {error!r}", "please report it")

    return asked


class _Question(threading.Thread, Generic[T]):
    """One item, asked in its own thread. A thread that hangs does not keep the process from ending."""

    def __init__(self, ask: Callable[[float], T], limit: float) -> None:
        super().__init__(daemon=True)
        self._ask = ask
        self.limit = max(0.1, limit)
        self._started_at = time.monotonic()
        self._came: list[T] = []
        self._failed: list[BaseException] = []
        self.seconds = self.limit
        self.start()

    def run(self) -> None:
        try:
            self._came.append(self._ask(self.limit))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for the answer
            self._failed.append(error)
        self.seconds = time.monotonic() - self._started_at

    def answer(self, wait: float) -> T | None:
        """What came within `wait` seconds from now; None: nothing yet. Raises what the asking raised."""
        self.join(max(0.0, wait))
        if self._failed:
            raise self._failed[0]
        return self._came[0] if self._came else None

    def rest(self) -> float:
        """Seconds until this item has used up its time limit; a little more, since it may be about to say so itself."""
        return self._started_at + self.limit + 0.2 - time.monotonic()


def gather(probes: Probes, times: Times) -> Gathered:
    """Ask everything side by side; the host's reachability, the witnesses and the way through them only when ssh fails or takes
    long."""
    started = time.monotonic()
    deadline = started + times.asking
    room = times.asking - 0.2
    ssh_asked = _Question(_surely(probes.ssh), min(times.ssh, room))
    beat_asked = _Question(_surely(probes.heartbeat), min(times.heartbeat, room)) if probes.heartbeat else None
    received_asked = _Question(_surely(probes.received), min(times.heartbeat, room)) if probes.received else None

    seen = ssh_asked.answer(times.others_after)
    reach_asked, witnesses_asked, detours_asked = None, [], []
    if seen is None or isinstance(seen, NoAnswer):
        limit = min(times.reach, deadline - 0.2 - time.monotonic())
        reach_asked = _Question(_surely(probes.reachable), limit)
        witnesses_asked = [(address, _Question(ask, limit)) for address, ask in probes.witnesses]
        rest = deadline - 0.2 - time.monotonic()
        detours_asked = [(witness, _Question(_surely(ask), rest)) for witness, ask in probes.detours]

    def wait(question: _Question[T]) -> T | None:
        return question.answer(min(question.rest(), deadline - time.monotonic()))

    seen = seen or wait(ssh_asked) or NoAnswer(f"no answer within {ssh_asked.limit:.3g} s")
    beat: Heartbeat | NoAnswer | Blocked | NotConfigured = NOT_CONFIGURED
    if beat_asked:
        beat = wait(beat_asked) or NoAnswer(f"no answer within {beat_asked.limit:.3g} s")
    received: int | NoAnswer | Blocked | None = None
    if received_asked:
        received = wait(received_asked)
        received = NoAnswer(f"no answer within {received_asked.limit:.3g} s") if received is None else received
    reach: bool | Blocked | None = None
    witnesses: list[Witness] = []
    detours: list[Detour] = []
    if isinstance(seen, NoAnswer) and reach_asked:
        # what proves a death, or that it is not this host that is cut off, is not given up for a busy moment of this host
        reach = reach_asked.answer(deadline - time.monotonic())
        reach = Blocked("whether the host answers at all was not known in time") if reach is None else reach
        witnesses = [
            asked.answer(deadline - time.monotonic())
            or Witness(address, answered=False, reason=f"no answer within {asked.limit:.3g} s")
            for address, asked in witnesses_asked
        ]
        detours = [_detour(witness, wait(asked), asked.limit) for witness, asked in detours_asked]
    seconds = {"ssh": ssh_asked.seconds, "total": time.monotonic() - started}
    if beat_asked:
        seconds["database"] = beat_asked.seconds
    evidence = Evidence(ssh=seen, heartbeat=beat, reachable=reach, witnesses=tuple(witnesses), detours=tuple(detours))
    return Gathered(evidence, received, seconds)


def _detour(witness: str, came: Detour | Blocked | None, limit: float) -> Detour:
    if isinstance(came, Detour):
        return came
    return Detour(witness, came or NoAnswer(f"no answer within {limit:.3g} s"), reached=False)
