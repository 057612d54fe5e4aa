"""Each command and plugin while mysqld is frozen (SIGSTOP) on either side: all of them end within their limits, and say why."""

from __future__ import annotations

import subprocess
import time
from typing import Final

from tests.lab import Host, Lab
from tests.lab.followed import OPTIONS, configure, equal, fill, follow, replicates
from tests.lab.suite import COMMAND
from tests.long.result import Result
from tests.long.trial import LAB, say

PART: Final = "frozen"
BIN: Final = "/opt/nagios-failover/bin"
PLUGINS: Final = (
    "check_master_nagios", "check_failover_state", "check_failover_ready", "check_replication", "check_state_sync",
    "check_perfdata",
)  # fmt: skip
PLUGIN_SECONDS: Final = 15.0
READY_SECONDS: Final = 55.0
"""check_failover_ready tries everything, and has 50 s (-t)."""
#: what is run on the standby; a server that is to be started is waited for for a minute
COMMANDS: Final = ("status", "test", "trend web1 HTTP", "init-database", "promote", "switchover", "rejoin", "setup-standby")
COMMAND_SECONDS: Final = 100.0
#: setup-standby notices within this that nothing comes, or that nothing is taken
SILENCE: Final = {("replication", "silence_warning"): "4", ("replication", "silence_critical"): "10"}
ROWS: Final = 1 << 18


def frozen(result: Result, count: int) -> None:
    """A trial is one command and one frozen server; in the last two the server freezes in the midst of a copy."""
    if result.done(PART) >= count:
        return
    with Lab.up(name=LAB) as lab:
        configure(lab, {**OPTIONS, **SILENCE})
        fill(lab.yasu, ROWS)
        follow(lab)
        limits = {"check_failover_ready": READY_SECONDS}
        trials = [(f"{BIN}/{name}", "nagios", limits.get(name, PLUGIN_SECONDS)) for name in PLUGINS]
        trials += [(f"{COMMAND} {words}", "root", COMMAND_SECONDS) for words in COMMANDS]
        for side in (lab.nabira, lab.yasu):
            for words, user, limit in trials:
                side.service("mariadbd").freeze()
                try:
                    _trial(result, count, lab.nabira, words, user, limit, side.name)
                finally:
                    side.service("mariadbd").thaw()
            lab.wait(lambda: replicates(lab.nabira), 60, "it replicates again")
        for side in (lab.nabira, lab.yasu):
            _in_the_midst(result, count, lab, side)
        side = lab.yasu
        side.service("mariadbd").freeze()
        _trial(result, count, side, f"{COMMAND} standdown --force", "root", COMMAND_SECONDS, side.name)
        side.service("mariadbd").thaw()


def _trial(result: Result, count: int, host: Host, words: str, user: str, limit: float, side: str) -> None:
    began = time.monotonic()
    try:
        done = host.run(words, user=user, check=False, timeout=limit)
        said, held = f"{done.stdout}{done.stderr}".strip(), "Traceback" not in done.stdout + done.stderr
        said = f"exit code {done.returncode}: {said.splitlines()[-1] if said else ''}"
    except subprocess.TimeoutExpired:
        said, held = f"it did not end within {limit:g} s", False
    seconds, what = time.monotonic() - began, words.rpartition("/")[2]
    result.add(PART, {"what": what, "on": host.name, "frozen": side, "said": said[:300]}, held=held, seconds=seconds)
    say(PART, result.done(PART), count, f"{what}, {side}'s mysqld frozen: {said[:150]}", held, seconds)


def _in_the_midst(result: Result, count: int, lab: Lab, side: Host) -> None:
    nabira, began = lab.nabira, time.monotonic()
    nabira.run(f"setsid -f sh -c '{COMMAND} setup-standby --replace; echo ended $?' > /tmp/said 2>&1 < /dev/null")
    lab.wait(lambda: "empty: done" in nabira.read("/tmp/said"), 60, "it is emptied", poll=0.05)
    time.sleep(0.5)
    side.service("mariadbd").freeze()
    froze = time.monotonic()
    try:
        lab.wait(lambda: "ended " in nabira.read("/tmp/said"), COMMAND_SECONDS, "it has ended")
        seconds, said = time.monotonic() - froze, nabira.read("/tmp/said")
    except AssertionError as error:
        seconds, said = time.monotonic() - froze, str(error)
    finally:
        side.service("mariadbd").thaw()
    again = nabira.run([COMMAND, "setup-standby"], check=False, timeout=240)
    held = "ended 4" in said and again.returncode == 0 and equal(lab.yasu, nabira)
    error_line = next((line for line in said.splitlines() if line.startswith("error: ")), said[-200:])
    what = {"what": "setup-standby, in the midst of its copy", "on": "nabira", "frozen": side.name, "said": error_line[:300]}
    result.add(PART, what, held=held, seconds=seconds)
    say(PART, result.done(PART), count, f"copying, {side.name}'s mysqld frozen: {error_line[:150]}", held, time.monotonic() - began)
