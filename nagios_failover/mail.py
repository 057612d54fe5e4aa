"""Our own path to people, independent of Nagios's notifications: SMTP, sendmail, or a command of the user's.

`deliver` queues first (STATE/unsent), sends, and takes the mail out of the queue: what could not be sent is tried again by the
next call. One mail has one Message-ID, so that a mail sent twice because of a power cut can be told.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

from nagios_failover.config import Config
from nagios_failover.config_values import MailMethod
from nagios_failover.errors import Failed
from nagios_failover.shell import run
from nagios_failover.state_files import FILE_MODE, cannot_write, write_atomically

SENT = "sent what had been waiting"
GARBLED = "a waiting mail could not be read"
QUEUE_LIMIT = 100
"""Mails kept while none can be sent; the oldest stay, since they tell how it began."""


def send(config: Config, subject: str, body: str, *, message_id: str = "", when: float | None = None) -> None:
    """Send one mail within [mail] timeout. Raises Failed, with what the other side said."""
    message = compose(config, subject, body, message_id=message_id, when=time.time() if when is None else when)
    if config.mail.method is MailMethod.SMTP:
        _send_by_smtp(config, message)
    else:
        _send_by_command(config, message)


def compose(config: Config, subject: str, body: str, *, message_id: str, when: float) -> EmailMessage:
    """The whole mail. Subjects lose line breaks and control characters; `Auto-Submitted` keeps vacation answers away."""
    message = EmailMessage()
    message["From"] = config.mail.sender or f"nagios@{config.this.name}"
    message["To"] = ", ".join(config.mail.to)
    message["Subject"] = one_line(subject)
    message["Date"] = format_datetime(localtime_of(when))
    message["Message-ID"] = f"<{message_id or f'{when:.3f}'}.nagios-failover@{config.this.name}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Nagios-Failover-Host"] = config.this.name
    message.set_content(body if body.endswith("\n") else body + "\n")
    return message


def localtime_of(when: float) -> datetime:
    """With this host's offset, as people read it."""
    return datetime.fromtimestamp(when, tz=UTC).astimezone()


def one_line(text: str, limit: int = 200) -> str:
    return "".join(character if character.isprintable() else " " for character in " ".join(text.split()))[:limit]


def _send_by_smtp(config: Config, message: EmailMessage) -> None:
    import smtplib

    where = f"{config.mail.smtp_host}:{config.mail.smtp_port}"
    try:
        with smtplib.SMTP(config.mail.smtp_host, config.mail.smtp_port, timeout=config.mail.timeout) as server:
            server.send_message(message, to_addrs=list(config.mail.to))
    except (OSError, smtplib.SMTPException) as error:
        raise Failed(f"the mail was not sent: {where}: {one_line(str(error))}", hint="compare [mail] smtp_host") from error


def _send_by_command(config: Config, message: EmailMessage) -> None:
    output = run(config.mail.command, timeout=config.mail.timeout, stdin=message.as_string())
    if output.well:
        return
    program = config.mail.command[0]
    reason = f"no end within {config.mail.timeout:g} s" if output.timed_out else f"exit code {output.code}"
    raise Failed(
        f"the mail was not sent: {program}: {reason}",
        detail=one_line(output.stderr or output.stdout, 500),
        hint=f"try: echo test | {' '.join(config.mail.command)}",
    )


def deliver(config: Config, state_directory: Path, name: str, subject: str, body: str) -> None:
    """Queue the mail under `name`, send it, and take it out of the queue. Raises Failed when it was not sent; it then waits for
    `send_waiting`, unless not even the queue could be written (the disk is full), which the sentence says."""
    queued = _queue_path(state_directory, name)
    now = time.time()
    with _alone(state_directory, wait=True):
        trouble = _queue(queued, subject, body, now)
        try:
            send(config, subject, body, message_id=name, when=now)
        except Failed as error:
            if trouble:
                raise Failed(f"{error}; nor could it be queued: {trouble}", hint=error.hint) from error
            raise Failed(f"{error}; it is tried again at the next call", detail=error.detail, hint=error.hint) from error
        with contextlib.suppress(OSError):
            queued.unlink(missing_ok=True)


def enqueue(state_directory: Path, name: str, subject: str, body: str) -> bool:
    """Put a mail into the queue without sending it yet. Is it there?"""
    with _alone(state_directory, wait=True):
        return not _queue(_queue_path(state_directory, name), subject, body, time.time())


def send_queued(config: Config, state_directory: Path, name: str) -> None:
    """Send a mail that was queued, unless another process has done so by now. Raises Failed; the mail then waits on."""
    with _alone(state_directory, wait=True):
        said = _send_one(config, _queue_path(state_directory, name))
    if said and not said.startswith(SENT):
        raise Failed(f"{said}; it is tried again at the next call")


@contextmanager
def _alone(state_directory: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the queue, so that a mail on its way out is not sent by another process too. Gives whether it is held: without a disk
    to lock on, or without `wait` while another process has it, it is not."""
    try:
        queue = state_directory / "unsent"
        queue.mkdir(mode=0o750, exist_ok=True)
        descriptor = os.open(queue / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        held = True
    except OSError:
        held = False
    try:
        yield held
    finally:
        os.close(descriptor)


def _queue(path: Path, subject: str, body: str, now: float) -> str:
    """Put the mail into the queue; returns why not, "" when it is there."""
    try:
        if len(list(path.parent.glob("*.json"))) >= QUEUE_LIMIT:
            return f"{QUEUE_LIMIT} mails are waiting already"
        write_atomically(path, json.dumps({"subject": subject, "body": body, "time": now}))
    except OSError as error:
        return str(cannot_write(path, error))
    except Failed as error:
        return str(error)
    return ""


def waiting(state_directory: Path) -> list[Path]:
    """The mails that have not been sent, the oldest first."""
    try:
        return sorted(state_directory.joinpath("unsent").glob("*.json"), key=lambda path: path.stat().st_mtime)
    except OSError:
        return []


def send_waiting(config: Config, state_directory: Path) -> list[str]:
    """Try each waiting mail again, unless another process is at it; stops at the first that fails. Returns a sentence for each."""
    if not waiting(state_directory):
        return []
    with _alone(state_directory, wait=False) as held:
        return _send_waiting(config, state_directory) if held else []


def _send_waiting(config: Config, state_directory: Path) -> list[str]:
    said: list[str] = []
    for path in waiting(state_directory):
        said.append(_send_one(config, path))
        if not said[-1].startswith((SENT, GARBLED)):
            break
    return [sentence for sentence in said if sentence]


def _send_one(config: Config, path: Path) -> str:
    """Send one mail of the queue and take it out. Returns a sentence, "" when it is not there any more."""
    try:
        mail = json.loads(path.read_text(encoding="utf-8"))
        subject, body, when = str(mail["subject"]), str(mail["body"]), float(mail["time"])
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError):
        with contextlib.suppress(OSError):
            path.rename(path.with_suffix(".garbled"))
        return f"{GARBLED}: {path.with_suffix('.garbled')}"
    try:
        send(config, subject, body, message_id=path.stem, when=when)
    except Failed as error:
        return str(error)
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
    return f"{SENT}: {subject}"


def _queue_path(state_directory: Path, name: str) -> Path:
    return state_directory / "unsent" / (re.sub(r"[^A-Za-z0-9._-]", "_", name) + ".json")
