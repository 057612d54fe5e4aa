"""Copying from the other host: one rsync over the held ssh connection."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from nagios_failover import shell
from nagios_failover.shell import Output

PARTIAL = (23, 24)
"""Exit codes of rsync: something could not be read, or vanished; the rest has come."""


def command(
    transport: Sequence[str],
    address: str,
    sources: Sequence[Path],
    into: Path,
    *,
    archives: Path,
    days: Sequence[date],
    timeout: float,
) -> tuple[str, ...]:
    """The argv that copies `sources` and, from the directory `archives`, Nagios's archives of `days` into `into`.

    Only regular files: what is a link or a device there is not followed here. A file that is here and shorter is gone on with
    where it ends (`--append`: a log of 200 MB costs what is new in it); the caller sees to it that it is the same file."""
    host = f"[{address}]" if ":" in address else address
    directory = _pattern(archives.name)
    rules = [f"+ /{directory}/", *(f"+ /{directory}/nagios-{day:%m-%d-%Y}-*.log" for day in days), f"- /{directory}/**"]
    return (
        *("rsync", "--recursive", "--times", "--append", "--compress", "--protect-args", "--chmod=D700,F600"),
        f"--timeout={max(1, round(timeout))}",
        f"--rsh={' '.join(_word(word) for word in transport)}",
        *(f"--filter={rule}" for rule in rules),
        *(f"{host}:{source}" for source in (*sources, archives)),
        f"{into}/",
    )


def one_file(transport: Sequence[str], address: str, source: Path, to: Path, *, timeout: float) -> tuple[str, ...]:
    """The argv that copies one regular file, as far as it differs from what `to` has."""
    host = f"[{address}]" if ":" in address else address
    return (
        *("rsync", "--times", "--compress", "--protect-args", "--chmod=F600", f"--timeout={max(1, round(timeout))}"),
        f"--rsh={' '.join(_word(word) for word in transport)}",
        f"{host}:{source}",
        str(to),
    )


def directory(
    transport: Sequence[str], address: str, source: Path, to: Path, *, own: Sequence[str], timeout: float
) -> tuple[str, ...]:
    """The argv that makes `to` what the directory `source` is: links stay links, hidden files and those called as in `own` are
    left out."""
    host = f"[{address}]" if ":" in address else address
    return (
        *("rsync", "--recursive", "--links", "--times", "--perms", "--delete", "--compress", "--protect-args"),
        *("--chmod=D700,Fu+rw", f"--timeout={max(1, round(timeout))}"),
        f"--rsh={' '.join(_word(word) for word in transport)}",
        *(f"--filter=- {name}" for name in (".*", *map(_pattern, own))),
        f"{host}:{source}/",
        f"{to}/",
    )


def files_command(transport: Sequence[str], address: str, source: Path, into: Path, *, timeout: float) -> tuple[str, ...]:
    """The argv that copies the regular files of the directory `source`, and none below it, into `into`."""
    host = f"[{address}]" if ":" in address else address
    return (
        *("rsync", "--dirs", "--times", "--compress", "--protect-args", "--chmod=D750,F640"),
        f"--timeout={max(1, round(timeout))}",
        f"--rsh={' '.join(_word(word) for word in transport)}",
        *(f"{host}:{source}/", f"{into}/"),
    )


def recent_days(today: date, count: int) -> list[date]:
    """An archive has the date of its rotation; the other host's clock may be in another time zone."""
    return [today - timedelta(days=back) for back in range(-1, count)]


def _pattern(name: str) -> str:
    return "".join(f"\\{character}" if character in "*?[\\" else character for character in name)


def _word(word: str) -> str:
    """As rsync splits --rsh: at blanks, quotes hold together."""
    return f"'{word}'" if set(word) & set(" \"'\\") else word


def run(argv: Sequence[str], *, timeout: float) -> Output:
    return shell.run(argv, timeout=timeout)


def explain(output: Output) -> str:
    """What went wrong, one line."""
    if output.timed_out:
        return f"rsync did not end within {output.seconds:.0f} s"
    said = [line for line in output.stderr.splitlines() if line.strip()]
    if output.code == shell.NOT_FOUND:
        return "rsync is not installed on this host"
    if any("rsync: not found" in line or "rsync: command not found" in line for line in said):
        return "rsync is not installed on the other host"
    return f"rsync ended with exit code {output.code}: {shlex.quote(said[0][:200]) if said else 'it says nothing'}"
