"""Trials of a long run, one after the other in one lab."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.long import trial as trial_module
from tests.long.result import Result
from tests.long.trial import Told, in_one_lab


@pytest.fixture
def labs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happens to labs, each of which is called by its number."""
    happened: list[str] = []

    class Numbered:
        @staticmethod
        @contextmanager
        def up(**_: Any) -> Iterator[int]:
            number = sum(what.startswith("up") for what in happened) + 1
            happened.append(f"up {number}")
            yield number
            happened.append(f"down {number}")

    monkeypatch.setattr(trial_module, "Lab", Numbered)
    return happened


def noted(result: Result) -> list[Told]:
    return [{name: value for name, value in trial.items() if name != "seconds"} for trial in result.trials["part"]]


def test_trials_that_hold_share_a_lab_and_each_tells_what_it_was(labs: list[str], tmp_path: Path) -> None:
    def trial(lab: str, number: int, told: Told) -> None:
        told["lab"] = lab

    result = Result.open(7, tmp_path, at="abc")
    in_one_lab(result, "part", 2, lambda lab: f"lab {lab}, prepared", trial)
    assert labs == ["up 1", "down 1"]
    assert noted(result) == [{"number": number, "lab": "lab 1, prepared", "held": True} for number in (1, 2)]


@pytest.mark.parametrize(
    ("error", "note"),
    [
        (AssertionError("two masters"), "two masters"),
        (AssertionError(), "AssertionError"),
        (subprocess.TimeoutExpired("status", 5), "Command 'status' timed out after 5 seconds"),
    ],
)
def test_after_one_that_fails_the_next_gets_a_fresh_lab(labs: list[str], tmp_path: Path, error: Exception, note: str) -> None:
    def trial(lab: object, number: int, told: Told) -> None:
        told["lab"] = lab
        if number == 2:
            raise error

    result = Result.open(7, tmp_path, at="abc")
    in_one_lab(result, "part", 3, lambda lab: lab, trial)
    assert labs == ["up 1", "down 1", "up 2", "down 2"]
    assert noted(result) == [
        {"number": 1, "lab": 1, "held": True},
        {"number": 2, "lab": 1, "note": note, "held": False},
        {"number": 3, "lab": 2, "held": True},
    ]


def test_when_the_last_one_fails_no_lab_comes_up_for_nothing(labs: list[str], tmp_path: Path) -> None:
    def trial(lab: object, number: int, told: Told) -> None:
        raise AssertionError("two masters")

    in_one_lab(Result.open(7, tmp_path, at="abc"), "part", 1, lambda lab: lab, trial)
    assert labs == ["up 1", "down 1"]


def test_a_run_that_was_stopped_goes_on_with_the_next_number_and_a_whole_one_brings_up_no_lab(
    labs: list[str], tmp_path: Path
) -> None:
    numbers: list[int] = []

    def trial(lab: object, number: int, told: Told) -> float:
        if number == 2 and not labs.count("up 2"):
            raise KeyboardInterrupt
        numbers.append(number)
        return 1.5

    with pytest.raises(KeyboardInterrupt):
        in_one_lab(Result.open(7, tmp_path, at="abc"), "part", 3, lambda lab: lab, trial)
    assert numbers == [1]
    result = Result.open(7, tmp_path, at="abc")
    in_one_lab(result, "part", 3, lambda lab: lab, trial)
    in_one_lab(result, "part", 3, lambda lab: lab, trial)
    assert numbers == [1, 2, 3]
    assert [trial["seconds"] for trial in result.trials["part"]] == [1.5, 1.5, 1.5], "what a trial returns, where it does"
    assert [what for what in labs if what.startswith("up")] == ["up 1", "up 2"]
