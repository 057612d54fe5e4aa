"""Switchovers in a row while incidents open and close: each is mailed once, by whoever is the master."""

from __future__ import annotations

import time

from tests.e2e.pair import active, passive
from tests.incident_site import Site
from tests.lab import Lab
from tests.long.result import Result
from tests.long.trial import LAB, say
from tests.switching import may_switch, ready, switchover


def switchovers(result: Result, count: int) -> None:
    if result.done("switchovers") >= count:
        return
    with Lab.up(name=LAB) as lab:
        may_switch(lab)
        site = Site(lab)
        while (number := result.done("switchovers") + 1) <= count:
            began, note = time.monotonic(), ""
            try:
                _switch(site, f"web{number % 12 + 1}/HTTP")
            except AssertionError as error:
                note = str(error)
            seconds = time.monotonic() - began
            result.add("switchovers", {"note": note} if note else {}, held=not note, seconds=seconds)
            say("switchovers", number, count, "a switchover under incidents", not note, seconds)
            if note:
                lab.down()
                switchovers(result, count)  # a fresh pair: the next trial must not suffer from this one
                return


def _switch(site: Site, name: str) -> None:
    old, new = site.roles()
    ready(site.lab, new)
    opened, closed = site.mails(name)[f"PROBLEM by {old.name}"], site.mails(name)[f"RECOVERY by {new.name}"]
    site.set("CRITICAL", name)
    site.lab.wait(lambda: site.mails(name)[f"PROBLEM by {old.name}"] == opened + 1, 60, f"{name} is mailed")
    done = switchover(new)
    assert done.returncode == 0, done.stdout + done.stderr
    assert active(new) and passive(old), f"{new.name} is not the only one that monitors"
    site.set("OK", name)
    site.lab.wait(lambda: site.mails(name)[f"RECOVERY by {new.name}"] == closed + 1, 60, f"{name}'s recovery is mailed")
    assert site.found(new) == [], site.found(new)
