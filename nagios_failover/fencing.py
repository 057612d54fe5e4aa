"""Making sure that the old master does not notify: mild, over ssh. Its Nagios is told to be passive and seen to be so, or killed.

Proved is one of: its process is gone, or its status.dat shows the flags off, written after it was told.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from nagios_failover.config import Config
from nagios_failover.errors import CouldNotLook
from nagios_failover.evidence import Blocked, HostReport, Process
from nagios_failover.fenced import Fenced
from nagios_failover.frozen import frozen
from nagios_failover.remote import Fence, FenceAnswer, fence_script, parse_fence
from nagios_failover.role import Flags, RoleRecord, describe_flags, role_flags
from nagios_failover.shell import Output
from nagios_failover.words import TURN_OFF, TURN_ON, Role

POLL_SECONDS = 0.1


@frozen
class Clock:
    """A test's stands still while nothing waits."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@contextmanager
def _at_the_other(
    config: Config, term: int, *, run: Callable[[str], Output] | None = None, clock: Clock | None = None
) -> Iterator[_Mild]:
    """Logged in there by the fence account; with `run`, which runs a script there, without a login. Raises CouldNotLook."""
    if run is not None:
        yield _Mild(config, term, run, clock or Clock(), "")
        return
    from nagios_failover.fence_login import log_in

    with log_in(config) as login:
        yield _Mild(config, term, login.run, clock or Clock(), login.way)


def fence_mild(config: Config, term: int, *, run: Callable[[str], Output] | None = None, clock: Clock | None = None) -> Fenced:
    """Mute the other host's Nagios, or kill it. `run` runs a script there (None: by the fence account). Never raises for what the
    other host is or does: what is not proved says so.

    Its database's turn comes in the promote step, which makes the old source read-only."""
    try:
        with _at_the_other(config, term, run=run, clock=clock) as mild:
            return mild.fence()
    except CouldNotLook as error:
        return Fenced(False, f"{config.peer.name}: not fenced over ssh: {error}", error.hint)


def quiesce(config: Config, term: int, *, run: Callable[[str], Output] | None = None, clock: Clock | None = None) -> Fenced:
    """Mute the other host's Nagios, which lives and obeys, and see it done. Nothing is killed: one that is not
    seen to obey is to go on as it was (unfence)."""
    try:
        with _at_the_other(config, term, run=run, clock=clock) as mild:
            return mild.quiesce()
    except CouldNotLook as error:
        return Fenced(False, f"{config.peer.name}: {error}", error.hint)


def prepare() -> None:
    """Load what a login needs: ahead of it by who has the time, else in it."""
    import fabric  # noqa: F401 - it brings paramiko

    from nagios_failover import fence_login  # noqa: F401


def there(config: Config, arguments: Sequence[str], *, timeout: float) -> Output:
    """Run this suite's command on the other host, as its Nagios user, within `timeout` seconds, the login included. Raises
    CouldNotLook."""
    from nagios_failover.fence_login import log_in

    deadline = time.monotonic() + timeout
    command = Path(sys.prefix) / "bin" / "nagios-failover"  # the suite is installed alike on both hosts
    with log_in(config) as login:
        left = max(0.1, round(deadline - time.monotonic(), 1))
        return login.run(f"exec {shlex.join([str(command), *arguments])}", timeout=left)


def role_there(config: Config) -> RoleRecord | None:
    """The other host's role as the fence account sees it; None for one without. Raises CouldNotLook."""
    with _at_the_other(config, 0) as mild:
        return mild.ask(Fence("look")).report.role


def unfence(config: Config, term: int, was_on: Flags, *, run: Callable[[str], Output] | None = None) -> Fenced:
    """An abort gives back what it took: the override of this term goes, and the flags that were on are switched on."""
    try:
        with _at_the_other(config, term, run=run) as mild:
            return mild.release(was_on)
    except CouldNotLook as error:
        return Fenced(False, f"{config.peer.name}: {error}", error.hint)


def try_mild(config: Config) -> str:
    """Log in and see whether all that a fence does is allowed there. Returns the way, raises CouldNotLook. Changes nothing."""
    with _at_the_other(config, 0) as mild:
        report = mild.ask(Fence("look")).report
        said = mild.ask(Fence("try", victim=report.pid or 0 if report.process is Process.RUNNING else 0)).said
        problems = [line.removeprefix("failed: ") for line in said if line.startswith("failed: ")]
        if problems:
            raise CouldNotLook(
                "; ".join(problems), hint=f"[fence] user is the user that Nagios runs as there, not {config.fence.user}?"
            )
        return mild.way or "directly"


class _Mild:
    """One fence over one login."""

    def __init__(self, config: Config, term: int, run: Callable[[str], Output], clock: Clock, way: str) -> None:
        self._config, self._term, self._run, self._clock = config, term, run, clock
        self.way, self._host, self._way = way, config.peer, f" {way}" if way else ""
        self._off = tuple(flag for flag, on in role_flags(config.pair.mode, active=False).items() if not on)

    def fence(self) -> Fenced:
        looked = self.ask(Fence("look"))
        before = looked.report
        if self._is_passive_standby(before):
            return self._proved("its Nagios is a standby's: passive already")
        was_on = self._was_on(before)
        runs = before.process in (Process.RUNNING, Process.STOPPED)
        # A stopped Nagios would obey when it goes on; a dead one has nobody who reads.
        commands = tuple(TURN_OFF[flag] for flag in self._off) if before.process is Process.RUNNING else ()
        answer = self._mute(commands, looked.at)
        kept = "; its suite keeps it so" if "override written" in answer.said else ""
        kept = "; but its suite's override could not be written" if "override failed" in answer.said else kept
        if not runs and not isinstance(before.process, Blocked):
            return self._proved(f"its Nagios does not run{kept}")
        if commands and "commands written" in answer.said:
            seen = self._wait_until_off(answer, was_on)
            if seen:
                return self._proved(f"{seen}{kept}", was_on)
        return self._kill(answer.report, kept, was_on)

    def quiesce(self) -> Fenced:
        looked = self.ask(Fence("look"))
        if looked.report.process is not Process.RUNNING:
            return self._refused("its Nagios is not seen to run")
        was_on = self._was_on(looked.report)
        try:
            answer = self._mute(tuple(TURN_OFF[flag] for flag in self._off), looked.at)
            seen = self._wait_until_off(answer, was_on) if "commands written" in answer.said else ""
        except CouldNotLook as error:  # it may have been told already
            return self._refused(f"its Nagios was not seen to be muted: {error}", was_on)
        if not seen:
            return self._refused(f"its Nagios was not seen to be muted ({'; '.join(answer.said)})", was_on)
        return replace(self._proved(seen, was_on), told_at=looked.at)

    def _was_on(self, before: HostReport) -> Flags:
        return {flag: True for flag in self._off if before.flags and before.flags.get(flag)}

    def _mute(self, commands: tuple[str, ...], looked_at: int) -> FenceAnswer:
        """The override for its suite, and the commands for its Nagios, if it has one that obeys; as long as the answer is waited
        for, and not later."""
        flags = tuple(f"{flag}=off" for flag in self._off)
        saved = (*commands, "SAVE_STATE_INFORMATION") if commands else ()
        until = looked_at + max(1, int(self._config.fence.timeout) - 1)
        return self.ask(Fence("mute", self._term, flags, saved, until=until))

    def _wait_until_off(self, told: FenceAnswer, was_on: Flags) -> str:
        """ "" when it was not seen within the limit. Seen is what was written in a later second than that of the commands, or shows
        off all that was on before."""
        deadline = self._clock.monotonic() + max(self._config.fence.verify_timeout, 2 * told.interval + 1)
        report = told.report
        while True:
            if report.process is Process.MISSING:
                return "its Nagios does not run any more"
            if report.process is Process.STOPPED:
                return ""
            written = report.status_created is not None and (report.status_created > told.at or set(was_on) == set(self._off))
            if written and report.flags and not any(report.flags.get(flag, True) for flag in self._off):
                return f"its Nagios has {describe_flags(dict.fromkeys(self._off, False))}, seen in its status.dat"
            if self._clock.monotonic() >= deadline:
                return ""
            self._clock.sleep(POLL_SECONDS)
            report = self.ask(Fence("look")).report

    def _kill(self, report: HostReport, kept: str, was_on: Flags) -> Fenced:
        why = "it is stopped" if report.process is Process.STOPPED else "it did not show its flags off"
        if isinstance(report.process, Blocked) or report.pid is None:
            reason = report.process.reason if isinstance(report.process, Blocked) else "its PID is not known"
            return self._not_proved(f"{why}, and it cannot be killed: {reason}{kept}", was_on)
        answer = self.ask(Fence("kill", victim=report.pid))
        if answer.report.process is Process.MISSING:
            return self._proved(f"its Nagios (PID {report.pid}) was killed: {why}{kept}")
        said = "; ".join(answer.said) or "nothing was said"
        return self._not_proved(f"{why}, and PID {report.pid} was not seen to end ({said}){kept}", was_on)

    def release(self, was_on: Flags) -> Fenced:
        commands = tuple(TURN_ON[flag] for flag, on in was_on.items() if on)
        answer = self.ask(Fence("release", self._term, commands=(*commands, "SAVE_STATE_INFORMATION") if commands else ()))
        if commands and "commands written" not in answer.said:
            return self._not_proved(f"its Nagios was not switched on again: {'; '.join(answer.said)}")
        return self._proved(f"its Nagios was switched on again{self._way}")

    def _is_passive_standby(self, report: HostReport) -> bool:
        fresh = report.status_age is not None and -1 <= report.status_age <= self._config.look.status_critical
        passive = report.flags is not None and not any(report.flags.get(flag, True) for flag in self._off)
        standby = report.role is not None and report.role.role is Role.STANDBY
        return report.process is Process.RUNNING and fresh and passive and standby

    def ask(self, fence: Fence) -> FenceAnswer:
        output = self._run(fence_script(str(self._host.nagios_cfg), str(self._config.paths.state), fence))
        if not output.well and not output.stdout:
            said = " ".join(output.stderr.split())[-300:]
            hint = f"{self._config.fence.user} needs an ordinary shell there (chsh -s /bin/sh)"
            raise CouldNotLook(f"the fence account runs nothing: exit code {output.code} {said}", hint=hint)
        return parse_fence(output.stdout, binary=self._host.nagios_binary.name)

    def _proved(self, words: str, was_on: Flags | None = None) -> Fenced:
        return Fenced(True, f"{self._host.name}: {words}{self._way}", was_on=was_on or {})

    def _refused(self, words: str, was_on: Flags | None = None) -> Fenced:
        return Fenced(False, f"{self._host.name}: {words}{self._way}", was_on=was_on or {})

    def _not_proved(self, words: str, was_on: Flags | None = None) -> Fenced:
        return Fenced(False, f"{self._host.name}: not fenced over ssh: {words}{self._way}", was_on=was_on or {})
