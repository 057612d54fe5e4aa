"""check_lease as Nagios runs it, beside one member of an etcd: whole output, exit code, and what it leaves for notify_if_master."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nagios_failover.config_sections import QuorumSection
from nagios_failover.config_values import Seconds
from nagios_failover.etcd import Etcd
from nagios_failover.lease_keeper import boot_clock
from nagios_failover.words import Role
from tests.doors.plugin_site import ME, PEER, PluginSite
from tests.fake_etcd import FakeEtcd

NOBODY = "http://127.0.0.1:1"
REFUSED = "127.0.0.1:1: Connection refused"


@pytest.fixture
def etcd() -> Iterator[FakeEtcd]:
    with FakeEtcd() as etcd:
        yield etcd


@pytest.fixture
def site(tmp_path: Path, etcd: FakeEtcd) -> PluginSite:
    return PluginSite(tmp_path, "check_lease", extra=quorum(etcd.url))


def quorum(url: str) -> str:
    return f"[quorum]\netcd = {url}\n[fence]\nuser = {ME}\ntimeout = 1\n"


def held_by(etcd: FakeEtcd, name: str, *, term: int = 3, reign: bool = True) -> None:
    Etcd(QuorumSection(etcd=(etcd.url,), lease=Seconds(30)), boot_clock).hold(name, term, reign=reign)


def looks(etcd: FakeEtcd, name: str) -> None:
    Etcd(QuorumSection(etcd=(etcd.url,), lease=Seconds(30)), boot_clock).look(name)


def test_without_a_quorum_it_does_nothing(site: PluginSite) -> None:
    site.configure()
    assert site.check() == (0, "LEASE OK - HOST: no lease is configured ([quorum] etcd)\n")
    assert not site.state.lease_path.exists()


def test_a_master_gets_the_lease_and_renews_it(site: PluginSite, etcd: FakeEtcd) -> None:
    site.role(Role.MASTER)
    looks(etcd, PEER)
    for _ in range(2):
        code, output = site.check()
        assert code == 0
        assert re.fullmatch(r"LEASE OK - HOST: master, it holds the lease for 2[78] s \| left=2[678]s;;;0\n", output), output


def test_a_master_whose_lease_is_another_ones_is_critical_and_mute(site: PluginSite, etcd: FakeEtcd) -> None:
    """A run of the other host is on its way, say."""
    site.role(Role.MASTER)
    held_by(etcd, PEER, term=4, reign=False)
    code, lines = site.lines()
    assert (code, lines) == (
        2,
        [
            f"LEASE CRITICAL - HOST: the lease is {PEER}'s: it notifies nobody and checks nothing",
            f"hint: nagios-failover status; {PEER} is the master",
        ],
    )
    text = (site.state.directory / "override.lease").read_text()
    assert text.startswith("notifications=off\nservice_checks=off\nhost_checks=off\nterm=3\n")


def test_a_master_is_critical_and_mute_where_another_one_has_reigned_with_its_term(site: PluginSite, etcd: FakeEtcd) -> None:
    site.role(Role.MASTER)
    held_by(etcd, PEER, term=3)
    code, lines = site.lines()
    assert (code, lines) == (
        2,
        [
            "LEASE CRITICAL - HOST: the lease has been another master's with term 3 since: it notifies nobody and checks nothing",
            "hint: it stands down when it sees that master; nagios-failover status",
        ],
    )
    assert (site.state.directory / "override.lease").exists()


def test_a_master_that_another_one_has_passed_does_not_take_the_lease_even_when_it_is_free(
    site: PluginSite, etcd: FakeEtcd
) -> None:
    site.role(Role.MASTER)
    site.check()
    etcd.expire()
    held_by(etcd, PEER, term=4)
    etcd.expire()
    assert site.lines() == (
        2,
        [
            "LEASE CRITICAL - HOST: the lease has been another master's with term 4 since: it notifies nobody and checks nothing",
            "hint: it stands down when it sees that master; nagios-failover status",
        ],
    )
    assert etcd.key is None and (site.state.directory / "override.lease").exists()
    held_by(etcd, PEER, term=4)
    site.check()
    assert f"holder={PEER}\n" in site.state.lease_path.read_text(), "whom its own watch looks at from now on"


def test_a_master_without_etcd_and_without_a_promise_is_critical(site: PluginSite) -> None:
    site.role(Role.MASTER)
    site.configure(quorum(NOBODY))
    code, lines = site.lines()
    assert code == 2
    assert lines[0].startswith(
        f"LEASE CRITICAL - HOST: etcd does not renew the lease ({REFUSED}), and {PEER}: it does not answer ("
    )
    assert lines[0].endswith("): it notifies nobody and checks nothing")
    assert lines[1:] == ["hint: it goes on by itself when etcd gives it the lease again"]


def test_a_lease_that_is_not_configured_any_more_holds_nobody_back(site: PluginSite, etcd: FakeEtcd) -> None:
    site.role(Role.MASTER)
    held_by(etcd, PEER)
    site.check()
    site.configure()
    assert site.check()[0] == 0
    assert not site.state.lease_path.exists() and site.state.overrides() == []


def test_a_standby_says_whose_it_is(site: PluginSite, etcd: FakeEtcd) -> None:
    site.role(Role.STANDBY)
    assert site.lines() == (
        1,
        [
            "LEASE WARNING - HOST: standby, and nobody holds the lease: the master does not know of it, or has stood down",
            "hint: nagios-failover status",
        ],
    )
    held_by(etcd, PEER)
    code, output = site.check()
    assert code == 0 and len(etcd.standbys) == 1, "the master knows of it"
    assert re.fullmatch(rf"LEASE OK - HOST: standby, the lease is {PEER}'s for 2[789] s \| left=0s;;;0\n", output), output
    site.configure(quorum(NOBODY))
    assert site.lines() == (
        1,
        [
            f"LEASE WARNING - HOST: standby; etcd does not answer ({REFUSED}): nobody takes over",
            "hint: mend etcd; nagios-failover test",
        ],
    )


def test_what_cannot_be_written_down_is_unknown(site: PluginSite) -> None:
    site.role(Role.MASTER)
    site.state.lease_path.mkdir()
    code, lines = site.lines()
    assert (code, lines[0]) == (3, "LEASE UNKNOWN - cannot write STATE/lease: Is a directory")


def test_wrong_usage_and_a_wrong_configuration_are_unknown(site: PluginSite) -> None:
    assert site.check("--nonsense")[0] == 3
    site.configure("[quorum]\nlease = never\n")
    code, output = site.check()
    assert code == 3 and output.startswith("LEASE UNKNOWN - configuration file ")


def test_what_it_does_not_need_it_does_not_load(site: PluginSite, etcd: FakeEtcd) -> None:
    """fabric only to ask the other hosts, TLS only for https, and not even HTTP where no lease is configured."""
    heavy = {"fabric", "paramiko", "invoke", "pymysql", "cryptography", "smtplib", "rich", "asyncio", "nagios_failover.fence_login"}

    def loaded() -> set[str]:
        done = subprocess.run(
            [sys.executable, "-X", "importtime", site.door, "-C", site.config],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}

    site.configure(quorum(etcd.url).replace("[fence]", "timeout = 60\nlease = 100\n[fence]"))  # fabric comes when etcd is late
    site.role(Role.MASTER)
    looks(etcd, PEER)
    names = loaded()
    assert "http.client" in names and not names & heavy
    site.configure()
    assert not loaded() & {*heavy, "http.client", "ssl"}
