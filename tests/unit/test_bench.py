"""The bench's result file: a list of objects that other programs can read."""

from __future__ import annotations

import json
from pathlib import Path

from bench.common import Row, table, write

PLAIN = Row("failover_time/kill", 9.5, "s", 10)
COMPARED = Row("check_cost", 17.0, "ms", 20, "check_by_ssh", 1.25)


def test_a_row_is_an_object_with_ratio_and_against_only_where_there_is_something_to_compare_with() -> None:
    assert PLAIN.as_object() == {"name": "failover_time/kill", "value": 9.5, "unit": "s", "runs": 10}
    assert COMPARED.as_object() == {
        "name": "check_cost", "value": 17.0, "unit": "ms", "runs": 20, "against": "check_by_ssh", "ratio": 1.25,
    }  # fmt: skip


def test_a_part_measured_again_replaces_its_rows_and_keeps_the_others(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write([PLAIN, COMPARED], path)
    write([Row("failover_time/kill", 8.0, "s", 3)], path)
    assert {entry["name"]: entry["value"] for entry in json.loads(path.read_text())} == {
        "check_cost": 17.0,
        "failover_time/kill": 8.0,
    }


def test_the_table_aligns_numbers() -> None:
    assert table([PLAIN, COMPARED]) == (
        "what                value  unit  runs  ratio  against\n"
        "------------------  -----  ----  ----  -----  ------------\n"
        "failover_time/kill    9.5  s       10\n"
        "check_cost             17  ms      20   1.25  check_by_ssh"
    )
