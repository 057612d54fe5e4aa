"""The sections of nagios-failover.cfg and their options: a field's name is the option's name, its type decides how it is read
(config_values.py), its comment says what it means. What options may not say together is in config_contradictions.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nagios_failover.account import Account
from nagios_failover.config_values import Failback, Fencing, MailMethod, Options, Port, Schema, Seconds, Severity, Start
from nagios_failover.frozen import frozen
from nagios_failover.words import Mode

ETCD_ELECTION_SECONDS = 2.0
"""So long an etcd leader that was cut off may go on renewing: two of its election timeouts, as etcd has them by default. A host
holds its lease for so much shorter than etcd does."""


@frozen
class PairSection:
    """[pair]"""

    mode: Mode = Mode.FAILOVER
    failback: Failback = Failback.MANUAL
    failback_after: Seconds = Seconds(60)  # the returned host is well for so long before it gets the role back
    preferred: str = ""  # failback = automatic: the host that gets the role back; default: the first [host ...]
    flap_block: Seconds = Seconds(3600)  # a failover blocks the way back for so long; `ack` releases it
    standby: Start = Start.WARM
    pause_warning: Seconds = Seconds(3600)  # a pause without an end is warned of after this


@frozen
class HostSection:
    """[host NAME]: NAME is what `hostname` prints there, with or without its domain."""

    name: str
    address: str = ""  # default: the name
    nagios_cfg: Path = Path("/etc/nagios4/nagios.cfg")
    nagios_binary: Path = Path("/usr/sbin/nagios4")
    nagios_service: str = "nagios4"  # for `service NAME start`, cold standby only
    fence_options: Options = Options()


@frozen
class NagiosSection:
    """[nagios]: names that the object configuration uses too (see commands.cfg.sample)."""

    user: str = "nagios"
    watch_host: str = "nagios-failover"  # the always-up host that carries the watch services
    master_watch: str = "Master Nagios"  # the only service that may start a run
    state_watch: str = "Failover state"
    lease_watch: str = "Role lease"  # with [quorum] (see quorum.cfg.sample)
    verify_timeout: Seconds = Seconds(30)  # status.dat shows the wanted flags within this time


@frozen
class PathsSection:
    """[paths]"""

    state: Path = Path("/var/lib/nagios-failover")


@frozen
class SshSection:
    """[ssh]: how the other host is looked at; a maintenance account without privileges."""

    user: str = "hb"
    port: Port = Port(22)
    identity: Path | None = None
    known_hosts: Path | None = None
    timeout: Seconds = Seconds(4)  # of one probe, connection included
    renew: Seconds = Seconds(60)  # a held connection is opened afresh after this


@frozen
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


@frozen
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


@frozen
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


@frozen
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


@frozen
class FenceSection:
    """[fence]: how the old master is kept from notifying. Its port and known hosts are those of [ssh]."""

    fencing: Fencing = Fencing.BEST_EFFORT
    user: str = ""  # an account on the other host that may write to Nagios's command file and end it: nagios; empty: none
    identity: Path | None = None  # its key; none: the Nagios user's own
    timeout: Seconds = Seconds(4)  # of a login, and of what is run there
    verify_timeout: Seconds = Seconds(10)  # the flags are seen off within this, and two of its status_update_intervals
    command: tuple[str, ...] = ()  # e.g. /usr/sbin/fence_ipmilan; never given to a shell
    options: Options = Options()
    command_timeout: Seconds = Seconds(60)


@frozen
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


@frozen
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


@frozen
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


@frozen
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


@frozen
class RunSection:
    """[run]: hooks (a command line, split as a shell splits words, never given to a shell) and services to start."""

    pre_hook: tuple[str, ...] = ()
    post_hook: tuple[str, ...] = ()
    hook_timeout: Seconds = Seconds(30)
    guard_timeout: Seconds = Seconds(30)  # `guard` asks who is the master for so long, before Nagios starts
    perfdata_services: tuple[str, ...] = ()  # names as `service NAME start` takes them; the root helper's file lists them


@frozen
class MailSection:
    """[mail]: our own path to people, independent of Nagios's notifications."""

    method: MailMethod = MailMethod.SENDMAIL
    to: tuple[str, ...] = ()
    sender: str = ""  # default: nagios@HOST
    smtp_host: str = "localhost"
    smtp_port: Port = Port(25)
    command: tuple[str, ...] = ("/usr/sbin/sendmail", "-t", "-oi")
    timeout: Seconds = Seconds(15)


@frozen
class ReadySection:
    """[ready]: what check_failover_ready and a switchover ask for."""

    disk_free: int = 100  # MiB, on each file system that a run, Nagios's state and its log are written to
    clock_difference: Seconds = Seconds(5)  # between the two hosts


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
