"""The last step of a failover: the old master's event log and this host's become one history, in this host's own files.

All of it can be done again: a line that is there already is not written twice. So a merge that was killed is made anew; only
the log itself, which Nagios has open, needs the care of log_swap.py.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from nagios_failover import flags as flag_state
from nagios_failover.config import Config
from nagios_failover.copies import Copies, chunks
from nagios_failover.errors import CouldNotLook, Failed, FailoverError
from nagios_failover.hold import Process, nagios_of
from nagios_failover.journal import Journal
from nagios_failover.log_files import (
    LogFile,
    copied_logs,
    is_behind,
    own_archives,
    require_space,
    until,
    write_archive,
)
from nagios_failover.log_merge import Own, Shelf, archive_end, merge, reigns
from nagios_failover.log_swap import LogSwap, Part
from nagios_failover.nagios_cfg import NagiosCfg
from nagios_failover.nagios_files import read_nagios_cfg
from nagios_failover.report import late_mail
from nagios_failover.run_record import RunRecord, StepOutcome
from nagios_failover.snapshot import is_contact, read_own, words_of
from nagios_failover.state_files import write_atomically
from nagios_failover.steps import crash_if_asked
from nagios_failover.workflow import Flow

STEP = "merge logs"


def merge_logs(flow: Flow) -> str:
    """Returns what was merged. Raises Failed when it could not be (nothing is lost then), Incomplete when it has to be gone on
    with."""
    cfg = read_nagios_cfg(flow.config.this.nagios_cfg)
    part = _part(flow)
    swap = LogSwap(cfg.log_file, cfg.log_archive_path, flow.state, part)
    swap.finish()
    _mark(flow, "begun")
    try:
        before = _inode(cfg)
        try:
            return _merge(flow, cfg, swap, part, inode=before)
        except Failed:
            if _inode(cfg) == before:
                raise
            return _merge(flow, cfg, swap, part, inode=_inode(cfg))  # it was midnight: Nagios has rotated its log meanwhile
    finally:
        if not swap.record_path.exists():
            _mark(flow, "done")


def would_merge_logs(flow: Flow) -> str:
    return f"would merge {flow.peer}'s event log and archives into this host's own"


def tell_if_not_merged(flow: Flow, record: RunRecord) -> RunRecord:
    """The run's mail was on its way before the logs were merged: what went wrong with them is mailed by itself."""
    step = record.step(STEP)
    if step is not None and step.outcome == StepOutcome.FAILED and not flow.notes.get("late_mail"):
        subject, body = late_mail(flow.config, record, f"{STEP}: {step.detail}", now=flow.hands.now())
        try:
            flow.hands.deliver(f"{record.id}-late", subject, body)
        except FailoverError as error:
            flow.say(f"mail: {error}")
    return record


def _part(flow: Flow) -> Part:
    resumed = flow.run.record().resumed > 0
    return lambda name: crash_if_asked(f"{STEP}: {name}", resumed=resumed)


def _mark(flow: Flow, how: str) -> None:
    """A standby that copies this log sees by this file that the log is another one now, though it begins as before."""
    write_atomically(flow.state.merged_path, f"{flow.run.id} {how}\n")


def _inode(cfg: NagiosCfg) -> int:
    try:
        return cfg.log_file.stat().st_ino
    except OSError as error:
        raise Failed(f"{cfg.log_file} cannot be read: {error.strerror}", hint="log_file in nagios.cfg names it") from error


@dataclass
class _Merge:
    """One merge: whose files there are, and what came of it."""

    theirs: list[LogFile]
    own: dict[str, LogFile]
    objects: set[bytes]
    reigns: list[tuple[float, float]]
    deadline: float
    left_out: int = 0
    changed: list[str] = field(default_factory=list)

    def shelf(self) -> Shelf:
        """The archives that are written: those that the other host has, and this host's own which its log reaches into. One that
        this host has yet to rotate to is none: what the other has in it goes to the log, with which it is rotated."""
        began = min((file.first() for file in self.theirs if not file.name), default=0)
        names = {file.name for file in self.theirs if file.name and (file.name in self.own or is_behind(file.name))}
        names |= {name for name in self.own if name and began and archive_end(name) > began}
        return Shelf(tuple(sorted(names, key=archive_end)))

    def lines(self, shelf: Shelf, target: str) -> Iterator[bytes]:
        """What the file `target` holds afterwards; the other host's lines of a second first."""
        begins = [first for file in self.theirs if (first := file.first())]
        own = Own(self.objects, min(begins, default=0), self.reigns)
        streams = [shelf.lines_for(target, file.name, file.theirs(), last=file.last()) for file in self.theirs]
        mine = [file for name, file in self.own.items() if name in shelf.names]
        streams.extend(own.kept(shelf.lines_for(target, file.name, file.own(), last=file.last())) for file in mine)
        yield from until(self.deadline, merge(streams))
        self.left_out += own.left_out


def _merge(flow: Flow, cfg: NagiosCfg, swap: LogSwap, part: Part, *, inode: int) -> str:
    """`inode` is the log's: the archives are listed, and the log is looked at, between two rotations."""
    copies = Copies(flow.state.directory, flow.peer)
    record = copies.record()
    if record is None:
        raise Failed(f"there is no copy of {flow.peer}'s event log", hint=f"its lines are in its own log, on {flow.peer}")
    theirs = copied_logs(copies, record)
    with suppress(FailoverError):
        flag_state.record(flow.config, flow.state)  # an operator's switches stay his, the old master's lines are not read as such
    own = {**own_archives(cfg), "": LogFile("", cfg.log_file, swap.end(term=flow.term))}
    if _inode(cfg) != inode:
        raise Failed(f"{cfg.log_file} was rotated in this moment")
    found = _Merge(
        [file for file in theirs if file.size],
        own,
        _objects(flow.config, copies),
        reigns(Journal(flow.state.directory).runs(), now=flow.hands.now()),
        time.monotonic() + flow.config.sync.merge_timeout,
    )
    shelf = found.shelf()
    for name in shelf.archives:
        size = sum(file.size for file in itertools.chain(found.theirs, own.values()) if file.name == name)
        require_space(cfg.log_archive_path, size)
        if write_archive(cfg.log_archive_path / name, found.lines(shelf, name), like=cfg.log_file):
            found.changed.append(name)
    part("archives")
    total = own[""].size + 2 * sum(file.size for file in found.theirs if file.name not in shelf.archives)
    require_space(cfg.log_file.parent, total)
    held = swap.put(found.lines(shelf, ""), end=own[""].size, process=_to_hold(cfg))
    return _said(flow, cfg, found, held)


def _objects(config: Config, copies: Copies) -> set[bytes]:
    """What the master checked, by its newest whole snapshot; nothing is known without one."""
    for snapshot in copies.snapshots():
        try:
            own = read_own(chunks(snapshot), watch_host=config.nagios.watch_host, what=str(snapshot))
        except CouldNotLook:
            continue
        names = ("\0".join(filter(None, words_of(key))) for key in own.objects if not is_contact(key))
        return {name.encode("utf-8", "surrogateescape") for name in names}
    return set()


def _to_hold(cfg: NagiosCfg) -> Process | None:
    """Nagios, unless it does not run, or somebody else holds it still: then it is not ours to let go on."""
    process = nagios_of(cfg.status_file)
    if process is not None and process.state() in ("T", "t"):
        time.sleep(0.1)  # let go on a moment ago, it may be seen standing still
        return None if process.state() in ("T", "t") else process
    return process


def _said(flow: Flow, cfg: NagiosCfg, found: _Merge, held: float | None) -> str:
    said = [f"{flow.peer}'s {cfg.log_file.name} is in this host's own"]
    if held is None:
        said = [f"{flow.peer}'s {cfg.log_file.name} is in this host's own already"]
    elif held:
        said.append(f"Nagios stood still for {held * 1000:.1f} ms")
    said.append(f"{len(found.changed)} archives were merged" + (f": {', '.join(found.changed)}" if found.changed else ""))
    if found.left_out:
        said.append(f"{found.left_out} lines of this host's standby time say nothing and are left out")
    odd = sum(file.odd for file in found.theirs)
    if odd:
        said.append(f"{odd} lines of {flow.peer}'s logs are none of Nagios's and are left out")
    return "; ".join(said)
