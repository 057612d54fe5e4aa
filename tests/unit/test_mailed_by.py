"""What a host has mailed since a moment, read from its event log by real sh."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.errors import CouldNotLook
from nagios_failover.mailed_by import mailed_here, told

LOG = """[1000] SERVICE NOTIFICATION: oncall;web1;HTTP;CRITICAL;mail-service;too early
[2000] SERVICE ALERT: web1;HTTP;OK;HARD;3;it talks of a NOTIFICATION: here
[2000] SERVICE NOTIFICATION: oncall;web1;HTTP;CRITICAL;mail-service;refused; very much so
[2005] HOST NOTIFICATION: oncall;web2;UP;mail-host;PING OK
[2006] SERVICE NOTIFICATION: oncall;web1;HTTP;ACKNOWLEDGEMENT (CRITICAL);mail-service;refused
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "nagios.cfg").write_text("log_file=/wrong\nlog_file=nagios.log\n")
    (tmp_path / "nagios.log").write_text(LOG)
    text = f"[host yasu]\n[host nabira]\nnagios_cfg = {tmp_path}/nagios.cfg\n[witness]\naddresses = none\n[mail]\nto = a@b\n"
    return parse(text, hostname="nabira")


def test_notifications_since_a_moment_and_those_that_both_have_sent(config: Config) -> None:
    mailed = mailed_here(config, since=2000.9)
    clock = [time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment)) for moment in (2000, 2005, 2006)]
    assert told(mailed, mailed[:1]) == [
        f"{clock[0]}  PROBLEM: web1/HTTP is CRITICAL, to oncall  (both hosts)",
        f"{clock[1]}  RECOVERY: web2 is UP, to oncall",
        f"{clock[2]}  ACKNOWLEDGEMENT: web1/HTTP is CRITICAL, to oncall",
    ]


def test_a_log_that_cannot_be_read_is_a_sentence(config: Config, tmp_path: Path) -> None:
    (tmp_path / "nagios.log").unlink()
    with pytest.raises(CouldNotLook, match=r"what nabira has mailed could not be read: .*/nagios\.log is not readable"):
        mailed_here(config, since=0)
