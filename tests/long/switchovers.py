"""Switchovers in a row while incidents open and close and programs write: each incident is mailed once, and each acknowledged
write is on the new master."""

from __future__ import annotations

import subprocess
import time

from tests.incident_site import Site
from tests.lab import Lab
from tests.long.result import Result
from tests.long.trial import LAB, say
from tests.switching import acknowledged, may_switch_with_databases, switch_under_load

PART = "switchovers"


def switchovers(result: Result, count: int) -> None:
    if result.done(PART) >= count:
        return
    with Lab.up(name=LAB) as lab:
        may_switch_with_databases(lab)
        site = Site(lab)
        while (number := result.done(PART) + 1) <= count:
            began, told, note = time.monotonic(), dict[str, object](), ""
            try:
                told["no_write_for"] = round(switch_under_load(site, number), 2)
                told["writes_so_far"] = sum(len(acknowledged(host)) for host in (lab.yasu, lab.nabira))
            except (AssertionError, subprocess.TimeoutExpired) as error:
                note = str(error)
            seconds = time.monotonic() - began
            result.add(PART, {**told, **({"note": note} if note else {})}, held=not note, seconds=seconds)
            say(PART, number, count, f"a switchover under incidents and writes: {note or told}", not note, seconds)
            if note:
                lab.down()
                switchovers(result, count)  # a fresh pair: the next trial must not suffer from this one
                return
