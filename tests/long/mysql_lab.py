"""The whole lab's pair on real MySQL servers of a newer Debian: set up by the suite's own commands, taken over by Nagios, rejoined,
switched over. `make test-long` runs it once; the server's version is in the result.

The server and its programs lie outside of the hosts, beside /lab/service, and run there by the loader of their own suite; they have
MariaDB's place: its service, its socket, its names on the path.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from typing import Final

from nagios_failover.steps import CRASH_AFTER
from tests.lab import Host, Lab
from tests.lab.followed import OPTIONS
from tests.lab.suite import COMMAND, CONFIG, with_options
from tests.long.mysql_root import ensure_root
from tests.long.result import Result
from tests.long.trial import LAB
from tests.switching import may_switch, ready, switchover
from tests.takeover import fail_over, join_again, last_look, role_of

INSIDE: Final = "/lab/mysql"
DATA: Final = "/var/lib/mysql-9"
DROP_INS: Final = "/etc/mysql/mysql.conf.d"
LOADED: Final = f"--library-path {INSIDE}/usr/lib/x86_64-linux-gnu:{INSIDE}/usr/lib/mysql/private"
SERVER: Final = f"""#!/bin/sh
exec {INSIDE}/mariadbd {LOADED} {INSIDE}/usr/sbin/mysqld --defaults-file=/etc/mysql/mysql.cnf "$@"
"""
CLIENT: Final = f"""#!/bin/sh
exec {INSIDE}/mariadbd {LOADED} {INSIDE}/usr/bin/$(basename "$0") "$@"
"""
SETTINGS: Final = f"""[mysqld]
datadir = {DATA}
socket = /run/mysqld/mysqld.sock
pid-file = /run/mysqld/mysqld.pid
plugin-dir = {INSIDE}/usr/lib/mysql/plugin
lc-messages-dir = {INSIDE}/usr/share/mysql
character-sets-dir = {INSIDE}/usr/share/mysql/charsets
plugin-load-add = auth_socket.so
skip-name-resolve = ON
secure-file-priv = NULL
mysqlx = OFF
innodb-buffer-pool-size = 64M
innodb-redo-log-capacity = 16M
!includedir {DROP_INS}/
"""
AS_ROOT: Final = "mysql --no-defaults -uroot -S/run/mysqld/mysqld.sock"
OPTIONS_HERE: Final = {
    **OPTIONS,
    ("replication", "drop_in"): f"{DROP_INS}/zz-nagios-failover.cnf",
    ("database", "password"): "loader",
    ("heartbeat", "password"): "watcher",
}


def install(lab: Lab) -> None:
    """MySQL in MariaDB's place on both hosts, and nothing in it."""
    root, there = ensure_root(), lab.shared("inside") / "mysql"
    for part in ("usr/sbin", "usr/bin", "usr/lib/mysql", "usr/lib/x86_64-linux-gnu", "usr/share/mysql"):
        shutil.copytree(root / part, there / part, symlinks=True)
    shutil.copy(root / "usr/lib64/ld-linux-x86-64.so.2", there / "mariadbd")  # a process is known by the name of its program
    for host in (lab.yasu, lab.nabira):
        host.run([COMMAND, "pause", "--reason", "another server"])
        host.service("mariadbd").stop()
        host.write("/etc/mysql/mysql.cnf", SETTINGS)
        host.run(
            f"install -d {DROP_INS}; install -d -o mysql -g mysql -m 0750 {DATA}; mv /usr/sbin/mariadbd /usr/sbin/mariadbd.away"
        )
        host.write("/usr/sbin/mariadbd", SERVER, mode=0o755)
        for name in ("mysql", "mysqldump", "mysqlbinlog"):
            host.write(f"/usr/local/bin/{name}", CLIENT, mode=0o755)
        host.run(["/usr/sbin/mariadbd", "--user=mysql", "--initialize-insecure"], timeout=240)
        host.service("mariadbd").start()
        lab.wait(lambda host=host: sql(host, "SELECT 1", check=False) == "1", 60, f"{host.name}: MySQL answers")  # type: ignore[misc]
        sql(host, "SET sql_log_bin = 0; ALTER USER root@localhost IDENTIFIED WITH auth_socket")  # as Debian has it
        host.write(CONFIG, with_options(host.read(CONFIG), OPTIONS_HERE), group="nagios", mode=0o640)


def sql(host: Host, statements: str, *, check: bool = True) -> str:
    """What the server's root gets to see, without column names."""
    argv = [*AS_ROOT.split(), "--batch", "--skip-column-names"]
    return host.run(argv, stdin=statements, check=check, timeout=120).stdout.strip()


def pair_with_rows(lab: Lab) -> None:
    """MySQL on both hosts, nabira's a replica of yasu's, and some 20 MB in it."""
    install(lab)
    command(lab.yasu, "init-database", "--restart")
    sql(lab.yasu, "CREATE TABLE perfparse.bin (id INT AUTO_INCREMENT PRIMARY KEY, host VARCHAR(64), value DOUBLE, more BLOB)")
    sql(lab.yasu, "INSERT INTO perfparse.bin (host, value, more) VALUES ('web1', RAND(), UNHEX('00ff27220a5c'))")
    for _ in range(16):
        sql(lab.yasu, "INSERT INTO perfparse.bin (host, value, more) SELECT host, RAND(), RANDOM_BYTES(64) FROM perfparse.bin")
    command(lab.nabira, "setup-standby", "--restart")
    command(lab.yasu, "init-database")


def tables(host: Host) -> dict[str, str]:
    """Every table of the two databases -> its checksum."""
    listed = sql(
        host,
        "SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) FROM information_schema.TABLES "
        "WHERE TABLE_SCHEMA IN ('nagios', 'perfparse') AND TABLE_TYPE = 'BASE TABLE'",
    )
    return dict(line.split("\t") for line in sql(host, f"CHECKSUM TABLE {', '.join(listed.split())}").splitlines())


def equal(source: Host, replica: Host) -> bool:
    """Are both the same? The source takes no writes meanwhile."""
    sql(source, "SET GLOBAL super_read_only = ON")
    try:
        position = sql(source, "SELECT @@GLOBAL.gtid_executed").replace("\\n", "")
        assert sql(replica, f"SELECT WAIT_FOR_EXECUTED_GTID_SET('{position}', 20)") == "0", "the replica has caught up"
        found = tables(source)
        assert found == tables(replica) and len(found) > 8, found
        return True
    finally:
        sql(source, "SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF")


def replicates(replica: Host) -> bool:
    lines = replica.run([*AS_ROOT.split(), "-E", "-e", "SHOW REPLICA STATUS"]).stdout.splitlines()
    found = {name.strip(): value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}
    wanted = ("Replica_IO_Running", "Replica_SQL_Running", "Source_SSL_Allowed", "Source_SSL_Verify_Server_Cert")
    return [found.get(name) for name in wanted] == ["Yes"] * len(wanted) and found.get("Auto_Position") == "1"


def command(host: Host, *words: str, wanted: int = 0) -> str:
    done = host.run([COMMAND, *words], check=False, timeout=240)
    assert done.returncode == wanted, done.stdout + done.stderr
    return done.stdout + done.stderr


# --- the promises, in this order on one pair ---


def set_up_from_nothing(lab: Lab) -> str:
    command(lab.yasu, "init-database", "--restart")
    sql(lab.yasu, "CREATE TABLE perfparse.t (id INT AUTO_INCREMENT PRIMARY KEY, v TEXT, b BLOB)")
    sql(lab.yasu, "INSERT INTO perfparse.t (v, b) VALUES ('it''s \"é\"', UNHEX('00ff27220a5c')), (NULL, RANDOM_BYTES(900))")
    sql(lab.yasu, "CREATE PROCEDURE perfparse.last() SELECT * FROM perfparse.t ORDER BY id DESC LIMIT 1")
    said = command(lab.nabira, "setup-standby", "--restart")
    command(lab.yasu, "init-database")
    assert "copied anew" in said and "CHECKSUM TABLE is equal for all 11 tables" in said, said
    assert replicates(lab.nabira) and equal(lab.yasu, lab.nabira)
    assert sql(lab.nabira, "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'perfparse'") == "last"
    assert sql(lab.nabira, "SELECT @@GLOBAL.super_read_only") == "1"
    for host in (lab.yasu, lab.nabira):
        command(host, "resume")
    return f"MySQL {sql(lab.yasu, 'SELECT VERSION()')}: {_step(said, 'copy')}; {_step(said, 'verify')}"


def a_healthy_replica_is_left_alone(lab: Lab) -> str:
    said = command(lab.nabira, "setup-standby")
    assert "left alone" in _step(said, "compare") and "was so already" in said, said
    return _step(said, "compare")


def cut_short_it_is_finished(lab: Lab) -> str:
    """kill -9 after each step that changes anything; then the same command without a word of what may be dropped."""
    for step in ("empty", "copy", "replicate"):
        done = lab.nabira.run(f"{CRASH_AFTER}='{step}' {COMMAND} setup-standby --replace", check=False, timeout=240)
        assert done.returncode == 137, done.stdout + done.stderr
        said = command(lab.nabira, "setup-standby")
        assert replicates(lab.nabira) and equal(lab.yasu, lab.nabira), said
    return "killed after empty, copy, replicate, and finished each time"


def both_are_watched(lab: Lab) -> str:
    found = []
    for host in (lab.nabira, lab.yasu):

        def check(host: Host = host) -> str:
            return host.run(["/opt/nagios-failover/bin/check_replication"], user="nagios", check=False).stdout

        lab.wait(lambda: check().startswith("REPLICATION OK"), 30, f"{host.name}'s database is well", shown=check)
        found.append(check().partition(" | ")[0].strip())
    return "; ".join(found)


def nagios_takes_over_and_the_old_source_rejoins(lab: Lab) -> str:
    """kill -9 of the master's Nagios; its database lives: the run makes it read-only, and nothing is lost."""
    lab.wait(lambda: last_look(lab.nabira) == "OK", 60, "nabira sees yasu well")
    fail_over(lab, "kill", timeout=90)
    lab.wait(lambda: sql(lab.nabira, "SELECT @@GLOBAL.read_only") == "0", 60, "nabira's database is the source")
    join_again(lab, "kill", lab.yasu, lab.nabira)
    lab.wait(lambda: sql(lab.yasu, "SELECT @@GLOBAL.super_read_only") == "1", 60, "yasu's database has stood down")
    said = command(lab.yasu, "rejoin")
    assert "attached, its history was clean" in said, said
    assert replicates(lab.yasu) and equal(lab.nabira, lab.yasu)
    return _step(said, "attach")


def a_power_cut_and_what_the_old_source_alone_has(lab: Lab) -> str:
    """nabira has commits that yasu never got, and loses its power: they are counted and saved as SQL, and it is copied anew."""
    lab.wait(lambda: last_look(lab.yasu) == "OK", 60, "yasu sees nabira well")
    sql(lab.yasu, "STOP REPLICA IO_THREAD")
    sql(lab.nabira, "SET GLOBAL rpl_semi_sync_source_enabled = OFF; INSERT INTO perfparse.t (v) VALUES ('alone'), ('too')")
    fail_over(lab, "power", timeout=120, master=lab.nabira, survivor=lab.yasu)
    lab.wait(lambda: sql(lab.yasu, "SELECT @@GLOBAL.read_only") == "0", 60, "yasu's database is the source")
    lab.nabira.on()
    lab.wait(lambda: role_of(lab.nabira) == "standby", 90, "nabira has stood down")
    lab.wait(lambda: sql(lab.nabira, "SELECT @@GLOBAL.super_read_only", check=False) == "1", 60, "its database takes no writes")
    said = command(lab.nabira, "rejoin")
    path = re.findall(r"what it alone had is in (\S+)", said)[-1]
    assert "@2='alone'" in lab.nabira.read(path) and "@2='too'" in lab.nabira.read(path), said
    assert lab.nabira.run(["stat", "-c", "%U %a", path]).stdout == "nagios 600\n"
    assert replicates(lab.nabira) and equal(lab.yasu, lab.nabira)
    return _step(said, "save")


def roles_change_in_one_run_and_back(lab: Lab) -> str:
    may_switch(lab)
    said = ""
    for standby, master in ((lab.nabira, lab.yasu), (lab.yasu, lab.nabira)):
        ready(lab, standby)
        done = switchover(standby)
        assert done.returncode == 0, done.stdout + done.stderr
        assert replicates(master) and equal(standby, master)
        said = done.stdout.strip().splitlines()[-2]
    return said


def _step(said: str, name: str) -> str:
    found = re.search(rf"^{name}: (.*)$", said, re.M)
    assert found, said
    return found[1]


PROMISES: Final[tuple[Callable[[Lab], str], ...]] = (
    set_up_from_nothing,
    a_healthy_replica_is_left_alone,
    cut_short_it_is_finished,
    both_are_watched,
    nagios_takes_over_and_the_old_source_rejoins,
    a_power_cut_and_what_the_old_source_alone_has,
    roles_change_in_one_run_and_back,
)


def mysql_lab(result: Result, count: int) -> None:
    """Each trial is one of the promises; one that does not hold ends the part, since the next ones build on it."""
    if result.done("mysql-lab"):
        return
    with Lab.up(name=LAB) as lab:
        install(lab)
        for promise in PROMISES:
            began, held = time.monotonic(), True
            try:
                said = promise(lab)
            except AssertionError as error:
                said, held = str(error), False
            seconds = time.monotonic() - began
            result.add("mysql-lab", {"what": promise.__name__, "said": said}, held=held, seconds=seconds)
            print(f"mysql-lab: {promise.__name__}: {'held' if held else 'DID NOT HOLD'}: {said[:300]}", flush=True)
            if not held:
                return
