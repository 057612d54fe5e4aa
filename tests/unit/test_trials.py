"""What `nagios-failover test` makes of a database that takes no writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymysql
import pytest

from nagios_failover.trials import _own_database
from tests.fake_world import config_of

SOCKET = "[database]\nsocket = /run/mysqld/mysqld.sock\n"


class ReadOnly:
    """A cursor, and the connection that has it."""

    def cursor(self) -> ReadOnly:
        return self

    def __enter__(self) -> ReadOnly:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, sql: str) -> None:
        if sql.startswith("UPDATE"):
            raise pymysql.err.OperationalError(1290, "The server is running with the --read-only option")


@contextmanager
def connection(**_: Any) -> Iterator[ReadOnly]:
    yield ReadOnly()


@pytest.mark.parametrize(("watch", "well"), [("yes", True), ("no", False)])
def test_a_replica_takes_no_heartbeat_and_that_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watch: str, well: bool
) -> None:
    monkeypatch.setattr("nagios_failover.mysql.connection", connection)
    trial = _own_database(config_of(tmp_path, f"{SOCKET}[replication]\nwatch = {watch}\n"))
    assert trial.ok is well
    if well:
        assert trial.sentence == "nabira: its database is read-only, as a replica's is"
