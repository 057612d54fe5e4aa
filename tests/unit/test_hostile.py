"""Files from the other host that are not as Nagios writes them: nothing is loaded that is not whole, in bounded memory, and the
failover goes on without. The code from the pulled copy to the retention file is the real one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nagios_failover.copies import CopyRecord, chunks
from nagios_failover.errors import CouldNotLook, Failed, FailoverError
from nagios_failover.inherit import inherit
from nagios_failover.loading import load
from nagios_failover.nagios_cfg import parse_nagios_cfg
from nagios_failover.object_drift import read_objects
from nagios_failover.run_record import Outcome
from nagios_failover.words import Flag
from nagios_failover.workflow import Flow
from tests.unit.snapshots import CREATED, comment, contact, downtime, host, info, program, service
from tests.unit.test_inherit import Site

HOSTS = [f"web{number}" for number in range(1, 5)]
SERVICES = "".join(
    service(name, word, state, current_notification_number=state, last_notification=CREATED - 500 if state else 0)
    for name in HOSTS
    for word, state in (("HTTP", 2), ("LOAD", 0))
)
WHOLE = (
    info() + program() + "".join(map(host, HOSTS)) + SERVICES + contact() + comment("web1", "HTTP", 7) + downtime("web2", "HTTP", 8)
)
DATA = WHOLE.encode()
OURS = info() + program() + "".join(map(host, HOSTS)) + SERVICES + contact()
LOG = "".join(f"[{CREATED + number}] SERVICE ALERT: web1;HTTP;OK;HARD;3;well; done\n" for number in range(20)).encode()
BOUNDARIES = {index + 4 for index in range(len(DATA)) if DATA.startswith(b"\t}\n\n", index)}
FIRST_WHOLE = DATA.index(b"contactstatus {")
"""Before this nothing may be taken for whole; behind it a file that ends with a block is what Nagios may have written."""
CFG = parse_nagios_cfg("log_file=/l/nagios.log\nlog_archive_path=/l/archives\nstatus_file=/v/status.dat\n")
GIGABYTE = 1 << 30
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)


class Loader:
    """The step `inherit` and the loading over and over, without the run around them."""

    def __init__(self, directory: Path) -> None:
        self.site = Site(directory)
        self.grows = ""
        (self.site.nagios / "status.dat").write_text(OURS)

    def write(self, path: Path, data: bytes) -> None:
        path.write_bytes(data)
        if path.name == self.grows:
            os.truncate(path, GIGABYTE)

    def load(self, status: bytes, log: bytes = LOG) -> str:
        """What the step says, or why it refuses. A refused one has changed nothing."""
        self.write(self.site.copies.status, status)
        self.write(self.site.copies.incoming / "nagios.log", log)
        self.site.copies.write_record(
            CopyRecord(CREATED + 60.0, CREATED, 0.0, 0.1, len(status), len(log), "nagios.log", "archives")
        )
        (self.site.nagios / "retention.dat").write_text("our own\n")
        self.site.world.commands.clear()
        notes: dict[str, Any] = {"term": 4}
        run = cast(Any, SimpleNamespace(note=lambda key, value: notes.__setitem__(key, value)))
        flow = Flow(self.site.config, self.site.state, self.site.world.hands(), run, "failover", "command", print, notes)
        try:
            said = inherit(flow)
            load(flow)
            return said
        except Failed as error:
            assert self.site.retention() == "our own\n" and self.site.world.commands == [] and load(flow) == ([], []), error
            return f"refused: {error}"

    def pull(self, status: bytes) -> str:
        """The end of a pull: is what has come installed as the newest snapshot?"""
        self.write(self.site.copies.incoming / "status.dat", status)
        try:
            self.site.copies.install(CFG)
        except FailoverError as error:
            return f"refused: {error}"
        return "installed"

    def compare(self, objects: bytes) -> str:
        self.write(self.site.copies.objects, objects)
        try:
            return str(read_objects(chunks(self.site.copies.objects), watch_host="w", what="objects.cache"))
        except CouldNotLook as error:
            return f"refused: {error}"

    def with_a_gigabyte(self, name: str, step: str) -> str:
        """One of the files has a line that goes on for a gigabyte."""
        self.grows = name
        head = DATA if name != "status.dat" else b"info {\n\tcreated=1\n\tversion="
        if step == "inherit":
            return self.load(head, b"[1] ")
        return self.pull(head) if step == "pull" else self.compare(b"define host {\n\thost_name\t")


@pytest.fixture
def loader(tmp_path: Path) -> Loader:
    return Loader(tmp_path)


def test_the_whole_one_is_loaded(loader: Loader) -> None:
    assert loader.load(DATA).startswith("4 hosts and 8 services of ")


def test_cut_at_every_hundredth_byte_it_is_refused(loader: Loader) -> None:
    for cut in range(0, len(DATA), 100):
        said = loader.load(DATA[:cut])
        assert said.startswith("refused: ") or (cut in BOUNDARIES and cut > FIRST_WHOLE), (cut, said)


def test_cut_behind_each_block_it_is_refused_until_everything_that_is_here_is_in_it(loader: Loader) -> None:
    for cut in sorted(BOUNDARIES):
        assert loader.load(DATA[:cut]).startswith("refused: ") is (cut <= FIRST_WHOLE), cut


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(DATA.replace(b"\t}\n\nservicestatus", b"\nservicestatus", 1), id="a block without an end"),
        pytest.param(DATA.replace(b"\t}\n\nhoststatus", b"\t}\nhoststatus", 1), id="a block that runs into the next"),
        pytest.param(DATA.decode().encode("utf-16"), id="UTF-16"),
        pytest.param(b"\xef\xbb\xbf" + DATA, id="a byte order mark"),
        pytest.param(DATA.replace(b"\n", b"\r\n"), id="line ends of another system"),
        pytest.param(DATA.replace(b"\thost_name=web1\n", b"\thost_name=web1\0\n"), id="NUL"),
        pytest.param(DATA + DATA, id="twice"),
        pytest.param(DATA.replace(b"created=", b"created=x", 1), id="no time"),
        pytest.param(DATA.replace(b"created=", b"created=" + b"9" * 5000, 1), id="a time of 5,000 digits"),
        pytest.param(DATA.replace(b"created=", b"created=" + b"9" * 15, 1), id="a time in which there is no sun"),
        pytest.param(b"\x1f\x8b" + bytes(range(256)) * 50, id="compressed"),
    ],
)
def test_what_is_not_as_nagios_writes_it_is_refused(loader: Loader, status: bytes) -> None:
    assert loader.load(status).startswith("refused: ")


def test_bytes_that_are_no_utf_8_are_carried_over_as_they_are(loader: Loader) -> None:
    loader.load(DATA.replace(b"plugin_output=", b"plugin_output=\xff\xfe\xe9t\xe9 "))
    assert b"plugin_output=\xff\xfe\xe9t\xe9 " in (loader.site.nagios / "retention.dat").read_bytes()


@FUZZ
@given(st.binary(max_size=4000))
def test_random_bytes_are_refused(loader: Loader, data: bytes) -> None:
    assert loader.load(data).startswith("refused: ")
    assert loader.load(DATA[:3000] + data + DATA[3000:]).startswith(("refused: ", "4 hosts", "3 hosts"))


@FUZZ
@given(st.integers(0, len(DATA)), st.integers(0, 300), st.sampled_from([b"", b"\n", b"9" * 20, b"=", b"\t}\n\n", b"\xff", b"-1"]))
def test_any_damage_is_refused_or_loads_whole_blocks_only(loader: Loader, place: int, length: int, put: bytes) -> None:
    said = loader.load(DATA[:place] + put + DATA[place + length :])
    if not said.startswith("refused: "):
        text = (loader.site.nagios / "retention.dat").read_bytes()
        assert text.endswith(b"\t}\n\n") and b"next_check=" not in text and b"enable_notifications=" not in text


LINES = st.one_of(
    st.binary(max_size=300),
    st.builds(
        lambda time, kind, rest: f"[{time}] {kind}: {rest}".encode("utf-8", "surrogateescape"),
        st.sampled_from([str(CREATED + 1), "", "x", "-1", "9" * 25, "9" * 5000, "٣"]),
        st.sampled_from(["SERVICE ALERT", "HOST ALERT", "SERVICE NOTIFICATION", "EXTERNAL COMMAND", "SERVICE DOWNTIME ALERT", "x"]),
        st.lists(
            st.sampled_from(
                ["web1", "HTTP", "OK", "CRITICAL", "HARD", "3", "", "-1", "9" * 30, "STARTED", "ADD_SVC_COMMENT", "\udcff"]
            ),
            max_size=9,
        ).map(";".join),
    ),
)


@FUZZ
@given(st.lists(LINES, max_size=30))
def test_any_log_leaves_the_snapshot_loaded(loader: Loader, lines: list[bytes]) -> None:
    assert loader.load(DATA, b"\n".join([LOG, *lines])).startswith("4 hosts and 8 services of ")


@FUZZ
@given(st.binary(max_size=3000))
def test_objects_of_random_bytes_are_not_compared(data: bytes) -> None:
    with pytest.raises(CouldNotLook):
        read_objects([data], watch_host="w", what="objects.cache")


def test_a_pull_installs_nothing_that_is_cut_off(loader: Loader) -> None:
    loader.site.copies.status.write_bytes(DATA)
    for cut in range(0, len(DATA), 100):
        assert loader.pull(DATA[:cut]).startswith("refused: ") or cut in BOUNDARIES
    assert loader.site.copies.status.read_bytes() == DATA


def test_a_failover_with_a_hostile_copy_ends_with_an_active_host(loader: Loader) -> None:
    loader.load(DATA[:2000])
    run = loader.site.run()
    assert run.outcome == Outcome.INCOMPLETE and "no incident was inherited" in run.sentence
    assert loader.site.world.flags == dict.fromkeys(Flag, True)


def test_an_archive_that_is_a_link_or_has_a_newline_in_its_name_is_no_harm(loader: Loader, tmp_path: Path) -> None:
    archives = loader.site.copies.incoming / "archives"
    archives.mkdir()
    (tmp_path / "elsewhere").write_bytes(f"[{CREATED + 5}] SERVICE ALERT: web1;HTTP;OK;HARD;3;well\n".encode())
    (archives / "link").symlink_to(tmp_path / "elsewhere")
    (archives / "a\nb").write_bytes(b"\xff" * 1000)
    loader.load(DATA, b"")
    assert "\tcurrent_state=2\n" in loader.site.retention()
    assert list(loader.site.copies.log_lines(0, loader.site.copies.record())) == []


MEMORY_LIMIT = 400 << 20
LIMITED = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]), int(sys.argv[2])))
from tests.unit.test_hostile import Loader
print(Loader(Path(sys.argv[1])).with_a_gigabyte(sys.argv[3], sys.argv[4]))
"""


@pytest.mark.parametrize(
    ("step", "grows", "said"),
    [
        ("inherit", "status.dat", "refused: "),
        ("inherit", "nagios.log", "4 hosts and 8 services of "),
        ("pull", "status.dat", "refused: "),
        ("compare", "objects.cache", "refused: "),
    ],
)
def test_a_line_of_a_gigabyte_takes_no_memory(tmp_path: Path, step: str, grows: str, said: str) -> None:
    """The file is sparse. The process may not have half of it."""
    argv = [sys.executable, "-c", LIMITED, str(tmp_path), str(MEMORY_LIMIT), grows, step]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[2])
    assert done.stdout.startswith(said), done.stderr[-2000:]
