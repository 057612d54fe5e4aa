"""The result file of `make test-long`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.long.result import Result


def test_a_stopped_run_of_the_same_seed_and_commit_goes_on_where_it_was(tmp_path: Path) -> None:
    first = Result.open(7, tmp_path, at="abc")
    first.add("failovers", {"fault": "kill"}, held=True, seconds=9.5)
    again = Result.open(7, tmp_path, at="abc")
    assert (again.path, again.done("failovers"), again.done("restarts")) == (first.path, 1, 0)


def test_a_finished_run_another_seed_or_another_commit_begins_anew(tmp_path: Path) -> None:
    first = Result.open(7, tmp_path, at="abc")
    first.add("failovers", {"fault": "kill"}, held=True, seconds=9.5)
    assert Result.open(8, tmp_path, at="abc").done("failovers") == 0
    assert Result.open(7, tmp_path, at="abd").done("failovers") == 0
    first.write(finished=True)
    assert Result.open(7, tmp_path, at="abc").done("failovers") == 0


def test_the_file_has_commit_seed_counts_and_durations(tmp_path: Path) -> None:
    result = Result.open(7, tmp_path, at="abc")
    result.add("failovers", {"fault": "kill"}, held=True, seconds=9.5)
    result.add("failovers", {"fault": "link"}, held=False, seconds=20)
    result.write(finished=True)
    raw = json.loads(result.path.read_text())
    assert (raw["commit"], raw["seed"], raw["finished"]) == ("abc", 7, True)
    assert {key: raw["parts"]["failovers"][key] for key in ("count", "held", "seconds")} == {"count": 2, "held": 1, "seconds": 29.5}
    assert result.failures() == 1
