"""Does an address answer at all? A refusal is an answer; silence takes no longer than it may."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from nagios_failover import net
from nagios_failover.evidence import Blocked, Witness


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that drops what comes: its queue of connections is full."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for connection in waiting:
            connection.setblocking(False)
            connection.connect_ex(server.getsockname())
        time.sleep(0.05)
        yield int(server.getsockname()[1])
        for connection in waiting:
            connection.close()


def test_an_accepted_connect_and_a_refused_one_are_answers(port: int) -> None:
    assert net.tcp("127.0.0.1", [port], 1) is True
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert net.tcp("127.0.0.1", [server.getsockname()[1]], 1) is True
    assert net.reachable("127.0.0.1", [port], 1) is True


def test_silence_ends_in_time(silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(net, "_PING_PATH", "/nonexistent")
    started = time.monotonic()
    assert net.tcp("127.0.0.1", [silent, silent], 0.4) is False
    assert net.reachable("127.0.0.1", [silent], 0.4) is False
    assert time.monotonic() - started < 2


def test_a_ping_that_does_not_end_proves_nothing(silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(net, "ping", lambda *_: str(ended.wait(10)))
    monkeypatch.setattr(net, "REAP_SECONDS", 0.2)
    assert net.reachable("127.0.0.1", [silent], 0.2) == Blocked("ping does not end", "is this host very busy?")
    ended.set()


def test_a_name_that_cannot_be_resolved_is_not_a_host_that_is_down() -> None:
    found = net.reachable("no-such-host.invalid", [22], 1)
    assert isinstance(found, Blocked) and found.reason.startswith("the name no-such-host.invalid cannot be resolved")


def test_a_witness_by_tcp(port: int, silent: int) -> None:
    assert net.witness(f"127.0.0.1:{port}", 1) == Witness(f"127.0.0.1:{port}", answered=True)
    deaf = f"127.0.0.1:{silent}"
    assert net.witness(deaf, 0.3) == Witness(deaf, answered=False, reason="no answer within 0.3 s")
    unknown = net.witness("no-such-host.invalid:80", 1)
    assert not unknown.answered and "cannot be resolved" in unknown.reason


def test_a_witness_without_ping_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(net, "_PING_PATH", "/nonexistent")
    monkeypatch.setenv("PATH", "/nonexistent")
    assert net.witness("10.0.0.1", 0.3) == Witness("10.0.0.1", answered=False, reason="ping: No such file or directory")


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("10.0.0.1", ("10.0.0.1", None)),
        ("gw.example.org:443", ("gw.example.org", 443)),
        ("[2001:db8::1]:443", ("2001:db8::1", 443)),
        ("2001:db8::1", ("2001:db8::1", None)),
        ("[2001:db8::1]", ("2001:db8::1", None)),
        ("gw:http", ("gw:http", None)),
    ],
)
def test_addresses_with_and_without_a_port(address: str, parts: tuple[str, int | None]) -> None:
    assert net.split_port(address) == parts
