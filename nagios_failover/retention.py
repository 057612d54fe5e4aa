"""Nagios's retention.dat as text: the program-wide flags with which it would start. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nagios_failover.role import Flags
from nagios_failover.words import STATUS_KEY

_MODIFIED = ("modified_host_attributes", "modified_service_attributes")
_BITS = 1 | 2
"""Of notifications and of active checks: Nagios reads a flag back only where its bit is set."""


def with_flags(lines: Iterable[str], flags: Flags) -> Iterator[str]:
    """The same lines with these flags in the program block, in force at the next start."""
    wanted = {STATUS_KEY[flag]: "1" if on else "0" for flag, on in flags.items()}
    inside = False
    for line in lines:
        name, equals, value = line.partition("=")
        if line.startswith("program {"):
            inside = True
        elif inside and line.startswith("}"):
            yield from (f"{key}={left}\n" for key, left in wanted.items())
            inside = False
        elif inside and equals and name in wanted:
            line = f"{name}={wanted.pop(name)}\n"
        elif inside and equals and name in _MODIFIED:
            line = f"{name}={(int(value) if value.strip().isdigit() else 0) | _BITS}\n"
        yield line
