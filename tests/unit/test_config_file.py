"""The configuration is strict: every mistake is listed at once, with section, option and hint, and nothing is ignored."""

from __future__ import annotations

from pathlib import Path

import pytest

from nagios_failover.config import Config
from nagios_failover.config_file import load, parse
from nagios_failover.errors import ConfigError
from tests.config_text import MINIMAL, QUORUM, mistakes, with_line


def test_one_and_the_same_file_says_who_this_is_by_the_host_name() -> None:
    assert parse(MINIMAL, hostname="yasu").peer.name == "nabira"
    assert parse(MINIMAL.replace("yasu", "yasu.example.org"), hostname="yasu").this.name == "yasu.example.org"
    assert mistakes(MINIMAL, hostname="hokkaido") == [
        "[host NAME]: this host is hokkaido, the file names yasu and nabira; hint: NAME is what `hostname` prints"
    ]


def test_two_hosts_of_one_short_name_are_told_apart_by_their_domain() -> None:
    twins = MINIMAL.replace("yasu", "mon.dc1").replace("nabira", "mon.dc2")
    assert parse(twins, hostname="mon.dc2").this.name == "mon.dc2"
    assert parse(twins, hostname="mon.dc1").this.name == "mon.dc1"
    for elsewhere in ("mon", "mon.dc3"):
        assert mistakes(twins, hostname=elsewhere)[0].startswith(f"[host NAME]: this host is {elsewhere}, the file names")


def test_all_mistakes_are_listed_at_once() -> None:
    text = """
[host yasu]
adress = 10.0.0.1
[host nabira]
nagios_cfg = nagios.cfg
[pair]
mode = both
[ssh]
port = 22x
timeout = 0
[look]
confirmations = -1
[replication]
watch = true
[extra]
x = 1
"""
    assert mistakes(text) == [
        "[host yasu] adress: no such option; hint: one of address, nagios_cfg, nagios_binary, nagios_service, fence_options",
        "[host nabira] nagios_cfg: 'nagios.cfg' is not an absolute path; hint: begin with /",
        "[extra]: no such section; hint: one of [host NAME], [pair], [nagios], [paths], [ssh], [look], [heartbeat], [witness], "
        "[quorum], [fence], [replication], [sync], [database], [perfdata], [run], [ready], [mail]",
        "[pair] mode: 'both' is none of redundancy, failover",
        "[ssh] port: '22x' is not a port; hint: 1 to 65535",
        "[ssh] timeout: '0' is not a duration above 0; hint: 10, 2.5s, 5m, 1h or 30d",
        "[look] confirmations: '-1' is not a whole number from 1",
        "[replication] watch: 'true' is neither yes nor no",
    ]


@pytest.mark.parametrize(
    ("section", "line", "said"),
    [
        ("host -x", "address = 1", "[host -x]: not a host name"),
        ("DEFAULT", "mode = failover", "[DEFAULT]: no such section"),
    ],
)
def test_a_section_that_cannot_be_is_named(section: str, line: str, said: str) -> None:
    assert said in "\n".join(mistakes(with_line(section, line)))


@pytest.mark.parametrize("hosts", ["[host yasu]", "[host yasu]\n[host nabira]\n[host tokyo]"])
def test_a_pair_is_two_hosts(hosts: str) -> None:
    assert "hint: a pair has exactly two such sections" in mistakes(MINIMAL.replace("[host yasu]\n[host nabira]", hosts))[0]


def test_with_a_quorum_there_may_be_more_and_the_one_looked_at_is_who_has_the_lease(tmp_path: Path) -> None:
    text = f"{MINIMAL}[host tokyo]\n[paths]\nstate = {tmp_path}\n{QUORUM}"
    path = tmp_path / "nagios-failover.cfg"
    path.write_text(text)

    def looked_at() -> str:
        return load(path, hostname="nabira").peer.name

    assert [host.name for host in parse(text, hostname="nabira").others] == ["yasu", "tokyo"]
    assert looked_at() == "yasu"
    (tmp_path / "role").write_text("role=standby\nmaster=tokyo\n")
    assert looked_at() == "tokyo"
    (tmp_path / "lease").write_text("until=0\nholder=yasu\n")
    assert looked_at() == "yasu"
    (tmp_path / "lease").write_text("until=9\nholder=nabira\n")
    assert looked_at() == "tokyo"


@pytest.mark.parametrize(
    "text", ["mode = failover\n", MINIMAL + "[mail]\n", MINIMAL + "to = a\nto = b\n", "[pair\n", MINIMAL + "just words\n"]
)
def test_a_malformed_file_is_one_sentence(text: str) -> None:
    with pytest.raises(ConfigError, match="is malformed") as raised:
        parse(text, hostname="nabira")
    assert raised.value.hint and raised.value.detail and "\n" not in raised.value.detail


def test_an_address_that_ssh_would_take_for_an_option_is_refused() -> None:
    text = MINIMAL.replace("[host yasu]", "[host yasu]\naddress = -oProxyCommand=x")
    assert mistakes(text) == ["[host yasu] address: '-oProxyCommand=x' begins with a dash; hint: a host name or an address"]


def write(path: Path, text: str, mode: int = 0o640) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_file_with_a_password_is_not_for_everybody(tmp_path: Path) -> None:
    path = write(tmp_path / "a.cfg", with_line("heartbeat", "password = secret"), 0o644)
    with pytest.raises(ConfigError, match=f"{path} holds a password and everybody can read it") as raised:
        load(path, hostname="yasu")
    assert raised.value.hint == f"chmod 0640 {path}"
    path.chmod(0o640)
    assert isinstance(load(path, hostname="yasu"), Config)
    assert isinstance(load(write(tmp_path / "b.cfg", MINIMAL, 0o644), hostname="yasu"), Config)


def test_a_missing_or_unreadable_file_is_a_sentence_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist") as raised:
        load(tmp_path / "none.cfg")
    assert "nagios-failover.cfg.sample" in raised.value.hint
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "latin.cfg").write_bytes(b"[mail]\nto = \xe9\n")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "latin.cfg")
