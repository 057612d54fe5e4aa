from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from nagios_failover.errors import CouldNotLook
from nagios_failover.flap_history import state_history
from nagios_failover.gap import Gap
from nagios_failover.incidents import Conversion, Flapping, Inherited
from nagios_failover.snapshot import Own, blocks, read_own
from tests.unit.snapshots import CREATED, comment, contact, downtime, host, info, program, service

WATCH = "nagios-failover"
SNAPSHOT = "".join(
    [
        info(),
        program(),
        host("web1"),
        host("web2", 1, current_notification_number=2, last_notification=CREATED - 500),
        host(WATCH),
        service("web1", "HTTP", 2, current_notification_number=1, last_notification=CREATED - 500),
        service("web1", "LOAD"),
        service("web2", "DISK", 1, problem_has_been_acknowledged=1, acknowledgement_type=2),
        service(WATCH, "Master Nagios", 2),
        contact(),
        comment("web1", "HTTP", 7),
        comment("web1", "HTTP", 8, entry_type=2),
        comment("web1", "", 9),
        comment(WATCH, "Master Nagios", 10),
        downtime("web1", "LOAD", 3),
    ]
)


def in_pieces(text: str, size: int = 100) -> Iterator[bytes]:
    data = text.encode("utf-8", "surrogateescape")
    return (data[at : at + size] for at in range(0, len(data), size))


def own_of(text: str = SNAPSHOT) -> Own:
    return read_own(in_pieces(text), watch_host=WATCH)


def no_gap(**values: float) -> Gap:
    return Gap(CREATED, int(values.get("until", CREATED + 60)), doubt=2)


def convert(text: str = SNAPSHOT, own: Own | None = None, gap: Gap | None = None) -> tuple[str, Inherited]:
    conversion = Conversion(own or own_of(), gap or no_gap(), watch_host=WATCH, flapping=Flapping())
    made = b"".join(conversion.lines(in_pieces(text))).decode("utf-8", "surrogateescape")
    return made, conversion.inherited


def block_of(made: str, *lines: str) -> str:
    found = [block for block in made.split("\t}\n\n") if all(f"\t{line}\n" in block for line in lines)]
    assert len(found) == 1, f"{len(found)} blocks with {lines}"
    return found[0]


def test_the_program_block_keeps_where_nagios_goes_on_counting_and_no_flag() -> None:
    made, _ = convert()
    program_block = next(block for block in made.split("\t}\n\n") if block.startswith("program {"))
    assert re.findall(r"\t(\w+)=", program_block) == [
        *("next_comment_id", "next_downtime_id", "next_event_id", "next_problem_id", "next_notification_id")
    ]
    assert "enable_notifications" not in made and "active_service_checks_enabled" not in made and "modified_host_att" not in made


def test_blocks_have_the_names_of_a_retention_file() -> None:
    made, inherited = convert()
    kinds = re.findall(r"^(\w+) \{", made, re.M)
    assert kinds == [
        "info",
        "program",
        "host",
        "host",
        *["service"] * 3,
        "contact",
        "servicecomment",
        "hostcomment",
        "servicedowntime",
    ]
    assert inherited.counts == {"host": 2, "service": 3, "contact": 1, "servicecomment": 1, "hostcomment": 1, "servicedowntime": 1}
    assert (inherited.problems, inherited.notified, inherited.acknowledged) == (3, 2, 1)


def test_when_a_check_is_due_is_this_hosts_own_business() -> None:
    made, _ = convert()
    assert "next_check=" not in made and "check_options=" not in made
    assert block_of(made, "service_description=LOAD", "current_state=0").count("\n") == 31


def test_what_was_notified_is_made_up_from_the_number() -> None:
    made, _ = convert()
    assert "\tnotified_on_critical=1\n" in block_of(made, "service_description=HTTP", "current_state=2")
    assert "\tnotified_on_down=1\n" in block_of(made, "host_name=web2", "current_state=1", "current_notification_number=2")
    assert "notified_on" not in block_of(made, "service_description=DISK", "current_state=1")


def test_the_watch_host_is_never_inherited() -> None:
    """Or the watch service would be OK again, fail again, and take over again: 12 times in 36 seconds."""
    made, inherited = convert()
    assert WATCH not in made and "Master Nagios" not in made
    assert inherited.unknown == 0


def test_a_comment_that_belongs_to_a_downtime_is_left_to_nagios() -> None:
    made, _ = convert()
    assert "comment_id=7\n" in made and "comment_id=8\n" not in made


def test_objects_that_are_not_here_are_left_out_and_named() -> None:
    here = own_of(SNAPSHOT.replace("service_description=LOAD", "service_description=SWAP"))
    made, inherited = convert(own=here)
    assert "LOAD" not in made
    assert (inherited.unknown, inherited.missing) == (2, 1)
    assert inherited.named == ["web1/LOAD (unknown here)", "web1/LOAD (unknown here)", "web1/SWAP (not in the snapshot)"]


def test_a_block_with_a_garbled_number_is_left_out_and_named() -> None:
    made, inherited = convert(SNAPSHOT.replace("\tcurrent_state=2\n", "\tcurrent_state=2x\n", 1))
    assert "HTTP\n\tmodified" not in made and inherited.garbled == 1
    assert "web1/HTTP (garbled)" in inherited.named


@pytest.mark.parametrize("percent", range(1, 100))
def test_a_file_that_is_cut_off_is_refused_whole(percent: int) -> None:
    """At whichever byte: even between two blocks, as long as contacts are to come."""
    end = len(info()) + (SNAPSHOT.index("contactstatus") - len(info())) * percent // 100
    with pytest.raises(CouldNotLook, match=r"is not whole"):
        convert(SNAPSHOT[:end])


@pytest.mark.parametrize("cut", range(SNAPSHOT.index("hostcomment") + 1, SNAPSHOT.index("hostcomment") + 150, 7))
def test_a_file_that_is_cut_off_in_a_comment_is_refused(cut: int) -> None:
    with pytest.raises(CouldNotLook, match="it is cut off"):
        convert(SNAPSHOT[:cut])


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "\n",
        "\0" * 5000,
        "random bytes \udcff\udcfe",
        SNAPSHOT.replace("\t}\n\nservicestatus", "servicestatus", 1),
        SNAPSHOT.replace("hoststatus {", "hoststat\0s {", 1),
        SNAPSHOT.replace("info {", "servicestatus {", 1),
        SNAPSHOT.replace("plugin_output=it", "plugin_output=\nit", 1),
        SNAPSHOT + "servicestatus {\n\thost_name=web1\n",
    ],
)
def test_what_nagios_did_not_write_is_refused_whole(garbage: str) -> None:
    with pytest.raises(CouldNotLook, match=r"is not whole"):
        convert(garbage)


def test_a_line_without_an_end_is_given_up_early() -> None:
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        yield info().encode() + program().encode() + b"hoststatus {\n\thost_name="
        while read < 1024:
            read += 1
            yield b"x" * (1 << 20)

    with pytest.raises(CouldNotLook, match="block 3 has no end within 16 MiB"):
        list(blocks(endless()))
    assert read < 20


def test_bytes_that_are_no_text_go_through_as_they_are() -> None:
    made, _ = convert(SNAPSHOT.replace("it says; a lot", "caf\udce9"))
    assert "plugin_output=caf\udce9\n" in made


def test_what_this_host_has_is_deleted_first_but_for_the_watch() -> None:
    deletes = ["DEL_SVC_COMMENT;7", "DEL_SVC_COMMENT;8", "DEL_HOST_COMMENT;9", "DEL_SVC_DOWNTIME;3"]
    assert own_of().deletes == deletes
    assert convert()[1].deletes == [*deletes[:1], *deletes[2:]]


def test_custom_variables_and_modified_attributes_go_through() -> None:
    made, _ = convert(SNAPSHOT.replace("modified_attributes=0", "modified_attributes=65537").replace("0;rack 7", "1;rack 9"))
    assert made.count("\tmodified_attributes=65537\n") == 6 and made.count("\t_PLACE=1;rack 9\n") == 5


@pytest.mark.parametrize(
    ("percent", "flapping"), [(0.0, False), (12.5, False), (34.0, False), (25.0, True), (62.5, True), (100.0, True)]
)
def test_nagios_judges_a_made_up_history_as_the_master_did(percent: float, flapping: bool) -> None:
    states = [int(word) for word in state_history(2, percent, 30.0, flapping=flapping).split(",")]
    changes = sum((at - 1) * 0.5 / 19 + 0.75 for at in range(1, 21) if states[at] != states[at - 1])
    assert len(states) == 21 and states[-1] == 2
    assert (changes * 100 / 20 >= 30.0) is flapping


def test_a_flapping_service_is_given_a_history() -> None:
    flapping = SNAPSHOT.replace(service("web1", "LOAD"), service("web1", "LOAD", is_flapping=1, percent_state_change="44.10"))
    made, _ = convert(flapping)
    assert made.count("state_history=") == 1
    assert "\tis_flapping=1\n" in block_of(made, "service_description=LOAD", "current_state=0")


def test_a_notification_in_doubt_in_the_snapshot_itself_is_taken_back() -> None:
    made, inherited = convert(gap=no_gap(until=CREATED - 499))
    http = block_of(made, "service_description=HTTP", "current_state=2")
    assert "\tstate_type=0\n" in http and "\tcurrent_attempt=2\n" in http
    assert "\tnotified_on_critical=1\n" in http, "if it is well already, its recovery is due"
    assert inherited.in_doubt == [
        "PROBLEM of web2 (logged 1 s before the last sign of life)",
        "PROBLEM of web1/HTTP (logged 1 s before the last sign of life)",
    ]


def test_a_conversion_is_cheap_for_what_is_well() -> None:
    """Nothing is parsed that is not changed: the block goes through byte for byte but for the two lines."""
    made, _ = convert()
    well = service("web1", "LOAD").replace("servicestatus", "service")
    assert re.sub(r"\t(next_check|check_options)=\d+\n", "", well) in made
