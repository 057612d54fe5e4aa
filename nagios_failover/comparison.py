"""Are the tables of source and replica the same? CHECKSUM TABLE on both, each at the same point of the history.

On the source in one consistent snapshot, on the replica after it has applied exactly up to there: both go on meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from nagios_failover.config import Config
from nagios_failover.database_server import Server
from nagios_failover.dialect import Statement
from nagios_failover.errors import Failed
from nagios_failover.own_database import administered, source

Progress = Callable[[str, int, int], None]


def compare_tables(config: Config, databases: Sequence[str], *, limit: float, progress: Progress) -> str:
    """Compare every table of `databases`; a sentence. Raises Failed when one differs. The replica applies on in any case."""
    with source(config, timeout=limit) as there, administered(config, timeout=limit) as here:
        try:
            here.do([here.dialect.stop_applying])
            place, position = there.dialect.snapshot(there.rows)
            if here.value(here.dialect.position) != position:  # told to stop where it is, it might not
                here.do([Statement(here.dialect.apply_until, place)])
                _wait_until_stopped(config, here, position, limit)
            tables = _tables(there, databases)
            differing = []
            for number, name in enumerate(tables):
                progress("verify", number, len(tables))
                if _checksum(there, name) != _checksum(here, name):
                    differing.append(name)
        finally:
            here.do([here.dialect.start_replica])
    differing += sorted(set(_own_tables(config, databases)) - set(tables))
    if differing:
        differ = "differs" if len(differing) == 1 else "differ"
        raise Failed(
            f"{', '.join(differing)} {differ} from {config.peer.name}'s",
            host=config.this_name,
            hint="nagios-failover setup-standby --replace copies it anew",
        )
    return f"CHECKSUM TABLE is equal for all {len(tables)} tables, at {position or 'the beginning'}"


def _wait_until_stopped(config: Config, here: Server, position: str, limit: float) -> None:
    deadline = time.monotonic() + limit
    while here.value(here.dialect.wait_for(position, 1)) != "0":
        status = here.replica_status()
        if status is None or status.apply_errno or time.monotonic() > deadline:
            reason = status.apply_error if status and status.apply_errno else f"not within {limit:g} s"
            raise Failed(f"the replica has not come to {position}: {reason}", host=config.this_name, hint="check_replication")
    while (status := here.replica_status()) is not None and status.applying and time.monotonic() < deadline:
        time.sleep(0.02)  # it has applied it; the thread stops a moment later


def _tables(server: Server, databases: Sequence[str]) -> list[str]:
    if not databases:
        return []
    rows = server.rows(
        Statement(
            "SELECT CONCAT('`', TABLE_SCHEMA, '`.`', REPLACE(TABLE_NAME, '`', '``'), '`') AS name FROM information_schema.TABLES "
            "WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA IN %s ORDER BY 1",
            (list(databases),),
        )
    )
    return [str(row["name"]) for row in rows]


def _own_tables(config: Config, databases: Sequence[str]) -> list[str]:
    with administered(config) as here:
        return _tables(here, databases)


def _checksum(server: Server, table: str) -> str:
    return str(server.rows(f"CHECKSUM TABLE {table}")[0]["Checksum"])
