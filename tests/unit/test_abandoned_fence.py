"""A fence whose author went back to be the standby ends; one that may still be meant does not."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from nagios_failover.abandoned_fence import given_up, lift
from nagios_failover.lease import Lease
from nagios_failover.looks import Look
from nagios_failover.role import Override, Owner, RoleRecord
from nagios_failover.state_files import StateFiles, boot_id, uptime
from nagios_failover.verdict import Code
from nagios_failover.words import Flag, Role, State
from nagios_failover.workflow import longest_run
from tests.fake_world import config_of

MASTER = RoleRecord(Role.MASTER, "nabira", 12, "", 1000)


def fence(term: int) -> Override:
    return Override(Owner.FENCE, dict.fromkeys(Flag, False), term, 1000)


def look(follows: int) -> Look:
    return Look("yasu", 1.0, uptime(), boot_id(), "check", State.OK, Code.PEER_STANDBY, "", peer_follows=follows)


@pytest.mark.parametrize(
    ("term", "role", "follows", "over"),
    [
        (13, MASTER, 13, True),
        (13, MASTER, 14, True),  # another run came and went since
        (13, MASTER, 12, False),  # the look is of before the run that fenced
        (13, MASTER, 0, False),  # it is taking over, or the master
        (12, MASTER, 13, False),  # no run's: those have a higher term
        (13, replace(MASTER, role=Role.STANDBY), 13, False),
        (13, replace(MASTER, role=Role.STANDING_DOWN), 13, False),
    ],
)
def test_it_ends_with_a_standby_of_its_term(term: int, role: RoleRecord, follows: int, over: bool) -> None:
    assert given_up(fence(term), role, look(follows)) is over


def test_it_is_lifted_and_said(tmp_path: Path) -> None:
    config, state = config_of(tmp_path), StateFiles(tmp_path)
    state.write_role(MASTER)
    state.write_override(fence(13))
    assert lift(config, state) == [] and state.overrides(), "nobody has looked yet"
    state.add_look(replace(look(13), uptime=uptime() - 600))
    assert lift(config, state) == [] and state.overrides(), "what was seen ten minutes ago need not be so now"
    state.add_look(look(13))
    assert lift(config, state) == ["nabira: not fenced any more: yasu went back to be its standby, with term 13"]
    assert state.overrides() == []
    assert lift(config, state) == []


QUORUM = "[quorum]\netcd = https://192.0.2.1:2379\n[fence]\nuser = nagios\n"


@pytest.mark.parametrize(
    ("age", "left", "term", "options", "over"),
    [
        (1.0, 20.0, 13, QUORUM, True),
        (-1.0, 20.0, 13, QUORUM, False),  # a switchover may be on its way
        (1.0, -1.0, 13, QUORUM, False),  # who fenced it may have the lease
        (1.0, 20.0, 12, QUORUM, False),  # no run's
        (1.0, 20.0, 13, "", False),  # without a lease nobody knows
    ],
)
def test_a_master_that_has_the_lease_outlives_a_fence_whose_run_is_over(
    tmp_path: Path, age: float, left: float, term: int, options: str, over: bool
) -> None:
    """Whoever it looks at: with three hosts that need not be the one that fenced it."""
    config, state = config_of(tmp_path, options), StateFiles(tmp_path)
    state.write_role(MASTER)
    state.write_lease(Lease(uptime() + left, boot_id(), "nabira"))
    state.write_override(replace(fence(term), since=int(time.time() - longest_run(config) - 2 * age)))
    assert (lift(config, state) != []) is over
    assert (state.overrides() == []) is over


def test_a_standby_does_not_outlive_a_fence(tmp_path: Path) -> None:
    config, state = config_of(tmp_path, QUORUM), StateFiles(tmp_path)
    state.write_role(replace(MASTER, role=Role.STANDBY))
    state.write_lease(Lease(uptime() + 20, boot_id(), "nabira"))
    state.write_override(fence(13))
    assert lift(config, state) == []
