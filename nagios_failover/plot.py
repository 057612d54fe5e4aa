"""Draws series with matplotlib, which nothing else imports: it is an extra of the package."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nagios_failover.errors import Failed, UsageError
from nagios_failover.metrics import Range
from nagios_failover.series import Series

KINDS = (".svg", ".png")
WARN_COLOUR = "#f0a30a"
CRIT_COLOUR = "#d13438"
LINE_COLOUR = "#1f6fb2"


def check_output(path: Path) -> None:
    """Before anything is read: is it a picture of a kind that can be drawn, in a place that is there?"""
    if path.suffix.lower() not in KINDS:
        raise UsageError(f"{path}: the file's name ends neither in .svg nor in .png", hint="--output web1.svg")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{path}: there is no directory {path.absolute().parent}")


def draw(path: Path, series: Sequence[Series], failovers: Sequence[float]) -> None:
    """One panel a metric: the average, between the lowest and the highest; where a value would be WARNING or CRITICAL the ground
    is coloured; failovers are dashed lines. Raises Failed without the library, or where the file cannot be written."""
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
    figure, panels = pyplot.subplots(
        len(series), 1, sharex=True, squeeze=False, figsize=(10, 1 + 2.4 * len(series)), layout="constrained"
    )
    for panel, one in zip(panels[:, 0], series, strict=True):
        _panel(panel, one, failovers)
    try:
        pyplot.savefig(path, format=path.suffix[1:].lower(), metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
    except OSError as error:
        raise Failed(f"cannot write {path}: {error.strerror}") from error
    finally:
        pyplot.close(figure)


def _panel(panel: Any, series: Series, failovers: Sequence[float]) -> None:
    times = [datetime.fromtimestamp(series.moment(slot), UTC) for slot in series.slots]
    panel.plot(times, [slot.average for slot in series.slots], color=LINE_COLOUR, linewidth=1.2, gid="average")
    panel.fill_between(
        times, [slot.low for slot in series.slots], [slot.high for slot in series.slots], color=LINE_COLOUR, alpha=0.2, linewidth=0
    )
    bottom, top = _view(series)
    for limits, colour, name in ((series.warn, WARN_COLOUR, "warn"), (series.crit, CRIT_COLOUR, "crit")):
        for number, (low, high) in enumerate(bands(limits, bottom, top)):
            panel.axhspan(low, high, color=colour, alpha=0.12, linewidth=0, gid=f"{name}-band-{number}")
    for number, moment in enumerate(failovers):
        panel.axvline(datetime.fromtimestamp(moment, UTC), color="black", linestyle="--", linewidth=1, gid=f"failover-{number}")
    panel.set_ylim(bottom, top)
    panel.set_xlim(datetime.fromtimestamp(series.span.begin, UTC), datetime.fromtimestamp(series.span.end, UTC))
    panel.set_title(series.title, fontsize=10, loc="left", parse_math=False)
    panel.set_ylabel(series.unit, parse_math=False)
    panel.grid(alpha=0.3)


def _view(series: Series) -> tuple[float, float]:
    """From the lowest value to the highest, and a threshold that is not far from them."""
    low = min((slot.low for slot in series.slots), default=0.0)
    high = max((slot.high for slot in series.slots), default=1.0)
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
