"""How long Nagios's main thread waits for process_perfdata, beside a bare `sh -c mv` in turn with it, on a lab's master."""

from __future__ import annotations

import json
import os
from typing import Final

from bench.common import add
from tests.lab import Host, Lab
from tests.lab.suite import STATE

RUNS: Final = 300
SCRIPT: Final = "/opt/nagios-failover/bin/process_perfdata"
BARE: Final = "sh -c mv"

#: Run inside the host as the Nagios user: times the two in turn, as Nagios starts a command (sh -c), and prints two medians
#: in ms. `before` is done, untimed, before each call.
TIMING: Final = """
import json, os, signal, statistics, sys, time
state, script, runs, before = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
spool, bare = f"{state}/perfdata/spool", f"{state}/perfdata/bare"

def waited(command):
    began = time.perf_counter()
    os.waitpid(os.posix_spawn("/bin/sh", ["sh", "-c", command], os.environ), 0)
    return (time.perf_counter() - began) * 1000

def lay_spool():
    with open(spool, "w") as file:
        file.write("1763822531\\tweb1\\tHTTP\\tHTTP OK\\tOK\\ttime=0.01s\\n" * 40)

def loader():
    with open(f"{state}/perfdata/loader.pid") as file:
        pid = int(file.read() or 0)
    return pid if pid and os.path.exists(f"/proc/{pid}") else None

def kill_loader():
    os.kill(loader(), signal.SIGKILL)
    while loader():
        time.sleep(0.001)

found = {"mv": [], "script": []}
for number in range(runs):
    while before == "kill" and not loader():
        time.sleep(0.05)  # until the one that the last call started is there: its start is not the bare mv's time
    lay_spool()
    found["mv"].append(waited(f"mv {spool} {bare}"))
    if before == "kill":
        kill_loader()
    lay_spool()
    found["script"].append(waited(f"{script} {state} {int(time.time())}"))
print(json.dumps({name: statistics.median(times) for name, times in found.items()}))
"""


def main() -> None:
    with Lab.up(name=f"bench-perfdata-{os.getpid()}", suite_on=("yasu",)) as lab:
        yasu = lab.yasu
        yasu.service("nagios").stop()  # the bench calls, not Nagios
        measure("process_perfdata", yasu)
        loader(yasu)
        database = yasu.service("mariadbd")
        database.freeze()
        measure("process_perfdata, mysqld frozen", yasu)
        database.thaw()
        measure("process_perfdata, loader to be started", yasu, runs=20, before="kill")
        role = yasu.read(f"{STATE}/role").replace("role=master", "role=standby")
        yasu.write(f"{STATE}/role", role, owner="nagios", group="adm", mode=0o640)
        measure("process_perfdata, on a standby", yasu)


def measure(name: str, host: Host, *, runs: int = RUNS, before: str = "nothing") -> None:
    bare, script = medians(host, runs=runs, before=before)
    add(name, script, "ms", runs, against=f"{BARE}, {bare:.2f} ms", ratio=script / bare)


def medians(host: Host, *, runs: int, before: str = "nothing") -> tuple[float, float]:
    """How long a bare mv and the script take on this host, in ms. `before` = kill: the loader is killed before each call."""
    argv = ["python3", "-I", "-c", TIMING, STATE, SCRIPT, str(runs), before]
    found = json.loads(host.run(argv, user="nagios", timeout=120).stdout)
    return found["mv"], found["script"]


def loader(host: Host) -> None:
    """What the loader that just took all these calls holds and has used, its start included."""
    pid = host.read(f"{STATE}/perfdata/loader.pid").strip()
    resident = next(line.split()[1] for line in host.read(f"/proc/{pid}/status").splitlines() if line.startswith("VmRSS"))
    ticks = host.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[11:13]
    add("loader, resident memory", int(resident) / 1024, "MiB", 1)
    add("loader, CPU since its start", sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"), "s", 1)
