"""How what Nagios starts every few seconds ends: as soon as its output is out."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import NoReturn, ParamSpec

from nagios_failover.words import State

P = ParamSpec("P")


def ends_at_once(main: Callable[P, object]) -> Callable[P, NoReturn]:
    """Decorator of an entry point that says its exit code by SystemExit. What Python would still tidy up takes processor time
    at each start, and a thread that hangs (a probe) would be waited for: the process is left as it is."""

    @functools.wraps(main)
    def leaving(*args: P.args, **kwargs: P.kwargs) -> NoReturn:
        code: object = State.UNKNOWN
        try:
            main(*args, **kwargs)
        except SystemExit as ended:
            code = ended.code
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code if isinstance(code, int) else int(State.UNKNOWN))

    return leaving
