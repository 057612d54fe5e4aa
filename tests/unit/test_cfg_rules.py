"""What nagios.cfg must say, as a promise for each line: Debian's own file is wrong in these lines and in no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nagios_failover import cfg_rules
from nagios_failover.cfg_rules import Finding
from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.config_sections import LookSection, NagiosSection, PairSection
from nagios_failover.config_values import Seconds
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
host_perfdata_file=/var/lib/nagios-failover/perfdata/host-spool
host_perfdata_file_template=$LASTHOSTCHECK$\\t$HOSTNAME$\\t_HOST_\\t$HOSTOUTPUT$\\t$HOSTSTATE$\\t$HOSTPERFDATA$
host_perfdata_file_processing_interval=15
host_perfdata_file_processing_command=process-perfdata-of-hosts
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
        "no host_perfdata_file": "host_perfdata_file=/var/lib/nagios-failover/perfdata/host-spool",
        "no host_perfdata_file_template": f"host_perfdata_file_template={cfg_rules.HOST_PERFDATA_TEMPLATE}",
        "no host_perfdata_file_processing_interval (Nagios takes 0)": "host_perfdata_file_processing_interval=15",
        "no host_perfdata_file_processing_command": "host_perfdata_file_processing_command=process-perfdata-of-hosts",
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


def test_a_replica_that_waits_a_minute_for_its_source_is_wrong() -> None:
    (finding,) = cfg_rules.check_replica_timeout("yasu", "MySQL", "replica_net_timeout", 60)
    assert (finding.found, finding.wanted) == ("replica_net_timeout = 60", "replica_net_timeout = 4")
    assert cfg_rules.check_replica_timeout("yasu", "MySQL", "replica_net_timeout", 4) == []


def test_status_dat_must_show_new_flags_within_the_time_given_for_that() -> None:
    hasty = replace(config(), nagios=NagiosSection(verify_timeout=Seconds(10)))
    assert lines(RIGHT, hasty) == {"status_update_interval=10": "status_update_interval=5"}


def test_a_source_without_a_guard_is_advised_one() -> None:
    with_database = parse(f"{BASE}[replication]\nwatch = yes\ndrop_in = /etc/mysql/conf.d/zz.cnf\n", hostname="yasu")
    (finding,) = cfg_rules.check_guard(with_database, guarded=False)
    assert finding.kind is cfg_rules.Kind.ADVICE
    assert finding.sentence().endswith(
        "no guard before the database server: should this host crash as the master and boot, its database takes writes until it "
        "has stood down; hint: README, A host that wakes up"
    )
    assert cfg_rules.check_guard(with_database, guarded=True) == []
    assert cfg_rules.check_guard(parse(BASE, hostname="yasu"), guarded=False) == []
