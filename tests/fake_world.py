"""What a run sees and does, in memory: looks that come one after the other, flags, hooks, mails, and a clock of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.database_server import Server
from nagios_failover.errors import CouldNotLook, DatabaseFault, Failed, FailoverError
from nagios_failover.event_log import Notification
from nagios_failover.evidence import Evidence, NoAnswer
from nagios_failover.fenced import Fenced
from nagios_failover.hands import Hands
from nagios_failover.lease import Ours, Word
from nagios_failover.looks import Look
from nagios_failover.observe import Observation
from nagios_failover.role import Flags, RoleRecord
from nagios_failover.shell import Output
from nagios_failover.state_files import StateFiles
from nagios_failover.trials import Trial
from nagios_failover.verdict import Code, Verdict
from nagios_failover.words import Flag, Role, State

CRASHED = (State.CRITICAL, Code.CRASHED, "yasu: Nagios has crashed: PID 7 is gone, status.dat is 3 s old")
ALIVE = (State.OK, Code.ALIVE, "yasu: Nagios (PID 7) is alive, status.dat is 1 s old")
PASSIVE = (State.WARNING, Code.PASSIVE, "yasu: alive, but it checks or notifies nothing; nobody monitors")
CUT_OFF = (State.UNKNOWN, Code.CUT_OFF, "yasu: this standby is cut off")
OFFERED = (State.WARNING, Code.HANDOVER, "yasu: alive, and it offers the role to nabira (term 5)")
NO_STANDBY = (State.WARNING, Code.PEER_GONE, "yasu: no standby: ssh fails")
A_STANDBY = (State.OK, Code.PEER_STANDBY, "yasu: standby, its Nagios is alive and notifies nobody")
TWO_MASTERS = (State.CRITICAL, Code.PEER_ACTIVE, "yasu: two masters: it notifies with no term, this host is the master with term 3")
OUTRANKED = (State.CRITICAL, Code.PEER_OUTRANKS, "yasu: it is the master with term 9, this host has term 3: this host stands down")

OFF = dict.fromkeys(Flag, False)
ON = dict.fromkeys(Flag, True)


def config_of(directory: Path, more: str = "") -> Config:
    """nabira's, with three confirmations a second apart."""
    text = (
        "[host yasu]\n[host nabira]\n[witness]\naddresses = none\n[mail]\nto = a@b\n[look]\nconfirm_interval = 1\ntimeout = 9\n"
        f"[paths]\nstate = {directory}\n{more}"
    )
    return parse(text, hostname="nabira")


def standby(state: StateFiles, *, term: int = 3) -> RoleRecord:
    role = RoleRecord(Role.STANDBY, "yasu", term, "", 1000)
    state.write_role(role)
    return role


def master(state: StateFiles, *, term: int = 3) -> RoleRecord:
    role = RoleRecord(Role.MASTER, "nabira", term, "", 1000)
    state.write_role(role)
    return role


@dataclass
class World:
    """`sees` is what the looks bring, the last again and again."""

    state: StateFiles
    sees: list[tuple[State, Code, str]] = field(default_factory=lambda: [CRASHED])
    flags: dict[Flag, bool] = field(default_factory=lambda: dict(OFF))
    peer_term: int = 0
    peer_follows: int = 0
    hook_code: int = 0
    set_flags_fails: FailoverError | None = None
    mail_fails: Failed | None = None
    not_ok: list[tuple[str, str | None]] = field(default_factory=list)
    records: bool = True
    nagios_runs: bool = True
    now: float = 1_795_000_000.0
    looks: int = 0
    commands: list[str] = field(default_factory=list)
    hooks: list[tuple[tuple[str, ...], dict[str, str]]] = field(default_factory=list)
    mails: list[tuple[str, str]] = field(default_factory=list)
    fence: dict[str, Fenced] = field(default_factory=dict)
    fences: list[str] = field(default_factory=list)
    witness_term: int = 0
    witness_fails: list[str] = field(default_factory=list)
    witnesses_told: list[tuple[int, str]] = field(default_factory=list)
    ready: list[Trial] = field(default_factory=lambda: [Trial("ssh", True, "yasu: ssh works")])
    there: list[str] = field(default_factory=list)
    there_fails: str = ""
    role_there: RoleRecord | None = field(default_factory=lambda: RoleRecord(Role.MASTER, "yasu", 3, "", 1000))
    lease_word: list[Word] = field(default_factory=lambda: [Ours(1e9)])
    lease_words: list[str] = field(default_factory=list)
    lease_terms: list[int] = field(default_factory=list)
    lease_left: float = 20.0
    promised: str = ""
    mailed_there: list[Notification] = field(default_factory=list)
    mailed_here: list[Notification] = field(default_factory=list)

    def hands(self) -> Hands:
        return Hands(
            look=self._look,
            flags=self._flags,
            set_flags=self._set_flags,
            not_ok=lambda: self.not_ok,
            commands=self.commands.extend,
            root=lambda verb: Output(0, f"{verb}: done", ""),
            hook=self._hook,
            deliver=self._deliver,
            own_database=self._no_database,
            old_source=self._no_database,
            fence_mild=lambda term: self._fence("mild", term),
            fence_hard=lambda env: self._fence("hard", int(env["NAGIOS_FAILOVER_TERM"])),
            unfence=self._unfence,
            witness_term=lambda: self.witness_term,
            tell_witnesses=self._tell_witnesses,
            quiesce=lambda term: self._fence("quiesced", term),
            there=self._there,
            role_there=lambda: self.role_there,
            ready=lambda: self.ready,
            lease=self._lease,
            lease_left=lambda: self.lease_left,
            promised=lambda: self.promised,
            give_back_lease=lambda: self.lease_words.append("given back"),
            mailed=lambda since: (self.mailed_there, self.mailed_here),
            now=lambda: self.now,
            uptime=lambda: self.now - 1_794_000_000.0,
            boot=lambda: "this boot",
            sleep=self._sleep,
        )

    def look_before(self, what: tuple[State, Code, str], *, ago: float, by: str = "check", boot: str = "this boot") -> None:
        self.state.add_look(self._make(what, by, ago, boot))

    def _make(self, what: tuple[State, Code, str], by: str, ago: float = 0.0, boot: str = "this boot") -> Look:
        when = self.now - ago
        state, code, sentence = what
        look = Look("yasu", when, when - 1_794_000_000.0, boot, by, state, code, sentence)
        return replace(look, peer_term=self.peer_term, peer_follows=self.peer_follows)

    def _look(self, by: str, record: bool) -> Observation:
        self.looks += 1
        self.now += 0.2
        what = self.sees.pop(0) if len(self.sees) > 1 else self.sees[0]
        look = self._make(what, by)
        if record and self.records:
            self.state.add_look(look)
        return Observation(Evidence(NoAnswer("not asked")), Verdict(*what), look, {})

    def _flags(self) -> dict[Flag, bool]:
        if not self.nagios_runs:
            raise CouldNotLook("status.dat does not exist")
        return dict(self.flags)

    def _set_flags(self, flags: Flags, ahead: Sequence[str]) -> list[str]:
        if self.set_flags_fails:
            raise self.set_flags_fails
        self.commands.extend(ahead)
        self.flags.update(flags)
        return []

    def _hook(self, argv: Sequence[str], env: Mapping[str, str]) -> Output:
        self.hooks.append((tuple(argv), dict(env)))
        return Output(self.hook_code, "", "no" if self.hook_code else "")

    def _no_database(self) -> AbstractContextManager[Server]:
        raise DatabaseFault("database: connection refused (2003)", hint="is its database server running?", code=2003)

    def _deliver(self, name: str, subject: str, body: str) -> None:
        if self.mail_fails:
            raise self.mail_fails
        self.mails.append((subject, body))

    def _fence(self, how: str, term: int) -> Fenced:
        self.fences.append(f"{how}, term {term}")
        return self.fence.get(how) or Fenced(True, f"yasu: fenced, {how}")

    def _there(self, arguments: Sequence[str]) -> Output:
        """The suite of the other host: a stand-down in favour of this host's term."""
        self.there.append(" ".join(arguments))
        if arguments[0] == self.there_fails:
            return Output(3, "", "error: no")
        if arguments[0] == "standdown":
            self.role_there = RoleRecord(Role.STANDBY, "nabira", self.state.role().term, "", 1000)
        return Output(0, "", "")

    def _tell_witnesses(self, term: int, master: str) -> list[str]:
        self.witnesses_told.append((term, master))
        return self.witness_fails

    def _lease(self, term: int, *, reign: bool = False) -> Word:
        self.lease_terms.append(term)
        if reign:
            self.lease_words.append(f"reigns with term {term}")
            return Ours(1e9)
        self.lease_words.append("asked for")
        return self.lease_word.pop(0) if len(self.lease_word) > 1 else self.lease_word[0]

    def _unfence(self, term: int, was_on: Flags) -> Fenced:
        self.fences.append(f"undone, term {term}: {', '.join(was_on)} on")
        return self.fence.get("undone") or Fenced(True, "yasu: its Nagios was switched on again")

    def _sleep(self, seconds: float) -> None:
        self.now += seconds
