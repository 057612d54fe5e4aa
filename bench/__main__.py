"""python -m bench [PART...]: run the bench's parts, print a table, write bench/results.json."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from typing import Final

from bench.common import RESULTS, TOP, broken, commit, rows, table, write

#: module -> what it measures; each has a `main()`
PARTS: Final = {
    "check_cost": "CPU of check_master_nagios beside check_by_ssh and check_mysql_query doing the same look",
    "merge_logs": "merging 200 MB of event logs beside sort -m, and how long Nagios is held still",
    "process_perfdata": "how long Nagios's main thread waits for process_perfdata, beside a bare mv",
    "inherit_scale": "50,000 services: a pull, the conversion beside a copy line by line, a failover beside Nagios's own stall",
    "promotion": "the step that promotes a replica beside the same SQL by hand; check_replication beside check_mysql -S",
    "trend_load": "rows per second into the trend tables beside LOAD DATA LOCAL by hand, memory, a month's trend of 3,000,000 rows",
    "check_latency": "Nagios's check latency before and while the database is frozen",
    "switchover": "how long nobody monitors during a switchover, and how long no write is possible",
    "failover_time": "seconds from each fault to checks running and notifications on",
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="measure, print a table, write bench/results.json",
        epilog="\n".join(f"{name:18} {text}" for name, text in PARTS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", nargs="*", metavar="PART", help=f"default: all of {', '.join(PARTS)}")
    chosen = parser.parse_args().part or list(PARTS)
    for name in chosen:
        if name not in PARTS:
            parser.error(f"no part is called {name}: one of {', '.join(PARTS)}")
    began = time.monotonic()
    print(f"bench of {commit()}: {', '.join(chosen)}")
    missing = []
    for name in chosen:
        print(f"{name}: {PARTS[name]}", flush=True)
        if not (TOP / "bench" / f"{name}.py").exists():
            print("  this part is not there")
            missing.append(name)
            continue
        try:
            importlib.import_module(f"bench.{name}").main()
        finally:
            write(rows())  # a part that fails late keeps what it had measured
    print(f"\n{table(rows())}\n\n{RESULTS.relative_to(TOP)} written after {time.monotonic() - began:.0f} s")
    for sentence in broken():
        print(f"error: {sentence}", file=sys.stderr)
    return 1 if missing or broken() else 0


if __name__ == "__main__":
    sys.exit(main())
