"""`nagios-failover check-config`: what both hosts' Nagios and databases are told, and what of it is wrong. The rules are in
cfg_rules.py and object_rules.py; here the files are read and the other host is asked."""

from __future__ import annotations

import shlex
from pathlib import Path

from nagios_failover import address_rules, cfg_rules, object_rules
from nagios_failover.cfg_rules import Finding, Kind
from nagios_failover.config import Config
from nagios_failover.config_sections import HostSection
from nagios_failover.errors import ConfigError, FailoverError
from nagios_failover.evidence import Blocked
from nagios_failover.nagios_cfg import NagiosCfg, parse_nagios_cfg
from nagios_failover.nagios_files import read_nagios_cfg


def examine_both(config: Config) -> list[Finding]:
    return [*examine_this(config), *examine_peer(config)]


def examine_this(config: Config) -> list[Finding]:
    """What is wrong on this host, from its own files."""
    name, path = config.this_name, str(config.this.nagios_cfg)
    try:
        cfg = read_nagios_cfg(config.this.nagios_cfg)
    except FailoverError as error:
        return [Finding(Kind.UNSEEN, name, path, "", "", f"{error.what}; hint: {error.hint}")]
    findings = cfg_rules.check_nagios_cfg(name, path, cfg, cfg_rules.rules(config))
    findings += _examine_objects(config, cfg)
    findings += address_rules.check_listening(name, config, _proc_net_tcp())
    findings += address_rules.check_addresses(name, config, _etc_hosts())
    findings += _examine_replica(config) + cfg_rules.check_second_opinion(config)
    return findings + cfg_rules.check_guard(config, guarded=_is_guarded(config))


GUARDS = (
    "etc/nagios-failover/guard-hook",
    "etc/systemd/system/mariadb.service.d/nagios-failover-guard.conf",
    "etc/systemd/system/mysql.service.d/nagios-failover-guard.conf",
)


def _is_guarded(config: Config, root: Path = Path("/")) -> bool:
    """By one of the samples' places, or because it has run once."""
    return (config.paths.state / "guard").exists() or any((root / place).exists() for place in GUARDS)


def _examine_objects(config: Config, cfg: NagiosCfg) -> list[Finding]:
    """objects.cache is what the running Nagios has read: templates and groups resolved, and all in one file."""
    cache = cfg.object_cache_file
    try:
        with cache.open(encoding="utf-8", errors="surrogateescape") as lines:
            objects = object_rules.parse_objects(lines, frozenset({"command", "host", "service"}))
            settings = (f"{what}_perfdata_file_processing_command" for what in ("service", "host"))
            perfdata_commands = {setting: cfg.text(setting) for setting in settings}
            return object_rules.check_objects(config.this_name, str(cache), config, perfdata_commands, objects)
    except OSError as error:
        why = f"could not look at the services: {error.strerror}; Nagios writes the file when it starts (object_cache_file)"
        return [Finding(Kind.UNSEEN, config.this_name, str(cache), "", "", why)]


def _etc_hosts() -> str:
    try:
        return Path("/etc/hosts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _proc_net_tcp() -> str:
    text = ""
    for path in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        try:
            text += path.read_text(encoding="ascii")
        except OSError:
            continue
    return text


def _examine_replica(config: Config) -> list[Finding]:
    from nagios_failover.database_server import own_server

    if not config.replication.watch:
        return []
    try:
        with own_server(config) as server:
            variable = server.dialect.replica_timeout
            seconds = int(server.value(f"SELECT @@GLOBAL.{variable}"))
            return cfg_rules.check_replica_timeout(config.this_name, server.dialect.name, variable, seconds)
    except FailoverError as error:
        return [Finding(Kind.UNSEEN, config.this_name, "database", "", "", error.what)]


PEER_SCRIPT = """LC_ALL=C; export LC_ALL
cat -- {cfg} || exit 3
echo {cut}
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null
echo {cut}
test -e {state} && echo suite
exit 0
"""
CUT = "=== nagios-failover ==="


def peer_script(host: HostSection, state: Path) -> str:
    """What the other host is asked, in POSIX sh: its nagios.cfg, its listening sockets, whether it has the suite."""
    return PEER_SCRIPT.format(cfg=shlex.quote(str(host.nagios_cfg)), cut=shlex.quote(CUT), state=shlex.quote(str(state)))


def examine_peer(config: Config) -> list[Finding]:
    """What is wrong on the other host, as far as the maintenance account sees it."""
    from nagios_failover.ssh import classify, run_remote

    peer, path = config.peer, str(config.peer.nagios_cfg)
    output = run_remote(config, peer, peer_script(peer, config.paths.state), timeout=config.ssh.timeout)
    if output.code == 3:
        why = " ".join(output.stderr.split()) or "cannot be read"
        return [Finding(Kind.UNSEEN, peer.name, path, "", "", f"{why}; {config.ssh.user} must be able to read it")]
    parts = output.stdout.split(CUT + "\n")
    if output.code != 0 or len(parts) != 3:
        problem = classify(output)
        hint = f"; hint: {problem.hint}" if isinstance(problem, Blocked) and problem.hint else ""
        return [Finding(Kind.UNSEEN, peer.name, path, "", "", f"not seen over ssh: {problem.reason}{hint}")]
    try:
        cfg = parse_nagios_cfg(parts[0], peer.nagios_cfg)
    except ConfigError as error:
        return [Finding(Kind.WRONG, peer.name, path, "", "", error.what)]
    rules = cfg_rules.rules(config) if "suite" in parts[2] else cfg_rules.rules_without_suite(config)
    return [*cfg_rules.check_nagios_cfg(peer.name, path, cfg, rules), *address_rules.check_listening(peer.name, config, parts[1])]
