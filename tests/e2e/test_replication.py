"""check_replication on a real pair of MariaDB servers: what it says in each state, and that nothing makes it hang."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.lab import Host, Lab, why_not
from tests.lab.replication import TLS, begin_anew, caught_up, configure, follow, replicate, restart, sql, status
from tests.lab.suite import COMMAND, CONFIG, STATE

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

CHECK = "/opt/nagios-failover/bin/check_replication"
LONGEST_SECONDS = 13.0


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(name=f"replication-{os.getpid()}") as lab:
        lab.nabira.run([COMMAND, "pause", "--reason", "these tests look at the databases alone"])
        assert check(lab.nabira) == (0, "REPLICATION OK - nabira: no replication is configured ([replication] watch)\n")
        replicate(lab)
        begin_anew(lab)
        yield lab


def check(host: Host, *options: str) -> tuple[int, str]:
    """(exit code, output) as Nagios would get it."""
    done = host.run([CHECK, *options], user="nagios", check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


def until(lab: Lab, host: Host, code: int, words: str, *options: str) -> str:
    """Check until it says so; the output."""
    said: list[tuple[int, str]] = []

    def seen() -> bool:
        said.append(check(host, *options))
        return said[-1][0] == code and re.search(words, said[-1][1]) is not None

    try:
        lab.wait(seen, 25, f"check_replication on {host.name} says {words!r} ({code})", poll=0.3)
    except AssertionError as error:
        raise AssertionError(f"{error}: {said[-1]}") from error
    return said[-1][1]


@contextmanager
def changed(lab: Lab, host: Host, change: str, undo: str) -> Iterator[None]:
    sql(host, change)
    try:
        yield
    finally:
        sql(host, undo)
        until(lab, lab.nabira, 0, "OK")


def healthy_replica() -> str:
    return r"^REPLICATION OK - nabira: MariaDB 10\.11\.\d+: replica of 10\.99\.0\.11 over TLS, 0 s behind, by GTID, read-only \|"


def test_both_sides_of_a_healthy_pair(lab: Lab) -> None:
    until(lab, lab.nabira, 0, healthy_replica() + r" lag=0s;30;300;0 silence=[\d.]+s;;;0\n$")
    assert re.fullmatch(
        r"REPLICATION OK - yasu: MariaDB 10\.11\.\d+: source, writable, 1 replica attached \| replicas=1;;;0\n", check(lab.yasu)[1]
    )


def test_both_servers_are_tried_by_the_command_test(lab: Lab) -> None:
    said = lab.nabira.run([COMMAND, "test", "--no-mail"], check=False, timeout=60).stdout
    which = r"nagios_failover_admin sees MariaDB 10\.11\.\d+"
    assert re.search(rf"^OK +replication +nabira: {which}, a replica, read-only$", said, re.M), said
    assert re.search(rf"^OK +replication +yasu: {which}, no replica, writable$", said, re.M), said


def test_nagios_itself_runs_the_check_on_both_hosts(lab: Lab) -> None:
    both = (lab.yasu, lab.nabira)
    said = "\tplugin_output=REPLICATION OK - {}: MariaDB "
    lab.wait(lambda: all(said.format(host.name) in host.read("/var/lib/nagios4/status.dat") for host in both), 30, "it is run")


def test_a_stopped_io_thread(lab: Lab) -> None:
    with changed(lab, lab.nabira, "STOP SLAVE IO_THREAD", "START SLAVE"):
        code, said = check(lab.nabira)
        assert (code, said.partition("\n")[0]) == (
            2,
            "REPLICATION CRITICAL - nabira: the I/O thread does not run | silence=0s;;;0",
        ) or (code == 2 and "the I/O thread does not run" in said and "lag=" not in said), said
        # said of 4 to 10 s
        until(lab, lab.nabira, 2, r"nothing was received for \d+ s, neither an event nor a heartbeat \(threshold 4 s\)")
        until(lab, lab.yasu, 1, r"WARNING - yasu: no replica is attached \| replicas=0")


def test_an_error_of_the_sql_thread_in_the_server_s_words(lab: Lab) -> None:
    sql(lab.nabira, "SET sql_log_bin=0; INSERT INTO perfparse.t (id, v) VALUES (77, 'only here')")
    sql(lab.yasu, "INSERT INTO perfparse.t (id, v) VALUES (77, 'there')")
    said = until(lab, lab.nabira, 2, r"the SQL thread does not run: .*Duplicate entry '77'.* \(1062\)")
    assert "lag=" not in said, "a lag that is not known is not 0"
    sql(lab.nabira, "SET sql_log_bin=0; DELETE FROM perfparse.t WHERE id = 77; START SLAVE")
    until(lab, lab.nabira, 0, "OK")


def test_a_lag_against_thresholds_and_a_replica_that_is_late_on_purpose(lab: Lab) -> None:
    follow(lab.yasu, lab.nabira, ", MASTER_DELAY=60")
    sql(lab.yasu, "INSERT INTO perfparse.t (v) VALUES ('late')")
    try:
        until(lab, lab.nabira, 1, r"WARNING - nabira: the replica is delayed by 60 s on purpose")
        said = until(lab, lab.nabira, 2, r"the replica is \d+ s behind \(threshold 2 s\)", "-w", "1", "-c", "2")
        assert re.search(r"lag=[3-9]s;1;2;0|lag=\d\ds;1;2;0", said)
    finally:
        follow(lab.yasu, lab.nabira, ", MASTER_DELAY=0")
    lab.wait(lambda: caught_up(lab.yasu, lab.nabira), 20, "caught up")
    until(lab, lab.nabira, 0, "OK")


def test_a_writable_replica_and_one_that_was_written_to(lab: Lab) -> None:
    with changed(lab, lab.nabira, "SET GLOBAL read_only=OFF", "SET GLOBAL read_only=ON"):
        assert "CRITICAL - nabira: the replica is writable |" in check(lab.nabira)[1]
    sql(lab.nabira, "CREATE TABLE perfparse.errant (x INT)")
    try:
        until(lab, lab.nabira, 2, r"the replica has transactions that its source lacks: 0-2-\d+")
    finally:
        begin_anew(lab)
    until(lab, lab.nabira, 0, "OK")


def test_filters_and_a_replica_without_gtid_are_named(lab: Lab) -> None:
    with changed(
        lab,
        lab.nabira,
        "STOP SLAVE; SET GLOBAL replicate_ignore_table='perfparse.x'; START SLAVE",
        "STOP SLAVE; SET GLOBAL replicate_ignore_table=''; START SLAVE",
    ):
        until(lab, lab.nabira, 1, r"WARNING - nabira: the replica has filters: Replicate_Ignore_Table=perfparse\.x")
    sql(lab.nabira, "STOP SLAVE; CHANGE MASTER TO MASTER_USE_GTID=no; START SLAVE")
    try:
        until(lab, lab.nabira, 1, "the replica does not use GTID: it cannot be promoted safely")
    finally:
        begin_anew(lab)


def test_replication_that_is_not_encrypted(lab: Lab) -> None:
    for place in (lab.yasu, lab.nabira):
        sql(place, f"SET sql_log_bin=0; ALTER USER nagios_failover_replica@'{lab.nabira.address}' REQUIRE NONE")
    sql(lab.nabira, "STOP SLAVE; CHANGE MASTER TO MASTER_SSL=0, MASTER_SSL_VERIFY_SERVER_CERT=0; START SLAVE")
    try:
        until(lab, lab.nabira, 1, r"WARNING - nabira: replication is not encrypted, though \[replication\] tls_ca is set")
    finally:
        for place in (lab.yasu, lab.nabira):
            sql(place, f"SET sql_log_bin=0; ALTER USER nagios_failover_replica@'{lab.nabira.address}' REQUIRE SSL")
        follow(lab.yasu, lab.nabira)
    until(lab, lab.nabira, 0, "OK")


def test_semi_synchronous_replication_and_its_silent_degradation(lab: Lab) -> None:
    """The status counts, not the number of clients, which stays 1."""
    before = {host: host.read(CONFIG) for host in (lab.yasu, lab.nabira)}
    for host in before:
        configure(host, {("replication", "semi_sync"): "yes"})
    try:
        until(lab, lab.yasu, 1, r"\[replication\] semi_sync is set, but it is off on this source")
        sql(lab.nabira, "SET GLOBAL rpl_semi_sync_slave_enabled=ON; STOP SLAVE IO_THREAD; START SLAVE IO_THREAD")
        sql(lab.yasu, "SET GLOBAL rpl_semi_sync_master_enabled=ON")
        until(lab, lab.yasu, 0, "source, writable, 1 replica attached, semi-synchronous")
        until(lab, lab.nabira, 0, "read-only, semi-synchronous")
        lab.nabira.service("mariadbd").freeze()
        try:
            sql(lab.yasu, "INSERT INTO perfparse.t (v) VALUES ('nobody acknowledges')")
            until(lab, lab.yasu, 1, r"semi-synchronous replication has degraded: commits do not wait for the replica \(1 counted")
        finally:
            lab.nabira.service("mariadbd").thaw()
        until(lab, lab.yasu, 0, "semi-synchronous")
    finally:
        sql(lab.yasu, "SET GLOBAL rpl_semi_sync_master_enabled=OFF")
        sql(lab.nabira, "SET GLOBAL rpl_semi_sync_slave_enabled=OFF; STOP SLAVE IO_THREAD; START SLAVE IO_THREAD")
        for host, text in before.items():
            host.write(CONFIG, text, group="nagios", mode=0o640)
    until(lab, lab.nabira, 0, "OK")


def test_a_role_that_the_database_does_not_follow(lab: Lab) -> None:
    with role_file(lab.nabira, lambda text: text.replace("role=standby", "role=master")):
        code, said = check(lab.nabira)
        assert code == 2
        assert "nabira: the role is master, but its database is a replica of 10.99.0.11" in said
        assert "\nhint: nagios-failover promote\n" in said
    sql(lab.nabira, "STOP SLAVE; RESET SLAVE ALL")
    try:
        assert "CRITICAL - nabira: the role is standby, but its database is no replica" in check(lab.nabira)[1]
    finally:
        begin_anew(lab)


@contextmanager
def role_file(host: Host, change: Callable[[str], str]) -> Iterator[None]:
    before = host.read(f"{STATE}/role")
    host.write(f"{STATE}/role", change(before), owner="nagios", group="adm", mode=0o640)
    try:
        yield
    finally:
        host.write(f"{STATE}/role", before, owner="nagios", group="adm", mode=0o640)


@pytest.mark.parametrize("frozen", ["nabira", "yasu"])
def test_a_frozen_mysqld_hangs_nothing(lab: Lab, frozen: str) -> None:
    database = lab.host(frozen).service("mariadbd")
    database.freeze()
    began = time.monotonic()
    try:
        code, said = check(lab.nabira)
        took = time.monotonic() - began
    finally:
        database.thaw()
    assert took < LONGEST_SECONDS, said
    if frozen == "nabira":
        assert code == 2 and "nabira: database: " in said and "(2013)" in said, said
    else:
        assert code == 0 and "not compared with the source's transactions: yasu: database: " in said, said
    until(lab, lab.nabira, 0, "OK")


def test_wrong_rights_and_a_wrong_password_are_unknown_with_a_hint(lab: Lab) -> None:
    before = lab.nabira.read(CONFIG)
    configure(lab.nabira, {("replication", "password"): "wrong"})
    try:
        code, said = check(lab.nabira)
        assert code == 3 and said.startswith("REPLICATION UNKNOWN - nabira: database: access denied (1045: "), said
        assert "\nhint: " in said
    finally:
        lab.nabira.write(CONFIG, before, group="nagios", mode=0o640)


def test_a_source_whose_certificate_is_another_authority_s_is_not_believed(lab: Lab) -> None:
    lab.nabira.run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=other -keyout /tmp/k "
        f"-out {TLS}/other.pem 2>/dev/null"
    )
    before = lab.nabira.read(CONFIG)
    configure(lab.nabira, {("replication", "tls_ca"): f"{TLS}/other.pem"})
    try:
        code, said = check(lab.nabira)
        assert code == 0
        assert "not compared with the source's transactions: yasu: database: TLS failed (" in said, said
    finally:
        lab.nabira.write(CONFIG, before, group="nagios", mode=0o640)


def test_a_restarted_replica_stays_one(lab: Lab) -> None:
    restart(lab.nabira)
    until(lab, lab.nabira, 0, healthy_replica())
    assert status(lab.nabira)["Using_Gtid"] == "Slave_Pos"
