"""An account on another host, as the configuration names it: `user@host` or `user@host:port`."""

from __future__ import annotations

import re

from nagios_failover.frozen import frozen

_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_ACCOUNT = re.compile(rf"(?P<user>{_NAME})@(?P<host>\[[0-9A-Fa-f:]+\]|{_NAME})(:(?P<port>\d+))?")


@frozen
class Account:
    user: str
    host: str
    port: int = 22

    def __str__(self) -> str:
        return f"{self.user}@{self.host}" if self.port == 22 else f"{self.user}@{self.address}"

    @property
    def address(self) -> str:
        """`host:port`, to be asked by TCP."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_account(text: str) -> Account:
    """Raises ValueError. Nothing that ssh or a shell could take for an option or a word of its own gets through."""
    found = _ACCOUNT.fullmatch(text)
    port = int(found["port"] or 22) if found else 0
    if not found or not 0 < port < 65536:
        raise ValueError(f"{text!r} is not an account; hint: user@host or user@host:port")
    return Account(found["user"], found["host"].strip("[]"), port)
