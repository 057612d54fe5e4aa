"""A Nagios in miniature, for tests without a lab: reads its command file, has flags, writes status.dat, retention.dat and its log.

What it does was seen in Nagios 4.4.6; the tests in tests/e2e hold the real one against the same promises.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path
from types import TracebackType

SWITCHES = {
    "ENABLE_NOTIFICATIONS": ("enable_notifications", 1),
    "DISABLE_NOTIFICATIONS": ("enable_notifications", 0),
    "START_EXECUTING_SVC_CHECKS": ("active_service_checks_enabled", 1),
    "STOP_EXECUTING_SVC_CHECKS": ("active_service_checks_enabled", 0),
    "START_EXECUTING_HOST_CHECKS": ("active_host_checks_enabled", 1),
    "STOP_EXECUTING_HOST_CHECKS": ("active_host_checks_enabled", 0),
}
KEYS = ("enable_notifications", "active_service_checks_enabled", "active_host_checks_enabled")


class FakeNagios:
    """`with FakeNagios(directory) as nagios:` runs it. `saves`, `writes`, `obeys` off: what a full disk or a hung Nagios does."""

    def __init__(self, directory: Path, *, flags: tuple[int, int, int] = (0, 0, 0)) -> None:
        self.directory = directory
        self.cfg = directory / "nagios.cfg"
        self.command_file = directory / "nagios.cmd"
        self.status_file = directory / "status.dat"
        self.retention_file = directory / "retention.dat"
        self.log_file = directory / "nagios.log"
        self.flags = dict(zip(KEYS, flags, strict=True))
        self.pid = 4711
        self.saves = self.writes = self.obeys = True
        self.commands: list[str] = []
        self._stop = threading.Event()
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.log_file.write_text(f"[{int(time.time()) - 1000}] LOG ROTATION: DAILY\n")
        self.configure()
        self.write_status()

    def configure(self, **settings: str) -> None:
        said = {
            "log_file": str(self.log_file),
            "log_archive_path": str(self.directory / "archives"),
            "status_file": str(self.status_file),
            "command_file": str(self.command_file),
            "state_retention_file": str(self.retention_file),
            "log_external_commands": "1",
            "retain_state_information": "1",
            "use_retained_program_state": "1",
            **settings,
        }
        self.cfg.write_text("".join(f"{name}={value}\n" for name, value in said.items()))

    def shall_have(self, value: int, **others: int) -> None:
        """Every flag has this value, but for `others`; status.dat shows it at once."""
        self.flags = {**dict.fromkeys(self.flags, value), **others}
        self.write_status()

    def write_status(self, *, created: int | None = None) -> None:
        with self._writing:  # or what this thread has begun to write would come after what the other one has written
            flags = "".join(f"\t{key}={value}\n" for key, value in self.flags.items())
            stamp = int(time.time()) if created is None else created
            head = f"info {{\n\tcreated={stamp}\n\tversion=4.4.6\n\t}}\n\n"
            program = f"programstatus {{\n\tnagios_pid={self.pid}\n\tprogram_start=1\n{flags}\t}}\n\n"
            self._install(self.status_file, head + program)

    def log(self, text: str, *, at: int | None = None) -> None:
        with self.log_file.open("a") as file:
            file.write(f"[{int(time.time()) if at is None else at}] {text}\n")

    def operator(self, command: str, *, at: int | None = None) -> None:
        """Somebody else's command, obeyed and logged."""
        self._obey(f"{command};", at=at)
        if self.writes:
            self.write_status()

    def __enter__(self) -> FakeNagios:
        os.mkfifo(self.command_file)
        self._thread.start()
        while not self._reading:
            time.sleep(0.01)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(timeout=5)
        self.command_file.unlink(missing_ok=True)

    _reading = False

    def _run(self) -> None:
        pipe = os.open(self.command_file, os.O_RDWR | os.O_NONBLOCK)
        self._reading = True
        waiting, written = b"", 0.0
        while not self._stop.wait(0.01):
            with contextlib.suppress(BlockingIOError):
                waiting += os.read(pipe, 65536) if self.obeys else b""
            while b"\n" in waiting:
                line, _, waiting = waiting.partition(b"\n")
                self._obey(line.decode().partition("] ")[2])
            if self.writes and time.monotonic() - written > 0.2:
                self.write_status()
                written = time.monotonic()
        os.close(pipe)

    def _obey(self, command: str, *, at: int | None = None) -> None:
        name, _, arguments = command.partition(";")
        self.commands.append(command)
        self.log(f"EXTERNAL COMMAND: {name};{arguments}", at=at)
        if name in SWITCHES:
            key, value = SWITCHES[name]
            self.flags[key] = value
        elif name == "SAVE_STATE_INFORMATION" and self.saves:
            kept = "".join(f"{key}={value}\n" for key, value in self.flags.items())
            self._install(self.retention_file, f"info {{\ncreated={int(time.time())}\n}}\nprogram {{\n{kept}}}\n")

    def _install(self, path: Path, text: str) -> None:
        new = path.with_name(f"{path.name}.new{threading.get_ident()}")
        new.write_text(text)
        new.rename(path)
