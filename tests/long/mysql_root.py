"""A real MySQL of Debian unstable: Debian stable has MariaDB alone. The server is unpacked with its libraries and programs into a
cached directory; nothing is installed on the machine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from tests.lab.debian_root import CACHE, apt_source, machine_apt_sources, machine_codename
from tests.lab.machine import command

SUITE: Final = "sid"
PACKAGES: Final = ("mysql-server-core", "mysql-client-core", "base-files")


def ensure_root() -> Path:
    """Where the server lies; downloaded and unpacked first where that is missing."""
    root = CACHE / f"mysql-{SUITE}-2"  # the number is raised with the packages
    if root.is_dir():
        return root
    aside = CACHE / f"mysql-{SUITE}.building"
    shutil.rmtree(aside, ignore_errors=True)
    for directory in ("etc", "lists/partial", "cache/archives/partial", "state", "root/usr/bin", "root/usr/lib", "root/usr/lib64"):
        (aside / directory).mkdir(parents=True)
    source = apt_source(machine_apt_sources(), machine_codename())
    signed = f"[signed-by={source.keyring}] " if source.keyring else ""
    (aside / "etc/sources.list").write_text(f"deb {signed}{source.uri} {SUITE} main\n")
    (aside / "state/status").write_text("")
    options = {
        "Dir::Etc::sourcelist": "etc/sources.list",
        "Dir::Etc::sourceparts": "etc/none",
        "Dir::State::lists": "lists",
        "Dir::State::status": "state/status",
        "Dir::State": "state",
        "Dir::Cache": "cache",
    }
    apt = ["apt-get", "-q", "-o", "APT::Sandbox::User=root"]
    apt += [word for name, place in options.items() for word in ("-o", f"{name}={aside / place}")]
    command([*apt, "update"])
    command([*apt, "-y", "--no-install-recommends", "--download-only", "install", *PACKAGES])
    (aside / "root/usr/sbin").mkdir()
    for name in ("bin", "sbin", "lib", "lib64"):
        (aside / "root" / name).symlink_to(f"usr/{name}")
    for package in sorted((aside / "cache/archives").glob("*.deb")):
        command(["dpkg", "-x", str(package), str(aside / "root")])
    (aside / "root").rename(root)
    shutil.rmtree(aside)
    return root
