"""The last look at a retention file before Nagios loads it while it runs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nagios_failover.errors import Refused
from nagios_failover.snapshot import END, fields_of, first_line

COUNTERS = ("next_comment_id", "next_downtime_id", "next_event_id", "next_problem_id", "next_notification_id")
"""All of the program block that may come: where Nagios goes on counting."""
HINT = "the file is not filtered"


def loadable(pieces: Iterable[bytes], *, watch_host: str) -> Iterator[bytes]:
    """The pieces of a retention file, whole blocks each, as they are. Raises Refused at the first that a running Nagios must not
    load: with the watch host's own state the next check finds it failed once more, and its handler takes over again and again;
    with the program's flags the file switches the standby on."""
    watch = b" {\n" + first_line(watch_host)
    for piece in pieces:
        if watch in piece:
            raise Refused(f"a state of the watch host {watch_host} is not loaded", hint=HINT)
        if b"programstatus {\n" in piece:
            raise Refused("a status file of a running Nagios is not loaded", hint=HINT)
        place = piece.find(b"program {\n")
        if place >= 0 and fields_of(piece[place + len(b"program {\n") :].partition(END)[0]).keys() - set(COUNTERS):
            raise Refused("a program block with the flags of a running Nagios is not loaded", hint=HINT)
        yield piece
