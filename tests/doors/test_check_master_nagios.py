"""check_master_nagios as Nagios starts it: a subprocess, its whole output and its exit code.

The other host is a directory: `ssh` is a script on the path that runs what it is given by sh, here; the probe, the processes and
the plugin are real. (Real hosts: tests/e2e/test_check_master.py.)
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = socket.gethostname()
USER = pwd.getpwuid(os.geteuid()).pw_name
STATUS = (
    "info {{\n\tcreated={created}\n\t}}\nprogramstatus {{\n\tnagios_pid={pid}\n\tenable_notifications=1\n"
    "\tactive_service_checks_enabled=1\n\tactive_host_checks_enabled=1\n\t}}\n"
)
SENTENCE = r"yasu: Nagios \(PID \d+\) is alive, status.dat is [2-9] s old"
STATE_WORDS = ["OK", "WARNING", "CRITICAL", "UNKNOWN"]


class Site:
    """This host, a standby, and the other one in the directory `there`."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.there = top / "there"
        self.there.mkdir()
        (self.there / "nagios.cfg").write_text(f"status_file={self.there}/status.dat\n")
        self.state = top / "state"
        self.state.mkdir(mode=0o750)
        (self.state / "role").write_text("role=standby\nmaster=yasu\nterm=1\nrun=-\nsince=1\n")
        self.cfg = top / "nagios-failover.cfg"
        self.configure()
        (top / "bin").mkdir()
        self.ssh('shift $(($# - 1)); eval "$1"')

    def configure(self, *lines: str, mode: int = 0o640) -> None:
        self.cfg.write_text(
            f"[host {HERE}]\n[host yasu]\naddress = 127.0.0.1\nnagios_cfg = {self.there}/nagios.cfg\n"
            f"[nagios]\nuser = {USER}\n[paths]\nstate = {self.state}\n"
            "[witness]\naddresses = none\n[mail]\nto = oncall@example.org\n" + "".join(line + "\n" for line in lines)
        )
        self.cfg.chmod(mode)

    def ssh(self, script: str) -> None:
        (self.top / "bin" / "ssh").write_text(f"#!/bin/sh\n{script}\n")
        (self.top / "bin" / "ssh").chmod(0o755)

    def run(
        self, *arguments: str, config: Path | None = None, path: str = "", flags: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """In Nagios's own surroundings: cwd /tmp, no HOME."""
        chosen = ("-C", str(config or self.cfg)) if "-H" not in arguments else ()
        return subprocess.run(
            [sys.executable, *flags, "-m", "nagios_failover.plugins.check_master_nagios", *chosen, *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            cwd="/tmp",
            env={"PATH": f"{self.top}/bin:/usr/bin:/bin", "PYTHONPATH": path},
            check=False,
        )

    def said(self, *arguments: str, **more: str) -> tuple[str, str]:
        """The state and the output, which agree; nothing on standard error."""
        done = self.run(*arguments, path=more.get("path", ""))
        assert done.stderr == ""
        assert done.stdout.startswith(f"MASTER {STATE_WORDS[done.returncode]} - "), done.stdout
        return STATE_WORDS[done.returncode], done.stdout


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def nagios(site: Site) -> Iterator[subprocess.Popen[bytes]]:
    """A process of that name on the other host, and the status file that names it."""
    program = site.there / "nagios4"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    process = subprocess.Popen([str(program), "60"])
    (site.there / "status.dat").write_text(STATUS.format(created=int(time.time()) - 2, pid=process.pid))
    yield process
    process.kill()
    process.wait()


def test_alive(site: Site, nagios: subprocess.Popen[bytes]) -> None:
    state, output = site.said()
    assert state == "OK"
    assert re.fullmatch(rf"MASTER OK - {SENTENCE} \| ssh_time=0\.\d+s;;;0 status_age=[2-9]s;30;60;0\n", output)
    assert (site.state / "looks").read_text().count("\n") == 1


def test_the_evidence_under_it(site: Site, nagios: subprocess.Popen[bytes]) -> None:
    _, output = site.said("-v")
    assert re.fullmatch(
        rf"MASTER OK - {SENTENCE}\n"
        r"ssh: answered in 0\.\d+ s\n"
        rf"process: running \(PID {nagios.pid}\)\n"
        r"status.dat: [2-9] s old\n"
        r"flags: notifications on, service checks on, host checks on\n"
        r"role: standby, term 1\n"  # both hosts have one state directory here
        r"heartbeat: not configured\n"
        r"replication: not configured\n"
        r"\| ssh_time=0\.\d+s;;;0 status_age=[2-9]s;30;60;0\n",
        output,
    )


def test_crashed(site: Site, nagios: subprocess.Popen[bytes]) -> None:
    nagios.kill()
    nagios.wait()
    state, output = site.said()
    assert state == "CRITICAL"
    assert re.match(rf"MASTER CRITICAL - yasu: Nagios has crashed: PID {nagios.pid} is gone, status.dat is [2-9] s old \| ", output)


def test_by_options_alone(site: Site, nagios: subprocess.Popen[bytes]) -> None:
    state, output = site.said("-H", "yasu", "-l", "hb", "--nagios-cfg", f"{site.there}/nagios.cfg")
    assert state == "OK" and re.match(rf"MASTER OK - {SENTENCE} \| ", output)
    assert not (site.state / "looks").exists()


def test_thresholds_are_ranges_and_stand_in_the_perfdata(site: Site, nagios: subprocess.Popen[bytes]) -> None:
    state, output = site.said("-w", "1", "-c", "100")
    assert state == "WARNING" and "beyond the warning age" in output and re.search(r"status_age=[2-9]s;1;100;0", output)
    state, output = site.said("-w", "@10:20", "-c", "~:1")
    assert state == "CRITICAL" and "hangs: status.dat is" in output and re.search(r"status_age=[2-9]s;@10:20;~:1;0", output)
    assert not (site.state / "looks").exists()


def test_could_not_look_is_a_warning_with_a_hint(site: Site) -> None:
    site.ssh("echo 'Host key verification failed.' >&2; exit 255")
    assert site.said() == (
        "WARNING",
        "MASTER WARNING - yasu: could not look: its host key is unknown (Host key verification failed.)\n"
        "hint: add it to known_hosts: ssh-keyscan HOST, compared with the host's own\n",
    )


def test_nothing_of_what_was_said_elsewhere_can_break_the_line(site: Site) -> None:
    site.ssh("printf 'odd|thing; happened\\n\\nthen | this' >&2; exit 255")
    state, output = site.said()
    assert (state, output.splitlines()[0]) == ("WARNING", "MASTER WARNING - yasu: could not look: ssh failed (then / this)")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--bogus",), "unrecognized arguments: --bogus"),
        (("yasu",), "unrecognized arguments: yasu"),
        (("-w", "abc"), "argument -w/--warning: 'abc' is not a range (invalid literal for int() with base 10: 'abc')"),
        (("-c", "9:1"), "argument -c/--critical: '9:1' is not a range (start 9 must not be greater than end 1)"),
        (("-t", "0"), "argument -t/--timeout: '0' is not a number of seconds from 1 to 3600"),
        (("-p", "0"), "argument -p/--port: '0' is not a port"),
        (("-l", "a b"), "argument -l/--logname: 'a b' is not a name"),
        (("-H", "-oProxyCommand=x"), "argument -H/--hostname: expected one argument"),
        (("--hostname=-oProxyCommand=x",), "argument -H/--hostname: '-oProxyCommand=x' is not a name"),
    ],
)
def test_wrong_usage_is_unknown_and_never_critical(site: Site, arguments: tuple[str, ...], sentence: str) -> None:
    done = site.run(*arguments)
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout == f"MASTER UNKNOWN - {sentence}\nhint: check_master_nagios --help\n"


def test_help_and_version(site: Site) -> None:
    done = site.run("--version")
    assert (done.returncode, done.stdout) == (3, "check_master_nagios 0.1.0 (nagios-failover 0.1.0)\n")
    done = site.run("-h")
    assert done.returncode == 3 and done.stdout.startswith("usage: check_master_nagios [-h] [-C FILE]")
    for option in ("-H", "-w", "-c", "-t", "-v", "-V", "-l", "-p", "-C", "--nagios-cfg"):
        assert f"{option} " in done.stdout or f"{option}," in done.stdout


def test_every_mistake_of_the_configuration_and_the_hint_under_the_first_line(site: Site) -> None:
    missing = site.top / "none.cfg"
    done = site.run(config=missing)
    assert (done.returncode, done.stdout) == (
        3,
        f"MASTER UNKNOWN - configuration file {missing} does not exist\nhint: copy nagios-failover.cfg.sample there\n",
    )
    site.configure("[look]", "interval = soon", "[ssh]", "prot = 22")
    assert site.said() == (
        "UNKNOWN",
        f"MASTER UNKNOWN - configuration file {site.cfg} has 2 mistakes\n"
        "[ssh] prot: no such option; hint: one of user, port, identity, known_hosts, timeout, renew\n"
        "[look] interval: 'soon' is not a duration above 0; hint: 10, 2.5s, 5m, 1h or 30d\n",
    )
    site.configure("[heartbeat]", "password = secret", mode=0o644)
    assert site.said() == (
        "UNKNOWN",
        f"MASTER UNKNOWN - configuration file {site.cfg} holds a password and everybody can read it\nhint: chmod 0640 {site.cfg}\n",
    )
    site.cfg.write_text("[pair\n")
    assert site.said()[1].startswith(f"MASTER UNKNOWN - configuration file {site.cfg} is malformed\n")


def test_another_user_than_nagios_is_unknown(site: Site) -> None:
    site.cfg.write_text(site.cfg.read_text().replace(f"user = {USER}", "user = nobody-there"))
    state, output = site.said()
    assert state == "UNKNOWN" and "no user is called 'nobody-there' on this host\nhint: " in output


def shadow(site: Site, module: str, text: str) -> str:
    """A directory with a module of our own in place of the real one."""
    (site.top / "shadow").mkdir()
    (site.top / "shadow" / f"{module}.py").write_text(text)
    return str(site.top / "shadow")


def test_what_an_item_did_not_expect_is_not_taken_for_a_death(site: Site, nagios: subprocess.Popen[bytes]) -> None:
    site.configure("[heartbeat]", "schema = nagios1")
    done = site.run(path=shadow(site, "pymysql", "raise ZeroDivisionError('by us')"))
    assert done.returncode == 1 and done.stdout.startswith("MASTER WARNING - ")
    assert "could not look at its heartbeat: unexpected: ZeroDivisionError('by us')" in done.stdout


def test_an_unexpected_exception_is_unknown_in_one_line(site: Site, nagios: subprocess.Popen[bytes]) -> None:
    broken = (
        "import nagios_failover.observe as observe\ndef look(*_, **__): raise ZeroDivisionError('by us')\nobserve.look = look\n"
    )
    path = shadow(site, "sitecustomize", broken)
    done = site.run(path=path)
    assert (done.returncode, done.stdout, done.stderr) == (3, "MASTER UNKNOWN: ZeroDivisionError: by us\n", "")
    assert "Traceback" in site.run("-vvv", path=path).stdout


def test_a_missing_library_is_not_a_dead_database(site: Site, nagios: subprocess.Popen[bytes]) -> None:
    site.configure("[heartbeat]", "schema = nagios1")
    state, output = site.said(path=shadow(site, "pymysql", "raise ImportError('broken here')"))
    assert state == "WARNING"
    assert "but could not look at its heartbeat: PyMySQL is not installed here (broken here) | " in output
    assert "\nhint: pip install PyMySQL" in output


def test_it_ends_inside_its_time_limit_whatever_hangs(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts, and says nothing
        site.configure("[heartbeat]", "schema = nagios1", f"port = {server.getsockname()[1]}")
        site.ssh("sleep 60")
        started = time.monotonic()
        state, output = site.said("-t", "2")
        assert time.monotonic() - started < 2.5
    assert state == "WARNING"
    assert "yasu: the host answers, ssh and database do not: ssh fails (no answer within 1.5 s), no heartbeat (" in output


def test_even_a_state_directory_that_hangs_ends_in_time(site: Site) -> None:
    os.mkfifo(site.state / "role.fifo")
    (site.state / "role").unlink()
    (site.state / "role.fifo").rename(site.state / "role")
    started = time.monotonic()
    done = site.run("-t", "1")
    assert time.monotonic() - started < 3
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout == "MASTER UNKNOWN: Timeout: check execution aborted after 1s\n"


def test_what_it_does_not_need_it_does_not_load(site: Site, nagios: subprocess.Popen[bytes]) -> None:
    done = site.run(flags=("-X", "importtime"))
    assert done.returncode == 0
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "nagios_failover.verdict_of_master" in loaded
    assert not loaded & {"fabric", "paramiko", "invoke", "pymysql", "cryptography", "smtplib", "rich", "asyncio", "ssl"}


def test_it_does_not_wait_for_what_ssh_leaves_behind(site: Site, nagios: subprocess.Popen[bytes]) -> None:
    """Nagios waits for the end of the plugin's standard streams; the held connection must not have them."""
    site.ssh('shift $(($# - 1)); sleep 20 & (eval "$1")')
    started = time.monotonic()
    assert site.said()[0] == "OK"
    assert time.monotonic() - started < 5
