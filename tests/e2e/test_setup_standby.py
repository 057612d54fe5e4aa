"""setup-standby: a replica from nothing, by one command that can be given again whatever happened before."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab import Host, Lab, why_not
from tests.lab.debian_root import CHECKOUT
from tests.lab.followed import (
    DROP_IN,
    PASSWORD,
    REPLICA_PASSWORD,
    TLS,
    configure,
    equal,
    fill,
    replicates,
    sql,
    status,
)
from tests.lab.suite import COMMAND, CONFIG, STATE, with_options
from tests.lab.target import wait_for_mariadb

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

DONE, FAILED, REFUSED, INCOMPLETE = 0, 1, 3, 4
ROWS = 65536


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(name=f"setup-{os.getpid()}") as lab:
        lab.nabira.run([COMMAND, "pause", "--reason", "these tests break yasu's database"])
        fill(lab.yasu, ROWS)
        yield lab


def setup(host: Host, *options: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Exit code, and what was said."""
    done = host.run([COMMAND, "setup-standby", *options], check=False, timeout=180, env=env)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_without_a_configuration_it_says_what_to_write(lab: Lab) -> None:
    code, said = setup(lab.nabira)
    assert code == REFUSED
    assert re.search(
        r"^error: nabira: replication is not configured: \d options of \S+/nagios-failover.cfg missing$", said, re.M
    ), said
    assert "[replication] watch = yes\n" in said
    assert f"[replication] tls_ca = {TLS}/ca.pem\n" in said and f"[replication] drop_in = {DROP_IN}\n" in said


def test_it_belongs_on_the_standby(lab: Lab) -> None:
    configure(lab)
    code, said = setup(lab.yasu)
    assert code == REFUSED
    assert "error: yasu: its role is master (term 1): its database is not a replica\n" in said
    assert "hint: run it on the standby, nabira; nagios-failover status\n" in said


def test_a_dry_run_changes_nothing(lab: Lab) -> None:
    before = lab.nabira.run("find /etc/mysql /var/lib/nagios-failover/runs -type f | sort | xargs md5sum").stdout
    code, said = setup(lab.nabira, "--dry-run")
    assert code == DONE and said.endswith(
        "verify: would compare every table by CHECKSUM TABLE\n"
        "heartbeat: would make the accounts of the heartbeat here, which no copy brings\nnothing was changed (dry run)\n"
    )
    assert lab.nabira.run("find /etc/mysql /var/lib/nagios-failover/runs -type f | sort | xargs md5sum").stdout == before


def test_a_restart_needs_a_word(lab: Lab) -> None:
    """What was written is there, the server is as it was."""
    pid = lab.nabira.service("mariadbd").pid()
    code, said = setup(lab.nabira)
    assert code == REFUSED
    assert (
        "error: nabira: its database server has to be restarted for 10 settings\ndetail: log_bin is OFF, it needs log-bin = "
        in said
    )
    assert "hint: give the command again with --restart, or restart it yourself first\n" in said
    assert lab.nabira.service("mariadbd").pid() == pid
    assert "read_only = ON" in lab.nabira.read(DROP_IN)


def test_a_source_that_is_not_ready_is_named_with_the_command_to_run_there(lab: Lab) -> None:
    code, said = setup(lab.nabira, "--restart")
    assert code == FAILED, said
    assert "nabira: mariadb restarted" in said or "this server: mariadb restarted" in said
    assert "yasu: it has made no certificate yet\n" in said
    assert "hint: run on yasu, as root: nagios-failover init-database\n" in said


def test_the_master_is_made_ready_by_one_command(lab: Lab) -> None:
    said = lab.yasu.run([COMMAND, "init-database", "--restart"], timeout=60).stdout
    assert f"made a key and a certificate for yasu in {TLS}, good for 10 years\n" in said
    assert f"the authority of nabira is trusted now ({TLS}/ca.pem)\n" in said
    assert sql(lab.yasu, "SELECT @@read_only, @@log_bin, @@have_ssl") == "0\t1\tYES"
    again = lab.yasu.run([COMMAND, "init-database"]).stdout
    assert "made" not in again and "restarted" not in again and "wrote" not in again
    modes = lab.yasu.run(f"stat -c '%n %U %a' {TLS}/*").stdout.split("\n")
    assert f"{TLS}/key.pem mysql 600" in modes and f"{TLS}/ca.pem root 644" in modes
    assert lab.yasu.run(f"grep -l 'PRIVATE KEY' {TLS}/*").stdout == f"{TLS}/key.pem\n", "the authority's key is gone"


def test_accounts_have_the_least_and_are_not_replicated(lab: Lab) -> None:
    grants = sql(lab.yasu, "SHOW GRANTS FOR nagios_failover_replica@'10.99.0.12'")
    assert re.sub(r"IDENTIFIED BY PASSWORD '[^']*' ", "", grants) == (
        "GRANT SHOW DATABASES, REPLICATION SLAVE ON *.* TO `nagios_failover_replica`@`10.99.0.12` REQUIRE SSL\n"
        "GRANT SELECT, SHOW VIEW, EVENT, TRIGGER ON `nagios`.* TO `nagios_failover_replica`@`10.99.0.12`\n"
        "GRANT SELECT, SHOW VIEW, EVENT, TRIGGER ON `perfparse`.* TO `nagios_failover_replica`@`10.99.0.12`\n"
        "GRANT SELECT ON `mysql`.`proc` TO `nagios_failover_replica`@`10.99.0.12`"
    )
    sql(lab.yasu, "CREATE TABLE nagios.replicated (id INT); DROP TABLE nagios.replicated")
    events = lab.yasu.run("mariadb-binlog --no-defaults /var/lib/mysql/nagios-failover-bin.0*").stdout
    assert "CREATE TABLE nagios.replicated" in events and "CREATE USER" not in events and "GRANT" not in events


def test_from_nothing_to_a_replica_that_is_the_same(lab: Lab) -> None:
    before = sent(lab.yasu)
    code, said = setup(lab.nabira)
    assert code == DONE, said
    copied = re.search(r"^copy: done: nagios, perfparse \(([\d.]+) MB in ", said, re.M)
    assert copied and sent(lab.yasu) - before < 0.8 * float(copied[1]) * 1e6, "compressed, random as half of it is"
    lines = [line for line in said.splitlines() if not line.startswith("this server: ")]
    assert lines[0] == "role: done: role is standby, term 1"
    assert re.fullmatch(
        r"source: done: yasu is a source as it should be, MariaDB 10\.\d+\.\d+, over verified TLS \(TLS_\w+\)", lines[1]
    )
    assert re.fullmatch(r"copy: done: nagios, perfparse \([\d.]+ MB in [\d.]+ s\), as of (0-1-\d+|the beginning)", lines[6])
    assert re.fullmatch(r"verify: done: CHECKSUM TABLE is equal for all 11 tables, at (0-1-\d+|the beginning)", lines[9])
    assert lines[10].startswith(
        "heartbeat: done: the table nagios.programstatus is as Nagios 1.x has it; "
        "9 of 9 tables of perfparse are as the loader writes them; accounts nagios@localhost, "
    )
    assert lines[11] == "nabira's database is a replica of yasu's: copied anew"
    assert equal(lab.yasu, lab.nabira)
    found = status(lab.nabira)
    assert (found["Master_SSL_Verify_Server_Cert"], found["Using_Gtid"], found["Replicate_Do_DB"]) == ("Yes", "Slave_Pos", "")
    assert sql(lab.nabira, "SELECT @@read_only") == "1"
    lab.wait(lambda: "ON" in sql(lab.yasu, "SHOW STATUS LIKE 'Rpl_semi_sync_master_status'"), 10, "semi-synchronous")


def sent(host: Host) -> int:
    """Bytes that its server has written into its connections, as they went out."""
    return int(sql(host, "SHOW GLOBAL STATUS LIKE 'Bytes_sent'").split()[1])


def test_again_a_healthy_replica_is_left_alone(lab: Lab) -> None:
    thread = "SELECT id FROM information_schema.processlist WHERE command = 'Slave_IO'"
    before = sql(lab.nabira, thread)
    code, said = setup(lab.nabira)
    assert code == DONE
    assert re.search(r"^compare: done: it is a healthy replica of yasu, \d s behind: left alone$", said, re.M)
    assert "nabira's database is a replica of yasu's: was so already\n" in said
    assert sql(lab.nabira, thread) == before != ""


def test_a_stopped_or_forgotten_replica_is_attached_where_it_was(lab: Lab) -> None:
    lab.wait(lambda: sql(lab.nabira, "SELECT @@gtid_slave_pos") != "", 20, "they have a history in common")
    for statements in ("STOP SLAVE", "STOP SLAVE; RESET SLAVE ALL"):
        sql(lab.nabira, statements)
        code, said = setup(lab.nabira)
        assert code == DONE and "nabira's database is a replica of yasu's: attached, its history was clean\n" in said, said
        assert replicates(lab.nabira)
    assert equal(lab.yasu, lab.nabira)


ON_A_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:], stdin_read=lambda _: b'')))"


def test_nothing_is_dropped_without_a_word(lab: Lab) -> None:
    sql(lab.nabira, "STOP SLAVE; RESET SLAVE ALL; INSERT INTO perfparse.bin (host) VALUES ('written on the standby')")
    before = sql(lab.nabira, "CHECKSUM TABLE perfparse.bin")
    which = "TABLE_SCHEMA = 'perfparse' AND TABLE_TYPE = 'BASE TABLE'"
    tables = sql(lab.nabira, f"SELECT TABLE_NAME FROM information_schema.TABLES WHERE {which}").split()
    filled = sum(sql(lab.nabira, f"SELECT EXISTS (SELECT 1 FROM perfparse.{table})") == "1" for table in tables)
    code, said = setup(lab.nabira)
    assert code == REFUSED and filled > 1
    assert re.search(
        r"^error: nabira: it has \d+ transactions? that yasu has not \(0-2-\d+\), so it has to be copied anew, and its server "
        rf"holds nagios \(1 table with rows\), perfparse \({filled} tables with rows\)$",
        said,
        re.M,
    ), said
    assert "hint: give the command again with --replace, if they may be replaced by the source's\n" in said
    assert sql(lab.nabira, "CHECKSUM TABLE perfparse.bin") == before
    done = lab.nabira.run(
        ["python3", "-c", ON_A_TERMINAL, COMMAND, "setup-standby", "--replace"],
        check=False,
        timeout=180,
        env={"TERM": "xterm", "COLUMNS": "60"},
    )
    said = done.stdout
    assert done.returncode == DONE, said
    assert re.search(r"\bcopy \x1b.*\b\d?\d%", said), "with a bar on a terminal"
    path = re.search(r"what it alone had is in (\S+\.sql)", said)
    assert path and "written on the standby" in lab.nabira.read(path.group(1))
    assert equal(lab.yasu, lab.nabira)


@pytest.mark.parametrize("step", ["empty", "copy", "replicate"])
def test_killed_between_two_steps_and_given_again(lab: Lab, step: str) -> None:
    killed = lab.nabira.run(
        [COMMAND, "setup-standby", "--replace"], check=False, timeout=120, env={"NAGIOS_FAILOVER_CRASH_AFTER": step}
    )
    assert killed.returncode == -9 or killed.returncode == 137
    code, said = setup(lab.nabira)
    assert code == DONE, said
    assert equal(lab.yasu, lab.nabira) and replicates(lab.nabira)


def test_killed_in_the_middle_of_the_copy_it_shows_no_password_and_is_finished_by_the_next(lab: Lab) -> None:
    """Copy, kill -9 of the command alone: what it started ends by itself, and loads nothing into the next copy."""
    sql(lab.nabira, "STOP SLAVE")
    lab.nabira.run(f"setsid -f {COMMAND} setup-standby --replace > /tmp/said 2>&1")
    processes: list[str] = []

    def copying() -> bool:
        processes.append(
            lab.nabira.run("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' ' '", check=False).stdout
        )
        return "--single-transaction" in processes[-1] and sql(lab.nabira, "SHOW DATABASES LIKE 'perfparse'") == "perfparse"

    lab.wait(copying, 30, "the copy is on its way", poll=0.02)
    pid = lab.nabira.run(f"pgrep -of '{COMMAND} setup-standby'").stdout.split()[0]
    lab.nabira.run(["kill", "-9", pid])
    journal = lab.nabira.run(f"cat $(ls -t {STATE}/runs/*.jsonl | head -1)").stdout
    assert len(re.findall(r'"started", "time": [\d.]+, "step": "copy"', journal)) == 1
    code, said = setup(lab.nabira)
    assert code == DONE, said
    assert equal(lab.yasu, lab.nabira) and replicates(lab.nabira)
    everything = [
        *processes,
        said,
        lab.nabira.run(f"cat {STATE}/runs/* {STATE}/*.log /var/log/mysql/* 2>/dev/null", check=False).stdout,
    ]
    for password in (PASSWORD, REPLICA_PASSWORD, "ad'm", "re'p"):
        assert not any(password in text for text in everything)


def test_databases_that_are_not_listed_are_refused_on_either_host(lab: Lab) -> None:
    for host in (lab.yasu, lab.nabira):
        sql(host, "SET sql_log_bin = 0; CREATE DATABASE shop")
        code, said = setup(lab.nabira)
        sql(host, "SET sql_log_bin = 0; DROP DATABASE shop")
        assert code == REFUSED
        assert (
            f"error: {host.name}: its server holds shop, and [replication] databases does not list it: the whole instance is "
            "replicated, since with a filter every failover would cost a copy\n"
        ) in said
        assert "hint: add it to [replication] databases on both hosts, or move it to another server\n" in said


def test_tables_without_transactions_are_refused_with_the_statement_that_mends_them(lab: Lab) -> None:
    sql(lab.yasu, "CREATE TABLE perfparse.old (a INT) ENGINE=MyISAM")
    code, said = setup(lab.nabira)
    assert code == REFUSED
    assert "detail: perfparse.old is MyISAM: ALTER TABLE `perfparse`.`old` ENGINE=InnoDB\n" in said
    sql(lab.yasu, "ALTER TABLE `perfparse`.`old` ENGINE=InnoDB")
    assert setup(lab.nabira)[0] == DONE


# --- TLS ---


@contextmanager
def yasu_certificate(lab: Lab, command: str) -> Iterator[None]:
    """Another certificate for yasu's server, made by a shell command in its directory."""
    yasu = lab.yasu
    yasu.run(f"cp -a {TLS} /root/tls; cd {TLS}; {command}; chown mysql key.pem; chmod 0600 key.pem; mariadb -e 'FLUSH SSL'")
    try:
        yield
    finally:
        yasu.run(f"rm -r {TLS}; cp -a /root/tls {TLS}; rm -r /root/tls; mariadb -e 'FLUSH SSL'")


def refused_for(lab: Lab, words: str) -> None:
    """By the command, and by the replica itself, which has to connect anew."""
    code, said = setup(lab.nabira)
    assert code == FAILED, said
    assert f"error: source: yasu: {words} (" in said, said
    sql(lab.nabira, "STOP SLAVE; START SLAVE")
    lab.wait(lambda: status(lab.nabira)["Last_IO_Errno"] == "2026", 15, "the replica refuses it, too")


def test_a_certificate_of_another_authority_is_refused(lab: Lab) -> None:
    names = "-subj /CN=yasu -addext 'subjectAltName=IP:10.99.0.11'"
    new = f"openssl req -x509 -newkey rsa:2048 -nodes -days 9 {names} -keyout key.pem -out cert.pem"
    with yasu_certificate(lab, new):
        refused_for(lab, "its certificate is signed by an authority that is not trusted here")


def own_authority(names: str, when: str = "") -> str:
    """A command that makes a new authority for yasu, which nabira is told to trust, and a certificate of it."""
    return (
        "printf '[req]\\ndistinguished_name=n\\n[n]\\n[a]\\nbasicConstraints=critical,CA:TRUE\\nkeyUsage=critical,keyCertSign\\n"
        f"[s]\\nbasicConstraints=CA:FALSE\\nsubjectAltName={names}\\n' > /tmp/o.cnf; "
        "new='openssl req -x509 -config /tmp/o.cnf -newkey rsa:2048 -nodes'; "
        "$new -extensions a -days 900 -subj /CN=a -keyout a.key -out ca-yasu.pem; "
        f"{when} $new -extensions s -CA ca-yasu.pem -CAkey a.key -days 2 -subj /CN=yasu -keyout key.pem -out cert.pem; rm a.key"
    )


@contextmanager
def nabira_trusts_it(lab: Lab) -> Iterator[None]:
    nabira = lab.nabira
    nabira.run(f"cp -a {TLS} /root/tls")
    for name in ("ca-yasu.pem", "ca.pem"):
        nabira.write(f"{TLS}/{name}", lab.yasu.read(f"{TLS}/ca-yasu.pem"))
    try:
        yield
    finally:
        nabira.run(f"rm -r {TLS}; cp -a /root/tls {TLS}; rm -r /root/tls")


def test_an_expired_certificate_is_refused(lab: Lab) -> None:
    with yasu_certificate(lab, own_authority("IP:10.99.0.11", "faketime -f -20d")), nabira_trusts_it(lab):
        refused_for(lab, "its certificate has expired")


def test_a_certificate_for_another_name_is_refused(lab: Lab) -> None:
    with yasu_certificate(lab, own_authority("DNS:somebody-else, IP:10.99.0.99")), nabira_trusts_it(lab):
        refused_for(lab, "its certificate is for another name")


def test_an_authority_that_changed_is_not_trusted_by_itself(lab: Lab) -> None:
    with yasu_certificate(lab, own_authority("IP:10.99.0.11")):
        code, said = setup(lab.nabira)
        assert code == FAILED
        assert f"yasu has another certificate authority than the one that is trusted here ({TLS}/ca-yasu.pem)\n" in said
        assert f"hint: if it was made anew there: rm {TLS}/ca-yasu.pem, and give the command again\n" in said


def test_a_server_without_tls_is_refused(lab: Lab) -> None:
    off = "/etc/mysql/mariadb.conf.d/zzz-no-tls.cnf"
    lab.yasu.write(off, "[mysqld]\nskip-ssl\n")
    restart(lab.yasu)
    try:
        code, said = setup(lab.nabira)
        assert code == FAILED and "error: source: yasu: it speaks no TLS (" in said, said
        assert "hint: run there, as root: nagios-failover init-database --restart\n" in said
        sql(lab.nabira, "STOP SLAVE; START SLAVE")
        lab.wait(lambda: status(lab.nabira)["Last_IO_Errno"] == "2026", 15, "the replica refuses it, too")
    finally:
        lab.yasu.run(["rm", off])
        restart(lab.yasu)
    assert setup(lab.nabira)[0] == DONE


def restart(host: Host) -> None:
    host.service("mariadbd").restart()
    wait_for_mariadb(host)


SNIFF = """
import os, socket, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
s.settimeout(0.2)
end, seen = time.time() + 120, b""
print("listening", flush=True)
while time.time() < end and not os.path.exists("/tmp/enough"):
    try: seen += s.recv(65536)
    except TimeoutError: pass
open("/tmp/packets", "wb").write(seen)
print(len(seen), seen.count(b"THE_MARKER_OF_THIS_TEST"), seen.count((3306).to_bytes(2, "big")))
"""


def test_what_goes_over_the_network_is_encrypted(lab: Lab) -> None:
    """Packets on nabira's wire: the row that was written is not among them; nor is a query of ours."""
    lab.nabira.write("/tmp/sniff.py", SNIFF)
    lab.nabira.run("setsid -f python3 /tmp/sniff.py > /tmp/sniffed 2>&1; while [ ! -s /tmp/sniffed ]; do sleep 0.05; done")
    sql(lab.yasu, "INSERT INTO perfparse.bin (host) VALUES (REPEAT('THE_MARKER_OF_THIS_TEST', 2))")
    code, _ = setup(lab.nabira)
    assert code == DONE
    lab.wait(lambda: sql(lab.nabira, "SELECT COUNT(*) FROM perfparse.bin WHERE host LIKE 'the_marker%'") == "1", 10, "it has come")
    lab.nabira.run(["touch", "/tmp/enough"])
    lab.wait(lambda: len(lab.nabira.read("/tmp/sniffed").split()) == 4, 15, "the packets are counted")
    _, size, markers, ports = lab.nabira.read("/tmp/sniffed").split()
    assert int(size) > 2000 and int(ports) > 10, "something was seen"
    assert markers == "0"
    accounts = sql(lab.yasu, "SELECT User, ssl_type FROM mysql.user WHERE User LIKE 'nagios_failover%' AND Host <> 'localhost'")
    assert {line.split("\t")[1] for line in accounts.splitlines()} == {"ANY"}, "none of our accounts may come without"


# --- in life ---


def test_a_frozen_source_hangs_nobody(lab: Lab) -> None:
    database = lab.yasu.service("mariadbd")
    database.freeze()
    try:
        began = time.monotonic()
        code, said = setup(lab.nabira)
        assert code == FAILED and time.monotonic() - began < 20, said
        assert "error: source: yasu: database: " in said
    finally:
        database.thaw()


HOOK = "/etc/nagios-failover/guard-hook"


def guard(host: Host) -> None:
    """Run before its daemons start, by the sample hook."""
    host.write(HOOK, (CHECKOUT / "guard-hook.sample").read_text(), mode=0o755)


@pytest.mark.parametrize("how", ["reboot", "power", "power, with the guard"])
def test_either_host_keeps_its_role_over_a_restart(lab: Lab, how: str) -> None:
    lab.wait(lambda: replicates(lab.nabira), 20, "it replicates")
    for host in (lab.nabira, lab.yasu):
        if how == "reboot":
            host.reboot()
        else:
            if "guard" in how:
                guard(host)
            host.off()
            host.on()
        wait_for_mariadb(host)
    assert sql(lab.nabira, "SELECT @@read_only, @@rpl_semi_sync_master_enabled") == "1\t0"
    assert sql(lab.yasu, "SELECT @@read_only, @@rpl_semi_sync_master_enabled") == "0\t1"
    lab.wait(lambda: replicates(lab.nabira), 30, "it replicates by itself", shown=lambda: str(status(lab.nabira)))
    sql(lab.yasu, "INSERT INTO perfparse.bin (host) VALUES ('after')")
    assert equal(lab.yasu, lab.nabira)


def test_a_source_that_wakes_up_alone_takes_no_writes_until_it_is_known_that_it_may(lab: Lab) -> None:
    """Its guard learns nothing: the other host may have been made the source meanwhile. Then the other one answers, a standby. What
    was acknowledged last is kept: InnoDB has only prepared it, and a replica's recovery would take it away."""
    with_option(lab, ("run", "guard_timeout"), "4")
    sql(lab.yasu, "INSERT INTO perfparse.bin (host) VALUES ('acknowledged last')")
    lab.yasu.off()
    lab.nabira.off()
    lab.yasu.on()
    wait_for_mariadb(lab.yasu)
    assert lab.yasu.exists(f"{STATE}/override.isolated") and "read_only = ON" in lab.yasu.read(DROP_IN)
    assert sql(lab.yasu, "SELECT @@read_only") == "1"
    assert sql(lab.yasu, "SELECT COUNT(*) FROM perfparse.bin WHERE host = 'acknowledged last'") == "1"
    lab.nabira.on()
    lab.wait(lambda: sql(lab.yasu, "SELECT @@read_only, @@rpl_semi_sync_master_enabled") == "0\t1", 60, "it is the source again")
    lab.wait(lambda: "read_only = OFF" in lab.yasu.read(DROP_IN), 10, "and stays one")
    lab.wait(lambda: not lab.yasu.exists(f"{STATE}/override.isolated"), 10, "and notifies")
    wait_for_mariadb(lab.nabira)
    assert sql(lab.nabira, "SELECT @@read_only") == "1"
    lab.wait(lambda: replicates(lab.nabira), 30, "it replicates by itself", shown=lambda: str(status(lab.nabira)))
    sql(lab.yasu, "INSERT INTO perfparse.bin (host) VALUES ('together')")
    assert equal(lab.yasu, lab.nabira)


def with_option(lab: Lab, option: tuple[str, str], value: str) -> None:
    for host in (lab.yasu, lab.nabira):
        host.write(CONFIG, with_options(host.read(CONFIG), {option: value}), group="nagios", mode=0o640)
