"""check_replication as Nagios runs it, where there is no server to be looked at: whole output, exit code. What it says of real
servers is tests/e2e's."""

import os
import pwd
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nagios_failover.role import RoleRecord
from nagios_failover.state_files import StateFiles
from nagios_failover.words import Role

ME = pwd.getpwuid(os.geteuid()).pw_name
THIS = socket.gethostname().partition(".")[0]
DOOR = Path(sys.executable).parent / "check_replication"


class Site:
    def __init__(self, directory: Path) -> None:
        self.socket = directory / "mysqld.sock"
        self.state = StateFiles(directory / "state")
        self.state.directory.mkdir()
        self.config = directory / "nagios-failover.cfg"
        self.configure(f"[database]\nsocket = {self.socket}\n[replication]\nwatch = yes\ntimeout = 1\n")
        self.state.write_role(RoleRecord(Role.STANDBY, "other", 3, "", int(time.time()) - 100))

    def configure(self, extra: str) -> None:
        self.config.write_text(
            f"[host {THIS}]\n[host other]\naddress = 127.0.0.1\n[witness]\naddresses = none\n[mail]\nto = a@b\n"
            f"[nagios]\nuser = {ME}\n[paths]\nstate = {self.state.directory}\n{extra}"
        )

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


def test_where_it_is_not_configured_it_is_harmless(site: Site) -> None:
    site.configure("")
    assert site.check() == (0, "REPLICATION OK - HOST: no replication is configured ([replication] watch)\n")


def test_without_a_role_nothing_can_be_judged(site: Site) -> None:
    site.state.role_path.unlink()
    code, said = site.check()
    assert code == 3
    assert said.startswith("REPLICATION UNKNOWN - ") and "\nhint: " in said


def test_a_server_that_does_not_run_is_critical(site: Site) -> None:
    code, said = site.check()
    assert code == 2
    assert said.startswith("REPLICATION CRITICAL - HOST: database: Can't connect to MySQL server on 'localhost'")
    assert said.endswith("\nhint: is its database server running?\n")


def test_a_frozen_server_is_critical_within_its_time(site: Site) -> None:
    """The kernel accepts for it, and nobody answers."""
    with socket.socket(socket.AF_UNIX) as frozen:
        frozen.bind(str(site.socket))
        frozen.listen()
        began = time.monotonic()
        code, said = site.check()
        took = time.monotonic() - began
    assert (code, "REPLICATION CRITICAL - HOST: database: " in said) == (2, True), said
    assert took < 10, "1 s for connecting, 1 s for the handshake, and a start on a busy machine"


@pytest.mark.parametrize("arguments", [("--nonsense",), ("-w", "a:b"), ("-C", "/nowhere")])
def test_wrong_usage_is_unknown(site: Site, arguments: tuple[str, ...]) -> None:
    code, said = site.check(*arguments)
    assert code == 3
    assert said.startswith("REPLICATION UNKNOWN - ")
