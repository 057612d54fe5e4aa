"""One pair for each file of tests that asks for it; roles circulate in it from test to test. And which file comes first."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.e2e.pair import Pair, mend
from tests.lab import Lab

LONGEST_FIRST = (
    *("fence", "no_failover", "inherit", "switchover", "isolation", "rejoin_database", "quorum", "flags", "trend", "promote"),
    *("failover", "check_master", "cli", "setup_standby", "failback", "programstatus", "demo", "killed_run"),
)
"""What takes the longest; the others follow. So that three processes end at about the same time (tests/run.sh)."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {f"test_{name}": number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


@pytest.fixture(scope="module")
def whole_pair() -> Iterator[Pair]:
    with Lab.up(name=f"failover-{os.getpid()}") as lab:
        yield Pair(lab)


@pytest.fixture
def pair(whole_pair: Pair) -> Pair:
    for host in (whole_pair.lab.yasu, whole_pair.lab.nabira):
        mend(whole_pair.lab, host)  # whatever a failed test left
    whole_pair.wait_healthy()
    return whole_pair
