"""A run's context, and that of one that was cut short."""

from __future__ import annotations

from pathlib import Path

from nagios_failover.journal import Journal
from nagios_failover.state_files import StateFiles
from nagios_failover.workflow import go_on, start
from tests.fake_world import World, config_of, standby

THREE = "[host witness]\n[quorum]\netcd = https://192.0.2.1:2379\n[fence]\nuser = nagios\n"


def test_a_run_that_is_gone_on_with_acts_on_the_host_that_it_began_with(tmp_path: Path) -> None:
    """A run that takes the lease names no other host any more: who is looked at then is the first one of the file."""
    config, world = config_of(tmp_path, THREE), World(StateFiles(tmp_path))
    standby(world.state)
    start(config.facing("witness"), world.state, "switchover", trigger="command", term=4, hands=world.hands())
    (record,) = Journal(tmp_path).open_runs()
    assert config.peer.name == "yasu"
    assert go_on(config, world.state, record, hands=world.hands(), say=None).peer == "witness"


def test_a_run_of_an_older_suite_faces_whoever_is_looked_at(tmp_path: Path) -> None:
    config, world = config_of(tmp_path, THREE), World(StateFiles(tmp_path))
    standby(world.state)
    Journal(tmp_path).open("switchover", 4, "nabira", trigger="command")
    (record,) = Journal(tmp_path).open_runs()
    assert go_on(config.facing("witness"), world.state, record, hands=world.hands(), say=None).peer == "witness"
