"""A part of a long run: each trial is drawn from the seed and its number alone, so that a resumed run does the same ones."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from tests.lab import Lab
from tests.long.result import Result

LAB: Final = f"long-{os.getpid()}"
Prepared = TypeVar("Prepared")
Told = dict[str, object]
"""What the result says of a trial, filled while it runs: of one that fails, as far as it came."""


@dataclass(frozen=True)
class Part:
    """`count` trials by default; `run` does those that `result` does not have yet."""

    what: str
    count: int
    run: Callable[[Result, int], None]


def in_one_lab(
    result: Result,
    part: str,
    count: int,
    prepare: Callable[[Lab], Prepared],
    trial: Callable[[Prepared, int, Told], float | None],
) -> None:
    """One trial after the other with what `prepare` makes of a lab; after a failed one with a fresh lab, that none suffers from the
    one before."""
    while result.done(part) < count:
        with Lab.up(name=LAB) as lab:
            prepared = prepare(lab)
            held = True
            while held and result.done(part) < count:
                held = attempt(result, part, count, partial(trial, prepared))


def attempt(result: Result, part: str, count: int, trial: Callable[[int, Told], float | None]) -> bool:
    """Did it hold? It raises what did not, which is its note. It may return its seconds, where they are not all that it took."""
    number, told, note = result.done(part) + 1, Told(), ""
    began, seconds = time.monotonic(), None
    try:
        seconds = trial(number, told)
    except (AssertionError, subprocess.TimeoutExpired) as error:
        note = str(error) or type(error).__name__
    if seconds is None:
        seconds = time.monotonic() - began
    result.add(part, {**told, **({"note": note} if note else {})}, held=not note, seconds=seconds)
    words = [f"{name}: {value}" for name, value in result.trials[part][-1].items() if name in told or name == "note"]
    say(part, number, count, ", ".join(words), not note, seconds)
    return not note


def chance(seed: int, part: str, number: int) -> random.Random:
    return random.Random(f"{seed}/{part}/{number}")


def say(part: str, number: int, count: int, what: str, held: bool, seconds: float) -> None:
    print(f"{part} {number}/{count}: {what}: {'held' if held else 'DID NOT HOLD'} ({seconds:.1f} s)", flush=True)
