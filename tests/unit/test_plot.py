"""Pictures: what is drawn is in the file; where the library is not there, that is said."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nagios_failover.errors import Failed, UsageError
from nagios_failover.metrics import Range
from nagios_failover.plot import bands, check_output, draw, with_gaps
from nagios_failover.series import Series, Slot, Span, Takeover

SPAN = Span(1_763_820_000, 1_763_823_600, 60)
SLOTS = tuple(Slot(number, 4, number / 100, number / 50, number / 25, number / 25, 0, "0.5", "@1:2") for number in range(60))
SERIES = [Series("web1", "HTTP", name, "s", SPAN, SLOTS) for name in ("time", "$5 & <size>")]

needs_matplotlib = pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="matplotlib is an extra (plot)")


@needs_matplotlib
def test_the_svg_has_a_line_bands_and_failovers_for_each_metric(tmp_path: Path) -> None:
    draw(tmp_path / "x.svg", SERIES, [Takeover("nabira", 1_763_821_000), Takeover("yasu", 1_763_822_000)])
    text = (tmp_path / "x.svg").read_text()
    found = re.findall(r'<g id="((?:average|warn-band|crit-band|failover)[^"]*)"', text)
    for what in ("average", "warn-band", "crit-band-0", "failover-0", "failover-1"):
        assert sum(name.startswith(what) for name in found) >= 2, (what, found)


@needs_matplotlib
def test_the_axis_has_the_time_of_whoever_asks_and_failovers_say_to_which_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/Phoenix")
    time.tzset()
    try:
        draw(tmp_path / "x.svg", SERIES, [Takeover("nabira", 1_763_821_000)])
    finally:
        monkeypatch.undo()
        time.tzset()
    words = re.findall(r"<!-- (.*?) -->", (tmp_path / "x.svg").read_text())
    assert {"MST", "07:30", "to nabira", "failover", "average", "WARNING", "CRITICAL"} <= set(words), words


def test_where_nothing_was_measured_for_long_no_line_is_drawn() -> None:
    numbers = [0, 2, 4, 10, 20, 22]
    slots = [SLOTS[number]._replace(number=number) for number in numbers]
    drawn = with_gaps(slots)
    assert [slot.number for slot in drawn if slot.average == slot.average] == numbers
    assert [slot.number for slot in drawn if slot.average != slot.average] == [19]
    assert with_gaps([]) == [] and with_gaps(slots[:1]) == slots[:1]


@needs_matplotlib
def test_the_png_is_one_even_without_values(tmp_path: Path) -> None:
    draw(tmp_path / "x.PNG", [SERIES[0]._replace(slots=())], [])
    assert (tmp_path / "x.PNG").read_bytes().startswith(b"\x89PNG")


@needs_matplotlib
def test_without_values_that_is_what_the_picture_says(tmp_path: Path) -> None:
    draw(tmp_path / "x.svg", [SERIES[0]._replace(slots=())], [])
    assert "nothing was measured in this time" in (tmp_path / "x.svg").read_text()


@needs_matplotlib
def test_a_file_that_cannot_be_written_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "x.svg").mkdir()
    with pytest.raises(Failed, match="cannot write") as caught:
        draw(tmp_path / "x.svg", SERIES, [])
    assert caught.value.hint.startswith("it is drawn by the user ")
    assert [path.name for path in tmp_path.iterdir()] == ["x.svg"]


@needs_matplotlib
def test_values_beyond_what_can_be_drawn_are_said(tmp_path: Path) -> None:
    slots = [
        SLOTS[number]._replace(low=sign * 1e308, average=sign * 1e308, high=sign * 1e308) for number, sign in ((0, 1), (1, -1))
    ]
    with pytest.raises(Failed, match="too large to be drawn"):
        draw(tmp_path / "x.png", [SERIES[0]._replace(slots=slots)], [])


@needs_matplotlib
def test_a_name_in_signs_that_the_font_has_not_is_no_warning(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    draw(tmp_path / "x.png", [SERIES[0]._replace(metric="日本")], [])
    assert list(recwarn) == []


def test_without_the_library_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(Failed) as caught:
        draw(tmp_path / "x.svg", SERIES, [])
    assert caught.value.what.startswith("the plotting library is not there")
    assert "pip install" in caught.value.hint


@pytest.mark.parametrize("name", ["x", "x.pdf", "no/such/x.svg"])
def test_an_output_that_cannot_be_is_refused_before_anything_is_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        check_output(tmp_path / name)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (None, []),
        (Range(0, 5), [(-10, 0), (5, 10)]),
        (Range(None, 5), [(5, 10)]),
        (Range(5, None), [(-10, 5)]),
        (Range(2, 5, inside=True), [(2, 5)]),
        (Range(0, 50), [(-10, 0)]),
        (Range(20, 50, inside=True), []),
    ],
)
def test_bands_are_where_values_raise_the_alert(limits: Range | None, expected: list[tuple[float, float]]) -> None:
    assert bands(limits, -10, 10) == expected


def test_nothing_else_loads_the_library() -> None:
    code = "import sys; from nagios_failover import cli, load_perfdata, plot; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
