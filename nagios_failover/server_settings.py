"""The settings that both database servers of a pair need to be source and replica in turn. Pure.

What the server is at its next start (source or replica) is not here, but in the role's drop-in, which is read after this one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from nagios_failover.config import Config
from nagios_failover.dialect import MariaDB, MySQL

FILE_NAME = "90-nagios-failover.cnf"
SEMI_SYNC_TIMEOUT_MS = 2000
LONGEST_SILENCE_SECONDS = 4
_LOOPBACK = ("127.0.0.1", "::1", "localhost", "127.0.0.1,::1", "::1,127.0.0.1")
SYSTEM_DATABASES = frozenset(("information_schema", "mysql", "performance_schema", "sys"))


HEAD = "# Written by nagios-failover, and written anew by it: put settings of your own into another file."


class Setting(NamedTuple):
    """`line` is what the drop-in says; `variable` and `right` tell whether a running server has it so; `why` for people. `only`:
    the dialect that knows it, "" for both."""

    line: str
    variable: str = ""
    right: Callable[[str], bool] = lambda _: True
    why: str = ""
    only: str = ""


def _is(*wanted: str) -> Callable[[str], bool]:
    return lambda found: found.upper() in wanted


def _soon(seconds: str) -> bool:
    return seconds.isdigit() and int(seconds) <= LONGEST_SILENCE_SECONDS


def settings(config: Config, host: str) -> list[Setting]:
    """For one host of the pair."""
    number = [one.name for one in config.hosts].index(host) + 1
    on = _is("ON", "1")
    source = "a replica is a source tomorrow"
    acknowledged = "what was acknowledged outlives a power cut"
    torn = "a relay log that a power cut has torn is fetched anew"
    soon = "a replica must notice a silent source within seconds"
    one_line = "both servers have one line of history"
    found = [
        Setting(f"server-id = {number}", "server_id", _is(*map(str, range(1, 2**16))), "each server has an id of its own"),
        Setting(f"report-host = {host}"),
        Setting("bind-address = 0.0.0.0", "bind_address", lambda name: name not in _LOOPBACK, "the other host has to reach it"),
        # MySQL writes one anyway, and by another name it would lose the one that it has
        Setting("log-bin = nagios-failover-bin", "log_bin", on, "a source writes a binary log", only=MariaDB.name),
        Setting("", "log_bin", on, "a source writes a binary log, skip-log-bin has to go", only=MySQL.name),
        Setting("relay-log = nagios-failover-relay"),
        Setting("log-slave-updates = ON", "log_slave_updates", on, source, only=MariaDB.name),
        Setting("log-replica-updates = ON", "log_replica_updates", on, source, only=MySQL.name),
        Setting("binlog-format = ROW", "binlog_format", _is("ROW"), "statements may mean something else on a replica"),
        Setting("expire-logs-days = 10", only=MariaDB.name),
        Setting("binlog-expire-logs-seconds = 864000", only=MySQL.name),
        Setting("gtid-strict-mode = ON", "gtid_strict_mode", on, one_line, only=MariaDB.name),
        Setting("enforce-gtid-consistency = ON", "enforce_gtid_consistency", on, one_line, only=MySQL.name),
        Setting("gtid-mode = ON", "gtid_mode", on, one_line, only=MySQL.name),
        Setting("sync-binlog = 1", "sync_binlog", _is("1"), acknowledged),
        Setting("innodb-flush-log-at-trx-commit = 1", "innodb_flush_log_at_trx_commit", _is("1"), acknowledged),
        Setting("relay-log-recovery = ON", "relay_log_recovery", on, torn),
        Setting("read-only = ON"),  # unless the role's drop-in, which comes later, says otherwise
        Setting(f"slave-net-timeout = {LONGEST_SILENCE_SECONDS}", "slave_net_timeout", _soon, soon, only=MariaDB.name),
        Setting(f"replica-net-timeout = {LONGEST_SILENCE_SECONDS}", "replica_net_timeout", _soon, soon, only=MySQL.name),
    ]
    if config.replication.semi_sync:
        for source_word, replica_word, dialect in (("master", "slave", MariaDB.name), ("source", "replica", MySQL.name)):
            line, variable = f"rpl-semi-sync-{source_word}", f"rpl_semi_sync_{source_word}"
            enabled = f"rpl_semi_sync_{replica_word}_enabled"
            unseen = "nobody sees what a replica has not got"
            found += [
                Setting(f"rpl-semi-sync-{replica_word}-enabled = ON", enabled, on, "[replication] semi_sync", only=dialect),
                Setting(f"{line}-wait-point = AFTER_SYNC", f"{variable}_wait_point", _is("AFTER_SYNC"), unseen, only=dialect),
                Setting(f"{line}-timeout = {SEMI_SYNC_TIMEOUT_MS}", only=dialect),
            ]
    return found


def drop_in(config: Config, host: str, *, certificate: Path | None, key: Path | None) -> str:
    """The whole file, one text for both dialects: MySQL does not read what is for [mariadb], and MariaDB skips what it does not
    know (loose)."""
    everything = settings(config, host)
    lines = [("loose-" if one.only else "") + one.line for one in everything if one.line and one.only != MariaDB.name]
    if certificate and key:
        lines += [f"ssl-cert = {certificate}", f"ssl-key = {key}"]
    return "\n".join(
        [
            HEAD,
            "# Whether this server is source or replica is in the role's drop-in, which is read after this one.",
            "[mysqld]",
            *lines,
            "[mariadb]",
            *(one.line for one in everything if one.only == MariaDB.name),
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
    return [*dict.fromkeys(asked), "have_ssl", "ssl_cert", "version", "server_uuid", "log_bin_basename"]


def speaks(found: Mapping[str, str]) -> str:
    """The name of the dialect of a server with these variables."""
    return MariaDB.name if "mariadb" in found.get("version", "").lower() else MySQL.name


def wrong(config: Config, host: str, found: Mapping[str, str]) -> list[str]:
    """How a running server differs from what it needs: a sentence each, with the line that mends it. `found` maps variables to
    what the server says; a missing one is wrong, too."""
    lines = []
    for setting in settings(config, host):
        ours = setting.variable and setting.only in ("", speaks(found))
        if ours and not setting.right(found.get(setting.variable, "")):
            needs = f", it needs {setting.line}" if setting.line else ""
            lines.append(f"{setting.variable} is {found.get(setting.variable, 'not known to it')}{needs}: {setting.why}")
    return [*lines, *_without_certificate(config, found)]


def _without_certificate(config: Config, found: Mapping[str, str]) -> list[str]:
    """MySQL makes one of its own, which nobody else trusts."""
    why = "replication goes over verified TLS"
    if speaks(found) == MariaDB.name:
        needs = "it has no certificate (have_ssl), it needs ssl-cert and ssl-key"
        return [] if found.get("have_ssl", "") == "YES" else [f"{needs}: {why}"]
    certificate, _ = certificate_of(config)
    right = certificate is None or found.get("ssl_cert") == str(certificate)
    return [] if right else [f"ssl_cert is {found.get('ssl_cert') or 'not set'}, it needs ssl-cert = {certificate}: {why}"]


def wrong_pair(config: Config, here: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    """What two servers cannot be together, seen from the replica."""
    mine, theirs = speaks(here), speaks(there)
    this, other = f"{config.this_name} has {mine} {here.get('version')}", f"{config.peer.name}'s {there.get('version')}"
    if mine != theirs:
        return [f"{this}, and {config.peer.name} {theirs} {there.get('version')}: a pair is of one kind"]
    lines = []
    if here.get("server_id") == there.get("server_id"):
        lines.append(f"both servers have the server-id {here.get('server_id')}")
    if here.get("server_uuid", "") and here.get("server_uuid") == there.get("server_uuid"):
        lines.append(f"both servers have the server_uuid {here['server_uuid']}: stop one, remove its auto.cnf, and start it")
    if release(here.get("version", "")) < release(there.get("version", "")):
        lines.append(f"{this}, older than {other}: a replica may be newer than its source, not older")
    return lines


def release(version: str) -> tuple[int, ...]:
    """`10.11.6-MariaDB` -> (10, 11)."""
    return tuple(int(part) for part in version.partition("-")[0].split(".")[:2] if part.isdigit())


def foreign(config: Config, databases: Sequence[str]) -> list[str]:
    """The databases that are neither the server's own nor listed in [replication] databases."""
    listed = set(config.replication.databases)
    return sorted(name for name in databases if name.lower() not in SYSTEM_DATABASES and name not in listed)
