"""A part of a long run: each trial is drawn from the seed and its number alone, so that a resumed run does the same ones."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.long.result import Result

LAB: Final = f"long-{os.getpid()}"


@dataclass(frozen=True)
class Part:
    """`count` trials by default; `run` does those that `result` does not have yet."""

    what: str
    count: int
    run: Callable[[Result, int], None]


def chance(seed: int, part: str, number: int) -> random.Random:
    return random.Random(f"{seed}/{part}/{number}")


def say(part: str, number: int, count: int, what: str, held: bool, seconds: float) -> None:
    print(f"{part} {number}/{count}: {what}: {'held' if held else 'DID NOT HOLD'} ({seconds:.1f} s)", flush=True)
