"""A pair that may switch over, and a switchover of it: for the end-to-end tests, the bench and the long tests."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import Counter
from typing import Final

from nagios_failover.errors import REFUSED
from nagios_failover.steps import CRASH_AFTER
from tests.e2e.pair import Pair, active, passive
from tests.incident_site import Site, follow_incidents
from tests.lab import Host, Lab
from tests.lab.replication import caught_up, replicate, sql, status
from tests.lab.suite import COMMAND, CONFIG, STATE, with_options

DURABLE: Final = ("/etc/mysql/mariadb.conf.d/93-durable.cnf", "[mysqld]\nsync-binlog=1\n")
"""What the README asks of a source, and rejoin checks."""

TRIES: Final = 5
"""So often a switchover is given that is refused before it has begun."""

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


def may_switch_with_databases(lab: Lab) -> Lab:
    """With replicated databases, and a program on each host that writes wherever it may."""
    lab.nabira.run([COMMAND, "pause", "--reason", "not yet"])
    for host in (lab.yasu, lab.nabira):
        host.write(*DURABLE)
    replicate(lab)
    lab.nabira.run([COMMAND, "resume"])
    may_switch(lab)
    for host in (lab.yasu, lab.nabira):
        write_all_the_while(host)
    return lab


def by_hand(host: Host, command: str, *, timeout: float = 120) -> str:
    """What `nagios-failover command` printed. It takes one look; where that reaches nobody in time it refuses, has begun nothing,
    and is given again."""
    for _ in range(TRIES):
        done = host.run(f"{COMMAND} {command}", check=False, timeout=timeout)
        if done.returncode != REFUSED:
            break
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


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


def switchover_when_ready(lab: Lab, standby: Host, *options: str, crash_after: str = "") -> subprocess.CompletedProcess[str]:
    """A switchover tries everything once more: where a slow answer was in the way just then, nothing has begun."""
    for _ in range(TRIES):
        ready(lab, standby)
        done = switchover(standby, *options, crash_after=crash_after)
        if done.returncode != REFUSED:
            break
    return done


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


def assert_kept(lab: Lab, new: Host, old: Host) -> None:
    """After a change of roles: only the new master's database takes writes, it has each acknowledged one once, and the old one's
    follows it."""
    wrote = {value for host in (lab.yasu, lab.nabira) for value in acknowledged(host)}
    kept = sql(new, "SELECT v FROM perfparse.t").split()
    lost, doubled = wrote - set(kept), [value for value, count in Counter(kept).items() if count > 1]
    assert not lost and not doubled, f"on {new.name} are lost: {sorted(lost)}, doubled: {doubled}"
    read_only = {host.name: sql(host, "SELECT @@read_only") for host in (new, old)}
    assert read_only == {new.name: "0", old.name: "1"}, f"read_only is {read_only}"
    follows = status(old)
    found = [follows.get(name) for name in ("Master_Host", "Slave_IO_Running", "Slave_SQL_Running")]
    assert found == [new.address, "Yes", "Yes"], f"{old.name} does not follow {new.name}: {follows}"
    lab.wait(lambda: caught_up(new, old), 20, f"{old.name} has caught up")


# --- under load ---


class Load(threading.Thread):
    """Incidents while the roles change: the first half of the services breaks, the other half recovers, one every 0.8 s."""

    def __init__(self, site: Site, breaking: list[str], mending: list[str]) -> None:
        super().__init__(daemon=True)
        self._site, self._breaking, self._mending = site, breaking, mending

    def run(self) -> None:
        for broken, mended in zip(self._breaking, self._mending, strict=True):
            self._site.set("CRITICAL", broken)
            self._site.set("OK", mended)
            time.sleep(0.8)


def kinds(site: Site, name: str) -> Counter[str]:
    """PROBLEM and RECOVERY mails about an object, whoever sent them."""
    found: Counter[str] = Counter()
    for what, count in site.mails(name).items():
        found[what.split()[0]] += count
    return found


def pauses(lab: Lab) -> list[str]:
    return [host.name for host in (lab.yasu, lab.nabira) if host.exists(f"{STATE}/paused")]


def switch_under_load(site: Site, number: int) -> float:
    """A switchover while programs write, incidents end and others begin; `number` chooses which. Each is mailed once, the audit
    finds nothing, and no write is lost. Returns for how many seconds no write was possible."""
    lab = site.lab
    old, new = site.roles()
    first = 4 * (number % 3) + 1
    mending, breaking = ([f"web{host}/{service}" for host in range(first, first + 4)] for service in ("HTTP", "LOAD"))
    before: dict[str, Counter[str]] = {}

    def wait_told(kind: str, names: list[str]) -> None:
        is_told = lambda: all(kinds(site, name)[kind] > before[name][kind] for name in names)  # noqa: E731
        lab.wait(is_told, 40, f"a {kind} of each of {names} is mailed")

    def all_are_told_once() -> None:
        wait_told("RECOVERY", mending)
        wait_told("PROBLEM", breaking)
        site.set("OK", *breaking)
        wait_told("RECOVERY", breaking)
        mailed = {name: dict(kinds(site, name) - count) for name, count in before.items()}
        assert mailed == {name: {"PROBLEM": 1, "RECOVERY": 1} for name in mailed}, [site.mails(name) for name in mailed]

    for _ in range(TRIES):
        ready(lab, new)
        before |= {name: kinds(site, name) for name in mending + breaking}
        site.set("CRITICAL", *mending)
        wait_told("PROBLEM", mending)
        load = Load(site, breaking, mending)
        load.start()
        began = time.time()
        done = switchover(new)
        load.join()
        if done.returncode != REFUSED:
            break
        assert "ready: " in done.stdout + done.stderr, done.stdout + done.stderr
        all_are_told_once()  # nothing has begun: the load is over, and comes anew
    assert done.returncode == 0, done.stdout + done.stderr
    assert active(new) and passive(old) and (site.role(new), site.role(old)) == ("master", "standby")
    assert pauses(lab) == []
    lab.wait(lambda: wrote_since(new, began), 20, f"a program writes on {new.name}")
    assert_kept(lab, new, old)
    all_are_told_once()
    findings = site.audit(new)["findings"]
    assert not findings, f"the audit finds {findings}"
    return nobody_wrote_for(lab, new, began)
