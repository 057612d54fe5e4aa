"""Printing for people: a table with rich on a terminal, plain aligned columns everywhere else (a pipe, cron, a log)."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

Row = Sequence[str]

COLOURS = {"OK": "green", "NOT OK": "red", "-": "dim"}


def on_terminal() -> bool:
    return sys.stdout.isatty()


def table(columns: Row, rows: Sequence[Row]) -> None:
    """Print a table. The last column takes the room that is left, and is never cut."""
    rows = [[_printable(cell) for cell in row] for row in rows]
    if on_terminal():
        _rich_table(columns, rows)
    else:
        for line in plain_table(columns, rows):
            print(line)


def plain_table(columns: Row, rows: Sequence[Row]) -> list[str]:
    """Aligned columns, two blanks between them, no trailing blanks."""
    everything = [columns, *rows]
    widths = [max(len(row[index]) for row in everything) for index in range(len(columns))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in everything]


def _printable(text: str) -> str:
    """Without the bytes that are no text: a plugin may say anything."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _rich_table(columns: Row, rows: Sequence[Row]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        shown.add_column(column, overflow="fold", no_wrap=index < len(columns) - 1)
    for row in rows:
        shown.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in row))
    Console(highlight=False, soft_wrap=False).print(shown)


def emphasised(sentence: str, *, good: bool) -> None:
    """A headline: green or red on a terminal, plain elsewhere."""
    if on_terminal():
        from rich.console import Console
        from rich.text import Text

        Console(highlight=False, soft_wrap=True).print(Text(sentence, style="bold green" if good else "bold red"))
    else:
        print(sentence)


def mark(word: str) -> str:
    """A short word that stands at the start of a line, padded; coloured on a terminal."""
    padded = word.ljust(6)
    colour = {"green": "\033[32m", "red": "\033[1;31m", "dim": "\033[2m"}.get(COLOURS.get(word, ""), "")
    return f"{colour}{padded}\033[0m" if colour and on_terminal() else padded


def moment(epoch: float | None) -> str:
    """Local time for people; `-` for none."""
    return "-" if epoch is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(epoch))


def span(seconds: float) -> str:
    """A duration for people: `4.2 s`, `10 min`, `3.5 h`, `2.0 d`."""
    if seconds < 90:
        return f"{seconds:.3g} s"
    for limit, unit, size in ((5400.0, "min", 60.0), (172800.0, "h", 3600.0)):
        if seconds < limit:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 86400.0:.3g} d"
