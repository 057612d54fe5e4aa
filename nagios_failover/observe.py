"""One look at the other host: gather the evidence side by side, judge it, and (when asked) record it in the ring.

Used by check_master_nagios, by a run's confirm step and by `watch --once`. It ends inside its own time limit whatever hangs:
each item is asked in a thread of its own, and one that does not come back is left behind.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from nagios_failover import heartbeat, net, remote, replication, second_route, ssh
from nagios_failover.account import Account
from nagios_failover.config import Config
from nagios_failover.config_sections import SshSection
from nagios_failover.config_values import Schema
from nagios_failover.errors import CouldNotLook, FailoverError, StateUnreadable
from nagios_failover.evidence import (
    NOT_CONFIGURED,
    Blocked,
    Detour,
    Evidence,
    Heartbeat,
    HostReport,
    NoAnswer,
    NotConfigured,
    Process,
    Witness,
    with_report,
)
from nagios_failover.limits import Limits, limits_from
from nagios_failover.looks import Look, newest
from nagios_failover.role import RoleRecord
from nagios_failover.shell import Output
from nagios_failover.state_files import StateFiles, boot_id, uptime
from nagios_failover.verdict import Code, Verdict
from nagios_failover.verdict_of_master import judge_master
from nagios_failover.verdict_of_peer import judge_peer, judge_return
from nagios_failover.words import Role, State

ASK_OTHERS_AFTER = 1.0
"""Seconds after which an ssh that has not answered is doubted, and the host and the witnesses are asked meanwhile."""

T = TypeVar("T")


@dataclass(frozen=True)
class Probes:
    """How each item is asked; the argument is its time limit in seconds. None: not configured."""

    ssh: Callable[[float], HostReport | NoAnswer | Blocked]
    reachable: Callable[[float], bool | Blocked]
    witnesses: tuple[tuple[str, Callable[[float], Witness]], ...] = ()
    heartbeat: Callable[[float], Heartbeat | NoAnswer | Blocked] | None = None
    received: Callable[[float], int | NoAnswer | Blocked] | None = None
    detours: tuple[tuple[str, Callable[[float], Detour]], ...] = ()


@dataclass(frozen=True)
class Times:
    """Time limits in seconds: of the whole look, and of the items."""

    whole: float
    ssh: float
    heartbeat: float
    reach: float

    @property
    def asking(self) -> float:
        """Seconds for asking; the rest is kept for judging and recording (a busy host, a slow disk)."""
        return self.whole - max(0.3, 0.1 * self.whole)

    @property
    def others_after(self) -> float:
        return min(ASK_OTHERS_AFTER, 0.4 * self.whole)


@dataclass(frozen=True)
class Gathered:
    """What came back. `received` is the replica's counter, not yet compared with an earlier look's."""

    evidence: Evidence
    received: int | NoAnswer | Blocked | None
    seconds: dict[str, float]


@dataclass(frozen=True)
class Observation:
    """`seconds`: how long `ssh` and `database` took, where they were asked, and the `total`."""

    evidence: Evidence
    verdict: Verdict
    look: Look
    seconds: dict[str, float]


def _surely(ask: Callable[[float], T]) -> Callable[[float], T | Blocked]:
    """What one item did not expect (a garbled greeting breaks PyMySQL in its own ways) must not cost the whole look."""

    def asked(limit: float) -> T | Blocked:
        try:
            return ask(limit)
        except Exception as error:  # noqa: BLE001 - said as what it is, and never taken for an answer
            return Blocked(f"unexpected: {error!r}", "please report it")

    return asked


class _Question(threading.Thread, Generic[T]):
    """One item, asked in its own thread. A thread that hangs does not keep the process from ending."""

    def __init__(self, ask: Callable[[float], T], limit: float) -> None:
        super().__init__(daemon=True)
        self._ask = ask
        self.limit = max(0.1, limit)
        self._started_at = time.monotonic()
        self._came: list[T] = []
        self._failed: list[BaseException] = []
        self.seconds = self.limit
        self.start()

    def run(self) -> None:
        try:
            self._came.append(self._ask(self.limit))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for the answer
            self._failed.append(error)
        self.seconds = time.monotonic() - self._started_at

    def answer(self, wait: float) -> T | None:
        """What came within `wait` seconds from now; None: nothing yet. Raises what the asking raised."""
        self.join(max(0.0, wait))
        if self._failed:
            raise self._failed[0]
        return self._came[0] if self._came else None

    def rest(self) -> float:
        """Seconds until this item has used up its time limit; a little more, since it may be about to say so itself."""
        return self._started_at + self.limit + 0.2 - time.monotonic()


def gather(probes: Probes, times: Times) -> Gathered:
    """Ask everything side by side; the host's reachability, the witnesses and the way through them only when ssh fails or takes
    long."""
    started = time.monotonic()
    deadline = started + times.asking
    room = times.asking - 0.2
    ssh_asked = _Question(_surely(probes.ssh), min(times.ssh, room))
    beat_asked = _Question(_surely(probes.heartbeat), min(times.heartbeat, room)) if probes.heartbeat else None
    received_asked = _Question(_surely(probes.received), min(times.heartbeat, room)) if probes.received else None

    seen = ssh_asked.answer(times.others_after)
    reach_asked, witnesses_asked, detours_asked = None, [], []
    if seen is None or isinstance(seen, NoAnswer):
        limit = min(times.reach, deadline - 0.2 - time.monotonic())
        reach_asked = _Question(_surely(probes.reachable), limit)
        witnesses_asked = [(address, _Question(ask, limit)) for address, ask in probes.witnesses]
        rest = deadline - 0.2 - time.monotonic()
        detours_asked = [(witness, _Question(_surely(ask), rest)) for witness, ask in probes.detours]

    def wait(question: _Question[T]) -> T | None:
        return question.answer(min(question.rest(), deadline - time.monotonic()))

    seen = seen or wait(ssh_asked) or NoAnswer(f"no answer within {ssh_asked.limit:.3g} s")
    beat: Heartbeat | NoAnswer | Blocked | NotConfigured = NOT_CONFIGURED
    if beat_asked:
        beat = wait(beat_asked) or NoAnswer(f"no answer within {beat_asked.limit:.3g} s")
    received: int | NoAnswer | Blocked | None = None
    if received_asked:
        received = wait(received_asked)
        received = NoAnswer(f"no answer within {received_asked.limit:.3g} s") if received is None else received
    reach: bool | Blocked | None = None
    witnesses: list[Witness] = []
    detours: list[Detour] = []
    if isinstance(seen, NoAnswer) and reach_asked:
        reach = wait(reach_asked)
        reach = (
            Blocked(f"whether the host answers at all was not known within {reach_asked.limit:.3g} s") if reach is None else reach
        )
        witnesses = [
            wait(asked) or Witness(address, answered=False, reason=f"no answer within {asked.limit:.3g} s")
            for address, asked in witnesses_asked
        ]
        detours = [_detour(witness, wait(asked), asked.limit) for witness, asked in detours_asked]
    seconds = {"ssh": ssh_asked.seconds, "total": time.monotonic() - started}
    if beat_asked:
        seconds["database"] = beat_asked.seconds
    evidence = Evidence(ssh=seen, heartbeat=beat, reachable=reach, witnesses=tuple(witnesses), detours=tuple(detours))
    return Gathered(evidence, received, seconds)


def _detour(witness: str, came: Detour | Blocked | None, limit: float) -> Detour:
    if isinstance(came, Detour):
        return came
    return Detour(witness, came or NoAnswer(f"no answer within {limit:.3g} s"), reached=False)


def probes_from(config: Config, *, at_master: bool = True) -> Probes:
    """The items of a look at the peer, as the configuration has them. Only a master has a heartbeat and is replicated from."""
    host = config.peer
    ports = [config.ssh.port] if config.heartbeat.schema is Schema.NONE else [config.ssh.port, config.heartbeat.port]
    script = remote.probe_script(str(host.nagios_cfg), str(config.paths.state))
    beats = config.heartbeat.schema is not Schema.NONE
    asked_alone = Probes(
        ssh=lambda limit: _report(ssh.run_remote(config, host, script, timeout=limit), binary=host.nagios_binary.name),
        reachable=lambda limit: net.reachable(host.address, ports, limit),
        witnesses=tuple((address, _witness(address)) for address in config.witness.asked),
        detours=tuple((account.host, _through(config, account, script)) for account in config.witness.accounts),
    )
    if not at_master:
        return asked_alone
    return replace(
        asked_alone,
        heartbeat=(lambda _: heartbeat.read(host.address, config.heartbeat)) if beats else None,
        received=(lambda _: replication.received(config)) if config.replication.watch else None,
    )


def probes_by_options(section: SshSection, address: str, *, nagios_cfg: str, state: str) -> Probes:
    """A look with ssh alone: no configuration file, nothing held, nothing recorded. `nagios_cfg` "": where it usually is."""
    script = remote.probe_script(nagios_cfg, state)
    return Probes(
        ssh=lambda limit: _report(ssh.run_once(section, address, script, timeout=limit)),
        reachable=lambda limit: net.reachable(address, [section.port], limit),
    )


def _witness(address: str) -> Callable[[float], Witness]:
    return lambda limit: net.witness(address, limit)


def _through(config: Config, account: Account, script: str) -> Callable[[float], Detour]:
    def ask(limit: float) -> Detour:
        came = second_route.run_through(config, account, config.peer, script, timeout=limit)
        seen = came.problem or _report(came.output, binary=config.peer.nagios_binary.name)
        return Detour(account.host, seen, came.reached)

    return ask


def _report(output: Output, *, binary: str = "") -> HostReport | NoAnswer | Blocked:
    if not output.well:
        return ssh.classify(output)
    try:
        return replace(remote.parse_report(output.stdout, binary=binary), seconds=output.seconds)
    except CouldNotLook as error:
        return Blocked(f"{error.what} ({error.detail})" if error.detail else error.what, error.hint)


def look(
    config: Config,
    state: StateFiles | None,
    *,
    by: str = "check",
    limits: Limits | None = None,
    record: bool = False,
    probes: Probes | None = None,
    timeout: float | None = None,
) -> Observation:
    """Look at the peer, and judge it by this host's own role: a master judges its standby, anybody else the master.

    `state` None: this host has no state, it looks as a standby without memory. With `record` the look goes into the ring; one
    that cannot be recorded says so in its verdict (without a record there is no failover)."""
    times = Times(timeout or config.look.timeout, config.ssh.timeout, config.heartbeat.timeout, config.look.reach_timeout)
    ring = _ring(state)
    boot = boot_id()
    previous = newest(ring, host=config.peer.name, boot=boot)
    own = _own_role(state)
    at_master = not (isinstance(own, RoleRecord) and own.active)
    gathered = gather(probes or probes_from(config, at_master=at_master), times)
    now = uptime()
    evidence, memory = compare(
        gathered, previous, now=now, period=config.replication.heartbeat_period, remembered=_remembered(config)
    )
    verdict = _judge(config, own, evidence, limits or limits_from(config))
    highest = max((entry.peer_term for entry in ring if entry.host == config.peer.name), default=0)
    report = evidence.report
    seen = Look(
        host=config.peer.name,
        time=time.time(),
        uptime=now,
        boot=boot,
        by=by,
        state=verdict.state,
        code=verdict.code,
        sentence=verdict.sentence,
        hint=verdict.hint,
        peer_term=max(highest, report.role.term if report and report.role else 0),
        peer_follows=_follows(report, config.this_name),
        isolated_since=_isolated_since(verdict, previous, now),
        **memory,
        **_pause_seen(report, ring, config.peer.name),
    )
    if record and state:
        verdict, seen = _record(state, verdict, seen)
    return Observation(evidence, verdict, seen, gathered.seconds)


def _follows(report: HostReport | None, this: str) -> int:
    theirs = report.role if report else None
    return theirs.term if theirs and theirs.role is Role.STANDBY and theirs.master == this else 0


def _isolated_since(verdict: Verdict, previous: Look | None, now: float) -> float:
    """Since when a master sees nobody, as its looks of this boot tell. That a look was late, on a host that is overloaded or was
    frozen, shows nobody: others may have failed it over meanwhile."""
    if verdict.code is not Code.ISOLATED:
        return 0.0
    return previous.isolated_since if previous and previous.isolated_since else now


def _pause_seen(report: HostReport | None, ring: list[Look], host: str) -> dict[str, Any]:
    """A pause set on the other host holds when that host has gone away since: it is what the pause was for."""
    if report:
        marker = report.paused
        if marker is None:
            return {}
        return {"peer_pause": f"by {marker.by}: {marker.reason or 'no reason given'}", "peer_pause_until": float(marker.until or 0)}
    last = next((entry for entry in reversed(ring) if entry.host == host), None)
    return {"peer_pause": last.peer_pause, "peer_pause_until": last.peer_pause_until} if last else {}


def _ring(state: StateFiles | None) -> list[Look]:
    """The looks before this one. Where they cannot be read, this one has no memory; that it cannot be recorded is said later."""
    try:
        return state.looks() if state else []
    except StateUnreadable:
        return []


def _own_role(state: StateFiles | None) -> RoleRecord | StateUnreadable | None:
    """None: this host has no state."""
    try:
        return state.role() if state else None
    except StateUnreadable as error:
        return error


def _judge(config: Config, own: RoleRecord | StateUnreadable | None, evidence: Evidence, limits: Limits) -> Verdict:
    host = config.peer.name
    if isinstance(own, StateUnreadable):
        sentence = f"{host}: could not look: this host's own role is unknown ({own.what})"
        return Verdict(State.WARNING, Code.BLOCKED, sentence, own.hint)
    if own and own.active:
        return judge_return(judge_peer(host, evidence, limits, own), config, own)
    return judge_master(host, evidence, limits)


def _remembered(config: Config) -> float:
    """Seconds after which what a look saw of the process and status.dat says nothing of now (looks may have stood still)."""
    return 3 * config.look.interval + config.look.timeout


def compare(
    gathered: Gathered, previous: Look | None, *, now: float, period: float, remembered: float
) -> tuple[Evidence, dict[str, Any]]:
    """Pure: the evidence completed by what the look before saw, and what the next look compares with. `now` is the uptime in
    seconds, `period` the replication heartbeat's; an earlier look is compared with for `remembered` seconds."""
    evidence = gathered.evidence
    recent = previous if previous and now - previous.uptime <= remembered else None
    memory: dict[str, Any] = {}
    report = evidence.report
    if report and report.process is Process.MISSING:
        if report.status_created is not None:
            same = recent is not None and recent.missing_pid == (report.pid or 0) != 0
            advanced = same and recent is not None and 0 < recent.created < report.status_created
            evidence = with_report(evidence, replace(report, status_advanced=advanced))
            memory = {"missing_pid": report.pid or 0, "created": report.status_created}
        else:
            since = recent.gone_since if recent and recent.gone_since else now
            evidence = with_report(evidence, replace(report, gone_for=now - since))
            memory = {"gone_since": since}
    replicating, counters = _replicating(gathered.received, previous, now=now, period=period)
    return replace(evidence, replicating=replicating), memory | counters


def _replicating(
    received: int | NoAnswer | Blocked | None, previous: Look | None, *, now: float, period: float
) -> tuple[bool | Blocked | NotConfigured, dict[str, Any]]:
    """Did the counter grow within three heartbeat periods? Between two looks it is not known when it did: then it counts as
    just now, which errs on the side of life."""
    if received is None:
        return NOT_CONFIGURED, {}
    kept = {"received": previous.received, "received_at": previous.received_at} if previous else {}
    if isinstance(received, NoAnswer):
        return Blocked(f"this host's own database: {received.reason}"), kept
    if isinstance(received, Blocked):
        return replace(received, reason=f"this host's own database: {received.reason}"), kept
    if not previous or not previous.received:
        return Blocked("this host's replica: no earlier look to compare with"), {"received": received, "received_at": now}
    at = now if received > previous.received else previous.received_at
    return now - at <= 3 * period, {"received": received, "received_at": at}


def _record(state: StateFiles, verdict: Verdict, seen: Look) -> tuple[Verdict, Look]:
    try:
        state.add_look(seen)
    except FailoverError as error:
        worst = State.WARNING if verdict.state is State.OK else verdict.state
        verdict = replace(
            verdict,
            state=worst,
            sentence=f"{verdict.sentence}; this look could not be recorded ({error.what})",
            hint=error.hint or verdict.hint,
        )
    return verdict, seen
