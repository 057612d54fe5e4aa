"""A metric over time as CSV, JSON and text."""

from __future__ import annotations

import time

import pytest

from nagios_failover.series import Series, Slot, Span, Takeover, as_csv, as_json, chart, number

SPAN = Span(1_763_820_000, 1_763_823_600, 60)
SERIES = Series(
    "web1",
    "HTTP",
    "time",
    "s",
    SPAN,
    (
        Slot(0, 4, 0.1, 0.2, 0.3, 0.3, 0, "1", "2"),
        Slot(1, 4, 0.1, 0.4, 0.9, 0.1, 1, "1", "2"),
        Slot(59, 2, 0.6, 0.8, 1.0, 1.0, 2, "1", "2"),
    ),
)
FAILOVERS = [Takeover("nabira", 1_763_820_065)]


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def test_slots_cover_the_span_in_whole_seconds() -> None:
    assert (SPAN.width, SPAN.slot(SPAN.begin), SPAN.slot(SPAN.end - 1)) == (60, 0, 59)
    assert Span(0, 100, 60).width == 2
    assert Span(0, 10, 60).width == 1


def test_csv_has_a_line_for_each_slot_and_marks_the_failover() -> None:
    assert as_csv([SERIES], FAILOVERS).splitlines() == [
        "time,epoch,host,service,metric,unit,values,min,average,max,state,warn,crit,failover",
        "2025-11-22T14:00:00Z,1763820000,web1,HTTP,time,s,4,0.1,0.2,0.3,0,1,2,0",
        "2025-11-22T14:01:00Z,1763820060,web1,HTTP,time,s,4,0.1,0.4,0.9,1,1,2,1",
        "2025-11-22T14:59:00Z,1763823540,web1,HTTP,time,s,2,0.6,0.8,1.0,2,1,2,0",
    ]


def test_json_says_the_same_with_stable_keys() -> None:
    said = as_json([SERIES], FAILOVERS)
    assert said["failovers"] == [{"time": "2025-11-22T14:01:05Z", "epoch": 1763820065, "host": "nabira"}]
    (one,) = said["series"]
    assert {key: value for key, value in one.items() if key != "slots"} == {
        "host": "web1",
        "service": "HTTP",
        "metric": "time",
        "unit": "s",
        "slot_seconds": 60,
    }
    assert one["slots"][1] == {
        "time": "2025-11-22T14:01:00Z",
        "epoch": 1763820060,
        "values": 4,
        "min": 0.1,
        "average": 0.4,
        "max": 0.9,
        "state": 1,
        "warn": "1",
        "crit": "2",
    }


def test_the_chart_shows_values_states_failovers_and_what_it_comes_to() -> None:
    assert chart(SERIES, FAILOVERS, height=4) == [
        "web1 HTTP time [s]",
        "    0.8 |" + " " * 59 + "█",
        "        |" + " " * 59 + "█",
        "        | █" + " " * 57 + "█",
        "      0 |██" + " " * 57 + "█",
        "  state | w" + " " * 57 + "c",
        "      F | F",
        "         2025-11-22 14:00" + " " * 28 + "2025-11-22 15:00 UTC",
        "  min 0.1s, average 0.4s, max 1s, last 1s; 10 values; warn 1, crit 2",
        "  failovers (F): 2025-11-22 14:01:05 to nabira",
    ]


def test_a_terminal_without_utf8_gets_plain_characters() -> None:
    assert "".join(chart(SERIES, [], ascii_only=True)).isascii()


def test_a_flat_line_is_drawn() -> None:
    flat = SERIES._replace(slots=(Slot(0, 1, 5.0, 5.0, 5.0, 5.0, 0, "", ""), Slot(1, 1, 5.0, 5.0, 5.0, 5.0, 0, "", "")))
    assert chart(flat, [], height=2)[1].startswith("      5 |██")
    zero = SERIES._replace(slots=(Slot(0, 1, 0.0, 0.0, 0.0, 0.0, 0, "", ""),))
    assert chart(zero, [], height=2)[1:3] == ["        |", "      0 |▁"]


def test_nothing_measured_is_said_and_when_something_was() -> None:
    nothing = "  nothing was measured in this time"
    assert chart(SERIES._replace(slots=()), []) == ["web1 HTTP time [s]", nothing]
    before = SERIES._replace(slots=(), newest=1_763_800_000)
    assert chart(before, []) == ["web1 HTTP time [s]", f"{nothing}; the newest value is of 2025-11-22 08:26"]
    unknown = SERIES._replace(slots=(Slot(3, 0, None, None, None, None, 3, "", ""),))
    assert chart(unknown, []) == ["web1 HTTP time [s]", f"{nothing}; checks said U: the value is not known"]


def test_checks_without_a_value_have_their_state_and_no_numbers() -> None:
    series = SERIES._replace(slots=(*SERIES.slots[:2], Slot(2, 0, None, None, None, None, 3, "", "")))
    lines = chart(series, [], height=2)
    assert (lines[2], lines[3]) == ("      0 |██", "  state | wu")
    assert lines[-1] == "  min 0.1s, average 0.3s, max 0.9s, last 0.1s; 8 values"
    assert as_csv([series], []).splitlines()[-1] == "2025-11-22T14:02:00Z,1763820120,web1,HTTP,time,s,0,,,,3,,,0"
    assert as_json([series], [])["series"][0]["slots"][2]["average"] is None


def test_a_failover_in_which_nothing_was_measured_is_marked_at_what_came_next() -> None:
    lines = as_csv([SERIES], [Takeover("nabira", SPAN.begin + 600)]).splitlines()
    assert [line[-1] for line in lines[1:]] == ["0", "0", "1"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.00012345, "0.0001234"),
        (1.5, "1.5"),
        (9999.4, "9999"),
        (1234567.5, "1234568"),
        (-123456789012, "-123456789012"),
        (1e15, "1e+15"),
    ],
)
def test_a_number_has_four_digits_and_all_of_those_before_the_point(value: float, shown: str) -> None:
    assert number(value) == shown
