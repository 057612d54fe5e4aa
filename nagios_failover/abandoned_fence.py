"""A fence that its author gave up: the other host muted this master to take its place, went back to be its standby, and could not
say so (the link was cut meanwhile). The master finds that out by its own looks, or by the lease, and goes on."""

from __future__ import annotations

import time

from nagios_failover.config import Config
from nagios_failover.lease_keeper import left_here
from nagios_failover.lock import A_MOMENT, run_lock
from nagios_failover.looks import Look, newest
from nagios_failover.role import Override, Owner, RoleRecord
from nagios_failover.state_files import StateFiles, boot_id, uptime
from nagios_failover.words import Role
from nagios_failover.workflow import longest_run


def lift(config: Config, state: StateFiles) -> list[str]:
    """Called at each check of the state watch while an override is in force. Returns what was done, a sentence; nothing where
    this host is not fenced, or where the fence may still be meant."""
    with run_lock(state.directory, wait=A_MOMENT):
        fence = next((override for override in state.overrides() if override.owner is Owner.FENCE), None)
        why = _why_it_is_over(config, state, fence) if fence else ""
        if not why:
            return []
        state.remove_override(Owner.FENCE)
    return [f"{config.this_name}: not fenced any more: {why}"]


def _why_it_is_over(config: Config, state: StateFiles, fence: Override) -> str:
    look = newest(state.looks(), host=config.peer.name, boot=boot_id())
    recent = 3 * config.look.interval + config.look.timeout
    if look and 0 <= uptime() - look.uptime <= recent and given_up(fence, state.role(), look):
        return f"{config.peer.name} went back to be its standby, with term {look.peer_follows}"
    longest = longest_run(config)
    if config.quorum.etcd and left_here(state) > 0 and outlived(fence, state.role(), now=time.time(), longest=longest):
        return f"it has the lease, and the run that fenced it would have ended within {longest:.0f} s"
    return ""


def given_up(fence: Override, role: RoleRecord, look: Look) -> bool:
    """A run takes its term before it fences, and has its role back at its very end. Pure."""
    return role.role is Role.MASTER and look.peer_follows >= fence.term > role.term


def outlived(fence: Override, role: RoleRecord, *, now: float, longest: float) -> bool:
    """Of a master that has the lease, and may look at another host than the one that fenced it. A failover has the lease when it
    fences; a switchover takes it after that, within its time. Pure."""
    return role.role is Role.MASTER and fence.term > role.term and now - fence.since > longest
