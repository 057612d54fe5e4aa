"""When Nagios notifies whom, as objects.cache says it: what an audit must know to call a notification doubled or missing. Pure.

Only what is asked for is kept: a large site's objects.cache has tens of megabytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from nagios_failover.gap import HOST_WORDS, SERVICE_WORDS, Key

ALWAYS = "00:00-24:00"
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_LETTERS = {word: "r" if not state else word[0] for words in (HOST_WORDS, SERVICE_WORDS) for state, word in enumerate(words)}


@dataclass(frozen=True)
class Contact:
    email: str = ""
    host_options: str = "d,u,r"
    service_options: str = "w,u,c,r"
    always: bool = True


@dataclass(frozen=True)
class Rules:
    """Of one host or service. Times are seconds; `interval` is the shortest that its escalations allow, 0: notified once.
    `unsure` says why the log cannot tell whether a notification was due, "" where it can."""

    interval: float
    check_interval: float
    first_delay: float = 0.0
    volatile: bool = False
    escalated: bool = False
    enabled: bool = True
    options: str = "r,d,u,w,c"
    contacts: tuple[str, ...] = ()
    unsure: str = ""

    def wanted(self, state: int, contact: Contact | None, *, is_host: bool) -> bool:
        """Does the object, and this contact, want to know about this state (0: a recovery)?"""
        letter = _LETTERS[(HOST_WORDS if is_host else SERVICE_WORDS)[state]]
        theirs = "" if contact is None else contact.host_options if is_host else contact.service_options
        return letter in self.options.split(",") and (contact is None or letter in theirs.split(","))


@dataclass
class AllRules:
    """`known` False: objects.cache could not be read, so that nothing of this is known."""

    objects: dict[Key, Rules] = field(default_factory=dict)
    contacts: dict[str, Contact] = field(default_factory=dict)
    known: bool = True

    def contact(self, name: str) -> Contact | None:
        return self.contacts.get(name)


Directives = dict[str, str]


def read_rules(lines: Iterable[str], wanted: set[Key], *, interval_length: int) -> AllRules:
    """The rules of the `wanted` objects, and all contacts."""
    objects: dict[Key, Directives] = {}
    contacts: dict[str, Directives] = {}
    groups: dict[str, str] = {}
    periods: dict[str, bool] = {}
    escalations: dict[Key, list[Directives]] = {}
    dependent: set[Key] = set()
    for kind, fields in _definitions(lines):
        key = (fields.get("host_name", ""), fields.get("service_description", ""))
        if kind in ("host", "service") and key in wanted:
            objects[key] = fields
        elif kind in ("hostescalation", "serviceescalation") and key in wanted:
            escalations.setdefault(key, []).append(fields)
        elif kind in ("hostdependency", "servicedependency"):
            dependent.add((fields.get("dependent_host_name", ""), fields.get("dependent_service_description", "")))
        elif kind == "contact":
            contacts[fields.get("contact_name", "")] = fields
        elif kind == "contactgroup":
            groups[fields.get("contactgroup_name", "")] = fields.get("members", "")
        elif kind == "timeperiod":
            periods[fields.get("timeperiod_name", "")] = _is_always(fields)
    found = AllRules(contacts={name: _contact(fields, periods) for name, fields in contacts.items()})
    for key, fields in objects.items():
        unsure = ""
        if not periods.get(fields.get("notification_period", ""), True):
            unsure = f"its notification period is {fields['notification_period']}"
        elif key in dependent or (key[0], "") in dependent:
            unsure = "it depends on another object"
        found.objects[key] = _rules(fields, escalations.get(key, []), groups, interval_length, unsure)
    return found


def _is_always(fields: Mapping[str, str]) -> bool:
    """Every day, all day, and no exceptions."""
    exceptions = fields.keys() - {"timeperiod_name", "alias", *_DAYS}
    return not exceptions and all(fields.get(day) == ALWAYS for day in _DAYS)


def _definitions(lines: Iterable[str]) -> Iterator[tuple[str, Directives]]:
    kind, fields = "", Directives()
    for raw in lines:
        line = raw.strip()
        if line.startswith("define ") and line.endswith("{"):
            kind, fields = line[7:-1].strip(), {}
        elif line == "}" and kind:
            yield kind, fields
            kind = ""
        elif kind:
            name, _, value = line.partition("\t")
            fields[name] = value.strip()


def _contact(fields: Mapping[str, str], periods: Mapping[str, bool]) -> Contact:
    both = [fields.get(f"{what}_notification_period", "") for what in ("host", "service")]
    return Contact(
        email=fields.get("email", ""),
        host_options=fields.get("host_notification_options", "") if fields.get("host_notifications_enabled") != "0" else "",
        service_options=fields.get("service_notification_options", "")
        if fields.get("service_notifications_enabled") != "0"
        else "",
        always=all(periods.get(period, True) for period in both),
    )


def _rules(
    fields: Mapping[str, str], escalations: list[Directives], groups: Mapping[str, str], interval_length: int, unsure: str
) -> Rules:
    intervals = [_number(one.get("notification_interval", "")) for one in (fields, *escalations)]
    due = [interval for interval in intervals if interval > 0]
    return Rules(
        interval=min(due) * interval_length if due else 0.0,
        check_interval=_number(fields.get("check_interval", "5")) * interval_length,
        first_delay=_number(fields.get("first_notification_delay", "")) * interval_length,
        volatile=fields.get("is_volatile", "0") != "0",
        escalated=bool(escalations),
        enabled=fields.get("notifications_enabled", "1") != "0",
        options=_options(fields.get("notification_options", "")),
        contacts=_members(fields, groups),
        unsure=unsure,
    )


def _options(text: str) -> str:
    return "r,d,u,w,c" if text in ("", "a") else text


def _members(fields: Mapping[str, str], groups: Mapping[str, str]) -> tuple[str, ...]:
    names = fields.get("contacts", "").split(",")
    for group in fields.get("contact_groups", "").split(","):
        names.extend(groups.get(group.strip().lstrip("+"), "").split(","))
    return tuple(sorted({name.strip().lstrip("+") for name in names} - {"", "null"}))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
