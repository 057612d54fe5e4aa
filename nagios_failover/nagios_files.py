"""The files of this host's own Nagios: nagios.cfg, status.dat, retention.dat. Read here, understood in the pure modules."""

from __future__ import annotations

import io
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nagios_failover.errors import ConfigError, CouldNotLook, Failed
from nagios_failover.nagios_cfg import NagiosCfg, parse_nagios_cfg
from nagios_failover.status_data import (
    ProgramStatus,
    is_whole,
    object_status,
    objects_not_ok,
    parse_program_status,
    parse_retained_flags,
)
from nagios_failover.words import Flag

HEAD_SIZE = 65536
"""Characters in which the first two blocks stand; a line that goes on for ever is not read to its end."""


def read_nagios_cfg(path: Path) -> NagiosCfg:
    """Raises ConfigError when the file is missing, unreadable or malformed."""
    try:
        return parse_nagios_cfg(path.read_text(encoding="utf-8", errors="surrogateescape"), path)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path} does not exist", hint="name Nagios's main file with nagios_cfg in the section [host ...]"
        ) from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint=f"chmod o+r {path}") from error


def read_program_status(status_file: Path) -> ProgramStatus:
    """The head of status.dat, without reading the rest. Raises CouldNotLook."""
    try:
        with status_file.open(encoding="utf-8", errors="surrogateescape") as file:
            return parse_program_status(io.StringIO(file.read(HEAD_SIZE)), str(status_file))
    except OSError as error:
        raise _cannot_read(status_file, error) from error


def read_objects_not_ok(status_file: Path) -> list[tuple[str, str | None]]:
    """The hosts (with None) and services that are not UP or OK. Raises CouldNotLook, also for a file that is cut off."""
    with _whole_status(status_file) as data:
        return objects_not_ok(data)


def read_object_status(status_file: Path, host: str, service: str | None) -> dict[str, str] | None:
    """What stands there of one host (`service` None) or service; None: nothing. Raises CouldNotLook."""
    with _whole_status(status_file) as data:
        return object_status(data, host, service)


@contextmanager
def _whole_status(status_file: Path) -> Iterator[bytes]:
    """The file, not read but mapped: an mmap is sliced and searched like bytes."""
    try:
        with status_file.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if not is_whole(data):  # type: ignore[arg-type]
                raise CouldNotLook(f"{status_file} is cut off", hint="is the disk full?")
            yield data  # type: ignore[misc]
    except ValueError as error:
        raise CouldNotLook(f"{status_file} is empty", hint="is the disk full?") from error
    except OSError as error:
        raise _cannot_read(status_file, error) from error


def read_retained_flags(retention_file: Path) -> dict[Flag, bool] | None:
    """The flags with which Nagios would start again; None when the file does not say. Raises CouldNotLook."""
    try:
        with retention_file.open(encoding="utf-8", errors="surrogateescape") as file:
            return parse_retained_flags(io.StringIO(file.read(HEAD_SIZE)))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _cannot_read(retention_file, error) from error


def version_of(path: Path) -> tuple[int, int] | None:
    """Something that changes whenever Nagios installs a new `path`; None while there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return (stat.st_ino, stat.st_mtime_ns)


def sync_file(path: Path) -> None:
    """Bring `path` and its name onto the disk. Nagios syncs what it writes, but neither the rename that installs it nor the copy
    it makes when temp_file lies on another file system: without this, a power cut gives the old file back. Raises Failed."""
    try:
        for place, kind in ((path, os.O_RDONLY), (path.parent, os.O_RDONLY | os.O_DIRECTORY)):
            descriptor = os.open(place, kind)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    except OSError as error:
        raise Failed(f"cannot bring {path} to the disk: {error.strerror}", hint=f"mend the disk under {path.parent}") from error


def _cannot_read(path: Path, error: OSError) -> CouldNotLook:
    if isinstance(error, FileNotFoundError):
        return CouldNotLook(f"{path} does not exist", hint="Nagios is stopped here, or status_file in nagios.cfg is another one")
    return CouldNotLook(f"{path} cannot be read: {error.strerror}", hint="run as the Nagios user, or as root")
