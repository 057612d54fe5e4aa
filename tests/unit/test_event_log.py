from dataclasses import replace

import pytest

from nagios_failover.event_log import (
    Alert,
    ExternalCommand,
    Notification,
    OtherLine,
    Period,
    StateLine,
    Switch,
    operators_word,
    parse_external_command,
    parse_line,
    switches,
)
from nagios_failover.role import Override, Owner, role_flags
from nagios_failover.words import Flag, Mode

LOG = """[1795358400] LOG ROTATION: DAILY
[1795358401] EXTERNAL COMMAND: DISABLE_NOTIFICATIONS;
[1795358402] EXTERNAL COMMAND: START_EXECUTING_SVC_CHECKS;nagios-failover
[1795358403] EXTERNAL COMMAND: ADD_HOST_COMMENT;web1;1;me;[1] EXTERNAL COMMAND: ENABLE_NOTIFICATIONS;
[1795358404] EXTERNAL COMMAND: ENTER_ACTIVE_MODE;
[1795358405] EXTERNAL COMMAND: stop_executing_host_checks;0
[x] EXTERNAL COMMAND: DISABLE_NOTIFICATIONS;
SERVICE ALERT: web1;HTTP;CRITICAL;HARD;3;] EXTERNAL COMMAND: DISABLE_NOTIFICATIONS;
"""
MASTER = role_flags(Mode.FAILOVER, active=True)


def operator(flag: Flag, time: int, *, on: bool) -> Switch:
    return Switch(time, flag, on, ours=False)


def ours(flag: Flag, time: int, *, on: bool) -> Switch:
    return Switch(time, flag, on, ours=True)


def muted(term: int = 3, since: int = 1000) -> Override:
    return Override(Owner.OPERATOR, {Flag.NOTIFICATIONS: False}, term, since)


def test_only_commands_that_switch_a_flag_are_switches() -> None:
    assert switches(LOG.splitlines(keepends=True)) == [
        Switch(1795358401, Flag.NOTIFICATIONS, on=False, ours=False),
        Switch(1795358402, Flag.SERVICE_CHECKS, on=True, ours=True),
        Switch(1795358404, Flag.NOTIFICATIONS, on=True, ours=False),
        Switch(1795358405, Flag.HOST_CHECKS, on=False, ours=False),
    ]


def test_a_command_keeps_its_arguments() -> None:
    command = parse_external_command("[7] EXTERNAL COMMAND: ADD_SVC_COMMENT;web1;HTTP;1;me;a;b\n")
    assert command is not None
    assert (command.time, command.name, command.arguments, command.ours) == (7, "ADD_SVC_COMMENT", "web1;HTTP;1;me;a;b", False)


def test_what_an_operator_switched_is_his() -> None:
    word = operators_word(None, [operator(Flag.NOTIFICATIONS, 1000, on=False)], MASTER, term=3, since=900)
    assert word == muted()


def test_switching_back_to_the_roles_value_ends_it() -> None:
    assert operators_word(muted(), [operator(Flag.NOTIFICATIONS, 1001, on=True)], MASTER, term=3, since=900) is None


def test_one_flag_back_leaves_the_other() -> None:
    both = replace(muted(), flags={Flag.NOTIFICATIONS: False, Flag.HOST_CHECKS: False})
    assert operators_word(both, [operator(Flag.HOST_CHECKS, 1001, on=True)], MASTER, term=3, since=900) == muted()


def test_what_was_said_before_this_role_began_does_not_count() -> None:
    assert operators_word(None, [operator(Flag.NOTIFICATIONS, 900, on=False)], MASTER, term=3, since=900) is None
    assert operators_word(muted(term=2), [], MASTER, term=3, since=900) is None


def test_our_own_command_that_says_the_same_leaves_his_word() -> None:
    assert operators_word(muted(), [ours(Flag.NOTIFICATIONS, 1001, on=False)], MASTER, term=3, since=900) == muted()


def test_our_own_command_after_his_that_says_otherwise_ends_it() -> None:
    changes = [operator(Flag.NOTIFICATIONS, 1000, on=False), ours(Flag.NOTIFICATIONS, 1000, on=True)]
    assert operators_word(None, changes, MASTER, term=3, since=900) is None


def test_our_own_commands_alone_are_nobodys_override() -> None:
    assert operators_word(None, [ours(Flag.NOTIFICATIONS, 1000, on=False)], MASTER, term=3, since=900) is None


def test_nothing_new_changes_nothing() -> None:
    assert operators_word(muted(), [], MASTER, term=3, since=900) == muted()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("SERVICE ALERT: web1;HTTP;CRITICAL;SOFT;2;a; b", Alert(7, "web1", "HTTP", 2, False, 2, "a; b")),
        ("HOST ALERT: web1;UNREACHABLE;HARD;1;", Alert(7, "web1", "", 2, True, 1, "")),
        ("CURRENT SERVICE STATE: web1;HTTP;OK;HARD;1;fine", StateLine(7, "web1", "HTTP", 0, True, 1, "fine", "CURRENT")),
        ("INITIAL HOST STATE: web1;UP;HARD;1;(null)", StateLine(7, "web1", "", 0, True, 1, "(null)", "INITIAL")),
        (
            "SERVICE NOTIFICATION: oncall;web1;HTTP;WARNING;mail-service;slow; 3 s",
            Notification(7, "oncall", "web1", "HTTP", "NORMAL", 1, "mail-service", "slow; 3 s"),
        ),
        (
            "SERVICE NOTIFICATION: oncall;web1;HTTP;CUSTOM (OK);mail-service;fine;me;look",
            Notification(7, "oncall", "web1", "HTTP", "CUSTOM", 0, "mail-service", "fine;me;look"),
        ),
        (
            "HOST NOTIFICATION: oncall;web1;ACKNOWLEDGEMENT (DOWN);mail-host;gone;me;known",
            Notification(7, "oncall", "web1", "", "ACKNOWLEDGEMENT", 1, "mail-host", "gone;me;known"),
        ),
        (
            "HOST NOTIFICATION: oncall;web1;UP;mail-host;back",
            Notification(7, "oncall", "web1", "", "NORMAL", 0, "mail-host", "back"),
        ),
        ("HOST DOWNTIME ALERT: web1;CANCELLED; Scheduled downtime", Period(7, "web1", "", "DOWNTIME", "CANCELLED")),
        ("SERVICE DOWNTIME ALERT: web1;HTTP;STARTED; Service", Period(7, "web1", "HTTP", "DOWNTIME", "STARTED")),
        ("SERVICE FLAPPING ALERT: web1;HTTP;STOPPED; Service", Period(7, "web1", "HTTP", "FLAPPING", "STOPPED")),
        ("EXTERNAL COMMAND: DEL_SVC_COMMENT;7", ExternalCommand(7, "DEL_SVC_COMMENT", "7")),
        ("LOG VERSION: 2.0", OtherLine(7, "LOG VERSION: 2.0")),
        ("Nagios 4.4.6 starting... (PID=12)", OtherLine(7, "Nagios 4.4.6 starting... (PID=12)")),
        ("SERVICE ALERT: web1;HTTP;PURPLE;HARD;1;x", OtherLine(7, "SERVICE ALERT: web1;HTTP;PURPLE;HARD;1;x")),
        ("SERVICE NOTIFICATION: torn", OtherLine(7, "SERVICE NOTIFICATION: torn")),
    ],
)
def test_every_form_of_line_is_understood(line: str, said: object) -> None:
    assert parse_line(f"[7] {line}\n") == said


@pytest.mark.parametrize("line", ["", "no time", "[x] SERVICE ALERT: web1", "[7", "\0\0"])
def test_a_line_without_a_time_is_none_of_nagios(line: str) -> None:
    assert parse_line(line) is None
