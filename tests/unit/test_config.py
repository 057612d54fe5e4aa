"""The configuration is strict: every mistake is listed at once, with section, option and hint, and nothing is ignored."""

from __future__ import annotations

from pathlib import Path

import pytest

from nagios_failover.account import Account
from nagios_failover.config import Config, Failback, Schema, Severity, duration, load, parse
from nagios_failover.errors import ConfigError
from nagios_failover.words import Mode

MINIMAL = """
[host yasu]
[host nabira]
[witness]
addresses = none
[mail]
to = ops@example.org
"""


def mistakes(text: str, hostname: str = "nabira") -> list[str]:
    with pytest.raises(ConfigError) as raised:
        parse(text, hostname=hostname)
    assert raised.value.exit_code == 2
    return raised.value.detail.splitlines()


def with_line(section: str, line: str) -> str:
    if f"[{section}]" in MINIMAL:
        return MINIMAL.replace(f"[{section}]\n", f"[{section}]\n{line}\n")
    return f"{MINIMAL}[{section}]\n{line}\n"


def test_a_minimal_file_has_a_default_for_everything_else() -> None:
    config = parse(MINIMAL, hostname="nabira.example.org")
    assert (config.this.name, config.peer.name, config.peer.address) == ("nabira", "yasu", "yasu")
    assert (config.pair.mode, config.pair.failback) == (Mode.FAILOVER, Failback.MANUAL)
    assert [config.look.interval, config.heartbeat.warning, config.heartbeat.critical] == [10.0, 60.0, 300.0]
    assert config.look.confirmations == 3
    assert config.heartbeat.schema is Schema.NONE and config.witness.addresses == ("none",)
    assert config.paths.state == Path("/var/lib/nagios-failover")


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
        ("pair", "preferred = tokyo", "[pair] preferred: 'tokyo' is not one of the hosts"),
        ("look", "status_warning = 90", "[look] status_warning: 90 s is above the critical age of 60 s"),
        ("heartbeat", "warning = 10m", "[heartbeat] warning: 600 s is above the critical age of 300 s"),
        ("heartbeat", "time_zone = '; DROP", '[heartbeat] time_zone: "\'; DROP" is not a time zone'),
        ("heartbeat", "prefix = a`b", "[heartbeat] prefix: 'a`b' does not begin a table's name"),
        ("heartbeat", "port = 65536", "[heartbeat] port: '65536' is not a port"),
        ("look", "timeout = 3", "[look] timeout: 3 s is less than a look can take: 6 s"),
        ("run", "pre_hook = 'open", '[run] pre_hook: "\'open": No closing quotation; hint: close the quotation'),
        ("host -x", "address = 1", "[host -x]: not a host name"),
        ("DEFAULT", "mode = failover", "[DEFAULT]: no such section"),
        ("replication", "watch = yes\n[pair]\nfailback = automatic", "[pair] failback: automatic cannot go with [replication]"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_its_place(section: str, line: str, said: str) -> None:
    assert said in "\n".join(mistakes(with_line(section, line)))


@pytest.mark.parametrize("addresses", ["", "addresses =", "addresses = none, 10.0.0.1", "addresses = -f"])
def test_witnesses_are_named_or_renounced_in_writing(addresses: str) -> None:
    assert mistakes(MINIMAL.replace("addresses = none", addresses))[0].startswith("[witness] addresses: ")


def test_an_account_of_a_witness_is_a_witness_too() -> None:
    lines = "addresses = 10.0.0.1, 10.0.0.2\naccounts = hb@10.0.0.2, look@gw:2222"
    witness = parse(MINIMAL.replace("addresses = none", lines), hostname="yasu").witness
    assert witness.accounts == (Account("hb", "10.0.0.2"), Account("look", "gw", 2222))
    assert witness.asked == ("10.0.0.1", "10.0.0.2", "gw:2222")
    alone = parse(MINIMAL.replace("addresses = none", "accounts = hb@10.0.0.2"), hostname="yasu").witness
    assert alone.asked == ("10.0.0.2:22",)


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


@pytest.mark.parametrize("hosts", ["[host yasu]", "[host yasu]\n[host nabira]\n[host tokyo]"])
def test_a_pair_is_two_hosts(hosts: str) -> None:
    assert "hint: a pair has exactly two such sections" in mistakes(MINIMAL.replace("[host yasu]\n[host nabira]", hosts))[0]


QUORUM = "[quorum]\netcd = https://10.0.0.1:2379, https://10.0.0.2:2379\n[fence]\nuser = nagios\n"


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
    ("lines", "said"),
    [
        ("etcd = 10.0.0.1:2379", "[quorum] etcd: '10.0.0.1:2379' is no member's address; hint: https://192.0.2.21:2379, several"),
        ("etcd = https://a/b", "[quorum] etcd: 'https://a/b' is no member's address"),
        (
            "tls_cert = /c",
            "[quorum] tls_cert: a certificate and its key belong together; hint: set tls_cert and tls_key, or neither",
        ),
        ("etcd = http://a:1\ntls_cert = /c\ntls_key = /k", "[quorum] etcd: http has no use for tls_cert; hint: https://"),
        ("name = a/b", "[quorum] name: 'a/b' is no plain name; hint: letters, digits, - and _"),
        ("etcd = https://a:1", "[quorum] etcd: needs [fence] user, the account by which a master asks the other hosts"),
        (
            "etcd = https://a:1\nlease = 22",
            "[quorum] lease: 22 s is over before a master can have stood down; hint: more than 23 s",
        ),
        ("etcd = https://a:1\n[pair]\nfailback = automatic", "[quorum] etcd: cannot go with failback = automatic"),
    ],
)
def test_a_quorum_that_cannot_be_is_named(lines: str, said: str) -> None:
    assert said in "\n".join(mistakes(f"{MINIMAL}[quorum]\n{lines}\n"))


def test_more_than_two_hosts_are_not_replicated() -> None:
    text = f"{MINIMAL}[host tokyo]\n{QUORUM}[database]\nsocket = /s\n[replication]\nwatch = yes\n"
    assert mistakes(text) == ["[replication] watch: more than two hosts are not replicated; hint: watch = no, or two hosts"]


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


@pytest.mark.parametrize(("text", "seconds"), [("10", 10), ("2.5s", 2.5), ("5m", 300), ("1h", 3600), ("30d", 2592000)])
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1", "0", "nan", "inf", "1w", "1 2"])
def test_durations_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration above 0"):
        duration(text)
