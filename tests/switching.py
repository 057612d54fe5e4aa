"""A pair that may switch over, and a switchover of it: for the end-to-end tests, the bench and the long tests."""

from __future__ import annotations

import subprocess

from nagios_failover.steps import CRASH_AFTER
from tests.e2e.pair import Pair
from tests.incident_site import follow_incidents
from tests.lab import Host, Lab
from tests.lab.suite import COMMAND, CONFIG, with_options


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
