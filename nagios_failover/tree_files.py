"""Directories of configuration files on the disk: read and changed without following a link, whoever else may write there."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from nagios_failover.config_tree import COUNT_LIMIT, SIZE_LIMIT, ConfigFile, Tree, is_left_alone, refuse_name
from nagios_failover.errors import Failed, Refused
from nagios_failover.state_files import sync_directory

DEPTH_LIMIT = 16
_TEMPORARY = ".nagios-failover.new"
"""Hidden: Nagios reads no hidden file, and neither do we."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read_tree(directory: Path, *, own: Sequence[str], owner: int | None = None) -> dict[str, ConfigFile]:
    """Every file below, without those that are left alone. Raises Refused for anything but plain files and directories, for a
    name that is not plain, for more than SIZE_LIMIT; with `owner`, also for what somebody else could change. Failed where
    something cannot be read."""
    reader = _Reader(directory, own, owner)
    try:
        with _closing(os.open(directory, _DIRECTORY)) as top:
            reader.read(top, "")
    except OSError as error:
        raise _cannot(directory, error) from error
    return reader.found


class _Reader:
    def __init__(self, top: Path, own: Sequence[str], owner: int | None) -> None:
        self.top, self.own, self.owner = top, own, owner
        self.found: dict[str, ConfigFile] = {}
        self.size = 0

    def read(self, descriptor: int, prefix: str) -> None:
        """The directory behind `descriptor`, whose path below the top is `prefix`."""
        where = self.top / prefix
        self._check_owner(os.fstat(descriptor), where)
        for name in sorted(os.listdir(descriptor)):
            if is_left_alone(name, self.own):
                continue
            refuse_name(name, str(where))
            try:
                self._read_entry(descriptor, name, prefix)
            except OSError as error:
                raise _cannot(where / name, error) from error

    def _read_entry(self, descriptor: int, name: str, prefix: str) -> None:
        where = self.top / prefix / name
        kind = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
        if stat.S_ISDIR(kind) and prefix.count("/") < DEPTH_LIMIT:
            with _closing(os.open(name, _DIRECTORY, dir_fd=descriptor)) as below:
                self.read(below, f"{prefix}{name}/")
        elif stat.S_ISREG(kind):
            self.found[prefix + name] = self._read_file(descriptor, name, where)
            if len(self.found) > COUNT_LIMIT:
                raise Refused(f"{self.top} has more than {COUNT_LIMIT} files")
        else:
            word = "a symbolic link" if stat.S_ISLNK(kind) else "no plain file"
            raise Refused(f"{where} is {word}", hint="put the file itself there, on both hosts")

    def _read_file(self, directory: int, name: str, where: Path) -> ConfigFile:
        with _closing(os.open(name, _FILE, dir_fd=directory)) as descriptor:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Refused(f"{where} is no plain file")
            self._check_owner(status, where)
            data = bytearray()
            while chunk := os.read(descriptor, 1 << 20):
                data += chunk
                self.size += len(chunk)
                if self.size > SIZE_LIMIT:
                    raise Refused(f"the files below {self.top} are larger than {SIZE_LIMIT >> 20} MiB together")
            return ConfigFile(bytes(data), stat.S_IMODE(status.st_mode))

    def _check_owner(self, status: os.stat_result, where: Path) -> None:
        mode = stat.S_IMODE(status.st_mode)
        if self.owner is not None and (status.st_uid != self.owner or mode & (stat.S_IWGRP | stat.S_IWOTH)):
            raise Refused(
                f"{where} is not root's alone to change (owner uid {status.st_uid}, mode {mode:04o})",
                hint=f"chown root {where}; chmod go-w {where}",
            )


def change_tree(directory: Path, old: Tree, new: Tree, *, group: int) -> list[str]:
    """Bring the directory from `old` to `new`, a file at a time, each written beside and renamed. Returns what was done, words.

    A file that was there keeps its owner and mode; a new one is root's and readable by `group`, and by everybody only if it was
    where it came from. Raises OSError (then some files may be new and some old)."""
    done = []
    for path in sorted(old.keys() - new.keys()):
        (directory / path).unlink(missing_ok=True)
        _remove_empty((directory / path).parent, directory)
        done.append(f"removed {directory / path}")
    for path in sorted(new):
        if path not in old or old[path].data != new[path].data:
            write_file(directory / path, new[path], group=group)
            done.append(f"{'changed' if path in old else 'added'} {directory / path}")
    return done


def write_file(path: Path, file: ConfigFile, *, group: int) -> None:
    """Whole or not at all, on the disk when this returns. Raises OSError."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    temporary = path.parent / _TEMPORARY
    temporary.unlink(missing_ok=True)
    try:
        before = path.lstat()
        owner, its_group, mode = before.st_uid, before.st_gid, stat.S_IMODE(before.st_mode)
    except FileNotFoundError:
        owner, its_group, mode = os.geteuid(), group, 0o640 | (file.mode & 0o004)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(file.data)
        opened.flush()
        os.fchown(opened.fileno(), owner, its_group)
        os.fchmod(opened.fileno(), mode)
        os.fsync(opened.fileno())
    temporary.rename(path)
    sync_directory(path.parent)


def _remove_empty(directory: Path, top: Path) -> None:
    while directory != top:
        try:
            directory.rmdir()
        except OSError:
            return
        directory = directory.parent


@contextlib.contextmanager
def _closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _cannot(path: Path, error: OSError) -> Failed:
    return Failed(f"{path} cannot be read: {error.strerror}", hint=f"ls -la {path}")
