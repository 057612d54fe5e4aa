"""Work that outlives its caller: Nagios kills an event handler's whole process group at event_handler_timeout."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from nagios_failover.state_files import FILE_MODE

LOG_LIMIT_BYTES = 256 * 1024


def detach(work: Callable[[], None], *, log: Path) -> None:
    """Run `work` in a process of its own (a session of its own, no terminal, cwd /, umask 0027, no descriptor of the caller's)
    and return at once. What it prints or raises goes to `log`.

    Under systemd a stop of the Nagios unit ends detached children too (they stay in its control group). That is safe: what was
    cut short is an open run in the journal, and the next call finishes it."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.chdir("/")
        os.umask(0o027)
        _redirect(log)
        work()
    except BaseException:  # noqa: BLE001 - the last guard of this process: nobody else would tell
        log_line(log, "unexpected: " + traceback.format_exc())
    finally:
        os._exit(0)


def _redirect(log: Path) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    null = os.open(os.devnull, os.O_RDWR)
    try:
        output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, FILE_MODE)
    except OSError:
        output = null
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.closerange(3, 1024)


def log_line(log: Path, text: str) -> None:
    """Append a line with its moment to a log that stays below LOG_LIMIT_BYTES (the older half goes). A disk that is full or a
    directory that is away keeps nobody from acting."""
    try:
        if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
            kept = log.read_bytes()[-LOG_LIMIT_BYTES // 2 :].partition(b"\n")[2]
            log.write_bytes(kept)
        with log.open("a", encoding="utf-8") as file:
            os.fchmod(file.fileno(), FILE_MODE)
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} [{os.getpid()}] {text.rstrip()}\n")
    except OSError:
        return
