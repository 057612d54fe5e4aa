"""The heartbeat, from a real Nagios's scheduler to a real MariaDB: what it proves, and what it survives."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest

from bench.process_perfdata import medians
from tests.lab import Host, Lab, why_not
from tests.lab.nagios_site import HOST_CHECK
from tests.lab.suite import COMMAND, STATE
from tests.perfdata_world import PERFDATA, kill_loader, loader_pid, queued

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(name=f"programstatus-{os.getpid()}") as lab:
        lab.nabira.run([COMMAND, "pause", "--reason", "these tests stop yasu's Nagios, and nobody shall take over"])
        yield lab


@pytest.fixture
def yasu(lab: Lab) -> Host:
    """The master, with a heartbeat, and nothing that waits."""
    lab.wait(lambda: age(lab.yasu) <= 2 and len(queued(lab.yasu)) <= 1, 20, "yasu's heartbeat is fresh")
    return lab.yasu


def sql(host: Host, statement: str, *, check: bool = True) -> str:
    return host.run(["mariadb", "--batch", "--skip-column-names", "nagios"], stdin=statement, check=check).stdout.strip()


def last_update(host: Host) -> int:
    """Epoch seconds; 0 without a row."""
    return int(sql(host, "SELECT COALESCE(MAX(UNIX_TIMESTAMP(last_update)), 0) FROM programstatus") or 0)


def age(host: Host) -> int:
    return int(time.time()) - last_update(host)


def log(host: Host) -> list[str]:
    return [line.partition("] ")[2] for line in host.read(f"{PERFDATA}/loader.log").splitlines()]


def spacings(host: Host, began: float, ended: float) -> list[float]:
    """Seconds between a service's checks that follow each other, the period's begin and end included."""
    found: list[float] = []
    services = {(name, service) for _, name, service in host.checked() if service != HOST_CHECK}
    for wanted in services:
        ran = [epoch for epoch, name, service in host.checked() if (name, service) == wanted and began < epoch < ended]
        found.extend(later - earlier for earlier, later in pairwise([began, *ran, ended]))
    return found


@contextmanager
def role_file(host: Host, change: Callable[[str], str]) -> Iterator[None]:
    """The role file says something else for a while."""
    before = host.read(f"{STATE}/role")
    host.write(f"{STATE}/role", change(before), owner="nagios", group="adm", mode=0o640)
    try:
        yield
    finally:
        host.write(f"{STATE}/role", before, owner="nagios", group="adm", mode=0o640)


@contextmanager
def run_on_its_way(host: Host) -> Iterator[None]:
    """Somebody holds the lock of the runs, as a run does that is giving the role back: else the state watch would finish it."""
    pid = "/root/run.pid"
    host.run(f"setsid -f flock {STATE}/run.lock sh -c 'echo $$ >{pid}; exec sleep 60' </dev/null >/dev/null 2>&1")
    host.run(f"until [ -s {pid} ]; do sleep 0.05; done")
    try:
        yield
    finally:
        host.run(f"kill $(cat {pid}); rm {pid}")


def assert_advances(lab: Lab, host: Host) -> None:
    before = last_update(host)
    lab.wait(lambda: last_update(host) >= before + 2, 10, "the heartbeat advances")


def test_the_heartbeat_advances_with_nagios_and_names_its_process(lab: Lab, yasu: Host) -> None:
    assert_advances(lab, yasu)
    names = "nagios_pid, daemon_mode, execute_service_checks, enable_notifications, enable_event_handlers, process_performance_data"
    assert sql(yasu, f"SELECT {names} FROM programstatus").split("\t") == [str(yasu.nagios_pid()), "1", "1", "1", "1", "1"]
    started = int(yasu.nagios_flags()["program_start"])
    assert sql(yasu, "SET time_zone = '+00:00'; SELECT UNIX_TIMESTAMP(program_start) FROM programstatus") == str(started)
    lab.wait(lambda: age(yasu) <= 2, 5, "the heartbeat is fresh")


def test_there_is_exactly_one_row_at_every_moment(yasu: Host) -> None:
    counts = sql(yasu, "SELECT COUNT(*) FROM programstatus; SELECT SLEEP(0.02);" * 200).split()[::2]
    assert set(counts) == {"1"}


def test_the_row_counts_in_the_stated_time_zone(lab: Lab, yasu: Host) -> None:
    """[heartbeat] time_zone is +00:00, whatever zone the server lives in."""
    behind = "SELECT TIMESTAMPDIFF(SECOND, last_update, UTC_TIMESTAMP()) FROM programstatus"
    lab.wait(lambda: abs(int(sql(yasu, behind))) <= 2, 5, "last_update is about now in UTC")


def test_perfdata_goes_through_the_queue_and_nothing_piles_up(lab: Lab, yasu: Host) -> None:
    assert_advances(lab, yasu)
    lab.wait(lambda: len(queued(yasu)) <= 1, 5, "the queue is emptied")


def called(host: Host) -> bool:
    """Is a call of process_perfdata on its way?"""
    return host.run(["pgrep", "-f", "/process_perfdata"], check=False).returncode == 0


def test_the_heartbeat_stops_when_nagios_hangs(lab: Lab, yasu: Host) -> None:
    nagios = yasu.service("nagios")
    nagios.freeze()
    try:
        lab.wait(lambda: not called(yasu) and queued(yasu) == [], 30, "what it had handed over is loaded")
        before = last_update(yasu)
        time.sleep(5)
        assert last_update(yasu) == before
    finally:
        nagios.thaw()
    assert_advances(lab, yasu)


def test_the_heartbeat_goes_on_when_status_dat_cannot_be_written(lab: Lab, yasu: Host) -> None:
    yasu.run("chown root /var/lib/nagios4; chmod 0555 /var/lib/nagios4")
    try:
        assert_advances(lab, yasu)  # what it was writing is written
        written = yasu.run(["stat", "-c", "%Y", "/var/lib/nagios4/status.dat"]).stdout
        assert_advances(lab, yasu)
        assert_advances(lab, yasu)
        assert yasu.run(["stat", "-c", "%Y", "/var/lib/nagios4/status.dat"]).stdout == written
    finally:
        yasu.run("chown nagios /var/lib/nagios4; chmod 0750 /var/lib/nagios4")


def test_the_heartbeat_goes_on_when_status_dat_is_gone(lab: Lab, yasu: Host) -> None:
    """The row keeps what it knew of PID and flags."""
    yasu.run("chown root /var/lib/nagios4; chmod 0555 /var/lib/nagios4; mv /var/lib/nagios4/status.dat /root/")
    try:
        assert_advances(lab, yasu)
        assert sql(yasu, "SELECT nagios_pid, enable_notifications FROM programstatus") == f"{yasu.nagios_pid()}\t1"
    finally:
        yasu.run("mv /root/status.dat /var/lib/nagios4/; chown nagios /var/lib/nagios4; chmod 0750 /var/lib/nagios4")


def test_the_heartbeat_goes_on_when_the_disk_is_full(lab: Lab, yasu: Host) -> None:
    yasu.fill()
    try:
        assert_advances(lab, yasu)
        lab.wait(lambda: kill_loader(yasu), 30, "the loader is killed")
        assert_advances(lab, yasu)
    finally:
        yasu.unfill()


def test_a_frozen_database_delays_no_check_and_is_caught_up_with(lab: Lab, yasu: Host) -> None:
    database = yasu.service("mariadbd")
    began = time.time()
    database.freeze()
    try:
        time.sleep(12)
        moments = {int(name.partition(".")[0]) for name in queued(yasu)}  # a second's calls are two: services and hosts
        waiting = len([moment for moment in moments if began < moment < began + 12])
    finally:
        database.thaw()
    ended = time.time()
    assert waiting >= 8, "a call each second, and each is kept"
    assert max(spacings(yasu, began, ended)) < 7.5, "each service is checked every 5 s all the while"
    lab.wait(lambda: age(yasu) <= 2 and len(queued(yasu)) <= 1, 15, "the heartbeat is fresh again")
    lab.wait(lambda: log(yasu)[-1].startswith("well again: "), 5, "it says so")
    assert log(yasu)[-2].endswith("is this host's database server running?")


@pytest.mark.parametrize("database", ["well", "frozen"])
def test_nagios_waits_for_the_script_at_most_twice_as_long_as_for_a_bare_mv(lab: Lab, yasu: Host, database: str) -> None:
    nagios, mariadb = yasu.service("nagios"), yasu.service("mariadbd")
    nagios.stop()  # its calls would rename our spool
    if database == "frozen":
        mariadb.freeze()
    try:
        bare, script = medians(yasu, runs=150)
    finally:
        mariadb.thaw()
        nagios.start()
    assert script <= 2 * bare, f"{script:.2f} ms, a bare mv {bare:.2f} ms"
    assert_advances(lab, yasu)


def test_a_killed_database_is_waited_for(lab: Lab, yasu: Host) -> None:
    loader = loader_pid(yasu)
    database = yasu.service("mariadbd")
    database.kill9()
    lab.wait(lambda: len(queued(yasu)) >= 6, 60, "some calls wait")
    database.start()
    lab.wait(lambda: age(yasu) <= 2 and len(queued(yasu)) <= 1, 20, "the heartbeat is fresh again")
    assert loader_pid(yasu) == loader, f"another loader: {log(yasu)[-6:]} {yasu.read(f'{PERFDATA}/loader.err')}"


def test_a_read_only_server_is_said_and_waited_for(lab: Lab, yasu: Host) -> None:
    sql(yasu, "SET GLOBAL read_only = 1")
    try:
        sentence = (
            "the heartbeat cannot be written: this host's server is read-only; hint: who is the source? nagios-failover status"
        )
        lab.wait(lambda: log(yasu)[-1] == sentence, 10, "the loader says so")
    finally:
        sql(yasu, "SET GLOBAL read_only = 0")
    lab.wait(lambda: age(yasu) <= 2, 15, "the heartbeat is fresh again")


def test_a_killed_loader_is_started_anew_by_the_next_call(lab: Lab, yasu: Host) -> None:
    killed = lab.wait(lambda: kill_loader(yasu), 30, "the loader is killed")
    lab.wait(lambda: loader_pid(yasu) not in (0, killed), 5, "there is a loader again")
    assert_advances(lab, yasu)


def test_there_is_one_loader_however_often_it_is_started(yasu: Host) -> None:
    running = loader_pid(yasu)
    for _ in range(3):
        yasu.run([f"{COMMAND}-loader", STATE], user="nagios")
    assert loader_pid(yasu) == running


def holds_nothing_of_nagios(host: Host, pid: int) -> bool:
    """status.dat it reads and closes again: a file that is gone between the shell's two looks is none that it holds."""
    files = host.run(f"readlink /proc/{pid}/fd/*", check=False).stdout.split("\n")
    assert f"{PERFDATA}/loader.pid" in files, files
    return not [file for file in files if "nagios4" in file or file.startswith("pipe:")]


def test_the_loader_is_light_and_holds_nothing_of_nagios(lab: Lab, yasu: Host) -> None:
    pid = loader_pid(yasu)
    status = dict(line.split(":\t", 1) for line in yasu.read(f"/proc/{pid}/status").splitlines() if ":\t" in line)
    assert int(status["VmRSS"].split()[0]) < 45_000, "kB"
    lab.wait(lambda: holds_nothing_of_nagios(yasu, pid), 3, "no file of Nagios's and no pipe is open")
    session = yasu.run(["ps", "-o", "sid=", "-p", str(pid)]).stdout.split()
    assert session != yasu.run(["ps", "-o", "sid=", "-p", str(yasu.nagios_pid())]).stdout.split()


def test_a_standby_keeps_no_spool_and_writes_nothing(lab: Lab, yasu: Host) -> None:
    """Its Nagios runs the command too; the row would be a lie about who monitors."""
    nabira = lab.nabira
    assert sql(nabira, "SELECT COUNT(*) FROM programstatus") == "0"
    assert loader_pid(nabira) == 0
    before = queued(nabira)
    nabira.write(f"{PERFDATA}/spool", "1\tweb1\tHTTP\n", owner="nagios", group="adm", mode=0o640)
    lab.wait(lambda: nabira.read(f"{PERFDATA}/spool") == "", 5, "the spool is emptied")
    assert queued(nabira) == before


def test_the_loader_ends_when_the_role_is_given_back(lab: Lab, yasu: Host) -> None:
    with run_on_its_way(yasu), role_file(yasu, lambda text: text.replace("role=master", "role=standing-down")):
        reason = "ended: the role is standing-down: only a master's loader writes"
        lab.wait(lambda: (loader_pid(yasu), log(yasu)[-1]) == (0, reason), 10, "the loader ends")
        before = last_update(yasu)
        time.sleep(3)
        assert (last_update(yasu), loader_pid(yasu)) == (before, 0)
    assert yasu.nagios_flags()["enable_notifications"] == "1", "it has not been given back"
    assert_advances(lab, yasu)


def test_a_garbled_role_file_writes_nothing_and_loses_nothing(lab: Lab, yasu: Host) -> None:
    with role_file(yasu, lambda text: text.replace("role=master\n", "role=mas")):
        lab.wait(lambda: len(queued(yasu)) >= 4 and age(yasu) >= 3, 40, "calls wait, and no heartbeat is written")
        lab.wait(lambda: any("is garbled" in line for line in log(yasu)[-2:]), 30, "it is said why")
    lab.wait(lambda: age(yasu) <= 2 and len(queued(yasu)) <= 1, 10, "the heartbeat is fresh again")


def test_the_loader_stays_for_a_while_after_the_last_call_then_ends(lab: Lab, yasu: Host) -> None:
    config = "/etc/nagios-failover/nagios-failover.cfg"
    text = yasu.read(config)
    first = loader_pid(yasu)
    yasu.write(config, text.replace("\n#linger = 60\n", "\nlinger = 4\n"), group="nagios", mode=0o640)
    lab.wait(lambda: loader_pid(yasu) not in (0, first), 10, "a changed configuration is taken by a new loader")
    nagios = yasu.service("nagios")
    nagios.freeze()  # a stop may take as long as the loader stays
    try:
        assert loader_pid(yasu) != 0
        lab.wait(lambda: loader_pid(yasu) == 0, 10, "the loader ends")
        assert log(yasu)[-1] == "ended: no spool for 4 s"
    finally:
        nagios.thaw()
        nagios.stop()
        nagios.start()
        yasu.write(config, text, group="nagios", mode=0o640)
    assert_advances(lab, yasu)
    assert yasu.nagios_flags()["enable_notifications"] == "1", "a master comes back active"
    assert sql(yasu, "SELECT nagios_pid FROM programstatus") == str(yasu.nagios_pid())


def test_a_doubled_row_becomes_one_again(lab: Lab, yasu: Host) -> None:
    sql(yasu, "INSERT INTO programstatus SELECT * FROM programstatus")
    lab.wait(lambda: sql(yasu, "SELECT COUNT(*) FROM programstatus") == "1", 5, "there is one row")


def test_init_database_says_what_differs_and_changes_nothing(yasu: Host) -> None:
    said = yasu.run([COMMAND, "init-database"]).stdout
    assert "the table nagios.programstatus is as Nagios 1.x has it" in said
    assert "made " not in said
    sql(yasu, "ALTER TABLE programstatus MODIFY nagios_pid smallint NOT NULL DEFAULT 0")
    try:
        done = yasu.run([COMMAND, "init-database"], check=False)
        assert done.returncode == 1
        assert "the table nagios.programstatus differs from Nagios 1.x's:" in done.stdout
        assert "ALTER TABLE programstatus MODIFY nagios_pid int(11) NOT NULL DEFAULT '0'" in done.stdout
    finally:
        sql(yasu, "ALTER TABLE programstatus MODIFY nagios_pid int(11) NOT NULL DEFAULT 0")


def test_init_database_makes_nothing_on_a_read_only_server(lab: Lab) -> None:
    """root may write on a replica, and what it makes there is on no other server."""
    nabira = lab.nabira
    sql(nabira, "SET GLOBAL read_only = 1; DROP TABLE programstatus")
    try:
        done = nabira.run([COMMAND, "init-database"], check=False)
        assert done.returncode == 3
        assert "the table nagios.programstatus is missing, and this host's server is read-only" in done.stderr
    finally:
        sql(nabira, "SET GLOBAL read_only = 0")
    assert "made the table nagios.programstatus" in nabira.run([COMMAND, "init-database"]).stdout


def test_after_a_failover_the_heartbeat_is_the_new_masters(lab: Lab, yasu: Host) -> None:
    """The last test: yasu is off from here on."""
    nabira = lab.nabira
    nabira.run([COMMAND, "resume"])
    yasu.off()
    lab.wait(lambda: "role=master" in nabira.read(f"{STATE}/role"), 60, "nabira is the master")
    lab.wait(lambda: age(nabira) <= 2, 20, "nabira's heartbeat is fresh")
    assert sql(nabira, "SELECT nagios_pid, enable_notifications FROM programstatus") == f"{nabira.nagios_pid()}\t1"
