"""`nagios-failover` as people and scripts call it: a subprocess, its whole output and its exit code.

The Nagios user of the configuration is whoever runs the tests; the other host is this machine's loopback, where nothing answers
on the port, so that ssh is refused at once.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nagios_failover.journal import Journal
from nagios_failover.role import RoleRecord
from nagios_failover.run_record import Outcome
from nagios_failover.state_files import StateFiles
from nagios_failover.words import Role

HERE = socket.gethostname()
USER = pwd.getpwuid(os.geteuid()).pw_name
NO_SSH = "connect to host 127.0.0.1 port 1: Connection refused"


class Site:
    """A host with a configuration, a state directory and a nagios.cfg, but no Nagios."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.state = StateFiles(directory / "state")
        self.state.directory.mkdir(mode=0o750)
        self.nagios_cfg = directory / "nagios.cfg"
        self.nagios_cfg.write_text(
            f"status_file={directory}/status.dat\ncommand_file={directory}/nagios.cmd\nlog_file={directory}/nagios.log\n"
            f"object_cache_file={directory}/objects.cache\nlock_file={directory}/nagios.pid\n"
        )
        self.cfg = directory / "nagios-failover.cfg"
        self.cfg.write_text(
            f"[host {HERE}]\naddress = 127.0.0.1\nnagios_cfg = {self.nagios_cfg}\n"
            "[host yasu]\naddress = 127.0.0.1\n"
            f"[nagios]\nuser = {USER}\nverify_timeout = 1\n[paths]\nstate = {self.state.directory}\n"
            "[ssh]\nport = 1\ntimeout = 2\n[look]\ninterval = 1\nconfirm_interval = 0.2\n"
            "[witness]\naddresses = none\n"
            f"[mail]\nmethod = command\ncommand = /bin/sh -c 'cat >>{directory}/mail'\nto = oncall@example.org\n"
        )

    def run(self, *arguments: str, config: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "nagios_failover.cli", *arguments, "-C", str(config or self.cfg)],
            cwd="/tmp",
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def role(self, role: Role, *, term: int = 3) -> None:
        master = HERE if role is Role.MASTER else "yasu"
        self.state.write_role(RoleRecord(role=role, master=master, term=term, run="", since=1_000_000_000))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def said(output: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return output.returncode, output.stdout, output.stderr


# --- the frame ---


def test_version_and_help_need_no_configuration(site: Site) -> None:
    nowhere = site.directory / "nowhere"
    version = site.run("--version", config=nowhere)
    assert said(version) == (0, "nagios-failover 0.1.0\n", "")
    text = site.run("--help", config=nowhere)
    assert text.returncode == 0
    for command in (
        "status",
        "test",
        "check-config",
        "init",
        "init-database",
        "failover",
        "standdown",
        "pause",
        "resume",
        "ack",
        "history",
        "watch",
    ):
        assert re.search(rf"^    {command}( |$)", text.stdout, re.MULTILINE), command
    assert "130 interrupted" in text.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("frobnicate",), "argument COMMAND: invalid choice: 'frobnicate'"),
        (("status", "--colour"), "unrecognized arguments: --colour"),
        (("init",), "one of the arguments --master --standby is required"),
        (("init", "--master", "--standby"), "argument --standby: not allowed with argument --master"),
        (("pause", "--for", "soon"), "argument --for: 'soon' is not a duration above 0; hint: 10, 2.5s, 5m or 1h"),
        (("watch",), "the following arguments are required: --once"),
    ],
)
def test_wrong_usage_is_one_sentence_with_a_hint_and_exit_code_2(site: Site, arguments: tuple[str, ...], problem: str) -> None:
    output = site.run(*arguments)
    assert (output.returncode, output.stdout) == (2, "")
    assert output.stderr.startswith(f"error: {problem}")
    assert re.fullmatch(r"error: .*\nhint: nagios-failover.* --help\n", output.stderr)


def test_a_missing_configuration_is_said(site: Site) -> None:
    nowhere = site.directory / "nowhere.cfg"
    assert said(site.run("status", config=nowhere)) == (
        2,
        "",
        f"error: configuration file {nowhere} does not exist\nhint: copy nagios-failover.cfg.sample there\n",
    )


def test_a_malformed_configuration_is_said_with_every_mistake(site: Site) -> None:
    site.cfg.write_text(site.cfg.read_text() + "[look]\n")
    output = site.run("status")
    assert (output.returncode, output.stdout) == (2, "")
    assert output.stderr.startswith(f"error: configuration file {site.cfg} is malformed\ndetail: ")


def test_an_unknown_nagios_user_is_said(site: Site) -> None:
    site.cfg.write_text(site.cfg.read_text().replace(f"user = {USER}", "user = no-such-user"))
    output = site.run("pause")
    assert output.returncode == 2
    assert "no user is called 'no-such-user' on this host" in output.stderr


def test_a_fault_of_ours_is_one_sentence_and_keeps_its_details(site: Site) -> None:
    """Whatever is raised, nobody sees a traceback."""
    broken = "import nagios_failover.commands as c, nagios_failover.cli as m, sys\n"
    broken += "c.history = lambda config, args: 1 / 0\nsys.exit(m.main())"
    output = subprocess.run(
        [sys.executable, "-c", broken, "history", "-C", str(site.cfg)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (output.returncode, output.stdout) == (1, "")
    match = re.fullmatch(
        r"error: nagios-failover has a fault: ZeroDivisionError: division by zero\n"
        r"detail: the details are in (.*)\nhint: report them; .*\n",
        output.stderr,
    )
    assert match
    details = Path(match[1])
    assert "ZeroDivisionError: division by zero" in details.read_text()
    details.unlink()


def test_an_interrupted_command_ends_with_130(site: Site) -> None:
    broken = "import nagios_failover.commands as c, nagios_failover.cli as m, sys\n"
    broken += "def stop(config, args): raise KeyboardInterrupt\nc.history = stop\nsys.exit(m.main())"
    output = subprocess.run(
        [sys.executable, "-c", broken, "history", "-C", str(site.cfg)], capture_output=True, text=True, check=False, timeout=60
    )
    assert said(output) == (130, "", "error: interrupted\n")


# --- pause and resume ---


def test_pause_without_an_end_stands_until_resume(site: Site) -> None:
    site.role(Role.STANDBY)
    output = site.run("pause", "--reason", "kernel update")
    assert output.returncode == 0
    assert re.fullmatch(
        rf"{HERE}: paused until resumed by \w+@{HERE}, since [\d :-]+: kernel update\n"
        "no failover starts while this stands; it ends with: nagios-failover resume\n",
        output.stdout,
    )
    marker = site.state.paused(time.time())
    assert marker is not None and (marker.until, marker.reason) == (None, "kernel update")
    output = site.run("resume")
    assert output.returncode == 0
    assert re.fullmatch(
        rf"{HERE}: failover may start again \(was paused until resumed by .*: kernel update\)\n"
        r"yasu: not seen \(.*Connection refused\); a pause that stands there, stays\n",
        output.stdout,
    )
    assert site.state.paused(time.time()) is None


def test_pause_for_a_time_ends_by_itself(site: Site) -> None:
    site.role(Role.STANDBY)
    before = int(time.time())
    assert site.run("pause", "--for", "10m").returncode == 0
    marker = site.state.paused(before)
    assert marker is not None and marker.until is not None and before + 600 <= marker.until <= time.time() + 600
    assert site.state.paused(before + 700) is None


def test_a_second_pause_says_what_it_replaces(site: Site) -> None:
    site.run("pause", "--reason", "one")
    output = site.run("pause", "--for", "5m", "--reason", "two\nlines")
    assert re.search(rf"^{HERE}: was paused until resumed .*: one$", output.stdout, re.MULTILINE)
    marker = site.state.paused(time.time())
    assert marker is not None and marker.reason == "two lines"


def test_resume_without_a_pause_is_no_failure(site: Site) -> None:
    output = site.run("resume")
    assert output.returncode == 0
    assert output.stdout.startswith(f"{HERE}: was not paused\n")


def test_resume_removes_a_garbled_marker(site: Site) -> None:
    site.state.paused_path.write_text("what?\n")
    output = site.run("resume")
    assert output.returncode == 0
    assert output.stdout.startswith(f"{HERE}: failover may start again (was paused by a garbled marker: ")
    assert not site.state.paused_path.exists()


def test_a_missing_state_directory_is_said_with_the_line_that_makes_it(site: Site) -> None:
    site.state.directory.rmdir()
    output = site.run("pause")
    assert (output.returncode, output.stdout) == (1, "")
    assert output.stderr.startswith(f"error: cannot write {site.state.paused_path}: No such file or directory\nhint: ")
    assert output.stderr.endswith(f"install -d -o nagios -g adm -m 2750 {site.state.directory}\n")


# --- init ---


def test_init_writes_the_first_role_and_journals_it(site: Site) -> None:
    output = site.run("init", "--master")
    assert output.returncode == 0
    lines = output.stdout.splitlines()
    assert lines[0] == f"{HERE}: role is master, master {HERE}, term 1"
    assert re.fullmatch(r"yasu: not seen \(.*Connection refused\): what its role and term are is not known", lines[1])
    assert lines[2].startswith(f"{HERE}: ")
    role = site.state.role()
    assert (role.role, role.master, role.term) == (Role.MASTER, HERE, 1)
    assert site.state.lock_path.exists()
    (run,) = Journal(site.state.directory).runs()
    assert (run.id, run.kind, run.outcome, run.term) == (role.run, "init", Outcome.DONE, 1)


def test_init_refuses_to_overwrite_a_role_and_says_what_is_there(site: Site) -> None:
    site.role(Role.STANDBY)
    output = site.run("init", "--master")
    assert said(output) == (
        3,
        "",
        f"error: {HERE}: it has a role already: standby, master yasu, term 3\n"
        "hint: --force overwrites it; nagios-failover standdown gives a master's role back\n",
    )
    assert site.state.role().role is Role.STANDBY
    assert Journal(site.state.directory).runs() == []


def test_init_by_force_takes_a_term_above_every_known_one(site: Site) -> None:
    site.role(Role.STANDBY, term=7)
    output = site.run("init", "--master", "--force")
    assert output.returncode == 0
    lines = output.stdout.splitlines()
    assert lines[:2] == [
        f"{HERE}: role is master, master {HERE}, term 8",
        f"{HERE}: overruled by --force: it has a role already: standby, master yasu, term 7",
    ]
    assert site.state.role().term == 8


def test_init_standby_keeps_the_term_and_takes_the_flag_file_away(site: Site) -> None:
    site.role(Role.MASTER, term=7)
    assert site.run("init", "--standby", "--force").returncode == 0
    role = site.state.role()
    assert (role.role, role.master, role.term) == (Role.STANDBY, "yasu", 7)
    assert not site.state.lock_path.exists()


def test_init_over_a_garbled_role_wants_force(site: Site) -> None:
    site.state.role_path.write_text("role=king\n")
    output = site.run("init", "--standby")
    assert (output.returncode, output.stdout) == (3, "")
    assert output.stderr.startswith(f"error: {HERE}: the role file {site.state.role_path} is garbled: ")
    assert site.state.role_path.read_text() == "role=king\n"
    assert site.run("init", "--standby", "--force").returncode == 0
    assert site.state.role().role is Role.STANDBY


def test_init_gives_up_a_run_that_was_left_open(site: Site) -> None:
    site.role(Role.TAKING_OVER)
    left = Journal(site.state.directory).open("failover", 4, HERE)
    output = site.run("init", "--standby", "--force")
    assert output.returncode == 0
    assert f"{HERE}: failover run {left.id} was open and is given up" in output.stdout
    assert left.record().outcome == Outcome.INCOMPLETE


# --- history ---


def test_history_without_runs(site: Site) -> None:
    assert said(site.run("history")) == (0, f"{HERE}: no runs yet\n", "")


def test_history_lists_runs_newest_first_and_shows_one(site: Site) -> None:
    site.role(Role.STANDBY)
    journal = Journal(site.state.directory, clock=lambda: 1_800_000_000.0)
    run = journal.open("failover", 4, HERE, trigger="handler")
    run.step_started("confirm")
    run.step_done("confirm", "done", "3 of 3 looks were CRITICAL", 2.25)
    run.close(Outcome.DONE, "nabira is the master")
    newer = Journal(site.state.directory, clock=lambda: 1_800_000_600.0).open("standdown", 4, HERE)
    newer.close(Outcome.REFUSED, "no standby is seen")
    assert said(site.run("history")) == (
        0,
        "RUN                   KIND       TERM  OPENED               TOOK  OUTCOME  WHAT\n"
        f"{newer.id}  standdown  4     2027-01-15 08:10:00  0 s   refused  no standby is seen\n"
        f"{run.id}  failover   4     2027-01-15 08:00:00  0 s   done     nabira is the master\n",
        "",
    )
    assert said(site.run("history", run.id)) == (
        0,
        f"run      {run.id}\n"
        f"kind     failover on {HERE}, term 4\n"
        "opened   2027-01-15 08:00:00\n"
        "closed   2027-01-15 08:00:00 (took 0 s)\n"
        "trigger  handler\n"
        "outcome  done: nabira is the master\n"
        "\n"
        "STEP     OUTCOME  TOOK    DETAIL\n"
        "confirm  done     2.25 s  3 of 3 looks were CRITICAL\n",
        "",
    )
    given = json.loads(site.run("history", "--json").stdout)
    assert [entry["id"] for entry in given] == [newer.id, run.id]
    assert given[1]["steps"][0]["detail"] == "3 of 3 looks were CRITICAL"


def test_history_lists_a_garbled_journal_as_such(site: Site) -> None:
    runs = site.state.directory / "runs"
    runs.mkdir()
    (runs / "20270115T080000-beef.jsonl").write_text("\0\0\0not json\n")
    output = site.run("history")
    assert (output.returncode, output.stderr) == (0, "")
    assert re.search(r"20270115T080000-beef +\? .* garbled +its journal cannot be read", output.stdout)


def test_history_of_an_unknown_run_is_wrong_usage(site: Site) -> None:
    assert said(site.run("history", "1999")) == (
        2,
        "",
        "error: no run with an id that begins with '1999'\nhint: nagios-failover history\n",
    )
