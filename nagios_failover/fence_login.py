"""The login that fences: an account and a key of its own ([fence] user, identity), by fabric, on the other host directly or through
a witness. It happens once, and a person may be waiting: it is opened side by side both ways, and the first that opens is taken.

Every wait has a limit, unknown host keys are refused, and the socket is ours: paramiko does not set TCP_NODELAY, which costs 40 ms
a round trip.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import shlex
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nagios_failover.account import Account
from nagios_failover.config import Config
from nagios_failover.errors import CouldNotLook
from nagios_failover.shell import Output

WITNESS_WAITS = 1.0
"""Seconds that the direct way is given before the others are tried beside it."""


class Login:
    """An open login. `way` is "" or "through the witness ..."."""

    def __init__(self, connection: Any, way: str, timeout: float) -> None:
        self._connection, self.way, self._timeout = connection, way, timeout

    def run(self, script: str, *, timeout: float = 0.0) -> Output:
        """Run `script` by sh within `timeout` seconds, or [fence] timeout. Raises CouldNotLook when the connection
        breaks or the limit passes."""
        from invoke.exceptions import CommandTimedOut
        from paramiko.ssh_exception import SSHException

        limit = timeout or self._timeout
        command = f"exec sh -c {shlex.quote(script)}"
        silent = CouldNotLook(f"the fence account's sh did not end within {limit:g} s{'' if timeout else ' ([fence] timeout)'}")
        with self._closed_after(limit + 1) as closed:
            try:
                done = self._connection.run(command, hide=True, warn=True, in_stream=False, timeout=limit)
            except CommandTimedOut:
                raise silent from None
            except (OSError, EOFError, SSHException) as error:
                raise (
                    silent if closed.is_set() else CouldNotLook(f"the fence account's connection broke: {_words(error)}")
                ) from error
        if closed.is_set():
            raise silent
        return Output(done.exited, done.stdout, done.stderr)

    @contextmanager
    def _closed_after(self, seconds: float) -> Iterator[threading.Event]:
        """fabric's limit counts from the command's start; over a link that is cut before it, paramiko waits for an hour."""
        closed = threading.Event()

        def close() -> None:
            closed.set()
            self.close()

        timer = threading.Timer(seconds, close)
        timer.daemon = True
        timer.start()
        try:
            yield closed
        finally:
            timer.cancel()

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._connection.close()


@contextmanager
def log_in(config: Config) -> Iterator[Login]:
    """Log in to the other host as [fence] user, within about [fence] timeout. Raises CouldNotLook with what each way said."""
    opened = _first_open(config)
    try:
        yield opened
    finally:
        opened.close()


def _first_open(config: Config) -> Login:
    limit = config.fence.timeout
    ways: list[tuple[str, Callable[[], Any]]] = [("", lambda: _direct(config))]
    ways += [(f"through the witness {account}", _through(config, account)) for account in config.witness.accounts]
    answers: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    said: list[str] = []
    _start(answers, *ways[0])
    waiting, left = 1, ways[1:]
    while waiting or left:
        try:
            way, came = answers.get(timeout=WITNESS_WAITS if left else limit + 1)
        except queue.Empty:
            if not left:
                break  # what has a limit of its own and does not keep it, is left behind
        else:
            waiting -= 1
            if not isinstance(came, CouldNotLook):
                return Login(came, way, limit)
            said.append(f"{way or 'directly'}: {came}")
        for other in left:
            _start(answers, *other)
        waiting, left = waiting + len(left), []
    hint = f"is the key of {config.fence.user} known there, and the host in known_hosts? nagios-failover test"
    raise CouldNotLook("; ".join(said) or f"no answer within {limit:g} s", hint=hint)


def _start(answers: queue.SimpleQueue[tuple[str, Any]], way: str, open_it: Callable[[], Any]) -> None:
    def attempt() -> None:
        try:
            answers.put((way, open_it()))
        except CouldNotLook as error:
            answers.put((way, error))
        except Exception as error:  # noqa: BLE001 - paramiko's threads raise much; whatever it is, it is no login
            answers.put((way, CouldNotLook(_words(error))))

    threading.Thread(target=attempt, daemon=True).start()


def _direct(config: Config) -> Any:
    sock = _socket(config.peer.address, config.ssh.port, config.fence.timeout)
    return _opened(config, Account(config.fence.user, config.peer.address, config.ssh.port), config.fence.identity, sock)


def _through(config: Config, account: Account) -> Callable[[], Any]:
    """The witness is entered by the account and key of the looks, the host behind it by the fence's."""

    def open_it() -> Any:
        gateway = _opened(config, account, config.ssh.identity, _socket(account.host, account.port, config.fence.timeout))
        # fabric's own gateway opens this channel without a time limit.
        target = (config.peer.address, config.ssh.port)
        channel = gateway.transport.open_channel("direct-tcpip", target, ("", 0), timeout=config.fence.timeout)
        inner = Account(config.fence.user, config.peer.address, config.ssh.port)
        return _opened(config, inner, config.fence.identity, channel, gateway=gateway)

    return open_it


def _socket(host: str, port: int, timeout: float) -> socket.socket:
    sock = socket.create_connection((host, port), timeout=timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _opened(config: Config, account: Account, identity: Path | None, sock: Any, *, gateway: Any = None) -> Any:
    """A fabric connection over `sock`, logged in. It closes its gateway with itself."""
    import fabric
    import paramiko

    # What fails is said by us; without a handler of ours paramiko's words would go to standard error.
    logging.getLogger("paramiko").addHandler(logging.NullHandler())
    limit = config.fence.timeout
    keys = {"key_filename": str(identity), "look_for_keys": False} if identity else {}
    connection = fabric.Connection(
        account.host,
        user=account.user,
        port=account.port,
        gateway=gateway,
        connect_timeout=limit,
        config=fabric.Config(overrides={"load_ssh_configs": False}),
        connect_kwargs={"sock": sock, "allow_agent": False, "banner_timeout": limit, "auth_timeout": limit, **keys},
    )
    for known in _known_hosts(config):
        with contextlib.suppress(FileNotFoundError):
            connection.client.load_system_host_keys(str(known))
    connection.client.set_missing_host_key_policy(paramiko.RejectPolicy())
    connection.open()
    return connection


def _known_hosts(config: Config) -> list[Path]:
    return [config.ssh.known_hosts or Path.home() / ".ssh" / "known_hosts", Path("/etc/ssh/ssh_known_hosts")]


def _words(error: BaseException) -> str:
    return " ".join(str(getattr(error, "text", error)).split()) or type(error).__name__
