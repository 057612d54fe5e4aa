"""The databases of a lab's pair, made source and replica by the suite's own commands; tables to follow, and tables to compare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.suite import COMMAND, CONFIG, with_options

TLS: Final = "/etc/mysql/nagios-failover"
DROP_IN: Final = "/etc/mysql/mariadb.conf.d/zz-nagios-failover.cnf"
#: with everything in it that SQL, option files and formats take for something else
PASSWORD: Final = "ad'm\"in \\%s #1"
REPLICA_PASSWORD: Final = "re'p\"lica \\%s #2"

#: what a pair's administrator writes
OPTIONS: Final[Mapping[tuple[str, str], str]] = {
    ("replication", "watch"): "yes",
    ("replication", "password"): PASSWORD,
    ("replication", "replication_password"): REPLICA_PASSWORD,
    ("replication", "tls_ca"): f"{TLS}/ca.pem",
    ("replication", "drop_in"): DROP_IN,
    ("replication", "semi_sync"): "yes",
    ("heartbeat", "tls_ca"): f"{TLS}/ca.pem",
}


def configure(lab: Lab, options: Mapping[tuple[str, str], str] = OPTIONS) -> None:
    for host in (lab.yasu, lab.nabira):
        host.write(CONFIG, with_options(host.read(CONFIG), options), group="nagios", mode=0o640)


def follow(lab: Lab) -> str:
    """What the README says, yasu being the master; what the last command printed."""
    lab.yasu.run([COMMAND, "init-database", "--restart"], timeout=60)
    said = lab.nabira.run([COMMAND, "setup-standby", "--restart"], timeout=120).stdout
    lab.yasu.run([COMMAND, "init-database"], timeout=60)
    return said


def fill(source: Host, rows: int) -> None:
    """A database perfparse with `rows` rows (a power of two, and 1), a view, a trigger and a procedure."""
    sql(
        source,
        "CREATE DATABASE IF NOT EXISTS perfparse; USE perfparse; "
        "CREATE TABLE IF NOT EXISTS bin "
        "(id INT AUTO_INCREMENT PRIMARY KEY, host VARCHAR(64), value DOUBLE, more BLOB) ENGINE=InnoDB; "
        "INSERT INTO bin (host, value, more) VALUES ('web1', RAND(), UNHEX('00ff27220a5c')); "
        "CREATE OR REPLACE VIEW newest AS SELECT MAX(id) AS id FROM bin; "
        "CREATE OR REPLACE TRIGGER host_name BEFORE INSERT ON bin FOR EACH ROW SET NEW.host = LOWER(NEW.host); "
        "CREATE OR REPLACE PROCEDURE last() SELECT * FROM bin ORDER BY id DESC LIMIT 1; ",
    )
    for _ in range(rows.bit_length() - 1):
        sql(source, "INSERT INTO perfparse.bin (host, value, more) SELECT host, RAND(), RANDOM_BYTES(64) FROM perfparse.bin")


def tables(host: Host) -> dict[str, str]:
    """Every table of the two databases -> its checksum; routines, views and triggers by their names."""
    names = sql(
        host,
        "SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) FROM information_schema.TABLES "
        "WHERE TABLE_SCHEMA IN ('nagios', 'perfparse') AND TABLE_TYPE = 'BASE TABLE'",
    ).split()
    found = dict(line.split("\t") for line in sql(host, f"CHECKSUM TABLE {', '.join(names)}").splitlines()) if names else {}
    others = sql(
        host,
        "SELECT 'procedure', ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'perfparse'; "
        "SELECT 'view', TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = 'perfparse'; "
        "SELECT 'trigger', TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'perfparse'",
    )
    return {**found, **dict(reversed(line.split("\t")) for line in others.splitlines())}  # type: ignore[misc]


def equal(source: Host, replica: Host) -> bool:
    """Are both the same? A read lock holds the source's writers up meanwhile; it is gone when this returns."""
    holder = "FLUSH TABLES WITH READ LOCK; SELECT @@gtid_binlog_pos; SELECT SLEEP(600)"
    source.run(f"rm -f /tmp/locked; mariadb -N --unbuffered -e '{holder}' > /tmp/locked 2>&1 & echo $! > /tmp/holder")
    try:
        source.run("while [ ! -s /tmp/locked ]; do sleep 0.02; done")
        position = source.read("/tmp/locked").strip()  # empty: nothing has been written since it keeps a binary log
        assert sql(replica, f"SELECT MASTER_GTID_WAIT('{position}', 20)") == "0", status(replica)
        return tables(source) == tables(replica)
    finally:
        holds = "SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP(600)%'"
        for thread in sql(source, holds).split():  # the server would go on for some seconds after its client
            sql(source, f"KILL {thread}")
        source.run("kill $(cat /tmp/holder)", check=False)


def sql(host: Host, statements: str, *, check: bool = True) -> str:
    """What the server's root gets to see, without column names."""
    return host.run(["mariadb", "--batch", "--skip-column-names"], stdin=statements, check=check, timeout=120).stdout.strip()


def status(replica: Host) -> dict[str, str]:
    """SHOW SLAVE STATUS; {} where it is none."""
    lines = replica.run(["mariadb", "-e", "SHOW SLAVE STATUS\\G"]).stdout.splitlines()
    return {name.strip(): value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}


def replicates(replica: Host) -> bool:
    found = status(replica)
    return found.get("Slave_IO_Running") == "Yes" == found.get("Slave_SQL_Running")
