"""What root does for `nagios-failover sync-config`: the files that it fetched into STATE/config are put in the place of this host's
own, below [sync] config_dirs and nowhere else.

The fetched files belong to the Nagios user, and came from another host's unprivileged account: they are read once, by that user's
rights and without following links, and judged before anything is changed. The old files are kept aside first; `pending` says that
a change is on its way, so that after a kill the next call puts them back before it begins.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from nagios_failover.config import Config
from nagios_failover.config_tree import Tree, changed_paths, directories
from nagios_failover.errors import Failed, FailoverError, Incomplete, Refused
from nagios_failover.frozen import frozen
from nagios_failover.nagios_files import read_nagios_cfg
from nagios_failover.root_only import require_roots_own, rights_of
from nagios_failover.shell import run
from nagios_failover.state_files import cannot_write, write_atomically
from nagios_failover.tree_files import change_tree, read_tree, write_file
from nagios_failover.user import account_of

BACKUPS = Path("/var/backups/nagios-failover")
VERIFY_SECONDS = 60.0
ERROR_LINES = 5


def staged(state: Path, directory: Path) -> Path:
    """Where the files that were fetched for a directory lie."""
    return state / "config" / quote(str(directory), safe="")


@frozen
class Place:
    """One of config_dirs: where it is, where its new files are, where its old ones are kept, and the group of new files."""

    directory: Path
    staged: Path
    kept: Path
    own: Sequence[str]
    group: int

    def now(self) -> Tree:
        return read_tree(self.directory, own=self.own, owner=0)


def install(config: Config, *, backups: Path = BACKUPS) -> list[str]:
    """Put the fetched files in place, if Nagios takes them. Returns what was done. Raises Refused or Failed: everything is as it
    was; Incomplete: it is not."""
    places = _places(config, backups)
    with _alone(backups):
        said = _put_back_after_a_kill(config, places, backups)
        with rights_of(account_of(config)):
            new = [read_tree(place.staged, own=place.own) for place in places]
        old = [place.now() for place in places]
        if not any(changed_paths(before, after) for before, after in zip(old, new, strict=True)):
            return [*said, f"{config.this.name}: the files are the same already"]
        _keep(places, old, backups)
        try:
            for place, before, after in zip(places, old, new, strict=True):
                said += [f"{config.this.name}: {what}" for what in change_tree(place.directory, before, after, group=place.group)]
            verify(config)
        except (OSError, FailoverError) as error:
            _put_back(config, places, backups, because=error)
            detail = error.detail if isinstance(error, FailoverError) else ""
            raise Failed(f"not installed, the old files are back: {error}", host=config.this.name, detail=detail) from error
        _done(backups)
        return [*said, f"{config.this.name}: Nagios takes the new configuration (nagios -v)"]


def restore(config: Config, *, backups: Path = BACKUPS) -> list[str]:
    """Put the files back that the last install replaced."""
    places = _places(config, backups)
    with _alone(backups):
        if not all(place.kept.is_dir() for place in places):
            raise Refused("there is nothing to be put back", host=config.this.name)
        _put_back(config, places, backups, because=None)
        return [f"{config.this.name}: the files of before are back"]


def was_cut_short(backups: Path = BACKUPS) -> bool:
    """Is an install on its way, or was one killed? For everybody to see."""
    return (backups / "pending").exists()


def verify(config: Config) -> None:
    """nagios -v of the configuration in force, as the Nagios user: what is read there came from elsewhere. Raises Failed."""
    argv = (str(config.this.nagios_binary), "-v", str(config.this.nagios_cfg))
    output = run(argv, timeout=VERIFY_SECONDS, account=account_of(config))
    if output.timed_out:
        raise Failed(f"{' '.join(argv)} did not end within {VERIFY_SECONDS:g} s", host=config.this.name)
    if not output.well:
        raise Failed(f"{' '.join(argv)} refuses it", host=config.this.name, detail=what_nagios_says(output.stdout))


def what_nagios_says(text: str) -> str:
    """Its errors, out of much else."""
    said = [line.strip() for line in text.splitlines() if line.lstrip().startswith("Error")]
    return "\n".join(said[:ERROR_LINES])


def _places(config: Config, backups: Path) -> list[Place]:
    cfg = read_nagios_cfg(config.this.nagios_cfg)
    group = account_of(config).pw_gid
    found = []
    for directory in directories(config, cfg):
        require_roots_own(directory)
        kept = backups / "old" / quote(str(directory), safe="")
        found.append(Place(directory, staged(config.paths.state, directory), kept, config.sync.config_own, group))
    return found


def _keep(places: Sequence[Place], old: Sequence[Tree], backups: Path) -> None:
    """A whole copy of what is there, then the word that it is being changed."""
    try:
        shutil.rmtree(backups / "old", ignore_errors=True)
        (backups / "old").mkdir(mode=0o700)
        for place, tree in zip(places, old, strict=True):
            place.kept.mkdir(parents=True)
            for path, file in tree.items():
                write_file(place.kept / path, file, group=0)
    except OSError as error:
        raise cannot_write(backups, error) from error
    write_atomically(backups / "pending", "an install is on its way: the next one puts the old files back first\n")


def _done(backups: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        (backups / "pending").unlink()


def _put_back_after_a_kill(config: Config, places: Sequence[Place], backups: Path) -> list[str]:
    if not was_cut_short(backups):
        return []
    _put_back(config, places, backups, because=None)
    return [f"{config.this.name}: an earlier install was cut short: its old files were put back first"]


def _put_back(config: Config, places: Sequence[Place], backups: Path, *, because: Exception | None) -> None:
    try:
        for place in (place for place in places if place.kept.is_dir()):
            change_tree(place.directory, place.now(), read_tree(place.kept, own=place.own), group=place.group)
        _done(backups)
    except (OSError, FailoverError) as error:
        raise Incomplete(
            f"the old files could not be put back: {error}",
            host=config.this.name,
            detail=str(because or ""),
            hint=f"they are in {backups}/old; nagios-failover sync-config tries it again",
        ) from error


@contextlib.contextmanager
def _alone(backups: Path) -> Iterator[None]:
    try:
        backups.mkdir(mode=0o755, parents=True, exist_ok=True)
        require_roots_own(backups)
        with (backups / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refused("another install is on its way") from None
            yield
    except OSError as error:
        raise cannot_write(backups, error) from error
