"""The last look at a retention file before Nagios loads it while it runs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nagios_failover.errors import Refused

COUNTERS = ("next_comment_id", "next_downtime_id", "next_event_id", "next_problem_id", "next_notification_id")
"""All of the program block that may come: where Nagios goes on counting."""
HINT = "the file is not filtered"


def loadable(pieces: Iterable[bytes], *, watch_host: str) -> Iterator[bytes]:
    """The pieces of a retention file, whole blocks each, as they are. Raises Refused at the first that a running Nagios must not
    load: with the watch host's own state the next check finds it failed once more, and its handler takes over again and again;
    with the program's flags the file switches the standby on."""
    name = b"host_name=" + watch_host.encode("utf-8", "surrogateescape") + b"\n"
    names, programs = (b"\t" + name, name), (b"program", b"programstatus")
    for piece in pieces:
        heads = piece.split(b" {\n")
        if any(below.startswith(names) for below in heads):
            raise Refused(f"a state of the watch host {watch_host} is not loaded", hint=HINT)
        if any(before.endswith(programs) for before in heads):
            _refuse_flags(piece)
        yield piece


def _refuse_flags(piece: bytes) -> None:
    if b"programstatus {\n" in piece:
        raise Refused("a status file of a running Nagios is not loaded", hint=HINT)
    if _program_keys(piece) - set(COUNTERS):
        raise Refused("a program block with the flags of a running Nagios is not loaded", hint=HINT)


def _program_keys(piece: bytes) -> set[str]:
    """What the program block sets, if it is in this piece. Nagios itself begins the lines of retention.dat without a tab."""
    body = piece.partition(b"program {\n")[2].partition(b"}\n")[0]
    return {line.strip().partition(b"=")[0].decode("utf-8", "replace") for line in body.splitlines() if b"=" in line}
