"""The loader: takes what process_perfdata has queued, writes the heartbeat to this host's own database, then the trend data, and
empties the queue.

One per host, in a session of its own, started by process_perfdata and lingering so that it is not started anew each time. It
does nothing that Nagios waits for. While the database is away, read-only or frozen it tries again after a pause and keeps what
waits, up to [database] queue_limit files, [perfdata] queue_megabytes and queue_age; afterwards it catches up in order, with a
heartbeat before each batch. It ends when the role is no longer master, after [database] linger seconds without
work, and when its configuration or its program has changed: the next call of process_perfdata starts it anew.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Protocol

from nagios_failover.config import Config
from nagios_failover.config_file import load
from nagios_failover.config_sections import DatabaseSection, PerfdataSection
from nagios_failover.errors import DONE, Failed, FailoverError, Refused, UsageError
from nagios_failover.load_trend import Loaded, TrendLoader
from nagios_failover.nagios_files import read_nagios_cfg, read_program_status, version_of
from nagios_failover.perfdata import Limits, QueuedSpool, beyond_limits, newest_moment
from nagios_failover.perfdata_queue import FetchedFiles, PerfdataFiles
from nagios_failover.perfparse import PerfParse
from nagios_failover.programstatus import Heartbeat
from nagios_failover.role import RoleRecord
from nagios_failover.state_files import StateFiles
from nagios_failover.user import become_nagios
from nagios_failover.words import CONFIG_FILE, Role

PROCESS_NAME = "perfdata-loader"
"""What ps shows; process_perfdata looks for it behind the PID, since a PID alone may be another process's by now."""


FIRST_TERM = 1
BOUND_SECONDS = 10.0
"""Between two looks at the size of a queue that is being caught up with."""


class HeartbeatWriter(Protocol):
    def write(self, moment: int, status: Mapping[str, str] | None) -> None: ...

    def close(self) -> None: ...


class Trend(Protocol):
    def load(self, queue: Sequence[QueuedSpool]) -> Loaded: ...

    def droppable(self, queue: Sequence[QueuedSpool]) -> Sequence[QueuedSpool]: ...

    def drop(self, spools: Sequence[QueuedSpool]) -> None: ...

    def forget(self) -> None: ...


class Round(Enum):
    """How one pass over the queue went."""

    LOADED = "loaded"
    MORE = "more"  # one batch, and more waits
    IDLE = "idle"
    TROUBLE = "trouble"


class Leave(Exception):
    """The loader ends now; the argument is the sentence for its log."""


class Loader:
    """One pass over the queue is `round`; `run` repeats it until something makes the loader leave."""

    def __init__(
        self,
        *,
        files: PerfdataFiles,
        role: Callable[[], RoleRecord],
        status: Callable[[], Mapping[str, str] | None],
        heartbeat: HeartbeatWriter | None,
        trend: Trend | None,
        fetched: tuple[FetchedFiles, Trend] | None = None,
        note_takeover: Callable[[int, int], None] | None = None,
        options: DatabaseSection,
        limits: Limits,
        versions: Callable[[], object] = lambda: None,
        began_with: object = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.files = files
        self.role = role
        self.status = status
        self.heartbeat = heartbeat
        self.trend = trend
        self.fetched = fetched
        self.note_takeover = note_takeover
        self.options = options
        self.limits = limits
        self.versions = versions
        self.clock = clock
        self.monotonic = monotonic
        self.sleep = sleep
        self.trouble = ""
        self.dropped = 0
        self.loaded = 0
        self.began_well = False
        self.noted_term = 0
        self.bounded = monotonic()
        self.worked = monotonic()
        self.began_with = began_with

    def run(self) -> str:
        """Returns the sentence that says why the loader ended."""
        self.files.announce(alive=True)
        try:
            while True:
                outcome = self.round()
                if outcome in (Round.LOADED, Round.MORE):
                    self.worked = self.monotonic()
                elif outcome is Round.IDLE and self.monotonic() - self.worked >= self.options.linger:
                    self.leave_unless_called()
                if outcome is not Round.MORE:
                    self.sleep(self.options.retry if outcome is Round.TROUBLE else self.options.poll)
        except Leave as reason:
            return str(reason)
        finally:
            self.files.announce(alive=False)
            if self.heartbeat:
                self.heartbeat.close()

    def round(self) -> Round:
        """Take what is queued now, one batch: heartbeat first, and only when everything is safely written does the queue lose a
        file."""
        try:
            record = self.role()
            if record.role is not Role.MASTER:
                raise Leave(f"the role is {record.role}: only a master's loader writes")
            loaded, more = self._load(record)
            if self.trend and not more:
                self.trend.forget()
        except FailoverError as error:
            # what a host kept while it was the standby is old, and may be loaded by the other one: the database tells, first
            self._bound_queue(self.limits if self.began_well else self.limits._replace(seconds=math.inf))
            self._say_trouble(error)
            return Round.TROUBLE if self._queued() else Round.IDLE
        self.loaded += loaded
        if more:
            if self.monotonic() - self.bounded > BOUND_SECONDS:
                self._bound_queue(self.limits._replace(seconds=math.inf))  # what is old is being loaded: it waits no longer
            return Round.MORE
        self._say_well()
        return Round.LOADED if loaded else Round.IDLE

    def leave_unless_called(self) -> None:
        """process_perfdata looks for the loader and then renames the spool: so first tell it that nobody is here, and stay if
        a spool was queued by a call that still saw us."""
        if self.versions() != self.began_with:
            raise Leave("the configuration or the program has changed")
        self.files.announce(alive=False)
        self.sleep(self.options.poll)
        if not self._queued():
            raise Leave(f"no spool for {self.options.linger:g} s")
        self.files.announce(alive=True)

    def _load(self, record: RoleRecord) -> tuple[int, bool]:
        """How many files are loaded, and whether more waits."""
        queue = self.files.queue()
        if not queue:
            self.began_well = True
            return 0, False
        if self.versions() != self.began_with:
            raise Leave("the configuration or the program has changed")
        moment = newest_moment(queue, now=self.clock())
        if self.heartbeat and moment is not None:
            self.heartbeat.write(moment, self.status())
        self._note(record)
        if self._load_fetched(record.term):
            return 0, True
        loaded = self.trend.load(queue) if self.trend else Loaded(queue, more=False)
        self.began_well = True
        self.files.remove(loaded.finished)
        return len(loaded.finished), loaded.more

    def _note(self, record: RoleRecord) -> None:
        """Trends are marked where a host became the master, but for the first, which took over from nobody."""
        if self.note_takeover and record.term not in (FIRST_TERM, self.noted_term):
            self.note_takeover(record.term, record.since)
            self.noted_term = record.term

    def _load_fetched(self, term: int) -> bool:
        """A batch of what the old master had not loaded, which is older than anything that waits here. False: there is none."""
        if not self.fetched:
            return False
        files, trend = self.fetched
        queue = files.queue_of(term)
        if queue:
            files.remove(trend.load(queue).finished)
        return bool(queue)

    def _queued(self) -> bool:
        with contextlib.suppress(FailoverError):
            return bool(self.files.queue())
        return False

    def _bound_queue(self, limits: Limits) -> None:
        self.bounded = self.monotonic()
        with contextlib.suppress(FailoverError):  # the disk's reason is told by the round itself
            queue: Sequence[QueuedSpool] = self.files.queue()
            if self.trend:
                queue = self.trend.droppable(queue)
            excess = beyond_limits(queue, self.files.sizes(queue), limits, now=self.clock())
            if excess:
                if self.trend:
                    self.trend.drop(excess)
                else:
                    self.files.remove(excess)
                self.dropped += len(excess)
                if self.dropped == len(excess):
                    files, size, seconds = self.limits
                    most = f"{files} files, {size // 1024**2} MB or {seconds:g} s"
                    self.files.log(f"more waits than {most} of spool: dropping the oldest")

    def _say_trouble(self, error: FailoverError) -> None:
        """Once for each trouble, not once for each attempt."""
        sentence = f"{error}; hint: {error.hint}" if error.hint else str(error)
        if sentence != self.trouble:
            self.trouble = sentence
            self.files.log(sentence)

    def _say_well(self) -> None:
        if self.trouble and (self.loaded or not self._queued()):
            lost = f", {self.dropped} were dropped" if self.dropped else ""
            self.files.log(f"well again: {self.loaded} spool files loaded{lost}")
            self.trouble, self.dropped = "", 0
        self.loaded = 0


def load_with(config: Config, files: PerfdataFiles, *, began_with: object) -> str:
    """Be the loader of this host until something ends it, such as `versions_of` that are not what this process `began_with`;
    returns why. Raises Refused when another one runs."""
    files.claim()
    with contextlib.suppress(OSError):  # only the one that has the lock is called so
        Path("/proc/self/comm").write_text(PROCESS_NAME, encoding="ascii")
    cfg_path = config.this.nagios_cfg
    state = StateFiles(config.paths.state)

    def status() -> Mapping[str, str] | None:
        """None when status.dat cannot be read: the heartbeat does not depend on it."""
        try:
            return read_program_status(read_nagios_cfg(cfg_path).status_file).values
        except FailoverError:
            return None

    def role() -> RoleRecord:
        if state.is_isolated():
            raise Failed("this master is cut off and mute (override.isolated): what comes is kept, and loaded when it goes on")
        return state.role()

    heartbeat = Heartbeat(config.database, time_zone=config.heartbeat.time_zone) if config.database.socket else None
    store = PerfParse(config) if config.database.socket and config.perfdata.load else None
    peer = config.peer.name
    fetched = files.fetched_from(peer)
    loader = Loader(
        files=files,
        role=role,
        status=status,
        heartbeat=heartbeat,
        trend=TrendLoader(config.this_name, files, store, config.perfdata) if store else None,
        fetched=(fetched, TrendLoader(peer, fetched, store, config.perfdata)) if store else None,
        note_takeover=store.note_takeover if store else None,
        options=config.database,
        limits=limits_of(config.database, config.perfdata),
        versions=lambda: versions_of(config.path),
        began_with=began_with,
    )
    files.log("started" if heartbeat else "started; [database] socket is not set: no heartbeat is written")
    reason = loader.run()
    if store:
        store.close()
    files.log(f"ended: {reason}")
    return reason


def versions_of(config_file: Path) -> object:
    """Of what a loader goes by: its configuration and its program."""
    return version_of(config_file), version_of(Path(__file__))


def limits_of(database: DatabaseSection, perfdata: PerfdataSection) -> Limits:
    return Limits(database.queue_limit, perfdata.queue_megabytes * 1024**2, perfdata.queue_age)


def main(arguments: list[str] | None = None) -> int:
    """`nagios-failover-loader [-C CONFIG] [STATE]`. Exit codes: 0 ended by itself or another one runs, 1 failed, 2 wrong usage or
    configuration. STATE is what process_perfdata was told; it must be the configuration's [paths] state."""
    parser = argparse.ArgumentParser(prog="nagios-failover-loader", description="started by process_perfdata, not by hand")
    parser.add_argument("-C", "--config", type=Path, default=Path(CONFIG_FILE), metavar="CONFIG")
    parser.add_argument("state", type=Path, nargs="?", metavar="STATE")
    options = parser.parse_args(arguments)
    try:
        began_with = versions_of(options.config.absolute())  # before it is read: no change is missed
        config = load(options.config.absolute())
        if options.state and options.state.resolve() != config.paths.state.resolve():
            raise UsageError(
                f"process_perfdata was called for {options.state}, but [paths] state is {config.paths.state}",
                hint="name that directory in the command_line of process-perfdata",
            )
        become_nagios(config)
        _leave_nagios()
        gc.set_threshold(100_000, 20, 20)  # a batch is many small objects and no circles: looking for them is a third of its time
        load_with(config, PerfdataFiles(config.paths.state), began_with=began_with)
    except Refused:
        return DONE
    except FailoverError as error:
        print(error.lines(), file=sys.stderr)
        return error.exit_code
    return DONE


def _leave_nagios() -> None:
    """A session of our own, and nothing of Nagios's held open: neither its pipes nor its files. Standard
    error stays: process_perfdata has it go to STATE/perfdata/loader.err."""
    with contextlib.suppress(PermissionError):  # started by hand from a shell: a group leader cannot have a new session
        os.setsid()
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    os.chdir("/")


if __name__ == "__main__":
    sys.exit(main())
