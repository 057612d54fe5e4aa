"""`failback = automatic` and the other ways in which a role changes hands while both hosts are healthy."""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.pair import BIN, Pair, active, kill, looks_of, mend, outcome, passive, role_of
from tests.e2e.test_failover import certain, ended
from tests.lab import Host, Lab, why_not
from tests.lab.state import ADDRESSES
from tests.lab.suite import CONFIG, MAILBOX, with_options
from tests.switching import by_hand

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")


def watch_flags(pair: Pair, done: Callable[[], bool], seconds: float, what: str) -> list[tuple[float, bool, bool]]:
    """(epoch, yasu notifies, nabira notifies), until `done`."""
    seen = []
    deadline = time.time() + seconds
    while not done():
        giving = active(pair.lab.nabira)  # read first: who is off then was off after the other one was on
        seen.append((time.time(), active(pair.lab.yasu), giving))
        assert time.time() < deadline, f"not within {seconds} s: {what}; roles are {pair.roles()}"
        time.sleep(0.2)
    return seen


def seconds_of(seen: list[tuple[float, bool, bool]], wanted: int) -> float:
    """For how long so many hosts notified, in all."""
    pairs = itertools.pairwise(seen)
    return sum(later[0] - now[0] for now, later in pairs if now[1] + now[2] == wanted)


def test_the_returned_preferred_host_gets_the_role_back_and_somebody_always_notifies() -> None:
    with Lab.up(name=f"failback-{os.getpid()}", failback="automatic") as lab:
        pair = Pair(lab)
        pair.wait_healthy()
        began = time.time()
        kill(lab, lab.yasu)
        lab.wait(lambda: role_of(lab.nabira)["role"] == "master", 30, "nabira takes over")
        failed_over = time.time()
        mend(lab, lab.yasu)
        lab.wait(lambda: role_of(lab.yasu)["role"] == "standby", 30, "yasu, outranked, stands down")
        seen = watch_flags(
            pair, lambda: role_of(lab.yasu)["role"] == "master" and passive(lab.nabira), 90, "yasu is the master again"
        )
        assert time.time() - failed_over >= 20, "flap_block holds the way back"
        assert seconds_of(seen, 0) == 0, "there is always one that notifies"
        runs = certain(ended(lab, lab.yasu, since=began, kind="failback"))
        assert [outcome(run) for run in runs] == ["done"], runs
        standdown = ended(lab, lab.nabira, since=began, kind="standdown")[-1]
        active_at = next(event["value"] for event in runs[0] if event["event"] == "note" and event["key"] == "active_at")
        between = [row for row in looks_of(lab.nabira) if row["by"] == "check" and active_at < row["time"] <= standdown[0]["time"]]
        print(f"measured: two notified for {seconds_of(seen, 2):.1f} s, of {len(between)} looks")
        assert seconds_of(seen, 2) < 6 and len(between) <= 2, "two for a check's time at most: one look may have begun before"
        lab.wait(pair.healthy, 20, "a healthy pair")
        assert pair.master.name == "yasu" and role_of(lab.yasu)["term"] == "3" == role_of(lab.nabira)["term"]
        for sentence in ("yasu is the master now (term 3)", "nabira is the standby now (term 3)"):
            lab.wait(lambda said=sentence: pair.mails_since(began, said), 20, f"it is mailed: {sentence}")  # type: ignore[misc]
            assert len(pair.mails_since(began, sentence)) == 1


def test_a_returned_preferred_host_without_the_suite_is_active_by_its_own_flags_and_gets_the_role_back() -> None:
    with Lab.up(name=f"failback-{os.getpid()}", failback="automatic", suite_on=("nabira",)) as lab:
        pair = Pair(lab)
        lab.wait(lambda: role_of(lab.nabira).get("role") == "standby" and active(lab.yasu), 30, "a healthy pair")
        kill(lab, lab.yasu)
        lab.wait(lambda: role_of(lab.nabira)["role"] == "master", 30, "a failover needs nothing of ours on the master")
        lab.yasu.service("nagios").start()
        seen = watch_flags(pair, lambda: role_of(lab.nabira)["role"] == "standby" and passive(lab.nabira), 90, "nabira stands down")
        assert seconds_of(seen, 0) == 0
        assert active(lab.yasu)
        run = ended(lab, lab.nabira, kind="standdown")[-1]
        assert outcome(run) == "done"
        sentence = run[-1]["sentence"]
        assert sentence == "nabira is the standby now (term 2): yasu monitors"


OBJECTS = "/etc/nagios4/conf.d/monitored.cfg"
RESTART = "/usr/local/lib/nagios/restart_httpd"


def with_a_handler_of_the_sites_own(host: Host) -> None:
    """web7/HTTP gets an event handler, by the line that commands.cfg.sample gives for redundancy mode."""
    (line,) = re.findall(rf"^#   (command_line +.*{RESTART}.*)$", host.read("/etc/nagios4/conf.d/nagios-failover.cfg"), re.M)
    host.run(f"mkdir -p {Path(RESTART).parent}")
    host.write(RESTART, '#!/bin/sh\necho "$1" >> /tmp/restarted\n', mode=0o755)
    host.write("/etc/nagios4/conf.d/own.cfg", f"define command {{\ncommand_name restart-httpd\n{line}\n}}\n")
    objects, changed = re.subn(
        r"(host_name +web7\n +service_description +HTTP\n)", r"\1event_handler restart-httpd\n", host.read(OBJECTS)
    )
    assert changed == 1
    host.write(OBJECTS, objects)
    host.service("nagios").restart()


def hard_critical(host: Host, name: str) -> bool:
    return f"SERVICE EVENT HANDLER: {name};HTTP;CRITICAL;HARD" in host.read("/var/log/nagios4/nagios.log")


def restarted(host: Host) -> list[str]:
    return host.run("cat /tmp/restarted 2>/dev/null || true").stdout.split()


def test_redundancy_mode_moves_notifications_and_the_sites_own_handlers() -> None:
    with Lab.up(name=f"failback-{os.getpid()}", mode="redundancy") as lab:
        lab.nabira.run([f"{BIN}/nagios-failover", "pause"])
        for host in (lab.yasu, lab.nabira):
            with_a_handler_of_the_sites_own(host)
        lab.nabira.run([f"{BIN}/nagios-failover", "resume"])

        def flags(name: str) -> tuple[str, str]:
            found = lab.host(name).nagios_flags()
            return found.get("enable_notifications", ""), found.get("active_service_checks_enabled", "")

        lab.wait(lambda: flags("yasu") == ("1", "1") and flags("nabira") == ("0", "1"), 30, "both check, one notifies")
        began = time.time()
        lab.wait(lambda: any(row[0] > began for row in lab.nabira.checked()), 20, "the standby checks too")
        for name in ("web5", "web7"):
            lab.set_state(name, "HTTP", "CRITICAL")
        lab.wait(lambda: lab.mails("web5") and lab.mails("web7"), 30, "the master notifies")
        lab.wait(lambda: hard_critical(lab.nabira, "web7"), 20, "the standby sees it, too")
        lab.wait(lambda: restarted(lab.yasu) == ["CRITICAL"] * 3, 10, "the master's handler is called: SOFT 1, SOFT 2, HARD")
        time.sleep(3)
        assert len(lab.mails("web5")) == 1, "and nobody else does"
        assert (restarted(lab.yasu), restarted(lab.nabira)) == (["CRITICAL"] * 3, []), "at the master only"
        kill(lab, lab.yasu)
        lab.wait(lambda: flags("nabira") == ("1", "1"), 30, "nabira notifies")
        lab.wait(lambda: role_of(lab.nabira)["role"] == "master", 10, "nabira is the master")
        run = ended(lab, lab.nabira)[-1]
        assert outcome(run) == "done"
        sentence = run[-1]["sentence"]
        assert sentence.startswith("nabira is the master now (term 2): it notifies since "), sentence
        lab.set_state("web7", "HTTP", "OK")
        lab.wait(lambda: restarted(lab.nabira) == ["OK"], 20, "the new master runs the handler")


def test_the_role_is_given_back_by_command_and_taken_by_command() -> None:
    """Mailed by SMTP; there is no sendmail."""
    with Lab.up(name=f"failback-{os.getpid()}") as lab:
        pair = Pair(lab)
        for host in (lab.yasu, lab.nabira):
            options = {("mail", "method"): "smtp", ("mail", "smtp_host"): ADDRESSES["witness"]}
            host.write(CONFIG, with_options(host.read(CONFIG), options), group="nagios", mode=0o640)
            host.run(["mv", "/usr/sbin/sendmail", "/usr/sbin/sendmail.away"])
        pair.wait_healthy()
        cli = f"{BIN}/nagios-failover"
        no = lab.nabira.run([cli, "standdown"], check=False)
        assert no.returncode == 3 and "the role is standby" in no.stdout + no.stderr

        def refused() -> str:
            no = lab.nabira.run([cli, "failover"], check=False, timeout=60)
            assert no.returncode == 3, no.stdout + no.stderr
            return no.stdout + no.stderr

        # a look whose login comes late says something else
        lab.wait(lambda: "not confirmed: yasu: Nagios (PID" in refused(), 20, "it is refused because yasu is seen well")
        dry = lab.nabira.run([cli, "failover", "--dry-run"], timeout=60)
        assert (
            "would look at yasu" in dry.stdout
            and "would set notifications on" in dry.stdout
            and role_of(lab.nabira)["role"] == "standby"
        )
        given = by_hand(lab.yasu, "standdown")
        assert "yasu is the standby now (term 1): nobody monitors until you run on nabira: nagios-failover failover" in given
        assert passive(lab.yasu)
        lab.wait(lambda: lab.mails("yasu is the standby now (term 1)"), 10, "the mail by SMTP")
        taken = by_hand(lab.nabira, "failover")
        assert "nabira is the master now (term 2): it checks and notifies" in taken
        (mail,) = lab.wait(lambda: lab.mails("nabira is the master now (term 2)"), 10, "the mail by SMTP")
        assert mail.to == (MAILBOX,) and "mail: done: to failover@witness by smtp" in taken
        pair.wait_healthy()
        assert pair.master.name == "nabira"
        lab.yasu.service("nagios").stop()
        no = lab.nabira.run([cli, "standdown"], check=False)
        assert no.returncode == 3 and "there is no live standby: yasu: no standby" in no.stdout + no.stderr
