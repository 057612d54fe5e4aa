"""The master's role as a lease: what is kept of it, and what follows from what etcd and the other hosts say. Pure.

All times are seconds of the boot clock, which stands still for nobody and is never set. A lease is counted from before it was asked
for, so that this host holds it for shorter than etcd does.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from nagios_failover.errors import StateUnreadable
from nagios_failover.frozen import frozen
from nagios_failover.role import parse_pairs
from nagios_failover.words import Role, State


@frozen
class Lease:
    """STATE/lease, which handlers/notify_if_master reads too. `until` is when this host's right to notify ends, 0 for none;
    `holder` whose etcd said it is, "" for nobody's; `said` the keeper's last sentence."""

    until: float
    boot: str
    holder: str = ""
    said: str = ""

    def left(self, now: float, boot: str) -> float:
        """Seconds for which this host still holds it; 0 after a boot."""
        return max(0.0, self.until - now) if boot == self.boot else 0.0

    def text(self) -> str:
        said = " ".join(self.said.split())
        return f"{self.first_line}boot={self.boot}\nholder={self.holder or '-'}\nsaid={said}\n"

    @property
    def first_line(self) -> str:
        """Of a fixed length, so that it can be written over the last one where there is no room for a new file."""
        return f"until={int(self.until):012d}\n"


@frozen
class Promise:
    """STATE/promise: this host takes no lease before `until`, because `to` goes on without etcd meanwhile."""

    to: str
    until: float
    boot: str
    seconds: float

    def left(self, now: float, boot: str) -> float:
        """After a boot the clock has begun anew: it is waited for from then."""
        return max(0.0, (self.until if boot == self.boot else self.seconds) - now)

    def text(self) -> str:
        return f"to={self.to}\nuntil={self.until:.2f}\nboot={self.boot}\nseconds={self.seconds:g}\n"


def parse_lease(text: str) -> Lease:
    pairs = parse_pairs(text, "the lease file")
    try:
        holder = pairs["holder"]
        return Lease(float(pairs["until"]), pairs["boot"], "" if holder == "-" else holder, pairs["said"])
    except (KeyError, ValueError) as error:
        raise StateUnreadable(f"the lease file is garbled: {error}") from error


def parse_promise(text: str) -> Promise:
    pairs = parse_pairs(text, "the promise file")
    try:
        return Promise(pairs["to"], float(pairs["until"]), pairs["boot"], float(pairs["seconds"]))
    except (KeyError, ValueError) as error:
        raise StateUnreadable(f"the promise file is garbled: {error}") from error


# --- what etcd says ---


@frozen
class Ours:
    """Renewed, or taken, for this host: `until` by its own clock. `standbys` are those that looked within the last lease's time."""

    until: float
    standbys: frozenset[str] = frozenset()


@frozen
class Held:
    """Somebody's: `left` seconds by etcd's count. `term` is the highest under which a master has reigned, 0 for none."""

    holder: str
    left: float
    term: int = 0


@frozen
class Free:
    """Nobody's."""

    term: int = 0


@frozen
class Outranked:
    """Neither renewed nor taken: another master has reigned with `term`, which is that of the one that asked or above it. `holder`
    has it now, "" for nobody."""

    term: int
    holder: str = ""


@frozen
class Away:
    """etcd gave no answer that counts: too few of its members live, or are reached."""

    reason: str


Word = Ours | Held | Free | Outranked | Away


# --- what another host says, when etcd is away ---


@frozen
class Answer:
    """`promised`: it is a standby and takes no lease for a whole lease's time from when it was asked; `why` not, otherwise."""

    host: str
    promised: bool
    why: str = ""


# --- what follows ---


class Act(Enum):
    """What the keeper does."""

    NOTHING = "nothing"
    HOLD = "write down how long the lease lasts"
    MUTE = "notify nobody and check nothing from now on"
    RELEASE = "give back what a standby does not need"


@frozen
class Decision:
    """`until` belongs to HOLD."""

    act: Act
    state: State
    sentence: str
    hint: str = ""
    until: float = 0.0

    @classmethod
    def nothing(cls, sentence: str) -> Decision:
        return cls(Act.NOTHING, State.OK, sentence)


def keep_as_master(
    this: str,
    word: Word,
    *,
    left: float,
    now: float,
    pace: float,
    answers: Sequence[Answer],
    extended: float,
    others: Sequence[str] = (),
) -> Decision:
    """What a master does. `left` is what it holds still, `answers` what all the other hosts said, who are asked when etcd is away,
    `pace` the longest time from one decision to the next, `extended` until when it may go on if all have promised, `others` who
    should be a standby by now."""
    if isinstance(word, Ours):
        sentence = f"{this}: master, it holds the lease for {word.until - now:.0f} s"
        gone = [name for name in others if name not in word.standbys]
        if not gone:
            return Decision(Act.HOLD, State.OK, sentence, until=word.until)
        sentence = f"{sentence}, but {', '.join(gone)} no longer looks for it: no standby"
        hint = "does Nagios run there, and is etcd reached from there? nagios-failover test there"
        return Decision(Act.HOLD, State.WARNING, sentence, hint, word.until)
    if isinstance(word, Free) or (isinstance(word, Held) and word.holder == this):
        sentence = f"{this}: it has given the lease up for a switchover: it notifies nobody and checks nothing"
        return Decision(Act.MUTE, State.CRITICAL, sentence, "it takes it again in a moment, unless the other host has it by then")
    if isinstance(word, Outranked):
        sentence = f"{this}: the lease has been another master's with term {word.term} since: it notifies nobody and checks nothing"
        return Decision(Act.MUTE, State.CRITICAL, sentence, "it stands down when it sees that master; nagios-failover status")
    if isinstance(word, Held):
        sentence = f"{this}: the lease is {word.holder}'s: it notifies nobody and checks nothing"
        return Decision(Act.MUTE, State.CRITICAL, sentence, f"nagios-failover status; {word.holder} is the master")
    failed = f"{this}: etcd does not renew the lease ({word.reason})"
    if answers and all(answer.promised for answer in answers):
        who = ", ".join(answer.host for answer in answers)
        sentence = f"{failed}; it goes on for {extended - now:.0f} s: {who} promised to take no lease meanwhile"
        return Decision(Act.HOLD, State.WARNING, sentence, "mend etcd: without it nobody can take over", extended)
    against = "; ".join(f"{answer.host}: {answer.why}" for answer in answers if not answer.promised)
    if left > pace:
        return Decision(Act.NOTHING, State.WARNING, f"{failed}, and {against}: it is good for another {left:.0f} s")
    sentence = f"{failed}, and {against}: it notifies nobody and checks nothing"
    return Decision(Act.MUTE, State.CRITICAL, sentence, "it goes on by itself when etcd gives it the lease again")


def keep_as_standby(this: str, word: Word, *, busy: bool) -> Decision:
    """What any other host does. `busy`: a run is on its way here."""
    if isinstance(word, Away):
        sentence = f"{this}: standby; etcd does not answer ({word.reason}): nobody takes over"
        return Decision(Act.NOTHING, State.WARNING, sentence, "mend etcd; nagios-failover test")
    if isinstance(word, Held) and word.holder == this:
        if busy:
            return Decision(Act.NOTHING, State.OK, f"{this}: a run is on its way, with the lease")
        return Decision(Act.RELEASE, State.OK, f"{this}: standby, it has given the lease back")
    if isinstance(word, Outranked):
        sentence = f"{this}: a run is on its way, but a master with term {word.term} has had the lease since"
        return Decision(Act.NOTHING, State.WARNING, sentence, "nagios-failover status")
    if isinstance(word, Held):
        return Decision(Act.NOTHING, State.OK, f"{this}: standby, the lease is {word.holder}'s for {word.left:.0f} s")
    sentence = f"{this}: standby, and nobody holds the lease: the master does not know of it, or has stood down"
    return Decision(Act.NOTHING, State.WARNING, sentence, "nagios-failover status")


def keep(
    role: Role | None,
    this: str,
    word: Word,
    *,
    left: float,
    now: float,
    pace: float,
    answers: Sequence[Answer] = (),
    extended: float = 0.0,
    busy: bool = False,
    others: Sequence[str] = (),
) -> Decision:
    """The keeper's decision. Without a readable role (None) nothing is changed."""
    if role is None:
        return Decision(
            Act.NOTHING, State.WARNING, f"{this}: no role: the lease is neither renewed nor taken", "nagios-failover status"
        )
    if role is Role.MASTER:
        return keep_as_master(this, word, left=left, now=now, pace=pace, answers=answers, extended=extended, others=others)
    if role is Role.TAKING_OVER and isinstance(word, Ours):
        return Decision(Act.HOLD, State.OK, f"{this}: taking over, with the lease", until=word.until)
    return keep_as_standby(this, word, busy=busy or role is not Role.STANDBY)
