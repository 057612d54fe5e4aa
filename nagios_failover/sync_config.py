"""`nagios-failover sync-config`: the object configuration of the master, copied to this standby. By hand only: commands that the
other host defines are run here, and that is for a person to see first.

The master's files are fetched into STATE/config, tried out with this host's own nagios.cfg (nagios -v -p, which also says what
the objects become), shown, put in place by the root helper, and read by a reload of Nagios. What fails leaves all as it was.
"""

from __future__ import annotations

import fcntl
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nagios_failover import config_tree, rsync, shell, ssh
from nagios_failover.command_file import send, tagged
from nagios_failover.config import Config
from nagios_failover.config_tree import SIZE_LIMIT, Tree, is_left_alone
from nagios_failover.copies import chunks
from nagios_failover.errors import CouldNotLook, Failed, FailoverError, Incomplete, NoReader, Refused
from nagios_failover.frozen import frozen
from nagios_failover.hands import ROOT_HELPER
from nagios_failover.install_config import staged, was_cut_short, what_nagios_says
from nagios_failover.lock import run_lock
from nagios_failover.nagios_cfg import NagiosCfg
from nagios_failover.nagios_files import read_nagios_cfg, read_program_status
from nagios_failover.object_drift import Objects, changed_commands, difference, read_objects
from nagios_failover.state_files import StateFiles, cannot_write, write_atomically
from nagios_failover.sync import look_there, refuse_a_standby
from nagios_failover.tree_files import read_tree
from nagios_failover.words import Role

FETCH_SECONDS = 120.0
VERIFY_SECONDS = 60.0
INSTALL_SECONDS = 180.0
"""Of the root helper: it reads, writes, and lets Nagios verify."""
RELOAD_SECONDS = 60.0
"""Until Nagios shows in status.dat that it has read the new objects: 4 s with 50,000 services."""
LOCK_SECONDS = 10.0
NAMED = 5

Say = Callable[[str], None]
Ask = Callable[[str], bool]


@frozen
class Place:
    """One of [sync] config_dirs, as it is and as it would be."""

    directory: Path
    old: Tree
    new: Tree

    @property
    def changed(self) -> list[str]:
        return config_tree.changed_paths(self.old, self.new)


@frozen
class Plan:
    """`commands` are those that change. `reload`: Nagios has other objects than the files would give it. `cut_short`: an earlier
    install is to be finished."""

    places: tuple[Place, ...]
    commands: tuple[str, ...]
    macros: bool
    reload: bool
    cut_short: bool

    @property
    def files(self) -> int:
        return sum(len(place.changed) for place in self.places)


def sync_config(config: Config, state: StateFiles, *, ask: Ask, say: Say, dry_run: bool) -> None:
    """Raises Refused, Failed (nothing has changed) or Incomplete."""
    cfg = read_nagios_cfg(config.this.nagios_cfg)
    directories = config_tree.directories(config, cfg)
    _refuse_unless_standby(config, state)
    with _alone(config):
        remote = look_there(config, timeout=config.ssh.timeout)
        refuse_a_standby(config, remote.report)
        plan = _plan(config, cfg, directories)
        for place in plan.places:
            for line in config_tree.unified(place.directory, place.old, place.new, there=config.peer.name):
                say(line)
        if not (plan.files or plan.reload or plan.cut_short):
            say(f"{config.this.name}: the configuration is the same as on {config.peer.name}")
            return
        _say_what(config, plan, say)
        if dry_run:
            say("nothing was changed (dry run)")
            return
        _ask(plan, config, ask)
        with run_lock(state.directory, wait=LOCK_SECONDS):  # no failover begins while Nagios reads its objects anew
            _refuse_unless_standby(config, state)
            say(_root(config, "install-config"))
            say(_reload(config, cfg))


def _refuse_unless_standby(config: Config, state: StateFiles) -> None:
    role = state.role()
    if role.role is not Role.STANDBY or state.lock_path.exists():
        raise Refused(
            f"role {role.role} (term {role.term}): the configuration is copied from the master to its standby",
            host=config.this.name,
            hint=f"run it on {config.peer.name}",
        )


def _say_what(config: Config, plan: Plan, say: Say) -> None:
    count = f"{plan.files} file{'s' if plan.files != 1 else ''}"
    say(f"{config.this.name}: {count} to be changed; nagios -v takes {config.peer.name}'s configuration here")
    if plan.commands:
        more = f" and {len(plan.commands) - NAMED} more" if len(plan.commands) > NAMED else ""
        say(f"{config.this.name}: commands that change: {', '.join(plan.commands[:NAMED])}{more}")
    if plan.macros:
        say(f"{config.this.name}: a macro $USERn$ changes, which commands use")


def _ask(plan: Plan, config: Config, ask: Ask) -> None:
    if (plan.commands or plan.macros) and not ask(f"{config.this.name} will run what {config.peer.name} defines. Install it?"):
        raise Refused("not installed: a command would change, and nobody said yes", hint="read the difference; --yes says it")


# --- what would change ---


def _plan(config: Config, cfg: NagiosCfg, directories: tuple[Path, ...]) -> Plan:
    own = config.sync.config_own
    _fetch(config, directories)
    places = tuple(
        Place(
            directory=directory,
            old=read_tree(directory, own=own),
            new=_fetched(config, directory),
        )
        for directory in directories
    )
    for place in places:
        if not place.new:
            raise Refused(f"{config.peer.name}'s {place.directory} is empty", hint="is it the right directory?")
    after = _try_out(config, cfg, {directory: staged(config.paths.state, directory) for directory in directories})
    try:
        before: Objects | None = _try_out(config, cfg, {})
    except Refused:  # this host's own configuration is broken: then every command counts as a new one
        before = None
    running = _running(config, cfg)
    return Plan(
        places=places,
        commands=tuple(changed_commands(before, after)),
        macros=any(config_tree.changed_macros(place.old, place.new) for place in places),
        reload=running is None or bool(difference(running, after).keys),
        cut_short=was_cut_short(),
    )


def _fetched(config: Config, directory: Path) -> Tree:
    try:
        return read_tree(staged(config.paths.state, directory), own=config.sync.config_own)
    except Refused as error:
        place = staged(config.paths.state, directory)
        what = error.what.replace(str(place), str(directory))
        raise Refused(what, host=config.peer.name, hint=error.hint) from error


def _fetch(config: Config, directories: tuple[Path, ...]) -> None:
    """The master's directories, into STATE/config."""
    peer = config.peer
    words = " ".join(shlex.quote(str(directory)) for directory in directories)
    script = f'for d in {words}; do [ -d "$d" ] || echo "missing $d"; done; du -skL {words}\n'
    output = ssh.run_remote(config, peer, script, timeout=config.ssh.timeout)
    missing = [line.removeprefix("missing ") for line in output.stdout.splitlines() if line.startswith("missing ")]
    if missing:
        raise Refused(f"there is no directory {missing[0]}", host=peer.name, hint="[sync] config_dirs are the same on both hosts")
    if not output.well:
        raise Failed(f"its configuration cannot be looked at: {ssh.classify(output).reason}", host=peer.name)
    sizes = [int(line.split()[0]) for line in output.stdout.splitlines() if line.split()[:1] and line.split()[0].isdigit()]
    if sum(sizes) > 2 * (SIZE_LIMIT >> 10):
        raise Refused(f"its configuration has {sum(sizes) >> 10} MiB, more than is copied", host=peer.name)
    for directory in directories:
        to = staged(config.paths.state, directory)
        to.mkdir(mode=0o700, parents=True, exist_ok=True)
        transport = ssh.held_transport(config, peer, timeout=config.ssh.timeout)
        argv = rsync.directory(transport, peer.address, directory, to, own=config.sync.config_own, timeout=FETCH_SECONDS)
        copied = rsync.run(argv, timeout=FETCH_SECONDS)
        if not copied.well:
            hint = f"{config.ssh.user} must be able to read all of it there"
            raise Failed(f"{directory} was not copied whole: {rsync.explain(copied)}", host=peer.name, hint=hint)


def _try_out(config: Config, cfg: NagiosCfg, places: dict[Path, Path]) -> Objects:
    """What Nagios makes of the configuration with these directories elsewhere. Raises Refused where it does not take it."""
    work = config.paths.state / "config"
    own = [path for directory in places for path in _own_files(config, directory)]
    tried, resolved = work / "nagios.cfg", work / "objects.cache"
    resolved.unlink(missing_ok=True)
    text = cfg.path.read_text(encoding="utf-8", errors="surrogateescape")
    moved = config_tree.moved(text, cfg, places, own, resolved)
    write_atomically(tried, moved, 0o600)
    argv = (str(config.this.nagios_binary), "-v", "-p", str(tried))
    output = shell.run(argv, timeout=VERIFY_SECONDS)
    if not output.well:
        whose = f"{config.peer.name}'s configuration is" if places else "the configuration is"
        detail = what_nagios_says(output.stdout).replace(str(work), "...")
        for directory, place in places.items():
            detail = detail.replace(f"...{str(place).removeprefix(str(work))}", str(directory))
        raise Refused(
            f"{whose} not valid here: nagios -v refuses it", host=config.this.name, detail=detail or output.stderr.strip()
        )
    return read_objects(chunks(resolved), watch_host=config.nagios.watch_host, what=str(resolved))


def _own_files(config: Config, directory: Path) -> Iterator[Path]:
    """Files of this host that stay, and that Nagios reads by their directory."""
    for path in sorted(directory.rglob("*.cfg")):
        if is_left_alone(path.name, config.sync.config_own) and not path.name.startswith("."):
            yield path


def _running(config: Config, cfg: NagiosCfg) -> Objects | None:
    """What the running Nagios has read."""
    try:
        return read_objects(chunks(cfg.object_cache_file), watch_host=config.nagios.watch_host, what=str(cfg.object_cache_file))
    except CouldNotLook:
        return None


# --- doing it ---


def _root(config: Config, verb: str) -> str:
    output = shell.run(("sudo", "-n", str(ROOT_HELPER), verb), timeout=INSTALL_SECONDS)
    if output.well:
        return output.stdout.rstrip()
    said = output.stderr.strip()
    what, *more = (
        line.partition(": ")[2] if line.startswith(("error: ", "detail: ", "hint: ")) else line for line in said.splitlines()
    )
    kind = {1: Failed, 3: Refused}.get(output.code or 0, Incomplete)
    host = "" if what.startswith(f"{config.this.name}: ") else config.this.name
    hint = "see sudoers.sample" if "password" in said else "nagios-failover sync-config again finishes it or puts it back"
    raise kind(what or f"the root helper's {verb} failed", host=host, detail="\n".join(more), hint=hint)


def _reload(config: Config, cfg: NagiosCfg) -> str:
    """Let Nagios read its objects anew. One that does not come back gets its old files, and is started with them."""
    name = config.this.name
    try:
        before = read_program_status(cfg.status_file).program_start
        send(cfg.command_file, [tagged("RESTART_PROGRAM")], now=int(time.time()))
    except (NoReader, CouldNotLook):
        return f"{name}: Nagios does not run here: it reads the new configuration when it starts"
    began, deadline = time.time(), time.monotonic() + RELOAD_SECONDS
    while time.monotonic() < deadline:
        with suppress(CouldNotLook):
            status = read_program_status(cfg.status_file)
            if status.program_start > before and status.created >= int(began):
                return f"{name}: Nagios has read the new configuration (reloaded in {time.time() - began:.1f} s)"
        time.sleep(0.1)
    said = []
    for verb in ("restore-config", "start-nagios"):
        try:
            said.append(_root(config, verb))
        except FailoverError as error:
            said.append(str(error))
    raise Incomplete(
        f"Nagios did not come back from its reload within {RELOAD_SECONDS:g} s, and was given its old files",
        host=name,
        detail="\n".join(said),
        hint="look at its log; nagios-failover status",
    )


@contextmanager
def _alone(config: Config) -> Iterator[None]:
    """One at a time: the fetched files are shown, and then installed."""
    path = config.paths.state / "config" / "lock"
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with path.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refused("another sync-config is on its way", host=config.this.name) from None
            yield
    except OSError as error:
        raise cannot_write(path, error) from error
