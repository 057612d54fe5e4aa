"""What the README invites to first: the demo, and a pair to break by hand, from the machine outside."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.lab import why_not
from tests.lab.state import LABS
from tests.readme import blocks

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

TOP = Path(__file__).resolve().parents[2]
LINES = [line.partition("#")[0].strip() for block in blocks() if "outside" in block.words for line in block.text.splitlines()]
DEMOS = [line for line in LINES if line.startswith("make demo")]
BY_HAND = [line for line in LINES if line.startswith("python3 -m tests.lab ")]
WELL = "yasu monitors and notifies (master, term 1)"


def run(command: str) -> str:
    done = subprocess.run(["sh", "-c", command], cwd=TOP, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_until_well(command: str) -> str:
    """A pair that has just come up may need a moment more."""
    deadline = time.monotonic() + 60
    while WELL not in (said := run(command)) and time.monotonic() < deadline:
        time.sleep(1)
    return said


@pytest.mark.parametrize("command", DEMOS)
def test_the_demo_shows_a_failover_and_the_way_back(command: str) -> None:
    name = f"demo-{os.getpid()}"  # somebody may be watching a demo just now
    said = run(f"{command} LAB={name}")
    headings = [line for line in said.splitlines() if re.match(r"\d\. ", line)]
    assert [heading[:2] for heading in headings] == ["1.", "2.", "3.", "4.", "5."]
    moments = [float(seconds) for seconds in re.findall(r"^ +([\d.]+) s  ", said, re.M)]
    assert moments[0] == 0.0 and moments == sorted(moments)
    total = float(re.findall(r"([\d.]+) s from the fault to checks running and notifications on", said)[0])
    assert moments[-1] <= total < 60
    for sentence in (
        "nabira's notifications are on",
        "nabira's first check of a monitored service",
        "| Subject: [nagios-failover] nabira is the master now (term 2)",
        "mail to oncall: PROBLEM web5/LOAD is CRITICAL, sent by nabira",
        "| yasu monitors and notifies (master, term 3)",
    ):
        assert sentence in said, sentence
    assert not (LABS / name).exists()


def test_an_unknown_fault_is_refused_before_anything_is_made() -> None:
    done = subprocess.run(["make", "demo", "FAULT=fire"], cwd=TOP, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "error: no fault is called 'fire'\nhint: make demo FAULT=kill|stop|power|link\n" in done.stderr


def test_the_commands_by_hand_do_what_they_say() -> None:
    """With a name of its own, so that a lab that somebody has up stays up."""
    assert [line.split()[3] for line in BY_HAND] == ["up", "exec", "freeze", "mail", "down"]
    name = f"readme-{os.getpid()}-hand"
    said = []
    try:
        for line in BY_HAND:
            words = line.split()
            command = " ".join([*words[:4], "--name", name, *words[4:]])
            said.append(run_until_well(command) if words[3] == "exec" else run(command))
    finally:
        subprocess.run(["python3", "-m", "tests.lab", "down", "--name", name], cwd=TOP, capture_output=True, check=False)
    assert WELL in said[1]
    assert not (LABS / name).exists()
