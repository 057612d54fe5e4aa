"""The one place that runs a subprocess: in a session of its own, killed as a group at its time limit, its output bounded."""

from __future__ import annotations

import contextlib
import os
import pwd
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from nagios_failover.frozen import frozen

OUTPUT_LIMIT = 1 << 20
"""Bytes kept of each stream; what comes after is read and thrown away."""

NOT_FOUND = 127
NOT_EXECUTABLE = 126
_EXIT_POLL_SECONDS = 0.05


@frozen
class Output:
    """What a command left. `code` is the exit code (minus the signal's number where a signal ended it); None: it was killed at
    its time limit (`timed_out`). `seconds` is how long it took."""

    code: int | None
    stdout: str
    stderr: str
    timed_out: bool = False
    seconds: float = 0.0

    @property
    def well(self) -> bool:
        return self.code == 0


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    account: pwd.struct_passwd | None = None,
) -> Output:
    """Run `argv` (no shell) for at most `timeout` seconds, by root as the user of `account`. A failing, missing or hanging command
    is an Output, never an exception.

    Returns when the command has ended, even if a child that it left behind (ssh's held connection) keeps the pipes open."""
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=cwd,
            start_new_session=True,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=os.getgrouplist(account.pw_name, account.pw_gid) if account else None,
        )
    except OSError as error:
        code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
        return Output(code, "", f"{argv[0]}: {error.strerror or error}", seconds=time.monotonic() - started)
    streams = _Streams(process, (stdin or "").encode())
    try:
        ended = streams.pump(started + timeout)
    finally:
        # Also when an exception (a time-out by signal, Ctrl-C) passes through: nothing of ours is left running.
        if process.poll() is None:
            _kill_group(process)
        streams.close()
    return Output(
        process.returncode if ended else None,
        streams.text(process.stdout),
        streams.text(process.stderr),
        timed_out=not ended,
        seconds=time.monotonic() - started,
    )


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    # A process in uninterruptible sleep does not die at once: it is not waited for.
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)


class _Streams:
    """The pipes of one process, pumped without blocking."""

    def __init__(self, process: subprocess.Popen[bytes], stdin: bytes) -> None:
        self._process = process
        self._stdin = memoryview(stdin)
        self._kept: dict[object, bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
        self._selector = selectors.DefaultSelector()
        self._pidfd = self._open_pidfd(process.pid)
        for pipe in (process.stdout, process.stderr, process.stdin):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                self._selector.register(pipe, selectors.EVENT_WRITE if pipe is process.stdin else selectors.EVENT_READ)

    def _open_pidfd(self, pid: int) -> int | None:
        """Wakes the selector when the process ends; where the system has none, we look now and then."""
        try:
            descriptor = os.pidfd_open(pid)
        except (AttributeError, OSError):
            return None
        self._selector.register(descriptor, selectors.EVENT_READ)
        return descriptor

    def pump(self, deadline: float) -> bool:
        """Move bytes until the process has ended (True) or the deadline has passed (False)."""
        while self._process.poll() is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._move(left if self._pidfd is not None else min(left, _EXIT_POLL_SECONDS))
        self._drain()
        return True

    def _move(self, wait: float) -> None:
        for key, _ in self._selector.select(wait):
            if key.fileobj == self._pidfd:
                continue
            if key.fileobj is self._process.stdin:
                self._write()
            else:
                self._read(key.fileobj)

    def _write(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        try:
            self._stdin = self._stdin[os.write(pipe.fileno(), self._stdin[:65536]) :]
        except BlockingIOError:
            return
        except OSError:  # the command does not read (any more)
            self._stdin = memoryview(b"")
        if not self._stdin:
            self._selector.unregister(pipe)
            with contextlib.suppress(OSError):
                pipe.close()

    def _read(self, pipe: object) -> bool:
        """Is there, or was there just now, something to read?"""
        try:
            chunk = os.read(pipe.fileno(), 65536)  # type: ignore[attr-defined]
        except BlockingIOError:
            return False
        kept = self._kept[pipe]
        kept += chunk[: max(0, OUTPUT_LIMIT - len(kept))]
        if not chunk:
            self._selector.unregister(pipe)  # type: ignore[arg-type]
        return bool(chunk)

    def _drain(self) -> None:
        """What the process had written before it ended. Not until end of file, and not for ever: somebody may hold the pipe
        and write on."""
        for pipe in self._kept:
            if any(key.fileobj is pipe for key in self._selector.get_map().values()):
                for _ in range(2 * OUTPUT_LIMIT // 65536):
                    if not self._read(pipe):
                        break

    def text(self, pipe: object) -> str:
        return self._kept[pipe].decode("utf-8", errors="replace")

    def close(self) -> None:
        self._selector.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
