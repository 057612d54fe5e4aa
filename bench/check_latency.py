"""Nagios's own check latency, before the database is frozen and while it is, on a lab's master at the one-second pace."""

from __future__ import annotations

import os
import re
import statistics
import time
from typing import Final

from bench.common import add, promise
from tests.lab import Host, Lab
from tests.lab.host import STATUS_DAT
from tests.perfdata_world import queued

SECONDS: Final = 60


def main() -> None:
    with Lab.up(name=f"bench-latency-{os.getpid()}", services=120) as lab:
        lab.nabira.run(["nagios-failover", "pause", "--reason", "the bench"])
        yasu = lab.yasu
        time.sleep(15)
        before = latency(yasu)
        add("check_latency, database well", before, "s", SECONDS)
        database = yasu.service("mariadbd")
        database.freeze()
        try:
            during = latency(yasu)
            waiting = len(queued(yasu))
        finally:
            database.thaw()
        assert waiting > SECONDS / 2, "the spools were queued all the while"
        add("check_latency, database frozen", during, "s", SECONDS, "database well", during / before)
        promise("check_latency, database frozen", during - before, 0.05, "s more than with it well")


def latency(host: Host) -> float:
    """The mean of all services' check_latency as status.dat tells it, looked at each second for a minute."""
    means = []
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        text = host.read(STATUS_DAT)
        blocks = re.findall(r"servicestatus \{(.*?)\n\t\}", text, re.S)
        ours = [block for block in blocks if "host_name=web" in block]
        values = [float(found[1]) for block in ours if (found := re.search(r"check_latency=([\d.]+)", block))]
        means.append(statistics.mean(values))
        time.sleep(1)
    return statistics.mean(means)
