"""The database is reached from the other host, and no address of ours hangs on DNS. Socket lines as Debian 12's kernel has them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nagios_failover import address_rules
from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.config_sections import HeartbeatSection
from nagios_failover.config_values import Schema

BASE = """
[host yasu]
address = 192.0.2.11
[host nabira]
address = 192.0.2.12
[heartbeat]
schema = nagios1
[witness]
addresses = 192.0.2.1
[mail]
to = oncall@example.org
"""


def config(text: str = BASE) -> Config:
    return parse(text, hostname="yasu")


HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LOOPBACK = "   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   106        0 2051 1 0 100 0 0 10 0\n"
EVERYWHERE = "   1: 00000000:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   106        0 2052 1 0 100 0 0 10 0\n"
ESTABLISHED = "   2: 0200630A:0CEA 0300630A:C0DE 01 00000000:00000000 00:00000000 00000000   106        0 2053 1 0 100 0 0 10 0\n"
IPV6 = (
    "   3: 00000000000000000000000000000000:0CEA 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 "
    "  106        0 2054 1 0 100 0 0 10 0\n"
)


def test_a_database_on_the_loopback_alone_is_named_with_the_line_that_opens_it() -> None:
    (finding,) = address_rules.check_listening("yasu", config(), HEADER + LOOPBACK + ESTABLISHED)
    assert (finding.found, finding.wanted) == ("bind-address = 127.0.0.1", "bind-address = 0.0.0.0")


@pytest.mark.parametrize("sockets", [HEADER + EVERYWHERE, HEADER + LOOPBACK + EVERYWHERE, HEADER + IPV6, ""])
def test_a_database_that_others_reach_or_that_cannot_be_seen_is_no_finding(sockets: str) -> None:
    assert address_rules.check_listening("yasu", config(), sockets) == []


def test_a_database_that_does_not_listen_is_said() -> None:
    (finding,) = address_rules.check_listening("yasu", config(), HEADER + ESTABLISHED)
    assert finding.sentence().startswith("yasu: MariaDB: nothing listens on port 3306")


def test_without_a_heartbeat_nobody_asks_for_the_database() -> None:
    plain = replace(config(), heartbeat=HeartbeatSection(schema=Schema.NONE))
    assert address_rules.check_listening("yasu", plain, HEADER + LOOPBACK) == []


# --- our own addresses ---

ETC_HOSTS = "127.0.0.1 localhost  # itself\n# 192.0.2.9 ghost\n192.0.2.12\tnabira.example.org nabira\n"


def named(text: str) -> list[str]:
    return [finding.sentence() for finding in address_rules.check_addresses("yasu", config(text), ETC_HOSTS)]


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("address = 192.0.2.12", "address = nabira"),
        ("address = 192.0.2.12", "address = 2001:db8::2"),
        ("addresses = 192.0.2.1", "addresses = 192.0.2.1:22 [2001:db8::1]:22 2001:db8::1 nabira:22"),
        ("addresses = 192.0.2.1", "addresses = none"),
    ],
)
def test_ip_addresses_and_names_in_etc_hosts_outlive_dns(line: str, instead: str) -> None:
    assert named(BASE) == []
    assert named(BASE.replace(f"{line}\n", f"{instead}\n")) == []


def test_a_name_that_only_dns_knows_is_listed() -> None:
    why = "with DNS out of reach the name means nothing, the host cannot be looked at, and no failover starts"
    cfg = "yasu: /etc/nagios-failover/nagios-failover.cfg"
    text = BASE.replace("address = 192.0.2.11\n", "").replace("192.0.2.12", "ghost").replace("192.0.2.1\n", "gw.example.org:22\n")
    assert named(text) == [
        f"{cfg}: [host yasu] address = yasu, should be its IP address, or yasu in /etc/hosts: {why}",
        f"{cfg}: [host nabira] address = ghost, should be its IP address, or ghost in /etc/hosts: {why}",
        f"{cfg}: [witness] addresses = gw.example.org, should be its IP address, or gw.example.org in /etc/hosts: {why}",
    ]
