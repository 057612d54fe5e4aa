"""What `nagios-failover incidents` shows: the pair's open incidents, and the audit of what was sent over a failover. Gathers the
files of this host, and changes nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from nagios_failover import mail_log
from nagios_failover.audit import audit
from nagios_failover.config import Config
from nagios_failover.copies import Copies, chunks
from nagios_failover.errors import CouldNotLook, StateUnreadable, UsageError
from nagios_failover.event_log import ExternalCommand
from nagios_failover.event_logs import copied_lines, own_lines, rules_of
from nagios_failover.findings import Audit, Takeover
from nagios_failover.frozen import frozen
from nagios_failover.gap import Key
from nagios_failover.journal import Journal
from nagios_failover.nagios_cfg import NagiosCfg
from nagios_failover.nagios_files import read_nagios_cfg
from nagios_failover.one_history import History, one_history
from nagios_failover.open_incidents import OpenIncident, Shown, open_incidents, read_shown, tell
from nagios_failover.run_record import TAKES_ROLE, RunRecord
from nagios_failover.state_files import StateFiles
from nagios_failover.words import Role

DAY = 86400
LONGEST = 31 * DAY
"""So far back is looked for who was told of an incident."""
ENDS = (*TAKES_ROLE, "standdown", "init")


@frozen
class Open:
    """The open incidents of `master`, as its status.dat of `created` (epoch seconds) has them. `copied`: this host is the standby,
    and that was its copy."""

    master: str
    created: int
    copied: bool
    incidents: Sequence[OpenIncident]


def open_now(config: Config, state: StateFiles) -> Open:
    """Raises CouldNotLook where there is no whole status.dat to look at."""
    cfg = read_nagios_cfg(config.this.nagios_cfg)
    standby = _role(state) is Role.STANDBY
    shown = _copied_status(config, state) if standby else _own_status(config, cfg)
    found = open_incidents(shown.objects, shown.acknowledgements)
    now = time.time()
    since = int(max(min([one.since for one in found], default=now), now - LONGEST))
    tell(found, _history(config, state, cfg, since))
    return Open(config.peer.name if standby else config.this.name, shown.created, standby, found)


@frozen
class LookedBack:
    """An audit, and over what: `until` is how far each host's log is known."""

    since: int
    history: History
    result: Audit
    takeovers: Sequence[Takeover]


def look_back(config: Config, state: StateFiles, *, since: float | None, mail_logs: Sequence[Path]) -> LookedBack:
    """`since` None: a day before the newest failover, or before now. Raises CouldNotLook."""
    cfg, now, host = read_nagios_cfg(config.this.nagios_cfg), time.time(), config.nagios.watch_host
    runs = [run for run in Journal(config.paths.state).runs() if run.kind in ENDS]
    newest = max((float(run.notes["active_at"]) for run in runs if "active_at" in run.notes), default=now)
    begin = int(newest - DAY if since is None else since)
    shown = _shown(config, state, cfg)  # before the logs: what it shows as over, they tell
    history = _history(config, state, cfg, begin)
    rules = rules_of(cfg, _keys(history))
    takeovers = [_takeover(run) for run in runs if float(run.notes.get("active_at", 0)) >= begin]
    result = audit(history, rules, takeovers=takeovers, status=shown.objects, seen_at=shown.created, watch_host=host, now=now)
    if not rules.known:
        result.notes.append(f"{cfg.object_cache_file} cannot be read: when a notification may come again is not known")
    if config.peer.name not in history.until:
        result.notes.append(f"there is no copy of {config.peer.name}'s event log: only this host's own was read")
    for path in mail_logs:
        mail_log.compare(result, history, rules, _mails(path, now), watch_host=host)
    return LookedBack(begin, history, result, sorted(takeovers, key=lambda one: one.active_at))


def _history(config: Config, state: StateFiles, cfg: NagiosCfg, since: int) -> History:
    this, peer = config.this.name, config.peer.name
    runs = [run for run in Journal(config.paths.state).runs() if run.kind in ENDS]
    takes = [_times(run) for run in runs if _takes_role(run)]
    gives = [_times(run) for run in runs if not _takes_role(run)]
    copied = copied_lines(Copies(state.directory, peer), since)
    master = peer if _role(state) is Role.STANDBY else this
    return one_history(this, peer, own_lines(cfg, since), copied, since=since, own_runs=takes, own_ends=gives, master=master)


def _times(run: RunRecord) -> tuple[float, float]:
    return run.opened, run.closed or time.time()


def _takes_role(run: RunRecord) -> bool:
    """Did it? One that was put back has let the other host go on."""
    return (run.kind in TAKES_ROLE and "active_at" in run.notes) or (run.kind == "init" and ": role is master" in run.sentence)


def _keys(history: History) -> set[Key]:
    lines = (one.line for one in history.lines)
    return {(line.host, line.service) for line in lines if not isinstance(line, ExternalCommand)}


def _takeover(run: RunRecord) -> Takeover:
    notes = run.notes
    return Takeover(
        run.id,
        run.host,
        float(notes["active_at"]),
        tuple(map(str, notes.get("in_doubt", ()))),
        fetched=bool(notes.get("fetched", True)),
        known_until=int(notes.get("known_until", 0)),
    )


def _role(state: StateFiles) -> Role | None:
    try:
        return state.role().role
    except StateUnreadable:
        return None


def _shown(config: Config, state: StateFiles, cfg: NagiosCfg) -> Shown:
    """For an audit, better nothing than an error."""
    try:
        return _copied_status(config, state) if _role(state) is Role.STANDBY else _own_status(config, cfg)
    except CouldNotLook:
        return Shown()


def _own_status(config: Config, cfg: NagiosCfg) -> Shown:
    return read_shown(chunks(cfg.status_file), watch_host=config.nagios.watch_host, what=str(cfg.status_file))


def _copied_status(config: Config, state: StateFiles) -> Shown:
    refused = []
    for path in Copies(state.directory, config.peer.name).snapshots():
        try:
            return read_shown(chunks(path), watch_host=config.nagios.watch_host, what=str(path))
        except CouldNotLook as error:
            refused.append(str(error))
    why = "; ".join(refused) or f"this host is the standby, and has no copy of {config.peer.name}'s status.dat"
    raise CouldNotLook(why, host=config.this.name, hint="[sync] watch = yes and the service State sync make one")


def _mails(path: Path, now: float) -> list[mail_log.Mail]:
    try:
        with path.open(encoding="utf-8", errors="surrogateescape") as file:
            mails = mail_log.parse_mails(file, now=now)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint="as the Nagios user; --mail-log names a file") from error
    if not mails:
        raise UsageError(
            f"{path} holds no line of a mail that was sent",
            hint='lines of msmtp, of postfix, or {"time": ..., "to": ..., "subject": ...}',
        )
    return mails
