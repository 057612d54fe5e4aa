"""check_failover_ready as Nagios runs it: whole output, exit code, no HOME, in /tmp. The other host's ssh is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nagios_failover.evidence import PauseMarker
from nagios_failover.words import Role
from tests.doors.plugin_site import PEER, PluginSite
from tests.fake_nagios import FakeNagios

REFUSED = "connect to host 127.0.0.1 port 1: Connection refused"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[PluginSite]:
    with FakeNagios(tmp_path) as nagios:
        yield PluginSite(tmp_path, "check_failover_ready", nagios_cfg=nagios.cfg)


def test_what_stands_in_the_way_is_named_with_what_mends_it(site: PluginSite) -> None:
    site.role(Role.STANDBY)
    site.state.pause(PauseMarker(by="me", reason="work", since=1, until=None))
    code, lines = site.lines()
    assert code == 1
    assert lines[0].startswith("READY WARNING - ") and lines[0].endswith(" more)")
    assert f"ssh: {PEER}: {REFUSED}" in lines
    assert "pause: HOST: paused until resumed by me: work" in lines
    assert lines[lines.index("pause: HOST: paused until resumed by me: work") + 1] == "hint: nagios-failover resume on HOST"


def test_verbose_shows_what_is_well_too(site: PluginSite) -> None:
    site.role(Role.STANDBY)
    _, lines = site.lines("-v")
    assert "OK run: HOST: no run is open" in lines
    assert any(line.startswith("OK disk: HOST: ") and line.endswith(" MiB free at least") for line in lines)
    assert "OK pause: no failover is paused" in lines


def test_a_disk_that_is_nearly_full_is_named(site: PluginSite) -> None:
    site.role(Role.STANDBY)
    site.configure("[ready]\ndisk_free = 999999999\n")
    _, lines = site.lines()
    assert any(line.startswith("disk: HOST: ") and " MiB free" in line for line in lines)
    assert "hint: free space there, or lower [ready] disk_free = 999999999 (MiB)" in lines


def test_without_a_configuration_it_is_unknown(site: PluginSite) -> None:
    site.config.unlink()
    code, lines = site.lines()
    assert (code, lines[0]) == (3, f"READY UNKNOWN - configuration file {site.config} does not exist")


def test_it_mails_nothing_and_changes_nothing(site: PluginSite) -> None:
    site.role(Role.MASTER)
    before = {path.name for path in site.state.directory.iterdir()}
    site.check()
    assert {path.name for path in site.state.directory.iterdir()} in (before, before | {"ssh"}), "where a connection is held"
