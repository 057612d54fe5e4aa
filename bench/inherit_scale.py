"""50,000 services on 2,500 hosts: what a pull of the state costs, how long the conversion takes beside a copy line by line, in what
memory, and how long a failover that inherits them is over its Nagios's own reading of the file."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from typing import Any, Final

from bench.common import add
from tests.lab import Host, Lab
from tests.lab.suite import CONFIG, STATE

HOSTS: Final = 2_500
SERVICES: Final = 20
PROBLEMS: Final = 1_000
ALLOWANCE_SECONDS: Final = 3.0
DIRECTORY: Final = "/etc/nagios4/conf.d"
PYTHON: Final = "/opt/nagios-failover/bin/python"
CHECK: Final = "/opt/nagios-failover/bin/check_state_sync"
LOG: Final = "/var/log/nagios4/nagios.log"
STATUS: Final = "/var/lib/nagios4/status.dat"
COMMANDS: Final = "/var/lib/nagios4/rw/nagios.cmd"

#: Run inside the standby as the Nagios user: the conversion, its last look included, beside the same file copied line by line, in
#: turn; CPU and wall in seconds, and the conversion's peak memory in a process of its own.
CONVERSION: Final = """
import json, os, resource, sys, time
from pathlib import Path
from nagios_failover.copies import chunks, write_stream
from nagios_failover.gap import Gap
from nagios_failover.incidents import Conversion, Flapping
from nagios_failover.loadable import loadable
from nagios_failover.nagios_files import read_program_status
from nagios_failover.snapshot import read_own
snapshot, own_status, work = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])

def convert():
    own = read_own(chunks(own_status), watch_host="nagios-failover")
    began = time.perf_counter(), time.process_time()
    since = read_program_status(snapshot).created
    conversion = Conversion(own, Gap(since, since, 2.0), watch_host="nagios-failover", flapping=Flapping())
    write_stream(work / "converted", loadable(conversion.lines(chunks(snapshot)), watch_host="nagios-failover"))
    return time.perf_counter() - began[0], time.process_time() - began[1]

def copy():
    began = time.perf_counter(), time.process_time()
    with snapshot.open("rb") as source, (work / "copied").open("wb") as target:
        for line in source:
            target.write(line)
        target.flush()
        os.fsync(target.fileno())
    return time.perf_counter() - began[0], time.process_time() - began[1]

def in_a_child(act):
    reading, writing = os.pipe()
    if os.fork() == 0:
        result = act()
        os.write(writing, json.dumps([*result, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]).encode())
        os._exit(0)
    os.wait()
    return json.loads(os.read(reading, 1000))

print(json.dumps([[in_a_child(act) for act in (convert, copy)] for _ in range(int(sys.argv[4]))]))
"""

#: Run inside a host: READ_STATE_INFORMATION, and the longest time in which Nagios's main thread then answers nobody.
STALL: Final = """
import os, socket, sys, time
def ping():
    with socket.socket(socket.AF_UNIX) as query:
        query.settimeout(60)
        query.connect(sys.argv[1])
        query.sendall(b"@echo x\\0")
        return query.recv(100)
ping()
with open(sys.argv[2], "w") as commands:
    commands.write(f"[{int(time.time())}] READ_STATE_INFORMATION\\n")
longest, until = 0.0, time.monotonic() + 20
while time.monotonic() < until:
    began = time.monotonic()
    ping()
    longest = max(longest, time.monotonic() - began)
    time.sleep(0.005)
print(longest)
"""


def main() -> None:
    with Lab.up(name=f"bench-scale-{os.getpid()}") as lab:
        grow(lab)
        pulls(lab)
        conversion(lab.nabira)
        take_over(lab)


def objects() -> Iterator[str]:
    yield (
        "define service {\n name scale\n use monitored-service\n register 0\n active_checks_enabled 0\n}\n"
        "define host {\n name scale\n use monitored-host\n register 0\n active_checks_enabled 0\n}\n"
    )
    for number in range(HOSTS):
        yield f"define host {{\n use scale\n host_name host{number}\n address 127.0.0.1\n}}\n"
    names = ",".join(f"host{number}" for number in range(HOSTS))
    for number in range(SERVICES):
        yield f"define service {{\n use scale\n host_name {names}\n service_description Service {number}\n}}\n"


def grow(lab: Lab) -> None:
    """Both hosts get the objects; PROBLEMS services of the master fail, and it saves that for the standby to pull."""
    text = "".join(objects())
    pair = (lab.yasu, lab.nabira)
    for host in pair:
        config = host.read(CONFIG).replace("#watch = no\n# Of one pull", "watch = yes\n# Of one pull")
        config = config.replace("#timeout = 30\n# Of the last pull", "timeout = 50\n# Of the last pull")
        config = config.replace("#fetch_timeout = 10", "fetch_timeout = 30")
        config = re.sub(r"^#?status_(warning|critical) = .*$", r"status_\1 = 60", config, flags=re.M)
        host.write(CONFIG, config, owner="root", group="nagios", mode=0o640)
        host.write(f"{DIRECTORY}/scale.cfg", text)
        host.run("sed -i 's/^status_update_interval=.*/status_update_interval=5/' /etc/nagios4/nagios.cfg")
        host.run("kill -HUP $(cat /run/nagios4/nagios4.pid)")
    for host in pair:
        lab.wait(lambda host=host: services(host) > HOSTS * SERVICES, 120, f"{host.name} has the objects", poll=1)  # type: ignore[misc]
    now = int(time.time())
    results = "".join(
        f"[{now}] PROCESS_SERVICE_CHECK_RESULT;host{number};Service {number % SERVICES};2;CRITICAL - it does not answer\n"
        for number in range(PROBLEMS)
    )
    for _ in range(3):
        lab.yasu.run(["sh", "-c", f"cat > {COMMANDS}"], stdin=results, timeout=120)
        time.sleep(5)
    lab.wait(lambda: not_ok(lab.yasu) >= PROBLEMS, 120, "the master has its problems", poll=1)


def services(host: Host) -> int:
    return int(host.run(f"grep -c '^servicestatus' {STATUS} || true").stdout or 0)


def not_ok(host: Host) -> int:
    return int(host.run(f"grep -c 'current_state=2' {STATUS} || true").stdout or 0)


def pulls(lab: Lab) -> None:
    """A pull with a small log and with one of 200 MB: what is new in it is the same."""
    lab.nabira.service("nagios").stop()
    seconds = {}
    for what, lines in (("1 MB", 10_000), ("200 MB", 2_000_000)):
        line = f"[{int(time.time())}] SERVICE ALERT: host1;Service 1;OK;HARD;3;it is well, and has been for a long while now"
        lab.yasu.run(f"yes '{line}' | head -n {lines} >> {LOG}", timeout=120)
        pull(lab.nabira)
        taken = []
        for _ in range(3):
            lab.yasu.run(f"yes '{line}' | head -n 1000 >> {LOG}")
            taken.append(pull(lab.nabira))
        seconds[what] = sorted(taken)[1]
    status = int(lab.yasu.run(f"stat -c %s {STATUS}").stdout)
    add("pull of 50,000 services, a log of 1 MB", seconds["1 MB"], "s", 3)
    add("pull of 50,000 services, a log of 200 MB", seconds["200 MB"], "s", 3, "a log of 1 MB", seconds["200 MB"] / seconds["1 MB"])
    add("status.dat that it brings", status / 2**20, "MiB", 1)
    version = f"touch {STATE}/sync/yasu/drift && rm {STATE}/sync/yasu/drift"
    lab.nabira.run(version, user="nagios")
    compared = pull(lab.nabira)
    add("pull in which the objects are compared anew", compared, "s", 1, "one in which they are not", compared / seconds["200 MB"])
    lab.nabira.service("nagios").start()
    lab.wait(lambda: services(lab.nabira) > HOSTS * SERVICES, 120, "nabira is back", poll=1)


def pull(host: Host) -> float:
    began = time.perf_counter()
    done = host.run([CHECK], user="nagios", check=False, timeout=90)
    if "not renewed" in done.stdout or done.returncode == 3:
        raise RuntimeError(done.stdout)
    return time.perf_counter() - began


def conversion(host: Host) -> None:
    runs = 5
    host.run("install -d -o nagios /var/tmp/bench")
    argv = [PYTHON, "-c", CONVERSION, f"{STATE}/sync/yasu/status.dat", STATUS, "/var/tmp/bench", str(runs)]
    measured = json.loads(host.run(argv, user="nagios", timeout=300).stdout)
    converted, copied = ([row[side] for row in measured] for side in (0, 1))
    wall, cpu, memory = (sorted(row[part] for row in converted)[runs // 2] for part in range(3))
    wall_of_copy, cpu_of_copy, _ = (sorted(row[part] for row in copied)[runs // 2] for part in range(3))
    size = int(host.run(f"stat -c %s {STATE}/sync/yasu/status.dat").stdout)
    against = "reading it line by line and writing it unchanged"
    add("conversion of 50,000 services", wall, "s", runs, against, wall / wall_of_copy)
    add("conversion of 50,000 services, CPU", cpu, "s", runs, against, cpu / cpu_of_copy)
    add("conversion, peak memory", memory / 1024, "MiB", runs, "the file", memory * 1024 / size)


def take_over(lab: Lab) -> None:
    """From HARD (the handler's run is opened) to an active host, beside Nagios's own stall for reading as large a file, and 3 s."""
    nabira = lab.nabira
    nabira.run(f'echo "[$(date +%s)] SAVE_STATE_INFORMATION" > {COMMANDS}')
    time.sleep(5)
    stall = float(nabira.run(["python3", "-c", STALL, "/var/lib/nagios4/rw/nagios.qh", COMMANDS], user="nagios", timeout=60).stdout)
    add("READ_STATE_INFORMATION, Nagios's longest stall", stall, "s", 1)
    pull(nabira)
    lab.yasu.service("nagios").kill9()
    lab.wait(lambda: "role=master" in nabira.read(f"{STATE}/role"), 180, "nabira takes over", poll=0.5)
    lab.wait(lambda: run_of(nabira).get("closed"), 120, "its run has ended", poll=0.5)
    record = run_of(nabira)
    steps: list[dict[str, Any]] = record["steps"]
    for step in steps:
        if step["name"] in ("fetch", "inherit", "activate") or (step["seconds"] or 0.0) > 0.2:
            print(f"    {step['name']}: {step['seconds'] or 0.0:.2f} s: {step['detail'][:150]}", flush=True)
    # Nagios logs the command when it obeys it, with whole seconds; that status.dat shows it comes up to an update interval later
    active = nabira.run(f"grep 'EXTERNAL COMMAND: START_EXECUTING_HOST_CHECKS;nagios-failover' {LOG} | tail -n 1").stdout
    taken = int(active[1 : active.index("]")]) + 1 - float(record["opened"])
    limit = stall + ALLOWANCE_SECONDS
    add("failover of 50,000 services, HARD to active", taken, "s", 1, f"READ's stall and {ALLOWANCE_SECONDS:g} s", taken / limit)


def run_of(host: Host) -> dict[str, Any]:
    found = json.loads(host.run(["nagios-failover", "history", "--json"]).stdout)
    failovers = [run for run in found if run["kind"] == "failover"]
    if not failovers:
        return {}
    return dict(json.loads(host.run(["nagios-failover", "history", "--json", failovers[0]["id"]]).stdout))
