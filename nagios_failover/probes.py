"""How each item of a look at the other host is asked: over ssh, with SQL, through the witnesses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nagios_failover import heartbeat, net, remote, replication, second_route, ssh
from nagios_failover.account import Account
from nagios_failover.config import Config
from nagios_failover.config_sections import SshSection
from nagios_failover.config_values import Schema
from nagios_failover.errors import CouldNotLook
from nagios_failover.evidence import Blocked, Detour, HostReport, NoAnswer, Witness
from nagios_failover.gather import Probes
from nagios_failover.shell import Output


def probes_from(config: Config, *, at_master: bool = True) -> Probes:
    """The items of a look at the peer, as the configuration has them. Only a master has a heartbeat and is replicated from."""
    host = config.peer
    ports = [config.ssh.port] if config.heartbeat.schema is Schema.NONE else [config.ssh.port, config.heartbeat.port]
    script = remote.probe_script(str(host.nagios_cfg), str(config.paths.state))
    beats = config.heartbeat.schema is not Schema.NONE
    asked_alone = Probes(
        ssh=lambda limit: _report(ssh.run_remote(config, host, script, timeout=limit), binary=host.nagios_binary.name),
        reachable=lambda limit: net.reachable(host.address, ports, limit),
        witnesses=tuple((address, _witness(address)) for address in config.witness.asked),
        detours=tuple((account.host, _through(config, account, script)) for account in config.witness.accounts),
    )
    if not at_master:
        return asked_alone
    return replace(
        asked_alone,
        heartbeat=(lambda _: heartbeat.read(host.address, config.heartbeat)) if beats else None,
        received=(lambda _: replication.received(config)) if config.replication.watch else None,
    )


def probes_by_options(section: SshSection, address: str, *, nagios_cfg: str, state: str) -> Probes:
    """A look with ssh alone: no configuration file, nothing held, nothing recorded. `nagios_cfg` "": where it usually is."""
    script = remote.probe_script(nagios_cfg, state)
    return Probes(
        ssh=lambda limit: _report(ssh.run_once(section, address, script, timeout=limit)),
        reachable=lambda limit: net.reachable(address, [section.port], limit),
    )


def _witness(address: str) -> Callable[[float], Witness]:
    return lambda limit: net.witness(address, limit)


def _through(config: Config, account: Account, script: str) -> Callable[[float], Detour]:
    def ask(limit: float) -> Detour:
        came = second_route.run_through(config, account, config.peer, script, timeout=limit)
        seen = came.problem or _report(came.output, binary=config.peer.nagios_binary.name)
        return Detour(account.host, seen, came.reached)

    return ask


def _report(output: Output, *, binary: str = "") -> HostReport | NoAnswer | Blocked:
    if not output.well:
        return ssh.classify(output)
    try:
        return replace(remote.parse_report(output.stdout, binary=binary), seconds=output.seconds)
    except CouldNotLook as error:
        return Blocked(f"{error.what} ({error.detail})" if error.detail else error.what, error.hint)
