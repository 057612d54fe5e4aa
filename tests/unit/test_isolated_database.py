"""The database of a master that is cut off: read-only while it is mute, and writable again only by the end of that."""

from __future__ import annotations

from pathlib import Path

import pytest

from nagios_failover.config import Config
from nagios_failover.errors import DatabaseFault
from nagios_failover.isolated_database import hold_writes, let_write
from nagios_failover.role import Override, Owner
from nagios_failover.state_files import StateFiles
from nagios_failover.words import Flag
from tests.fake_database import FakeDatabase
from tests.fake_world import config_of, master

MUTED = Override(Owner.ISOLATED, {Flag.NOTIFICATIONS: False}, term=3, since=5000)
REPLICATED = "[database]\nsocket = /run/mysqld/mysqld.sock\n[replication]\nwatch = yes\n"


class Site:
    def __init__(self, directory: Path, more: str = REPLICATED) -> None:
        self.config: Config = config_of(directory, more)
        self.state = StateFiles(directory)
        self.server = FakeDatabase("nabira")
        master(self.state)
        self.state.write_override(MUTED)

    def hold(self) -> list[str]:
        return hold_writes(self.config, self.state, self.override, lambda config: self.server.connect())

    def let(self) -> list[str]:
        return let_write(self.config, self.override, lambda config: self.server.connect())

    @property
    def override(self) -> Override:
        (override,) = self.state.overrides()
        return override


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_it_takes_no_writes_while_its_host_is_mute_and_takes_them_again(site: Site) -> None:
    assert site.hold() == [
        "nabira: its database is read-only meanwhile (0 connections ended), its position is 0-1-100",
    ]
    assert site.server.read_only and site.override.writes_held
    assert site.hold() == [], "once"
    assert site.let() == ["nabira: its database is writable"] and not site.server.read_only


def test_a_server_that_was_started_anew_meanwhile_is_made_read_only_again(site: Site) -> None:
    site.hold()
    site.server.read_only = False
    assert site.hold() != [] and site.server.read_only


def test_one_that_was_read_only_before_stays_so(site: Site) -> None:
    """A promotion that a person has to finish."""
    site.server.read_only = True
    assert (site.hold(), site.let()) == ([], []) and site.server.read_only and not site.override.writes_held


def test_one_that_does_not_answer_is_said_and_keeps_nobody_from_monitoring(site: Site) -> None:
    site.server.down = True
    assert site.hold() == ["nabira: its database could not be made read-only: database: no answer (2003)"]
    site.server.down = False
    site.hold()
    site.server.fails["SET GLOBAL read_only = OFF"] = DatabaseFault("database: gone (2013)", code=2013)
    assert site.let() == ["nabira: its database could not be made writable: database: gone (2013) (hint: nagios-failover promote)"]


def test_a_database_that_is_not_replicated_is_left_alone(tmp_path: Path) -> None:
    site = Site(tmp_path, "")
    assert (site.hold(), site.let(), site.server.read_only) == ([], [], False)
