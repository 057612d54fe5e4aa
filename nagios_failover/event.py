"""An event as Nagios tells it to handle_master_event, and what follows from it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from nagios_failover.config import Config
from nagios_failover.config_values import Failback
from nagios_failover.errors import UsageError
from nagios_failover.frozen import frozen
from nagios_failover.looks import Look
from nagios_failover.role import RoleRecord
from nagios_failover.verdict import PEER_CODES, Code
from nagios_failover.words import HostState, Role, State, StateType

FORBIDDEN = frozenset("'\"`;$\\|&<>")
"""No object name holds these (Nagios's illegal_object_name_chars): in a macro they are somebody's output, or an attack."""


@frozen
class Event:
    """`service` is None in the host form."""

    host: str
    service: str | None
    state: State | HostState
    type: StateType
    attempt: int

    @property
    def watch(self) -> str:
        """The name under which it is mailed."""
        return self.service or self.host

    @property
    def well(self) -> bool:
        return self.state in (State.OK, HostState.UP)

    @property
    def hard(self) -> bool:
        return self.type is StateType.HARD

    @property
    def deadly(self) -> bool:
        """Does Nagios hold the watched thing for dead?"""
        return self.hard and self.state in (State.CRITICAL, HostState.DOWN)


class Act(Enum):
    """What an event asks for, besides mail and finishing what is open."""

    NOTHING = "nothing to start"
    FAILOVER = "look, confirm and fail over"
    FAILBACK = "take the role that is offered"
    FENCE = "fence the other host: it notifies beside this master"
    ISOLATE = "notify nobody: this master has seen nobody for too long"
    STAND_DOWN = "stand down: the other host has the higher term"
    GIVE_BACK = "give the role back to the preferred host when it has been well long enough"
    WITHDRAW = "take back what was offered"
    CORRECT = "make the flags follow the role"


def parse_event(macros: Sequence[str]) -> Event:
    """The event of a command line's macros. Raises UsageError for anything that Nagios does not give."""
    if len(macros) not in (4, 5):
        raise UsageError(
            f"{len(macros)} macros instead of 5 (service) or 4 (host)",
            hint="compare the event handler's command_line with commands.cfg.sample",
        )
    for macro in macros:
        if any(character in FORBIDDEN or not character.isprintable() for character in macro):
            raise UsageError(f"a macro holds a character that no object's name has: {macro[:80]!r}", hint="nothing was done")
    service = macros[1] if len(macros) == 5 else None
    state, kind, attempt = macros[-3:]
    states: dict[str, State | HostState] = {word.name: word for word in (HostState if service is None else State)}
    if state not in states:
        raise UsageError(f"unknown state {state!r}", hint=f"one of {', '.join(states)}")
    if kind not in StateType.__members__:
        raise UsageError(f"unknown state type {kind!r}", hint="SOFT or HARD")
    if not (attempt.isascii() and attempt.isdigit()):
        raise UsageError(f"{attempt!r} is not the number of an attempt", hint="$SERVICEATTEMPT$ or $HOSTATTEMPT$")
    if not macros[0].strip() or (service is not None and not service.strip()):
        raise UsageError("an empty name", hint="'$HOSTNAME$' and '$SERVICEDESC$' in single quotes")
    return Event(macros[0], service, states[state], StateType[kind], int(attempt))


def concerns_us(event: Event, config: Config) -> bool:
    """A service of the watch host; or, in the host form, the other host under one of its names."""
    if event.service is not None:
        return event.host == config.nagios.watch_host
    return event.host in {config.peer.name, config.peer.name.partition(".")[0], config.peer.address}


def decide(event: Event, config: Config, role: RoleRecord | None, look: Look | None) -> Act:
    """What the event asks for, by this host's role (None: unreadable) and by what our own plugin recorded (None: nothing new).

    Only the watch of the master that is HARD CRITICAL, or the master itself that is HARD DOWN, starts a failover; everything else
    about the other host follows from the recorded look, never from a macro."""
    if event.well:
        return Act.NOTHING
    if _notifies_beside_us(event, config, role, look):
        return Act.FENCE
    if _alone_for_too_long(event, config, role, look):
        return Act.ISOLATE
    if event.service == config.nagios.lease_watch and event.state is State.CRITICAL:
        return Act.CORRECT  # its check has muted this host: the flags follow, SOFT or HARD
    if not event.hard:
        return Act.NOTHING
    if event.service == config.nagios.state_watch:
        return Act.CORRECT
    if event.service not in (None, config.nagios.master_watch) or role is None:
        return Act.NOTHING
    code = look.code if look else ""
    if role.role is Role.STANDBY:
        if event.deadly:
            return Act.FAILOVER
        offered = config.pair.failback is Failback.AUTOMATIC and config.preferred_host == config.this.name
        return Act.FAILBACK if offered and code == Code.HANDOVER else Act.NOTHING
    if role.role is Role.MASTER:
        if code == Code.PEER_OUTRANKS:
            return Act.STAND_DOWN
        if config.pair.failback is Failback.AUTOMATIC and config.preferred_host == config.peer.name:
            return Act.GIVE_BACK if code in (Code.PEER_RETURNED, Code.PEER_ACTIVE) else Act.WITHDRAW
    return Act.NOTHING


def _notifies_beside_us(event: Event, config: Config, role: RoleRecord | None, look: Look | None) -> bool:
    """Two masters are fenced at the first look that sees them, HARD or not; the preferred host of an automatic failback is given
    the role instead."""
    if role is None or role.role is not Role.MASTER or event.service not in (None, config.nagios.master_watch):
        return False
    given_back = config.pair.failback is Failback.AUTOMATIC and config.preferred_host == config.peer.name
    can_fence = bool(config.fence.user or config.fence.command)
    return can_fence and not given_back and look is not None and look.code == Code.PEER_ACTIVE


def _alone_for_too_long(event: Event, config: Config, role: RoleRecord | None, look: Look | None) -> bool:
    """The looks' own count decides, not Nagios's SOFT and HARD."""
    limit = None if config.quorum.etcd else config.witness.isolation  # the lease says more: it ends where nobody is reached
    if role is None or role.role is not Role.MASTER or event.service not in (None, config.nagios.master_watch):
        return False
    return limit is not None and look is not None and look.code == Code.ISOLATED and look.uptime - look.isolated_since >= limit


def of_this_role(look: Look, role: RoleRecord | None) -> bool:
    """Was the look judged in the role that this host has now? Just after a run the newest one was not."""
    either = (Code.BLOCKED, Code.PASSIVE)
    return role is None or look.code in either or (look.code in PEER_CODES) is (role.role is Role.MASTER)
