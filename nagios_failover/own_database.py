"""This host's own database server made ready to be source or replica: certificate, settings, the role's drop-in, accounts.

Everything may be done again and again; what is right already is left alone. The process is the Nagios user's and can be root
again (user.as_root): the server knows root by its socket, and the files are root's.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from nagios_failover import certificates, server_settings, ssh
from nagios_failover.accounts import accounts, statements
from nagios_failover.config import Config
from nagios_failover.database_server import Server, own_server, peer_server
from nagios_failover.dialect import MySQL, Part, Statement, drop_in
from nagios_failover.errors import DatabaseFault, Failed, FailoverError, Refused
from nagios_failover.hands import ROOT_HELPER
from nagios_failover.server_settings import FILE_NAME, MANAGED, certificate_of, managed
from nagios_failover.shell import run
from nagios_failover.user import as_root

START_SECONDS = 60.0
ROOT = "root"
ACCESS_DENIED = (1045, 1698)
PLACE = certificates.Place(MANAGED)


@contextmanager
def administered(config: Config, *, timeout: float | None = None) -> Iterator[Server]:
    """This host's server as its administrator, over the socket. Raises DatabaseFault, and Refused for one that is too old."""
    administrator = replace(config, replication=replace(config.replication, user=ROOT, password=""))
    with ExitStack() as stack:
        with as_root():  # the server asks who opened the socket; what follows needs no root
            try:
                server = stack.enter_context(own_server(administrator, timeout=timeout))
            except DatabaseFault as error:
                if error.code in ACCESS_DENIED:
                    error.hint = "let root@localhost in by the socket alone, as Debian does: IDENTIFIED WITH auth_socket on MySQL"
                raise
        server.dialect.require_acting(server.host)
        yield server


@contextmanager
def source(config: Config, *, timeout: float | None = None) -> Iterator[Server]:
    """The other host's server as the account that replicas log in with."""
    section = config.replication
    reader = replace(config, replication=replace(section, user=section.replication_user, password=section.replication_password))
    try:
        with peer_server(reader, timeout=timeout) as server:
            yield server
    except DatabaseFault as error:
        raise (in_words(config, error) if error.host == config.peer.name else error) from error


def in_words(config: Config, error: DatabaseFault) -> DatabaseFault:
    """What keeps us from the other host's server, with the way out."""
    tls = certificates.why_not_verified(error.what, MANAGED)
    if tls:
        return DatabaseFault(f"{tls[0]} ({error.what})", host=error.host, hint=tls[1], code=error.code, answered=True)
    if error.answered or error.code == 2003:
        hint = f"run on {config.peer.name}, as root: nagios-failover init-database --restart"
        return DatabaseFault(error.what, host=error.host, hint=hint, code=error.code, answered=error.answered)
    return error


def require_configured(config: Config) -> None:
    """Raises Refused with every option that is missing, as it should be."""
    section = config.replication
    wanted = {
        "watch = yes": section.watch,
        "password = ...": section.password,
        "replication_password = ...": section.replication_password,
        f"tls_ca = {PLACE.bundle}": section.tls_ca,
        "drop_in = /etc/mysql/mariadb.conf.d/zz-nagios-failover.cnf": section.drop_in,
    }
    missing = [f"[replication] {line}" for line, value in wanted.items() if not value]
    if missing:
        raise Refused(
            f"replication is not configured: {len(missing)} option{'s' if len(missing) > 1 else ''} of {config.path} missing",
            host=config.this_name,
            detail="\n".join(missing),
            hint="the same on both hosts, then give the command again",
        )


# --- certificate ---


def make_certificate(config: Config) -> list[str]:
    """Our own where it is missing; with certificates of the administrator's own nothing is made."""
    if not managed(config):
        return []
    with as_root():
        made = certificates.make(PLACE, config.this_name, _addresses(config.this.address))
    return [made] if made else []


def trust_peer(config: Config) -> str:
    """Fetch the other host's authority over ssh; a sentence, "" where it was trusted already. Raises Failed."""
    if not managed(config):
        return ""
    peer, path = config.peer, PLACE.authority(config.peer.name)
    output = ssh.run_remote(config, peer, f"cat {path}", timeout=config.ssh.timeout)
    if output.code == 1 and "No such file" in output.stderr:
        hint = f"run on {peer.name}, as root: nagios-failover init-database"
        raise Failed("it has made no certificate yet", host=peer.name, hint=hint)
    if not output.well:
        answer = ssh.classify(output)
        raise Failed(f"its certificate could not be fetched: {answer.reason}", host=peer.name, hint="nagios-failover test")
    with as_root():
        return certificates.trust(PLACE, peer.name, output.stdout)


def _addresses(name: str) -> list[str]:
    """The name itself and what it stands for."""
    try:
        return [name, *sorted({str(entry[4][0]) for entry in socket.getaddrinfo(name, None)})]
    except OSError:
        return [name]


# --- settings and the role's drop-in ---


def write_settings(config: Config, part: Part) -> Iterator[str]:
    """Both files, where they are not so already; what was written. Raises Refused where they must not be written."""
    role = config.replication.drop_in
    assert role is not None  # require_configured
    if _text(role) != drop_in(part, semi_sync=config.replication.semi_sync):
        yield ask_root_helper(f"database-{part}")
    certificate, key = certificate_of(config)
    file = role.with_name(FILE_NAME)
    there = _text(file)
    wanted = server_settings.drop_in(config, config.this_name, certificate=certificate, key=key)
    if there != wanted and (there.startswith(server_settings.HEAD) or not _logs_already(config)):
        yield ask_root_helper("database-settings")


def _text(path: Path) -> str:
    try:
        with as_root():
            return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _logs_already(config: Config) -> bool:
    """Does the server write a binary log by settings of its own? Ours would begin a second one and lose the first: then the
    administrator's settings stay, and have to be right. Raises Refused with the lines that are missing."""
    try:
        with administered(config) as server:
            found = settings_of(config, server)
    except DatabaseFault:
        return False  # it does not run: nothing is known of its log
    if found.get("log_bin") != "ON":
        return False
    wrong = server_settings.wrong(config, config.this_name, found)
    if wrong and server_settings.speaks(found) == MySQL.name:
        return False  # it always writes one; our settings leave its name alone
    if wrong:
        raise Refused(
            "its server writes a binary log by settings of its own, which are not overwritten, and lack something",
            host=config.this_name,
            detail="\n".join(wrong),
            hint="write the lines where log-bin is set, restart the server, and give the command again",
        )
    return True


def ask_root_helper(verb: str) -> str:
    """One of its fixed verbs, as root. Raises Failed with its words."""
    with as_root():
        output = run((str(ROOT_HELPER), verb), timeout=2 * START_SECONDS)
    said = " ".join(f"{output.stdout} {output.stderr}".split())
    if not output.well:
        raise Failed(f"{ROOT_HELPER.name} {verb}: {said or 'no answer'}")
    return said.partition(": ")[2] or said  # without the host's name


# --- the server itself ---


def runs(config: Config) -> bool:
    """Does it answer? Raises what keeps us out of one that does."""
    try:
        with administered(config):
            return True
    except DatabaseFault as error:
        if error.answered:
            raise
        return False


def start(config: Config, verb: str) -> str:
    """`verb` is the root helper's: start-database or restart-database. Returns when the server answers."""
    began = time.monotonic()
    said = ask_root_helper(verb)
    while not runs(config):
        if time.monotonic() > began + START_SECONDS:
            raise Failed(
                f"its database server does not answer {START_SECONDS:g} s after it was started",
                host=config.this_name,
                hint=f"see its error log; our settings are in {FILE_NAME} and in [replication] drop_in",
            )
        time.sleep(0.1)
    return f"{said} ({time.monotonic() - began:.1f} s)"


def settings_of(config: Config, server: Server) -> dict[str, str]:
    return server.variables(server_settings.variables(config))


def make_ready(config: Config, part: Part, *, restart: bool, start_stopped: bool = False) -> Iterator[str]:
    """Certificate, settings, drop-in, the running server, accounts; what was done, as it is done. `restart`: the server may be
    restarted where its settings need it; without it that is refused, and what was written takes effect at its next start."""
    if part is Part.SOURCE:
        _require_promoted(config)
    yield from make_certificate(config)
    yield from write_settings(config, part)
    if not runs(config):
        if not (restart or start_stopped):
            hint = "does it hang? see its error log; where it does not run, give the command again with --restart"
            raise Refused("its database server does not answer", host=config.this_name, hint=hint)
        yield start(config, "start-database")
    yield from _install_semi_sync(config)
    with administered(config) as server:
        wrong = server_settings.wrong(config, config.this_name, settings_of(config, server))
    if wrong:
        yield _restarted(config, wrong, restart=restart)
    yield make_accounts(config)


def _install_semi_sync(config: Config) -> Iterator[str]:
    """Where it is not built in. A plugin reads its settings from the drop-ins in the moment in which it is installed."""
    if not config.replication.semi_sync:
        return
    with administered(config) as server:
        if not server.dialect.semi_sync_plugins:
            return
        found = server.variables([*server.dialect.semi_sync_plugins])
        missing = [install for variable, install in server.dialect.semi_sync_plugins.items() if variable not in found]
        if missing:
            with server.admitting_administrator():
                server.do(["SET SESSION sql_log_bin = 0", *missing])
            yield "installed what semi-synchronous replication needs"


def _require_promoted(config: Config) -> None:
    """A master whose database still is a replica has more to do than to be started as a source: a promotion proves that it has
    applied all. Raises Refused."""
    role = config.replication.drop_in
    assert role is not None  # require_configured
    try:
        with administered(config) as server:
            waits = server.replica_status() is not None
    except DatabaseFault:  # it does not run, or does not let us: what it would be at its start
        waits = _text(role) == drop_in(Part.REPLICA, semi_sync=config.replication.semi_sync)
    if waits:
        raise Refused(
            "this host is the master, and its database still a replica", host=config.this_name, hint="nagios-failover promote"
        )


def _restarted(config: Config, wrong: list[str], *, restart: bool) -> str:
    name = config.this_name
    if not restart:
        raise Refused(
            f"its database server has to be restarted for {len(wrong)} setting{'s' if len(wrong) > 1 else ''}",
            host=name,
            detail="\n".join(wrong),
            hint="give the command again with --restart, or restart it yourself first",
        )
    said = start(config, "restart-database")
    with administered(config) as server:
        left = server_settings.wrong(config, name, settings_of(config, server))
    if left:
        raise Failed(
            "its database server was restarted, and still is not as it should be",
            host=name,
            detail="\n".join(left),
            hint="another file sets something else, and is read later: mariadbd --print-defaults shows the order",
        )
    return said


def make_accounts(config: Config) -> str:
    """Of [replication], on this server alone: they are not written to the binary log."""
    with administered(config, timeout=config.database.timeout) as server:
        wanted = accounts(config, server.dialect, [_addresses(config.peer.address)[-1]])
        try:
            with server.admitting_administrator():
                server.do([Statement("SET SESSION sql_log_bin = 0"), *(one for account in wanted for one in statements(account))])
        except FailoverError as error:
            raise Failed(f"the accounts cannot be made: {error.what}", host=config.this_name, hint=error.hint) from error
    names = ", ".join(f"{account.name}@{account.host}" for account in wanted)
    return f"accounts {names} have what they need"
