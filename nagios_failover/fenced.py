"""What came of fencing the old master. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from nagios_failover.frozen import frozen
from nagios_failover.role import Flags
from nagios_failover.words import Flag


@frozen
class Fenced:
    """`proved`: the old master's Nagios is gone, its flags were read back off, or a fence agent said so. `sentence` begins with
    the host. `was_on` are the flags that were switched off there: what an abort gives back. `told_at` is when one that hands over
    was told, on its clock, or a moment before."""

    proved: bool
    sentence: str
    hint: str = ""
    was_on: Flags = field(default_factory=dict)
    told_at: int = 0

    def note(self) -> dict[str, Any]:
        """As a run's journal keeps it."""
        return {"proved": self.proved, "sentence": self.sentence, "was_on": {str(flag): on for flag, on in self.was_on.items()}}


def fenced_from(note: Mapping[str, Any] | None) -> Fenced | None:
    """What a run has noted, None where it has not fenced."""
    if not note:
        return None
    was_on = {Flag(name): bool(on) for name, on in note["was_on"].items()}
    return Fenced(bool(note["proved"]), str(note["sentence"]), was_on=was_on)
