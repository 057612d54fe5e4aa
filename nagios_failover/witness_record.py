"""The term and the master's name, as each role change leaves them at the witnesses with an account: a small file in that account's
home, for a host that wakes up or was cut off and cannot ask the other one."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from nagios_failover import shell, ssh
from nagios_failover.account import Account
from nagios_failover.config import Config
from nagios_failover.config_values import Port
from nagios_failover.errors import StateUnreadable
from nagios_failover.frozen import frozen
from nagios_failover.role import parse_pairs
from nagios_failover.shell import Output

_WRITE = """umask 022
old=$(sed -n 's/^term=//p' {file} 2>/dev/null)
case $old in ''|*[!0-9]*) old=0 ;; esac
[ "$old" -le {term} ] || {{ echo "it has term $old already"; exit 0; }}
printf 'term=%s\\nmaster=%s\\nsince=%s\\n' {term} {master} {since} >{file}.$$ && mv {file}.$$ {file} && echo written
"""
_READ = "if [ -e {file} ]; then cat {file}; fi; echo end\n"


@frozen
class Recorded:
    """What one witness has: `term` 0 where nothing was recorded yet; `problem` where it could not be asked."""

    account: Account
    term: int = 0
    master: str = ""
    problem: str = ""


def record(config: Config, *, term: int, master: str) -> list[str]:
    """Write it to every witness with an account, side by side. A lower term never overwrites a higher one. Returns what went wrong,
    a sentence each."""
    words = {"term": term, "master": shlex.quote(master), "since": int(time.time())}
    script = _WRITE.format(file=_file(config), **words)
    failed = []
    for account, output in _ask_all(config, script):
        if not output.well or not output.stdout.endswith("written\n"):
            failed.append(f"{account}: {_why(output)}")
    return failed


def read(config: Config) -> list[Recorded]:
    """What every witness with an account has recorded."""
    return [_parse(account, output) for account, output in _ask_all(config, _READ.format(file=_file(config)))]


def _file(config: Config) -> str:
    """One for each pair: a witness may serve several."""
    return "~/" + shlex.quote(".nagios-failover-term." + ".".join(host.name for host in config.hosts))


def _ask_all(config: Config, script: str) -> Iterator[tuple[Account, Output]]:
    accounts = config.witness.accounts
    if not accounts:
        return iter(())

    def ask(account: Account) -> Output:
        section = replace(config.ssh, user=account.user, port=Port(account.port))
        argv = ssh.command(section, account.host, None, timeout=config.ssh.timeout)
        return shell.run(argv, timeout=config.ssh.timeout, stdin=script)

    with ThreadPoolExecutor(len(accounts)) as pool:
        asked: Callable[[Account], Output] = ask
        return iter(list(zip(accounts, pool.map(asked, accounts), strict=True)))


def _parse(account: Account, output: Output) -> Recorded:
    text, end, _ = output.stdout.rpartition("end\n")
    if not output.well or not end:
        return Recorded(account, problem=_why(output))
    if not text:
        return Recorded(account)
    try:
        pairs = parse_pairs(text, f"the record of {account}")
        return Recorded(account, int(pairs["term"]), pairs["master"])
    except (StateUnreadable, KeyError, ValueError) as error:
        return Recorded(account, problem=f"its record is garbled: {error}")


def _why(output: Output) -> str:
    return " ".join(output.stdout.split()) if output.well else ssh.classify(output).reason
