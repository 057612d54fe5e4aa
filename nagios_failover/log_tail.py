"""Reads what is new in nagios.log since a remembered position, through Nagios's rotation of the file."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from nagios_failover.copies import offset_of, rotated_at
from nagios_failover.errors import CouldNotLook
from nagios_failover.event_log import MARK, ExternalCommand, Position, Switch, parse_external_command, switches
from nagios_failover.frozen import frozen
from nagios_failover.nagios_cfg import NagiosCfg

_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")


@frozen
class _Piece:
    """A part of the log still to be read: a file from an offset on; lines older than `not_before` were read before."""

    path: Path
    offset: int = 0
    not_before: int = 0


def read_new_switches(cfg: NagiosCfg, position: Position | None) -> tuple[list[Switch], Position]:
    """The flag changes logged since `position` (None: since the log began), and the position behind them.

    Read are the rest of the file that was read last, under whatever name it has now, each archive after it, and the log.
    A last line that is not finished is left for next time. Raises CouldNotLook when the log cannot be read."""
    try:
        found: list[Switch] = []
        newest = position.switched if position else 0
        last = position.time if position else 0
        for piece in _pieces(cfg, position):
            with piece.path.open("rb") as file:
                file.seek(piece.offset)
                lines, end, time = _whole_lines(file)
                part = [switch for switch in switches(lines) if switch.time >= piece.not_before]
                found.extend(part)
                newest = max([newest, *(switch.time for switch in part)])
                last = time or last
                here = Position(os.fstat(file.fileno()).st_ino, head_of(file), end, last, newest)
        return found, here
    except OSError as error:
        raise CouldNotLook(
            f"{error.filename or cfg.log_file} cannot be read: {error.strerror}",
            hint="log_file in nagios.cfg names it; run as the Nagios user, or as root",
        ) from error


def commands_since(cfg: NagiosCfg, since: int) -> Iterator[ExternalCommand]:
    """The external commands that Nagios has carried out since a moment (epoch seconds), the oldest first. What cannot be read
    holds none."""
    for path in [*(path for path in archives_of(cfg) if path.stat().st_mtime >= since), cfg.log_file]:
        try:
            with path.open("rb") as file:
                file.seek(offset_of(path, since))
                lines = [line.decode("utf-8", "replace") for line in file if MARK in line]
        except OSError:
            continue
        commands = (parse_external_command(line) for line in lines)
        yield from (command for command in commands if command is not None and command.time >= since)


def _pieces(cfg: NagiosCfg, position: Position | None) -> list[_Piece]:
    if position is None:
        return [_Piece(cfg.log_file)]
    if _is(cfg.log_file, position):
        return [_Piece(cfg.log_file, position.offset)]
    archives = archives_of(cfg)
    for index, archive in enumerate(archives):
        if _is(archive, position):
            return [_Piece(archive, position.offset), *(_Piece(path) for path in archives[index + 1 :]), _Piece(cfg.log_file)]
    changed_since = [path for path in archives if path.stat().st_mtime >= position.time]
    return [*(_Piece(path, not_before=position.time) for path in changed_since), _Piece(cfg.log_file, not_before=position.time)]


def _is(path: Path, position: Position) -> bool:
    """Is `path` the file that was read last, and has it not been cut?"""
    try:
        with path.open("rb") as file:
            return is_in(position, file)
    except FileNotFoundError:
        return False


def is_in(position: Position, file: BinaryIO) -> bool:
    stat = os.fstat(file.fileno())
    return stat.st_ino == position.inode and stat.st_size >= position.offset and head_of(file) == position.head


def archives_of(cfg: NagiosCfg) -> list[Path]:
    """The rotated logs that can be read, oldest first: Nagios's own in its archive directory, logrotate's beside the log."""
    found = [*_files_in(cfg.log_archive_path, ""), *_files_in(cfg.log_file.parent, cfg.log_file.name + ".")]
    readable = [path for path in found if path.suffix not in _COMPRESSED and os.access(path, os.R_OK)]
    return sorted(readable, key=rotated_at)


def _files_in(directory: Path, prefix: str) -> Iterator[Path]:
    if directory.is_dir():
        yield from (path for path in directory.iterdir() if path.is_file() and path.name.startswith(prefix))


def _whole_lines(file: BinaryIO) -> tuple[list[str], int, int]:
    """From here on: the lines that hold an external command, the offset behind the last whole line, and that line's time (0:
    no line, or none with a time)."""
    commands: list[str] = []
    end, line = file.tell(), b""
    for raw in file:
        if not raw.endswith(b"\n"):
            break
        line = raw
        end += len(raw)
        if MARK in raw:
            commands.append(raw.decode("utf-8", "replace"))
    stamp = line[1 : line.find(b"]")] if line.startswith(b"[") else b""
    return commands, end, int(stamp) if stamp.isdigit() else 0


def head_of(file: BinaryIO) -> str:
    """A sum of the first line; "-" while that is not finished."""
    file.seek(0)
    line = file.readline(4096)
    return f"{zlib.crc32(line):08x}" if line.endswith(b"\n") else "-"
