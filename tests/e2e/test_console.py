"""The web console's address goes with the role: keepalived as keepalived.conf.sample sets it up, on real hosts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.pair import Pair, kill, looks_of, mend, power_off, role_of
from tests.lab import Host, Lab, why_not
from tests.lab.state import ADDRESSES
from tests.lab.suite import CONFIG, with_options

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

TOP = Path(__file__).parents[2]
ADDRESS, HOOKED = "10.99.0.10", "10.99.0.9"
HOOK = "/usr/local/sbin/nagios-failover-post-hook"


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with Lab.up(name=f"console-{os.getpid()}") as lab:
        found = Pair(lab)
        found.wait_healthy()
        for host in (lab.yasu, lab.nabira):
            host.write("/etc/keepalived/keepalived.conf", keepalived_conf(host))
            start_keepalived(host)
            install_hook(host)
        yield found


def install_hook(host: Host) -> None:
    """As the comments of post_hook.sample say."""
    host.write(HOOK, (TOP / "post_hook.sample").read_text(), mode=0o755)
    host.write(
        "/etc/sudoers.d/hook", f"nagios ALL = (root) NOPASSWD: /usr/sbin/ip address replace {HOOKED}/24 dev eth0\n", mode=0o440
    )
    options = {("run", "post_hook"): f"{HOOK} {HOOKED}/24 eth0"}
    host.write(CONFIG, with_options(host.read(CONFIG), options), group="nagios", mode=0o640)


def keepalived_conf(host: Host) -> str:
    """The sample with the lab's values, and the two addresses the other way round on the second host."""
    mine, other = (ADDRESSES[name] for name in (("yasu", "nabira") if host.name == "yasu" else ("nabira", "yasu")))
    values = {"192.0.2.11": mine, "192.0.2.12": other, "192.0.2.10": ADDRESS}
    return re.sub("|".join(map(re.escape, values)), lambda found: values[found[0]], (TOP / "keepalived.conf.sample").read_text())


def start_keepalived(host: Host) -> None:
    """In the foreground of a session of its own: going to the background it ends whoever called it."""
    host.run("rm -f /run/keepalived*.pid; setsid -f keepalived --dont-fork --log-console </dev/null >/var/log/keepalived.log 2>&1")


def has_address(host: Host, address: str = ADDRESS) -> bool:
    return host.is_on() and f" {address}/" in host.run("ip -brief address show dev eth0").stdout


def holders(pair: Pair) -> list[str]:
    return [host.name for host in (pair.lab.yasu, pair.lab.nabira) if has_address(host)]


def test_the_address_is_the_masters_and_goes_with_the_role(pair: Pair) -> None:
    lab = pair.lab
    lab.wait(lambda: holders(pair) == ["yasu"], 20, "the master has the console's address")
    kill(lab, lab.yasu)
    lab.wait(lambda: holders(pair) == ["nabira"], 45, "the new master has it, though the old one's keepalived lives")
    lab.wait(lambda: has_address(lab.nabira, HOOKED), 20, "the post hook gave it the other one")
    lab.wait(lambda: lab.witness.run(["ping", "-c", "1", "-W", "1", ADDRESS], check=False).returncode == 0, 10, "it answers")
    mend(lab, lab.yasu)
    pair.wait_healthy(60)
    assert holders(pair) == ["nabira"], "who returns gets the address back with the role only"


def test_a_standby_that_is_cut_off_does_not_take_it(pair: Pair) -> None:
    lab, master, standby = pair.lab, pair.master, pair.standby
    lab.cut(standby)
    lab.wait(lambda: pair_sees_no_master(standby), 30, "the standby sees nobody")
    assert holders(pair) == [master.name]
    lab.mend(standby)
    pair.wait_healthy(60)
    assert holders(pair) == [master.name]


def pair_sees_no_master(standby: Host) -> bool:
    """keepalived there hears nothing from the other one, and is in FAULT all the same; the suite's look says: cut off."""
    looks = looks_of(standby)
    return bool(looks) and looks[-1]["code"] == "cut-off"


def test_after_a_power_cut_it_comes_with_the_role_not_before(pair: Pair) -> None:
    lab, old, new = pair.lab, pair.master, pair.standby
    power_off(lab, old)
    early = []

    def taken_over() -> bool:
        has, role = has_address(new), role_of(new).get("role")
        early.extend([new.name] if has and role == "standby" else [])
        return has

    lab.wait(taken_over, 60, "the new master has the address")
    assert not early
    mend(lab, old)
    start_keepalived(old)
    pair.wait_healthy(60)
    assert holders(pair) == [new.name]
