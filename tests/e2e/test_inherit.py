"""Open incidents follow a failover: each mail is counted at the mail sink, whoever sent it. Real hosts, real faults.

Each failover carries all the cases, each case on an object of its own; the repaired master takes over again at the next. The
audit counts with: it finds nothing but what is in doubt.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from nagios_failover.steps import CRASH_AFTER
from tests.e2e.pair import acted, runs_of
from tests.incident_site import (
    ARCHIVES,
    FAULTS,
    LOG,
    OBJECTS,
    Site,
    all_of,
    blocks,
    change_objects,
    clean_stop,
    flags,
    follow_incidents,
    freeze,
    join_again,
    kill,
    known_until,
    of,
    passive,
    power_off,
    pulled,
)
from tests.lab import Host, Lab, why_not
from tests.lab.suite import CONFIG, STATE, with_options

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

OUTPUT = "no answer; tried: 3; last: 'refused'; see http://wiki/HTTP?a=1;b=2"
LONG = "first; the cable\\nsecond; the switch"
"""As status.dat has it: a line each."""
CHANGES = {
    "monitored-service": {"flap_detection_enabled": "0"},
    "monitored-host": {"flap_detection_enabled": "0"},
    "contact": {"service_notification_options": "w,u,c,r,f"},
    "web8/HTTP": {"notification_interval": "20"},
    "web1/LOAD": {"notification_interval": "6"},
    "web1/DISK": {"_PLACE": "rack 7"},
    "web10/LOAD": {"flap_detection_enabled": "1", "max_check_attempts": "1"},
    "web6/HTTP": {"max_check_attempts": "10"},
    "web7/DISK": {"max_check_attempts": "1"},
    "web9/": {"max_check_attempts": "1"},
}
SECOND = """
define contact {
    contact_name                     second
    email                            second@witness
    service_notification_period      24x7
    host_notification_period         24x7
    service_notification_options     w,u,c,r
    host_notification_options        d,u,r
    service_notification_commands    mail-service
    host_notification_commands       mail-host
}
define serviceescalation {
    host_name                        web1
    service_description              LOAD
    first_notification               2
    last_notification                0
    notification_interval            3600
    contacts                         second
}
"""
LASTING = "web5/DISK"
"""Open and mailed before the first failover, and open until the last."""
FIXED_SECONDS = 35
"""A downtime that ends after the failover."""
KILLED_AFTER = {freeze: "inherit", clean_stop: "activate: sent"}
"""Of these faults the run is killed, too, and finished by the next call: when the incidents are ready to be loaded, and when Nagios
has loaded them and is active, but the role is not written."""
DOUBT_SECONDS = 4
"""On a machine that is busy, what is mailed "in the very moment" of a death takes longer than the default's two."""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Lab.up(name=f"inherit-{os.getpid()}") as lab:
        follow_incidents(lab)
        for host in (lab.yasu, lab.nabira):
            config = with_options(host.read(CONFIG), {("sync", "notification_doubt"): str(DOUBT_SECONDS)})
            host.write(CONFIG, config, owner="root", group="nagios", mode=0o640)
        change_objects(lab, CHANGES, SECOND, {"enable_flap_detection": "1"})
        site = Site(lab)
        site.wait_copy(*reversed(site.roles()))
        site.lasting = LASTING
        site.set("CRITICAL", LASTING)
        site.wait_mail(LASTING, "PROBLEM by yasu")
        yield site


def open_incidents(site: Site, master: Host) -> None:
    """Everything that may be open when a master dies."""
    lab, old, now = site.lab, master.name, int(time.time())
    mailed = [f"web{number}/HTTP" for number in (1, 2, 3, 5, 8, 9)]
    site.set("CRITICAL", *mailed, "web1/LOAD")
    site.set("WARNING", "web3/LOAD", "web3/DISK")
    site.set("CRITICAL", "web10/HTTP", output=f"{OUTPUT}\\n{LONG}")
    site.set("DOWN", "web11/HOST", "web12/HOST")
    site.command(
        master,
        f"SCHEDULE_SVC_DOWNTIME;web4;HTTP;{now - 5};{now + 3000};1;0;3005;me;planned; really",
        f"SCHEDULE_SVC_DOWNTIME;web4;LOAD;{now - 5};{now + 3000};1;0;3005;me;until the other one",
        f"SCHEDULE_SVC_DOWNTIME;web4;DISK;{now - 5};{now + 3000};0;0;600;me;when it begins",
        "ADD_SVC_COMMENT;web9;HTTP;1;me;this one stays; it does",
        "ADD_SVC_COMMENT;web9;HTTP;1;me;this one goes",
        "CHANGE_CUSTOM_SVC_VAR;web1;DISK;PLACE;rack 9",
        "DISABLE_SVC_EVENT_HANDLER;web1;DISK",
    )
    for _ in range(4):  # its own first check may be minutes away after a reload
        site.check_now(master, "web11/HOST", "web12/HOST")
        time.sleep(1)
    site.set("CRITICAL", "web4/HTTP", "web4/LOAD", "web12/LOAD")
    for name in (*mailed, "web10/HTTP", "web11/HOST", "web12/HOST", "web1/LOAD", "web3/LOAD", "web3/DISK"):
        site.wait_mail(name, f"PROBLEM by {old}", 40)
    for name in ("web4/HTTP", "web4/LOAD", "web12/LOAD"):
        lab.wait(lambda name=name: site.is_hard(master, name, 2), 30, f"{name} is HARD")  # type: ignore[misc]
    goes = next(row for row in all_of(master, "servicecomment", "web9/HTTP") if row["comment_data"] == "this one goes")
    site.command(
        master,
        "ACKNOWLEDGE_SVC_PROBLEM;web3;HTTP;2;0;1;me;known; being mended",
        "ACKNOWLEDGE_SVC_PROBLEM;web3;LOAD;1;0;1;me;normal",
        "ACKNOWLEDGE_SVC_PROBLEM;web3;DISK;2;0;1;me;sticky",
        f"DEL_SVC_COMMENT;{goes['comment_id']}",
        "DISABLE_NOTIFICATIONS",
        "ENABLE_NOTIFICATIONS",
    )
    flap(site, master)
    site.wait_mail("web1/LOAD", f"PROBLEM to second by {old}")


def end_downtime_soon(site: Site, master: Host) -> None:
    """web4/LOAD's is replaced by one that ends after the failover; so it is begun when the failover is near."""
    now = int(time.time())
    other = all_of(master, "servicedowntime", "web4/LOAD")[0]["downtime_id"]
    site.command(
        master,
        f"SCHEDULE_SVC_DOWNTIME;web4;LOAD;{now - 5};{now + FIXED_SECONDS};1;0;60;me;ends soon",
        f"DEL_SVC_DOWNTIME;{other}",
    )

    def is_replaced() -> bool:
        depth = of(master, "web4/LOAD")["scheduled_downtime_depth"]
        return depth == "1" and [row["comment"] for row in all_of(master, "servicedowntime", "web4/LOAD")] == ["ends soon"]

    site.lab.wait(is_replaced, 15, "the other downtime is in status.dat")


def flap(site: Site, master: Host) -> None:
    for turn in range(11):  # well at the end, as its own check finds it
        site.command(master, f"PROCESS_SERVICE_CHECK_RESULT;web10;LOAD;{2 * (turn % 2)};it flaps")
        time.sleep(0.4)
    site.wait_mail("web10/LOAD", f"FLAPPINGSTART by {master.name}")


def rotate(master: Host) -> None:
    """As Nagios does it: what is older than the full hour goes into the archive of that hour, and something always is. Not in the
    hour's first minutes, since an archive of a moment ago is left to Nagios; and it stands still, or a line would be lost."""
    now = int(time.time())
    hour = (now - 120) // 3600 * 3600
    master.service("nagios").freeze()
    lines = [f"[{hour - 10}] SERVICE ALERT: web1;HTTP;OK;HARD;1;before the rotation", *master.read(LOG).splitlines()]
    older = [line for line in lines if line.startswith("[") and int(line[1:11]) < hour]
    head = [f"[{hour}] LOG ROTATION: HOURLY", f"[{hour}] LOG VERSION: 2.0"]
    name = time.strftime("nagios-%m-%d-%Y-%H.log", time.localtime(hour))
    for path, content in ((f"{ARCHIVES}/{name}", older), (LOG, [*head, *(line for line in lines if line not in older)])):
        master.run(f"cat > {path} && chown nagios:adm {path}", stdin="".join(f"{line}\n" for line in content))
    master.service("nagios").thaw()


@pytest.mark.parametrize("fault", FAULTS)
def test_every_mail_is_sent_once_over_each_failover(site: Site, fault: Callable[[Host], None]) -> None:
    """One after the other, to and fro: yasu, nabira, yasu, nabira. The repaired host's guard keeps it mute until it has joined."""
    old, new = site.roles()
    site.began = time.time()
    if fault in KILLED_AFTER:
        new.service("nagios").stop()
        new.run(["env", f"{CRASH_AFTER}={KILLED_AFTER[fault]}", "/usr/sbin/nagios4", "-d", "/etc/nagios4/nagios.cfg"])
        site.lab.wait(lambda: time.time() - pulled(new, old) < 4, 60, "the standby copies again")
    try:
        fail_over(site, old, new, fault)
        assert_the_log_has_all(site, old, new)
        doubled = {finding for finding in by_chance(site, new) if finding[0] == "more than once"}
    finally:
        mended = join_again(site, old, new, guard=True)  # for the next fault
    if fault is power_off:
        found = site.found(old, until=mended)
        assert set(found) <= doubled, f"the repaired host's own log tells what nobody could copy: {found}"
    told = ["PROBLEM by yasu"]
    if fault is FAULTS[-1]:
        site.set("OK", LASTING)
        site.wait_mail(LASTING, f"RECOVERY by {new.name}")
        told.append(f"RECOVERY by {new.name}")
    subjects = [mail.subject.split() for mail in site.lab.mails(f" {LASTING} is ")]
    assert [f"{words[0]} by {words[-1]}" for words in subjects] == told, "one incident over all failovers"


def fail_over(site: Site, old: Host, new: Host, fault: Callable[[Host], None]) -> None:
    lab = site.lab
    open_incidents(site, old)
    site.wait_copy(new, old)
    assert of(old, "web1/DISK")["_PLACE"] == "1;rack 9"
    assert set(site.incidents(new)) == set(site.incidents(old)), "the standby shows its copy"
    lab.wait(lambda: is_out_of_doubt(site, new, old), 30, "what was mailed was mailed long enough ago", poll=1)
    kept = {kind: all_of(old, kind, name) for kind, name in (("servicecomment", "web9/HTTP"), ("servicedowntime", "web4/HTTP"))}
    kept["well"] = [of(old, "web1/DISK")]
    flapped = site.mails("web10/LOAD")
    assert passive(new), "a flag that was toggled on the master switches no standby on"
    runs = failovers(new)
    end_downtime_soon(site, old)
    if fault is power_off:
        site.wait_copy(new, old)
    last_moment(site, old, fault)
    fault(old)
    site.set("OK", "web5/HTTP", "web7/LOAD", "web7/DISK")
    lab.wait(lambda: site.role(new) == "master", 45, f"{new.name} takes over")
    go_on(site, old, new)
    assert flags(new)["enable_notifications"] == "1"
    mailed = {name: dict(site.mails(name)) for name in expected(old.name, new.name)}
    assert mailed == expected(old.name, new.name), site.audit_of(new)
    assert site.mails("web8/HTTP")[f"PROBLEM by {old.name}"] >= 1
    assert site.mails("web10/LOAD") - flapped == {f"FLAPPINGSTOP by {new.name}": 1}
    what_came_along(new, kept)
    assert len([mail for mail in lab.mails(f"{new.name} is the master now") if mail.arrived >= site.began]) == 1
    assert failovers(new) == runs + 1, "one fault, one failover"
    judge(site, old, new, fault)


def assert_the_log_has_all(site: Site, old: Host, new: Host) -> None:
    """Of all role changes so far: no line missing, none doubled."""
    run = f"{STATE}/runs/$(ls {STATE}/runs | tail -1)"
    site.lab.wait(lambda: new.run(f'grep -c \'"event": "closed"\' {run}', check=False).stdout.strip() == "1", 60, "the run ends")
    here = Counter(alerts(new))
    site.logged |= here
    if old.is_on():
        assert Counter(alerts(old)) - here == Counter(), "lines of the old master are missing"
    assert site.logged - here == Counter(), "lines of an earlier master are missing"
    notifications = [line for line in here.elements() if "NOTIFICATION: " in line]
    assert [line for line, count in Counter(notifications).items() if count > 1] == [], "doubled"


def alerts(host: Host) -> list[str]:
    """Of its log and its archives."""
    lines = host.run(f"cat {ARCHIVES}/nagios-*.log {LOG} 2>&1", check=False).stdout.splitlines()
    return [line for line in lines if line.startswith("[") and (" ALERT: web" in line or " NOTIFICATION: oncall;web" in line)]


def last_moment(site: Site, old: Host, fault: Callable[[Host], None]) -> None:
    """What is under way when the master dies: web6 is SOFT, for seconds; where it is killed, web7's and host web9's were mailed in
    that very moment (web7's DISK and web9 have a single attempt). The fault has to follow at once."""
    if fault is kill:
        site.set("CRITICAL", "web7/HTTP", "web7/LOAD")
        site.check_now(old, "web7/HTTP", "web7/LOAD")
        wait_line(site, old, "SERVICE ALERT: web7;HTTP;CRITICAL;SOFT;2")
        site.set("CRITICAL", "web7/DISK")
        site.set("DOWN", "web9/HOST")
    site.set("CRITICAL", "web6/HTTP")
    site.check_now(old, "web6/HTTP", *(("web7/DISK", "web9/HOST") if fault is kill else ()))
    wait_line(site, old, "SERVICE ALERT: web6;HTTP;CRITICAL;SOFT")
    if fault is kill:
        for name in ("SERVICE NOTIFICATION: oncall;web7;HTTP;CRITICAL", "SERVICE NOTIFICATION: oncall;web7;LOAD;CRITICAL"):
            wait_line(site, old, name)
        wait_line(site, old, "SERVICE NOTIFICATION: oncall;web7;DISK;CRITICAL")
        wait_line(site, old, "HOST NOTIFICATION: oncall;web9;DOWN")
    if fault is clean_stop:
        rotate(old)


def is_out_of_doubt(site: Site, new: Host, old: Host) -> bool:
    """All but web8, which is notified again and again. After a power cut the last copy is all that is known: it ends with its
    status.dat, not with the pull."""
    known = known_until(new, old) - DOUBT_SECONDS
    if all(mail.arrived < known for mail in site.lab.mails(" is ") if " web8/" not in mail.subject):
        return True
    site.copy_now(new)
    return False


def wait_line(site: Site, host: Host, words: str) -> None:
    """That the host's Nagios logs these since the beginning."""

    def is_there() -> bool:
        lines = host.read(LOG)[-30000:].splitlines()
        return any(words in line and int(line[1:11]) >= site.began for line in lines if line.startswith("["))

    site.lab.wait(is_there, 15, f"{host.name} logs {words}", poll=0.02)


def go_on(site: Site, old: Host, new: Host) -> None:
    """The new master's day."""
    by_new = f"by {new.name}"
    site.wait_mail("web5/HTTP", f"RECOVERY {by_new}")
    site.wait_mail("web6/HTTP", f"PROBLEM {by_new}")
    for _ in range(15):
        site.command(new, "PROCESS_SERVICE_CHECK_RESULT;web10;LOAD;0;it is quiet")
    site.set("OK", "web2/HTTP", "web3/HTTP", "web4/HTTP", "web1/LOAD", "web12/HOST")
    site.set("CRITICAL", "web3/LOAD", "web3/DISK", "web4/DISK")
    site.check_now(new, "web12/HOST")
    for name, what in (
        ("web2/HTTP", "RECOVERY"),
        ("web3/HTTP", "RECOVERY"),
        ("web1/LOAD", "RECOVERY to second"),
        ("web12/HOST", "RECOVERY"),
        ("web12/LOAD", "PROBLEM"),
        ("web3/LOAD", "PROBLEM"),
        ("web10/LOAD", "FLAPPINGSTOP"),
    ):
        site.wait_mail(name, f"{what} {by_new}")
    for name, state in (("web4/HTTP", 0), ("web3/DISK", 2), ("web4/DISK", 2)):
        site.lab.wait(lambda name=name, state=state: site.is_hard(new, name, state), 20, f"{name} is HARD")  # type: ignore[misc]
    assert of(new, "web4/DISK")["scheduled_downtime_depth"] == "1", "the flexible downtime has begun"
    site.set("OK", "web3/DISK", "web4/DISK")
    site.wait_mail("web3/DISK", f"RECOVERY {by_new}")
    site.wait_mail("web4/LOAD", f"PROBLEM {by_new}", FIXED_SECONDS + 15)
    site.wait_mail("web8/HTTP", f"PROBLEM {by_new}", 40)
    site.lab.wait(lambda: of(new, "web4/DISK")["current_state"] == "0", 20, "web4/DISK is well")


def expected(old: str, new: str) -> dict[str, dict[str, int]]:
    once = {f"PROBLEM by {old}": 1}
    recovered = {**once, f"RECOVERY by {new}": 1}
    return {
        "web1/HTTP": once,  # open, already notified
        "web2/HTTP": recovered,  # recovers after the takeover
        "web3/HTTP": recovered,  # acknowledged, then recovers
        "web4/HTTP": {},  # in downtime, then recovers
        "web5/HTTP": recovered,  # recovered in the gap
        "web6/HTTP": {f"PROBLEM by {new}": 1},  # SOFT at death
        "web9/HTTP": once,
        "web10/HTTP": once,  # long output with semicolons
        "web11/HOST": once,  # a host that is DOWN
        "web12/HOST": recovered,
        "web12/LOAD": {f"PROBLEM by {new}": 1},  # a service of a host that is DOWN
        "web1/LOAD": {**once, f"PROBLEM to second by {old}": 1, f"RECOVERY to second by {new}": 1},  # escalated
        "web3/LOAD": {**once, f"PROBLEM by {new}": 1},  # a normal acknowledgement ends with the state
        "web3/DISK": recovered,  # a sticky one ends with the recovery
        "web4/LOAD": {f"PROBLEM by {new}": 1},  # its fixed downtime has ended
        "web4/DISK": {},  # its flexible one has begun
    }


def what_came_along(new: Host, kept: dict[str, list[dict[str, str]]]) -> None:
    assert of(new, "web10/HTTP")["plugin_output"].endswith(OUTPUT.replace(";", ":")), "Nagios itself makes colons of semicolons"
    assert int(of(new, "web8/HTTP")["current_notification_number"]) >= 2
    assert of(new, "web10/HTTP")["long_plugin_output"].startswith(LONG)
    well = of(new, "web1/DISK")
    assert well["_PLACE"] == "1;rack 9" and well["event_handler_enabled"] == "0"
    same = ("modified_attributes", "last_state_change", "last_hard_state_change")
    assert [well[name] for name in same] == [kept["well"][0][name] for name in same], "an object that is OK comes along, too"
    stay = [row["comment_data"] for row in kept["servicecomment"] if row["comment_data"] != "this one goes"]
    assert [row["comment_data"] for row in all_of(new, "servicecomment", "web9/HTTP")] == stay
    assert "this one goes" not in str(all_of(new, "servicecomment", "web9/HTTP"))
    downtimes = all_of(new, "servicedowntime", "web4/HTTP")
    assert len(downtimes) == len(kept["servicedowntime"]) == int(of(new, "web4/HTTP")["scheduled_downtime_depth"])
    assert "nagios-failover" not in {row["host_name"] for row in blocks(new, "hostdowntime")}


def by_chance(site: Site, new: Host) -> set[tuple[str, str, str]]:
    """web8 is notified again every 20 s: what was logged in the last seconds of a master's life is sent again. The event logs alone
    name it as in doubt, the mail log beside them as what it was; one that is not in doubt is a fault."""
    web8 = ("PROBLEM", "web8/HTTP")
    doubted = ("in doubt", *web8) in site.found(new, mail_log=False)
    return {("in doubt", *web8), ("more than once", *web8)} if doubted else set()


def judge(site: Site, old: Host, new: Host, fault: Callable[[Host], None]) -> None:
    """`incidents` tells who was notified by whom; the audit finds what is in doubt, and nothing else."""
    open_now = site.incidents(new)
    told = [(told["contact"], told["host"]) for told in open_now["web1/HTTP"]["notified"]]
    assert told == [("oncall", old.name)]
    assert [told["host"] for told in open_now["web12/LOAD"]["notified"]] == [new.name]
    assert "web2/HTTP" not in open_now
    found = site.found(new)
    if fault is power_off:
        assert {("in doubt", "RECOVERY", "web5/HTTP"), ("in doubt", "PROBLEM", "web6/HTTP")} <= set(found)
        assert {what for what, _, _ in set(found) - by_chance(site, new)} == {"in doubt"}
    elif fault is kill:
        assert site.mails("web7/HTTP")[f"PROBLEM by {new.name}"] == 1, "doubled beats lost"
        assert site.mails("web9/HOST")[f"PROBLEM by {new.name}"] == 1, "doubled beats lost, of a host that is still DOWN, too"
        for name in ("web7/LOAD", "web7/DISK"):
            assert site.mails(name)[f"RECOVERY by {new.name}"] == 1, "well already, and most likely mailed"
        in_doubt = {"web7/HTTP", "web7/LOAD", "web7/DISK", "web9/HOST"}
        assert {name for _, _, name in set(found) - by_chance(site, new)} <= in_doubt, site.audit_of(new)
        both_left = site.mails("web7/HTTP")[f"PROBLEM by {old.name}"] == 1
        assert (("more than once", "PROBLEM", "web7/HTTP") in found) is both_left, found
    else:
        assert set(found) <= by_chance(site, new), site.audit_of(new)


def failovers(host: Host) -> int:
    return len(acted(runs_of(host)))


def test_what_an_operator_switched_off_stays_off_and_is_said(site: Site) -> None:
    old, new = site.roles()
    site.began = time.time()
    site.command(old, "DISABLE_NOTIFICATIONS")
    moment = time.time()
    site.lab.wait(lambda: flags(old)["enable_notifications"] == "0", 20, "the master is mute")
    site.wait_copy(new, old)
    time.sleep(DOUBT_SECONDS)  # what the test before this one was mailed last is in no doubt when the master dies
    kill(old)
    site.lab.wait(lambda: site.role(new) == "master", 45, f"{new.name} takes over")
    told = lambda: [m for m in site.lab.mails(f"{new.name} is the master now") if m.arrived > moment]  # noqa: E731
    mail = site.lab.wait(told, 20, "the mail")[0]
    assert f"an operator had switched notifications off on {old.name}: kept as his override" in mail.body, mail.body
    assert flags(new)["enable_notifications"] == "0" and flags(new)["active_service_checks_enabled"] == "1"
    time.sleep(6)
    assert flags(new)["enable_notifications"] == "0", "the state watch leaves it to the operator"
    site.command(new, "ENABLE_NOTIFICATIONS")
    site.lab.wait(lambda: flags(new)["enable_notifications"] == "1", 10, "the operator gives it back")
    time.sleep(6)
    assert flags(new)["enable_notifications"] == "1"
    assert site.found(new) == [], site.audit_of(new)


def test_an_unfiltered_file_is_refused(site: Site) -> None:
    """Loaded, it would set the watch's own state anew, and take over again and again."""
    new = site.roles()[0]
    guard = (
        "import sys; from pathlib import Path; from nagios_failover.loadable import loadable\n"
        "list(loadable([Path(sys.argv[1]).read_bytes()], watch_host='nagios-failover'))"
    )
    for path in ("/var/lib/nagios4/status.dat", "/var/lib/nagios4/retention.dat"):
        done = new.run(["/opt/nagios-failover/bin/python", "-c", guard, path], check=False)
        assert done.returncode == 1 and "nagios_failover.errors.Refused: a " in done.stderr, done.stdout + done.stderr


def test_in_redundancy_mode_the_masters_history_wins_and_what_cannot_be_inherited_is_named() -> None:
    """Both check, so the standby knows of every incident, but not what was mailed. Each host has a service of its own, and a block
    of the last status.dat is garbled, as a dying disk would leave it."""
    with Lab.up(name=f"inherit-both-{os.getpid()}", mode="redundancy") as lab:
        follow_incidents(lab)
        site = Site(lab)
        old, new = site.roles()
        names = ("web1/HTTP", "web2/HTTP")
        has_alone(old, "web3", "OLD")
        has_alone(new, "web3", "NEW")
        site.set("CRITICAL", *names)
        for name in names:
            site.wait_mail(name, f"PROBLEM by {old.name}")
        lab.wait(lambda: site.is_hard(new, "web1/HTTP", 2), 20, "both see it")
        time.sleep(5)  # what was mailed is in no doubt, though the last status.dat is a second old
        kill(old)
        garble(old, "web5", "DISK")
        lab.wait(lambda: site.role(new) == "master", 45, f"{new.name} takes over")
        site.set("OK", "web2/HTTP")
        site.wait_mail("web2/HTTP", f"RECOVERY by {new.name}")
        time.sleep(8)
        assert dict(site.mails("web1/HTTP")) == {f"PROBLEM by {old.name}": 1}
        assert dict(site.mails("web2/HTTP")) == {f"PROBLEM by {old.name}": 1, f"RECOVERY by {new.name}": 1}
        assert site.found(new) == [], site.audit_of(new)
        mail = lab.wait(lambda: lab.mails(f"{new.name} is the master now"), 20, "the mail")[-1]
        not_here = "1 blocks of the snapshot are about objects that this host does not have; "
        others = "1 blocks of the snapshot are garbled; 2 objects of this host are not in the snapshot; among them: "
        named = ("web3/OLD (unknown here)", "web5/DISK (garbled)", "web3/NEW (not in the snapshot)")
        for told in (" ".join(mail.body.split()), new.run(f"cat {STATE}/runs/*").stdout):
            assert not_here + others in told and all(name in told for name in named), told


def has_alone(host: Host, name: str, service: str) -> None:
    """A service that the other host does not have."""
    more = f"define service {{\n    use  monitored-service\n    host_name  {name}\n    service_description  {service}\n}}\n"
    host.run(f"cat >> {OBJECTS}", stdin=more)
    host.run("kill -HUP $(sed -n 's/^.nagios_pid=//p' /var/lib/nagios4/status.dat)")


def garble(host: Host, name: str, service: str) -> None:
    path = "/var/lib/nagios4/status.dat"
    before, head, after = host.read(path).partition(f"\thost_name={name}\n\tservice_description={service}\n")
    assert "\tcurrent_state=0\n" in after.partition("}")[0]
    host.run(f"cat > {path}", stdin=before + head + after.replace("\tcurrent_state=0\n", "\tcurrent_state=0x\n", 1))
