"""`--json`: what status, history and incidents show, with stable keys. Times are epoch seconds, ages and durations seconds; null:
not seen or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from nagios_failover.look_back import LookedBack, Open
from nagios_failover.overview import HostView, LeaseView, Overview, disagreements, summary
from nagios_failover.role import Flags
from nagios_failover.run_record import RunRecord


def overview_json(overview: Overview) -> dict[str, Any]:
    verdict = overview.verdict
    return {
        "this": overview.this.name,
        "peer": overview.peer.name,
        "time": overview.time,
        "mode": str(overview.config.pair.mode),
        "failback": str(overview.config.pair.failback),
        "summary": summary(overview),
        "hosts": {host.name: _host_json(host) for host in (overview.this, overview.peer)},
        "verdict": None
        if verdict is None
        else {"state": verdict.state.name, "code": str(verdict.code), "sentence": verdict.sentence, "hint": verdict.hint},
        "lease": None if overview.lease is None else _lease_json(overview.lease),
        "disagreements": disagreements(overview),
        "failover_lock": overview.lock_file,
        "open_runs": [run_json(run) for run in overview.open_runs],
        "last_run": run_json(overview.runs[0]) if overview.runs else None,
    }


def _host_json(host: HostView) -> dict[str, Any]:
    role, paused = host.role, host.paused
    return {
        "address": host.address,
        "suite": host.suite,
        "role": str(role.role) if role else None,
        "master": role.master if role else None,
        "term": role.term if role else None,
        "since": role.since if role else None,
        "run": (role.run or None) if role else None,
        "nagios": host.nagios,
        "pid": host.pid,
        "status_age": host.status_age,
        "flags": _flags_json(host.flags),
        "wanted_flags": _flags_json(host.wanted),
        "overrides": {str(o.owner): {"flags": _flags_json(o.flags), "term": o.term, "since": o.since} for o in host.overrides},
        "paused": None
        if paused is None
        else {"by": paused.by, "reason": paused.reason, "since": paused.since, "until": paused.until},
        "problems": list(host.problems),
    }


def _lease_json(lease: LeaseView) -> dict[str, Any]:
    """`left` 0: this host may not notify; a member's problem null: it answers."""
    return {
        "holder": lease.holder,
        "term": lease.term,
        "left": lease.left,
        "said": lease.said,
        "etcd": {url: problem or None for url, problem in lease.members},
    }


def _flags_json(flags: Flags | None) -> Mapping[str, bool] | None:
    return None if flags is None else {str(flag): on for flag, on in flags.items()}


def run_json(run: RunRecord) -> dict[str, Any]:
    return {
        "id": run.id,
        "kind": run.kind,
        "host": run.host,
        "term": run.term,
        "opened": run.opened,
        "closed": run.closed,
        "outcome": run.outcome,
        "sentence": run.sentence,
        "trigger": run.trigger,
        "resumed": run.resumed,
        "repeats": run.repeats,
        "problem": run.problem,
        "steps": [asdict(step) for step in run.steps],
    }


def incidents_json(seen: Open) -> dict[str, Any]:
    return {
        "master": seen.master,
        "created": seen.created,
        "copied": seen.copied,
        "incidents": [
            {
                **_key_json(one.key),
                "state": one.state,
                "type": "HARD" if one.hard else "SOFT",
                "since": one.since,
                "notifications": one.number,
                "last_notification": one.last_notification or None,
                "notified": [asdict(told) for told in one.told],
                "acknowledged": one.acknowledged or None,
                "in_downtime": one.downtime,
                "flapping": one.flapping,
                "notifications_enabled": one.notifies,
                "output": one.output,
            }
            for one in seen.incidents
        ],
    }


def audit_json(seen: LookedBack) -> dict[str, Any]:
    result = seen.result
    return {
        "since": seen.since,
        "logs_known_until": {host: seen.history.until.get(host) for host in seen.history.hosts},
        "failovers": [
            {"run": one.run, "to": one.host, "active_at": one.active_at, "known_until": None if one.fetched else one.known_until}
            for one in seen.takeovers
        ],
        "sent": [{"notification": what, "by": host, "count": count} for (what, host), count in sorted(result.sent.items())],
        "notes": result.notes,
        "findings": [
            {
                "what": str(one.kind),
                "notification": one.notification,
                **_key_json(one.key),
                "contact": one.contact or None,
                "time": one.time,
                "why": one.why,
                "sent": [asdict(sent) for sent in one.sent],
            }
            for one in result.findings
        ],
    }


def _key_json(key: tuple[str, str]) -> dict[str, str | None]:
    return {"host": key[0], "service": key[1] or None}
