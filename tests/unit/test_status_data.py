from collections.abc import Iterator
from pathlib import Path

import pytest

from nagios_failover.errors import CouldNotLook
from nagios_failover.nagios_files import read_objects_not_ok, read_program_status, read_retained_flags, sync_file, version_of
from nagios_failover.status_data import is_whole, object_status, objects_not_ok, parse_program_status
from nagios_failover.words import Flag

HEAD = """########################################
#          NAGIOS STATUS FILE
########################################

info {
\tcreated=1795358400
\tversion=4.4.6
\t}

programstatus {
\tmodified_host_attributes=3
\tnagios_pid=4711
\tprogram_start=1795350000
\tenable_notifications=1
\tactive_service_checks_enabled=1
\tactive_host_checks_enabled=0
\tglobal_host_event_handler=
\t}

"""


def host(name: str, state: int) -> str:
    return f"hoststatus {{\n\thost_name={name}\n\tmodified_attributes=0\n\tcurrent_state={state}\n\tplugin_output=x\n\t}}\n\n"


def service(name: str, description: str, state: int, output: str = "x") -> str:
    names = f"\thost_name={name}\n\tservice_description={description}\n"
    return f"servicestatus {{\n{names}\tcurrent_state={state}\n\tlast_hard_state=2\n\tplugin_output={output}\n\t}}\n\n"


def test_the_head_gives_age_pid_and_flags() -> None:
    status = parse_program_status(HEAD.splitlines(keepends=True))
    assert (status.created, status.pid, status.program_start, status.version) == (1795358400, 4711, 1795350000, "4.4.6")
    assert status.flags == {Flag.NOTIFICATIONS: True, Flag.SERVICE_CHECKS: True, Flag.HOST_CHECKS: False}


def test_nothing_behind_the_head_is_read() -> None:
    def lines() -> Iterator[str]:
        yield from HEAD.splitlines(keepends=True)
        raise AssertionError("read on")

    assert parse_program_status(lines()).pid == 4711


@pytest.mark.parametrize("text", ["", "garbage\x00\n", HEAD[:120], HEAD[: HEAD.index("\tactive_host")], host("web1", 0)])
def test_a_file_that_is_cut_off_is_not_looked_at(text: str) -> None:
    with pytest.raises(CouldNotLook, match="is empty, cut off or no status file of Nagios"):
        parse_program_status(text.splitlines(keepends=True))


def test_a_field_that_is_missing_or_no_number_is_named() -> None:
    with pytest.raises(CouldNotLook, match="is not as Nagios 3 and 4 write it: 'nagios_pid'"):
        parse_program_status(HEAD.replace("nagios_pid", "pid").splitlines())


def test_what_is_not_ok_is_found_with_its_name() -> None:
    text = (
        HEAD
        + host("web1", 0)
        + host("web2", 1)
        + service("web1", "HTTP", 0)
        + service("web1", "status {", 2)
        + service("web2", "DISK", 3, output=r"C:\n\tcurrent_state=2 status {")
        + service("web3", "a=b", 0)
    )
    assert objects_not_ok(text.encode()) == [("web2", None), ("web1", "status {"), ("web2", "DISK")]
    assert is_whole(text.encode())


def test_a_file_cut_off_anywhere_is_not_whole() -> None:
    text = (HEAD + service("web1", "HTTP", 2)).encode()
    assert is_whole(text)
    assert not any(is_whole(text[:cut]) for cut in range(len(HEAD) + 1, len(text) - 3))


def test_objects_of_a_file_that_is_cut_off_are_not_given_out(tmp_path: Path) -> None:
    path = tmp_path / "status.dat"
    path.write_text((HEAD + service("web1", "HTTP", 2))[:-20])
    with pytest.raises(CouldNotLook, match="is cut off"):
        read_objects_not_ok(path)
    path.write_text("")
    with pytest.raises(CouldNotLook, match="is empty"):
        read_objects_not_ok(path)
    path.write_text(HEAD + service("web1", "HTTP", 2))
    assert read_objects_not_ok(path) == [("web1", "HTTP")]


def test_one_object_is_found_by_its_whole_name(tmp_path: Path) -> None:
    data = (
        HEAD + host("web1", 1) + service("web1", "HTTP 2", 2) + service("web10", "HTTP", 1) + service("web1", "HTTP", 0)
    ).encode()
    found = object_status(data, "web1", "HTTP")
    assert found is not None and (found["host_name"], found["service_description"], found["current_state"]) == ("web1", "HTTP", "0")
    up = object_status(data, "web1", None)
    assert up is not None and up["current_state"] == "1" and "service_description" not in up
    assert object_status(data, "web", "HTTP") is object_status(data, "web10", None) is object_status(b"", "web1", None) is None
    assert object_status(data[: data.rindex(b"}")], "web1", "HTTP") is None, "a block that is cut off"


def test_a_missing_status_file_says_that_nagios_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(CouldNotLook) as error:
        read_program_status(tmp_path / "status.dat")
    assert str(error.value) == f"{tmp_path}/status.dat does not exist"
    assert error.value.hint == "Nagios is stopped here, or status_file in nagios.cfg is another one"


def test_the_retained_flags_are_those_of_the_program_block(tmp_path: Path) -> None:
    path = tmp_path / "retention.dat"
    assert read_retained_flags(path) is None
    path.write_text("info {\ncreated=1\n}\nprogram {\nenable_notifications=1\nactive_service_checks_enabled=0\n}\nhost {\n")
    assert read_retained_flags(path) == {Flag.NOTIFICATIONS: True, Flag.SERVICE_CHECKS: False}
    path.write_text("host {\nhost_name=x\n}\n")
    assert read_retained_flags(path) is None


def test_a_replaced_file_has_another_version(tmp_path: Path) -> None:
    path = tmp_path / "retention.dat"
    assert version_of(path) is None
    path.write_text("one")
    first = version_of(path)
    (tmp_path / "new").write_text("two")
    (tmp_path / "new").rename(path)
    assert version_of(path) not in (None, first)
    sync_file(path)
