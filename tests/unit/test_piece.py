"""A piece of the queue that is read in steps, and when it is still what would be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from nagios_failover.perfdata import in_order
from nagios_failover.perfdata_queue import PerfdataFiles
from nagios_failover.piece import LINES_OF_A_STEP, Piece

LINE = "1763822531\tweb1\tHTTP\tout\tOK\ttime=1s\n"
QUEUE = in_order(["100.1", "200.1", "300.1"])


@pytest.fixture
def files(tmp_path: Path) -> PerfdataFiles:
    files = PerfdataFiles(tmp_path)
    files.claim()
    for spool in QUEUE:
        (files.queue_directory / spool.name).write_text(LINE * 200)
    return files


def test_a_step_is_a_few_lines(files: PerfdataFiles) -> None:
    piece = Piece(files, QUEUE, {}, 1_000_000)
    next(piece.steps)
    next(piece.steps)
    assert LINES_OF_A_STEP <= len(piece.samples) <= 2 * LINES_OF_A_STEP
    assert len(piece.whole().samples) == 600
    assert (piece.finished, piece.last) == (QUEUE, QUEUE[-1])


def test_it_is_whole_lines_of_about_the_limit_from_the_positions_on(files: PerfdataFiles) -> None:
    piece = Piece(files, QUEUE, {"100.1": len(LINE) * 150}, len(LINE) * 100).whole()
    assert piece.ends == {"100.1": len(LINE) * 200, "200.1": len(LINE) * 51}
    assert (len(piece.samples), piece.finished, piece.last) == (101, QUEUE[:1], QUEUE[1])


def test_it_is_the_next_one_while_the_queue_grows_at_its_end_alone(files: PerfdataFiles) -> None:
    piece = Piece(files, QUEUE, {"100.1": 10}, 5000)
    for queue, positions, limit, expected in (
        (QUEUE, {"100.1": 10}, 5000, True),
        (QUEUE, {"100.1": 10, "50.1": 7}, 5000, True),
        ([*QUEUE, *in_order(["400.1"])], {"100.1": 10}, 5000, True),
        (QUEUE[1:], {}, 5000, False),
        ([QUEUE[0], QUEUE[2]], {"100.1": 10}, 5000, False),
        (in_order(["99.1", "100.1", "200.1", "300.1"]), {"100.1": 10}, 5000, False),
        (QUEUE, {}, 5000, False),
        (QUEUE, {"100.1": 10, "300.1": 5}, 5000, False),
        (QUEUE, {"100.1": 10}, 2500, False),
    ):
        assert piece.is_next(queue, positions, limit) is expected, (queue, positions, limit)


def test_it_ends_before_a_file_that_cannot_be_read(files: PerfdataFiles) -> None:
    (files.queue_directory / "200.1").unlink()
    (files.queue_directory / "200.1").mkdir()
    assert Piece(files, QUEUE, {}, 1_000_000).whole().finished == QUEUE[:1]
