"""A metric over time: what was asked for, what the database said, and how that is told as CSV, JSON and text. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from nagios_failover.metrics import Range, parse_range

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII_BLOCKS = " .:-=+*#@"
STATE_MARKS = {0: "", 1: "w", 2: "c", 3: "u"}


class Span(NamedTuple):
    """The time that is asked for, in epoch seconds, in `slots` pieces of one width."""

    begin: int
    end: int
    slots: int

    @property
    def width(self) -> int:
        """Seconds of a slot, whole ones."""
        return max(1, -(-(self.end - self.begin) // self.slots))

    def slot(self, moment: float) -> int:
        return int(moment - self.begin) // self.width


class Slot(NamedTuple):
    """What was measured in one piece of time; `state` is the worst."""

    number: int
    values: int
    low: float
    average: float
    high: float
    state: int
    warn: str
    crit: str


class Series(NamedTuple):
    """One metric of a service; slots without a value are left out."""

    host: str
    service: str
    metric: str
    unit: str
    span: Span
    slots: Sequence[Slot]

    @property
    def title(self) -> str:
        return f"{self.host} {self.service} {self.metric}{f' [{self.unit}]' if self.unit else ''}"

    @property
    def warn(self) -> Range | None:
        """The newest threshold."""
        return parse_range(self.slots[-1].warn) if self.slots else None

    @property
    def crit(self) -> Range | None:
        return parse_range(self.slots[-1].crit) if self.slots else None

    def moment(self, slot: Slot) -> int:
        """The slot's beginning."""
        return self.span.begin + slot.number * self.span.width


class Takeover(NamedTuple):
    """A host became the master, at that moment (epoch seconds)."""

    host: str
    moment: int


COLUMNS = (
    "time",
    "epoch",
    "host",
    "service",
    "metric",
    "unit",
    "values",
    "min",
    "average",
    "max",
    "state",
    "warn",
    "crit",
    "failover",
)


def _records(series: Sequence[Series], failovers: Sequence[Takeover]) -> Iterator[dict[str, Any]]:
    for one in series:
        marked = {one.span.slot(failover.moment) for failover in failovers}
        for slot in one.slots:
            begin = one.moment(slot)
            values = (
                iso(begin),
                begin,
                one.host,
                one.service,
                one.metric,
                one.unit,
                slot.values,
                slot.low,
                slot.average,
                slot.high,
            )
            more = (slot.state, slot.warn, slot.crit, int(slot.number in marked))
            yield dict(zip(COLUMNS, (*values, *more), strict=True))


def as_csv(series: Sequence[Series], failovers: Sequence[Takeover]) -> str:
    """A line for each slot of each metric, times in UTC."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_records(series, failovers))
    return text.getvalue()


def as_json(series: Sequence[Series], failovers: Sequence[Takeover]) -> dict[str, Any]:
    left_out = {"host", "service", "metric", "unit", "failover"}
    return {
        "failovers": [{"time": iso(moment), "epoch": moment, "host": host} for host, moment in failovers],
        "series": [
            {
                "host": one.host,
                "service": one.service,
                "metric": one.metric,
                "unit": one.unit,
                "slot_seconds": one.span.width,
                "slots": [
                    {key: value for key, value in record.items() if key not in left_out} for record in _records([one], failovers)
                ],
            }
            for one in series
        ],
    }


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def chart(series: Series, failovers: Sequence[Takeover], *, height: int = 8, ascii_only: bool = False) -> list[str]:
    """The series as lines of text: a title, `height` rows of blocks with the scale before them, states that are not OK, failovers
    (F), the time, and what it comes to."""
    if not series.slots:
        return [series.title, "  nothing was measured in this time"]
    blocks = ASCII_BLOCKS if ascii_only else BLOCKS
    low = min(slot.average for slot in series.slots)
    high = max(slot.average for slot in series.slots)
    bottom = 0.0 if 0 <= low <= high / 2 or high == low == 0 else low - (high - low or abs(high)) / 10
    scale = (high - bottom) or 1.0
    levels = {slot.number: max(1, round((slot.average - bottom) / scale * height * 8)) for slot in series.slots}
    columns = range(series.span.slot(series.span.end - 1) + 1)
    margin = max(len(number(high)), len(number(bottom)))
    lines = [series.title]
    for row in reversed(range(height)):
        label = number(high) if row == height - 1 else number(bottom) if row == 0 else ""
        cells = "".join(blocks[min(8, max(0, levels.get(column, 0) - row * 8))] for column in columns)
        lines.append(f"  {label:>{margin}} |{cells}".rstrip())
    states = {slot.number: STATE_MARKS[slot.state] for slot in series.slots}
    marks = {series.span.slot(failover.moment) for failover in failovers}
    for name, cells in (
        ("state", "".join(states.get(column) or " " for column in columns)),
        ("F", "".join("F" if column in marks else " " for column in columns)),
    ):
        if cells.strip():
            lines.append(f"  {name[:margin]:>{margin}} |{cells}".rstrip())
    begin, end = (datetime.fromtimestamp(moment).strftime("%Y-%m-%d %H:%M") for moment in (series.span.begin, series.span.end))
    lines.append(f"  {'':>{margin}}  {begin}{end:>{max(len(end) + 1, len(columns) - len(begin))}}")
    return [*lines, *_summary(series, failovers)]


def _summary(series: Series, failovers: Sequence[Takeover]) -> Iterator[str]:
    count = sum(slot.values for slot in series.slots)
    average = sum(slot.average * slot.values for slot in series.slots) / count
    lowest, highest = min(slot.low for slot in series.slots), max(slot.high for slot in series.slots)
    numbers = (("min", lowest), ("average", average), ("max", highest), ("last", series.slots[-1].average))
    words = ", ".join(f"{word} {number(value)}{series.unit}" for word, value in numbers)
    limits = [f"{word} {limit}" for word, limit in (("warn", series.slots[-1].warn), ("crit", series.slots[-1].crit)) if limit]
    yield f"  {words}; {count} values" + (f"; {', '.join(limits)}" if limits else "")
    if failovers:
        when = (f"{datetime.fromtimestamp(moment):%Y-%m-%d %H:%M:%S} to {host}" for host, moment in failovers)
        yield f"  failovers (F): {', '.join(when)}"


def number(value: float) -> str:
    return f"{value:.4g}"
