"""One run at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nagios_failover.errors import Failed
from nagios_failover.lock import LockHeld, is_held, run_lock


def test_a_second_run_is_refused_with_the_first_ones_pid(tmp_path: Path) -> None:
    with run_lock(tmp_path, wait=0):
        assert is_held(tmp_path)
        with pytest.raises(LockHeld, match=f"a run is on its way: PID {os.getpid()}"), run_lock(tmp_path, wait=0.2):
            pass
    assert not is_held(tmp_path)


def test_the_lock_of_a_killed_run_is_free(tmp_path: Path) -> None:
    child = os.fork()
    if not child:
        try:
            with run_lock(tmp_path, wait=0):
                os.kill(os.getpid(), 9)
        finally:
            os._exit(1)
    os.waitpid(child, 0)
    assert not is_held(tmp_path)


def test_a_state_directory_that_is_away_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"cannot write .*run\.lock"), run_lock(tmp_path / "away", wait=0):
        pass
