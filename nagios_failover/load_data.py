"""Many rows at once: LOAD DATA LOCAL where the server allows it, multi-row INSERTs otherwise.

With LOAD DATA LOCAL it is the server that names the file it wants to be sent, and a driver that obeys sends it any file. Ours
is sent the one file that the statement under way names, which lies in memory, and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from select import select
from typing import TYPE_CHECKING, Any

from nagios_failover.errors import Failed
from nagios_failover.tables import Table

if TYPE_CHECKING:
    from pymysql.connections import Connection
    from pymysql.cursors import Cursor

Rows = Sequence[tuple[str, ...]]

NULL = "\ud800N"
"""What stands for NULL in a row: this very object. Half a character, which no text that was decoded holds."""

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\0": "\\0"})


def guarded_connection(pymysql: Any) -> Any:
    """A connection class that sends the file `offered`, and none while that is empty. It takes NULL at a row's beginning for a
    request (both begin with the same byte), so what is read through it has something else there. A connection that is lost
    while a file is sent is lost: the driver would go on writing to the socket that it has just given up. While the server takes
    or sends nothing, `meanwhile` is gone on with."""

    class GuardedConnection(pymysql.connections.Connection):  # type: ignore[misc]
        offered = ""
        meanwhile: Iterator[None] | None = None

        def _work_while(self, waiting: Callable[[Any], bool]) -> None:
            while self.meanwhile and self._sock and waiting(self._sock):
                if next(self.meanwhile, self) is self:
                    self.meanwhile = None

        def _read_packet(self, *arguments: Any, **options: Any) -> Any:
            self._work_while(lambda sock: not select([sock], (), (), 0)[0])
            packet = super()._read_packet(*arguments, **options)
            if packet.is_load_local_packet() and packet.get_all_data()[1:] != (self.offered.encode() or None):
                self._force_close()
                wanted = packet.get_all_data()[1:].decode(errors="replace")
                raise pymysql.OperationalError(2026, f"the server asked for the file {wanted!r}, which was not offered")
            return packet

        def _write_bytes(self, data: bytes) -> None:
            if self._sock is None:
                raise pymysql.OperationalError(2006, "MySQL server has gone away")
            self._work_while(lambda sock: not select((), [sock], (), 0)[1])
            super()._write_bytes(data)

    return GuardedConnection


def allows_load_data(connection: Connection[Any]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.local_infile")
        (allowed,) = cursor.fetchone() or (0,)
        return bool(allowed)


def insert_many(cursor: Cursor, table: Table, columns: Sequence[str], rows: Rows, *, load_data: bool) -> None:
    """Raises pymysql.MySQLError, and Failed when the server took not every row as it is: a table that was made otherwise."""
    if not rows:
        return
    if load_data:
        _load(cursor, table, columns, rows)
    else:
        marks = ", ".join(["%s"] * len(columns))
        # the driver makes multi-row statements of this form
        values = [[None if field is NULL else field for field in row] for row in rows]
        cursor.executemany(f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks})", values)
    taken = cursor.rowcount
    cursor.execute("SHOW WARNINGS LIMIT 1")
    warning = cursor.fetchone()
    if taken != len(rows) or warning:
        said = str(warning[2]) if warning else f"{taken} of {len(rows)} rows were taken"
        raise Failed(
            f"the table {table.name} does not take what the loader writes: {said}",
            hint="nagios-failover init-database says how it differs",
        )


def _load(cursor: Cursor, table: Table, columns: Sequence[str], rows: Rows) -> None:
    with _in_memory(as_lines(rows)) as path:
        cursor.connection.offered = path  # type: ignore[attr-defined]
        try:
            cursor.execute(
                f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE {table.name} CHARACTER SET utf8mb4 "
                rf"FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n' ({', '.join(columns)})"
            )
        finally:
            cursor.connection.offered = ""  # type: ignore[attr-defined]


@contextmanager
def _in_memory(data: bytes) -> Iterator[str]:
    """The path under which this process alone can open these bytes."""
    descriptor = os.memfd_create("rows")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def as_lines(rows: Rows) -> bytes:
    r"""Rows as LOAD DATA reads them: fields apart by TABs, \N for NULL."""
    text = "\n".join(map("\t".join, rows)) + "\n"
    plain = (len(rows), len(rows) * (len(rows[0]) - 1))
    if "\\" in text or "\0" in text or (text.count("\n"), text.count("\t")) != plain:
        text = "".join(map(_line, rows))
    else:
        text = text.replace(NULL, r"\N")
    return text.encode()


def _line(row: tuple[str, ...]) -> str:
    return "\t".join([r"\N" if field is NULL else field.translate(_ESCAPES) for field in row]) + "\n"
