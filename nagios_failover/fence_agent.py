"""The hard fence: a command of the user's, in particular any of Debian's fence-agents, that cuts the old master off (power, a
port, a virtual machine). It is fed as those are: `key=value` lines on standard input, so that no password stands on a command line;
its exit code is the answer."""

from __future__ import annotations

from collections.abc import Mapping

from nagios_failover import shell
from nagios_failover.config import Config
from nagios_failover.fenced import Fenced

OUTPUT_SHOWN = 300


def agent_input(config: Config, **more: str) -> str:
    """What the agent reads: the action, the options of [fence], and over them those of the host that is cut off."""
    lines = {"action": "off", **dict(config.fence.options), **dict(config.peer.fence_options), **more}
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def run_agent(config: Config, environment: Mapping[str, str], **more: str) -> shell.Output:
    """Run the agent for at most [fence] command_timeout; `more` are options over the configured ones."""
    return shell.run(
        config.fence.command, timeout=config.fence.command_timeout, stdin=agent_input(config, **more), env=environment, cwd="/"
    )


def fence_hard(config: Config, environment: Mapping[str, str]) -> Fenced:
    """Cut the other host off. Proved is the agent's own success; never raises for what the agent is or does."""
    host, program = config.peer.name, config.fence.command[0]
    output = run_agent(config, environment)
    if output.well:
        return Fenced(True, f"{host}: cut off by {program} ({output.seconds:.1f} s)")
    hint = f"run it by hand as {config.nagios.user}, with action=status in place of action=off"
    if output.timed_out:
        limit = config.fence.command_timeout
        return Fenced(False, f"{host}: not cut off: {program} did not end within {limit:g} s ([fence] command_timeout)", hint)
    said = what_it_said(config, output)
    return Fenced(False, f"{host}: not cut off: {program} ended with exit code {output.code}{f': {said}' if said else ''}", hint)


def what_it_said(config: Config, output: shell.Output) -> str:
    """Its words, in one line, without the passwords that it was given."""
    said = " ".join(f"{output.stdout} {output.stderr}".split())
    for name, value in (*config.fence.options, *config.peer.fence_options):
        if is_secret(name) and value:
            said = said.replace(value, "***")
    return said[:OUTPUT_SHOWN]


def is_secret(name: str) -> bool:
    return "pass" in name.lower()
