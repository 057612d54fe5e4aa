"""The second route: the same script on the same host, sent through a witness's account as `ssh -J` does, so that a cut link is
told from a dead host.

`ssh -J` gives none of the command line's options to the ssh that it starts for the hop (no key, no BatchMode), so that hop is
written out as the ProxyCommand that -J is short for.
"""

from __future__ import annotations

import os
import re
import shlex
import time
from dataclasses import replace

from nagios_failover import shell, ssh
from nagios_failover.account import Account
from nagios_failover.config import Config
from nagios_failover.config_sections import HostSection, SshSection
from nagios_failover.config_values import Port
from nagios_failover.evidence import Blocked, NoAnswer
from nagios_failover.frozen import frozen
from nagios_failover.shell import Output
from nagios_failover.ssh import Held

_NOBODY = ("kex_exchange_identification: ", "Connection closed by UNKNOWN port", "Connection timed out during banner exchange")


@frozen
class Came:
    """`reached`: the witness itself let us in, so the output, or what is wrong, is the other host's."""

    output: Output
    problem: NoAnswer | Blocked | None
    reached: bool


def command(section: SshSection, account: Account, address: str, held: Held | None, *, timeout: float) -> tuple[str, ...]:
    """The argv that runs `sh` on `address`, through `account`."""
    own = ssh.transport(section, held, timeout=timeout)
    return (*own, "-o", f"ProxyCommand={_hop(section, account, timeout)}", "--", address, "exec sh -s")


def _hop(section: SshSection, account: Account, timeout: float) -> str:
    """ssh hands it to a shell, and reads % as a token: both are quoted for."""
    hop = ssh.transport(replace(section, user=account.user, port=Port(account.port)), None, timeout=timeout)
    return shlex.join(hop).replace("%", "%%") + f" -W [%h]:%p -- {shlex.quote(account.host)}"


def run_through(config: Config, account: Account, host: HostSection, script: str, *, timeout: float) -> Came:
    """Run `script` by sh on `host`, through `account`, within `timeout` seconds; over a held connection, as the direct way is."""
    direct = ssh.held_connection(config, host, now=time.time())
    number = config.witness.accounts.index(account) + 1
    held = replace(direct, socket=direct.socket.with_name(f"{host.name}.w{number}{direct.socket.suffix}"))

    def argv(left: float) -> tuple[str, ...]:
        return command(config.ssh, account, host.address, held, timeout=left)

    return judge(ssh.run_held(held, argv, script, timeout=timeout, env=_environment()))


def run_afresh(config: Config, account: Account, host: HostSection, script: str, *, timeout: float) -> Came:
    """The same over logins of its own, which prove that new ones work."""
    argv = command(config.ssh, account, host.address, None, timeout=timeout)
    return judge(shell.run(argv, timeout=timeout, stdin=script, env=_environment()))


def _environment() -> dict[str, str]:
    """Whoever ran us may have a shell that runs nothing; the ProxyCommand needs one."""
    return {**os.environ, "SHELL": "/bin/sh"}


def judge(output: Output) -> Came:
    """Who was it that did not answer? When the hop ends early, the outer ssh has nobody to exchange keys with, and says so last."""
    if output.code not in (None, ssh.SSH_FAILED):
        problem = None if output.well else ssh.classify(output)
        return Came(output, problem, reached=True)
    if output.timed_out:
        return Came(output, NoAnswer(f"no answer within {output.seconds:.2g} s"), reached=False)
    refused = re.search(r"open failed: (?:connect failed: )?([^\r\n]*)", output.stderr)
    if refused and "prohibited" in refused[1]:
        hint = "sshd_config there: AllowTcpForwarding yes (or local)"
        return Came(output, Blocked(f"the witness forwards nothing ({refused[1]})", hint), reached=False)
    if refused:
        return Came(output, NoAnswer(f"the witness says: {refused[1]}"), reached=True)
    own_words = "\n".join(line for line in output.stderr.splitlines() if not line.startswith(_NOBODY))
    if own_words.strip() == output.stderr.strip():
        return Came(output, ssh.classify(output), reached=True)
    return Came(output, ssh.classify(replace(output, stderr=own_words or output.stderr)), reached=False)
