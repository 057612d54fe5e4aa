"""handlers/mute_without_lease: whose Nagios is muted before check_lease is run, and whose is not."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nagios_failover.lease import Lease
from nagios_failover.lease_keeper import boot_clock
from nagios_failover.role import Override, Owner
from nagios_failover.state_files import StateFiles, boot_id
from tests.fake_world import OFF, master, standby

DOOR = Path(__file__).resolve().parents[2] / "handlers" / "mute_without_lease"
COMMAND = ["sh", "-c", 'echo "$1"; exit 2', "sh", "LEASE  CRITICAL - $(id)"]
RUN = (2, "LEASE  CRITICAL - $(id)\n", "")


class Site:
    """A state directory, and a command file that somebody reads."""

    def __init__(self, directory: Path) -> None:
        self.state = StateFiles(directory)
        self.pipe = directory / "nagios.cmd"
        os.mkfifo(self.pipe)
        self._reader = os.open(self.pipe, os.O_RDWR | os.O_NONBLOCK)

    def close(self) -> None:
        os.close(self._reader)

    def holds(self, until: float, boot: str) -> None:
        self.state.write_lease(Lease(until, boot, "yasu", "said"))

    def told(self) -> str:
        """What Nagios is told by the command's being run."""
        done = subprocess.run(
            [DOOR, self.state.directory, self.pipe, *COMMAND], capture_output=True, text=True, check=False, timeout=20
        )
        assert (done.returncode, done.stdout, done.stderr) == RUN
        try:
            return os.read(self._reader, 4096).decode()
        except BlockingIOError:
            return ""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.close()


def test_a_master_whose_lease_is_over_is_told_to_notify_nobody(site: Site) -> None:
    master(site.state)
    site.holds(boot_clock() - 1, boot_id())
    assert re.fullmatch(r"\[\d{10}\] DISABLE_NOTIFICATIONS;nagios-failover\n", site.told())


def test_once_check_lease_has_muted_it_nothing_is_said_again(site: Site) -> None:
    master(site.state)
    site.holds(0, boot_id())
    site.state.write_override(Override(Owner.LEASE, OFF, 3, 1))
    assert site.told() == ""


def test_the_holder_a_standby_and_one_that_boots_are_left_alone(site: Site) -> None:
    assert site.told() == "", "no role"
    master(site.state)
    assert site.told() == "", "no lease is configured"
    site.holds(boot_clock() + 20, boot_id())
    assert site.told() == "", "the holder"
    site.holds(boot_clock() + 20, f"{boot_id()}0")
    assert site.told() == "", "before this boot"
    standby(site.state)
    site.holds(0, boot_id())
    assert site.told() == "", "a standby is mute"


def test_a_command_file_that_nobody_reads_is_not_waited_for(site: Site) -> None:
    master(site.state)
    site.holds(0, boot_id())
    site.pipe = site.pipe.with_name("unread")
    os.mkfifo(site.pipe)
    assert site.told() == ""


def test_a_command_file_that_is_not_there_is_not_made(site: Site) -> None:
    master(site.state)
    site.holds(0, boot_id())
    site.pipe.unlink()
    assert site.told() == "" and not site.pipe.exists()


def test_no_file_is_left_in_the_place_of_a_command_file_that_is_taken_away_in_that_moment(site: Site, tmp_path: Path) -> None:
    """As Nagios does when it ends. With a file there no Nagios would start."""
    master(site.state)
    door = tmp_path / "doors" / DOOR.name
    door.parent.mkdir()
    door.write_text(DOOR.read_text())
    door.with_name("notify_if_master").write_text(f"#!/bin/sh\nrm {site.pipe}\necho 'held back: this host has no lease here'\n")
    for path in door.parent.iterdir():
        path.chmod(0o755)
    done = subprocess.run(
        [door, site.state.directory, site.pipe, *COMMAND], capture_output=True, text=True, check=False, timeout=20
    )
    assert (done.returncode, done.stdout, done.stderr) == RUN
    assert not site.pipe.exists()


def test_wrong_usage() -> None:
    done = subprocess.run([DOOR, "/var/lib/nagios-failover"], capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stdout) == (3, "usage: mute_without_lease STATE COMMANDFILE COMMAND [ARGUMENT...]\n")
