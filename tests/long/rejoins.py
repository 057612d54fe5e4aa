"""A rejoin after every kind of fault that a standby takes over from: killed with kill -9, given again, and once more when all is
well. One master afterwards, one standby that is ready, equal databases, and no incident mailed twice; then the roles go on from
there, so that the next fault hits the other host."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from nagios_failover.rejoin import STEPS
from nagios_failover.steps import CRASH_AFTER
from tests.e2e.pair import BIN, Pair, active, role_of
from tests.incident_site import Site, follow_incidents
from tests.lab import Host, Lab
from tests.lab.debian_root import CHECKOUT
from tests.lab.followed import OPTIONS, configure, equal, fill, follow, replicates, sql
from tests.lab.state import ADDRESSES
from tests.lab.suite import COMMAND, STATE
from tests.lab.target import wait_for_mariadb
from tests.long.result import Result
from tests.long.trial import Told, chance, in_one_lab
from tests.switching import let_fence, ready
from tests.takeover import has_open_run

PART: Final = "rejoins"
HOOK: Final = "/etc/nagios-failover/guard-hook"
SAID: Final = "/dev/shm/said"
REJOIN_SECONDS: Final = 240.0
READY: Final = f"{BIN}/check_failover_ready"
Options = Mapping[tuple[str, str], str]
#: what a pair has that check_failover_ready finds nothing wrong with; a master that is cut off mutes itself soon
PAIR: Final[Options] = {
    **OPTIONS,
    ("replication", "heartbeat_period"): "1",
    ("replication", "connect_retry"): "1",
    ("replication", "silence_warning"): "4",
    ("replication", "silence_critical"): "10",
    ("replication", "old_source_timeout"): "5",
    ("fence", "user"): "nagios",
    ("run", "guard_timeout"): "8",
    ("witness", "accounts"): f"hb@{ADDRESSES['witness']}",
    ("witness", "isolation"): "8",
    ("look", "unreachable_services"): "warning",
    ("heartbeat", "database_down"): "warning",
}
HANGS: Final[Options] = {("look", "unreachable_services"): "critical"}
NO_DATABASE: Final[Options] = {("heartbeat", "database_down"): "critical"}


@dataclass(frozen=True)
class Fault:
    """`repair` is what only a person can do; daemons that do not run are started by the person or by the rejoin. `options` are set
    for faults that a standby takes over from by choice. Without the guard a host that boots may mail until it has stood down."""

    what: str
    inflict: Callable[[Lab, Host], object]
    repair: Callable[[Lab, Host], object] = lambda lab, host: None
    options: Options = field(default_factory=dict)
    guarded: bool = True
    readable: bool = True
    """Can the old master's log be fetched at the takeover? Else what it may have mailed last stays in doubt on the new one."""


def _each(act: Callable[[Host, str], object], *names: str) -> Callable[[Lab, Host], object]:
    return lambda lab, host: [act(host, name) for name in names]


def _kill9(host: Host, name: str) -> None:
    host.service(name).kill9()


def _stop(host: Host, name: str) -> None:
    host.service(name).stop()


def _start(host: Host, name: str) -> None:
    host.service(name).start()


def _hang(lab: Lab, host: Host) -> None:
    host.service("nagios").freeze()


def _end_what_hangs(lab: Lab, host: Host) -> None:
    """The fence has done it, if it could."""
    if host.nagios_pid():
        host.service("nagios").kill9()


def _without_sshd(act: Callable[[Host, str], object], name: str) -> Callable[[Lab, Host], None]:
    def inflict(lab: Lab, host: Host) -> None:
        host.service("sshd").stop()
        for other in (lab.yasu, lab.nabira):
            other.run(f"rm -f {STATE}/ssh/*")  # as the renewal of what it holds would: its next look logs in afresh
        act(host, name)

    return inflict


FAULTS: Final = (
    Fault("kill -9 of Nagios", _each(_kill9, "nagios")),
    Fault("SIGSTOP of Nagios", _hang, _end_what_hangs),
    Fault("a clean stop of Nagios", _each(_stop, "nagios")),
    Fault("power off", lambda lab, host: host.off(), lambda lab, host: host.on(), readable=False),
    Fault("network cut", lambda lab, host: lab.cut(host), lambda lab, host: lab.mend(host), readable=False),
    Fault("whole host frozen", lambda lab, host: host.freeze(), lambda lab, host: host.thaw(), HANGS, readable=False),
    Fault("mysqld stopped", _each(_stop, "mariadbd"), options=NO_DATABASE),
    Fault("sshd and mysqld stopped", _without_sshd(_stop, "mariadbd"), _each(_start, "sshd"), HANGS, readable=False),
    Fault("sshd stopped, Nagios killed", _without_sshd(_kill9, "nagios"), _each(_start, "sshd"), readable=False),
    Fault("kill -9 of Nagios and mysqld", _each(_kill9, "mariadbd", "nagios")),
    Fault("power off, no guard", lambda lab, host: host.off(), lambda lab, host: host.on(), guarded=False),
)
TRIALS: Final = 2 * len(FAULTS)
"""Each fault twice: the rejoin is killed after a step, and at a moment."""


def rejoins(result: Result, count: int) -> None:
    def trial(lab: Lab, number: int, told: Told) -> None:
        fault = FAULTS[(number - 1) % len(FAULTS)]
        told["fault"] = fault.what
        Trial(lab, chance(result.seed, PART, number), number, told).run(fault)

    in_one_lab(result, PART, count, prepare, trial)


def prepare(lab: Lab) -> Lab:
    let_fence(lab)
    lab.nabira.run([COMMAND, "pause", "--reason", "not yet"])
    configure(lab, PAIR)
    fill(lab.yasu, 1024)
    follow(lab)
    follow_incidents(lab)
    lab.nabira.run([COMMAND, "resume"])
    return lab


class Trial:
    """One fault, and the way back from it. `told` is what the result says of it."""

    def __init__(self, lab: Lab, draw: random.Random, number: int, told: Told) -> None:
        self.lab, self.site, self.draw = lab, Site(lab), draw
        self.early, self.late = (f"web{number % 12 + 1}/{name}" for name in ("HTTP", "LOAD"))
        turn, place = divmod(number - 1, len(FAULTS))
        self.by_step = (turn + place) % 2 == 0  # the other way in the second turn
        self.told = told

    def run(self, fault: Fault) -> None:
        lab, site = self.lab, self.site
        old, new = site.roles()
        self.told["master"] = old.name
        configure(lab, {**PAIR, **fault.options})
        for host in (old, new):
            guard(host, installed=fault.guarded)
        ready(lab, new)
        site.began = time.time()
        problems: dict[str, str] = {}
        if fault.guarded:
            self.opens(self.early, old, problems)
            site.wait_copy(new, old)
        fault.inflict(lab, old)
        lab.wait(lambda: taken_over(new), 90, f"{new.name} has taken over", poll=0.3)
        if not (old.is_on() and old.is_frozen()):  # a thawed one may mail until it has looked: what it does not know yet, waits
            lab.wait(lambda: is_silent(old), 60, f"{old.name} mails nothing")
            self.opens(self.late, new, problems)
        if not fault.guarded:
            self.closes(new, problems)
        fault.repair(lab, old)
        configure(lab, PAIR)
        self.starts_daemons(old)
        self.rejoins(old)
        if self.late not in problems:
            self.opens(self.late, new, problems)
        prove(lab, old, new)
        self.closes(new, problems)
        if fault.guarded:
            found = [one for one in site.found(new) if fault.readable or one[0] != "in doubt"]
            assert not found, f"the audit finds {found}"

    # --- incidents ---

    def opens(self, name: str, master: Host, problems: dict[str, str]) -> None:
        self.site.set("CRITICAL", name)
        self.site.wait_mail(name, f"PROBLEM by {master.name}", 60)
        problems[name] = master.name

    def closes(self, master: Host, problems: Mapping[str, str]) -> None:
        """Each was mailed once when it began, and is mailed once when it ends."""
        for name, by in problems.items():
            self.site.set("OK", name)
            self.site.wait_mail(name, f"RECOVERY by {master.name}", 60)
            mailed, wanted = self.site.mails(name), Counter({f"PROBLEM by {by}": 1, f"RECOVERY by {master.name}": 1})
            assert mailed == wanted, f"{name} was mailed: {dict(mailed)}"

    # --- the way back ---

    def starts_daemons(self, host: Host) -> None:
        """The person does, or leaves it to the rejoin."""
        by_hand = self.draw.random() < 0.5
        self.told["daemons started"] = "by hand" if by_hand else "by the rejoin"
        for name in ("mariadbd", "nagios") if by_hand else ():
            host.service(name).start()
        if by_hand:
            wait_for_mariadb(host)

    def rejoins(self, host: Host) -> None:
        """Killed at first, then whole, then with nothing left to do; or killed when all is well."""
        killed_first = self.draw.random() < 0.75
        for act in (self.killed, self.whole, self.whole) if killed_first else (self.whole, self.killed, self.whole):
            act(host)

    def killed(self, host: Host) -> None:
        if self.by_step:
            after = self.draw.choice([step.name for step in STEPS])
            done = host.run(f"{CRASH_AFTER}='{after}' {COMMAND} rejoin", check=False, timeout=REJOIN_SECONDS)
            assert done.returncode == 137, f"rejoin, to be killed after '{after}': {done.stdout}{done.stderr}"
            self.told["killed"] = f"after '{after}'"
        else:
            moment = self.draw.uniform(0.5, 6)
            host.run(f"setsid -f sh -c 'echo $$ > {SAID}.pid; exec {COMMAND} rejoin' > {SAID} 2>&1 < /dev/null")
            time.sleep(moment)
            host.run(f"kill -9 $(cat {SAID}.pid)", check=False)
            steps = [line.partition(":")[0] for line in host.read(SAID).splitlines() if not line.startswith("this server")]
            self.told["killed"] = f"at {moment:.1f} s, after '{steps[-1] if steps else ''}'"

    def whole(self, host: Host) -> None:
        self.told.setdefault("database", rejoin(host))


def rejoin(host: Host) -> str:
    """To its end, with nothing in the way of the next failover; what it says of the database."""
    done = host.run([COMMAND, "rejoin"], check=False, timeout=REJOIN_SECONDS)
    match = re.search(r", and ready to take over; .*'s: (.+)$", done.stdout, re.M)
    assert done.returncode == 0 and match, f"rejoin: {done.stdout}{done.stderr}"
    return match.group(1)


def prove(lab: Lab, old: Host, new: Host) -> None:
    """`new` is the only master, `old` its standby, nothing is open, the databases are equal, and both are ready."""
    pair = Pair(lab)
    pair.wait_healthy(60)
    assert (pair.master, pair.standby) == (new, old), f"roles are {pair.roles()}"
    for host in (old, new):
        lab.wait(lambda host=host: not has_open_run(host), 30, f"no run of {host.name} is open")  # type: ignore[misc]
    assert replicates(old), f"{old.name} does not replicate"
    assert equal(new, old), f"the databases of {new.name} and {old.name} differ"
    for host in (old, new):  # the lock that the comparison needs has kept the heartbeat waiting, too
        lab.wait(lambda host=host: is_ready(host), 30, f"{host.name} is ready", shown=lambda host=host: told_ready(host))  # type: ignore[misc]


def is_ready(host: Host) -> bool:
    return told_ready(host).startswith("READY OK - ")


def told_ready(host: Host) -> str:
    return host.run([READY], user="nagios", check=False, timeout=60).stdout


def guard(host: Host, *, installed: bool) -> None:
    if installed:
        host.write(HOOK, (CHECKOUT / "guard-hook.sample").read_text(), mode=0o755)
    else:
        host.run(["rm", "-f", HOOK])


def taken_over(new: Host) -> bool:
    return role_of(new).get("role") == "master" and active(new) and not has_open_run(new) and sql(new, "SELECT @@read_only") == "0"


def is_silent(host: Host) -> bool:
    return not host.is_on() or host.nagios_pid() is None or host.nagios_flags().get("enable_notifications") == "0"
