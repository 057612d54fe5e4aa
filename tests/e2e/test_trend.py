"""Trend data, from a real Nagios's plugins to the tables of a real MariaDB and back on the screen, whatever happens in between."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from nagios_failover.metrics import HOST_SERVICE
from tests.lab import Host, Lab, why_not
from tests.lab.nagios_site import HOST_CHECK, MONITORED, measured, services_of
from tests.lab.suite import COMMAND, CONFIG, STATE
from tests.lab.target import wait_for_mariadb
from tests.perfdata_world import (
    PERFDATA,
    counts,
    disagreement,
    kill_loader,
    loader_pid,
    miscounted,
    number,
    queue,
    queued,
    record,
    settle,
    sql,
)

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

BERLIN = "Europe/Berlin"
CHECK = "/opt/nagios-failover/bin/check_perfdata"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(name=f"trend-{os.getpid()}") as lab:
        lab.nabira.run([COMMAND, "pause", "--reason", "these tests stop yasu's Nagios, and nobody shall take over"])
        lab.nabira.run(f"rm -f {STATE}/perfdata/queue/*")  # from before it was told to be the standby
        record(lab.yasu)
        yield lab


@pytest.fixture
def yasu(lab: Lab) -> Host:
    """The master, its Nagios running and its queue short."""
    if lab.yasu.nagios_pid() is None:
        lab.yasu.service("nagios").start()
    before = number(lab.yasu, "SELECT COALESCE(MAX(id), 0) FROM perfdata_service_raw")
    lab.wait(
        lambda: number(lab.yasu, "SELECT COALESCE(MAX(id), 0) FROM perfdata_service_raw") > before and len(queued(lab.yasu)) <= 2,
        60,
        "rows arrive",
        poll=0.5,
    )
    return lab.yasu


def check_perfdata(host: Host) -> tuple[int, str]:
    done = host.run([CHECK], user="nagios", check=False)
    return done.returncode, done.stdout


def stored_of(host: Host, epoch: float, monitored: str, service: str) -> list[dict[str, float | None]]:
    """What the tables hold of the checks of about that time, each metric to its value. Nagios may have told the plugin ($TIMET$) an
    earlier second than it writes down ($LASTSERVICECHECK$)."""
    name = HOST_SERVICE if service == HOST_CHECK else service
    moment = f"UNIX_TIMESTAMP(ctime) BETWEEN {int(epoch)} AND {int(epoch) + 2}"
    mine = f"host_name = '{monitored}' AND service_description = '{name}' AND {moment}"
    rows = sql(host, f"SET time_zone = '+00:00'; SELECT ctime, metric, value FROM perfdata_service_bin WHERE {mine}").splitlines()
    found: dict[str, dict[str, float | None]] = {}
    for when, metric, value in (row.split("\t") for row in rows):
        found.setdefault(when, {})[metric] = None if value == "NULL" else float(value)
    return list(found.values())


def is_loaded(host: Host, check: tuple[float, str, str]) -> bool:
    return measured(int(check[0])) in stored_of(host, *check)


def test_a_dozen_hosts_perfdata_arrive_and_are_what_the_plugins_printed(lab: Lab, yasu: Host) -> None:
    began = time.time()
    at_once = (f"[{int(began)}] SCHEDULE_FORCED_HOST_CHECK;{host};{int(began)}\n" for host in MONITORED)
    yasu.run("cat > /var/lib/nagios4/rw/nagios.cmd", stdin="".join(at_once))

    def ran() -> list[tuple[float, str, str]]:
        return [each for each in yasu.checked() if began < each[0]]

    lab.wait(lambda: {host for _, host, service in ran() if service != HOST_CHECK} == set(MONITORED), 60, "each host's services")
    lab.wait(lambda: {host for _, host, service in ran() if service == HOST_CHECK} == set(MONITORED), 60, "and the host itself")
    for check in ran():
        lab.wait(partial(is_loaded, yasu, check), 30, f"{check} is loaded with what it measured")
    unit = "SELECT DISTINCT unit FROM perfdata_service_metric WHERE metric ="
    assert (sql(yasu, f"{unit} 'time'"), sql(yasu, f"{unit} 'free space'")) == ("s", "MB")
    assert sql(yasu, "SELECT DISTINCT warn, critical FROM perfdata_service_bin WHERE metric = 'free space'") == "100:\t50:"


def test_the_tables_that_follow_from_the_rows_are_right(lab: Lab, yasu: Host) -> None:
    load = "host_name = 'web1' AND service_description = 'LOAD'"
    lab.wait(lambda: number(yasu, f"SELECT COUNT(*) FROM perfdata_service_raw WHERE {load}") > 1, 30, "two checks of a service")
    settle(lab, yasu)
    newest = "SELECT MAX(id) FROM perfdata_service_bin b WHERE (b.host_name, b.service_description, b.metric) = "
    names = "(m.host_name, m.service_description, m.metric)"
    assert sql(yasu, f"SELECT COUNT(*) FROM perfdata_service_metric m WHERE last_perfdata_bin <> ({newest} {names})") == "0"
    assert sql(yasu, "SELECT COUNT(*) FROM perfdata_host") == "12"
    assert sql(yasu, "SELECT COUNT(*) FROM perfdata_service") == str(36 + 12)
    span = f"SELECT MAX(UNIX_TIMESTAMP(ctime)) - MIN(UNIX_TIMESTAMP(ctime)) FROM perfdata_service_raw WHERE {load}"
    sums = "SELECT SUM(sum_uptime + sum_warntime + sum_criticaltime + sum_undeftime) FROM perfdata_raw_summary_data"
    mine = f"WHERE service_id = (SELECT service_id FROM perfdata_service WHERE {load})"
    assert number(yasu, f"{sums} {mine}") >= number(yasu, span) > 0


def test_killed_loaders_and_a_database_killed_frozen_slow_read_only_and_without_disk_leave_each_line_once(
    lab: Lab, yasu: Host
) -> None:
    database = yasu.service("mariadbd")
    for number_of_kill in range(6):
        if number_of_kill == 3:  # from here on without LOAD DATA LOCAL
            sql(yasu, "SET GLOBAL local_infile = 0")
        lab.wait(lambda: loader_pid(yasu), 30, "a loader runs")
        time.sleep(0.3 * number_of_kill)
        kill_loader(yasu)
    database.kill9()
    time.sleep(3)
    database.start()
    database.freeze()
    time.sleep(8)
    database.thaw()
    for _ in range(8):  # slow: it answers for a tenth of the time
        database.freeze()
        time.sleep(0.45)
        database.thaw()
        time.sleep(0.05)
    database.restart()
    wait_for_mariadb(yasu)
    sql(yasu, "SET GLOBAL read_only = 1")
    time.sleep(4)
    sql(yasu, "SET GLOBAL read_only = 0")
    yasu.fill()
    try:
        time.sleep(6)
    finally:
        yasu.unfill()
    time.sleep(3)
    settle(lab, yasu)
    assert disagreement(yasu) == ""
    assert miscounted(yasu) == ""
    assert counts(yasu)["dropped_lines"] == 0
    later = "perfdata_service_raw a JOIN perfdata_service_raw b USING (host_name, service_description)"
    assert number(yasu, f"SELECT COUNT(*) FROM {later} WHERE a.id < b.id AND a.ctime > b.ctime") == 0, "caught up in order"


def test_before_each_batch_of_what_waited_comes_the_heartbeat(lab: Lab, yasu: Host) -> None:
    """By the server's own log of statements: no two loads without a heartbeat between them, and the first after one."""
    kill_loader(yasu)  # or the log might begin in the middle of a batch
    sql(yasu, "SET GLOBAL log_output = 'TABLE'; TRUNCATE mysql.general_log; SET GLOBAL general_log = 1")
    database = yasu.service("mariadbd")
    database.freeze()
    time.sleep(6)
    assert len(queued(yasu)) > 2
    database.thaw()
    lab.wait(lambda: len(queued(yasu)) <= 1, 60, "it has caught up")
    time.sleep(3)  # and more comes
    sql(yasu, "SET GLOBAL general_log = 0")
    kinds = "IF(argument LIKE '%INTO TABLE perfdata\\_service\\_raw%', 'load', IF(argument LIKE 'SELECT%', '', 'heartbeat'))"
    about = "argument LIKE '%INTO TABLE perfdata\\_service\\_raw%' OR argument LIKE '%programstatus%'"
    logged = (
        f"SELECT {kinds} AS kind FROM mysql.general_log WHERE user_host LIKE 'nagios[%' AND command_type = 'Query' AND ({about})"
    )
    order = [kind for kind in sql(yasu, f"{logged} ORDER BY event_time").splitlines() if kind]
    assert order.count("load") > 1 and order[0] == "heartbeat", order
    assert ("load", "load") not in set(pairwise(order)), order


def test_malformed_lines_and_metrics_are_set_aside_and_warned_of(lab: Lab, yasu: Host) -> None:
    before = counts(yasu)
    lab.set_state("web1", "HTTP", "OK", "odd | good=1 bad,metric also=2")
    lab.set_state("web2", "HTTP", "OK", "a\tTAB | good=1")
    lab.wait(lambda: counts(yasu)["metrics_aside"] > before["metrics_aside"], 30, "the metric is set aside", poll=0.5)
    assert sql(yasu, "SELECT value FROM perfdata_service_bin WHERE metric = 'also' LIMIT 1") == "2"
    assert "no metric: bad,metric" in yasu.read(f"{PERFDATA}/aside")
    code, output = check_perfdata(yasu)
    assert code == 1 and "metrics are set aside" in output, output
    for host in ("web1", "web2"):
        lab.set_state(host, "HTTP", "OK")


def test_performance_data_that_is_switched_off_is_warned_of(lab: Lab, yasu: Host) -> None:
    words = "Nagios hands over no performance data"
    for order, warned in (("DISABLE", True), ("ENABLE", False)):
        yasu.run("cat > /var/lib/nagios4/rw/nagios.cmd", stdin=f"[{int(time.time())}] {order}_PERFORMANCE_DATA\n")
        lab.wait(lambda warned=warned: (words in check_perfdata(yasu)[1]) == warned, 20, f"{order} is seen")  # type: ignore[misc]


LIMITS = {  # of files: tests/unit/test_load_perfdata.py
    "age": ("#queue_age = 3d", "queue_age = 6", "20000 files, 256 MB or 6 s"),
    "size": ("#queue_megabytes = 256", "queue_megabytes = 1", "20000 files, 1 MB or 259200 s"),
}
MUCH = "much | " + " ".join(f"{'a_long_name_' * 5}{number:02}=1" for number in range(100))
"""What a plugin prints at most: Nagios takes 8 KiB of it."""


@pytest.mark.parametrize("limit", LIMITS)
def test_a_queue_beyond_its_limit_drops_the_oldest_and_counts_what_was_in_it(lab: Lab, yasu: Host, limit: str) -> None:
    before, after, words = LIMITS[limit]
    text = yasu.read(CONFIG)
    assert f"\n{before}\n" in text
    yasu.write(CONFIG, text.replace(before, after), group="nagios", mode=0o640)
    kill_loader(yasu)
    lab.wait(lambda: loader_pid(yasu), 30, "one with the new limit runs")
    waiting = lab.wait(lambda: queued(yasu), 30, "something is in the queue")
    lab.wait(lambda: not set(waiting) & set(queued(yasu)), 60, "it has begun well: before that it drops nothing for its age")
    dropped = counts(yasu)["dropped_files"]
    set_all(lab, MUCH if limit == "size" else "")
    database = yasu.service("mariadbd")
    try:
        database.freeze()
        said = f"more waits than {words} of spool: dropping the oldest"
        lab.wait(lambda: said in yasu.read(f"{PERFDATA}/loader.log"), 60, "something is dropped", poll=0.5)
        database.thaw()
        settle(lab, yasu)
    finally:
        database.thaw()
        set_all(lab, "")
        yasu.write(CONFIG, text, group="nagios", mode=0o640)
    assert miscounted(yasu) == ""
    counted = counts(yasu)
    assert counted["dropped_files"] > dropped
    code, output = check_perfdata(yasu)
    assert code == 1 and f"{counted['dropped_files']} files with {counted['dropped_lines']} lines were dropped" in output


def set_all(lab: Lab, output: str) -> None:
    """But not web3's, whose series are shown below."""
    for host, service in services_of(lab.settings.services):
        if host != "web3":
            lab.set_state(host, service, "OK", output)


# From here on there are lines in the queue that Nagios did not write: what is counted is more than what it wrote.


def test_a_commit_that_comes_to_pass_later_is_waited_for_and_nothing_is_kept_of_files_that_are_gone(lab: Lab, yasu: Host) -> None:
    """A loader that was killed had sent it; the server is still at it."""
    settle(lab, yasu)
    now = int(time.time())
    yasu.write(
        "/tmp/doubt.sql",
        f"""
        START TRANSACTION;
        UPDATE nagios_failover_count SET raw_rows = raw_rows WHERE host_name = 'yasu';
        SELECT SLEEP(1);
        INSERT INTO nagios_failover_position VALUES ('yasu', '{now}.1', 1000);
        SELECT SLEEP(8);
        COMMIT;
    """,
    )
    kill_loader(yasu)
    yasu.run("setsid -f mariadb perfparse </tmp/doubt.sql >/dev/null 2>&1")
    lab.wait(
        lambda: number(yasu, "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'"), 10, "begun"
    )
    for counter in (1, 2):
        line = f"{now}\tdoubt{counter}\tS\tout\tOK\tm=1\n"
        queue(yasu, f"{now}.{counter}", line)
    settle(lab, yasu)
    assert sql(yasu, "SELECT DISTINCT host_name FROM perfdata_service_raw WHERE host_name LIKE 'doubt%'") == "doubt2"
    queue(yasu, f"{now}.3", f"{now}\tdoubt3\tS\tout\tOK\tm=1\n")
    settle(lab, yasu)
    assert sql(yasu, "SELECT queue_file FROM nagios_failover_position WHERE host_name = 'yasu'") == f"{now}.3"


def test_a_state_goes_on_over_the_death_of_a_loader(lab: Lab, yasu: Host) -> None:
    now = int(time.time()) - 120
    for moment, state in ((now, "CRITICAL"), (now + 60, "OK"), (now + 70, "OK")):
        kill_loader(yasu)
        queue(yasu, f"{moment}.4", f"{moment}\tlasting\tS\tout\t{state}\t\n")
        loaded = f"SELECT COUNT(*) FROM perfdata_service_raw WHERE host_name = 'lasting' AND UNIX_TIMESTAMP(ctime) = {moment}"
        lab.wait(lambda query=loaded: number(yasu, query) == 1, 30, "it is loaded")  # type: ignore[misc]
    sums = "SELECT SUM(sum_uptime), SUM(sum_warntime), SUM(sum_criticaltime), SUM(sum_undeftime) FROM perfdata_raw_summary_data"
    assert sql(yasu, f"{sums} JOIN perfdata_service USING (service_id) WHERE host_name = 'lasting'") == "10\t0\t60\t0"


def changes(zone: str, now: float) -> list[int]:
    """The last two moments at which the zone's clocks were changed."""
    hours = range(int(now) // 3600 * 3600 - 366 * 86400, int(now), 3600)
    offsets = [datetime.fromtimestamp(hour, ZoneInfo(zone)).utcoffset() for hour in hours]
    found = [hour for hour, before, after in zip(hours[1:], offsets, offsets[1:], strict=False) if before != after]
    assert len(found) in (2, 3), found
    return found[-2:]


def test_a_change_from_and_to_summer_time_neither_doubles_nor_skips(lab: Lab, yasu: Host) -> None:
    """The server lives in Berlin, where 02:00 to 03:00 comes twice in October and never in March."""
    yasu.run("mariadb-tzinfo-to-sql /usr/share/zoneinfo 2>/dev/null | mariadb mysql", timeout=120)
    sql(yasu, f"SET GLOBAL time_zone = '{BERLIN}'")
    try:
        moments = [change + 600 * step for change in changes(BERLIN, time.time()) for step in range(-12, 12)]
        lines = "".join(f"{moment}\tdst\tS\tout\tOK\tm={moment}\n" for moment in moments)
        kill_loader(yasu)  # its connection is from before
        queue(yasu, f"{int(time.time())}.1", lines)
        rows = "SELECT ctime, value FROM perfdata_service_bin WHERE host_name = 'dst' ORDER BY ctime"
        lab.wait(lambda: sql(yasu, rows), 30, "the lines are loaded")
        stored = [line.split("\t") for line in sql(yasu, rows).splitlines()]
        assert [when for when, _ in stored] == [time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment)) for moment in moments]
        assert [int(float(value)) for _, value in stored] == moments
    finally:
        sql(yasu, "SET GLOBAL time_zone = 'SYSTEM'")


def test_a_clock_that_was_far_ahead_for_a_moment_stops_no_loader(lab: Lab, yasu: Host) -> None:
    """To UNIX_TIMESTAMP there is no time behind 2038. The loader reads each service's newest row when it connects."""
    rows = "SELECT ctime FROM perfdata_service_bin WHERE host_name = 'ahead' ORDER BY id"
    stored: list[str] = []
    for moment in (4102444800, int(time.time())):
        kill_loader(yasu)
        queue(yasu, f"{int(time.time())}.{len(stored)}", f"{moment}\tahead\tS\tout\tOK\tm=1\n")
        stored.append(time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment)))
        lab.wait(lambda: sql(yasu, rows).splitlines() == stored, 30, "it is loaded")
    assert stored[0] == "2100-01-01 00:00:00"


def test_a_server_s_own_sql_mode_changes_nothing(lab: Lab, yasu: Host) -> None:
    text = r"C:\temp"
    sql(yasu, "SET GLOBAL sql_mode = 'NO_BACKSLASH_ESCAPES'")
    try:
        kill_loader(yasu)
        line = f"{int(time.time())}\tmode\tS\t{text}\tOK\t\n"
        queue(yasu, f"{int(time.time())}.1", line)
        mine = "SELECT HEX(output) FROM perfdata_service_raw WHERE host_name = 'mode'"
        lab.wait(lambda: sql(yasu, mine), 30, "it is loaded")
        assert bytes.fromhex(sql(yasu, mine)).decode() == text
    finally:
        sql(yasu, "SET GLOBAL sql_mode = DEFAULT")
        kill_loader(yasu)


def test_old_rows_are_deleted_a_few_at_a_time(lab: Lab, yasu: Host) -> None:
    row = "'old', 'S', 'm', UTC_TIMESTAMP() - INTERVAL 500 DAY, seq, 0"
    sql(
        yasu,
        "INSERT INTO perfdata_service_bin (host_name, service_description, metric, ctime, value, state) "
        f"SELECT {row} FROM seq_1_to_2500",
    )
    sql(
        yasu,
        "INSERT INTO perfdata_service_raw (host_name, service_description, ctime) "
        "SELECT 'old', 'S', UTC_TIMESTAMP() - INTERVAL 500 DAY FROM seq_1_to_1500; INSERT INTO perfdata_raw_summary_data "
        "(service_id, ctime) SELECT 1, UTC_DATE() - INTERVAL 500 + seq DAY FROM seq_1_to_20",
    )
    kill_loader(yasu)  # a new one looks for old rows at once
    old = "SELECT COUNT(*) FROM perfdata_service_bin WHERE host_name = 'old'"
    seen = set()

    def left() -> bool:
        seen.add(number(yasu, old))
        return 0 in seen

    lab.wait(left, 120, "they are deleted", poll=0.1)
    assert seen <= {2500, 1500, 500, 0}
    for table in ("perfdata_service_bin", "perfdata_service_raw", "perfdata_raw_summary_data"):
        rows = f"SELECT COUNT(*) FROM {table}"
        none = f"{rows} WHERE ctime < UTC_TIMESTAMP() - INTERVAL 450 DAY"
        lab.wait(lambda query=none: number(yasu, query) == 0, 60, f"those of {table}, too")  # type: ignore[misc]
        assert number(yasu, rows) > 0


def test_the_trend_is_text_data_and_pictures(lab: Lab, yasu: Host) -> None:
    text = yasu.run([COMMAND, "trend", "web3", "LOAD", "time", "--since", "10m"]).stdout.splitlines()
    assert text[0] == "web3 LOAD time [s]"
    assert any("█" in line for line in text[1:9])
    assert text[-1].startswith("  min 0.1") and text[-1].endswith("; warn 0.15, crit 0.18")
    lines = yasu.run([COMMAND, "trend", "web3", "LOAD", "--since", "10m", "--csv"]).stdout.splitlines()
    assert lines[0] == "time,epoch,host,service,metric,unit,values,min,average,max,state,warn,crit,failover"
    moments = {int(line.split(",")[1]): line.split(",") for line in lines if ",time,s," in line}
    exact = sum(float(values[9]) in {measured(moment - 1)["time"], measured(moment)["time"]} for moment, values in moments.items())
    assert exact >= 0.9 * len(moments) > 0, "a slot is a second here, and holds what was measured in it"
    data = json.loads(yasu.run([COMMAND, "trend", "web3", HOST_SERVICE, "--since", "10m", "--json"]).stdout)
    assert [one["metric"] for one in data["series"]] == ["time", "free space", "users"]
    lab.set_state("web3", "DISK", "OK", "full | level=5;6;8")
    lab.wait(lambda: number(yasu, "SELECT COUNT(*) FROM perfdata_service_metric WHERE metric = 'level'"), 60, "it is measured")
    for name, begin in (("/tmp/x.svg", "<?xml"), ("/tmp/x.png", "89504e47")):
        said = yasu.run([COMMAND, "trend", "web3", "LOAD", "--since", "10m", "--output", name]).stdout
        assert said.startswith(f"{name}: time, free space, users of web3 LOAD, ")
        show = f"head -c 5 {name}" if begin == "<?xml" else f"head -c 4 {name} | od -An -tx1 | tr -d ' \\n'"
        assert yasu.run(show).stdout == begin
    yasu.run([COMMAND, "trend", "web3", "DISK", "level", "--output", "/tmp/x.svg"])
    svg = yasu.read("/tmp/x.svg")
    assert 'id="warn-band-' in svg and 'id="crit-band-' in svg


def test_a_threshold_is_the_newest_of_its_slot(lab: Lab, yasu: Host) -> None:
    now = int(time.time())
    checks = ((now - 300, "m=1;80;90"), (now - 200, "m=1;100"))
    lines = "".join(f"{moment}\tlimits\tS\tout\tOK\t{perfdata}\n" for moment, perfdata in checks)
    queue(yasu, f"{now}.2", lines)
    rows = "SELECT COUNT(*) FROM perfdata_service_bin WHERE host_name = 'limits'"
    lab.wait(lambda: number(yasu, rows) == 2, 30, "they are loaded")
    text = yasu.run([COMMAND, "trend", "limits", "S", "m", "--since", "300d"]).stdout
    assert text.splitlines()[-1].endswith("; 2 values; warn 100")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("web33", "LOAD"), "error: there is no trend data of web33\nhint: there is some of web3"),
        (("web3", "LOAT"), "error: there is no trend data of web3 LOAT\nhint: web3 has LOAD"),
        (("web3", "LOAD", "tim"), "error: web3 LOAD has no metric 'tim'\nhint: it has time"),
        (("web3", "LOAD", "--output", "/tmp/x.gif"), "error: /tmp/x.gif: the file's name ends neither in .svg nor in .png\n"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(yasu: Host, arguments: tuple[str, ...], error: str) -> None:
    done = yasu.run([COMMAND, "trend", *arguments], check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(error)


def test_init_database_says_what_differs_and_refuses_the_layout_of_2007(yasu: Host) -> None:
    sql(yasu, "ALTER TABLE perfdata_service_bin MODIFY value FLOAT NULL")
    done = yasu.run([COMMAND, "init-database"], check=False)
    said = done.stdout
    sql(yasu, "ALTER TABLE perfdata_service_bin MODIFY value DOUBLE NULL")
    assert done.returncode == 1
    assert "the table perfparse.perfdata_service_bin differs from PerfParse's:" in said
    assert "  column value is float NULL, not double NULL: ALTER TABLE perfdata_service_bin MODIFY value double NULL" in said
    assert "8 of 9 tables of perfparse are as the loader writes them" in said
    metrics = "ALTER TABLE perfdata_service_metric"
    sql(yasu, f"{metrics} CONVERT TO CHARACTER SET latin1; {metrics} DROP KEY metric, MODIFY metric_id BIGINT UNSIGNED NOT NULL")
    lines = yasu.run([COMMAND, "init-database"], check=False).stdout.splitlines()
    statements = [line.partition(": ")[2] for line in lines if line.startswith("  ")]
    assert len(statements) == 3 and "8 of 9 tables of perfparse are as the loader writes them" in lines
    sql(yasu, "; ".join(statements))
    assert "9 of 9 tables of perfparse are as the loader writes them" in yasu.run([COMMAND, "init-database"]).stdout
    sql(yasu, "CREATE DATABASE perf2007; CREATE TABLE perf2007.perfdata_service_bin (metric_id INT, ctime INT, value DOUBLE)")
    text = yasu.read(CONFIG)
    yasu.write(CONFIG, text.replace("#database = perfparse", "database = perf2007"), group="nagios", mode=0o640)
    try:
        done = yasu.run([COMMAND, "init-database"], check=False)
    finally:
        yasu.write(CONFIG, text, group="nagios", mode=0o640)
        sql(yasu, "DROP DATABASE perf2007")
    assert done.returncode == 3
    assert done.stderr.startswith("error: yasu: the tables of perf2007 are PerfParse's of 2007 (0.106.2: ")


def test_the_standby_loads_nothing_and_is_ok(lab: Lab) -> None:
    assert check_perfdata(lab.nabira) == (0, "PERFDATA OK - nabira: role standby: no trend data is loaded here\n")
    assert number(lab.nabira, "SELECT COUNT(*) FROM perfdata_service_raw") == 0


def test_after_a_failover_the_new_master_goes_on_and_marks_it(lab: Lab, yasu: Host) -> None:
    """The last test: yasu is off from here on."""
    nabira = lab.nabira
    nabira.run([COMMAND, "resume"])
    yasu.off()
    lab.wait(lambda: "role=master" in nabira.read(f"{STATE}/role"), 90, "nabira is the master")
    of_load = (
        "SELECT COUNT(*) FROM perfdata_service_bin WHERE host_name = 'web3' AND service_description = 'LOAD' AND metric = 'time'"
    )
    lab.wait(lambda: number(nabira, of_load) > 1, 60, "rows arrive")
    text = nabira.run([COMMAND, "trend", "web3", "LOAD", "time", "--since", "10m"]).stdout
    assert re.search(r"\n  failovers \(F\): 20[-0-9]+ [:0-9]+ to nabira\n", text), text
    nabira.run([COMMAND, "trend", "web3", "LOAD", "time", "--since", "10m", "--output", "/tmp/x.svg"])
    assert 'id="failover-0"' in nabira.read("/tmp/x.svg")
