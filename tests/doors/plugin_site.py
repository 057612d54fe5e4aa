"""A host with a configuration and a state directory, for the doors that its own Nagios runs as checks. ssh to the other host is
refused at once."""

from __future__ import annotations

import os
import pwd
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

from nagios_failover.role import RoleRecord
from nagios_failover.state_files import StateFiles
from nagios_failover.words import Role

ME = pwd.getpwuid(os.geteuid()).pw_name
THIS = socket.gethostname().partition(".")[0]
PEER = "the-other-one"


class PluginSite:
    """`plugin` is the door's name; `nagios_cfg` this host's, where there is one."""

    def __init__(self, directory: Path, plugin: str, *, extra: str = "", nagios_cfg: Path | None = None) -> None:
        self.door = Path(sys.executable).parent / plugin
        self.nagios_cfg = nagios_cfg or directory / "nagios.cfg"
        self.state = StateFiles(directory / "state")
        self.state.directory.mkdir()
        self.config = directory / "nagios-failover.cfg"
        self.configure(extra)

    def configure(self, extra: str = "", *, user: str = ME) -> None:
        self.config.write_text(
            f"[host {THIS}]\nnagios_cfg = {self.nagios_cfg}\n[host {PEER}]\naddress = 127.0.0.1\n[ssh]\nport = 1\ntimeout = 2\n"
            f"[witness]\naddresses = none\n[mail]\nto = a@b\n[nagios]\nuser = {user}\n"
            f"[paths]\nstate = {self.state.directory}\n{extra}"
        )

    def role(self, role: Role) -> None:
        master = THIS if role is Role.MASTER else PEER
        self.state.write_role(RoleRecord(role, master, 3, "", int(time.time()) - 100))

    def check(self, *arguments: str) -> tuple[int, str]:
        """Exit code and output, with fixed words for the state directory, the host's name and status.dat's age."""
        done = subprocess.run(
            [self.door, "-C", self.config, *arguments],
            capture_output=True,
            text=True,
            cwd="/tmp",
            env={"PATH": "/usr/bin:/bin"},
            timeout=30,
        )
        assert done.stderr == ""
        told = done.stdout.replace(str(self.state.directory), "STATE").replace(THIS, "HOST")
        return done.returncode, re.sub(r"status_age=\d+s", "status_age=Ns", told)

    def lines(self, *arguments: str) -> tuple[int, list[str]]:
        """Exit code and lines, without the perfdata, which stands at the end of the first or on a line of its own."""
        code, output = self.check(*arguments)
        return code, [line.partition("| ")[0].rstrip() for line in output.splitlines() if not line.startswith("| ")]
