"""What nagios.cfg must say, as a promise for each line: Debian's own file is wrong in these lines and in no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nagios_failover import cfg_rules
from nagios_failover.cfg_rules import Finding, Kind
from nagios_failover.config import Config, HeartbeatSection, LookSection, PairSection, Schema, Seconds, parse
from nagios_failover.nagios_cfg import parse_nagios_cfg
from nagios_failover.words import Mode

BASE = """
[host yasu]
[host nabira]
[heartbeat]
schema = nagios1
[database]
socket = /run/mysqld/mysqld.sock
[witness]
addresses = 192.0.2.1
[mail]
to = oncall@example.org
"""

DEBIAN_12 = """
log_file=/var/log/nagios4/nagios.log
status_file=/var/lib/nagios4/status.dat
status_update_interval=10
check_external_commands=1
log_external_commands=1
enable_event_handlers=1
enable_notifications=1
execute_service_checks=1
execute_host_checks=1
retain_state_information=1
use_retained_program_state=1
retained_host_attribute_mask=0
retained_service_attribute_mask=0
retained_process_host_attribute_mask=0
retained_process_service_attribute_mask=0
service_check_timeout=60
service_check_timeout_state=c
event_handler_timeout=30
process_performance_data=0
check_service_freshness=1
service_freshness_check_interval=60
additional_freshness_latency=15
"""

RIGHT = """
status_update_interval=10
enable_notifications=0
execute_service_checks=0
execute_host_checks=0
retain_state_information=1
event_handler_timeout=30
service_check_timeout_state=u
check_service_freshness=1
service_freshness_check_interval=5
additional_freshness_latency=0
process_performance_data=1
service_perfdata_file=/var/lib/nagios-failover/perfdata/spool
service_perfdata_file_template=$LASTSERVICECHECK$\\t$HOSTNAME$\\t$SERVICEDESC$\\t$SERVICEOUTPUT$\\t$SERVICESTATE$\\t$SERVICEPERFDATA$
service_perfdata_file_mode=a
service_perfdata_file_processing_interval=15
service_perfdata_file_processing_command=process-perfdata
"""


def config(text: str = BASE) -> Config:
    return parse(text, hostname="yasu")


def findings(text: str, conf: Config | None = None) -> list[Finding]:
    chosen = conf or config()
    return cfg_rules.check_nagios_cfg("yasu", "/etc/nagios4/nagios.cfg", parse_nagios_cfg(text), cfg_rules.rules(chosen))


def lines(text: str, conf: Config | None = None) -> dict[str, str]:
    """What is found wrong, and the line that is right."""
    return {finding.found: finding.wanted for finding in findings(text, conf)}


def test_the_right_file_has_no_finding() -> None:
    assert findings(RIGHT) == []


def test_every_line_of_debians_file_that_does_not_work_is_named_with_its_right_value() -> None:
    assert lines(DEBIAN_12) == {
        "enable_notifications=1": "enable_notifications=0",
        "execute_service_checks=1": "execute_service_checks=0",
        "execute_host_checks=1": "execute_host_checks=0",
        "service_check_timeout_state=c": "service_check_timeout_state=u",
        "service_freshness_check_interval=60": "service_freshness_check_interval=10",
        "additional_freshness_latency=15": "additional_freshness_latency=0",
        "process_performance_data=0": "process_performance_data=1",
        "no service_perfdata_file": "service_perfdata_file=/var/lib/nagios-failover/perfdata/spool",
        "no service_perfdata_file_template": f"service_perfdata_file_template={cfg_rules.PERFDATA_TEMPLATE}",
        "no service_perfdata_file_processing_interval (Nagios takes 0)": "service_perfdata_file_processing_interval=15",
        "no service_perfdata_file_processing_command": "service_perfdata_file_processing_command=process_perfdata",
    }


def test_a_finding_is_one_sentence_with_host_file_line_and_right_line() -> None:
    sentences = [
        finding.sentence() for finding in findings(RIGHT.replace("retain_state_information=1", "retain_state_information=0"))
    ]
    assert sentences == [
        "yasu: /etc/nagios4/nagios.cfg: retain_state_information=0, should be retain_state_information=1: "
        "a master that restarts must come back as the master"
    ]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("check_external_commands=0", "check_external_commands=1"),
        ("log_external_commands=0", "log_external_commands=1"),
        ("enable_event_handlers=0", "enable_event_handlers=1"),
        ("use_retained_program_state=0", "use_retained_program_state=1"),
        ("retained_process_host_attribute_mask=8203", "retained_process_host_attribute_mask=0"),
        ("retained_host_attribute_mask=1", "retained_host_attribute_mask=0"),
        ("service_check_timeout=9", "service_check_timeout=60"),
        ("event_handler_timeout=4", "event_handler_timeout=30"),
        ("status_update_interval=20", "status_update_interval=10"),
        ("service_freshness_check_interval=11", "service_freshness_check_interval=10"),
        ("check_service_freshness=0", "check_service_freshness=1"),
        ("service_perfdata_file_processing_interval=31", "service_perfdata_file_processing_interval=15"),
        ("service_perfdata_file_mode=p", "service_perfdata_file_mode=a"),
        ("service_check_timeout=many", "service_check_timeout=60"),
    ],
)
def test_a_line_that_is_wrong_is_found(line: str, wanted: str) -> None:
    name = line.partition("=")[0]
    others = "\n".join(other for other in RIGHT.splitlines() if not other.startswith(f"{name}="))
    assert lines(f"{others}\n{line}\n") == {line: wanted}


def test_a_missing_line_counts_as_what_nagios_was_built_with() -> None:
    without = RIGHT.replace("retain_state_information=1\n", "").replace("check_service_freshness=1\n", "")
    assert lines(without) == {"no retain_state_information (Nagios takes 0)": "retain_state_information=1"}


def test_in_redundancy_mode_the_standby_checks() -> None:
    redundancy = replace(config(), pair=PairSection(mode=Mode.REDUNDANCY))
    assert lines(RIGHT, redundancy) == {
        "execute_service_checks=0": "execute_service_checks=1",
        "execute_host_checks=0": "execute_host_checks=1",
    }


def test_one_second_settings_ask_for_one_second_lines() -> None:
    quick = replace(config(), look=LookSection(interval=Seconds(1), status_warning=Seconds(3), status_critical=Seconds(5)))
    assert lines(RIGHT, quick) == {
        "status_update_interval=10": "status_update_interval=1",
        "service_freshness_check_interval=5": "service_freshness_check_interval=1",
    }


def test_longer_waits_of_ours_ask_for_a_longer_time_out_of_nagios() -> None:
    slow = replace(config(), look=LookSection(timeout=Seconds(70)))
    assert lines(RIGHT, slow) == {"no service_check_timeout (Nagios takes 60)": "service_check_timeout=71"}


def test_without_a_database_of_our_own_no_perfdata_line_is_asked_for() -> None:
    plain = config(BASE.replace("socket = /run/mysqld/mysqld.sock", ""))
    assert not any("perf" in line for line in lines(DEBIAN_12, plain))


def test_a_master_without_the_suite_needs_only_what_is_seen_from_outside() -> None:
    wanted = cfg_rules.rules_without_suite(config())
    cfg = parse_nagios_cfg(DEBIAN_12.replace("status_update_interval=10", "status_update_interval=60"))
    assert [finding.found for finding in cfg_rules.check_nagios_cfg("yasu", "nagios.cfg", cfg, wanted)] == [
        "status_update_interval=60"
    ]


# --- the database's address (lines as the kernel of Debian 12 printed them) ---

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LOOPBACK = "   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   106        0 2051 1 0 100 0 0 10 0\n"
EVERYWHERE = "   1: 00000000:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   106        0 2052 1 0 100 0 0 10 0\n"
ESTABLISHED = "   2: 0200630A:0CEA 0300630A:C0DE 01 00000000:00000000 00:00000000 00000000   106        0 2053 1 0 100 0 0 10 0\n"
IPV6 = (
    "   3: 00000000000000000000000000000000:0CEA 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 "
    "  106        0 2054 1 0 100 0 0 10 0\n"
)


def test_a_database_on_the_loopback_alone_is_named_with_the_line_that_opens_it() -> None:
    (finding,) = cfg_rules.check_listening("yasu", config(), HEADER + LOOPBACK + ESTABLISHED)
    assert (finding.found, finding.wanted) == ("bind-address = 127.0.0.1", "bind-address = 0.0.0.0")


@pytest.mark.parametrize("sockets", [HEADER + EVERYWHERE, HEADER + LOOPBACK + EVERYWHERE, HEADER + IPV6, ""])
def test_a_database_that_others_reach_or_that_cannot_be_seen_is_no_finding(sockets: str) -> None:
    assert cfg_rules.check_listening("yasu", config(), sockets) == []


def test_a_database_that_does_not_listen_is_said() -> None:
    (finding,) = cfg_rules.check_listening("yasu", config(), HEADER + ESTABLISHED)
    assert finding.sentence().startswith("yasu: MariaDB: nothing listens on port 3306")


def test_without_a_heartbeat_nobody_asks_for_the_database() -> None:
    plain = replace(config(), heartbeat=HeartbeatSection(schema=Schema.NONE))
    assert cfg_rules.check_listening("yasu", plain, HEADER + LOOPBACK) == []


def test_a_replica_that_waits_a_minute_for_its_source_is_wrong() -> None:
    (finding,) = cfg_rules.check_replica_timeout("yasu", config(), 60)
    assert (finding.found, finding.wanted) == ("slave_net_timeout = 60", "slave_net_timeout = 4")
    assert cfg_rules.check_replica_timeout("yasu", config(), 4) == []


# --- objects.cache ---


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


STATE_WATCH = watch("Failover state")


def objects(text: str) -> list[str]:
    parsed = cfg_rules.parse_objects(text.splitlines(keepends=True), frozenset({"host", "service"}))
    return [finding.sentence() for finding in cfg_rules.check_objects("yasu", "objects.cache", config(), parsed)]


def test_watch_services_as_the_sample_has_them_are_no_finding() -> None:
    assert (
        objects("define command {\n\tcommand_name\tx\n\t}\n" + watch("Master Nagios") + STATE_WATCH + service("web1", "HTTP")) == []
    )


def test_missing_watch_services_are_named() -> None:
    assert objects(service("web1", "HTTP")) == [
        f"yasu: objects.cache: no service '{name}' on host 'nagios-failover': "
        "see commands.cfg.sample; restart Nagios after adding it"
        for name in ("Master Nagios", "Failover state")
    ]


def test_a_master_watched_by_a_plain_host_check_needs_no_master_watch_service() -> None:
    host = "define host {\n\thost_name\tnabira\n\tevent_handler\thandle_master_event_host\n\t}\n"
    assert objects(host + STATE_WATCH) == []


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
    parsed = cfg_rules.parse_objects(text.splitlines(keepends=True), frozenset({"host", "service"}))
    (finding,) = cfg_rules.check_objects("yasu", "objects.cache", config(), parsed)
    assert finding.kind is Kind.ADVICE
    assert finding.sentence().endswith("check_freshness is on, so an idle standby runs these too: web1/Passive backup")


def test_objects_stream_by_without_being_kept(tmp_path: Path) -> None:
    cache = tmp_path / "objects.cache"
    cache.write_text(service("web1", "HTTP") * 3)
    with cache.open() as lines:
        parsed = cfg_rules.parse_objects(lines, frozenset({"service"}))
        assert next(parsed) == ("service", {"host_name": "web1", "service_description": "HTTP", "check_command": "x!a\tb"})
