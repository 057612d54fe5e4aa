"""The open incidents of the pair: what status.dat says is not well, with who was told of it when and by whom, as the event logs
say. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nagios_failover.event_log import Notification
from nagios_failover.gap import HOST_WORDS, SERVICE_WORDS, Fields, Key
from nagios_failover.one_history import History
from nagios_failover.snapshot import blocks, fields_of, key_of, words_of


@dataclass(frozen=True)
class Told:
    """A PROBLEM to one contact. `host` is whose Nagios sent it, "" where no log tells."""

    time: int
    contact: str
    host: str


@dataclass
class OpenIncident:
    """`since` is when it left OK (epoch seconds); `number` how often Nagios counts it as notified. `acknowledged` is who did it and
    what he said, "" for nobody."""

    key: Key
    state: str
    hard: bool
    since: int
    number: int
    last_notification: int
    acknowledged: str
    downtime: bool
    flapping: bool
    notifies: bool
    output: str
    told: list[Told] = field(default_factory=list)


def open_incidents(fields_by_key: Mapping[Key, Fields], acknowledgements: Mapping[Key, str]) -> list[OpenIncident]:
    """Of what is not well in these blocks, the oldest first."""
    found = []
    for key, fields in fields_by_key.items():
        state = int(fields.get("current_state") or 0)
        if not state:
            continue
        words = SERVICE_WORDS if key[1] else HOST_WORDS
        acknowledged = fields.get("problem_has_been_acknowledged") == "1"
        found.append(
            OpenIncident(
                key=key,
                state=words[min(state, len(words) - 1)].upper(),
                hard=fields.get("state_type") == "1",
                since=int(fields.get(f"last_time_{words[0]}") or 0) or int(fields.get("last_state_change") or 0),
                number=int(fields.get("current_notification_number") or 0),
                last_notification=int(fields.get("last_notification") or 0),
                acknowledged=(acknowledgements.get(key) or "by somebody") if acknowledged else "",
                downtime=int(fields.get("scheduled_downtime_depth") or 0) > 0,
                flapping=fields.get("is_flapping") == "1",
                notifies=fields.get("notifications_enabled") != "0",
                output=fields.get("plugin_output", ""),
            )
        )
    return sorted(found, key=lambda one: (one.since, one.key))


def tell(incidents: Iterable[OpenIncident], history: History) -> None:
    """Add who was told of each since it began."""
    by_key = {one.key: one for one in incidents}
    for logged in history.lines:
        line = logged.line
        if isinstance(line, Notification) and line.kind == "NORMAL" and line.state:
            one = by_key.get((line.host, line.service))
            if one and line.time >= one.since:
                one.told.append(Told(line.time, line.contact, logged.host))


@dataclass
class Shown:
    """A status.dat: the blocks of objects (not the watch host's), and who acknowledged what."""

    created: int = 0
    objects: dict[Key, Fields] = field(default_factory=dict)
    acknowledgements: dict[Key, str] = field(default_factory=dict)


_KEPT = (
    *("current_state", "state_type", "last_time_ok", "last_time_up", "last_state_change", "current_notification_number"),
    *("last_notification", "problem_has_been_acknowledged", "scheduled_downtime_depth", "is_flapping", "notifications_enabled"),
    "plugin_output",
)
_AS_USUAL = (b"\tscheduled_downtime_depth=0\n", b"\tis_flapping=0\n", b"\tnotifications_enabled=1\n", b"\tcurrent_state=0\n")


def read_shown(chunks: Iterable[bytes], *, watch_host: str, what: str) -> Shown:
    """Only what is not well or not as usual is kept. Raises CouldNotLook."""
    shown = Shown()
    for kind, body in blocks(chunks, what):
        if kind == b"info":
            shown.created = int(fields_of(body).get("created") or 0)
        key = key_of(kind, body)
        if key is None or words_of(key)[0] in ("", watch_host):
            continue
        if kind in (b"hostcomment", b"servicecomment") and b"\tentry_type=4\n" in body:
            fields = fields_of(body)
            shown.acknowledgements[words_of(key)] = f"by {fields.get('author', '')}: {fields.get('comment_data', '')}"
        elif kind in (b"hoststatus", b"servicestatus") and not all(line in body for line in _AS_USUAL):
            fields = fields_of(body)
            shown.objects[words_of(key)] = {name: fields[name] for name in _KEPT if name in fields}
    return shown
