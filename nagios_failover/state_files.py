"""The files under STATE: role, failover.lock, overrides, pause marker, ring of looks. Written atomically, read strictly."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from nagios_failover.errors import Failed, StateUnreadable
from nagios_failover.event_log import Position, parse_position
from nagios_failover.evidence import PauseMarker
from nagios_failover.lease import Lease, Promise, parse_lease, parse_promise
from nagios_failover.looks import RING_SIZE, Look, parse_ring
from nagios_failover.role import Override, Owner, RoleRecord, lapsed, parse_override, parse_pairs, parse_role
from nagios_failover.words import Role

FILE_MODE = 0o640


def boot_id() -> str:
    """Something that is different after each boot; "" where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip() + _pid_one_start()
    except OSError:
        return ""


def _pid_one_start() -> str:
    """Containers share the kernel's boot id; the start of their first process tells their boots apart."""
    try:
        stat = Path("/proc/1/stat").read_text(encoding="ascii", errors="replace")
        return ":" + stat.rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def uptime() -> float:
    """Seconds since boot, suspended time included; never jumps when the clock is set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def write_atomically(path: Path, text: str, mode: int = FILE_MODE) -> None:
    """Write a new file beside `path`, fsync, rename, fsync the directory: a reader and a power cut see old or new, whole.

    Raises Failed (with the disk's reason); the old file is then as it was."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            with temporary.open("w", encoding="utf-8") as file:
                os.fchmod(file.fileno(), mode)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error


def sync_directory(path: Path) -> None:
    """A rename or a new name in `path` is on the disk when this returns."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def cannot_write(path: Path, error: OSError) -> Failed:
    """The error to raise when a file of ours cannot be written, with what mends it."""
    if isinstance(error, PermissionError):
        hint = f"run as the Nagios user; the directory is made by: install -d -o nagios -g adm -m 2750 {path.parent}"
    elif isinstance(error, FileNotFoundError):
        hint = f"install -d -o nagios -g adm -m 2750 {path.parent}"
    else:
        hint = f"free space or mend the disk under {path.parent}"
    return Failed(f"cannot write {path}: {error.strerror or error}", hint=hint)


class StateFiles:
    """All reads raise StateUnreadable for a file that is there but garbled or unreadable; a missing one is None or empty,
    except the role's: a host without a role has to be told one (`nagios-failover init`)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.role_path = directory / "role"
        self.return_path = directory / "role.before"
        self.lock_path = directory / "failover.lock"
        self.track_path = directory / "track"
        self.paused_path = directory / "paused"
        self.looks_path = directory / "looks"
        self.position_path = directory / "log.position"
        self.merged_path = directory / "merged"
        self.lease_path = directory / "lease"
        self.promise_path = directory / "promise"
        self.runs = directory / "runs"

    def role(self) -> RoleRecord:
        text = self._read(self.role_path)
        if text is None:
            raise StateUnreadable(
                f"the role file {self.role_path} does not exist",
                hint="nagios-failover init --master on the host that monitors, --standby on the other",
            )
        try:
            return parse_role(text, f"the role file {self.role_path}")
        except StateUnreadable as error:
            error.hint = "look at both hosts with nagios-failover status, then nagios-failover init --master or --standby"
            raise

    def write_role(self, record: RoleRecord) -> None:
        """The role, and with it its two signs. failover.lock is there while the role is not standby; it goes up before the role
        and comes down after it: between the two, no copy and no failover starts. track is for keepalived."""
        self._carry_overrides(record)
        if record.role is not Role.STANDBY:
            write_atomically(self.lock_path, f"role={record.role}\nrun={record.run or '-'}\nsince={record.since}\n")
        write_atomically(self.role_path, record.text())
        if record.role is Role.STANDBY:
            self._remove(self.lock_path)
        with contextlib.suppress(Failed):  # a disk that is full by now takes no role away; the state watch mends the sign
            write_atomically(self.track_path, self._track(record))
        if record.role in (Role.MASTER, Role.STANDBY):
            with contextlib.suppress(OSError):
                self.return_path.unlink(missing_ok=True)

    def prepare_return(self, record: RoleRecord) -> None:
        """Before a run changes the role: what an abort will put back is on the disk already, so that it needs no room then."""
        write_atomically(self.return_path, record.text())

    def return_role(self, record: RoleRecord) -> None:
        """Put the role of before a run back; on a full disk the prepared file becomes the role. Raises Failed."""
        try:
            self.write_role(record)
        except Failed:
            if self._prepared() != replace(record, since=0):
                raise
            try:
                self.return_path.rename(self.role_path)
                sync_directory(self.directory)
            except OSError as error:
                raise cannot_write(self.role_path, error) from error
            if record.role is Role.STANDBY:
                self._remove(self.lock_path)

    def _prepared(self) -> RoleRecord | None:
        """But for its moment; None where there is nothing of use."""
        with contextlib.suppress(StateUnreadable):
            return replace(parse_role(self._read(self.return_path) or ""), since=0)
        return None

    def _track(self, record: RoleRecord) -> str:
        """What keepalived reads (track_file with weight 0): anything but 0 is a fault, and a host with a fault has no address."""
        fenced = False
        with contextlib.suppress(StateUnreadable):  # a garbled override is told by the state watch, and takes nothing away
            fenced = any(override.owner is Owner.FENCE and not lapsed(override, record) for override in self.overrides())
        return "0\n" if record.role is Role.MASTER and not fenced else "1\n"

    def _carry_overrides(self, new: RoleRecord) -> None:
        """A run raises the term, and an abort does not lower it: what was in force before an aborted run is in force after it.

        So what has lapsed goes when a run begins, and what is left is given the new term when it is aborted; what an operator
        switched meanwhile counts, too."""
        with contextlib.suppress(StateUnreadable):
            old = self.role()
            aborted = (old.role, new.role) in ((Role.TAKING_OVER, Role.STANDBY), (Role.STANDING_DOWN, Role.MASTER))
            position = self.log_position()
            if aborted and position:
                with contextlib.suppress(Failed):  # a full disk: the role itself goes back all the same
                    self.write_log_position(replace(position, term=new.term))
            begins = old.role is Role.STANDBY and new.role is Role.TAKING_OVER
            for override in self.overrides():
                if override.owner is Owner.FENCE:
                    if new.role is Role.MASTER and lapsed(override, new):
                        self.remove_override(override.owner)
                elif begins and override.term != old.term:
                    self.remove_override(override.owner)
                elif aborted:
                    with contextlib.suppress(Failed):
                        self.write_override(replace(override, term=new.term))
                elif override.owner in (Owner.ISOLATED, Owner.LEASE) and (new.role is Role.STANDBY or lapsed(override, new)):
                    self.remove_override(override.owner)  # a standby notifies nobody anyway, and loads nothing

    def signs_astray(self, record: RoleRecord) -> list[str]:
        """Which of the role's signs do not say what the role says; names of files."""
        astray = []
        if self.lock_path.exists() is (record.role is Role.STANDBY):
            astray.append(self.lock_path.name)
        if self._read(self.track_path) != self._track(record):
            astray.append(self.track_path.name)
        return astray

    def mend_signs(self, record: RoleRecord) -> list[str]:
        """Make them follow the role again. Returns the names of those that did not."""
        astray = self.signs_astray(record)
        if astray:
            self.write_role(record)
        return astray

    def overrides(self) -> list[Override]:
        found = []
        for owner in Owner:
            path = self._override_path(owner)
            text = self._read(path)
            if text is None:
                continue
            try:
                found.append(parse_override(owner, text))
            except StateUnreadable as error:
                error.hint = f"look at {path}; remove it if the role alone shall decide"
                raise
        return found

    def is_isolated(self) -> bool:
        """Has this host muted itself because it sees nobody, or has no lease? Cheap: the loader asks before each batch."""
        return any(self._override_path(owner).exists() for owner in (Owner.ISOLATED, Owner.LEASE))

    def write_override(self, override: Override) -> None:
        write_atomically(self._override_path(override.owner), override.text())

    def remove_override(self, owner: Owner) -> None:
        self._remove(self._override_path(owner))

    def _override_path(self, owner: Owner) -> Path:
        return self.directory / f"override.{owner}"

    def paused(self, now: float) -> PauseMarker | None:
        """The pause in force, or None. A garbled marker pauses too (raises StateUnreadable): someone wanted it."""
        text = self._read(self.paused_path)
        if text is None:
            return None
        pairs = parse_pairs(text, f"the pause marker {self.paused_path}")
        try:
            until = None if pairs["until"] == "-" else int(pairs["until"])
            marker = PauseMarker(by=pairs["by"], reason=pairs["reason"], since=int(pairs["since"]), until=until)
        except (KeyError, ValueError) as error:
            raise StateUnreadable(
                f"the pause marker {self.paused_path} is garbled: {error}", hint="nagios-failover resume"
            ) from error
        return None if until is not None and until <= now else marker

    def pause(self, marker: PauseMarker) -> None:
        until = "-" if marker.until is None else marker.until
        reason = " ".join(marker.reason.split())
        write_atomically(self.paused_path, f"until={until}\nby={marker.by}\nreason={reason}\nsince={marker.since}\n")

    def resume(self) -> None:
        self._remove(self.paused_path)

    def log_position(self) -> Position | None:
        """How far nagios.log has been read; None where that is unknown or garbled (then it is read from its beginning)."""
        text = self._read(self.position_path)
        with contextlib.suppress(StateUnreadable):
            return parse_position(text) if text is not None else None
        return None

    def write_log_position(self, position: Position) -> None:
        write_atomically(self.position_path, position.text())

    def lease(self) -> Lease | None:
        """What this host holds of the master's lease; None before the first look at etcd ([quorum])."""
        text = self._read(self.lease_path)
        return None if text is None else parse_lease(text)

    def write_lease(self, lease: Lease) -> None:
        try:
            write_atomically(self.lease_path, lease.text())
        except Failed:
            if not self._write_until(lease):
                raise

    def _write_until(self, lease: Lease) -> bool:
        """A master whose disk is full renews its lease: it must not be held back, and nobody takes its place. The first line has
        its room already."""
        with contextlib.suppress(StateUnreadable, OSError):
            kept = self.lease()
            if kept is not None and kept.boot == lease.boot:
                with self.lease_path.open("r+b", buffering=0) as file:
                    return file.write(lease.first_line.encode()) == len(lease.first_line)
        return False

    def promise(self) -> Promise | None:
        text = self._read(self.promise_path)
        return None if text is None else parse_promise(text)

    def write_promise(self, promise: Promise) -> None:
        write_atomically(self.promise_path, promise.text())

    @contextlib.contextmanager
    def alone(self, path: Path) -> Iterator[None]:
        """Hold the lock that belongs to `path`: two processes do not read, change and write it at once. Raises Failed."""
        try:
            lock = path.with_suffix(".lock").open("a", encoding="utf-8")
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            raise cannot_write(path, error) from error
        with lock:
            yield

    def looks(self) -> list[Look]:
        return parse_ring(self._read(self.looks_path) or "")

    def add_look(self, look: Look) -> None:
        """Append to the ring under its own lock (the check and a run may look at the same moment)."""
        with self.alone(self.looks_path):
            ring = [*self.looks(), look][-RING_SIZE:]
            write_atomically(self.looks_path, "".join(entry.line() for entry in ring))

    def _read(self, path: Path) -> str | None:
        try:
            return path.read_text(encoding="utf-8", errors="replace")  # what is no text is found by who reads it
        except FileNotFoundError:
            if path.parent.is_dir():
                return None
            raise StateUnreadable(
                f"the state directory {path.parent} is not there (not mounted?)",
                hint=f"mount it, or make it: install -d -o nagios -g adm -m 2750 {path.parent}",
            ) from None
        except PermissionError as error:
            raise StateUnreadable(f"{path} cannot be read: {error.strerror}", hint="run as the Nagios user, or as root") from error
        except OSError as error:
            raise StateUnreadable(f"{path} cannot be read: {error.strerror}", hint=f"look at it: ls -l {path}") from error

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
            sync_directory(path.parent)
        except OSError as error:
            raise cannot_write(path, error) from error
