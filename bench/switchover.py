"""How long nobody monitors during a switchover: from the first word to the old master until the new one is seen active."""

from __future__ import annotations

import json
import os
import statistics
from typing import Final

from bench.common import add
from tests.lab import Host, Lab
from tests.lab.suite import COMMAND
from tests.switching import may_switch, ready, switchover

RUNS: Final = 5
GOAL_SECONDS: Final = 3.0


def main() -> None:
    blind = []
    with Lab.up(name=f"bench-switchover-{os.getpid()}") as lab:
        may_switch(lab)
        old, new = lab.yasu, lab.nabira
        for _ in range(RUNS):
            ready(lab, new)
            done = switchover(new)
            if done.returncode:
                raise SystemExit(done.stdout + done.stderr)
            blind.append(blind_seconds(new))
            old, new = new, old
    median = statistics.median(blind)
    add("switchover/blind", median, "s", RUNS, f"goal {GOAL_SECONDS:g} s", median / GOAL_SECONDS)


def blind_seconds(host: Host) -> float:
    """Of the host's newest switchover."""
    runs = json.loads(host.run([COMMAND, "history", "--json"], timeout=60).stdout)
    newest = next(run for run in runs if run["kind"] == "switchover")
    steps = {step["name"]: step for step in newest["steps"]}
    return float(steps["activate"]["started"] + steps["activate"]["seconds"] - steps["quiesce"]["started"])
