"""What the tests of trend data know of a lab: what Nagios wrote, and what must be in the tables for it.

Every spool file that Nagios hands over is copied, before anything else sees it, by a command in front of process_perfdata: what
is in the tables is compared with Nagios's own lines, not with what we think it should have written. A spool that could not be
queued (a full disk, a command that Nagios ended) is copied again by the next call, longer; the shorter copy does not count."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

from nagios_failover.metrics import Sample, parse_line
from nagios_failover.perfparse import named, utc
from tests.lab import Host, Lab
from tests.lab.suite import OBJECTS, STATE

PERFDATA = f"{STATE}/perfdata"
SEEN = "/srv/checked/seen"
HOLDER = "/root/holder.pid"
END = "<the end of the file>"
PROGRAM = "/opt/nagios-failover/bin/process_perfdata"

Raw = tuple[str, str, str, int, str]
"""Host, service, time, state; output and perfdata, each in hexadecimal digits."""
Bin = tuple[str, str, str, str, str, str, str]


class Tables(NamedTuple):
    """Rows of the two tables that hold measurements, each with how often it is there."""

    raw: Counter[Raw]
    bin: Counter[Bin]


def sql(host: Host, statement: str, *, database: str = "perfparse") -> str:
    return host.run(["mariadb", "--batch", "--skip-column-names", database], stdin=statement, timeout=120).stdout.strip()


def number(host: Host, statement: str) -> int:
    return int(sql(host, statement) or 0)


def queued(host: Host) -> list[str]:
    return host.run(["ls", f"{PERFDATA}/queue"]).stdout.split()


def queued_lines(host: Host) -> list[str]:
    return host.run(f"find {PERFDATA}/queue -type f | sort | xargs -r cat").stdout.splitlines()


def record(host: Host) -> None:
    """From now on each spool is copied before process_perfdata renames it, to a place that is not on the host's own disk. The
    tables are emptied, and Nagios and the loader are started anew."""
    host.run(f"mkdir -p {SEEN}/spool {SEEN}/host-spool; chown nagios {SEEN}/*")
    copier = "/usr/local/bin/copy_perfdata"
    host.write(
        copier,
        '#!/bin/sh\ncase "$1" in -H) spool=host-spool ;; *) spool=spool ;; esac\n'
        f"if [ -s {PERFDATA}/$spool ]; then\n"
        f"    seen={SEEN}/$spool/$(date +%s%N)\n"
        f'    {{ cat {PERFDATA}/$spool; echo "{END}"; }} >"$seen.part" && mv "$seen.part" "$seen.seen"\n'
        f'fi\nexec {PROGRAM} "$@"\n',
        mode=0o755,
    )
    nagios = host.service("nagios")
    nagios.stop()
    kill_loader(host)
    host.run(f"rm -rf {PERFDATA}/queue/* {PERFDATA}/*spool {PERFDATA}/dropped* {PERFDATA}/loader.log {SEEN}/*/*")
    sql(host, "DELETE FROM perfdata_service_raw; DELETE FROM perfdata_service_bin; DELETE FROM nagios_failover_count")
    host.write(OBJECTS, host.read(OBJECTS).replace(f"{PROGRAM} ", f"{copier} "))
    nagios.start()


def loader_pid(host: Host) -> int:
    """Of the process that runs, whatever the PID file says; 0 for none. More than one is an error."""
    pids = host.run("grep -lx perfdata-loader /proc/[0-9]*/comm | cut -d/ -f3", check=False).stdout.split()
    assert len(pids) <= 1, f"more than one loader: {pids}"
    return int(pids[0]) if pids else 0


def kill_loader(host: Host) -> int:
    """kill -9, if there is one; returns who it was."""
    pid = loader_pid(host)
    if pid:
        host.run(["kill", "-9", str(pid)], check=False)
    return pid


def hold_loader(host: Host) -> None:
    """From now on the queue grows: somebody has the loader's lock, and each one that is started ends at once."""
    host.run(f"rm -f {HOLDER}")
    host.run(f"setsid -f flock {PERFDATA}/loader.pid sh -c 'echo $$ >{HOLDER}; exec sleep 3600' </dev/null >/dev/null 2>&1")
    deadline = time.monotonic() + 30
    while not host.run(f"cat {HOLDER}", check=False).stdout:  # until then a loader has the lock, the running one or the next
        assert time.monotonic() < deadline, "nobody got the loader's lock"
        kill_loader(host)
        time.sleep(0.05)


def release_loader(host: Host) -> None:
    """Whoever still waits for the lock goes, too."""
    host.run(f"pkill -f '^flock {PERFDATA}/loader.pid'; kill $(cat {HOLDER})", check=False)


def queue(host: Host, name: str, lines: str) -> None:
    """As process_perfdata does it: a spool is in the queue under its name when it is whole."""
    host.write(f"{PERFDATA}/made-{name}", lines, owner="nagios", group="adm")
    host.run(["mv", f"{PERFDATA}/made-{name}", f"{PERFDATA}/queue/{name}"])


def start_loader(host: Host) -> None:
    """As process_perfdata starts it; beside one that runs it ends at once."""
    host.run(f"/opt/nagios-failover/bin/nagios-failover-loader {STATE} </dev/null >/dev/null 2>&1 &", user="nagios")


def settle(lab: Lab, host: Host) -> None:
    """Nagios is stopped, and all that it had handed over is loaded."""
    host.service("nagios").stop()
    start_loader(host)  # one that ended now would be started by nobody
    lab.wait(lambda: queued(host) == [], 90, "the queue is empty", poll=0.5)  # after a full disk mariadbd rests for a minute


def written(host: Host) -> tuple[list[Sample], int]:
    """The whole lines that Nagios wrote, and how many others there are: torn, or malformed."""
    samples: list[Sample] = []
    others = 0
    for line in (line for kind in ("spool", "host-spool") for line in _handed_over(host, kind)):
        sample = "torn" if line.endswith(END) else parse_line(line.encode())
        if isinstance(sample, Sample):
            samples.append(sample)
        elif line not in ("", END):
            others += 1
    return samples, others


def _handed_over(host: Host, kind: str) -> list[str]:
    copies = host.run(f"find {SEEN}/{kind} -name '*.seen' | sort | xargs -r cat", timeout=120).stdout.split(f"{END}\n")
    lines: list[str] = []
    for copy, following in pairwise([*copies, ""]):
        if copy and not following.startswith(copy):
            lines.extend(f"{copy}{END}".split("\n"))
    return lines


def expected(samples: list[Sample]) -> Tables:
    raw: Counter[Raw] = Counter()
    measured: Counter[Bin] = Counter()
    for sample in samples:
        when = utc(sample.moment)
        raw[_raw(sample)] += 1
        for metric in sample.metrics:
            value = "NULL" if metric.value is None else f"{metric.value:.15g}"
            limits = (metric.warn or "NULL", metric.crit or "NULL")
            measured[sample.host, sample.service, when, named(metric.label), value, *limits] += 1
    return Tables(raw, measured)


def _raw(sample: Sample) -> Raw:
    texts = ":".join(text.encode().hex() for text in (sample.output, sample.perfdata))
    return sample.host, sample.service, utc(sample.moment), sample.state, texts


def stored(host: Host) -> Tables:
    raw: Counter[Raw] = Counter()
    names = "host_name, service_description, ctime"
    texts = "LOWER(CONCAT(HEX(output), ':', HEX(perfdata)))"
    for line in sql(host, f"SELECT {names}, nagios_status, {texts} FROM perfdata_service_raw").splitlines():
        name, service, when, state, text = line.split("\t")
        raw[name, service, when, int(state), text] += 1
    measured: Counter[Bin] = Counter()
    for line in sql(host, f"SELECT {names}, metric, value, warn, critical FROM perfdata_service_bin").splitlines():
        name, service, when, metric, value, warn, crit = line.split("\t")
        measured[name, service, when, metric, value if value == "NULL" else f"{float(value):.15g}", warn, crit] += 1
    return Tables(raw, measured)


def disagreement(host: Host) -> str:
    """How the tables differ from what Nagios wrote; "" for not at all."""
    samples, _ = written(host)
    want, have = expected(samples), stored(host)
    parts = [_differing("raw", want.raw, have.raw), _differing("bin", want.bin, have.bin)]
    return "; ".join(part for part in parts if part)


def counts(host: Host) -> dict[str, int]:
    """What this host's loader has counted, by the database and by its file of what it dropped."""
    names = ("raw_rows", "bin_rows", "lines_aside", "metrics_aside")
    row = sql(host, f"SELECT {', '.join(names)} FROM nagios_failover_count WHERE host_name = '{host.name}'").split("\t")
    found = dict(zip(names, map(int, row), strict=True))
    text = host.read(f"{PERFDATA}/dropped") if host.exists(f"{PERFDATA}/dropped") else ""
    pairs = dict(line.split("=") for line in text.split() if "=" in line)
    return found | {f"dropped_{name}": int(pairs.get(name, 0)) for name in ("files", "lines", "metrics")}


def times_loaded(host: Host, lines: Sequence[str]) -> dict[str, int]:
    """How often each of these spool lines is in the raw table."""
    samples = {line: parse_line(line.encode()) for line in lines}
    raw = stored(host).raw
    return {line: raw[_raw(one)] for line, one in samples.items() if isinstance(one, Sample)}


def miscounted(host: Host) -> str:
    """How what is counted differs from the lines that Nagios wrote and from what is in the tables; "" for not at all."""
    samples, others = written(host)
    counted = counts(host)
    pairs = {
        "lines": (counted["raw_rows"] + counted["lines_aside"] + counted["dropped_lines"], len(samples) + others),
        "metrics": (counted["bin_rows"] + counted["dropped_metrics"], sum(len(sample.metrics) for sample in samples)),
        "raw rows": (counted["raw_rows"], number(host, "SELECT COUNT(*) FROM perfdata_service_raw")),
        "bin rows": (counted["bin_rows"], number(host, "SELECT COUNT(*) FROM perfdata_service_bin")),
    }
    return "; ".join(f"{name}: {said} are counted, {there} are there" for name, (said, there) in pairs.items() if said != there)


T = TypeVar("T")


def _differing(what: str, wanted: Counter[T], found: Counter[T]) -> str:
    missing, doubled = wanted - found, found - wanted
    if not missing and not doubled:
        return ""
    counted = f"{missing.total()} of {wanted.total()} are missing, {doubled.total()} are too many"
    return f"{what}: {counted}: {list(missing)[:3]} {list(doubled)[:3]}"
