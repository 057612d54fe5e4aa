"""A standby acts only with the lease: the step of a failover, of a switchover, and the last look before it monitors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nagios_failover.config import Config
from nagios_failover.errors import Failed
from nagios_failover.failover import run_failover
from nagios_failover.fenced import Fenced
from nagios_failover.lease import Away, Held, Ours, Outranked
from nagios_failover.run_record import RunRecord
from nagios_failover.state_files import StateFiles
from nagios_failover.switchover import run_switchover
from nagios_failover.words import Role
from tests.fake_world import OFF, ON, World, config_of, standby

QUORUM = "[quorum]\netcd = https://192.0.2.1:2379\n[fence]\nuser = nagios\n"
GONE = Away("192.0.2.1:2379: no answer in time")
MEND = "hint: mend etcd (nagios-failover test names its members), or give it up for good: etcd = (empty) in [quorum], on every host"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return config_of(tmp_path, QUORUM)


@pytest.fixture
def world(tmp_path: Path) -> World:
    state = StateFiles(tmp_path)
    standby(state)
    return World(state, fence={"quiesced": Fenced(True, "yasu: its Nagios has notifications off", was_on=ON)})


def run(config: Config, world: World, said: list[str] | None = None) -> RunRecord:
    return run_failover(config, world.state, trigger="event", hands=world.hands(), say=(said if said is not None else []).append)


def is_as_it_was(world: World) -> bool:
    return (world.state.role().role, world.state.role().term, world.flags, world.fences) == (Role.STANDBY, 3, OFF, [])


def step(record: RunRecord, name: str) -> str:
    found = record.step(name)
    assert found is not None
    return f"{found.outcome}: {found.detail}"


def test_a_free_lease_is_taken_before_anything_changes(config: Config, world: World) -> None:
    record = run(config, world)
    assert (record.outcome, step(record, "lease")) == ("done", "done: nabira has the lease")
    assert world.lease_terms == [4, 4], "asked for under the term that it will have"
    assert world.lease_words == ["asked for", "reigns with term 4"]


def test_a_dead_masters_lease_is_waited_for(config: Config, world: World) -> None:
    world.lease_word = [Held("yasu", 3), Held("yasu", 2), Held("yasu", 0), Ours(1e9)]
    said: list[str] = []
    record = run(config, world, said)
    assert (record.outcome, world.state.role().role) == ("done", Role.MASTER)
    assert [line for line in said if line.startswith("lease: ")] == [
        "lease: yasu has it for another 3 s",
        "lease: yasu has it for another 2 s",
        "lease: yasu has it for another 0 s",
        "lease: done: nabira has the lease",
    ]


def test_a_master_that_renews_its_lease_meanwhile_is_alive_whatever_is_seen_of_it(config: Config, world: World) -> None:
    world.lease_word = [Held("yasu", 20), Held("yasu", 19), Held("yasu", 28)]
    record = run(config, world)
    assert (record.outcome, record.sentence) == (
        "refused",
        "yasu renews its lease: it is alive, whatever is seen of it from here; hint: nagios-failover status",
    )
    assert is_as_it_was(world)


def test_who_loses_the_race_stays_a_standby(config: Config, world: World) -> None:
    world.lease_word = [Held("yasu", 0), Held("witness", 30)]
    record = run(config, world)
    assert record.sentence == "the lease is witness's: it has taken over; hint: nagios-failover status"
    assert record.outcome == "refused" and is_as_it_was(world)


def test_a_term_that_a_master_has_passed_does_not_get_it(config: Config, world: World) -> None:
    world.lease_word = [Outranked(7)]
    record = run(config, world)
    assert record.sentence == (
        "a master with term 7 has had the lease since, and this run's term is not above it: it does not get it; "
        "hint: this host learns that term at its next check of the lease"
    )
    assert record.outcome == "refused" and is_as_it_was(world)


def test_with_etcd_away_nobody_takes_over(config: Config, world: World) -> None:
    world.lease_word = [GONE]
    record = run(config, world)
    assert (record.outcome, record.sentence) == (
        "refused",
        f"without the lease nobody takes over, and etcd does not give it: 192.0.2.1:2379: no answer in time; {MEND}",
    )
    assert is_as_it_was(world)


def test_what_was_promised_is_kept(config: Config, world: World) -> None:
    world.promised = "it has promised yasu to take no lease for another 9 s"
    record = run(config, world)
    assert record.sentence == (
        "nabira: it has promised yasu to take no lease for another 9 s; hint: etcd is away, or was: the master goes on without it"
    )
    assert record.outcome == "refused" and is_as_it_was(world) and world.lease_words == []


def test_a_lease_that_was_lost_during_the_run_is_asked_for_again_and_without_it_nothing_is_activated(
    config: Config, world: World
) -> None:
    left = iter([20.0, 0.0])  # before the fence, and before the activation
    world.lease_word = [Ours(1e9), GONE]
    hands = replace(world.hands(), lease_left=lambda: next(left))
    record = run_failover(config, world.state, trigger="event", hands=hands)
    assert (record.outcome, record.sentence) == (
        "incomplete",
        "given up: activate: the lease was lost during the run, and etcd does not give it again; "
        "nobody is monitoring: yasu: fenced, mild",
    )
    assert (world.state.role().role, world.flags) == (Role.STANDBY, OFF)
    assert world.lease_words == ["asked for", "asked for", "given back"]


def test_a_run_that_was_frozen_for_longer_than_its_lease_fences_nobody(tmp_path: Path, world: World) -> None:
    """The master may have the lease again by then."""
    config = config_of(tmp_path, f"{QUORUM}command = /usr/sbin/fence_dummy\n")
    world.lease_left = 0.0
    world.lease_word = [Ours(1e9), Held("yasu", 20)]
    record = run(config, world)
    lost = "the lease was lost during the run, and etcd does not give it again"
    as_it_was = f"aborted: activate: {lost}; role and flags are as they were: standby; {MEND}"
    assert (record.outcome, record.sentence) == ("aborted", as_it_was)
    failed = f"failed: {lost}; {MEND.removeprefix('hint: ')}"
    assert (step(record, "fence, mild"), step(record, "fence, hard")) == (failed, failed)
    assert world.fences == [] and (world.state.role().role, world.flags) == (Role.STANDBY, OFF)


def test_past_the_point_of_no_return_the_lease_is_kept(config: Config, world: World) -> None:
    world.set_flags_fails = Failed("Nagios does not read its command file")
    assert run(config, world).outcome == "incomplete"
    assert "given back" not in world.lease_words


def test_a_switchover_takes_it_from_the_master_once_that_is_silent_and_gives_it_back_when_it_is_put_back(
    config: Config, world: World
) -> None:
    record = run_switchover(config, world.state, hands=world.hands())
    assert step(record, "lease") == "done: nabira has the lease; yasu, which is silent, has given it up"
    assert world.lease_words == ["asked for", "reigns with term 4"] and "promise nabira --for 12 --give" in world.there
    names = [one.name for one in record.steps]
    assert names.index("quiesce") < names.index("lease") < names.index("activate")


@pytest.mark.parametrize(
    ("refuses", "said"), [("", "etcd does not give it"), ("promise", "yasu did not give the lease up: error: no")]
)
def test_a_switchover_without_the_lease_is_put_back(config: Config, world: World, refuses: str, said: str) -> None:
    world.lease_word, world.there_fails = [GONE], refuses
    record = run_switchover(config, world.state, hands=world.hands())
    assert record.outcome == "aborted" and said in record.sentence
    assert "undone, term 4: notifications, service_checks, host_checks on" in world.fences


def test_without_quorum_nothing_is_asked(tmp_path: Path, world: World) -> None:
    record = run(config_of(tmp_path), world)
    assert (record.outcome, step(record, "lease"), world.lease_words) == ("done", "skipped: not configured", [])
