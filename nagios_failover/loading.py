"""What was inherited goes into this host's running Nagios at the moment of the activation, in one write with it.

A large Nagios stands still for a second or two while it reads the file, and again whenever it writes its status. What is in the
command file before it begins to read it obeys at once after; what came later would wait for that status. Until then the file lies
beside state_retention_file, where no hourly save of Nagios's own can put another in its place.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from nagios_failover.command_file import tagged
from nagios_failover.copies import chunks
from nagios_failover.errors import CouldNotLook, Failed, NoReader, UsageError
from nagios_failover.event_log import ExternalCommand
from nagios_failover.log_tail import commands_since
from nagios_failover.nagios_cfg import NagiosCfg
from nagios_failover.nagios_files import read_nagios_cfg, read_program_status
from nagios_failover.role import role_flags
from nagios_failover.snapshot import read_own
from nagios_failover.state_files import cannot_write
from nagios_failover.workflow import Flow

READ = tagged("READ_STATE_INFORMATION")
FRESH_GRACE_SECONDS = 5.0
PIPE_WAIT_SECONDS = 20.0
"""So long Nagios may take to read a command file that is full: loading 50,000 services stalls it for two seconds."""
WITH_THE_FLAGS, BEFORE_THE_FLAGS = "with the flags", "before the flags"
AHEAD_BYTES = 3072
"""What goes ahead of the flags fits into one write with them."""


def aside(cfg: NagiosCfg) -> Path:
    """Where the file waits for its moment."""
    return cfg.state_retention_file.with_name(f"{cfg.state_retention_file.name}.inherited")


def keep_for_activation(flow: Flow, *, deletes: Sequence[str], of_the_file: Sequence[str], replay: Sequence[str]) -> None:
    """`deletes` take away what only this host has, `of_the_file` what the file brings; `replay` follows the loading."""
    flow.note("to_load", {"deletes": list(deletes), "of_the_file": list(of_the_file), "replay": list(replay)})


def load(flow: Flow) -> tuple[list[str], list[str]]:
    """Everything for the loading but the loading itself: the commands for that are returned, to go ahead of the flags in one write;
    and what cannot be given anew, sentences. Raises Failed, CouldNotLook.

    A run that was cut short loads once more what it may have loaded already (Nagios keeps every comment twice that it reads twice,
    so they go before), but never once this host was seen to be active: what it has told since would be forgotten."""
    waiting = flow.notes.get("to_load")
    if not waiting:
        return [], []
    cfg = read_nagios_cfg(flow.config.this.nagios_cfg)
    deletes = waiting["deletes"]
    if sent := flow.notes.get("load_sent"):
        _wait_for_fresh_status(cfg)
        if _is_active(flow) or (sent == WITH_THE_FLAGS and was_read(cfg, int(flow.notes["inherited"]["sent"]))):
            return [], []
        own = read_own(chunks(cfg.status_file), watch_host=flow.config.nagios.watch_host, what=str(cfg.status_file))
        deletes = [*own.deletes, *waiting["of_the_file"]]
    commands = [READ, *waiting["replay"]]
    size = sum(len(command.encode("utf-8", "surrogateescape")) + len("[0123456789] \n") for command in commands)
    how = WITH_THE_FLAGS if size <= AHEAD_BYTES else BEFORE_THE_FLAGS
    flow.note("inherited", {**flow.notes["inherited"], "sent": int(flow.hands.now())})
    flow.note("load_sent", how)
    _put_in_place(cfg)
    said = _send(flow, deletes)
    if how == BEFORE_THE_FLAGS:
        return [], [*said, *_send(flow, commands)]
    return commands, said


def loaded(flow: Flow) -> None:
    """The file has had its moment."""
    if flow.notes.get("to_load"):
        with suppress(OSError):
            aside(read_nagios_cfg(flow.config.this.nagios_cfg)).unlink(missing_ok=True)


def was_read(cfg: NagiosCfg, since: int) -> ExternalCommand | None:
    """The loading, as Nagios logged it since then (epoch seconds)."""
    return next((command for command in commands_since(cfg, since) if f"{command.name};{command.arguments}" == READ), None)


def _is_active(flow: Flow) -> bool:
    passive, actual = role_flags(flow.config.pair.mode, active=False), flow.hands.flags()
    return any(actual.get(flag) for flag, on in passive.items() if not on)


def _put_in_place(cfg: NagiosCfg) -> None:
    """It stays where it is, too: a run that is cut short here finds it."""
    target = cfg.state_retention_file
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        temporary.unlink(missing_ok=True)
        os.link(aside(cfg), temporary)
        temporary.replace(target)
        temporary.unlink(missing_ok=True)  # a rename over another name of the same file does nothing
    except OSError as error:
        raise cannot_write(target, error) from error


def _wait_for_fresh_status(cfg: NagiosCfg) -> None:
    """A run that was cut short may have done something since the last status.dat."""
    began, limit = int(time.time()), cfg.status_update_interval + FRESH_GRACE_SECONDS
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        with suppress(CouldNotLook):
            if read_program_status(cfg.status_file).created > began:
                return
        time.sleep(0.1)


def _send(flow: Flow, commands: Sequence[str]) -> list[str]:
    """To the command file, in order. One that is full is waited for, as long as Nagios reads it at all. Returns what cannot be
    sent (a comment above 4 KiB), sentences."""
    deadline = time.monotonic() + PIPE_WAIT_SECONDS
    too_long = []
    for command in commands:
        while True:
            try:
                flow.hands.commands([command])
            except UsageError as error:
                too_long.append(f"not given anew: {error}")
            except NoReader as error:
                if "is full" not in error.what or time.monotonic() >= deadline:
                    raise Failed(f"the incidents could not be loaded: {error}", hint=error.hint) from error
                time.sleep(0.05)
                continue
            break
    return too_long
