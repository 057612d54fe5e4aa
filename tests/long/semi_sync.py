"""What a dead source takes with it, counted by who wrote: with semi-synchronous replication nothing that was acknowledged while the
source waited for its replica; with asynchronous replication over a slow link some, all of it after the position that the run
names, as the old source shows when it is back."""

from __future__ import annotations

import json
import os
import random
import re
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from nagios_failover.gtid import transactions_between
from nagios_failover.words import Role
from tests.lab import Host, Lab
from tests.lab.replication import begin_anew, caught_up, replicate, sql
from tests.lab.suite import COMMAND, STATE, begin_as, is_active
from tests.lab.target import wait_for_mariadb
from tests.long.result import Result
from tests.takeover import newest_look, role_of

LAB: Final = f"long-semi-sync-{os.getpid()}"
SLOW_SECONDS: Final = 0.1
CONNECTIONS: Final = 4
#: Four connections commit as fast as they can; a line for each commit that was acknowledged: its id, and whether the source waited
#: for its replica both before and after it (ON) or not.
WRITER: Final = """
import sys, threading
import pymysql

def write(first):
    connection = pymysql.connect(unix_socket="/run/mysqld/mysqld.sock", user="root", ssl_disabled=True, autocommit=True)
    cursor = connection.cursor()
    def waits():
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_master_status'")
        return cursor.fetchone()[1] == "ON"
    number, before = first, waits()
    while True:
        cursor.execute("INSERT INTO perfparse.acknowledged (id) VALUES (%s)", (number,))
        after = waits()
        sys.stdout.write(f"{number} {'ON' if before and after else 'OFF'}\\n")
        sys.stdout.flush()
        number, before = number + 4, after

def until_it_breaks(first):
    try:
        write(first)
    except pymysql.MySQLError:
        pass

threads = [threading.Thread(target=until_it_breaks, args=(first,)) for first in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@dataclass(frozen=True)
class Count:
    """Commits by what the writer was told, and how many of them the new source has not got."""

    acknowledged: int
    waited_for: int
    lost: int
    lost_though_waited_for: int


@dataclass(frozen=True)
class Truth:
    """What the old source has, when it can be read again, and the new one has not: rows of the writer, and transactions after the
    position that the run named."""

    rows: int
    transactions: int | None


def semi_sync(result: Result, count: int) -> None:
    """kill -9 of the source, or its power, under write load with semi-synchronous replication."""
    _trials(result, count, "semi-sync", semi=True)


def asynchronous(result: Result, count: int) -> None:
    """The same with asynchronous replication over a slow link."""
    _trials(result, count, "async", semi=False)


def _trials(result: Result, count: int, part: str, *, semi: bool) -> None:
    if result.done(part) >= count:
        return
    with Lab.up(name=LAB) as lab:
        lab.nabira.run([COMMAND, "pause", "--reason", "not yet"])
        replicate(lab, {("replication", "semi_sync"): "yes" if semi else "no"})
        while (number := result.done(part) + 1) <= count:
            draw = random.Random(f"{result.seed}/{part}/{number}")
            fault = draw.choice(("kill -9", "power off"))
            began = time.monotonic()
            _healthy_pair(lab, semi=semi)
            counted, said = _trial(lab, fault, draw.uniform(1, 4), semi=semi)
            what = {"fault": fault, **counted.__dict__, "said": said}
            if semi:
                held = counted.waited_for > 50 and counted.lost_though_waited_for == 0
            else:
                truth = _truth(lab, said)
                what |= {"old_source_alone": truth.__dict__}
                held = _is_true(said, counted, truth)
            result.add(part, what, held=held, seconds=time.monotonic() - began)
            lost = f"{counted.lost} of {counted.acknowledged} acknowledged commits missing, {counted.lost_though_waited_for} of "
            print(
                f"{part} {number}/{count}: {fault}: {'held' if held else 'DID NOT HOLD'}: {lost}{counted.waited_for} waited for",
                flush=True,
            )


def _is_true(said: str, counted: Count, truth: Truth) -> bool:
    """The run claims neither to have everything nor to know how much it lacks, and all that is missing comes after the position
    that it names. A connection each may have had a commit on its way that nobody was told of."""
    claims = "own position could not be read" in said and truth.transactions is not None
    return claims and counted.lost <= truth.rows <= counted.lost + CONNECTIONS and truth.rows <= (truth.transactions or 0)


def _truth(lab: Lab, said: str) -> Truth:
    """Once the old source's server runs again, and before anything else does there."""
    yasu = lab.yasu
    if yasu.is_on():
        yasu.service("mariadbd").start()
    else:
        yasu.on()
    wait_for_mariadb(yasu)
    ids = {host.name: set(sql(host, "SELECT id FROM perfparse.acknowledged").split()) for host in (yasu, lab.nabira)}
    executed = re.findall(r"executed up to ([\d,-]+)", said)
    missing = transactions_between(executed[-1], sql(yasu, "SELECT @@gtid_binlog_pos")) if executed else None
    return Truth(len(ids["yasu"] - ids["nabira"]), missing)


def _healthy_pair(lab: Lab, *, semi: bool) -> None:
    """yasu the master and the source, nabira its standby and replica, whatever the trial before has left."""
    lab.nabira.run([COMMAND, "pause", "--reason", "not yet"])
    if not lab.yasu.is_on():
        lab.yasu.on()
    for name in ("mariadbd", "nagios"):
        lab.yasu.service(name).start()
    lab.wait(lambda: lab.yasu.run(["mariadb", "-e", "SELECT 1"], check=False).returncode == 0, 60, "yasu's MariaDB answers")
    if role_of(lab.nabira) == Role.MASTER:
        lab.wait(lambda: role_of(lab.yasu) == Role.STANDBY, 90, "yasu has stood down")
    lab.wait(lambda: not _open_runs(lab), 90, "nobody acts on the databases any more", poll=0.5)
    switch = "ON" if semi else "OFF"
    sql(lab.nabira, f"SET GLOBAL rpl_semi_sync_master_enabled=OFF; SET GLOBAL rpl_semi_sync_slave_enabled={switch}")
    if not semi:
        lab.slow("nabira", "yasu", SLOW_SECONDS)
    begin_anew(lab)
    sql(
        lab.yasu,
        f"SET GLOBAL rpl_semi_sync_master_enabled={switch}; CREATE OR REPLACE TABLE perfparse.acknowledged (id INT PRIMARY KEY)",
    )
    begin_as(lab, lab.nabira, "--standby")
    begin_as(lab, lab.yasu, "--master")
    lab.wait(lambda: is_active(lab.yasu) and not is_active(lab.nabira), 60, "yasu is the master")
    term = int(re.findall(r"^term=(\d+)$", lab.yasu.read(f"{STATE}/role"), re.M)[0])
    lab.wait(lambda: newest_look(lab.nabira).get("peer_term") == term, 60, "nabira has seen yasu's term, and takes the next one")
    lab.wait(lambda: caught_up(lab.yasu, lab.nabira), 60, "nabira has caught up")
    waits = "SHOW STATUS LIKE 'Rpl_semi_sync_master_status'"
    lab.wait(lambda: sql(lab.yasu, waits).endswith(switch), 60, f"semi-synchronous replication is {switch}")


def _open_runs(lab: Lab) -> list[str]:
    told = [json.loads(host.run([COMMAND, "history", "--json"], timeout=60).stdout) for host in (lab.yasu, lab.nabira)]
    return [run["id"] for runs in told for run in runs if run["outcome"] == "running"]


def _trial(lab: Lab, fault: str, seconds: float, *, semi: bool) -> tuple[Count, str]:
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(_write, lab.yasu)
        time.sleep(seconds)
        if not semi:
            lab.cut("nabira", "yasu")  # what is on its way on the slow link goes with the source
        if fault == "power off":
            lab.yasu.off()
        else:
            lab.yasu.service("mariadbd").kill9()
            lab.yasu.service("nagios").kill9()
        lines = _lines(writing)
    lab.mend("nabira", "yasu")  # a relay would answer for the dead host
    lab.nabira.run([COMMAND, "resume"])
    lab.wait(lambda: str(role_of(lab.nabira)) == "master", 90, "nabira is the master")
    try:
        lab.wait(lambda: sql(lab.nabira, "SELECT @@read_only") == "0", 60, "nabira's database is the source")
    except AssertionError as error:
        return Count(len(lines), 0, len(lines), len(lines)), f"{error}: {_promotion(lab)}"
    there = {int(line) for line in sql(lab.nabira, "SELECT id FROM perfparse.acknowledged").split()}
    told = [(int(number), status == "ON") for number, status in (line.split() for line in lines)]
    lost = [waited for number, waited in told if number not in there]
    count = Count(len(told), sum(waited for _, waited in told), len(lost), sum(lost))
    return count, _promotion(lab)


def _promotion(lab: Lab) -> str:
    """What the newest failover says of the database."""
    runs = json.loads(lab.nabira.run([COMMAND, "history", "--json"], timeout=60).stdout)
    newest = next(run for run in runs if run["kind"] == "failover")
    return next((str(step["detail"]) for step in newest["steps"] if step["name"] == "promote"), "it did not come to the database")


def _write(host: Host) -> str:
    return host.run(["/opt/nagios-failover/bin/python", "-u", "-c", WRITER], check=False, timeout=120).stdout


def _lines(writing: Future[str]) -> list[str]:
    """Whole lines: what the last one says is not known when the power went within it."""
    return [line for line in writing.result().splitlines(keepends=True) if line.endswith("\n") and line.count(" ") == 1]
