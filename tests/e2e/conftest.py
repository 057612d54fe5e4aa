"""One pair for each file of tests that asks for it; roles circulate in it from test to test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.e2e.pair import Pair, mend
from tests.lab import Lab


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
