"""handlers/process_perfdata as Nagios runs it, by each shell that may be /bin/sh; the loader beside it is a stand-in."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "handlers" / "process_perfdata"
SHELLS = [
    pytest.param(shell, marks=pytest.mark.skipif(not shutil.which(shell[0]), reason=f"{shell[0]} is not installed"), id=shell[0])
    for shell in (["dash"], ["busybox", "sh"], ["bash", "--posix"])
]
MOMENT = "1763822531"
USAGE = "usage: process_perfdata [-H] [-C CONFIG] STATE [MOMENT]\n"


class Door:
    """A STATE directory, and the script installed beside a loader that notes how it was called and what it was given."""

    def __init__(self, directory: Path, shell: list[str]) -> None:
        self.shell = shell
        self.state = directory / "state dir"  # a name that a careless script would split
        self.perfdata = self.state / "perfdata"
        self.queue = self.perfdata / "queue"
        self.spool = self.perfdata / "spool"
        self.perfdata.mkdir(parents=True)
        self.bin = directory / "bin"
        self.bin.mkdir()
        shutil.copy(SCRIPT, self.bin)
        self.started = directory / "started"
        self.loader(f'printf "%s|" "$@" >>"{self.started}"; echo "it cannot start" >&2\n')
        self.role("master")

    def loader(self, script: str) -> None:
        loader = self.bin / "nagios-failover-loader"
        loader.write_text(f"#!/bin/sh\n{script}")
        loader.chmod(0o755)

    def role(self, word: str) -> None:
        (self.state / "role").write_text(f"role={word}\nmaster=yasu\nterm=3\nrun=-\nsince=1\n")

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """In Nagios's environment: no HOME, cwd /tmp, an empty environment."""
        given = arguments or (str(self.state), MOMENT)
        return subprocess.run(
            [*self.shell, str(self.bin / "process_perfdata"), *given],
            capture_output=True, text=True, env={}, cwd="/tmp", timeout=10, check=False,
        )  # fmt: skip

    def call_well(self, *arguments: str) -> None:
        done = self.call(*arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def now(self) -> int:
        """By the shell's own clock: in a new second bash's is some milliseconds behind the other."""
        argv = [*self.shell, "-c", 'echo "${EPOCHSECONDS:-$(date +%s)}"']
        return int(subprocess.run(argv, capture_output=True, check=True, text=True, timeout=10).stdout)

    def queued(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.queue.iterdir()} if self.queue.is_dir() else {}

    def loader_started(self, within: float = 10.0) -> bool:
        deadline = time.monotonic() + within
        while not self._has_said() and time.monotonic() < deadline:
            time.sleep(0.01)
        return self._has_said()

    def _has_said(self) -> bool:
        """The file is there a moment before its text."""
        return self.started.exists() and self.started.stat().st_size > 0


@pytest.fixture(params=SHELLS)
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Door:
    return Door(tmp_path, request.param)


@pytest.fixture
def live_loader(door: Door) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is called as the loader calls itself, with its PID in the loader's file."""
    name = "import sys; open('/proc/self/comm', 'w').write('perfdata-loader'); print(flush=True); sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    (door.perfdata / "loader.pid").write_text(f"{process.pid:<10}\n")
    yield process
    process.kill()
    process.wait()


def test_the_spool_is_queued_under_the_moment_of_the_call(door: Door) -> None:
    door.spool.write_text("1\tweb1\tHTTP\n")
    door.call_well()
    ((name, text),) = door.queued().items()
    moment, _, counter = name.partition(".")
    assert (moment, counter.isdigit(), text) == (MOMENT, True, "1\tweb1\tHTTP\n")
    assert not door.spool.exists()


def test_a_call_without_perfdata_is_a_heartbeat_too(door: Door) -> None:
    door.call_well()
    assert [(name.partition(".")[0], text) for name, text in door.queued().items()] == [(MOMENT, "")]


def test_two_calls_of_one_second_are_two_files(door: Door) -> None:
    """Even when the process number comes round again within that second."""
    door.queue.mkdir()
    take_the_name = (
        "import os, sys; queue, moment, *script = sys.argv[1:]\n"
        "open(f'{queue}/{moment}.{os.getpid()}', 'w').write('first')\n"
        "os.execvp(script[0], script)"
    )
    door.spool.write_text("second")
    script = [*door.shell, str(door.bin / "process_perfdata"), str(door.state), MOMENT]
    subprocess.run([sys.executable, "-c", take_the_name, str(door.queue), MOMENT, *script], env={}, check=True, timeout=10)
    assert sorted(door.queued().values()) == ["first", "second"]


@pytest.mark.parametrize("moment", ["", "$TIMET$", "17638225311", "1;2", "-5"])
def test_a_moment_that_is_none_is_the_clocks(door: Door, moment: str) -> None:
    before = door.now()
    door.call_well(str(door.state), moment)
    (name,) = door.queued()
    assert before <= int(name.partition(".")[0]) <= time.time()


@pytest.mark.parametrize("role", ["standby", "taking-over", "standing-down"])
def test_a_host_that_is_not_the_master_keeps_no_spool(door: Door, role: str) -> None:
    door.role(role)
    door.spool.write_text("1\tweb1\tHTTP\n")
    door.call_well()
    assert door.spool.read_text() == ""
    assert door.queued() == {}
    assert not door.loader_started(within=0.3)


@pytest.mark.parametrize("text", [None, "", "rol", "role=mast\n", "\0\0\0\0"])
def test_without_a_readable_role_nothing_is_thrown_away(door: Door, text: str | None) -> None:
    path = door.state / "role"
    path.unlink() if text is None else path.write_text(text)
    door.spool.write_text("kept")
    door.call_well()
    assert list(door.queued().values()) == ["kept"]


def test_the_loader_is_started_with_the_state_and_the_configuration(door: Door) -> None:
    door.call_well("-C", "/etc/other dir/x.cfg", str(door.state), MOMENT)
    assert door.loader_started()
    assert door.started.read_text() == f"-C|/etc/other dir/x.cfg|{door.state}|"


def test_the_loader_holds_nothing_that_nagios_waits_for(door: Door) -> None:
    """subprocess, like Nagios, reads until the last writer has closed: a loader with our pipes would keep it for 30 s."""
    door.loader(f"echo $$ >'{door.started}'; exec sleep 30")
    began = time.monotonic()
    door.call_well()
    assert time.monotonic() - began < 5
    assert door.loader_started()
    os.kill(int(door.started.read_text()), signal.SIGKILL)


def test_what_a_loader_that_cannot_start_says_is_kept_once(door: Door) -> None:
    for _ in range(3):
        door.call_well()
        assert door.loader_started()
        time.sleep(0.1)
    assert (door.perfdata / "loader.err").read_text() == "it cannot start\n"


def test_a_loader_that_runs_is_not_started_again(door: Door, live_loader: subprocess.Popen[bytes]) -> None:
    door.call_well()
    assert not door.loader_started(within=0.3)
    assert len(door.queued()) == 1


def test_a_killed_loader_is_started_anew(door: Door, live_loader: subprocess.Popen[bytes]) -> None:
    live_loader.kill()
    live_loader.wait()
    door.call_well()
    assert door.loader_started()


def test_a_zombie_is_no_loader(door: Door, live_loader: subprocess.Popen[bytes]) -> None:
    live_loader.kill()
    stat = Path(f"/proc/{live_loader.pid}/stat")
    while stat.read_text().split()[2] != "Z":
        time.sleep(0.01)
    door.call_well()
    assert door.loader_started()


@pytest.mark.parametrize("text", ["", "0         \n", "-1\n", "1\n", "x\n", "OWN\n", "4194305\n", "12 34"])
def test_a_pid_file_that_names_no_loader_starts_one(door: Door, text: str) -> None:
    """1 and this test's own number are processes, but none of ours."""
    (door.perfdata / "loader.pid").write_text(text.replace("OWN", str(os.getpid())))
    door.call_well()
    assert door.loader_started()


def test_a_loader_that_is_not_installed_does_not_stop_the_queue(door: Door) -> None:
    (door.bin / "nagios-failover-loader").unlink()
    door.call_well()
    assert len(door.queued()) == 1
    said = door.perfdata / "loader.err"
    deadline = time.monotonic() + 10
    while not (said.exists() and "nagios-failover-loader" in said.read_text()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "nagios-failover-loader" in said.read_text()


def test_a_host_whose_loader_never_starts_keeps_the_newest_and_counts_what_goes(door: Door) -> None:
    script = door.bin / "process_perfdata"
    script.write_text(script.read_text().replace("backstop=25000", "backstop=100"))
    door.queue.mkdir()
    for number in range(103):
        (door.queue / f"{1763800000 + number}.1").write_text("a line\n" * number)
    door.call_well()
    assert door.loader_started(within=10)
    names = sorted(door.queued())
    assert 100 <= len(names) <= 101, "the call's own file may come before or after the count"
    assert (names[0], names[-1].partition(".")[0]) in {("1763800003.1", MOMENT), ("1763800004.1", MOMENT)}
    counted = (door.perfdata / "dropped.backstop").read_text().splitlines()
    assert counted[:3] == ["1763800000.1 0", "1763800001.1 1", "1763800002.1 2"]


def test_hosts_have_a_spool_of_their_own_and_the_same_queue(door: Door) -> None:
    """Nagios holds both files open: what it writes to one that was renamed under it would be lost."""
    door.spool.write_text("service")
    (door.perfdata / "host-spool").write_text("host")
    door.call_well("-H", str(door.state), MOMENT)
    assert (list(door.queued().values()), door.spool.read_text()) == (["host"], "service")
    door.call_well()
    assert sorted(door.queued().values()) == ["host", "service"]


def test_a_standby_keeps_no_host_spool(door: Door) -> None:
    door.role("standby")
    (door.perfdata / "host-spool").write_text("host")
    door.call_well("-H", str(door.state), MOMENT)
    assert ((door.perfdata / "host-spool").read_text(), door.queued()) == ("", {})


def test_the_first_call_makes_the_directories(door: Door) -> None:
    shutil.rmtree(door.perfdata)
    door.call_well()
    assert len(door.queued()) == 1


def test_a_named_pipe_as_spool_is_left_alone(door: Door) -> None:
    os.mkfifo(door.spool)
    door.call_well()
    assert list(door.queued().values()) == [""]
    assert door.spool.is_fifo()


def test_a_missing_state_directory_is_said_and_not_made(door: Door) -> None:
    shutil.rmtree(door.state)
    done = door.call()
    sentence = f"process_perfdata: the state directory {door.state} is not there (not mounted?)\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", sentence)
    assert not door.state.exists()
    assert not door.loader_started(within=0.3)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "0 arguments, expected the state directory and perhaps $TIMET$"),
        (["/a", "1", "2"], "3 arguments, expected the state directory and perhaps $TIMET$"),
        (["var/lib"], "the state directory 'var/lib' is not an absolute path"),
        (["-x", "/a"], "unknown option, or -C without its file"),
        (["-C"], "unknown option, or -C without its file"),
    ],
)
def test_wrong_usage_is_a_sentence(door: Door, arguments: list[str], sentence: str) -> None:
    done = subprocess.run(
        [*door.shell, str(door.bin / "process_perfdata"), *arguments], capture_output=True, text=True, timeout=10, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"process_perfdata: {sentence}\n{USAGE}")
