"""The accounts of a pair's database servers, each with the least that it needs. Pure: statements out, for the driver to quote.

They are made on each host by itself, outside of the binary log: both servers have them, and no replica stumbles over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nagios_failover.config import Config
from nagios_failover.dialect import Dialect, Statement

COPY_PRIVILEGES = ("SELECT", "SHOW VIEW", "TRIGGER", "EVENT")
"""What a replica needs on the replicated databases to copy them; what it reads it gets from the binary log anyway."""


class Account(NamedTuple):
    """`grants` are (privileges, on what) pairs. `tls`: it may come over verified TLS only."""

    name: str
    host: str
    password: str
    grants: tuple[tuple[str, str], ...]
    tls: bool


def accounts(config: Config, dialect: Dialect, addresses: Sequence[str]) -> list[Account]:
    """Those of [replication], for the other host at `addresses`, and for this host's own Nagios user over the socket."""
    replication = config.replication
    acting = _grouped(dialect.acting_privileges)
    # in a GRANT an underscore stands for any character
    copying = [(", ".join(COPY_PRIVILEGES), "`" + name.replace("_", "\\_") + "`.*") for name in replication.databases]
    replica = (*_grouped(dialect.replication_privileges), *copying)
    return [
        Account(replication.user, "localhost", replication.password, acting, tls=False),
        *(Account(replication.user, address, replication.password, acting, tls=True) for address in addresses),
        *(
            Account(replication.replication_user, address, replication.replication_password, replica, tls=True)
            for address in addresses
        ),
    ]


def _grouped(privileges: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """`SELECT ON a.b` is a privilege of its own; the others are ON *.*"""
    everywhere = ", ".join(name for name in privileges if " ON " not in name)
    parts = [name.partition(" ON ") for name in privileges if " ON " in name]
    return ((everywhere, "*.*"), *((what, where) for what, _, where in parts))


def statements(account: Account) -> list[Statement]:
    """Make the account, or make it what it should be. Its password is this configuration's, whatever it was before."""
    require = "REQUIRE SSL" if account.tls else "REQUIRE NONE"
    who = (account.name, account.host)
    return [
        Statement(f"CREATE USER IF NOT EXISTS %s@%s IDENTIFIED BY %s {require}", (*who, account.password)),
        Statement(f"ALTER USER %s@%s IDENTIFIED BY %s {require}", (*who, account.password)),
        *(Statement(f"GRANT {what} ON {where} TO %s@%s", who) for what, where in account.grants),
    ]
