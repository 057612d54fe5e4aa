"""What both servers of a pair need, and how a running one differs from it."""

from pathlib import Path

import pytest

from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.server_settings import certificate_of, drop_in, foreign, release, variables, wrong, wrong_pair


def config(more: str = "") -> Config:
    text = (
        "[host yasu]\n[host nabira]\n[witness]\naddresses = none\n[mail]\nto = a@b\n[replication]\ndatabases = nagios, perfparse\n"
        f"{more}"
    )
    return parse(text, hostname="nabira")


WELL = {
    "server_id": "2",
    "bind_address": "0.0.0.0",
    "log_bin": "ON",
    "log_slave_updates": "ON",
    "binlog_format": "ROW",
    "gtid_strict_mode": "ON",
    "sync_binlog": "1",
    "innodb_flush_log_at_trx_commit": "1",
    "relay_log_recovery": "ON",
    "slave_net_timeout": "4",
    "have_ssl": "YES",
    "version": "10.11.6-MariaDB-0+deb12u1",
}


OURS = "tls_ca = /etc/mysql/nagios-failover/ca.pem\n"
MYSQL = {
    "server_id": "2",
    "bind_address": "*",
    "log_bin": "ON",
    "log_replica_updates": "ON",
    "binlog_format": "ROW",
    "gtid_mode": "ON",
    "enforce_gtid_consistency": "ON",
    "sync_binlog": "1",
    "innodb_flush_log_at_trx_commit": "1",
    "relay_log_recovery": "ON",
    "replica_net_timeout": "4",
    "ssl_cert": "/etc/mysql/nagios-failover/cert.pem",
    "version": "9.7.4-2",
    "server_uuid": "3e11fa47-71ca-11e1-9e33-c80aa9429562",
}


def test_the_file_holds_all_of_it_and_an_id_of_its_own() -> None:
    text = drop_in(config(), "nabira", certificate=Path("/c"), key=Path("/k"))
    assert "\n[mysqld]\nserver-id = 2\nreport-host = nabira\nbind-address = 0.0.0.0\n" in text
    assert "\nread-only = ON\n" in text and "\nssl-cert = /c\nssl-key = /k\n[mariadb]\nlog-bin = nagios-failover-bin\n" in text
    assert "semi-sync" not in text
    assert "\nrpl-semi-sync-master-wait-point = AFTER_SYNC\n" in drop_in(
        config("semi_sync = yes\n"), "yasu", certificate=None, key=None
    )


def test_one_file_serves_both_dialects() -> None:
    """MySQL does not read what is for [mariadb], and MariaDB skips what is loose."""
    both, mariadb = drop_in(config("semi_sync = yes\n"), "yasu", certificate=None, key=None).split("[mariadb]\n")
    assert "slave" not in both and "master" not in both and "log-bin" not in both
    assert "\nloose-gtid-mode = ON\n" in both and "\nloose-rpl-semi-sync-replica-enabled = ON\n" in both
    assert "gtid-strict-mode = ON\n" in mariadb and "loose" not in mariadb


def test_a_server_that_is_as_it_should_be() -> None:
    assert wrong(config(), "nabira", WELL) == []
    assert set(WELL) <= {*variables(config())}
    assert wrong(config(OURS), "nabira", MYSQL) == []
    assert set(MYSQL) <= {*variables(config())}


def test_what_is_wrong_with_a_mysql_as_it_is_packaged() -> None:
    packaged = {**MYSQL, "gtid_mode": "OFF", "enforce_gtid_consistency": "OFF", "log_bin": "OFF", "ssl_cert": "server-cert.pem"}
    assert wrong(config(OURS), "nabira", packaged) == [
        "log_bin is OFF: a source writes a binary log, skip-log-bin has to go",
        "enforce_gtid_consistency is OFF, it needs enforce-gtid-consistency = ON: both servers have one line of history",
        "gtid_mode is OFF, it needs gtid-mode = ON: both servers have one line of history",
        "ssl_cert is server-cert.pem, it needs ssl-cert = /etc/mysql/nagios-failover/cert.pem: replication goes over verified TLS",
    ]


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("log_bin", "OFF", "log_bin is OFF, it needs log-bin = nagios-failover-bin: a source writes a binary log"),
        ("bind_address", "127.0.0.1", "bind_address is 127.0.0.1, it needs bind-address = 0.0.0.0: the other host has to reach it"),
        (
            "binlog_format",
            "MIXED",
            "binlog_format is MIXED, it needs binlog-format = ROW: statements may mean something else on a replica",
        ),
        (
            "slave_net_timeout",
            "60",
            "slave_net_timeout is 60, it needs slave-net-timeout = 4: a replica must notice a silent source within seconds",
        ),
        (
            "have_ssl",
            "DISABLED",
            "it has no certificate (have_ssl), it needs ssl-cert and ssl-key: replication goes over verified TLS",
        ),
    ],
)
def test_what_is_wrong_is_said_with_the_line_that_mends_it(variable: str, value: str, sentence: str) -> None:
    assert wrong(config(), "nabira", {**WELL, variable: value}) == [sentence]


def test_a_variable_that_the_server_does_not_know_is_wrong() -> None:
    found = {name: value for name, value in WELL.items() if name != "gtid_strict_mode"}
    (sentence,) = wrong(config(), "nabira", found)
    assert sentence.startswith("gtid_strict_mode is not known to it, it needs gtid-strict-mode = ON")


def test_two_servers_have_two_ids_and_the_replica_is_not_older() -> None:
    assert wrong_pair(config(), WELL, {**WELL, "server_id": "1", "version": "10.6.1-MariaDB"}) == []
    assert wrong_pair(config(), WELL, {**WELL, "version": "11.4.2-MariaDB"}) == [
        "both servers have the server-id 2",
        "nabira has MariaDB 10.11.6-MariaDB-0+deb12u1, older than yasu's 11.4.2-MariaDB: a replica may be newer than its source, "
        "not older",
    ]


def test_a_pair_is_of_one_kind_and_no_server_is_a_copy_of_the_other_s_files() -> None:
    assert wrong_pair(config(), WELL, {**MYSQL, "server_id": "1"}) == [
        "nabira has MariaDB 10.11.6-MariaDB-0+deb12u1, and yasu MySQL 9.7.4-2: a pair is of one kind"
    ]
    assert wrong_pair(config(), MYSQL, {**MYSQL, "server_id": "1"}) == [
        "both servers have the server_uuid 3e11fa47-71ca-11e1-9e33-c80aa9429562: stop one, remove its auto.cnf, and start it"
    ]


def test_releases_are_compared_as_numbers() -> None:
    assert release("10.5.1") < release("10.11.6-MariaDB") < release("11.4.2")


def test_databases_that_nobody_listed() -> None:
    names = ["information_schema", "mysql", "performance_schema", "sys", "nagios", "perfparse", "shop", "Nagios"]
    assert foreign(config(), names) == ["Nagios", "shop"]


def test_our_certificates_or_the_administrator_s() -> None:
    assert certificate_of(config("tls_ca = /etc/mysql/nagios-failover/ca.pem\n")) == (
        Path("/etc/mysql/nagios-failover/cert.pem"),
        Path("/etc/mysql/nagios-failover/key.pem"),
    )
    assert certificate_of(config("tls_ca = /x/ca.pem\ntls_cert = /x/c\ntls_key = /x/k\n")) == (Path("/x/c"), Path("/x/k"))
