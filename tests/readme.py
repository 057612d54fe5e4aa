"""README.md's fenced blocks, as the tests run them.

A block's info string says how: `sh` blocks are scripts, `console` blocks are commands behind `# ` with what they print. Then
come words: where (`yasu`, `nabira`, `both`, `outside`), `packages` (names of Debian packages, which are not installed anew), and
what is waited for before (`taken-over`, `stood-down`, `well`: the other host is seen well; `incident`: with [sync] watch, one
incident is open, mailed, and known to the standby; `empty-queue`: no trend data of before waits). Blocks with the word `database`
are run by tests/e2e/test_rejoin_database.py, those with the word `quorum` by tests/e2e/test_quorum.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

README: Final = Path(__file__).resolve().parents[1] / "README.md"
HOSTS: Final = {"yasu": ("yasu",), "nabira": ("nabira",), "both": ("yasu", "nabira")}


@dataclass(frozen=True)
class Command:
    """A command of a console block, and the lines that it prints according to the README."""

    text: str
    prints: tuple[str, ...]


@dataclass(frozen=True)
class Block:
    """One fenced block. `line` is its first line's number in README.md, `section` the heading that it is under."""

    language: str
    words: frozenset[str]
    text: str
    section: str
    line: int

    @property
    def hosts(self) -> tuple[str, ...]:
        """Where it is run: none, for a block that is no command of a host."""
        return next((HOSTS[word] for word in self.words if word in HOSTS), ())

    @property
    def commands(self) -> list[Command]:
        """Of a console block."""
        found: list[Command] = []
        for line in self.text.splitlines():
            if line.startswith("# "):
                found.append(Command(line.removeprefix("# "), ()))
            elif found:
                found[-1] = Command(found[-1].text, (*found[-1].prints, line))
        return found


def blocks(text: str | None = None) -> list[Block]:
    """All fenced blocks, in their order."""
    lines = (README.read_text() if text is None else text).splitlines()
    found: list[Block] = []
    section, start, info = "", 0, ""
    for number, line in enumerate(lines, 1):
        if line.startswith("```") and not start:
            start, info = number, line.removeprefix("```")
        elif line == "```":
            language, *words = info.split() or [""]
            found.append(Block(language, frozenset(words), "\n".join(lines[start : number - 1]) + "\n", section, start + 1))
            start = 0
        elif not start and re.match(r"#+ ", line):
            section = line.lstrip("# ")
    return found


def shape(line: str) -> str:
    """A line without what differs from run to run: numbers, run ids, and how wide a table's columns are."""
    line = re.sub(r"\d{8}T\d{6}-[0-9a-f]{4}", "RUN", line)
    line = re.sub(r"\b\d+(\.\d+)?( (ms|s|m|min|h)\b)?", "N", line)
    return re.sub(r"[ ─━-]{2,}", "  ", line).strip()


def differing(expected: tuple[str, ...], printed: str) -> list[str]:
    """Lines that the README shows and the command did not print (in shape), in order; `...` stands for any lines."""
    left = [shape(line) for line in printed.splitlines()]
    missing = []
    for line in expected:
        if not line.strip() or line.strip() == "...":
            continue
        if shape(line) in left:
            left = left[left.index(shape(line)) + 1 :]
        else:
            missing.append(line)
    return missing
