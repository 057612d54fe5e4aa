"""The argv that goes through a witness, and who it was that did not answer."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from nagios_failover.account import Account
from nagios_failover.config_sections import SshSection
from nagios_failover.config_values import Port
from nagios_failover.evidence import Blocked, NoAnswer
from nagios_failover.second_route import command, judge
from nagios_failover.shell import Output
from nagios_failover.ssh import transport

SSH = SshSection(user="hb", port=Port(2222), identity=Path("/keys/100% ours"))
GONE = "kex_exchange_identification: Connection closed by remote host"


def test_both_logins_have_the_same_options_and_nothing_of_the_hop_is_a_shells_to_read() -> None:
    argv = command(SSH, Account("look", "10.0.0.3"), "10.0.0.1", None, timeout=3)
    assert argv[: len(transport(SSH, None, timeout=3))] == transport(SSH, None, timeout=3)
    *_, option, dashes, address, shell = argv
    assert (dashes, address, shell) == ("--", "10.0.0.1", "exec sh -s")
    hop = option.removeprefix("ProxyCommand=")
    words = shlex.split(hop.replace("%%", "%"))
    alone = transport(SshSection(user="look", port=Port(22), identity=SSH.identity), None, timeout=3)
    assert words == [*alone, "-W", "[%h]:%p", "--", "10.0.0.3"]
    assert 'IdentityFile="/keys/100%%%% ours"' in hop, "% is a token to the outer ssh and again to the inner one"


@pytest.mark.parametrize(
    ("stderr", "problem", "reached"),
    [
        (
            "channel 0: open failed: connect failed: No route to host\nstdio forwarding failed\n" + GONE,
            NoAnswer("the witness says: No route to host"),
            True,
        ),
        (
            "channel 0: open failed: administratively prohibited: open failed\nstdio forwarding failed\n" + GONE,
            Blocked(
                "the witness forwards nothing (administratively prohibited: open failed)",
                "sshd_config there: AllowTcpForwarding yes (or local)",
            ),
            False,
        ),
        (
            "Connection timed out during banner exchange\r\nConnection to UNKNOWN port 65535 timed out",
            NoAnswer("Connection to UNKNOWN port 65535 timed out"),
            False,
        ),
        ("hb@10.0.0.1: Permission denied (publickey).", Blocked, True),
        (f"hb@10.0.0.3: Permission denied (publickey).\r\n{GONE}", Blocked, False),
        (
            f"ssh: connect to host 10.0.0.3 port 22: No route to host\r\n{GONE}",
            NoAnswer("connect to host 10.0.0.3 port 22: No route to host"),
            False,
        ),
    ],
)
def test_whose_silence_it_is(stderr: str, problem: NoAnswer | Blocked | type[Blocked], reached: bool) -> None:
    came = judge(Output(255, "", stderr))
    assert came.reached is reached
    assert isinstance(came.problem, problem) if isinstance(problem, type) else came.problem == problem


def test_what_came_through_is_the_other_hosts() -> None:
    assert judge(Output(0, "ok", "")).problem is None
    late = judge(Output(None, "", "", timed_out=True, seconds=2.0))
    assert (late.problem, late.reached) == (NoAnswer("no answer within 2 s"), False)
