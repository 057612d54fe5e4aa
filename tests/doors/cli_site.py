"""A host with a configuration, a state directory and a nagios.cfg, but no Nagios, for the doors of `nagios-failover`.

The Nagios user of the configuration is whoever runs the tests; the other host is this machine's loopback, where nothing answers
on the port, so that ssh is refused at once.
"""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import sys
from pathlib import Path

from nagios_failover.role import RoleRecord
from nagios_failover.state_files import StateFiles
from nagios_failover.words import Role

HERE = socket.gethostname()
USER = pwd.getpwuid(os.geteuid()).pw_name
NO_SSH = "connect to host 127.0.0.1 port 1: Connection refused"


class Site:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.state = StateFiles(directory / "state")
        self.state.directory.mkdir(mode=0o750)
        self.nagios_cfg = directory / "nagios.cfg"
        self.nagios_cfg.write_text(
            f"status_file={directory}/status.dat\ncommand_file={directory}/nagios.cmd\nlog_file={directory}/nagios.log\n"
            f"object_cache_file={directory}/objects.cache\nlock_file={directory}/nagios.pid\n"
        )
        sudo = directory / "bin" / "sudo"  # whatever this machine's would allow
        sudo.parent.mkdir()
        sudo.write_text("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
        sudo.chmod(0o755)
        self.cfg = directory / "nagios-failover.cfg"
        self.cfg.write_text(
            f"[host {HERE}]\naddress = 127.0.0.1\nnagios_cfg = {self.nagios_cfg}\n"
            "[host yasu]\naddress = 127.0.0.1\n"
            f"[nagios]\nuser = {USER}\nverify_timeout = 1\n[paths]\nstate = {self.state.directory}\n"
            "[ssh]\nport = 1\ntimeout = 2\n[look]\ninterval = 1\nconfirm_interval = 0.2\n"
            "[witness]\naddresses = none\n"
            f"[mail]\nmethod = command\ncommand = /bin/sh -c 'cat >>{directory}/mail'\nto = oncall@example.org\n"
        )

    def run(self, *arguments: str, config: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "nagios_failover.cli", *arguments, "-C", str(config or self.cfg)],
            cwd="/tmp",
            env={"PATH": f"{self.directory}/bin:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def role(self, role: Role, *, term: int = 3) -> None:
        master = HERE if role is Role.MASTER else "yasu"
        self.state.write_role(RoleRecord(role=role, master=master, term=term, run="", since=1_000_000_000))


def said(output: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return output.returncode, output.stdout, output.stderr
