"""The configuration: typed, frozen, complete and strict.

`parse` turns the text of nagios-failover.cfg into a `Config`, or raises one ConfigError that lists every mistake with its
section, option and hint; nothing is ignored. The file is one and the same on both hosts; which host is "this" comes from the
host name. Sections and options are the dataclasses below: a field's name is the option's name, its type decides how it is
read, its comment says what it means. Durations are seconds (a number, or with s, m, h or d behind it).
"""

from __future__ import annotations

import configparser
import shlex
import socket
import stat
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, NewType, get_args, get_origin, get_type_hints

from nagios_failover.account import Account, parse_account
from nagios_failover.errors import ConfigError
from nagios_failover.words import CONFIG_FILE, Mode


class Failback(StrEnum):
    MANUAL = "manual"
    AUTOMATIC = "automatic"


class Schema(StrEnum):
    """Where the heartbeat is found; facts of each in mysql.py."""

    NONE = "none"
    NAGIOS1 = "nagios1"
    NDOUTILS = "ndoutils"
    ICINGA_IDO = "icinga-ido"
    MERLIN = "merlin"


class Severity(StrEnum):
    WARNING = "warning"
    CRITICAL = "critical"


class MailMethod(StrEnum):
    SMTP = "smtp"
    SENDMAIL = "sendmail"
    COMMAND = "command"


class Fencing(StrEnum):
    """What a failover does when the old master is not proved to be fenced: go on, or refuse."""

    BEST_EFFORT = "best-effort"
    REQUIRED = "required"


class Start(StrEnum):
    """Is the standby's Nagios running (warm), or does cron look and a failover start it (cold)?"""

    WARM = "warm"
    COLD = "cold"


Port = NewType("Port", int)
"""A TCP port. An int and no subclass of it: PyMySQL and getaddrinfo take nothing else."""


class Seconds(float):
    """A duration in seconds."""


class Options(tuple[tuple[str, str], ...]):
    """`key=value`, one a line, as a fence agent reads them. Values may hold blanks, commas and anything else."""

    @property
    def hold_a_password(self) -> bool:
        return any("pass" in name.lower() and value for name, value in self)


@dataclass(frozen=True)
class PairSection:
    """[pair]"""

    mode: Mode = Mode.FAILOVER
    failback: Failback = Failback.MANUAL
    failback_after: Seconds = Seconds(60)  # the returned host is well for so long before it gets the role back
    preferred: str = ""  # failback = automatic: the host that gets the role back; default: the first [host ...]
    flap_block: Seconds = Seconds(3600)  # a failover blocks the way back for so long; `ack` releases it
    standby: Start = Start.WARM
    pause_warning: Seconds = Seconds(3600)  # a pause without an end is warned of after this


@dataclass(frozen=True)
class HostSection:
    """[host NAME]: NAME is what `hostname` prints there, with or without its domain."""

    name: str
    address: str = ""  # default: the name
    nagios_cfg: Path = Path("/etc/nagios4/nagios.cfg")
    nagios_binary: Path = Path("/usr/sbin/nagios4")
    nagios_service: str = "nagios4"  # for `service NAME start`, cold standby only
    fence_options: Options = Options()  # noqa: RUF009 - immutable; over [fence] options, when this host is cut off


@dataclass(frozen=True)
class NagiosSection:
    """[nagios]: names that the object configuration uses too (see commands.cfg.sample)."""

    user: str = "nagios"
    watch_host: str = "nagios-failover"  # the always-up host that carries the watch services
    master_watch: str = "Master Nagios"  # the only service that may start a run
    state_watch: str = "Failover state"
    lease_watch: str = "Role lease"  # with [quorum] (see quorum.cfg.sample)
    verify_timeout: Seconds = Seconds(30)  # status.dat shows the wanted flags within this time


@dataclass(frozen=True)
class PathsSection:
    """[paths]"""

    state: Path = Path("/var/lib/nagios-failover")


@dataclass(frozen=True)
class SshSection:
    """[ssh]: how the other host is looked at; a maintenance account without privileges."""

    user: str = "hb"
    port: Port = Port(22)
    identity: Path | None = None
    known_hosts: Path | None = None
    timeout: Seconds = Seconds(4)  # of one probe, connection included
    renew: Seconds = Seconds(60)  # a held connection is opened afresh after this


@dataclass(frozen=True)
class LookSection:
    """[look]: how often, and when Nagios's own signs are stale."""

    interval: Seconds = Seconds(10)
    confirmations: int = 3
    confirm_interval: Seconds = Seconds(10)
    timeout: Seconds = Seconds(9)  # of a whole look; below Nagios's service_check_timeout
    status_warning: Seconds = Seconds(30)  # age of status.dat; several status_update_intervals
    status_critical: Seconds = Seconds(60)
    reach_timeout: Seconds = Seconds(2)  # of a ping or TCP connect
    restart_grace: Seconds = Seconds(15)  # a clean stop is a restart for so long
    unreachable_services: Severity = Severity.WARNING


@dataclass(frozen=True)
class HeartbeatSection:
    """[heartbeat]: programstatus.last_update or its like, read on the master's own server."""

    schema: Schema = Schema.NONE
    database: str = "nagios"
    prefix: str = ""  # of the table's name; default: the schema's own (nagios_, icinga_)
    instance: int = 1  # instance_id, in the schemas that have one
    port: Port = Port(3306)
    user: str = "nagios_failover"
    password: str = ""
    tls_ca: Path | None = None  # verified TLS with this CA; none: no TLS
    time_zone: str = "+00:00"  # the session time zone that the writer uses
    timeout: Seconds = Seconds(3)
    warning: Seconds = Seconds(60)
    critical: Seconds = Seconds(300)
    stale_heartbeat: Severity = Severity.WARNING  # critical: the rule of 2005
    database_down: Severity = Severity.WARNING


@dataclass(frozen=True)
class WitnessSection:
    """[witness]: addresses (`host` for ping or `host:port` for TCP) that answer if this host is on the network; or none. A
    witness with an ssh account (`user@host`) is a second route to the other host, too."""

    addresses: tuple[str, ...] = ()
    accounts: tuple[Account, ...] = ()
    isolation: Seconds | None = Seconds(60)  # a master that sees nobody for so long mutes itself; none: never

    @property
    def asked(self) -> tuple[str, ...]:
        """Every address whose answer says that this host is on the network; an account's host is one, too."""
        addresses = tuple(address for address in self.addresses if address != "none")
        others = (account for account in self.accounts if not {account.host, account.address} & set(addresses))
        return (*addresses, *(account.address for account in others))


@dataclass(frozen=True)
class QuorumSection:
    """[quorum]: the master's role is a lease in etcd; without an address of a member, it is not."""

    etcd: tuple[str, ...] = ()  # URLs of its members
    name: str = "nagios"  # of this set of hosts, where several share one etcd
    lease: Seconds = Seconds(30)  # how long a master that does not renew it keeps the role
    renew: Seconds = Seconds(10)  # how often check_lease runs, at least
    timeout: Seconds = Seconds(3)  # of one question to etcd, all members together
    tls_ca: Path | None = None  # verified TLS with this CA; none: the system's
    tls_cert: Path | None = None  # this host's, as a client
    tls_key: Path | None = None


@dataclass(frozen=True)
class FenceSection:
    """[fence]: how the old master is kept from notifying. Its port and known hosts are those of [ssh]."""

    fencing: Fencing = Fencing.BEST_EFFORT
    user: str = ""  # an account on the other host that may write to Nagios's command file and end it: nagios; empty: none
    identity: Path | None = None  # its key; none: the Nagios user's own
    timeout: Seconds = Seconds(4)  # of a login, and of what is run there
    verify_timeout: Seconds = Seconds(10)  # the flags are seen off within this, and two of its status_update_intervals
    command: tuple[str, ...] = ()  # e.g. /usr/sbin/fence_ipmilan; never given to a shell
    options: Options = Options()  # noqa: RUF009 - immutable; what it reads on its standard input, beside action=off
    command_timeout: Seconds = Seconds(60)


@dataclass(frozen=True)
class ReplicationSection:
    """[replication]: the databases of both hosts, source and replica. The local server is reached over [database] socket."""

    watch: bool = False
    promote: bool = True  # a failover makes the replica the source
    databases: tuple[str, ...] = ("nagios", "perfparse")  # what is replicated: the whole instance, which holds these alone
    user: str = "nagios_failover_admin"  # watches and acts on both servers
    password: str = ""
    replication_user: str = "nagios_failover_replica"  # the account that replicas log in with
    replication_password: str = ""
    port: Port = Port(3306)
    tls_ca: Path | None = None  # verified TLS with this CA, for replication and for our own connections; none: no TLS
    tls_cert: Path | None = None
    tls_key: Path | None = None
    drop_in: Path | None = None  # where the root helper writes what the role is at mysqld's next start
    semi_sync: bool = False
    timeout: Seconds = Seconds(3)  # of one connection, and of one statement
    heartbeat_period: Seconds = Seconds(2)
    connect_retry: Seconds = Seconds(5)
    lag_warning: Seconds = Seconds(30)
    lag_critical: Seconds = Seconds(300)
    silence_warning: Seconds = Seconds(15)  # nothing received: neither an event nor a heartbeat
    silence_critical: Seconds = Seconds(60)
    drain_timeout: Seconds = Seconds(30)  # the relay log is applied within this, or the database stays read-only
    old_source_timeout: Seconds = Seconds(10)  # spent on a source that may still be read
    setup_timeout: Seconds = Seconds(3600)  # setup-standby and rejoin: of one long statement, and of catching up
    service: str = "mariadb"  # as `service NAME restart` takes it


@dataclass(frozen=True)
class SyncSection:
    """[sync]: a standby's copy of the master's state and event log, so that open incidents follow a failover."""

    watch: bool = False
    timeout: Seconds = Seconds(30)  # of one pull; below Nagios's service_check_timeout
    fetch_timeout: Seconds = Seconds(10)  # of the last pull, from a master whose Nagios has failed
    warning: Seconds = Seconds(60)  # age of the copied status.dat
    critical: Seconds = Seconds(300)
    archive_days: int = 8  # the master's log archives of so many days are copied
    notification_doubt: Seconds = Seconds(2)  # what was logged so long before the master's death is sent again
    config_dirs: tuple[Path, ...] = ()  # of object configuration: what sync-config copies, and nothing else
    config_own: tuple[str, ...] = ("nagios-failover.cfg",)  # names of files there that are each host's own
    merge_timeout: Seconds = Seconds(120)  # of merging the event logs, after a failover


@dataclass(frozen=True)
class DatabaseSection:
    """[database]: this host's own server, for the loader (a Unix socket, no TLS) and `init-database`."""

    socket: Path | None = None  # e.g. /run/mysqld/mysqld.sock; none: no programstatus is written
    database: str = "nagios"
    user: str = "nagios"
    password: str = ""
    timeout: Seconds = Seconds(5)
    poll: Seconds = Seconds(0.5)  # the loader looks for queued spool files so often
    retry: Seconds = Seconds(2)  # pause before it tries again what the server did not answer
    linger: Seconds = Seconds(60)  # the loader stays for so long after the last batch
    queue_limit: int = 20000  # spool files kept while the database is away


@dataclass(frozen=True)
class PerfdataSection:
    """[perfdata]: trend data in PerfParse's tables, on the server of [database]."""

    load: bool = True  # no: only the heartbeat is taken from the queue
    database: str = "perfparse"
    batch_kilobytes: int = 1024  # of spool lines in one transaction
    queue_megabytes: int = 256  # what waits for the database, at most
    queue_age: Seconds = Seconds(3 * 86400)  # and for so long
    retention_days: int = 400  # samples, metrics and summaries older than this are deleted
    delete_batch: int = 1000  # rows at a time
    aside_megabytes: int = 8  # of malformed lines kept to be looked at
    warning: Seconds = Seconds(120)  # age of the oldest file that waits
    critical: Seconds = Seconds(600)
    lost_warning: Seconds = Seconds(86400)  # what was dropped or set aside is warned of for so long


@dataclass(frozen=True)
class RunSection:
    """[run]: hooks (a command line, split as a shell splits words, never given to a shell) and services to start."""

    pre_hook: tuple[str, ...] = ()
    post_hook: tuple[str, ...] = ()
    hook_timeout: Seconds = Seconds(30)
    guard_timeout: Seconds = Seconds(30)  # `guard` asks who is the master for so long, before Nagios starts
    perfdata_services: tuple[str, ...] = ()  # names as `service NAME start` takes them; the root helper's file lists them


@dataclass(frozen=True)
class MailSection:
    """[mail]: our own path to people, independent of Nagios's notifications."""

    method: MailMethod = MailMethod.SENDMAIL
    to: tuple[str, ...] = ()
    sender: str = ""  # default: nagios@HOST
    smtp_host: str = "localhost"
    smtp_port: Port = Port(25)
    command: tuple[str, ...] = ("/usr/sbin/sendmail", "-t", "-oi")
    timeout: Seconds = Seconds(15)


@dataclass(frozen=True)
class ReadySection:
    """[ready]: what check_failover_ready and a switchover ask for."""

    disk_free: int = 100  # MiB, on each file system that a run, Nagios's state and its log are written to
    clock_difference: Seconds = Seconds(5)  # between the two hosts


@dataclass(frozen=True)
class Config:
    """The hosts in the file's order, and the sections. `this` and `peer` are views from one host; where there are more than two
    ([quorum]), `peer_name` says which of the others is looked at: the master, as far as this host knows."""

    pair: PairSection
    hosts: tuple[HostSection, ...]
    nagios: NagiosSection
    paths: PathsSection
    ssh: SshSection
    look: LookSection
    heartbeat: HeartbeatSection
    witness: WitnessSection
    quorum: QuorumSection
    fence: FenceSection
    replication: ReplicationSection
    sync: SyncSection
    database: DatabaseSection
    perfdata: PerfdataSection
    run: RunSection
    ready: ReadySection
    mail: MailSection
    this_name: str
    path: Path
    peer_name: str = ""

    @property
    def this(self) -> HostSection:
        return next(host for host in self.hosts if host.name == self.this_name)

    @property
    def peer(self) -> HostSection:
        return next((host for host in self.others if host.name == self.peer_name), self.others[0])

    @property
    def others(self) -> tuple[HostSection, ...]:
        return tuple(host for host in self.hosts if host.name != self.this_name)

    def facing(self, name: str) -> Config:
        """The same, looking at this other host."""
        return replace(self, peer_name=name)

    @property
    def stateful(self) -> bool:
        """Is there state that roles carry with them (so that failback cannot be automatic)?"""
        return self.replication.watch or self.sync.watch

    @property
    def lease_pace(self) -> float:
        """Seconds from one decision about the lease to the next, at most: etcd is asked, then the others (a login, a command)."""
        return self.quorum.renew + self.quorum.timeout + 2 * self.fence.timeout

    @property
    def has_password(self) -> bool:
        replication = self.replication
        words = (self.heartbeat.password, self.database.password, replication.password, replication.replication_password)
        options = (self.fence.options, *(host.fence_options for host in self.hosts))
        return any(words) or any(some.hold_a_password for some in options)

    @property
    def preferred_host(self) -> str:
        """The host that gets the role back under `failback = automatic`."""
        return self.pair.preferred or self.hosts[0].name


SECTIONS: Mapping[str, type] = {
    "pair": PairSection,
    "nagios": NagiosSection,
    "paths": PathsSection,
    "ssh": SshSection,
    "look": LookSection,
    "heartbeat": HeartbeatSection,
    "witness": WitnessSection,
    "quorum": QuorumSection,
    "fence": FenceSection,
    "replication": ReplicationSection,
    "sync": SyncSection,
    "database": DatabaseSection,
    "perfdata": PerfdataSection,
    "run": RunSection,
    "ready": ReadySection,
    "mail": MailSection,
}

ETCD_ELECTION_SECONDS = 2.0
"""So long an etcd leader that was cut off may go on renewing: two of its election timeouts, as etcd has them by default. A host
holds its lease for so much shorter than etcd does."""

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


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
        mistakes.extend(_contradictions(config, has_witness=bool(config.witness.addresses or config.witness.accounts)))
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
            values[option] = _convert(hints[option], text.strip())
        except ValueError as error:
            mistakes.append(f"[{title}] {option}: {error}")
    return section(**{name: values.get(name, _default(field)) for name, field in known.items()} | given)


def _default(field: Field[Any]) -> Any:
    return "" if field.default is MISSING else field.default


def _convert(kind: Any, text: str) -> Any:
    """The value of an option's text; ValueError says what is wrong and what is right."""
    if get_origin(kind) is types.UnionType:
        return None if not text or text == "none" else _convert(get_args(kind)[0], text)
    if get_origin(kind) is tuple:
        return tuple(_convert(get_args(kind)[0], word) for word in _words(text))
    if kind is Account:
        return parse_account(text)
    if kind is Path:
        if not text.startswith("/"):
            raise ValueError(f"{text!r} is not an absolute path; hint: begin with /")
        return Path(text)
    if kind is Seconds:
        return duration(text)
    if kind is Options:
        return _options(text)
    if kind is bool:
        if text not in ("yes", "no"):
            raise ValueError(f"{text!r} is neither yes nor no")
        return text == "yes"
    if kind is Port:
        if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
            raise ValueError(f"{text!r} is not a port; hint: 1 to 65535")
        return Port(int(text))
    if kind is int:
        if not text.isascii() or not text.isdigit() or int(text) < 1:
            raise ValueError(f"{text!r} is not a whole number from 1")
        return int(text)
    if issubclass(kind, StrEnum):
        if text not in list(kind):
            raise ValueError(f"{text!r} is none of {', '.join(kind)}")
        return kind(text)
    return text


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text.replace(",", " ")))
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}; hint: close the quotation") from error


def _options(text: str) -> Options:
    pairs = []
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if not line.strip():
            continue
        if not equals or not name.replace("_", "").replace("-", "").isalnum():
            shown = f"{name}=..." if equals else "a line"  # it may be a part of a password
            raise ValueError(f"{shown} is not an option; hint: key=value, one a line, the lines below the first begin with a blank")
        pairs.append((name, value))
    return Options(pairs)


def duration(text: str) -> Seconds:
    """The seconds that `10`, `2.5s`, `5m`, `1h` or `30d` say. Raises ValueError."""
    number, unit = (text[:-1], text[-1:]) if text[-1:] in _UNITS else (text, "s")
    try:
        value = float(number) * _UNITS[unit]
    except ValueError:
        value = -1.0
    if not 0 < value < 1e9:
        raise ValueError(f"{text!r} is not a duration above 0; hint: 10, 2.5s, 5m, 1h or 30d")
    return Seconds(value)


def _contradictions(config: Config, *, has_witness: bool) -> list[str]:
    """What each option may say alone, but not together."""
    mistakes = []
    look, heartbeat, pair = config.look, config.heartbeat, config.pair
    if pair.failback is Failback.AUTOMATIC and config.stateful:
        section = "[replication]" if config.replication.watch else "[sync]"
        mistakes.append(
            f"[pair] failback: automatic cannot go with {section}: after a failover the roles of the databases and copies have "
            "changed, and the returned host's are behind; hint: failback = manual, and an operator rejoins the repaired host"
        )
    if pair.preferred and pair.preferred not in {host.name for host in config.hosts}:
        mistakes.append(f"[pair] preferred: {pair.preferred!r} is not one of the hosts")
    if not has_witness:
        mistakes.append(
            "[witness] addresses: missing; hint: name addresses that answer when this host is on the network (the gateway), or "
            "write addresses = none to fail over without any"
        )
    witnesses = config.witness.addresses
    if "none" in witnesses and (len(witnesses) > 1 or config.witness.accounts):
        mistakes.append("[witness] addresses: none beside others; hint: either addresses (and accounts) or none")
    mistakes.extend(f"[witness] addresses: {name!r} begins with a dash" for name in witnesses if name.startswith("-"))
    if config.fence.fencing is Fencing.REQUIRED and not (config.fence.user or config.fence.command):
        mistakes.append("[fence] fencing: required, but there is nothing to fence with; hint: set user, or command, or both")
    if not config.fence.command and (config.fence.options or any(host.fence_options for host in config.hosts)):
        mistakes.append(
            "[fence] options: there is no command that would read them; hint: set command, e.g. /usr/sbin/fence_ipmilan"
        )
    if config.fence.user.startswith("-"):
        mistakes.append(f"[fence] user: {config.fence.user!r} begins with a dash")
    for title, low, high in (
        ("[look] status_warning", look.status_warning, look.status_critical),
        ("[heartbeat] warning", heartbeat.warning, heartbeat.critical),
        ("[sync] warning", config.sync.warning, config.sync.critical),
        ("[replication] silence_warning", config.replication.silence_warning, config.replication.silence_critical),
        ("[perfdata] warning", config.perfdata.warning, config.perfdata.critical),
    ):
        if low > high:
            mistakes.append(f"{title}: {low:g} s is above the critical age of {high:g} s")
    mistakes.extend(_replication_contradictions(config))
    mistakes.extend(_quorum_contradictions(config))
    longest = max(config.ssh.timeout + look.reach_timeout, heartbeat.timeout)
    if look.timeout < longest:
        mistakes.append(
            f"[look] timeout: {look.timeout:g} s is less than a look can take: {longest:g} s "
            "([ssh] timeout + [look] reach_timeout, or [heartbeat] timeout)"
        )
    if not all(character.isalnum() or character in "+-:/_" for character in heartbeat.time_zone):
        mistakes.append(
            f"[heartbeat] time_zone: {heartbeat.time_zone!r} is not a time zone; hint: +00:00, or a name that the server knows"
        )
    if not heartbeat.prefix.replace("_", "").isalnum() and heartbeat.prefix:
        mistakes.append(f"[heartbeat] prefix: {heartbeat.prefix!r} does not begin a table's name; hint: letters, digits and _")
    for title, name in (("[database]", config.database.database), ("[perfdata]", config.perfdata.database)):
        if not (name.isascii() and name.replace("_", "").isalnum()):
            mistakes.append(f"{title} database: {name!r} is no plain name; hint: letters, digits and _")
    if config.mail.method is not MailMethod.SMTP and not config.mail.command:
        mistakes.append("[mail] command: empty; hint: /usr/sbin/sendmail -t -oi")
    mistakes.extend(_wrong_directories(config.sync))
    if not config.mail.to:
        mistakes.append("[mail] to: missing; hint: who is told of a failover, separated by commas")
    return mistakes


def _wrong_directories(sync: SyncSection) -> list[str]:
    """What root's helper will write to must be said plainly."""
    mistakes = []
    for path in sync.config_dirs:
        if ".." in path.parts or len(path.parts) < 3:
            mistakes.append(f"[sync] config_dirs: {path} is no directory of object configuration; hint: /etc/nagios4/conf.d")
        if any(other in path.parents for other in sync.config_dirs) or sync.config_dirs.count(path) > 1:
            mistakes.append(f"[sync] config_dirs: {path} is named twice, or lies below another one; hint: each directory once")
    mistakes.extend(
        f"[sync] config_own: {name!r} is a path; hint: the file's name alone" for name in sync.config_own if "/" in name
    )
    return mistakes


def _quorum_contradictions(config: Config) -> list[str]:
    quorum, mistakes = config.quorum, []
    for url in quorum.etcd:
        scheme, _, place = url.partition("://")
        if scheme not in ("http", "https") or not place or "/" in place or "@" in place:
            mistakes.append(f"[quorum] etcd: {url!r} is no member's address; hint: https://192.0.2.21:2379, several with commas")
    if bool(quorum.tls_cert) != bool(quorum.tls_key):
        mistakes.append("[quorum] tls_cert: a certificate and its key belong together; hint: set tls_cert and tls_key, or neither")
    if quorum.tls_cert and any(url.startswith("http:") for url in quorum.etcd):
        mistakes.append("[quorum] etcd: http has no use for tls_cert; hint: https://")
    if not (quorum.name.isascii() and quorum.name.replace("-", "").replace("_", "").isalnum()):
        mistakes.append(f"[quorum] name: {quorum.name!r} is no plain name; hint: letters, digits, - and _")
    if not quorum.etcd:
        return mistakes
    if len(config.hosts) > 2 and config.replication.watch:
        mistakes.append("[replication] watch: more than two hosts are not replicated; hint: watch = no, or two hosts")
    if not config.fence.user:
        mistakes.append("[quorum] etcd: needs [fence] user, the account by which a master asks the other hosts when etcd is away")
    if config.pair.failback is Failback.AUTOMATIC:
        mistakes.append("[quorum] etcd: cannot go with failback = automatic: whose the role is, the lease says; hint: manual")
    if quorum.lease < config.lease_pace + ETCD_ELECTION_SECONDS:
        mistakes.append(
            f"[quorum] lease: {quorum.lease:g} s is over before a master can have stood down; hint: more than "
            f"{config.lease_pace + ETCD_ELECTION_SECONDS:g} s ([quorum] renew + timeout, 2 x [fence] timeout, and 2 s)"
        )
    return mistakes


def _replication_contradictions(config: Config) -> list[str]:
    replication, mistakes = config.replication, []
    if replication.lag_warning > replication.lag_critical:
        lags = f"{replication.lag_warning:g} s is above the critical lag of {replication.lag_critical:g} s"
        mistakes.append(f"[replication] lag_warning: {lags}")
    if bool(replication.tls_cert) != bool(replication.tls_key):
        hint = "set tls_cert and tls_key, or neither"
        mistakes.append(f"[replication] tls_cert: a certificate and its key belong together; hint: {hint}")
    if replication.tls_cert and not replication.tls_ca:
        mistakes.append("[replication] tls_cert: without tls_ca there is no TLS; hint: tls_ca, who signed both hosts' certificates")
    odd = [name for name in replication.databases if not name.replace("_", "").replace("$", "").isalnum()]
    mistakes.extend(f"[replication] databases: {name!r} is no plain name; hint: letters, digits and _" for name in odd)
    if not replication.watch:
        return mistakes
    if config.database.socket is None:
        mistakes.append("[replication] watch: needs [database] socket, this host's own server; hint: /run/mysqld/mysqld.sock")
    if not replication.databases:
        mistakes.append("[replication] databases: empty; hint: databases = nagios perfparse")
    if replication.user == replication.replication_user:
        mistakes.append("[replication] user: the same as replication_user; hint: two accounts, each with its own rights")
    return mistakes
