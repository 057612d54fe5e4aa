"""What an old source alone has, saved as SQL before its databases are copied anew: the binlog tool's own text, which a person can
read (comments show each row) and, where it is wanted after all, load."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from nagios_failover import clone
from nagios_failover.config import Config
from nagios_failover.database_server import Server
from nagios_failover.errors import Failed
from nagios_failover.gtid import in_words
from nagios_failover.own_database import administered, source
from nagios_failover.state_files import cannot_write, sync_directory
from nagios_failover.user import as_root


def save_errant(config: Config, state_directory: Path, run: str) -> tuple[Path, str]:
    """Write them to STATE/errant/RUN.sql, which only the Nagios user can read; the path, and a sentence. Raises Failed."""
    with source(config) as there, administered(config) as here:
        own, theirs = here.value(here.dialect.history), there.value(there.dialect.history)
        dialect, errant, logs = here.dialect, here.minus(own, theirs), _files(here)
        fork, whole = dialect.fork(own, theirs), dialect.still_logged(errant, here.value)
        count = dialect.count_alone(own, theirs, here.value)
    path = state_directory / "errant" / f"{run}.sql"
    try:
        path.parent.mkdir(mode=0o750, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise cannot_write(path, error) from error
    title = f"-- {config.this_name}, {time.strftime('%Y-%m-%d %H:%M:%S%z')}: {errant}, which {config.peer.name} has not"
    argv = (clone.program(dialect, dialect.binlog_programs), "--no-defaults", "--verbose")  # rows as comments, too
    with os.fdopen(descriptor, "wb") as file:
        said = _write(file, title, (*argv, *dialect.binlog_arguments(fork, errant), *logs), config.replication.setup_timeout)
        if said and fork:  # where the two part is not in these logs any more: then all that they hold
            whole = False
            said = _write(file, title, (*argv, *dialect.binlog_arguments("", errant), *logs), config.replication.setup_timeout)
        os.fsync(file.fileno())
    sync_directory(path.parent)
    if said:
        raise Failed(
            f"the binary log cannot be read: {said}",
            host=config.this_name,
            hint=f"nothing was changed; free space for {path}, or mend the binary log",
        )
    many = f"{in_words(count)} that {config.peer.name} has not ({errant})"
    return path, f"{'' if whole else 'what the binary log still holds of '}{many} in {path}"


def _write(file: IO[bytes], title: str, argv: Sequence[str], seconds: float) -> str:
    """What the binlog tool makes of the logs, in place of what is in the file; "" or why it failed."""
    file.seek(0)
    file.truncate()
    file.write(f"{title}\n".encode())
    file.flush()
    try:
        with as_root():
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.PIPE, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return f"{argv[0]} did not end within {seconds:g} s"
    said = " ".join(done.stderr.decode(errors="replace").split())[-300:]
    return f"{argv[0]}: {said or f'exit code {done.returncode}'}" if done.returncode else ""


def _files(here: Server) -> list[str]:
    directory = Path(here.value("SELECT @@GLOBAL.log_bin_basename")).parent
    return [str(directory / str(row["Log_name"])) for row in here.rows("SHOW BINARY LOGS")]
