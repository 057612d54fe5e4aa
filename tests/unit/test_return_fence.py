"""An old master that is back and notifies: fenced, told, and what it mailed is listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from nagios_failover.config import Config
from nagios_failover.event_log import Notification
from nagios_failover.fenced import Fenced
from nagios_failover.resume import resume_open_runs
from nagios_failover.return_fence import STEPS, run_fence
from nagios_failover.state_files import StateFiles
from nagios_failover.workflow import start
from tests.fake_world import OUTRANKED, TWO_MASTERS, World, config_of, master, standby


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return config_of(tmp_path, "[fence]\nuser = nagios\n")


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(StateFiles(tmp_path), sees=[TWO_MASTERS])
    master(world.state)
    return world


def mail(at: int, service: str, state: int) -> Notification:
    return Notification(at, "oncall", "web1", service, "NORMAL", state, "mail-service", "")


def test_it_is_fenced_and_both_hosts_mails_are_told(config: Config, world: World) -> None:
    world.mailed_there = [mail(2000, "HTTP", 2), mail(2001, "LOAD", 0)]
    world.mailed_here = [mail(1999, "HTTP", 2)]
    record = run_fence(config, world.state, trigger="event", hands=world.hands())
    assert record.sentence == "yasu notified beside the master nabira and is fenced: yasu: fenced, mild"
    assert (record.outcome, world.fences) == ("done", ["mild, term 3"])
    (subject, body) = world.mails[0]
    assert subject == "[nagios-failover] yasu notified beside the master nabira and is fenced"
    assert "What yasu has mailed since nabira became the master\n" in body
    assert "PROBLEM: web1/HTTP is CRITICAL, to oncall  (both hosts)\n" in body
    assert "RECOVERY: web1/LOAD is OK, to oncall\n" in body
    assert world.state.role().term == 3, "the role stays as it is"


def test_its_database_takes_no_more_writes_and_one_that_cannot_be_told_is_named(tmp_path: Path, world: World) -> None:
    """That it takes none is seen in the lab; here nobody answers there."""
    replicated = "[fence]\nuser = nagios\n[database]\nsocket = /run/mysqld/mysqld.sock\n[replication]\nwatch = yes\n"
    record = run_fence(config_of(tmp_path, replicated), world.state, trigger="event", hands=world.hands())
    assert (record.outcome, world.fences) == ("done", ["mild, term 3"])
    assert "silence database: database: connection refused (2003); is its database server running?" in record.sentence


def test_a_fence_that_is_not_proved_ends_the_run_and_the_watch_tells_it(config: Config, world: World) -> None:
    world.fence["mild"] = Fenced(False, "yasu: not fenced over ssh: timed out")
    record = run_fence(config, world.state, trigger="event", hands=world.hands())
    assert (record.outcome, world.mails) == ("aborted", [])
    assert record.sentence == (
        "proved: yasu: not fenced over ssh: timed out; hint: stop Nagios on yasu, or run on the one that shall not monitor: "
        "nagios-failover standdown"
    )


def test_who_is_outranked_or_no_master_fences_nobody(config: Config, world: World) -> None:
    world.sees = [OUTRANKED]
    assert run_fence(config, world.state, trigger="event", hands=world.hands()).outcome == "refused"
    standby(world.state)
    assert run_fence(config, world.state, trigger="event", hands=world.hands()).outcome == "refused"
    assert world.fences == []


def test_without_the_lease_it_fences_nobody(tmp_path: Path, world: World) -> None:
    config = config_of(tmp_path, "[quorum]\netcd = https://192.0.2.1:2379\n[fence]\nuser = nagios\n")
    world.lease_left = 0.0
    record = run_fence(config, world.state, trigger="event", hands=world.hands())
    assert (record.outcome, world.fences) == ("refused", [])
    assert record.sentence == "nabira has no lease: without it, it fences nobody; hint: nagios-failover status"
    world.lease_left = 1.0
    assert run_fence(config, world.state, trigger="event", hands=world.hands()).outcome == "done"


def test_one_that_was_cut_short_looks_again(config: Config, world: World) -> None:
    flow = start(config, world.state, "fence", trigger="event", term=3, hands=world.hands())
    flow.run.step_started(STEPS[0].name)
    (record,) = resume_open_runs(config, world.state, hands=world.hands())
    assert (record.outcome, world.fences) == ("done", ["mild, term 3"])
