"""setup-standby is killed with kill -9 at a random moment, under write load; given again it makes a replica that is the same. On
MariaDB, and on a real MySQL of a newer Debian."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.lab import Host, Lab
from tests.lab import followed as mariadb
from tests.lab.suite import COMMAND
from tests.long import mysql_lab as mysql
from tests.long.result import Result
from tests.long.trial import LAB, chance, say


@dataclass(frozen=True)
class Kind:
    """One kind of server: how a pair of them is made that has something to copy, and how it is spoken to."""

    part: str
    set_up: Callable[[Lab], None]
    client: str
    stop_replica: str
    sql: Callable[[Host, str], str]
    replicates: Callable[[Host], bool]
    equal: Callable[[Host, Host], bool]


def _mariadb_pair(lab: Lab) -> None:
    mariadb.configure(lab)
    mariadb.fill(lab.yasu, 131072)
    mariadb.follow(lab)


MARIADB = Kind("setup-standby", _mariadb_pair, "mariadb", "STOP SLAVE", mariadb.sql, mariadb.replicates, mariadb.equal)
MYSQL = Kind("mysql-setup-standby", mysql.pair_with_rows, mysql.AS_ROOT, "STOP REPLICA", mysql.sql, mysql.replicates, mysql.equal)


def setup_standby(result: Result, count: int) -> None:
    _trials(result, count, MARIADB)


def mysql_setup_standby(result: Result, count: int) -> None:
    _trials(result, count, MYSQL)


def _trials(result: Result, count: int, kind: Kind) -> None:
    part = kind.part
    if result.done(part) >= count:
        return
    with Lab.up(name=LAB) as lab:
        kind.set_up(lab)
        insert = "INSERT INTO perfparse.bin (host, value) VALUES ('load', RAND());"
        # without end: a source that is read-only for the comparison refuses some
        lab.yasu.write("/root/load.sh", f'while :; do echo "{insert}"; sleep 0.01; done | {kind.client} --force\n')
        lab.yasu.run("setsid -f sh /root/load.sh > /dev/null 2>&1 < /dev/null")
        version = kind.sql(lab.yasu, "SELECT VERSION()")
        began = time.monotonic()
        lab.nabira.run([COMMAND, "setup-standby", "--replace"], timeout=300)
        whole = time.monotonic() - began
        while (number := result.done(part) + 1) <= count:
            draw = chance(result.seed, part, number)
            moment, everything = draw.uniform(0.2, 0.9 * whole), draw.random() < 0.5
            began, note = time.monotonic(), ""
            try:
                kind.sql(lab.nabira, kind.stop_replica)
                state = _killed(lab.nabira, moment, everything=everything)
                said = lab.nabira.run([COMMAND, "setup-standby"], timeout=300).stdout
                held = kind.replicates(lab.nabira) and kind.equal(lab.yasu, lab.nabira)
                note = f"{state}; then {said.splitlines()[-2]}"
            except AssertionError as error:
                held, note = False, str(error)
            seconds = time.monotonic() - began
            what = {"server": version, "killed_after": round(moment, 2), "whole_group": everything, "note": note}
            result.add(part, what, held=held, seconds=seconds)
            say(part, number, count, note, held, seconds)


def _killed(host: Host, after: float, *, everything: bool) -> str:
    """Start it, kill it; what state the server was left in."""
    host.run(f"setsid -f sh -c 'echo $$ > /tmp/pid; exec {COMMAND} setup-standby --replace' > /tmp/said 2>&1")
    time.sleep(after)
    pid = host.read("/tmp/pid").strip()
    children = host.run(["ps", "-o", "pid=", "--ppid", pid], check=False).stdout.split() if everything else []
    host.run(["kill", "-9", pid, *children], check=False)
    steps = [line.partition(":")[0] for line in host.read("/tmp/said").splitlines() if not line.startswith("this server")]
    return f"killed after step {steps[-1] if steps else '-'}"
