"""The old source follows the new one at the end of a switchover, by SQL alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nagios_failover.attach_there import attach_there, attached
from nagios_failover.dialect import MariaDB, Statement
from nagios_failover.errors import DatabaseFault, Failed
from nagios_failover.journal import Journal
from nagios_failover.state_files import StateFiles
from nagios_failover.workflow import Flow, silent
from tests.fake_database import ROW, FakeDatabase
from tests.fake_world import World, config_of, master

OPTIONS = (
    "[database]\nsocket = /run/mysqld/mysqld.sock\n[replication]\nwatch = yes\nsemi_sync = yes\nreplication_password = secret\n"
)


class OldSource(FakeDatabase):
    """yasu's: told whom to follow, it does."""

    follows = True

    def rows(self, statement: Statement | str) -> list[dict[str, Any]]:
        sql, values = statement if isinstance(statement, Statement) else Statement(statement)
        if sql == MariaDB.position:
            return [{"answer": self.position}]
        if sql.startswith("CHANGE MASTER TO"):
            self.done.append(f"follow {values[0]}")
            running = "Yes" if self.follows else "Connecting"
            self.row = {
                **ROW,
                "Master_Host": values[0],
                "Slave_IO_Running": running,
                "Last_IO_Error": "" if self.follows else "TLS",
            }
            return []
        if sql == MariaDB("10.11.18").go_on_from("")[0].sql:
            self.done.append(f"go on from {values[0]}")
            return []
        return super().rows(statement)


class Pair:
    def __init__(self, directory: Path) -> None:
        self.state = StateFiles(directory)
        self.world = World(self.state)
        master(self.state)
        self.here = FakeDatabase("nabira")
        self.old = OldSource("yasu", read_only=True)
        hands = replace(self.world.hands(), own_database=self.here.connect, old_source=self.old.connect)
        run = Journal(directory).open("switchover", 4, "nabira", trigger="command")
        self.flow = Flow(config_of(directory, OPTIONS), self.state, hands, run, "switchover", "command", silent, {"term": 4})


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


WELL = "yasu's database is read-only and follows nabira's"


def test_it_goes_on_from_where_it_was(pair: Pair) -> None:
    assert attached(pair.flow) == ""
    assert attach_there(pair.flow) == WELL
    assert pair.old.done == [
        "go on from 0-1-100",
        "follow nabira",
        "SET GLOBAL rpl_semi_sync_slave_enabled = ON",
        "START SLAVE",
    ]
    assert attached(pair.flow) == WELL


def test_after_a_run_that_was_cut_short_it_keeps_its_position(pair: Pair) -> None:
    pair.old.row = {**ROW, "Slave_IO_Running": "No"}
    assert attach_there(pair.flow) == WELL
    assert pair.old.done[:2] == ["STOP SLAVE", "follow nabira"]


def test_one_that_has_more_is_left_to_a_rejoin(pair: Pair) -> None:
    pair.old.position = "0-1-103"
    with pytest.raises(Failed) as failed:
        attach_there(pair.flow)
    assert failed.value.what.startswith("yasu's database does not follow yet: yasu: it has transactions that nabira's lacks: ")
    assert failed.value.hint == "as root on yasu: nagios-failover rejoin" and pair.old.done == []


def test_one_that_still_takes_writes_or_cannot_be_reached_does_too(pair: Pair) -> None:
    pair.old.read_only = False
    with pytest.raises(Failed, match="yasu: it still takes writes"):
        attach_there(pair.flow)
    pair.old.down = True
    with pytest.raises(Failed, match="no answer"):
        attach_there(pair.flow)
    assert attached(pair.flow) == ""


def test_before_its_own_database_is_the_source_nothing_is_told_to_follow_it(pair: Pair) -> None:
    pair.here.read_only = True
    with pytest.raises(Failed, match="nabira: its database is not the source"):
        attach_there(pair.flow)
    assert pair.old.done == []


def test_why_it_does_not_follow_is_said(pair: Pair) -> None:
    pair.old.follows = False
    with pytest.raises(Failed, match="yasu's database does not follow yet: yasu: TLS"):
        attach_there(pair.flow)


def test_what_the_account_may_not_do_is_left_to_a_rejoin(pair: Pair) -> None:
    pair.old.fails["START SLAVE"] = DatabaseFault("you need the REPLICATION SLAVE ADMIN privilege", host="yasu", code=1227)
    with pytest.raises(Failed) as failed:
        attach_there(pair.flow)
    assert failed.value.hint == "as root on yasu: nagios-failover rejoin"
