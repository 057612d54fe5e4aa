"""A fence that its author gave up: the other host muted this master to take its place, went back to be its standby, and could not
say so (the link was cut meanwhile). The master finds that out by its own looks, and goes on."""

from __future__ import annotations

from nagios_failover.config import Config
from nagios_failover.lock import A_MOMENT, run_lock
from nagios_failover.looks import Look, newest
from nagios_failover.role import Override, Owner, RoleRecord
from nagios_failover.state_files import StateFiles, boot_id, uptime
from nagios_failover.words import Role


def lift(config: Config, state: StateFiles) -> list[str]:
    """Called at each check of the state watch while an override is in force. Returns what was done, a sentence; nothing where
    this host is not fenced, or where the fence may still be meant."""
    with run_lock(state.directory, wait=A_MOMENT):
        fence = next((override for override in state.overrides() if override.owner is Owner.FENCE), None)
        look = newest(state.looks(), host=config.peer.name, boot=boot_id())
        recent = 3 * config.look.interval + config.look.timeout
        if fence is None or look is None or not 0 <= uptime() - look.uptime <= recent or not given_up(fence, state.role(), look):
            return []
        state.remove_override(Owner.FENCE)
    return [
        f"{config.this_name}: not fenced any more: {config.peer.name} went back to be its standby, with term {look.peer_follows}"
    ]


def given_up(fence: Override, role: RoleRecord, look: Look) -> bool:
    """A run takes its term before it fences, and has its role back at its very end. Pure."""
    return role.role is Role.MASTER and look.peer_follows >= fence.term > role.term
