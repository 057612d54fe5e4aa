"""What a host's Nagios has notified since a moment: the NOTIFICATION lines of its event log, here and on the other host."""

from __future__ import annotations

import time

from nagios_failover import second_route, shell, ssh
from nagios_failover.config import Config
from nagios_failover.config_sections import HostSection
from nagios_failover.errors import CouldNotLook
from nagios_failover.event_log import HOST_STATES, SERVICE_STATES, Notification, parse_line
from nagios_failover.remote import log_lines_script
from nagios_failover.shell import Output

NOTIFICATIONS_KEPT = 500


def mailed_here(config: Config, *, since: float) -> list[Notification]:
    script = _script(config.this, since)
    return _parse(config.this_name, shell.run(("sh", "-s"), timeout=config.ssh.timeout, stdin=script))


def mailed_there(config: Config, *, since: float) -> list[Notification]:
    """By the maintenance account; through a witness where the direct way does not answer. Raises CouldNotLook."""
    script = _script(config.peer, since)
    output = ssh.run_remote(config, config.peer, script, timeout=config.ssh.timeout)
    for account in config.witness.accounts:
        if output.well:
            break
        output = second_route.run_through(config, account, config.peer, script, timeout=config.ssh.timeout).output
    return _parse(config.peer.name, output)


def _script(host: HostSection, since: float) -> str:
    return log_lines_script(str(host.nagios_cfg), "NOTIFICATION: ", since=int(since), at_most=NOTIFICATIONS_KEPT)


def _parse(host: str, output: Output) -> list[Notification]:
    if not output.well or not output.stdout.endswith("end\n"):
        raise CouldNotLook(f"what {host} has mailed could not be read: {' '.join(output.stderr.split())[-200:] or 'no answer'}")
    return [line for text in output.stdout.splitlines() if isinstance(line := parse_line(text), Notification)]


def told(there: list[Notification], here: list[Notification]) -> list[str]:
    """The other host's notifications, a line each, with those that this host has sent as well marked."""
    ours = {(one.host, one.service, one.state, one.kind) for one in here}
    return [_line(one, both=(one.host, one.service, one.state, one.kind) in ours) for one in there]


def _line(one: Notification, *, both: bool) -> str:
    words = SERVICE_STATES if one.service else HOST_STATES
    state = next(name for name, number in words.items() if number == one.state)
    kind = ("RECOVERY" if one.state == 0 else "PROBLEM") if one.kind == "NORMAL" else one.kind
    what = f"{one.host}/{one.service}" if one.service else one.host
    clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one.time))
    return f"{clock}  {kind}: {what} is {state}, to {one.contact}{'  (both hosts)' if both else ''}"
