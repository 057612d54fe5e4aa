"""What is repeated."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from nagios_failover.config_file import parse
from nagios_failover.steps import CRASH_AFTER
from tests import perfdata_world
from tests.incident_site import Site
from tests.lab import Host, Lab
from tests.lab.suite import COMMAND, CONFIG, is_active, with_options
from tests.long.aborted import TRIALS as ABORTED
from tests.long.aborted import aborted
from tests.long.frozen import frozen
from tests.long.incidents import incidents
from tests.long.links import TRIALS as LINKS
from tests.long.links import links, links_addresses
from tests.long.mysql_lab import mysql_lab
from tests.long.mysql_pair import mysql_pair
from tests.long.rejoins import TRIALS as REJOINS
from tests.long.rejoins import rejoins
from tests.long.result import Result
from tests.long.returns import ROUTES, returns, returns_plain
from tests.long.returns import TRIALS as RETURNS
from tests.long.semi_sync import asynchronous, semi_sync
from tests.long.setup_standby import mysql_setup_standby, setup_standby
from tests.long.switchovers import switchovers
from tests.long.trial import LAB, Part, Told, chance, in_one_lab, say
from tests.takeover import FAULTS, bound, fail_over, join_again

HANDLER_SECONDS: Final = 60.0
#: the steps that act in a lab whose hooks are configured
ACTING: Final = ("confirm", "register", "pre hook", "activate", "check at once", "perfdata services", "post hook", "mail")


def failovers(result: Result, count: int) -> None:
    """Randomised faults, one after the other in one pair: the old master joins as the standby, and is the next to take over."""

    def trial(site: Site, number: int, told: Told) -> float:
        lab, (master, survivor) = site.lab, site.roles()
        draw = chance(result.seed, "failovers", number)
        fault = draw.choice(sorted(FAULTS))
        told.update({"fault": fault, "master": master.name})
        time.sleep(draw.uniform(3, 12))
        limit = bound(parse(survivor.read(CONFIG), hostname=survivor.name), FAULTS[fault])
        is_mailed = one_more_mail(lab)
        seconds = fail_over(lab, fault, timeout=2 * limit, master=master, survivor=survivor).seconds
        lab.wait(is_mailed, 30, "the failover is mailed")
        assert seconds <= limit, f"it took {seconds:.1f} s, and may take {limit:.1f} s"
        join_again(lab, fault, master, survivor)
        return seconds

    in_one_lab(result, "failovers", count, Site, trial)


def restarts(result: Result, count: int) -> None:
    """Restarts and reloads of a master with 5,000 services at default settings: the standby must not move."""
    if result.done("restarts") >= count:
        return
    with Lab.up(name=LAB, services=5000, profile="default") as lab:
        while (number := result.done("restarts") + 1) <= count:
            draw = chance(result.seed, "restarts", number)
            what = draw.choice(("restart", "reload", "slow restart"))
            pause = draw.uniform(1, 12)
            began = time.monotonic()
            if what == "reload":
                lab.yasu.run(["kill", "-HUP", str(lab.yasu.nagios_pid())])
            else:
                lab.yasu.service("nagios").stop()
                time.sleep(pause if what == "slow restart" else 0)
                lab.yasu.service("nagios").start()
            time.sleep(draw.uniform(12, 35))  # up to three looks of the standby
            held = is_active(lab.yasu) and not is_active(lab.nabira) and failovers_of(lab.nabira) == []
            seconds = time.monotonic() - began
            result.add("restarts", {"what": what, "pause": round(pause, 1)}, held=held, seconds=seconds)
            say("restarts", number, count, what, held, seconds)


def kills(result: Result, count: int) -> None:
    """The failover run is killed with kill -9 after a step's act, before that is journaled: Nagios's next call finishes the run."""
    while (number := result.done("kills") + 1) <= count:
        after = ACTING[(number - 1) % len(ACTING)]
        with Lab.up(name=LAB) as lab:
            hooks = {("run", "pre_hook"): "/bin/true", ("run", "post_hook"): "/bin/true", ("run", "perfdata_services"): "cron"}
            lab.nabira.write(CONFIG, with_options(lab.nabira.read(CONFIG), hooks), group="nagios", mode=0o640)
            crash_after(lab.nabira, after)
            time.sleep(chance(result.seed, "kills", number).uniform(3, 6))
            began, note = time.monotonic(), ""
            try:
                taken = fail_over(lab, "kill", timeout=HANDLER_SECONDS + 30).seconds
                lab.wait(partial(all_runs_closed, lab.nabira), HANDLER_SECONDS, "the run is finished")
                held = was_resumed_and_done(lab.nabira) and len(our_mails(lab)) == 1
            except AssertionError as error:
                taken, held, note = time.monotonic() - began, False, str(error)
        result.add("kills", {"after": after, **({"note": note} if note else {})}, held=held, seconds=taken)
        say("kills", number, count, f"kill -9 after '{after}'", held, taken)


def loader(result: Result, count: int) -> None:
    """The loader is killed with kill -9 at a random moment under load: at any, or in a statement of a transaction.
    After every ten, and at the end, each line that Nagios wrote is there once."""
    if result.done("loader") >= count:
        return
    with Lab.up(name=LAB, services=240) as lab:
        yasu = lab.yasu
        lab.nabira.run([COMMAND, "pause", "--reason", "the loader is killed"])
        perfdata_world.record(yasu)
        while (first := result.done("loader") + 1) <= count:
            kills = [kill_of_the_loader(lab, yasu, result.seed, number) for number in range(first, min(count, first + 9) + 1)]
            perfdata_world.settle(lab, yasu)
            wrong = perfdata_world.disagreement(yasu) or perfdata_world.miscounted(yasu)
            yasu.service("nagios").start()
            for number, (where, seconds) in enumerate(kills, first):
                result.add("loader", {"killed": where, **({"note": wrong} if wrong else {})}, held=not wrong, seconds=seconds)
                say("loader", number, count, f"kill -9 {where}", not wrong, seconds)


#: Run inside the host: waits until the loader's connection carries out a statement like this, then kills it; prints the statement.
KILL_IN_STATEMENT: Final = """
import os, sys, time, pymysql
connection = pymysql.connect(unix_socket="/run/mysqld/mysqld.sock", user="root", autocommit=True)
deadline = time.monotonic() + 60
with connection.cursor() as cursor:
    while time.monotonic() < deadline:
        cursor.execute("SELECT info FROM information_schema.processlist WHERE user = 'nagios' AND info LIKE %s", sys.argv[2])
        if found := cursor.fetchone():
            os.kill(int(sys.argv[1]), 9)
            print(" ".join(found[0].split())[:20])
            break
"""


def kill_of_the_loader(lab: Lab, host: Host, seed: int, number: int) -> tuple[str, float]:
    """Where it was killed, and how long it took until another one ran: at a random moment, or in a statement of a transaction."""
    draw = chance(seed, "loader", number)
    began = time.monotonic()
    pid = lab.wait(lambda: perfdata_world.loader_pid(host), 30, "a loader")
    statement = draw.choice(["", "LOAD DATA%", "INSERT INTO perfdata%", "COMMIT%"])
    if statement:
        python = "/opt/nagios-failover/bin/python"
        where = f"in {host.run([python, '-c', KILL_IN_STATEMENT, str(pid), statement], timeout=90).stdout.strip() or 'nothing'}"
    else:
        after = draw.uniform(0, 2)
        time.sleep(after)
        perfdata_world.kill_loader(host)
        where = f"{after:.2f} s after it was seen"
    lab.wait(lambda: perfdata_world.loader_pid(host) not in (0, pid), 30, "another loader")
    return where, time.monotonic() - began


PARTS: Final = {
    "failovers": Part("randomised faults, roles circulating", 20, failovers),
    "switchovers": Part("switchovers in a row, while incidents begin and end and programs write to the databases", 20, switchovers),
    "aborted": Part("something breaks after a step of a switchover: four faults after each step", ABORTED, aborted),
    "rejoins": Part("a rejoin after each kind of fault, killed, given again, and once more: two for each fault", REJOINS, rejoins),
    "returns": Part("old masters and whole pairs that get their power back", len(RETURNS), returns),
    "returns-plain": Part("old masters without the suite that get their power back", len(ROUTES), returns_plain),
    "links": Part("cut links between healthy hosts beside a witness with an account: when both notify", len(LINKS), links),
    "links-addresses": Part("the same beside a witness that is only an address", len(LINKS), links_addresses),
    "restarts": Part("restarts and reloads of a 5,000-service master at default settings", 20, restarts),
    "incidents": Part("incidents opening and closing all the time, 20 times for each of four faults", 80, incidents),
    "semi-sync": Part("a dead source under load, with semi-synchronous replication", 20, semi_sync),
    "async": Part("a dead source under load, asynchronous over a slow link", 5, asynchronous),
    "mysql": Part("promises that a pair of real MySQL servers keeps, once", 1, mysql_pair),
    "mysql-lab": Part("a whole pair on MySQL: set up, taken over, rejoined, switched over, once", 1, mysql_lab),
    "setup-standby": Part("setup-standby killed at a random moment under load, and given again", 10, setup_standby),
    "mysql-setup-standby": Part("the same on a pair of real MySQL servers", 10, mysql_setup_standby),
    "frozen": Part("each command and plugin while mysqld is frozen on either side", 31, frozen),
    "loader": Part("kill -9 of the loader under load: each line is loaded once", 50, loader),
    "kills": Part("kill -9 of the run after each step that acts", 2 * len(ACTING), kills),
}


def our_mails(lab: Lab) -> list[str]:
    """Subjects of the suite's own mails about runs (not the watch services')."""
    return [mail.subject for mail in lab.mails("is the master now")]


def one_more_mail(lab: Lab) -> Callable[[], bool]:
    """Has a run been mailed since now?"""
    before = len(our_mails(lab))
    return lambda: len(our_mails(lab)) > before


def crash_after(host: Host, step: str) -> None:
    """Let the handler's run die by kill -9 after this step: its environment says so (a resumed run goes on)."""
    door = "/opt/nagios-failover/bin/handle_master_event"
    host.run(["mv", door, f"{door}.real"])
    host.write(door, f"#!/bin/sh\n{CRASH_AFTER}='{step}' exec {door}.real \"$@\"\n", mode=0o755)


def failovers_of(host: Host) -> list[dict[str, object]]:
    """The failover runs of the host's journal."""
    runs: list[dict[str, object]] = json.loads(host.run([COMMAND, "history", "--json"], timeout=60).stdout)
    return [run for run in runs if run["kind"] == "failover"]


def all_runs_closed(host: Host) -> bool:
    return all(run["outcome"] != "running" for run in failovers_of(host))


def was_resumed_and_done(host: Host) -> bool:
    """One run, killed (a later call resumed it) and finished."""
    return [(run["outcome"], run["resumed"]) for run in failovers_of(host)] == [("done", 1)]
