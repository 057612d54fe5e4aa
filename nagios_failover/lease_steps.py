"""The step of a run by which a standby gets the lease: without it, it does not act ([quorum])."""

from __future__ import annotations

import math

from nagios_failover.config import Config
from nagios_failover.confirm import next_term, ring_of
from nagios_failover.errors import CouldNotLook, Failed, Refused
from nagios_failover.lease import Away, Held, Ours, Outranked, Word
from nagios_failover.steps import Step, Weight
from nagios_failover.workflow import Flow

LEASE = "lease"
MEND = "mend etcd (nagios-failover test names its members), or give it up for good: etcd = (empty) in [quorum], on every host"
POLL_SECONDS = 1.0
RENEWED_SECONDS = 1.5
"""etcd counts in whole seconds: a lease with so much more left than a moment ago was renewed."""


def _idle(flow: Flow) -> str:
    return "" if flow.config.quorum.etcd else "not configured"


def _refusal(config: Config, word: Word, held: str) -> Refused:
    if isinstance(word, Outranked):
        said = f"a master with term {word.term} has had the lease since, and this run's term is not above it: it does not get it"
        return Refused(said, hint="this host learns that term at its next check of the lease")
    if isinstance(word, Away):
        return Refused(f"without the lease nobody takes over, and etcd does not give it: {word.reason}", hint=MEND)
    return Refused(held, hint="nagios-failover status")


def _take(flow: Flow) -> str:
    """A dead master's lease is waited for; one that is renewed meanwhile is a sign of life."""
    promised = flow.hands.promised()
    if promised:
        raise Refused(f"{flow.this}: {promised}", hint="etcd is away, or was: the master goes on without it")
    least = math.inf
    term = flow.term or next_term(flow.state.role(), ring_of(flow.state))  # it is registered after this step
    while True:
        word = flow.hands.lease(term)
        if isinstance(word, Ours):
            flow.note("lease", True)
            return f"{flow.this} has the lease"
        if not isinstance(word, Held) or word.holder != flow.peer:
            raise _refusal(flow.config, word, f"the lease is {word.holder}'s: it has taken over" if isinstance(word, Held) else "")
        if word.left > least + RENEWED_SECONDS:
            raise _refusal(flow.config, word, f"{flow.peer} renews its lease: it is alive, whatever is seen of it from here")
        least = min(least, word.left)
        flow.say(f"{LEASE}: {flow.peer} has it for another {word.left:.0f} s")
        flow.hands.sleep(POLL_SECONDS)


def _take_from_a_silent_master(flow: Flow) -> str:
    """It gives the lease up first, by its own hand: at no moment do two hold it."""
    try:
        said = flow.hands.there(("promise", flow.this, "--for", f"{4 * flow.config.quorum.timeout:g}", "--give"))
    except CouldNotLook as error:
        raise Failed(f"{flow.peer} did not give the lease up: {error}", hint=error.hint) from error
    if not said.well:
        raise Failed(f"{flow.peer} did not give the lease up: {' '.join(said.stderr.split())[:300]}")
    word = flow.hands.lease(flow.term)
    if isinstance(word, Ours):
        flow.note("lease", True)
        return f"{flow.this} has the lease; {flow.peer}, which is silent, has given it up"
    raise _refusal(flow.config, word, f"the lease is {word.holder}'s" if isinstance(word, Held) else "")


def require_lease(flow: Flow) -> None:
    """The last look before the other host is fenced, and before this one monitors: is it still ours? A run may have been frozen in
    between. Raises Failed."""
    if flow.config.quorum.etcd and flow.hands.lease_left() <= 0 and not isinstance(flow.hands.lease(flow.term), Ours):
        raise Failed("the lease was lost during the run, and etcd does not give it again", hint=MEND)


def _would(flow: Flow) -> str:
    return f"would take the lease of {', '.join(flow.config.quorum.etcd)}, and wait until {flow.peer}'s is over"


TAKE: Step[Flow] = Step(LEASE, _would, _take, Weight.FATAL, idle=_idle)
TAKE_OVER: Step[Flow] = Step(
    LEASE, lambda flow: f"would take the lease from {flow.peer}", _take_from_a_silent_master, Weight.FATAL, idle=_idle
)
