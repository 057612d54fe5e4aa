"""The databases of a lab's pair as source and replica, set up by plain SQL: yasu the source, nabira its replica."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.suite import COMMAND, CONFIG, PASSWORD, with_options

ROOT_HELPER: Final = f"{COMMAND}-root"
DROP_IN: Final = "/etc/mysql/mariadb.conf.d/zz-nagios-failover.cnf"
TLS: Final = "/etc/mysql/tls"
ADMIN: Final = "nagios_failover_admin"
REPLICA: Final = "nagios_failover_replica"

OPTIONS: Final[Mapping[tuple[str, str], str]] = {
    ("replication", "watch"): "yes",
    ("replication", "drop_in"): DROP_IN,
    ("replication", "heartbeat_period"): "1",
    ("replication", "connect_retry"): "1",
    ("replication", "silence_warning"): "4",
    ("replication", "silence_critical"): "10",
    ("replication", "drain_timeout"): "8",
    ("replication", "old_source_timeout"): "5",
    ("replication", "timeout"): "2",
}
TLS_OPTIONS: Final[Mapping[tuple[str, str], str]] = {
    ("replication", "tls_ca"): f"{TLS}/ca.pem",
    ("replication", "tls_cert"): f"{TLS}/cert.pem",
    ("replication", "tls_key"): f"{TLS}/key.pem",
}

_SERVER: Final = """[mysqld]
report-host={name}
log-bin={name}-bin
relay-log={name}-relay
binlog_format=ROW
gtid_strict_mode=ON
log_slave_updates=ON
relay_log_recovery=ON
read_only=ON
slave_net_timeout=4
rpl_semi_sync_master_wait_point=AFTER_SYNC
rpl_semi_sync_master_timeout=2000
ssl_ca={tls}/ca.pem
ssl_cert={tls}/cert.pem
ssl_key={tls}/key.pem
"""
_PRIVILEGES: Final = (
    "SLAVE MONITOR, BINLOG MONITOR, REPLICATION SLAVE ADMIN, REPLICATION MASTER ADMIN, READ_ONLY ADMIN, CONNECTION ADMIN, RELOAD, "
    "PROCESS"
)


def replicate(lab: Lab, options: Mapping[tuple[str, str], str] | None = None) -> None:
    """Configure both hosts, and let nabira's server follow yasu's over TLS."""
    _make_certificates(lab)
    chosen = {**OPTIONS, **TLS_OPTIONS, **(options or {})}
    for host, part in ((lab.yasu, "source"), (lab.nabira, "replica")):
        configure(host, chosen)
        host.write("/etc/mysql/mariadb.conf.d/92-replication.cnf", _SERVER.format(name=host.name, tls=TLS))
        host.run([ROOT_HELPER, f"database-{part}"])
        restart(host)
        sql(host, accounts(lab))
    sql(lab.yasu, "CREATE DATABASE IF NOT EXISTS perfparse; CREATE TABLE perfparse.t (id INT AUTO_INCREMENT PRIMARY KEY, v TEXT)")
    clone(lab.yasu, lab.nabira)


def configure(host: Host, options: Mapping[tuple[str, str], str]) -> None:
    host.write(CONFIG, with_options(host.read(CONFIG), options), group="nagios", mode=0o640)


def clone(source: Host, replica: Host) -> None:
    """The replica begins anew with what the source has, and follows it."""
    dump = ["mariadb-dump", "--single-transaction", "--gtid", "--master-data=1", "--databases", "nagios", "perfparse"]
    text = source.run(dump).stdout
    sql(
        replica,
        "STOP SLAVE; RESET SLAVE ALL; SET SESSION sql_log_bin=0; DROP DATABASE IF EXISTS nagios; "
        "DROP DATABASE IF EXISTS perfparse; RESET MASTER; SET GLOBAL gtid_slave_pos='';",
    )
    replica.run(["mariadb"], stdin=f"SET SESSION sql_log_bin=0;\n{text}")
    follow(source, replica)


def begin_anew(lab: Lab) -> None:
    """yasu is the source and nabira its replica, whatever they were."""
    for host, part, read_only in ((lab.yasu, "source", "OFF"), (lab.nabira, "replica", "ON")):
        host.run([ROOT_HELPER, f"database-{part}"])
        sql(host, f"STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only={read_only}")
    clone(lab.yasu, lab.nabira)
    lab.wait(lambda: caught_up(lab.yasu, lab.nabira), 20, "the replica has caught up")


def follow(source: Host, replica: Host, more: str = "") -> None:
    """Point the replica at its source, `more` (", MASTER_DELAY=60") added; wait until it has caught up."""
    link = (
        f"MASTER_HOST='{source.address}', MASTER_USER='{REPLICA}', MASTER_PASSWORD='{PASSWORD}', MASTER_CONNECT_RETRY=1, "
        f"MASTER_HEARTBEAT_PERIOD=1, MASTER_SSL=1, MASTER_SSL_CA='{TLS}/ca.pem', MASTER_SSL_CERT='{TLS}/cert.pem', "
        f"MASTER_SSL_KEY='{TLS}/key.pem', MASTER_SSL_VERIFY_SERVER_CERT=1, MASTER_USE_GTID=slave_pos"
    )
    sql(replica, f"STOP SLAVE; CHANGE MASTER TO {link}{more}; START SLAVE")


def caught_up(source: Host, replica: Host) -> bool:
    """Has the replica applied all that the source had written a moment ago?"""
    position = sql(source, "SELECT @@gtid_binlog_pos")
    return sql(replica, f"SELECT MASTER_GTID_WAIT('{position}', 1)") == "0"


def sql(host: Host, statements: str, *, check: bool = True) -> str:
    """What the server's root gets to see, without column names."""
    return host.run(["mariadb", "--batch", "--skip-column-names"], stdin=statements, check=check).stdout.strip()


def status(replica: Host) -> dict[str, str]:
    """SHOW SLAVE STATUS; {} where it is none."""
    lines = replica.run(["mariadb", "-e", "SHOW SLAVE STATUS\\G"]).stdout.splitlines()
    return {name.strip(): value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}


def restart(host: Host) -> None:
    host.service("mariadbd").restart()
    deadline = time.monotonic() + 30
    while host.run(["mariadb", "-e", "SELECT 1"], check=False).returncode != 0:
        if time.monotonic() > deadline:
            raise AssertionError(f"{host.name}: MariaDB does not answer: {host.read('/var/log/mysql/error.log')[-1500:]}")
        time.sleep(0.1)


def accounts(lab: Lab) -> str:
    """Per node, not replicated."""
    statements = ["SET SESSION sql_log_bin=0"]
    for place in ("localhost", lab.yasu.address, lab.nabira.address):
        ssl = "" if place == "localhost" else " REQUIRE SSL"
        statements += [
            f"CREATE USER IF NOT EXISTS {ADMIN}@'{place}' IDENTIFIED BY '{PASSWORD}'{ssl}",
            f"GRANT {_PRIVILEGES} ON *.* TO {ADMIN}@'{place}'",
            f"CREATE USER IF NOT EXISTS {REPLICA}@'{place}' IDENTIFIED BY '{PASSWORD}'{ssl}",
            f"GRANT REPLICATION SLAVE, SHOW DATABASES, SELECT, SHOW VIEW, TRIGGER, EVENT ON *.* TO {REPLICA}@'{place}'",
        ]
    return ";\n".join(statements)


def _make_certificates(lab: Lab) -> None:
    """One authority, made on yasu, and a certificate for each host's address; keys that mysqld and the Nagios user read."""
    yasu = lab.yasu
    yasu.run(
        f"install -d -m 0755 {TLS}; cd {TLS}; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 "
        "-keyout ca-key.pem -out ca.pem -subj /CN=lab 2>/dev/null"
    )
    for host in (lab.yasu, lab.nabira):
        names = f"subjectAltName=IP:{host.address},DNS:{host.name}"
        yasu.run(
            f"cd {TLS}; openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {host.name}-key.pem "
            f"-out {host.name}.csr -subj /CN={host.address} 2>/dev/null; printf '%s\\n' '{names}' > {host.name}.ext; "
            f"openssl x509 -req -in {host.name}.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 30 -out {host.name}.pem "
            f"-extfile {host.name}.ext 2>/dev/null"
        )
        host.run(f"install -d -m 0755 {TLS}")
        for name, here in ((f"{host.name}.pem", "cert.pem"), (f"{host.name}-key.pem", "key.pem"), ("ca.pem", "ca.pem")):
            host.write(f"{TLS}/{here}", yasu.read(f"{TLS}/{name}"), mode=0o644)
