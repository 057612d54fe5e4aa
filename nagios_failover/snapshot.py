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
_NO_TAB = re.compile(rb"\n[^\t]")
_FIRST = (b"info", b"programstatus")
_LATER = {
    *(b"hoststatus", b"servicestatus", b"contactstatus"),
    *(b"hostcomment", b"servicecomment", b"hostdowntime", b"servicedowntime"),
}
_KIND_OF = {kind + b" {\n": kind for kind in (*_FIRST, *_LATER)}
Block = tuple[bytes, bytes]
"""Its kind, and its lines, the head among them."""


def blocks(chunks: Iterable[bytes], what: str = "status.dat") -> Iterator[Block]:
    """Kind and body (the lines below the head) of each block, in the file's order. Raises CouldNotLook, at the first place that is
    not as Nagios writes it: a file that is cut off, has a block without an end, or holds anything else, is not loaded in part."""
    return ((kind, body_of(kind, lines)) for batch in batches(chunks, what) for kind, lines in batch)


def body_of(kind: bytes, lines: bytes) -> bytes:
    return lines[len(kind) + 3 :]


def batches(chunks: Iterable[bytes], what: str = "status.dat") -> Iterator[list[Block]]:
    """The same, as many blocks at a time as come in a chunk, and each with its head: nothing is cut that need not be."""
    rest = b""
    count = 0
    for chunk in chunks:
        text = rest + chunk
        if not count:
            text = _COMMENTS.sub(b"", text, count=1)
        parts = text.split(END)
        rest = parts.pop()
        if parts:
            yield _batch(parts, text, len(text) - len(rest), count, what)
            count += len(parts)
        if len(rest) > BLOCK_LIMIT:
            raise not_whole(what, f"block {count + 1} has no end within {BLOCK_LIMIT >> 20} MiB")
    if rest.strip(b"\n") or count < 2:
        raise not_whole(what, "it is cut off" if rest or not count else "it holds no program block")


def _batch(parts: list[bytes], text: bytes, end: int, count: int, what: str) -> list[Block]:
    """The blocks that the first `end` bytes of `text` are made of, `parts` without their ENDs; `count` came before them."""
    found: list[Block] = []
    for part in parts:
        below = part.find(b"\n") + 1
        kind = _KIND_OF.get(part[:below])
        if kind is None or below == len(part) or not part.endswith(b"\n"):
            raise _odd(what, count + len(found))
        found.append((kind, part))
    # Every line begins with a tab, but for the empty one in each END and the heads, which are known now: counted for all blocks at
    # once, since that is what most of the time goes into.
    if len(_NO_TAB.findall(text, 0, end)) != len(parts) or text.find(b"\0", 0, end) >= 0:
        index = next((index for index, part in enumerate(parts) if _NO_TAB.search(part) or b"\0" in part), len(parts) - 1)
        raise _odd(what, count + index)
    first, kinds = _FIRST[count:], [kind for kind, _ in found]
    if tuple(kinds[: len(first)]) != first[: len(kinds)] or not _LATER.issuperset(kinds[len(first) :]):
        raise not_whole(what, "it does not begin with an info and a programstatus block")
    return found


def _odd(what: str, index: int) -> CouldNotLook:
    return not_whole(what, f"block {index + 1} is not as Nagios writes it")


def not_whole(what: str, why: str) -> CouldNotLook:
    return CouldNotLook(f"{what} is not whole: {why}", hint="is the disk full there? an older copy, or none, is taken instead")


def fields_of(body: bytes) -> Fields:
    """The `key=value` lines of a block. A byte that is not UTF-8 survives."""
    pairs = (line[1:].partition("=") for line in body.decode("utf-8", "surrogateescape").split("\n")[:-1])
    return {key: value for key, _, value in pairs}


@dataclass
class Own:
    """This host's own objects, by their keys, and the commands that delete the comments and downtimes that it has."""

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
    found, watch = Problems(), first_line(watch_host)
    for kind, body in blocks(chunks, what):
        key = key_of(kind, body) if kind in (b"hoststatus", b"servicestatus") else None
        if key is not None and not body.startswith(watch):
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


def key_of(kind: bytes, text: bytes, at: int = 0) -> bytes | None:
    """Which object a block is about, its lines beginning at `at`: the lines that name it, as they stand there, but for the last
    one's end. None for info, programstatus, and where the block does not say."""
    end = text.find(b"\n", at)
    if text.startswith(_HOST, at):
        if not kind.startswith(b"service"):
            return text[at:end]
        return text[at : text.find(b"\n", end + 1)] if text.startswith(_SERVICE, end) else None
    return text[at:end] if kind == b"contactstatus" and text.startswith(_CONTACT, at) else None


def words_of(key: bytes) -> Key:
    """A contact has no host."""
    host, _, service = key.partition(_SERVICE)
    contact = host.startswith(_CONTACT)
    words = (b"", host[len(_CONTACT) :]) if contact else (host[len(_HOST) :], service)
    return (words[0].decode("utf-8", "surrogateescape"), words[1].decode("utf-8", "surrogateescape"))


def key_named(words: Key) -> bytes:
    """The key of a host or a service."""
    host, service = (word.encode("utf-8", "surrogateescape") for word in words)
    return _HOST + host + (_SERVICE + service if service else b"")


def is_contact(key: bytes) -> bool:
    return key.startswith(_CONTACT)


_HOST, _SERVICE, _CONTACT = b"\thost_name=", b"\n\tservice_description=", b"\tcontact_name="
