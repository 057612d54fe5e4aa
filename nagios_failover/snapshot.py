"""status.dat as a stream of whole blocks: bytes in, nothing of it kept. Pure; strict, because what Nagios loads from it, it loads
silently and in part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from nagios_failover.errors import CouldNotLook
from nagios_failover.event_log import is_number
from nagios_failover.gap import Fields, Key

BLOCK_LIMIT = 16 << 20
"""Bytes. No block of Nagios's comes near."""
END = b"\t}\n\n"
_HEAD = re.compile(rb"(?:#[^\n]*\n|\n)*([a-z]+) \{\n")
_KINDS = {
    *(b"info", b"programstatus", b"hoststatus", b"servicestatus", b"contactstatus"),
    *(b"hostcomment", b"servicecomment", b"hostdowntime", b"servicedowntime"),
}


def blocks(chunks: Iterable[bytes], what: str = "status.dat") -> Iterator[tuple[bytes, bytes]]:
    """Kind and lines of each block, in the file's order. Raises CouldNotLook, at the first place that is not as Nagios writes it:
    a file that is cut off, has a block without an end, or holds anything else, is not loaded in part."""
    rest = b""
    count = 0
    for chunk in chunks:
        parts = (rest + chunk).split(END)
        rest = parts.pop()
        for part in parts:
            yield _block(part, count, what)
            count += 1
        if len(rest) > BLOCK_LIMIT:
            raise not_whole(what, f"block {count + 1} has no end within {BLOCK_LIMIT >> 20} MiB")
    if rest.strip(b"\n") or count < 2:
        raise not_whole(what, "it is cut off" if rest or not count else "it holds no program block")


def _block(part: bytes, index: int, what: str) -> tuple[bytes, bytes]:
    head = _HEAD.match(part)
    body = part[head.end() :] if head else b""
    kind = head[1] if head else b""
    lines_begin_with_tab = body.startswith(b"\t") and body.endswith(b"\n") and body.count(b"\n") == body.count(b"\n\t") + 1
    if kind not in _KINDS or not lines_begin_with_tab or b"\0" in body:
        raise not_whole(what, f"block {index + 1} is not as Nagios writes it")
    if (index == 0) is not (kind == b"info") or (index == 1) is not (kind == b"programstatus"):
        raise not_whole(what, "it does not begin with an info and a programstatus block")
    return kind, body


def not_whole(what: str, why: str) -> CouldNotLook:
    return CouldNotLook(f"{what} is not whole: {why}", hint="is the disk full there? an older copy, or none, is taken instead")


def fields_of(body: bytes) -> Fields:
    """The `key=value` lines of a block. A byte that is not UTF-8 survives."""
    pairs = (line[1:].partition("=") for line in body.decode("utf-8", "surrogateescape").split("\n")[:-1])
    return {key: value for key, _, value in pairs}


@dataclass
class Own:
    """This host's own objects: keys as bytes (`host`, `host\\0service`, `\\0contact`), and the commands that delete the comments
    and downtimes that it has."""

    objects: set[bytes] = field(default_factory=set)
    deletes: list[str] = field(default_factory=list)


def read_own(chunks: Iterable[bytes], *, watch_host: str, what: str = "status.dat") -> Own:
    """What this host's own status.dat says, the watch host left out. Raises CouldNotLook."""
    own = Own()
    for kind, body in blocks(chunks, what):
        key = key_of(kind, body)
        if key is not None and key.split(b"\0")[0] != watch_host.encode():
            if kind in COMMENTS_AND_DOWNTIMES:
                own.deletes.extend(deletes_of(kind, fields_of(body)))
            else:
                own.objects.add(key)
    return own


COMMENTS_AND_DOWNTIMES = {
    b"hostcomment": ("DEL_HOST_COMMENT", "comment_id"),
    b"servicecomment": ("DEL_SVC_COMMENT", "comment_id"),
    b"hostdowntime": ("DEL_HOST_DOWNTIME", "downtime_id"),
    b"servicedowntime": ("DEL_SVC_DOWNTIME", "downtime_id"),
}


def deletes_of(kind: bytes, fields: Fields) -> list[str]:
    command, name = COMMENTS_AND_DOWNTIMES[kind]
    number = fields.get(name, "")
    return [f"{command};{number}"] if is_number(number) else []


def key_of(kind: bytes, body: bytes) -> bytes | None:
    """Which object a block is about; None for info, programstatus, and where the block does not say."""
    if kind in (b"info", b"programstatus"):
        return None
    first, _, rest = body.partition(b"\n")
    if kind == b"contactstatus":
        return b"\0" + first[14:] if first.startswith(b"\tcontact_name=") else None
    if not first.startswith(b"\thost_name="):
        return None
    if not kind.startswith(b"service"):
        return first[11:]
    second = rest.partition(b"\n")[0]
    return first[11:] + b"\0" + second[21:] if second.startswith(b"\tservice_description=") else None


def words_of(key: bytes) -> Key:
    host, _, service = key.decode("utf-8", "surrogateescape").partition("\0")
    return host, service
