"""In what two Nagios hosts' resolved objects (objects.cache) differ. Pure, and streaming: of each object a name and a digest are
kept, and only what differs is read again.

The watch over the other host is left out: its host, its services and the commands that these use. A command or time period that
only one host has matters through the objects that use it alone, and those differ then.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from hashlib import blake2b

from nagios_failover.errors import CouldNotLook
from nagios_failover.frozen import frozen

NAMED = 20
"""So many differences are named; the rest is counted."""
ATTRIBUTES_NAMED = 3
VALUE_LIMIT = 60
BLOCK_LIMIT = 16 << 20
"""Bytes. A host group with all of 50,000 hosts in it is far below."""
_END = b"\t}\n\n"
_HEAD = re.compile(rb"(?:#[^\n]*\n|\n)*define ([a-z]+) \{\n")
_NAMES: Mapping[bytes, int] = {
    b"host": 1,
    b"service": 2,
    b"contact": 1,
    b"contactgroup": 1,
    b"hostgroup": 1,
    b"servicegroup": 1,
    b"command": 1,
    b"timeperiod": 1,
}
"""Kinds that have names, and how many lines from the top these are. Others (dependencies, escalations) are what they say."""
_BY_USE = (b"command", b"timeperiod")
_LIST = re.compile(rb"^\t(contacts|contact_groups|members|parents|host_groups|service_groups)\t(.*,.*)$", re.MULTILINE)
_WORDS = {
    "contactgroup": "contact group",
    "hostgroup": "host group",
    "servicegroup": "service group",
    "timeperiod": "time period",
    "hostdependency": "host dependency",
    "servicedependency": "service dependency",
    "hostescalation": "host escalation",
    "serviceescalation": "service escalation",
}
_ORDER = ("host", "service", "contact", "contactgroup")

Key = bytes
"""A kind and its names, NUL between them."""


@dataclass
class Objects:
    """The objects of one host: key to digest, and the commands that only the watch is known to use."""

    digests: dict[Key, bytes] = field(default_factory=dict)
    watch_commands: set[Key] = field(default_factory=set)


@frozen
class Difference:
    """Keys of what only one of the two has, and of what both have and have differently."""

    there: frozenset[Key]
    here: frozenset[Key]
    other: frozenset[Key]

    @property
    def keys(self) -> frozenset[Key]:
        return self.there | self.here | self.other


def read_objects(chunks: Iterable[bytes], *, watch_host: str, what: str) -> Objects:
    """Raises CouldNotLook for a file that is cut off or is no objects.cache."""
    objects = Objects()
    for key, body in _objects(chunks, watch_host.encode(), what, objects.watch_commands):
        objects.digests[key] = blake2b(body, digest_size=12).digest()
    return objects


def difference(there: Objects, here: Objects) -> Difference:
    watch = there.watch_commands | here.watch_commands
    only_there = there.digests.keys() - here.digests.keys()
    only_here = here.digests.keys() - there.digests.keys()
    both = there.digests.keys() & here.digests.keys()
    return Difference(
        there=frozenset(key for key in only_there if _kind(key) not in _BY_USE),
        here=frozenset(key for key in only_here if _kind(key) not in _BY_USE),
        other=frozenset(key for key in both if there.digests[key] != here.digests[key] and key not in watch),
    )


def attributes_of(chunks: Iterable[bytes], keys: Set[Key], *, watch_host: str, what: str) -> dict[Key, dict[str, str]]:
    """The attributes of these objects."""
    found = {}
    for key, body in _objects(chunks, watch_host.encode(), what, set()):
        if key in keys:
            lines = body.decode("utf-8", "replace").split("\n")
            found[key] = {name: value for name, _, value in (line[1:].partition("\t") for line in lines) if name}
    return found


def changed_commands(before: Objects | None, after: Objects) -> list[str]:
    """The commands of `after` that are new or other than they were, by name; all of them where `before` is not known."""
    known = before.digests if before else {}
    changed = [key for key, digest in after.digests.items() if _kind(key) == b"command" and known.get(key) != digest]
    return sorted(_text(key).partition(" ")[2] for key in changed)


def worth_naming(difference: Difference) -> list[Key]:
    """In the order in which they are named: hosts, services, contacts, the rest. A service goes with a host that is missing too."""
    gone = {key for key in difference.there | difference.here if _kind(key) == b"host"}
    sides = (difference.there, difference.here)

    def alone(key: Key) -> bool:
        host = b"host\0" + key.split(b"\0")[1]
        return _kind(key) == b"service" and host in gone and any(key in side and host in side for side in sides)

    named = [key for key in difference.keys if not alone(key)]
    return sorted(named, key=lambda key: (_rank(key), key))


def sentences(
    difference: Difference,
    keys: Iterable[Key],
    there: Mapping[Key, Mapping[str, str]],
    here: Mapping[Key, Mapping[str, str]],
    *,
    names: tuple[str, str],
) -> list[str]:
    """Each of these keys of the difference, in words. `names` are the two hosts', there and here."""
    found = []
    for key in keys:
        ours, theirs = here.get(key, {}), there.get(key, {})
        if key in difference.other:
            found.append(f"{_text(key)}: {_attributes(theirs, ours, names)}")
        else:
            side = names[0] if key in difference.there else names[1]
            found.append(f"{_text(key, theirs or ours)}{_with_services(key, difference)} is only on {side}")
    return found


def _with_services(key: Key, difference: Difference) -> str:
    side = difference.there if key in difference.there else difference.here
    begin = b"service\0" + key.partition(b"\0")[2] + b"\0"
    count = sum(other.startswith(begin) for other in side) if _kind(key) == b"host" else 0
    return f" (with {count} service{'s' if count != 1 else ''})" if count else ""


def _attributes(there: Mapping[str, str], here: Mapping[str, str], names: tuple[str, str]) -> str:
    changed = sorted(name for name in there.keys() | here.keys() if there.get(name) != here.get(name))
    said = [f"{name} {_value(there.get(name))} on {names[0]}, {_value(here.get(name))} on {names[1]}" for name in changed]
    more = len(said) - ATTRIBUTES_NAMED
    return "; ".join([*said[:ATTRIBUTES_NAMED], *([f"and {more} more"] if more > 0 else [])])


def _value(text: str | None) -> str:
    if text is None:
        return "none"
    if re.fullmatch(r"\d+\.\d+", text):
        return text.rstrip("0").rstrip(".")
    shown = text if len(text) <= VALUE_LIMIT else text[: VALUE_LIMIT - 3] + "..."
    return shown if shown.isascii() and re.fullmatch(r"[\w.,:/@!-]+", shown) else repr(shown)


def _objects(chunks: Iterable[bytes], watch: bytes, what: str, watch_commands: set[Key]) -> Iterator[tuple[Key, bytes]]:
    for kind, body in _blocks(chunks, what):
        lines = body.split(b"\n", 2)
        count = _NAMES.get(kind, 0)
        values = [line[1:].partition(b"\t")[2] for line in lines[:count]]
        if kind in (b"host", b"service") and values[0] == watch:
            watch_commands.update(b"command\0" + name for name in _commands_of(body))
            continue
        if kind.endswith((b"dependency", b"escalation")) and b"host_name\t" + watch + b"\n" in body:
            continue
        if kind.endswith(b"group"):
            body = _without(kind, body, watch)
        body = _in_order(kind, body) if b"," in body else body
        yield b"\0".join([kind, *values] if count else [kind, blake2b(body, digest_size=12).hexdigest().encode()]), body


def _blocks(chunks: Iterable[bytes], what: str) -> Iterator[tuple[bytes, bytes]]:
    rest, whole = b"", 0
    for chunk in chunks:
        parts = (rest + chunk).split(_END)
        rest = parts.pop()
        for part in parts:
            head = _HEAD.match(part)
            if head is None or not part.startswith(b"\t", head.end()) or not part.endswith(b"\n"):
                raise CouldNotLook(f"{what} is not as Nagios writes it", hint="is it the object_cache_file of nagios.cfg?")
            whole += 1
            yield head[1], part[head.end() :]
        if len(rest) > BLOCK_LIMIT:
            break
    if rest.strip(b"\n") or not whole:
        raise CouldNotLook(f"{what} is not whole", hint="Nagios writes it when it starts: is the disk full there?")


def _commands_of(body: bytes) -> Iterator[bytes]:
    for line in body.split(b"\n"):
        name, _, value = line[1:].partition(b"\t")
        if name in (b"check_command", b"event_handler"):
            yield value.partition(b"!")[0]


def _without(kind: bytes, body: bytes, watch: bytes) -> bytes:
    """A group's members, the watch left out."""
    if watch not in body or kind == b"contactgroup":
        return body

    def members(found: re.Match[bytes]) -> bytes:
        left = [entry for entry in _entries(kind, found[1]) if entry.split(b",")[0] != watch]
        return b"\tmembers\t" + b",".join(left) + b"\n" if left else b""

    return re.sub(rb"\tmembers\t([^\n]*)\n", members, body)


def _in_order(kind: bytes, body: bytes) -> bytes:
    """The order of a list depends on that in which the host's directory gives its files; it means nothing."""
    return _LIST.sub(lambda found: b"\t" + found[1] + b"\t" + b",".join(sorted(_entries(kind, found[2]))), body)


def _entries(kind: bytes, text: bytes) -> list[bytes]:
    words = text.split(b",")
    if kind == b"servicegroup":
        return [b",".join(words[index : index + 2]) for index in range(0, len(words), 2)]
    return words


def _kind(key: Key) -> bytes:
    return key.partition(b"\0")[0]


def _rank(key: Key) -> int:
    kind = _kind(key).decode()
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


def _text(key: Key, attributes: Mapping[str, str] | None = None) -> str:
    """`service web1/HTTP`; for what has no name, the object that it is about."""
    kind, *names = key.split(b"\0")
    word = kind.decode()
    if kind in _NAMES:
        name = "/".join(part.decode("utf-8", "replace") for part in names)
    else:
        about = attributes or {}
        host = about.get("dependent_host_name") or about.get("host_name") or "an object"
        service = about.get("dependent_service_description") or about.get("service_description")
        name = "of " + (f"{host}/{service}" if service else host)
    return f"{_WORDS.get(word, word)} {name}"
