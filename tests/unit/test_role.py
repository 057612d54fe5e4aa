"""The role, and the flags that follow from it and from those who wanted them otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nagios_failover.errors import StateUnreadable
from nagios_failover.role import (
    Override,
    Owner,
    RoleRecord,
    describe_flags,
    differing,
    parse_override,
    parse_role,
    role_flags,
    wanted_flags,
)
from nagios_failover.words import Flag, Mode, Role

MASTER = RoleRecord(Role.MASTER, "yasu", term=3, run="20261122T142501-abcd", since=1000)
STANDBY = replace(MASTER, role=Role.STANDBY)
MUTE = {Flag.NOTIFICATIONS: False}


@pytest.mark.parametrize("record", [MASTER, replace(STANDBY, run=""), replace(MASTER, handover="nabira")])
def test_a_record_survives_its_file(record: RoleRecord) -> None:
    assert parse_role(record.text()) == record


@pytest.mark.parametrize(
    "text",
    [
        "",
        "role=master",
        MASTER.text()[:-1],
        MASTER.text() + "garbage\n",
        MASTER.text() + "term=4\n",
        MASTER.text().replace("master=yasu", "master="),
        MASTER.text().replace("term=3", "term=0"),
        MASTER.text().replace("term=3", "term=three"),
        MASTER.text().replace("role=master", "role=king"),
        MASTER.text().replace("since=1000\n", ""),
        "\x00" * 80,
    ],
)
def test_a_garbled_role_file_is_unreadable_and_never_a_guess(text: str) -> None:
    with pytest.raises(StateUnreadable):
        parse_role(text)


def test_what_each_role_wants_in_each_mode() -> None:
    on = dict.fromkeys(Flag, True)
    assert wanted_flags(MASTER, Mode.FAILOVER, []) == wanted_flags(MASTER, Mode.REDUNDANCY, []) == on
    assert wanted_flags(STANDBY, Mode.FAILOVER, []) == dict.fromkeys(Flag, False)
    assert wanted_flags(STANDBY, Mode.REDUNDANCY, []) == on | MUTE


@pytest.mark.parametrize("role", [Role.TAKING_OVER, Role.STANDING_DOWN])
def test_during_a_run_the_flags_are_the_run_s(role: Role) -> None:
    assert wanted_flags(replace(MASTER, role=role), Mode.FAILOVER, []) is None


def wanted(record: RoleRecord, *overrides: Override) -> bool | None:
    flags = wanted_flags(record, Mode.FAILOVER, overrides)
    return None if flags is None else flags[Flag.NOTIFICATIONS]


def test_an_operator_s_word_goes_before_the_role_s_until_the_role_changes() -> None:
    muted = Override(Owner.OPERATOR, MUTE, term=3, since=1)
    assert wanted(MASTER, muted) is False
    assert wanted(replace(MASTER, term=4), muted) is True


def test_a_fence_goes_before_everybody_s_and_holds_until_this_host_s_term_is_above_it() -> None:
    spoken = Override(Owner.OPERATOR, {Flag.NOTIFICATIONS: True}, term=3, since=1)
    fence = Override(Owner.FENCE, MUTE, term=4, since=1)
    assert wanted(MASTER, spoken, fence) is False
    assert wanted(replace(MASTER, term=5), fence) is True


def test_an_override_survives_its_file_and_a_garbled_one_is_unreadable() -> None:
    override = Override(Owner.FENCE, {Flag.NOTIFICATIONS: False, Flag.HOST_CHECKS: True}, 4, 5)
    assert parse_override(Owner.FENCE, override.text()) == override
    for text in ("", "notifications=maybe\nterm=1\nsince=1\n", "notifications=on\nsince=1\n"):
        with pytest.raises(StateUnreadable, match="override file of fence"):
            parse_override(Owner.FENCE, text)


def test_differing_and_described() -> None:
    flags = role_flags(Mode.REDUNDANCY, active=False)
    assert differing(flags, dict.fromkeys(Flag, True)) == MUTE
    assert differing(flags, {}) == flags
    assert describe_flags(flags) == "notifications off, service checks on, host checks on"
