"""A login over which nothing more comes ends within its limit: a real ssh server that takes it, and then stands still."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paramiko
import pytest

from nagios_failover import fencing
from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.errors import CouldNotLook
from nagios_failover.fence_login import log_in

LIMIT = 0.5


class Still(paramiko.ServerInterface):  # type: ignore[misc]
    """A cut link in the middle of this request."""

    def __init__(self, request: str) -> None:
        self._request, self.mended = request, threading.Event()

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return int(paramiko.AUTH_SUCCESSFUL)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return self._stand_still("channel", paramiko.OPEN_SUCCEEDED)

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        return bool(self._stand_still("command", 1))

    def _stand_still(self, request: str, answer: int) -> int:
        if request == self._request:
            self.mended.wait(30)
        return answer


class Slow(Still):
    """So busy that its login takes its time."""

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        time.sleep(LIMIT / 2)
        return super().check_auth_publickey(username, key)


@contextmanager
def server(key: paramiko.PKey, interface: Still) -> Iterator[int]:
    """Its port, on loopback."""
    listener = socket.create_server(("127.0.0.1", 0))
    transports: list[paramiko.Transport] = []

    def serve() -> None:
        transport = paramiko.Transport(listener.accept()[0])
        transports.append(transport)
        transport.add_server_key(key)
        transport.start_server(server=interface)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        interface.mended.set()
        for transport in transports:
            transport.close()
        listener.close()


def config_of(top: Path, port: int, key: paramiko.PKey) -> Config:
    key.write_private_key_file(str(top / "key"))
    (top / "known_hosts").write_text(f"[127.0.0.1]:{port} {key.get_name()} {key.get_base64()}\n")
    text = (
        f"[pair]\n[host yasu]\naddress = 127.0.0.1\n[host nabira]\n[witness]\naddresses = none\n[mail]\nto = a@b\n"
        f"[ssh]\nport = {port}\nknown_hosts = {top}/known_hosts\n[fence]\nuser = nagios\nidentity = {top}/key\ntimeout = {LIMIT}\n"
    )
    return parse(text, hostname="nabira")


@pytest.mark.parametrize("request_", ["channel", "command"])
def test_a_link_that_is_cut_after_the_login_is_given_up_in_time(tmp_path: Path, request_: str) -> None:
    key = paramiko.RSAKey.generate(2048)
    with server(key, Still(request_)) as port, log_in(config_of(tmp_path, port, key)) as login:
        began = time.monotonic()
        with pytest.raises(CouldNotLook, match=rf"^the fence account's sh did not end within {LIMIT} s \(\[fence\] timeout\)"):
            login.run("true")
        assert time.monotonic() - began < 10, "a paramiko that nobody interrupts waits for an hour"


def test_a_command_of_ours_has_what_its_login_left_of_the_time(tmp_path: Path) -> None:
    key = paramiko.RSAKey.generate(2048)
    with server(key, Slow("command")) as port, pytest.raises(CouldNotLook, match=r"did not end within 0\.[1-7] s$"):
        fencing.there(config_of(tmp_path, port, key), ("promise", "nabira", "--for", "1"), timeout=2 * LIMIT)
