import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.errors import ConfigError, UsageError
from nagios_failover.user import become_nagios

IN_A_CHILD = """
import os, sys
from pathlib import Path
from nagios_failover.config_file import parse
from nagios_failover.user import become_nagios
become_nagios(parse(sys.argv[1], hostname="yasu"))
print(os.getresuid(), os.getresgid(), sorted(os.getgroups()), os.environ["HOME"], "SSH_AUTH_SOCK" in os.environ, Path.cwd())
print(oct(os.umask(0)))
try:
    os.setuid(0)
    print("root again")
except PermissionError:
    print("no way back")
"""


def text(user: str) -> str:
    return f"[host yasu]\n[host nabira]\n[witness]\naddresses = none\n[mail]\nto = a@b\n[nagios]\nuser = {user}\n"


def config(user: str) -> Config:
    return parse(text(user), path=Path("/etc/nagios-failover/nagios-failover.cfg"), hostname="yasu")


def me() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def test_an_unknown_user_is_a_mistake_in_the_configuration() -> None:
    with pytest.raises(ConfigError, match=r"\[nagios\] user: no user is called 'no-such' on this host"):
        become_nagios(config("no-such"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may become anybody")
def test_another_user_is_told_how() -> None:
    with pytest.raises(UsageError) as error:
        become_nagios(config("daemon"))
    assert str(error.value) == f"this must run as root or as daemon, not as {me()}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_root_becomes_the_nagios_user_for_good() -> None:
    account = pwd.getpwnam("daemon")
    done = subprocess.run(
        [sys.executable, "-c", IN_A_CHILD, text("daemon")],
        capture_output=True,
        text=True,
        check=True,
        cwd="/root",
        env={**os.environ, "HOME": "/root", "SSH_AUTH_SOCK": "/tmp/agent", "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    uid, gid = account.pw_uid, account.pw_gid
    groups = sorted(os.getgrouplist("daemon", gid))
    assert done.stdout.splitlines() == [
        f"({uid}, {uid}, {uid}) ({gid}, {gid}, {gid}) {groups} {account.pw_dir} False /",
        "0o27",
        "no way back",
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_root_can_keep_the_way_back_and_what_it_starts_meanwhile_cannot() -> None:
    account = pwd.getpwnam("daemon")
    script = """
import os, subprocess, sys
from nagios_failover.config_file import parse
from nagios_failover.user import as_root, become_nagios
become_nagios(parse(sys.argv[1], hostname="yasu"), root_again=True)
print(os.getresuid(), subprocess.run(["grep", "^Uid", "/proc/self/status"], capture_output=True, text=True).stdout.split()[1:])
with as_root():
    print(os.getresuid(), os.getresgid(), os.getgroups())
print(os.getresuid(), os.getresgid()[1], sorted(os.getgroups()))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, text("daemon")],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    uid, gid = account.pw_uid, account.pw_gid
    assert done.stdout.splitlines() == [
        f"({uid}, {uid}, 0) {[str(uid)] * 4}",
        "(0, 0, 0) (0, 0, 0) []",
        f"({uid}, {uid}, 0) {gid} {sorted(os.getgrouplist('daemon', gid))}",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may")
def test_only_root_can_keep_a_way_back() -> None:
    with pytest.raises(UsageError, match="this must run as root, not as "):
        become_nagios(config(me()), root_again=True)


def test_the_nagios_user_itself_just_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    before = os.umask(0o022)
    try:
        become_nagios(config(me()))
        assert os.environ["HOME"] == pwd.getpwuid(os.geteuid()).pw_dir
    finally:
        os.umask(before)
