"""One host of a lab: its power, its disk, its files, its services, and commands run inside it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.lab import network
from tests.lab.cgroup import Cgroup
from tests.lab.files import Directory, File, groups_of, homes_of, passwd_of, tar_of
from tests.lab.machine import PATH, LabError, command
from tests.lab.processes import close_pipes, kill_session, only_child, start_time
from tests.lab.service import Service, program_block
from tests.lab.state import ADDRESSES, Store, wait_until_detached, write_atomically

DISK_BYTES: Final = 2 * 1024**3
BOOT_SECONDS: Final = 30.0
SHUTDOWN_SECONDS: Final = 90.0
#: what nobody inside a host may do to the machine outside
FORBIDDEN: Final = "-sys_module,-sys_time,-sys_rawio,-sys_boot,-mknod"
NAGIOS_CFG: Final = "/etc/nagios4/nagios.cfg"
STATUS_DAT: Final = "/var/lib/nagios4/status.dat"
BALLAST: Final = "/var/.lab-ballast"


class Host:
    """A host, by the directory of its lab; any process may hold one."""

    def __init__(self, store: Store, name: str) -> None:
        self.name = name
        self.address = ADDRESSES[name]
        self._store = store
        self._directory = store.path / "hosts" / name
        self._users: str | None = None

    def __repr__(self) -> str:
        return f"<Host {self.name} of lab {self._store.name}>"

    # ---- power ----

    def on(self) -> None:
        """Power on and boot: returns when the services that the host starts by itself have started."""
        if self.is_on():
            raise LabError(f"{self.name} is on already")
        wait_until_detached([self._disk()])
        console = self._directory / "console.log"
        console.write_text("")
        boot = ["/bin/sh", str(self._inside() / "boot.sh"), self.name, str(self._disk()), self._lower(), str(self._store.path)]
        unshare = ["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child", "--", *boot]
        holder = network.spawn(self._group().create().entering(unshare), console)
        first = only_child(holder)
        network.wait_for_namespace(first)
        write_atomically(self._directory / "init.json", json.dumps({"pid": first, "start": start_time(first)}))
        network.plug_in(self._store, self.name, first)
        network.start_relays(self._store, self.name, first)
        self._wait_for_console(console)

    def _lower(self) -> str:
        """The read-only layers below the host's own disk, uppermost first."""
        settings = self._store.settings()
        layers = [settings.layer] if settings.layer and settings.has_suite(self.name) else []
        return ":".join([*layers, settings.root])

    def off(self) -> None:
        """A power cut: every process is gone at once, nothing is written any more. The disk is kept."""
        first = self._init_pid()
        if first is None:
            raise LabError(f"{self.name} is off already")
        os.kill(first, signal.SIGKILL)
        self._after_power_is_gone()

    def reboot(self) -> None:
        """A clean restart: services are stopped in order, then the power goes and comes back."""
        self.shutdown()
        self.on()

    def shutdown(self) -> None:
        """A clean stop: services are stopped in order, then the power goes."""
        first = self._require_on()
        os.kill(first, signal.SIGTERM)
        deadline = time.monotonic() + SHUTDOWN_SECONDS
        while self._init_pid() is not None:
            if time.monotonic() > deadline:
                raise LabError(f"{self.name} did not shut down within {SHUTDOWN_SECONDS:.0f} s")
            time.sleep(0.02)
        self._after_power_is_gone()

    def _after_power_is_gone(self) -> None:
        self._group().remove()
        network.stop_relays(self._store, self.name)
        wait_until_detached([self._disk()])
        (self._directory / "init.json").unlink(missing_ok=True)

    def is_on(self) -> bool:
        return self._init_pid() is not None

    def freeze(self) -> None:
        """Every process stops where it is; the kernel still answers ping and accepts TCP connections."""
        self._require_on()
        self._group().freeze()

    def thaw(self) -> None:
        self._require_on()
        self._group().thaw()

    def is_frozen(self) -> bool:
        return self.is_on() and self._group().is_frozen()

    def _init_pid(self) -> int | None:
        """The outside's number of the first process, if it is still the one that was started."""
        try:
            recorded = json.loads((self._directory / "init.json").read_text())
        except (FileNotFoundError, ValueError):
            return None
        pid = int(recorded["pid"])
        return pid if start_time(pid) == recorded["start"] else None

    def _require_on(self) -> int:
        first = self._init_pid()
        if first is None:
            raise LabError(f"{self.name} is off")
        return first

    def _wait_for_console(self, console: Path) -> None:
        from tests.lab.lab import PATIENCE  # which imports this module

        limit = BOOT_SECONDS * PATIENCE
        deadline = time.monotonic() + limit
        while "init: up\n" not in console.read_text(errors="replace"):
            if not self.is_on():
                raise LabError(f"{self.name} did not boot: {console.read_text(errors='replace')[-2000:]}")
            if time.monotonic() > deadline:
                raise LabError(f"{self.name} did not boot within {limit:.0f} s: {console.read_text()[-2000:]}")
            time.sleep(0.01)

    # ---- commands ----

    def run(
        self,
        command: str | Sequence[str],
        *,
        user: str = "root",
        timeout: float = 30,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        stdin: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside (a string goes through sh) and capture its output as text.

        User nagios gets the environment of Nagios's own handlers: cwd /tmp, a path, no HOME. Others get a login's.
        Raises AssertionError with the output if `check` and the exit code is not 0, subprocess.TimeoutExpired after
        `timeout` seconds; what the command started in its own session is then killed.
        """
        argv = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
        first = self._require_on()
        if self._group().is_frozen():
            raise LabError(f"{self.name} is frozen, nothing runs there; thaw it first (read and write still work)")
        started = subprocess.Popen(
            self._group().entering(self._inside_argv(first, argv, user, env or {}, cwd)),
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            cwd="/",
            env={"PATH": PATH},
        )
        try:
            out, err = started.communicate(stdin, timeout=timeout)
        except BaseException:
            kill_session(started.pid)
            started.kill()
            started.wait()
            close_pipes(started)
            raise
        done = subprocess.CompletedProcess(command, started.returncode, out, err)
        if check and done.returncode != 0:
            shown = command if isinstance(command, str) else " ".join(command)
            raise AssertionError(f"{self.name}: `{shown}` as {user} ended with exit code {done.returncode}:\n{out}{err}")
        return done

    def exec_argv(self, argv: Sequence[str], user: str = "root") -> list[str]:
        """The outside's command line that runs `argv` inside, for a caller that replaces itself with it."""
        return self._group().entering(self._inside_argv(self._require_on(), argv, user, {}, None))

    def _inside_argv(self, first: int, argv: Sequence[str], user: str, env: Mapping[str, str], cwd: str | None) -> list[str]:
        users = self._passwd()
        uid, gid = passwd_of(users)[user]
        home = homes_of(users)[user]
        variables = {"PATH": PATH, "LANG": "C.UTF-8"}
        if user != "nagios":
            variables |= {"HOME": home, "USER": user, "LOGNAME": user, "SHELL": "/bin/sh"}
        directory = cwd or ("/tmp" if user == "nagios" else home)
        return [
            *("nsenter", "--target", str(first), "--mount", "--uts", "--ipc", "--net", "--pid", "--"),
            *("setpriv", f"--reuid={uid}", f"--regid={gid}", "--init-groups", f"--bounding-set={FORBIDDEN}"),
            *("/usr/bin/env", "-i", *(f"{name}={value}" for name, value in {**variables, **env}.items())),
            *("/bin/sh", "-c", 'umask 0022; cd "$0" && unset OLDPWD && exec "$@"', directory, *argv),
        ]

    def _passwd(self) -> str:
        if self._users is None:
            self._users = self.read("/etc/passwd")
        return self._users

    # ---- files ----

    def read(self, path: str) -> str:
        """The text of a file; works on a frozen host too."""
        done = command(self._in_mounts(["cat", "--", path]), check=False)
        if done.returncode != 0:
            raise FileNotFoundError(f"{self.name}: {done.stderr.strip()}")
        return done.stdout

    def from_outside(self, path: str) -> Path:
        """Where the outside sees a file of this host, for one who reads it often; FileNotFoundError when it has no power."""
        first = self._init_pid()
        if first is None:
            raise FileNotFoundError(f"{self.name} is off")
        return Path(f"/proc/{first}/root") / path.lstrip("/")

    def exists(self, path: str) -> bool:
        return command(self._in_mounts(["test", "-e", path]), check=False).returncode == 0

    def write(self, path: str, text: str, *, owner: str = "root", group: str | None = None, mode: int = 0o644) -> None:
        """Replace a file (its directory must exist); works on a frozen host too."""
        self.lay_down([File(path, text, owner, group, mode)])

    def shout(self, script: str) -> None:
        """Run a shell script from outside among the host's files; into a FIFO whose reader is frozen, for one."""
        done = command(self._in_mounts(["sh", "-c", script]), check=False)
        if done.returncode != 0:
            raise LabError(f"{self.name}: {done.stderr.strip()}")

    def lay_down(self, entries: Iterable[File | Directory]) -> None:
        """Write many files and directories in one stroke."""
        archive = tar_of(entries, passwd_of(self._passwd()), groups_of(self.read("/etc/group")))
        argv = self._in_mounts(["tar", "-C", "/", "-xp", "--numeric-owner", "--unlink-first", "-f", "-"])
        done = subprocess.run(argv, input=archive, capture_output=True, timeout=60, check=False)
        if done.returncode != 0:
            raise LabError(f"{self.name}: {done.stderr.decode(errors='replace').strip()[-1000:]}")

    def fill(self) -> None:
        """Fill the host's disk to the last block, as a log gone wild does."""
        take_all = f"fallocate -l $(df --output=avail -B1 / | tail -1) {BALLAST} || true; cat /dev/zero >> {BALLAST} || true"
        self.run(take_all, timeout=120)

    def unfill(self) -> None:
        self.run(["rm", "-f", BALLAST])

    def _in_mounts(self, argv: Sequence[str]) -> list[str]:
        return ["nsenter", "--target", str(self._require_on()), "--mount", "--", *argv]

    def _disk(self) -> Path:
        return self._directory / "disk.img"

    def _inside(self) -> Path:
        return self._store.path / "inside"

    def _group(self) -> Cgroup:
        return Cgroup(self._store.name, self.name)

    # ---- services and Nagios ----

    def service(self, name: str) -> Service:
        """`sshd`, `mariadbd`, `nagios`, `cron`, `smtp` (on the witness), or `etcd` (where etcd.py has put it)."""
        return Service(self, name)

    def nagios_pid(self) -> int | None:
        """The main process of Nagios (this host's own number), None if it does not run."""
        return self.service("nagios").pid()

    def nagios_flags(self) -> dict[str, str]:
        """The program block of status.dat (`enable_notifications`: `0`, ...); empty if there is no such file."""
        try:
            return program_block(self.read(STATUS_DAT))
        except FileNotFoundError:
            return {}

    def checked(self) -> list[tuple[float, str, str]]:
        """Every check that this host's Nagios ran of the monitored hosts: (epoch, host, service), oldest first.

        A host check has the service `HOST`. Readable whether or not the host is on.
        """
        try:
            lines = (self._store.path / "checked" / f"{self.name}.log").read_text().splitlines()
        except FileNotFoundError:
            return []
        words = [line.split() for line in lines]
        return [(float(epoch), host, service) for epoch, host, service in (row for row in words if len(row) == 3)]
