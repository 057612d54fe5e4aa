"""One daemon of a host, and what Nagios says of itself in status.dat."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from tests.lab.machine import LabError

if TYPE_CHECKING:
    from tests.lab.host import Host


class Service:
    """One daemon of a host."""

    def __init__(self, host: Host, name: str) -> None:
        self._host = host
        self.name = name

    def start(self) -> None:
        self._host.run(["/lab/service", self.name, "start"], timeout=60)

    def stop(self) -> None:
        self._host.run(["/lab/service", self.name, "stop"], timeout=60)

    def restart(self) -> None:
        self.stop()
        self.start()

    def kill9(self) -> None:
        """SIGKILL to the main process, which is gone then (a start would find it alive for a moment); its children are left."""
        killed = self._signal("KILL")
        deadline = time.monotonic() + 10
        while self.pid() == killed:
            if time.monotonic() > deadline:
                raise LabError(f"{self._host.name}: {self.name} (PID {killed}) does not die")
            time.sleep(0.01)

    def freeze(self) -> None:
        """SIGSTOP to the main process: its sockets still accept, and nothing answers."""
        self._signal("STOP")

    def thaw(self) -> None:
        self._signal("CONT")

    def pid(self) -> int | None:
        """The main process (the host's own number), None if it does not run."""
        said = self._host.run(["/lab/service", self.name, "pid"], check=False).stdout.strip()
        return int(said) if said else None

    def _signal(self, signal_name: str) -> int:
        pid = self.pid()
        if pid is None:
            raise LabError(f"{self._host.name}: {self.name} does not run")
        self._host.run(["kill", f"-{signal_name}", str(pid)])
        return pid


def program_block(status: str) -> dict[str, str]:
    """The `programstatus` block of a status.dat as name -> value."""
    match = re.search(r"^programstatus \{\n(.*?)^\s*\}", status, re.M | re.S)
    lines = (line.strip().partition("=") for line in match.group(1).splitlines()) if match else ()
    return {name: value for name, equals, value in lines if equals}
