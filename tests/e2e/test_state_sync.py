"""check_state_sync between real hosts: whatever happens over there or in between, the copy is never left worse than it was."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator

import pytest

from tests.lab import Host, Lab, why_not
from tests.lab.suite import CONFIG, STATE, Options, with_options

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

CHECK = "/opt/nagios-failover/bin/check_state_sync"
COPY = f"{STATE}/sync/yasu"
LOG = "/var/log/nagios4/nagios.log"
ARCHIVES = "/var/log/nagios4/archives"
STATUS = "/var/lib/nagios4/status.dat"
PATIENT = {("sync", "timeout"): "50", ("ssh", "timeout"): "10", ("look", "timeout"): "12"}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """nabira's own Nagios is stopped: the test alone says when something is copied."""
    with Lab.up(name=f"sync-{os.getpid()}") as lab:
        for host in (lab.yasu, lab.nabira):
            configure(host, {("sync", "watch"): "yes", **PATIENT})
        lab.nabira.service("nagios").stop()
        yield lab


def configure(host: Host, options: Options) -> None:
    host.write(CONFIG, with_options(host.read(CONFIG), options), owner="root", group="nagios", mode=0o640)


@pytest.fixture(autouse=True)
def a_good_copy(lab: Lab) -> None:
    code, output = check(lab.nabira)
    assert code == 0 and "not renewed" not in output, output


def check(host: Host) -> tuple[int, str]:
    done = host.run([CHECK], user="nagios", check=False, timeout=90)
    return done.returncode, done.stdout


def copied_log(host: Host) -> str:
    return host.read(f"{COPY}/incoming/nagios.log")


def is_whole(host: Host) -> bool:
    text = host.read(f"{COPY}/status.dat")
    return text.endswith("\t}\n\n") and "contactstatus {" in text


def test_it_says_how_old_the_copy_is(lab: Lab) -> None:
    code, output = check(lab.nabira)
    assert code == 0 and output.startswith("SYNC OK - nabira: the copy of yasu's state is ")
    assert " s old (status.dat " in output and "| age=" in output and "s;60;300;0 drift=0;;;0 log_size=" in output
    assert lab.yasu.read(LOG).startswith(copied_log(lab.nabira))
    assert is_whole(lab.nabira)


def test_the_masters_own_check_copies_nothing(lab: Lab) -> None:
    assert check(lab.yasu) == (0, "SYNC OK - yasu: role master (term 1): nothing is copied\n")
    assert not lab.yasu.exists(f"{STATE}/sync")


def test_a_rotation_is_followed_and_loses_nothing(lab: Lab) -> None:
    before = lab.yasu.read(LOG)
    name = time.strftime("nagios-%m-%d-%Y-00.log")
    now = int(time.time())
    lab.yasu.run(f"cp -p {LOG} {ARCHIVES}/{name}; printf '[{now}] LOG ROTATION: DAILY\\n[{now}] LOG VERSION: 2.0\\n' > {LOG}")
    code, output = check(lab.nabira)
    assert code == 0 and "not renewed" not in output, output
    assert copied_log(lab.nabira).startswith(f"[{now}] LOG ROTATION: DAILY\n")
    assert lab.nabira.read(f"{COPY}/incoming/archives/{name}").startswith(before)
    assert not lab.nabira.exists(f"{COPY}/log.1"), "its archive has come"


def test_links_old_archives_and_odd_names_are_left_there(lab: Lab) -> None:
    today = time.strftime("nagios-%m-%d-%Y")
    lab.yasu.run(
        f"ln -s /etc/passwd {ARCHIVES}/{today}-01.log; echo '[1] x' > {ARCHIVES}/nagios-01-01-2005-00.log;"
        f" printf '[2] y\\n' > \"$(printf '{ARCHIVES}/{today}\\n-02.log')\""
    )
    code, output = check(lab.nabira)
    assert code == 0, output
    names = lab.nabira.run(f"ls -b {COPY}/incoming/archives").stdout
    assert f"{today}-01.log" not in names and "2005" not in names
    assert "root:" not in lab.nabira.run(f"cat {COPY}/incoming/archives/*").stdout


def test_a_connection_lost_in_the_middle_leaves_a_copy_that_is_gone_on_with(lab: Lab) -> None:
    lab.yasu.run(f"head -c 40000000 /dev/urandom | base64 -w 200 | sed 's/^/[{int(time.time())}] /' >> {LOG}", timeout=60)
    configure(lab.nabira, {("sync", "timeout"): "12"})
    said: list[tuple[int, str]] = []
    before = copied_log(lab.nabira)
    thread = threading.Thread(target=lambda: said.append(check(lab.nabira)))
    thread.start()
    try:
        lab.wait(lambda: size(lab.nabira) > len(before) + 100_000, 20, "some of it has come", poll=0.02)
        lab.cut("nabira", "yasu")
        thread.join(90)
        part = copied_log(lab.nabira)
        assert said[0][1].find("not renewed: yasu: the pull failed: ") > 0, said
        assert lab.yasu.read(LOG).startswith(part) and is_whole(lab.nabira)
    finally:
        lab.mend("nabira", "yasu")
        configure(lab.nabira, PATIENT)
    code, output = check(lab.nabira)
    assert code == 0 and "not renewed" not in output, output
    assert lab.yasu.read(LOG).startswith(copied_log(lab.nabira)) and size(lab.nabira) > 40_000_000


def test_a_status_that_is_written_anew_and_smaller_during_the_pull_is_copied(lab: Lab) -> None:
    nagios = lab.yasu.service("nagios")
    nagios.freeze()
    lab.yasu.run(f"cp -p {STATUS} /tmp/small; {{ echo '# larger'; cat {STATUS}; }} > /tmp/large; mv /tmp/large {STATUS}")
    lab.yasu.run(f"head -c 20000000 /dev/urandom | base64 -w 200 | sed 's/^/[{int(time.time())}] /' >> {LOG}", timeout=60)
    said: list[tuple[int, str]] = []
    before, small = size(lab.nabira), lab.yasu.read("/tmp/small")
    thread = threading.Thread(target=lambda: said.append(check(lab.nabira)))
    thread.start()
    lab.wait(lambda: size(lab.nabira) > before, 20, "the log comes, and behind it the status", poll=0.02)
    lab.yasu.run(f"mv /tmp/small {STATUS}")
    thread.join(90)
    nagios.thaw()
    assert said[0][0] == 0 and "not renewed" not in said[0][1], said
    assert lab.nabira.read(f"{COPY}/status.dat") == small


def size(host: Host) -> int:
    return int(host.run(f"stat -c %s {COPY}/incoming/nagios.log").stdout)


def test_a_full_disk_here_leaves_the_copy_whole(lab: Lab) -> None:
    lab.yasu.run(f"head -c 3000000 /dev/urandom | base64 -w 200 | sed 's/^/[{int(time.time())}] /' >> {LOG}")
    lab.nabira.fill()
    _, output = check(lab.nabira)
    whole = is_whole(lab.nabira)
    lab.nabira.unfill()
    assert "not renewed" in output and whole, output
    code, output = check(lab.nabira)
    assert code == 0 and "not renewed" not in output
    assert lab.yasu.read(LOG).startswith(copied_log(lab.nabira))


def test_files_cut_off_over_there_take_nothing_away_here(lab: Lab) -> None:
    kept, log = lab.nabira.read(f"{COPY}/status.dat"), copied_log(lab.nabira)
    lab.yasu.service("nagios").freeze()
    lab.yasu.run(f"head -c 20000 {STATUS} > /tmp/cut; cat /tmp/cut > {STATUS}; head -c 1000 {LOG} > /tmp/cut; cat /tmp/cut > {LOG}")
    _, output = check(lab.nabira)
    assert "not renewed" in output, output
    assert lab.nabira.read(f"{COPY}/status.dat") == kept and lab.nabira.read(f"{COPY}/log.1") == log
    assert copied_log(lab.nabira) == log[:1000], "a log that was cut short in its place is gone on with"
    lab.yasu.service("nagios").thaw()
    lab.yasu.run(f"printf '[{int(time.time())}] LOG VERSION: 2.0\\n' > {LOG}")
    lab.wait(lambda: "not renewed" not in check(lab.nabira)[1], 20, "the next whole one is copied")


def test_nothing_is_copied_from_a_standby(lab: Lab) -> None:
    role = lab.yasu.read(f"{STATE}/role")
    lab.yasu.service("nagios").freeze()
    lab.yasu.write(f"{STATE}/role", role.replace("role=master", "role=standby"), owner="nagios", group="adm", mode=0o640)
    kept = lab.nabira.read(f"{COPY}/record")
    code, output = check(lab.nabira)
    lab.yasu.write(f"{STATE}/role", role, owner="nagios", group="adm", mode=0o640)
    lab.yasu.service("nagios").thaw()
    assert code == 1 and "not renewed: yasu: it is standby itself (term 1): nothing is copied from it" in output
    assert lab.nabira.read(f"{COPY}/record") == kept


def test_a_failover_with_hostile_copies_ends_with_an_active_host(lab: Lab) -> None:
    """Last, since it takes yasu's power: what was copied is cut off, random, linked and oddly named, and nothing new comes."""
    nabira = lab.nabira
    configure(nabira, {("sync", "timeout"): "12", ("ssh", "timeout"): "3", ("look", "timeout"): "6"})
    nabira.service("nagios").start()
    lab.wait(lambda: nabira.nagios_flags().get("enable_notifications") == "0", 30, "nabira's Nagios runs")
    with nabira.from_outside(f"{COPY}/lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # or a pull that is on its way puts a whole status.dat there afterwards
        lab.yasu.off()
        moment = time.time()
        nabira.run(
            f"cd {COPY} && head -c 30050 status.dat > cut && cat cut > status.dat && head -c 50000 /dev/urandom > status.dat.1"
            " && head -c 200000 /dev/urandom > incoming/nagios.log && ln -s /etc/passwd incoming/archives/nagios-link.log"
            " && head -c 1000 /dev/urandom > \"$(printf 'incoming/archives/a\\nb')\"",
            user="nagios",
        )
    before = nabira.read("/var/lib/nagios4/retention.dat")
    lab.wait(lambda: "role=master" in nabira.read(f"{STATE}/role"), 60, "nabira takes over")
    flags = nabira.nagios_flags()
    assert flags["enable_notifications"] == flags["active_service_checks_enabled"] == "1"
    mail = lab.wait(lambda: [m for m in lab.mails("nabira is the master now") if m.arrived > moment], 20, "the mail")[0]
    assert "no incident was inherited: yasu's status.dat is not whole" in mail.body
    assert "READ_STATE_INFORMATION" not in nabira.read(LOG)
    assert "host_name=web1\n" in before
    lab.wait(lambda: any(epoch > moment for epoch, _, _ in nabira.checked()), 30, "nabira checks")
