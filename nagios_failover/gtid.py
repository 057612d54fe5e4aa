"""Positions and histories of MariaDB's GTIDs (domain-server-sequence), compared without asking a server. Pure.

A list may name one domain and server several times (a binlog state and a replica's position put together): the highest counts.
MySQL's sets are compared by the server itself (dialect.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class Gtid(NamedTuple):
    domain: int
    server: int
    sequence: int

    def __str__(self) -> str:
        return f"{self.domain}-{self.server}-{self.sequence}"


def parse(text: str) -> list[Gtid]:
    """`0-1-100,1-2-7`; "" is none. Raises ValueError for what is no list of GTIDs."""
    return [_one(part) for part in text.replace("\n", "").split(",") if part.strip()]


def _one(text: str) -> Gtid:
    parts = text.strip().split("-")
    if len(parts) != 3:
        raise ValueError(f"not a GTID: {text.strip()!r}")
    return Gtid(int(parts[0]), int(parts[1]), int(parts[2]))


def minus(one: str, other: str) -> str:
    """The ends of what history `one` has and history `other` lacks, "" for nothing: sequence numbers of one server in one domain
    only ever grow, so the highest says all."""
    known = _highest(parse(other))
    lacking = (
        Gtid(domain, server, sequence)
        for (domain, server), sequence in _highest(parse(one)).items()
        if sequence > known.get((domain, server), 0)
    )
    return ",".join(str(gtid) for gtid in sorted(lacking))


def fork(own: str, other: str) -> str:
    """Where history `own` leaves history `other`: the last transaction of each domain that both have, "" for none."""
    known = _highest(parse(other))
    last: dict[int, Gtid] = {}
    for (domain, server), sequence in _highest(parse(own)).items():
        common = Gtid(domain, server, min(sequence, known.get((domain, server), 0)))
        if common.sequence > last.get(domain, Gtid(domain, 0, 0)).sequence:
            last[domain] = common
    return ",".join(str(last[domain]) for domain in sorted(last))


def history_at(position: str, later: str) -> str:
    """The binlog state of a server that has all up to `position` and nothing more; `later` is the history of its source, read at
    any moment: what goes beyond the position (a transaction not yet committed) is left out. Each domain's last one comes last."""
    ends = {gtid.domain: gtid for gtid in parse(position)}
    earlier = (
        Gtid(domain, server, sequence)
        for (domain, server), sequence in _highest(parse(later)).items()
        if domain in ends and server != ends[domain].server and sequence < ends[domain].sequence
    )
    return ",".join(str(gtid) for gtid in (*sorted(earlier), *ends.values()))


def transactions_between(earlier: str, later: str) -> int | None:
    """How many transactions lie between two positions of one line of history, domain by domain; None where that cannot be told
    (a position is missing, or the later one is behind)."""
    begins = {gtid.domain: gtid.sequence for gtid in parse(earlier)}
    ends = {gtid.domain: gtid.sequence for gtid in parse(later)}
    gaps = [sequence - begins.get(domain, 0) for domain, sequence in ends.items()]
    return sum(gaps) if begins and ends and all(gap >= 0 for gap in gaps) else None


def _highest(gtids: list[Gtid]) -> dict[tuple[int, int], int]:
    found: dict[tuple[int, int], int] = {}
    for gtid in gtids:
        key = (gtid.domain, gtid.server)
        found[key] = max(found.get(key, 0), gtid.sequence)
    return found


def count_of_set(text: str) -> int:
    """How many transactions a set of MySQL's names: `uuid:1-5:7,uuid:tag:1-3`. Raises ValueError."""
    return sum(last - first + 1 for first, last in _intervals(text))


def _intervals(text: str) -> Iterator[tuple[int, int]]:
    for part in "".join(text.split()).split(","):
        for piece in part.split(":")[1:]:
            first, _, last = piece.partition("-")
            if first.isdigit():  # anything else is a tag
                yield int(first), int(last or first)


def in_words(count: int | None) -> str:
    """`1 transaction`, `45 transactions`, `transactions` where nobody knows how many."""
    return "transactions" if count is None else f"{count} transaction{'' if count == 1 else 's'}"
