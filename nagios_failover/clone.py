"""Copying the databases of the source into this host's server: one consistent dump, read over verified TLS and loaded as it
comes. Nothing is needed on the source but the account that replicas log in with, and nothing of the dump is kept on a disk.

The password goes to the dump on its standard input: no command line, no environment and no file ever has it. Needs root.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from nagios_failover.config import Config
from nagios_failover.dialect import Dialect
from nagios_failover.errors import Failed

LOCK = "nagios_failover_copy"
"""The loading session holds this lock of the server's: one that outlives a killed run is found by it."""
CHUNK = 1 << 16
ENDS = 1 << 14
"""So much of a dump's beginning and end is kept: one of them has its position."""
_COMPLETE = re.compile(rb"^-- Dump completed", re.M)

Progress = Callable[[int], None]
"""Told the bytes that have come so far."""
Alive = Callable[[], None]
"""Asked again and again while this host's server takes nothing: it may work, or hang. Raises FailoverError in that case."""


def copy(config: Config, dialect: Dialect, databases: Sequence[str], *, progress: Progress, alive: Alive) -> str:
    """Copy `databases` of the other host's server; the position in the source's history that the copy is of. Both servers speak
    `dialect`.

    Raises Failed: the copy is then not complete, and worth nothing."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as loader_said:
        dump = _start(dump_argv(dialect, databases), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said)
        load = _start(load_argv(config, dialect), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=loader_said)
        try:
            _tell(dump, options(config, dialect))
            ends, loader_ended = _pump(dump, load, config.replication.silence_critical, progress, alive)
            dump_code = 0 if loader_ended else dump.wait(timeout=config.replication.silence_critical)
            load_code = _ended(load, config.replication.setup_timeout, config.replication.silence_critical, alive)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"{error.cmd[0]} did not end", hint="see the database server's error log") from error
        finally:
            _end(load)
            _end(dump)
        if dump_code:
            raise Failed(f"{config.peer.name}: the dump failed: {_words(said)}", hint="give the command again")
        if load_code or loader_ended:
            raise Failed(
                f"{config.this_name}: loading the copy failed: {_words(loader_said)}",
                hint="is its disk full? then give the command again",
            )
    position = position_of(ends, dialect)
    if position is None:
        raise Failed(f"{config.peer.name}: the dump is cut off", hint="give the command again")
    return position


def position_of(ends: bytes, dialect: Dialect) -> str | None:
    """The GTID position in the beginning or the end of a whole dump; None for one that is cut off. Pure."""
    found = dialect.dump_position.findall(ends)
    return "".join(found[dialect.dump_position_is].decode("ascii").split()) if found and _COMPLETE.search(ends) else None


def dump_argv(dialect: Dialect, databases: Sequence[str]) -> tuple[str, ...]:
    whole = ("--routines", "--triggers", "--events", "--hex-blob")
    dump = program(dialect, dialect.dump_programs)
    return (dump, "--defaults-file=/dev/stdin", *dialect.dump_options, *whole, "--databases", *databases)


def load_argv(config: Config, dialect: Dialect) -> tuple[str, ...]:
    return (
        program(dialect, dialect.load_programs),
        "--no-defaults",
        f"--socket={config.database.socket}",
        "--user=root",
        "--batch",
        "--max-allowed-packet=1G",
    )


def program(dialect: Dialect, names: Sequence[str]) -> str:
    """The first of these programs that is there. Raises Failed."""
    found = next((path for path in map(shutil.which, names) if path), None)
    if found is None:
        raise Failed(f"{names[0]} is not installed", hint=f"apt-get install {dialect.client_package}")
    return found


def options(config: Config, dialect: Dialect) -> str:
    """How to reach the source, password included, as an option file has it. Pure."""
    replication = config.replication
    lines = {
        "host": config.peer.address,
        "port": str(replication.port),
        "user": replication.replication_user,
        "password": replication.replication_password,
        "ssl-ca": str(replication.tls_ca),
        **({"ssl-cert": str(replication.tls_cert), "ssl-key": str(replication.tls_key)} if replication.tls_cert else {}),
        "max-allowed-packet": "1G",
    }
    written = "".join(f"{name} = {quoted(value)}\n" for name, value in lines.items())
    return "\n".join(["[client]", *dialect.client_options, written])


def quoted(value: str) -> str:
    """As option files take it. Pure."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _start(argv: Sequence[str], **streams: object) -> subprocess.Popen[bytes]:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
    streams.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen(list(argv), env=environment, cwd="/", start_new_session=True, **streams)  # type: ignore[call-overload, no-any-return]


def _tell(dump: subprocess.Popen[bytes], text: str) -> None:
    assert dump.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it has ended: its exit code and its words tell why
        dump.stdin.write(text.encode())
        dump.stdin.close()


def _ended(load: subprocess.Popen[bytes], seconds: float, patience: float, alive: Alive) -> int:
    """The loader's exit code. It has the last statements to wait for."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return load.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            if time.monotonic() > deadline:
                raise
            alive()


def _pump(
    dump: subprocess.Popen[bytes], load: subprocess.Popen[bytes], patience: float, progress: Progress, alive: Alive
) -> tuple[bytes, bool]:
    """Everything from the one to the other, and nothing of it into this server's own binary log. Its beginning and end, and
    whether the loader has ended before (its own words tell why)."""
    assert dump.stdout is not None and load.stdin is not None
    head, tail, total = b"", b"", 0
    try:
        os.set_blocking(load.stdin.fileno(), False)
        _write(load.stdin, f"SET SESSION sql_log_bin = 0;\nSELECT GET_LOCK('{LOCK}', 0);\n".encode(), patience, alive)
        for chunk in _chunks(dump.stdout, patience):
            _write(load.stdin, chunk, patience, alive)
            total += len(chunk)
            head = head if len(head) >= ENDS else (head + chunk)[:ENDS]
            tail = (tail + chunk)[-ENDS:]
            progress(total)
        load.stdin.close()
    except BrokenPipeError:
        return b"", True
    return head + b"\n" + tail, False


def _write(stream: IO[bytes], data: bytes, patience: float, alive: Alive) -> None:
    """All of it. A loader that takes nothing for long may be busy with one statement: its server is asked whether it lives."""
    left = memoryview(data)
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_WRITE)
        while left:
            if selector.select(patience):
                left = left[os.write(stream.fileno(), left) :]
            else:
                alive()


def _chunks(stream: IO[bytes], patience: float) -> Iterator[bytes]:
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            if not selector.select(patience):
                raise Failed(
                    f"nothing has come from the source for {patience:g} s ([replication] silence_critical)",
                    hint="give the command again",
                )
            chunk = os.read(stream.fileno(), CHUNK)
            if not chunk:
                return
            yield chunk


def _end(process: subprocess.Popen[bytes]) -> None:
    """Nothing of ours is left running, and no pipe open."""
    if process.poll() is None:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _words(said: IO[bytes]) -> str:
    said.seek(0)
    return " ".join(said.read(4000).decode("utf-8", errors="replace").split())[-500:] or "no word of why"


def wait_until_alone(ask: Callable[[str], str], *, seconds: float) -> None:
    """Until no loading session of an earlier run is left on the server; it is ended. `ask` runs a query of one value."""
    deadline = time.monotonic() + seconds
    while holder := ask(f"SELECT IS_USED_LOCK('{LOCK}')"):
        if time.monotonic() > deadline:
            raise Failed(
                f"an earlier copy is still being loaded by connection {holder}", hint="kill it in the server, and try again"
            )
        with contextlib.suppress(Failed):  # it has ended meanwhile
            ask(f"KILL {int(holder)}")
        time.sleep(0.1)
