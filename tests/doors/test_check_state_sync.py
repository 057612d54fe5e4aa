"""check_state_sync as Nagios runs it, where there is nobody to copy from: whole output, exit code. The copying is tests/e2e's."""

import os
import pwd
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nagios_failover.copies import Copies, CopyRecord
from nagios_failover.role import RoleRecord
from nagios_failover.state_files import StateFiles
from nagios_failover.words import Role

ME = pwd.getpwuid(os.geteuid()).pw_name
THIS = socket.gethostname().partition(".")[0]
DOOR = Path(sys.executable).parent / "check_state_sync"
REFUSED = "not renewed: other: ssh fails: "


class Site:
    def __init__(self, directory: Path) -> None:
        self.state = StateFiles(directory / "state")
        self.state.directory.mkdir()
        self.config = directory / "nagios-failover.cfg"
        self.configure("[sync]\nwatch = yes\n")

    def configure(self, extra: str) -> None:
        self.config.write_text(
            f"[host {THIS}]\n[host other]\naddress = 127.0.0.1\n[witness]\naddresses = none\n[mail]\nto = a@b\n"
            f"[nagios]\nuser = {ME}\n[paths]\nstate = {self.state.directory}\n[ssh]\nport = 1\ntimeout = 2\n{extra}"
        )

    def role(self, role: Role) -> None:
        self.state.write_role(RoleRecord(role, "other", 3, "", int(time.time()) - 100))

    def copied(self, age: int) -> None:
        copies = Copies(self.state.directory, "other")
        copies.make()
        now = time.time()
        copies.write_record(CopyRecord(now - age, int(now) - age, 0.0, 0.3, 100, 200, "nagios.log", "archives"))

    def check(self, *arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [DOOR, "-C", self.config, *arguments],
            capture_output=True,
            text=True,
            cwd="/tmp",
            env={"PATH": "/usr/bin:/bin"},
            timeout=30,
        )
        assert done.stderr == ""
        return done.returncode, done.stdout.replace(THIS, "HOST")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_where_it_is_not_configured_it_does_nothing(site: Site) -> None:
    site.configure("")
    assert site.check() == (0, "SYNC OK - HOST: no copy is configured ([sync] watch)\n")
    assert not (site.state.directory / "sync").exists()


@pytest.mark.parametrize("role", [Role.MASTER, Role.TAKING_OVER, Role.STANDING_DOWN])
def test_it_stops_by_itself_where_this_host_is_no_standby(site: Site, role: Role) -> None:
    site.role(role)
    assert site.check() == (0, f"SYNC OK - HOST: role {role} (term 3): nothing is copied\n")
    assert not (site.state.directory / "sync").exists()


def test_without_any_copy_it_is_critical(site: Site) -> None:
    site.role(Role.STANDBY)
    code, output = site.check()
    assert code == 2 and output.startswith(f"SYNC CRITICAL - HOST: there is no copy of other's state; {REFUSED}")


@pytest.mark.parametrize(("age", "code", "word"), [(5, 0, "OK"), (90, 1, "WARNING"), (400, 2, "CRITICAL")])
def test_a_pull_that_fails_counts_by_the_age_of_what_is_there(site: Site, age: int, code: int, word: str) -> None:
    site.role(Role.STANDBY)
    site.copied(age)
    status, output = site.check()
    assert status == code and output.startswith(f"SYNC {word} - HOST: the copy of other's state is {age}"[:-1])
    assert REFUSED in output and ";60;300;0 log_size=200B;;;0 pull_time=0.3s;;;0 status_size=100B;;;0" in output


def test_the_ages_can_be_given(site: Site) -> None:
    site.role(Role.STANDBY)
    site.copied(50)
    assert site.check("-w", "10", "-c", "1000")[0] == 1
    assert site.check("-w", "10", "-c", "20")[0] == 2


def test_without_a_role_it_does_not_guess(site: Site) -> None:
    code, output = site.check()
    assert code == 3 and output.startswith("SYNC UNKNOWN - the role file ")


@pytest.mark.parametrize("arguments", [["-w", "x:y"], ["--nonsense"], ["-h"]])
def test_wrong_usage_is_unknown(site: Site, arguments: list[str]) -> None:
    assert site.check(*arguments)[0] == 3
