"""What stands in the way of a failover: the parts that two hosts' clocks and terms decide."""

import json
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.copies import Copies, CopyRecord
from nagios_failover.evidence import Evidence, HostReport, Process
from nagios_failover.looks import Look
from nagios_failover.observe import Observation
from nagios_failover.readiness import _clock, _copy, _peer, _replication, second_opinion
from nagios_failover.role import RoleRecord
from nagios_failover.state_files import StateFiles
from nagios_failover.verdict import Code, Verdict
from nagios_failover.words import Role, State
from tests.fake_world import ALIVE, standby
from tests.unit.test_replica_health import row

CONFIG: Config = parse("[host yasu]\n[host nabira]\n[witness]\naddresses = none\n[mail]\nto = a@b\n", hostname="nabira")


def report(now: int) -> HostReport:
    return HostReport(Process.RUNNING, 1, 0.0, now, None, None, now=now)


@pytest.mark.parametrize(
    ("theirs", "well", "sentence"),
    [
        (1000, True, "yasu: its clock is this host's, as far as can be told"),
        (1005, True, "yasu: its clock is this host's, as far as can be told"),
        (1010, False, "yasu: its clock is 9 s ahead of nabira's"),
        (990, False, "yasu: its clock is 9 s behind nabira's"),
    ],
)
def test_a_clock_that_differs_is_told_and_which_way(theirs: int, well: bool, sentence: str) -> None:
    trial = _clock(CONFIG, report(theirs), began=1000.2, ended=1000.8)
    assert (trial.ok, trial.sentence) == (well, sentence)


@pytest.mark.parametrize(
    ("role", "term", "well"),
    [(Role.MASTER, 3, True), (Role.MASTER, 2, True), (Role.MASTER, 4, False), (Role.STANDBY, 3, False)],
)
def test_a_standby_whose_term_was_raised_by_a_run_that_was_put_back_is_ready(
    tmp_path: Path, role: Role, term: int, well: bool
) -> None:
    state = StateFiles(tmp_path)
    standby(state, term=3)
    there = replace(report(1000), role=RoleRecord(role, "yasu", term, "", 1))
    look = Look("yasu", 1.0, 1.0, "", "check", State.OK, Code.ALIVE, ALIVE[2])
    seen = Observation(Evidence(there), Verdict(*ALIVE), look, {})
    assert [(trial.name, trial.ok) for trial in _peer(CONFIG, state, seen)] == [("other host", True), ("terms", well)]


@pytest.mark.parametrize(
    ("section", "lacks"), [("", True), ("[witness]\naccounts = hb@a\n", False), ("[fence]\ncommand = /bin/off\n", False)]
)
def test_a_pair_without_a_second_opinion_is_told_so(section: str, lacks: bool) -> None:
    witness = "" if "witness" in section else "[witness]\naddresses = none\n"
    config = parse(f"[host yasu]\n[host nabira]\n{witness}[mail]\nto = a@b\n{section}", hostname="nabira")
    assert [(trial.name, trial.ok) for trial in second_opinion(config)] == ([("second opinion", False)] if lacks else [])


def copying(state: StateFiles, *, pulled: float, count: int = 0) -> list[tuple[str, bool | None, str]]:
    config = replace(CONFIG, sync=replace(CONFIG.sync, watch=True))
    standby(state, term=3)
    copies = Copies(state.directory, "yasu")
    copies.make()
    copies.record_path.write_text(CopyRecord(pulled, int(pulled), 0.0, 0.1, 1, 1, "nagios.log", "archives").text())
    drift = {"count": count, "named": ["service web1/HTTP: not on nabira"], "problem": "", "hint": "", "versions": ["", ""]}
    copies.drift_path.write_text(json.dumps(drift))
    return [(trial.name, trial.ok, trial.sentence) for trial in _copy(config, state)]


def test_a_copy_that_is_old_and_objects_that_differ_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = StateFiles(tmp_path)
    now = float(int(time.time()))  # a status.dat tells its time in whole seconds
    monkeypatch.setattr("nagios_failover.readiness.time", SimpleNamespace(time=lambda: now))
    assert [(name, ok) for name, ok, _ in copying(state, pulled=now)] == [("copy", True), ("objects", True)]
    assert copying(state, pulled=now - 600)[0] == ("copy", False, "nabira: the copy of yasu's state is 600 s old")
    assert copying(state, pulled=now, count=1)[1] == (
        *("objects", False),
        "nabira: 1 object differs: service web1/HTTP: not on nabira",
    )


def test_a_host_that_has_copied_nothing_yet_says_so(tmp_path: Path) -> None:
    state = StateFiles(tmp_path)
    standby(state, term=3)
    config = replace(CONFIG, sync=replace(CONFIG.sync, watch=True))
    assert [(trial.name, trial.ok) for trial in _copy(config, state)] == [("copy", False)]


@pytest.mark.parametrize(("lag", "told"), [(0, True), (31, False)])
def test_a_replica_that_is_late_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lag: int, told: bool) -> None:
    state = StateFiles(tmp_path)
    standby(state, term=3)
    config = replace(CONFIG, replication=replace(CONFIG.replication, watch=True))
    monkeypatch.setattr("nagios_failover.watch_replication.look", lambda *_: row(Seconds_Behind_Master=lag))
    monkeypatch.setattr("nagios_failover.readiness.judge", lambda *_: [])
    (trial,) = _replication(config, state)
    assert (trial.name, trial.ok) == ("replica", told)
    assert told or trial.sentence == "nabira: the replica is 31 s behind"
