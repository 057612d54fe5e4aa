"""A clock that jumps is no death: neither the standby's own, nor that of the whole master.

A host of the lab has the machine's clock, which nobody may set. So everything of it that asks for the time here (Nagios and what
it starts, the database, what ssh runs) asks libfaketime, which a file tells how far from the true time it is; the clock that
counts from the boot stays true, as it does on a host whose clock is set.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from tests.e2e.pair import BIN, NAGIOS, Pair, looks_of, outcome, role_of, runs_of
from tests.lab import Host, Lab, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

OFFSET = "/etc/clock"
CLOCK = (
    "LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    f"FAKETIME_TIMESTAMP_FILE={OFFSET}",
    "FAKETIME_DONT_FAKE_MONOTONIC=1",
    "FAKETIME_NO_CACHE=1",
    "NO_FAKE_STAT=1",  # what a file was written at does not change with the clock
    "PYTHONPATH=/opt/clock",
)
SLEEP = "import select, time\ntime.sleep = lambda seconds: select.select([], [], [], seconds) and None\n"
"""Python sleeps until a moment of the clock that counts from the boot; libfaketime 0.9.10 takes that for a mistake (EINVAL)."""
HOUR = 3600


def set_clock(host: Host, seconds: int) -> None:
    """From now on the host's clock is so far from the true time."""
    host.write(OFFSET, f"{seconds:+d}\n")


def give_own_clock(host: Host) -> None:
    set_clock(host, 0)
    host.run("mkdir -p /opt/clock")
    host.write("/opt/clock/sitecustomize.py", SLEEP)
    host.write("/etc/ssh/sshd_config.d/clock.conf", f"SetEnv {' '.join(CLOCK)}\n")
    for name in ("nagios", "mariadbd", "sshd"):
        host.service(name).stop()
    host.service("sshd").start()
    clock = f"env {' '.join(CLOCK)}"
    host.run(f"setsid -f {clock} /usr/sbin/mariadbd --user=mysql </dev/null >>/var/log/mysql/error.log 2>&1")
    host.run(f"rm -f /var/lib/nagios4/rw/nagios.cmd; env -i PATH=$PATH {clock} {NAGIOS} </dev/null >/dev/null", cwd="/")


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with Lab.up(name=f"clock-{os.getpid()}") as lab:
        pair = Pair(lab)
        lab.nabira.run([f"{BIN}/nagios-failover", "pause"])
        for host in (lab.yasu, lab.nabira):
            give_own_clock(host)
        pair.wait_healthy()
        lab.nabira.run([f"{BIN}/nagios-failover", "resume"])
        yield pair


def watch(pair: Pair, seconds: float) -> list[str]:
    """States of nabira's looks from now on, over this time and until there is one, in which it must stay the standby."""
    began = time.clock_gettime(time.CLOCK_BOOTTIME)
    end = time.time() + seconds
    seen: dict[float, str] = {}
    while time.time() < end or not seen:
        seen |= {look["uptime"]: look["state"] for look in looks_of(pair.lab.nabira) if look["uptime"] > began}
        assert time.time() < end + 60, "it does not look any more"
        assert role_of(pair.lab.nabira)["role"] == "standby"
        time.sleep(0.5)
    pair.lab.wait(lambda: "open" not in outcomes(pair), 20, "a run that looks once more ends")
    assert outcomes(pair) <= {"refused"}
    return list(seen.values())


def outcomes(pair: Pair) -> set[str]:
    return {outcome(run) for run in runs_of(pair.lab.nabira)}


def date_of(host: Host) -> int:
    return int(host.run(["env", *CLOCK, "date", "+%s"]).stdout)


def test_a_masters_clock_that_jumps_is_no_death(pair: Pair) -> None:
    """To and fro. Just after a jump everything that it says is an hour old, for one look at most: that is no death yet."""
    yasu, nabira = pair.lab.yasu, pair.lab.nabira
    for offset in (HOUR, 0, -HOUR, 0):
        set_clock(yasu, offset)
        states = watch(pair, 12)
        assert abs(date_of(yasu) - time.time() - offset) < 3
        assert states.count("CRITICAL") <= 1, (offset, states)
        assert states and states[-1] != "CRITICAL", (offset, states)
    pair.lab.wait(lambda: looks_of(nabira)[-1]["state"] != "CRITICAL", 10, "the standby sees the master")


def test_a_standbys_own_clock_that_jumps_is_no_death(pair: Pair) -> None:
    """Looks count by the time since the boot, which no clock that is set can change."""
    nabira = pair.lab.nabira
    set_clock(nabira, HOUR)
    states = watch(pair, 12)
    assert abs(date_of(nabira) - time.time() - HOUR) < 3
    assert states and "CRITICAL" not in states, states
