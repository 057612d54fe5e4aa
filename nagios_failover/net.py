"""Does an address answer at all? TCP connects (a refusal is an answer too) and ping, side by side, inside one time limit."""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import threading
import time
from collections.abc import Sequence

from nagios_failover import shell
from nagios_failover.evidence import Blocked, Witness

REAP_SECONDS = 1.0
"""A ping that has used up its time is ended, and on a busy machine it takes a while until that is seen."""
_PING_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"


def reachable(address: str, ports: Sequence[int], timeout: float) -> bool | Blocked:
    """Does the host answer a TCP connect to one of `ports`, or ping, within `timeout` seconds? Blocked: it could not be asked."""
    pinged: list[bool] = []
    pinging = threading.Thread(target=lambda: pinged.append(ping(address, timeout) == ""), daemon=True)
    started = time.monotonic()
    pinging.start()
    answer = tcp(address, ports, timeout)
    if answer is True:
        return True
    pinging.join(max(0.0, started + timeout + REAP_SECONDS - time.monotonic()))
    if pinged == [True]:
        return True
    if not pinged:
        return Blocked("ping does not end", "is this host very busy?")
    if isinstance(answer, str):
        return Blocked(answer, "write an IP address into [host] address")
    return False


def witness(address: str, timeout: float) -> Witness:
    """Does a witness (`host`, `host:port` or `[IPv6]:port`) answer within `timeout` seconds?"""
    host, port = split_port(address)
    if port is None:
        reason = ping(host, timeout)
        return Witness(address, answered=not reason, reason=reason)
    answer = tcp(host, [port], timeout)
    if answer is True:
        return Witness(address, answered=True)
    return Witness(address, answered=False, reason=answer or f"no answer within {timeout:g} s")


def split_port(address: str) -> tuple[str, int | None]:
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and (":" not in host or host.startswith("[")):
        return host.strip("[]"), int(port)
    return address.strip("[]"), None


def ping(address: str, timeout: float) -> str:
    """ "" when the host answers one of two pings; else why not."""
    argv = ["ping", "-n", "-q", "-c", "2", "-i", f"{max(0.2, min(1.0, timeout / 3)):.1f}", "--", address]
    output = shell.run(argv, timeout=timeout, env={"PATH": _PING_PATH, "LC_ALL": "C"})
    if output.well or ", 0% packet loss" in output.stdout or " 1 received" in output.stdout:
        return ""
    if output.timed_out or output.code == 1:
        return f"no answer to ping within {timeout:g} s"
    said = (output.stderr or output.stdout).strip()
    return " ".join(said.splitlines()[-1].split()) if said else f"ping ended with exit code {output.code}"


def tcp(address: str, ports: Sequence[int], timeout: float) -> bool | str:
    """True: a connect was accepted or refused. False: nothing came within `timeout` seconds. A sentence: it could not be asked."""
    deadline = time.monotonic() + timeout
    try:
        found = [entry for port in ports for entry in socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)]
    except OSError as error:
        return f"the name {address} cannot be resolved ({error.strerror or error})"
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        for family, kind, protocol, _, target in found:
            try:
                connecting = stack.enter_context(socket.socket(family, kind, protocol))
                connecting.setblocking(False)
                result = connecting.connect_ex(target)
            except OSError:  # this system has no such address family
                continue
            if result in (0, errno.ECONNREFUSED):
                return True
            if result == errno.EINPROGRESS:
                selector.register(connecting, selectors.EVENT_WRITE, connecting)
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                if key.data.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) in (0, errno.ECONNREFUSED, errno.ECONNRESET):
                    return True
                selector.unregister(key.fileobj)
    return False
