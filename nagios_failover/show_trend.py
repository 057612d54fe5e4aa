"""`nagios-failover trend`: a service's metrics over time, as text, CSV, JSON or a picture."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time

from nagios_failover.config import Config
from nagios_failover.errors import DONE, UsageError
from nagios_failover.printing import on_terminal
from nagios_failover.series import Span, as_csv, as_json, chart, counted
from nagios_failover.series_reader import read_series

PLAIN_WIDTH = 72
MARGIN = 16
PICTURE_SLOTS = 600
DATA_SLOTS = 1000


def trend(config: Config, args: argparse.Namespace) -> int:
    from nagios_failover import plot

    if args.output:
        plot.check_output(args.output)
    for name in filter(None, (args.host, args.service, args.metric)):
        _require_text(name)
    now = int(time.time())
    span = Span(now - int(args.since), now, _slots(args))
    series, failovers = read_series(config, args.host, args.service, args.metric, span)
    if args.csv:
        print(as_csv(series, failovers), end="")
    elif args.json:
        print(json.dumps(as_json(series, failovers), indent=2, ensure_ascii=False))
    elif args.output:
        if len(series) > plot.MOST_PANELS:
            raise UsageError(
                f"{args.host} {args.service} has {len(series)} metrics, and a picture shows {plot.MOST_PANELS} at most",
                hint=f"name one: {', '.join(one.metric for one in series[:3])}, ...",
            )
        plot.draw(args.output, series, failovers)
        values = sum(slot.values for one in series for slot in one.slots)
        print(f"{args.output}: {', '.join(one.metric for one in series)} of {args.host} {args.service}, {counted(values)}")
    else:
        plain = not (sys.stdout.encoding or "").lower().startswith("utf")
        for number, one in enumerate(series):
            print("\n".join([*([""] if number else []), *chart(one, failovers, ascii_only=plain)]))
    return DONE


def _require_text(name: str) -> None:
    """What the shell hands over in another encoding than the locale's is no text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{name!r} is not of the locale's encoding", hint="LC_ALL=C.UTF-8; the tables hold UTF-8") from None


def _slots(args: argparse.Namespace) -> int:
    if args.csv or args.json:
        return DATA_SLOTS
    if args.output:
        return PICTURE_SLOTS
    return max(20, (shutil.get_terminal_size().columns if on_terminal() else PLAIN_WIDTH) - MARGIN)
