"""The settings that both database servers of a pair need to be source and replica in turn. Pure.

What the server is at its next start (source or replica) is not here, but in the role's drop-in, which is read after this one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from nagios_failover.config import Config

FILE_NAME = "90-nagios-failover.cnf"
SEMI_SYNC_TIMEOUT_MS = 2000
LONGEST_SILENCE_SECONDS = 4
_LOOPBACK = ("127.0.0.1", "::1", "localhost", "127.0.0.1,::1", "::1,127.0.0.1")
SYSTEM_DATABASES = frozenset(("information_schema", "mysql", "performance_schema", "sys"))


HEAD = "# Written by nagios-failover, and written anew by it: put settings of your own into another file."


class Setting(NamedTuple):
    """`line` is what the drop-in says; `variable` and `right` tell whether a running server has it so; `why` for people."""

    line: str
    variable: str = ""
    right: Callable[[str], bool] = lambda _: True
    why: str = ""


def _is(*wanted: str) -> Callable[[str], bool]:
    return lambda found: found.upper() in wanted


def settings(config: Config, host: str) -> list[Setting]:
    """MariaDB's, for one host of the pair."""
    number = [one.name for one in config.hosts].index(host) + 1
    found = [
        Setting(f"server-id = {number}", "server_id", _is(*map(str, range(1, 2**16))), "each server has an id of its own"),
        Setting(f"report-host = {host}"),
        Setting("bind-address = 0.0.0.0", "bind_address", lambda name: name not in _LOOPBACK, "the other host has to reach it"),
        Setting("log-bin = nagios-failover-bin", "log_bin", _is("ON", "1"), "a source writes a binary log"),
        Setting("relay-log = nagios-failover-relay"),
        Setting("log-slave-updates = ON", "log_slave_updates", _is("ON", "1"), "a replica is a source tomorrow"),
        Setting("binlog-format = ROW", "binlog_format", _is("ROW"), "statements may mean something else on a replica"),
        Setting("expire-logs-days = 10"),
        Setting("gtid-strict-mode = ON", "gtid_strict_mode", _is("ON", "1"), "both servers have one line of history"),
        Setting("sync-binlog = 1", "sync_binlog", _is("1"), "what was acknowledged outlives a power cut"),
        Setting(
            "innodb-flush-log-at-trx-commit = 1",
            "innodb_flush_log_at_trx_commit",
            _is("1"),
            "what was acknowledged outlives a power cut",
        ),
        Setting(
            "relay-log-recovery = ON", "relay_log_recovery", _is("ON", "1"), "a relay log that a power cut has torn is fetched anew"
        ),
        Setting("read-only = ON"),  # unless the role's drop-in, which comes later, says otherwise
        Setting(
            f"slave-net-timeout = {LONGEST_SILENCE_SECONDS}",
            "slave_net_timeout",
            lambda seconds: seconds.isdigit() and int(seconds) <= LONGEST_SILENCE_SECONDS,
            "a replica must notice a silent source within seconds",
        ),
    ]
    if config.replication.semi_sync:
        found += [
            Setting("rpl-semi-sync-slave-enabled = ON", "rpl_semi_sync_slave_enabled", _is("ON", "1"), "[replication] semi_sync"),
            Setting(
                "rpl-semi-sync-master-wait-point = AFTER_SYNC",
                "rpl_semi_sync_master_wait_point",
                _is("AFTER_SYNC"),
                "nobody sees what a replica has not got",
            ),
            Setting(f"rpl-semi-sync-master-timeout = {SEMI_SYNC_TIMEOUT_MS}"),
        ]
    return found


def drop_in(config: Config, host: str, *, certificate: Path | None, key: Path | None) -> str:
    """The whole file."""
    lines = [setting.line for setting in settings(config, host)]
    if certificate and key:
        lines += [f"ssl-cert = {certificate}", f"ssl-key = {key}"]
    return "\n".join(
        [
            HEAD,
            "# Whether this server is source or replica is in the role's drop-in, which is read after this one.",
            "[mysqld]",
            *lines,
            "",
        ]
    )


MANAGED = Path("/etc/mysql/nagios-failover")
"""Where the certificates are that the suite makes: with [replication] tls_ca there, it does."""


def managed(config: Config) -> bool:
    return config.replication.tls_ca is not None and config.replication.tls_ca.parent == MANAGED


def certificate_of(config: Config) -> tuple[Path | None, Path | None]:
    """This host's certificate and key for its server: ours, or those of [replication], or none."""
    if managed(config):
        return MANAGED / "cert.pem", MANAGED / "key.pem"
    return config.replication.tls_cert, config.replication.tls_key


def variables(config: Config) -> list[str]:
    """What has to be asked of a running server."""
    asked = [setting.variable for host in config.hosts for setting in settings(config, host.name) if setting.variable]
    return [*dict.fromkeys(asked), "have_ssl", "version", "log_bin_basename"]


def wrong(config: Config, host: str, found: Mapping[str, str]) -> list[str]:
    """How a running server differs from what it needs: a sentence each, with the line that mends it. `found` maps variables to
    what the server says; a missing one is wrong, too."""
    lines = [
        f"{setting.variable} is {found.get(setting.variable, 'not known to it')}, it needs {setting.line}: {setting.why}"
        for setting in settings(config, host)
        if setting.variable and not setting.right(found.get(setting.variable, ""))
    ]
    if found.get("have_ssl", "") != "YES":
        lines.append("it has no certificate (have_ssl), it needs ssl-cert and ssl-key: replication goes over verified TLS")
    return lines


def wrong_pair(config: Config, here: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    """What two servers cannot be together, seen from the replica."""
    lines = []
    if here.get("server_id") == there.get("server_id"):
        lines.append(f"both servers have the server-id {here.get('server_id')}")
    if release(here.get("version", "")) < release(there.get("version", "")):
        older = f"{config.this_name} has MariaDB {here.get('version')}, older than {config.peer.name}'s {there.get('version')}"
        lines.append(f"{older}: a replica may be newer than its source, not older")
    return lines


def release(version: str) -> tuple[int, ...]:
    """`10.11.6-MariaDB` -> (10, 11)."""
    return tuple(int(part) for part in version.partition("-")[0].split(".")[:2] if part.isdigit())


def foreign(config: Config, databases: Sequence[str]) -> list[str]:
    """The databases that are neither the server's own nor listed in [replication] databases."""
    listed = set(config.replication.databases)
    return sorted(name for name in databases if name.lower() not in SYSTEM_DATABASES and name not in listed)
