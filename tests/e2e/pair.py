"""The pair of a lab by role, what its files say, and the faults that end a master: what several files of tests look at and do."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import Any

from tests.lab import Host, Lab
from tests.takeover import has_open_run

STATE = "/var/lib/nagios-failover"
BIN = "/opt/nagios-failover/bin"
HANDLER = f"{BIN}/handle_master_event"
CONFIG = "/etc/nagios-failover/nagios-failover.cfg"
NAGIOS = "/usr/sbin/nagios4 -d /etc/nagios4/nagios.cfg"
MONITORED = {f"web{number}" for number in range(1, 13)}
DEAD = ("nagios-failover", "Master Nagios", "CRITICAL", "HARD", "3")


@dataclass
class Pair:
    """The pair of a lab, by role."""

    lab: Lab

    def roles(self) -> dict[str, dict[str, str]]:
        return {host.name: role_of(host) for host in (self.lab.yasu, self.lab.nabira)}

    @property
    def master(self) -> Host:
        return next(host for host in (self.lab.yasu, self.lab.nabira) if role_of(host).get("role") == "master")

    @property
    def standby(self) -> Host:
        return next(host for host in (self.lab.yasu, self.lab.nabira) if role_of(host).get("role") == "standby")

    def healthy(self) -> bool:
        """One master that checks and notifies, one standby that does neither and sees the master alive, and no run open."""
        hosts = {role.get("role", ""): self.lab.host(name) for name, role in self.roles().items()}
        if set(hosts) != {"master", "standby"} or not (active(hosts["master"]) and passive(hosts["standby"])):
            return False
        looks = looks_of(hosts["standby"])
        if not looks or looks[-1]["code"] != "alive" or looks[-1]["by"] != "check":
            return False
        return not any(has_open_run(host) for host in hosts.values())

    def wait_healthy(self, seconds: float = 40) -> None:
        self.lab.wait(self.healthy, seconds, f"a healthy pair; roles are {self.roles()}", poll=0.3)

    def mails_since(self, moment: float, fragment: str) -> list[str]:
        return [mail.subject for mail in self.lab.mails(fragment) if mail.arrived >= moment]


def role_of(host: Host) -> dict[str, str]:
    try:
        return dict(line.split("=", 1) for line in host.read(f"{STATE}/role").splitlines())
    except FileNotFoundError:
        return {}


def active(host: Host) -> bool:
    flags = host.nagios_flags()
    return flags.get("enable_notifications") == "1" and flags.get("active_service_checks_enabled") == "1"


def passive(host: Host) -> bool:
    flags = host.nagios_flags()
    return flags.get("enable_notifications") == "0" and flags.get("active_service_checks_enabled") == "0"


def looks_of(host: Host) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in host.read(f"{STATE}/looks").splitlines()]
    except FileNotFoundError:
        return []


def runs_of(host: Host, *, since: float = 0.0, kind: str = "failover") -> list[list[dict[str, Any]]]:
    """The journals of this kind, the oldest first."""
    names = host.run(f"ls {STATE}/runs").stdout.split()
    journals = []
    for name in names:
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):  # folded into a later refusal, or half a line
            journals.append([json.loads(line) for line in host.read(f"{STATE}/runs/{name}").splitlines()])
    wanted = [journal for journal in journals if journal and journal[0]["kind"] == kind and journal[0]["time"] >= since]
    return sorted(wanted, key=lambda journal: float(journal[0]["time"]))


def acted(journals: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    """Without the refused ones: a look that hit a time-out confirms no death, and the next call tries again."""
    return [journal for journal in journals if outcome(journal) != "refused"]


def outcome(journal: list[dict[str, Any]]) -> str:
    return str(journal[-1]["outcome"]) if journal[-1]["event"] == "closed" else "open"


def steps_done(journal: list[dict[str, Any]]) -> dict[str, str]:
    return {event["step"]: event["outcome"] for event in journal if event["event"] == "done"}


def checked_since(host: Host, moment: float) -> set[str]:
    """The monitored hosts that this host's Nagios has checked since."""
    return {name for epoch, name, _ in host.checked() if epoch > moment}


def with_hooks(host: Host, *, pre: str, post: str) -> None:
    text = host.read(CONFIG)
    lines = [line for line in text.splitlines() if not line.startswith(("pre_hook =", "post_hook ="))]
    at = lines.index("[run]") + 1
    hooks = [f"{name} = {value}" for name, value in (("pre_hook", pre), ("post_hook", post)) if value]
    host.write(CONFIG, "\n".join([*lines[:at], *hooks, *lines[at:], ""]), owner="root", group="nagios", mode=0o640)


# --- faults ---


def kill(lab: Lab, host: Host) -> None:
    host.service("nagios").kill9()


def stop(lab: Lab, host: Host) -> None:
    host.service("nagios").freeze()


def clean_stop(lab: Lab, host: Host) -> None:
    host.service("nagios").stop()


def power_off(lab: Lab, host: Host) -> None:
    host.off()


def cut_off(lab: Lab, host: Host) -> None:
    lab.cut(host)


def mend(lab: Lab, host: Host) -> None:
    """The repaired host comes back as it is: its role file says master, and its Nagios checks and notifies until it looks."""
    lab.mend(host)
    if not host.is_on():
        host.on()
    nagios = host.service("nagios")
    if nagios.pid() is None:
        nagios.start()
    else:
        nagios.thaw()
