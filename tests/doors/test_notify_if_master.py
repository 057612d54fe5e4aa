"""handlers/notify_if_master: what is sent, and what is held back."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from nagios_failover.lease import Lease
from nagios_failover.lease_keeper import boot_clock
from nagios_failover.state_files import StateFiles, boot_id

DOOR = Path(__file__).resolve().parents[2] / "handlers" / "notify_if_master"
COMMAND = ["sh", "-c", 'cat; echo "$1"; exit 7', "sh", "two  words; $(id)"]
SENT = (7, "the mail\ntwo  words; $(id)\n", "")


@pytest.fixture
def state(tmp_path: Path) -> StateFiles:
    return StateFiles(tmp_path)


def notify(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run([DOOR, *arguments], input="the mail\n", capture_output=True, text=True, check=False, timeout=20)
    return done.returncode, done.stdout, done.stderr


def held_back(why: str) -> tuple[int, str, str]:
    return 1, "", f"notify_if_master: held back: {why}\n"


def test_the_holder_of_the_lease_sends_and_the_command_is_left_as_it_is(state: StateFiles) -> None:
    state.write_lease(Lease(boot_clock() + 20, boot_id(), "yasu", 'yasu: master; it\'s "well" = $HOME'))
    assert notify(str(state.directory), *COMMAND) == SENT


def test_where_no_lease_is_configured_everybody_sends(state: StateFiles) -> None:
    assert notify(str(state.directory), *COMMAND) == SENT


@pytest.mark.parametrize("holder", ["nabira", ""])
def test_one_whose_lease_is_over_sends_nothing(state: StateFiles, holder: str) -> None:
    state.write_lease(Lease(boot_clock() - 0.1, boot_id(), holder, "said"))
    assert notify(str(state.directory), *COMMAND) == held_back(f"this host has no lease (it is {holder or '-'}'s)")


def test_a_lease_of_before_the_boot_is_none(state: StateFiles) -> None:
    state.write_lease(Lease(boot_clock() + 1e6, f"{boot_id()}0", "yasu", "said"))
    assert notify(str(state.directory), *COMMAND) == held_back("the lease is from before this boot")


@pytest.mark.parametrize("text", ["", "until=\n", "until=soon\nboot=b\n", "holder=yasu\n"])
def test_a_garbled_lease_is_none(state: StateFiles, text: str) -> None:
    state.lease_path.write_text(text)
    assert notify(str(state.directory), *COMMAND) == held_back(f"{state.lease_path} is garbled")


def test_a_state_directory_that_is_gone_is_no_lease(tmp_path: Path) -> None:
    assert notify(str(tmp_path / "gone"), *COMMAND) == held_back(f"{tmp_path}/gone/lease cannot be read")


def test_wrong_usage() -> None:
    assert notify("/var/lib/nagios-failover") == (2, "", "usage: notify_if_master STATE COMMAND [ARGUMENT...]\n")
