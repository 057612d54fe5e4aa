"""A master that sees nobody: when it mutes itself, and what lets it go on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nagios_failover.account import Account
from nagios_failover.event import Act, decide, parse_event
from nagios_failover.isolation import isolate, may_go_on
from nagios_failover.looks import Look
from nagios_failover.role import Override, Owner, RoleRecord
from nagios_failover.state_files import StateFiles
from nagios_failover.verdict import Code
from nagios_failover.witness_record import Recorded
from nagios_failover.words import Flag, Role, State
from tests.fake_nagios import FakeNagios
from tests.fake_world import config_of, master, standby

ALONE = Look("yasu", 5060.0, 160.0, "b", "check", State.WARNING, Code.ISOLATED, "", isolated_since=100.0)
MUTED = Override(Owner.ISOLATED, {Flag.NOTIFICATIONS: False}, term=3, since=5000)
WITNESS = Account("hb", "10.0.0.3")
MASTER = RoleRecord(Role.MASTER, "nabira", 3, "", 1)


def seen(code: Code, *, at: float = 5100.0, peer_term: int = 0, passed: int = 0) -> Look:
    return replace(ALONE, time=at, code=code, isolated_since=0.0, peer_term=peer_term, peer_passed=passed)


def test_a_master_mutes_itself_when_it_has_seen_nobody_for_long_enough(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    hard = parse_event(("nagios-failover", "Master Nagios", "WARNING", "HARD", "3"))
    soft = parse_event(("nagios-failover", "Master Nagios", "WARNING", "SOFT", "1"))
    assert decide(hard, config, MASTER, ALONE) is decide(soft, config, MASTER, ALONE) is Act.ISOLATE
    assert decide(hard, config, MASTER, replace(ALONE, uptime=159.0)) is Act.NOTHING
    assert decide(hard, config, replace(MASTER, role=Role.STANDBY), ALONE) is Act.NOTHING
    never = replace(config, witness=replace(config.witness, isolation=None))
    assert decide(hard, never, MASTER, ALONE) is Act.NOTHING


def test_the_override_is_dated_back_to_when_it_saw_nobody_and_only_notifications_are_off(tmp_path: Path) -> None:
    with FakeNagios(tmp_path, flags=(1, 1, 1)) as nagios:
        config = config_of(tmp_path)
        host = replace(config.this, nagios_cfg=nagios.cfg)
        config = replace(config, hosts=(config.hosts[0], host))
        state = StateFiles(tmp_path)
        master(state)
        said = isolate(config, state, ALONE)
        assert said[0] == "nabira: neither yasu nor a witness was seen for 60 s: it notifies nobody until one is"
        assert state.overrides() == [MUTED] and state.is_isolated()
        assert list(nagios.flags.values()) == [0, 1, 1], "it goes on checking, so that it knows when it goes on"
        assert isolate(config, state, ALONE) == [], "once"


def test_a_standby_has_nothing_to_mute(tmp_path: Path) -> None:
    state = StateFiles(tmp_path)
    standby(state)
    assert isolate(config_of(tmp_path), state, ALONE) == [] and state.overrides() == []


GONE_ON = [
    ("the peer answers", seen(Code.PEER_STANDBY), [], "yasu answers and has no higher term"),
    ("it answers through a witness", seen(Code.PEER_THROUGH, peer_term=3), [], "yasu answers and has no higher term"),
    ("a run of its standby was given up", seen(Code.PEER_STANDBY, peer_term=7), [], "yasu answers and is its standby"),
    (
        "and it has gone since",
        seen(Code.PEER_GONE, peer_term=7),
        [Recorded(WITNESS, 3, "nabira")],
        "the witness hb@10.0.0.3 answers and has recorded no higher term",
    ),
    (
        "the witness has recorded none",
        seen(Code.PEER_GONE),
        [Recorded(WITNESS, 3, "nabira")],
        "the witness hb@10.0.0.3 answers and has recorded no higher term",
    ),
    (
        "the witness has an own higher term",
        seen(Code.PEER_GONE),
        [Recorded(WITNESS, 4, "nabira")],
        "the witness hb@10.0.0.3 answers and has recorded no higher term",
    ),
    ("it was short", seen(Code.PEER_GONE, at=5001.0), [], "a witness answers, and yasu could not have failed over within 1 s"),
]
STAYED = [
    ("still cut off", seen(Code.ISOLATED), [], ""),
    ("two masters", seen(Code.PEER_ACTIVE), [], ""),
    ("a higher term was seen", seen(Code.PEER_STANDBY, peer_term=4, passed=4), [], "yasu has the higher term 4"),
    ("and has gone since", seen(Code.PEER_GONE, passed=4), [Recorded(WITNESS, 3, "nabira")], "yasu has the higher term 4"),
    (
        "a higher term is recorded",
        seen(Code.PEER_GONE),
        [Recorded(WITNESS, 4, "yasu")],
        "the witness hb@10.0.0.3 has recorded the term 4 of yasu",
    ),
    (
        "only an address answers, too late",
        seen(Code.PEER_GONE),
        [Recorded(WITNESS, problem="no answer")],
        "a witness answers, but yasu may have failed over meanwhile: see that the other host does not monitor, then run here: "
        "nagios-failover init --master --force",
    ),
]


@pytest.mark.parametrize(("look", "recorded", "why"), [row[1:] for row in GONE_ON], ids=[row[0] for row in GONE_ON])
def test_what_lets_it_go_on(tmp_path: Path, look: Look, recorded: list[Recorded], why: str) -> None:
    assert may_go_on(config_of(tmp_path), MUTED, look, recorded, term=3) == (True, why)


@pytest.mark.parametrize(("look", "recorded", "why"), [row[1:] for row in STAYED], ids=[row[0] for row in STAYED])
def test_what_does_not(tmp_path: Path, look: Look, recorded: list[Recorded], why: str) -> None:
    assert may_go_on(config_of(tmp_path), MUTED, look, recorded, term=3) == (False, why)
