"""The event logs over failovers to and fro, between real hosts: neither a gap nor a doubled line, and Nagios is never left stopped.

One pair; each test is a failover of its own, from whoever is the master to the other."""

from __future__ import annotations

import html
import os
import random
import re
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.lab import Host, Lab, why_not
from tests.lab.suite import CONFIG, STATE
from tests.takeover import last_look, role_of

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

LOG = "/var/log/nagios4/nagios.log"
ARCHIVES = "/var/log/nagios4/archives"
CHECK = "/opt/nagios-failover/bin/check_state_sync"
CGI = "/usr/lib/cgi-bin/nagios4"
DAY = 86_400


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(name=f"merge-{os.getpid()}") as lab:
        for host in (lab.yasu, lab.nabira):
            text = host.read(CONFIG).replace("#watch = no\n# Of one pull", "watch = yes\n# Of one pull")
            host.write(CONFIG, text, owner="root", group="nagios", mode=0o640)
        yield lab


class Failover:
    """One failover with all that was in the logs before it."""

    def __init__(self, lab: Lab, *, crash_after: str = "") -> None:
        self.lab = lab
        self.old, self.new = (lab.yasu, lab.nabira) if lab.yasu.nagios_pid() else (lab.nabira, lab.yasu)
        if self.new.nagios_pid():  # the first one
            self.old, self.new = lab.yasu, lab.nabira
        self.restart(self.new, f"NAGIOS_FAILOVER_CRASH_AFTER='{crash_after}' ")
        lab.wait(lambda: str(role_of(self.new)) == "standby" and last_look(self.old) == "OK", 60, f"{self.new.name} joins")
        wait_for_a_copy(lab, self.old, self.new)

    def restart(self, host: Host, environment: str) -> None:
        if host.nagios_pid():
            host.service("nagios").stop()
        host.run(f"{environment}/usr/sbin/nagios4 -d /etc/nagios4/nagios.cfg")

    def run(self) -> str:
        """Kill the old master's Nagios; returns what the run's last step says, when it has come to it."""
        self.kill()
        self.lab.wait(lambda: str(role_of(self.new)) == "master", 45, f"{self.new.name} takes over")
        return self.merged()

    def kill(self) -> None:
        """This host's own is read first, before the run changes it: the dead one's log stays as it is."""
        self.old.service("nagios").kill9()
        self.inode = inode(self.new)
        self.ours = lines(self.new)
        self.theirs = lines(self.old)

    def merged(self) -> str:
        self.lab.wait(lambda: closed(self.new), 60, "the run is at its end")
        return step(self.new, "merge logs")

    def assert_one_history(self) -> None:
        """Each line of both once, in order of time, in the same file, and Nagios logs on into it."""
        found = lines(self.new)
        moments = [moment(line) for line in found]
        assert moments == sorted(moments)
        assert "\0" not in "".join(found)
        assert missing(self.theirs, found) == [], "the old master's lines"
        assert [line for line in missing(self.ours, found) if not says_nothing(line)] == [], "this host's own lines"
        theirs, ours = Counter(self.theirs), Counter(self.ours)
        before = [line for line in found if moment(line) < moment(self.theirs[-1])]
        assert [line for line, count in Counter(before).items() if count > max(theirs[line], ours[line])] == [], "doubled"
        self.assert_nagios_logs_on()

    def assert_nagios_logs_on(self) -> None:
        assert inode(self.new) == self.inode
        pid = self.new.nagios_pid()
        assert pid and self.new.run(f"ps -o stat= -p {pid}").stdout.strip()[:1] != "T"
        mark = f"logged on {time.time():.3f}"
        self.new.run(f'echo "[$(date +%s)] LOG;{mark}" > /var/lib/nagios4/rw/nagios.cmd')
        self.lab.wait(lambda: mark in self.new.read(LOG), 10, "Nagios logs on")


def wait_for_a_copy(lab: Lab, master: Host, standby: Host) -> None:
    """By a pull of our own: one of Nagios's may have begun before what is to be copied was there."""
    said: list[str] = []

    def copied() -> bool:
        said[:] = [standby.run(CHECK, user="nagios", check=False, timeout=60).stdout]
        return f"the copy of {master.name}'s state is " in said[0] and "not renewed" not in said[0]

    lab.wait(copied, 60, f"{standby.name} has copied {master.name}'s log", shown=lambda: said[0])


def lines(host: Host) -> list[str]:
    """The whole lines of its event log and, before them, of its archives."""
    text = host.run(f"cat {ARCHIVES}/*.log {LOG} 2>/dev/null || true").stdout
    return text[: text.rfind("\n") + 1].splitlines()


def moment(line: str) -> int:
    return int(line[1:11])


def says_nothing(line: str) -> bool:
    return bool(
        re.match(r"\[\d+\] (?:(?:CURRENT|INITIAL) \w+ STATE: web|Warning: The results of .* I'm forcing an immediate)", line)
    )


def missing(before: list[str], after: list[str]) -> list[str]:
    return list((Counter(before) - Counter(after)).elements())


def inode(host: Host) -> int:
    return int(host.run(["stat", "-c", "%i", LOG]).stdout)


def closed(host: Host) -> bool:
    return '"event": "closed"' in journal(host)


def journal(host: Host) -> str:
    return host.run(f"cat {STATE}/runs/$(ls {STATE}/runs | tail -1)").stdout


def step(host: Host, name: str) -> str:
    newest = host.run(f"nagios-failover history $(ls {STATE}/runs | tail -1 | cut -d. -f1)").stdout
    return next(line for line in newest.splitlines() if line.startswith(name))


def cgi(on: Host, name: str, **query: object) -> str:
    text = "&".join(f"{key}={value}" for key, value in query.items()).replace(" ", "+")
    done = on.run(
        [f"{CGI}/{name}.cgi"], user="root", env={"REQUEST_METHOD": "GET", "QUERY_STRING": text, "REMOTE_USER": "nagiosadmin"}
    )
    return done.stdout


def shown(host: Host, archive: int = 0) -> list[str]:
    """The lines that showlog shows, as they stand in the log, oldest first."""
    page = cgi(host, "showlog", archive=archive, oldestfirst="on")
    rows = re.findall(r"<img align='left'[^>]*>\[([^\]]*)\]  (.*?)<br", page)
    return [f"[{int(time.mktime(time.strptime(stamp, '%m-%d-%Y %H:%M:%S')))}] {html.unescape(text)}" for stamp, text in rows]


def seconds_of(page: str, state: str) -> int:
    """The total of a state in avail's table."""
    total = re.search(r">Total</td><td[^>]*>(\d+)d (\d+)h (\d+)m (\d+)s<", page.partition(f">{state}<")[2])
    assert total is not None, page
    days, hours, minutes, seconds = map(int, total.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def test_one_history_and_the_reports_show_it(lab: Lab) -> None:
    failover = Failover(lab)
    lab.set_state("web1", "HTTP", "CRITICAL")
    lab.wait(lambda: "SERVICE ALERT: web1;HTTP;CRITICAL;HARD" in failover.old.read(LOG), 30, "web1 is HARD CRITICAL")
    said = failover.run()
    assert " done " in said and "Nagios stood still for " in said, said
    failover.assert_one_history()
    new = failover.new
    lab.set_state("web1", "HTTP", "OK")
    lab.wait(lambda: "SERVICE ALERT: web1;HTTP;OK" in new.read(LOG), 30, "web1 recovers here")
    time.sleep(3)
    page, log = shown(new), lines(new)
    assert page == [line for line in log if moment(line) <= moment(page[-1])][: len(page)] and len(page) > len(failover.theirs)
    began = next(moment(line) for line in log if "SERVICE ALERT: web1;HTTP;CRITICAL;HARD" in line)
    ended = next(moment(line) for line in log if "SERVICE ALERT: web1;HTTP;OK" in line)
    period = {"t1": began, "t2": ended + 2}
    page_of = cgi(new, "avail", host="web1", service="HTTP", backtrack=0, assumeinitialstates="no", **period)
    assert {state: seconds_of(page_of, state) for state in ("OK", "CRITICAL", "UNKNOWN", "Undetermined")} == {
        "OK": 2, "CRITICAL": ended - began, "UNKNOWN": 0, "Undetermined": 0,
    }  # fmt: skip
    for name in ("trends", "histogram"):
        page_of = cgi(new, name, host="web1", service="HTTP", **period)
        assert "web1" in page_of and "rror" not in page_of, page_of
        assert is_an_image(new, name, period)


def is_an_image(host: Host, name: str, period: dict[str, int]) -> bool:
    query = f"createimage&host=web1&service=HTTP&t1={period['t1']}&t2={period['t2']}"
    said = host.run(f"REQUEST_METHOD=GET REMOTE_USER=nagiosadmin QUERY_STRING='{query}' {CGI}/{name}.cgi | od -An -c").stdout
    return "".join(said.split()).find("image/png\\r\\n\\r\\n211PNG") > 0


def test_rotated_on_both_hosts_and_killed_while_it_copies(lab: Lab) -> None:
    """Yesterday's archive has the same name here and there; another one is only there."""
    failover = Failover(lab, crash_after="merge logs: copying")
    midnight = int(time.mktime((*time.localtime()[:3], 0, 0, 0, 0, 0, -1)))
    names = [time.strftime("nagios-%m-%d-%Y-00.log", time.localtime(midnight - days * DAY)) for days in (0, 1)]
    write_archive(failover.old, names[0], [f"[{midnight - 7000 + n}] SERVICE ALERT: web2;HTTP;OK;HARD;1;{n}" for n in range(50)])
    write_archive(failover.old, names[1], [f"[{midnight - DAY - 50}] SERVICE ALERT: web2;HTTP;CRITICAL;HARD;3;x"])
    own = [
        f"[{midnight - 7000 + n}] {'CURRENT SERVICE STATE: web2;HTTP;OK;HARD;1;' if n % 2 else 'LOG VERSION: '}{n}"
        for n in range(9)
    ]
    write_archive(failover.new, names[0], own)
    wait_for_a_copy(lab, failover.old, failover.new)
    said = failover.run()
    assert " done " in said and "'s nagios.log is in this host's own already" in said, "the killed one had been gone on with first"
    assert '"event": "resumed"' in journal(failover.new)
    failover.assert_one_history()
    listing = failover.new.run(f"stat -c '%n %U %G %a' {ARCHIVES}/*").stdout
    as_the_log = failover.new.run(["stat", "-c", "%U %G %a", LOG]).stdout
    assert sorted(listing.splitlines(keepends=True)) == sorted(
        [f"{ARCHIVES}/{names[0]} nagios adm 640\n", f"{ARCHIVES}/{names[1]} {as_the_log}"]
    ), "one that is new here is as the log is"
    yesterday = shown(failover.new, archive=1)
    assert yesterday == failover.new.read(f"{ARCHIVES}/{names[0]}").splitlines() and len(yesterday) == 55


def write_archive(host: Host, name: str, text: list[str]) -> None:
    host.write(f"{ARCHIVES}/{name}", "\n".join([*text, ""]), owner="nagios", group="adm", mode=0o640)


def test_nagios_goes_on_when_its_holder_is_killed_and_that_is_mailed(lab: Lab) -> None:
    failover = Failover(lab, crash_after="merge logs: held")
    said = failover.run()
    assert " failed " in said and "was not held still: that was cut short" in said, said
    failover.assert_nagios_logs_on()
    assert missing(failover.ours, lines(failover.new)) == []
    mail = lab.wait(lambda: lab.mails(f"{failover.new.name}: merge logs failed"), 20, "the mail")[0]
    assert "was not held still: that was cut short" in mail.body


def test_a_big_merge_that_is_killed_again_and_again(lab: Lab) -> None:
    """What the failover before could not merge comes with it."""
    failover = Failover(lab)
    failover.old.run(
        "awk 'BEGIN { for (n = 0; n < 400000; n++) print \"[0] SERVICE ALERT: web3;HTTP;OK;SOFT;1;number \" n }' > /tmp/lines"
    )
    # it stands still, for no longer than a master may: or a line of its own falls into the middle of one of these, or is younger
    # than they are
    failover.old.service("nagios").freeze()
    failover.old.run(f'LC_ALL=C sed "s/^.0./[$(date +%s)]/" /tmp/lines >> {LOG}')
    failover.old.service("nagios").thaw()
    wait_for_a_copy(lab, failover.old, failover.new)
    failover.kill()
    chance = random.Random(6)
    lab.wait(
        lambda: '"started"' in journal(failover.new) and '"step": "merge logs"' in journal(failover.new), 45, "it merges", poll=0.02
    )
    for _ in range(6):
        time.sleep(chance.uniform(0.0, 1.5))
        failover.new.run(f"kill -9 $(cat {STATE}/run.lock)", check=False)
    failover.merged()
    failover.assert_one_history()
