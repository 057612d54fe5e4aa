"""What a mail of ours says. Pure: a run's record in, subject and body out; the sentences are the journal's own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from nagios_failover.config import Config
from nagios_failover.run_record import SWITCHOVER, RunRecord, StepOutcome, StepRecord

SUBJECT = "[nagios-failover]"
WIDTH = 20


def run_mail(
    config: Config, record: RunRecord, result: str, troubles: Sequence[str], *, now: float, notes: Sequence[str] = ()
) -> tuple[str, str]:
    """The mail of a failover, a failback, a stand-down or a fence. `result` is the run's sentence, `troubles` what was passed over
    and is left for a person, `notes` what is told besides."""
    this, peer = config.this, config.peer
    subject = f"{SUBJECT} {result.partition(':')[0]}{' - incomplete: a person is needed' if troubles else ''}"
    parts = [
        f"{result}.",
        _facts(
            [
                ("run", f"{record.id} ({record.kind}, started by {record.trigger or 'nobody known'})"),
                ("this host", f"{this.name}, {this.address}"),
                ("other host", f"{peer.name}, {peer.address}"),
                ("term", str(record.notes.get("term", record.term))),
                ("reason", str(record.notes.get("reason", "-"))),
                ("begun", moment(record.opened)),
                ("mail written", moment(now)),
            ]
        ),
    ]
    if troubles:
        parts.append(_block("What is left for a person to do", troubles))
    if notes:
        parts.append(_block("What failed and is no reason to stop", notes))
    mailed = record.notes.get("mailed_by_peer")
    if mailed is not None:
        parts.append(_block(f"What {peer.name} has mailed since {this.name} became the master", mailed or ["nothing"]))
    looks = record.notes.get("looks", [])
    if looks:
        parts.append(_block("What was seen", [look_line(look) for look in looks]))
    parts.append(_block("Steps", [step_line(step) for step in record.steps if step.outcome != StepOutcome.STARTED]))
    parts.append(_block("What to do next", next_steps(config, record)))
    return subject, "\n\n".join(parts) + "\n"


def late_mail(config: Config, record: RunRecord, trouble: str, *, now: float) -> tuple[str, str]:
    """What went wrong after the run's mail had been written."""
    this = config.this.name
    subject = f"{SUBJECT} {this}: {trouble.partition(':')[0]} failed"
    parts = [
        f"{this} is the master all the same; what went wrong after the mail of run {record.id}: {trouble}.",
        _facts([("run", record.id), ("this host", f"{this}, {config.this.address}"), ("time", moment(now))]),
        f"See the whole run on {this}: nagios-failover history {record.id}",
    ]
    return subject, "\n\n".join(parts) + "\n"


def next_steps(config: Config, record: RunRecord) -> list[str]:
    """What a person should do after a run of this kind."""
    this, peer = config.this.name, config.peer.name
    history = f"See the whole run on {this}: nagios-failover history {record.id}"
    if record.kind == SWITCHOVER:
        return [
            f"Look at both hosts: nagios-failover status. {history}",
            f"To change the roles again, run on {peer}: nagios-failover switchover",
        ]
    if record.kind == "failover":
        return [
            f"Find out what happened to {peer}, and repair it. There is no standby until then: nothing watches {this}.",
            f"With nagios-failover installed, {peer} sees at its first check that {this} has the higher term, and stands down by"
            " itself. Its role file lost? Run there: nagios-failover init --standby",
            f"Without it, {peer} is fenced when it is back and notifies, if [fence] is configured; else stop its Nagios first.",
            f"Look at both hosts: nagios-failover status. {history}",
        ]
    if record.kind == "fence":
        return [
            f"Make {peer} the standby: with nagios-failover installed it stands down by itself; without, leave its Nagios muted.",
            f"Look at both hosts: nagios-failover status. {history}",
        ]
    if record.kind == "failback":
        return [f"Nothing: {peer} stands down at its next check. nagios-failover status shows both hosts. {history}"]
    return [f"Look at both hosts: nagios-failover status. {history}"]


def watch_mail(
    host: str, service: str, state: str, said: str, *, run_sentence: str = "", hint: str = "", now: float
) -> tuple[str, str]:
    """What a watch service says, once per change. `said` is the sentence that our plugin recorded, or the bare state."""
    subject = f"{SUBJECT} {host}: {service} is {state}"
    parts = [f"{said}."]
    if run_sentence:
        parts.append(f"{run_sentence}.")
    facts = [("seen by", host), ("watch service", service), ("state", state), ("time", moment(now))]
    parts.append(_facts([*facts, ("hint", hint)] if hint else facts))
    if state != "OK":
        parts.append("This is mailed once per change. Look at both hosts: nagios-failover status")
    return subject, "\n\n".join(parts) + "\n"


def look_line(look: dict[str, Any]) -> str:
    """`14:25:01  yasu: Nagios has crashed ... (CRITICAL, by check)`"""
    return f"{moment(float(look['time']), clock_only=True)}  {look['sentence']} ({look['state']}, by {look['by']})"


def step_line(step: StepRecord) -> str:
    """`activate            done       0.9 s  notifications on, ...`"""
    took = "" if step.seconds is None else f"{step.seconds:.1f} s"
    return f"{step.name:<{WIDTH}}{step.outcome:<9}{took:>7}  {step.detail}"


def moment(when: float, *, clock_only: bool = False) -> str:
    """Local time with its offset, as Nagios's own logs are read."""
    return time.strftime("%H:%M:%S" if clock_only else "%Y-%m-%d %H:%M:%S %z", time.localtime(when))


def _facts(rows: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"{name:<14}{value}" for name, value in rows)


def _block(title: str, lines: Sequence[str]) -> str:
    return "\n".join([title, *(f"  {line}" for line in lines)])
