"""What a master says of its peer, row by row, with the whole sentence."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.evidence import Blocked, Detour, Evidence
from nagios_failover.verdict import Code
from nagios_failover.verdict_of_peer import judge_peer, judge_return
from nagios_failover.words import Flag, Role, State
from tests.evidence_samples import (
    CRITICAL,
    DEAF,
    DIRECT,
    HIDDEN,
    IDLE,
    LIMITS,
    MASTER,
    NO_NOTIFICATIONS,
    OFF,
    OK,
    PEER,
    REFUSED,
    SILENT,
    SSH,
    WARNING,
    Row,
    missing,
    report,
    through,
)

PEERS: list[Row] = [
    ("standby", Evidence(report(flags=OFF, role=replace(MASTER, role=Role.STANDBY))), OK, Code.PEER_STANDBY,
     "nabira: standby, its Nagios (PID 4711) is alive and notifies nobody"),
    ("standby that polls", Evidence(report(flags=NO_NOTIFICATIONS, role=None)), OK, Code.PEER_STANDBY,
     "nabira: standby, its Nagios (PID 4711) is alive and notifies nobody"),
    ("crashed", Evidence(missing(5)), WARNING, Code.PEER_GONE, "nabira: no standby: its Nagios is missing, status.dat is 5 s old"),
    ("stopped cleanly", Evidence(missing(None)), WARNING, Code.PEER_GONE,
     "nabira: no standby: its Nagios is missing, status.dat is gone"),
    ("hung", Evidence(report(age=99, flags=OFF)), WARNING, Code.PEER_GONE,
     "nabira: no standby: its Nagios is running, status.dat is 99 s old"),
    ("not seen", Evidence(REFUSED, reachable=False), WARNING, Code.PEER_GONE,
     "nabira: no standby: ssh fails (connect to host yasu port 22: Connection refused)"),
    ("cut off", Evidence(REFUSED, reachable=False, witnesses=DEAF, detours=(Detour("w", SILENT, False),)), WARNING, Code.ISOLATED,
     f"nabira: this master is cut off: {SSH}, and no witness answers (10.0.0.1, 10.0.0.2)"),
    ("standby, the link is cut", Evidence(REFUSED, detours=through(report(flags=OFF, role=replace(MASTER, role=Role.STANDBY)))),
     WARNING, Code.PEER_THROUGH,
     f"nabira: seen through the witness w2: standby, its Nagios (PID 4711) is alive and notifies nobody{DIRECT}"),
    ("active, no suite, the link is cut", Evidence(REFUSED, detours=through(report(role=None))), CRITICAL, Code.PEER_ACTIVE,
     "nabira: seen through the witness w2: two masters: it notifies with no term, this host is the master with term 3" + DIRECT),
    ("active, higher term, the link is cut", Evidence(REFUSED, detours=through(report(role=replace(PEER, term=4)))), CRITICAL,
     Code.PEER_OUTRANKS, "nabira: seen through the witness w2: it is the master with term 4, this host has term 3: "
     "this host stands down" + DIRECT),
    ("could not look", Evidence(report(HIDDEN)), WARNING, Code.BLOCKED,
     "nabira: could not look: PID 4711 cannot be looked at: other users' processes are hidden there"),
    ("unknown host key", Evidence(Blocked("its host key is unknown")), WARNING, Code.BLOCKED,
     "nabira: could not look: its host key is unknown"),
    ("flags unknown", Evidence(report(flags=None)), WARNING, Code.BLOCKED,
     "nabira: could not look: its status.dat does not say whether it notifies"),
    ("active, lower term", Evidence(report(role=replace(PEER, term=2))), CRITICAL, Code.PEER_ACTIVE,
     "nabira: two masters: it notifies with term 2, this host is the master with term 3"),
    ("active, no suite", Evidence(report(role=None)), CRITICAL, Code.PEER_ACTIVE,
     "nabira: two masters: it notifies with no term, this host is the master with term 3"),
    ("active against its role", Evidence(report(role=replace(PEER, role=Role.STANDBY, term=9))), CRITICAL, Code.PEER_ACTIVE,
     "nabira: two masters: it notifies with no term, this host is the master with term 3"),
    ("active, higher term", Evidence(report(role=replace(PEER, term=4))), CRITICAL, Code.PEER_OUTRANKS,
     "nabira: it is the master with term 4, this host has term 3: this host stands down"),
    ("active, same term, for longer", Evidence(report(role=replace(PEER, since=999))), CRITICAL, Code.PEER_OUTRANKS,
     "nabira: it is the master with term 3 as this host is, and has been for longer: this host stands down"),
    ("active, same term, later", Evidence(report(role=replace(PEER, since=1001))), CRITICAL, Code.PEER_ACTIVE,
     "nabira: two masters: it notifies with term 3, this host is the master with term 3"),
    ("master, but mute", Evidence(report(flags=OFF, role=replace(PEER, term=4))), WARNING, Code.PASSIVE,
     "nabira: its role is master too (term 4, this host has term 3), but it notifies nobody"),
    ("active, higher term, but it checks nothing",
     Evidence(report(role=replace(PEER, term=4), flags={**OFF, Flag.NOTIFICATIONS: True})), CRITICAL, Code.PEER_ACTIVE,
     "nabira: two masters: it notifies with term 4 but checks nothing, this host is the master with term 3"),
    ("deaf", Evidence(report(flags=OFF, role=IDLE, handlers=False)), WARNING, Code.PEER_IDLE,
     "nabira: standby, but its event handlers are off: it would not take over"),
    ("no suite, no handlers", Evidence(report(flags=OFF, role=None, handlers=False)), OK, Code.PEER_STANDBY,
     "nabira: standby, its Nagios (PID 4711) is alive and notifies nobody"),
    ("blind", Evidence(report(flags=OFF, role=IDLE, handlers=True, looked_ago=101)), WARNING, Code.PEER_IDLE,
     "nabira: standby, but it last looked at this host 101 s ago: it would not take over"),
    ("its clock was set back", Evidence(report(flags=OFF, role=IDLE, handlers=True, looked_ago=inf)), WARNING, Code.PEER_IDLE,
     "nabira: standby, but it has not looked at this host since its clock was set back: it would not take over"),
    ("looks now and then", Evidence(report(flags=OFF, role=IDLE, handlers=True, looked_ago=100)), OK, Code.PEER_STANDBY,
     "nabira: standby, its Nagios (PID 4711) is alive and notifies nobody"),
]  # fmt: skip


@pytest.mark.parametrize(("evidence", "state", "code", "sentence"), [row[1:] for row in PEERS], ids=[row[0] for row in PEERS])
def test_what_a_master_says_of_its_peer(evidence: Evidence, state: State, code: Code, sentence: str) -> None:
    verdict = judge_peer("nabira", evidence, LIMITS, MASTER)
    assert (verdict.state, verdict.code, verdict.sentence) == (state, code, sentence)


def test_a_cold_standby_is_as_it_should_be_while_it_looks() -> None:
    cold = replace(LIMITS, cold_standby=True)
    seen = judge_peer("nabira", Evidence(missing(None, role=IDLE, looked_ago=30)), cold, MASTER)
    assert (seen.state, seen.sentence) == (OK, "nabira: a cold standby, its Nagios does not run")
    blind = judge_peer("nabira", Evidence(missing(None, role=IDLE, looked_ago=101)), cold, MASTER)
    assert (blind.state, blind.code) == (WARNING, Code.PEER_IDLE)


def test_of_two_masters_with_the_same_term_exactly_one_stands_down() -> None:
    for since in (999, 1000, 1001):
        here, there = MASTER, replace(PEER, since=since)
        codes = {
            judge_peer("nabira", Evidence(report(role=there)), LIMITS, here).code,
            judge_peer("yasu", Evidence(report(role=here)), LIMITS, there).code,
        }
        assert codes == {Code.PEER_OUTRANKS, Code.PEER_ACTIVE}


@pytest.mark.parametrize("since", [999, 1000, 1001])
def test_of_two_masters_with_the_same_term_the_one_without_the_lease_stands_down(since: int) -> None:
    here, there = MASTER, replace(PEER, since=since)
    held = judge_peer("yasu", Evidence(report(role=here)), LIMITS, there, holder="yasu")
    assert (held.code, held.sentence) == (
        Code.PEER_OUTRANKS,
        "yasu: it is the master with term 3 as this host is, and has the lease: this host stands down",
    )
    assert judge_peer("nabira", Evidence(report(role=there)), LIMITS, here, holder="yasu").code is Code.PEER_ACTIVE
    third = judge_peer("yasu", Evidence(report(role=here)), LIMITS, there, holder="witness")
    assert third.code is judge_peer("yasu", Evidence(report(role=here)), LIMITS, there).code
    lower = judge_peer("yasu", Evidence(report(role=replace(here, term=2))), LIMITS, there, holder="yasu")
    assert lower.code is Code.PEER_ACTIVE, "the term goes first"


def config(**pair: str) -> Config:
    lines = "\n".join(f"{name} = {value}" for name, value in pair.items())
    text = f"[pair]\n{lines}\n[host yasu]\n[host nabira]\n[witness]\naddresses = none\n[mail]\nto = ops@example.org\n"
    return parse(text, hostname="nabira")


def test_the_preferred_host_that_returned_is_a_warning_on_the_master() -> None:
    own = replace(MASTER, master="nabira")
    verdict = judge_peer("yasu", Evidence(report(flags=OFF, role=replace(MASTER, role=Role.STANDBY))), LIMITS, own)
    returned = judge_return(verdict, config(failback="automatic"), own)
    assert (returned.state, returned.sentence) == (
        WARNING,
        "yasu: the preferred host is back as the standby; it gets the role when it has been well for 60 s",
    )
    assert judge_return(verdict, config(), own) is verdict
