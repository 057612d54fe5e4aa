"""nagios-failover-root: what needs root, as fixed verbs behind sudo (sudoers.sample). No options, no names from the caller.

    start-nagios     start this host's Nagios (cold standby)                        [host NAME] nagios_service
    start-perfdata   start the services that belong to the master                   [run] perfdata_services
    stop-perfdata    stop them, in the reverse order
    install-config   put the files that sync-config fetched below                   [sync] config_dirs
    restore-config   put back what the last install-config replaced
    database-source  write what mysqld is at its next start: the source ...         [replication] drop_in
    database-held    ... the source, read-only until the guard knows who is the master ...
    database-replica ... or a replica; the running server is not touched
    database-settings    write the settings that both servers of a pair need        beside [replication] drop_in
    start-database, restart-database                                                [replication] service
                     (these three for root's own commands: sudoers.sample does not give them to the Nagios user)
    version          say which version this is; changes nothing, so `nagios-failover test` uses it

What is started and written, and where files go, is named in the configuration file, which must be root's alone to change, and so
must the directories above it.
Exit codes as everywhere: 0 done, 1 failed, 2 wrong usage or configuration, 3 refused.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from nagios_failover import __version__
from nagios_failover.config import Config
from nagios_failover.config_file import load
from nagios_failover.dialect import Part, drop_in
from nagios_failover.errors import DONE, Failed, FailoverError, Incomplete, Refused, UsageError
from nagios_failover.root_only import require_roots_own
from nagios_failover.server_settings import FILE_NAME, certificate_of
from nagios_failover.server_settings import drop_in as settings_text
from nagios_failover.shell import run
from nagios_failover.state_files import write_atomically
from nagios_failover.words import CONFIG_FILE

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
SYSTEMD = Path("/run/systemd/system")
START_SECONDS = 60.0
DROP_INS = {"database-source": Part.SOURCE, "database-held": Part.HELD, "database-replica": Part.REPLICA}
DATABASE_ACTIONS = {"start-database": "start", "restart-database": "restart"}
VERBS = (
    *("start-nagios", "start-perfdata", "stop-perfdata", "install-config", "restore-config"),
    *(*DROP_INS, "database-settings", *DATABASE_ACTIONS, "version"),
)
PAST = {"start": "started", "stop": "stopped", "restart": "restarted"}
_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._:-]*")


def main(argv: Sequence[str] | None = None, config_file: Path = Path(CONFIG_FILE)) -> None:
    """Entry point. The caller's environment, directory and umask are nobody's business here."""
    os.environ.clear()
    os.environ.update(PATH=PATH, LC_ALL="C.UTF-8", HOME="/root")
    os.chdir("/")
    os.umask(0o022)
    try:
        for sentence in perform(sys.argv[1:] if argv is None else argv, config_file):
            print(sentence)
    except FailoverError as error:
        print(error.lines(), file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    raise SystemExit(DONE)


def perform(arguments: Sequence[str], config_file: Path) -> list[str]:
    """Do what the one verb says. Returns what was done, a sentence each. Raises FailoverError."""
    if len(arguments) != 1 or arguments[0] not in VERBS:
        given = " ".join(arguments)[:80] or "nothing"
        raise UsageError(f"not a verb of nagios-failover-root: {given}", hint=f"exactly one of {', '.join(VERBS)}")
    verb = arguments[0]
    if verb == "version":
        return [f"nagios-failover-root {__version__}"]
    if os.geteuid() != 0:
        raise Refused("nagios-failover-root must run as root", hint=f"sudo -n nagios-failover-root {verb}; see sudoers.sample")
    require_roots_own(config_file)
    config = load(config_file)
    if verb.endswith("-config"):
        from nagios_failover import install_config

        return install_config.install(config) if verb == "install-config" else install_config.restore(config)
    if verb in DROP_INS:
        return [write_drop_in(config, DROP_INS[verb])]
    if verb == "database-settings":
        return [write_settings(config)]
    return _all(config.this.name, services(config, verb))


def write_drop_in(config: Config, part: Part) -> str:
    """One of three fixed texts, atomically. Raises UsageError where no file is configured, Failed with the disk's reason."""
    path = config.replication.drop_in
    if path is None:
        raise UsageError("[replication] drop_in is not set", hint="drop_in = /etc/mysql/mariadb.conf.d/zz-nagios-failover.cnf")
    require_roots_own(path if path.exists() else path.parent)
    write_atomically(path, drop_in(part, semi_sync=config.replication.semi_sync), mode=0o644)
    return f"{config.this.name}: {path} says {part}"


def write_settings(config: Config) -> str:
    """The settings of a pair's server, in the directory of the role's drop-in. Raises as write_drop_in does."""
    role = config.replication.drop_in
    if role is None:
        raise UsageError("[replication] drop_in is not set", hint="drop_in = /etc/mysql/mariadb.conf.d/zz-nagios-failover.cnf")
    path = role.with_name(FILE_NAME)
    require_roots_own(path if path.exists() else path.parent)
    certificate, key = certificate_of(config)
    write_atomically(path, settings_text(config, config.this.name, certificate=certificate, key=key), mode=0o644)
    return f"{config.this.name}: wrote {path}"


def services(config: Config, verb: str) -> list[tuple[str, str]]:
    """(service, start, stop or restart) in order. Pure. Raises UsageError for a name that is no service's."""
    if verb == "start-nagios":
        names, action = [config.this.nagios_service], "start"
    elif verb in DATABASE_ACTIONS:
        names, action = [config.replication.service], DATABASE_ACTIONS[verb]
    elif verb == "start-perfdata":
        names, action = list(config.run.perfdata_services), "start"
    else:
        names, action = list(reversed(config.run.perfdata_services)), "stop"
    for name in names:
        if not _SERVICE.fullmatch(name):
            raise UsageError(f"{config.path} names a service that is none: {name[:80]!r}", hint="letters, digits and @._:-")
    return [(name, action) for name in names]


def command(name: str, action: str, *, systemd: bool) -> tuple[str, ...]:
    """The one command per service."""
    return ("systemctl", action, "--", name) if systemd else ("service", name, action)


def _all(host: str, wanted: Sequence[tuple[str, str]]) -> list[str]:
    """Each service, the next one even where one fails. Raises Failed when none was done, Incomplete when only some were."""
    done, failures = [], []
    for name, action in wanted:
        failure = _act(name, action)
        if failure:
            failures.append(failure)
        else:
            done.append(f"{host}: {name} {PAST[action]}")
    if not failures:
        return done
    kind = Incomplete if done else Failed
    raise kind(
        failures[0].partition("\n")[0], host=host, detail="\n".join([*failures, *done]), hint="look at the service's own log"
    )


def _act(name: str, action: str) -> str:
    """Start or stop one service. Returns what went wrong, "" for nothing."""
    argv = command(name, action, systemd=SYSTEMD.is_dir())
    output = run(argv, timeout=START_SECONDS)
    if output.timed_out:
        return f"{' '.join(argv)} did not end within {START_SECONDS:g} s"
    if output.code != 0:
        said = (output.stderr.strip() or output.stdout.strip())[-500:]
        return f"{' '.join(argv)} ended with exit code {output.code}" + (f"\n{said}" if said else "")
    return ""


if __name__ == "__main__":
    main()
