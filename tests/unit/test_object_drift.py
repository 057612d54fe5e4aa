"""Two hosts' objects are compared as Nagios resolved them, and what differs is named."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from nagios_failover.errors import CouldNotLook
from nagios_failover.object_drift import (
    attributes_of,
    changed_commands,
    difference,
    read_objects,
    sentences,
    worth_naming,
)

HEAD = "########################################\n#       NAGIOS OBJECT CACHE FILE\n########################################\n\n"
WATCH = "nagios-failover"


def block(kind: str, **values: str) -> str:
    return f"define {kind} {{\n" + "".join(f"\t{name}\t{value}\n" for name, value in values.items()) + "\t}\n\n"


def service(host: str, name: str, **values: str) -> str:
    return block("service", host_name=host, service_description=name, **{"check_command": "check-x", **values})


COMMANDS = block("command", command_name="check-x", command_line="/bin/x") + block("timeperiod", timeperiod_name="24x7")
SITE = HEAD + COMMANDS + block("host", host_name="web1", address="192.0.2.1") + service("web1", "HTTP", check_interval="5.000000")


def compared(there: str, here: str) -> list[str]:
    """As the check does it, in small pieces."""

    def pieces(text: str) -> Iterable[bytes]:
        data = text.encode()
        return (data[index : index + 37] for index in range(0, len(data), 37))

    found = difference(
        read_objects(pieces(there), watch_host=WATCH, what="there"), read_objects(pieces(here), watch_host=WATCH, what="here")
    )
    keys = worth_naming(found)
    sides = [attributes_of(pieces(text), set(keys), watch_host=WATCH, what="x") for text in (there, here)]
    return sentences(found, keys, sides[0], sides[1], names=("yasu", "nabira"))


def test_the_same_objects_in_another_order_do_not_differ() -> None:
    one, two = service("web1", "A", contacts="ann,bob"), service("web1", "B")
    swapped = service("web1", "A", contacts="bob,ann")
    assert compared(SITE + one + two, SITE.replace("####\n\n", "# Created: now\n\n") + two + swapped) == []


def test_what_only_one_host_has_is_named_hosts_first() -> None:
    there = SITE + service("web1", "NEW") + block("host", host_name="web2") + service("web2", "A") + service("web2", "B")
    here = SITE + block("contact", contact_name="ann")
    assert compared(there, here) == [
        "host web2 (with 2 services) is only on yasu",
        "service web1/NEW is only on yasu",
        "contact ann is only on nabira",
    ]


def test_a_setting_that_differs_is_named_with_both_values() -> None:
    assert compared(SITE.replace("5.000000", "1.500000"), SITE) == ["service web1/HTTP: check_interval 1.5 on yasu, 5 on nabira"]
    longer = SITE.replace("\tcheck_interval\t5.000000", "\tnotes\tcall ann; then bob\n\tcheck_interval\t5.000000")
    assert compared(longer, SITE) == ["service web1/HTTP: notes 'call ann; then bob' on yasu, none on nabira"]
    assert compared(SITE.replace("/bin/x", "/bin/y"), SITE) == ["command check-x: command_line /bin/y on yasu, /bin/x on nabira"]


def test_no_more_than_three_settings_of_an_object_are_named() -> None:
    many = dict.fromkeys("abcde", "1")
    there, here = SITE + service("web1", "X", **many), SITE + service("web1", "X", **dict.fromkeys(many, "2"))
    assert compared(there, here) == [
        "service web1/X: a 1 on yasu, 2 on nabira; b 1 on yasu, 2 on nabira; c 1 on yasu, 2 on nabira; and 2 more"
    ]


def test_the_watch_is_left_out_with_the_commands_that_it_uses() -> None:
    watch = (
        block("host", host_name=WATCH, check_command="up")
        + service(WATCH, "Master Nagios", check_command="look!-v", event_handler="act")
        + block("command", command_name="look", command_line="/a")
        + block("hostgroup", hostgroup_name="all", members=f"{WATCH},web1")
        + block("servicegroup", servicegroup_name="all", members=f"{WATCH},Master Nagios,web1,HTTP")
    )
    other = (
        block("command", command_name="look", command_line="/b")
        + block("hostgroup", hostgroup_name="all", members="web1")
        + block("servicegroup", servicegroup_name="all", members="web1,HTTP")
    )
    assert compared(SITE + watch, SITE + other) == [] == compared(SITE + other, SITE + watch)


def test_a_command_that_nothing_uses_on_one_host_does_not_matter() -> None:
    spare = block("command", command_name="spare", command_line="/bin/s") + block("timeperiod", timeperiod_name="never")
    assert compared(SITE + spare, SITE) == []


def test_a_dependency_is_named_by_what_it_is_about() -> None:
    dependency = block("servicedependency", host_name="db", service_description="SQL", dependent_host_name="web1")
    assert compared(SITE + dependency, SITE) == ["service dependency of web1/SQL is only on yasu"]
    escalation = block("hostescalation", host_name="web1", first_notification="3")
    assert compared(SITE, SITE + escalation) == ["host escalation of web1 is only on nabira"]


@pytest.mark.parametrize("cut", range(1, len(SITE), 10))
def test_a_file_that_is_cut_off_is_not_compared(cut: int) -> None:
    whole = [index + 4 for index in range(len(SITE)) if SITE.startswith("\t}\n\n", index)]
    if cut in whole or (cut - 1) in whole:
        return
    with pytest.raises(CouldNotLook, match=r"is not whole|is not as Nagios writes it"):
        read_objects([SITE[:cut].encode()], watch_host=WATCH, what="objects.cache")


@pytest.mark.parametrize("data", [b"", HEAD.encode(), b"\0" * 1000, b"\t}\n\n" * 5, b"define x {\n\t}\n\n"])
def test_what_is_no_objects_cache_is_not_compared(data: bytes) -> None:
    with pytest.raises(CouldNotLook):
        read_objects([data], watch_host=WATCH, what="objects.cache")


def test_a_command_that_is_new_or_other_is_found_by_what_nagios_made_of_it() -> None:
    after = SITE.replace("/bin/x", "/bin/y") + block("command", command_name="new", command_line="/n")
    before = read_objects([SITE.encode()], watch_host=WATCH, what="x")
    changed = read_objects([after.encode()], watch_host=WATCH, what="x")
    assert changed_commands(before, changed) == ["check-x", "new"]
    assert changed_commands(before, before) == []
    assert changed_commands(None, changed) == ["check-x", "new"]
