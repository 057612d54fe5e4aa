"""The probe that runs on the other host: real POSIX sh, real processes, and what is made of its lines."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from nagios_failover.errors import CouldNotLook
from nagios_failover.evidence import Blocked, HostReport, PauseMarker, Process
from nagios_failover.remote import parse_report, probe_script
from nagios_failover.role import RoleRecord
from nagios_failover.words import Flag, Role

SHELLS = [
    [found, *rest] for name, *rest in (["dash"], ["bash", "--posix"], ["busybox", "sh"], ["ksh"]) if (found := shutil.which(name))
]
NO_PROC = "proc=/nowhere\n"
STATUS = """########################################
info {{
\tcreated={created}
\tversion=4.4.6
\t}}

programstatus {{
\tmodified_host_attributes=0
\tnagios_pid={pid}
\tprogram_start=1700000000
\tenable_notifications=1
\tactive_service_checks_enabled=1
\tactive_host_checks_enabled=0
\t}}

hoststatus {{
\tenable_notifications=0
\tnagios_pid=1
\t}}
"""


def test_the_shell_that_debian_uses_is_among_those_tried() -> None:
    assert any(Path(shell[0]).name == "dash" for shell in SHELLS)


@dataclass
class Site:
    """A Nagios host in a directory."""

    top: Path
    shell: list[str]
    before: str = ""

    @property
    def status(self) -> Path:
        return self.top / "var" / "status.dat"

    def probe(self) -> str:
        script = probe_script(str(self.top / "nagios.cfg"), str(self.top / "it's state"))
        done = subprocess.run(
            [*self.shell, "-s"], input=self.before + script, capture_output=True, text=True, timeout=20, check=True
        )
        assert done.stderr == ""
        return done.stdout

    def report(self) -> HostReport:
        return parse_report(self.probe())

    def write_status(self, pid: int, age: float = 3) -> None:
        self.status.write_text(STATUS.format(created=int(time.time() - age), pid=pid))


@pytest.fixture(params=SHELLS, ids=lambda shell: Path(shell[0]).name)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    (tmp_path / "var").mkdir()
    (tmp_path / "nagios.cfg").write_text(
        "# status_file=/wrong\nstatus_file=/also/wrong\n"
        f" status_file = {tmp_path}/var/status.dat \r\nlock_file={tmp_path}/var/nagios.lock\n"
    )
    return Site(tmp_path, request.param)


@contextmanager
def running(directory: Path, name: str = "nagios4", *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is called like this, for as long as the block lasts."""
    program = directory / name
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    process = subprocess.Popen([str(program), "60", *arguments])
    try:
        time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()
        program.unlink()


def test_a_living_nagios(site: Site) -> None:
    with running(site.top) as nagios:
        site.write_status(nagios.pid)
        report = site.report()
    assert (report.process, report.pid) == (Process.RUNNING, nagios.pid)
    assert report.status_age is not None and 2 <= report.status_age <= 5
    assert report.flags == {Flag.NOTIFICATIONS: True, Flag.SERVICE_CHECKS: True, Flag.HOST_CHECKS: False}
    assert (report.role, report.role_problem) == (None, f"there is no {site.top}/it's state")


@pytest.mark.parametrize(("ago", "told"), [(30, 30.0), (0, 0.0), (-1, 0.0), (-3600, float("inf"))])
def test_a_look_in_the_future_is_one_before_the_clock_was_set_back(site: Site, ago: int, told: float) -> None:
    (site.top / "it's state").mkdir()
    looks = site.top / "it's state" / "looks"
    looks.write_text("")
    os.utime(looks, (time.time() - ago,) * 2)
    site.write_status(os.getpid())
    assert site.report().looked_ago == pytest.approx(told, abs=2)


def test_without_proc_ps_is_asked(site: Site) -> None:
    site.before = NO_PROC
    with running(site.top) as nagios:
        site.write_status(nagios.pid)
        assert site.report().process is Process.RUNNING
        nagios.send_signal(19)
        assert site.report().process is Process.STOPPED


def test_a_stopped_process(site: Site) -> None:
    with running(site.top) as nagios:
        site.write_status(nagios.pid)
        nagios.send_signal(19)
        assert site.report().process is Process.STOPPED


def test_a_killed_nagios_is_missing_and_so_is_a_zombie(site: Site) -> None:
    with running(site.top) as nagios:
        site.write_status(nagios.pid)
        nagios.kill()
        time.sleep(0.1)
        assert site.report().process is Process.MISSING  # nobody has waited for it: a zombie
        nagios.wait()
        assert site.report().process is Process.MISSING
        site.before = NO_PROC
        assert site.report().process is Process.MISSING


@pytest.mark.parametrize("before", ["", NO_PROC], ids=["proc", "ps"])
def test_a_pid_that_is_somebody_else_s_by_now_is_not_nagios(site: Site, before: str) -> None:
    site.before = before
    for name, arguments in (("vim", ()), ("nagios-failover", ()), ("check_nagios", ()), ("nagios4", ("--worker",))):
        # sleep takes no option: only a shell in its place keeps the argument.
        if arguments:
            program = site.top / name
            program.write_text("#!/bin/sh\nsleep 60 & wait\n")
            program.chmod(0o755)
            process = subprocess.Popen([name, "-c", "while :; do sleep 0.2; done", *arguments], executable="/bin/sh")
        else:
            process = None
        try:
            if process:
                time.sleep(0.05)
                site.write_status(process.pid)
                assert site.report().process is Process.MISSING
            else:
                with running(site.top, name) as other:
                    site.write_status(other.pid)
                    assert site.report().process is Process.MISSING
        finally:
            if process:
                process.kill()
                process.wait()


def test_a_child_with_the_command_line_of_its_parent_is_not_the_main_process(site: Site) -> None:
    """The command-file child outlives a kill -9 for seconds."""
    script = "import os, time\npid = os.fork()\nif pid: print(pid, flush=True)\ntime.sleep(60)"
    with subprocess.Popen(["nagios4", "-c", script], executable=sys.executable, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        try:
            site.write_status(child)
            assert site.report().process is Process.MISSING
            site.write_status(parent.pid)
            assert site.report().process is Process.RUNNING
        finally:
            os.kill(child, 9)
            parent.kill()


def test_a_status_file_that_is_gone_where_there_is_no_ps(site: Site) -> None:
    site.before += 'command() { [ ps != "$2" ]; }\n'
    assert site.report().process == Blocked(
        "Nagios's process cannot be looked for: there is no ps there", "install it there (on Debian: procps)"
    )


def test_a_status_file_that_is_gone(site: Site) -> None:
    report = site.report()
    assert (report.process, report.pid, report.status_age, report.status_created) == (Process.MISSING, None, None, None)
    os.utime(site.status.parent, (time.time() - 100, time.time() - 100))
    assert 99 <= site.report().gone_for <= 103


def test_a_status_file_that_is_gone_while_the_lock_file_names_a_living_nagios(site: Site) -> None:
    with running(site.top) as nagios:
        (site.top / "var" / "nagios.lock").write_text(f"{nagios.pid}\n")
        report = site.report()
        assert (report.process, report.pid, report.status_age) == (Process.RUNNING, nagios.pid, None)
    assert site.report().process is Process.MISSING


def test_a_status_file_that_is_gone_and_no_lock_file_but_a_nagios_of_this_nagios_cfg(site: Site) -> None:
    """In the foreground, under systemd, Nagios writes no lock file."""
    loop = "while :; do sleep 0.2; done"
    for arguments, seen in (((str(site.top / "nagios.cfg"),), Process.RUNNING), (("/other/nagios.cfg",), Process.MISSING)):
        process = subprocess.Popen(["/usr/sbin/nagios4", "-c", loop, *arguments], executable="/bin/sh")
        try:
            time.sleep(0.05)
            assert site.report().process is seen
        finally:
            process.kill()
            process.wait()


def test_without_a_ps_that_shows_everybody_nothing_is_proved_by_name(site: Site) -> None:
    site.before = "ps() { return 1; }\n"
    assert isinstance(site.report().process, Blocked)


@pytest.mark.parametrize("text", ["", "info {\n", STATUS[:80], "x" * 500_000])
def test_a_status_file_that_is_cut_off_or_something_else_is_not_looked_at(site: Site, text: str) -> None:
    site.status.write_text(text)
    assert site.report().process == Blocked(f"{site.status} is not complete", "is the disk full there?")


def test_a_status_file_of_64_mb_is_read_at_its_top_only(site: Site) -> None:
    site.write_status(1)
    with site.status.open("a") as file:
        file.truncate(64 << 20)
    started = time.monotonic()
    assert site.report().pid == 1
    assert time.monotonic() - started < 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_what_an_account_may_not_read_is_blocked_and_never_gone(site: Site) -> None:
    site.write_status(1)
    state = site.top / "it's state"
    state.mkdir()
    (state / "role").write_text("role=master\nmaster=yasu\nterm=3\nrun=-\nsince=5\n")
    reasons = []
    for path in (site.status, site.status.parent, state / "role", state, site.top / "nagios.cfg"):
        mode = path.stat().st_mode
        path.chmod(0o700 if path.is_dir() else 0o600)
        report = parse_report(_as_nobody(site))
        reasons.append(report.process.reason if isinstance(report.process, Blocked) else report.role_problem)
        path.chmod(mode)
    assert reasons == [
        f"{site.status} is not readable",
        f"the directory of {site.status} cannot be entered",
        f"{state}/role is not readable",
        f"{state} cannot be entered",
        f"{site.top}/nagios.cfg is not readable",
    ]


def _as_nobody(site: Site) -> str:
    for directory in (site.top, *site.top.parents):
        if directory.stat().st_mode & 0o001 == 0 and directory != Path("/"):
            directory.chmod(directory.stat().st_mode | 0o011)
    script = probe_script(str(site.top / "nagios.cfg"), str(site.top / "it's state"))
    done = subprocess.run(
        [*site.shell, "-s"],
        input=script,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
        user=65534,
        group=65534,
        extra_groups=[],
    )
    return done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_another_user_s_process_is_seen_though_it_may_not_be_signalled(site: Site) -> None:
    with running(site.top) as nagios:
        site.write_status(nagios.pid)
        assert parse_report(_as_nobody(site)).process is Process.RUNNING


def test_role_and_pause_come_with_it(site: Site) -> None:
    state = site.top / "it's state"
    state.mkdir()
    (state / "role").write_text("role=master\nmaster=yasu\nterm=3\nrun=20261122T142501-abcd\nsince=5\nhandover=nabira\n")
    (state / "paused").write_text(f"until={int(time.time()) + 60}\nby=ada\nreason=new = disk\nsince=1\n")
    report = site.report()
    assert report.role == RoleRecord(Role.MASTER, "yasu", 3, "20261122T142501-abcd", 5, "nabira")
    assert report.paused is not None and (report.paused.by, report.paused.reason) == ("ada", "new = disk")
    (state / "paused").write_text(f"until={int(time.time()) - 1}\nby=ada\nreason=\nsince=1\n")
    (state / "role").write_text("role=mas")
    report = site.report()
    assert (report.role, report.paused) == (None, None)
    assert "garbled" in report.role_problem


# ---- what is made of the lines ----


LINES = "nagios-failover-probe 1\nnow 1000\nstatus.created 990\npid 7\nprocess exists\nprocess.state S\nprocess.comm nagios4\nend\n"


def edited(edit: Callable[[str], str]) -> HostReport:
    return parse_report(edit(LINES))


def test_what_a_login_shell_says_before_does_not_matter() -> None:
    assert parse_report("Welcome to yasu!\nnow 5\n" + LINES).status_age == 10


@pytest.mark.parametrize("text", ["", "This account is currently not available.\n", LINES[:-4], "nagios-failover-probe 1\n"])
def test_lines_that_are_cut_off_or_somebody_else_s(text: str) -> None:
    with pytest.raises(CouldNotLook, match="cut off or is something else"):
        parse_report(text)


def test_a_clock_that_cannot_be_read_is_no_age() -> None:
    with pytest.raises(CouldNotLook, match="clock cannot be read"):
        edited(lambda lines: lines.replace("now 1000", "now %s"))


def test_a_clock_set_back_is_an_age_below_zero() -> None:
    assert edited(lambda lines: lines.replace("now 1000", "now 900")).status_age == -90


@pytest.mark.parametrize("said", ["process hidden", "process unknown kill: bad pid", ""])
def test_a_process_that_cannot_be_looked_at_is_blocked(said: str) -> None:
    assert isinstance(edited(lambda lines: lines.replace("process exists", said)).process, Blocked)


def test_a_nagios_under_another_name_is_the_configured_program() -> None:
    other = LINES.replace("nagios4", "shinken")
    assert parse_report(other).process is Process.MISSING
    assert parse_report(other, binary="shinken").process is Process.RUNNING


def test_a_garbled_pause_marker_pauses_too() -> None:
    report = edited(lambda lines: lines.replace("end\n", "paused: unt\nend\n"))
    assert report.paused == PauseMarker(by="unknown", reason="its pause marker is garbled", since=1000, until=None)


def test_paths_with_quotes_and_commands_in_them_are_only_paths(tmp_path: Path) -> None:
    script = probe_script(f"{tmp_path}/$(touch {tmp_path}/ran)'\"", "`id`")
    done = subprocess.run(["sh", "-s"], input=script, capture_output=True, text=True, timeout=20, check=True)
    assert not (tmp_path / "ran").exists()
    assert isinstance(parse_report(done.stdout).process, Blocked)
