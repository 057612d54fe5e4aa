"""What stands in the way of a failover: the parts that two hosts' clocks and terms decide."""

from dataclasses import replace
from pathlib import Path

import pytest

from nagios_failover.config import Config, parse
from nagios_failover.evidence import Evidence, HostReport, Process
from nagios_failover.looks import Look
from nagios_failover.observe import Observation
from nagios_failover.readiness import _clock, _peer, second_opinion
from nagios_failover.role import RoleRecord
from nagios_failover.state_files import StateFiles
from nagios_failover.verdict import Code, Verdict
from nagios_failover.words import Role, State
from tests.fake_world import ALIVE, standby

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
