"""The Nagios configuration of the lab, as text: Debian's own nagios.cfg with a few settings changed, and the objects."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Final

from tests.lab.state import Mode, Profile

#: the dozen monitored hosts
MONITORED: Final = tuple(f"web{number}" for number in range(1, 13))
FIRST_SERVICES: Final = ("HTTP", "LOAD", "DISK")
CONTACT: Final = "oncall"
MAILBOX: Final = "oncall@witness"
#: the service name under which the state of a host itself is kept
HOST_CHECK: Final = "HOST"

#: what no test wants Nagios to do by itself
QUIET: Final = {
    "check_for_updates": "0",
    "use_syslog": "0",
    "enable_flap_detection": "0",
    "use_retained_program_state": "1",
    "additional_freshness_latency": "0",
    "check_service_freshness": "1",
}

PROFILES: Final[Mapping[Profile, Mapping[str, str]]] = {
    "one-second": {
        "interval_length": "1",
        "status_update_interval": "1",
        "service_freshness_check_interval": "1",
        "check_result_reaper_frequency": "1",
    },
    "default": {
        "interval_length": "60",
        "status_update_interval": "10",
        "service_freshness_check_interval": "10",
    },
}


def standby_flags(mode: Mode) -> dict[str, str]:
    """The flags that both hosts of a pair have in nagios.cfg: a restart without saved state is passive."""
    idle = {"execute_service_checks": "0", "execute_host_checks": "0"} if mode == "failover" else {}
    return {"enable_notifications": "0", **idle}


def nagios_cfg(packaged: str, settings: Mapping[str, str]) -> str:
    """The packaged nagios.cfg with `settings` changed or added, and without the package's example host."""
    left = dict(settings)
    lines = []
    for line in packaged.splitlines():
        name = line.partition("=")[0].strip()
        if line.startswith("cfg_file=") and line.endswith("/localhost.cfg"):
            continue
        lines.append(f"{name}={left.pop(name)}" if name in left else line)
    return "\n".join([*lines, *(f"{name}={value}" for name, value in left.items()), ""])


def setting(cfg: str, name: str) -> str | None:
    """The value of a setting in a nagios.cfg, as Nagios reads it: the last one wins."""
    found = re.findall(rf"^{re.escape(name)}=(.*)$", cfg, re.M)
    return found[-1].strip() if found else None


def services_of(count: int) -> list[tuple[str, str]]:
    """`count` (host, service) pairs over the dozen hosts: HTTP, LOAD, DISK first, then S004, S005, ..."""
    per_host = math.ceil(count / len(MONITORED))
    names = [FIRST_SERVICES[n] if n < len(FIRST_SERVICES) else f"S{n + 1:03d}" for n in range(per_host)]
    return [(host, name) for name in names for host in MONITORED][:count]


def measured(epoch: int) -> dict[str, float | None]:
    """What check_monitored prints as perfdata in a check that Nagios began at this second."""
    saw = epoch % 1000
    return {"time": float(f"0.{1000 + saw}"), "free space": float(saw * 7), "users": None}


def check_interval(profile: Profile, count: int) -> int:
    """In Nagios's interval units: often enough to be seen in a test, seldom enough for two cores."""
    return max(5, math.ceil(count / 40)) if profile == "one-second" else max(1, math.ceil(count / 1200))


def objects(profile: Profile, count: int) -> str:
    """Commands, contact, monitored hosts and their services."""
    return "\n".join(_objects(profile, count))


def _objects(profile: Profile, count: int) -> Iterator[str]:
    yield _define("command", command_name="check-monitored-service",
                  command_line="/lab/check_monitored '$HOSTNAME$' '$SERVICEDESC$' $TIMET$")  # fmt: skip
    yield _define("command", command_name="check-monitored-host",
                  command_line=f"/lab/check_monitored '$HOSTNAME$' {HOST_CHECK} $TIMET$")  # fmt: skip
    notify = "/lab/notify '$CONTACTEMAIL$' '$NOTIFICATIONTYPE$' '$HOSTNAME$'"
    yield _define("command", command_name="mail-service",
                  command_line=f"{notify} '$SERVICEDESC$' '$SERVICESTATE$' '$SERVICEOUTPUT$'")  # fmt: skip
    yield _define("command", command_name="mail-host",
                  command_line=f"{notify} {HOST_CHECK} '$HOSTSTATE$' '$HOSTOUTPUT$'")  # fmt: skip
    yield _define("contact", contact_name=CONTACT, email=MAILBOX,
                  service_notification_period="24x7", host_notification_period="24x7",
                  service_notification_options="w,u,c,r", host_notification_options="d,u,r",
                  service_notification_commands="mail-service", host_notification_commands="mail-host")  # fmt: skip
    often = str(check_interval(profile, count))
    renotify = "3600" if profile == "one-second" else "60"
    common = {
        "max_check_attempts": "3",
        "check_interval": often,
        "retry_interval": "1",
        "check_period": "24x7",
        "notification_interval": renotify,
        "notification_period": "24x7",
        "contacts": CONTACT,
        "register": "0",
    }
    yield _define("host", name="monitored-host", check_command="check-monitored-host", **common)
    yield _define("service", name="monitored-service", check_command="check-monitored-service", **common)
    for host in MONITORED:
        yield _define("host", use="monitored-host", host_name=host, address="127.0.0.1")
    for host, service in services_of(count):
        yield _define("service", use="monitored-service", host_name=host, service_description=service)


def _define(kind: str, **directives: str) -> str:
    lines = [f"    {name:<32} {value}" for name, value in directives.items()]
    return "\n".join([f"define {kind} {{", *lines, "}", ""])
