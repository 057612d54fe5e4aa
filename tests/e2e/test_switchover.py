"""The planned change of roles on a real pair: incidents that open and close before, meanwhile and after, each mailed once; and
switchovers that are cut short or cut off."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from nagios_failover.errors import REFUSED
from tests.e2e.pair import Pair, active, outcome, passive, runs_of
from tests.incident_site import Site
from tests.lab import Host, Lab, why_not
from tests.lab.replication import caught_up, sql, status
from tests.lab.suite import COMMAND, CONFIG, with_options
from tests.switching import (
    TRIES,
    acknowledged,
    kinds,
    may_switch_with_databases,
    pauses,
    ready,
    switch_under_load,
    switchover,
    switchover_when_ready,
)

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

OVER = "the command is over: "


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A pair whose databases are replicated, with a program on each host that writes wherever it may."""
    with Lab.up(name=f"switchover-{os.getpid()}") as lab:
        may_switch_with_databases(lab)
        yield Site(lab)


def killed(lab: Lab, host: Host, step: str) -> None:
    done = switchover_when_ready(lab, host, crash_after=step)
    assert done.returncode == 137, done.stdout + done.stderr


def test_a_dry_run_lists_the_steps_and_names_the_point_of_no_return(site: Site) -> None:
    pair = Pair(site.lab)
    pair.wait_healthy()
    before = pair.roles()
    done = switchover_when_ready(site.lab, pair.standby, "--dry-run")
    steps = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert done.returncode == 0 and done.stdout.endswith("nothing was changed (dry run)\n")
    assert [step for step in steps if step in ("ready", "pause", "quiesce", "last sync", "inherit", "activate", "stand down")] == [
        *("ready", "pause", "quiesce", "last sync", "inherit", "activate", "stand down")
    ]
    assert "activate: the point of no return (what fails before it is put back): would set " in done.stdout
    assert pair.roles() == before and pauses(site.lab) == [] and active(pair.master)


def test_all_that_stands_in_the_way_is_listed_and_nothing_is_changed(site: Site) -> None:
    """On the master; on a standby that is paused and may not command the master."""
    pair = Pair(site.lab)
    new, old = pair.standby, pair.master
    refused = switchover(old)
    assert refused.returncode == 3 and f"the role is master (hint: run it on the standby, {new.name})" in refused.stdout
    new.run([COMMAND, "pause", "--reason", "work"])
    config = new.read(CONFIG)
    new.write(CONFIG, with_options(config, {("fence", "user"): ""}), group="nagios", mode=0o640)
    before = pair.roles()
    try:
        for words in (["--dry-run"], []):
            refused = switchover(new, *words)
            assert refused.returncode == 3, refused.stdout
            listed = [line for line in refused.stdout.splitlines() if line.startswith("in the way: ")]
            assert f"in the way: {old.name} cannot be commanded: [fence] user is not set" in listed[0]
            assert any(f"{new.name}: paused until resumed by root@{new.name}: work" in line for line in listed), listed
    finally:
        new.write(CONFIG, config, group="nagios", mode=0o640)
        new.run([COMMAND, "resume"])
    assert pair.roles() == before and active(old) and passive(new)


def test_roles_change_three_times_under_incidents_and_writes(site: Site) -> None:
    """After each change every incident has been mailed once, the audit is clean, and no acknowledged write is lost or doubled. One
    incident is open all the while: from before the first change until after the last."""
    lasting = "web12/DISK"
    site.set("CRITICAL", lasting)
    site.lab.wait(lambda: kinds(site, lasting)["PROBLEM"], 40, f"a PROBLEM of {lasting} is mailed")
    for number in range(3):
        print(f"no write was possible for {switch_under_load(site, number):.2f} s")
    assert kinds(site, lasting) == {"PROBLEM": 1}, "over three changes"
    site.set("OK", lasting)
    site.lab.wait(lambda: kinds(site, lasting)["RECOVERY"], 40, f"a RECOVERY of {lasting} is mailed")
    assert kinds(site, lasting) == {"PROBLEM": 1, "RECOVERY": 1}
    master, standby = site.roles()
    assert site.found(master) == []
    assert {host.name for host in (site.lab.yasu, site.lab.nabira) if acknowledged(host)} == {"yasu", "nabira"}, "both have written"
    assert [mail.subject for mail in site.lab.mails("is the master now")][-1].startswith(f"[nagios-failover] {master.name}")
    expected = [master.name, standby.name, master.name]
    site.lab.wait(
        lambda: marked(master) == marked(standby) == expected,
        30,
        "the trend is marked with all three",
        shown=lambda: f"{marked(master)} {marked(standby)}",
    )


def marked(host: Host) -> list[str]:
    """Who took over, by the failovers that are marked on a trend."""
    trend = json.loads(host.run([COMMAND, "trend", "web1", "HTTP", "--since", "1h", "--json"]).stdout)
    return [failover["host"] for failover in trend["failovers"]]


@pytest.mark.parametrize("step", ["pause", "quiesce", "last sync"])
def test_killed_before_the_point_of_no_return_the_next_command_puts_back(site: Site, step: str) -> None:
    pair = Pair(site.lab)
    old, new = pair.master, pair.standby
    killed(site.lab, new, step)
    new.run([COMMAND, "status"], check=False, timeout=60)  # or the state watch is before it
    site.lab.wait(lambda: active(old) and passive(new), 20, f"{old.name} monitors again")
    site.lab.wait(lambda: pauses(site.lab) == [], 30, "no pause is left")  # its last act
    assert (site.role(new), site.role(old)) == ("standby", "master")


@pytest.mark.parametrize("step", ["activate", "stand down"])
def test_killed_after_it_the_next_command_finishes(site: Site, step: str) -> None:
    pair = Pair(site.lab)
    old, new = pair.master, pair.standby
    killed(site.lab, new, step)
    new.run([COMMAND, "status"], check=False, timeout=90)
    site.lab.wait(lambda: active(new) and passive(old), 20, f"{new.name} monitors")
    site.lab.wait(lambda: pauses(site.lab) == [], 30, "no pause is left")
    assert (site.role(new), site.role(old)) == ("master", "standby")


@contextmanager
def before_the_master_is_told(lab: Lab, new: Host, happens: Callable[[], object], mend_it: Callable[[], object]) -> Iterator[None]:
    """A switchover from `new`, as soon as nothing is in the way; in its pre hook `happens` happens. The body runs when the command
    has ended; then it is mended."""
    pre_hook = "/usr/local/bin/wait-for-the-fault"
    new.write(pre_hook, "#!/bin/sh\ntouch /tmp/hooked\nwhile [ -e /tmp/hooked ]; do sleep 0.1; done\n", mode=0o755)
    config = new.read(CONFIG)
    new.write(CONFIG, with_options(config, {("run", "pre_hook"): pre_hook}), group="nagios", mode=0o640)
    try:
        for _ in range(TRIES):
            ready(lab, new)
            new.run(f": >/dev/shm/said; ({COMMAND} switchover; echo {OVER}$?) >/dev/shm/said 2>&1 &")
            lab.wait(lambda: new.exists("/tmp/hooked") or OVER in new.read("/dev/shm/said"), 60, "the run is in its pre hook")
            if f"{OVER}{REFUSED}\n" not in new.read("/dev/shm/said"):
                break
        assert new.exists("/tmp/hooked"), new.read("/dev/shm/said")
        happens()
        new.run("rm /tmp/hooked")
        lab.wait(lambda: OVER in new.read("/dev/shm/said"), 60, "it has ended")
        yield
    finally:
        mend_it()  # first: with a full disk there may be no room for the file
        new.write(CONFIG, config, group="nagios", mode=0o640)


def test_a_link_that_is_cut_before_the_master_is_told_keeps_the_roles(site: Site) -> None:
    pair = Pair(site.lab)
    old, new = pair.master, pair.standby
    with before_the_master_is_told(site.lab, new, lambda: site.lab.cut(old, new), lambda: site.lab.mend(old, new)):
        pass
    assert f"aborted: quiesce: {old.name}: " in new.read("/dev/shm/said")
    assert "role and flags are as they were: standby" in new.read("/dev/shm/said")
    assert active(old) and passive(new)
    _resume(new, old)


def test_a_silent_master_that_cannot_be_told_to_go_on_is_told_as_soon_as_it_can(site: Site) -> None:
    """The run is killed, and the fence account cannot log in any more; the looks still see the master live."""
    pair = Pair(site.lab)
    old, new = pair.master, pair.standby
    keys = "/var/lib/nagios/.ssh/authorized_keys"
    _silent(site.lab, old, new, lambda: old.run(["mv", keys, f"{keys}.away"]), lambda: old.run(["mv", f"{keys}.away", keys]))
    try:
        site.lab.wait(lambda: "nobody is monitoring: " in _notes(new), 60, "a command says that nobody monitors", poll=1)
        assert (site.role(new), site.role(old)) == ("taking-over", "master") and passive(old) and passive(new)
    finally:
        old.run(["mv", f"{keys}.away", keys])
    site.lab.wait(lambda: active(old) and passive(new), 60, "the master goes on")
    site.lab.wait(lambda: pauses(site.lab) == [], 60, "no pause is left")
    assert (site.role(new), site.role(old)) == ("standby", "master")


def test_a_full_disk_under_the_standby_in_the_middle_of_it_leaves_one_master(site: Site) -> None:
    """Full for as long as the next command takes, too, which says what to do. The old master as a rule: a run may find room by
    chance. After each other step, and on the master's disk: make test-long."""
    pair = Pair(site.lab)
    old, new = pair.master, pair.standby

    def give_room() -> None:
        new.unfill()
        new.service("mariadbd").start()  # a disk without a block may have ended it

    with before_the_master_is_told(site.lab, new, new.fill, give_room):
        next_one = switchover(new)
    assert next_one.returncode != 0 and "hint: " in next_one.stdout + next_one.stderr, next_one.stdout + next_one.stderr
    site.lab.wait(
        lambda: {(active(host), passive(host)) for host in (old, new)} == {(True, False), (False, True)}, 40, "one monitors"
    )
    master, standby = (old, new) if active(old) else (new, old)
    site.lab.wait(lambda: (site.role(master), site.role(standby)) == ("master", "standby"), 60, "the roles say so")
    site.lab.wait(lambda: pauses(site.lab) == [], 60, "no pause is left")

    def has_caught_up() -> bool:
        """A server whose disk was full tries to write again once a minute, and answers little before. Or its SQL thread has
        stopped, which check_replication says: then a person starts it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            if caught_up(master, standby):
                return True
            if status(standby).get("Slave_SQL_Running") == "No":
                sql(standby, "START SLAVE")
        return False

    site.lab.wait(has_caught_up, 150, f"{standby.name}'s database has caught up", poll=1)


def test_a_silent_master_behind_a_cut_link_is_failed_over(site: Site) -> None:
    """The run is killed with the link, and to a standby that has no second route the master is dead then. Last: its
    database waits for a rejoin afterwards."""
    pair = Pair(site.lab)
    old, new = pair.master, pair.standby
    _silent(site.lab, old, new, lambda: site.lab.cut(old, new), lambda: site.lab.mend(old, new))
    try:
        site.lab.wait(lambda: active(new) and site.role(new) == "master", 90, f"{new.name} takes over")
        assert passive(old)
    finally:
        site.lab.mend(old, new)
    site.lab.wait(lambda: site.role(old) == "standby", 60, f"{old.name} stands down")
    # its promotion ends the connections to the old database, ours too, where the link is back in time
    site.lab.wait(lambda: outcome(runs_of(new)[-1]) != "open", 60, f"{new.name}'s failover is at its end")
    assert active(new) and passive(old) and sql(old, "SELECT @@read_only") == "1"


def _silent(lab: Lab, old: Host, new: Host, break_it: Callable[[], object], mend_it: Callable[[], object]) -> None:
    """The run is killed when the master is silent, and then something breaks; unless Nagios's next call was there in between."""
    for _ in range(10):
        killed(lab, new, "quiesce")
        break_it()
        time.sleep(3)  # a login that is open already goes on
        if passive(old):
            return
        mend_it()
    raise AssertionError("nothing was ever broken before the master was let go on")


def _notes(host: Host) -> str:
    return host.run([COMMAND, "status"], check=False, timeout=90).stderr


def _resume(*hosts: Host) -> None:
    for host in hosts:
        host.run([COMMAND, "resume"])
