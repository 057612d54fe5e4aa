"""What status.dat (and the like-shaped retention.dat) says. Pure: nagios_files.py opens the files.

status.dat of a large site has tens of megabytes and is read every few seconds: what every check needs stands in the first two
blocks, and the objects that are not OK are found by one search for their state, not by parsing the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field

from nagios_failover.errors import CouldNotLook
from nagios_failover.frozen import frozen
from nagios_failover.words import STATUS_KEY, Flag

Block = tuple[str, dict[str, str]]
"""A block's kind (`programstatus`, `hoststatus`, ...) and its fields."""

END_OF_TIME = 1 << 37
"""Epoch seconds; what lies beyond is no time of Nagios's, and no clock shows it."""


@frozen
class ProgramStatus:
    """The head of status.dat. `created` and `program_start` are epoch seconds on the clock of the host that wrote it; `values` is
    the programstatus block as it stands there."""

    created: int
    pid: int
    program_start: int
    flags: Mapping[Flag, bool]
    version: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


def blocks(lines: Iterable[str]) -> Iterator[Block]:
    """The blocks of the file, one at a time. A block that is cut off is not given out."""
    kind = ""
    fields: dict[str, str] = {}
    for raw in lines:
        line = raw.strip()
        if not kind:
            if line.endswith(" {"):
                kind, fields = line[:-2], {}
        elif line == "}":
            yield kind, fields
            kind = ""
        else:
            key, equals, value = line.partition("=")
            if equals:
                fields[key] = value


def parse_program_status(lines: Iterable[str], what: str = "status.dat") -> ProgramStatus:
    """The info and programstatus blocks, which stand first; no more is read than these. Raises CouldNotLook."""
    info: dict[str, str] | None = None
    for kind, fields in blocks(lines):
        if kind == "info":
            info = fields
        elif kind == "programstatus" and info is not None:
            return _program_status(info, fields, what)
        elif info is None or kind not in ("programstatus", "info"):
            break
    raise CouldNotLook(f"{what} is empty, cut off or no status file of Nagios", hint="is the disk full?")


def parse_retained_flags(lines: Iterable[str]) -> dict[Flag, bool] | None:
    """The flags in retention.dat's `program` block; None when it has none that is whole."""
    for kind, fields in blocks(lines):
        if kind == "program":
            return {flag: fields[key] == "1" for flag, key in STATUS_KEY.items() if key in fields}
        if kind != "info":
            return None
    return None


def _program_status(info: Mapping[str, str], program: Mapping[str, str], what: str) -> ProgramStatus:
    try:
        created = int(info["created"])
        if not 0 <= created < END_OF_TIME:
            raise ValueError(f"created={created}")
        return ProgramStatus(
            created=created,
            pid=int(program["nagios_pid"]),
            program_start=int(program["program_start"]),
            flags={flag: {"1": True, "0": False}[program[key]] for flag, key in STATUS_KEY.items()},
            version=info.get("version", ""),
            values=program,
        )
    except (KeyError, ValueError) as error:
        raise CouldNotLook(
            f"{what} is not as Nagios 3 and 4 write it: {error}", hint="status_file in nagios.cfg must name Nagios's own file"
        ) from error


def is_whole(data: bytes) -> bool:
    """Does a status.dat end where Nagios ends it? A full disk can cut it off, and Nagios installs it all the same."""
    return data[-64:].rstrip().endswith(b"}") and b"programstatus {" in data[:65536]


_NOT_OK = re.compile(rb"^\tcurrent_state=[1-9]\d*$", re.MULTILINE)
_NAMES = re.compile(rb"(host|service)status \{\n\thost_name=([^\n]*)\n(?:\tservice_description=([^\n]*)\n)?")


def objects_not_ok(data: bytes) -> list[tuple[str, str | None]]:
    """Each host (with None) and service whose current state is not UP or OK, in the file's order. `data` may be an mmap.

    Nagios escapes line ends in what plugins say, so a state at a line's begin is Nagios's own."""
    found = []
    for state in _NOT_OK.finditer(data):
        begin = data.rfind(b"status {\n\thost_name=", 0, state.start())
        names = _NAMES.match(data, max(begin - len(b"service"), 0)) or _NAMES.match(data, max(begin - len(b"host"), 0))
        if names and names.end() <= state.start():
            service = names[3].decode("utf-8", "surrogateescape") if names[1] == b"service" and names[3] is not None else None
            found.append((names[2].decode("utf-8", "surrogateescape"), service))
    return found


def object_status(data: bytes, host: str, service: str | None) -> dict[str, str] | None:
    """The block of one host (`service` None) or service; None when the file has none that is whole. `data` may be an mmap."""
    head = f"{'host' if service is None else 'service'}status {{\n\thost_name={host}\n"
    head += "" if service is None else f"\tservice_description={service}\n"
    begin = data.find(head.encode("utf-8", "surrogateescape"))
    end = data.find(b"\n\t}\n", begin)
    if begin < 0 or end < 0:
        return None
    text = data[begin : end + 4].decode("utf-8", "surrogateescape")
    return next((fields for _, fields in blocks(text.splitlines())), None)
