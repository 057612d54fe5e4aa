"""The values of the configuration's options: their types, and how each is read from its text.

Durations are seconds (a number, or with s, m, h or d behind it).
"""

from __future__ import annotations

import shlex
import types
from enum import StrEnum
from pathlib import Path
from typing import Any, NewType, get_args, get_origin

from nagios_failover.account import Account, parse_account


class Failback(StrEnum):
    MANUAL = "manual"
    AUTOMATIC = "automatic"


class Schema(StrEnum):
    """Where the heartbeat is found; facts of each in mysql.py."""

    NONE = "none"
    NAGIOS1 = "nagios1"
    NDOUTILS = "ndoutils"
    ICINGA_IDO = "icinga-ido"
    MERLIN = "merlin"


class Severity(StrEnum):
    WARNING = "warning"
    CRITICAL = "critical"


class MailMethod(StrEnum):
    SMTP = "smtp"
    SENDMAIL = "sendmail"
    COMMAND = "command"


class Fencing(StrEnum):
    """What a failover does when the old master is not proved to be fenced: go on, or refuse."""

    BEST_EFFORT = "best-effort"
    REQUIRED = "required"


class Start(StrEnum):
    """Is the standby's Nagios running (warm), or does cron look and a failover start it (cold)?"""

    WARM = "warm"
    COLD = "cold"


Port = NewType("Port", int)
"""A TCP port. An int and no subclass of it: PyMySQL and getaddrinfo take nothing else."""


class Seconds(float):
    """A duration in seconds."""


class Options(tuple[tuple[str, str], ...]):
    """`key=value`, one a line, as a fence agent reads them. Values may hold blanks, commas and anything else."""

    @property
    def hold_a_password(self) -> bool:
        return any("pass" in name.lower() and value for name, value in self)


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def convert(kind: Any, text: str) -> Any:
    """The value of an option's text; ValueError says what is wrong and what is right."""
    if get_origin(kind) is types.UnionType:
        return None if not text or text == "none" else convert(get_args(kind)[0], text)
    if get_origin(kind) is tuple:
        return tuple(convert(get_args(kind)[0], word) for word in _words(text))
    if kind is Account:
        return parse_account(text)
    if kind is Path:
        if not text.startswith("/"):
            raise ValueError(f"{text!r} is not an absolute path; hint: begin with /")
        return Path(text)
    if kind is Seconds:
        return duration(text)
    if kind is Options:
        return _options(text)
    if kind is bool:
        if text not in ("yes", "no"):
            raise ValueError(f"{text!r} is neither yes nor no")
        return text == "yes"
    if kind is Port:
        if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
            raise ValueError(f"{text!r} is not a port; hint: 1 to 65535")
        return Port(int(text))
    if kind is int:
        if not text.isascii() or not text.isdigit() or int(text) < 1:
            raise ValueError(f"{text!r} is not a whole number from 1")
        return int(text)
    if issubclass(kind, StrEnum):
        if text not in list(kind):
            raise ValueError(f"{text!r} is none of {', '.join(kind)}")
        return kind(text)
    return text


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text.replace(",", " ")))
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}; hint: close the quotation") from error


def _options(text: str) -> Options:
    pairs = []
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if not line.strip():
            continue
        if not equals or not name.replace("_", "").replace("-", "").isalnum():
            shown = f"{name}=..." if equals else "a line"  # it may be a part of a password
            raise ValueError(f"{shown} is not an option; hint: key=value, one a line, the lines below the first begin with a blank")
        pairs.append((name, value))
    return Options(pairs)


def duration(text: str) -> Seconds:
    """The seconds that `10`, `2.5s`, `5m`, `1h` or `30d` say. Raises ValueError."""
    number, unit = (text[:-1], text[-1:]) if text[-1:] in _UNITS else (text, "s")
    try:
        value = float(number) * _UNITS[unit]
    except ValueError:
        value = -1.0
    if not 0 < value < 1e9:
        raise ValueError(f"{text!r} is not a duration above 0; hint: 10, 2.5s, 5m, 1h or 30d")
    return Seconds(value)
