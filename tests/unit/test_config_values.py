"""A text is read by its option's type, and what it cannot be is named with a hint."""

from __future__ import annotations

from pathlib import Path

import pytest

from nagios_failover.config_file import parse
from nagios_failover.config_values import Schema, Severity, duration
from tests.config_text import MINIMAL, mistakes, with_line


def test_options_are_read_by_their_type() -> None:
    text = MINIMAL.replace("[host yasu]", "[host yasu]\naddress = 10.0.0.1\nnagios_cfg = /usr/local/nagios/etc/nagios.cfg")
    text += """
[pair]
mode = redundancy
failback = automatic
failback_after = 5m
[ssh]
port = 2222
identity = none
[look]
unreachable_services = critical
[heartbeat]
schema = icinga-ido
password = 50% off; # not a comment
[run]
pre_hook = /bin/echo 'two words' three
[replication]
watch = no
"""
    config = parse(text, hostname="nabira")
    assert (config.peer.address, config.peer.nagios_cfg) == ("10.0.0.1", Path("/usr/local/nagios/etc/nagios.cfg"))
    assert [config.pair.failback_after, config.ssh.port] == [300, 2222] and config.ssh.identity is None
    assert {type(port) for port in (config.ssh.port, config.heartbeat.port, config.mail.smtp_port)} == {int}
    assert (config.look.unreachable_services, config.heartbeat.schema) == (Severity.CRITICAL, Schema.ICINGA_IDO)
    assert config.heartbeat.password == "50% off; # not a comment"
    assert config.run.pre_hook == ("/bin/echo", "two words", "three")


@pytest.mark.parametrize(
    ("section", "line", "said"),
    [
        ("heartbeat", "port = 65536", "[heartbeat] port: '65536' is not a port"),
        ("run", "pre_hook = 'open", '[run] pre_hook: "\'open": No closing quotation; hint: close the quotation'),
    ],
)
def test_a_text_that_is_no_value_is_named_with_its_place(section: str, line: str, said: str) -> None:
    assert said in "\n".join(mistakes(with_line(section, line)))


@pytest.mark.parametrize("account", ["10.0.0.2", "hb@-oProxyCommand=x", "-l@gw", "hb@gw;id", "hb@gw:0", "hb@"])
def test_what_is_no_account_is_refused(account: str) -> None:
    text = MINIMAL.replace("addresses = none", f"addresses = gw\naccounts = {account}")
    assert mistakes(text) == [f"[witness] accounts: {account!r} is not an account; hint: user@host or user@host:port"]


def test_options_of_a_fence_agent_are_lines_that_may_hold_anything() -> None:
    text = f"{MINIMAL}[fence]\ncommand = /usr/sbin/fence_x --quiet\noptions =\n  ip=10.0.0.9\n  password=a b, #c=d;%\n"
    config = parse(text.replace("[host yasu]", "[host yasu]\nfence_options = plug=3"), hostname="nabira")
    assert config.fence.options == (("ip", "10.0.0.9"), ("password", "a b, #c=d;%"))
    assert config.peer.fence_options == (("plug", "3"),) and config.this.fence_options == ()
    assert mistakes(f"{MINIMAL}[fence]\nfencing = required\noptions =\n  secret\n") == [
        "[fence] options: a line is not an option; hint: key=value, one a line, the lines below the first begin with a blank"
    ]
    assert mistakes(f"{MINIMAL}[fence]\nfencing = required\noptions = ip=1\n") == [
        "[fence] fencing: required, but there is nothing to fence with; hint: set user, or command, or both",
        "[fence] options: there is no command that would read them; hint: set command, e.g. /usr/sbin/fence_ipmilan",
    ]


@pytest.mark.parametrize(("text", "seconds"), [("10", 10), ("2.5s", 2.5), ("5m", 300), ("1h", 3600), ("30d", 2592000)])
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1", "0", "nan", "inf", "1w", "1 2"])
def test_durations_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration above 0"):
        duration(text)
