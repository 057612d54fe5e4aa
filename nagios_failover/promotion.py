"""What is on record of a promotion: how far the replica had come when it became the source, in numbers. Pure.

STATE/promotion is written once the replica is proved to have applied what it had received, before replication is forgotten: a
promotion that is cut short after that goes on from here.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from nagios_failover.frozen import frozen


@frozen
class Promotion:
    """`received` and `executed` are GTIDs as the server tells them. `old_source` is how far the old source had come, "" where it
    could not be read; `missing` how many of its transactions are not here, None where that is not known. `forced`: a person gave
    up what was not applied."""

    term: int
    run: str
    at: int
    source: str
    received: str
    executed: str
    old_source: str = ""
    missing: int | None = None
    semi_sync: bool = False
    forced: bool = False

    def text(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"

    def loss(self) -> str:
        """What may be lost, in numbers, one sentence."""
        here = f"received up to {self.received or 'nothing'}, executed up to {self.executed or 'nothing'}"
        if self.forced:
            here += " (what lay between was given up)"
        if self.old_source:
            lost = {0: "nothing is lost", None: "how much is missing is not known"}.get(
                self.missing, f"{self.missing} transactions are missing here"
            )
            return f"{here}; {self.source}'s own position was {self.old_source}: {lost}"
        if self.semi_sync:
            why = "what it acknowledged while replication was semi-synchronous is here, what it acknowledged without may be missing"
        else:
            why = "what it had written after that is missing here"
        why += "; how much that is, is known when it can be read again"
        return f"{here}; {self.source}'s own position could not be read: {why}"


def parse_promotion(text: str) -> Promotion | None:
    """None for what is torn or garbled: it proves nothing."""
    try:
        return Promotion(**json.loads(text))
    except (ValueError, TypeError):
        return None
