"""What is wrong with a database, by what was seen of it and its host's role: each state a sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nagios_failover.config_sections import ReplicationSection
from nagios_failover.replica_health import Seen, SemiSync, healthy, judge
from nagios_failover.replica_status import parse
from nagios_failover.role import RoleRecord
from nagios_failover.words import Role, State
from tests.fake_database import ROW

WANTED = ReplicationSection(watch=True, tls_ca=Path("/ca.pem"))
STANDBY = RoleRecord(Role.STANDBY, "yasu", 3, "", 0)
MASTER = RoleRecord(Role.MASTER, "nabira", 3, "", 0)
REPLICA = Seen("MariaDB 10.11.18", True, parse(ROW), True, SemiSync(False, False, 0, False), silent_for=0.4, errant="")
SOURCE = Seen("MariaDB 10.11.18", True, None, False, SemiSync(False, False, 0, False), attached=("10.99.0.11",))


def found(seen: Seen, role: RoleRecord = STANDBY, wanted: ReplicationSection = WANTED) -> list[tuple[str, str]]:
    return [(finding.state.name, finding.sentence) for finding in judge(seen, role, "yasu", "10.99.0.11", wanted)]


def row(**columns: Any) -> Seen:
    return replace(REPLICA, status=parse({**ROW, **columns}))


def test_a_healthy_pair() -> None:
    assert found(REPLICA) == [] and found(SOURCE, MASTER) == []
    assert healthy(REPLICA, STANDBY) == "replica of 10.99.0.11 over TLS, 0 s behind, by GTID, read-only"
    assert healthy(SOURCE, MASTER) == "source, writable, 1 replica attached"


REPLICAS: list[tuple[Seen, str, str]] = [
    (row(Slave_IO_Running="No"), "CRITICAL", "the I/O thread does not run"),
    (
        row(Slave_IO_Running="Connecting", Last_IO_Errno=2003, Last_IO_Error="Can't connect"),
        "CRITICAL",
        "the I/O thread is connecting: Can't connect (2003)",
    ),
    (
        row(Slave_SQL_Running="No", Last_SQL_Errno=1062, Last_SQL_Error="Duplicate entry", Seconds_Behind_Master=None),
        "CRITICAL",
        "the SQL thread does not run: Duplicate entry (1062)",
    ),
    (row(Seconds_Behind_Master=None), "WARNING", "the lag is not known"),
    (
        replace(REPLICA, silent_for=16.0),
        "WARNING",
        "nothing was received for 16 s, neither an event nor a heartbeat (threshold 15 s)",
    ),
    (
        replace(REPLICA, silent_for=61.0),
        "CRITICAL",
        "nothing was received for 61 s, neither an event nor a heartbeat (threshold 60 s)",
    ),
    (replace(REPLICA, read_only=False), "CRITICAL", "the replica is writable"),
    (replace(REPLICA, errant="0-2-7"), "CRITICAL", "the replica has transactions that its source lacks: 0-2-7"),
    (row(Master_Host="192.0.2.7"), "WARNING", "the replica follows 192.0.2.7, not yasu (10.99.0.11)"),
    (row(Using_Gtid="No"), "WARNING", "the replica does not use GTID: it cannot be promoted safely"),
    (row(Replicate_Do_DB="nagios"), "WARNING", "the replica has filters: Replicate_Do_DB=nagios"),
    (row(SQL_Delay=60), "WARNING", "the replica is delayed by 60 s on purpose"),
    (row(Master_SSL_Allowed="No"), "WARNING", "replication is not encrypted, though [replication] tls_ca is set"),
    (row(Master_SSL_Verify_Server_Cert="No"), "WARNING", "replication does not verify its source's certificate"),
    (
        replace(REPLICA, semi_sync=SemiSync(True, False, 0, False)),
        "WARNING",
        "semi-synchronous replication is on for a source here: the SQL thread waits for replicas",
    ),
    (
        replace(REPLICA, server="MySQL 8.0.36", acts=False),
        "WARNING",
        "MySQL 8.0.36 is only watched: no failover promotes it",
    ),
]


@pytest.mark.parametrize(("seen", "state", "sentence"), REPLICAS, ids=[sentence[:40] for _, _, sentence in REPLICAS])
def test_one_thing_that_is_wrong_with_a_replica(seen: Seen, state: str, sentence: str) -> None:
    assert found(seen) == [(state, sentence)]


def test_the_worst_comes_first() -> None:
    seen = replace(row(Using_Gtid="No"), read_only=False)
    assert [state for state, _ in found(seen)] == ["CRITICAL", "WARNING"]


def test_what_could_not_be_compared_is_nothing_wrong() -> None:
    assert found(replace(REPLICA, errant=None)) == []


def test_without_a_ca_nobody_asks_for_tls() -> None:
    assert found(row(Master_SSL_Allowed="No"), wanted=ReplicationSection(watch=True)) == []


def test_a_role_that_the_database_does_not_follow() -> None:
    assert found(replace(SOURCE, read_only=True)) == [("CRITICAL", "the role is standby, but its database is no replica")]
    assert found(REPLICA, MASTER) == [("CRITICAL", "the role is master, but its database is a replica of 10.99.0.11")]
    assert found(replace(SOURCE, read_only=True), MASTER) == [("CRITICAL", "the role is master, but its database is read-only")]
    held = replace(SOURCE, read_only=True, held=True)
    assert found(held, MASTER) == [("CRITICAL", "its database is read-only while this master is cut off")]


def test_a_source_that_nobody_follows() -> None:
    assert found(replace(SOURCE, attached=()), MASTER) == [("WARNING", "no replica is attached")]


def test_while_a_role_is_changing_nothing_is_wrong() -> None:
    role = RoleRecord(Role.TAKING_OVER, "nabira", 3, "x", 0)
    assert found(replace(REPLICA, read_only=False), role) == []
    assert healthy(REPLICA, role) == "the role is taking-over: the database's may be changing"


@pytest.mark.parametrize(
    ("semi_sync", "sentences"),
    [
        (SemiSync(True, True, 1, False), []),
        (SemiSync(False, False, 1, False), ["[replication] semi_sync is set, but it is off on this source"]),
        (SemiSync(), ["[replication] semi_sync is set, but the server has not got it"]),
        (
            SemiSync(True, False, 1, False),
            ["semi-synchronous replication has degraded: commits do not wait for the replica (1 counted as connected)"],
        ),
    ],
)
def test_semi_synchronous_replication_is_judged_by_its_status_not_by_its_clients(semi_sync: SemiSync, sentences: list[str]) -> None:
    wanted = replace(WANTED, semi_sync=True)
    assert [sentence for _, sentence in found(replace(SOURCE, semi_sync=semi_sync), MASTER, wanted)] == sentences
    assert found(replace(SOURCE, semi_sync=semi_sync), MASTER) == [], "not wanted, not looked at"


def test_a_replica_that_does_not_acknowledge_although_it_should() -> None:
    wanted = replace(WANTED, semi_sync=True)
    assert found(REPLICA, wanted=wanted) == [
        ("WARNING", "replication is not semi-synchronous, though [replication] semi_sync is set")
    ]
    assert found(replace(REPLICA, semi_sync=SemiSync(False, False, 0, True)), wanted=wanted) == []


def test_every_state_is_nagioss_own() -> None:
    assert {State[state] for _, state, _ in REPLICAS} == {State.WARNING, State.CRITICAL}
