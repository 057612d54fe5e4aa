"""Making a replica the source: the step `promote` beside the same SQL by hand, in turn in one pair; and check_replication beside
check_mysql -S, which knows threads and lag alone."""

from __future__ import annotations

import json
import os
import statistics
import time
from typing import Final

from bench.check_cost import TIMING
from bench.common import add
from tests.lab import Lab
from tests.lab.replication import ADMIN, TLS, begin_anew, replicate
from tests.lab.suite import COMMAND, PASSWORD

RUNS: Final = 7
CHECKS: Final = 30
PLUGIN: Final = "/opt/nagios-failover/bin/check_replication"
BY_HAND: Final = "the same SQL by hand"
CHECK_MYSQL: Final = "check_mysql -S"


def main() -> None:
    with Lab.up(name=f"bench-promotion-{os.getpid()}") as lab:
        for host in (lab.yasu, lab.nabira):
            host.service("nagios").stop()  # the bench acts, not Nagios
        replicate(lab)
        begin_anew(lab)
        _checks(lab)
        lab.nabira.run([COMMAND, "init", "--master", "--force"])
        by_hand, steps, commands = [], [], []
        for _ in range(RUNS):
            begin_anew(lab)
            by_hand.append(_by_hand(lab))
            begin_anew(lab)
            lab.nabira.run(["rm", "-f", "/var/lib/nagios-failover/promotion"])
            step, command = _promote(lab)
            steps.append(step)
            commands.append(command)
    bare = statistics.median(by_hand)
    add(BY_HAND, bare, "s", RUNS)
    add("promotion: the step", statistics.median(steps), "s", RUNS, BY_HAND, statistics.median(steps) / bare)
    add("promotion: nagios-failover promote", statistics.median(commands), "s", RUNS, BY_HAND, statistics.median(commands) / bare)


def _checks(lab: Lab) -> None:
    account = ["-s", "/run/mysqld/mysqld.sock", "-u", ADMIN, "-p", PASSWORD]
    commands = {PLUGIN: [[PLUGIN]], CHECK_MYSQL: [["/usr/lib/nagios/plugins/check_mysql", *account, "-S", "-w", "30", "-c", "300"]]}
    done = lab.nabira.run(["python3", "-c", TIMING, json.dumps(commands), str(CHECKS)], user="nagios", timeout=300)
    measured = json.loads(done.stdout)
    for index, what in enumerate(("CPU", "time")):
        plugin, bare = measured[PLUGIN][index], measured[CHECK_MYSQL][index]
        add(f"{CHECK_MYSQL}: {what} of a check", bare, "ms", CHECKS)
        add(f"check_replication: {what} of a check", plugin, "ms", CHECKS, CHECK_MYSQL, plugin / bare)


def _by_hand(lab: Lab) -> float:
    """As an operator would who has it all in his history, on the replica's host; his fingers are not timed."""
    remote = f"mariadb -h {lab.yasu.address} -u {ADMIN} -p{PASSWORD} --ssl-ca={TLS}/ca.pem --ssl-verify-server-cert -N"
    script = (
        f"position=$({remote} -e 'SET GLOBAL read_only=ON; SELECT @@gtid_binlog_pos'); mariadb -N -e \"SELECT MASTER_GTID_WAIT("
        "'$position', 10); STOP SLAVE IO_THREAD; STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only=OFF\""
    )
    return float(
        lab.nabira.run(f"began=$(date +%s.%N); {script} >&2; echo \"$(date +%s.%N) $began\" | awk '{{print $1-$2}}'").stdout
    )


def _promote(lab: Lab) -> tuple[float, float]:
    began = time.monotonic()
    lab.nabira.run([COMMAND, "promote"], timeout=60)
    took = time.monotonic() - began
    run = json.loads(lab.nabira.run([COMMAND, "history", "--json"]).stdout)[0]
    step = next(step for step in run["steps"] if step["name"] == "promote")
    if step["outcome"] != "done":
        raise AssertionError(f"not promoted: {step}")
    return float(step["seconds"]), took
