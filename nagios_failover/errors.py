"""One error tree: what happened, on which host, what to do about it, and the exit code a command ends with.

Exit codes of the commands (the plugins keep to Nagios's 0-3):
0 done, 1 failed and nothing changed, 2 wrong usage or configuration, 3 refused before acting,
4 incomplete: something changed and a person is needed.
"""

from __future__ import annotations

DONE = 0
FAILED = 1
USAGE = 2
REFUSED = 3
INCOMPLETE = 4


class FailoverError(Exception):
    """`what` is one sentence; `detail` may hold several lines; `hint` says what a person does next."""

    exit_code = FAILED

    def __init__(self, what: str, *, host: str = "", detail: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.host = host
        self.detail = detail
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.host}: {self.what}" if self.host else self.what

    def lines(self) -> str:
        """The three-part form for standard error."""
        text = f"error: {self}"
        if self.detail:
            text += f"\ndetail: {self.detail}"
        if self.hint:
            text += f"\nhint: {self.hint}"
        return text


class UsageError(FailoverError):
    """The command line or the event macros are off."""

    exit_code = USAGE


class ConfigError(FailoverError):
    """Configuration mistakes, all at once: `detail` has a line for each."""

    exit_code = USAGE


class Refused(FailoverError):
    """Said no before acting; nothing changed."""

    exit_code = REFUSED


class Failed(FailoverError):
    """Tried and did not succeed; nothing changed."""

    exit_code = FAILED


class Incomplete(FailoverError):
    """Something changed and a person is needed."""

    exit_code = INCOMPLETE


class StateUnreadable(FailoverError):
    """A file of ours (role, override, journal) is missing where it must be, garbled or unreadable."""


class CouldNotLook(FailoverError):
    """Something on our side or a right kept us from seeing; never counts as death."""


class DatabaseFault(Failed):
    """A server or the way to it. `answered`: it did, but it (or TLS, or our rights) keeps us out; `code` is its error number."""

    def __init__(self, what: str, *, host: str = "", hint: str = "", code: int = 0, answered: bool = False) -> None:
        super().__init__(what, host=host, hint=hint)
        self.code = code
        self.answered = answered


class NoReader(FailoverError):
    """The command file is missing, not a FIFO, or nobody reads it."""
