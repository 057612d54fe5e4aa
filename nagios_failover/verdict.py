"""A verdict: what a look means, in one English sentence with a state, a name and a hint. What a standby says of the master is in
verdict_of_master.py, what a master says of its peer in verdict_of_peer.py; here is what both are made of.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from nagios_failover.evidence import Blocked, Detour, HostReport, NoAnswer
from nagios_failover.frozen import frozen
from nagios_failover.words import State

FUTURE_SECONDS = 2.0
"""So much ahead of the clock is rounding; more says that the clock was set, and nothing of Nagios."""


class Code(StrEnum):
    """The verdict's name, for the look ring, --json and tests."""

    ALIVE = "alive"
    ALIVE_THROUGH = "alive-through-witness"
    PASSIVE = "passive"
    NO_HEARTBEAT = "no-heartbeat"
    STALE_HEARTBEAT = "stale-heartbeat"
    STATUS_STALE = "status-stale"
    AGING = "aging"
    HUNG = "hung"
    STOPPED = "stopped"
    STOPPED_CLEANLY = "stopped-cleanly"
    RESTARTING = "restarting"
    PAUSED = "paused"
    CRASHED = "crashed"
    PROCESS_UNSEEN = "process-unseen"
    BLOCKED = "could-not-look"
    SSH_BROKEN = "ssh-broken"
    NOT_SEEN_ALIVE = "not-seen-alive"
    SERVICES_SILENT = "services-silent"
    HOST_DOWN = "host-down"
    REPLICATING = "replicating"
    CUT_OFF = "cut-off"
    UNCLEAR = "unclear"
    HANDOVER = "handover-offered"
    PEER_STANDBY = "peer-standby"
    PEER_THROUGH = "standby-through-witness"
    PEER_RETURNED = "preferred-returned"
    PEER_GONE = "no-standby"
    PEER_IDLE = "standby-idle"
    PEER_ACTIVE = "two-masters"
    PEER_OUTRANKS = "outranked"
    ISOLATED = "isolated"


PEER_CODES = frozenset(
    {
        Code.PEER_STANDBY,
        Code.PEER_THROUGH,
        Code.PEER_RETURNED,
        Code.PEER_IDLE,
        Code.PEER_GONE,
        Code.PEER_ACTIVE,
        Code.PEER_OUTRANKS,
        Code.ISOLATED,
    }
)
"""What a master says of its peer: never of a death."""


@frozen
class Verdict:
    """`sentence` begins with the host and is the plugin's first line, the journal's and the mail's."""

    state: State
    code: Code
    sentence: str
    hint: str = ""


SEEN_THROUGH = "seen through the witness"
"""In the sentence of a verdict that did not come directly."""


def say(host: str, state: State, code: Code, words: str, hint: str = "") -> Verdict:
    """The verdict on `host` in these words."""
    return Verdict(state, code, f"{host}: {words}", hint)


def could_not_look(host: str, blocked: Blocked) -> Verdict:
    return say(host, State.WARNING, Code.BLOCKED, f"could not look: {blocked.reason}", blocked.hint)


def seen_through(host: str, failure: NoAnswer, detour: Detour, seen: Verdict) -> Verdict:
    """The same verdict, saying that it came through a witness, since ssh fails."""
    words = seen.sentence.removeprefix(f"{host}: ")
    hint = seen.hint or f"mend the network between this host and {host}"
    sentence = f"{host}: {SEEN_THROUGH} {detour.witness}: {words}; directly {ssh_fails(failure)}"
    return replace(seen, sentence=sentence, hint=hint)


def ssh_fails(failure: NoAnswer) -> str:
    return f"ssh fails ({failure.reason})"


def status_words(report: HostReport) -> str:
    if report.status_age is None:
        return "status.dat is gone"
    if report.status_age < -FUTURE_SECONDS:
        return f"status.dat is dated {-report.status_age:.0f} s in the future"
    return f"status.dat is {max(0.0, report.status_age):.0f} s old"
