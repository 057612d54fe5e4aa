"""A failover as an observer outside of both hosts sees it: the faults, and when the survivor checks and notifies.

Used by the bench, the long tests and the demo. Seconds count from the fault; the clock is the machine's own.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from nagios_failover.config import Config
from nagios_failover.config_values import Schema
from nagios_failover.words import Role
from tests.lab import Host, Lab
from tests.lab.suite import STATE, is_active

NAGIOS_LOG: Final = "/var/log/nagios4/nagios.log"
POLL_SECONDS: Final = 0.1


@dataclass(frozen=True)
class Fault:
    """Something that ends a master's monitoring for good; `mend` brings the host back, Nagios started anew.

    `threshold` is the age (seconds) that a sign of life must reach before the first CRITICAL look."""

    what: str
    inflict: Callable[[Lab, Host], None]
    mend: Callable[[Lab, Host], None]
    threshold: Callable[[Config], float]


def _kill(lab: Lab, host: Host) -> None:
    host.service("nagios").kill9()


def _stop(lab: Lab, host: Host) -> None:
    host.service("nagios").freeze()


def _clean_stop(lab: Lab, host: Host) -> None:
    host.service("nagios").stop()


def _power(lab: Lab, host: Host) -> None:
    host.off()


def _link(lab: Lab, host: Host) -> None:
    lab.cut(host)


def _start_nagios(lab: Lab, host: Host) -> None:
    host.service("nagios").start()


def _thaw(lab: Lab, host: Host) -> None:
    """A hung Nagios is killed by who repairs it, and started anew."""
    host.service("nagios").kill9()
    host.service("nagios").start()


def _power_on(lab: Lab, host: Host) -> None:
    host.on()


def _link_mended(lab: Lab, host: Host) -> None:
    lab.mend(host)


def _heartbeat_is_missed(config: Config) -> float:
    """A stopped process is dead when its heartbeat is not fresh any more, or at once where there is none."""
    return 0.0 if config.heartbeat.schema is Schema.NONE else config.heartbeat.warning


FAULTS: Final = {
    "kill": Fault("kill -9 of Nagios", _kill, _start_nagios, lambda config: 0.0),
    "power": Fault("power off", _power, _power_on, lambda config: 0.0),
    "link": Fault("network cut", _link, _link_mended, lambda config: 0.0),
    "clean-stop": Fault("Nagios stopped cleanly", _clean_stop, _start_nagios, lambda config: config.look.restart_grace),
    "stop": Fault("SIGSTOP of Nagios", _stop, _thaw, _heartbeat_is_missed),
}  # fmt: skip


def bound(config: Config, fault: Fault) -> float:
    """The longest that a failover may take by the configuration: threshold + 3 x (interval + probe time-out) + 4 s."""
    look = config.look
    return fault.threshold(config) + look.confirmations * (look.interval + look.timeout) + 4


@dataclass(frozen=True)
class Takeover:
    """Seconds from the fault to the survivor's notifications being on, and to its first check of a monitored service."""

    notifies: float
    checks: float

    @property
    def seconds(self) -> float:
        """Both: the service is back."""
        return max(self.notifies, self.checks)


class Watcher:
    """Watches one host take over. Make it before the fault: what the host did earlier does not count."""

    def __init__(self, lab: Lab, survivor: Host) -> None:
        self._lab = lab
        self._survivor = survivor
        self._checks_before = len(survivor.checked())
        self._log_before = len(survivor.read(NAGIOS_LOG))

    def checks(self) -> bool:
        return len(self._survivor.checked()) > self._checks_before

    def notifies(self) -> bool:
        """Nagios logs the command when it carries it out; status.dat follows only at the next status_update_interval."""
        log = self._survivor.read(NAGIOS_LOG)[self._log_before :]
        return "EXTERNAL COMMAND: ENABLE_NOTIFICATIONS;" in log

    def wait(self, began: float, timeout: float) -> Takeover:
        """Until the survivor checks and notifies, and its status.dat says so. `began` is time.monotonic() at the fault."""
        seen: dict[str, float] = {}
        signs = {"checks": self.checks, "notifies": self.notifies}

        def both() -> bool:
            for name, sign in signs.items():
                if name not in seen and sign():
                    seen[name] = time.monotonic() - began
            return len(seen) == len(signs)

        self._lab.wait(both, timeout, f"{self._survivor.name} checks and notifies", poll=POLL_SECONDS)
        self._lab.wait(lambda: is_active(self._survivor), 30, f"{self._survivor.name}'s status.dat shows it active")
        return Takeover(seen["notifies"], seen["checks"])


def fail_over(lab: Lab, name: str, *, timeout: float, master: Host | None = None, survivor: Host | None = None) -> Takeover:
    """Inflict a fault on the master (default yasu) and watch the survivor (default nabira) take over."""
    master, survivor = master or lab.yasu, survivor or lab.nabira
    watcher = Watcher(lab, survivor)
    began = time.monotonic()
    FAULTS[name].inflict(lab, master)
    return watcher.wait(began, timeout)


def join_again(lab: Lab, name: str, old: Host, new: Host) -> None:
    """Mend the fault on the old master and wait until it has stood down by itself, and the new one sees it as its standby."""
    FAULTS[name].mend(lab, old)
    lab.wait(
        lambda: role_of(old) is Role.STANDBY and old.nagios_flags().get("enable_notifications") == "0",
        90,
        f"{old.name} stands down",
    )
    lab.wait(lambda: last_look(new) == "OK", 60, f"{new.name} sees its standby")
    if role_of(new) is not Role.MASTER or not is_active(new):
        raise AssertionError(f"{new.name} is not the master any more")


def has_open_run(host: Host) -> bool:
    """Of any kind. A run is at its end after its mail was sent and the role written."""
    return bool(host.run(f'grep -sL \'"event": "closed"\' {STATE}/runs/*.jsonl', check=False).stdout)


def role_of(host: Host) -> Role | None:
    """The role in the host's role file, None while there is none."""
    try:
        found = re.search(r"^role=(\S+)$", host.read(f"{STATE}/role"), re.M)
    except FileNotFoundError:
        return None
    return Role(found.group(1)) if found else None


def raise_term(host: Host) -> None:
    """As runs that were given up after they had registered leave it, above its master's: terms never go back."""
    record = host.read(f"{STATE}/role")
    host.write(f"{STATE}/role", re.sub(r"(?m)^term=(\d+)$", lambda term: f"term={int(term[1]) + 5}", record), owner="nagios")


def last_look(host: Host) -> str:
    """The state of the newest look that the host's plugin recorded, "" for none."""
    return str(newest_look(host).get("state", ""))


def newest_look(host: Host) -> dict[str, object]:
    """The newest look that the host's plugin recorded, {} for none."""
    try:
        lines = host.read(f"{STATE}/looks").splitlines()
    except FileNotFoundError:
        return {}
    newest: dict[str, object] = json.loads(lines[-1]) if lines else {}
    return newest
