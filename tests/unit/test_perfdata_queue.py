"""Reading spool files piece by piece: whole lines, each once, whatever is in the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nagios_failover import perfdata_queue
from nagios_failover.perfdata import QueuedSpool
from nagios_failover.perfdata_queue import PerfdataFiles, SpoolLine

SPOOL = QueuedSpool(100, 1, "100.1")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> PerfdataFiles:
    files = PerfdataFiles(tmp_path_factory.mktemp("state"))
    files.claim()
    return files


def read_all(files: PerfdataFiles, limit: int) -> list[SpoolLine]:
    lines: list[SpoolLine] = []
    offset, finished = 0, False
    while not finished:
        found = files.read_lines(SPOOL, offset, limit)
        assert found.end > offset or found.finished, "each read gets on"
        lines.extend(found.lines)
        offset, finished = found.end, found.finished
    return lines


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=40).map(lambda data: data.replace(b"\n", b""))), st.binary(max_size=9), st.integers(1, 60))
def test_every_line_is_read_once_with_its_place_whatever_the_piece(
    files: PerfdataFiles, lines: list[bytes], torn: bytes, limit: int
) -> None:
    torn = torn.replace(b"\n", b"")
    data = b"".join(line + b"\n" for line in lines) + torn
    (files.queue_directory / SPOOL.name).write_bytes(data)
    found = read_all(files, limit)
    assert [line.data for line in found if line.whole] == lines
    assert [line.data for line in found if not line.whole] == ([torn] if torn else [])
    assert all(data[line.offset :].startswith(line.data) for line in found)


def test_a_line_without_end_is_cut_and_what_follows_is_read(files: PerfdataFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perfdata_queue, "LONGEST_LINE", 1000)
    (files.queue_directory / SPOOL.name).write_bytes(b"before\n" + b"x" * 5000 + b"\nafter\n")
    found = read_all(files, 100)
    assert [(line.data, line.whole) for line in found] == [(b"before", True), (b"x" * 200, False), (b"after", True)]


def test_a_file_that_is_gone_is_at_its_end(files: PerfdataFiles) -> None:
    found = files.read_lines(QueuedSpool(1, 1, "1.1"), 7, 100)
    assert (found.lines, found.end, found.finished) == ([], 7, True)


def test_what_was_removed_has_no_size(files: PerfdataFiles, tmp_path: Path) -> None:
    (files.queue_directory / SPOOL.name).write_bytes(b"1234")
    assert files.sizes([SPOOL]) == [4]
    files.remove([SPOOL])
    assert files.sizes([SPOOL]) == [0]
