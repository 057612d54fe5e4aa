"""Open incidents follow a failover: each mail is counted at the mail sink, whoever sent it. Real hosts, real faults.

Each failover carries all the cases, each case on a host of its own; the repaired master takes over again at the next.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.lab import Host, Lab, why_not
from tests.lab.suite import CONFIG, STATE

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

BIN = "/opt/nagios-failover/bin"
OBJECTS = "/etc/nagios4/conf.d"
COMMAND_FILE = "/var/lib/nagios4/rw/nagios.cmd"
LOG = "/var/log/nagios4/nagios.log"
OUTPUT = "no answer; tried: 3; last: 'refused'; see http://wiki/HTTP?a=1;b=2"


class Site:
    """The pair, its mails and what its Nagios says of an object."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.began = time.time()
        self.logged: Counter[str] = Counter()
        """Every line about a monitored object that either host has logged by itself, as often as it did."""

    def mails(self, host: str) -> Counter[str]:
        """The mails about a monitored host's HTTP (or the host itself) since the beginning: `PROBLEM by yasu` -> how many."""
        found: Counter[str] = Counter()
        for mail in self.lab.mails(f" {host}/"):
            if mail.arrived >= self.began and "oncall@witness" in mail.to:
                found[f"{mail.subject.split()[0]} by {mail.subject.split()[-1]}"] += 1
        return found

    def wait_mail(self, host: str, what: str, seconds: float = 30) -> None:
        self.lab.wait(lambda: self.mails(host)[what], seconds, f"{what} about {host}; so far {self.mails(host)}")

    def command(self, on: Host, text: str) -> None:
        on.run(f'echo "[$(date +%s)] {text}" > {COMMAND_FILE}')

    def check_now(self, on: Host, host: str, service: str = "HTTP") -> None:
        self.command(on, f"SCHEDULE_FORCED_SVC_CHECK;{host};{service};{int(time.time())}")

    def role(self, host: Host) -> str:
        return dict(line.split("=", 1) for line in host.read(f"{STATE}/role").splitlines())["role"]


def blocks(host: Host, kind: str) -> list[dict[str, str]]:
    """The blocks of this kind in the host's status.dat."""
    found = []
    for block in host.read("/var/lib/nagios4/status.dat").split("\t}\n\n"):
        lines = block.strip("\n").split("\n")
        if f"{kind} {{" in lines:
            found.append(dict(line[1:].split("=", 1) for line in lines[lines.index(f"{kind} {{") + 1 :]))
    return found


def http(host: Host, name: str) -> dict[str, str]:
    rows = blocks(host, "servicestatus")
    return next(row for row in rows if (row["host_name"], row["service_description"]) == (name, "HTTP"))


def of(host: Host, kind: str, name: str) -> list[dict[str, str]]:
    return [row for row in blocks(host, kind) if row["host_name"] == name]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Lab.up(name=f"inherit-{os.getpid()}") as lab:
        configure(lab)
        for host in (lab.yasu, lab.nabira):
            host.run(
                f"sed -i '/host_name  *web8$/{{n;s/service_description  *HTTP$/&\\n    notification_interval 20/}}' {OBJECTS}/*.cfg"
                " && kill -HUP $(sed -n 's/^.nagios_pid=//p' /var/lib/nagios4/status.dat)"
            )
        time.sleep(3)
        yield Site(lab)


def configure(lab: Lab) -> None:
    for host in (lab.yasu, lab.nabira):
        text = host.read(CONFIG).replace("#watch = no\n# Of one pull", "watch = yes\n# Of one pull")
        host.write(CONFIG, text, owner="root", group="nagios", mode=0o640)


def open_incidents(site: Site, master: Host) -> None:
    """Everything that may be open when a master dies."""
    lab = site.lab
    for name in ("web1", "web2", "web3", "web5", "web8", "web9"):
        lab.set_state(name, "HTTP", "CRITICAL")
    lab.set_state("web10", "HTTP", "CRITICAL", OUTPUT)
    now = int(time.time())
    site.command(master, f"SCHEDULE_SVC_DOWNTIME;web4;HTTP;{now - 5};{now + 3000};1;0;3005;me;planned; really")
    site.command(master, "ADD_SVC_COMMENT;web9;HTTP;1;me;this one stays; it does")
    site.command(master, "ADD_SVC_COMMENT;web9;HTTP;1;me;this one goes")
    lab.set_state("web11", "HOST", "DOWN")
    for _ in range(4):  # its own first check may be minutes away after a reload
        site.command(master, f"SCHEDULE_FORCED_HOST_CHECK;web11;{int(time.time())}")
        time.sleep(1)
    for name in ("web1", "web2", "web3", "web5", "web8", "web9", "web10", "web11"):
        site.wait_mail(name, f"PROBLEM by {master.name}", 40)
    lab.set_state("web4", "HTTP", "CRITICAL")
    lab.wait(lambda: http(master, "web4")["state_type"] == "1" and http(master, "web4")["current_state"] == "2", 30, "web4 is HARD")
    site.command(master, "ACKNOWLEDGE_SVC_PROBLEM;web3;HTTP;2;0;1;me;known; being mended")
    goes = next(row for row in of(master, "servicecomment", "web9") if row["comment_data"] == "this one goes")
    site.command(master, f"DEL_SVC_COMMENT;{goes['comment_id']}")
    site.command(master, "DISABLE_NOTIFICATIONS")
    site.command(master, "ENABLE_NOTIFICATIONS")


def kill(host: Host) -> None:
    host.service("nagios").kill9()


def freeze(host: Host) -> None:
    host.service("nagios").freeze()


def clean_stop(host: Host) -> None:
    host.service("nagios").stop()


def power_off(host: Host) -> None:
    host.off()


@pytest.mark.parametrize("fault", [kill, freeze, clean_stop, power_off])
def test_every_mail_is_sent_once_over_each_failover(site: Site, fault: Callable[[Host], None]) -> None:
    """One after the other, to and fro: yasu, nabira, yasu, nabira."""
    old, new = roles(site)
    if fault is freeze:  # and this run is killed when it has loaded the incidents, and finished by the next call
        new.service("nagios").stop()
        new.run("NAGIOS_FAILOVER_CRASH_AFTER=inherit /usr/sbin/nagios4 -d /etc/nagios4/nagios.cfg")
        site.lab.wait(lambda: time.time() - pulled(new, old) < 4, 40, "the standby copies again")
    fail_over(site, old, new, fault)
    assert_the_log_has_all(site, old, new)
    join_again(site, old, new)


def test_what_an_operator_switched_off_stays_off_and_is_said(site: Site) -> None:
    old, new = roles(site)
    site.command(old, "DISABLE_NOTIFICATIONS")
    moment = time.time()
    site.lab.wait(lambda: flags(old)["enable_notifications"] == "0", 20, "the master is mute")
    site.lab.wait(lambda: pulled(new, old) > moment + 2, 30, "the copy knows it")
    kill(old)
    site.lab.wait(lambda: site.role(new) == "master", 45, f"{new.name} takes over")
    told = lambda: [m for m in site.lab.mails(f"{new.name} is the master now") if m.arrived > moment]  # noqa: E731
    mail = site.lab.wait(told, 20, "the mail")[0]
    assert f"an operator had switched notifications off on {old.name}: kept as his override" in mail.body
    assert flags(new)["enable_notifications"] == "0" and flags(new)["active_service_checks_enabled"] == "1"
    time.sleep(6)
    assert flags(new)["enable_notifications"] == "0", "the state watch leaves it to the operator"
    site.command(new, "ENABLE_NOTIFICATIONS")
    site.lab.wait(lambda: flags(new)["enable_notifications"] == "1", 10, "the operator gives it back")
    time.sleep(6)
    assert flags(new)["enable_notifications"] == "1"


def test_in_redundancy_mode_the_masters_history_wins() -> None:
    """Both check, so the standby knows of every incident, but not what was mailed."""
    with Lab.up(name=f"inherit-both-{os.getpid()}", mode="redundancy") as lab:
        configure(lab)
        site = Site(lab)
        old, new = roles(site)
        lab.set_state("web1", "HTTP", "CRITICAL")
        lab.set_state("web2", "HTTP", "CRITICAL")
        for name in ("web1", "web2"):
            site.wait_mail(name, f"PROBLEM by {old.name}")
        lab.wait(lambda: http(new, "web1")["state_type"] == "1" and http(new, "web1")["current_state"] == "2", 20, "both see it")
        time.sleep(3)
        kill(old)
        lab.wait(lambda: site.role(new) == "master", 45, f"{new.name} takes over")
        lab.set_state("web2", "HTTP", "OK")
        site.wait_mail("web2", f"RECOVERY by {new.name}")
        time.sleep(8)
        assert dict(site.mails("web1")) == {f"PROBLEM by {old.name}": 1}
        assert dict(site.mails("web2")) == {f"PROBLEM by {old.name}": 1, f"RECOVERY by {new.name}": 1}


def roles(site: Site) -> tuple[Host, Host]:
    """The master, the standby."""
    lab = site.lab
    return (lab.yasu, lab.nabira) if site.role(lab.yasu) == "master" else (lab.nabira, lab.yasu)


def join_again(site: Site, old: Host, new: Host) -> None:
    """Everything is well, the old master is repaired and copies the new one's state; what was mailed until then is forgotten."""
    lab = site.lab
    for number in range(1, 13):
        lab.set_state(f"web{number}", "HTTP", "OK")
    lab.set_state("web11", "HOST", "UP")
    site.command(new, f"SCHEDULE_FORCED_HOST_CHECK;web11;{int(time.time())}")
    lab.wait(lambda: not any(row["current_state"] != "0" for row in monitored(new)), 60, "everything is well again")
    if not old.is_on():
        old.on()
    if old.nagios_pid():
        old.service("nagios").kill9()
    old.service("nagios").start()
    lab.wait(
        lambda: site.role(old) == "standby" and flags(old)["enable_notifications"] == "0", 40, f"{old.name} joins as the standby"
    )
    moment = time.time()
    lab.wait(lambda: pulled(old, new) > moment, 40, f"{old.name} copies {new.name}'s state")
    site.began = time.time()


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
    found = [line for line in host.read(LOG).splitlines() if " ALERT: web" in line or " NOTIFICATION: oncall;web" in line]
    return [line for line in found if line.startswith("[")]


def monitored(host: Host) -> list[dict[str, str]]:
    rows = [*blocks(host, "servicestatus"), *blocks(host, "hoststatus")]
    return [row for row in rows if row["host_name"].startswith("web")]


def fail_over(site: Site, old: Host, new: Host, fault: Callable[[Host], None]) -> None:
    lab = site.lab
    open_incidents(site, old)
    moment = time.time()
    lab.wait(lambda: pulled(new, old) > moment + 2, 30, "a copy that has it all")
    lab.set_state("web6", "HTTP", "CRITICAL")
    site.check_now(old, "web6")
    lab.wait(lambda: "SERVICE ALERT: web6;HTTP;CRITICAL;SOFT" in since_the_start(old.read(LOG)), 10, "web6 is SOFT", poll=0.02)
    kept = {kind: of(old, kind, name) for kind, name in (("servicecomment", "web9"), ("servicedowntime", "web4"))}
    assert passive(new), "a flag that was toggled on the master switches no standby on"
    fault(old)
    lab.set_state("web5", "HTTP", "OK")
    lab.wait(lambda: site.role(new) == "master", 45, f"{new.name} takes over")
    site.wait_mail("web5", f"RECOVERY by {new.name}")
    site.wait_mail("web6", f"PROBLEM by {new.name}")
    site.wait_mail("web8", f"PROBLEM by {new.name}", 40)
    lab.set_state("web2", "HTTP", "OK")
    lab.set_state("web3", "HTTP", "OK")
    lab.set_state("web4", "HTTP", "OK")
    site.wait_mail("web2", f"RECOVERY by {new.name}")
    site.wait_mail("web3", f"RECOVERY by {new.name}")
    lab.wait(lambda: http(new, "web4")["current_state"] == "0", 20, "web4 is well")
    assert flags(new)["enable_notifications"] == "1"
    run = new.run(f"cat {STATE}/runs/$(ls {STATE}/runs | tail -1)").stdout
    once = {f"PROBLEM by {old.name}": 1}
    recovered = {**once, f"RECOVERY by {new.name}": 1}
    expected: dict[str, dict[str, int]] = {
        "web1": once,  # open, already notified
        "web2": recovered,  # recovers after the takeover
        "web3": recovered,  # acknowledged, then recovers
        "web4": {},  # in downtime, then recovers
        "web5": recovered,  # recovered in the gap
        "web6": {f"PROBLEM by {new.name}": 1},  # SOFT at death
        "web9": once,
        "web10": once,  # long output with semicolons
        "web11": once,  # a host that is DOWN
    }
    assert {name: dict(site.mails(name)) for name in expected} == expected, run
    assert site.mails("web8")[f"PROBLEM by {old.name}"] >= 1
    assert http(new, "web10")["plugin_output"].endswith(OUTPUT.replace(";", ":")), "Nagios itself makes colons of semicolons"
    assert http(new, "web8")["current_notification_number"] >= "2"
    stay = [row["comment_data"] for row in kept["servicecomment"] if row["comment_data"] != "this one goes"]
    assert [row["comment_data"] for row in of(new, "servicecomment", "web9")] == stay
    assert "this one goes" not in str(of(new, "servicecomment", "web9"))
    assert (
        len(of(new, "servicedowntime", "web4"))
        == len(kept["servicedowntime"])
        == int(http(new, "web4")["scheduled_downtime_depth"])
    )
    assert lab.mails(f"{new.name} is the master now")


def since_the_start(log: str) -> str:
    return log[-20000:]


def pulled(new: Host, old: Host) -> float:
    """When the standby last pulled; 0 for never."""
    try:
        record = dict(line.split("=", 1) for line in new.read(f"{STATE}/sync/{old.name}/record").splitlines())
    except FileNotFoundError:
        return 0.0
    return float(record["pulled"])


def passive(host: Host) -> bool:
    return flags(host)["enable_notifications"] == "0" and flags(host)["active_service_checks_enabled"] == "0"


def flags(host: Host) -> dict[str, str]:
    return host.nagios_flags()
