from dataclasses import replace

from nagios_failover.event_log import Switch, operators_word, parse_external_command, switches
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
