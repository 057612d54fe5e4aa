"""What a rejoin does for the Nagios of the repaired host: it runs, is a standby's, has the master's state and history, watches the
master, and a failover to it would go through. Each looks at its own goal first, so all of it can be given again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

from nagios_failover import drift, flags, merge_logs, observe, sync
from nagios_failover.config import Config
from nagios_failover.config_values import Start
from nagios_failover.copies import Copies
from nagios_failover.errors import CouldNotLook, Failed, NoReader
from nagios_failover.hands import hands_of
from nagios_failover.joining import Joining
from nagios_failover.lock import A_MOMENT, run_lock
from nagios_failover.readiness import readiness
from nagios_failover.role import describe_flags
from nagios_failover.state_files import StateFiles
from nagios_failover.steps import Step, Weight
from nagios_failover.trials import Trial
from nagios_failover.words import Role
from nagios_failover.workflow import Flow, Trigger, ask_root

POLL_SECONDS = 0.5
READY_SECONDS = 30.0
MENDED_BY_TIME = ("other host", "flags", "copy", "replica", "SQL")
"""What is still on its way just after a host has joined; for anything else nobody waits."""


def _flow(flow: Joining) -> Flow:
    """As the steps of other runs want it."""
    term = flow.state.role().term
    return Flow(
        flow.config, flow.state, hands_of(flow.config, flow.state), flow.run, flow.kind, Trigger.COMMAND, flow.say, {"term": term}
    )


# --- Nagios ---


def _cold(flow: Joining) -> str:
    return "a cold standby: its Nagios is started by a failover" if flow.config.pair.standby is Start.COLD else ""


def _runs(flow: Joining) -> str:
    try:
        _flow(flow).hands.commands(())
    except NoReader:
        return ""
    return "Nagios runs and reads its command file"


def _start(flow: Joining) -> str:
    said = ask_root(_flow(flow), "start-nagios")
    _wait(
        flow, lambda: bool(_runs(flow)), flow.config.nagios.verify_timeout, "Nagios was started but does not read its command file"
    )
    return said


def _follow_term(flow: Joining) -> str:
    """A host that gave its role away by hand does not know yet which term its master has begun."""
    config, state = flow.config, flow.state
    report = observe.look(config, state).evidence.report
    theirs = report.role if report else None
    if theirs is None or theirs.role is not Role.MASTER:
        raise Failed(f"{config.peer.name} is not seen to be the master", host=config.this_name, hint="nagios-failover status")
    with run_lock(state.directory, wait=A_MOMENT):
        role = state.role()
        if role.role is Role.STANDBY and role.term < theirs.term:
            state.write_role(replace(role, master=config.peer.name, term=theirs.term, since=int(time.time())))
    return f"{config.peer.name} is the master, its term is {theirs.term}"


def _make_passive(flow: Joining) -> str:
    """As the state watch does it, which may be before us."""
    said: list[str] = []

    def as_the_role_wants() -> bool:
        with suppress(CouldNotLook, NoReader):  # one that was just started has not written status.dat yet
            said.extend(flags.correct(flow.config, flow.state))
        seen = flags.compare(flow.config, flow.state)
        return seen.wanted is not None and not seen.differing and not seen.unsettled

    _wait(flow, as_the_role_wants, flow.config.nagios.verify_timeout, "Nagios's flags do not follow the role")
    wanted = flags.compare(flow.config, flow.state).wanted or {}
    return "; ".join([*said, f"{describe_flags(wanted)}, seen in status.dat"])


def _watch(flow: Joining) -> str:
    """Switched on, and seen at work: a new look at the master by Nagios's own check."""
    config, began = flow.config, time.time()
    names = (config.nagios.master_watch, config.nagios.state_watch)
    commands = [
        f"{verb};{config.nagios.watch_host};{name}" for name in names for verb in ("ENABLE_SVC_CHECK", "ENABLE_SVC_EVENT_HANDLER")
    ]
    _flow(flow).hands.commands(["ENABLE_EVENT_HANDLERS", *commands])
    limit = 3 * config.look.interval + config.look.timeout
    _wait(flow, lambda: any(look.by == "check" and look.time > began for look in flow.state.looks()), limit, "no look was taken")
    return f"{' and '.join(names)} are on, and {config.peer.name} was looked at"


# --- what the master has ---


def _not_followed(flow: Joining) -> str:
    return "" if flow.config.sync.watch else "not configured"


def _copy_state(flow: Joining) -> str:
    record = sync.pull(flow.config, flow.state, timeout=flow.config.sync.timeout)
    return f"{flow.config.peer.name}'s status.dat and {record.log_size} bytes of its log are here ({record.seconds:.1f} s)"


def _merge_logs(flow: Joining) -> str:
    return merge_logs.merge_logs(_flow(flow))


def _compare_objects(flow: Joining) -> str:
    found = drift.known(Copies(flow.state.directory, flow.config.peer.name))
    if found.sentence():
        raise Failed(found.sentence(), host=flow.config.this_name, hint=found.hint or "nagios-failover sync-config")
    return f"the same objects as {flow.config.peer.name}"


# --- seen to be ready ---


def prove_ready(flow: Joining, tries: Callable[[Config, StateFiles], Iterator[Trial]] = readiness) -> str:
    """The list of check_failover_ready, but for what the pair lacks for good."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        tried = []
        for trial in tries(flow.config, flow.state):
            tried.append(trial)
            flow.progress("ready", len(tried), len(tried) + 1)
        left = [trial for trial in tried if trial.ok is False]
        if not left:
            return (
                f"nothing stands in the way of a failover or a switchover ({sum(bool(trial.ok) for trial in tried)} things tried)"
            )
        if any(trial.name not in MENDED_BY_TIME for trial in left) or time.monotonic() > deadline:
            raise Failed(f"{len(left)} in the way: {'; '.join(map(_words, left))}", hint="nagios-failover test")
        time.sleep(POLL_SECONDS)


def _words(trial: Trial) -> str:
    return f"{trial.sentence} (hint: {trial.fix})" if trial.fix else trial.sentence


def _wait(flow: Joining, goal: Callable[[], bool], seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not goal():
        if time.monotonic() > deadline:
            raise Failed(f"{otherwise} within {seconds:g} s", host=flow.config.this_name, hint="nagios-failover status")
        time.sleep(POLL_SECONDS)


STEPS: tuple[Step[Joining], ...] = (
    Step(
        "start Nagios",
        lambda flow: "would let the root helper start Nagios, if it does not run",
        _start,
        Weight.NEEDED,
        _cold,
        _runs,
    ),
    Step("term", lambda flow: f"would learn the term of {flow.config.peer.name}, the master", _follow_term, Weight.LESSER),
    Step("passive", lambda flow: "would see that Nagios's flags are a standby's", _make_passive, Weight.NEEDED, _cold),
    Step(
        "copy state",
        lambda flow: f"would copy status.dat and the event log of {flow.config.peer.name}",
        _copy_state,
        Weight.NEEDED,
        _not_followed,
    ),
    Step(
        "merge logs",
        lambda flow: f"would merge {flow.config.peer.name}'s event log and archives into this host's own",
        _merge_logs,
        Weight.LESSER,
        _not_followed,
    ),
    Step("objects", lambda flow: "would compare the two hosts' objects", _compare_objects, Weight.LESSER, _not_followed),
    Step("watch services", lambda flow: "would switch the watch services on, and see a look taken", _watch, Weight.NEEDED, _cold),
    Step("ready", lambda flow: "would try what a failover to this host needs", prove_ready, Weight.LESSER),
)
