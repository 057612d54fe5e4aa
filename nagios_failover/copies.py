"""STATE/sync/HOST: this host's copy of the other's status.dat, event log and log archives. Private (0700), and never one of the
paths that this host's own Nagios uses.

    incoming/         where rsync writes; the log and the archives stay there and grow
    status.dat        the newest whole snapshot; status.dat.1 the one before
    log.1             a log that was rotated over there, until its archive has come, or one that was cut short in its place
    record            when it was pulled, and what came
    objects.cache     the other host's resolved objects, as far as they were needed for a comparison
    drift             what differs between these and this host's own
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from nagios_failover.errors import CouldNotLook, Failed, StateUnreadable
from nagios_failover.event_log import DIGITS
from nagios_failover.frozen import frozen
from nagios_failover.log_merge import archive_end
from nagios_failover.nagios_cfg import NagiosCfg
from nagios_failover.nagios_files import read_program_status
from nagios_failover.role import parse_pairs
from nagios_failover.state_files import cannot_write, write_atomically

CHUNK = 1 << 20
READ = 1 << 17
"""What a processor's cache holds: a tenth faster than a megabyte at a time."""
EARLY_BYTES = 4 << 20
"""So much of a big file is given to the disk at a time, while the rest is made: the kernel begins to write what it is told will not
be needed. Else the fsync at the end waits for all of it."""
HEAD_BYTES = 512


@frozen
class CopyRecord:
    """`pulled` is epoch seconds here; `created` is info.created there, and `offset` that host's clock minus this one's.
    `log` and `archives` are names in incoming/. `merged` is what that host said of the last time it merged its logs anew."""

    pulled: float
    created: int
    offset: float
    seconds: float
    status_size: int
    log_size: int
    log: str
    archives: str
    merged: str = ""

    def age(self, now: float) -> float:
        """Seconds since the copied status.dat was written."""
        return max(0.0, now + self.offset - self.created)

    @property
    def known_until(self) -> int:
        """Up to when that host's log is here for certain, by its clock: the pull had begun then."""
        return int(self.pulled - self.seconds + self.offset)

    def text(self) -> str:
        return "".join(f"{name}={value}\n" for name, value in self.__dict__.items())


def parse_record(text: str) -> CopyRecord:
    pairs = parse_pairs(text, "the record of the copy")
    try:
        return CopyRecord(
            pulled=float(pairs["pulled"]),
            created=int(pairs["created"]),
            offset=float(pairs["offset"]),
            seconds=float(pairs["seconds"]),
            status_size=int(pairs["status_size"]),
            log_size=int(pairs["log_size"]),
            log=pairs["log"],
            archives=pairs["archives"],
            merged=pairs.get("merged", ""),
        )
    except (KeyError, ValueError) as error:
        raise StateUnreadable(f"the record of the copy is garbled: {error}", hint="the next pull writes it anew") from error


class Copies:
    def __init__(self, state_directory: Path, host: str) -> None:
        self.directory = state_directory / "sync" / host
        self.incoming = self.directory / "incoming"
        self.status = self.directory / "status.dat"
        self.status_before = self.directory / "status.dat.1"
        self.log_before = self.directory / "log.1"
        self.record_path = self.directory / "record"
        self.objects = self.directory / "objects.cache"
        self.drift_path = self.directory / "drift"

    def record(self) -> CopyRecord | None:
        """None: nothing has been copied yet. A garbled one counts as none: the files speak for themselves."""
        try:
            return parse_record(self.record_path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, StateUnreadable):
            return None

    def make(self) -> None:
        try:
            for path in (self.directory.parent, self.directory, self.incoming):
                path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise cannot_write(self.incoming, error) from error

    # --- around a pull ---

    def make_ready(self, cfg: NagiosCfg, *, head: str, size: int) -> str:
        """Before rsync appends: is the log there the one that we have? `head` is its first line (512 bytes at most), `size` its
        size. One that was rotated, or cut short in its place, is laid aside. Returns a sentence where something is odd, else ""."""
        self.make()
        log = self.incoming / cfg.log_file.name
        try:
            (self.incoming / cfg.status_file.name).unlink(missing_ok=True)  # or rsync would append to it
            if log.is_symlink() or (log.exists() and not log.is_file()):
                raise Failed(f"{log} is no plain file", hint=f"rm -r {log}")
            ours = _head(log)
            if ours and head and ours != head:
                log.rename(self.log_before)
            elif ours and head and log.stat().st_size > size:
                had = log.stat().st_size
                log.rename(self.log_before)
                return f"the log there has {size} bytes, the copy {had}: it is copied anew, and the old copy kept as well"
        except OSError as error:
            raise cannot_write(log, error) from error
        return ""

    def forget_logs(self, record: CopyRecord) -> None:
        """Before rsync appends to them: the logs there have been merged with others since, and begin as before all the same."""
        try:
            for path in (self.log_before, self.incoming / record.log, *self._archives(record.archives)):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(self.incoming, error) from error

    def log_end(self, cfg: NagiosCfg) -> int:
        """The size of the copied log; 0 while there is none."""
        try:
            return (self.incoming / cfg.log_file.name).stat().st_size
        except OSError:
            return 0

    def take_back(self, cfg: NagiosCfg, before: int) -> str:
        """After rsync has appended: does what came begin a line, as it must? If the log was rotated in that very moment it does
        not; then what came is cut off again, and the next pull begins anew."""
        log = self.incoming / cfg.log_file.name
        try:
            with log.open("r+b") as file:
                file.seek(max(before - 1, 0))
                seam = file.read(2 if before else 1)
                if before and len(seam) == 2 and seam[:1] == b"\n" and seam[1:] != b"[":
                    file.truncate(before)
                    return "the log was rotated there during the pull: it is read again"
        except OSError:
            pass
        self._drop_what_is_archived(cfg)
        return ""

    def _drop_what_is_archived(self, cfg: NagiosCfg) -> None:
        head = _head(self.log_before)
        if not head:
            return
        for archive in self._archives(cfg.log_archive_path.name):
            if _head(archive) == head and archive.stat().st_size >= self.log_before.stat().st_size:
                self.log_before.unlink(missing_ok=True)
                return

    def install(self, cfg: NagiosCfg) -> tuple[int, int]:
        """Put the status.dat that has come in the place of the one that was: created and size. Raises CouldNotLook for one that
        is not whole, and leaves the old one; Failed when the disk does not take it."""
        came = self.incoming / cfg.status_file.name
        created = read_program_status(came).created
        try:
            size = came.stat().st_size
            with came.open("rb") as file:
                file.seek(-min(size, 16), os.SEEK_END)
                if not file.read().endswith(b"\t}\n\n"):
                    raise CouldNotLook(f"{came} is cut off", hint="is the disk full there?")
                os.fsync(file.fileno())
            with contextlib.suppress(FileNotFoundError):
                self.status.rename(self.status_before)
            came.rename(self.status)
        except OSError as error:
            raise cannot_write(self.status, error) from error
        return created, size

    def write_record(self, record: CopyRecord) -> None:
        write_atomically(self.record_path, record.text(), 0o600)

    # --- what was copied ---

    def snapshots(self) -> list[Path]:
        """The newest first."""
        return [path for path in (self.status, self.status_before) if path.is_file()]

    def log_lines(self, since: int, record: CopyRecord | None) -> Iterator[str]:
        """The lines of the copied event log from `since` (epoch seconds there) on, through its archives, the oldest first."""
        for path in self._logs(since, record):
            try:
                with path.open("rb", buffering=CHUNK) as file:
                    file.seek(offset_of(path, since))
                    yield from whole_lines(file)
            except OSError:
                continue

    def _logs(self, since: int, record: CopyRecord | None) -> list[Path]:
        if record is None:
            return []
        paths = [*self._archives(record.archives), *([self.log_before] if self.log_before.is_file() else [])]
        late = [path for path in paths if path.stat().st_mtime >= since]
        log = self.incoming / record.log
        return [*late, *([log] if log.is_file() and not log.is_symlink() else [])]

    def _archives(self, name: str) -> list[Path]:
        directory = self.incoming / name
        try:
            found = [path for path in directory.iterdir() if path.is_file() and not path.is_symlink()]
            return sorted(found, key=rotated_at)
        except OSError:
            return []


def rotated_at(path: Path) -> float:
    """When a log was rotated away: an archive of Nagios's says so by its name. Its file may be much younger, where a merge has
    written it anew. Raises OSError."""
    return archive_end(path.name) or path.stat().st_mtime


def whole_lines(file: BinaryIO) -> Iterator[str]:
    """The lines that have an end. One above a megabyte is none of Nagios's: it is passed over, and never held."""
    too_long = False
    while line := file.readline(CHUNK):
        ends = line.endswith(b"\n")
        if ends and not too_long:
            yield line.decode("utf-8", "surrogateescape")
        too_long = not ends


def offset_of(path: Path, since: int) -> int:
    """Where the lines from `since` on begin, by bisection: a log is in order of time, and may have 200 MB."""
    with path.open("rb") as file:
        low, high = 0, os.fstat(file.fileno()).st_size
        while high - low > 65536:
            middle = (low + high) // 2
            file.seek(middle)
            file.readline(CHUNK)
            stamp = _stamp(file)
            if stamp is not None and stamp < since:
                low = middle
            else:
                high = middle
        if low:
            file.seek(low)
            file.readline(CHUNK)
            return file.tell()
        return 0


def _stamp(file: BinaryIO) -> int | None:
    """The time of the next line that has one, within the next few."""
    for _ in range(100):
        line = file.readline(CHUNK)
        stamp = line[1 : line.find(b"]")] if line.startswith(b"[") else b""
        if stamp.isdigit() and len(stamp) <= DIGITS:
            return int(stamp)
        if not line.endswith(b"\n"):
            break
    return None


def _head(path: Path) -> str:
    """The first line, as far as 512 bytes go; "" while it is not finished. A byte that is no text is the same here and there."""
    try:
        with path.open("rb") as file:
            data = file.read(HEAD_BYTES)
    except OSError:
        return ""
    line, newline, _ = data.partition(b"\n")
    return line.decode("utf-8", "replace") if newline or len(data) == HEAD_BYTES else ""


def chunks(path: Path) -> Iterator[bytes]:
    """The file's bytes. Raises CouldNotLook."""
    try:
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(READ):
                yield chunk
    except OSError as error:
        raise CouldNotLook(f"{path} cannot be read: {error.strerror}", hint="run as the Nagios user") from error


def write_stream(path: Path, pieces: Sequence[bytes] | Iterator[bytes], mode: int = 0o600) -> None:
    """Write a big file beside `path`, fsync, rename. Raises Failed (the old file is then as it was), or what `pieces` raises."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            os.fchmod(file.fileno(), mode)
            written = 0
            for piece in pieces:
                file.write(piece)
                if (end := file.tell()) - written >= EARLY_BYTES:
                    file.flush()
                    os.posix_fadvise(file.fileno(), written, end - written, os.POSIX_FADV_DONTNEED)
                    written = end
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
