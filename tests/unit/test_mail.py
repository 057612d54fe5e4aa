"""Our own mail: composed without surprises, sent within its time, kept when it cannot be sent."""

from __future__ import annotations

import socket
import threading
from email import message_from_string
from email.policy import default
from pathlib import Path

import pytest

from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.errors import Failed
from nagios_failover.mail import QUEUE_LIMIT, compose, deliver, send, send_waiting, waiting


def config(tmp_path: Path, more: str) -> Config:
    sections = "[host yasu]\n[host nabira]\n[witness]\naddresses = none\n"
    text = f"{sections}[paths]\nstate = {tmp_path}\n[mail]\nto = a@b, c@d\ntimeout = 1\n{more}"
    return parse(text, hostname="nabira")


def test_a_mail_has_the_headers_that_keep_it_out_of_trouble(tmp_path: Path) -> None:
    message = compose(config(tmp_path, ""), "Subject\nBcc: evil@example.org\x07", "body", message_id="run-1", when=1_795_000_000.0)
    assert message["Subject"] == "Subject Bcc: evil@example.org "
    assert message["Bcc"] is None
    assert (message["From"], message["To"]) == ("nagios@nabira", "a@b, c@d")
    assert message["Message-ID"] == "<run-1.nagios-failover@nabira>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert "2026" in message["Date"]


def test_a_command_gets_the_whole_mail(tmp_path: Path) -> None:
    out = tmp_path / "out"
    send(config(tmp_path, f"method = command\ncommand = /bin/sh -c 'cat > {out}'\n"), "häßlich", "gruß\n")
    message = message_from_string(out.read_text(), policy=default)
    assert message["Subject"] == "häßlich"
    assert message.get_content() == "gruß\n"


def test_a_command_that_fails_or_hangs_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"the mail was not sent: /bin/sh: exit code 3") as caught:
        send(config(tmp_path, "method = command\ncommand = /bin/sh -c 'echo no room >&2; exit 3'\n"), "s", "b")
    assert caught.value.detail == "no room"
    with pytest.raises(Failed, match=r"the mail was not sent: /bin/sleep: no end within 1 s"):
        send(config(tmp_path, "method = command\ncommand = /bin/sleep 20\n"), "s", "b")
    with pytest.raises(Failed, match=r"the mail was not sent: /no/such: exit code 127"):
        send(config(tmp_path, "method = command\ncommand = /no/such\n"), "s", "b")


def test_an_smtp_server_that_accepts_and_says_nothing_ends_in_time(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        accepted: list[object] = []
        threading.Thread(target=lambda: accepted.append(server.accept()), daemon=True).start()
        with pytest.raises(Failed, match=rf"the mail was not sent: 127\.0\.0\.1:{port}: .*timed out"):
            send(config(tmp_path, f"method = smtp\nsmtp_host = 127.0.0.1\nsmtp_port = {port}\n"), "s", "b")


def test_what_cannot_be_sent_waits_and_is_sent_later_with_its_own_id(tmp_path: Path) -> None:
    bad = config(tmp_path, "method = command\ncommand = /bin/false\n")
    out = tmp_path / "out"
    good = config(tmp_path, f"method = command\ncommand = /bin/sh -c 'cat >> {out}'\n")
    with pytest.raises(Failed, match="it is tried again at the next call"):
        deliver(bad, tmp_path, "run-1", "one", "body")
    with pytest.raises(Failed):
        deliver(bad, tmp_path, "run-1", "one", "body")
    assert len(waiting(tmp_path)) == 1
    assert send_waiting(bad, tmp_path)[0].startswith("the mail was not sent")
    assert send_waiting(good, tmp_path) == ["sent what had been waiting: one"]
    assert waiting(tmp_path) == [] and out.read_text().count("Message-ID: <run-1.nagios-failover@nabira>") == 1


def test_a_garbled_waiting_mail_is_put_aside(tmp_path: Path) -> None:
    queue = tmp_path / "unsent"
    queue.mkdir()
    (queue / "x.json").write_text("{garbage")
    assert "could not be read" in send_waiting(config(tmp_path, ""), tmp_path)[0]
    assert waiting(tmp_path) == [] and (queue / "x.garbled").exists()


def test_the_queue_is_bounded_and_says_so(tmp_path: Path) -> None:
    queue = tmp_path / "unsent"
    queue.mkdir()
    for number in range(QUEUE_LIMIT):
        (queue / f"{number}.json").write_text("{}")
    with pytest.raises(Failed, match=f"nor could it be queued: {QUEUE_LIMIT} mails are waiting already"):
        deliver(config(tmp_path, "method = command\ncommand = /bin/false\n"), tmp_path, "n", "s", "b")


def test_without_a_disk_a_mail_is_sent_all_the_same(tmp_path: Path) -> None:
    out = tmp_path / "out"
    good = config(tmp_path, f"method = command\ncommand = /bin/sh -c 'cat >> {out}'\n")
    deliver(good, tmp_path / "away", "run-1", "one", "body")
    assert "Subject: one" in out.read_text()
