"""From the master's status.dat to a retention file that this host's Nagios may load (READ_STATE_INFORMATION) while it runs. Pure,
and streaming: one block at a time; most are passed through with two lines cut out.

What must not come through (facts of Nagios 4.4, each seen to do harm): the program's flags, which would switch the standby on;
next_check and check_options, which park checks or make the main loop spin; comments of entry_type 2, which Nagios makes anew from
their downtime; the watch host, whose own state here must stay. What status.dat lacks is made up: notified_on_* from the
notification's number, the history of a flapping object from its percentage.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from nagios_failover.event_log import Period, is_number
from nagios_failover.flap_history import state_history
from nagios_failover.gap import Fields, Gap, Incident, Key
from nagios_failover.loadable import COUNTERS
from nagios_failover.snapshot import (
    COMMENTS_AND_DOWNTIMES,
    END,
    Block,
    Own,
    batches,
    body_of,
    deletes_of,
    fields_of,
    first_line,
    is_contact,
    key_named,
    key_of,
    not_whole,
    words_of,
)

NAMED = 20
"""So many of what could not be inherited are named; the rest is counted."""

_RETAINED = {
    b"hoststatus": b"host",
    b"servicestatus": b"service",
    b"contactstatus": b"contact",
    b"hostcomment": b"hostcomment",
    b"servicecomment": b"servicecomment",
    b"hostdowntime": b"hostdowntime",
    b"servicedowntime": b"servicedowntime",
}
_OPENED = {kind: word + b" {\n" for kind, word in _RETAINED.items()}
_NUMBERS = (
    *("current_state", "last_hard_state", "state_type", "current_attempt", "max_attempts", "current_notification_number"),
    *("last_notification", "acknowledgement_type", "problem_has_been_acknowledged", "last_state_change", "is_flapping"),
)
_TIMES = ("start_time", "end_time", "duration", "flex_downtime_start")
_STATE = re.compile(rb"\n\tcurrent_state=([1-3])\n")
_NUMBER = re.compile(rb"\n\tcurrent_notification_number=(\d{1,9})\n")
_NOTIFIED = re.compile(rb"\n\tlast_notification=(\d{1,12})\n")
_SERVICE = b"servicestatus"
_BELOW = {kind: len(kind + b" {\n") for kind in (b"hoststatus", _SERVICE)}
_NEXT_CHECK = b"\n\tnext_check="
_CHECK_OPTIONS = b"\n\tcheck_options="
_WELL = b"\n\tcurrent_state=0\n"
_NEVER_CHANGED = b"\n\tis_flapping=0\n\tpercent_state_change=0.00\n"


@dataclass
class Inherited:
    """What came of a conversion. `problems` is how many objects are loaded as not OK; `deletes` delete what the file brings
    (before it is loaded once more); `replay` are an operator's commands of the gap, to be sent after it. `program` is the master's
    programstatus block."""

    created: int = 0
    program: Fields = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    problems: int = 0
    notified: int = 0
    acknowledged: int = 0
    unknown: int = 0
    garbled: int = 0
    missing: int = 0
    named: list[str] = field(default_factory=list)
    in_doubt: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)
    deletes: list[str] = field(default_factory=list)
    replay: list[str] = field(default_factory=list)

    def left_out(self) -> list[str]:
        """What could not be inherited, sentences for the journal and the mail."""
        counted = (
            (self.unknown, "blocks of the snapshot are about objects that this host does not have"),
            (self.garbled, "blocks of the snapshot are garbled"),
            (self.missing, "objects of this host are not in the snapshot"),
        )
        said = [f"{count} {what}" for count, what in counted if count]
        return [*said, *([f"among them: {', '.join(self.named)}"] if said else [])]

    def name(self, key: bytes, why: str) -> None:
        host, service = words_of(key)
        if len(self.named) < NAMED:
            self.named.append(f"{f'{host}/{service}' if host and service else host or service} ({why})")


@dataclass(frozen=True)
class Flapping:
    """The percentages above which Nagios calls an object flapping (high_*_flap_threshold in nagios.cfg)."""

    host: float = 30.0
    service: float = 30.0


class Conversion:
    """One status.dat on its way. `lines()` gives the retention file; `inherited` is complete when it has ended. `own` None: what
    this host has is not known (its Nagios is stopped), and Nagios itself leaves out what it does not know."""

    def __init__(self, own: Own | None, gap: Gap, *, watch_host: str, flapping: Flapping) -> None:
        self.inherited = Inherited()
        self._own = own.objects if own else None
        self._gap, self._flapping = gap, flapping
        self._touched = {key_named(words) for words in gap.events}
        self._contacts = {key for key in self._own or () if is_contact(key)}
        self._quiet = None if self._own is None else self._own - self._touched - self._contacts
        self._watch = first_line(watch_host)
        self._missing = set(self._own or ())
        self._counts = dict.fromkeys(_RETAINED, 0)
        self._added: list[bytes] = []
        self._next_comment = 0
        self._replay = list(gap.replay)
        self._made: dict[bytes, Callable[[bytes, bytes], bytes]] = {
            **dict.fromkeys(COMMENTS_AND_DOWNTIMES, self._comment_or_downtime),
            b"info": self._info,
            b"programstatus": self._program,
            b"hoststatus": self._object,
            b"servicestatus": self._object,
            b"contactstatus": self._passed_on,
        }

    def lines(self, chunks: Iterable[bytes], what: str = "status.dat") -> Iterator[bytes]:
        """The retention file, some blocks at a time. Raises CouldNotLook when the snapshot is not whole: then nothing of what came
        before counts."""
        for batch in batches(chunks, what):
            yield self._batch(batch)
        yield from self._added
        self._conclude(what)

    def _conclude(self, what: str) -> None:
        self.inherited.counts = {_RETAINED[kind].decode(): count for kind, count in self._counts.items() if count}
        if self._contacts and not self.inherited.counts.get("contact"):
            raise not_whole(what, "it ends before its contacts")
        self.inherited.missing = len(self._missing)
        for key in sorted(self._missing)[:NAMED]:
            self.inherited.name(key, "not in the snapshot")
        self.inherited.replay = [f"{command.name};{command.arguments}" for command in self._replay]

    def _info(self, kind: bytes, body: bytes) -> bytes:
        fields = fields_of(body)
        try:
            self.inherited.created = int(fields["created"])
        except (KeyError, ValueError) as error:
            raise not_whole("the snapshot", "it does not say when it was written") from error
        return _text(b"info", {"created": fields["created"], "version": fields.get("version", "")})

    def _program(self, kind: bytes, body: bytes) -> bytes:
        """Nothing but where Nagios goes on counting."""
        self.inherited.program = fields_of(body)
        ids = {name: self.inherited.program.get(name, "") for name in COUNTERS}
        ids = {name: value for name, value in ids.items() if is_number(value)}
        self._next_comment = int(ids.get("next_comment_id", "1"))
        ids["next_comment_id"] = str(self._next_comment + self._gap.acknowledgements)
        return _text(b"program", ids)

    def _known(self, kind: bytes, body: bytes) -> bytes | None:
        key = key_of(kind, body)
        if key is None:
            self.inherited.garbled += 1
        elif not body.startswith(self._watch):
            if self._own is None or key in self._own:
                return key
            self.inherited.unknown += 1
            self.inherited.name(key, "unknown here")
        return None

    def _passed_on(self, kind: bytes, body: bytes) -> bytes:
        key = self._known(kind, body)
        if key is None:
            return b""
        self._missing.discard(key)
        self._counts[kind] += 1
        return b"".join((_OPENED[kind], body, END))

    def _batch(self, batch: list[Block]) -> bytes:
        """What becomes of these blocks. Most are an object that is here and well, that nothing happened to since the snapshot, that
        never flapped, and that is written as Nagios writes it: two lines are cut out. The time of a conversion goes into this loop:
        it looks at each part of the text once, and copies no more than it has to."""
        quiet, touched, watch = self._quiet, self._touched, self._watch
        missing, counts, opened = self._missing, self._counts, _OPENED
        pieces: list[bytes] = []
        for kind, text in batch:
            below = _BELOW.get(kind)
            if below and (begin := text.find(_NEXT_CHECK, below)) > 0:
                named = text.find(b"\n", below)
                if kind == _SERVICE:
                    named = text.find(b"\n", named + 1)
                key = text[below:named]
                middle = text.find(b"\n", begin + 12)
                end = text.find(b"\n", middle + 15)
                if (
                    (key in quiet if quiet is not None else key not in touched and key_of(kind, text, below) == key)
                    and text.startswith(_CHECK_OPTIONS, middle)
                    and text.find(_WELL, named, begin + 1) > 0
                    and text.find(_NEVER_CHANGED, end) > 0
                    and text.find(_NEXT_CHECK, end) < 0
                    and not text.startswith(watch, below)
                ):
                    missing.discard(key)
                    counts[kind] += 1
                    pieces += (opened[kind], text[below:begin], text[end:], END)
                    continue
            pieces.append(self._made[kind](kind, body_of(kind, text)))
        return b"".join(pieces)

    def _object(self, kind: bytes, body: bytes) -> bytes:
        key = self._known(kind, body)
        if key is None:
            return b""
        text = b"" if key in self._touched else self._open(kind, body)
        text = text or self._changed(kind, body, key)
        if text:
            self._missing.discard(key)
            self._counts[kind] += 1
        return text

    def _open(self, kind: bytes, body: bytes) -> bytes:
        """An object that is not OK, and that nothing happened to since the snapshot: two lines are cut out, one may be put in. b""
        where it takes more than that."""
        begin = body.find(_NEXT_CHECK)
        middle = body.find(b"\n", begin + 1)
        end = body.find(b"\n", middle + 1)
        if begin < 0 or not body.startswith(_CHECK_OPTIONS, middle):
            return b""
        if body.find(_NEVER_CHANGED, end) < 0 or body.find(_NEXT_CHECK, end) >= 0:
            return b""
        state, number, notified = _STATE.search(body), _NUMBER.search(body), _NOTIFIED.search(body)
        if not (state and number and notified) or (int(number[1]) and self._gap.in_doubt(int(notified[1]))):
            return b""
        self.inherited.problems += 1
        made_up = b""
        if int(number[1]):
            self.inherited.notified += 1
            made_up = f"\t{_notified_on(int(state[1]), is_host=kind == b'hoststatus')}=1\n".encode()
        self.inherited.acknowledged += b"\n\tproblem_has_been_acknowledged=1\n" in body
        return b"".join((_OPENED[kind], body[:begin], body[end:], made_up, END))

    def _changed(self, kind: bytes, body: bytes, key: bytes) -> bytes:
        fields, words, is_host = fields_of(body), words_of(key), kind == b"hoststatus"
        whole = len(fields) == body.count(b"\n") and all(is_number(fields.get(name, "")) for name in _NUMBERS)
        if not whole or int(fields["current_state"]) > (2 if is_host else 3):
            self.inherited.garbled += 1
            self.inherited.name(key, "garbled")
            return b""
        incident = Incident(fields, is_host=is_host)
        outcome = incident.apply(self._gap.events.get(words, ()), self._gap)
        self.inherited.in_doubt.extend(outcome.in_doubt)
        self.inherited.untold.extend(outcome.untold)
        for comment in outcome.comments:
            self._add_comment(words, comment)
        if incident.state != 0:
            self.inherited.problems += 1
            self.inherited.acknowledged += fields["problem_has_been_acknowledged"] == "1"
            if incident.number("current_notification_number") > 0:
                self.inherited.notified += 1
                fields[_notified_on(incident.state, is_host=is_host)] = "1"
        self._make_up_history(fields, is_host=is_host)
        for name in ("next_check", "check_options"):
            fields.pop(name, None)
        return _text(_RETAINED[kind], fields)

    def _make_up_history(self, fields: Fields, *, is_host: bool) -> None:
        high = self._flapping.host if is_host else self._flapping.service
        try:
            percent = float(fields.get("percent_state_change", "0"))
        except ValueError:
            percent = 0.0
        fields["state_history"] = state_history(int(fields["current_state"]), percent, high, flapping=fields["is_flapping"] == "1")

    def _add_comment(self, words: Key, comment: tuple[str, str, bool, int]) -> None:
        host, service = words
        author, text, persistent, time = comment
        names = {"host_name": host, **({"service_description": service} if service else {})}
        self._added.append(
            _text(
                b"servicecomment" if service else b"hostcomment",
                {
                    **names,
                    "entry_type": "4",
                    "comment_id": str(self._next_comment),
                    "source": "1",
                    "persistent": str(int(persistent)),
                    "entry_time": str(time),
                    "expires": "0",
                    "expire_time": "0",
                    "author": author,
                    "comment_data": text,
                },
            )
        )
        self.inherited.deletes.append(f"DEL_{'SVC' if service else 'HOST'}_COMMENT;{self._next_comment}")
        self._next_comment += 1

    def _comment_or_downtime(self, kind: bytes, body: bytes) -> bytes:
        key = self._known(kind, body)
        if key is None:
            return b""
        fields = fields_of(body)
        deletes = deletes_of(kind, fields)
        if not deletes or not all(is_number(fields.get(name) or "0") for name in _TIMES):
            self.inherited.garbled += 1
            self.inherited.name(key, "garbled")
            return b""
        self._not_twice(kind, key, fields)
        number = fields[COMMENTS_AND_DOWNTIMES[kind][1]]
        if (kind.decode(), number) in self._gap.deleted or fields.get("entry_type") == "2":
            return b""
        if kind.endswith(b"downtime") and not self._still_due(words_of(key), fields):
            return b""
        self.inherited.deletes.extend(deletes)
        self._counts[kind] += 1
        return _text(kind, fields)

    def _still_due(self, words: Key, fields: Fields) -> bool:
        """Has the log not said that this downtime ended? One that it says has begun is marked so."""
        for event in self._gap.events.get(words, ()):
            if not (isinstance(event, Period) and event.kind == "DOWNTIME") or event.time < self._gap.since:
                continue
            begun, fixed = fields.get("is_in_effect") == "1", fields.get("fixed") == "1"
            start, end = int(fields.get("start_time") or 0), int(fields.get("end_time") or 0)
            if event.what == "STARTED" and start <= event.time <= end and not begun:
                fields.update(is_in_effect="1", start_notification_sent="1")
                if not fixed:
                    fields["flex_downtime_start"] = str(event.time)
            elif event.what == "STOPPED" and begun:
                ends = end if fixed else int(fields.get("flex_downtime_start") or 0) + int(fields.get("duration") or 0)
                if ends <= event.time + 1:
                    return False
        return True

    def _not_twice(self, kind: bytes, key: bytes, fields: Fields) -> None:
        """A command logged in the very second of the snapshot may be in it already."""
        text = fields.get("comment_data") or fields.get("comment") or ""
        host, service = words_of(key)
        for command in self._replay:
            mine = command.arguments.startswith(f"{host};{service};" if service else f"{host};")
            if command.time <= self._gap.since and mine and command.arguments.endswith(f";{fields.get('author', '')};{text}"):
                self._replay.remove(command)
                return


def _notified_on(state: int, *, is_host: bool) -> str:
    words = ("up", "down", "unreachable") if is_host else ("ok", "warning", "critical", "unknown")
    return f"notified_on_{words[min(state, len(words) - 1)]}"


def _text(kind: bytes, fields: Fields) -> bytes:
    lines = "".join(f"\t{key}={value}\n" for key, value in fields.items())
    return kind + b" {\n" + lines.encode("utf-8", "surrogateescape") + END
