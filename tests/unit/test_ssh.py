"""The argv that looks at the other host, the held connection around it, and what ssh's own words mean."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.config_sections import SshSection
from nagios_failover.config_values import Port, Seconds
from nagios_failover.evidence import Blocked, NoAnswer
from nagios_failover.shell import Output
from nagios_failover.ssh import Held, classify, command, held_connection, run_remote

TEXT = "[host yasu]\naddress = 10.0.0.1\n[host nabira]\n[witness]\naddresses = none\n[mail]\nto = a@b\n[paths]\nstate = {}\n"


def test_the_whole_command_over_a_held_connection() -> None:
    ssh = SshSection(user="hb", port=Port(2222), identity=Path("/keys/100% ours"), known_hosts=Path("/keys/known"))
    assert command(ssh, "10.0.0.1", Held(Path("/state/ssh/yasu.7"), 60), timeout=3.4) == (
        *("ssh", "-T", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "UpdateHostKeys=no"),
        *("-o", "ConnectTimeout=3", "-o", "ConnectionAttempts=1", "-o", "ClearAllForwardings=yes", "-o", "ForwardAgent=no"),
        *("-o", "ForwardX11=no", "-o", "PermitLocalCommand=no", "-o", "EscapeChar=none", "-o", "LogLevel=ERROR"),
        *("-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=2"),
        *("-o", "ControlMaster=auto", "-o", 'ControlPath="/state/ssh/yasu.7"', "-o", "ControlPersist=60"),
        *("-o", "IdentityAgent=none", "-o", "PreferredAuthentications=publickey", "-o", "GSSAPIAuthentication=no"),
        *("-o", "KexAlgorithms=^curve25519-sha256,curve25519-sha256@libssh.org"),
        *("-o", 'IdentityFile="/keys/100%% ours"', "-o", "IdentitiesOnly=yes", "-o", 'UserKnownHostsFile="/keys/known"'),
        *("-p", "2222", "-l", "hb", "--", "10.0.0.1", "exec sh -s"),
    )


def test_by_options_alone_the_user_s_own_configuration_applies_and_nothing_is_held() -> None:
    argv = command(SshSection(user=""), "yasu", None, timeout=4, user_config=True)
    assert "-F" not in argv and "-p" not in argv and "-l" not in argv and "IdentityAgent=none" not in argv
    assert argv[-3:] == ("--", "yasu", "exec sh -s")
    assert {"ControlMaster=no", "ControlPath=none", "BatchMode=yes", "StrictHostKeyChecking=yes"} <= set(argv)


REFUSED = "ssh: connect to host 10.0.0.1 port 22: Connection refused"


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        (REFUSED, "connect to host 10.0.0.1 port 22: Connection refused"),
        ("ssh: connect to host 10.0.0.1 port 22: No route to host", "connect to host 10.0.0.1 port 22: No route to host"),
        ("ssh: connect to host yasu port 22: Network is unreachable", "connect to host yasu port 22: Network is unreachable"),
        (
            "Connection timed out during banner exchange\nConnection to 10.0.0.1 port 22 timed out",
            "Connection to 10.0.0.1 port 22 timed out",
        ),
        (
            "kex_exchange_identification: read: Connection reset by peer",
            "kex_exchange_identification: read: Connection reset by peer",
        ),
        ("Connection closed by 10.0.0.1 port 22", "Connection closed by 10.0.0.1 port 22"),
    ],
)
def test_a_host_that_is_silent(stderr: str, reason: str) -> None:
    assert classify(Output(255, "", stderr + "\r\n")) == NoAnswer(reason)


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        ("No ED25519 host key is known for yasu and you have ...\nHost key verification failed.", "its host key is unknown"),
        ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.", "its host key has changed"),
        ("hb@yasu: Permission denied (publickey).", "ssh access denied"),
        ("@ WARNING: UNPROTECTED PRIVATE KEY FILE! @\nhb@yasu: Permission denied.", "the private key is readable by others"),
        ('Load key "/k": Permission denied\nhb@yasu: Permission denied.', "the private key is not readable by this user"),
        ('Load key "/k": error in libcrypto\nhb@yasu: Permission denied (publickey).', "the private key cannot be loaded"),
        ("ssh: Could not resolve hostname yasu: Name or service not known", "its name cannot be resolved"),
        ("command-line: line 0: Bad configuration option: identityagent", "ssh does not take an option"),
        ("Unable to negotiate with 10.0.0.1 port 22: no matching host key type found.", "ssh finds no common algorithm"),
        ("unix_listener: cannot bind to path /s/ssh/yasu.1.x: Permission denied", "ssh access denied"),
        ("something new in OpenSSH 12", "ssh failed"),
    ],
)  # fmt: skip
def test_what_keeps_us_from_looking_is_never_silence(stderr: str, reason: str) -> None:
    found = classify(Output(255, "", stderr + "\r\n"))
    assert isinstance(found, Blocked) and found.reason.startswith(f"{reason} (") and found.hint
    assert found.reason.endswith(f"({stderr.splitlines()[-1]})")


def test_a_time_limit_a_missing_ssh_and_a_shell_that_is_none() -> None:
    assert classify(Output(None, "", "", timed_out=True, seconds=4.003)) == NoAnswer("no answer within 4 s")
    assert classify(Output(127, "", "ssh: No such file or directory")) == Blocked(
        "ssh is not installed on this host", "apt-get install openssh-client"
    )
    nologin = classify(Output(1, "This account is currently not available.\n", ""))
    assert isinstance(nologin, Blocked) and "it admits no logins now" in nologin.reason


FAKE_SSH = """#!/bin/sh
# What ssh does, as far as it is seen from outside: --says what to do is in the file `orders`.
for word; do case $word in ControlPath=*) path=${word#*=} ;; esac; done
path=${path#?} path=${path%?}
[ -e "$path" ] && echo held >>TOP/log || echo fresh >>TOP/log
. TOP/orders
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory, and an `ssh` on the path that follows orders."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ssh").write_text(FAKE_SSH.replace("TOP", str(tmp_path)))
    (tmp_path / "bin" / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    (tmp_path / "s").mkdir()
    return tmp_path


def config_of(site: Path, state: str = "s") -> Config:
    config = parse(TEXT.format(site / state), hostname="nabira")
    return replace(config, ssh=replace(config.ssh, renew=Seconds(1_000_000)))


def hold(config: Config) -> Path:
    """A control socket that is there."""
    path = held_connection(config, config.peer, now=time.time()).socket
    path.parent.mkdir(mode=0o700, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.close()
    return path


def test_a_fresh_login_where_none_is_held(site: Path) -> None:
    (site / "orders").write_text("cat\n")
    config = config_of(site)
    assert run_remote(config, config.peer, "echo hello\n", timeout=5).stdout == "echo hello\n"
    assert (site / "log").read_text() == "fresh\n"
    assert (site / "s" / "ssh").stat().st_mode & 0o777 == 0o700


def test_a_held_connection_that_hangs_is_dropped_and_a_fresh_one_tried_inside_the_limit(site: Path) -> None:
    (site / "orders").write_text('[ -e "$path" ] && exec sleep 60\ncat\n')
    config = config_of(site)
    path = hold(config)
    started = time.monotonic()
    output = run_remote(config, config.peer, "x", timeout=3)
    assert (output.stdout, (site / "log").read_text(), path.exists()) == ("x", "held\nfresh\n", False)
    assert 1 < time.monotonic() - started < 3
    assert output.seconds > 1


def test_a_held_connection_whose_host_has_gone_is_a_host_that_is_silent(site: Path) -> None:
    (site / "orders").write_text("exec sleep 60\n")
    config = config_of(site)
    hold(config)
    started = time.monotonic()
    output = run_remote(config, config.peer, "x", timeout=1)
    assert time.monotonic() - started < 1.8
    assert classify(output) == NoAnswer("no answer within 1 s")


def test_a_probe_that_fails_over_a_held_connection_is_not_run_twice(site: Path) -> None:
    (site / "orders").write_text("echo no >&2; exit 3\n")
    config = config_of(site)
    hold(config)
    assert run_remote(config, config.peer, "x", timeout=5).code == 3
    assert (site / "log").read_text() == "held\n"


def test_the_period_is_in_the_socket_s_name(site: Path) -> None:
    config = replace(config_of(site), ssh=SshSection(renew=Seconds(60)))
    names = [held_connection(config, config.peer, now=now).socket.name for now in (600, 659.9, 660)]
    assert names == ["yasu.10", "yasu.10", "yasu.11"]


def test_sockets_that_a_power_cut_left_are_swept(site: Path) -> None:
    (site / "orders").write_text("cat\n")
    config = replace(config_of(site), ssh=SshSection(renew=Seconds(1)))
    old = hold(config).rename(site / "s" / "ssh" / "yasu.1")
    os.utime(old, (1, 1))
    (site / "s" / "ssh" / "known_hosts.old").write_text("")
    run_remote(config, config.peer, "x", timeout=5)
    assert [path.name for path in (site / "s" / "ssh").iterdir()] == ["known_hosts.old"]


def test_a_state_directory_with_too_long_a_name_says_so(site: Path) -> None:
    config = config_of(site, "s" * 90)
    found = classify(run_remote(config, config.peer, "x", timeout=5))
    assert isinstance(found, Blocked) and found.reason.startswith("the ssh control path is too long (ControlPath too long: ")
    assert "86 is the most" in found.reason and found.hint == "choose a shorter [paths] state"


def test_a_state_directory_that_is_not_there_says_so(site: Path) -> None:
    config = config_of(site, "gone")
    found = classify(run_remote(config, config.peer, "x", timeout=5))
    assert isinstance(found, Blocked) and "No such file or directory" in found.reason
