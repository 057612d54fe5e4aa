"""The suite's own configuration on the hosts of a lab: the one place that knows the samples and the commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lab.lab import Lab
    from tests.lab.state import Settings


def nagios_settings(settings: Settings) -> dict[str, str]:
    """Settings of nagios.cfg that the suite asks for, beside the flags."""
    return {}


def prepare(lab: Lab) -> None:
    """Before Nagios starts (MariaDB and sshd answer already): lay down the suite's files."""


def configure(lab: Lab) -> None:
    """After Nagios has started on both hosts: give the roles, and see that the pair is healthy."""
