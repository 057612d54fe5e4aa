"""The automatic way back of the stateless modes: the returned preferred host gets the role when it has been well long enough."""

from __future__ import annotations

import time
from dataclasses import replace

from nagios_failover.config import Config
from nagios_failover.errors import Failed, StateUnreadable
from nagios_failover.journal import Journal
from nagios_failover.lock import A_MOMENT, run_lock
from nagios_failover.role import parse_pairs
from nagios_failover.run_record import Outcome
from nagios_failover.standdown import run_standdown
from nagios_failover.state_files import StateFiles, boot_id, uptime, write_atomically
from nagios_failover.verdict import Code
from nagios_failover.words import Role
from nagios_failover.workflow import Trigger


def acknowledge(config: Config, state: StateFiles) -> str:
    """A person has seen the failover: the way back is open again. Counts for the failovers until now, not for later ones."""
    now = int(time.time())
    left = flap_block_left(config, state, now=now)
    write_atomically(state.directory / "ack", f"since={now}\n")
    if left > 0:
        return f"{config.this.name}: the automatic way back is open ({left:.0f} s before its time)"
    return f"{config.this.name}: acknowledged; nothing was blocked"


def flap_block_left(config: Config, state: StateFiles, *, now: float) -> float:
    """For how many seconds more the last failover blocks the automatic way back. Never the way over."""
    runs = Journal(state.directory).runs()
    done = (Outcome.DONE, Outcome.INCOMPLETE)
    last = next((run for run in runs if run.kind == "failover" and run.outcome in done), None)
    if last is None or _acknowledged(state) >= last.opened:
        return 0.0
    return max(0.0, last.opened + config.pair.flap_block - now)


def _acknowledged(state: StateFiles) -> float:
    try:
        return float(parse_pairs((state.directory / "ack").read_text(encoding="ascii"), "ack")["since"])
    except (OSError, UnicodeDecodeError, ValueError, KeyError, StateUnreadable):
        return 0.0


def well_for(config: Config, state: StateFiles, *, now: float | None = None, boot: str | None = None) -> float:
    """For how many seconds the preferred host has been seen well without a gap, this moment included. Keeps the count in
    STATE/returned: a gap of more than three looks, or a boot, begins it anew. `now` is the uptime."""
    path = state.directory / "returned"
    now, boot = uptime() if now is None else now, boot_id() if boot is None else boot
    gap = 3 * config.look.interval + config.look.timeout
    since = now
    try:
        pairs = parse_pairs(path.read_text(encoding="utf-8"), str(path))
        if pairs["boot"] == boot and 0 <= now - float(pairs["last"]) <= gap:
            since = float(pairs["since"])
    except (OSError, UnicodeDecodeError, ValueError, KeyError, StateUnreadable):
        pass
    write_atomically(path, f"since={since:.3f}\nlast={now:.3f}\nboot={boot}\n")
    return now - since


def give_back(config: Config, state: StateFiles, *, code: str) -> str:
    """Under `failback = automatic`, called by a master each time its check has seen the preferred host back: a standby that is
    well (it is offered the role), or active without the suite (this host stands down). Returns what was done, or what is waited
    for. The one that takes the role raises the term, so this host stands down by the ordinary rule: there is always one that
    notifies, for a check's time there are two."""
    well = well_for(config, state)
    blocked = flap_block_left(config, state, now=time.time())
    if blocked > 0:
        return (
            f"no automatic failback for {blocked:.0f} s more ([pair] flap_block after a failover); nagios-failover ack releases it"
        )
    if well < config.pair.failback_after:
        return f"{config.peer.name} has been well for {well:.0f} s of {config.pair.failback_after:g} s"
    if code == Code.PEER_ACTIVE:
        return run_standdown(config, state, trigger=Trigger.EVENT).sentence
    with run_lock(state.directory, wait=A_MOMENT):
        role = state.role()
        if role.role is Role.MASTER and not role.handover:
            state.write_role(replace(role, handover=config.peer.name))
    return f"the role is offered to {config.peer.name}"


def withdraw(config: Config, state: StateFiles) -> str:
    """The preferred host is not well any more: what was offered is taken back. Returns a sentence, "" for nothing to do."""
    (state.directory / "returned").unlink(missing_ok=True)
    if not state.role().handover:
        return ""
    try:
        with run_lock(state.directory, wait=A_MOMENT):
            role = state.role()
            if role.role is Role.MASTER and role.handover:
                state.write_role(replace(role, handover=""))
                return f"the offer of the role to {config.peer.name} is withdrawn"
    except Failed:
        return ""
    return ""
