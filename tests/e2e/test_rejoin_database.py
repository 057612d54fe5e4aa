"""Roles of the databases go round: what the README says makes a pair, and the old source rejoins, cleanly or copied anew.

Programs of both hosts write all the while; what was acknowledged to them under semi-synchronous replication is not lost.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from nagios_failover.steps import CRASH_AFTER
from tests.e2e.test_readme import as_readme
from tests.incident_site import COMMAND_FILE, follow_incidents
from tests.lab import Host, Lab, why_not
from tests.lab.debian_root import CHECKOUT
from tests.lab.followed import DROP_IN, configure, equal, fill, replicates, sql, status
from tests.lab.suite import COMMAND, STATE, begin_as
from tests.lab.target import wait_for_mariadb
from tests.perfdata_world import hold_loader, queue, queued_lines, release_loader, times_loaded
from tests.readme import blocks, differing
from tests.switching import by_hand
from tests.takeover import last_look, newest_look, role_of

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

PYTHON = "/opt/nagios-failover/bin/python"
HOOK = "/etc/nagios-failover/guard-hook"
ACKNOWLEDGED = "/root/acknowledged"
WRITTEN = ("perfparse", "nagios")
CLEAN = "; {}'s database is a replica of {}'s: attached, its history was clean\n"
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


@pytest.fixture
def yasu_first(lab: Lab) -> Lab:
    """yasu is the master and the source, nabira its standby and replica; programs of both write."""
    source_is(lab, lab.yasu, lab.nabira)
    return lab


@pytest.fixture
def nabira_first(lab: Lab) -> Lab:
    """The other way round."""
    source_is(lab, lab.nabira, lab.yasu)
    return lab


def as_the_readme_says(lab: Lab, *, rejoin: bool) -> str:
    """Run its blocks for databases, and compare; what the last one printed."""
    printed = ""
    for block in blocks():
        if "database" not in block.words or ("rejoin" in block.words) is not rejoin:
            continue
        if block.hosts == ("nabira",):
            wait_for_a_commit(lab, lab.yasu)
        for command in block.commands:
            done = lab.host(block.hosts[0]).run(command.text, check=False, timeout=120)
            printed = as_readme(done.stdout + done.stderr)
            wrong = differing(command.prints, printed)
            assert not wrong, f"README.md line {block.line}: `{command.text}` does not print\n{wrong}\nbut\n{printed}"
    return printed


def wait_for_a_commit(lab: Lab, host: Host) -> None:
    """That others see: one that waits for a replica is in the binary log already, and in no copy yet."""
    newest = "SELECT MAX(last_update) FROM nagios.programstatus"
    before = sql(host, newest)
    lab.wait(lambda: sql(host, newest) != before, 30, f"{host.name}'s loader writes again")


# --- the pair ---


def source_is(lab: Lab, source: Host, replica: Host) -> None:
    """Whatever the test before has left; what is so already is waited for only."""
    for host in (source, replica):
        if not host.is_on():
            host.on()
        for name in ("mariadbd", "nagios"):
            host.service(name).start()
        wait_for_mariadb(host)
    if not is_source_of(source, replica):
        make_anew(lab, source, replica)
    for host in (source, replica):
        if not writes(host):
            write(host)
    semi_synchronous(lab, source)
    lab.wait(lambda: sees_well(source) and sees_well(replica), 60, "each sees the other well, and its automation not paused")


def sees_well(host: Host) -> bool:
    """A pause that was seen last on a host that then loses its power keeps the other from taking over."""
    newest = newest_look(host)
    return newest.get("state") == "OK" and not newest["peer_pause"]


def is_source_of(source: Host, replica: Host) -> bool:
    return (
        role_of(source) == "master"
        and role_of(replica) == "standby"
        and sql(source, "SELECT @@read_only, COUNT(*) FROM information_schema.TABLES WHERE TABLE_NAME = 'written'") == "0\t2"
        and sql(replica, "SELECT @@read_only") == "1"
        and replicates(replica)
        and status(replica)["Master_Host"] == source.address
    )


def make_anew(lab: Lab, source: Host, replica: Host) -> None:
    """Roles by command, and the replica copied anew."""
    for host in (replica, source):
        host.run([COMMAND, "pause", "--reason", "the pair is made anew"])
    begin_as(lab, replica, "--standby")
    begin_as(lab, source, "--master")
    sql(source, "STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = OFF")
    source.run([COMMAND, "init-database", "--restart"], timeout=120)
    replica.run([COMMAND, "setup-standby", "--restart", "--replace"], timeout=180)
    source.run([COMMAND, "init-database", "--restart"], timeout=120)
    let_write(source, replica)
    for host in (replica, source):
        host.run([COMMAND, "resume"])
    lab.wait(lambda: is_source_of(source, replica), 60, f"{source.name} is the source")


def let_write(source: Host, replica: Host) -> None:
    """Tables and accounts for the programs, and the programs."""
    sql(source, "; ".join(f"CREATE TABLE IF NOT EXISTS {name}.written (host CHAR(9), number INT)" for name in WRITTEN))
    for host in (source, replica):
        sql(
            host,
            "SET sql_log_bin = 0; CREATE USER IF NOT EXISTS writer@localhost IDENTIFIED BY 'w'; "
            "GRANT INSERT ON *.* TO writer@localhost",
        )
        host.write("/root/writer.py", WRITER)
        if not writes(host):
            write(host)


def write(host: Host) -> None:
    """After a power cut it has to be started anew; what it was told before is kept."""
    host.run(f"cat {ACKNOWLEDGED}.now >> {ACKNOWLEDGED} 2>/dev/null; rm -f {ACKNOWLEDGED}.now", check=False)
    host.run(f"setsid -f {PYTHON} /root/writer.py > {ACKNOWLEDGED}.now 2> /root/writer.log < /dev/null")


def writes(host: Host) -> bool:
    """Does its program run? After a power cut its number may be another one's."""
    return host.run("grep -q writer.py /proc/$(cat /root/writer.pid)/cmdline", check=False).returncode == 0


def stop_writing(lab: Lab, host: Host) -> None:
    host.run("kill $(cat /root/writer.pid)", check=False)
    lab.wait(lambda: not writes(host), 10, f"nothing of ours writes on {host.name}")


def acknowledged(host: Host) -> list[str]:
    return host.run(f"cat {ACKNOWLEDGED} {ACKNOWLEDGED}.now 2>/dev/null", check=False).stdout.splitlines()


def check_all_is_there_once(lab: Lab, source: Host) -> None:
    """Everything that was acknowledged with semi-sync on, on either host; no row twice; one line of history."""
    wanted = {line for host in (lab.yasu, lab.nabira) for line in acknowledged(host) if re.fullmatch(r"\w+ \d+", line)}
    selects = "; ".join(f"SELECT '{name}', host, number FROM {name}.written" for name in WRITTEN)
    rows = [line.split("\t", 1) for line in sql(source, f"START TRANSACTION WITH CONSISTENT SNAPSHOT; {selects}").splitlines()]
    there = {name: [row.replace("\t", " ") for table, row in rows if table == name] for name in WRITTEN}
    assert sorted(there["perfparse"]) == sorted(there["nagios"]), "a transaction is whole or not there"
    assert len(set(there["nagios"])) == len(there["nagios"]), "no row twice"
    missing = wanted - set(there["nagios"])
    assert not missing, f"{len(missing)} of {len(wanted)} acknowledged commits are lost"
    assert wanted
    assert len(sql(source, "SELECT @@gtid_binlog_pos").split(",")) == 1, "one line of GTIDs"


def hand_over(lab: Lab, old: Host, new: Host) -> None:
    lab.wait(lambda: last_look(old) == "OK", 60, f"{old.name} sees a standby")
    by_hand(old, "standdown")
    by_hand(new, "failover")
    assert role_of(new) == "master" and sql(new, "SELECT @@read_only") == "0"


def lose_power(lab: Lab, old: Host, new: Host) -> None:
    """The old source is back when this returns, and has stood down: it comes back as what it was, and sees that it is not."""
    old.off()
    lab.wait(lambda: role_of(new) == "master" and sql(new, "SELECT @@read_only") == "0", 60, f"{new.name} is the source")
    old.on()
    wait_for_mariadb(old)
    write(old)
    lab.wait(lambda: role_of(old) == "standby", 60, f"{old.name} has stood down")
    assert sql(old, "SELECT @@read_only") == "1"


def rejoin(host: Host) -> str:
    done = host.run([COMMAND, "rejoin"], check=False, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def semi_synchronous(lab: Lab, source: Host) -> None:
    """Again, and something is acknowledged meanwhile."""
    lab.wait(lambda: sql(source, "SHOW STATUS LIKE 'Rpl_semi_sync_master_status'").endswith("ON"), 60, "semi-synchronous again")
    before = len(acknowledged(source))
    lab.wait(lambda: len(acknowledged(source)) > before + 10, 60, f"{source.name}'s writes are acknowledged")


@contextmanager
def guarded(host: Host) -> Iterator[None]:
    """It runs the guard before its daemons start, by the sample hook."""
    host.write(HOOK, (CHECKOUT / "guard-hook.sample").read_text(), mode=0o755)
    try:
        yield
    finally:
        host.run(["rm", "-f", HOOK])


def written_since_boot(host: Host) -> str:
    """What the server took into a binary log of its own since it was started: a new one, in which only the replica writes later."""
    events = sql(host, f"SHOW BINLOG EVENTS IN '{sql(host, 'SHOW MASTER STATUS').split()[0]}'").splitlines()
    return "\n".join(line for line in events if line.split("\t")[2] == "Gtid")


# --- the promises ---


def test_the_readme_s_commands_make_a_pair_of_databases(lab: Lab) -> None:
    as_the_readme_says(lab, rejoin=False)
    assert equal(lab.yasu, lab.nabira)
    let_write(lab.yasu, lab.nabira)


def test_a_clean_one_is_attached_in_well_under_a_second(yasu_first: Lab) -> None:
    lab = yasu_first
    hand_over(lab, lab.yasu, lab.nabira)
    said = as_the_readme_says(lab, rejoin=True)
    run = lab.yasu.run([COMMAND, "history", re.findall(r"nagios-failover history (\S+)", said)[-1]]).stdout
    for name in ("compare", "attach"):
        took = re.search(rf"^{name} +done +([\d.]+) s ", run, re.M)
        assert took and float(took.group(1)) < 1.0, run
    semi_synchronous(lab, lab.nabira)
    check_all_is_there_once(lab, lab.nabira)
    assert equal(lab.nabira, lab.yasu)


def test_back_again_from_a_source_that_lost_its_power(nabira_first: Lab) -> None:
    """What it writes before it has stood down is its own, and is saved."""
    lab = nabira_first
    lose_power(lab, lab.nabira, lab.yasu)
    said = rejoin(lab.nabira)
    semi_synchronous(lab, lab.yasu)
    assert replicates(lab.nabira) and equal(lab.yasu, lab.nabira)
    if "copied anew" in said:
        saved = lab.nabira.read(re.findall(r"what it alone had is in (\S+\.sql)", said)[-1])
        assert "### INSERT INTO" in saved or "### UPDATE" in saved
    assert [line for line in acknowledged(lab.nabira) if re.fullmatch(r"\w+ \d+", line)], "it had acknowledged something"
    check_all_is_there_once(lab, lab.yasu)


LATE = f"{int(time.time())}\tweb1\tlate\tout\tOK\tt=1"


def test_what_an_old_source_had_not_loaded_is_loaded_once_over_a_rejoin_and_back(yasu_first: Lab) -> None:
    """yasu's loader could not load, and nabira fetches what waits; one file is queued too late for that."""
    lab = yasu_first
    hold_loader(lab.yasu)
    try:
        lab.wait(lambda: len(queued_lines(lab.yasu)) >= 20, 30, "yasu's queue grows")
        hand_over(lab, lab.yasu, lab.nabira)
    finally:
        release_loader(lab.yasu)
    queue(lab.yasu, f"{int(time.time())}.1", f"{LATE}\n")
    rejoin(lab.yasu)
    semi_synchronous(lab, lab.nabira)
    waiting = queued_lines(lab.yasu)
    lab.wait(lambda: set(times_loaded(lab.nabira, waiting[:-1]).values()) == {1}, 30, "nabira's loader has loaded what waited")
    assert waiting[-1] == LATE and times_loaded(lab.nabira, [LATE]) == {LATE: 0}
    with guarded(lab.nabira):  # so that it is a replica from its server's first answer on
        lose_power(lab, lab.nabira, lab.yasu)
        assert "read_only = ON" in lab.nabira.read(DROP_IN) and not written_since_boot(lab.nabira)
    lab.wait(lambda: times_loaded(lab.yasu, [LATE]) == {LATE: 1}, 30, "yasu's loader has loaded what nabira had not fetched")
    assert len(waiting) > 20 and set(times_loaded(lab.yasu, waiting).values()) == {1}, "and what nabira had loaded not again"
    rejoin(lab.nabira)


def test_and_to_nabira_once_more_and_the_old_master_s_nagios_is_a_standby_s(yasu_first: Lab) -> None:
    """Its Nagios was stopped, an operator had switched the watch off, and the first command is killed in the middle."""
    lab, yasu = yasu_first, yasu_first.yasu
    hand_over(lab, yasu, lab.nabira)
    follow_incidents(lab)
    send = f"printf '[%s] DISABLE_SVC_CHECK;nagios-failover;Master Nagios\\n' $(date +%s) > {COMMAND_FILE}"
    yasu.run(send)
    yasu.service("nagios").stop()
    killed = yasu.run(f"{CRASH_AFTER}='copy state' {COMMAND} rejoin", check=False, timeout=180)
    assert killed.returncode == 137 and "attach: done: " in killed.stdout, killed.stdout + killed.stderr
    assert "start Nagios: done: yasu: nagios4 started" in killed.stdout, killed.stdout
    said = rejoin(yasu)
    for line in (
        "start Nagios: held: Nagios runs and reads its command file",
        "passive: done: notifications off, service checks off, host checks off, seen in status.dat",
        "copy state: done: nabira's status.dat and ",
        "merge logs: done: nabira's nagios.log is in this host's own; ",
        "objects: done: the same objects as nabira",
        "watch services: done: Master Nagios and Failover state are on, and nabira was looked at",
        "ready: done: nothing stands in the way of a failover or a switchover (",
        "yasu is the standby of nabira, and ready to take over; yasu's database is a replica of nabira's: was so already",
    ):
        assert f"\n{line}" in said, f"{line}\n{said}"
    assert re.search(r"^merge logs: done: nabira's nagios.log is in this host's own(?: already)?; ", rejoin(yasu), re.M), (
        "given again"
    )
    semi_synchronous(lab, lab.nabira)
    check_all_is_there_once(lab, lab.nabira)
    assert equal(lab.nabira, lab.yasu)


def test_an_old_source_that_went_on_alone_is_never_merged(nabira_first: Lab) -> None:
    """nabira takes writes that yasu never sees; yasu takes over; what nabira alone had is saved, and it is copied anew."""
    lab = nabira_first
    stop_writing(lab, lab.nabira)
    sql(lab.yasu, "STOP SLAVE IO_THREAD")
    sql(
        lab.nabira, "SET GLOBAL rpl_semi_sync_master_enabled = OFF; INSERT INTO perfparse.written VALUES ('alone', 1), ('alone', 2)"
    )
    before = len(lab.mails("nabira is the standby"))
    lose_power(lab, lab.nabira, lab.yasu)
    assert sql(lab.yasu, "SELECT COUNT(*) FROM perfparse.written WHERE host = 'alone'") == "0"
    lost = r"nabira is the standby now \(term \d+\): yasu monitors; (\d+) transactions of its database are not in yasu's: "

    def mailed() -> list[str]:
        return re.findall(lost, "".join(mail.body for mail in lab.mails("nabira is the standby")[before:]))

    newest = lab.wait(mailed, 30, "it is mailed")[-1]
    said = rejoin(lab.nabira)
    assert re.search(rf"^compare: done: it has {newest} transactions that yasu has not \(0-2-\d+\)$", said, re.M), said
    assert re.search(
        r"^save: done: \d+ transactions? that yasu has not \(0-2-\d+\) in /var/lib/nagios-failover/errant/\S+\.sql$", said, re.M
    ), said
    path = re.findall(r"what it alone had is in (\S+\.sql)", said)[-1]
    assert "@1='alone'" in lab.nabira.read(path)
    assert lab.nabira.run(["stat", "-c", "%U %a", path]).stdout == "nagios 600\n"
    newest = lab.nabira.run(f"cat $(ls -t {STATE}/runs/*.jsonl | head -1)").stdout
    assert f'"key": "saved", "value": "{path}"' in newest
    assert replicates(lab.nabira) and equal(lab.yasu, lab.nabira)
    assert status(lab.nabira)["Master_SSL_Verify_Server_Cert"] == "Yes"


def test_a_copy_knows_what_both_servers_wrote_before_it_was_made(yasu_first: Lab) -> None:
    """nabira is copied anew, then roles go round with nothing written in between: each old source's history is clean, though its
    newest own transaction is older than the copy. What the copy then has alone is saved from where the two part, or, when that
    log is gone, as far as there are logs."""
    lab = yasu_first
    if len(history(lab.yasu)) < 2:
        for old, new in ((lab.yasu, lab.nabira), (lab.nabira, lab.yasu)):
            hand_over(lab, old, new)
            rejoin(old)
            semi_synchronous(lab, new)
    with nothing_written(lab):
        before = history(lab.yasu)
        assert {gtid[:4] for gtid in before} == {"0-1-", "0-2-"}
        position = sql(lab.yasu, "SELECT @@gtid_binlog_pos")
        lab.nabira.run([COMMAND, "setup-standby", "--replace"], timeout=180)
        assert history(lab.nabira) == before
        for old, new in ((lab.yasu, lab.nabira), (lab.nabira, lab.yasu)):
            hand_over(lab, old, new)
            assert CLEAN.format(old.name, new.name).rstrip() in rejoin(old)  # then, that the heartbeat stands still
        assert sql(lab.yasu, "SELECT @@gtid_binlog_pos") == position == sql(lab.nabira, "SELECT @@gtid_binlog_pos")
        sql(lab.nabira, "STOP SLAVE; INSERT INTO perfparse.written VALUES ('alone', 3)")
        said = rejoin(lab.nabira)
        assert re.search(r"^save: done: 1 transaction that yasu has not \(0-2-\d+\) in \S+\.sql$", said, re.M), said
        saved = lab.nabira.read(re.findall(r"what it alone had is in (\S+\.sql)", said)[-1])
        assert saved.count("### INSERT INTO") == 1 and "@1='alone'" in saved
        assert history(lab.nabira) == before

        sql(lab.nabira, "STOP SLAVE; INSERT INTO perfparse.written VALUES ('alone', 4); FLUSH BINARY LOGS")
        newest = sql(lab.nabira, "SHOW BINARY LOGS").splitlines()[-1].split()[0]
        sql(lab.nabira, "INSERT INTO perfparse.written VALUES ('alone', 5)")

        def purged() -> bool:
            """The server keeps a log, with a warning, until InnoDB has flushed what is in it, which it does in its own time."""
            sql(lab.nabira, f"PURGE BINARY LOGS TO '{newest}'")
            return sql(lab.nabira, "SHOW BINARY LOGS").split()[0] == newest

        lab.wait(purged, 30, "the log with the first of the two is gone")
        said = rejoin(lab.nabira)
        still = r"^save: done: what the binary log still holds of 2 transactions that yasu has not \(0-2-\d+\) in \S+\.sql$"
        assert re.search(still, said, re.M), said
        saved = lab.nabira.read(re.findall(r"what it alone had is in (\S+\.sql)", said)[-1])
        assert saved.count("### INSERT INTO") == 1 and "@2=5" in saved
    assert equal(lab.yasu, lab.nabira)


def history(host: Host) -> set[str]:
    """Of each server that ever wrote, its newest transaction."""
    return set(sql(host, "SELECT @@gtid_binlog_state").split(","))


@contextmanager
def nothing_written(lab: Lab) -> Iterator[None]:
    """Our programs do not write, and the loaders may not log in."""
    loader = "SET sql_log_bin = 0; ALTER USER nagios@localhost ACCOUNT"
    hosts = (lab.yasu, lab.nabira)
    for host in hosts:
        stop_writing(lab, host)
        sql(host, f"{loader} LOCK; KILL USER nagios@localhost")
    try:
        lab.wait(lambda: equal(lab.yasu, lab.nabira), 30, "all that was written is everywhere")
        yield
    finally:
        for host in hosts:
            sql(host, f"{loader} UNLOCK")


def test_a_master_has_nothing_to_rejoin(yasu_first: Lab) -> None:
    lab = yasu_first
    done = lab.yasu.run([COMMAND, "rejoin"], check=False, timeout=60)
    assert done.returncode == 3 and "error: yasu: " in done.stderr, done.stdout + done.stderr
    assert role_of(lab.yasu) == "master" and sql(lab.yasu, "SELECT @@read_only") == "0"


def test_the_drop_in_is_the_replica_s_before_a_stopped_server_is_started(yasu_first: Lab) -> None:
    """A crashed old source, its server down, its drop-in still a source's: rejoin writes the replica's, then starts it."""
    lab, nabira = yasu_first, yasu_first.nabira
    nabira.service("mariadbd").kill9()
    nabira.run([f"{COMMAND}-root", "database-source"])
    said = rejoin(nabira)
    assert 0 < said.index("zz-nagios-failover.cnf says replica\n") < said.index("this server: mariadb started (")
    assert "init_rpl_role = SLAVE\n" in nabira.read(DROP_IN) and sql(nabira, "SELECT @@read_only") == "1"
    assert replicates(nabira) and equal(lab.yasu, nabira)
