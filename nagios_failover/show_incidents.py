"""`nagios-failover incidents`: the open incidents, and with --audit what was sent over a failover."""

from __future__ import annotations

import argparse
import json
import time
from datetime import datetime
from typing import TYPE_CHECKING

from nagios_failover import printing
from nagios_failover.config import Config
from nagios_failover.config_values import duration
from nagios_failover.errors import DONE, FAILED, UsageError
from nagios_failover.printing import moment
from nagios_failover.state_files import StateFiles

if TYPE_CHECKING:
    from nagios_failover.look_back import LookedBack
    from nagios_failover.open_incidents import OpenIncident


def since(text: str) -> float:
    """`2h` (so long ago) or `2026-11-25` or `2026-11-25 15:00` (local time), as epoch seconds."""
    try:
        return time.time() - duration(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; hint: 2h, 2026-11-25 or '2026-11-25 15:00'") from None


def incidents(config: Config, args: argparse.Namespace) -> int:
    if args.audit:
        return _audit(config, args)
    if args.since is not None or args.mail_log:
        raise UsageError("--since and --mail-log go with --audit", hint="nagios-failover incidents --audit")
    from nagios_failover.as_json import incidents_json
    from nagios_failover.look_back import open_now

    seen = open_now(config, StateFiles(config.paths.state))
    if args.json:
        print(json.dumps(incidents_json(seen), indent=2))
        return DONE
    count = len(seen.incidents)
    headline = f"{count} open incident{'' if count == 1 else 's'} of {seen.master}"
    printing.emphasised(headline, good=not count)
    print(f"as of its status.dat of {moment(seen.created)}" + (" (this standby's copy)" if seen.copied else ""))
    if count:
        print()
        printing.table(("OBJECT", "STATE", "TYPE", "SINCE", "NOTIFIED", "MARKS", "OUTPUT"), [_row(one) for one in seen.incidents])
    return DONE


def _row(one: OpenIncident) -> tuple[str, ...]:
    marks = [word for word, on in (("in downtime", one.downtime), ("flapping", one.flapping), ("muted", not one.notifies)) if on]
    if one.acknowledged:
        marks.insert(0, f"acknowledged {one.acknowledged}")
    hardness = "HARD" if one.hard else "SOFT"
    return (
        "/".join(filter(None, one.key)),
        one.state,
        hardness,
        moment(one.since),
        _told(one),
        ", ".join(marks) or "-",
        one.output,
    )


def _told(one: OpenIncident) -> str:
    """The newest of each contact: `oncall 15:01:02 by yasu (3 times)`."""
    if not one.told:
        return f"{one.number} times, last {moment(one.last_notification)}" if one.number else "nobody"
    said = []
    for contact in dict.fromkeys(told.contact for told in one.told):
        theirs = [told for told in one.told if told.contact == contact]
        times = f" ({len(theirs)} times)" if len(theirs) > 1 else ""
        said.append(f"{contact} {moment(theirs[-1].time)} by {theirs[-1].host}{times}")
    return ", ".join(said)


def _audit(config: Config, args: argparse.Namespace) -> int:
    from nagios_failover.as_json import audit_json
    from nagios_failover.findings import Kind
    from nagios_failover.look_back import look_back

    seen = look_back(config, StateFiles(config.paths.state), since=args.since, mail_logs=args.mail_log)
    findings = seen.result.findings
    if args.json:
        print(json.dumps(audit_json(seen), indent=2))
        return FAILED if findings else DONE
    counted = ", ".join(f"{seen.result.count(kind)} {kind}" for kind in Kind)
    printing.emphasised(counted if findings else "every notification went out once", good=not findings)
    for line in _over_what(seen):
        print(line)
    if findings:
        print()
        rows = [(one.kind, one.notification, one.name, one.contact or "-", moment(one.time), one.why) for one in findings]
        printing.table(("WHAT", "NOTIFICATION", "OBJECT", "CONTACT", "WHEN", "WHY"), rows)
    return FAILED if findings else DONE


def _over_what(seen: LookedBack) -> list[str]:
    sent, history = seen.result.sent, seen.history
    lines = []
    for host in history.hosts:
        told = f"{sent.get(('PROBLEM', host), 0)} PROBLEM, {sent.get(('RECOVERY', host), 0)} RECOVERY"
        known = f"its log is known until {moment(history.until[host])}" if host in history.until else "its log is not known"
        lines.append(f"{host:<8}  {told}; {known}")
    lines.append(f"since     {moment(seen.since)}")
    for takeover in seen.takeovers:
        lines.append(f"failover  {moment(takeover.active_at)} to {takeover.host}")
    return [*lines, *(f"note      {note}" for note in seen.result.notes)]
