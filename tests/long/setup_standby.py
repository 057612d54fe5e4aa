"""setup-standby is killed with kill -9 at a random moment, under write load; given again it makes a replica that is the same."""

from __future__ import annotations

import time
from typing import Final

from tests.lab import Host, Lab
from tests.lab.followed import configure, equal, fill, follow, replicates, sql
from tests.lab.suite import COMMAND
from tests.long.result import Result
from tests.long.trial import LAB, chance, say

PART: Final = "setup-standby"
ROWS: Final = 131072
LOAD: Final = (
    """while :; do echo "INSERT INTO perfparse.bin (host, value) VALUES ('load', RAND());"; sleep 0.01; done | mariadb\n"""
)


def setup_standby(result: Result, count: int) -> None:
    if result.done(PART) >= count:
        return
    with Lab.up(name=LAB) as lab:
        configure(lab)
        fill(lab.yasu, ROWS)
        follow(lab)
        lab.yasu.write("/root/load.sh", LOAD)
        lab.yasu.run("setsid -f sh /root/load.sh > /dev/null 2>&1 < /dev/null")
        began = time.monotonic()
        lab.nabira.run([COMMAND, "setup-standby", "--replace"], timeout=300)
        whole = time.monotonic() - began
        while (number := result.done(PART) + 1) <= count:
            draw = chance(result.seed, PART, number)
            moment, everything = draw.uniform(0.2, 0.9 * whole), draw.random() < 0.5
            began, note = time.monotonic(), ""
            try:
                state = _killed(lab.nabira, moment, everything=everything)
                said = lab.nabira.run([COMMAND, "setup-standby"], timeout=300).stdout
                held = replicates(lab.nabira) and equal(lab.yasu, lab.nabira)
                note = f"{state}; then {said.splitlines()[-2]}"
            except AssertionError as error:
                held, note = False, str(error)
            seconds = time.monotonic() - began
            what = {"killed_after": round(moment, 2), "whole_group": everything, "note": note}
            result.add(PART, what, held=held, seconds=seconds)
            say(PART, number, count, note, held, seconds)


def _killed(host: Host, after: float, *, everything: bool) -> str:
    """Start it, kill it; what state the server was left in."""
    sql(host, "STOP SLAVE")
    host.run(f"setsid -f sh -c 'echo $$ > /tmp/pid; exec {COMMAND} setup-standby --replace' > /tmp/said 2>&1")
    time.sleep(after)
    pid = host.read("/tmp/pid").strip()
    children = host.run(["ps", "-o", "pid=", "--ppid", pid], check=False).stdout.split() if everything else []
    host.run(["kill", "-9", pid, *children], check=False)
    steps = [line.partition(":")[0] for line in host.read("/tmp/said").splitlines() if not line.startswith("this server")]
    return f"killed after step {steps[-1] if steps else '-'}"
