"""What a server says of its own replication, read alike from MariaDB and MySQL. Pure: rows in.

MariaDB and MySQL up to 8.0 call the columns Master_ and Slave_, MySQL since 8.0.22 Source_ and Replica_: the old names are read
as the new ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nagios_failover.frozen import frozen

_NO_FILTERS = ("Replicate_Ignore_Server_Ids",)
"""Columns that look like a filter's and are none: it keeps a ring of servers from running in circles."""


@frozen
class ReplicaStatus:
    """One link to a source. `lag_seconds` None: not known (a thread does not run). Positions are (file, offset) in the source's
    binlog; `received` and `executed` are GTIDs in the dialect's own form."""

    source_host: str
    receiving: bool  # the I/O thread runs and is connected
    receiving_words: str  # Yes, No, Connecting, Preparing
    applying: bool  # the SQL thread runs
    applying_state: str
    lag_seconds: int | None
    received_position: tuple[str, int]
    executed_position: tuple[str, int]
    received: str
    executed: str
    by_gtid: bool
    tls: bool
    tls_verified: bool
    receive_errno: int
    receive_error: str
    apply_errno: int
    apply_error: str
    filters: tuple[str, ...]
    delay_seconds: int
    heartbeats: int | None  # received so far; None where the row does not say (MySQL)

    @property
    def read_all(self) -> bool:
        """Has the SQL thread nothing left in the relay log? A transaction that was not received whole may still lie there."""
        return self.applying and "has read all relay log" in self.applying_state

    @property
    def counter(self) -> int:
        """How far the replica has received, as one number that grows over the source's log files too."""
        file, offset = self.received_position
        number = file.rpartition(".")[2]
        return (int(number) if number.isdigit() else 0) * 2**40 + offset


def parse(row: Mapping[str, Any]) -> ReplicaStatus:
    """One row of Dialect.replica_status. A column that a version does not have reads as empty."""
    columns = {name.replace("Slave", "Replica").replace("Master", "Source"): value for name, value in row.items()}

    def text(name: str) -> str:
        value = columns.get(name)
        return "" if value is None else str(value)

    def number(name: str) -> int:
        value = text(name)
        return int(value) if value.lstrip("-").isdigit() else 0

    def first(*names: str) -> str:
        return "".join(next((text(name) for name in names if text(name)), "").split())

    lag = columns.get("Seconds_Behind_Source")
    return ReplicaStatus(
        source_host=text("Source_Host"),
        receiving=text("Replica_IO_Running") == "Yes",
        receiving_words=text("Replica_IO_Running"),
        applying=text("Replica_SQL_Running") == "Yes",
        applying_state=text("Replica_SQL_Running_State"),
        lag_seconds=None if lag is None else int(lag),
        received_position=(text("Source_Log_File"), number("Read_Source_Log_Pos")),
        executed_position=(text("Relay_Source_Log_File"), number("Exec_Source_Log_Pos")),
        received=first("Gtid_IO_Pos", "Retrieved_Gtid_Set"),
        executed=first("Gtid_Replica_Pos", "Executed_Gtid_Set"),
        by_gtid=text("Using_Gtid") not in ("", "No") or text("Auto_Position") == "1",
        tls=text("Source_SSL_Allowed") == "Yes",
        tls_verified=text("Source_SSL_Verify_Server_Cert") == "Yes",
        receive_errno=number("Last_IO_Errno"),
        receive_error=" ".join(text("Last_IO_Error").split()),
        apply_errno=number("Last_SQL_Errno"),
        apply_error=" ".join(text("Last_SQL_Error").split()),
        filters=tuple(
            f"{name}={text(name)}"
            for name in sorted(columns)
            if name.startswith("Replicate_") and text(name) and name not in _NO_FILTERS
        ),
        delay_seconds=number("SQL_Delay"),
        heartbeats=number("Replica_received_heartbeats") if "Replica_received_heartbeats" in columns else None,
    )
