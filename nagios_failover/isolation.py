"""The isolated master: one that has seen neither its standby nor any witness for [witness] isolation seconds may have been failed
over. It mutes itself (an override; the loader stops with it), its database takes no writes, and it goes on when it learns that it
was not.
"""

from __future__ import annotations

from nagios_failover import flags, witness_record
from nagios_failover.config import Config
from nagios_failover.isolated_database import hold_writes, let_write
from nagios_failover.lock import A_MOMENT, run_lock
from nagios_failover.looks import Look, newest
from nagios_failover.role import Override, Owner
from nagios_failover.state_files import StateFiles, boot_id, uptime
from nagios_failover.verdict import Code
from nagios_failover.witness_record import Recorded
from nagios_failover.words import Flag, Role

ANSWERS = (Code.PEER_STANDBY, Code.PEER_THROUGH, Code.PEER_RETURNED, Code.PEER_IDLE)
"""What is said of a peer that was seen, and that does not notify."""
BY_A_PERSON = "see that the other host does not monitor, then run here: nagios-failover init --master --force"


def isolate(config: Config, state: StateFiles, look: Look) -> list[str]:
    """Mute this host. Returns what was done, a sentence each; nothing where it is mute for that reason already."""
    with run_lock(state.directory, wait=A_MOMENT):
        role = state.role()
        if role.role is not Role.MASTER or of_isolation(state):
            return []
        alone = look.uptime - look.isolated_since
        state.write_override(Override(Owner.ISOLATED, {Flag.NOTIFICATIONS: False}, role.term, int(look.time - alone)))
    said = (
        f"{config.this_name}: neither {config.peer.name} nor a witness was seen for {alone:.0f} s: it notifies nobody until one is"
    )
    return [said, *flags.correct(config, state), *_hold_writes(config, state)]


def _hold_writes(config: Config, state: StateFiles) -> list[str]:
    """At each check while the override is in force: a server that was started anew takes writes."""
    with run_lock(state.directory, wait=A_MOMENT):
        override = of_isolation(state)
        if override is None or state.role().role is not Role.MASTER:
            return []
        return hold_writes(config, state, override)


def of_isolation(state: StateFiles) -> Override | None:
    return next((override for override in state.overrides() if override.owner is Owner.ISOLATED), None)


def reconsider(config: Config, state: StateFiles) -> list[str]:
    """Where this host has muted itself: does it know by now that it was not failed over? Then it goes on. Called at each check of
    the state watch while the override is in force; returns what was decided, a sentence each."""
    override = of_isolation(state)
    role = state.role()
    look = newest(state.looks(), host=config.peer.name, boot=boot_id())
    recent = 3 * config.look.interval + config.look.timeout
    if override is None or role.role is not Role.MASTER or look is None or not 0 <= uptime() - look.uptime <= recent:
        return []
    recorded = witness_record.read(config) if needs_witness(look) else []
    go_on, why = may_go_on(config, override, look, recorded, term=role.term)
    if not go_on:
        return [*([f"{config.this_name}: still mute: {why}"] if why else []), *_hold_writes(config, state)]
    with run_lock(state.directory, wait=A_MOMENT):
        if state.role() != role:
            return []
        said = let_write(config, override)
        state.remove_override(Owner.ISOLATED)
    return [f"{config.this_name}: not cut off any more: {why}", *said]


def needs_witness(look: Look) -> bool:
    return look.code in (Code.PEER_GONE, Code.BLOCKED)


def may_go_on(config: Config, override: Override, look: Look, recorded: list[Recorded], *, term: int) -> tuple[bool, str]:
    """May a master of this term that muted itself notify again, and why (not)? Pure."""
    peer = config.peer.name
    if look.peer_passed > term:
        return False, f"{peer} has the higher term {look.peer_passed}"
    if look.code in ANSWERS:
        return True, f"{peer} answers and {'is its standby' if look.peer_term > term else 'has no higher term'}"
    if not needs_witness(look):
        return False, ""  # still cut off, or the watch of the other host acts: two masters, outranked
    answered = [one for one in recorded if not one.problem]
    higher = [one for one in answered if one.term > term and one.master != config.this_name]
    if higher:
        return False, f"the witness {higher[0].account} has recorded the term {higher[0].term} of {higher[0].master}"
    if answered:
        return True, f"the witness {answered[0].account} answers and has recorded no higher term"
    lasted = look.time - override.since
    if look.code == Code.PEER_GONE and lasted < shortest_failover(config):
        return True, f"a witness answers, and {peer} could not have failed over within {lasted:.0f} s"
    return False, f"a witness answers, but {peer} may have failed over meanwhile: {BY_A_PERSON}"


def shortest_failover(config: Config) -> float:
    """Seconds that the other host needs at least: its looks, so far apart."""
    return (config.look.confirmations - 1) * config.look.confirm_interval
