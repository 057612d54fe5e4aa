"""The files of the event logs that are merged: this host's own and the copies of the other's, read line by line, and archives
that are written anew beside the old ones."""

from __future__ import annotations

import contextlib
import filecmp
import io
import itertools
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nagios_failover.copies import CHUNK, Copies, CopyRecord
from nagios_failover.errors import CouldNotLook, Failed
from nagios_failover.log_merge import FUTURE_SECONDS, HEAD, TimedLine, archive_end, stamp_of, timed
from nagios_failover.nagios_cfg import NagiosCfg
from nagios_failover.state_files import cannot_write, sync_directory

NOT_YET_SECONDS = 60
"""So long after midnight this host's Nagios has rotated its own log: it does not, where the archive is there already."""
END_BYTES = 8192
SPARE_BYTES = 16 << 20
"""What a merge leaves free on the disk."""


@dataclass
class LogFile:
    """`name` is an archive's, "" for the log. `size`: bytes of whole lines that are read."""

    name: str
    path: Path
    size: int
    odd: int = 0
    """Lines of the other host that are no lines of Nagios's; they are left out."""

    def first(self) -> int:
        """The time of its first line that has one."""
        return next((stamp for line in self._whole() if (stamp := stamp_of(line))), 0)

    def last(self) -> int:
        """The newest time in its end."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, self.size - END_BYTES))
                return max(map(stamp_of, file.read(self.size).splitlines()), default=0)
        except OSError:
            return 0

    def own(self) -> Iterator[TimedLine]:
        """Every line, whatever it is: this host's log loses nothing."""
        return timed(self._pieces(), newest=_newest())

    def theirs(self) -> Iterator[TimedLine]:
        """The whole lines that Nagios has written."""
        return timed(self._whole(), newest=_newest())

    def _whole(self) -> Iterator[bytes]:
        begins, odd, head = True, 0, b""
        for piece in self._pieces(end_all=False):
            ends = piece.endswith(b"\n")
            if begins and ends and (piece[:HEAD] == head or stamp_of(piece)) and b"\0" not in piece:
                head = piece[:HEAD]
                yield piece
            elif begins:
                odd += 1
                self.odd = max(self.odd, odd)  # the file is read several times
            begins = ends

    def _pieces(self, *, end_all: bool = True) -> Iterator[bytes]:
        """Lines, or parts of them where one is longer than a megabyte; `end_all` ends the last one where a power cut did not."""
        left, rest = self.size, b""
        try:
            with self.path.open("rb") as file:
                while left > 0 and (chunk := file.read(min(CHUNK, left))):
                    left -= len(chunk)
                    lines = io.BytesIO(rest + chunk).readlines()
                    rest = lines.pop() if len(lines[-1]) < CHUNK and not lines[-1].endswith(b"\n") else b""
                    yield from lines
        except OSError as error:
            raise CouldNotLook(f"{self.path} cannot be read: {error.strerror}", hint="run as the Nagios user") from error
        if rest:
            yield rest + b"\n" if end_all else rest


def own_archives(cfg: NagiosCfg) -> dict[str, LogFile]:
    return {file.name: file for file in _archives(cfg.log_archive_path)}


def copied_logs(copies: Copies, record: CopyRecord) -> list[LogFile]:
    """The copies of the other host's archives and log, the oldest first."""
    found = _archives(copies.incoming / record.archives)
    return [*found, *(_file("", path) for path in (copies.log_before, copies.incoming / record.log) if _is_plain(path))]


def is_behind(name: str) -> bool:
    """Has every Nagios rotated to the archive of this name by now?"""
    return archive_end(name) <= time.time() - NOT_YET_SECONDS


def _archives(directory: Path) -> list[LogFile]:
    """Nagios's own names only, of rotations that have been."""
    try:
        paths = [path for path in directory.iterdir() if 0 < archive_end(path.name) <= time.time()]
    except OSError:
        return []
    return [_file(path.name, path) for path in sorted(paths, key=lambda path: archive_end(path.name)) if _is_plain(path)]


def _file(name: str, path: Path) -> LogFile:
    return LogFile(name, path, path.stat().st_size)


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _newest() -> int:
    return int(time.time()) + FUTURE_SECONDS


def until(deadline: float, lines: Iterable[bytes]) -> Iterator[bytes]:
    """The same lines; raises Failed when `deadline` (of the monotonic clock) has passed before their end."""
    rest = iter(lines)
    while some := list(itertools.islice(rest, 4096)):
        if time.monotonic() > deadline:
            raise Failed("merging takes longer than [sync] merge_timeout", hint="raise it in nagios-failover.cfg")
        yield from some


def require_space(directory: Path, size: int) -> None:
    """Raises Failed where `size` bytes more would fill the disk, under Nagios's feet."""
    try:
        disk = os.statvfs(directory)
    except OSError as error:
        raise cannot_write(directory, error) from error
    free = disk.f_bavail * disk.f_frsize
    if free < size + SPARE_BYTES:
        raise Failed(f"{directory} has {free >> 20} MiB free, and merging needs {(size + SPARE_BYTES) >> 20}", hint="free space")


def write_archive(path: Path, lines: Iterable[bytes], *, like: Path) -> bool:
    """Write the archive anew beside the old one, and rename. Mode and group are the old one's, or those of `like`. False: it
    was so already."""
    temporary = beside(path)
    try:
        write_beside(temporary, lines, like=path if path.exists() else like)
        if path.exists() and filecmp.cmp(temporary, path, shallow=False):
            return False
        temporary.rename(path)
        sync_directory(path.parent)
        return True
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def beside(path: Path) -> Path:
    """The merged file while it is made: a name that no CGI, no logrotate and no copy takes for a log."""
    return path.with_name(f".{path.name}.merged")


def write_beside(temporary: Path, lines: Iterable[bytes], *, like: Path) -> None:
    """Raises OSError."""
    stat = like.stat()
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    with temporary.open("xb", buffering=CHUNK) as file:
        os.fchmod(file.fileno(), stat.st_mode & 0o7777)
        with contextlib.suppress(PermissionError):  # the directory's group then, where that is set
            os.fchown(file.fileno(), -1, stat.st_gid)
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
