"""The lab's pure parts: what it reads from the machine, what it writes for its hosts."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from tests.lab import debian_root, machine, nagios_site, network, suite_layer
from tests.lab.__main__ import parser
from tests.lab.files import Directory, File, groups_of, homes_of, passwd_of, tar_of
from tests.lab.machine import LabError
from tests.lab.service import program_block
from tests.lab.state import Links, Settings, Store
from tests.lab.target import nagios_settings

PASSWD = "root:x:0:0:root:/root:/bin/bash\nnagios:x:102:105::/var/lib/nagios:/usr/sbin/nologin\n"

DEB822 = """Types: deb
URIs: http://updates.example/debian-security
Suites: bookworm-security
Components: main

# a comment
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/some.gpg
"""


# ---- the machine's own Debian ----


def test_the_mirror_and_its_keyring_come_from_the_machine_s_deb822_sources() -> None:
    assert debian_root.apt_source([DEB822], "bookworm") == ("http://mirror.example/debian", "/usr/share/keyrings/some.gpg")


def test_a_one_line_source_with_options_is_understood_and_one_of_another_vendor_is_not_taken() -> None:
    texts = [
        "deb https://packages.example.com/apt cloud-bookworm main\n",
        "# deb http://old.example/debian bookworm main\n",
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main\n",
    ]
    assert debian_root.apt_source(texts, "bookworm") == ("http://mirror.example/debian", "/k.gpg")
    assert debian_root.apt_source(["deb http://mirror.example/debian trixie main\n"], "trixie").keyring is None


def test_without_a_source_for_the_release_the_refusal_names_it() -> None:
    with pytest.raises(LabError, match="no apt source of this machine carries trixie main"):
        debian_root.apt_source([DEB822], "trixie")


def test_the_root_s_key_changes_with_the_libraries_and_the_libraries_are_setup_cfg_s(tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text("[options]\ninstall_requires =\n    one >= 1\n    two\n")
    assert debian_root.requirements(tmp_path) == ["one >= 1", "two"]
    assert debian_root.root_key(["one >= 1"]) != debian_root.root_key(["one >= 2"])


def test_the_suite_s_layer_changes_with_what_is_installed_and_with_nothing_else(tmp_path: Path) -> None:
    root = Path("/nowhere/bookworm-123")
    package = tmp_path / "nagios_failover"
    package.mkdir()
    assert not suite_layer.is_installable(tmp_path)
    (package / "__init__.py").write_text("")
    (tmp_path / "setup.cfg").write_text("[metadata]\n")
    assert suite_layer.is_installable(tmp_path)
    before = suite_layer.layer_key(root, tmp_path)
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "x.pyc").write_text("compiled")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text("pass")
    assert suite_layer.layer_key(root, tmp_path) == before
    (package / "cli.py").write_text("pass")
    assert suite_layer.layer_key(root, tmp_path) != before
    assert suite_layer.layer_key(Path("/nowhere/bookworm-456"), tmp_path) != suite_layer.layer_key(root, tmp_path)


def test_missing_tools_are_named_with_the_line_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(machine, "missing_tools", lambda: ["debootstrap", "ip"])
    assert machine.why_not() == (
        "the lab needs debootstrap, ip, not found on this machine: apt-get install -y debootstrap iproute2"
    )


def test_without_root_the_reason_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert machine.why_not() == (
        "the lab needs root (namespaces, mounts, a bridge) and this is uid 1000; run it as root, or leave the lab tests out"
    )


# ---- the network ----


def test_a_cut_is_both_directions_unless_one_way_and_all_is_every_other_host() -> None:
    assert network.pairs("yasu", "nabira", one_way=True) == {("yasu", "nabira")}
    assert network.pairs("yasu", "nabira", one_way=False) == {("yasu", "nabira"), ("nabira", "yasu")}
    assert network.pairs("yasu", "all", one_way=True) == {("yasu", "nabira"), ("yasu", "witness")}
    assert len(network.pairs("yasu", "all", one_way=False)) == 4


def test_the_receiving_host_drops_and_the_sending_host_turns_slow_connections_to_its_relay() -> None:
    links = Links(frozenset({("yasu", "nabira")}), (("yasu", "witness", 2.0),))
    assert network.filter_rules("nabira", links) == ("*filter\n-A INPUT -s 10.99.0.11 -j DROP\nCOMMIT\n*nat\nCOMMIT\n")
    assert network.filter_rules("yasu", links) == (
        "*filter\nCOMMIT\n*nat\n"
        "-A OUTPUT -p tcp -d 10.99.0.13 --dport 22 -m mark ! --mark 5 -j REDIRECT --to-ports 40002\n"
        "-A OUTPUT -p tcp -d 10.99.0.13 --dport 3306 -m mark ! --mark 5 -j REDIRECT --to-ports 40002\n"
        "COMMIT\n"
    )
    assert network.filter_rules("witness", links) == "*filter\nCOMMIT\n*nat\nCOMMIT\n"


def test_every_relay_has_a_port_and_every_host_a_network_card_of_its_own() -> None:
    hosts = ("yasu", "nabira", "witness")
    assert len({network.relay_port(a, b) for a in hosts for b in hosts}) == 9
    assert network.mac("nabira") == "02:00:0a:63:00:0c"
    assert len({network.mac(host) for host in hosts}) == 3


# ---- Nagios's configuration ----


def test_debian_s_nagios_cfg_is_kept_but_for_the_settings_asked_for() -> None:
    packaged = "# cfg\nlog_file=/l\ncfg_file=/e/commands.cfg\ncfg_file=/e/localhost.cfg\nenable_notifications=1\n"
    assert nagios_site.nagios_cfg(packaged, {"enable_notifications": "0", "new": "yes"}) == (
        "# cfg\nlog_file=/l\ncfg_file=/e/commands.cfg\nenable_notifications=0\nnew=yes\n"
    )


def test_both_hosts_of_a_pair_have_the_standby_s_flags_and_a_master_without_the_suite_has_ordinary_ones() -> None:
    pair = Settings("x", layer="/layer")
    for host in ("yasu", "nabira"):
        written = nagios_settings(host, pair)
        assert (written["enable_notifications"], written["execute_service_checks"], written["execute_host_checks"]) == (
            "0",
            "0",
            "0",
        )
    redundancy = nagios_settings("nabira", Settings("x", mode="redundancy", layer="/layer"))
    assert redundancy["enable_notifications"] == "0"
    assert "execute_service_checks" not in redundancy
    plain = nagios_settings("yasu", Settings("x", suite_on=("nabira",), layer="/layer"))
    assert not {"enable_notifications", "execute_service_checks", "execute_host_checks"} & plain.keys()
    assert nagios_settings("nabira", Settings("x", suite_on=(), layer=None))["enable_notifications"] == "0"


@pytest.mark.parametrize("count", [1, 12, 36, 100, 5000])
def test_services_are_as_many_as_asked_for_and_all_different(count: int) -> None:
    services = nagios_site.services_of(count)
    assert len(services) == len(set(services)) == count
    assert nagios_site.objects("default", count).count("define service {") == count + 1


def test_the_first_services_have_names_that_a_reader_knows() -> None:
    assert [name for host, name in nagios_site.services_of(48) if host == "web3"] == ["HTTP", "LOAD", "DISK", "S004"]


def test_many_services_are_checked_less_often() -> None:
    assert nagios_site.check_interval("one-second", 36) == 5
    assert nagios_site.check_interval("one-second", 5000) == 125
    assert nagios_site.check_interval("default", 36) == 1
    assert nagios_site.check_interval("default", 5000) == 5


def test_the_program_block_of_status_dat_is_read() -> None:
    status = (
        "info {\n\tcreated=5\n\t}\n\nprogramstatus {\n\tnagios_pid=7\n\tenable_notifications=0\n\t}\n\nhoststatus {\n\tx=1\n\t}\n"
    )
    assert program_block(status) == {"nagios_pid": "7", "enable_notifications": "0"}
    assert program_block("") == {}


# ---- files, names, words ----


def test_files_arrive_with_the_owners_of_that_host() -> None:
    file_of_nagios = File("/etc/x/y", "text\n", owner="nagios", group="adm", mode=0o640)
    entries = (Directory("/etc/x", mode=0o750), file_of_nagios)
    with tarfile.open(fileobj=io.BytesIO(tar_of(entries, passwd_of(PASSWD), groups_of("adm:x:4:\n")))) as archive:
        directory, file = archive.getmembers()
    assert (directory.name, directory.isdir(), directory.uid, directory.mode) == ("etc/x", True, 0, 0o750)
    assert (file.name, file.uid, file.gid, file.mode, file.size) == ("etc/x/y", 102, 4, 0o640, 5)
    assert homes_of(PASSWD)["nagios"] == "/var/lib/nagios"


@pytest.mark.parametrize("name", ["", "../x", "A", "a b", "x" * 31])
def test_a_lab_s_name_cannot_be_a_path(name: str) -> None:
    with pytest.raises(LabError, match="is no name for a lab"):
        Store(name)


def test_a_lab_that_is_not_up_is_said_to_be_down_with_the_command_that_starts_it() -> None:
    with pytest.raises(LabError, match=r"no lab 'no-such' is up; start it with: python -m tests\.lab up --name no-such"):
        Store("no-such").settings()


@pytest.mark.parametrize(
    "line",
    [
        "up --name n --suite trixie --mode redundancy --failback automatic --services 5000",
        "exec yasu", "off yasu", "on yasu", "freeze yasu", "thaw yasu", "cut yasu nabira --one-way", "mend yasu nabira",
        "slow yasu nabira --delay 2.5", "set web3 HTTP CRITICAL", "mail --json", "status", "down --name n",
    ],
)  # fmt: skip
def test_the_command_line_has_every_verb(line: str) -> None:
    assert parser().parse_args(line.split()).act


@pytest.mark.parametrize(
    ("line", "said"),
    [("up --mode other", "invalid choice: 'other'"), ("slow yasu nabira", "--delay"), ("fly", "invalid choice: 'fly'")],
)
def test_a_wrong_command_line_says_what_is_wrong(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parser().parse_args(line.split())
    assert said in capsys.readouterr().err
