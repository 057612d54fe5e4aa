"""What stands in the way of a failover: the parts that a host's clock decides."""

import pytest

from nagios_failover.config import Config, parse
from nagios_failover.evidence import HostReport, Process
from nagios_failover.readiness import _clock

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
