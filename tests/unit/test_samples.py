"""The samples: what they say is what the code does."""

from __future__ import annotations

import configparser
import re
from dataclasses import fields
from pathlib import Path

from nagios_failover.config_file import parse
from nagios_failover.config_sections import SECTIONS, HostSection, NagiosSection, PathsSection

TOP = Path(__file__).resolve().parents[2]
CONFIG = (TOP / "nagios-failover.cfg.sample").read_text()
COMMANDS = (TOP / "commands.cfg.sample").read_text()

COMMENTED_OPTION = re.compile(r"^#(?=[a-z_]+ =)", re.M)


def blocks(kind: str, text: str = COMMANDS) -> list[dict[str, str]]:
    """The object definitions of this kind in a sample: directive -> value."""
    found = re.findall(rf"^define {kind} {{\n(.*?)^}}", text, re.M | re.S)
    return [
        {
            words[0]: (words[1:] or [""])[0]
            for line in body.splitlines()
            if (words := line.partition(" ;")[0].strip().split(maxsplit=1))
        }
        for body in found
    ]


def test_the_configuration_sample_is_valid_as_it_is_on_either_host() -> None:
    assert parse(CONFIG, hostname="yasu").peer.name == "nabira"
    assert parse(CONFIG, hostname="nabira.example.com").peer.name == "yasu"


def test_the_configuration_samples_commented_options_are_the_defaults() -> None:
    assert parse(COMMENTED_OPTION.sub("", CONFIG), hostname="yasu") == parse(CONFIG, hostname="yasu")


def test_the_configuration_sample_shows_every_option() -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(COMMENTED_OPTION.sub("", CONFIG))
    for title, section in SECTIONS.items():
        assert set(parser[title]) == {field.name for field in fields(section)}, title
    for name in ("host yasu", "host nabira"):
        assert set(parser[name]) == {field.name for field in fields(HostSection)} - {"name"}


def test_the_objects_carry_the_names_that_the_configuration_expects() -> None:
    names = NagiosSection()
    assert [host["host_name"] for host in blocks("host")] == [names.watch_host]
    services = {service["service_description"] for service in blocks("service") if "service_description" in service}
    assert services == {names.master_watch, names.state_watch, "State sync", "Replication", "Failover ready", "Trend data"}
    assert {service["host_name"] for service in blocks("service") if "host_name" in service} == {names.watch_host}
    assert f"process_perfdata {PathsSection().state}" in COMMANDS


def test_a_watch_service_is_volatile_runs_by_freshness_and_calls_the_handler() -> None:
    template = next(service for service in blocks("service") if service.get("register") == "0")
    wanted = {
        "check_freshness": "1",
        "is_volatile": "1",
        "active_checks_enabled": "0",
        "passive_checks_enabled": "1",
        "max_check_attempts": "3",
        "event_handler_enabled": "1",
        "event_handler": "handle_master_event",
        "notifications_enabled": "0",
    }
    assert {key: template[key] for key in wanted} == wanted
    services = [service for service in blocks("service") if "service_description" in service]
    assert all(service["use"] == template["name"] for service in services)


def test_no_command_line_breaks_macro_pairing() -> None:
    """$(...) in a command line blanks the macros (and the handler gets nothing)."""
    assert "$(" not in COMMANDS
    for command in blocks("command"):
        assert command["command_line"].count("$") % 2 == 0


def test_the_objects_have_no_contacts() -> None:
    assert not re.search(r"^\s*contact", COMMANDS, re.M)


def test_every_line_has_one_comment_at_most() -> None:
    for line in COMMANDS.splitlines():
        if line.startswith("#"):
            continue
        assert line.count(";") <= 1, line


QUORUM = (TOP / "quorum.cfg.sample").read_text()


def test_the_objects_for_a_quorum_go_with_the_others() -> None:
    assert blocks("service", QUORUM) == [
        {
            "use": "nagios-failover-watch",
            "service_description": NagiosSection().lease_watch,
            "check_command": "check_lease",
            "freshness_threshold": "5",
        }
    ]
    for command in blocks("command", QUORUM):
        assert "$(" not in command["command_line"] and command["command_line"].count("$") % 2 == 0
    keeper = blocks("command", QUORUM)[0]["command_line"]
    assert f"/bin/mute_without_lease {PathsSection().state} $COMMANDFILE$ /opt/nagios-failover/bin/check_lease" in keeper
    notify = [command for command in blocks("command", QUORUM) if command["command_name"].startswith("notify-")]
    assert len(notify) == 2
    assert all(f"| /opt/nagios-failover/bin/notify_if_master {PathsSection().state} " in one["command_line"] for one in notify)
