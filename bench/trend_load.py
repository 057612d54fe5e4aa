"""How fast the loader fills the trend tables, beside LOAD DATA LOCAL by hand of the same rows; what memory it takes for a queue of
whatever size; and how long a month's trend takes out of three million rows. On a lab's master, with its real MariaDB."""

from __future__ import annotations

import os
import re
import statistics
import time
from typing import Final

from bench.common import add, promise
from tests import perfdata_world
from tests.lab import Host, Lab
from tests.lab.suite import COMMAND
from tests.lab.target import wait_for_mariadb
from tests.perfdata_world import PERFDATA, kill_loader, loader_pid, number, queued, sql

RUNS: Final = 3
SERVICES: Final = 1000
ROUNDS: Final = 100  # of each service, a minute apart
ROWS_OF_A_LINE: Final = 4  # one raw row, three values
MONTH_SERIES: Final = 70
MONTH_ROWS: Final = 3_000_000
DUMP: Final = "/var/lib/mysql/bench"
HAND: Final = "LOAD DATA LOCAL by hand of the same rows"

#: Run inside the host as the Nagios user: a queue of `rounds` files, each service once in each; prints when it was complete.
LAY_QUEUE: Final = """
import os, sys, time
queue, begin, rounds, services = sys.argv[1], *map(int, sys.argv[2:])
for number in range(rounds):
    moment = begin + 60 * number
    with open(f"{queue}/.{moment}.1", "w") as file:
        for service in range(services):
            saw = (service * 31 + number * 7) % 1000
            file.write(f"{moment + service % 60}\\thost{service % 100}\\tservice {service // 100}\\tHTTP OK - {saw} ms\\tOK\\t"
                       f"time=0.{1000 + saw}s;1;2;0 'free space'={saw * 7}MB;100:;50:;0;7000 users={saw}\\n")
print(time.time())
for number in range(rounds):
    os.rename(f"{queue}/.{begin + 60 * number}.1", f"{queue}/{begin + 60 * number}.1")
"""


def main() -> None:
    with Lab.up(name=f"bench-trend-{os.getpid()}", suite_on=("yasu",)) as lab:
        yasu = lab.yasu
        yasu.service("nagios").stop()  # the bench lays the queue, not Nagios
        lab.wait(lambda: queued(yasu) == [], 60, "the queue is empty")
        against_hand(lab, yasu)
        memory(lab, yasu)
        month(yasu)


def against_hand(lab: Lab, yasu: Host) -> None:
    """Each run beside one by hand just after it: the ratio is the median of theirs, not of what the machine did meanwhile."""
    runs = [(load(lab, yasu, ROUNDS), by_hand(yasu)) for _ in range(RUNS)]
    rows = SERVICES * ROUNDS * ROWS_OF_A_LINE
    add(HAND, rows / statistics.median(hand for _, hand in runs), "rows/s", RUNS)
    mine = rows / statistics.median(loader for loader, _ in runs)
    ratio = statistics.median(hand / loader for loader, hand in runs)
    add("trend_load", mine, "rows/s", RUNS, HAND, ratio)
    promise("trend_load beside LOAD DATA LOCAL by hand", 1 / ratio, 2, "times as long")


def load(lab: Lab, yasu: Host, rounds: int) -> float:
    """Seconds from a loader that finds this queue to the end of it, its start and the first sight of the services left out."""
    kill_loader(yasu)
    clear(yasu)
    lay_queue(yasu, 1)
    start_loader(lab, yasu)
    lab.wait(lambda: queued(yasu) == [], 60, "the services are known", poll=0.05)
    clear(yasu, keep_names=True)
    began = lay_queue(yasu, rounds)
    lab.wait(lambda: queued(yasu) == [], 600, "the queue is loaded", poll=0.05)
    took = time.time() - began
    assert number(yasu, "SELECT COUNT(*) FROM perfdata_service_bin") == SERVICES * rounds * (ROWS_OF_A_LINE - 1)
    return took


def by_hand(yasu: Host) -> float:
    """Seconds in which the client of the server's own package loads the same rows into the same tables."""
    yasu.run(["rm", "-rf", DUMP])
    yasu.run(["install", "-d", "-o", "mysql", DUMP])
    for table in ("raw", "bin"):
        sql(yasu, f"SELECT * FROM perfdata_service_{table} ORDER BY id INTO OUTFILE '{DUMP}/{table}.tsv' CHARACTER SET utf8mb4")
    clear(yasu, keep_names=True)
    began = time.monotonic()
    for table in ("raw", "bin"):
        load_data = f"LOAD DATA LOCAL INFILE '{DUMP}/{table}.tsv' INTO TABLE perfdata_service_{table} CHARACTER SET utf8mb4"
        yasu.run(["mariadb", "--local-infile", "perfparse", "-e", load_data], timeout=300)
    return time.monotonic() - began


def memory(lab: Lab, yasu: Host) -> None:
    """The most that the loader ever held, for a queue and for one four times its size."""
    peaks = []
    for rounds in (ROUNDS, 4 * ROUNDS):
        kill_loader(yasu)
        clear(yasu)
        lay_queue(yasu, rounds)
        start_loader(lab, yasu)
        lab.wait(lambda: queued(yasu) == [], 600, "the queue is loaded", poll=0.2)
        status = yasu.read(f"/proc/{loader_pid(yasu)}/status")
        peaks.append(int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024)
    add("trend_load, memory for a queue", peaks[0], "MiB", 1)
    add("trend_load, memory for four times that queue", peaks[1], "MiB", 1, "one queue", peaks[1] / peaks[0])
    promise("trend_load, memory for four times that queue", peaks[1] / peaks[0], 1.1, "times one queue's")


def month(yasu: Host) -> None:
    """Seconds that `nagios-failover trend --since 30d` takes: text, and a picture."""
    clear(yasu)
    each = MONTH_ROWS // MONTH_SERIES
    step = 30 * 86400 // each
    sql(
        yasu,
        "INSERT INTO perfdata_service_metric (host_name, service_description, metric, unit) "
        f"SELECT CONCAT('host', seq), 'HTTP', 'time', 's' FROM seq_1_to_{MONTH_SERIES}",
    )
    for first in range(0, each, each // 20):  # in the order in which time brings them
        last = min(each, first + each // 20) - 1
        sql(
            yasu,
            "INSERT INTO perfdata_service_bin (host_name, service_description, metric, ctime, value, state, warn, critical) "
            "SELECT CONCAT('host', h.seq), 'HTTP', 'time', "
            f"UTC_TIMESTAMP() - INTERVAL 30 DAY + INTERVAL (t.seq * {step}) SECOND, "
            "RAND(), 0, '0.9', '0.99' "
            f"FROM seq_{first}_to_{last} t JOIN seq_1_to_{MONTH_SERIES} h ORDER BY t.seq",
        )
    rows = number(yasu, "SELECT COUNT(*) FROM perfdata_service_bin")
    yasu.service("mariadbd").restart()  # what it has just written is not in its memory
    wait_for_mariadb(yasu)
    for name, options in (("text", []), ("a picture", ["--output", "/tmp/month.svg"])):
        began = time.monotonic()
        said = yasu.run([COMMAND, "trend", "host7", "HTTP", "time", "--since", "30d", *options], timeout=120).stdout
        found = re.search(r"(\d+) values", said)
        assert found and int(found[1]) > 0.99 * each, said
        took = time.monotonic() - began
        add(f"trend of a month out of {rows} rows, {name}", took, "s", 1)
        promise(f"trend of a month, {name}", took, 5, "s")


def clear(yasu: Host, *, keep_names: bool = False) -> None:
    tables = ["perfdata_service_raw", "perfdata_service_bin", "perfdata_raw_summary_data"]
    if not keep_names:
        tables += ["perfdata_host", "perfdata_service", "perfdata_service_metric", "nagios_failover_count"]
    for table in tables:
        sql(yasu, f"DELETE FROM {table}" if table == "nagios_failover_count" else f"TRUNCATE {table}")


def lay_queue(yasu: Host, rounds: int) -> float:
    """Returns the time at which the queue was complete."""
    begin = str(int(time.time()) - 7 * 86400 + (0 if rounds == 1 else 86400))
    argv = ["python3", "-I", "-c", LAY_QUEUE, f"{PERFDATA}/queue", begin, str(rounds), str(SERVICES)]
    return float(yasu.run(argv, user="nagios", timeout=120).stdout)


def start_loader(lab: Lab, yasu: Host) -> None:
    """A new one, as process_perfdata starts it."""
    kill_loader(yasu)
    perfdata_world.start_loader(yasu)
    lab.wait(lambda: loader_pid(yasu), 30, "the loader runs", poll=0.02)
