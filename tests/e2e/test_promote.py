"""A failover makes the replica the source: in a healthy pair, and when the replica is not what it should be."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from nagios_failover.perfparse import utc
from tests.lab import Host, Lab, why_not
from tests.lab.debian_root import CHECKOUT
from tests.lab.replication import DROP_IN, begin_anew, caught_up, follow, replicate, restart, sql
from tests.lab.suite import COMMAND, STATE, begin_as, is_active
from tests.lab.target import wait_for_mariadb
from tests.perfdata_world import times_loaded

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

LONGEST_SECONDS = 25.0
HOOK = "/etc/nagios-failover/guard-hook"


@pytest.fixture(scope="module")
def up() -> Iterator[Lab]:
    with Lab.up(name=f"promote-{os.getpid()}") as lab:
        lab.nabira.run([COMMAND, "pause", "--reason", "not yet"])
        replicate(lab)
        yield lab


@pytest.fixture
def lab(up: Lab) -> Lab:
    """yasu the master and the source, nabira its standby and replica."""
    up.nabira.run([COMMAND, "pause", "--reason", "the pair is made anew"])
    begin_as(up, up.nabira, "--standby")
    begin_as(up, up.yasu, "--master")  # before its Nagios runs: with an older term it would stand down
    up.yasu.service("nagios").start()
    begin_anew(up)
    up.wait(lambda: is_active(up.yasu) and not is_active(up.nabira), 30, "yasu is the master")
    sql(up.yasu, "DELETE FROM perfparse.t; INSERT INTO perfparse.t (v) VALUES ('before')")
    return up


def fail_over(lab: Lab) -> dict[str, Any]:
    """yasu's Nagios dies; the run that nabira made of it, when it has ended."""
    before = {run["id"] for run in runs(lab)}
    lab.yasu.service("nagios").kill9()
    lab.nabira.run([COMMAND, "resume"])

    def ended() -> dict[str, Any] | None:
        new = [run for run in runs(lab) if run["kind"] == "failover" and run["id"] not in before]
        return new[0] if new and new[0]["outcome"] in ("done", "incomplete") else None

    shown = lambda: lab.nabira.run(f"tail -n 3 {STATE}/looks; tail -n 5 {STATE}/handler.log; ls {STATE}", check=False).stdout  # noqa: E731
    run = lab.wait(ended, 60, "nabira has taken over", poll=0.3, shown=shown)
    assert run is not None
    assert is_active(lab.nabira), "whatever becomes of the database, monitoring is back"
    return run


def runs(lab: Lab) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(lab.nabira.run([COMMAND, "history", "--json"], timeout=60).stdout)
    return found


def newest_failover(lab: Lab) -> str:
    """The id of the newest failover that is done, "" for none."""
    return next((run["id"] for run in runs(lab) if run["kind"] == "failover" and run["outcome"] == "done"), "")


def step(run: dict[str, Any], name: str = "promote") -> dict[str, Any]:
    return next(step for step in run["steps"] if step["name"] == name)


def promote(lab: Lab, *options: str) -> tuple[int, str]:
    done = lab.nabira.run([COMMAND, "promote", *options], check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def is_writable(lab: Lab) -> bool:
    return sql(lab.nabira, "SELECT @@read_only") == "0"


def rows(lab: Lab) -> list[str]:
    return sql(lab.nabira, "SELECT v FROM perfparse.t ORDER BY id").split()


def files(host: Host, directory: str) -> list[str]:
    return host.run(["ls", f"{STATE}/perfdata/{directory}"]).stdout.split()


def heartbeat_age(lab: Lab) -> int:
    return int(time.time()) - int(sql(lab.nabira, "SELECT COALESCE(MAX(UNIX_TIMESTAMP(last_update)), 0) FROM nagios.programstatus"))


def last_mail(lab: Lab) -> str:
    return lab.wait(lambda: lab.mails("is the master now"), 20, "the failover is mailed")[-1].body


def test_a_source_that_lives_is_silenced_and_nothing_is_lost(lab: Lab) -> None:
    insert = "INSERT INTO perfparse.t (v) VALUES ('w$i');"
    loop = f'for i in $(seq 1 100000); do echo "{insert}"; sleep 0.02; done | mariadb --unbuffered\n'
    lab.yasu.write("/root/writer.sh", loop)
    lab.yasu.run("setsid --fork sh /root/writer.sh </dev/null >/dev/null 2>&1")
    lab.wait(lambda: sql(lab.yasu, "SELECT COUNT(*) > 20 FROM perfparse.t") == "1", 20, "somebody writes on yasu")
    mysqld = lab.nabira.service("mariadbd").pid()
    run = fail_over(lab)
    promotion = step(run)
    assert (run["outcome"], promotion["outcome"]) == ("done", "done"), run
    assert re.search(r"yasu's database is read-only \([1-9]\d* connections ended\)", promotion["detail"]), "its writer among them"
    assert promotion["detail"].endswith(f"nabira's database is writable; nabira: {DROP_IN} says source")
    assert ": nothing is lost; " in promotion["detail"]
    assert sql(lab.yasu, "SELECT @@read_only") == "1"
    there, here = (sql(host, "SELECT COUNT(*), MAX(id) FROM perfparse.t") for host in (lab.yasu, lab.nabira))
    assert there == here
    lab.wait(lambda: heartbeat_age(lab) <= 2, 20, "the new master's loader writes on the new source")
    kept = json.loads(lab.nabira.read(f"{STATE}/promotion"))
    assert (kept["source"], kept["missing"], kept["old_source"]) == ("yasu", 0, kept["executed"])
    assert promote(lab)[0] == 0, "what is done already is done again at no cost"
    assert lab.nabira.service("mariadbd").pid() == mysqld, "it was not restarted for all this"
    restart(lab.nabira)
    assert is_writable(lab), "the drop-in keeps the role"

    lab.nabira.run([COMMAND, "standdown", "--force"], timeout=60)
    demotion = step(next(run for run in runs(lab) if run["kind"] == "standdown"), "database")["detail"]
    assert demotion.startswith(f"nabira: {DROP_IN} says replica; nabira's database is read-only ("), demotion
    lab.wait(lambda: newest_failover(lab) not in (run["id"], ""), 60, "nobody else monitors: nabira takes over again")
    assert is_writable(lab)
    again = next(run for run in runs(lab) if run["id"] == newest_failover(lab))
    assert ": nothing is lost; " in step(again)["detail"], "it was the source, and yasu has nothing that it lacks"


def test_a_frozen_source_is_not_waited_for_and_what_is_not_known_is_said(lab: Lab) -> None:
    later = f"SELECT COALESCE(MAX(ctime) > '{utc(int(time.time()) + 2)}', 0) FROM perfparse.perfdata_service_raw"
    lab.wait(lambda: sql(lab.yasu, later) == "1", 30, "what waits is of a time in which nabira checked nothing, in the same second")
    lab.wait(lambda: caught_up(lab.yasu, lab.nabira), 20, "caught up")
    database = lab.yasu.service("mariadbd")
    database.freeze()
    try:
        lab.wait(lambda: len(files(lab.yasu, "queue")) >= 3, 15, "yasu's loader cannot load")
        run = fail_over(lab)
        waiting = lab.yasu.run(f"cat {STATE}/perfdata/queue/*").stdout.splitlines()
    finally:
        database.thaw()
    detail = step(run)["detail"]
    fetched = re.fullmatch(r"(\d+) files of performance data are here that yasu had not loaded", step(run, "fetch queue")["detail"])
    assert fetched and int(fetched[1]) >= 3
    lab.wait(lambda: not any(name[0].isdigit() for name in files(lab.nabira, "from-yasu")), 30, "nabira's loader has loaded them")
    assert {line: times for line, times in times_loaded(lab.nabira, waiting).items() if times != 1} == {}
    assert run["outcome"] == "done", run
    assert step(run)["seconds"] < LONGEST_SECONDS
    assert "yasu's database could not be made read-only: database: " in detail
    assert "yasu's own position could not be read: what it had written after that is missing here" in detail
    assert is_writable(lab)


def test_a_replica_that_is_late_stays_read_only_until_it_has_caught_up(lab: Lab) -> None:
    follow(lab.yasu, lab.nabira, ", MASTER_DELAY=600")
    sql(lab.yasu, "INSERT INTO perfparse.t (v) VALUES ('late')")
    run = fail_over(lab)
    detail = step(run)["detail"]
    assert run["outcome"] == "incomplete"
    assert "transactions are received and not applied: received up to yasu-bin." in detail
    assert "the SQL thread runs, delayed by 600 s: " in detail
    assert "the database stays as it is; " in detail
    assert "What is left for a person to do\n  promote: nabira: " in last_mail(lab)
    assert not is_writable(lab)
    code, said = promote(lab)
    assert code == 4 and "error: nabira's database is not the source yet (term " in said, said
    sql(lab.nabira, "STOP SLAVE SQL_THREAD; CHANGE MASTER TO MASTER_DELAY=0; START SLAVE SQL_THREAD")
    code, said = promote(lab)
    assert code == 0, said
    assert is_writable(lab) and rows(lab) == ["before", "late"]


def test_an_error_of_the_sql_thread_is_told_in_its_words_and_can_be_mended_or_given_up(lab: Lab) -> None:
    lab.wait(lambda: caught_up(lab.yasu, lab.nabira), 20, "caught up")
    sql(lab.nabira, "SET sql_log_bin=0; INSERT INTO perfparse.t (id, v) VALUES (9000, 'here')")
    sql(lab.yasu, "INSERT INTO perfparse.t (id, v) VALUES (9000, 'there'), (9001, 'after')")
    run = fail_over(lab)
    detail = step(run)["detail"]
    assert run["outcome"] == "incomplete"
    assert "the SQL thread has stopped: " in detail and "Duplicate entry '9000'" in detail and "(1062)" in detail
    assert (
        f"hint: mend what the error names and start the replica's SQL thread; to give up what is not applied: {'nagios-failover'}"
        in (detail.replace("; mend", "; hint: mend"))
    )
    assert not is_writable(lab)
    reboots_as_a_replica(lab)
    code, said = promote(lab, "--force")
    assert code == 0 and "(what lay between was given up)" in said, said
    assert is_writable(lab) and rows(lab) == ["before", "here"]


def reboots_as_a_replica(lab: Lab) -> None:
    """The guard sees that nabira is the master still; its database is not a source for that."""
    lab.nabira.write(HOOK, (CHECKOUT / "guard-hook.sample").read_text(), mode=0o755)
    lab.nabira.off()
    lab.nabira.on()
    wait_for_mariadb(lab.nabira)
    assert re.search("^said=nabira: master again", lab.nabira.read(f"{STATE}/guard"), re.M)
    assert not is_writable(lab) and "read_only = ON" in lab.nabira.read(DROP_IN)
    lab.nabira.run(["rm", HOOK])


def test_a_host_without_a_replica_says_so(lab: Lab) -> None:
    sql(lab.nabira, "STOP SLAVE; RESET SLAVE ALL")
    sql(lab.yasu, "INSERT INTO perfparse.t (v) VALUES ('not here')")
    run = fail_over(lab)
    detail = step(run)["detail"]
    assert run["outcome"] == "incomplete"
    assert "nabira: its database is no replica (it is read-only), and yasu's has transactions that it lacks: 0-1-" in detail
    assert not is_writable(lab)
    assert promote(lab, "--force")[0] == 0
    assert is_writable(lab)


def test_a_frozen_mysqld_here_holds_up_nothing(lab: Lab) -> None:
    lab.wait(lambda: caught_up(lab.yasu, lab.nabira), 20, "caught up")
    database = lab.nabira.service("mariadbd")
    database.freeze()
    try:
        run = fail_over(lab)
    finally:
        database.thaw()
    assert run["outcome"] == "incomplete"
    assert step(run)["seconds"] < LONGEST_SECONDS
    assert "nabira: database: " in step(run)["detail"] and "then: nagios-failover promote" in step(run)["detail"]
    assert sql(lab.nabira, "SELECT 1") == "1", "it answers again"
    code, said = promote(lab)
    assert code == 0, said
    assert is_writable(lab) and rows(lab) == ["before"]


def test_a_replica_whose_disk_is_full_stays_read_only_until_there_is_room(lab: Lab) -> None:
    """The last test: nabira's server lies on a small disk of its own from here on."""
    nabira = lab.nabira
    nabira.service("mariadbd").stop()
    nabira.run(
        "mkdir /mnt/small && mount -t tmpfs -o size=250m tmpfs /mnt/small && cp -a /var/lib/mysql/. /mnt/small && "
        "mount --bind /mnt/small /var/lib/mysql && chown mysql: /var/lib/mysql"
    )
    nabira.service("mariadbd").start()
    lab.wait(lambda: caught_up(lab.yasu, nabira), 30, "caught up")
    nabira.run("dd if=/dev/zero of=/var/lib/mysql/ballast bs=1M 2>/dev/null; true")
    sql(lab.yasu, "CREATE TABLE perfparse.big (v LONGTEXT)" + "; INSERT INTO perfparse.big VALUES (REPEAT('x', 900000))" * 20)
    run = fail_over(lab)
    assert run["outcome"] == "incomplete", run
    assert not is_writable(lab)
    nabira.run("rm /var/lib/mysql/ballast")

    def finished() -> bool:
        return promote(lab)[0] == 0

    lab.wait(finished, 90, "promoted once there is room", poll=2)
    assert is_writable(lab) and sql(nabira, "SELECT COUNT(*) FROM perfparse.big") == "20"
