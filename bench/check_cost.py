"""What one check costs the standby: check_master_nagios beside check_by_ssh and check_mysql_query doing the same look, in turn.

The plugin uses its held connection, as it does in nine checks of ten; the C pair logs in afresh, as it does as it comes, and for
comparison goes over a held connection too (which somebody would have to look after)."""

from __future__ import annotations

import json
import os
from typing import Final

from bench.common import add
from tests.lab import Lab
from tests.lab.suite import PASSWORD

RUNS: Final = 40
PLUGIN: Final = "/opt/nagios-failover/bin/check_master_nagios"
FRESH: Final = "check_by_ssh + check_mysql_query, fresh login"
HELD: Final = "check_by_ssh + check_mysql_query, held connection"

#: Run inside the standby as the Nagios user: `commands` in turn, CPU (of everything a command waited for) and wall, in ms.
TIMING: Final = """
import json, resource, statistics, subprocess, sys, time
commands, runs = json.loads(sys.argv[1]), int(sys.argv[2])
cpu, wall = {name: [] for name in commands}, {name: [] for name in commands}

def used():
    of = resource.getrusage(resource.RUSAGE_CHILDREN)
    return of.ru_utime + of.ru_stime

for number in range(runs + 2):
    for name, argvs in commands.items():
        before, began = used(), time.perf_counter()
        for argv in argvs:
            done = subprocess.run(argv, capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit(f"{argv}: exit code {done.returncode}: {done.stdout}{done.stderr}")
        if number >= 2:  # the first ones find cold caches
            wall[name].append((time.perf_counter() - began) * 1000)
            cpu[name].append((used() - before) * 1000)
print(json.dumps({name: [statistics.median(cpu[name]), statistics.median(wall[name])] for name in commands}))
"""


def main() -> None:
    with Lab.up(name=f"bench-check-{os.getpid()}") as lab:
        lab.nabira.service("nagios").stop()  # the bench looks, not Nagios
        yasu = lab.yasu.address
        plugins = "/usr/lib/nagios/plugins"
        look = f"{plugins}/check_nagios -F /var/log/nagios4/nagios.log -e 60 -C /usr/sbin/nagios4"
        by_ssh = [f"{plugins}/check_by_ssh", "-H", yasu, "-l", "hb", "-C", look]
        held = [
            option
            for value in ("ControlMaster=auto", "ControlPath=/tmp/bench.ssh", "ControlPersist=60")
            for option in ("-o", value)
        ]
        age = "SELECT TIMESTAMPDIFF(SECOND, last_update, UTC_TIMESTAMP()) FROM programstatus"
        account = ["-H", yasu, "-u", "nagios_failover", "-p", PASSWORD, "-d", "nagios"]
        query = [f"{plugins}/check_mysql_query", *account, "-q", age, "-w", "60", "-c", "300"]
        # Somebody else has to start a held connection: check_by_ssh would wait for the one that it leaves behind.
        options = ["-o", "BatchMode=yes", *held, "-l", "hb", yasu, "true"]
        lab.nabira.run(["sh", "-c", '"$@" </dev/null >/dev/null 2>&1', "sh", "ssh", *options], user="nagios")
        commands = {PLUGIN: [[PLUGIN]], FRESH: [by_ssh, query], HELD: [[*by_ssh, *held], query]}
        done = lab.nabira.run(["python3", "-c", TIMING, json.dumps(commands), str(RUNS)], user="nagios", timeout=300)
    measured = json.loads(done.stdout)
    cpu, wall = measured[PLUGIN]
    for name in (FRESH, HELD):
        add(f"{name}: CPU of a check", measured[name][0], "ms", RUNS)
        add(
            f"check_master_nagios: CPU of a check, by that of {name.partition(', ')[2]}",
            cpu,
            "ms",
            RUNS,
            name,
            cpu / measured[name][0],
        )
    add("check_master_nagios: time of a check", wall, "ms", RUNS, FRESH, wall / measured[FRESH][1])
