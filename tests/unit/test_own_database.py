"""This host's own server made ready: what has to be configured, and what a master's must not be made before its time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nagios_failover import own_database
from nagios_failover.config import Config
from nagios_failover.database_server import Server
from nagios_failover.dialect import Part, drop_in
from nagios_failover.errors import DatabaseFault, Refused
from tests.fake_database import ROW, FakeDatabase
from tests.fake_world import config_of


def config(directory: Path, more: str = "") -> Config:
    return config_of(directory, f"[database]\nsocket = /s\n[replication]\ndrop_in = {directory}/zz-nagios-failover.cnf\n{more}")


def administers(monkeypatch: pytest.MonkeyPatch, server: FakeDatabase) -> None:
    @contextmanager
    def administered(config: Config, *, timeout: float | None = None) -> Iterator[Server]:
        with server.connect() as connected:
            yield connected

    monkeypatch.setattr(own_database, "administered", administered)
    monkeypatch.setattr(own_database, "_text", lambda path: path.read_text() if path.exists() else "")


def test_every_option_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(Refused) as error:
        own_database.require_configured(config(tmp_path))
    assert error.value.what.startswith("replication is not configured: 4 options of ")
    assert error.value.detail == (
        "[replication] watch = yes\n[replication] password = ...\n[replication] replication_password = ...\n"
        "[replication] tls_ca = /etc/mysql/nagios-failover/ca.pem"
    )
    whole = "watch = yes\npassword = a\nreplication_password = b\ntls_ca = /etc/mysql/nagios-failover/ca.pem\n"
    own_database.require_configured(config(tmp_path, whole))


def test_a_master_whose_database_is_still_a_replica_is_promoted_not_made_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    administers(monkeypatch, FakeDatabase("nabira", row=dict(ROW), read_only=True))
    with pytest.raises(Refused, match="this host is the master, and its database still a replica") as error:
        list(own_database.make_ready(config(tmp_path), Part.SOURCE, restart=True))
    assert error.value.hint == "nagios-failover promote"
    assert list(tmp_path.iterdir()) == [], "nothing was written"


def test_a_server_that_is_down_is_what_its_drop_in_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    administers(monkeypatch, FakeDatabase("nabira", down=True))
    (tmp_path / "zz-nagios-failover.cnf").write_text(drop_in(Part.REPLICA, semi_sync=False))
    with pytest.raises(Refused, match="its database still a replica"):
        list(own_database.make_ready(config(tmp_path), Part.SOURCE, restart=True))


@pytest.mark.parametrize(
    ("fault", "words", "hint"),
    [
        (
            DatabaseFault("database: TLS failed (2026: certificate has expired)", host="yasu", answered=True),
            "yasu: its certificate has expired (database: TLS failed (2026: certificate has expired))",
            "make a new one there: rm /etc/mysql/nagios-failover/key.pem, nagios-failover init-database --restart",
        ),
        (
            DatabaseFault("database: access denied (1045: ...)", host="yasu", code=1045, answered=True),
            "yasu: database: access denied (1045: ...)",
            "run on yasu, as root: nagios-failover init-database --restart",
        ),
        (
            DatabaseFault("database: timed out (2013)", host="yasu", hint="is its database server running?", code=2013),
            "yasu: database: timed out (2013)",
            "is its database server running?",
        ),
    ],
)
def test_what_keeps_us_from_the_source_is_said_with_the_way_out(
    tmp_path: Path, fault: DatabaseFault, words: str, hint: str
) -> None:
    told = own_database.in_words(config(tmp_path), fault)
    assert (str(told), told.hint) == (words, hint)
