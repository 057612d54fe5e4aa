"""The keeper of the lease: renews it on a master, asks the other hosts when etcd is away, and mutes a master that has lost it.

Called by check_lease, from this host's own Nagios, every [quorum] renew seconds. The lease file is written before anything else:
notify_if_master goes by it, whatever Nagios's flags are.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from nagios_failover import fencing
from nagios_failover.command_file import send, tagged
from nagios_failover.config import Config
from nagios_failover.errors import CouldNotLook, FailoverError, Refused, StateUnreadable
from nagios_failover.etcd import Etcd
from nagios_failover.frozen import frozen
from nagios_failover.lease import Act, Answer, Away, Decision, Free, Held, Lease, Ours, Outranked, Promise, Word, keep
from nagios_failover.lock import A_MOMENT, LockHeld, is_held, run_lock
from nagios_failover.nagios_files import read_nagios_cfg
from nagios_failover.role import Override, Owner, RoleRecord, role_flags
from nagios_failover.state_files import StateFiles, boot_id, uptime
from nagios_failover.words import TURN_OFF, Role

PATIENCE = 0.5
"""Of [quorum] timeout: etcd answers within milliseconds, on a busy machine within tenths of a second, or not at all."""

MUTE_SECONDS = 2.0
"""Until Nagios has obeyed, and has shown it."""


def boot_clock() -> float:
    """Seconds since boot, as notify_if_master reads them."""
    try:
        return float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return uptime()


@frozen
class World:
    """What the keeper asks, so that a test can stand in for it."""

    look: Callable[[bool], Word]  # is it a standby's? a master sees that
    hold: Callable[[int, bool], Word]  # the term; is it a master's?
    release: Callable[[], Word]
    ask: Callable[[], list[Answer]]  # all the other hosts, for a promise
    prepare: Callable[[], None]  # for that
    now: Callable[[], float] = boot_clock
    boot: Callable[[], str] = boot_id


def world_of(config: Config) -> World:
    etcd = Etcd(config.quorum, boot_clock)
    return World(
        look=lambda standby: etcd.look(config.this_name if standby else ""),
        hold=lambda term, reign: etcd.hold(config.this_name, term, reign=reign),
        release=lambda: etcd.release(config.this_name),
        ask=lambda: ask_for_promises(config),
        prepare=fencing.prepare,
    )


def keep_lease(config: Config, state: StateFiles, *, world: World | None = None) -> Decision:
    """Look, decide, and do it. Raises Failed when it cannot be written down."""
    ready = world or world_of(config)
    with state.alone(state.lease_path):
        try:
            return _keep(config, state, ready)
        finally:  # the plugin's time limit, too, is over at once when a host goes on
            _mute_if_over(config, state, ready)


def _keep(config: Config, state: StateFiles, ready: World) -> Decision:
    role = _role(state)
    kept = _kept(state)
    taking = role is not None and role.role is Role.TAKING_OVER and _holds(kept, config.this_name)
    is_master = role is not None and role.role is Role.MASTER
    is_standby = role is not None and role.role is Role.STANDBY
    renews = taking or (is_master and not promised(state))
    _mute_if_over(config, state, ready)

    def prepare() -> None:
        if kept is None or kept.left(ready.now(), ready.boot()) > 0:  # else it goes on after a freeze, and has to be mute first
            ready.prepare()

    # What a login loads takes longer than a login: it is loaded while etcd is late, so that the others' time limit is theirs alone.
    loading = threading.Timer(config.quorum.timeout * PATIENCE, prepare)
    loading.daemon = True  # a check that does not need it ends without it
    if is_master:
        loading.start()
    word = ready.hold(role.term, is_master) if role is not None and renews else ready.look(is_standby)
    loading.cancel()
    if isinstance(word, Ours) and ready.now() >= word.until:
        word = Away("the lease was over when its renewal was seen")
    if not isinstance(word, Ours):
        _mute_if_over(config, state, ready)  # the other hosts, which are asked next, take seconds to answer
    asked_at, answers = ready.now(), list[Answer]()
    if role is not None and is_master and isinstance(word, Away):
        # Not only when time runs out: who was too busy to answer is asked again by the next check.
        with _mute_in_time(config, state, ready, role, kept):
            loading.join()
            ready.prepare()  # an etcd that refuses at once has left it no time
            asked_at, answers = ready.now(), ready.ask()
    now = ready.now()
    decision = keep(
        role.role if role else None,
        config.this_name,
        word,
        left=kept.left(now, ready.boot()) if kept else 0.0,
        now=now,
        pace=config.lease_pace + MUTE_SECONDS,
        answers=answers,
        extended=asked_at + config.quorum.lease,
        busy=is_held(state.directory),
        others=_expected(config, role),
    )
    return _carry_out(config, state, ready, role, kept, word, decision)


def _expected(config: Config, role: RoleRecord | None) -> list[str]:
    """The other hosts; none while the last role change is so young that one may not have looked since."""
    settled = role is not None and time.time() - role.since >= config.quorum.lease
    return [host.name for host in config.others] if settled else []


def _carry_out(
    config: Config, state: StateFiles, world: World, role: RoleRecord | None, kept: Lease | None, word: Word, decision: Decision
) -> Decision:
    until = kept.until if kept and kept.boot == world.boot() else 0.0
    if decision.act is Act.HOLD:
        until = decision.until
    elif decision.act is not Act.NOTHING or (role is not None and role.role is Role.STANDBY and not _is_ours(config, word)):
        until = 0.0
    state.write_lease(Lease(until, world.boot(), _holder(config, word, kept), decision.sentence))
    if decision.act is Act.RELEASE:
        _release(state, world)
    if role is not None and role.role is Role.STANDBY and isinstance(word, Held | Free):
        _follow(config, state, role, word)
    if role is not None and role.role is Role.MASTER:
        if decision.act is Act.MUTE:
            _mute(config, state, role)
        elif decision.act is Act.HOLD:
            _unmute(state)
    return decision


def _holder(config: Config, word: Word, kept: Lease | None) -> str:
    if isinstance(word, Ours):
        return config.this_name
    if isinstance(word, Held | Outranked):
        return word.holder
    return kept.holder if kept and isinstance(word, Away) else ""


def _is_ours(config: Config, word: Word) -> bool:
    """A standby's: a run has just taken it."""
    return isinstance(word, Held) and word.holder == config.this_name


def _holds(kept: Lease | None, this: str) -> bool:
    return kept is not None and kept.holder == this


def _role(state: StateFiles) -> RoleRecord | None:
    try:
        return state.role()
    except StateUnreadable:
        return None


def _kept(state: StateFiles) -> Lease | None:
    """What is garbled is as good as nothing: etcd knows."""
    try:
        return state.lease()
    except StateUnreadable:
        return None


def _follow(config: Config, state: StateFiles, role: RoleRecord, word: Held | Free) -> None:
    """A standby's master is whoever has the lease: with more than two hosts it may be another one by now, or have a new term. The
    highest of a master counts also when nobody has it: with a lower one this host would not get it."""
    holder = word.holder if isinstance(word, Held) else role.master
    if holder not in {host.name for host in config.others}:
        return
    with contextlib.suppress(StateUnreadable):
        term = max([role.term, word.term, *(look.peer_term for look in state.looks() if look.host == holder)])
        if (holder, term) == (role.master, role.term):
            return
        with contextlib.suppress(LockHeld), run_lock(state.directory, wait=0):
            if state.role() == role:
                state.write_role(replace(role, master=holder, term=term, since=int(time.time())))


def _release(state: StateFiles, world: World) -> None:
    """Not under a run's feet, which may have taken it just now."""
    with contextlib.suppress(LockHeld), run_lock(state.directory, wait=0):
        world.release()


def _mute_if_over(config: Config, state: StateFiles, world: World) -> None:
    """A host may be frozen at any moment, also in the middle of a check. So this is done before whatever takes time, and last."""
    role, kept = _role(state), _kept(state)
    if role is None or role.role is not Role.MASTER or kept is None or kept.boot != world.boot():
        return
    if world.now() >= kept.until:
        _mute(config, state, role)


@contextlib.contextmanager
def _mute_in_time(config: Config, state: StateFiles, world: World, role: RoleRecord, kept: Lease | None) -> Iterator[None]:
    """Whatever takes too long in here, on a busy machine, say: it is mute before its lease is over, until all have promised."""
    if kept is None or kept.boot != world.boot():
        yield
        return

    def mute() -> None:
        with contextlib.suppress(FailoverError):
            _mute(config, state, role)

    muting = threading.Timer(max(0.0, kept.until - world.now() - MUTE_SECONDS), mute)
    muting.daemon = True
    muting.start()
    try:
        yield
    finally:
        muting.cancel()
        muting.join()


def _mute(config: Config, state: StateFiles, role: RoleRecord) -> None:
    """Nagios is told at once; that it obeys is seen by this check's handler. While a run is on its way the flags are the run's."""
    flags = role_flags(config.pair.mode, active=False)
    known = next((override for override in state.overrides() if override.owner is Owner.LEASE), None)
    if known and known.term == role.term:
        return
    with contextlib.suppress(LockHeld), run_lock(state.directory, wait=A_MOMENT):
        if state.role() == role:
            state.write_override(Override(Owner.LEASE, flags, role.term, int(time.time())))
            with contextlib.suppress(FailoverError):
                commands = [tagged(TURN_OFF[flag]) for flag, on in flags.items() if not on]
                send(read_nagios_cfg(config.this.nagios_cfg).command_file, commands, now=int(time.time()))


def _unmute(state: StateFiles) -> None:
    if any(override.owner is Owner.LEASE for override in state.overrides()):
        with contextlib.suppress(LockHeld), run_lock(state.directory, wait=A_MOMENT):
            state.remove_override(Owner.LEASE)


def forget(state: StateFiles) -> None:
    """Where no lease is configured (any more), nothing is held back for want of one."""
    if state.lease_path.exists():
        _unmute(state)
        state.lease_path.unlink(missing_ok=True)


# --- promises ---


def ask_for_promises(config: Config) -> list[Answer]:
    """Every other host, side by side."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(config.others)) as pool:
        return list(pool.map(lambda host: _ask(config.facing(host.name)), config.others))


def _ask(config: Config) -> Answer:
    arguments = ("promise", config.this_name, "--for", f"{config.quorum.lease:g}")
    try:
        output = fencing.there(config, arguments, timeout=2 * config.fence.timeout)
    except CouldNotLook as error:
        return Answer(config.peer.name, False, f"it does not answer ({' '.join(error.what.split())[:200]})")
    said = " ".join((output.stdout if output.well else output.stderr).split())[:300]
    return Answer(config.peer.name, output.well, said.removeprefix("error: ").partition(" hint: ")[0])


def promise(config: Config, state: StateFiles, *, to: str, seconds: float) -> str:
    """On a standby: take no lease for so long. Returns a sentence. Raises Refused, also while a run is on its way (LockHeld)."""
    with run_lock(state.directory, wait=A_MOMENT):
        role = state.role()
        if role.role is not Role.STANDBY:
            raise Refused(f"the role is {role.role} (term {role.term}): nothing is promised", host=config.this_name)
        state.write_promise(Promise(to, boot_clock() + seconds, boot_id(), seconds))
    return f"{config.this_name}: standby, it takes no lease for {seconds:g} s, because {to} goes on without etcd"


def give(config: Config, state: StateFiles, *, to: str, seconds: float) -> str:
    """On a master that a switchover has silenced: hold the lease no more, and do not take it for so long. Raises Refused."""
    with state.alone(state.lease_path):  # not while a check renews it
        role = state.role()
        if role.role is not Role.MASTER:
            raise Refused(f"the role is {role.role} (term {role.term}): it has no lease to give", host=config.this_name)
        state.write_promise(Promise(to, boot_clock() + seconds, boot_id(), seconds))
        give_back(config, state)
    return f"{config.this_name}: the lease is given up for {to}, and not taken for {seconds:g} s"


# --- for runs ---


def promised(state: StateFiles) -> str:
    """Why this host may not take the lease now; "" where nothing has been promised."""
    try:
        given = state.promise()
    except StateUnreadable as error:
        return f"{error.what}; remove {state.promise_path} when no other host goes on without etcd"
    left = given.left(boot_clock(), boot_id()) if given else 0.0
    return f"it has promised {given.to} to take no lease for another {left:.0f} s" if given and left > 0 else ""


def take(config: Config, state: StateFiles, *, term: int, reign: bool = False) -> Word:
    """Take or renew the lease for this host, and write down for how long; `reign` once it is the master. Raises Failed when that
    cannot be written."""
    with state.alone(state.lease_path):  # not while a check looks at it
        word = Etcd(config.quorum, boot_clock).hold(config.this_name, term, reign=reign)
        if isinstance(word, Ours):
            state.write_lease(Lease(word.until, boot_id(), config.this_name, f"{config.this_name}: it has taken the lease"))
        return word


def left_here(state: StateFiles) -> float:
    kept = _kept(state)
    return kept.left(boot_clock(), boot_id()) if kept else 0.0


def give_back(config: Config, state: StateFiles) -> None:
    """A run that ends without the role does not keep the lease: here at once, in etcd if it answers (else it runs out)."""
    with contextlib.suppress(FailoverError):
        kept = _kept(state)
        if kept is not None:
            state.write_lease(replace(kept, until=0.0, said=f"{config.this_name}: it has given the lease back"))
    Etcd(config.quorum, boot_clock).release(config.this_name)
