"""The steps of a switchover that no other run has: what stands in the way, the pause, and the master that is told to be silent, and
to stand down."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from nagios_failover.errors import CouldNotLook, Failed, Refused, StateUnreadable
from nagios_failover.evidence import PauseMarker
from nagios_failover.fenced import Fenced
from nagios_failover.inherit import fetch
from nagios_failover.trials import Trial
from nagios_failover.words import Role
from nagios_failover.workflow import Flow, longest_run

NOTHING = "nothing stands in the way"
STAND_DOWN_WAIT_SECONDS = 30.0
"""Its own watch may be at it already: a stand-down because of the higher term."""

# --- ready ---


def _in_the_way(flow: Flow) -> list[Trial]:
    """Everything at once: nobody wants to be refused five times in a row."""
    found = []
    try:
        role = flow.state.role()
    except StateUnreadable as error:
        found.append(Trial("role", False, f"{flow.this}: {error.what}", error.hint))
    else:
        if role.role is not Role.STANDBY:
            found.append(Trial("role", False, f"{flow.this}: the role is {role.role}", f"run it on the standby, {flow.peer}"))
    if not flow.config.fence.user:
        fix = "name an account that may act as the Nagios user there: [fence] user"
        found.append(Trial("fence", False, f"{flow.peer} cannot be commanded: [fence] user is not set", fix))
    elif _has_no_suite(flow):
        fix = "install it there too; without it, a failover takes over: nagios-failover failover"
        found.append(Trial("suite", False, f"{flow.peer} has no role: nagios-failover cannot stand down there", fix))
    return [*found, *(trial for trial in flow.hands.ready() if trial.ok is False)]


def _has_no_suite(flow: Flow) -> bool:
    """That it cannot be looked at is told by the trial of the fence."""
    with suppress(CouldNotLook):
        return flow.hands.role_there() is None
    return False


def _words(trial: Trial) -> str:
    return f"{trial.sentence} (hint: {trial.fix})" if trial.fix else trial.sentence


def _listed(flow: Flow) -> Refused | None:
    """Says each on a line of its own. None where nothing stands in the way."""
    found = _in_the_way(flow)
    for trial in found:
        flow.say(f"in the way: {_words(trial)}")
    if not found:
        return None
    sentences = "; ".join(trial.sentence for trial in found)
    return Refused(
        f"{len(found)} in the way: {sentences}", hint="nagios-failover switchover --dry-run changes nothing, and lists all"
    )


def require_ready(flow: Flow) -> str:
    refused = _listed(flow)
    if refused:
        raise refused
    flow.note("reason", "a person's command")
    return NOTHING


def would_be_ready(flow: Flow) -> str:
    return "would refuse to begin: see above" if _listed(flow) else NOTHING


# --- pause ---


def _marks(flow: Flow) -> str:
    return f"switchover {flow.run.id}"


def pause_both(flow: Flow) -> str:
    """On both hosts, and ending by itself: a run that is lost for good leaves no pause for ever."""
    now, seconds = int(flow.hands.now()), int(2 * longest_run(flow.config))
    flow.state.pause(PauseMarker(by=f"run@{flow.this}", reason=_marks(flow), since=now, until=now + seconds))
    _command(flow, "pause", "--for", str(seconds), "--reason", _marks(flow))
    return f"no failover starts on either host, for {seconds} s at most"


def end_pause(flow: Flow) -> str:
    if _paused_by_us(flow):
        flow.state.resume()
    _command(flow, "resume")
    return "failovers may start again on both hosts"


def _paused_by_us(flow: Flow) -> bool:
    try:
        marker = flow.state.paused(flow.hands.now())
    except StateUnreadable:
        return False
    return marker is not None and marker.reason == _marks(flow)


def _command(flow: Flow, *arguments: str) -> str:
    """A command of the suite on the other host. Raises Failed."""
    try:
        output = flow.hands.there(arguments)
    except CouldNotLook as error:
        raise Failed(f"{flow.peer}: nagios-failover {arguments[0]}: {error}", hint=error.hint) from error
    said = " ".join(f"{output.stdout} {output.stderr}".split())[:500]
    if not output.well:
        raise Failed(f"{flow.peer}: nagios-failover {arguments[0]} ended with exit code {output.code}: {said}")
    return said


# --- the master ---


def quiesce(flow: Flow) -> str:
    quiet = flow.hands.quiesce(flow.term)
    flow.note("quiet", quiet.told_at)
    flow.note("fenced", quiet.note())
    if not quiet.proved:
        raise Failed(quiet.sentence, hint=quiet.hint)
    return quiet.sentence


def last_sync(flow: Flow) -> str:
    """What cannot be fetched would be lost: then the master goes on."""
    said = fetch(flow)
    if not flow.notes["fetched"]:
        raise Failed(said)
    return said


def let_go_on(flow: Flow, quiet: Fenced) -> Fenced:
    released = flow.hands.unfence(flow.term, quiet.was_on)
    if released.proved:
        flow.note_if_possible("fenced", replace(quiet, proved=False, was_on={}).note())  # nothing is owed any more
    return released


def stand_down_there(flow: Flow) -> str:
    """Its own stand-down, in a journal of its own, because this host has the higher term. Its watch may have begun it already."""
    said = ""
    try:
        said = _command(flow, "standdown")
    except Failed as error:
        said = str(error)
    deadline = flow.hands.uptime() + STAND_DOWN_WAIT_SECONDS
    while not stood_down(flow):
        if flow.hands.uptime() >= deadline:
            raise Failed(said, hint=f"on {flow.peer}: nagios-failover standdown")
        flow.hands.sleep(0.5)
    return stood_down(flow)


def stood_down(flow: Flow) -> str:
    with suppress(CouldNotLook):
        role = flow.hands.role_there()
        if role and role.role is Role.STANDBY and role.term >= flow.term:
            return f"{flow.peer}: its role is standby, term {role.term}"
    return ""
