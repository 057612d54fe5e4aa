"""A pair that may switch over, and a switchover of it: for the end-to-end tests, the bench and the long tests."""

from __future__ import annotations

import subprocess

from nagios_failover.steps import CRASH_AFTER
from tests.e2e.pair import Pair
from tests.incident_site import follow_incidents
from tests.lab import Host, Lab
from tests.lab.replication import sql
from tests.lab.suite import COMMAND, CONFIG, with_options

ACKNOWLEDGED = "/root/acknowledged"
WRITER = """
import socket, time, pymysql
host, connection = socket.gethostname(), None
while True:
    value = f"{host}.{time.time():.6f}"
    try:
        connection = connection or pymysql.connect(
            unix_socket="/run/mysqld/mysqld.sock", user="writer", password="w", database="perfparse", ssl_disabled=True,
            autocommit=True,
        )
        connection.cursor().execute("INSERT INTO t (v) VALUES (%s)", (value,))
        print(value, flush=True)
    except pymysql.MySQLError:
        connection = None
    time.sleep(0.03)
"""
"""Writes wherever it may: each value has the moment before it was sent, and is printed when it was acknowledged."""


def let_fence(lab: Lab) -> None:
    """As the README has it: the Nagios user of each host may log in as the other's."""
    for host, other in ((lab.yasu, lab.nabira), (lab.nabira, lab.yasu)):
        host.run("usermod -s /bin/sh nagios")
        key = other.read("/var/lib/nagios/.ssh/id_ed25519.pub")
        host.write("/var/lib/nagios/.ssh/authorized_keys", key, owner="nagios", mode=0o600)


def may_switch(lab: Lab) -> None:
    let_fence(lab)
    follow_incidents(lab)
    for host in (lab.yasu, lab.nabira):
        host.write(CONFIG, with_options(host.read(CONFIG), {("fence", "user"): "nagios"}), group="nagios", mode=0o640)


def switchover(host: Host, *options: str, crash_after: str = "") -> subprocess.CompletedProcess[str]:
    crash = f"{CRASH_AFTER}='{crash_after}' " if crash_after else ""
    return host.run(" ".join([f"{crash}{COMMAND} switchover", *options]), check=False, timeout=120)


def ready(lab: Lab, standby: Host) -> None:
    """A standby that has just become one has copied nothing yet, and its checks have not been forced yet."""

    said: list[str] = []

    def nothing_in_the_way() -> bool:
        done = switchover(standby, "--dry-run")
        said[:] = [done.stdout]
        return done.returncode == 0

    Pair(lab).wait_healthy()
    try:
        lab.wait(nothing_in_the_way, 60, f"{standby.name} is ready", poll=1)
    except AssertionError as error:
        raise AssertionError(f"{error}: {said[0].partition('ready: ')[0]}") from None


# --- a program that writes ---


def write_all_the_while(host: Host) -> None:
    sql(host, "SET SESSION sql_log_bin=0; GRANT INSERT ON perfparse.* TO writer@localhost IDENTIFIED BY 'w'")
    host.write("/root/writer.py", WRITER)
    host.run(f"setsid --fork /opt/nagios-failover/bin/python /root/writer.py </dev/null >{ACKNOWLEDGED} 2>&1")


def acknowledged(host: Host) -> list[str]:
    return host.read(ACKNOWLEDGED).split() if host.exists(ACKNOWLEDGED) else []


def wrote_since(host: Host, moment: float) -> bool:
    return any(moment_of(value) > moment for value in acknowledged(host))


def nobody_wrote_for(lab: Lab, new: Host, since: float) -> float:
    """Seconds between the last write that was acknowledged on the old source and the first one on the new."""
    by_host = {host.name: [moment_of(value) for value in acknowledged(host)] for host in (lab.yasu, lab.nabira)}
    first = min(moment for moment in by_host[new.name] if moment > since)
    return first - max(moment for name, moments in by_host.items() if name != new.name for moment in moments)


def moment_of(value: str) -> float:
    return float(value.partition(".")[2])
