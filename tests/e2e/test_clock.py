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

from tests.e2e.pair import BIN, NAGIOS, Pair, kill, looks_of, outcome, role_of, runs_of
from tests.lab import Host, Lab, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

OFFSET = "/etc/clock"
CLOCK = (
    "LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    f"FAKETIME_TIMESTAMP_FILE={OFFSET}",
    "FAKETIME_DONT_FAKE_MONOTONIC=1",
    "FAKETIME_CACHE_DURATION=1",
)
HOUR = 3600


def set_clock(host: Host, seconds: int) -> None:
    """From now on the host's clock is so far from the true time."""
    host.write(OFFSET, f"{seconds:+d}\n")


def give_own_clock(host: Host) -> None:
    set_clock(host, 0)
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
    """States of nabira's looks over this time, which must stay the standby."""
    end = time.time() + seconds
    seen: dict[float, str] = {}
    while time.time() < end:
        seen |= {look["uptime"]: look["state"] for look in looks_of(pair.lab.nabira)}
        assert role_of(pair.lab.nabira)["role"] == "standby"
        time.sleep(0.5)
    assert not [run for run in runs_of(pair.lab.nabira) if outcome(run) != "refused"]
    return list(seen.values())


def date_of(host: Host) -> int:
    return int(host.run(["env", *CLOCK, "date", "+%s"]).stdout)


@pytest.mark.parametrize("name", ["nabira", "yasu"])
@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
def test_a_clock_that_jumps_is_no_death(pair: Pair, name: str, seconds: int) -> None:
    host = pair.lab.host(name)
    set_clock(host, seconds)
    try:
        assert abs(date_of(host) - time.time() - seconds) < 2
        states = watch(pair, 14)
        assert len(states) >= 2 and "CRITICAL" not in states, states
    finally:
        set_clock(host, 0)
    states = watch(pair, 8)
    assert "CRITICAL" not in states, states
    pair.lab.wait(lambda: looks_of(pair.lab.nabira)[-1]["state"] == "OK", 60, "the standby sees the master well again")


def test_a_death_after_the_clock_was_set_is_one(pair: Pair) -> None:
    """The last test. Looks count by the time since the boot: those from before the jump do not age by an hour."""
    for host in (pair.lab.yasu, pair.lab.nabira):
        set_clock(host, HOUR)
    watch(pair, 4)
    kill(pair.lab, pair.lab.yasu)
    pair.lab.wait(lambda: role_of(pair.lab.nabira)["role"] == "master", 60, "nabira takes over")
