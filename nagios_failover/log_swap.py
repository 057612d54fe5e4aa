"""Putting a merged log in the place of the log that Nagios has open: in the same file, no line lost, whole after any kill.

    1. the merged file is written beside the log, and brought to the disk
    2. Nagios is held still; what it has logged meanwhile goes to the merged file's end, and the log is given the merged file's
       length (cut, or grown by a hole). That takes milliseconds, and all that Nagios logs from then on stands behind it
    3. Nagios goes on; the merged file is copied over the log's beginning, at leisure

STATE/merge says how far it has come: killed before 2, nothing has changed; killed after it, the next call copies again. The
position up to which an operator's switches have been read (log_tail.py) goes with the lines: behind it stands what stood there.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path

from nagios_failover.copies import CHUNK
from nagios_failover.errors import CouldNotLook, Failed, Incomplete
from nagios_failover.frozen import frozen
from nagios_failover.hold import Process, hold_still
from nagios_failover.log_files import beside, require_space, write_beside
from nagios_failover.log_tail import head_of, is_in
from nagios_failover.state_files import StateFiles, cannot_write, write_atomically

HOLD_SECONDS = 2.0
"""So long Nagios is held still at most. What it takes is milliseconds; a disk that takes longer gets another chance later."""
CHECKED_BYTES = 4096
TRIES = 5

Part = Callable[[str], None]
"""Told the name of each part that has been done, so that a test can end the process there."""


@frozen
class Record:
    """`inode` is the log's. Its first `end` bytes are in the merged file's first `length`; from there on both go on alike, in the
    merged file as far as `merged`, which is the log's `seam`. `check` is a sum of the log's last bytes before the seam. `copying`:
    the log has its new length, and `read` of it has been read for switches. `pid` and `started` are the Nagios that is held still,
    0 for none."""

    log: str
    inode: int
    end: int
    length: int
    seam: int
    merged: int
    check: int
    pid: int = 0
    started: str = ""
    copying: bool = False
    read: int = -1


class LogSwap:
    def __init__(self, log: Path, archives: Path, state: StateFiles, part: Part) -> None:
        self.log = log
        self.archives = archives
        self.merged = beside(log)
        self.record_path = state.directory / "merge"
        self._state = state
        self._part = part

    # --- anew ---

    def end(self, *, term: int) -> int:
        """How many bytes of whole lines there are to merge: those that this host logged before its role of this `term` began.
        What it has logged since stands behind, as it is, and so does what is still to be read for switches."""
        position = self._state.log_position()
        try:
            with self.log.open("rb") as file:
                end = _whole_end(file.fileno())
                if position is None or position.term != term or not is_in(position, file):
                    return end
                return min(end, position.offset)
        except OSError as error:
            raise CouldNotLook(f"{self.log} cannot be read: {error.strerror}", hint="log_file in nagios.cfg names it") from error

    def put(self, lines: Iterable[bytes], *, end: int, process: Process | None) -> float | None:
        """Put `lines`, which hold the log's first `end` bytes, in its place. Returns how long `process` stood still, None where
        the log holds these very lines already. Raises Failed (nothing has changed), Incomplete (`finish` has to be called)."""
        try:
            descriptor = os.open(self.log, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise cannot_write(self.log, error) from error
        try:
            write_beside(self.merged, lines, like=self.log)
            self._part("beside")
            if _same_beginning(descriptor, self.merged, end):
                self._clear()
                return None
            with self._state.alone(self._state.position_path):
                held, record = self._take_its_place(descriptor, end, process)
                self._copy_over(descriptor, record)
            return held
        except OSError as error:
            if self.record_path.exists():
                raise self._half_written(error) from error
            self._clear()
            raise cannot_write(self.merged, error) from error
        except (Failed, CouldNotLook):
            if not self.record_path.exists():
                self._clear()
            raise
        finally:
            os.close(descriptor)

    def _take_its_place(self, descriptor: int, end: int, process: Process | None) -> tuple[float, Record]:
        with self.merged.open("r+b") as merged:
            length = copied = merged.seek(0, os.SEEK_END)
            for attempt in range(TRIES):
                seam = _whole_end(descriptor)
                _copy(descriptor, merged.fileno(), end + copied - length, seam, copied)
                copied = length + seam - end
                os.fsync(merged.fileno())
                record = self._record(descriptor, Record(str(self.log), 0, end, length, seam, copied, 0), process)
                require_space(self.log.parent, max(0, record.merged - seam))
                self._write(record)
                self._part("recorded")
                try:
                    return self._hold(descriptor, merged.fileno(), record, process), record
                except Failed:
                    if self._has_new_length(descriptor, record):
                        return HOLD_SECONDS, record
                    self.record_path.unlink(missing_ok=True)
                    merged.truncate(record.merged)
                    if attempt == TRIES - 1:
                        raise
                time.sleep(0.05)
        raise AssertionError("the loop returns or raises")

    def _record(self, descriptor: int, record: Record, process: Process | None) -> Record:
        check = zlib.crc32(_read(descriptor, max(0, record.seam - CHECKED_BYTES), record.seam))
        pid, started = (process.pid, process.started) if process else (0, "")
        return replace(record, inode=os.fstat(descriptor).st_ino, check=check, pid=pid, started=started)

    def _hold(self, descriptor: int, merged: int, record: Record, process: Process | None) -> float:
        def work() -> None:
            self._part("held")
            if self.log.stat().st_ino != record.inode:
                raise Failed(f"{self.log} was rotated in this moment")
            size = os.fstat(descriptor).st_size
            tail = _read(descriptor, record.seam, size)
            if process is not None and tail and not tail.endswith(b"\n"):
                raise Failed(f"{self.log} was in the middle of a line")
            _write_all(merged, tail, record.merged)
            os.fsync(merged)
            os.ftruncate(descriptor, record.merged + len(tail))
            self._part("cut")

        if process is not None:
            return hold_still(process, work, seconds=HOLD_SECONDS)
        try:
            work()
        except OSError as error:
            raise cannot_write(self.log, error) from error
        return 0.0

    # --- to its end ---

    def finish(self) -> bool:
        """Go on with what was cut short: Nagios goes on in any case. False: there is nothing, or nothing had changed yet."""
        record = self._read_record()
        if record is None:
            return False
        if record.pid:
            Process(record.pid, record.started).go_on()
        path = self._where(record)
        try:
            if path is None or not self.merged.exists():
                self._clear()
                return False
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if not record.copying and not self._has_new_length(descriptor, record):
                    self._clear()
                    return False
                with self._state.alone(self._state.position_path):
                    self._copy_over(descriptor, record)
                return True
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._half_written(error) from error

    def _half_written(self, error: OSError) -> Incomplete:
        hint = f"mend the disk under {self.log.parent}: the next call goes on; {self.merged} is whole"
        return Incomplete(f"{self.log} is half written: {error.strerror}", hint=hint)

    def _copy_over(self, descriptor: int, record: Record) -> None:
        os.fsync(descriptor)
        try:
            if not record.copying:
                record = replace(record, copying=True, read=self._read_until(descriptor, record))
                self._write(record)
            self._move_position(record)
        except Failed as error:
            raise Incomplete(f"{self.log} has its new length, not yet its lines: {error}", hint=error.hint) from error
        self._part("copying")
        with self.merged.open("rb") as merged:
            _copy(merged.fileno(), descriptor, 0, os.fstat(merged.fileno()).st_size, 0)
        os.fsync(descriptor)
        self._part("copied")
        self._clear()

    def _read_until(self, descriptor: int, record: Record) -> int:
        """Where in the new log the position of the old one is; -1 where that cannot be said."""
        position = self._state.log_position()
        with os.fdopen(os.dup(descriptor), "rb") as log:
            if position is None or position.offset < record.end or not is_in(replace(position, offset=0), log):
                return -1
        old = record.seam + self.merged.stat().st_size - record.merged
        return position.offset if position.offset > old else record.length + position.offset - record.end

    def _move_position(self, record: Record) -> None:
        """One that cannot be moved is told from the lines' times: its head fits no file."""
        position = self._state.log_position()
        if position is not None and position.inode == record.inode:
            with self.merged.open("rb") as merged:
                head = head_of(merged) if record.read >= 0 else "moved"
            self._state.write_log_position(replace(position, head=head, offset=max(record.read, 0)))

    def _has_new_length(self, descriptor: int, record: Record) -> bool:
        """Had the log been given its new length when that was cut short? Nagios writes no NULs, so a hole tells."""
        new = self.merged.stat().st_size
        old = record.seam + new - record.merged
        size = os.fstat(descriptor).st_size
        if new > old:
            return size >= new and _read(descriptor, old, old + 1) == b"\0"
        before = zlib.crc32(_read(descriptor, max(0, record.seam - CHECKED_BYTES), record.seam))
        with self.merged.open("rb") as merged:
            tail = _read(merged.fileno(), record.merged, new)
        return size < old or before != record.check or _read(descriptor, record.seam, old) != tail

    def _where(self, record: Record) -> Path | None:
        """The file, under whatever name it has now: Nagios may have rotated it meanwhile."""
        places = [Path(record.log)]
        if self.archives.is_dir():
            places.extend(self.archives.iterdir())
        return next((path for path in places if path.is_file() and path.stat().st_ino == record.inode), None)

    def _write(self, record: Record) -> None:
        write_atomically(self.record_path, json.dumps(asdict(record)) + "\n")

    def _read_record(self) -> Record | None:
        try:
            return Record(**json.loads(self.record_path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise Failed(
                f"{self.record_path} is garbled: {error}", hint=f"look at {self.log} and {self.merged}, then remove it"
            ) from error

    def _clear(self) -> None:
        for path in (self.record_path, self.merged):
            path.unlink(missing_ok=True)


def _whole_end(descriptor: int) -> int:
    """The offset behind the last line end."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        begin = max(0, end - CHUNK)
        newline = _read(descriptor, begin, end).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        end = begin
    return 0


def _read(descriptor: int, begin: int, end: int) -> bytes:
    pieces = []
    while begin < end and (piece := os.pread(descriptor, end - begin, begin)):
        pieces.append(piece)
        begin += len(piece)
    return b"".join(pieces)


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _copy(source: int, target: int, begin: int, end: int, offset: int) -> None:
    """The bytes from `begin` to `end` of one file to `offset` of another."""
    while begin < end and (piece := _read(source, begin, min(end, begin + CHUNK))):
        _write_all(target, piece, offset)
        begin, offset = begin + len(piece), offset + len(piece)


def _same_beginning(descriptor: int, path: Path, end: int) -> bool:
    with path.open("rb") as other:
        if os.fstat(other.fileno()).st_size != end:
            return False
        return all(
            _read(descriptor, begin, min(begin + CHUNK, end)) == _read(other.fileno(), begin, min(begin + CHUNK, end))
            for begin in range(0, end, CHUNK)
        )
