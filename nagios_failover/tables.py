"""Tables as we make them, and how one that is there differs. Pure: init_database.py talks to the server."""

from __future__ import annotations

import re
from collections.abc import Iterator
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


class Key(NamedTuple):
    """A key of a table that is there."""

    name: str
    unique: bool
    columns: tuple[str, ...]


class Found(NamedTuple):
    """A table that is there: its columns (name to type, ` NULL` behind it where that may be), its engine, which columns number
    themselves, how its text is compared, and its keys."""

    columns: dict[str, str]
    engine: str
    numbered: list[str]
    collations: list[str]
    keys: list[Key]


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

    def differences(self, found: Found, *, origin: str) -> list[str]:
        """How a table differs from what we make."""
        if not found.engine:
            return [f"it is a view: DROP VIEW {self.name}, and init-database makes the table"]
        lines = []
        for column in self.columns:
            kind = found.columns.get(column.name)
            wanted = f"{column.type}{' NULL' if column.null else ''}"
            if kind is None:
                lines.append(f"column {column.name} is missing: ALTER TABLE {self.name} ADD {self._with_key(column)}")
            elif _plain(kind) not in {_plain(wanted), *(_plain(other) for other in column.others)}:
                lines.append(f"column {column.name} is {kind}, not {wanted}: ALTER TABLE {self.name} MODIFY {column.definition}")
            elif column.default == "AUTO_INCREMENT" and column.name not in found.numbered:
                lines.append(f"column {column.name} does not number itself: ALTER TABLE {self.name} MODIFY {column.definition}")
        known = {column.name for column in self.columns}
        lines.extend(f"column {name} is not of {origin}" for name in found.columns if name not in known)
        lines.extend(self._differing_keys(found))
        collation = self.options.rpartition("COLLATE=")[2].partition(" ")[0] if "COLLATE=" in self.options else ""
        if collation and (others := [name for name in found.collations if name != collation]):
            change = f"CONVERT TO CHARACTER SET {collation.partition('_')[0]} COLLATE {collation}"
            lines.append(f"its text is {', '.join(others)}, not {collation}: ALTER TABLE {self.name} {change}")
        if found.engine.lower() != "innodb":
            lines.append(f"its engine is {found.engine}, which knows no transactions: ALTER TABLE {self.name} ENGINE=InnoDB")
        return lines

    def _with_key(self, column: Column) -> str:
        """One that numbers itself has to be added with its key."""
        key = f"PRIMARY KEY ({column.name})"
        return f"{column.definition}, ADD {key}" if column.default == "AUTO_INCREMENT" and key in self.keys else column.definition

    def _differing_keys(self, found: Found) -> Iterator[str]:
        """Where a unique one is missing rows would be doubled, where there is one too many rows would be refused; and without the
        others it would be slow."""
        unique = set()
        for key in self.keys:
            kind, _, names = key.rstrip(")").partition(" (")
            columns = tuple(names.split(", "))
            if "KEY" in kind.split()[1:]:  # PRIMARY KEY, UNIQUE KEY
                unique.add(columns)
                there = any(each.unique and each.columns == columns for each in found.keys)
            else:
                there = any(each.columns[: len(columns)] == columns for each in found.keys)
            comes_with_its_column = kind == "PRIMARY KEY" and len(columns) == 1 and columns[0] not in found.columns
            if not there and not comes_with_its_column:
                yield f"there is no {key}: ALTER TABLE {self.name} ADD {key}"
        for each in found.keys:
            if self.keys and each.unique and each.columns not in unique:
                drop = f"ALTER TABLE {self.name} DROP KEY `{each.name}`"
                yield f"its key {each.name} takes nothing twice ({', '.join(each.columns)}), and is not ours: {drop}"


def _plain(kind: str) -> str:
    """MySQL 8 tells no display width of integers, and it means nothing."""
    return re.sub(r"(int)\(\d+\)", r"\1", kind.lower())
