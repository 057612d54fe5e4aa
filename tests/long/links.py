"""The link between the two hosts is cut, in both directions or in one, while the witness sees both hosts, one or none: when both
notified is told by a recorder of their logs, flags and mails, and held against the README's table.

What is left out is the same by construction. A look is an ssh session, and either direction alone ends that of both hosts, so one
direction is tried where the witness sees both, which is the only place in which anything could still pass. A cut of 2 s is shorter
than three looks and than `isolation`, whoever sees whom: it is tried once with each kind of witness, where the standby would act.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from typing import Final, Literal

from tests.e2e.pair import Pair
from tests.lab import Host, Lab
from tests.lab.state import ADDRESSES
from tests.lab.suite import COMMAND, CONFIG, config_text, with_options
from tests.long.result import Result
from tests.long.trial import LAB, say
from tests.notification_recorder import Recorder

PART: Final = "links"
BY_ADDRESS: Final = "links-addresses"
ISOLATION: Final = 8.0
"""[witness] isolation here, in seconds, with the one-second settings. It is over before the standby has taken over."""
LATE_ISOLATION: Final = 40.0
"""One that is not: the window in which both notify is seen."""
DOUBLED_LIMIT: Final = 10.0
"""README: one look after the link is back (one-second settings), and a machine that is busy."""
TWO_LOOKS: Final = 16.0
"""README: the look that is on its way, which waits for answers until its time limit, and the next one; one-second settings: an
interval of 2 s, a limit of 6 s."""
TAKEOVER: Final = 30.0
"""By then the standby has taken over, on a machine that is busy."""
SHORT, LONG = 2.0, 90.0
QUIET_SECONDS: Final = 6.0
"""The recorder goes on for so long when the pair is well again."""
Direction = Literal["both directions", "to the standby", "to the master"]
Sees = Literal["both", "the standby", "the master", "none"]


@dataclass(frozen=True)
class Cut:
    """For how many seconds the link is cut, in which direction, and whom the witness still sees."""

    seconds: float
    direction: Direction
    sees: Sees
    isolation: float = ISOLATION

    def __str__(self) -> str:
        return f"{self.direction} for {self.seconds:g} s, the witness sees {self.sees}, isolation {self.isolation:g} s"

    def make(self, lab: Lab, master: Host, standby: Host) -> None:
        one_way = self.direction != "both directions"
        ends = (standby, master) if self.direction == "to the master" else (master, standby)
        if self.sees in ("the standby", "none"):
            lab.cut(master, lab.witness)
        if self.sees in ("the master", "none"):
            lab.cut(standby, lab.witness)
        lab.cut(*ends, one_way=one_way)

    def fails_over(self, *, account: bool) -> bool:
        """README: the standby acts when a witness answers it, and nobody shows it the master."""
        return self.seconds == LONG and (self.sees == "the standby" or (self.sees == "both" and not account))


#: by log, flags and mail: the first and the last moment in which both notified, in seconds after the cut
Windows = dict[str, tuple[float, float] | None]

TRIALS: Final = (
    Cut(LONG, "both directions", "the standby", LATE_ISOLATION),
    *(Cut(LONG, direction, "both") for direction in ("both directions", "to the standby", "to the master")),
    *(Cut(LONG, "both directions", sees) for sees in ("the standby", "the master", "none")),
    Cut(SHORT, "both directions", "the standby"),
)  # fmt: skip


def links(result: Result, count: int) -> None:
    """The witness has an account."""
    _links(result, PART, count, account=True)


def links_addresses(result: Result, count: int) -> None:
    """The witness is only an address."""
    _links(result, BY_ADDRESS, count, account=False)


def _links(result: Result, part: str, count: int, *, account: bool) -> None:
    if result.done(part) >= count:
        return
    with Lab.up(name=LAB) as lab:
        while (number := result.done(part) + 1) <= count:
            cut = TRIALS[(number - 1) % len(TRIALS)]
            if not _trial(result, part, count, lab, cut, account=account):
                lab.down()
                _links(result, part, count, account=account)  # a fresh pair: the next trial must not suffer from this one
                return


def _trial(result: Result, part: str, count: int, lab: Lab, cut: Cut, *, account: bool) -> bool:
    began, note = time.monotonic(), ""
    measured: Windows = {}
    mended = 0.0
    try:
        measured, mended = _measured(lab, cut, account=account)
        judge(cut, measured, mended, account=account)
    except (AssertionError, subprocess.TimeoutExpired) as error:
        note = str(error)
    seconds = time.monotonic() - began
    what = {"cut": str(cut), "both notified, from and to seconds after the cut": measured, "mended": mended}
    result.add(part, {**what, **({"note": note} if note else {})}, held=not note, seconds=seconds)
    windows = ", ".join(f"{by} {f'{window[0]} to {window[1]} s' if window else 'never'}" for by, window in measured.items())
    what_came = f"mended after {mended} s, both notified by {windows}"
    say(part, result.done(part), count, f"{cut}: {note} {what_came}", not note, seconds)
    return not note


def _measured(lab: Lab, cut: Cut, *, account: bool) -> tuple[Windows, float]:
    """When both notified, and when the link was whole again, in seconds after the cut. Sees that the pair is well before and after,
    with the master that there should be."""
    _configure(lab, cut, account=account)
    pair = Pair(lab)
    pair.wait_healthy(60)
    master, standby = pair.master, pair.standby
    runs = _runs(standby)
    with Recorder(lab) as recorder:
        lab.wait(lambda: recorder.notified(master), 20, f"{master.name} notifies")
        cut.make(lab, master, standby)
        began = time.time()
        time.sleep(cut.seconds)
        lab.mend(lab.yasu)
        lab.mend(lab.nabira)
        mended = time.time()
        time.sleep(QUIET_SECONDS)
        pair.wait_healthy(60)
        time.sleep(QUIET_SECONDS)
        acted = cut.fails_over(account=account)
        assert pair.master is (standby if acted else master), f"{pair.master.name} is the master"
        assert acted or _runs(standby) == runs, f"{standby.name} has acted: {_runs(standby)}"
        assert acted == recorder.notified(standby), f"{standby.name} has {'not ' if acted else ''}notified"
    doubled = recorder.doubled()
    windows = {by: (round(at[0] - began, 1), round(at[-1] - began, 1)) if at else None for by, at in doubled.items()}
    return windows, round(mended - began, 1)


def _configure(lab: Lab, cut: Cut, *, account: bool) -> None:
    options = {("witness", "isolation"): f"{cut.isolation:g}"}
    if account:
        options["witness", "accounts"] = f"hb@{ADDRESSES['witness']}"
    for host in (lab.yasu, lab.nabira):
        host.write(CONFIG, with_options(config_text(lab.settings), options), group="nagios", mode=0o640)


def judge(cut: Cut, measured: Windows, mended: float, *, account: bool) -> None:
    """AssertionError where it is not what the README's table says."""
    by_log = measured["log"]
    if not cut.fails_over(account=account):
        assert not any(measured.values()), f"both notified: {measured}"
    elif cut.sees == "the standby":  # the mails of the master that is cut off reach nobody
        assert measured["mail"] is None, f"both mailed: {measured}"
        limit = cut.isolation + TWO_LOOKS
        assert all(window is None or window[1] < limit for window in measured.values()), f"for longer than {limit:g} s: {measured}"
        assert cut.isolation < TAKEOVER or by_log, "they did not: it has not waited for its isolation"
    else:
        assert by_log and by_log[0] < TAKEOVER, f"{measured}: the README says that both notify from the takeover on"
        assert all(window and mended - DOUBLED_LIMIT < window[1] < mended + DOUBLED_LIMIT for window in measured.values()), measured


def _runs(host: Host) -> str:
    return host.run([COMMAND, "history"]).stdout
