"""What failing over and standing down have in common: the run's context, its hands, its end, and the way back from half of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from nagios_failover.config import Config
from nagios_failover.errors import CouldNotLook, Failed, FailoverError, Incomplete, NoReader, Refused, StateUnreadable
from nagios_failover.fenced import Fenced, fenced_from
from nagios_failover.hands import ROOT_HELPER, Hands, hands_of
from nagios_failover.journal import Journal, Run
from nagios_failover.role import RoleRecord, role_flags
from nagios_failover.run_record import Outcome, RunRecord
from nagios_failover.state_files import StateFiles
from nagios_failover.steps import Step, rehearse, walk
from nagios_failover.words import Flag, Role


class Trigger(StrEnum):
    """Who wanted the run."""

    EVENT = "event"  # Nagios, by the event handler
    COMMAND = "command"  # a person
    WATCH = "watch"  # cron, by `watch --once`


@dataclass
class Flow:
    """One run on its way. `notes` are the values that a resumed run needs; they are journaled as they are made."""

    config: Config
    state: StateFiles
    hands: Hands
    run: Run
    kind: str
    trigger: str
    say: Callable[[str], None]
    notes: dict[str, Any] = field(default_factory=dict)

    def note(self, key: str, value: Any) -> None:
        self.run.note(key, value)
        self.notes[key] = value

    def note_if_possible(self, key: str, value: Any) -> None:
        """On a full disk the run knows it all the same, and whoever goes on with the run has to find it out anew."""
        with suppress(Failed):
            self.run.note(key, value)
        self.notes[key] = value

    @property
    def passed_over(self) -> list[str]:
        """What a step did not see done, though it counts as done: a person has to look."""
        return list(self.notes.get("passed_over", []))

    def pass_over(self, sentence: str) -> None:
        if sentence not in self.passed_over:
            self.note("passed_over", [*self.passed_over, sentence])

    @property
    def this(self) -> str:
        return self.config.this.name

    @property
    def peer(self) -> str:
        return self.config.peer.name

    @property
    def term(self) -> int:
        return int(self.notes.get("term", 0))

    @property
    def quiet_since(self) -> int:
        """When a living master was told to be silent, on its clock; 0 for one that died."""
        return int(self.notes.get("quiet", 0))

    def role_before(self) -> RoleRecord | None:
        kept = self.notes.get("role_before")
        return RoleRecord(**{**kept, "role": Role(kept["role"])}) if kept else None

    def flags_before(self) -> dict[Flag, bool] | None:
        kept = self.notes.get("flags_before")
        return {Flag(name): bool(on) for name, on in kept.items()} if kept else None

    @property
    def fenced(self) -> Fenced | None:
        """What came of fencing so far, None before it."""
        return fenced_from(self.notes.get("fenced"))

    def remember_what_is(self, role: RoleRecord) -> None:
        """What an abort puts back: on record before anything changes."""
        try:
            flags: dict[str, bool] | None = {str(flag): on for flag, on in self.hands.flags().items()}
        except CouldNotLook:
            flags = None  # Nagios does not run here: it has no flags to put back
        if role.role is Role.TAKING_OVER:  # a run before this one, whose journal is lost
            role = replace(role, role=Role.STANDBY, master=self.peer)
        self.state.prepare_return(self._returned(role))
        self.note("flags_before", flags)
        self.note("role_before", asdict(role))

    def _returned(self, before: RoleRecord) -> RoleRecord:
        """The role that an abort puts back. The term stays raised: terms never go back."""
        return replace(before, term=max(before.term, self.term), since=int(self.hands.now()), handover="")

    def put_role_back(self, before: RoleRecord) -> None:
        """Raises Failed."""
        self.state.return_role(self._returned(before))


def require_none_open(config: Config, state: StateFiles) -> None:
    """Raises Refused while a run is open: that one is finished first."""
    left = Journal(state.directory).open_runs()
    if left:
        raise Refused(f"run {left[0].id} is open", host=config.this.name, hint="it is finished first: try again")


def known_term(state: StateFiles) -> int:
    """0 without a readable role."""
    try:
        return state.role().term
    except StateUnreadable:
        return 0


def start(
    config: Config,
    state: StateFiles,
    kind: str,
    *,
    trigger: str,
    term: int,
    hands: Hands | None = None,
    say: Callable[[str], None] | None = None,
) -> Flow:
    """Open a run's journal. Raises Failed when it cannot be written: what is not on record is not begun."""
    ready = hands or hands_of(config, state)  # before the journal: a run that cannot begin is not opened
    run = Journal(state.directory).open(kind, term, config.this.name, trigger=trigger, peer=config.peer.name)
    return Flow(config, state, ready, run, kind, trigger, say or silent)


def go_on(config: Config, state: StateFiles, record: RunRecord, *, hands: Hands | None, say: Callable[[str], None] | None) -> Flow:
    """The context of a run that was cut short. That it goes on need not be on record: its steps have to."""
    config = as_it_faced(config, record)
    ready = hands or hands_of(config, state)
    run = Journal(state.directory).run(record.id)
    with suppress(Failed):  # a full disk: what has to be put back needs no room
        run.resumed()
    return Flow(config, state, ready, run, record.kind, record.trigger, say or silent, dict(record.notes))


def as_it_faced(config: Config, record: RunRecord) -> Config:
    """The host that a run acts on is the one that it began with, whoever is looked at by now (more than two hosts)."""
    return config.facing(record.peer) if record.peer else config


def longest_run(config: Config) -> float:
    """Seconds that a run takes at most: the sum of its named waits, and a little."""
    look = config.look
    looks = (2 * look.confirmations + 3) * (look.confirm_interval + look.timeout)
    sync = config.sync.fetch_timeout + config.sync.merge_timeout if config.sync.watch else 0
    database = 0.0
    if config.replication.watch:
        database = 3 * config.replication.drain_timeout + config.replication.old_source_timeout + 10 * config.replication.timeout
    others = 4 * config.run.hook_timeout + 4 * config.nagios.verify_timeout + config.mail.timeout
    fence = 4 * config.fence.timeout + config.fence.verify_timeout if config.fence.user else 0.0
    fence += config.fence.command_timeout if config.fence.command else 0.0
    lease = config.quorum.lease + 2 * config.quorum.timeout if config.quorum.etcd else 0.0
    return looks + lease + sync + database + fence + others + 30


def silent(_: str) -> None:
    """A run that nobody watches: the journal has it all."""


def carry_out(
    flow: Flow,
    steps: Sequence[Step[Flow]],
    *,
    result: Callable[[Flow], str],
    earlier: RunRecord | None = None,
    abort: Callable[[Flow, FailoverError], RunRecord] | None = None,
) -> RunRecord:
    """Walk the list to its end and close the run, or put everything back as it was (`abort`, give_up by default). Raises Failed
    when not even the end can be journaled, Incomplete when there is no way back but not yet forth: the run is then open, and the
    next call finishes it."""
    try:
        walked = walk(steps, flow, flow.run, earlier=earlier, say=flow.say)
    except Incomplete:
        raise
    except FailoverError as error:
        if _no_way_back(flow):
            raise Incomplete(f"run {flow.run.id} is not at its end: {error}", hint=error.hint) from error
        return (abort or give_up)(flow, error)
    troubles = [*flow.passed_over, *walked.passed_over]
    sentence = "; ".join([result(flow), *troubles, *walked.notes])
    return flow.run.close(Outcome.INCOMPLETE if troubles else Outcome.DONE, sentence)


def _no_way_back(flow: Flow) -> bool:
    """Has this run given the host its new role? What fails then (a full disk under the journal) is no reason to take it back."""
    try:
        role = flow.state.role()
    except StateUnreadable:
        return False
    return role.run == flow.run.id and role.role in (Role.MASTER, Role.STANDBY)


def give_up(flow: Flow, error: FailoverError) -> RunRecord:
    """End a run that cannot go on: refused where nothing was changed, else aborted, with everything put back."""
    if flow.notes.get("lease"):
        flow.hands.give_back_lease()  # first: an old master that lives needs it to go on
    if "role_before" not in flow.notes:
        outcome = Outcome.REFUSED if isinstance(error, Refused) else Outcome.ABORTED
        return flow.run.close(outcome, _with_hint(str(error), error))
    troubles = put_back(flow)
    before = flow.role_before()
    as_it_was = f"role and flags are as they were: {before.role if before else 'unknown'}"
    if troubles:
        return flow.run.close(Outcome.INCOMPLETE, "; ".join([f"given up: {error}", *troubles]))
    return flow.run.close(Outcome.ABORTED, _with_hint(f"aborted: {error}; {as_it_was}", error))


def _with_hint(sentence: str, error: FailoverError) -> str:
    return "; ".join(part for part in (sentence, error.detail.replace("\n", "; "), error.hint and f"hint: {error.hint}") if part)


def put_back(flow: Flow) -> list[str]:
    """Role, flag file and flags as they were before the run. The term stays raised: terms never go back. Returns what could
    not be put back."""
    troubles = []
    before, flags = flow.role_before(), flow.flags_before()
    if flags and flow.run.record().begun("activate") | flow.run.record().begun("mute"):
        try:
            flow.hands.set_flags(flags, ())
        except NoReader:
            pass  # nobody had read the commands that changed them either
        except FailoverError as error:
            troubles.append(f"the flags were not seen put back: {error}")
    troubles.extend(_give_back_what_was_fenced(flow))
    if flow.notes.get("witnesses_told"):
        flow.hands.tell_witnesses(flow.term, flow.peer)
    if before:
        try:
            flow.put_role_back(before)
        except Failed as error:
            troubles.append(f"the role was not put back: {error}")
    return troubles


def _give_back_what_was_fenced(flow: Flow) -> list[str]:
    """An old master that was only muted monitors again; of one that was killed, a person must know."""
    fenced = what_was_fenced(flow)
    if fenced is None or not (fenced.proved or fenced.was_on):
        return []
    if not fenced.was_on:
        return [] if flow.trigger == Trigger.COMMAND else [f"nobody is monitoring: {fenced.sentence}"]
    released = flow.hands.unfence(flow.term, fenced.was_on)
    return [] if released.proved else [f"nobody is monitoring: {fenced.sentence}; {released.sentence}"]


def what_was_fenced(flow: Flow) -> Fenced | None:
    """As far as the run could note it; one that was killed before it could may have done it all."""
    if flow.fenced is None and any(map(flow.run.record().begun, ("fence, mild", "quiesce"))):
        was_on = {flag: True for flag, on in role_flags(flow.config.pair.mode, active=False).items() if not on}
        return Fenced(False, f"{flow.peer}: a fence was begun", was_on=was_on)
    return flow.fenced


def rehearsal(
    config: Config, state: StateFiles, kind: str, steps: Sequence[Step[Flow]], *, trigger: str, say: Callable[[str], None] | None
) -> RunRecord:
    """The dry run: nothing is locked, journaled, recorded or changed."""
    run = Journal(state.directory).run("dry-run")
    flow = Flow(config, state, hands_of(config, state), run, kind, trigger, say or silent)
    records = rehearse(steps, flow, say=flow.say)
    now = time.time()
    return RunRecord(
        "dry-run", kind, flow.this, opened=now, trigger=trigger, closed=now, outcome=Outcome.DONE, steps=tuple(records)
    )


def hook_environment(flow: Flow) -> dict[str, str]:
    """What a hook is told. The values are ours (host names, numbers, a run id) and one sentence."""
    return {
        "NAGIOS_FAILOVER_KIND": flow.kind,
        "NAGIOS_FAILOVER_HOST": flow.this,
        "NAGIOS_FAILOVER_MASTER": flow.peer,
        "NAGIOS_FAILOVER_TERM": str(flow.term),
        "NAGIOS_FAILOVER_RUN": flow.run.id,
        "NAGIOS_FAILOVER_MODE": str(flow.config.pair.mode),
        "NAGIOS_FAILOVER_TRIGGER": flow.trigger,
        "NAGIOS_FAILOVER_REASON": str(flow.notes.get("reason", "")),
    }


def call_hook(flow: Flow, argv: Sequence[str]) -> str:
    """Returns what it did and printed; raises Failed for an exit code other than 0 or a time-out."""
    output = flow.hands.hook(argv, hook_environment(flow))
    printed = " ".join(f"{output.stdout} {output.stderr}".split())[:1000]
    said = f": {printed}" if printed else ""
    if output.timed_out:
        raise Failed(f"{argv[0]} did not end within {flow.config.run.hook_timeout:g} s ([run] hook_timeout){said}")
    if not output.well:
        raise Failed(f"{argv[0]} ended with exit code {output.code}{said}")
    return f"{argv[0]} ended with exit code 0{said}"


def ask_root(flow: Flow, verb: str) -> str:
    """Let the root helper do one of its fixed verbs."""
    output = flow.hands.root(verb)
    printed = " ".join(f"{output.stdout} {output.stderr}".split())[:500]
    if output.timed_out:
        raise Failed(f"{ROOT_HELPER.name} {verb} did not end within {flow.config.run.hook_timeout:g} s")
    if not output.well:
        raise Failed(f"{ROOT_HELPER.name} {verb} ended with exit code {output.code}: {printed}", hint="nagios-failover test")
    return printed or f"{verb}: done"
