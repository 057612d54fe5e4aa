"""What a host of the lab is before the suite comes: names, accounts' keys, sshd, MariaDB, mail, Nagios."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lab import nagios_site, suite
from tests.lab.files import Directory, File
from tests.lab.host import NAGIOS_CFG, Host
from tests.lab.machine import LabError
from tests.lab.state import ADDRESSES, HOSTS, NAGIOS_HOSTS, Settings

#: account -> its home on Debian; each has an ssh key of its own on each host
KEYED = {"root": "/root", "nagios": "/var/lib/nagios", "hb": "/home/hb"}


#: for `service mariadb ...`: as every daemon of the lab, without Debian's wrapper, which would start a killed server anew
MARIADB_SERVICE = """#!/bin/sh
case "$1" in
start|stop) exec /lab/service mariadbd "$1" ;;
restart) /lab/service mariadbd stop && exec /lab/service mariadbd start ;;
*) exit 64 ;;
esac
"""


@dataclass(frozen=True)
class Keys:
    """The public keys of one host: its own, and its accounts'."""

    host: str
    accounts: dict[str, str]


def make_keys(host: Host) -> Keys:
    """Make the host's key and the accounts' keys on the host itself; private keys never leave it."""
    script = ["set -e", """make() { ssh-keygen -q -t ed25519 -N '' -C "$2" -f "$1"; cat "$1.pub"; }"""]
    script += [f"make /etc/ssh/ssh_host_ed25519_key root@{host.name}"]
    for user, home in KEYED.items():
        script += [f"install -d -o {user} -m 0700 {home}/.ssh", f"make {home}/.ssh/id_ed25519 {user}@{host.name}"]
        script += [f"chown {user}: {home}/.ssh {home}/.ssh/*"]
    first, *others = host.run("\n".join(script)).stdout.splitlines()
    return Keys(first, dict(zip(KEYED, others, strict=True)))


def services_of(host: str) -> tuple[str, ...]:
    """What a host starts when its power comes on."""
    return ("sshd", "mariadbd", "nagios") if host in NAGIOS_HOSTS else ("sshd", "smtp")


def files_of(host: str, settings: Settings, keys: dict[str, Keys]) -> list[File | Directory]:
    """Everything that the lab lays down on a host before its services start."""
    return [*_system(host, keys), *(nagios_host(host, settings) if host in NAGIOS_HOSTS else ())]


def _system(host: str, keys: dict[str, Keys]) -> Iterator[File | Directory]:
    yield File("/etc/hostname", f"{host}\n")
    names = "".join(f"{address} {name}\n" for name, address in ADDRESSES.items())
    yield File("/etc/hosts", f"127.0.0.1 localhost\n{names}")
    yield File("/etc/resolv.conf", "")
    yield Directory("/etc/lab")
    yield File("/etc/lab/services", "".join(f"{name}\n" for name in services_of(host)))
    known = "".join(f"{name},{ADDRESSES[name]} {' '.join(keys[name].host.split()[:2])}\n" for name in HOSTS)
    yield File("/etc/ssh/ssh_known_hosts", known)
    allowed = "".join(f"{key}\n" for name in HOSTS for key in keys[name].accounts.values())
    yield File("/home/hb/.ssh/authorized_keys", allowed, owner="hb", mode=0o600)
    yield File("/etc/ssh/sshd_config.d/lab.conf", "PasswordAuthentication no\nMaxStartups 100\n")
    yield File("/etc/msmtprc", f"account default\nhost witness\nport 25\nfrom %U@{host}\nallow_from_override on\ntimeout 10\n")


def nagios_host(host: str, settings: Settings) -> Iterator[File | Directory]:
    server_id = 1 + HOSTS.index(host)
    mariadb = f"[mysqld]\nbind-address = 0.0.0.0\nserver-id = {server_id}\nskip-name-resolve\n"
    yield File("/etc/mysql/mariadb.conf.d/91-lab.cnf", mariadb)
    yield File("/etc/init.d/mariadb", MARIADB_SERVICE, mode=0o755)
    packaged = (Path(settings.root) / NAGIOS_CFG.lstrip("/")).read_text()
    yield File(NAGIOS_CFG, nagios_site.nagios_cfg(packaged, nagios_settings(host, settings)))
    yield File("/etc/nagios4/conf.d/monitored.cfg", nagios_site.objects(settings.profile, settings.services))


def nagios_settings(host: str, settings: Settings) -> dict[str, str]:
    """What differs from Debian's nagios.cfg. A master without the suite keeps its ordinary flags."""
    is_plain_master = host == "yasu" and not settings.has_suite(host)
    flags = {} if is_plain_master else nagios_site.standby_flags(settings.mode)
    ours = suite.nagios_settings(settings) if settings.has_suite(host) else {}
    return {**nagios_site.QUIET, **nagios_site.PROFILES[settings.profile], **flags, **ours}


def wait_for_mariadb(host: Host) -> None:
    """Until the server answers a query."""
    deadline = time.monotonic() + 30
    while host.run(["mariadb", "-N", "-e", "SELECT 1"], check=False).returncode != 0:
        if time.monotonic() > deadline:
            raise LabError(f"{host.name}: MariaDB does not answer: {host.read('/var/log/mysql/error.log')[-1500:]}")
        time.sleep(0.1)
