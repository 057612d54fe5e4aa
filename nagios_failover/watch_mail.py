"""The standby is mute, so what its watch services say is mailed by our own path: HARD and not OK, once per change, and when it is
well again. STATE/mailed.SERVICE holds what was mailed last."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterator
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
    """What was mailed last, and when (epoch seconds)."""

    what: str
    why: str
    at: float


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
    return any(_path(place, service).exists() for place in (state.directory, _spare()))


def _mark(state: StateFiles, said: Said) -> None:
    """Put down what is mailed: in the state directory, or while that is away or full, in the spare one. Raises Failed when
    neither takes it: what cannot be put down would be mailed at every check."""
    places = [state.directory, _spare()]
    for place in places:
        with contextlib.suppress(OSError):
            _path(place, said.service).unlink(missing_ok=True)
    if said.state == "OK":
        return
    text = f"what={said.what}\nwhy={said.why}\nat={time.time():.3f}\n"
    try:
        write_atomically(_path(state.directory, said.service), text)
    except Failed as error:
        _make_private(_spare(), error)
        write_atomically(_path(_spare(), said.service), text)


def _last(state: StateFiles, service: str) -> Mark | None:
    for place in (state.directory, _spare()):
        try:
            pairs = parse_pairs(_path(place, service).read_text(encoding="utf-8"), service)
            return Mark(pairs["what"], pairs["why"], float(pairs["at"]))
        except (OSError, UnicodeDecodeError, KeyError, ValueError, StateUnreadable):
            continue
    return None


def _path(directory: Path, service: str) -> Path:
    return directory / ("mailed." + re.sub(r"[^A-Za-z0-9-]", "_", service))


def _spare() -> Path:
    """Where the marks go while the state directory is away or full: what is wrong then has to be mailed too, and once."""
    return Path(tempfile.gettempdir()) / f"nagios-failover-{os.getuid()}"


@contextmanager
def _alone(state: StateFiles) -> Iterator[None]:
    """Twenty handlers at once mail once. Raises Failed when there is nowhere to lock."""
    try:
        lock = (state.directory / "mailed.lock").open("a")
    except OSError as error:
        _make_private(_spare(), cannot_write(state.directory / "mailed.lock", error))
        lock = (_spare() / "mailed.lock").open("a")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make_private(directory: Path, why: Failed) -> None:
    """A directory that is ours alone, in a place where everybody writes."""
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        found = directory.lstat()
    except OSError:
        raise why from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise why
