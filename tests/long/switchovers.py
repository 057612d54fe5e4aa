"""Switchovers in a row while incidents open and close and programs write: each incident is mailed once, and each acknowledged
write is on the new master."""

from __future__ import annotations

from tests.incident_site import Site
from tests.lab import Lab
from tests.long.result import Result
from tests.long.trial import Told, in_one_lab
from tests.switching import acknowledged, may_switch_with_databases, switch_under_load


def switchovers(result: Result, count: int) -> None:
    in_one_lab(result, "switchovers", count, _prepare, _switch)


def _prepare(lab: Lab) -> Site:
    may_switch_with_databases(lab)
    return Site(lab)


def _switch(site: Site, number: int, told: Told) -> None:
    told["no write for"] = round(switch_under_load(site, number), 2)
    told["writes"] = sum(len(acknowledged(host)) for host in (site.lab.yasu, site.lab.nabira))
