"""What the tests of trend data know of a lab: what Nagios wrote, and what must be in the tables for it.

Every spool file that Nagios hands over is copied, before anything else sees it, by a command in front of process_perfdata: what
is in the tables is compared with Nagios's own lines, not with what we think it should have written."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple, TypeVar

from nagios_failover.metrics import Sample, parse_line
from nagios_failover.perfparse import named, utc
from tests.lab import Host, Lab
from tests.lab.suite import OBJECTS, STATE

PERFDATA = f"{STATE}/perfdata"
SEEN = "/srv/checked/seen"
END = "<the end of the file>"
PROGRAM = "/opt/nagios-failover/bin/process_perfdata"

Raw = tuple[str, str, str, int]
Bin = tuple[str, str, str, str, str]


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


def record(host: Host) -> None:
    """From now on each spool is copied before process_perfdata renames it, to a place that is not on the host's own disk. The
    tables are emptied, and Nagios is started anew."""
    host.run(f"mkdir -p {SEEN}; chown nagios {SEEN}")
    copier = "/usr/local/bin/copy_perfdata"
    host.write(
        copier,
        '#!/bin/sh\ncase "$1" in -H) spool=host-spool ;; *) spool=spool ;; esac\n'
        f"if [ -s {PERFDATA}/$spool ]; then\n"
        f"    seen={SEEN}/$(date +%s%N)\n"
        f'    {{ cat {PERFDATA}/$spool; echo "{END}"; }} >"$seen.part" && mv "$seen.part" "$seen.seen"\n'
        f'fi\nexec {PROGRAM} "$@"\n',
        mode=0o755,
    )
    nagios = host.service("nagios")
    nagios.stop()
    host.run(f"rm -rf {PERFDATA}/queue/* {PERFDATA}/*spool {PERFDATA}/dropped* {PERFDATA}/loader.log {SEEN}/*")
    sql(host, "DELETE FROM perfdata_service_raw; DELETE FROM perfdata_service_bin; DELETE FROM nagios_failover_count")
    host.write(OBJECTS, host.read(OBJECTS).replace(f"{PROGRAM} ", f"{copier} "))
    nagios.start()


def start_loader(host: Host) -> None:
    """As process_perfdata starts it; beside one that runs it ends at once."""
    host.run(f"/opt/nagios-failover/bin/nagios-failover-loader {STATE} </dev/null >/dev/null 2>&1 &", user="nagios")


def settle(lab: Lab, host: Host) -> None:
    """Nagios is stopped, and all that it had handed over is loaded."""
    host.service("nagios").stop()
    start_loader(host)  # one that ended now would be started by nobody
    lab.wait(lambda: queued(host) == [], 90, "the queue is empty", poll=0.5)


def written(host: Host) -> tuple[list[Sample], int]:
    """The whole lines that Nagios wrote, and how many others there are: torn, or malformed."""
    text = host.run(f"find {SEEN} -name '*.seen' | sort | xargs -r cat", timeout=120).stdout
    samples: list[Sample] = []
    others = 0
    for line in text.split("\n"):
        sample = "torn" if line.endswith(END) else parse_line(line.encode())
        if isinstance(sample, Sample):
            samples.append(sample)
        elif line not in ("", END):
            others += 1
    return samples, others


def expected(samples: list[Sample]) -> Tables:
    raw: Counter[Raw] = Counter()
    measured: Counter[Bin] = Counter()
    for sample in samples:
        when = utc(sample.moment)
        raw[sample.host, sample.service, when, sample.state] += 1
        for metric in sample.metrics:
            value = "NULL" if metric.value is None else f"{metric.value:.15g}"
            measured[sample.host, sample.service, when, named(metric.label), value] += 1
    return Tables(raw, measured)


def stored(host: Host) -> Tables:
    raw: Counter[Raw] = Counter()
    for line in sql(host, "SELECT host_name, service_description, ctime, nagios_status FROM perfdata_service_raw").splitlines():
        name, service, when, state = line.split("\t")
        raw[name, service, when, int(state)] += 1
    measured: Counter[Bin] = Counter()
    for line in sql(host, "SELECT host_name, service_description, ctime, metric, value FROM perfdata_service_bin").splitlines():
        name, service, when, metric, value = line.split("\t")
        measured[name, service, when, metric, value if value == "NULL" else f"{float(value):.15g}"] += 1
    return Tables(raw, measured)


def disagreement(host: Host) -> str:
    """How the tables differ from what Nagios wrote; "" for not at all."""
    samples, _ = written(host)
    want, have = expected(samples), stored(host)
    parts = [_differing("raw", want.raw, have.raw), _differing("bin", want.bin, have.bin)]
    return "; ".join(part for part in parts if part)


T = TypeVar("T")


def _differing(what: str, wanted: Counter[T], found: Counter[T]) -> str:
    missing, doubled = wanted - found, found - wanted
    if not missing and not doubled:
        return ""
    counted = f"{missing.total()} of {wanted.total()} are missing, {doubled.total()} are too many"
    return f"{what}: {counted}: {list(missing)[:3]} {list(doubled)[:3]}"
