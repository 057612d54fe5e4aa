"""What every plugin says alike: one line for Nagios, numbers as perfdata, and wrong usage as UNKNOWN."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any, NoReturn

import nagiosplugin

from nagios_failover.errors import FailoverError
from nagios_failover.words import State


def one_line(text: str) -> str:
    """Nagios takes the first line, and `|` begins the perfdata."""
    return " ".join(text.replace("|", "/").split())


def unknown(name: str, sentence: str, lines: Iterable[str] = ()) -> NoReturn:
    """End as UNKNOWN: the sentence first, then `lines` for people. `name` is the check's, as nagiosplugin prints it."""
    print(f"{name} UNKNOWN - {one_line(sentence)}")
    for line in lines:
        print(line)
    raise SystemExit(int(State.UNKNOWN))


def unknown_because(name: str, error: FailoverError) -> NoReturn:
    """End as UNKNOWN, with what the error has to say."""
    unknown(name, str(error), [*error.detail.splitlines(), *([f"hint: {error.hint}"] if error.hint else [])])


def add_line(text: str) -> None:
    """A line below the first one."""
    nagiosplugin.runtime.Runtime().output.add_longoutput(one_line(text))


def whole_seconds(text: str) -> int:
    """The argument of -t."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 1 to 3600")
    return int(text)


def a_range(text: str) -> str:
    """The argument of -w and -c, a range as the Monitoring Plugins guidelines have it."""
    try:
        nagiosplugin.Range(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no range; hint: 10, 10:, ~:10, 10:20 or @10:20") from None
    return text


class NumberContext(nagiosplugin.Context):  # type: ignore[misc]
    """Numbers are perfdata, and judged by nobody."""

    def performance(self, metric: nagiosplugin.Metric, resource: nagiosplugin.Resource) -> nagiosplugin.Performance:
        return nagiosplugin.Performance(metric.name, f"{metric.value:.15g}", metric.uom, min=metric.min)


class PluginParser(argparse.ArgumentParser):
    """A plugin's wrong usage is UNKNOWN (argparse's own exit code 2 would be CRITICAL), and so are --help and --version."""

    def __init__(self, name: str, **settings: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **settings)
        self._name = name

    def error(self, message: str) -> NoReturn:
        unknown(self._name, message, [f"hint: {self.prog} --help"])

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        if message:
            print(message, end="")
        raise SystemExit(int(State.UNKNOWN))
