"""python -m tests.lab: a pair of real Nagios hosts to look at and to break by hand."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time

from tests.lab.lab import Lab
from tests.lab.machine import PATH, LabError
from tests.lab.state import HOSTS, LABS, NAGIOS_HOSTS, Store


def say(sentence: str) -> None:
    print(sentence, flush=True)


def up(options: argparse.Namespace) -> int:
    began = time.monotonic()
    suite_on = NAGIOS_HOSTS if options.suite_on is None else tuple(name for name in options.suite_on.split(",") if name)
    lab = Lab.up(
        name=options.name, suite=options.suite, mode=options.mode, failback=options.failback,
        services=options.services, profile=options.profile, suite_on=suite_on,
        say=lambda sentence: say(f"[{time.monotonic() - began:5.1f} s] {sentence}"),
    )  # fmt: skip
    where = [name for name in NAGIOS_HOSTS if lab.has_suite(name)]
    say(
        f"lab '{lab.name}' is up after {time.monotonic() - began:.1f} s: {options.mode} mode, {options.services} services on "
        f"12 monitored hosts, {options.profile} settings, suite on {' and '.join(where) or 'no host'}"
    )
    named = "" if lab.name == "default" else f" --name {lab.name}"
    say(f"look inside: python -m tests.lab exec{named} yasu -- bash    take down: python -m tests.lab down{named}")
    return 0


def exec_inside(options: argparse.Namespace) -> int:
    if not options.command:
        raise LabError("exec needs a command: python -m tests.lab exec yasu -- nagios-failover status")
    host = Lab.attach(options.name).host(options.host)
    if host.is_frozen():
        raise LabError(f"{host.name} is frozen, nothing runs there; thaw it first")
    argv = host.exec_argv(options.command, options.user)
    os.execvpe(argv[0], argv, {"PATH": PATH, "TERM": os.environ.get("TERM", "dumb")})


def power_off(options: argparse.Namespace) -> int:
    Lab.attach(options.name).host(options.host).off()
    say(f"{options.host} is off (power cut)")
    return 0


def power_on(options: argparse.Namespace) -> int:
    began = time.monotonic()
    Lab.attach(options.name).host(options.host).on()
    say(f"{options.host} is on after {time.monotonic() - began:.1f} s")
    return 0


def reboot(options: argparse.Namespace) -> int:
    began = time.monotonic()
    Lab.attach(options.name).host(options.host).reboot()
    say(f"{options.host} was shut down cleanly and is on again after {time.monotonic() - began:.1f} s")
    return 0


def freeze(options: argparse.Namespace) -> int:
    Lab.attach(options.name).host(options.host).freeze()
    say(f"{options.host} is frozen: it answers ping and takes connections, and nothing runs")
    return 0


def thaw(options: argparse.Namespace) -> int:
    Lab.attach(options.name).host(options.host).thaw()
    say(f"{options.host} runs again")
    return 0


def cut(options: argparse.Namespace) -> int:
    Lab.attach(options.name).cut(options.a, options.b, one_way=options.one_way)
    say(f"cut: nothing passes from {options.a} to {options.b}" + ("" if options.one_way else " or back"))
    return 0


def mend(options: argparse.Namespace) -> int:
    Lab.attach(options.name).mend(options.a, options.b)
    say(f"mended: {options.a} and {options.b} reach each other")
    return 0


def slow(options: argparse.Namespace) -> int:
    Lab.attach(options.name).slow(options.a, options.b, options.delay)
    say(f"slow: on new ssh and SQL connections from {options.a} to {options.b} everything arrives {options.delay:g} s late")
    return 0


def fill(options: argparse.Namespace) -> int:
    Lab.attach(options.name).host(options.host).fill()
    say(f"{options.host}: the disk is full")
    return 0


def unfill(options: argparse.Namespace) -> int:
    Lab.attach(options.name).host(options.host).unfill()
    say(f"{options.host}: the disk has room again")
    return 0


def set_state(options: argparse.Namespace) -> int:
    Lab.attach(options.name).set_state(options.host, options.service, options.state, options.output)
    say(f"{options.host}/{options.service} is {options.state.upper()} from the next check on")
    return 0


def mail(options: argparse.Namespace) -> int:
    for item in Lab.attach(options.name).mails():
        if options.json:
            print(json.dumps(dataclasses.asdict(item)))
        else:
            moment = time.strftime("%H:%M:%S", time.localtime(item.arrived))
            print(f"{moment}  {item.sender} -> {', '.join(item.to)}: {item.subject}")
    return 0


def status(options: argparse.Namespace) -> int:
    names = [options.name] if options.name_given else sorted(path.parent.name for path in LABS.glob("*/lab.json"))
    if not names:
        say("no lab is up; start one with: python -m tests.lab up")
    for name in names:
        print_status(Lab.attach(name))
    return 0


def print_status(lab: Lab) -> None:
    settings = lab.settings
    say(f"lab '{lab.name}': {settings.suite}, {settings.mode} mode, failback {settings.failback}, {settings.profile} settings")
    row = "{:<8} {:<11} {:<7} {:<7} {:<7} {:<9} {:<14} {:<7} {}".format
    say(row("HOST", "ADDRESS", "POWER", "SUITE", "SSHD", "MARIADBD", "NAGIOS", "CHECKS", "NOTIFICATIONS"))
    for name in HOSTS:
        host = lab.host(name)
        installed = "yes" if lab.has_suite(name) else "-"
        if not host.is_on() or host.is_frozen():
            say(row(name, host.address, "frozen" if host.is_on() else "off", installed, "", "", "", "", "").rstrip())
            continue
        flags = host.nagios_flags()
        on = {"0": "off", "1": "on"}
        cells = [on.get(flags.get(flag, ""), "-") for flag in ("active_service_checks_enabled", "enable_notifications")]
        has_nagios = name in NAGIOS_HOSTS
        nagios = host.nagios_pid() if has_nagios else None
        running = f"pid {nagios}" if nagios else "stopped" if has_nagios else "-"
        daemons = [_up(host.service(daemon).pid()) for daemon in (("sshd", "mariadbd") if has_nagios else ("sshd",))]
        say(row(name, host.address, "on", installed, *(daemons if has_nagios else [*daemons, "-"]), running, *cells))
    links = Store(lab.name).links()
    for a, b in sorted(links.cuts):
        say(f"cut: {a} -> {b}")
    for a, b, delay in links.slow:
        say(f"slow: {a} -> {b} by {delay:g} s")


def _up(pid: int | None) -> str:
    return "up" if pid else "down"


def down(options: argparse.Namespace) -> int:
    store = Store(options.name)
    with store.owned():
        found = store.clean()
    say(f"lab '{options.name}' is down, nothing is left of it" if found else f"there was no lab '{options.name}'")
    return 0


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    top.set_defaults(name_given=False)
    commands = top.add_subparsers(dest="verb", required=True)
    name = argparse.ArgumentParser(add_help=False)
    name.add_argument("--name", default=None, help="which lab, if there are several (default: default)")

    def verb(word: str, act: object, help_: str, *positional: str) -> argparse.ArgumentParser:
        added = commands.add_parser(word, help=help_, parents=[name])
        added.set_defaults(act=act)
        for argument in positional:
            added.add_argument(argument)
        return added

    one = verb("up", up, "bring up a healthy configured pair")
    one.add_argument("--suite", default="bookworm", help="the Debian release of the hosts")
    one.add_argument("--mode", default="failover", choices=("failover", "redundancy"))
    one.add_argument("--failback", default="manual", choices=("manual", "automatic"))
    one.add_argument("--services", type=int, default=36, metavar="COUNT", help="services on the twelve monitored hosts")
    one.add_argument("--profile", default="one-second", choices=("one-second", "default"))
    one.add_argument("--suite-on", metavar="HOST,HOST", help="where the suite is installed (default: yasu,nabira; '' is nowhere)")
    one = verb("exec", exec_inside, "run a command inside a host", "host")
    one.add_argument("--user", default="root")
    one.add_argument("command", nargs="*", help="-- COMMAND...")
    verb("off", power_off, "cut a host's power", "host")
    verb("on", power_on, "power a host on", "host")
    verb("reboot", reboot, "shut a host down cleanly and power it on", "host")
    verb("freeze", freeze, "stop every process of a host where it is", "host")
    verb("thaw", thaw, "let a frozen host run on", "host")
    one = verb("cut", cut, "drop everything between two hosts (or: HOST all)", "a", "b")
    one.add_argument("--one-way", action="store_true", help="only what goes from the first to the second")
    verb("mend", mend, "undo cut and slow between two hosts (or: HOST all)", "a", "b")
    one = verb("slow", slow, "delay ssh and SQL from one host to another", "a", "b")
    one.add_argument("--delay", type=float, required=True, metavar="SECONDS")
    verb("fill", fill, "fill a host's disk", "host")
    verb("unfill", unfill, "free a filled disk", "host")
    one = verb("set", set_state, "what a monitored service returns from now on", "host", "service", "state")
    one.add_argument("--output", help="what the check says")
    one = verb("mail", mail, "the mail that arrived at the witness")
    one.add_argument("--json", action="store_true", help="one JSON object per mail, with the body")
    verb("status", status, "hosts, services, flags and faults of all labs, or of one")
    verb("down", down, "take a lab down and remove everything of it")
    return top


def main() -> int:
    words = sys.argv[1:]
    inside: list[str] = []
    if "--" in words:  # everything after it belongs to the command inside
        words, inside = words[: words.index("--")], words[words.index("--") + 1 :]
    options = parser().parse_args(words)
    options.name_given, options.name = options.name is not None, options.name or "default"
    if inside:
        options.command = inside
    try:
        return int(options.act(options))
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
