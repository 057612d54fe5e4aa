"""Draws series with matplotlib, which nothing else imports: it is an extra of the package."""

from __future__ import annotations

import io
import os
import pwd
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from math import nan
from pathlib import Path
from statistics import median
from typing import Any, cast

from nagios_failover.errors import Failed, UsageError
from nagios_failover.metrics import Range
from nagios_failover.series import Series, Slot, Takeover

KINDS = (".svg", ".png")
WARN_COLOUR = "#f0a30a"
CRIT_COLOUR = "#d13438"
LINE_COLOUR = "#1f6fb2"
GAP = 3
MOST_PANELS = 20
LARGEST = 1e300
"""A scale for more than that is beyond what a number holds."""


def check_output(path: Path) -> None:
    """Before anything is read: is it a picture of a kind that can be drawn, in a place that is there?"""
    if path.suffix.lower() not in KINDS:
        raise UsageError(f"{path}: the file's name ends neither in .svg nor in .png", hint="--output web1.svg")
    parent = path.absolute().parent
    try:
        there = parent.is_dir()
    except PermissionError as error:
        raise UsageError(f"{path}: {_who()} may not look into {parent}", hint=_where()) from error
    if not there:
        raise UsageError(f"{path}: there is no directory {parent}")


def _who() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def _where() -> str:
    return f"it is drawn by the user {_who()}: --output {tempfile.gettempdir()}/web1.svg"


def draw(path: Path, series: Sequence[Series], failovers: Sequence[Takeover]) -> None:
    """One panel a metric: the average, between the lowest and the highest; where a value would be WARNING or CRITICAL the ground
    is coloured; failovers are dashed lines. Raises Failed without the library, or where the file cannot be written."""
    if any(abs(value or 0) > LARGEST for one in series for slot in one.slots for value in (slot.low, slot.high)):
        raise Failed("there are values that are too large to be drawn", hint="--csv shows them")
    pyplot = _pyplot()
    figure, panels = pyplot.subplots(
        len(series), 1, sharex=True, squeeze=False, figsize=(10, 1 + 2.4 * len(series)), layout="constrained"
    )
    for panel, one in zip(panels[:, 0], series, strict=True):
        _panel(panel, one, failovers)
    _show_time(panels[-1, 0].xaxis)
    shown = {label: handle for panel in panels[:, 0] for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=len(shown), fontsize=8, frameon=False)
    kind, picture = path.suffix[1:].lower(), io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of signs that the font has not
            figure.savefig(picture, format=kind, metadata={"Date": None} if kind == "svg" else None)
    finally:
        pyplot.close(figure)
    _write(path, picture.getvalue())


def _pyplot() -> Any:
    # Nagios's user has no home to keep fonts' names in
    os.environ.setdefault("MPLCONFIGDIR", str(Path(tempfile.gettempdir()) / f"nagios-failover-plot-{os.geteuid()}"))
    try:
        import matplotlib

        matplotlib.use("agg")
        import matplotlib.pyplot as pyplot
    except ImportError as error:
        raise Failed(
            f"the plotting library is not there: {error}",
            hint="/opt/nagios-failover/bin/pip install 'nagios-failover[plot]' (or matplotlib); without --output it is text",
        ) from error
    return pyplot


def _write(path: Path, picture: bytes) -> None:
    """Whole, or not at all: a disk may be full."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(picture)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise Failed(f"cannot write {path}: {error.strerror}", hint=_where()) from error


def _panel(panel: Any, series: Series, failovers: Sequence[Takeover]) -> None:
    slots = with_gaps([slot for slot in series.slots if slot.values])
    if not slots:
        panel.text(0.5, 0.5, "nothing was measured in this time", transform=panel.transAxes, ha="center")
    times = [datetime.fromtimestamp(series.moment(slot), UTC) for slot in slots]
    lows, averages, highs = ([getattr(slot, name) for slot in slots] for name in ("low", "average", "high"))
    panel.plot(times, averages, color=LINE_COLOUR, linewidth=1.2, marker=".", markersize=3, gid="average", label="average")
    panel.fill_between(times, lows, highs, color=LINE_COLOUR, alpha=0.2, linewidth=0, label="lowest to highest")
    bottom, top = _view(series)
    for limits, colour, name in ((series.warn, WARN_COLOUR, "WARNING"), (series.crit, CRIT_COLOUR, "CRITICAL")):
        for number, (low, high) in enumerate(bands(limits, bottom, top)):
            band = f"{name[:4].lower()}-band-{number}"
            panel.axhspan(low, high, color=colour, alpha=0.12, linewidth=0, gid=band, label=name)
    for number, (host, moment) in enumerate(failovers):
        when = datetime.fromtimestamp(moment, UTC)
        panel.axvline(when, color="black", linestyle="--", linewidth=1, gid=f"failover-{number}", label="failover")
        panel.annotate(f"to {host}", (when, top), (3, -3), textcoords="offset points", va="top", fontsize=7, parse_math=False)
    panel.set_ylim(bottom, top)
    panel.set_xlim(datetime.fromtimestamp(series.span.begin, UTC), datetime.fromtimestamp(series.span.end, UTC))
    panel.set_title(series.title, fontsize=10, loc="left", parse_math=False)
    panel.set_ylabel(series.unit, parse_math=False)
    panel.ticklabel_format(axis="y", useOffset=False, scilimits=(-5, 12))
    panel.grid(alpha=0.3)


def _show_time(axis: Any) -> None:
    """In the zone of whoever asks, as the text has it; its name is under the axis."""
    import matplotlib.dates
    from dateutil.tz import tzlocal  # type: ignore[import-untyped]  # matplotlib comes with it

    zone, dates = tzlocal(), cast(Any, matplotlib.dates)
    locator = dates.AutoDateLocator(tz=zone)
    axis.set_major_locator(locator)
    axis.set_major_formatter(dates.ConciseDateFormatter(locator, tz=zone))
    axis.set_label_text(datetime.now(zone).tzname() or "", fontsize=8)


def with_gaps(slots: Sequence[Slot]) -> list[Slot]:
    """Where nothing was measured for more than GAP times as long as usual, a slot without a value: no line is drawn over it."""
    steps = [after.number - before.number for before, after in pairwise(slots)]
    usual = median(steps) if steps else 1
    found = list(slots[:1])
    for step, slot in zip(steps, slots[1:], strict=True):
        if step > GAP * usual:
            found.append(slot._replace(number=slot.number - 1, low=nan, average=nan, high=nan))
        found.append(slot)
    return found


def _view(series: Series) -> tuple[float, float]:
    """From the lowest value to the highest, and a threshold that is not far from them."""
    low = min((slot.low for slot in series.slots if slot.low is not None), default=0.0)
    high = max((slot.high for slot in series.slots if slot.high is not None), default=1.0)
    size = high - low or abs(high) or 1.0
    edges = [edge for limits in (series.warn, series.crit) if limits for edge in (limits.low, limits.high) if edge is not None]
    near = [edge for edge in edges if low - size <= edge <= high + size]
    low, high = min([low, *near]), max([high, *near])
    margin = (high - low or abs(high) or 1.0) / 10
    return low - margin, high + margin


def bands(limits: Range | None, bottom: float, top: float) -> list[tuple[float, float]]:
    """Where values raise the alert, as much of it as is seen."""
    if limits is None:
        return []
    low = bottom if limits.low is None else limits.low
    high = top if limits.high is None else limits.high
    found = [(low, high)] if limits.inside else [(bottom, low), (high, top)]
    return [(max(bottom, begin), min(top, end)) for begin, end in found if max(bottom, begin) < min(top, end)]
