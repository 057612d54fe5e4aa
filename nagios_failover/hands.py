"""What a run does to the world, so that a test can stand in for it: the real hands are put together here, each from the file that
does the work."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from nagios_failover import (
    fence_agent,
    fencing,
    flag_setting,
    lease_keeper,
    mail,
    mailed_by,
    nagios_files,
    observe,
    shell,
    witness_record,
)
from nagios_failover.command_file import send
from nagios_failover.config import Config
from nagios_failover.database_server import Server, own_server, peer_server
from nagios_failover.event_log import Notification
from nagios_failover.fenced import Fenced
from nagios_failover.frozen import frozen
from nagios_failover.lease import Word
from nagios_failover.readiness import readiness
from nagios_failover.role import Flags, RoleRecord
from nagios_failover.state_files import StateFiles, boot_id, uptime
from nagios_failover.trials import Trial
from nagios_failover.words import Flag

COMMANDS_AT_ONCE = 200
"""External commands written before Nagios is given a moment to read them: its pipe holds 64 KiB."""
ROOT_HELPER = Path(sys.prefix) / "bin" / "nagios-failover-root"


@frozen
class Hands:
    """Each is a call; what it raises is a FailoverError."""

    look: Callable[..., observe.Observation]  # (by=..., record=...)
    flags: Callable[[], dict[Flag, bool]]  # raises CouldNotLook
    set_flags: Callable[[Flags, Sequence[str]], list[str]]  # the flags, the commands to go ahead of them
    not_ok: Callable[[], list[tuple[str, str | None]]]
    commands: Callable[[Sequence[str]], None]
    root: Callable[[str], shell.Output]
    hook: Callable[[Sequence[str], Mapping[str, str]], shell.Output]
    deliver: Callable[[str, str, str], None]  # name, subject, body
    own_database: Callable[[], AbstractContextManager[Server]]
    old_source: Callable[[], AbstractContextManager[Server]]  # the other host's server, while it may still be read
    fence_mild: Callable[[int], Fenced]  # the term
    fence_hard: Callable[[Mapping[str, str]], Fenced]  # the environment, as a hook's
    unfence: Callable[[int, Flags], Fenced]  # the term, the flags that were on
    quiesce: Callable[[int], Fenced]  # the term
    there: Callable[[Sequence[str]], shell.Output]  # this suite's command on the other host; raises CouldNotLook
    role_there: Callable[[], RoleRecord | None]  # raises CouldNotLook
    ready: Callable[[], list[Trial]]
    mailed: Callable[[float], tuple[list[Notification], list[Notification]]]  # since: there, here
    witness_term: Callable[[], int]  # the highest that a witness has recorded, 0 for none
    tell_witnesses: Callable[[int, str], list[str]]  # term, master; what went wrong
    lease: Callable[..., Word]  # take or renew it: (the term, reign=is it the master already?); raises Failed
    lease_left: Callable[[], float]  # seconds for which this host holds it
    promised: Callable[[], str]  # why this host may not take it now, "" for nothing
    give_back_lease: Callable[[], None]
    now: Callable[[], float] = time.time
    uptime: Callable[[], float] = uptime
    boot: Callable[[], str] = boot_id
    sleep: Callable[[float], None] = time.sleep


def hands_of(config: Config, state: StateFiles) -> Hands:
    """The real ones of this host."""
    cfg = nagios_files.read_nagios_cfg(config.this.nagios_cfg)

    def commands(lines: Sequence[str]) -> None:
        for first in range(0, max(1, len(lines)), COMMANDS_AT_ONCE):  # none: is the command file read at all?
            send(cfg.command_file, lines[first : first + COMMANDS_AT_ONCE], now=int(time.time()))
            time.sleep(0.05 if len(lines) > COMMANDS_AT_ONCE else 0)

    return Hands(
        look=lambda by, record: observe.look(config, state, by=by, record=record),
        flags=lambda: dict(nagios_files.read_program_status(cfg.status_file).flags),
        set_flags=lambda flags, ahead: flag_setting.set_flags(config, flags, ahead=ahead),
        not_ok=lambda: nagios_files.read_objects_not_ok(cfg.status_file),
        commands=commands,
        root=lambda verb: shell.run(("sudo", "-n", str(ROOT_HELPER), verb), timeout=config.run.hook_timeout),
        hook=lambda argv, env: shell.run(argv, timeout=config.run.hook_timeout, env={**os.environ, **env}, cwd="/"),
        deliver=lambda name, subject, body: mail.deliver(config, state.directory, name, subject, body),
        # a replica that is connecting to a host without power takes its time to stop
        own_database=lambda: own_server(config, timeout=max(config.replication.timeout, config.replication.drain_timeout)),
        old_source=lambda: peer_server(config, timeout=min(config.replication.timeout, config.replication.old_source_timeout)),
        fence_mild=lambda term: fencing.fence_mild(config, term),
        fence_hard=lambda env: fence_agent.fence_hard(config, {**os.environ, **env}),
        unfence=lambda term, was_on: fencing.unfence(config, term, was_on),
        quiesce=lambda term: fencing.quiesce(config, term),
        there=lambda arguments: fencing.there(config, arguments, timeout=config.run.hook_timeout),
        role_there=lambda: fencing.role_there(config),
        ready=lambda: list(readiness(config, state)),
        witness_term=lambda: max((one.term for one in witness_record.read(config)), default=0),
        tell_witnesses=lambda term, master: witness_record.record(config, term=term, master=master),
        lease=lambda term, reign=False: lease_keeper.take(config, state, term=term, reign=reign),
        lease_left=lambda: lease_keeper.left_here(state),
        promised=lambda: lease_keeper.promised(state),
        give_back_lease=lambda: lease_keeper.give_back(config, state),
        mailed=lambda since: (mailed_by.mailed_there(config, since=since), mailed_by.mailed_here(config, since=since)),
    )
