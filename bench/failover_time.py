"""Seconds from a fault of the master to checks running and notifications on at the standby, on real hosts."""

from __future__ import annotations

import os
import random
import statistics
import time
from typing import Final

from bench.common import add, promise
from nagios_failover.config import Config
from nagios_failover.config_file import parse
from tests.lab import Lab
from tests.lab.state import Profile
from tests.lab.suite import CONFIG
from tests.takeover import FAULTS, bound, fail_over

SEED: Final = 2005
#: profile, fault, runs. The first is the promise of 12 s, the two of the default profile those of 120 s.
PLAN: Final[tuple[tuple[Profile, str, int], ...]] = (
    ("one-second", "kill", 10),
    ("one-second", "power", 3),
    ("one-second", "link", 3),
    ("one-second", "clean-stop", 3),
    ("one-second", "stop", 3),
    ("default", "kill", 3),
    ("default", "power", 3),
)
PAPER_SECONDS: Final = 120.0
KILL_SECONDS: Final = 12.0


def main() -> None:
    chance = random.Random(SEED)
    for profile, fault, runs in PLAN:
        seconds, config = [], None
        for _ in range(runs):
            taken, config = measure(profile, fault, chance)
            seconds.append(taken)
        assert config is not None
        limit, against = compared_with(profile, fault, config)
        median = statistics.median(seconds)
        add(f"failover_time/{profile}/{fault}", median, "s", runs, against, median / limit)
        promise(f"failover_time/{profile}/{fault}", median, limit, "s")
        print(f"    {FAULTS[fault].what}: min {min(seconds):.1f}, median {median:.1f}, max {max(seconds):.1f} s", flush=True)


def compared_with(profile: Profile, fault: str, config: Config) -> tuple[float, str]:
    """What the median is held against: the promises, and for the other faults the formula from the configuration."""
    if profile == "default":
        return PAPER_SECONDS, f"the paper's {PAPER_SECONDS:g} s"
    if fault == "kill":
        return KILL_SECONDS, f"the promised {KILL_SECONDS:g} s"
    longest = bound(config, FAULTS[fault])
    return longest, f"formula {longest:g} s"


def measure(profile: Profile, fault: str, chance: random.Random) -> tuple[float, Config]:
    """One failover in a lab of its own, at a random moment between two looks."""
    with Lab.up(name=f"bench-{os.getpid()}", profile=profile) as lab:
        config = parse(lab.nabira.read(CONFIG), hostname="nabira")
        time.sleep(2 * config.look.interval + chance.uniform(0, config.look.interval))
        return fail_over(lab, fault, timeout=3 * PAPER_SECONDS).seconds, config
