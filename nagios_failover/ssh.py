"""Looking at the other host through the OpenSSH client, over one held connection (ControlMaster).

A probe over a held connection costs a tenth of a fresh login, but proves only that an old login goes on. So the held one is
replaced every [ssh] renew seconds: the control socket's name carries the period, the first probe of a period logs in afresh
(and leaves its connection behind, detached, for the others), and the old one ends by itself when nobody has used it for a period.

The user's and the system's ssh configuration are left out (`-F none`): what decides whether a failover starts is written in one
file. Without our configuration file (`check_master_nagios -H ... -l ...`) it is the other way round: the user's own applies, and
nothing is held.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from nagios_failover import shell
from nagios_failover.config import Config
from nagios_failover.config_sections import HostSection, SshSection
from nagios_failover.evidence import Blocked, NoAnswer
from nagios_failover.frozen import frozen
from nagios_failover.shell import Output

SOCKET_PATH_LIMIT = 86
"""Bytes. A Unix socket's path ends at 104 on the BSDs (108 on Linux), and ssh first binds to the name plus 18 characters."""

HELD_SHARE = 0.4
"""Of the time limit, for the held connection; it takes milliseconds, or it hangs. The rest is for a fresh login."""

SSH_FAILED = 255


@frozen
class Held:
    """Where a held connection is (or will be), and how long it stays when nobody uses it."""

    socket: Path
    idle_seconds: float


def command(ssh: SshSection, address: str, held: Held | None, *, timeout: float, user_config: bool = False) -> tuple[str, ...]:
    """The argv that runs `sh` on the other host; the script comes on standard input, so that no login shell parses it."""
    words = transport(ssh, held, timeout=timeout, user_config=user_config)
    return (*words, "--", address, "exec sh -s")


def transport(ssh: SshSection, held: Held | None, *, timeout: float, user_config: bool = False) -> tuple[str, ...]:
    """The ssh client and its options, without a host: what rsync is given, too."""
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "ConnectTimeout": f"{max(1, round(timeout))}",
        "ConnectionAttempts": "1",
        "ClearAllForwardings": "yes",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "PermitLocalCommand": "no",
        "EscapeChar": "none",
        "LogLevel": "ERROR",
        # A frozen host keeps a held connection open for ever: after this it ends by itself.
        "ServerAliveInterval": "10",
        "ServerAliveCountMax": "2",
    }
    if held:
        options |= {
            "ControlMaster": "auto",
            "ControlPath": _escaped(held.socket),
            "ControlPersist": f"{max(1, round(held.idle_seconds))}",
        }
    else:
        options |= {"ControlMaster": "no", "ControlPath": "none"}
    if not user_config:
        # curve25519 first: a fresh login with OpenSSH 9's own first choice costs seven times the CPU (135 ms against 19), and a
        # probe's answer is worth nothing by tomorrow.
        options |= {
            "IdentityAgent": "none",
            "PreferredAuthentications": "publickey",
            "GSSAPIAuthentication": "no",
            "KexAlgorithms": "^curve25519-sha256,curve25519-sha256@libssh.org",
        }
    if ssh.identity:
        options |= {"IdentityFile": _escaped(ssh.identity), "IdentitiesOnly": "yes"}
    if ssh.known_hosts:
        options |= {"UserKnownHostsFile": _escaped(ssh.known_hosts)}
    words = ["ssh", "-T", *(() if user_config else ("-F", "none"))]
    for name, value in options.items():
        words += ["-o", f"{name}={value}"]
    port = () if user_config and ssh.port == SshSection.port else ("-p", str(ssh.port))
    user = ("-l", ssh.user) if ssh.user else ()
    return (*words, *port, *user)


def _escaped(path: Path) -> str:
    """A path as ssh's options take it: % begins a token, a blank ends the value unless it is quoted."""
    return '"' + str(path).replace("%", "%%") + '"'


def held_connection(config: Config, host: HostSection, *, now: float) -> Held:
    """The connection of this period (`now` is epoch seconds)."""
    period = int(now // config.ssh.renew)
    return Held(config.paths.state / "ssh" / f"{host.name}.{period % 1_000_000}", config.ssh.renew)


def run_remote(config: Config, host: HostSection, script: str, *, timeout: float) -> Output:
    """Run `script` by sh on `host`, within `timeout` seconds, over the held connection, or a fresh one."""
    held = held_connection(config, host, now=time.time())
    return run_held(held, lambda left: command(config.ssh, host.address, held, timeout=left), script, timeout=timeout)


def run_held(
    held: Held, argv: Callable[[float], tuple[str, ...]], script: str, *, timeout: float, env: Mapping[str, str] | None = None
) -> Output:
    """Run what `argv` (of the seconds that are left) says, over `held` where that is there and answers, else afresh."""
    problem = _prepare(held)
    if problem:
        return Output(SSH_FAILED, "", problem)
    started = time.monotonic()
    if held.socket.exists():
        output = shell.run(argv(timeout), timeout=timeout * HELD_SHARE, stdin=script, env=env)
        if output.code not in (None, SSH_FAILED):
            return output
        # Nobody else shall wait for it; its process ends by itself (ServerAliveInterval, ControlPersist).
        with contextlib.suppress(OSError):
            held.socket.unlink()
    left = max(0.1, started + timeout - time.monotonic())
    output = shell.run(argv(left), timeout=left, stdin=script, env=env)
    return replace(output, seconds=time.monotonic() - started)


def held_transport(config: Config, host: HostSection, *, timeout: float) -> tuple[str, ...]:
    """The client for a program that calls ssh itself, over the connection that run_remote has just used."""
    return transport(config.ssh, held_connection(config, host, now=time.time()), timeout=timeout)


def run_once(ssh: SshSection, address: str, script: str, *, timeout: float) -> Output:
    """The same without our configuration: a login of its own, with the user's ssh configuration."""
    return shell.run(command(ssh, address, None, timeout=timeout, user_config=True), timeout=timeout, stdin=script)


def _prepare(held: Held) -> str:
    """Make the directory of the sockets, and sweep sockets that a power cut left. A sentence when that cannot be."""
    if len(bytes(held.socket)) > SOCKET_PATH_LIMIT:
        return f"ControlPath too long: {held.socket} has {len(bytes(held.socket))} bytes, {SOCKET_PATH_LIMIT} is the most"
    directory = held.socket.parent
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        if not held.socket.exists():
            for left in directory.glob("*.*"):
                if left.is_socket() and left.lstat().st_mtime < time.time() - 10 * held.idle_seconds - 60:
                    left.unlink(missing_ok=True)
    except OSError as error:
        return f"ControlPath cannot be used: {directory}: {error.strerror or error}"
    return ""


_BLOCKED = (
    (
        r"IDENTIFICATION HAS CHANGED",
        "its host key has changed",
        "if that is right: ssh-keygen -R HOST, then add the new key to known_hosts",
    ),
    (
        r"Host key verification failed|host key is known",
        "its host key is unknown",
        "add it to known_hosts: ssh-keyscan HOST, compared with the host's own",
    ),
    (r"UNPROTECTED PRIVATE KEY|bad permissions", "the private key is readable by others", "chmod 0600 the key file"),
    (
        r'Load key "?[^"]*"?: Permission denied',
        "the private key is not readable by this user",
        "run as the Nagios user; chown the key file",
    ),
    (
        r"Load key|invalid format|no such identity|Identity file",
        "the private key cannot be loaded",
        "compare [ssh] identity with the key file",
    ),
    (r"Permission denied", "ssh access denied", "is our public key in the maintenance account's authorized_keys there?"),
    (r"Too many authentication failures", "ssh access denied: too many keys were offered", "set [ssh] identity"),
    (r"Could not resolve hostname", "its name cannot be resolved", "write an IP address into [host] address"),
    (r"ControlPath too long", "the ssh control path is too long", "choose a shorter [paths] state"),
    (
        r"ControlPath cannot be used|unix_listener|muxserver_listen",
        "the directory for held connections cannot be used",
        "it is STATE/ssh, owned by the Nagios user, 0700: run as that user",
    ),
    (
        r"Bad configuration option|Bad owner or permissions|unsupported option|Bad SSH2",
        "ssh does not take an option",
        "OpenSSH 8.0 or later",
    ),
    (r"Unable to negotiate|no matching", "ssh finds no common algorithm", "compare the two hosts' OpenSSH versions"),
    (
        r"System is (booting up|going down)|nologin|not available|not permitted to log in",
        "it admits no logins now",
        "it is booting or going down, or the account has no shell",
    ),
    (
        r"password has expired|account has expired|Account expired",
        "the maintenance account has expired there",
        "chage -M -1 -E -1 for it",
    ),
)
"""Something keeps us from looking: never a sign of death. Standard error (or output), the reason, the hint; in this order."""

_SILENT = (
    r"timed out|Connection refused|No route to host|Network is unreachable|Host is down|Connection (closed|reset)|Broken pipe"
    r"|not responding|Connection to .* (closed|aborted)|lost connection|banner exchange"
)


def classify(output: Output) -> NoAnswer | Blocked:
    """A failed round trip: did nothing come back, or did something keep us from looking? What we do not know is the latter."""
    if output.timed_out:
        return NoAnswer(f"no answer within {output.seconds:.2g} s")
    said = output.stderr.strip() or output.stdout.strip()
    if output.code == shell.NOT_FOUND and output.stderr.startswith("ssh:"):
        return Blocked("ssh is not installed on this host", "apt-get install openssh-client")
    last = " ".join(said.splitlines()[-1].split()) if said else f"exit code {output.code}"
    for pattern, reason, hint in _BLOCKED:
        if re.search(pattern, said):
            return Blocked(f"{reason} ({last})", hint)
    if output.code == SSH_FAILED and re.search(_SILENT, said):
        return NoAnswer(last.removeprefix("ssh: "))
    return Blocked(f"ssh failed ({last})", "try it as the Nagios user: ssh -v")
