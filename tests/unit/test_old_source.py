"""Making the old source read-only: what a client was committing when it was ended is part of the position that is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nagios_failover import old_source
from nagios_failover.dialect import Statement
from tests.fake_database import FakeDatabase
from tests.fake_world import config_of


class Committing(FakeDatabase):
    """The client that is ended first writes what it was committing, and is gone `after` so many more looks."""

    after = 2

    def rows(self, statement: Statement | str) -> list[dict[str, Any]]:
        sessions = list(self.sessions)
        found = super().rows(statement)
        if str(statement).startswith("KILL "):
            self.sessions = sessions
        elif statement == self.dialect.sessions and self.done[-1].startswith("KILL "):
            self.after -= 1
            if self.after == 0:
                self.sessions, self.position = [], "0-1-101"
        return found


CLIENT = {"id": 11, "user": "nagios", "host": "localhost", "command": "Query"}


def test_the_commit_in_which_a_client_was_met_is_part_of_the_position(tmp_path: Path) -> None:
    server = Committing("yasu", sessions=[CLIENT])
    silenced = old_source.silence(server, config_of(tmp_path))
    assert silenced == ("0-1-101", 1, 0)
    assert silenced.words == "1 connections ended"


def test_a_client_that_rolls_back_for_long_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old_source, "END_SECONDS", 0.1)
    server = Committing("yasu", sessions=[CLIENT])
    server.after = 1000
    silenced = old_source.silence(server, config_of(tmp_path))
    assert silenced == ("0-1-100", 1, 1)
    assert silenced.words == "1 connections ended, 1 of them not gone after 0.1 s"


def test_without_clients_nothing_is_waited_for(tmp_path: Path) -> None:
    assert old_source.silence(FakeDatabase("yasu"), config_of(tmp_path)) == ("0-1-100", 0, 0)
