"""The witness's mail server: takes every mail and appends it as one JSON line to /srv/mail/mail.jsonl."""

import email
import email.policy
import json
import os
import threading
import time
from pathlib import Path

from aiosmtpd.controller import Controller  # type: ignore[import-not-found, unused-ignore]
from aiosmtpd.smtp import SMTP, Envelope, Session  # type: ignore[import-not-found, unused-ignore]

MAIL = Path("/srv/mail/mail.jsonl")
PID = Path("/run/smtp-sink.pid")


def line(envelope: Envelope, arrived: float) -> str:
    message = email.message_from_bytes(envelope.original_content or b"", policy=email.policy.default)
    part = message.get_body(("plain",))
    return json.dumps(
        {
            "arrived": arrived,
            "sender": envelope.mail_from or "",
            "to": envelope.rcpt_tos,
            "subject": str(message.get("Subject", "")),
            "body": part.get_content().replace("\r\n", "\n") if part is not None else "",
        }
    )


class Sink:
    """aiosmtpd's handler: one JSON line per mail, written before the sender is told that it was taken."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        with MAIL.open("a") as mail:
            mail.write(line(envelope, time.time()) + "\n")
        return "250 taken"


def main() -> None:
    controller = Controller(Sink(), hostname="0.0.0.0", port=25, server_hostname="witness")
    controller.start()
    PID.write_text(f"{os.getpid()}\n")
    threading.Event().wait()


main()
