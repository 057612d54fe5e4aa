"""handle_master_event: what Nagios calls when a watch service, or a master that a host check watches, changes or stays ill.

    handle_master_event '$HOSTNAME$' '$SERVICEDESC$' $SERVICESTATE$ $SERVICESTATETYPE$ $SERVICEATTEMPT$
    handle_master_event '$HOSTNAME$' $HOSTSTATE$ $HOSTSTATETYPE$ $HOSTATTEMPT$

The trigger is a level, not an edge: the watch services are volatile, so that Nagios calls after every HARD non-OK check, and what
was refused, paused or killed is tried again. With nothing to do it is gone at once, without heavy imports; what there is to do is
done detached, since Nagios kills its handlers after event_handler_timeout. What it has to say goes to STATE/handler.log too:
Nagios throws away what a handler prints. Exit codes: 0, also for nothing to do; 1 failed; 2 wrong macros or configuration;
3 refused (dry run only).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from nagios_failover.config import Config
from nagios_failover.config_file import load
from nagios_failover.detach import detach, log_line
from nagios_failover.errors import DONE, FailoverError, StateUnreadable, UsageError
from nagios_failover.event import Act, Event, concerns_us, decide, parse_event
from nagios_failover.journal import anything_open
from nagios_failover.leaving import ends_at_once
from nagios_failover.lock import is_held
from nagios_failover.looks import Look, newest
from nagios_failover.role import RoleRecord
from nagios_failover.state_files import StateFiles, boot_id, uptime
from nagios_failover.user import become_nagios
from nagios_failover.watch_mail import Said, anything_mailed, is_told
from nagios_failover.words import CONFIG_FILE


def has_work(event: Event, act: Act, look: Look | None, config: Config, state: StateFiles) -> bool:
    """Is there anything to do? Asked at every check that is not OK, so it must be cheap."""
    if act is not Act.NOTHING or _open_and_nobody_at_it(state) or _mail_waits(state):
        return True
    if event.well:
        return anything_mailed(state, event.watch)
    if not event.hard:
        return False
    known = look is not None and event.service == config.nagios.master_watch and look.state.name == event.state.name
    return not is_told(state, Said(event.watch, event.state.name, look.code if known and look else ""))


def _open_and_nobody_at_it(state: StateFiles) -> bool:
    try:
        return anything_open(state) and not is_held(state.directory)
    except FailoverError:
        return False


def _mail_waits(state: StateFiles) -> bool:
    try:
        return any((state.directory / "unsent").glob("*.json"))
    except OSError:
        return False


def recorded_look(event: Event, config: Config, state: StateFiles) -> Look | None:
    """What our plugin recorded for this event, if that is as new as the event."""
    if event.service not in (None, config.nagios.master_watch):
        return None
    try:
        look = newest(state.looks(), host=config.peer.name, boot=boot_id())
    except StateUnreadable:
        return None
    recent = 3 * config.look.interval + config.look.timeout
    return look if look is not None and 0 <= uptime() - look.uptime <= recent else None


def readable_role(state: StateFiles) -> RoleRecord | None:
    try:
        return state.role()
    except StateUnreadable:
        return None


def handle(event: Event, config: Config, state: StateFiles) -> None:
    look = recorded_look(event, config, state)
    act = decide(event, config, readable_role(state), look)
    if not has_work(event, act, look, config, state):
        return
    log = handler_log(state)

    def work() -> None:
        from nagios_failover.acting import act_on

        for sentence in act_on(event, act, look, config, state):
            log_line(log, sentence)

    detach(work, log=log)


def rehearse(event: Event, config: Config, state: StateFiles) -> None:
    """The dry run, in the foreground."""
    act = decide(event, config, readable_role(state), recorded_look(event, config, state))
    print(f"{event.watch} is {event.type.value} {event.state.name}: {act.value}")
    if act is Act.FAILOVER:
        from nagios_failover.failover import run_failover

        run_failover(config, state, trigger="event", dry_run=True, say=print)
    print("nothing was changed (dry run)")


def handler_log(state: StateFiles) -> Path:
    return state.directory / "handler.log"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"{self.prog} --help")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(
        prog="handle_master_event",
        usage="%(prog)s [-C FILE] [--dry-run] HOST [SERVICE] STATE TYPE ATTEMPT",
        description="Nagios's event handler for the watch services: fails over, finishes what was cut short, mails.",
    )
    parser.add_argument("-C", "--config", type=Path, default=Path(CONFIG_FILE), help=f"configuration file ({CONFIG_FILE})")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, in the foreground, and change nothing")
    parser.add_argument("macros", nargs="*", metavar="MACRO", help="host, service (none for a host's event), state, type, attempt")
    return parser.parse_args(argv)


@ends_at_once
def main(argv: Sequence[str] | None = None) -> NoReturn:
    state: StateFiles | None = None
    try:
        arguments = _arguments(argv)
        config = load(arguments.config)
        become_nagios(config)
        state = StateFiles(config.paths.state)
        event = parse_event(arguments.macros)
        if not concerns_us(event, config):
            if arguments.dry_run:
                print(f"nothing to do: {event.host} is neither {config.nagios.watch_host} nor {config.peer.name}")
        elif arguments.dry_run:
            rehearse(event, config, state)
        else:
            handle(event, config, state)
        code = DONE
    except FailoverError as error:
        print(error.lines(), file=sys.stderr)
        if state:
            log_line(handler_log(state), error.lines().replace("\n", "; "))
        code = error.exit_code
    sys.exit(code)


if __name__ == "__main__":
    main()
