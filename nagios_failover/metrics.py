"""The grammar of perfdata: a line of Nagios's spool, and the metrics in it. Pure; no input raises, and every input takes time
in proportion to its length: each pattern gives nothing back that it has once taken.

A line has six TAB-separated fields: time, host, service, output, state word, perfdata. The perfdata is that of the Monitoring
Plugins guidelines: `'label'=value[unit];[warn];[crit];[min];[max]`, metrics apart by blanks, labels quoted where they hold
blanks, a quote in a quoted label doubled, `U` for a value that could not be found out.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

HOST_SERVICE = "_HOST_"
"""What stands for the service in lines of host checks (host_perfdata_file_template): PerfParse knows no metrics of hosts, and
this is the name that PNP4Nagios gave them."""

NAME_LIMIT = 255
UNIT_LIMIT = 32
RANGE_LIMIT = 64

STATES = {"OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3, "PENDING": 3, "UP": 0, "DOWN": 2, "UNREACHABLE": 3}
"""A state word as PerfParse counts it; a host that is not reachable is in no known state."""

_NUMBER = r"[-+]?(?>\d++(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?"
_UNIT = r"[^\d\s;:@~'\".,]*+"
_QUANTITY = rf"(?:{_NUMBER}){_UNIT}"
_RANGE = rf"@?(?:(?:~|{_QUANTITY})?:)?(?:{_QUANTITY})?"
_METRIC = re.compile(
    rf"""\s*+(?:'((?:[^']|'')*+)'|([^\s='][^\s=]*+))=
    (?:U|({_NUMBER})({_UNIT}))?
    (?:;({_RANGE}))?(?:;({_RANGE}))?(?:;({_QUANTITY})?)?(?:;({_QUANTITY})?)?;*+(?=\s|\Z)""",
    re.ASCII | re.VERBOSE,
)
_BLANKS = re.compile(r"\s*+", re.ASCII)
_PIECE = re.compile(r"\S*+", re.ASCII)
_QUOTED = re.compile(r"'(?:[^']|'')*+(?:'|\Z)", re.ASCII)
_LIMIT = re.compile(rf"(?P<inside>@)?(?:(?P<low>~|{_NUMBER})?{_UNIT}(?P<colon>:))?(?:(?P<high>{_NUMBER}){_UNIT})?", re.ASCII)
_INFINITE = (math.inf, -math.inf)
_BEHIND_A_TORN_LINE = re.compile(r"\d{9,10}\Z", re.ASCII)


class Metric(NamedTuple):
    """One measured value. None: not known (`U`, or nothing there). Warn and crit are ranges as the plugin wrote them."""

    label: str
    value: float | None
    unit: str = ""
    warn: str = ""
    crit: str = ""
    minimum: str = ""
    maximum: str = ""


class Sample(NamedTuple):
    """One check's line. `malformed` holds the pieces of the perfdata that are no metrics."""

    moment: int
    host: str
    service: str
    output: str
    state: int
    perfdata: str
    metrics: list[Metric]
    malformed: list[str]


class Range(NamedTuple):
    """A threshold: the alert is outside of low..high, or inside where it is so written. None: no limit on that side."""

    low: float | None
    high: float | None
    inside: bool = False


def parse_metrics(text: str) -> tuple[list[Metric], list[str]]:
    """The metrics of a perfdata string in their order, and the pieces of it that are none."""
    metrics: list[Metric] = []
    malformed: list[str] = []
    match = _METRIC.match
    place, end = 0, len(text)
    while place < end:
        found = match(text, place)
        if found and (metric := _metric(found)):
            metrics.append(metric)
            place = found.end()
            continue
        place = _BLANKS.match(text, place).end()  # type: ignore[union-attr]  # it matches nothing, too
        if place < end:
            after = _end_of_piece(text, place)
            malformed.append(text[place:after])
            place = after
    return metrics, malformed


def _metric(found: re.Match[str]) -> Metric | None:
    """None where a part is longer than a database would hold, or a number larger."""
    quoted, plain, number, unit, warn, crit, minimum, maximum = found.groups("")
    label = plain or quoted.replace("''", "'")
    value = float(number) if number else None
    if not label.strip() or value in _INFINITE:
        return None
    if len(label) > NAME_LIMIT or len(unit) > UNIT_LIMIT or len(warn) > RANGE_LIMIT or len(crit) > RANGE_LIMIT:
        return None
    return Metric(label, value, unit, warn, crit, minimum, maximum)


def _end_of_piece(text: str, place: int) -> int:
    """Where a piece that is no metric ends: at a blank that is not quoted."""
    if text[place] == "'":
        place = _QUOTED.match(text, place).end()  # type: ignore[union-attr]  # the quote is there
    return _PIECE.match(text, place).end()  # type: ignore[union-attr]  # it matches nothing, too


def parse_range(text: str) -> Range | None:
    """What a threshold of a metric says; None for an empty one, or one that sets no limit."""
    found = _LIMIT.fullmatch(text)
    if not found or not text.strip("@"):
        return None
    low, high = found["low"], found["high"]
    lowest = None if low == "~" else float(low) if low else None if found["colon"] and not high else 0.0
    limits = Range(lowest, float(high) if high else None, bool(found["inside"]))
    return None if limits.low is None and limits.high is None else limits


def parse_line(line: bytes) -> Sample | str:
    """A spool line without its line feed, or why it is none."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        text = line.decode("latin-1")  # what plugins older than UTF-8 print
    fields = text.split("\t")
    if len(fields) != 6:
        fields = _six(fields)
        if not fields:
            return "it has not six fields"
    moment, host, service, output, word, perfdata = fields
    if not (moment.isascii() and moment.isdigit() and len(moment) <= 10):
        return "its first field is no time"
    state = STATES.get(word)
    if state is None:
        return "its fifth field is no state"
    for name in (host, service):
        if not name.strip() or len(name) > NAME_LIMIT:
            return "a name is missing" if not name.strip() else f"a name is longer than {NAME_LIMIT} characters"
    return Sample(int(moment), host, service, output, state, perfdata, *parse_metrics(perfdata))


def _six(fields: list[str]) -> list[str]:
    """More than six: where a plugin printed TABs, and the one state word tells output from perfdata. A line that was torn (a
    full disk, a kill) and has the next one behind it looks alike, but for the time in its middle: that one is nobody's. []: no."""
    words = [number for number in range(4, len(fields)) if fields[number] in STATES]
    if len(fields) < 6 or len(words) != 1:
        return []
    (word,) = words
    if any(_BEHIND_A_TORN_LINE.search(field) for field in fields[1:word]):
        return []
    return [*fields[:3], "\t".join(fields[3:word]), fields[word], " ".join(fields[word + 1 :])]
