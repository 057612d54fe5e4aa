"""Roles of the databases go round: what the README says makes a pair, and the old source rejoins, cleanly or copied anew.

Programs of both hosts write all the while; what was acknowledged to them under semi-synchronous replication is not lost.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator

import pytest

from tests.e2e.test_readme import as_readme
from tests.lab import Host, Lab, why_not
from tests.lab.followed import DROP_IN, configure, equal, fill, replicates, sql, status
from tests.lab.suite import COMMAND, STATE
from tests.lab.target import wait_for_mariadb
from tests.perfdata_world import PERFDATA, hold_loader, queued_lines, release_loader, times_loaded
from tests.readme import blocks, differing
from tests.takeover import role_of

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

PYTHON = "/opt/nagios-failover/bin/python"
ACKNOWLEDGED = "/root/acknowledged"
WRITER = """
import os, socket, sys, time
import pymysql
open("/root/writer.pid", "w").write(str(os.getpid()))
name, number = socket.gethostname(), int(time.time()) % 1_000_000 * 1000  # another one after each start
while True:
    try:
        connection = pymysql.connect(unix_socket="/run/mysqld/mysqld.sock", user="writer", password="w", read_timeout=20)
        while True:
            number += 1
            with connection.cursor() as cursor:
                for table in ("perfparse.written", "nagios.written"):
                    cursor.execute(f"INSERT INTO {table} VALUES (%s, %s)", (name, number))
                connection.commit()
                cursor.execute("SHOW STATUS LIKE 'Rpl_semi_sync_master_status'")
                if cursor.fetchone()[1] == "ON":
                    print(name, number, flush=True)
            time.sleep(0.01)
    except Exception as error:
        print(error, file=sys.stderr, flush=True)
        time.sleep(0.2)
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(name=f"rejoin-{os.getpid()}") as lab:
        configure(lab)
        fill(lab.yasu, 1024)
        yield lab


def as_the_readme_says(lab: Lab, *, rejoin: bool) -> str:
    """Run its blocks for databases, and compare; what the last one printed."""
    printed = ""
    for block in blocks():
        if "database" not in block.words or ("rejoin" in block.words) is not rejoin:
            continue
        if block.hosts == ("nabira",):
            lab.wait(lambda: sql(lab.yasu, "SELECT @@gtid_binlog_pos") != "", 30, "yasu's loader writes again")
        for command in block.commands:
            done = lab.host(block.hosts[0]).run(command.text, check=False, timeout=120)
            printed = as_readme(done.stdout + done.stderr)
            wrong = differing(command.prints, printed)
            assert not wrong, f"README.md line {block.line}: `{command.text}` does not print\n{wrong}\nbut\n{printed}"
    return printed


def test_the_readme_s_commands_make_a_pair_of_databases(lab: Lab) -> None:
    as_the_readme_says(lab, rejoin=False)
    assert equal(lab.yasu, lab.nabira)
    sql(lab.yasu, "; ".join(f"CREATE TABLE {name}.written (host CHAR(9), number INT)" for name in ("perfparse", "nagios")))
    for host in (lab.yasu, lab.nabira):
        sql(host, "SET sql_log_bin=0; CREATE USER writer@localhost IDENTIFIED BY 'w'; GRANT INSERT ON *.* TO writer@localhost")
        host.write("/root/writer.py", WRITER)
        write(host)


def write(host: Host) -> None:
    """After a power cut it has to be started anew; what it was told before is kept."""
    host.run(f"cat {ACKNOWLEDGED}.now >> {ACKNOWLEDGED} 2>/dev/null; rm -f {ACKNOWLEDGED}.now", check=False)
    host.run(f"setsid -f {PYTHON} /root/writer.py > {ACKNOWLEDGED}.now 2> /root/writer.log < /dev/null")


def acknowledged(host: Host) -> list[str]:
    return host.run(f"cat {ACKNOWLEDGED} {ACKNOWLEDGED}.now 2>/dev/null", check=False).stdout.splitlines()


def check_all_is_there_once(lab: Lab, source: Host) -> None:
    """Everything that was acknowledged with semi-sync on, on either host; no row twice; one line of history."""
    wanted = {line for host in (lab.yasu, lab.nabira) for line in acknowledged(host) if re.fullmatch(r"\w+ \d+", line)}
    selects = "; ".join(f"SELECT '{name}', host, number FROM {name}.written" for name in ("perfparse", "nagios"))
    rows = [line.split("\t", 1) for line in sql(source, f"START TRANSACTION WITH CONSISTENT SNAPSHOT; {selects}").splitlines()]
    there = {name: [row.replace("\t", " ") for table, row in rows if table == name] for name in ("perfparse", "nagios")}
    assert sorted(there["perfparse"]) == sorted(there["nagios"]), "a transaction is whole or not there"
    assert len(set(there["nagios"])) == len(there["nagios"]), "no row twice"
    missing = wanted - set(there["nagios"])
    assert not missing, f"{len(missing)} of {len(wanted)} acknowledged commits are lost"
    assert wanted
    assert len(sql(source, "SELECT @@gtid_binlog_pos").split(",")) == 1, "one line of GTIDs"


def hand_over(lab: Lab, old: Host, new: Host) -> None:
    old.run([COMMAND, "standdown"], timeout=60)
    new.run([COMMAND, "failover"], timeout=90)
    assert role_of(new) == "master" and sql(new, "SELECT @@read_only") == "0"


def rejoin(host: Host) -> str:
    done = host.run([COMMAND, "rejoin"], check=False, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def semi_synchronous(lab: Lab, source: Host) -> None:
    lab.wait(lambda: sql(source, "SHOW STATUS LIKE 'Rpl_semi_sync_master_status'").endswith("ON"), 30, "semi-synchronous again")
    time.sleep(1)


LATE = f"{int(time.time())}\tweb1\tlate\tout\tOK\tt=1"


def test_a_clean_one_is_attached_in_well_under_a_second(lab: Lab) -> None:
    """yasu's loader could not load, and nabira fetches what waits; one file is queued too late for that."""
    semi_synchronous(lab, lab.yasu)
    hold_loader(lab.yasu)
    lab.wait(lambda: len(queued_lines(lab.yasu)) >= 20, 30, "yasu's queue grows")
    hand_over(lab, lab.yasu, lab.nabira)
    release_loader(lab.yasu)
    lab.yasu.write(f"{PERFDATA}/queue/{int(time.time())}.1", f"{LATE}\n", owner="nagios", group="adm")
    said = as_the_readme_says(lab, rejoin=True)
    run = re.findall(r"nagios-failover history (\S+)", said)[-1]
    history = lab.yasu.run([COMMAND, "history", run]).stdout
    for name, limit in (("compare", 1.0), ("attach", 1.0)):
        took = re.search(rf"^{name} +done +([\d.]+) s ", history, re.M)
        assert took and float(took.group(1)) < limit, history
    semi_synchronous(lab, lab.nabira)
    check_all_is_there_once(lab, lab.nabira)
    waiting = queued_lines(lab.yasu)
    lab.wait(lambda: set(times_loaded(lab.nabira, waiting[:-1]).values()) == {1}, 30, "nabira's loader has loaded what waited")
    assert waiting[-1] == LATE and times_loaded(lab.nabira, [LATE]) == {LATE: 0}
    assert equal(lab.nabira, lab.yasu)


def test_back_again_from_a_source_that_lost_its_power(lab: Lab) -> None:
    """It comes back as what it was: what it writes before it has stood down is its own, and is saved."""
    lab.nabira.off()
    waiting = queued_lines(lab.yasu)
    lab.wait(lambda: role_of(lab.yasu) == "master" and sql(lab.yasu, "SELECT @@read_only") == "0", 60, "yasu is the source")
    lab.wait(lambda: times_loaded(lab.yasu, [LATE]) == {LATE: 1}, 30, "yasu's loader has loaded what nabira had not fetched")
    assert len(waiting) > 20 and set(times_loaded(lab.yasu, waiting).values()) == {1}, "and what nabira had loaded not again"
    lab.nabira.on()
    wait_for_mariadb(lab.nabira)
    write(lab.nabira)
    lab.wait(lambda: role_of(lab.nabira) == "standby", 60, "nabira has stood down")
    assert sql(lab.nabira, "SELECT @@read_only") == "1"
    said = rejoin(lab.nabira)
    semi_synchronous(lab, lab.yasu)
    assert replicates(lab.nabira) and equal(lab.yasu, lab.nabira)
    if "copied anew" in said:
        saved = lab.nabira.read(re.findall(r"what it alone had is in (\S+)", said)[-1])
        assert "### INSERT INTO" in saved or "### UPDATE" in saved
    lost = {line for line in acknowledged(lab.nabira) if re.fullmatch(r"\w+ \d+", line)}
    assert lost
    check_all_is_there_once(lab, lab.yasu)


def test_and_to_nabira_once_more(lab: Lab) -> None:
    hand_over(lab, lab.yasu, lab.nabira)
    said = rejoin(lab.yasu)
    assert "yasu's database is a replica of nabira's: attached, its history was clean\n" in said
    semi_synchronous(lab, lab.nabira)
    check_all_is_there_once(lab, lab.nabira)
    assert equal(lab.nabira, lab.yasu)


def test_an_old_source_that_went_on_alone_is_never_merged(lab: Lab) -> None:
    """nabira takes writes that yasu never sees; yasu takes over; what nabira alone had is saved, and it is copied anew."""
    lab.nabira.run("kill $(cat /root/writer.pid)")
    sql(lab.yasu, "STOP SLAVE IO_THREAD")
    sql(
        lab.nabira, "SET GLOBAL rpl_semi_sync_master_enabled = OFF; INSERT INTO perfparse.written VALUES ('alone', 1), ('alone', 2)"
    )
    lab.nabira.off()
    lab.wait(lambda: role_of(lab.yasu) == "master" and sql(lab.yasu, "SELECT @@read_only") == "0", 60, "yasu is the source")
    assert sql(lab.yasu, "SELECT COUNT(*) FROM perfparse.written WHERE host = 'alone'") == "0"
    lab.nabira.on()
    wait_for_mariadb(lab.nabira)
    lab.wait(lambda: role_of(lab.nabira) == "standby", 60, "nabira has stood down")
    said = rejoin(lab.nabira)
    assert re.search(r"^compare: done: it has transactions that yasu has not \(0-2-\d+\)$", said, re.M), said
    assert re.search(
        r"^save: done: \d+ transactions? that yasu has not \(0-2-\d+\) in /var/lib/nagios-failover/errant/\S+\.sql$", said, re.M
    )
    path = re.findall(r"what it alone had is in (\S+)", said)[-1]
    assert "@1='alone'" in lab.nabira.read(path)
    assert lab.nabira.run(["stat", "-c", "%U %a", path]).stdout == "nagios 600\n"
    newest = lab.nabira.run(f"cat $(ls -t {STATE}/runs/*.jsonl | head -1)").stdout
    assert f'"key": "saved", "value": "{path}"' in newest
    assert replicates(lab.nabira) and equal(lab.yasu, lab.nabira)
    assert status(lab.nabira)["Master_SSL_Verify_Server_Cert"] == "Yes"


def test_a_master_has_nothing_to_rejoin(lab: Lab) -> None:
    done = lab.yasu.run([COMMAND, "rejoin"], check=False, timeout=60)
    assert done.returncode == 3 and "error: yasu: " in done.stderr, done.stdout + done.stderr
    assert role_of(lab.yasu) == "master" and sql(lab.yasu, "SELECT @@read_only") == "0"


def test_the_drop_in_is_the_replica_s_before_a_stopped_server_is_started(lab: Lab) -> None:
    """A crashed old source, its server down, its drop-in still a source's: rejoin writes the replica's, then starts it."""
    nabira = lab.nabira
    nabira.service("mariadbd").kill9()
    nabira.run([f"{COMMAND}-root", "database-source"])
    said = rejoin(nabira)
    assert 0 < said.index("zz-nagios-failover.cnf says replica\n") < said.index("this server: mariadb started (")
    assert "init_rpl_role = SLAVE\n" in nabira.read(DROP_IN) and sql(nabira, "SELECT @@read_only") == "1"
    assert replicates(nabira) and equal(lab.yasu, nabira)
