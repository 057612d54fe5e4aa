"""What is no death, not confirmed, paused or refused: the handlers are called, and nothing is switched."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from nagios_failover.run_record import without_numbers
from tests.e2e.pair import BIN, STATE, Pair, active, kill, looks_of, mend, outcome, passive, role_of, runs_of, with_hooks
from tests.lab import Host, Lab, Service, why_not
from tests.lab.host import BALLAST
from tests.lab.lab import Mail
from tests.lab.target import wait_for_mariadb
from tests.switching import by_hand

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

LOG = "/var/log/nagios4/nagios.log"


def mails_by(lab: Lab, host: Host, since: float) -> list[Mail]:
    """What it has mailed of the other host, which may still be telling of the test before, when both were masters for a look; and
    it may itself be telling that it is well again after that."""
    mails = [mail for mail in lab.mails("Master Nagios is ") if mail.arrived >= since]
    of_host = [mail for mail in mails if re.search(rf"^seen by +{host.name}$", mail.body, re.M)]
    return list(itertools.dropwhile(lambda mail: mail.subject.endswith("Master Nagios is OK"), of_host))


def critical(mails: list[Mail]) -> list[str]:
    return [mail.body for mail in mails if mail.subject.endswith("Master Nagios is CRITICAL")]


def told_again(mails: list[Mail]) -> list[str]:
    """What was mailed twice in a row. A look that hits a time-out gives another reason: that is mailed, and so is the way back."""
    reasons = [without_numbers(" ".join(mail.body.partition("\n\n")[0].split())) for mail in mails]
    said = [f"{mail.subject}: {reason}" for mail, reason in zip(mails, reasons, strict=True)]
    return [then for before, then in itertools.pairwise(said) if then == before]


def is_told_once(host: Host, mails: list[Mail], since: float) -> bool:
    """Of one reason one mail. While the looks see several, in turn, each change is told."""
    reasons = {look["code"] for look in looks_of(host) if look["time"] >= since and look["state"] != "OK"}
    return len(mails) == 1 if len(reasons) == 1 else not told_again(mails)


def shown(mails: list[Mail]) -> str:
    """For who reads why a test failed."""
    return "\n".join(f"{mail.arrived:.1f} {mail.subject}: {' '.join(mail.body.split())}" for mail in mails)


def newest_words(host: Host) -> str:
    return str(looks_of(host)[-1]["sentence"])


def wait_only_refused(lab: Lab, host: Host, since: float) -> None:
    """Every run has ended, and has changed nothing."""

    def others() -> list[str]:
        return [outcome(run) for run in runs_of(host, since=since) if outcome(run) != "refused"]

    lab.wait(lambda: not others(), 30, f"{host.name} has refused each run", shown=lambda: str(others()))


def test_a_pre_hook_that_says_no_puts_everything_back(pair: Pair) -> None:
    old, new = pair.master, pair.standby
    before = {key: value for key, value in role_of(new).items() if key in ("role", "master")}

    def as_it_was() -> bool:
        """Between two runs: the next one begins at the next check."""
        role = {key: value for key, value in role_of(new).items() if key in before}
        return role == before and passive(new) and not new.exists(f"{STATE}/failover.lock")

    with_hooks(new, pre="/bin/false", post="")
    new.run(commands("START_EXECUTING_HOST_CHECKS"))
    pair.lab.wait(lambda: operators_flag(new), 20, "the operator's flag is his")
    began = time.time()
    kill(pair.lab, old)
    try:
        pair.lab.wait(lambda: any(outcome(run) == "aborted" for run in runs_of(new, since=began)), 40, "the run aborts")
        pair.lab.wait(as_it_was, 5, "role, flags and failover.lock are put back", shown=lambda: str(role_of(new)))
        pair.lab.wait(lambda: critical(mails_by(pair.lab, new, began)), 30, "it is mailed")
        time.sleep(8)
        pair.lab.wait(lambda: operators_flag(new), 5, "nobody has turned it back")
        mails = mails_by(pair.lab, new, began)
        assert is_told_once(new, mails, began), f"an abort at each check is one mail: {shown(mails)}"
        what = "nor does it fill the history: aborts are folded"
        pair.lab.wait(lambda: [outcome(run) for run in runs_of(new, since=began)].count("aborted") == 1, 10, what)
    finally:
        with_hooks(new, pre="", post="")
    pair.lab.wait(lambda: role_of(new)["role"] == "master", 40, "the next check tries again")
    mend(pair.lab, old)


def operators_flag(host: Host) -> bool:
    """Are host checks on, and known as an operator's wish?"""
    said = host.run([f"{BIN}/check_failover_state"], user="nagios", check=False).stdout
    return "an operator's command keeps host checks on" in said and host.nagios_flags()["active_host_checks_enabled"] == "1"


@contextmanager
def full(host: Host) -> Iterator[None]:
    """Its disk: what anybody gives back, who renames or removes a file, is taken at once."""
    take = f"dd if=/dev/zero of={BALLAST} oflag=append conv=notrunc,nocreat bs=4k"
    try:
        host.fill()
        host.run(f"setsid -f sh -c 'while {take}; [ -e {BALLAST} ]; do sleep 0.03; done' </dev/null >/dev/null 2>&1")
        yield
    finally:
        host.unfill()
        host.service("mariadbd").start()  # a disk without a block may have ended it


def test_a_full_disk_under_the_journal_is_mailed_and_fails_over_as_soon_as_there_is_room(pair: Pair) -> None:
    old, new = pair.master, pair.standby
    began = time.time()

    def told() -> list[str]:
        return critical(mails_by(pair.lab, new, began))

    def not_half_way() -> bool:
        """As it was; or the master, for a run that finds room (whoever renames a file gives some back) succeeds, as it should."""
        role = role_of(new)["role"]
        as_it_was = role == "standby" and not active(new) and not new.exists(f"{STATE}/failover.lock")
        return as_it_was or role == "master"

    with full(new):
        kill(pair.lab, old)
        (body,) = pair.lab.wait(told, 40, "it is mailed")
        assert "No space left on device" in body, body
        for _ in range(5):  # a run may be on its way again
            what = "role, flag file and flags are as they were, or it has taken over"
            pair.lab.wait(
                not_half_way, 10, what, shown=lambda: new.run(f"ls -l {STATE}; tail {STATE}/role {STATE}/handler.log").stdout
            )
            time.sleep(1)
        assert told() == [body]
    pair.lab.wait(lambda: role_of(new)["role"] == "master", 40, "with room on the disk the next check fails over")
    mend(pair.lab, old)


@contextmanager
def stopped(*services: Service) -> Iterator[None]:
    for service in services:
        service.stop()
    try:
        yield
    finally:
        for service in services:
            service.start()


@contextmanager
def without_ssh_and_database(master: Host, standby: Host) -> Iterator[None]:
    """A connection that is held outlives its sshd: the next look logs in afresh."""
    with stopped(master.service("sshd"), master.service("mariadbd")):
        standby.run(f"rm -f {STATE}/ssh/*")
        yield


@contextmanager
def frozen(host: Host) -> Iterator[None]:
    host.freeze()
    try:
        yield
    finally:
        host.thaw()


@contextmanager
def cut(lab: Lab, host: Host) -> Iterator[None]:
    lab.cut(host)
    try:
        yield
    finally:
        lab.mend(host)


@contextmanager
def done_and_undone(host: Host, do: str, undo: str) -> Iterator[None]:
    host.run(do)
    try:
        yield
    finally:
        host.run(undo)


def commands(*names: str) -> str:
    """A shell command that gives Nagios these external commands."""
    lines = "".join(f"[1] {name}\\n" for name in names)
    return f"printf '{lines}' > /var/lib/nagios4/rw/nagios.cmd"


@contextmanager
def started_again_stale(master: Host) -> Iterator[None]:
    """Its mysqld was stopped for long: the row that it comes back with is ten minutes old, and its loader is not at it yet."""
    master.run(f"kill -STOP {LOADER}")
    try:
        with stopped(master.service("mariadbd")):
            pass
        wait_for_mariadb(master)  # only now: a loader that was stopped in its transaction has kept the row locked
        master.run(f"{SQL} 'UPDATE programstatus SET last_update = UTC_TIMESTAMP() - INTERVAL 10 MINUTE'")
        yield
    finally:
        master.run(f"kill -CONT {LOADER}")


@contextmanager
def without_ssh(master: Host, standby: Host) -> Iterator[None]:
    with stopped(master.service("sshd")):
        standby.run(f"rm -f {STATE}/ssh/*")
        yield


LOADER = "$(cat /var/lib/nagios-failover/perfdata/loader.pid)"
SQL = "mariadb nagios -e"
FAULTS: dict[str, tuple[str, Callable[[Lab, Host, Host], AbstractContextManager[None]]]] = {
    "database": ("its database does not answer", lambda lab, master, standby: stopped(master.service("mariadbd"))),
    "ssh": ("alive, ssh is broken: ", lambda lab, master, standby: without_ssh(master, standby)),
    "ssh and database": (
        "the host answers, ssh and database do not",
        lambda lab, master, standby: without_ssh_and_database(master, standby),
    ),
    "frozen host": ("the host answers, ssh and database do not", lambda lab, master, standby: frozen(master)),
    "own network": ("this standby is cut off", lambda lab, master, standby: cut(lab, standby)),
    "hidden processes": (
        "other users' processes are hidden there",
        lambda lab, master, standby: done_and_undone(
            master, "mount -o remount,hidepid=2 /proc", "mount -o remount,hidepid=0 /proc"
        ),
    ),
    "unwritten status.dat": (
        "status.dat is not written (disk full?)",
        lambda lab, master, standby: done_and_undone(master, "chmod 0550 /var/lib/nagios4", "chmod 0750 /var/lib/nagios4"),
    ),
    "stale heartbeat": (
        "its database link is lost or slow, the heartbeat is",
        lambda lab, master, standby: started_again_stale(master),
    ),
    "flags off": (
        "it checks or notifies nothing",
        lambda lab, master, standby: done_and_undone(
            master,
            commands("STOP_EXECUTING_SVC_CHECKS", "DISABLE_NOTIFICATIONS"),
            commands("START_EXECUTING_SVC_CHECKS", "ENABLE_NOTIFICATIONS"),
        ),
    ),
}


def handler_calls(host: Host, since: float, states: str = "WARNING|CRITICAL|UNKNOWN") -> int:
    """How often Nagios has called it because the master's watch was HARD and not OK."""
    wanted = re.compile(rf"^\[(\d+)\] SERVICE EVENT HANDLER: nagios-failover;Master Nagios;(?:{states});HARD;3;", re.M)
    return sum(int(second) >= int(since) for second in wanted.findall(host.read(LOG)))


def states_seen(host: Host, since: float) -> list[str]:
    return [look["state"] for look in looks_of(host) if look["time"] >= since]


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_death_is_not_failed_over(pair: Pair, fault: str) -> None:
    """Nagios calls the handler all the while. A full disk: test_a_full_disk_on_the_master."""
    master, standby = pair.master, pair.standby
    words, inflict = FAULTS[fault]
    began = time.time()
    with inflict(pair.lab, master, standby):
        says_so = lambda: words in newest_words(standby)  # noqa: E731
        pair.lab.wait(says_so, 25, f"the standby says that {words}")
        seen = time.time()
        pair.lab.wait(lambda: handler_calls(standby, seen) >= 3, 60, "Nagios calls the handler")
        pair.lab.wait(lambda: len(states_seen(standby, seen)) >= 3, 60, "it looks")
        pair.lab.wait(says_so, 25, f"the standby still says that {words}")
        states = states_seen(standby, seen)
        assert states.count("CRITICAL") <= 1, f"one look may have hit a time-out: {states}"
        assert role_of(standby)["role"] == "standby" and passive(standby)
        wait_only_refused(pair.lab, standby, began)


def test_a_full_disk_on_the_master_is_not_failed_over(pair: Pair) -> None:
    """Of status.dat, event log and our own state at once; Nagios goes on."""
    master, standby = pair.master, pair.standby
    began = time.time()
    seen: set[str] = set()
    try:
        # Each new status.dat takes what the one before it gave back. Until it is noticed, and for as long as a failover would take.
        while time.time() < began + 16 or ("WARNING" not in seen and time.time() < began + 60):
            master.fill()
            time.sleep(0.1)
            seen.update(states_seen(standby, began))
    finally:
        master.unfill()
        master.service("mariadbd").start()  # a disk without a block may have ended it
    assert "CRITICAL" not in seen and "WARNING" in seen, seen
    assert role_of(standby)["role"] == "standby" and passive(standby)
    wait_only_refused(pair.lab, standby, began)


def test_of_two_standbys_none_fails_over_and_people_are_told(pair: Pair) -> None:
    """An operator has given the role back, and nobody has taken it."""
    old, new = pair.master, pair.standby
    began = time.time()
    by_hand(old, "standdown")
    try:
        for other in (old, new):
            words = f"{other.name}: alive, but it checks or notifies nothing ("
            pair.lab.wait(
                lambda words=words: [mail for mail in pair.lab.mails() if mail.arrived >= began and words in mail.body],  # type: ignore[misc]
                60,
                f"a mail says that {other.name} does not monitor",
            )
        time.sleep(20)
        for host in (old, new):
            assert role_of(host)["role"] == "standby" and passive(host), host.name
            wait_only_refused(pair.lab, host, began)
            says_so = lambda host=host: newest_words(host).endswith("; its role is standby; nobody monitors")  # noqa: E731
            pair.lab.wait(says_so, 20, f"{host.name} says that nobody monitors")
    finally:
        failover = [f"{BIN}/nagios-failover", "failover"]  # refused while a look hits a time-out
        pair.lab.wait(lambda: new.run(failover, check=False, timeout=60).returncode == 0, 60, f"{new.name} is made the master")
    pair.wait_healthy()
    assert pair.master.name == new.name


def test_a_paused_pair_does_not_fail_over_until_it_is_resumed(pair: Pair) -> None:
    old, new = pair.master, pair.standby
    new.run([f"{BIN}/nagios-failover", "pause", "--reason", "maintenance"])
    began = time.time()
    try:
        kill(pair.lab, old)
        pair.lab.wait(lambda: looks_of(new)[-1]["state"] == "CRITICAL", 20, "the standby sees it")
        pair.lab.wait(lambda: critical(mails_by(pair.lab, new, began)), 30, "it is mailed")
        time.sleep(12)
        assert role_of(new)["role"] == "standby" and passive(new)
        mails = mails_by(pair.lab, new, began)
        assert is_told_once(new, mails, began), shown(mails)
        assert all("paused until resumed by" in body and "maintenance" in body for body in critical(mails)), shown(mails)
        pair.lab.wait(lambda: len(runs_of(new, since=began)) == 1, 10, "refusals are folded")
    finally:
        new.run([f"{BIN}/nagios-failover", "resume"])
    pair.lab.wait(lambda: role_of(new)["role"] == "master", 30, "the next check fails over")
    mend(pair.lab, old)


@pytest.mark.parametrize(("word", "code"), [("WARNING", 1), ("UNKNOWN", 3)])
def test_three_others_and_then_one_critical_result_do_not_fail_over(pair: Pair, word: str, code: int) -> None:
    """Nagios calls that HARD CRITICAL; the run's own looks say otherwise."""
    new = pair.standby
    plugin = f"{BIN}/check_master_nagios"
    began = time.time()
    script = f"""#!/bin/sh
n=$(cat /tmp/count 2>/dev/null || echo 0); echo $((n + 1)) > /tmp/count
[ $n -lt 3 ] && {{ echo made-up {word}; exit {code}; }}
[ $n -lt 4 ] && {{ echo made-up CRITICAL; exit 2; }}
exec {plugin}.real "$@"
"""
    new.run(f"rm -f /tmp/count; cp {plugin} {plugin}.real")
    try:
        new.write(plugin + ".new", script, mode=0o755)
        new.run(f"mv {plugin}.new {plugin}")
        refused = lambda: [run for run in runs_of(new, since=began) if outcome(run) == "refused"]  # noqa: E731
        runs = pair.lab.wait(refused, 40, "a run looks and refuses")
    finally:
        new.run(f"mv {plugin}.real {plugin}")
    assert len(runs) == 1
    assert runs[0][-1]["sentence"].startswith(f"not confirmed: {pair.master.name}: Nagios (PID "), runs[0][-1]
    assert handler_calls(new, began, word) == 1 == handler_calls(new, began, "CRITICAL")
    assert role_of(new)["role"] == "standby" and passive(new) and not new.exists(f"{STATE}/failover.lock")


@pytest.mark.parametrize("broken", [f"{BIN}/check_master_nagios", f"{BIN}/python3"])
def test_a_broken_installation_here_does_not_fail_over(pair: Pair, broken: str) -> None:
    new = pair.standby
    began = time.time()
    new.run(f"mv {broken} {broken}.away")
    try:
        pair.lab.wait(lambda: handler_calls(new, began, "CRITICAL") >= 3, 60, "Nagios takes it for a HARD CRITICAL")
    finally:
        new.run(f"mv {broken}.away {broken}")
    time.sleep(6)
    assert role_of(new)["role"] == "standby" and passive(new)
    assert pair.master.name != new.name
