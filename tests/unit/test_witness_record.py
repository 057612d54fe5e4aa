"""What a witness keeps: a real sh behind a stand-in for ssh, since only the argv in front of it is ssh's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nagios_failover.account import Account
from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.witness_record import Recorded, read, record

A, B = Account("hb", "10.0.0.3"), Account("hb", "10.0.0.4")
FILE = ".nagios-failover-term.yasu.nabira"
SSH = """#!/bin/sh
for word; do
    case $word in
    10.0.0.3) HOME={top}/a ;;
    10.0.0.4) echo 'ssh: connect to host 10.0.0.4 port 22: No route to host' >&2; exit 255 ;;
    esac
done
export HOME
exec sh -s
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    (tmp_path / "a").mkdir()
    (tmp_path / "bin").mkdir()
    ssh = tmp_path / "bin" / "ssh"
    ssh.write_text(SSH.format(top=tmp_path))
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    text = "[host yasu]\n[host nabira]\n[witness]\naccounts = hb@10.0.0.3, hb@10.0.0.4\n[mail]\nto = a@b\n"
    return parse(text, hostname="nabira")


UNREACHED = Recorded(B, problem="connect to host 10.0.0.4 port 22: No route to host")


def test_a_role_change_leaves_its_term_and_a_lower_one_does_not_overwrite_it(config: Config, tmp_path: Path) -> None:
    assert read(config) == [Recorded(A), UNREACHED], "nothing is recorded yet"
    assert record(config, term=4, master="nabira") == [f"{B}: connect to host 10.0.0.4 port 22: No route to host"]
    assert read(config) == [Recorded(A, 4, "nabira"), UNREACHED]
    assert record(config, term=3, master="yasu")[0] == f"{A}: it has term 4 already"
    assert record(config, term=4, master="yasu")[1:] == [], "an abort gives the term back to the old master"
    assert read(config)[0] == Recorded(A, 4, "yasu")


def test_a_garbled_record_is_no_record(config: Config, tmp_path: Path) -> None:
    (tmp_path / "a" / FILE).write_text("term=four\nmaster=x\n")
    assert read(config)[0].problem.startswith("its record is garbled: ")
