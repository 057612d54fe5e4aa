"""The long run's own judgement of mails, and how the lab's objects are changed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from tests.incident_site import begin_of, with_directives
from tests.lab import Host
from tests.long.incidents import ended_by, judge, lost_from

CRITICAL, WARNING, WELL = ("PROBLEM", "CRITICAL", "yasu"), ("PROBLEM", "WARNING", "yasu"), ("RECOVERY", "OK", "nabira")


@pytest.mark.parametrize(
    ("mails", "final"),
    [((), 0), ((CRITICAL,), 2), ((CRITICAL, WELL), 0), ((WARNING, CRITICAL, WELL, CRITICAL), 2)],
)
def test_mails_that_each_tell_something_new_are_well(mails: tuple[tuple[str, str, str], ...], final: int) -> None:
    assert judge(mails, final) == ""


@pytest.mark.parametrize(
    ("mails", "final", "why"),
    [
        ((CRITICAL, CRITICAL), 2, "PROBLEM (CRITICAL) twice, or what was between them is missing"),
        ((CRITICAL, WELL, WELL), 0, "RECOVERY (OK) twice, or what was between them is missing"),
        ((CRITICAL,), 0, "is OK, and the last mail said CRITICAL"),
        ((), 2, "is CRITICAL, and the last mail said OK"),
    ],
)
def test_a_mail_twice_or_none_is_seen(mails: tuple[tuple[str, str, str], ...], final: int, why: str) -> None:
    assert judge(mails, final) == why


def test_a_returned_master_may_send_the_recovery_of_its_own_last_problem_and_no_other() -> None:
    yasu, by_yasu = cast(Host, SimpleNamespace(name="yasu")), ("RECOVERY", "OK", "yasu")
    assert ended_by(yasu, [CRITICAL], [CRITICAL, by_yasu])
    assert not ended_by(yasu, [CRITICAL], [CRITICAL]) and not ended_by(yasu, [CRITICAL], [CRITICAL, WELL])
    assert not ended_by(yasu, [("PROBLEM", "CRITICAL", "nabira")], [("PROBLEM", "CRITICAL", "nabira"), by_yasu])


def test_a_lost_recovery_counts_from_its_problem_on() -> None:
    """The repaired host's audit has it due when it looks: what was told before is what the new master may not have known."""
    recovery = {"time": 900, "sent": [{"time": 100, "host": "yasu"}]}
    doubled = {"time": 300, "sent": [{"time": 100, "host": "yasu"}, {"time": 300, "host": "nabira"}]}
    assert [begin_of(one) for one in (recovery, doubled, {"time": 50, "sent": []})] == [100, 300, 50]
    assert [lost_from(one) for one in (recovery, doubled, {"time": 50, "sent": []})] == [100, 100, 50]


def test_only_the_named_service_gets_other_directives() -> None:
    text = (
        "define service {\n    host_name  web1\n    service_description  HTTP\n    use  x\n}\n"
        "define service {\n    host_name  web2\n    service_description  HTTP\n}\n"
    )
    changed = with_directives(text, {"web1/HTTP": {"use": "y", "notification_interval": "6"}})
    assert [line.split() for line in changed.splitlines()] == [
        ["define", "service", "{"],
        ["host_name", "web1"],
        ["service_description", "HTTP"],
        ["use", "y"],
        ["notification_interval", "6"],
        ["}"],
        ["define", "service", "{"],
        ["host_name", "web2"],
        ["service_description", "HTTP"],
        ["}"],
    ]
