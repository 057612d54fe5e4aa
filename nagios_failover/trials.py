"""`nagios-failover test`: everything that a failover will need is tried out, one line each, with what mends it."""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Iterator
from dataclasses import replace

from nagios_failover import flags, second_route, ssh
from nagios_failover.account import Account
from nagios_failover.cfg_rules import Kind
from nagios_failover.config import Config
from nagios_failover.config_values import Schema, Start
from nagios_failover.errors import CouldNotLook, FailoverError
from nagios_failover.evidence import Blocked, HostReport, NoAnswer, Process
from nagios_failover.examine import examine_this
from nagios_failover.frozen import frozen
from nagios_failover.nagios_files import read_nagios_cfg
from nagios_failover.overview import has_suite, what_is_wrong
from nagios_failover.remote import parse_report, probe_script
from nagios_failover.shell import run
from nagios_failover.state_files import StateFiles
from nagios_failover.words import Role

READ_ONLY = 1290
"""What MariaDB and MySQL say to a write while they are read-only."""


@frozen
class Trial:
    """One thing tried. `ok` None: not configured, so nothing to try. `fix` says what mends it."""

    name: str
    ok: bool | None
    sentence: str
    fix: str = ""


def trials(config: Config, state: StateFiles, *, mail: bool) -> Iterator[Trial]:
    """Each as soon as it is known, the cheap and the basic ones first. Leaves nothing changed; sends a mail if `mail`."""
    yield _state_directory(config)
    yield _role(config, state)
    yield from _flags(config, state)
    yield from _nagios_cfg(config)
    yield _command_file(config, state)
    yield from _other_host(config)
    yield _heartbeat(config)
    yield _own_database(config)
    yield from _replication(config)
    yield from _witnesses(config)
    yield from _quorum(config)
    yield from _fences(config)
    yield _root_helper(config)
    yield _mail(config, send=mail)


def _failed(config: Config, name: str, error: FailoverError) -> Trial:
    """Something of this host's own went wrong."""
    return Trial(name, False, f"{error.host or config.this_name}: {error.what}", error.hint)


# --- this host ---


def _state_directory(config: Config) -> Trial:
    path = config.paths.state
    fix = f"install -d -o {config.nagios.user} -g adm -m 2750 {path}"
    try:
        mode = path.stat()
    except OSError as error:
        return Trial("state", False, f"{config.this_name}: {path}: {error.strerror}", fix)
    if not path.is_dir() or not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return Trial("state", False, f"{config.this_name}: {path} is not writable by {config.nagios.user}", fix)
    if mode.st_mode & stat.S_IWOTH:
        return Trial("state", False, f"{config.this_name}: {path} is writable by everybody", fix)
    foreign = sorted(entry.name for entry in path.iterdir() if entry.stat(follow_symlinks=False).st_uid != os.geteuid())
    if foreign:
        fix = f"chown -R {config.nagios.user} {path}"
        return Trial("state", False, f"{config.this_name}: {path} has files of another user: {', '.join(foreign[:5])}", fix)
    return Trial("state", True, f"{config.this_name}: {path} is writable by {config.nagios.user}")


def _role(config: Config, state: StateFiles) -> Trial:
    try:
        role = state.role()
    except FailoverError as error:
        return _failed(config, "role", error)
    return Trial("role", True, f"{config.this_name}: {role.role}, master {role.master}, term {role.term}")


def _flags(config: Config, state: StateFiles) -> Iterator[Trial]:
    """What the state watch says of this host: the running Nagios as it is, not as nagios.cfg would have it."""
    try:
        report = flags.compare(config, state)
    except FailoverError as error:
        yield _failed(config, "flags", error)
        return
    findings = what_is_wrong(config, report)
    for finding in findings:
        yield Trial("flags", False, finding.sentence, finding.hint)
    if not findings:
        yield Trial("flags", True, report.sentence)


def _nagios_cfg(config: Config) -> Iterator[Trial]:
    findings = [finding for finding in examine_this(config) if finding.kind is not Kind.ADVICE]
    if not findings:
        yield Trial(
            "nagios.cfg", True, f"{config.this_name}: {config.this.nagios_cfg} and the watch services are as they should be"
        )
    for finding in findings:
        fix = (
            f"write {finding.wanted} there and restart Nagios on {finding.host}"
            if finding.wanted
            else "nagios-failover check-config"
        )
        yield Trial("nagios.cfg", False, finding.sentence(), fix)


def _command_file(config: Config, state: StateFiles) -> Trial:
    from nagios_failover.command_file import send

    try:
        path = read_nagios_cfg(config.this.nagios_cfg).command_file
        if config.pair.standby is Start.COLD and state.role().role is Role.STANDBY:
            return Trial(
                "command file", None, f"{config.this_name}: a cold standby: Nagios is started by a failover, and reads {path}"
            )
        send(path, (), now=int(time.time()))
    except FailoverError as error:
        return _failed(config, "command file", error)
    return Trial("command file", True, f"{config.this_name}: Nagios reads {path}")


def _root_helper(config: Config) -> Trial:
    from nagios_failover.hands import ROOT_HELPER

    output = run(("sudo", "-n", str(ROOT_HELPER), "version"), timeout=config.ssh.timeout)
    if output.well:
        return Trial("sudo", True, f"{config.this_name}: {config.nagios.user} may run {ROOT_HELPER} as root")
    said = " ".join((output.stderr or output.stdout).split())[-200:] or "no answer"
    fix = "install -o root -g root -m 0440 sudoers.sample /etc/sudoers.d/nagios-failover; visudo -c"
    return Trial("sudo", False, f"{config.this_name}: sudo -n {ROOT_HELPER} version failed: {said}", fix)


def _mail(config: Config, *, send: bool) -> Trial:
    from nagios_failover.mail import send as send_mail

    to = ", ".join(config.mail.to)
    if not send:
        return Trial("mail", None, f"not sent (--no-mail): would go to {to} by {config.mail.method}")
    subject = f"[nagios-failover] test mail from {config.this_name}"
    body = (
        f"This is a test: nagios-failover test was run on {config.this_name}.\n"
        "A failover would be told to you in this way. Nothing has happened, and nothing is to be done.\n"
    )
    try:
        send_mail(config, subject, body)
    except FailoverError as error:
        return _failed(config, "mail", error)
    return Trial("mail", True, f"{config.this_name}: a test mail is on its way to {to} by {config.mail.method}")


# --- the other host, the databases, the network ---


def _other_host(config: Config) -> Iterator[Trial]:
    """The probe over a login of its own: the held connection of the checks does not prove that a new one works."""
    report, name = _fresh_look(config), config.peer.name
    if isinstance(report, Blocked):
        yield Trial("ssh", False, f"{name}: {report.reason}", report.hint)
        return
    if isinstance(report, NoAnswer):
        fix = f"ssh -l {config.ssh.user} {config.peer.address} as {config.nagios.user}, by hand, shows why"
        yield Trial("ssh", False, f"{name}: {report.reason}", fix)
        return
    yield Trial("ssh", True, f"{name}: {config.ssh.user} logs in ({report.seconds:.2f} s){_resolved(config.peer.address)}")
    if isinstance(report.process, Blocked):
        yield Trial("rights there", False, f"{name}: could not look: {report.process.reason}", report.process.hint)
    elif report.role_problem and has_suite(config, report):
        fix = f"{config.ssh.user} is in the groups adm and www-data there, and {config.paths.state} has mode 2750 and group adm"
        yield Trial("rights there", False, f"{name}: {report.role_problem}", fix)
    else:
        yield Trial("rights there", True, f"{name}: {_seen_there(report)}")


def _resolved(address: str) -> str:
    """What a name stands for now; nothing for what is an address already."""
    try:
        found = sorted({str(entry[4][0]) for entry in socket.getaddrinfo(address, None)})
    except OSError as error:
        return f"; {address} cannot be resolved: {error.strerror or error}"
    return "" if found == [address] else f"; {address} is {', '.join(found)}"


def _fresh_look(config: Config) -> HostReport | NoAnswer | Blocked:
    peer, timeout = config.peer, config.ssh.timeout
    argv = ssh.command(config.ssh, peer.address, None, timeout=timeout)
    output = run(argv, timeout=timeout, stdin=probe_script(str(peer.nagios_cfg), str(config.paths.state)))
    if not output.well:
        return ssh.classify(output)
    try:
        return replace(parse_report(output.stdout, binary=peer.nagios_binary.name), seconds=output.seconds)
    except CouldNotLook as error:
        return Blocked(f"{error.what} ({error.detail})" if error.detail else error.what, error.hint)


def _seen_there(report: HostReport) -> str:
    role = f"role {report.role.role}, term {report.role.term}" if report.role else "no suite there"
    age = "no status.dat" if report.status_age is None else f"status.dat {report.status_age:.0f} s old"
    process = report.process.value if isinstance(report.process, Process) else "unseen"
    return f"Nagios is {process}, {age}, {role}"


def _heartbeat(config: Config) -> Trial:
    """The other host's programstatus is read whichever host is the master now: after a failover it has to be."""
    from nagios_failover import heartbeat

    section, name = config.heartbeat, config.peer.name
    where = f"{config.peer.address}:{section.port}"
    if section.schema is Schema.NONE:
        return Trial("SQL", None, f"{name}: no heartbeat configured ([heartbeat] schema = none)")
    heard = heartbeat.read(config.peer.address, section)
    if isinstance(heard, NoAnswer):
        fix = "its server runs, bind-address = 0.0.0.0 under [mysqld] there, no packet filter between"
        return Trial("SQL", False, f"{name}: {where} does not answer: {heard.reason}", fix)
    if isinstance(heard, Blocked):
        if heard.reason.endswith("is empty") or "has no time" in heard.reason:  # a standby's database: nothing was written yet
            return Trial("SQL", True, f"{name}: {section.user} reads {where}; {heard.reason} (it is written on a master)")
        return Trial("SQL", False, f"{name}: {where}: {heard.reason}", heard.hint)
    return Trial("SQL", True, f"{name}: {section.user} reads {where}; the heartbeat is {heard.age:.0f} s old")


def _own_database(config: Config) -> Trial:
    import pymysql

    from nagios_failover.mysql import connection

    database, name = config.database, config.this_name
    if database.socket is None:
        return Trial("own database", None, f"{name}: no heartbeat is written ([database] socket = none)")
    try:
        with (
            connection(
                timeout=database.timeout,
                user=database.user,
                password=database.password,
                database=database.database,
                socket=database.socket,
            ) as opened,
            opened.cursor() as cursor,
        ):
            cursor.execute("SELECT COUNT(*) FROM programstatus")
            cursor.execute("UPDATE programstatus SET last_update = last_update WHERE FALSE")
    except pymysql.MySQLError as error:
        code = error.args[0] if error.args else 0
        said = error.args[1] if len(error.args) > 1 else error
        if code == READ_ONLY and config.replication.watch:  # a source that is read-only is what check_replication tells
            return Trial("own database", True, f"{name}: its database is read-only, as a replica's is")
        fix = "nagios-failover init-database on this host, and the GRANTs that it prints"
        return Trial("own database", False, f"{name}: {database.socket}: {said} ({code})", fix)
    return Trial("own database", True, f"{name}: {database.user} writes programstatus over {database.socket}")


def _replication(config: Config) -> Iterator[Trial]:
    """Both servers as the account that acts: after a failover the old source is made read-only with it."""
    from nagios_failover.database_server import own_server, peer_server

    if not config.replication.watch:
        yield Trial("replication", None, f"{config.this_name}: no replication is configured ([replication] watch)")
        return
    for name, connect in ((config.this_name, own_server), (config.peer.name, peer_server)):
        try:
            with connect(config) as server:
                if config.replication.promote:
                    server.dialect.require_acting(name)
                part = "a replica" if server.replica_status() else "no replica"
                read_only = "read-only" if server.is_read_only() else "writable"
                which = f"{server.dialect.name} {server.dialect.version}"
            yield Trial("replication", True, f"{name}: {config.replication.user} sees {which}, {part}, {read_only}")
        except FailoverError as error:
            yield _failed(config, "replication", error)


def _witnesses(config: Config) -> Iterator[Trial]:
    from nagios_failover.net import witness

    addresses = config.witness.asked
    if not addresses:
        yield Trial("witness", None, "none configured: a standby that is cut off takes the master for dead")
    for address in addresses:
        answer = witness(address, config.look.reach_timeout)
        if answer.answered:
            yield Trial("witness", True, f"{address} answers")
        else:
            fix = "name an address that answers whenever this host is on the network ([witness] addresses)"
            yield Trial("witness", False, f"{address} does not answer: {answer.reason}", fix)
    for account in config.witness.accounts:
        yield _second_route(config, account)


def _second_route(config: Config, account: Account) -> Trial:
    """The witness lets us in, and the other host through it."""
    name, through = config.peer.name, f"through the witness {account}"
    came = second_route.run_afresh(config, account, config.peer, "true", timeout=2 * config.ssh.timeout)
    if came.problem is None:
        return Trial("second route", True, f"{name}: {config.ssh.user} logs in {through} ({came.output.seconds:.2f} s)")
    fix = getattr(came.problem, "hint", "") or f"ssh -J {account} -l {config.ssh.user} {config.peer.address}, by hand, shows why"
    who = name if came.reached else f"{name}: {account}"
    return Trial("second route", False, f"{who}: not {through}: {came.problem.reason}", fix)


def _quorum(config: Config) -> Iterator[Trial]:
    """Each member by itself, as part of a quorum; where there is none, no word of it."""
    from nagios_failover.etcd import Etcd
    from nagios_failover.lease import Away
    from nagios_failover.state_files import uptime

    if not config.quorum.etcd:
        return
    for url, word in Etcd(config.quorum, uptime).members():
        problem = word.reason if isinstance(word, Away) else ""
        fix = "is it running, do its certificates fit ([quorum] tls_ca, tls_cert), does it reach the other members?"
        yield Trial("quorum", not problem, f"{url}: {problem}" if problem else f"{url} answers", fix)


def _fences(config: Config) -> Iterator[Trial]:
    from nagios_failover import fence_agent, fencing

    name, user = config.peer.name, config.fence.user
    if user:
        try:
            way = fencing.try_mild(config)
            yield Trial("fence", True, f"{name}: {user} logs in {way}, and may mute or end its Nagios")
        except CouldNotLook as error:
            yield Trial("fence", False, f"{name}: {user}: {error}", error.hint)
    if not config.fence.command:
        return
    program = config.fence.command[0]
    if not program.rpartition("/")[2].startswith("fence_"):
        # Only an agent is known to take "status" for what it is.
        yield Trial("fence agent", None, f"{name}: {program} is not tried: it is no fence_* agent, and may not know action=status")
        return
    output = fence_agent.run_agent(config, os.environ, action="status")
    if output.code in (0, 2):
        yield Trial("fence agent", True, f"{name}: {program} says that it is {'on' if output.well else 'off'}")
    else:
        said = fence_agent.what_it_said(config, output) or ("no answer in time" if output.timed_out else "nothing")
        yield Trial("fence agent", False, f"{name}: {program}: exit code {output.code}: {said}", "compare [fence] options")
