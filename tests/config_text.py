"""The smallest nagios-failover.cfg, more of it for a test, and what the suite finds wrong with one."""

from __future__ import annotations

import pytest

from nagios_failover.config_file import parse
from nagios_failover.errors import ConfigError

MINIMAL = """
[host yasu]
[host nabira]
[witness]
addresses = none
[mail]
to = ops@example.org
"""

QUORUM = "[quorum]\netcd = https://10.0.0.1:2379, https://10.0.0.2:2379\n[fence]\nuser = nagios\n"


def mistakes(text: str, hostname: str = "nabira") -> list[str]:
    with pytest.raises(ConfigError) as raised:
        parse(text, hostname=hostname)
    assert raised.value.exit_code == 2
    return raised.value.detail.splitlines()


def with_line(section: str, line: str) -> str:
    if f"[{section}]" in MINIMAL:
        return MINIMAL.replace(f"[{section}]\n", f"[{section}]\n{line}\n")
    return f"{MINIMAL}[{section}]\n{line}\n"
