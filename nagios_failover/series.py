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
    """What was measured in one piece of time; `state` is the worst. Where every check said `U` there are no values."""

    number: int
    values: int
    low: float | None
    average: float | None
    high: float | None
    last: float | None
    state: int
    warn: str
    crit: str


class Series(NamedTuple):
    """One metric of a service; slots without a check are left out. `newest` is when it was last measured at all (epoch seconds)."""

    host: str
    service: str
    metric: str
    unit: str
    span: Span
    slots: Sequence[Slot]
    newest: int | None = None

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
        numbers = [slot.number for slot in one.slots]
        marked = {_first_from(one.span.slot(failover.moment), numbers) for failover in failovers}
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


def _first_from(number: int, numbers: Sequence[int]) -> int | None:
    """While the role changes nothing may be measured: the mark is then at what comes next."""
    return next((other for other in numbers if other >= number), None)


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
    levels = {slot.number: slot.average for slot in series.slots if slot.average is not None}
    if not levels:
        return [series.title, f"  nothing was measured in this time{_but(series)}"]
    blocks = ASCII_BLOCKS if ascii_only else BLOCKS
    bottom, high = _scale(list(levels.values()))
    margin = max(len(number(high)), len(number(bottom)), len("state"))
    eighths = {place: max(1, round((level - bottom) / ((high - bottom) or 1.0) * height * 8)) for place, level in levels.items()}
    columns = range(series.span.slot(series.span.end - 1) + 1)
    lines = [series.title]
    for row in reversed(range(height)):
        label = number(bottom) if row == 0 else number(high) if row == height - 1 and high != bottom else ""
        cells = "".join(blocks[min(8, max(0, eighths.get(column, 0) - row * 8))] for column in columns)
        lines.append(f"  {label:>{margin}} |{cells}".rstrip())
    states = {slot.number: STATE_MARKS[slot.state] for slot in series.slots}
    marks = {series.span.slot(failover.moment) for failover in failovers}
    for name, cells in (
        ("state", "".join(states.get(column) or " " for column in columns)),
        ("F", "".join("F" if column in marks else " " for column in columns)),
    ):
        if cells.strip():
            lines.append(f"  {name:>{margin}} |{cells}".rstrip())
    begin, end = local(series.span.begin), local(series.span.end)
    zone = datetime.fromtimestamp(series.span.end).astimezone().tzname()
    lines.append(f"  {'':>{margin}}  {begin}{end:>{max(len(end) + 1, len(columns) - len(begin))}} {zone}")
    return [*lines, *_summary(series, failovers)]


def _scale(levels: Sequence[float]) -> tuple[float, float]:
    """From 0 on where that leaves the values half of the height."""
    low, high = min(levels), max(levels)
    from_nothing = 0 <= low <= high / 2 or high == low == 0
    return 0.0 if from_nothing else low - (high - low or abs(high)) / 10, high


def _but(series: Series) -> str:
    checks = "; checks said U: the value is not known" if series.slots else ""
    return checks + (f"; the newest value is of {local(series.newest)}" if series.newest else "")


def _summary(series: Series, failovers: Sequence[Takeover]) -> Iterator[str]:
    count = sum(slot.values for slot in series.slots)
    average = sum((slot.average or 0) * slot.values for slot in series.slots) / count
    lowest = min(slot.low for slot in series.slots if slot.low is not None)
    highest = max(slot.high for slot in series.slots if slot.high is not None)
    last = next(slot.last for slot in reversed(series.slots) if slot.last is not None)
    numbers = (("min", lowest), ("average", average), ("max", highest), ("last", last))
    words = ", ".join(f"{word} {number(value)}{series.unit}" for word, value in numbers)
    limits = [f"{word} {limit}" for word, limit in (("warn", series.slots[-1].warn), ("crit", series.slots[-1].crit)) if limit]
    yield f"  {words}; {counted(count)}" + (f"; {', '.join(limits)}" if limits else "")
    if failovers:
        yield f"  failovers (F): {', '.join(f'{local(moment, seconds=True)} to {host}' for host, moment in failovers)}"


def local(moment: float, *, seconds: bool = False) -> str:
    """In the time zone of whoever asks."""
    return datetime.fromtimestamp(moment).strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def counted(values: int) -> str:
    return "1 value" if values == 1 else f"{values} values"


def number(value: float) -> str:
    """Four digits, and all of those before the point."""
    return f"{value:.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"
