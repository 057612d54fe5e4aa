"""Files to lay down on a host, with owner and mode, in one stroke: a tar stream."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class File:
    """One file of a host. Owner and group are names of that host."""

    path: str
    text: str
    owner: str = "root"
    group: str | None = None
    mode: int = 0o644


@dataclass(frozen=True)
class Directory:
    """One directory of a host."""

    path: str
    owner: str = "root"
    group: str | None = None
    mode: int = 0o755


def tar_of(entries: Iterable[File | Directory], ids: dict[str, tuple[int, int]], groups: dict[str, int]) -> bytes:
    """An archive with numeric owners; `ids` maps a user to (uid, gid), `groups` a group to its gid."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for entry in entries:
            info = tarfile.TarInfo(entry.path.lstrip("/"))
            info.uid, info.gid = ids[entry.owner]
            if entry.group is not None:
                info.gid = groups[entry.group]
            info.mode = entry.mode
            info.mtime = time.time()  # as a file that was written now: some readers go by it
            if isinstance(entry, Directory):
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            else:
                data = entry.text.encode()
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def passwd_of(text: str) -> dict[str, tuple[int, int]]:
    """/etc/passwd: user -> (uid, gid)."""
    rows = [line.split(":") for line in text.splitlines() if line.count(":") >= 6]
    return {row[0]: (int(row[2]), int(row[3])) for row in rows}


def homes_of(text: str) -> dict[str, str]:
    """/etc/passwd: user -> home directory."""
    return {row[0]: row[5] for row in (line.split(":") for line in text.splitlines()) if len(row) >= 7}


def groups_of(text: str) -> dict[str, int]:
    """/etc/group: group -> gid."""
    return {row[0]: int(row[2]) for row in (line.split(":") for line in text.splitlines()) if len(row) >= 4}


def inside_directory() -> Path:
    """The programs that run inside the hosts."""
    return Path(__file__).resolve().parent / "inside"
