"""The rows that the bench's parts measure: gathered here, printed as a table, kept in bench/results.json.

A row is one number with its unit, from how many runs, and, where there is something to compare with, what that is (`against`)
and this number divided by that one's (`ratio`).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TOP: Final = Path(__file__).resolve().parents[1]
RESULTS: Final = TOP / "bench" / "results.json"


@dataclass(frozen=True)
class Row:
    """One measurement, as bench/results.json has it."""

    name: str
    value: float
    unit: str
    runs: int
    against: str | None = None
    ratio: float | None = None

    def as_object(self) -> dict[str, object]:
        compared = {"against": self.against, "ratio": self.ratio}
        return {"name": self.name, "value": self.value, "unit": self.unit, "runs": self.runs} | {
            key: value for key, value in compared.items() if value is not None
        }


_rows: list[Row] = []
_broken: list[str] = []


def add(name: str, value: float, unit: str, runs: int, against: str | None = None, ratio: float | None = None) -> None:
    """Keep a measurement and print it at once. `ratio` is this value by that of `against`, measured in the same run."""
    row = Row(name, round(value, 4), unit, runs, against, None if ratio is None else round(ratio, 3))
    _rows.append(row)
    print("  " + "  ".join(_cells(row)).rstrip(), flush=True)


def promise(name: str, value: float, limit: float, unit: str) -> None:
    """A value that the README promises: `make bench` ends with exit code 1 when one is over its limit."""
    if value > limit:
        _broken.append(f"{name}: {value:.1f} {unit}, promised are {limit:g} {unit}")


def broken() -> tuple[str, ...]:
    """The promises that did not hold so far, a sentence each."""
    return tuple(_broken)


def rows() -> tuple[Row, ...]:
    """What has been measured so far."""
    return tuple(_rows)


def table(measured: Sequence[Row]) -> str:
    """The rows as a table for people."""
    lines = [("what", "value", "unit", "runs", "ratio", "against"), *(_cells(row) for row in measured)]
    widths = [max(len(line[column]) for line in lines) for column in range(6)]
    texts = ["  ".join(_aligned(column, cell, widths[column]) for column, cell in enumerate(line)).rstrip() for line in lines]
    return "\n".join([texts[0], "  ".join("-" * width for width in widths), *texts[1:]])


def write(measured: Iterable[Row], path: Path = RESULTS) -> None:
    """bench/results.json: rows measured now take the place of those of the same name, others are kept."""
    now = {row.name: row.as_object() for row in measured}
    before = json.loads(path.read_text()) if path.exists() else []
    kept = [entry for entry in before if entry["name"] not in now]
    path.write_text(json.dumps([*kept, *now.values()], indent=2) + "\n")


def commit() -> str:
    """The checkout's commit, with `+` behind it when files differ from it; for result files."""
    head = _git("rev-parse", "--short", "HEAD").strip() or "unknown"
    return head + ("+" if _git("status", "--porcelain", "--untracked-files=no").strip() else "")


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=TOP, capture_output=True, text=True, check=False).stdout


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "" if row.ratio is None else f"{row.ratio:g}"
    return (row.name, f"{row.value:g}", row.unit, str(row.runs), ratio, row.against or "")


def _aligned(column: int, cell: str, width: int) -> str:
    return cell.rjust(width) if column in (1, 3, 4) else cell.ljust(width)
