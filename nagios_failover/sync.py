"""Pulling the master's state and event log to the standby: what check_state_sync does, and a failover once more.

Never from a host that is a standby itself, and not while this host is anything but a standby: a copy of the wrong one would be
inherited at the next failover.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from nagios_failover import drift, rsync, ssh
from nagios_failover.config import Config
from nagios_failover.copies import Copies, CopyRecord
from nagios_failover.errors import CouldNotLook, Failed, Refused
from nagios_failover.evidence import HostReport
from nagios_failover.frozen import frozen
from nagios_failover.nagios_cfg import NagiosCfg, parse_nagios_cfg
from nagios_failover.remote import parse_report, probe_script
from nagios_failover.shell import Output
from nagios_failover.state_files import StateFiles, cannot_write
from nagios_failover.words import Flag, Role

_MARK = "nagios-failover-sync 1\n"
_SCRIPT = """
echo 'nagios-failover-sync 1'
echo "now $(date +%s)"
for name in log_file log_archive_path status_file object_cache_file; do
    sed -n "s/^[[:blank:]]*\\($name[[:blank:]]*=.*\\)$/cfg \\1/p" "$nagios_cfg"
done
path_of() {
    found=$(sed -n "s/^[[:blank:]]*$1[[:blank:]]*=[[:blank:]]*//p" "$nagios_cfg" | tail -n 1)
    case $found in /*) echo "$found" ;; *) echo "${nagios_cfg%/*}/$found" ;; esac
}
log=$(path_of log_file)
objects=$(path_of object_cache_file)
echo "size $(wc -c <"$log")"
echo "head $(head -c 512 "$log" | sed -n 1p)"
echo "objects $(stat -c '%s %y' "$objects" 2>/dev/null || stat -f '%z %Fm' "$objects" 2>/dev/null)"
echo "merged $(sed -n 1p "$state/merged" 2>/dev/null)"
echo end
"""


@frozen
class Remote:
    """What there is to copy. `head` and `size` are of its nagios.log; `objects` changes whenever its objects.cache does; `merged`
    names the run that has merged its logs anew, "" for none."""

    report: HostReport
    now: int
    cfg: NagiosCfg
    head: str
    size: int
    objects: str
    merged: str


def why_not(config: Config, state: StateFiles) -> str:
    """Why this host copies nothing now; "" otherwise. Raises StateUnreadable without a readable role."""
    if not config.sync.watch:
        return "no copy is configured ([sync] watch)"
    role = state.role()
    if role.role is not Role.STANDBY or state.lock_path.exists():
        return f"role {role.role} (term {role.term}): nothing is copied"
    return ""


def pull(
    config: Config, state: StateFiles, *, timeout: float, for_failover: bool = False, handing_over: bool = False
) -> CopyRecord:
    """Copy what is new. `for_failover`: from a master whose Nagios has failed, by a host that is taking over; one that is
    `handing_over` lives: logs that it has merged anew are copied anew, as always.

    Raises Refused (there is a reason not to), CouldNotLook (what is there cannot be copied), Failed (ssh, rsync or a disk). The
    copy is then as it was, or longer by whole lines of the same log."""
    began = time.monotonic()
    copies = Copies(state.directory, config.peer.name)
    with _alone(copies, timeout=timeout):
        remote = look_there(config, timeout=min(timeout, config.ssh.timeout))
        if not for_failover:
            refuse_a_standby(config, remote.report)
        known = copies.record()
        if known is not None and known.merged != remote.merged and (handing_over or not for_failover):
            copies.forget_logs(known)
        odd = copies.make_ready(remote.cfg, head=remote.head, size=remote.size)
        for sources in _in_turn(remote.cfg, handing_over=handing_over):
            before = copies.log_end(remote.cfg)
            left = max(1.0, timeout - (time.monotonic() - began))
            output = _copy(config, copies, remote.cfg, sources, timeout=left)
            odd = copies.take_back(remote.cfg, before) or odd
            if output.code != 0 and output.code not in rsync.PARTIAL:
                raise Failed(f"the pull failed: {rsync.explain(output)}", host=config.peer.name, hint="nagios-failover test")
        if not for_failover and why_not(config, state):
            raise Refused("the role has changed during the pull", host=config.this.name)
        try:
            record = _settle(copies, remote, seconds=time.monotonic() - began, last=for_failover)
        except CouldNotLook as error:
            raise CouldNotLook(f"{error.what}: {rsync.explain(output)}", host=error.host, hint=error.hint) from error
        if not for_failover:
            drift.renew(config, copies, remote.cfg, remote.objects, timeout=max(1.0, timeout - (time.monotonic() - began)))
        if odd:
            raise CouldNotLook(odd, host=config.peer.name)
        return record


def _settle(copies: Copies, remote: Remote, *, seconds: float, last: bool) -> CopyRecord:
    before = copies.record()
    try:
        created, size = copies.install(remote.cfg)
    except CouldNotLook:
        if not (last and before):
            raise
        created, size = before.created, before.status_size  # a clean stop takes status.dat away; the log tells the rest
    record = CopyRecord(
        pulled=time.time(),
        created=created,
        offset=float(remote.now - time.time() + seconds / 2),
        seconds=seconds,
        status_size=size,
        log_size=copies.log_end(remote.cfg),
        log=remote.cfg.log_file.name,
        archives=remote.cfg.log_archive_path.name,
        merged=remote.merged,
    )
    copies.write_record(record)
    return record


def _in_turn(cfg: NagiosCfg, *, handing_over: bool) -> list[tuple[Path, ...]]:
    """What each rsync copies. One takes the log first, whatever it is told; of a master that hands over, what the snapshot shows to
    have been seen in silence is told by the log, which must not end before it."""
    if handing_over:
        return [(cfg.status_file,), (cfg.log_file,)]
    return [(cfg.log_file, cfg.status_file)]


def _copy(config: Config, copies: Copies, cfg: NagiosCfg, sources: tuple[Path, ...], *, timeout: float) -> Output:
    """With `--append` rsync leaves out a status.dat that Nagios has written anew, and smaller, since it was listed; and that is no
    error: it is then copied by itself."""
    transport, address = ssh.held_transport(config, config.peer, timeout=min(timeout, config.ssh.timeout)), config.peer.address
    archives, days = cfg.log_archive_path, rsync.recent_days(date.today(), config.sync.archive_days)
    argv = rsync.command(transport, address, sources, copies.incoming, archives=archives, days=days, timeout=timeout)
    output = rsync.run(argv, timeout=timeout)
    came, left = copies.incoming / cfg.status_file.name, max(1.0, timeout - output.seconds)
    if output.code == 0 and cfg.status_file in sources and not came.exists():
        output = rsync.run(rsync.one_file(transport, address, cfg.status_file, came, timeout=left), timeout=left)
    return output


def refuse_a_standby(config: Config, report: HostReport) -> None:
    """Only a master has what is worth copying."""
    host = config.peer.name
    if report.role is not None and report.role.role is not Role.MASTER:
        raise Refused(f"it is {report.role.role} itself (term {report.role.term}): nothing is copied from it", host=host)
    passive = report.flags is None or not any(report.flags.get(flag) for flag in (Flag.NOTIFICATIONS, Flag.SERVICE_CHECKS))
    if report.role is None and passive:
        raise Refused("it checks and notifies nothing: nothing is copied from it", host=host)


def look_there(config: Config, *, timeout: float) -> Remote:
    """One ssh round trip. Raises Failed (ssh), CouldNotLook."""
    host = config.peer
    script = probe_script(str(host.nagios_cfg), str(config.paths.state)) + _SCRIPT
    output = ssh.run_remote(config, host, script, timeout=timeout)
    if not output.well:
        answer = ssh.classify(output)
        raise Failed(f"ssh fails: {answer.reason}", host=host.name, hint=getattr(answer, "hint", ""))
    report, mark, told = output.stdout.partition(_MARK)
    lines = told.splitlines()
    if not mark or not lines or lines[-1] != "end":
        raise CouldNotLook("its answer is cut off or is something else", host=host.name, hint=f"ssh {host.address} 'exec sh -s'")
    values = dict(line.partition(" ")[::2] for line in lines)
    settings = "\n".join(line.removeprefix("cfg ") for line in lines if line.startswith("cfg "))
    try:
        cfg = parse_nagios_cfg(settings, host.nagios_cfg)
        names = {cfg.log_file.name, cfg.status_file.name, cfg.log_archive_path.name}
        if len(names) < 3 or names & {"", "..", "."}:
            raise CouldNotLook(f"its files cannot be told apart by their names: {', '.join(sorted(names))}", host=host.name)
        return Remote(
            report=parse_report(report),
            now=int(values["now"]),
            cfg=cfg,
            head=values["head"],
            size=int(values["size"]),
            objects=values.get("objects", ""),
            merged=values.get("merged", ""),
        )
    except (KeyError, ValueError) as error:
        hint = "on Debian the maintenance account reads it as a member of the group adm"
        raise CouldNotLook(
            "its event log cannot be read", host=host.name, detail=output.stderr.strip()[-300:], hint=hint
        ) from error


@contextmanager
def _alone(copies: Copies, *, timeout: float) -> Iterator[None]:
    """One pull at a time; a failover's waits for one that is on its way."""
    copies.make()
    path = copies.directory / "lock"
    deadline = time.monotonic() + timeout
    try:
        with path.open("a", encoding="utf-8") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        raise Failed("another pull is on its way, and does not end") from None
                time.sleep(0.1)
            yield
    except OSError as error:
        raise cannot_write(path, error) from error
