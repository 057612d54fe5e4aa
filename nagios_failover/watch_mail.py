"""The standby is mute, so what its watch services say is mailed by our own path: HARD and not OK, once per change, and when it is
well again. STATE/mailed.SERVICE holds what was mailed last.

Nagios calls the handler once when a service is OK again, and not at all when a restart made it forget that it was not, or when
that one call was killed: then the mark would stay, and keep the next mail of the same from being sent. So the state watch says
which marks are `left_behind`, and its handler sends what they wait for (`catch_up`)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from nagios_failover.config import Config
from nagios_failover.errors import Failed, StateUnreadable
from nagios_failover.frozen import frozen
from nagios_failover.report import watch_mail
from nagios_failover.role import parse_pairs
from nagios_failover.run_record import without_numbers
from nagios_failover.state_files import StateFiles, cannot_write, write_atomically

NO_LOOK = "no-look"
"""The reason for a state that nothing of ours has recorded: on a full disk the next record may be lost."""

LOCK = "mailed.lock"

OTHER_WORDS_AFTER = 600.0
"""Seconds before the same state for the same reason is mailed again because a run ended in other words."""


@frozen
class Said:
    """What a watch service said. `code` tells two reasons for one state apart; `words` is the sentence; `run` what the run that
    followed from it said, "" for none."""

    service: str
    state: str
    code: str = ""
    words: str = ""
    hint: str = ""
    run: str = ""

    @property
    def what(self) -> str:
        """What must change for another mail at once: the state and its reason."""
        return f"{self.state} {self.code}".strip()

    @property
    def why(self) -> str:
        """What the run said, numbers and run ids aside: a change of that alone is mailed, but not every few seconds."""
        return " ".join(without_numbers(self.run).split())


@frozen
class Mark:
    """What was mailed last, of which service or host, and when (epoch seconds)."""

    what: str
    why: str
    at: float
    service: str = ""


def mail_once(config: Config, state: StateFiles, said: Said) -> str:
    """Mail what was said unless that was mailed already. Returns a sentence for the log, "" when there was nothing to mail."""
    from nagios_failover.mail import deliver, enqueue, send_queued

    now = time.time()
    name = f"watch-{said.service}-{now:.3f}"
    words = said.words or f"{config.this.name}: {said.service} is {said.state}"
    words = f"well again: {words}" if said.state == "OK" else words
    subject, body = watch_mail(config.this.name, said.service, said.state, words, run_sentence=said.run, hint=said.hint, now=now)
    with _alone(state):
        if not _is_news(_last(state, said.service), said, now=now):
            return ""
        # Queued, then put down, then sent: killed in between, it is neither lost nor made again at each check.
        queued = enqueue(state.directory, name, subject, body)
        _mark(state, said)
    try:
        if queued:
            send_queued(config, state.directory, name)
        else:
            deliver(config, state.directory, name, subject, body)
    except Failed as error:
        return str(error)
    return f"mailed: {subject}"


def told(state: StateFiles, said: Said) -> None:
    """A run's own mail has said this: the watch mail would only repeat it."""
    with _alone(state):
        _mark(state, said)


def _is_news(last: Mark | None, said: Said, *, now: float) -> bool:
    if last is None:
        return said.state != "OK"
    if said.code == NO_LOOK and last.what.startswith(f"{said.state} "):
        return False  # that state was mailed with its reason
    if last.what != said.what:
        return True
    return last.why != said.why and not 0 <= now - last.at < OTHER_WORDS_AFTER


def is_told(state: StateFiles, said: Said) -> bool:
    """Was this mailed last, as far as that can be said before acting? Then there is nothing to mail."""
    last = _last(state, said.service)
    return last is not None and last.what == said.what


def anything_mailed(state: StateFiles, service: str) -> bool:
    return any(_path(place, service).exists() for place in _places(state))


def left_behind(config: Config, state: StateFiles, status_file: Path) -> list[Mark]:
    """What was mailed as not OK and has been OK in status.dat for longer than a handler takes to say so. Raises CouldNotLook."""
    from nagios_failover.nagios_files import read_object_status

    enough = 3 * config.look.interval + config.look.timeout
    now = time.time()
    waiting = []
    for mark in _marks(state):
        if now - mark.at < enough:
            continue
        shown = read_object_status(status_file, config.nagios.watch_host, mark.service) or read_object_status(
            status_file, mark.service, None
        )
        if shown and _is_well(shown, since=mark.at, now=now, enough=enough):
            waiting.append(mark)
    return waiting


def _is_well(shown: Mapping[str, str], *, since: float, now: float, enough: float) -> bool:
    """Checked and OK when it was long mailed, and not just since a moment ago."""
    try:
        checked, changed = int(shown["last_check"]), int(shown["last_state_change"])
    except (KeyError, ValueError):
        return False
    return shown.get("current_state") == "0" and checked - since >= enough and now - changed >= enough


def catch_up(config: Config, state: StateFiles, status_file: Path) -> list[str]:
    """Mail that what was left behind is well again; sentences for the log. Raises CouldNotLook, or Failed as mail_once does."""
    waiting = left_behind(config, state, status_file)
    return [sentence for mark in waiting if (sentence := mail_once(config, state, Said(mark.service, "OK")))]


def _marks(state: StateFiles) -> list[Mark]:
    paths = [path for place in _places(state) for path in sorted(place.glob("mailed.*"))]
    marks = (_read(path) for path in paths if path.name != LOCK)
    return [mark for mark in marks if mark and mark.service]


def _mark(state: StateFiles, said: Said) -> None:
    """Put down what is mailed: in the state directory, or while that is away or full, in the spare one. Raises Failed when
    neither takes it: what cannot be put down would be mailed at every check."""
    for place in _places(state):
        with contextlib.suppress(OSError):
            _path(place, said.service).unlink(missing_ok=True)
    if said.state == "OK":
        return
    text = f"what={said.what}\nwhy={said.why}\nat={time.time():.3f}\nservice={said.service}\n"
    try:
        write_atomically(_path(state.directory, said.service), text)
    except Failed as error:
        _make_private(_spare(), error)
        write_atomically(_path(_spare(), said.service), text)


def _last(state: StateFiles, service: str) -> Mark | None:
    for place in _places(state):
        if mark := _read(_path(place, service)):
            return mark
    return None


def _read(path: Path) -> Mark | None:
    try:
        pairs = parse_pairs(path.read_text(encoding="utf-8"), path.name)
        return Mark(pairs["what"], pairs["why"], float(pairs["at"]), pairs.get("service", ""))
    except (OSError, UnicodeDecodeError, KeyError, ValueError, StateUnreadable):
        return None


def _path(directory: Path, service: str) -> Path:
    return directory / ("mailed." + re.sub(r"[^A-Za-z0-9-]", "_", service))


def _places(state: StateFiles) -> list[Path]:
    """Where marks may lie; what somebody else has put into the spare one is none of ours."""
    return [state.directory, *([_spare()] if _is_private(_spare()) else [])]


def _spare() -> Path:
    """Where the marks go while the state directory is away or full: what is wrong then has to be mailed too, and once."""
    return Path(tempfile.gettempdir()) / f"nagios-failover-{os.getuid()}"


@contextmanager
def _alone(state: StateFiles) -> Iterator[None]:
    """Twenty handlers at once mail once. Raises Failed when there is nowhere to lock."""
    try:
        lock = (state.directory / LOCK).open("a")
    except OSError as error:
        _make_private(_spare(), cannot_write(state.directory / LOCK, error))
        lock = (_spare() / LOCK).open("a")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make_private(directory: Path, why: Failed) -> None:
    """A directory that is ours alone, in a place where everybody writes. Raises `why`."""
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        raise why from None
    if not _is_private(directory):
        raise why


def _is_private(directory: Path) -> bool:
    try:
        found = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
