"""Where the hosts of the pair are found: the database listens where the other host reaches it, and our own addresses are known
without DNS. Pure; examine.py reads the files.
"""

from __future__ import annotations

import ipaddress

from nagios_failover.cfg_rules import Finding, Kind
from nagios_failover.config import Config
from nagios_failover.config_values import Schema


def listening(proc_net_tcp: str, port: int) -> set[str]:
    """The addresses (hex, as the kernel prints them) on which something listens on `port`, from /proc/net/tcp and tcp6."""
    found = set()
    for line in proc_net_tcp.splitlines():
        fields = line.split()
        if len(fields) > 3 and fields[3] == "0A":
            address, _, hex_port = fields[1].rpartition(":")
            if int(hex_port, 16) == port:
                found.add(address)
    return found


def _loopback(address: str) -> bool:
    return address in ("00000000000000000000000001000000", "0000000000000000FFFF00000100007F") or (
        len(address) == 8 and address.endswith("7F")
    )


def check_listening(host: str, config: Config, proc_net_tcp: str) -> list[Finding]:
    """The master's database is read from the other host: it must not listen on the loopback alone."""
    if config.heartbeat.schema is Schema.NONE or not proc_net_tcp:
        return []
    port = config.heartbeat.port
    addresses = listening(proc_net_tcp, port)
    if not addresses:
        why = f"nothing listens on port {port}: the database is stopped, or has skip-networking, or another port"
        return [Finding(Kind.WRONG, host, "MariaDB", "", "", why)]
    if all(map(_loopback, addresses)):
        why = "the other host reads the heartbeat from here (put the line under [mysqld] and restart the server)"
        return [Finding(Kind.WRONG, host, "MariaDB", "bind-address = 127.0.0.1", "bind-address = 0.0.0.0", why)]
    return []


def known_names(etc_hosts: str) -> set[str]:
    """The names that /etc/hosts resolves."""
    return {name for line in etc_hosts.splitlines() for name in line.partition("#")[0].split()[1:]}


def check_addresses(host: str, config: Config, etc_hosts: str) -> list[Finding]:
    """An address that only DNS knows is lost with the network, and what cannot be resolved is never taken for dead."""
    known = known_names(etc_hosts)
    named = [(f"[host {section.name}] address", section.address) for section in config.hosts]
    named += [("[witness] addresses", _without_port(address)) for address in config.witness.addresses if address != "none"]
    named += [("[witness] accounts", account.host) for account in config.witness.accounts]
    why = "with DNS out of reach the name means nothing, the host cannot be looked at, and no failover starts"
    return [
        Finding(Kind.WRONG, host, str(config.path), f"{option} = {name}", f"its IP address, or {name} in /etc/hosts", why)
        for option, name in named
        if not _is_ip(name) and name not in known
    ]


def _without_port(address: str) -> str:
    """The host of `host:port` and `[IPv6]:port`, as net.split_port has it."""
    host, colon, port = address.rpartition(":")
    return host if colon and port.isdigit() and (":" not in host or host.startswith("[")) else address


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True
