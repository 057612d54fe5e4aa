"""The database of a master that is cut off: read-only while it is mute, and writable again only by the end of that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nagios_failover.config import Config
from nagios_failover.dialect import Part, drop_in
from nagios_failover.errors import DatabaseFault
from nagios_failover.isolated_database import hold_writes, let_write
from nagios_failover.role import Override, Owner
from nagios_failover.shell import Output
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
        self.verbs: list[str] = []
        self.may = True
        master(self.state)
        self.state.write_override(MUTED)

    def hold(self) -> list[str]:
        return hold_writes(self.config, self.state, self.override, lambda config: self.server.connect())

    def let(self) -> list[str]:
        return let_write(self.config, self.override, lambda config: self.server.connect(), self._root)

    def _root(self, config: Config, verb: str) -> Output:
        self.verbs.append(verb)
        return Output(0 if self.may else 1, f"{verb}: done" if self.may else "", "" if self.may else "no sudo")

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
    assert site.let() == ["nabira: its database is writable"] and not site.server.read_only and not site.verbs


def test_a_server_that_was_started_anew_meanwhile_is_made_read_only_again(site: Site) -> None:
    site.hold()
    site.server.read_only = False
    assert site.hold() != [] and site.server.read_only


def test_one_that_was_read_only_before_stays_so(site: Site) -> None:
    """A promotion that a person has to finish."""
    site.server.read_only = True
    assert (site.hold(), site.let()) == ([], []) and site.server.read_only and not site.override.writes_held


def test_one_that_a_guard_has_started_as_a_replica_s_is_a_source_again(tmp_path: Path) -> None:
    path = tmp_path / "zz.cnf"
    site = Site(tmp_path, f"{REPLICATED}semi_sync = yes\ndrop_in = {path}\n")
    site.state.write_override(replace(MUTED, writes_held=True))
    site.server.read_only = True
    site.server.semi_sync = {"rpl_semi_sync_master_enabled": "OFF"}
    path.write_text(drop_in(Part.REPLICA, semi_sync=True))
    assert site.let() == ["nabira: its database is writable"] and not site.server.read_only
    assert site.verbs == ["database-source"]
    assert site.server.done == ["SET GLOBAL rpl_semi_sync_master_enabled = ON", "SET GLOBAL read_only = OFF"]
    path.write_text(drop_in(Part.SOURCE, semi_sync=True))
    site.let()
    assert site.verbs == ["database-source"], "what is so already is left alone"
    path.unlink()
    site.may = False
    assert site.let()[1:] == [
        "nabira: a restart of its mysqld makes it read-only: no sudo (hint: as root: nagios-failover-root database-source)"
    ]


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
