"""Reading nagios-failover.cfg, strictly.

`parse` turns the file's text into a `Config`, or raises one ConfigError that lists every mistake with its section, option and
hint; nothing is ignored. The file is one and the same on both hosts; which host is "this" comes from the host name.
"""

from __future__ import annotations

import configparser
import socket
import stat
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, get_type_hints

from nagios_failover.config import Config
from nagios_failover.config_contradictions import contradictions
from nagios_failover.config_sections import SECTIONS, HostSection
from nagios_failover.config_values import convert
from nagios_failover.errors import ConfigError
from nagios_failover.words import CONFIG_FILE


def load(path: Path = Path(CONFIG_FILE), *, hostname: str | None = None) -> Config:
    """Read and check the file. Raises ConfigError when it is missing, unreadable, readable by everybody while it holds a
    password, or wrong."""
    try:
        with path.open(encoding="utf-8") as file:
            mode = path.stat().st_mode
            text = file.read()
    except FileNotFoundError as error:
        raise ConfigError(f"configuration file {path} does not exist", hint="copy nagios-failover.cfg.sample there") from error
    except PermissionError as error:
        raise ConfigError(
            f"configuration file {path} is not readable by this user",
            hint=f"chown root:nagios {path}; chmod 0640 {path}; run the command as root or as the Nagios user",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration file {path} cannot be read: {error}") from error
    config = parse(text, path=path, hostname=hostname or socket.gethostname())
    if mode & stat.S_IROTH and config.has_password:
        raise ConfigError(f"configuration file {path} holds a password and everybody can read it", hint=f"chmod 0640 {path}")
    return _facing_the_master(config) if len(config.hosts) > 2 else config


def _facing_the_master(config: Config) -> Config:
    """Which of the others to look at: whoever has the lease, by what this host saw last; else the master of its role file."""
    for name, key in (("lease", "holder"), ("role", "master")):
        try:
            lines = (config.paths.state / name).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        found = next((line.partition("=")[2] for line in lines if line.startswith(f"{key}=")), "")
        if found in {host.name for host in config.others}:
            return config.facing(found)
    return config


def parse(text: str, *, path: Path = Path(CONFIG_FILE), hostname: str) -> Config:
    """Pure: the configuration that `text` holds, seen from the host named `hostname`. Raises ConfigError."""
    # No section is special: options under [DEFAULT] would otherwise appear everywhere, or silently nowhere.
    parser = configparser.ConfigParser(interpolation=None, strict=True, empty_lines_in_values=False, default_section="")
    try:
        parser.read_string(text, source=str(path))
    except configparser.Error as error:
        raise ConfigError(
            f"configuration file {path} is malformed",
            detail=" ".join(str(error).split()),
            hint="sections are [name], options are name = value, each at most once",
        ) from error
    mistakes: list[str] = []
    hosts: list[HostSection] = []
    values: dict[str, Any] = {}
    for title in parser.sections():
        if title.startswith("host "):
            hosts.append(_read_host(title, parser[title], mistakes))
        elif title not in SECTIONS:
            known = ", ".join(f"[{name}]" for name in SECTIONS)
            mistakes.append(f"[{title}]: no such section; hint: one of [host NAME], {known}")
    for title, section in SECTIONS.items():
        options = parser[title] if parser.has_section(title) else {}
        values[title] = _read_section(title, section, options, mistakes)
    this_name = _this_host(hosts, hostname, mistakes, several=bool(values["quorum"].etcd))
    if not mistakes:
        config = Config(hosts=tuple(hosts), this_name=this_name, path=path, **values)
        mistakes.extend(contradictions(config))
        if not mistakes:
            return config
    count = f"{len(mistakes)} mistake{'s' if len(mistakes) != 1 else ''}"
    raise ConfigError(f"configuration file {path} has {count}", detail="\n".join(mistakes))


def _read_host(title: str, options: Mapping[str, str], mistakes: list[str]) -> HostSection:
    name = title.removeprefix("host ").strip()
    if not name or name.startswith("-") or not name.replace("-", "").replace(".", "").replace("_", "").isalnum():
        mistakes.append(f"[{title}]: not a host name; hint: letters, digits, dots and dashes")
    host: HostSection = _read_section(title, HostSection, options, mistakes, name=name)
    if host.address.startswith("-"):
        mistakes.append(f"[{title}] address: {host.address!r} begins with a dash; hint: a host name or an address")
    return host if host.address else HostSection(**{**host.__dict__, "address": name})


def _this_host(hosts: Sequence[HostSection], hostname: str, mistakes: list[str], *, several: bool) -> str:
    names = [host.name for host in hosts]
    if len(set(names)) != 2 and not (several and len(set(names)) > 2):
        mistakes.append(f"[host NAME]: {len(set(names))} hosts; hint: a pair has exactly two such sections (more need [quorum])")
        return ""
    if hostname in names:
        return hostname
    without_domain = [name for name in names if hostname == name.partition(".")[0] or name == hostname.partition(".")[0]]
    if len(without_domain) == 1:
        return without_domain[0]
    mistakes.append(
        f"[host NAME]: this host is {hostname}, the file names {' and '.join(names)}; hint: NAME is what `hostname` prints"
    )
    return ""


def _read_section(title: str, section: type, options: Mapping[str, str], mistakes: list[str], **given: str) -> Any:
    hints = get_type_hints(section)
    known = {field.name: field for field in fields(section) if field.name not in given}
    values: dict[str, Any] = dict(given)
    for option, text in options.items():
        if option not in known:
            mistakes.append(f"[{title}] {option}: no such option; hint: one of {', '.join(known)}")
            continue
        try:
            values[option] = convert(hints[option], text.strip())
        except ValueError as error:
            mistakes.append(f"[{title}] {option}: {error}")
    return section(**{name: values.get(name, _default(field)) for name, field in known.items()} | given)


def _default(field: Field[Any]) -> Any:
    return "" if field.default is MISSING else field.default
