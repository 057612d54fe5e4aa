"""Keeps a Nagios monitoring service running when the host that provides it dies. See README.md and docs/."""

__version__ = "0.1.0"
