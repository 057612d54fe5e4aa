"""What a fence agent is fed, and what its answer means: real processes that take the options as Debian's agents do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.fence_agent import agent_input, fence_hard
from nagios_failover.fenced import Fenced

HINT = "run it by hand as nagios, with action=status in place of action=off"


def config_of(command: str, more: str = "") -> Config:
    text = (
        "[host yasu]\nfence_options =\n  plug=3\n  password=of, yasu\n[host nabira]\nfence_options = plug=4\n[witness]\n"
        "addresses = none\n[mail]\nto = a@b\n[fence]\noptions =\n  ip=10.0.0.9\n  username=admin\n  password=common\n"
        f"command_timeout = 2\ncommand = {command}\n{more}"
    )
    return parse(text, hostname="nabira")


def agent(directory: Path, body: str) -> str:
    program = directory / "fence_test"
    program.write_text(f"#!{sys.executable}\nimport sys, time\n{body}\n")
    program.chmod(0o755)
    return str(program)


def test_options_come_on_standard_input_and_those_of_the_host_go_before_the_common_ones() -> None:
    assert agent_input(config_of("/bin/true")) == "action=off\nip=10.0.0.9\nusername=admin\npassword=of, yasu\nplug=3\n"
    assert agent_input(config_of("/bin/true"), action="status").startswith("action=status\n")


def test_its_success_is_the_proof(tmp_path: Path) -> None:
    program = agent(tmp_path, f"open({str(tmp_path / 'got')!r}, 'w').write(sys.stdin.read() + repr(sys.argv[1:]))")
    fenced = fence_hard(config_of(f"{program} -v"), {})
    assert fenced.proved and fenced.sentence.startswith(f"yasu: cut off by {program} (")
    assert (tmp_path / "got").read_text() == agent_input(config_of(program)) + "['-v']", "no password on a command line"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "print('Unable to connect, login of, yasu', file=sys.stderr); sys.exit(1)",
            "ended with exit code 1: Unable to connect, login ***",
        ),
        ("sys.exit(2)", "ended with exit code 2"),
        ("time.sleep(30)", "did not end within 2 s ([fence] command_timeout)"),
    ],
)
def test_whatever_else_it_does_proves_nothing(tmp_path: Path, body: str, said: str) -> None:
    program = agent(tmp_path, body)
    assert fence_hard(config_of(program), {}) == Fenced(False, f"yasu: not cut off: {program} {said}", HINT)


def test_a_missing_agent_proves_nothing() -> None:
    assert fence_hard(config_of("/nowhere/fence_x"), {}).sentence == (
        "yasu: not cut off: /nowhere/fence_x ended with exit code 127: /nowhere/fence_x: No such file or directory"
    )
