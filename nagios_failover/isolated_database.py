"""The database of a master that is cut off: no writes while it is mute, and writes again when it goes on.

The override of the isolation remembers that it was writable before: nothing but the end of that isolation makes it writable again,
another role takes the override away, and what a person or a promotion had left read-only stays so. A guard that did not know who
is the master has started it as a replica's: then the drop-in is a source's again, too.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import replace

from nagios_failover import old_source, shell
from nagios_failover.config import Config
from nagios_failover.database_server import Server, own_server
from nagios_failover.dialect import Part, drop_in
from nagios_failover.errors import FailoverError
from nagios_failover.hands import ROOT_HELPER
from nagios_failover.role import Override
from nagios_failover.state_files import StateFiles

Connect = Callable[[Config], AbstractContextManager[Server]]
Root = Callable[[Config, str], shell.Output]
"""A verb of the root helper."""


def _by_sudo(config: Config, verb: str) -> shell.Output:
    return shell.run(("sudo", "-n", str(ROOT_HELPER), verb), timeout=config.run.hook_timeout)


def hold_writes(config: Config, state: StateFiles, override: Override, connect: Connect = own_server) -> list[str]:
    """Nothing where it is read-only already. A server that does not answer is said, and met again at the next check. Returns what
    was done, a sentence each. The caller holds the lock of the runs, and has seen that this host is a master."""
    if not _is_source(config):
        return []
    try:
        with connect(config) as server:
            if server.is_read_only():
                return []
            state.write_override(replace(override, writes_held=True))
            silenced = old_source.silence(server, config)
    except FailoverError as error:
        return [f"{config.this_name}: its database could not be made read-only: {error.what}"]
    return [f"{config.this_name}: its database is read-only meanwhile ({silenced.words}), its position is {silenced.position}"]


def let_write(config: Config, override: Override, connect: Connect = own_server, root: Root = _by_sudo) -> list[str]:
    """As it was before the isolation. Monitoring does not wait for a server that does not answer: that is said. The caller holds
    the lock of the runs, and has seen that this host is a master."""
    if not override.writes_held or not _is_source(config):
        return []
    try:
        with connect(config) as server:
            if config.replication.semi_sync and server.variables([server.dialect.semi_sync.source_enabled]):
                server.do([server.dialect.semi_sync_source("ON")])
            server.do(server.dialect.make_writable)
    except FailoverError as error:
        return [f"{config.this_name}: its database could not be made writable: {error.what} (hint: nagios-failover promote)"]
    return [f"{config.this_name}: its database is writable", *_starts_as_source(config, root)]


def _starts_as_source(config: Config, root: Root) -> list[str]:
    path, semi_sync = config.replication.drop_in, config.replication.semi_sync
    if path is None:
        return []
    with suppress(OSError, UnicodeDecodeError):
        if path.read_text(encoding="utf-8") == drop_in(Part.SOURCE, semi_sync=semi_sync):
            return []
    output = root(config, "database-source")
    if output.well:
        return []
    said = " ".join(f"{output.stdout} {output.stderr}".split())[:300] or f"exit code {output.code}"
    hint = f"as root: {ROOT_HELPER.name} database-source"
    return [f"{config.this_name}: a restart of its mysqld makes it read-only: {said} (hint: {hint})"]


def _is_source(config: Config) -> bool:
    return config.replication.watch and config.replication.promote
