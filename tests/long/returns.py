"""An old master that gets its power back after a failover, its disk as it was: for how long it mails, counted at the sink by a
steady stream of test notifications from the moment in which it can be reached again, and whether its database takes a write. And
both hosts without power: whoever goes first and whoever comes back first, the one with the higher term is the master."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Final, Literal

from tests.e2e.pair import Pair, active, role_of
from tests.lab import Host, Lab
from tests.lab.followed import configure, sql
from tests.lab.suite import CONFIG, config_text, is_active, notifies, with_options
from tests.long.rejoins import PAIR, guard, prepare, prove, rejoin, taken_over
from tests.long.result import Result
from tests.long.trial import LAB, Told, attempt, in_one_lab
from tests.notification_stream import Stream
from tests.switching import let_fence, ready

PART: Final = "returns"
PLAIN: Final = "returns-plain"
LATER_SECONDS: Final = 60.0
LIMIT_SECONDS: Final = 10.0
"""README: until the first look, its own or the other's; 2 to 3 s by the one-second settings, and a machine that is busy."""
QUIET_SECONDS: Final = 4.0
Route = Literal["link up", "link up 60 s later", "witness up 60 s later"]
End = Literal["master", "standby"]
ROUTES: Final[tuple[Route, ...]] = ("link up", "link up 60 s later", "witness up 60 s later")
ENDS: Final[tuple[End, ...]] = ("master", "standby")
OPTIONS: Final = {**PAIR, ("run", "guard_timeout"): "5"}


@dataclass(frozen=True)
class Return:
    """Whether an old master runs the guard when it boots, and how it can be reached then."""

    guarded: bool
    route: Route

    def __str__(self) -> str:
        return f"old master {'' if self.guarded else 'un'}guarded, {self.route}"

    def run(self, lab: Lab) -> str:
        old, new = _roles(lab, guarded=self.guarded)
        old.off()
        lab.wait(lambda: taken_over(new), 90, f"{new.name} has taken over", poll=0.3)
        with Stream(lab) as stream:
            lab.wait(lambda: stream.notifies_now(new), 30, f"{new.name} notifies")
            reached = _on(lab, old, self.route)
            lab.wait(lambda: not notifies(old), 60, f"{old.name} notifies nobody")
            time.sleep(QUIET_SECONDS)
            seconds = _mailed_for(stream, old, reached)
            if self.guarded:
                assert stream.logged(old) == [], f"{old.name} has notified {len(stream.logged(old))} times"
        lab.mend(old)
        lab.wait(lambda: role_of(old).get("role") == "standby", 60, f"{old.name} has stood down")
        writes = _written_since_boot(old)
        assert not (self.guarded and writes), f"{old.name}'s database has taken writes: {writes}"
        database = rejoin(old)
        prove(lab, old, new)
        return f"mailed for {seconds:.1f} s, {len(writes)} writes of its own; {database}"


@dataclass(frozen=True)
class Outage:
    """Both hosts lose their power, the master or the standby first, and one of them is back first. A standby that is back alone
    takes over."""

    guarded: bool
    off: End
    on: End

    def __str__(self) -> str:
        return f"both off, {'' if self.guarded else 'un'}guarded: the {self.off} first off, the {self.on} first on"

    def run(self, lab: Lab) -> str:
        master, standby = _roles(lab, guarded=self.guarded)
        hosts: dict[End, Host] = {"master": master, "standby": standby}
        for host in (hosts[self.off], master if self.off == "standby" else standby):
            host.off()
        first, second = hosts[self.on], master if self.on == "standby" else standby
        first.on()
        lab.wait(lambda: active(first), 90, f"{first.name} monitors")
        with Stream(lab) as stream:
            second.on()
            Pair(lab).wait_healthy(90)
            time.sleep(QUIET_SECONDS)
            logged = stream.logged(second)
            assert not (self.guarded and logged), f"{second.name} has notified {len(logged)} times"
        terms = {host.name: int(role_of(host)["term"]) for host in (master, standby)}
        assert terms[first.name] >= terms[second.name], f"the master is {first.name}, terms are {terms}"
        database = rejoin(second)
        prove(lab, second, first)
        return f"{first.name} is the master, terms are {terms}; {database}"


TRIALS: Final[tuple[Return | Outage, ...]] = (
    *(Return(guarded, route) for guarded in (True, False) for route in ROUTES),
    *(Outage(guarded, off, on) for guarded in (True, False) for off, on in product(ENDS, ENDS)),
)


def returns(result: Result, count: int) -> None:
    in_one_lab(result, PART, count, prepare, _return)


def _return(lab: Lab, number: int, told: Told) -> None:
    trial = TRIALS[(number - 1) % len(TRIALS)]
    told.update({"what": str(trial), "came": ""})
    told["came"] = trial.run(lab)


def returns_plain(result: Result, count: int) -> None:
    """Old masters without the suite, each in a pair of its own."""
    while result.done(PLAIN) < count:
        with Lab.up(name=LAB, suite_on=("nabira",)) as lab:
            attempt(result, PLAIN, count, partial(_plain_return, lab))


def _plain_return(lab: Lab, number: int, told: Told) -> None:
    route = ROUTES[(number - 1) % len(ROUTES)]
    told.update({"what": f"old master without the suite, {route}", "came": ""})
    told["came"] = _plain(lab, route)


def _plain(lab: Lab, route: Route) -> str:
    let_fence(lab)
    options = {key: PAIR[key] for key in (("fence", "user"), ("witness", "accounts"))}
    lab.nabira.write(CONFIG, with_options(config_text(lab.settings), options), group="nagios", mode=0o640)
    old, new = lab.yasu, lab.nabira
    old.off()
    lab.wait(lambda: role_of(new).get("role") == "master" and is_active(new), 90, f"{new.name} has taken over")
    with Stream(lab) as stream:
        lab.wait(lambda: stream.notifies_now(new), 30, f"{new.name} notifies")
        reached = _on(lab, old, route)
        lab.wait(lambda: not notifies(old), 60, f"{old.name} notifies nobody")
        time.sleep(QUIET_SECONDS)
        return f"mailed for {_mailed_for(stream, old, reached):.1f} s"


def _roles(lab: Lab, *, guarded: bool) -> tuple[Host, Host]:
    """The master and the standby of a pair that is well."""
    configure(lab, OPTIONS)
    pair = Pair(lab)
    pair.wait_healthy(60)
    for host in (lab.yasu, lab.nabira):
        guard(host, installed=guarded)
    ready(lab, pair.standby)
    return pair.master, pair.standby


def _on(lab: Lab, old: Host, route: Route) -> float:
    """Power on; when it could be reached, by the other host or by the witness."""
    if route == "link up":
        old.on()
        return 0.0
    lab.cut(old)
    old.on()
    time.sleep(LATER_SECONDS)
    if route == "link up 60 s later":
        lab.mend(old)
    else:
        lab.mend(old, lab.witness)
    return time.time()


def _mailed_for(stream: Stream, old: Host, reached: float) -> float:
    """Seconds, from the moment in which it could be reached; where it always could, from its first mail on."""
    moments: Sequence[float] = [moment for moment in stream.moments(old) if moment > reached]
    seconds = moments[-1] - (reached or moments[0]) if moments else 0.0
    assert seconds < LIMIT_SECONDS, f"{old.name} has mailed for {seconds:.1f} s"
    assert not stream.notifies_now(old), f"{old.name} mails again"
    return seconds


def _written_since_boot(host: Host) -> list[str]:
    """What the server took into a binary log of its own: a new one since its start, in which no replica writes yet."""
    newest = sql(host, "SHOW MASTER STATUS").split()[0]
    return [line for line in sql(host, f"SHOW BINLOG EVENTS IN '{newest}'").splitlines() if line.split("\t")[2] == "Gtid"]
