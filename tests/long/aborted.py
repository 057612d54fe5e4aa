"""A switchover into which something breaks after each of its steps: one of the two is the master afterwards, and the next command
goes through or says what to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from nagios_failover import switchover as switchover_run
from nagios_failover.steps import CRASH_AFTER
from tests.e2e.pair import Pair, active, passive
from tests.lab import Host, Lab
from tests.lab.replication import sql
from tests.lab.suite import COMMAND
from tests.long.result import Result
from tests.long.trial import Told, in_one_lab
from tests.switching import acknowledged, may_switch_with_databases, moment_of, ready, switchover
from tests.takeover import has_open_run

STEPS: Final = tuple(
    step.name
    for step in switchover_run.STEPS
    if step.name
    not in ("pre hook", "lease", "start Nagios", "tell witnesses", "fetch queue", "perfdata services", "post hook", "merge logs")
)
"""All that act in this lab: what is not configured is skipped, and after the last there is nothing left to break."""
FAULTS: Final = ("kill -9", "cut link", "master's disk full", "standby's disk full")
TRIALS: Final = len(STEPS) * len(FAULTS)
SAID: Final = "/dev/shm/said"
OVER: Final = "the command is over: "


def aborted(result: Result, count: int) -> None:
    in_one_lab(result, "aborted", count, may_switch_with_databases, _trial)


def _trial(lab: Lab, number: int, told: Told) -> None:
    step, fault = STEPS[(number - 1) // len(FAULTS) % len(STEPS)], FAULTS[(number - 1) % len(FAULTS)]
    told.update({"after": step, "fault": fault, "came": ""})
    told["came"] = abort(lab, step, fault)


def abort(lab: Lab, step: str, fault: str) -> str:
    """Returns who is the master then, the old one or the new. Raises AssertionError for what did not hold."""
    pair = Pair(lab)
    old, new = pair.master, pair.standby
    ready(lab, new)
    began = time.time()
    crash = f"{CRASH_AFTER}='{step}' " if fault == "kill -9" else ""
    new.run(f"({crash}{COMMAND} switchover; echo {OVER}$?) >{SAID} 2>&1 &")
    lab.wait(lambda: f"\n{step}: " in f"\n{said(new)}" or OVER in said(new), 90, f"'{step}' is done", poll=0.02)
    with broken(lab, old, new, fault):
        lab.wait(lambda: OVER in said(new), 240, "the command is over")
        following = switchover(new)
        words = following.stdout + following.stderr
        if following.returncode and "hint: " not in words:
            raise AssertionError(f"the next command does not say what to do: {words}")
    master = settled(lab, pair)
    for host in (old, new):  # what was cut off was not told that the pause is over: it ends by itself, but not now
        host.run([COMMAND, "resume"])
    standby = old if master is new else new
    forced = rejoin(master, standby)
    wrote = {value for host in (old, new) for value in acknowledged(host) if moment_of(value) > began}
    lost = wrote - set(sql(master, "SELECT v FROM perfparse.t").split())
    if lost and fault == "kill -9":
        raise AssertionError(f"{len(lost)} acknowledged writes are not on {master.name}")
    came = f"the {'new' if master is new else 'old'} one is the master{forced}"
    return f"{came}; {len(lost)} acknowledged writes are not on it" if lost else came


def rejoin(master: Host, standby: Host) -> str:
    """Given again for a while: a MariaDB whose disk was full looks for room once a minute, and answers nobody before. A promotion
    that was left undone is finished first, as the run's mail says, and forced where its hint says so. Returns what was forced."""
    deadline = time.monotonic() + 90
    force: list[str] = []
    while sql(master, "SELECT @@read_only") == "1":
        done = master.run([COMMAND, "promote", *force], check=False, timeout=120)
        if done.returncode and time.monotonic() > deadline:
            if force or "nagios-failover promote --force" not in done.stderr:
                raise AssertionError(f"promote: {done.stdout}{done.stderr}")
            force = ["--force"]
    if force:
        deadline = time.monotonic() + 90
    while (done := standby.run([COMMAND, "rejoin"], check=False, timeout=240)).returncode:
        if time.monotonic() > deadline:
            raise AssertionError(f"rejoin: {done.stdout}{done.stderr}")
        time.sleep(5)
    return "; the promotion had to be forced" if force else ""


def said(host: Host) -> str:
    return host.read(SAID) if host.exists(SAID) else ""


@contextmanager
def broken(lab: Lab, old: Host, new: Host, fault: str) -> Iterator[None]:
    breaks, mends = _FAULTS[fault]
    breaks(lab, old, new)
    try:
        yield
    finally:
        mends(lab, old, new)


Act = Callable[[Lab, Host, Host], object]
_FAULTS: Final[dict[str, tuple[Act, Act]]] = {
    "kill -9": (lambda lab, old, new: None, lambda lab, old, new: None),
    "cut link": (lambda lab, old, new: lab.cut(old, new), lambda lab, old, new: lab.mend(old, new)),
    "master's disk full": (lambda lab, old, new: old.fill(), lambda lab, old, new: old.unfill()),
    "standby's disk full": (lambda lab, old, new: new.fill(), lambda lab, old, new: new.unfill()),
}


def settled(lab: Lab, pair: Pair) -> Host:
    """The one master, when exactly one monitors, the roles say so, and no run is open."""

    def one_master() -> Host | None:
        monitors = [host for host in (lab.yasu, lab.nabira) if active(host)]
        if len(monitors) != 1:
            return None
        (master,) = monitors
        other = lab.nabira if master is lab.yasu else lab.yasu
        roles = {name: role.get("role") for name, role in pair.roles().items()}
        well = passive(other) and roles == {master.name: "master", other.name: "standby"}
        return master if well and not any(map(has_open_run, (master, other))) else None

    found = lab.wait(one_master, 180, "one of the two is the master", poll=0.5, shown=lambda: states(lab, pair))
    assert found is not None
    return found


def states(lab: Lab, pair: Pair) -> str:
    hosts = (lab.yasu, lab.nabira)
    flags = {host.name: ("active" if active(host) else "passive" if passive(host) else "neither") for host in hosts}
    return f"{pair.roles()} {flags} unfinished: {[host.name for host in hosts if has_open_run(host)]}"
