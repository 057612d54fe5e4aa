"""The grammar of perfdata: what plugins print, what is none, and that nothing takes more than its length's time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nagios_failover import metrics as grammar
from nagios_failover.metrics import Metric, Range, Sample, parse_line, parse_metrics, parse_range


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("   ", []),
        ("time=0.012s", [Metric("time", 0.012, "s")]),
        ("time=0.012s;1;2;0;10", [Metric("time", 0.012, "s", "1", "2", "0", "10")]),
        ("a=1;;;;", [Metric("a", 1)]),
        ("a=1;;5", [Metric("a", 1, crit="5")]),
        ("a=1 b=2  c=3", [Metric("a", 1), Metric("b", 2), Metric("c", 3)]),
        ("'free space'=5MB", [Metric("free space", 5, "MB")]),
        ("'it''s'=1 'C:\\ =x'=2", [Metric("it's", 1), Metric("C:\\ =x", 2)]),
        ("''''=1", [Metric("'", 1)]),
        ("a=U;1;2", [Metric("a", None, warn="1", crit="2")]),
        ("a=;1;2", [Metric("a", None, warn="1", crit="2")]),
        ("t=5;10:20;@~:30", [Metric("t", 5, warn="10:20", crit="@~:30")]),
        ("t=-1.5e-3;:5;3:", [Metric("t", -0.0015, warn=":5", crit="3:")]),
        ("load1=.5;5.;+1e3", [Metric("load1", 0.5, warn="5.", crit="+1e3")]),
        ("/=50%;80%;90%;0;100", [Metric("/", 50, "%", "80%", "90%", "0", "100")]),
        ("temp=20°C größe=5B", [Metric("temp", 20, "°C"), Metric("größe", 5, "B")]),
        ("in=1e5 e=1e E=2E", [Metric("in", 1e5), Metric("e", 1, "e"), Metric("E", 2, "E")]),
        ("rate=3B/s", [Metric("rate", 3, "B/s")]),
        ("a=1;;;;;;", [Metric("a", 1)]),
    ],
)
def test_what_plugins_print(text: str, expected: list[Metric]) -> None:
    assert parse_metrics(text) == (expected, [])


@pytest.mark.parametrize(
    "piece",
    ["garbage", "=5", "a=1,5s", "a=1.2.3", "a=b", "a=1;x", "a=1;1;2;3;4;5", "''=1", "'  '=1", "a=1e999", "a=1;1:2:3", "'x'5"],
)
def test_a_piece_that_is_no_metric_is_named_and_its_neighbours_stay(piece: str) -> None:
    assert parse_metrics(f"before=1 {piece} after=2") == ([Metric("before", 1), Metric("after", 2)], [piece])


def test_a_quotation_without_an_end_takes_the_rest() -> None:
    assert parse_metrics("a=1 'b c=2 d=3") == ([Metric("a", 1)], ["'b c=2 d=3"])


@pytest.mark.parametrize("metric", [f"{'x' * 256}=1", f"a=1{'u' * 33}", f"a=1;{'1' * 65}"])
def test_what_is_longer_than_a_column_is_no_metric(metric: str) -> None:
    assert parse_metrics(metric) == ([], [metric])


def test_thousands_of_metrics_in_one_line() -> None:
    text = " ".join(f"'m {number}'={number}.5ms;{number};;0" for number in range(5000))
    found, malformed = parse_metrics(text)
    assert found == [Metric(f"m {number}", number + 0.5, "ms", str(number), "", "0") for number in range(5000)]
    assert malformed == []


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
QUANTITIES = NUMBERS.map(repr)
UNITS = st.sampled_from(["", "s", "ms", "us", "%", "B", "KB", "c", "°C", "B/s", "µs"])
RANGES = st.one_of(
    st.just(""),
    QUANTITIES,
    st.builds("{}{}:{}".format, st.sampled_from(["", "@"]), st.one_of(st.just("~"), st.just(""), QUANTITIES), QUANTITIES),
    QUANTITIES.map("{}:".format),
)
LABELS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60).filter(lambda text: bool(text.strip()))
METRICS = st.builds(
    lambda label, value, unit, warn, crit, low, high: Metric(
        label, value, unit if value is not None else "", warn, crit, low, high
    ),
    LABELS,
    st.none() | NUMBERS,
    UNITS,
    RANGES,
    RANGES,
    st.just("") | QUANTITIES,
    st.just("") | QUANTITIES,
)


def render(metric: Metric) -> str:
    """As a plugin prints it."""
    value = "U" if metric.value is None else f"{metric.value!r}{metric.unit}"
    quoted = "'" + metric.label.replace("'", "''") + "'"
    return f"{quoted}={value};{metric.warn};{metric.crit};{metric.minimum};{metric.maximum}"


@given(st.lists(METRICS, max_size=20))
def test_what_was_rendered_is_parsed(metrics: list[Metric]) -> None:
    assert parse_metrics(" ".join(map(render, metrics))) == (metrics, [])


GRAMMAR = st.text(st.sampled_from("'= ;:@~U.,-+eE05%a\t"), max_size=400)


@given(st.one_of(GRAMMAR, st.text(max_size=400)))
def test_no_perfdata_crashes_it_and_every_piece_is_accounted_for(text: str) -> None:
    metrics, malformed = parse_metrics(text)
    assert len(metrics) + sum(len(piece) for piece in malformed) <= len(text)
    assert all(piece and piece in text for piece in malformed)
    if not metrics:
        assert re.sub(r"\s", "", "".join(malformed), flags=re.ASCII) == re.sub(r"\s", "", text, flags=re.ASCII)


@given(st.one_of(st.binary(max_size=400), GRAMMAR.map(str.encode)))
def test_no_line_crashes_it(line: bytes) -> None:
    assert isinstance(parse_line(line), (Sample, str))


@given(st.integers(0, 9_999_999_999), st.text("ab é-", min_size=1).filter(str.strip), st.sampled_from(sorted(grammar.STATES)),
       st.text("xyz|'ä ", max_size=50), st.lists(METRICS, max_size=5))  # fmt: skip
def test_a_line_that_was_rendered_is_parsed(moment: int, name: str, word: str, output: str, metrics: list[Metric]) -> None:
    metrics = [metric for metric in metrics if not set(metric.label) & {"\t", "\n"}]
    perfdata = " ".join(map(render, metrics))
    line = "\t".join([str(moment), name, "S", output, word, perfdata]).encode()
    assert parse_line(line) == Sample(moment, name, "S", output, grammar.STATES[word], perfdata, metrics, [])


def examples(*units: str) -> Callable[[Callable[[str], None]], Callable[[str], None]]:
    """What has been thought of, beside what is drawn."""

    def decorate(test: Callable[[str], None]) -> Callable[[str], None]:
        for unit in units:
            test = example(unit)(test)
        return test

    return decorate


@settings(max_examples=60, deadline=None)
@given(st.text(st.sampled_from("'= ;:@~U.,-+eE05%a\t"), min_size=1, max_size=8))
@examples("'", "''", "' ", "'a ", "a=1 ", "a", "=", "a=", "1", "a=1;", "9", "a=1:", "a= ", "'a'", "'a'= ", ";", "e5", "a='", "1.",
          "@~:", "\tOK\t", "\t1", "'\t", "a=1;1:")  # fmt: skip
def test_ten_times_the_length_takes_about_ten_times_as_long(unit: str) -> None:
    """A ratio, not a time: a quadratic parser would take a hundred times as long. Of a whole line, and of one that is none."""

    def fastest(length: int, runs: int) -> float:
        text = (unit * length)[:length].encode()
        lines = (b"1\tweb1\tHTTP\tout\tOK\ta=" + text, text)
        times = []
        for _ in range(runs):
            began = time.process_time()
            for line in lines:
                parse_line(line)
            times.append(time.process_time() - began)
        return min(times)

    assert any(fastest(50_000, runs) < 40 * fastest(5_000, runs) + 0.01 for runs in (2, 5, 20))


def test_the_patterns_give_nothing_back() -> None:
    """Linear by structure: every repetition without an end of its own is possessive."""
    for name in ("_NUMBER", "_UNIT", "_METRIC", "_BLANKS", "_PIECE", "_QUOTED", "_LIMIT"):
        value = getattr(grammar, name)
        pattern = value if isinstance(value, str) else value.pattern
        outside_classes = re.sub(r"\[[^\]]*\]", "x", pattern).replace(r"\+", "")
        assert re.findall(r"[*+](?!\+)", outside_classes.replace("++", "").replace("*+", "")) == [], name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("10", Range(0, 10)),
        ("10:", Range(10, None)),
        (":10", Range(0, 10)),
        ("~:10", Range(None, 10)),
        ("10:20", Range(10, 20)),
        ("@10:20", Range(10, 20, inside=True)),
        ("80%", Range(0, 80)),
        ("-5:5ms", Range(-5, 5)),
        ("~:", None),
        ("@", None),
        ("x", None),
    ],
)
def test_a_range_says_its_limits(text: str, expected: Range | None) -> None:
    assert parse_range(text) == expected


def test_a_service_line() -> None:
    line = b"1763822531\tweb1\tHTTP\tHTTP OK - 200\tOK\ttime=0.01s;1;2;0 size=5B"
    assert parse_line(line) == Sample(
        1763822531,
        "web1",
        "HTTP",
        "HTTP OK - 200",
        0,
        "time=0.01s;1;2;0 size=5B",
        [Metric("time", 0.01, "s", "1", "2", "0"), Metric("size", 5, "B")],
        [],
    )


def test_a_host_line_and_what_its_states_count_as() -> None:
    states = []
    for word in ("UP", "DOWN", "UNREACHABLE"):
        sample = parse_line(f"1\tweb1\t_HOST_\tPING\t{word}\trta=1ms".encode())
        assert isinstance(sample, Sample)
        states.append(sample.state)
    assert states == [0, 2, 3]


def test_a_plugin_of_latin_1() -> None:
    sample = parse_line(b"1\tweb1\tT\tK\xfchl\tOK\tt=5")
    assert isinstance(sample, Sample) and sample.output == "Kühl"


def test_a_plugin_that_prints_tabs() -> None:
    sample = parse_line(b"1\tweb1\tT\ta\tb\tc\tWARNING\tt=5\tu=6")
    assert isinstance(sample, Sample)
    assert (sample.output, sample.state, [metric.label for metric in sample.metrics]) == ("a\tb\tc", 1, ["t", "u"])


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "it has not six fields"),
        ("1\tweb1\tHTTP\tout\tOK", "it has not six fields"),
        ("x\tweb1\tHTTP\tout\tOK\t", "its first field is no time"),
        ("12345678901\tweb1\tHTTP\tout\tOK\t", "its first field is no time"),
        ("1\tweb1\tHTTP\tout\tFINE\t", "its fifth field is no state"),
        ("1\t\tHTTP\tout\tOK\t", "a name is missing"),
        (f"1\t{'x' * 256}\tHTTP\tout\tOK\t", "a name is longer than 255 characters"),
    ],
)
def test_a_malformed_line_says_why(line: str, why: str) -> None:
    assert parse_line(line.encode()) == why


WHOLE = "1763822531\tweb2\tHTTP\tHTTP OK\tOK\ttime=5s"


@pytest.mark.parametrize("length", range(1, len(WHOLE)))
def test_a_torn_line_with_the_next_one_behind_it_is_nobodys(length: int) -> None:
    """Its values would be the next line's, and its name the torn one's."""
    torn = WHOLE.replace("web2", "web1")[:length] + WHOLE
    assert isinstance(parse_line(torn.encode()), str)
