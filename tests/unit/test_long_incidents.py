"""The long run's own judgement of mails, and how the lab's objects are changed."""

from __future__ import annotations

import pytest

from tests.incident_site import with_directives
from tests.long.incidents import judge

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
