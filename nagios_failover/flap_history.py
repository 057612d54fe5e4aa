"""A state history for a flapping object, made up from its percentage: status.dat has no other. Pure."""

from __future__ import annotations

from functools import lru_cache

HISTORY = 21
"""MAX_STATE_HISTORY_ENTRIES."""


@lru_cache(maxsize=1024)
def state_history(state: int, percent: float, high: float, *, flapping: bool) -> str:
    """21 states, the last one `state`, whose changes add up to about `percent` as Nagios weighs them, and to more than `high`
    exactly where the object is flapping: Nagios judges anew from the history when it loads it."""
    count = min(round(percent / 5), HISTORY - 1)
    while flapping and count < HISTORY - 1 and _weighed(_places(count)) < high + 1:
        count += 1
    while not flapping and count > 0 and _weighed(_places(count)) >= high:
        count -= 1
    places, states, other = set(_places(count)), [state], 0 if state else 1
    for place in range(HISTORY - 1, 0, -1):
        newer = states[-1]
        states.append((other if newer == state else state) if place in places else newer)
    return ",".join(map(str, reversed(states)))


def _places(count: int) -> list[int]:
    """Where the changes are, evenly over the positions 1 to 20."""
    return [1 + int((index + 0.5) * (HISTORY - 1) / count) for index in range(count)] if count else []


def _weighed(places: list[int]) -> float:
    """Nagios's curve: recent changes count more (0.75 to 1.25)."""
    return sum((place - 1) * 0.5 / (HISTORY - 2) + 0.75 for place in places) * 100 / (HISTORY - 1)
