"""`make demo`: a real pair on this machine, a fault, and what the product does about it, for a person at the screen.

Runs with Debian's own Python: nothing but the standard library and the lab.
"""

from __future__ import annotations

import re
import signal
import sys
import textwrap
import time
from collections.abc import Iterator
from typing import Final

from nagios_failover.errors import REFUSED
from nagios_failover.words import Role
from tests.lab import Host, Lab, LabError
from tests.lab.suite import COMMAND, is_active
from tests.takeover import FAULTS, NAGIOS_LOG, Watcher, has_open_run, last_look, role_of

CHOICES: Final = ("kill", "stop", "power", "link")
TAKEOVER_SECONDS: Final = 90.0

#: lines of the standby's nagios.log that tell the story, and what they mean
HANDLER_CALLED: Final = "nabira's Nagios calls handle_master_event: it confirms by a look of its own, then takes over"
STORY: Final = (
    (r"SERVICE ALERT: nagios-failover;Master Nagios;(\w+);(SOFT|HARD);(\d);(.*)", r"Master Nagios on nabira is \1 \2 \3: \4"),
    (r"SERVICE EVENT HANDLER: nagios-failover;Master Nagios;CRITICAL;HARD;", HANDLER_CALLED),
    (r"EXTERNAL COMMAND: ENABLE_NOTIFICATIONS;nagios-failover", "nabira's notifications are on"),
    (r"EXTERNAL COMMAND: START_EXECUTING_SVC_CHECKS;nagios-failover", "nabira's service checks are on"),
    (r"EXTERNAL COMMAND: START_EXECUTING_HOST_CHECKS;nagios-failover", "nabira's host checks are on"),
)


def main() -> int:
    fault, name = sys.argv[1:] or ("kill", "demo")
    if fault not in CHOICES:
        print(f"error: no fault is called {fault!r}\nhint: make demo FAULT={'|'.join(CHOICES)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a demo that is ended takes its pair down, too
    try:
        title("1. A pair of real Nagios hosts")
        print("   yasu is the master: it checks a dozen hosts and notifies. nabira is the standby: it watches yasu.\n")
        began = time.monotonic()
        with Lab.up(name=name, say=lambda sentence: print(f"   {sentence}", flush=True)) as lab:
            print(f"   the pair is up after {time.monotonic() - began:.0f} s\n")
            show(lab, fault)
        print("   The pair is taken down again. By hand: python3 -m tests.lab up; python3 -m tests.lab --help\n")
        return 0
    except (LabError, AssertionError) as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nerror: interrupted; the pair is taken down", file=sys.stderr)
        return 130


def show(lab: Lab, fault: str) -> None:
    lab.wait(lambda: last_look(lab.nabira) == "OK", 30, "nabira has looked at yasu")
    command(lab.nabira, "test")
    command(lab.nabira, "status")

    title("2. Ordinary life: a service breaks, the master says so")
    lab.set_state("web3", "HTTP", "CRITICAL", "connection refused")
    print("   web3's HTTP service is set to CRITICAL.")
    mail = wait_for_mail(lab, "PROBLEM web3/HTTP")
    print(f"   mail to oncall: {mail}\n")

    title(f"3. The fault: {FAULTS[fault].what} on yasu, the master")
    seconds = watch_takeover(lab, fault)
    print(f"\n   {seconds:.1f} s from the fault to checks running and notifications on.\n")

    title("4. What you are told")
    mails = lab.wait(lambda: lab.mails("is the master now"), 30, "the failover's mail arrives")
    mail_of_run = mails[0]
    print(quoted(f"Subject: {mail_of_run.subject}\n\n{mail_of_run.body}"))
    lab.wait(lambda: not has_open_run(lab.nabira), 30, "nabira's run is at its end")
    command(lab.nabira, "status")
    lab.set_state("web5", "LOAD", "CRITICAL", "load average: 97")
    print("   Now web5's LOAD is set to CRITICAL: it is nabira's to say so.")
    print(f"   mail to oncall: {wait_for_mail(lab, 'PROBLEM web5/LOAD')}\n")

    title("5. The way back: yasu is repaired, and joins as the standby")
    began = time.monotonic()
    FAULTS[fault].mend(lab, lab.yasu)
    lab.wait(lambda: role_of(lab.yasu) is Role.STANDBY and not is_active(lab.yasu), 120, "yasu is the standby")
    seconds = time.monotonic() - began
    lab.wait(
        lambda: not has_open_run(lab.yasu) and last_look(lab.nabira) == "OK",
        60,
        "yasu is at its run's end, and seen as the standby",
    )
    print(f"   yasu came back as the master of an older term, saw nabira's, and stood down: {seconds:.1f} s after the repair.")
    command(lab.yasu, "history")
    command(lab.nabira, "status")
    print("   Roles circulate: there is no need to go back. Where you want to, give the role from hand to hand:\n")
    began = time.monotonic()
    command(lab.nabira, "standdown")
    command(lab.yasu, "failover")
    lab.wait(lambda: is_active(lab.yasu), 30, "yasu is active")
    print(f"   yasu is the master again; {time.monotonic() - began:.1f} s by hand.\n")
    command(lab.yasu, "status")


def title(text: str) -> None:
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    print(f"{bold}{text}{plain}\n", flush=True)


def command(host: Host, words: str) -> None:
    """Run nagios-failover on a host and show what it prints, as a person would see it; who was refused, since the one look that it
    takes reached nobody in time, gives it again."""
    for _ in range(5):
        done = host.run([COMMAND, *words.split()], check=False, timeout=120)
        if done.returncode != REFUSED:
            break
    print(f"   {host.name}# nagios-failover {words}")
    print(quoted(done.stdout + done.stderr), flush=True)


def quoted(text: str) -> str:
    return textwrap.indent(text.rstrip(), "   | ", lambda line: True) + "\n"


def wait_for_mail(lab: Lab, subject: str) -> str:
    return lab.wait(lambda: lab.mails(subject), 60, f"a mail '{subject}'")[0].subject


def watch_takeover(lab: Lab, fault: str) -> float:
    """Inflict the fault and print what nabira's own log tells, as it happens. Returns the seconds until it is active."""
    watcher = Watcher(lab, lab.nabira)
    said_before = len(lab.nabira.read(NAGIOS_LOG))
    lines = new_lines(lab.nabira, said_before)
    began = time.monotonic()
    FAULTS[fault].inflict(lab, lab.yasu)
    moment(0.0, f"{FAULTS[fault].what} on yasu; nobody monitors now")
    checked = False
    told: set[str] = set()
    while not (checked and watcher.notifies()):
        seconds = time.monotonic() - began
        if seconds > TAKEOVER_SECONDS:
            raise AssertionError(f"nabira has not taken over within {TAKEOVER_SECONDS:g} s")
        for line in next(lines):
            tell(line, seconds, told)
        if not checked and watcher.checks():
            checked = True
            moment(seconds, "nabira's first check of a monitored service")
        time.sleep(0.05)
    for line in next(lines):
        tell(line, time.monotonic() - began, told)
    return time.monotonic() - began


def tell(line: str, seconds: float, told: set[str]) -> None:
    """Print the log line's meaning, if it has one, each once (the handler is called, and the state logged, at every look)."""
    for pattern, meaning in STORY:
        found = re.search(pattern, line)
        key = found.expand(meaning).partition(": ")[0] if found else ""
        if found and key not in told:
            told.add(key)
            moment(seconds, found.expand(meaning))


def moment(seconds: float, what: str) -> None:
    print(textwrap.fill(f"{seconds:6.1f} s  {what}", 118, initial_indent="   ", subsequent_indent=" " * 13), flush=True)


def new_lines(host: Host, position: int) -> Iterator[list[str]]:
    """Each time: the whole lines that nagios.log has grown by."""
    while True:
        text = host.read(NAGIOS_LOG)[position:]
        whole = text[: text.rfind("\n") + 1]
        position += len(whole)
        yield whole.splitlines()


if __name__ == "__main__":
    sys.exit(main())
