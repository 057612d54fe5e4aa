"""What a switchover costs: how long nobody monitors, from the first word to the old master until the new one is seen active, and
how long no write is possible on either host's database."""

from __future__ import annotations

import json
import os
import statistics
import time
from typing import Final

from bench.common import add, promise
from tests.lab import Host, Lab
from tests.lab.replication import replicate
from tests.lab.suite import COMMAND
from tests.switching import may_switch, nobody_wrote_for, ready, switchover, write_all_the_while, wrote_since

RUNS: Final = 5
BLIND_GOAL_SECONDS: Final = 3.0
READ_ONLY_GOAL_SECONDS: Final = 0.5


def main() -> None:
    blind, read_only = [], []
    with Lab.up(name=f"bench-switchover-{os.getpid()}") as lab:
        lab.nabira.run([COMMAND, "pause", "--reason", "not yet"])
        replicate(lab)
        lab.nabira.run([COMMAND, "resume"])
        may_switch(lab)
        old, new = lab.yasu, lab.nabira
        for host in (old, new):
            write_all_the_while(host)
        for _ in range(RUNS):
            ready(lab, new)
            began = time.time()
            done = switchover(new)
            if done.returncode:
                raise SystemExit(done.stdout + done.stderr)
            blind.append(blind_seconds(new))
            lab.wait(lambda host=new, since=began: wrote_since(host, since), 20, "somebody writes on the new source")  # type: ignore[misc]
            read_only.append(nobody_wrote_for(lab, new, began))
            old, new = new, old
    for name, seconds, goal in (("blind", blind, BLIND_GOAL_SECONDS), ("read-only", read_only, READ_ONLY_GOAL_SECONDS)):
        add(f"switchover: {name}", statistics.median(seconds), "s", RUNS, f"goal {goal:g} s", statistics.median(seconds) / goal)
        promise(f"switchover: {name}", statistics.median(seconds), goal, "s")


def blind_seconds(host: Host) -> float:
    """Of the host's newest switchover."""
    runs = json.loads(host.run([COMMAND, "history", "--json"], timeout=60).stdout)
    newest = next(run for run in runs if run["kind"] == "switchover")
    steps = {step["name"]: step for step in newest["steps"]}
    return float(steps["activate"]["started"] + steps["activate"]["seconds"] - steps["quiesce"]["started"])
