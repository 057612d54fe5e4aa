"""The steps of a failover that carry the master's open incidents to this host: fetch what is left over there, then load it into
this host's running Nagios.

The order was tried (facts of Nagios 4.4): what only this host has is deleted, the file is installed where Nagios reads it,
READ_STATE_INFORMATION loads it in Nagios's main thread, so what is written to the command file after it acts on the new state.
Notifications are still off, so none of this mails anything. Made ready here, it is loaded with the activation (loading.py).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from nagios_failover.config_values import Start
from nagios_failover.confirm import ring_of
from nagios_failover.copies import Copies, CopyRecord, chunks, write_stream
from nagios_failover.errors import CouldNotLook, Failed, FailoverError, Refused
from nagios_failover.event_log import MARK, operators_word, switches
from nagios_failover.gap import Gap, read_gap, told_problems
from nagios_failover.incidents import Conversion, Flapping, Inherited
from nagios_failover.loadable import loadable
from nagios_failover.loading import aside, keep_for_activation
from nagios_failover.nagios_cfg import NagiosCfg
from nagios_failover.nagios_files import read_nagios_cfg, read_program_status
from nagios_failover.role import Override, describe_flags, role_flags
from nagios_failover.snapshot import Own, read_own
from nagios_failover.sync import pull
from nagios_failover.verdict import SEEN_THROUGH, Code
from nagios_failover.words import STATUS_KEY
from nagios_failover.workflow import Flow

NAMED = 10
"""So many are named in a sentence; the journal has all."""
PAUSE_SECONDS = 0.5
"""Before a second pull."""
SEEN_THERE = frozenset({Code.CRASHED, Code.STOPPED, Code.HUNG, Code.STOPPED_CLEANLY, Code.PASSIVE})
"""Verdicts on a Nagios that its own host has told of."""


# --- fetch ---


def fetch(flow: Flow) -> str:
    """The last status.dat and log lines, where the master's host still answers. That it does not is no failure of the run."""
    copies = Copies(flow.state.directory, flow.peer)
    try:
        record = _pull(flow)
        flow.note("fetched", True)
        return f"status.dat of {_clock(record.created)} and {record.log_size} bytes of log are here ({record.seconds:.1f} s)"
    except FailoverError as error:
        last = copies.record()
        flow.note("fetched", False)
        flow.note("known_until", last.known_until if last else 0)
        there = f"the last copy is of {_clock(last.pulled)}" if last else "and there is no earlier copy"
        return f"nothing was fetched: {error}; {there}"


def _pull(flow: Flow) -> CopyRecord:
    """Twice if need be. Of a master that hands over: a log that was rotated, or merged, in that very moment is read again, in the
    whole time anew. Of a dead one, in the time that is left: one login that was too slow is not the last word of a host that has
    just answered."""
    limit, began, living = flow.config.sync.fetch_timeout, flow.hands.uptime(), bool(flow.quiet_since)
    try:
        return pull(flow.config, flow.state, timeout=limit, for_failover=True, handing_over=living)
    except FailoverError as error:
        left = limit if living else limit - (flow.hands.uptime() - began) - PAUSE_SECONDS
        if not living and (left < 1.0 or not isinstance(error, Failed) or not _host_has_answered(flow)):
            raise
    flow.hands.sleep(PAUSE_SECONDS)
    return pull(flow.config, flow.state, timeout=left, for_failover=True, handing_over=living)


def _host_has_answered(flow: Flow) -> bool:
    """To this run's newest look, and not through a witness, whose way a pull does not take."""
    newest = next((look for look in reversed(ring_of(flow.state)) if look.by == flow.run.id), None)
    return newest is not None and newest.code in SEEN_THERE and SEEN_THROUGH not in newest.sentence


def would_fetch(flow: Flow) -> str:
    return f"would pull status.dat and the event log from {flow.peer} once more, for {flow.config.sync.fetch_timeout:g} s at most"


# --- inherit ---


def inherit(flow: Flow) -> str:
    """Returns what was inherited, and what was not. Raises Failed when nothing could be: monitoring comes back all the same."""
    cfg = read_nagios_cfg(flow.config.this.nagios_cfg)
    copies = Copies(flow.state.directory, flow.peer)
    own = _own(flow, cfg)
    found, gap_lines, record = _install(flow, cfg, copies, own)
    said = [_what(found)]
    said.extend(found.left_out())
    override = _operators_flags(flow, copies, record, found, gap_lines)
    if override:
        flow.state.write_override(override)
        said.append(f"an operator had switched {describe_flags(override.flags)} on {flow.peer}: kept as his override")
    flow.note("in_doubt", found.in_doubt)
    if own is not None:
        keep_for_activation(flow, deletes=own.deletes, of_the_file=found.deletes, replay=found.replay)
    if found.in_doubt:
        said.append(f"in doubt, and sent again: {_some(found.in_doubt)}")
    if found.untold:
        said.append(f"seen by {flow.peer} when it was silent already, and told by {flow.this}: {_some(found.untold)}")
    counts = {"snapshot": found.created, "counts": found.counts, "problems": found.problems, "left_out": found.named}
    flow.note("inherited", {**counts, "sent": int(flow.hands.now())})
    return "; ".join(said)


def inherited(flow: Flow) -> str:
    return "inherited already" if flow.notes.get("inherited") else ""


def would_inherit(flow: Flow) -> str:
    record = Copies(flow.state.directory, flow.peer).record()
    what = f"the copy of {_clock(record.pulled)}" if record else "no copy, since there is none"
    return f"would load {flow.peer}'s incidents into this host's Nagios, from {what}"


def _what(found: Inherited) -> str:
    counts = found.counts
    comments = counts.get("hostcomment", 0) + counts.get("servicecomment", 0)
    downtimes = counts.get("hostdowntime", 0) + counts.get("servicedowntime", 0)
    return (
        f"{counts.get('host', 0)} hosts and {counts.get('service', 0)} services of {_clock(found.created)} and the log after it: "
        f"{found.problems} not OK ({found.notified} notified, {found.acknowledged} acknowledged), {comments} comments, "
        f"{downtimes} downtimes, {len(found.replay)} commands to give anew"
    )


def _own(flow: Flow, cfg: NagiosCfg) -> Own | None:
    """What this host's Nagios has now; None for a cold standby, whose Nagios reads the file when it starts."""
    if flow.config.pair.standby is Start.COLD:
        return None
    return read_own(chunks(cfg.status_file), watch_host=flow.config.nagios.watch_host, what=str(cfg.status_file))


def _install(flow: Flow, cfg: NagiosCfg, copies: Copies, own: Own | None) -> tuple[Inherited, list[str], CopyRecord | None]:
    """From the newest snapshot that is whole, a retention file: beside the one that Nagios reads, or there if it is to start."""
    target = aside(cfg) if own is not None else cfg.state_retention_file
    record = copies.record()
    doubt, quiet = flow.config.sync.notification_doubt, flow.quiet_since
    refused = []
    for snapshot in copies.snapshots():
        try:
            since = read_program_status(snapshot).created
            lines = list(copies.log_lines(int(min(since - doubt, quiet or since) - 1), record))
            gap = _gap(flow, lines, since)
            if silent := gap.recovered_in_silence():
                gap.told = told_problems(copies.log_lines(0, record), silent)
            conversion = _conversion(flow, cfg, own, gap)
            lines_of_it = conversion.lines(chunks(snapshot), f"{flow.peer}'s {snapshot.name}")
            write_stream(target, loadable(lines_of_it, watch_host=flow.config.nagios.watch_host))
            return conversion.inherited, lines, record
        except (CouldNotLook, Refused) as error:
            refused.append(str(error))
    why = "; ".join(refused) or f"there is no copy of {flow.peer}'s status.dat"
    raise Failed(f"no incident was inherited: {why}", hint="open incidents are notified once more; compare both hosts' pages")


def _conversion(flow: Flow, cfg: NagiosCfg, own: Own | None, gap: Gap) -> Conversion:
    flapping = Flapping(
        host=float(cfg.number("high_host_flap_threshold", 30)), service=float(cfg.number("high_service_flap_threshold", 30))
    )
    return Conversion(own, gap, watch_host=flow.config.nagios.watch_host, flapping=flapping)


def _gap(flow: Flow, lines: list[str], since: int) -> Gap:
    """To the last sign of life: the last line, the snapshot itself, or a status.dat that a look has seen."""
    seen = [look.created for look in ring_of(flow.state) if look.host == flow.peer]
    return read_gap(
        lines,
        since=since,
        until=max([since, *seen]),
        doubt=flow.config.sync.notification_doubt,
        watch_host=flow.config.nagios.watch_host,
        quiet=flow.quiet_since,
    )


def _operators_flags(
    flow: Flow, copies: Copies, record: CopyRecord | None, found: Inherited, gap_lines: list[str]
) -> Override | None:
    """Flags that an operator had switched off on the master: the last word in its log is his. What the suite sent there to the same
    effect (while status.dat did not show it yet, or when that host had inherited the word itself) leaves it his."""
    plain = role_flags(flow.config.pair.mode, active=True)
    off = {flag for flag in plain if found.program.get(STATUS_KEY[flag]) == "0"}
    if not off and not switches(gap_lines):
        return None
    word = operators_word(None, switches(_commands(copies, record)), plain, term=flow.term, since=0)
    return replace(word, since=int(flow.hands.now())) if word else None


def _commands(copies: Copies, record: CopyRecord | None) -> Iterator[str]:
    mark = MARK.decode("ascii")
    return (line for line in copies.log_lines(0, record) if mark in line)


def _some(sentences: list[str]) -> str:
    more = len(sentences) - NAMED
    return "; ".join([*sentences[:NAMED], *([f"and {more} more"] if more > 0 else [])])


def _clock(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
