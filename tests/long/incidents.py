"""Incidents that open and close all the time, before, during and after a fault: no mail twice, none missing, but what the audit
calls in doubt. Counted at the sink and by the audit, independently of each other."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tests.incident_site import FAULTS, LOG, Site, begin_of, follow_incidents, join_again, monitored, name_of, power_off
from tests.lab import Host, Lab
from tests.lab.nagios_site import services_of
from tests.lab.state import Settings
from tests.long.result import Result
from tests.long.trial import Told, chance, in_one_lab

OBJECTS: Final = tuple(f"{host}/{service}" for host, service in services_of(Settings("").services))
WORDS: Final = ("OK", "OK", "WARNING", "CRITICAL")
SETTLED_SECONDS: Final = 6.0
"""A state that did not change for so long has been mailed: a check, and what it takes to send a mail."""

DOUBT_SECONDS: Final = 3
"""notification_doubt, and the second in which a pull takes place."""
Mails = Sequence[tuple[str, str, str]]
"""What, its state, by whom."""


class Churn:
    """Flips the states of services at random, until it is stopped."""

    def __init__(self, site: Site, draw: random.Random) -> None:
        self._site, self._draw = site, draw
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._flip)
        self.flips = 0

    def __enter__(self) -> Churn:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self._thread.join()

    def _flip(self) -> None:
        while not self._end.wait(self._draw.uniform(0.05, 0.7)):
            self._site.set(self._draw.choice(WORDS), self._draw.choice(OBJECTS))
            self.flips += 1


def incidents(result: Result, count: int) -> None:
    """The faults take turns; the old master joins as the standby, and is the next to take over."""

    def trial(site: Site, number: int, told: Told) -> None:
        fault = FAULTS[(number - 1) % len(FAULTS)]
        told.update({"fault": fault.__name__, "flips": 0})
        told["flips"], wrong = _trial(site, chance(result.seed, "incidents", number), fault)
        if wrong:
            told["wrong"] = wrong
            raise AssertionError(f"{len(wrong)} lines of what is wrong")

    in_one_lab(result, "incidents", count, _prepare, trial)


def _prepare(lab: Lab) -> Site:
    follow_incidents(lab)
    site = Site(lab)
    site.wait_copy(*reversed(site.roles()))
    return site


def _trial(site: Site, draw: random.Random, fault: Callable[[Host], None]) -> tuple[int, list[str]]:
    """How many flips, and what was wrong. The audit is asked for what both logs alone can tell: no mail log."""
    lab, (old, new) = site.lab, site.roles()
    site.began = time.time()
    with Churn(site, draw) as churn:
        time.sleep(draw.uniform(8, 18))
        fault(old)
        lab.wait(lambda: site.role(new) == "master", 60, f"{new.name} takes over")
        time.sleep(draw.uniform(4, 10))
    settle(site, new)
    seen = site.audit(new, mail_log=False)
    findings = seen["findings"]
    sequences = {name: mailed(site, name) for name in OBJECTS}
    finals = {f"{row['host_name']}/{row['service_description']}": int(row["current_state"]) for row in services(new)}
    mended = join_again(site, old, new)
    named = {name_of(one) for one in findings}
    wrong = []
    if fault is power_off:
        lost = [
            one for one in site.audit(old, mail_log=False)["findings"] if begin_of(one) < int(mended) and name_of(one) not in named
        ]
        pulled_at = int(seen["failovers"][-1]["known_until"] or 0)
        wrong += [f"{told(one)}: the copy of {pulled_at} had it" for one in lost if lost_from(one) < pulled_at - DOUBT_SECONDS]
        named |= {name_of(one) for one in lost}
        named |= {name for name in OBJECTS if ended_by(old, sequences[name], mailed(site, name))}
    wrong += [told(one) for one in findings if one["what"] != "in doubt"]
    for name in OBJECTS:
        why = judge(sequences[name], finals[name])
        if why and name not in named:
            wrong.append(f"{name} {why}: {', '.join(' '.join(one) for one in sequences[name])}")
            wrong += [f"{host.name}: {line}" for host in (old, new) for line in logged(site, host, name)]
    if wrong:
        wrong.append(f"in doubt were {', '.join(sorted(name_of(one) for one in findings if one['what'] == 'in doubt')) or 'none'}")
    return churn.flips, wrong


def told(finding: Mapping[str, Any]) -> str:
    return f"{name_of(finding)}: {finding['what']}: {finding['notification']}: {finding['why']}"


def lost_from(finding: Mapping[str, Any]) -> int:
    """When the first notification was sent, or was due, that the new master cannot have known of."""
    return int(finding["sent"][0]["time"] if finding["sent"] else finding["time"])


def ended_by(returned: Host, before: Mails, now: Mails) -> bool:
    """Did the returned master, active until its first look at the other host, send the RECOVERY of its own last PROBLEM?"""
    name = returned.name
    return [(one[0], one[2]) for one in [*before[-1:], *now[len(before) :][:1]]] == [("PROBLEM", name), ("RECOVERY", name)]


def logged(site: Site, host: Host, name: str) -> list[str]:
    """The host's log about a service since the trial's begin."""
    place = name.replace("/", ";")
    lines = [line for line in host.read(LOG).splitlines() if f"{place};" in line and line.startswith("[")]
    return [line[:120] for line in lines if int(line[1 : line.index("]")]) >= int(site.began)]


def settle(site: Site, master: Host) -> None:
    """The churn is over: until everything is HARD, and has been so for a while."""
    since = time.monotonic()

    def is_settled() -> bool:
        nonlocal since
        if any(row["state_type"] != "1" for row in services(master)):
            since = time.monotonic()
        return time.monotonic() - since > SETTLED_SECONDS

    site.lab.wait(is_settled, 60, "everything is HARD", poll=0.5)


def services(master: Host) -> list[dict[str, str]]:
    return [row for row in monitored(master) if "service_description" in row]


def mailed(site: Site, name: str) -> Mails:
    """The mails about a service in their order: what, its state, by whom."""
    mails = [mail for mail in site.lab.mails(f" {name} is ") if mail.arrived >= site.began and mail.to == ("oncall@witness",)]
    return [(words[0], words[3].rstrip(","), words[-1]) for words in (mail.subject.split() for mail in mails)]


def judge(mails: Mails, final: int) -> str:
    """What is wrong with these mails, "" for nothing: each tells something new, and the last one how it is."""
    state = "OK"
    for what, now, _ in mails:
        if now == state:
            return f"{what} ({now}) twice, or what was between them is missing"
        state = now
    is_now = ("OK", "WARNING", "CRITICAL", "UNKNOWN")[final]
    return "" if is_now == state else f"is {is_now}, and the last mail said {state}"
