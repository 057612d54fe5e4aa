"""Nagios's command file: the named pipe through which external commands reach a running Nagios."""

from __future__ import annotations

import errno
import os
import select
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from nagios_failover.errors import NoReader, UsageError
from nagios_failover.words import COMMAND_TAG


def tagged(name: str) -> str:
    """A command that takes no arguments, marked as ours: Nagios ignores the argument and logs it."""
    return f"{name};{COMMAND_TAG}"


def lines(commands: Sequence[str], *, now: int) -> list[bytes]:
    """The lines to write. Raises UsageError for a command that would be two, none, or too long to be written in one piece."""
    written = []
    for command in commands:
        line = f"[{now}] {command}\n".encode("utf-8", "surrogateescape")
        if not command.strip() or any(character in command for character in "\n\r\0"):
            raise UsageError(f"not an external command: {command[:80]!r}", hint="NAME;argument;argument on one line")
        if len(line) > select.PIPE_BUF:
            raise UsageError(f"the external command {command[:40]!r}... has {len(line)} bytes, more than {select.PIPE_BUF}")
        written.append(line)
    return written


def send(command_file: Path, commands: Sequence[str], *, now: int) -> None:
    """Write the commands in this order, each in one piece, and all in one write where they fit into PIPE_BUF: Nagios obeys these
    one after the other, with nothing in between. They are taken when this returns, not yet obeyed: look at status.dat.

    Never waits and never makes a file: raises NoReader when the pipe is missing, no pipe, full, or read by nobody. `now` is epoch
    seconds."""
    data = lines(commands, now=now)
    try:
        pipe = os.open(command_file, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _no_reader(command_file, error) from error
    try:
        if not stat.S_ISFIFO(os.fstat(pipe).st_mode):
            raise NoReader(
                f"the command file {command_file} is a plain file, not a pipe: something wrote to it while Nagios was stopped",
                hint=f"rm {command_file}, then restart Nagios",
            )
        for piece in _pieces(data):
            os.write(pipe, piece)  # PIPE_BUF or less: whole or not at all
    except OSError as error:
        raise _no_reader(command_file, error) from error
    finally:
        os.close(pipe)


def _pieces(data: Sequence[bytes]) -> Iterator[bytes]:
    piece = b""
    for line in data:
        if len(piece) + len(line) > select.PIPE_BUF:
            yield piece
            piece = b""
        piece += line
    if piece:
        yield piece


def _no_reader(path: Path, error: OSError) -> NoReader:
    if error.errno in (errno.ENXIO, errno.EPIPE):
        return NoReader(f"nobody reads the command file {path}", hint="start Nagios")
    if error.errno == errno.EAGAIN:
        return NoReader(f"the command file {path} is full: Nagios does not read it", hint="is Nagios stopped or hung? restart it")
    if error.errno == errno.ENOENT:
        return NoReader(
            f"the command file {path} does not exist", hint="start Nagios; check_external_commands must be 1 in nagios.cfg"
        )
    return NoReader(f"cannot write to the command file {path}: {error.strerror}", hint="run as the Nagios user")
