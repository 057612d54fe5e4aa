"""The machine outside: what it must have, and the one place where commands are run on it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

#: tool -> the Debian package that brings it
TOOLS: Final = {
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "iptables-restore": "iptables",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "losetup": "mount",
    "mount": "mount",
    "mkfs.ext4": "e2fsprogs",
    "flock": "util-linux",
}

#: a root login's path; the machine's own PATH may miss the sbin directories
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class LabError(Exception):
    """The lab cannot do what was asked; the text is a sentence for a person. `exit_code` is the command line's."""

    exit_code = 1


class NotPossibleHereError(LabError):
    """This machine lacks what the lab needs (root, a tool, a kernel feature)."""

    exit_code = 69


def require_machine() -> None:
    """Refuse with one sentence when the lab cannot run here."""
    if os.geteuid() != 0:
        raise NotPossibleHereError(
            "the lab needs root (namespaces, mounts, a bridge) and this is uid "
            f"{os.geteuid()}; run it as root, or leave the lab tests out"
        )
    missing = missing_tools()
    if missing:
        packages = " ".join(sorted({TOOLS[tool] for tool in missing}))
        raise NotPossibleHereError(f"the lab needs {', '.join(missing)}, not found on this machine: apt-get install -y {packages}")


def missing_tools() -> list[str]:
    """Names of the outside tools that are not installed."""
    return [tool for tool in TOOLS if shutil.which(tool, path=PATH) is None]


def why_not() -> str | None:
    """The sentence why the lab cannot run here, or None (tests skip with it)."""
    try:
        require_machine()
    except NotPossibleHereError as error:
        return str(error)
    return None


def outside_environment() -> dict[str, str]:
    """The caller's environment, in English, with the sbin directories on the path and no Python settings of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "PATH": f"{PATH}:{os.environ.get('PATH', '')}", "LC_ALL": "C.UTF-8"}


def command(
    argv: Sequence[str],
    *,
    stdin: str | None = None,
    timeout: float | None = 60,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `argv` outside the lab; a failure becomes a LabError that shows the command's own words."""
    done = subprocess.run(
        list(argv),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        env=dict(env) if env is not None else outside_environment(),
        cwd=cwd,
        check=False,
    )
    if check and done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise LabError(f"{' '.join(argv)[:300]} ended with exit code {done.returncode}: {said}")
    return done
