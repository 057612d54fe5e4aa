"""The suite's own configuration on the hosts of a lab: the samples of the checkout with the lab's values in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.lab.debian_root import CHECKOUT
from tests.lab.files import Directory, File
from tests.lab.state import ADDRESSES, NAGIOS_HOSTS

if TYPE_CHECKING:
    from tests.lab.host import Host
    from tests.lab.lab import Lab
    from tests.lab.state import Settings

STATE: Final = "/var/lib/nagios-failover"
CONFIG: Final = "/etc/nagios-failover/nagios-failover.cfg"
OBJECTS: Final = "/etc/nagios4/conf.d/nagios-failover.cfg"
SUDOERS: Final = "/etc/sudoers.d/nagios-failover"
COMMAND: Final = "/opt/nagios-failover/bin/nagios-failover"
MAILBOX: Final = "failover@witness"
PASSWORD: Final = "lab"

FLAG_SETTINGS: Final = ("enable_notifications", "execute_service_checks", "execute_host_checks")
MASTER_WATCH: Final = "Master Nagios"

#: section, option -> value: what every lab changes in nagios-failover.cfg.sample
Options = Mapping[tuple[str, str], str]
COMMON: Final[Options] = {
    ("host yasu", "address"): ADDRESSES["yasu"],
    ("host nabira", "address"): ADDRESSES["nabira"],
    ("witness", "addresses"): ADDRESSES["witness"],
    ("mail", "to"): MAILBOX,
    ("heartbeat", "schema"): "nagios1",
    ("heartbeat", "password"): PASSWORD,
    ("database", "socket"): "/run/mysqld/mysqld.sock",
    ("replication", "password"): PASSWORD,
    ("replication", "replication_password"): PASSWORD,
}


def nagios_settings(settings: Settings) -> dict[str, str]:
    """Settings of nagios.cfg that the suite asks for, beside the flags: those that commands.cfg.sample lists for this pace."""
    common, _, paces = _sample("commands.cfg.sample").partition("\n# The default pace")
    default, _, one_second = paces.partition("\n# The one-second pace")
    chosen = common + (one_second if settings.profile == "one-second" else default)
    found = dict(re.findall(r"^#   ([a-z_]+)=(.*)$", chosen, re.M))
    return {name: value for name, value in found.items() if name not in FLAG_SETTINGS}


def config_text(settings: Settings) -> str:
    """nagios-failover.cfg of a lab."""
    options = {**COMMON, ("pair", "mode"): settings.mode, ("pair", "failback"): settings.failback}
    if settings.profile == "one-second":
        options |= {**one_second_options(), ("pair", "failback_after"): "5", ("pair", "flap_block"): "20"}
    return with_options(_sample("nagios-failover.cfg.sample"), options)


def one_second_options() -> dict[tuple[str, str], str]:
    """The lines `[section] option = value` of commands.cfg.sample."""
    found = re.findall(r"^#   \[(\w+)\] (\w+) = (.*)$", _sample("commands.cfg.sample"), re.M)
    return {(section, option): value for section, option, value in found}


def with_options(text: str, options: Options) -> str:
    """The sample with options set: their line, commented out or not, is replaced."""
    left = dict(options)
    section = ""
    lines = []
    for line in text.splitlines():
        title = re.fullmatch(r"\[(.*)\]", line)
        section = title.group(1) if title else section
        option = re.match(r"#?([a-z_]+) =", line)
        key = (section, option.group(1)) if option else None
        lines.append(f"{key[1]} = {left.pop(key)}" if key in left else line)
    if left:
        raise ValueError(f"nagios-failover.cfg.sample has no line for {sorted(left)}")
    return "\n".join([*lines, ""])


def objects_text(settings: Settings) -> str:
    """commands.cfg.sample at the lab's pace."""
    text = _sample("commands.cfg.sample")
    return re.sub(r"(freshness_threshold +)5 ", r"\g<1>1 ", text) if settings.profile == "one-second" else text


def prepare(lab: Lab) -> None:
    """Before Nagios starts (MariaDB and sshd answer already): lay down the suite's files, make its database."""
    hosts = [name for name in NAGIOS_HOSTS if lab.has_suite(name)]
    if hosts:
        with ThreadPoolExecutor(len(hosts)) as pool:
            list(pool.map(lambda name: _prepare_host(lab.host(name), lab.settings), hosts))


def configure(lab: Lab) -> None:
    """After Nagios has started on both hosts: give the roles, and see that the pair is healthy."""
    if lab.has_suite("yasu"):
        lab.yasu.run([COMMAND, "init", "--master"])
    if lab.has_suite("nabira"):
        lab.nabira.run([COMMAND, "init", "--standby"])
    patience = 30 if lab.settings.profile == "one-second" else 90
    lab.wait(lambda: is_active(lab.yasu), patience, "yasu checks and notifies")
    lab.wait(lambda: not notifies(lab.nabira), patience, "nabira notifies nobody")
    if lab.has_suite("yasu"):
        lab.wait(lambda: has_heartbeat(lab.yasu), patience, "yasu's heartbeat is in its database", poll=0.2)


def begin_as(lab: Lab, host: Host, role: str) -> None:
    """`role` is --master or --standby, whatever it was. A run of its own may be on its way just now: that one is waited for."""
    lab.wait(lambda: host.run([COMMAND, "init", role, "--force"], check=False).returncode == 0, 30, f"{host.name}: init {role}")


def is_active(host: Host) -> bool:
    """Does this host's Nagios check and notify?"""
    flags = host.nagios_flags()
    return all(
        flags.get(name) == "1" for name in ("enable_notifications", "active_service_checks_enabled", "active_host_checks_enabled")
    )


def has_heartbeat(host: Host) -> bool:
    return host.run(["mariadb", "-N", "nagios", "-e", "SELECT COUNT(*) FROM programstatus"]).stdout.strip() == "1"


def notifies(host: Host) -> bool:
    return host.nagios_flags().get("enable_notifications") != "0"


def _sample(name: str) -> str:
    return (CHECKOUT / name).read_text()


def _prepare_host(host: Host, settings: Settings) -> None:
    lay_down(host, settings)
    host.run([COMMAND, "init-database"])


def lay_down(host: Host, settings: Settings) -> None:
    host.run("ln -sf /opt/nagios-failover/bin/nagios-failover /usr/local/sbin/nagios-failover")
    host.lay_down(
        [
            Directory(STATE, owner="nagios", group="adm", mode=0o2750),
            Directory(str(Path(CONFIG).parent), group="nagios", mode=0o750),
            File(CONFIG, config_text(settings), group="nagios", mode=0o640),
            File(OBJECTS, objects_text(settings)),
            File(SUDOERS, _sample("sudoers.sample"), mode=0o440),
        ]
    )
