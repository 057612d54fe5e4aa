"""The watch services, as a promise for each line: what objects.cache must say so that the standby looks and acts."""

from __future__ import annotations

from pathlib import Path

from nagios_failover import object_rules
from nagios_failover.cfg_rules import Finding, Kind
from nagios_failover.config import Config
from nagios_failover.config_file import parse

BASE = """
[host yasu]
[host nabira]
[database]
socket = /run/mysqld/mysqld.sock
[witness]
addresses = 192.0.2.1
[mail]
to = oncall@example.org
"""


def config() -> Config:
    return parse(BASE, hostname="yasu")


def service(host: str, name: str, **more: str) -> str:
    attributes = {"host_name": host, "service_description": name, "check_command": "x!a\tb", **more}
    return "define service {\n" + "".join(f"\t{key}\t{value}\n" for key, value in attributes.items()) + "\t}\n\n"


def watch(name: str, **more: str) -> str:
    good = {
        "is_volatile": "1",
        "event_handler": "handle!x",
        "event_handler_enabled": "1",
        "check_freshness": "1",
        "freshness_threshold": "3",
    }
    return service("nagios-failover", name, **(good | more))


STATE_WATCH = watch("Failover state", check_command="state")


def command(name: str, line: str) -> str:
    return f"define command {{\n\tcommand_name\t{name}\n\tcommand_line\t{line}\n\t}}\n\n"


BIN = "/opt/nagios-failover/bin"
COMMANDS = (
    command("handle", f"{BIN}/handle_master_event '$HOSTNAME$'")
    + command("process-perfdata", f"{BIN}/process_perfdata /var/lib/nagios-failover $TIMET$")
    + command("process-perfdata-of-hosts", f"{BIN}/process_perfdata -H /var/lib/nagios-failover $TIMET$")
    + command("state", f"{BIN}/check_failover_state")
    + command("x", f"{BIN}/check_master_nagios")
)


def objects(text: str) -> list[str]:
    return [finding.sentence() for finding in check(text)]


PERFDATA_COMMANDS = {
    "service_perfdata_file_processing_command": "process-perfdata",
    "host_perfdata_file_processing_command": "process-perfdata-of-hosts",
}


def check(text: str) -> list[Finding]:
    parsed = object_rules.parse_objects(text.splitlines(keepends=True), frozenset({"command", "host", "service"}))
    return object_rules.check_objects("yasu", "objects.cache", config(), PERFDATA_COMMANDS, parsed)


def test_watch_services_as_the_sample_has_them_are_no_finding() -> None:
    assert objects(COMMANDS + watch("Master Nagios") + STATE_WATCH + service("web1", "HTTP")) == []


def test_missing_watch_services_are_named() -> None:
    assert objects(service("web1", "HTTP")) == [
        f"yasu: objects.cache: no service '{name}' on host 'nagios-failover': "
        "see commands.cfg.sample; restart Nagios after adding it"
        for name in ("Master Nagios", "Failover state")
    ]


def test_with_a_quorum_the_lease_is_kept_by_a_service_and_notifications_go_through_our_wrapper() -> None:
    quorum = parse(f"{BASE}[quorum]\netcd = https://192.0.2.1:2379\n[fence]\nuser = nagios\n", hostname="yasu")
    whole = COMMANDS + watch("Master Nagios") + STATE_WATCH

    def found(text: str) -> list[str]:
        parsed = object_rules.parse_objects(text.splitlines(keepends=True), frozenset({"command", "host", "service"}))
        findings = object_rules.check_objects("yasu", "objects.cache", quorum, PERFDATA_COMMANDS, parsed)
        return [f"{finding.kind.name}: {finding.sentence()}" for finding in findings]

    assert found(whole) == [
        "ADVICE: yasu: objects.cache: no command has notify_if_master in front of what it sends: a host that was frozen would mail "
        "(quorum.cfg.sample)",
        "WRONG: yasu: objects.cache: no service 'Role lease' on host 'nagios-failover': see quorum.cfg.sample; "
        "restart Nagios after adding it",
    ]
    keeper = command("lease", f"{BIN}/check_lease") + command("mail", f"{BIN}/notify_if_master /var/lib/nagios-failover mail")
    assert found(keeper + whole + watch("Role lease", check_command="lease", freshness_threshold="5")) == []
    (late,) = found(keeper + whole + watch("Role lease", check_command="lease", freshness_threshold="60"))
    assert "freshness_threshold 60, should be freshness_threshold 10" in late


def test_a_master_watched_by_a_plain_host_check_needs_no_master_watch_service() -> None:
    host = "define host {\n\thost_name\tnabira\n\tevent_handler\thandle!x\n\t}\n"
    assert objects(COMMANDS + host + STATE_WATCH) == []


def test_a_watch_service_that_would_not_act_is_named_line_by_line() -> None:
    bad = watch("Master Nagios", is_volatile="0", event_handler_enabled="0", check_freshness="0", freshness_threshold="60")
    found = objects(bad + STATE_WATCH)
    assert [line.split(": ")[3] for line in found] == [
        "is_volatile 0, should be is_volatile 1",
        "event_handler_enabled 0, should be event_handler_enabled 1",
        "check_freshness 0, should be check_freshness 1",
        "freshness_threshold 60, should be freshness_threshold 10",
    ]


def test_other_services_that_would_run_on_an_idle_standby_are_named() -> None:
    text = watch("Master Nagios") + STATE_WATCH + service("web1", "Passive backup", check_freshness="1")
    (finding,) = check(text)
    assert finding.kind is Kind.ADVICE
    assert finding.sentence().endswith("check_freshness is on, so an idle standby runs these too: web1/Passive backup")


def test_objects_stream_by_without_being_kept(tmp_path: Path) -> None:
    cache = tmp_path / "objects.cache"
    cache.write_text(service("web1", "HTTP") * 3)
    with cache.open() as lines:
        parsed = object_rules.parse_objects(lines, frozenset({"service"}))
        assert next(parsed) == ("service", {"host_name": "web1", "service_description": "HTTP", "check_command": "x!a\tb"})


def test_commands_that_are_not_ours_are_named() -> None:
    text = COMMANDS.replace("check_master_nagios", "check_nagios").replace("/var/lib/nagios-failover", "/srv/elsewhere")
    assert objects(text + watch("Master Nagios") + STATE_WATCH) == [
        "yasu: objects.cache: service 'Master Nagios': the command 'x' is '/opt/nagios-failover/bin/check_nagios', "
        "in which commands.cfg.sample has check_master_nagios",
        "yasu: objects.cache: service_perfdata_file_processing_command: the command 'process-perfdata' is "
        "'/opt/nagios-failover/bin/process_perfdata /srv/elsewhere $TIMET$', "
        "in which commands.cfg.sample has process_perfdata and /var/lib/nagios-failover",
        "yasu: objects.cache: host_perfdata_file_processing_command: the command 'process-perfdata-of-hosts' is "
        "'/opt/nagios-failover/bin/process_perfdata -H /srv/elsewhere $TIMET$', "
        "in which commands.cfg.sample has process_perfdata and -H and /var/lib/nagios-failover",
    ]
