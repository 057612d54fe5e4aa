"""What the running Nagios's objects must say: the watch services as commands.cfg.sample has them, our commands, and nothing else
that an idle standby would run. Pure: the lines of objects.cache in, findings out; examine.py opens the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from nagios_failover.cfg_rules import Finding, Kind, Rule, between, exactly
from nagios_failover.config import Config

Attributes = Mapping[str, str]


def parse_objects(lines: Iterable[str], kinds: frozenset[str]) -> Iterator[tuple[str, Attributes]]:
    """The objects of these kinds in Nagios's objects.cache (templates and groups resolved by Nagios), as it streams by."""
    kind, attributes = "", dict[str, str]()
    for line in lines:
        if not kind:
            if line.startswith("define "):
                word = line[7:].partition("{")[0].strip()
                kind, attributes = (word, {}) if word in kinds else ("", {})
        elif line.strip() == "}":
            yield kind, attributes
            kind = ""
        else:
            name, _, value = line.strip().partition("\t")
            attributes[name] = value.strip()


def check_objects(
    host: str, place: str, config: Config, perfdata_commands: Mapping[str, str], objects: Iterable[tuple[str, Attributes]]
) -> list[Finding]:
    """The watch services are there and as commands.cfg.sample has them; nothing else runs on the standby by freshness; the
    commands are ours. `perfdata_commands` are the settings of nagios.cfg that name a command which takes a spool."""
    names = config.nagios
    found: dict[str, Attributes] = {}
    lines: dict[str, str] = {}
    handler_on_a_host = False
    strangers = []
    for kind, attributes in objects:
        if kind == "command":
            lines[attributes.get("command_name", "")] = attributes.get("command_line", "")
        elif kind == "host":
            handler_on_a_host |= "handle_master_event" in lines.get(_command_of(attributes, "event_handler"), "")
        elif attributes.get("host_name") == names.watch_host:
            found[attributes.get("service_description", "")] = attributes
        elif attributes.get("check_freshness") == "1":
            strangers.append(f"{attributes.get('host_name')}/{attributes.get('service_description')}")
    findings: list[Finding] = []
    watches = [(names.master_watch, "check_master_nagios"), (names.state_watch, "check_failover_state")]
    if config.quorum.etcd:
        watches.append((names.lease_watch, "check_lease"))
        findings.extend(_check_notifying(host, place, lines))
    for service, plugin in watches:
        if service in found:
            where = f"{place}: service {service!r}"
            findings.extend(_check_watch_service(host, where, config, service, found[service]))
            findings.extend(_check_command(host, where, lines, _command_of(found[service], "check_command"), plugin))
            if handler := _command_of(found[service], "event_handler"):
                findings.extend(_check_command(host, where, lines, handler, "handle_master_event"))
        elif not (service == names.master_watch and handler_on_a_host):
            sample = "quorum.cfg.sample" if service == names.lease_watch else "commands.cfg.sample"
            why = f"no service {service!r} on host {names.watch_host!r}: see {sample}; restart Nagios after adding it"
            findings.append(Finding(Kind.WRONG, host, place, "", "", why))
    for setting, command in perfdata_commands.items():
        if config.database.socket and command:
            words = ("process_perfdata", *(["-H"] if setting.startswith("host_") else []), str(config.paths.state))
            findings.extend(_check_command(host, f"{place}: {setting}", lines, command, *words))
    if strangers and config.pair.mode == "failover":
        more = f" and {len(strangers) - 10} more" if len(strangers) > 10 else ""
        why = f"check_freshness is on, so an idle standby runs these too: {', '.join(strangers[:10])}{more}"
        findings.append(Finding(Kind.ADVICE, host, place, "", "", why))
    return findings


def _command_of(attributes: Attributes, name: str) -> str:
    """The command's name in `check_http!-p 80`."""
    return attributes.get(name, "").partition("!")[0]


def _check_command(host: str, place: str, lines: Mapping[str, str], name: str, *words: str) -> Iterator[Finding]:
    """A command of ours has these words in its line; a site may have wrapped it in a script of its own, so this is advice."""
    line = lines.get(name)
    if line is not None and not all(word in line for word in words):
        why = f"the command {name!r} is {line!r}, in which commands.cfg.sample has {' and '.join(words)}"
        yield Finding(Kind.ADVICE, host, place, "", "", why)


def _check_notifying(host: str, place: str, lines: Mapping[str, str]) -> Iterator[Finding]:
    if not any("notify_if_master" in line for line in lines.values()):
        why = "no command has notify_if_master in front of what it sends: a host that was frozen would mail (quorum.cfg.sample)"
        yield Finding(Kind.ADVICE, host, place, "", "", why)


def _check_watch_service(host: str, where: str, config: Config, name: str, attributes: Attributes) -> Iterator[Finding]:
    interval = max(1.0, config.look.interval)
    wanted = [
        exactly("is_volatile", "1", "0", "the handler must be called after every HARD check, not at the change alone"),
        exactly("event_handler_enabled", "1", "1", "the handler acts on what the check says"),
        Rule("event_handler", "", bool, "handle_master_event", "the handler acts on what the check says"),
    ]
    if config.pair.mode == "failover":
        wanted.append(exactly("check_freshness", "1", "0", "an idle standby runs a check only by freshness"))
        if name == config.nagios.master_watch:
            why = f"the master is looked at every {config.look.interval:g} s ([look] interval)"
            wanted.append(between("freshness_threshold", 1, interval, int(interval), "0", why))
        if name == config.nagios.lease_watch:
            why = f"the lease is renewed every {config.quorum.renew:g} s ([quorum] renew)"
            wanted.append(between("freshness_threshold", 1, max(1.0, config.quorum.renew), int(config.quorum.renew), "0", why))
    for rule in wanted:
        value = attributes.get(rule.setting)
        if not rule.right(rule.compiled if value is None else value):
            found = f"no {rule.setting}" if value is None else f"{rule.setting} {value}"
            yield Finding(rule.kind, host, where, found, f"{rule.setting} {rule.wanted}", rule.why)
