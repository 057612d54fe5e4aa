"""nagios-failover-loader as process_perfdata starts it: a real process, without a database."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-m", "nagios_failover.load_perfdata"]
TOP = Path(__file__).resolve().parents[2]


class Door:
    """A STATE directory, a configuration that names it, and this user as the Nagios user."""

    def __init__(self, directory: Path) -> None:
        self.state = directory / "state"
        self.queue = self.state / "perfdata" / "queue"
        self.queue.mkdir(parents=True)
        self.config = directory / "nagios-failover.cfg"
        self.configure()
        self.role("master")

    def configure(self, database: str = "linger = 0.2\npoll = 0.05") -> None:
        self.config.write_text(
            f"[host {socket.gethostname()}]\n[host other]\n[nagios]\nuser = {getpass.getuser()}\n[paths]\nstate = {self.state}\n"
            f"[witness]\naddresses = none\n[mail]\nto = a@example.org\n[database]\n{database}\n"
        )

    def role(self, word: str) -> None:
        (self.state / "role").write_text(f"role={word}\nmaster=other\nterm=3\nrun=-\nsince=1\n")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        given = arguments or ("-C", str(self.config), str(self.state))
        pipe = subprocess.PIPE
        return subprocess.Popen([*PROGRAM, *given], stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=TOP)

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """(exit code, standard output, standard error)"""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=20)
        return process.returncode, out, err

    def log(self) -> list[str]:
        return [line.partition("] ")[2] for line in (self.state / "perfdata" / "loader.log").read_text().splitlines()]


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def wait(predicate: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not predicate():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_empties_the_queue_lingers_and_ends(door: Door) -> None:
    (door.queue / "1763822531.7").write_text("perfdata\n")
    assert door.run() == (0, "", "")
    assert list(door.queue.iterdir()) == []
    assert door.log() == ["started; [database] socket is not set: no heartbeat is written", "ended: no spool for 0.2 s"]


def test_on_a_standby_it_ends_at_once(door: Door) -> None:
    door.role("standby")
    door.configure("linger = 1h")
    assert door.run() == (0, "", "")
    assert door.log()[-1] == "ended: the role is standby: only a master's loader writes"


def test_a_second_one_ends_quietly(door: Door) -> None:
    door.configure("linger = 1h")
    first = door.start()
    try:
        wait(lambda: (door.state / "perfdata" / "loader.pid").exists() and (door.state / "perfdata" / "loader.log").exists())
        assert door.run() == (0, "", "")
        assert door.log() == ["started; [database] socket is not set: no heartbeat is written"]
    finally:
        first.kill()
        first.communicate()


def test_it_leaves_what_it_was_started_from(door: Door) -> None:
    """Its own session and name; whoever reads what it printed reads to the end while it runs."""
    door.configure("linger = 1h")
    process = door.start()
    try:
        wait(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "perfdata-loader\n")
        assert os.getsid(process.pid) == process.pid
        assert process.stdout
        assert process.stdout.read() == ""
        assert Path(f"/proc/{process.pid}/cwd").readlink() == Path("/")
        pid_file = door.state / "perfdata" / "loader.pid"
        wait(lambda: pid_file.exists() and pid_file.read_text().strip() == str(process.pid))
    finally:
        process.kill()
        process.communicate()


def test_a_missing_configuration_is_said(door: Door) -> None:
    door.config.unlink()
    assert door.run() == (
        2,
        "",
        f"error: configuration file {door.config} does not exist\nhint: copy nagios-failover.cfg.sample there\n",
    )


def test_another_state_directory_than_the_configurations_is_said(door: Door) -> None:
    code, out, err = door.run("-C", str(door.config), "/var/lib/other")
    assert (code, out) == (2, "")
    assert err == (
        f"error: process_perfdata was called for /var/lib/other, but [paths] state is {door.state}\n"
        "hint: name that directory in the command_line of process-perfdata\n"
    )


def test_a_state_directory_that_cannot_be_written_is_said(door: Door) -> None:
    (door.state / "perfdata" / "loader.pid").mkdir()
    code, out, err = door.run()
    assert (code, out) == (1, "")
    assert err == (
        f"error: cannot lock {door.state}/perfdata/loader.pid: Is a directory\nhint: the directory belongs to the Nagios user\n"
    )


def test_it_starts_light() -> None:
    """The driver is loaded with the first heartbeat, and nothing of what runs, mails or prints tables ever."""
    loaded = (
        "import nagios_failover.load_perfdata, sys; print(sorted({'fabric', 'pymysql', 'smtplib', 'rich', 'ssl'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, cwd=TOP, check=True)
    assert done.stdout == "[]\n"
