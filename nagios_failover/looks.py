"""The ring of recent looks, and what counts as a confirmed death. Pure: state_files.py reads and writes the ring.

HARD CRITICAL is not three CRITICAL looks (after WARNING or UNKNOWN the first CRITICAL is already HARD, and exit code 127 is
CRITICAL too), so a run counts looks of its own here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from nagios_failover.frozen import frozen
from nagios_failover.words import State

RING_SIZE = 30


@frozen
class Look:
    """One look as recorded. `time` is epoch seconds for people; `uptime` (CLOCK_BOOTTIME, seconds) and `boot` (the boot id)
    are what counts, so that a clock that jumps confirms nothing. `by`: "check" or the run's id. `host` is the host looked at.
    `pid`, `created` and `gone_since` (uptime) carry what the next look compares with."""

    host: str
    time: float
    uptime: float
    boot: str
    by: str
    state: State
    code: str
    sentence: str
    hint: str = ""
    missing_pid: int = 0  # the PID that status.dat named and that was missing; 0: not missing
    created: int = 0  # info.created of that status.dat
    gone_since: float = 0.0  # uptime at which the status file was first seen to be gone; 0: it is there
    isolated_since: float = 0.0  # uptime at which a master first saw neither its standby nor any witness; 0: it sees somebody
    received: int = 0  # replication: the counter of what the local replica received
    received_at: float = 0.0  # uptime at which that counter last grew
    peer_term: int = 0  # the highest term seen so far in that host's role file; 0: none seen
    peer_follows: int = 0  # the term with which that host's role file said just now that it is this host's standby; 0: it did not
    peer_passed: int = 0  # the highest term seen there so far that was not this host's standby's; 0: none
    peer_pause: str = ""  # the pause marker last seen there, as a sentence's end ("by WHO: WHY"); "": none
    peer_pause_until: float = 0.0  # epoch seconds; 0: until somebody resumes

    def line(self) -> str:
        return json.dumps({**asdict(self), "state": self.state.name}, separators=(",", ":")) + "\n"


def parse_ring(text: str) -> list[Look]:
    """The looks of the ring's file, oldest first. A line that is torn or garbled is no look (and confirms nothing)."""
    looks = []
    for line in text.splitlines():
        try:
            fields = json.loads(line)
            looks.append(Look(**{**fields, "state": State[fields["state"]]}))
        except (ValueError, KeyError, TypeError):
            continue
    return looks


def confirmations(ring: Sequence[Look], *, host: str, boot: str, uptime: float, window: float, spacing: float = 0.0) -> int:
    """How many looks at `host` in a row were CRITICAL, counted back from the newest, since boot and at most `window` seconds
    old. One look that was anything else ends the count; looks less than `spacing` seconds apart count as one."""
    count = 0
    counted = float("inf")
    for look in reversed(ring):
        usable = look.host == host and look.boot == boot and 0 <= uptime - look.uptime <= window
        if not usable or look.state is not State.CRITICAL:
            break
        if counted - look.uptime >= spacing:
            count += 1
            counted = look.uptime
    return count


def newest(ring: Sequence[Look], *, host: str, boot: str) -> Look | None:
    return next((look for look in reversed(ring) if look.host == host and look.boot == boot), None)
