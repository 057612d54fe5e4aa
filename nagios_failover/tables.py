"""Tables as we make them, and how one that is there differs. Pure: init_database.py talks to the server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple


class Column(NamedTuple):
    """A column: its type as information_schema tells it, whether it may be NULL, and what follows in its definition."""

    name: str
    type: str
    null: bool = False
    default: str = ""
    others: tuple[str, ...] = ()  # types that do as well

    @property
    def definition(self) -> str:
        return f"{self.name} {self.type} {'NULL' if self.null else 'NOT NULL'}{f' {self.default}' if self.default else ''}"


class Table(NamedTuple):
    """A table, and the schema that it comes from, for people."""

    name: str
    columns: tuple[Column, ...]
    keys: tuple[str, ...] = ()
    options: str = "ENGINE=InnoDB"

    def create(self, database: str = "") -> str:
        lines = [*(column.definition for column in self.columns), *self.keys]
        place = f"`{database}`.{self.name}" if database else self.name
        return f"CREATE TABLE {place} (\n  " + ",\n  ".join(lines) + f"\n) {self.options}"

    def differences(self, found: Mapping[str, str], engine: str, *, origin: str) -> list[str]:
        """How a table's columns (name to type, ` NULL` behind it where that may be) and engine differ from what we make."""
        lines = []
        for column in self.columns:
            kind = found.get(column.name)
            wanted = f"{column.type}{' NULL' if column.null else ''}"
            if kind is None:
                lines.append(f"column {column.name} is missing: ALTER TABLE {self.name} ADD {column.definition}")
            elif _plain(kind) not in {_plain(wanted), *(_plain(other) for other in column.others)}:
                lines.append(f"column {column.name} is {kind}, not {wanted}: ALTER TABLE {self.name} MODIFY {column.definition}")
        known = {column.name for column in self.columns}
        lines.extend(f"column {name} is not of {origin}" for name in found if name not in known)
        if engine.lower() != "innodb":
            lines.append(f"its engine is {engine}, which knows no transactions: ALTER TABLE {self.name} ENGINE=InnoDB")
        return lines


def _plain(kind: str) -> str:
    """MySQL 8 tells no display width of integers, and it means nothing."""
    return re.sub(r"(int)\(\d+\)", r"\1", kind.lower())
