"""check_failover_ready on a real pair: nothing in the way while all is well, and each thing that is lost is named."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.pair import BIN, Pair
from tests.lab import Host, why_not
from tests.lab.state import ADDRESSES
from tests.lab.suite import COMMAND, CONFIG, SUDOERS, with_options

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

READY = f"{BIN}/check_failover_ready"
ACCOUNT = {("witness", "accounts"): f"hb@{ADDRESSES['witness']}"}


def ready(host: Host) -> tuple[int, list[str]]:
    done = host.run([READY], user="nagios", check=False, timeout=60)
    return done.returncode, [line.partition(" | ")[0] for line in done.stdout.splitlines()]


def until(pair: Pair, host: Host, code: int, words: str) -> None:
    """A busy machine can let one of the many trials time out; the next call sees it."""
    said: list[tuple[int, list[str]]] = []

    def says() -> bool:
        said.append(ready(host))
        return said[-1][0] == code and said[-1][1][0].startswith(words)

    pair.lab.wait(says, 30, f"check_failover_ready says {words!r}", shown=lambda: str(said[-1]))


def test_a_healthy_pair_is_ready_on_both_hosts_once_it_has_a_second_opinion(pair: Pair) -> None:
    """Without an account at the witness, or a fence command, it lacks one thing: the README shows that sentence."""
    for host in (pair.master, pair.standby):
        kept = host.read(CONFIG)
        until(pair, host, 1, f"READY WARNING - second opinion: {host.name}: neither ")
        host.write(CONFIG, with_options(kept, ACCOUNT), group="nagios", mode=0o640)
        try:
            until(pair, host, 0, f"READY OK - {host.name}: nothing stands in the way of a failover or a switchover (")
        finally:
            host.write(CONFIG, kept, group="nagios", mode=0o640)


def paused(pair: Pair) -> Callable[[], object]:
    pair.master.run([COMMAND, "pause", "--reason", "work"])
    return lambda: pair.master.run([COMMAND, "resume"])


def no_sudo(pair: Pair) -> Callable[[], object]:
    kept = pair.standby.read(SUDOERS)
    pair.standby.run(["rm", SUDOERS])
    return lambda: pair.standby.write(SUDOERS, kept, mode=0o440)


def no_login(pair: Pair) -> Callable[[], object]:
    """Held connections live on; a new login would fail."""
    pair.master.run("mv /home/hb/.ssh/authorized_keys /home/hb/.ssh/away")
    return lambda: pair.master.run("mv /home/hb/.ssh/away /home/hb/.ssh/authorized_keys")


def no_master(pair: Pair) -> Callable[[], object]:
    pair.standby.run([COMMAND, "pause"])
    pair.master.service("nagios").stop()

    def back() -> None:
        pair.lab.yasu.service("nagios").start()
        pair.lab.nabira.service("nagios").start()
        pair.standby.run([COMMAND, "resume"])

    return back


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (paused, "pause: {master}: paused until resumed by root@{master}: work"),
        (no_sudo, "sudo: {standby}: sudo -n /opt/nagios-failover/bin/nagios-failover-root version failed: "),
        (no_login, "ssh: {master}: "),
        (no_master, "other host: {master}: "),
    ],
)
def test_what_is_lost_is_named_at_the_standby(pair: Pair, fault: Callable[[Pair], Callable[[], object]], named: str) -> None:
    names = {"master": pair.master.name, "standby": pair.standby.name}
    standby = pair.standby
    mend = fault(pair)

    def is_named() -> bool:
        """A login that comes late hides a fault behind it; the next check sees it."""
        code, lines = ready(standby)
        return code == 1 and any(named.format(**names) in line for line in lines)

    try:
        pair.lab.wait(is_named, 20, f"{named} is named", shown=lambda: str(ready(standby)))
    finally:
        mend()


def test_a_master_without_a_standby_says_so(pair: Pair) -> None:
    master, standby = pair.master, pair.standby
    standby.service("nagios").stop()
    code, lines = ready(master)
    standby.service("nagios").start()
    assert code == 1
    assert any(f"other host: {standby.name}: no standby" in line for line in lines), lines
