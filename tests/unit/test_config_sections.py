"""A minimal file is enough: every option has a default; and what a section makes of its options."""

from __future__ import annotations

from pathlib import Path

from nagios_failover.account import Account
from nagios_failover.config_file import parse
from nagios_failover.config_values import Failback, Schema
from nagios_failover.words import Mode
from tests.config_text import MINIMAL


def test_a_minimal_file_has_a_default_for_everything_else() -> None:
    config = parse(MINIMAL, hostname="nabira.example.org")
    assert (config.this.name, config.peer.name, config.peer.address) == ("nabira", "yasu", "yasu")
    assert (config.pair.mode, config.pair.failback) == (Mode.FAILOVER, Failback.MANUAL)
    assert [config.look.interval, config.heartbeat.warning, config.heartbeat.critical] == [10.0, 60.0, 300.0]
    assert config.look.confirmations == 3
    assert config.heartbeat.schema is Schema.NONE and config.witness.addresses == ("none",)
    assert config.paths.state == Path("/var/lib/nagios-failover")


def test_an_account_of_a_witness_is_a_witness_too() -> None:
    lines = "addresses = 10.0.0.1, 10.0.0.2\naccounts = hb@10.0.0.2, look@gw:2222"
    witness = parse(MINIMAL.replace("addresses = none", lines), hostname="yasu").witness
    assert witness.accounts == (Account("hb", "10.0.0.2"), Account("look", "gw", 2222))
    assert witness.asked == ("10.0.0.1", "10.0.0.2", "gw:2222")
    alone = parse(MINIMAL.replace("addresses = none", "accounts = hb@10.0.0.2"), hostname="yasu").witness
    assert alone.asked == ("10.0.0.2:22",)
