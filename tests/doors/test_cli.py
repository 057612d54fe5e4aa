"""`nagios-failover` as people and scripts call it: its arguments, its exit codes, and how it says that something went wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from nagios_failover.journal import Journal
from nagios_failover.words import Role
from tests.doors.cli_site import HERE, USER, Site, said


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


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
        "promote",
        "pause",
        "resume",
        "ack",
        "history",
        "watch",
    ):
        assert re.search(rf"^    {command}( |$)", text.stdout, re.MULTILINE), command
    assert "130 interrupted" in text.stdout


@pytest.mark.parametrize(
    "command",
    [
        "status",
        "test",
        "check-config",
        "init",
        "init-database",
        "failover",
        "standdown",
        "promote",
        "pause",
        "resume",
        "ack",
        "history",
        "watch",
    ],
)
def test_each_command_explains_itself(site: Site, command: str) -> None:
    output = site.run(command, "--help", config=site.directory / "nowhere")
    assert (output.returncode, output.stderr) == (0, "")
    assert output.stdout.startswith(f"usage: nagios-failover {command} [-h] [-C FILE]")
    assert "exit codes:\n  0 done" in output.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("frobnicate",), "argument COMMAND: invalid choice: 'frobnicate'"),
        (("status", "--colour"), "unrecognized arguments: --colour"),
        (("init",), "one of the arguments --master --standby is required"),
        (("init", "--master", "--standby"), "argument --standby: not allowed with argument --master"),
        (("pause", "--for", "soon"), "argument --for: 'soon' is not a duration above 0; hint: 10, 2.5s, 5m, 1h or 30d"),
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
    broken = "import nagios_failover.show as c, nagios_failover.cli as m, sys\n"
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
    broken = "import nagios_failover.show as c, nagios_failover.cli as m, sys\n"
    broken += "def stop(config, args): raise KeyboardInterrupt\nc.history = stop\nsys.exit(m.main())"
    output = subprocess.run(
        [sys.executable, "-c", broken, "history", "-C", str(site.cfg)], capture_output=True, text=True, check=False, timeout=60
    )
    assert said(output) == (130, "", "error: interrupted\n")


def test_an_interrupted_run_is_said_to_go_on(site: Site) -> None:
    """Ctrl-C between two steps undoes nothing."""
    site.role(Role.STANDBY)
    left = Journal(site.state.directory).open("failover", 4, HERE, trigger="command")
    broken = "import nagios_failover.show as c, nagios_failover.cli as m, sys\n"
    broken += "def stop(config, args): raise KeyboardInterrupt\nc.history = stop\nsys.exit(m.main())"
    output = subprocess.run(
        [sys.executable, "-c", broken, "history", "-C", str(site.cfg)], capture_output=True, text=True, check=False, timeout=60
    )
    assert said(output) == (
        130,
        "",
        f"error: interrupted\ndetail: failover run {left.id} is open\n"
        "hint: Nagios's next call or any command finishes it; nagios-failover status\n",
    )


def test_the_log_of_our_faults_is_kept_within_bounds(site: Site) -> None:
    """As a user other than root: root's go elsewhere, so that no file of root's is left in the state directory."""
    log = site.state.directory / "errors.log"
    broken = "import os, nagios_failover.show as c, nagios_failover.cli as m, sys\nos.geteuid = lambda: 1\n"
    broken += "m.become_nagios = lambda config: None\nc.history = lambda config, args: 1 / 0\nsys.exit(m.main())"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", broken, "history", "-C", str(site.cfg)], capture_output=True, check=False, timeout=60)
    assert log.read_text().count("ZeroDivisionError: division by zero") == 2
    log.write_text("x" * 300_000)
    subprocess.run([sys.executable, "-c", broken, "history", "-C", str(site.cfg)], capture_output=True, check=False, timeout=60)
    assert log.read_text().count("ZeroDivisionError: division by zero") == 1
    assert log.with_suffix(".log.1").stat().st_size == 300_000
