"""What each option may say alone, but not together, and what its type cannot say of it. Every mistake is one line with its
section, option and hint.
"""

from __future__ import annotations

from collections.abc import Iterator

from nagios_failover.config import Config
from nagios_failover.config_sections import ETCD_ELECTION_SECONDS
from nagios_failover.config_values import Failback, Fencing, MailMethod


def contradictions(config: Config) -> list[str]:
    rules = (
        _pair,
        _witness,
        _fence,
        _ages,
        _replication,
        _quorum,
        _look,
        _heartbeat,
        _names_of_databases,
        _mail_command,
        _directories,
        _recipients,
    )
    return [mistake for rule in rules for mistake in rule(config)]


def _pair(config: Config) -> Iterator[str]:
    pair = config.pair
    if pair.failback is Failback.AUTOMATIC and config.stateful:
        section = "[replication]" if config.replication.watch else "[sync]"
        yield (
            f"[pair] failback: automatic cannot go with {section}: after a failover the roles of the databases and copies have "
            "changed, and the returned host's are behind; hint: failback = manual, and an operator rejoins the repaired host"
        )
    if pair.preferred and pair.preferred not in {host.name for host in config.hosts}:
        yield f"[pair] preferred: {pair.preferred!r} is not one of the hosts"


def _witness(config: Config) -> Iterator[str]:
    addresses, accounts = config.witness.addresses, config.witness.accounts
    if not addresses and not accounts:
        yield (
            "[witness] addresses: missing; hint: name addresses that answer when this host is on the network (the gateway), or "
            "write addresses = none to fail over without any"
        )
    if "none" in addresses and (len(addresses) > 1 or accounts):
        yield "[witness] addresses: none beside others; hint: either addresses (and accounts) or none"
    for name in addresses:
        if name.startswith("-"):
            yield f"[witness] addresses: {name!r} begins with a dash"


def _fence(config: Config) -> Iterator[str]:
    fence = config.fence
    if fence.fencing is Fencing.REQUIRED and not (fence.user or fence.command):
        yield "[fence] fencing: required, but there is nothing to fence with; hint: set user, or command, or both"
    if not fence.command and (fence.options or any(host.fence_options for host in config.hosts)):
        yield "[fence] options: there is no command that would read them; hint: set command, e.g. /usr/sbin/fence_ipmilan"
    if fence.user.startswith("-"):
        yield f"[fence] user: {fence.user!r} begins with a dash"


def _ages(config: Config) -> Iterator[str]:
    look, heartbeat = config.look, config.heartbeat
    for title, low, high in (
        ("[look] status_warning", look.status_warning, look.status_critical),
        ("[heartbeat] warning", heartbeat.warning, heartbeat.critical),
        ("[sync] warning", config.sync.warning, config.sync.critical),
        ("[replication] silence_warning", config.replication.silence_warning, config.replication.silence_critical),
        ("[perfdata] warning", config.perfdata.warning, config.perfdata.critical),
    ):
        if low > high:
            yield f"{title}: {low:g} s is above the critical age of {high:g} s"


def _replication(config: Config) -> Iterator[str]:
    replication = config.replication
    if replication.lag_warning > replication.lag_critical:
        lags = f"{replication.lag_warning:g} s is above the critical lag of {replication.lag_critical:g} s"
        yield f"[replication] lag_warning: {lags}"
    if bool(replication.tls_cert) != bool(replication.tls_key):
        hint = "set tls_cert and tls_key, or neither"
        yield f"[replication] tls_cert: a certificate and its key belong together; hint: {hint}"
    if replication.tls_cert and not replication.tls_ca:
        yield "[replication] tls_cert: without tls_ca there is no TLS; hint: tls_ca, who signed both hosts' certificates"
    for name in replication.databases:
        if not name.replace("_", "").replace("$", "").isalnum():
            yield f"[replication] databases: {name!r} is no plain name; hint: letters, digits and _"
    if not replication.watch:
        return
    if config.database.socket is None:
        yield "[replication] watch: needs [database] socket, this host's own server; hint: /run/mysqld/mysqld.sock"
    if not replication.databases:
        yield "[replication] databases: empty; hint: databases = nagios perfparse"
    if replication.user == replication.replication_user:
        yield "[replication] user: the same as replication_user; hint: two accounts, each with its own rights"


def _quorum(config: Config) -> Iterator[str]:
    quorum = config.quorum
    for url in quorum.etcd:
        scheme, _, place = url.partition("://")
        if scheme not in ("http", "https") or not place or "/" in place or "@" in place:
            yield f"[quorum] etcd: {url!r} is no member's address; hint: https://192.0.2.21:2379, several with commas"
    if bool(quorum.tls_cert) != bool(quorum.tls_key):
        yield "[quorum] tls_cert: a certificate and its key belong together; hint: set tls_cert and tls_key, or neither"
    if quorum.tls_cert and any(url.startswith("http:") for url in quorum.etcd):
        yield "[quorum] etcd: http has no use for tls_cert; hint: https://"
    if not (quorum.name.isascii() and quorum.name.replace("-", "").replace("_", "").isalnum()):
        yield f"[quorum] name: {quorum.name!r} is no plain name; hint: letters, digits, - and _"
    if quorum.etcd:
        yield from _role_as_a_lease(config)


def _role_as_a_lease(config: Config) -> Iterator[str]:
    if len(config.hosts) > 2 and config.replication.watch:
        yield "[replication] watch: more than two hosts are not replicated; hint: watch = no, or two hosts"
    if not config.fence.user:
        yield "[quorum] etcd: needs [fence] user, the account by which a master asks the other hosts when etcd is away"
    if config.pair.failback is Failback.AUTOMATIC:
        yield "[quorum] etcd: cannot go with failback = automatic: whose the role is, the lease says; hint: manual"
    least = config.lease_pace + ETCD_ELECTION_SECONDS
    if config.quorum.lease < least:
        yield (
            f"[quorum] lease: {config.quorum.lease:g} s is over before a master can have stood down; hint: more than "
            f"{least:g} s ([quorum] renew + timeout, 2 x [fence] timeout, and 2 s)"
        )


def _look(config: Config) -> Iterator[str]:
    look = config.look
    longest = max(config.ssh.timeout + look.reach_timeout, config.heartbeat.timeout)
    if look.timeout < longest:
        yield (
            f"[look] timeout: {look.timeout:g} s is less than a look can take: {longest:g} s "
            "([ssh] timeout + [look] reach_timeout, or [heartbeat] timeout)"
        )


def _heartbeat(config: Config) -> Iterator[str]:
    zone, prefix = config.heartbeat.time_zone, config.heartbeat.prefix
    if not all(character.isalnum() or character in "+-:/_" for character in zone):
        yield f"[heartbeat] time_zone: {zone!r} is not a time zone; hint: +00:00, or a name that the server knows"
    if not prefix.replace("_", "").isalnum() and prefix:
        yield f"[heartbeat] prefix: {prefix!r} does not begin a table's name; hint: letters, digits and _"


def _names_of_databases(config: Config) -> Iterator[str]:
    for title, name in (("[database]", config.database.database), ("[perfdata]", config.perfdata.database)):
        if not (name.isascii() and name.replace("_", "").isalnum()):
            yield f"{title} database: {name!r} is no plain name; hint: letters, digits and _"


def _mail_command(config: Config) -> Iterator[str]:
    if config.mail.method is not MailMethod.SMTP and not config.mail.command:
        yield "[mail] command: empty; hint: /usr/sbin/sendmail -t -oi"


def _directories(config: Config) -> Iterator[str]:
    """What root's helper will write to must be said plainly."""
    sync = config.sync
    for path in sync.config_dirs:
        if ".." in path.parts or len(path.parts) < 3:
            yield f"[sync] config_dirs: {path} is no directory of object configuration; hint: /etc/nagios4/conf.d"
        if any(other in path.parents for other in sync.config_dirs) or sync.config_dirs.count(path) > 1:
            yield f"[sync] config_dirs: {path} is named twice, or lies below another one; hint: each directory once"
    for name in sync.config_own:
        if "/" in name:
            yield f"[sync] config_own: {name!r} is a path; hint: the file's name alone"


def _recipients(config: Config) -> Iterator[str]:
    if not config.mail.to:
        yield "[mail] to: missing; hint: who is told of a failover, separated by commas"
