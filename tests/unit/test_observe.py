"""A look remembers what the next one compares with, is judged by this host's own role, and is recorded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.evidence import NOT_CONFIGURED, Blocked, Detour, Evidence, HostReport, NoAnswer, Process, Witness
from nagios_failover.gather import Gathered, Probes
from nagios_failover.lease import Lease
from nagios_failover.looks import Look
from nagios_failover.observe import compare, look
from nagios_failover.probes import probes_from
from nagios_failover.role import RoleRecord, role_flags
from nagios_failover.state_files import StateFiles
from nagios_failover.verdict import Code
from nagios_failover.words import Mode, Role, State
from tests.probe_answers import REFUSED, REPORT, at_once, never

# ---- memory ----


def remembered(**fields: Any) -> Look:
    return Look(host="yasu", time=1, uptime=100, boot="b", by="check", state=State.CRITICAL, code="crashed", sentence="", **fields)


def compared(evidence: Evidence, previous: Look | None, received: Any = None, now: float = 110) -> tuple[Evidence, dict[str, Any]]:
    return compare(Gathered(evidence, received, {}), previous, now=now, period=2, remembered=39)


MISSING = replace(REPORT, process=Process.MISSING)
GONE = replace(MISSING, pid=None, status_age=None, status_created=None, gone_for=5000.0)


def test_what_a_detour_brought_is_completed_by_the_look_before() -> None:
    missing = replace(REPORT, process=Process.MISSING, status_created=1005)
    through = Evidence(REFUSED, detours=(Detour("w", missing, reached=True),))
    evidence, memory = compared(through, remembered(missing_pid=7, created=1000))
    assert evidence.report is not None and evidence.report.status_advanced
    assert isinstance(evidence.ssh, NoAnswer) and memory == {"missing_pid": 7, "created": 1005}


def advanced(previous: Look | None, report: HostReport = MISSING) -> bool:
    evidence, _ = compared(Evidence(report), previous)
    assert isinstance(evidence.ssh, HostReport)
    return evidence.ssh.status_advanced


def test_a_status_file_advances_only_while_the_same_process_was_missing_both_times() -> None:
    assert compared(Evidence(MISSING), None)[1] == {"missing_pid": 7, "created": 1000}
    assert advanced(remembered(missing_pid=7, created=990))
    assert not advanced(None)
    assert not advanced(remembered(missing_pid=7, created=1000))
    assert not advanced(remembered(missing_pid=8, created=990))
    assert not advanced(remembered())


def test_what_was_seen_long_ago_says_nothing_of_now() -> None:
    """Looks that stood still (a frozen standby) and a master that restarts just now: its grace begins now."""
    evidence, memory = compared(Evidence(GONE), remembered(gone_since=99.0), now=200)
    assert isinstance(evidence.ssh, HostReport) and evidence.ssh.gone_for == 0 and memory == {"gone_since": 200}


def test_how_long_the_status_file_is_gone_is_counted_by_our_own_looks() -> None:
    evidence, memory = compared(Evidence(GONE), None)
    assert isinstance(evidence.ssh, HostReport)
    assert (evidence.ssh.gone_for, memory) == (0, {"gone_since": 110})
    evidence, memory = compared(Evidence(GONE), remembered(gone_since=90))
    assert isinstance(evidence.ssh, HostReport)
    assert (evidence.ssh.gone_for, memory) == (20, {"gone_since": 90})
    assert compared(Evidence(REPORT), remembered(gone_since=90))[1] == {}


def test_the_replica_hears_while_its_counter_grew_within_three_heartbeats() -> None:
    previous = remembered(received=50, received_at=100.0)
    assert compared(Evidence(REFUSED), previous, 51)[0].replicating is True
    assert compared(Evidence(REFUSED), previous, 51)[1] == {"received": 51, "received_at": 110}
    assert compared(Evidence(REFUSED), previous, 50, now=105)[0].replicating is True
    evidence, memory = compared(Evidence(REFUSED), previous, 50)
    assert (evidence.replicating, memory) == (False, {"received": 50, "received_at": 100.0})


def test_a_replica_that_was_not_seen_is_neither_silent_nor_heard() -> None:
    assert compared(Evidence(REFUSED), None)[0].replicating is NOT_CONFIGURED
    assert isinstance(compared(Evidence(REFUSED), None, 50)[0].replicating, Blocked)
    previous = remembered(received=50, received_at=100.0)
    for failure in (NoAnswer("x"), Blocked("x")):
        evidence, memory = compared(Evidence(REFUSED), previous, failure)
        assert evidence.replicating == Blocked("this host's own database: x")
        assert memory == {"received": 50, "received_at": 100.0}


# ---- the look ----


@pytest.fixture
def state(tmp_path: Path) -> StateFiles:
    return StateFiles(tmp_path)


def config(*lines: str) -> Config:
    text = "[host yasu]\n[host nabira]\n[witness]\naddresses = 10.0.0.1, gw:80\n[mail]\nto = a@b\n" + "\n".join(lines)
    return parse(text, hostname="nabira")


def be(state: StateFiles, role: Role, master: str = "yasu") -> None:
    state.write_role(RoleRecord(role, master, 3, "", 1000))


def test_a_standby_judges_the_master_and_records_it(state: StateFiles) -> None:
    be(state, Role.STANDBY)
    seen = look(config(), state, by="run-1", record=True, probes=Probes(at_once(REPORT), never))
    assert (seen.verdict.state, seen.verdict.code) == (State.OK, Code.ALIVE)
    [recorded] = state.looks()
    assert recorded == seen.look
    assert (recorded.host, recorded.by, recorded.state, recorded.peer_term) == ("yasu", "run-1", State.OK, 4)


def test_a_master_judges_its_peer_and_asks_it_for_no_heartbeat(state: StateFiles) -> None:
    be(state, Role.MASTER, "nabira")
    seen = look(config(), state, probes=Probes(at_once(REPORT), never))
    assert seen.verdict.code is Code.PEER_OUTRANKS
    assert state.looks() == []
    full = config("[heartbeat]", "schema = nagios1", "[database]", "socket = /run/x.sock", "[replication]", "watch = yes")
    standby, master = probes_from(full), probes_from(full, at_master=False)
    assert standby.heartbeat and standby.received and [address for address, _ in standby.witnesses] == ["10.0.0.1", "gw:80"]
    assert (master.heartbeat, master.received) == (None, None)
    assert [address for address, _ in master.witnesses] == ["10.0.0.1", "gw:80"], "a master, too, has to know whether it is alone"


def test_a_master_that_knows_who_has_the_lease_judges_by_it_where_the_terms_are_equal(state: StateFiles) -> None:
    state.write_role(RoleRecord(Role.MASTER, "nabira", 4, "", 1))
    quorum = config("[quorum]", "etcd = https://192.0.2.1:2379", "[fence]", "user = nagios")
    probes = Probes(at_once(REPORT), never)
    assert look(quorum, state, probes=probes).verdict.code is Code.PEER_ACTIVE
    state.lease_path.write_text("garbled")
    assert look(quorum, state, probes=probes).verdict.code is Code.PEER_ACTIVE
    state.write_lease(Lease(0, "boot", "yasu", "nabira: the lease is yasu's"))
    assert look(quorum, state, probes=probes).verdict.code is Code.PEER_OUTRANKS
    assert look(config(), state, probes=probes).verdict.code is Code.PEER_ACTIVE


def test_the_term_of_a_standby_of_this_host_is_no_successors_however_high(state: StateFiles) -> None:
    """It is remembered while nobody answers, and forgotten when that host is this one's standby by that term or a later one."""
    be(state, Role.MASTER, "nabira")
    seen = []
    for role, master, term in (
        (Role.STANDBY, "nabira", 9),
        (Role.TAKING_OVER, "yasu", 10),
        (None, "", 0),
        (Role.STANDBY, "nabira", 10),
        (Role.STANDBY, "witness", 11),
        (Role.STANDBY, "nabira", 10),
        (None, "", 0),
    ):
        report = replace(REPORT, role=RoleRecord(role, master, term, "", 1)) if role else REFUSED
        seen.append(look(config(), state, record=True, probes=Probes(at_once(report), at_once(True))).look.peer_passed)
    assert seen == [0, 10, 10, 0, 11, 11, 11]


def test_witness_none_is_no_witness() -> None:
    text = "[host yasu]\n[host nabira]\n[witness]\naddresses = none\n[mail]\nto = a@b\n"
    assert probes_from(parse(text, hostname="nabira")).witnesses == ()


def test_without_a_readable_role_it_says_so_and_nothing_worse(state: StateFiles) -> None:
    crashed = Probes(at_once(MISSING), never)
    seen = look(config(), state, record=True, probes=crashed)
    assert (seen.verdict.state, seen.verdict.code) == (State.WARNING, Code.BLOCKED)
    assert seen.verdict.sentence == (
        f"yasu: could not look: this host's own role is unknown (the role file {state.role_path} does not exist)"
    )
    assert "nagios-failover init" in seen.verdict.hint
    assert [entry.state for entry in state.looks()] == [State.WARNING]


def test_a_look_that_cannot_be_recorded_says_so_and_is_never_ok(state: StateFiles) -> None:
    be(state, Role.STANDBY)
    state.looks_path.mkdir()
    seen = look(config(), state, record=True, probes=Probes(at_once(REPORT), never))
    assert seen.verdict.state is State.WARNING
    assert seen.verdict.sentence.startswith(
        "yasu: Nagios (PID 7) is alive, status.dat is 3 s old; this look could not be recorded ("
    )
    seen = look(config(), state, record=True, probes=Probes(at_once(MISSING), never))
    assert seen.verdict.state is State.CRITICAL


def test_two_looks_one_after_the_other(state: StateFiles) -> None:
    be(state, Role.STANDBY)
    first = look(config(), state, record=True, probes=Probes(at_once(GONE), never))
    assert first.verdict.code is Code.RESTARTING
    state.add_look(replace(first.look, gone_since=first.look.uptime - 100))
    assert look(config(), state, record=True, probes=Probes(at_once(GONE), never)).verdict.code is Code.STOPPED_CLEANLY
    assert look(config(), state, record=True, probes=Probes(at_once(REFUSED), at_once(True))).look.peer_term == 4


def test_a_look_without_state_is_a_standby_s_without_memory() -> None:
    assert look(config(), None, record=True, probes=Probes(at_once(MISSING), never)).verdict.code is Code.CRASHED


@pytest.mark.parametrize(
    ("role", "master", "follows"), [(Role.STANDBY, "nabira", 5), (Role.STANDBY, "yasu", 0), (Role.TAKING_OVER, "nabira", 0)]
)
def test_a_master_records_whose_standby_the_other_host_is(state: StateFiles, role: Role, master: str, follows: int) -> None:
    be(state, Role.MASTER, "nabira")
    report = replace(REPORT, role=RoleRecord(role, master, 5, "", 1), flags=role_flags(Mode.FAILOVER, active=False))
    assert look(config(), state, record=True, probes=Probes(at_once(report), never)).look.peer_follows == follows
    assert look(config(), state, record=True, probes=Probes(at_once(REFUSED), at_once(True))).look.peer_follows == 0


def test_a_master_counts_from_its_first_look_at_nobody_however_late_the_next_one_comes(
    state: StateFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An overloaded host's looks are far apart; one that was frozen sees nobody and has been failed over meanwhile."""
    be(state, Role.MASTER, "nabira")
    deaf = tuple((address, at_once(Witness(address, answered=False, reason="silent"))) for address in ("10.0.0.1", "gw:80"))
    alone, standby = Probes(at_once(REFUSED), at_once(False), deaf), Probes(at_once(replace(REPORT, role=None)), never)

    def since(at: float, probes: Probes, boot: str = "b1") -> float:
        monkeypatch.setattr("nagios_failover.observe.uptime", lambda: at)
        monkeypatch.setattr("nagios_failover.observe.boot_id", lambda: boot)
        return look(config(), state, record=True, probes=probes).look.isolated_since

    assert [since(at, alone) for at in (100, 103, 150)] == [100, 100, 100]
    assert since(153, standby) == 0
    assert since(156, alone) == 156
    assert since(20, alone, boot="b2") == 20
