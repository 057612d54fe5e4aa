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
_COMMENTS = re.compile(rb"(?:#[^\n]*\n|\n)*")
_NO_TAB = re.compile(rb"\n[^\t\n]")
_OPENS = b" {\n"
_FIRST = (b"info", b"programstatus")
_LATER = {
    *(b"hoststatus", b"servicestatus", b"contactstatus"),
    *(b"hostcomment", b"servicecomment", b"hostdowntime", b"servicedowntime"),
}
_KINDS = {*_FIRST, *_LATER}
Block = tuple[bytes, bytes]


def blocks(chunks: Iterable[bytes], what: str = "status.dat") -> Iterator[Block]:
    """Kind and lines of each block, in the file's order. Raises CouldNotLook, at the first place that is not as Nagios writes it:
    a file that is cut off, has a block without an end, or holds anything else, is not loaded in part."""
    return (block for batch in batches(chunks, what) for block in batch)


def batches(chunks: Iterable[bytes], what: str = "status.dat") -> Iterator[list[Block]]:
    """The same, as many blocks at a time as come in a chunk."""
    rest = b""
    count = 0
    for chunk in chunks:
        text, end, rest = (rest + chunk).rpartition(END)
        if end:
            batch = _batch(text, count, what)
            count += len(batch)
            yield batch
        if len(rest) > BLOCK_LIMIT:
            raise not_whole(what, f"block {count + 1} has no end within {BLOCK_LIMIT >> 20} MiB")
    if rest.strip(b"\n") or count < 2:
        raise not_whole(what, "it is cut off" if rest or not count else "it holds no program block")


def _batch(text: bytes, count: int, what: str) -> list[Block]:
    """The blocks of `text`, which has lost its last END; `count` came before it."""
    if not count:
        text = _COMMENTS.sub(b"", text, count=1)
    found: list[Block] = []
    for part in text.split(END):
        kind, _, body = part.partition(_OPENS)
        if kind not in _KINDS or not body.endswith(b"\n"):
            raise _odd(what, count + len(found))
        found.append((kind, body))
    # Every line begins with a tab, but for one head and one empty line between two blocks: counted for all of them at once, which
    # takes a third of the time.
    between = len(found) - 1
    if not len(_NO_TAB.findall(text)) == between == text.count(b"\n\n") or b"\0" in text:
        raise _odd(what, count + next((index for index, (_, body) in enumerate(found) if not _is_whole(body)), between))
    first, kinds = _FIRST[count:], [kind for kind, _ in found]
    if tuple(kinds[: len(first)]) != first[: len(kinds)] or not _LATER.issuperset(kinds[len(first) :]):
        raise not_whole(what, "it does not begin with an info and a programstatus block")
    return found


def _odd(what: str, index: int) -> CouldNotLook:
    return not_whole(what, f"block {index + 1} is not as Nagios writes it")


def _is_whole(body: bytes) -> bool:
    return body.startswith(b"\t") and not _NO_TAB.search(body) and b"\n\n" not in body and b"\0" not in body


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
    own, watch = Own(), first_line(watch_host)
    for kind, body in blocks(chunks, what):
        key = key_of(kind, body)
        if key is not None and not body.startswith(watch):
            if kind in COMMENTS_AND_DOWNTIMES:
                own.deletes.extend(deletes_of(kind, fields_of(body)))
            else:
                own.objects.add(key)
    return own


@dataclass
class Problems:
    """How many hosts and services are not UP or OK, and how many have changed their state since a moment."""

    not_ok: int = 0
    changed: int = 0


def count_problems(chunks: Iterable[bytes], *, since: int, watch_host: str, what: str = "status.dat") -> Problems:
    """The watch host left out. Raises CouldNotLook."""
    found = Problems()
    for kind, body in blocks(chunks, what):
        key = key_of(kind, body) if kind in (b"hoststatus", b"servicestatus") else None
        if key is not None and key.split(b"\0")[0] != watch_host.encode():
            state, changed = _CURRENT.search(body), _CHANGED.search(body)
            found.not_ok += state is not None and state[1] != b"0"
            found.changed += changed is not None and int(changed[1]) >= since
    return found


_CURRENT = re.compile(rb"^\tcurrent_state=(\d+)$", re.MULTILINE)
_CHANGED = re.compile(rb"^\tlast_state_change=(\d+)$", re.MULTILINE)

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


def first_line(host: str) -> bytes:
    """The first line of each block that is about this host."""
    return b"\thost_name=" + host.encode("utf-8", "surrogateescape") + b"\n"


def key_of(kind: bytes, body: bytes) -> bytes | None:
    """Which object a block is about; None for info, programstatus, and where the block does not say."""
    end = body.find(b"\n")
    if body.startswith(b"\thost_name="):
        if not kind.startswith(b"service"):
            return body[11:end]
        if body.startswith(b"\tservice_description=", end + 1):
            return body[11:end] + b"\0" + body[end + 22 : body.find(b"\n", end + 22)]
        return None
    return b"\0" + body[14:end] if kind == b"contactstatus" and body.startswith(b"\tcontact_name=") else None


def words_of(key: bytes) -> Key:
    host, _, service = key.decode("utf-8", "surrogateescape").partition("\0")
    return host, service
