"""Real faults on real hosts: what check_master_nagios, run by the Nagios user of the standby, says of each.

nabira's own Nagios is stopped, so that these looks are the only ones and nothing fails over; yasu is mended after each fault.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.lab import Host, Lab, why_not
from tests.lab.lab import PATIENCE
from tests.perfdata_world import hold_loader, release_loader

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

CHECK = "/opt/nagios-failover/bin/check_master_nagios"
CONFIG = "/etc/nagios-failover/nagios-failover.cfg"
STATE = "/var/lib/nagios-failover"
WORDS = {0: "OK", 1: "WARNING", 2: "CRITICAL", 3: "UNKNOWN"}
LOOK_LIMIT = 6.0
"""[look] timeout of the one-second profile; the interpreter's start is inside it."""


@dataclass(frozen=True)
class Said:
    state: str
    sentence: str
    output: str
    seconds: float


def check(host: Host, *arguments: str, user: str = "nagios") -> Said:
    """Run the plugin as Nagios does; it keeps to its time limit, its words agree with its exit code, and it never trips."""
    started = time.monotonic()
    done = host.run([CHECK, *arguments], user=user, check=False, timeout=60)
    seconds = time.monotonic() - started
    assert seconds < LOOK_LIMIT + 1, f"{seconds:.1f} s: {done.stdout}"
    assert "Traceback" not in done.stdout + done.stderr and done.stderr == "", done.stdout + done.stderr
    first = done.stdout.splitlines()[0]
    match = re.fullmatch(r"MASTER (OK|WARNING|CRITICAL|UNKNOWN) - ([^|]*?)(?: \| .*)?", first)
    assert match, done.stdout
    assert match.group(1) == WORDS[done.returncode]
    return Said(match.group(1), match.group(2), done.stdout, seconds)


@pytest.fixture(scope="module")
def pair() -> Iterator[Lab]:
    with Lab.up(name=f"check-{os.getpid()}") as lab:
        lab.nabira.service("nagios").stop()
        yield lab


@pytest.fixture
def lab(pair: Lab) -> Iterator[Lab]:
    """The pair, healthy before each test, and mended after it."""
    pair.nabira.run(f"rm -f {STATE}/looks")
    until(pair, "OK", "is alive")
    yield pair


def until(lab: Lab, state: str, fragment: str, seconds: float = 25) -> Said:
    """Look every half second until the verdict is this one."""
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        said = check(lab.nabira)
        if said.state == state and fragment in said.sentence:
            return said
        assert time.monotonic() < deadline, f"not {state} with {fragment!r}, but {said.state}: {said.sentence}"
        time.sleep(0.5)


def looked(lab: Lab, *arguments: str) -> Said:
    """The first look that no late login kept from seeing: where sshd is as it should be, a busy machine can let one come late."""
    for _ in range(5):
        said = check(lab.nabira, *arguments)
        if "no answer within" not in said.sentence and "timed out" not in said.sentence:
            break
    return said


@contextmanager
def without_nagios_dying(lab: Lab, *, signal: str) -> Iterator[None]:
    service = lab.yasu.service("nagios")
    if signal == "KILL":
        service.kill9()
    elif signal == "STOP":
        service.freeze()
    else:
        service.stop()
    try:
        yield
    finally:
        if signal == "STOP":
            service.thaw()
        else:
            service.start()


def drop_held_connection(lab: Lab) -> None:
    """As its renewal would: the next look logs in afresh."""
    lab.nabira.run(f"rm -f {STATE}/ssh/*")


def sql(host: Host, statement: str) -> str:
    return host.run(["mariadb", "-N", "-B", "nagios"], stdin=statement).stdout


# ---- Nagios ----


def test_a_healthy_master_is_ok(lab: Lab) -> None:
    said = check(lab.nabira, "-v")
    pid = lab.yasu.nagios_pid()
    assert re.fullmatch(rf"yasu: Nagios \(PID {pid}\) is alive, status.dat is \d s old, the heartbeat is \d s old", said.sentence)
    for line in (
        rf"process: running \(PID {pid}\)",
        "flags: notifications on, service checks on, host checks on",
        "role: master, term 1",
        rf"heartbeat: \d s old, written for PID {pid}, read in \d+\.\d+ s",
    ):
        assert re.search(line, said.output), said.output
    assert re.search(
        r"\| database_time=\d+\.\d+s;;;0 heartbeat_age=\ds;5;10;0 ssh_time=\d+\.\d+s;;;0 status_age=\ds;5;10;0", said.output
    )


def test_a_master_sees_its_standby(lab: Lab) -> None:
    lab.nabira.service("nagios").start()
    try:
        lab.wait(lambda: check(lab.yasu).state == "OK", 15, "yasu sees nabira")
        assert re.fullmatch(r"nabira: standby, its Nagios \(PID \d+\) is alive and notifies nobody", check(lab.yasu).sentence)
    finally:
        lab.nabira.service("nagios").stop()
    lab.wait(lambda: "no standby: its Nagios is missing, status.dat is gone" in check(lab.yasu).sentence, 10, "yasu sees it gone")
    assert check(lab.yasu).state == "WARNING"


def test_killed_nagios_has_crashed_at_the_first_look_though_its_workers_live_on(lab: Lab) -> None:
    pid = lab.yasu.nagios_pid()
    with without_nagios_dying(lab, signal="KILL"):
        said = check(lab.nabira)
        assert said.state == "CRITICAL"
        assert re.fullmatch(rf"yasu: Nagios has crashed: PID {pid} is gone, status.dat is \d s old", said.sentence)


def test_stopped_nagios_is_critical_once_its_heartbeat_is_not_fresh(lab: Lab) -> None:
    pid = lab.yasu.nagios_pid()
    lab.wait(lambda: "heartbeat_age=0s" in check(lab.nabira).output, 20, "the heartbeat is new")
    with without_nagios_dying(lab, signal="STOP"):
        assert check(lab.nabira).state == "WARNING"
        said = until(lab, "CRITICAL", f"yasu: Nagios (PID {pid}) is stopped (state T), status.dat is ", 12)
        assert "the heartbeat is" in said.sentence


def test_a_clean_stop_is_a_restart_for_the_grace_and_then_critical(lab: Lab) -> None:
    with without_nagios_dying(lab, signal="TERM"):
        said = check(lab.nabira)
        assert (said.state, said.sentence) == ("WARNING", "yasu: Nagios was stopped cleanly; a restart is given 5 s")
        until(lab, "CRITICAL", "yasu: Nagios was stopped cleanly and has not come back", 10)


def test_a_clean_stop_under_a_pause_is_never_critical(lab: Lab) -> None:
    lab.yasu.run(["/opt/nagios-failover/bin/nagios-failover", "pause", "--reason", "new disk"])
    try:
        with without_nagios_dying(lab, signal="TERM"):
            time.sleep(6)
            said = check(lab.nabira)
            assert said.state == "WARNING"
            assert said.sentence.startswith("yasu: Nagios is stopped cleanly under a pause (new disk, by ")
    finally:
        lab.yasu.run(["/opt/nagios-failover/bin/nagios-failover", "resume"])


def test_a_master_whose_flags_are_off(lab: Lab) -> None:
    """Two standbys look the same from here: nobody monitors."""
    now = int(time.time())
    commands = ("STOP_EXECUTING_SVC_CHECKS", "DISABLE_NOTIFICATIONS")
    lab.yasu.run("cat > /var/lib/nagios4/rw/nagios.cmd", stdin="".join(f"[{now}] {name}\n" for name in commands))
    try:
        said = until(
            lab, "WARNING", "alive, but it checks or notifies nothing (notifications off, service checks off, host checks on)"
        )
        assert said.sentence.endswith("; its role is master; nobody monitors")
    finally:
        commands = ("START_EXECUTING_SVC_CHECKS", "ENABLE_NOTIFICATIONS")
        lab.yasu.run("cat > /var/lib/nagios4/rw/nagios.cmd", stdin="".join(f"[{now}] {name}\n" for name in commands))


# ---- the database ----


def test_a_stopped_database_is_a_warning(lab: Lab) -> None:
    lab.yasu.service("mariadbd").stop()
    try:
        said = check(lab.nabira)
        assert said.state == "WARNING"
        assert re.fullmatch(
            r"yasu: Nagios \(PID \d+\) is alive, status.dat is \d s old, but its database does not answer "
            r"\(Can't connect to MySQL server on '10.99.0.11' \(\[Errno 111\] Connection refused\) \(2003\)\)",
            said.sentence,
        )
    finally:
        lab.yasu.service("mariadbd").start()


def test_a_stopped_mysqld_that_still_accepts_connections_does_not_hold_the_plugin(lab: Lab) -> None:
    """connect_timeout does not cover the handshake."""
    lab.yasu.service("mariadbd").freeze()
    try:
        said = check(lab.nabira)
        assert said.state == "WARNING" and "but its database does not answer" in said.sentence
        assert said.seconds < 4.5
    finally:
        lab.yasu.service("mariadbd").thaw()


def test_ten_minutes_old_heartbeat_beside_a_fresh_status_file_is_a_warning(lab: Lab) -> None:
    """As after a database that was away: it is back, and the loader has not written yet."""
    with without_loader(lab):
        sql(lab.yasu, "UPDATE programstatus SET last_update = UTC_TIMESTAMP() - INTERVAL 10 MINUTE")
        said = check(lab.nabira)
        assert said.state == "WARNING"
        assert re.search(
            r"is alive, status.dat is \d s old, but its database link is lost or slow, the heartbeat is 60\d s old", said.sentence
        )


@contextmanager
def without_loader(lab: Lab) -> Iterator[None]:
    """Nobody writes to programstatus."""
    row = sql(lab.yasu, "SELECT nagios_pid FROM programstatus").strip()
    try:
        hold_loader(lab.yasu)
        yield
    finally:
        sql(
            lab.yasu,
            f"DELETE FROM programstatus; INSERT INTO programstatus (last_update, nagios_pid) VALUES (UTC_TIMESTAMP(), {row})",
        )
        release_loader(lab.yasu)


def test_rows_that_cannot_be_are_not_looked_at_and_never_stale(lab: Lab) -> None:
    insert = "INSERT INTO programstatus (last_update) VALUES"
    with without_loader(lab):
        for statement, reason in (
            ("DELETE FROM programstatus", "programstatus is empty"),
            (f"{insert} (UTC_TIMESTAMP()), (UTC_TIMESTAMP())", "programstatus has more than one row"),
            (f"DELETE FROM programstatus; SET sql_mode=''; {insert} (0)", "programstatus has no time: 0000-00-00 00:00:00"),
            (
                "UPDATE programstatus SET last_update = UTC_TIMESTAMP() + INTERVAL 1 HOUR",
                r"programstatus was written 3(600|59\d) s in the future",
            ),
        ):
            sql(lab.yasu, statement)
            said = check(lab.nabira)
            assert said.state == "WARNING", said.output
            assert re.search(f"but could not look at its heartbeat: {reason}", said.sentence), said.output
            assert "\nhint: " in said.output


def test_denied_and_crowded_databases_are_not_dead_ones(lab: Lab) -> None:
    account = f"nagios_failover@'{lab.nabira.address}'"
    for fault, mend, reason in (
        (f"RENAME USER {account} TO away@'%'", f"RENAME USER away@'%' TO {account}", "access denied (1"),
        (
            f"REVOKE SELECT ON nagios.programstatus FROM {account}; GRANT SELECT ON nagios.away TO {account}",
            f"REVOKE SELECT ON nagios.away FROM {account}; GRANT SELECT ON nagios.programstatus TO {account}",
            "no right to the table (1142:",
        ),
        (
            f"ALTER USER {account} WITH MAX_QUERIES_PER_HOUR 1",
            f"ALTER USER {account} WITH MAX_QUERIES_PER_HOUR 0",
            "a resource limit of this user is used up (1226:",
        ),
        ("RENAME TABLE programstatus TO elsewhere", "RENAME TABLE elsewhere TO programstatus", "no such table (1146:"),
    ):
        sql(lab.yasu, f"CREATE TABLE IF NOT EXISTS away (x INT); {fault}")
        try:
            said = check(lab.nabira)
            assert said.state == "WARNING" and f"could not look at its heartbeat: {reason}" in said.sentence, said.output
            assert "\nhint: " in said.output
        finally:
            sql(lab.yasu, f"{mend}; DROP TABLE away")


SCHEMAS = {
    "ndoutils": (
        "CREATE TABLE nagios_programstatus (programstatus_id INT AUTO_INCREMENT PRIMARY KEY, instance_id SMALLINT UNIQUE, "
        "status_update_time DATETIME, process_id INT, is_currently_running SMALLINT)",
        "INSERT INTO nagios_programstatus (instance_id, status_update_time, process_id) VALUES (1, {time}, {pid}), (2, 0, 1)",
        "nagios_programstatus",
    ),
    "icinga-ido": (
        "CREATE TABLE icinga_programstatus (programstatus_id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, "
        "instance_id BIGINT UNSIGNED UNIQUE, status_update_time TIMESTAMP NULL, process_id BIGINT UNSIGNED)",
        "INSERT INTO icinga_programstatus (instance_id, status_update_time, process_id) VALUES (1, {time}, {pid})",
        "icinga_programstatus",
    ),
    "merlin": (
        "CREATE TABLE program_status (instance_id INT PRIMARY KEY, last_alive INT, pid INT, is_running TINYINT)",
        "INSERT INTO program_status (instance_id, last_alive, pid) VALUES (1, UNIX_TIMESTAMP({time}), {pid})",
        "program_status",
    ),
}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_heartbeats_of_other_schemas(lab: Lab, schema: str) -> None:
    create, insert, table = SCHEMAS[schema]
    pid = lab.yasu.nagios_pid()
    zone = "SET time_zone = '+00:00', sql_mode = '';"
    sql(lab.yasu, f"{create}; GRANT SELECT ON nagios.{table} TO nagios_failover@'{lab.nabira.address}'")
    try:
        with config(lab.nabira, "schema", schema):
            for time_, state, words in (
                ("NOW()", "OK", r"the heartbeat is \d s old"),
                ("NOW() - INTERVAL 8 SECOND", "WARNING", r"but its database link is lost or slow, the heartbeat is (\d+) s old"),
                ("NOW() - INTERVAL 1 HOUR", "WARNING", r"but its database link is lost or slow, the heartbeat is 360\d s old"),
                ("NOW() + INTERVAL 1 HOUR", "WARNING", r"was written 3\d+ s in the future"),
            ):
                began = time.monotonic()
                sql(lab.yasu, f"{zone} DELETE FROM {table}; {insert.format(time=time_, pid=pid)}")
                said = check(lab.nabira)
                found = re.search(words, said.sentence)
                assert said.state == state and found, said.output
                if found.groups():
                    assert 8 <= int(found[1]) <= 8 + time.monotonic() - began + 1, said.output
    finally:
        sql(lab.yasu, f"REVOKE SELECT ON nagios.{table} FROM nagios_failover@'{lab.nabira.address}'; DROP TABLE {table}")


def test_tls_is_verified_or_it_is_not_looked_at(lab: Lab) -> None:
    """The server's certificate by the CA that the configuration names, for the address that we ask."""
    make = (
        "cd /etc/mysql && for ca in right wrong; do openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=$ca"
        " -keyout $ca.key -out $ca.pem; done && openssl req -newkey rsa:2048 -nodes -subj /CN=yasu -keyout yasu.key"
        f" -out yasu.csr && echo subjectAltName=IP:{lab.yasu.address} >ext && openssl x509 -req -days 2 -in yasu.csr -CA right.pem"
        " -CAkey right.key -CAcreateserial -extfile ext -out yasu.pem && chown mysql yasu.key"
    )
    lab.yasu.run(make)
    ssl = "[mariadbd]\nssl_ca=/etc/mysql/right.pem\nssl_cert=/etc/mysql/yasu.pem\nssl_key=/etc/mysql/yasu.key\n"
    lab.yasu.write("/etc/mysql/mariadb.conf.d/99-tls.cnf", ssl)
    for name in ("right", "wrong"):
        lab.nabira.write(f"/tmp/{name}.pem", lab.yasu.read(f"/etc/mysql/{name}.pem"))
    restart(lab.yasu, "mariadbd")
    try:
        with config(lab.nabira, "tls_ca", "/tmp/right.pem"):
            until(lab, "OK", "the heartbeat is")
        with config(lab.nabira, "tls_ca", "/tmp/wrong.pem"):
            said = check(lab.nabira)
            assert said.state == "WARNING" and "could not look at its heartbeat: TLS failed (" in said.sentence, said.output
    finally:
        lab.yasu.run("rm /etc/mysql/mariadb.conf.d/99-tls.cnf")
        restart(lab.yasu, "mariadbd")


def restart(host: Host, service: str) -> None:
    host.service(service).stop()
    host.service(service).start()


def test_a_replica_speaks_for_its_source_as_long_as_it_hears_something(lab: Lab) -> None:
    """Growth of what was received, not Slave_IO_Running, which says Yes for slave_net_timeout after a power cut."""
    lab.yasu.write("/etc/mysql/mariadb.conf.d/99-source.cnf", "[mariadbd]\nlog_bin=yasu\nserver_id=1\n")
    restart(lab.yasu, "mariadbd")
    account = f"replica@'{lab.nabira.address}'"
    sql(lab.yasu, f"CREATE USER {account} IDENTIFIED BY 'lab'; GRANT REPLICATION SLAVE ON *.* TO {account}")
    watcher = "nagios_failover_admin@localhost"
    sql(lab.nabira, f"CREATE USER {watcher} IDENTIFIED BY 'lab'; GRANT SLAVE MONITOR ON *.* TO {watcher}")
    source = f"MASTER_HOST='{lab.yasu.address}', MASTER_USER='replica', MASTER_PASSWORD='lab', MASTER_HEARTBEAT_PERIOD=1"
    with config(lab.nabira, "watch", "yes"), config(lab.nabira, "heartbeat_period", "1"):
        until(lab, "OK", "is alive")
        assert (
            "replication: could not look: this host's own database: this host's database is not a replica"
            in check(lab.nabira, "-v").output
        )
        sql(lab.nabira, f"CHANGE MASTER TO {source}, MASTER_USE_GTID=current_pos; START SLAVE")
        try:
            lab.wait(
                lambda: "replication: the local replica hears from it" in check(lab.nabira, "-v").output, 15, "the replica hears"
            )
            only_old_connections = f"INPUT -s {lab.nabira.address} -p tcp --dport 3306 ! --syn -j ACCEPT"
            lab.yasu.run(f"iptables -A {only_old_connections} && iptables -A INPUT -s {lab.nabira.address} -j DROP")
            try:
                drop_held_connection(lab)
                said = until(lab, "WARNING", "the local replica still hears from it", 20)
                assert re.match(r"yasu: .*ssh fails \(", said.sentence), said.output
                assert "host: does not answer" in check(lab.nabira, "-v").output
            finally:
                lab.yasu.run("iptables -F INPUT")
            lab.wait(lambda: check(lab.nabira).state == "OK", 15, "the host is back")
            lab.cut("yasu", "all")
            try:
                until(lab, "CRITICAL", "yasu: the host is down: ssh fails (", 20)
                assert "Slave_IO_Running: Yes" in lab.nabira.run("mariadb -e 'SHOW SLAVE STATUS\\G'").stdout
                assert "replication: the local replica does not hear from it" in check(lab.nabira, "-v").output
            finally:
                lab.mend("yasu", "all")
        finally:
            sql(lab.nabira, "STOP SLAVE; RESET SLAVE ALL")
            lab.yasu.run("rm /etc/mysql/mariadb.conf.d/99-source.cnf")
            restart(lab.yasu, "mariadbd")


# ---- ssh ----


def test_stopped_sshd_is_a_warning_while_the_heartbeat_is_fresh(lab: Lab) -> None:
    lab.yasu.service("sshd").stop()
    drop_held_connection(lab)
    try:
        said = check(lab.nabira)
        assert said.state == "WARNING"
        assert re.fullmatch(
            r"yasu: alive, ssh is broken: connect to host 10.99.0.11 port 22: Connection refused, the heartbeat is \d s old",
            said.sentence,
        )
    finally:
        lab.yasu.service("sshd").start()


def test_stopped_nagios_and_sshd_is_critical_by_the_database_alone(lab: Lab) -> None:
    lab.yasu.service("sshd").stop()
    drop_held_connection(lab)
    try:
        with without_nagios_dying(lab, signal="KILL"):
            said = until(lab, "CRITICAL", "yasu: Nagios is not seen alive: ssh fails (", 20)
            assert said.sentence.endswith("; the host answers")
    finally:
        lab.yasu.service("sshd").start()


def test_ssh_and_database_both_stopped_on_a_host_that_answers_is_a_warning(lab: Lab) -> None:
    lab.yasu.service("sshd").stop()
    lab.yasu.service("mariadbd").stop()
    drop_held_connection(lab)
    try:
        said = check(lab.nabira)
        assert said.state == "WARNING" and said.sentence.startswith("yasu: the host answers, ssh and database do not: ssh fails (")
    finally:
        lab.yasu.service("mariadbd").start()
        lab.yasu.service("sshd").start()


def test_a_stopped_sshd_that_still_accepts_connections_does_not_hold_the_plugin(lab: Lab) -> None:
    lab.yasu.service("sshd").freeze()
    drop_held_connection(lab)
    try:
        said = check(lab.nabira)
        assert said.state == "WARNING" and "yasu: alive, ssh is broken: " in said.sentence
        assert said.seconds < 5
    finally:
        lab.yasu.service("sshd").thaw()


def test_a_hung_held_connection_is_replaced_within_the_look(lab: Lab) -> None:
    """Its process on this side is stopped: the socket is there and accepts, and nothing comes back."""
    check(lab.nabira)
    lab.nabira.run("pkill -STOP -f '[s]sh: /var/lib/nagios-failover/ssh/'")
    try:
        said = check(lab.nabira)
        assert (said.state, said.seconds < 4) == ("OK", True), said.output
        again = re.search(r"ssh_time=([\d.]+)s", check(lab.nabira).output)
        assert again and float(again[1]) < 0.4 * 3, "the hung connection is not waited for again"
    finally:
        lab.nabira.run("pkill -KILL -f '[s]sh: /var/lib/nagios-failover/ssh/'")


def test_looks_share_one_login_until_it_is_renewed(lab: Lab) -> None:
    lab.wait(lambda: time.time() % 3600 < 3540, 61, "no hour ends meanwhile")
    drop_held_connection(lab)
    with config(lab.nabira, "renew", "3600"):
        inodes = {looked(lab).state + lab.nabira.run(f"ls -i {STATE}/ssh").stdout for _ in range(4)}
        assert len(inodes) == 1 and "yasu." in inodes.pop()
    with config(lab.nabira, "renew", "1"):
        sockets = set()
        for _ in range(3):
            assert looked(lab).state == "OK"
            sockets |= set(lab.nabira.run(f"ls {STATE}/ssh").stdout.split())
            time.sleep(1)
        assert len(sockets) >= 3
    listing = lab.nabira.run(f"ls -ld {STATE}/ssh").stdout
    assert listing.startswith("drwx--S---") and "nagios" in listing


@contextmanager
def config(host: Host, option: str, value: str) -> Iterator[None]:
    """One option of nagios-failover.cfg changed for a while (its line is there, commented out or not)."""
    text = host.read(CONFIG)
    changed, count = re.subn(rf"(?m)^#?{option} =.*$", f"{option} = {value}", text, count=1)
    assert count == 1, option
    host.write(CONFIG, changed, group="nagios", mode=0o640)
    try:
        yield
    finally:
        host.write(CONFIG, text, group="nagios", mode=0o640)


def test_unknown_and_changed_host_keys_are_not_a_dead_host(lab: Lab) -> None:
    known = lab.nabira.read("/etc/ssh/ssh_known_hosts")
    other_key = next(line.split()[2] for line in known.splitlines() if "nabira" in line and "ed25519" in line)
    changed = "\n".join(line for line in known.splitlines() if "yasu" not in line and "10.99.0.11" not in line)
    for text, reason in (
        (changed + "\n", "its host key is unknown"),
        (f"10.99.0.11,yasu ssh-ed25519 {other_key}\n", "its host key has changed"),
    ):
        lab.nabira.write("/etc/ssh/ssh_known_hosts", text)
        drop_held_connection(lab)
        try:
            said = looked(lab)
            assert said.state == "WARNING" and said.sentence.startswith(f"yasu: could not look: {reason} ("), said.output
            assert "\nhint: " in said.output
        finally:
            lab.nabira.write("/etc/ssh/ssh_known_hosts", known)


def test_private_keys_that_ssh_does_not_take_are_not_a_dead_host(lab: Lab) -> None:
    keys = "/var/lib/nagios/.ssh"
    for fault, mend, reason in (
        (f"chmod 0644 {keys}/id_ed25519", f"chmod 0600 {keys}/id_ed25519", "the private key is readable by others"),
        (f"mv {keys} {keys}.away", f"mv {keys}.away {keys}", "ssh access denied"),
    ):
        lab.nabira.run(fault)
        drop_held_connection(lab)
        try:
            said = looked(lab)
            assert said.state == "WARNING" and said.sentence.startswith(f"yasu: could not look: {reason} ("), said.output
        finally:
            lab.nabira.run(mend)


# ---- the host, its disk, its network ----


def test_a_full_disk_on_the_master_is_no_failover(lab: Lab) -> None:
    """Nagios then puts cut-off files into status.dat's place; what is left of them at the top is still the truth."""
    try:
        for _ in range(4):
            lab.yasu.fill()
            said = check(lab.nabira)
            assert said.state == "OK" or (
                said.state == "WARNING" and ("disk full?" in said.sentence or "is not complete" in said.sentence)
            )
            time.sleep(1)
    finally:
        lab.yasu.unfill()


def test_a_status_file_that_is_not_written_beside_a_fresh_heartbeat_is_a_warning(lab: Lab) -> None:
    lab.yasu.run("chmod 0550 /var/lib/nagios4")
    try:
        said = until(lab, "WARNING", "but the heartbeat is fresh: status.dat is not written (disk full?)", 20)
        assert re.match(r"yasu: status.dat is 1\d s old, but ", said.sentence)
    finally:
        lab.yasu.run("chmod 0750 /var/lib/nagios4")


def test_a_status_file_that_is_cut_off_is_not_looked_at(lab: Lab) -> None:
    with without_nagios_dying(lab, signal="STOP"):
        whole = lab.yasu.read("/var/lib/nagios4/status.dat")
        for rest in ("", whole[:200]):
            lab.yasu.write("/var/lib/nagios4/status.dat", rest, owner="nagios", group="www-data")
            said = check(lab.nabira)
            assert (said.state, said.sentence) == ("WARNING", "yasu: could not look: /var/lib/nagios4/status.dat is not complete")


def test_a_process_table_that_hides_other_users(lab: Lab) -> None:
    lab.yasu.run("mount -o remount,hidepid=2 /proc")
    try:
        said = check(lab.nabira)
        pid = lab.yasu.nagios_pid()
        assert said.state == "WARNING"
        assert said.sentence == f"yasu: could not look: PID {pid} cannot be looked at: other users' processes are hidden there"
        assert "\nhint: " in said.output
        with without_nagios_dying(lab, signal="KILL"):
            assert check(lab.nabira).sentence.startswith(f"yasu: Nagios has crashed: PID {pid} is gone")
    finally:
        lab.yasu.run("mount -o remount,hidepid=0 /proc")


def test_a_host_without_proc(lab: Lab) -> None:
    """That the PID exists is known (it may not be signalled), but not who it is; that one does not exist is known, too."""
    pid = lab.yasu.nagios_pid()
    lab.yasu.run("mount -t tmpfs none /proc")
    try:
        said = check(lab.nabira)
    finally:
        lab.yasu.run("umount /proc")
    assert said.state == "WARNING"
    assert said.sentence == f"yasu: could not look: PID {pid} cannot be looked at: other users' processes are hidden there"


def test_an_account_that_cannot_read_status_dat(lab: Lab) -> None:
    lab.yasu.run("gpasswd -d hb www-data")
    lab.nabira.run(f"rm -f {STATE}/ssh/*")
    try:
        said = looked(lab)
        assert said.state == "WARNING"
        assert said.sentence == "yasu: could not look: the directory of /var/lib/nagios4/status.dat cannot be entered"
        assert "\nhint: let the maintenance account read it: on Debian, add it to the groups www-data" in said.output
    finally:
        lab.yasu.run("gpasswd -a hb www-data")
        drop_held_connection(lab)


def test_power_off_is_a_host_that_is_down(lab: Lab) -> None:
    lab.yasu.off()
    try:
        said = check(lab.nabira)
        assert said.state == "CRITICAL" and said.sentence.startswith("yasu: the host is down: ssh fails ("), said.output
        assert said.sentence.endswith("; it does not answer at all")
    finally:
        lab.yasu.on()


def test_a_cut_network_is_a_host_that_is_down_only_where_a_witness_answers(lab: Lab) -> None:
    lab.cut("yasu", "all")
    try:
        assert check(lab.nabira).sentence.startswith("yasu: the host is down: ")
        lab.cut("nabira", "all")
        said = check(lab.nabira)
        assert said.state == "UNKNOWN" and said.sentence.startswith("yasu: this standby is cut off: ssh fails (")
        assert said.sentence.endswith(", and no witness answers (10.99.0.13)")
    finally:
        lab.mend("nabira", "all")
        lab.mend("yasu", "all")


def test_a_link_that_loses_one_direction_is_a_host_that_is_down(lab: Lab) -> None:
    lab.cut("yasu", "nabira", one_way=True)
    try:
        assert check(lab.nabira).sentence.startswith("yasu: the host is down: ")
    finally:
        lab.mend("yasu", "nabira")


def test_a_frozen_host_answers_and_is_no_failover_unless_chosen(lab: Lab) -> None:
    lab.yasu.freeze()
    try:
        said = check(lab.nabira)
        assert said.state == "WARNING" and said.sentence.startswith("yasu: the host answers, ssh and database do not: "), (
            said.output
        )
        with config(lab.nabira, "unreachable_services", "critical"):
            assert check(lab.nabira).state == "CRITICAL"
    finally:
        lab.yasu.thaw()


def test_a_slow_link_is_no_failover(lab: Lab) -> None:
    lab.slow("nabira", "yasu", 2)
    drop_held_connection(lab)
    try:
        said = check(lab.nabira)
        assert said.state == "WARNING", said.output
    finally:
        lab.mend("nabira", "yasu")


# ---- the plugin itself ----


def test_by_options_alone_ssh_is_enough(lab: Lab) -> None:
    lab.nabira.run("mv /etc/nagios-failover /etc/nagios-failover.away; rm -f /var/lib/nagios-failover/looks")
    try:
        said = looked(lab, "-H", "yasu", "-l", "hb")
        assert said.state == "OK" and re.fullmatch(r"yasu: Nagios \(PID \d+\) is alive, status.dat is \d s old", said.sentence)
        assert looked(lab, "-H", "yasu", "-l", "hb", "-w", "@0:100").state == "WARNING"
        with without_nagios_dying(lab, signal="KILL"):
            assert looked(lab, "-H", "yasu", "-l", "hb").state == "CRITICAL"
        assert looked(lab, "-H", "yasu", "-l", "nobody").sentence.startswith("yasu: could not look: ssh access denied (")
        assert looked(lab, "-H", "no-such-host", "-l", "hb").sentence.startswith("no-such-host: could not look: its name cannot be")
        assert not lab.nabira.exists(f"{STATE}/looks")
    finally:
        lab.nabira.run("mv /etc/nagios-failover.away /etc/nagios-failover")


def test_only_plain_looks_by_the_nagios_user_are_recorded_and_nothing_becomes_root_s(lab: Lab) -> None:
    lab.nabira.run(f"rm -rf {STATE}/looks* {STATE}/ssh")
    for override in (("-w", "60"), ("-c", "300"), ("-t", "5"), ("-H", "10.99.0.11", "-C", CONFIG), ("-C", CONFIG, "-l", "hb")):
        assert looked(lab, *override).state == "OK"
    assert not lab.nabira.exists(f"{STATE}/looks")
    assert check(lab.nabira, user="root").state == "OK"
    assert check(lab.nabira, "-C", CONFIG, user="nagios").state == "OK"
    assert lab.nabira.read(f"{STATE}/looks").count("\n") == 2
    assert lab.nabira.run(f"find {STATE} -ignore_readdir_race ! -user nagios").stdout == ""
    said = check(lab.nabira, user="hb")
    assert (said.state, said.sentence) == ("UNKNOWN", f"configuration file {CONFIG} is not readable by this user")


def test_without_a_role_file_it_says_so_and_judges_nothing(lab: Lab) -> None:
    role = lab.nabira.read(f"{STATE}/role")
    for fault, words in ((f"rm {STATE}/role", "does not exist"), (f"echo garbage > {STATE}/role", "is garbled")):
        lab.nabira.run(fault, user="nagios")
        try:
            with without_nagios_dying(lab, signal="KILL"):
                said = check(lab.nabira)
            assert said.state == "WARNING", said.output
            assert said.sentence.startswith(
                f"yasu: could not look: this host's own role is unknown (the role file {STATE}/role {words}"
            )
        finally:
            lab.nabira.write(f"{STATE}/role", role, owner="nagios", group="adm", mode=0o640)


def test_a_look_that_cannot_be_recorded_says_so(lab: Lab) -> None:
    def not_recorded() -> bool:
        """What others give back meanwhile is room for a look."""
        lab.nabira.fill()
        said = check(lab.nabira)
        return said.state == "WARNING" and "; this look could not be recorded (cannot write " in said.sentence

    try:
        lab.wait(not_recorded, 10, "a look says that it was not recorded")
    finally:
        lab.nabira.unfill()
    lab.nabira.run(f"mv {STATE} {STATE}.away")
    try:
        said = check(lab.nabira)
        assert said.state == "WARNING" and "is not there (not mounted?)" in said.sentence, said.output
    finally:
        lab.nabira.run(f"mv {STATE}.away {STATE}")


def start_seconds(host: Host) -> float:
    started = time.monotonic()
    host.run([CHECK, "--version"], user="nagios", check=False)  # ends as UNKNOWN does
    return time.monotonic() - started


def test_a_short_time_limit_is_kept_whatever_hangs(lab: Lab) -> None:
    lab.yasu.freeze()
    try:
        start = max(start_seconds(lab.nabira) for _ in range(2))  # which the limit cannot know of
        said = check(lab.nabira, "-t", "2")
        start = max(start, start_seconds(lab.nabira))
        assert said.seconds < 2.0 + start and said.state == "WARNING", said.output
    finally:
        lab.yasu.thaw()


def test_a_master_that_never_had_the_suite() -> None:
    with Lab.up(name=f"check-bare-{os.getpid()}", suite_on=("nabira",)) as lab:
        lab.nabira.service("nagios").stop()
        commands = ("START_EXECUTING_SVC_CHECKS", "START_EXECUTING_HOST_CHECKS", "ENABLE_NOTIFICATIONS")
        lab.yasu.run("cat > /var/lib/nagios4/rw/nagios.cmd", stdin="".join(f"[{int(time.time())}] {name}\n" for name in commands))
        said = until(lab, "WARNING", "but ")
        assert "is alive, status.dat is" in said.sentence and "could not look at its heartbeat" in said.sentence
        with config(lab.nabira, "schema", "none"):
            assert check(lab.nabira).state == "OK"
            assert "role: unknown (there is no /var/lib/nagios-failover)" in check(lab.nabira, "-v").output
            lab.yasu.service("nagios").kill9()
            assert check(lab.nabira).sentence.startswith("yasu: Nagios has crashed: ")
