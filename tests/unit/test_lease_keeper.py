"""The keeper: what it writes down, whom it asks, and when it mutes this host."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import nagiosplugin
import pytest

from nagios_failover.config import Config
from nagios_failover.config_sections import HostSection
from nagios_failover.config_values import Seconds
from nagios_failover.errors import Failed, Refused
from nagios_failover.lease import Act, Answer, Away, Free, Held, Lease, Ours, Outranked, Promise, Word
from nagios_failover.lease_keeper import MUTE_SECONDS, World, boot_clock, give, keep_lease, promise, promised
from nagios_failover.lock import LockHeld, run_lock
from nagios_failover.looks import Look
from nagios_failover.role import Owner, RoleRecord
from nagios_failover.state_files import StateFiles, boot_id
from nagios_failover.words import Role, State
from tests.fake_world import OFF, config_of, master, standby

QUORUM = "[quorum]\netcd = https://192.0.2.1:2379\n[fence]\nuser = nagios\n"
AWAY = Away("no answer in time")
PROMISED, SILENT = Answer("yasu", True), Answer("yasu", False, "it does not answer")


def ours(until: float) -> Ours:
    """With the other host as a standby that looks."""
    return Ours(until, frozenset({"yasu"}))


@dataclass
class Around:
    """etcd, the other hosts and the clock."""

    word: Word = AWAY
    answers: list[Answer] = field(default_factory=lambda: [PROMISED])
    now: float = 1000.0
    did: list[str] = field(default_factory=list)
    loaded: threading.Event = field(default_factory=threading.Event)

    def world(self) -> World:
        return World(
            look=lambda standby: self._asked("look standby" if standby else "look"),
            hold=lambda term, reign: self._asked(f"hold {term}{' reign' if reign else ''}"),
            release=lambda: self._asked("release"),
            ask=self._ask,
            prepare=self.loaded.set,
            now=lambda: self.now,
            boot=lambda: "this boot",
        )

    def _asked(self, what: str) -> Word:
        self.did.append(what)
        self.now += 3
        return self.word

    def _ask(self) -> list[Answer]:
        self.did.append("ask")
        self.now += 4
        return self.answers


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return config_of(tmp_path, QUORUM)


@pytest.fixture
def state(tmp_path: Path) -> StateFiles:
    return StateFiles(tmp_path)


@pytest.fixture
def around() -> Around:
    return Around()


def kept(state: StateFiles) -> tuple[float, str]:
    lease = state.lease()
    assert lease is not None and lease.boot == "this boot"
    return lease.until, lease.holder


def overrides(state: StateFiles) -> list[tuple[Owner, bool]]:
    return [(override.owner, override.flags == OFF) for override in state.overrides()]


def test_a_master_renews_and_writes_down_until_when(config: Config, state: StateFiles, around: Around) -> None:
    master(state)
    around.word = ours(1028.0)
    assert keep_lease(config, state, world=around.world()).state is State.OK
    assert (kept(state), around.did, overrides(state)) == ((1028.0, "nabira"), ["hold 3 reign"], [])


def test_a_master_names_a_standby_that_no_longer_looks_once_its_role_is_old_enough(
    config: Config, state: StateFiles, around: Around
) -> None:
    config = replace(config, hosts=(*config.hosts, HostSection("witness", "192.0.2.3")))
    master(state)
    around.word = ours(1028.0)
    made = keep_lease(config, state, world=around.world())
    assert (made.act, made.state) == (Act.HOLD, State.WARNING) and kept(state) == (1028.0, "nabira")
    assert made.sentence == "nabira: master, it holds the lease for 25 s, but witness no longer looks for it: no standby"
    state.write_role(replace(state.role(), since=int(time.time())))
    assert keep_lease(config, state, world=around.world()).state is State.OK


def test_one_that_does_not_promise_is_asked_again_by_the_next_check_while_there_is_time(
    config: Config, state: StateFiles, around: Around
) -> None:
    config = replace(config, quorum=replace(config.quorum, lease=Seconds(60)))
    master(state)
    state.write_lease(Lease(1058.0, "this boot", "nabira"))
    around.answers = [SILENT]
    assert keep_lease(config, state, world=around.world()).state is State.WARNING
    assert (kept(state), around.did, overrides(state)) == ((1058.0, "nabira"), ["hold 3 reign", "ask"], [])
    around.answers = [PROMISED]
    assert keep_lease(config, state, world=around.world()).act is Act.HOLD
    assert (kept(state), overrides(state)) == ((1010.0 + 60, "nabira"), [])


def patient(config: Config, etcd_timeout: float) -> Config:
    return replace(config, quorum=replace(config.quorum, timeout=Seconds(etcd_timeout)))


def test_what_a_login_loads_is_loaded_while_etcd_is_slow(config: Config, state: StateFiles, around: Around) -> None:
    master(state)

    def hold(term: int, reign: bool) -> Word:
        assert around.loaded.wait(10), "meanwhile"
        return AWAY

    keep_lease(patient(config, 0.1), state, world=replace(around.world(), hold=hold))
    assert around.did == ["ask"]


def test_a_check_that_does_not_need_it_ends_without_it(config: Config, state: StateFiles, around: Around) -> None:
    """On a busy machine it takes seconds, in which Nagios starts no other check of the lease."""
    master(state)
    ended = threading.Event()

    def prepare() -> None:
        around.loaded.set()
        ended.wait(10)

    def hold(term: int, reign: bool) -> Word:
        assert around.loaded.wait(10)
        return ours(1028.0)

    before = set(threading.enumerate())
    made = keep_lease(patient(config, 0.1), state, world=replace(around.world(), hold=hold, prepare=prepare))
    loading = set(threading.enumerate()) - before
    ended.set()
    assert made.act is Act.HOLD and [thread.daemon for thread in loading] == [True], "an exit does not wait for it"


def test_one_that_goes_on_after_a_freeze_is_mute_before_anything_is_loaded(
    config: Config, state: StateFiles, around: Around
) -> None:
    master(state)
    state.write_lease(Lease(1020.0, "this boot", "nabira"))
    seen: list[list[tuple[Owner, bool]]] = []

    def hold(term: int, reign: bool) -> Word:
        around.now += 100
        time.sleep(0.2)  # twice as long as etcd has
        return AWAY

    world = replace(around.world(), hold=hold, prepare=lambda: seen.append(overrides(state)))
    keep_lease(patient(config, 0.1), state, world=world)
    assert seen == [[(Owner.LEASE, True)]]


def test_it_is_not_loaded_where_etcd_answers_and_before_the_question_where_it_refuses(
    config: Config, state: StateFiles, around: Around
) -> None:
    """The hosts' time limit begins with the question."""
    master(state)
    around.word = ours(1028.0)
    keep_lease(patient(config, 100), state, world=around.world())
    assert not around.loaded.is_set()

    def ask() -> list[Answer]:
        assert around.loaded.is_set()
        return [PROMISED]

    around.word = AWAY
    assert keep_lease(patient(config, 100), state, world=replace(around.world(), ask=ask)).act is Act.HOLD


def test_with_a_promise_of_all_the_master_goes_on_for_one_lease_from_when_it_asked(
    config: Config, state: StateFiles, around: Around
) -> None:
    master(state)
    state.write_lease(Lease(1020.0, "this boot", "nabira"))
    assert keep_lease(config, state, world=around.world()).act is Act.HOLD
    assert (kept(state), around.did, overrides(state)) == ((1003.0 + 30, "nabira"), ["hold 3 reign", "ask"], [])


def test_one_that_does_not_answer_mutes_the_master_before_its_lease_can_be_over(
    config: Config, state: StateFiles, around: Around
) -> None:
    master(state)
    state.write_lease(Lease(1020.0, "this boot", "nabira"))
    around.answers = [PROMISED, SILENT]
    made = keep_lease(config, state, world=around.world())
    assert (made.act, made.state) == (Act.MUTE, State.CRITICAL)
    assert around.now < 1020.0
    assert (kept(state), overrides(state)) == ((0.0, "nabira"), [(Owner.LEASE, True)])


def test_one_whose_question_takes_too_long_is_mute_meanwhile_and_goes_on_when_all_have_promised(
    config: Config, state: StateFiles, around: Around
) -> None:
    """A login on a busy machine may outlast every time limit."""
    master(state)
    state.write_lease(Lease(1003 + MUTE_SECONDS, "this boot", "nabira"))
    seen: list[list[tuple[Owner, bool]]] = []

    def ask() -> list[Answer]:
        deadline = time.monotonic() + 10
        while not overrides(state) and time.monotonic() < deadline:
            time.sleep(0.01)
        seen.append(overrides(state))
        return [PROMISED]

    assert keep_lease(config, state, world=replace(around.world(), ask=ask)).act is Act.HOLD
    assert (seen, overrides(state)) == ([[(Owner.LEASE, True)]], [])


def test_who_sees_the_lease_with_another_is_mute_at_once_and_goes_on_when_it_is_his_again(
    config: Config, state: StateFiles, around: Around
) -> None:
    master(state)
    state.write_lease(Lease(1028.0, "this boot", "nabira"))
    around.word = Held("yasu", 20)
    keep_lease(config, state, world=around.world())
    assert (kept(state), overrides(state)) == ((0.0, "yasu"), [(Owner.LEASE, True)])
    around.word = ours(1060.0)
    keep_lease(config, state, world=around.world())
    assert (kept(state), overrides(state)) == ((1060.0, "nabira"), [])


def test_a_master_that_was_passed_is_mute_and_its_watch_looks_at_who_has_the_lease(
    config: Config, state: StateFiles, around: Around
) -> None:
    master(state)
    state.write_lease(Lease(1028.0, "this boot", "nabira"))
    around.word = Outranked(4)
    assert keep_lease(config, state, world=around.world()).state is State.CRITICAL
    assert (kept(state), overrides(state)) == ((0.0, ""), [(Owner.LEASE, True)])
    around.word = Outranked(4, "yasu")
    keep_lease(config, state, world=around.world())
    assert kept(state) == (0.0, "yasu")


def test_a_standby_learns_the_term_that_its_next_run_must_be_above(config: Config, state: StateFiles, around: Around) -> None:
    standby(state)
    around.word = Free(5)
    keep_lease(config, state, world=around.world())
    assert (state.role().role, state.role().master, state.role().term) == (Role.STANDBY, "yasu", 5)
    around.word = Held("yasu", 20, 6)
    keep_lease(config, state, world=around.world())
    assert state.role().term == 6


def test_a_mute_master_is_muted_once(config: Config, state: StateFiles, around: Around) -> None:
    master(state)
    around.word = Held("yasu", 20)
    keep_lease(config, state, world=around.world())
    before = (state.directory / "override.lease").stat().st_ino
    keep_lease(config, state, world=around.world())
    assert (state.directory / "override.lease").stat().st_ino == before


def test_a_master_whose_lease_is_over_is_mute_before_anybody_is_asked(config: Config, state: StateFiles, around: Around) -> None:
    master(state)
    state.write_lease(Lease(999.0, "this boot", "nabira"))
    seen: list[list[tuple[Owner, bool]]] = []

    def hold(term: int, reign: bool) -> Word:
        seen.append(overrides(state))
        return Held("yasu", 20)

    keep_lease(config, state, world=replace(around.world(), hold=hold))
    assert seen == [[(Owner.LEASE, True)]]


def test_one_that_was_frozen_while_it_asked_etcd_is_mute_before_the_other_hosts_are_asked(
    config: Config, state: StateFiles, around: Around
) -> None:
    master(state)
    state.write_lease(Lease(1020.0, "this boot", "nabira"))
    seen: list[list[tuple[Owner, bool]]] = []

    def hold(term: int, reign: bool) -> Word:
        around.now += 100
        return AWAY

    def ask() -> list[Answer]:
        seen.append(overrides(state))
        return [SILENT]

    assert keep_lease(config, state, world=replace(around.world(), hold=hold, ask=ask)).act is Act.MUTE
    assert seen == [[(Owner.LEASE, True)]]


def test_one_whose_check_is_ended_by_its_time_limit_when_it_goes_on_is_mute(
    config: Config, state: StateFiles, around: Around
) -> None:
    master(state)
    state.write_lease(Lease(1020.0, "this boot", "nabira"))

    def hold(term: int, reign: bool) -> Word:
        around.now += 100
        raise nagiosplugin.Timeout("14s")

    with pytest.raises(nagiosplugin.Timeout):
        keep_lease(config, state, world=replace(around.world(), hold=hold))
    assert overrides(state) == [(Owner.LEASE, True)]


def test_a_renewal_that_is_seen_when_it_is_over_is_none(config: Config, state: StateFiles, around: Around) -> None:
    master(state)
    state.write_lease(Lease(1020.0, "this boot", "nabira"))
    around.answers = [SILENT]

    def hold(term: int, reign: bool) -> Word:
        around.now += 100
        return Ours(1028.0)

    made = keep_lease(config, state, world=replace(around.world(), hold=hold))
    assert (made.act, made.state) == (Act.MUTE, State.CRITICAL)
    assert (kept(state), overrides(state)) == ((0.0, "nabira"), [(Owner.LEASE, True)])


def test_one_that_was_frozen_when_it_had_decided_is_mute_when_its_check_ends(
    config: Config, state: StateFiles, around: Around
) -> None:
    master(state)
    around.word = ours(1028.0)
    world = replace(around.world(), now=lambda: 1100.0 if state.lease_path.exists() else 1003.0)
    assert keep_lease(config, state, world=world).act is Act.HOLD
    assert (kept(state), overrides(state)) == ((1028.0, "nabira"), [(Owner.LEASE, True)])


def test_a_standby_does_not_wipe_out_what_a_run_has_just_taken(config: Config, state: StateFiles, around: Around) -> None:
    standby(state)
    state.write_lease(Lease(1028.0, "this boot", "nabira"))
    around.word = Held("nabira", 30)
    with run_lock(state.directory, wait=0):
        keep_lease(config, state, world=around.world())
    assert kept(state) == (1028.0, "nabira")


def test_a_lease_of_before_the_boot_gives_no_right(config: Config, state: StateFiles, around: Around) -> None:
    master(state)
    state.write_lease(Lease(9999.0, "an earlier boot", "nabira"))
    around.answers = [SILENT]
    assert keep_lease(config, state, world=around.world()).act is Act.MUTE
    assert kept(state) == (0.0, "nabira")


def test_a_standby_looks_and_holds_nothing(config: Config, state: StateFiles, around: Around) -> None:
    standby(state)
    state.write_lease(Lease(1028.0, "this boot", "nabira"))
    around.word = Held("yasu", 20)
    assert keep_lease(config, state, world=around.world()).state is State.OK
    assert (kept(state), around.did) == ((0.0, "yasu"), ["look standby"])


def test_a_standby_gives_back_what_is_left_of_a_role_but_not_what_a_run_has_just_taken(
    config: Config, state: StateFiles, around: Around
) -> None:
    standby(state)
    around.word = Held("nabira", 20)
    with run_lock(state.directory, wait=0):
        keep_lease(config, state, world=around.world())
    assert around.did == ["look standby"]
    keep_lease(config, state, world=around.world())
    assert around.did == ["look standby", "look standby", "release"]


def test_a_run_that_has_the_lease_is_kept_in_it(config: Config, state: StateFiles, around: Around) -> None:
    state.write_role(RoleRecord(Role.TAKING_OVER, "nabira", 4, "a-run", 1000))
    around.word = Free()
    keep_lease(config, state, world=around.world())
    state.write_lease(Lease(1028.0, "this boot", "nabira"))
    around.word = ours(1040.0)
    keep_lease(config, state, world=around.world())
    assert (kept(state), around.did) == ((1040.0, "nabira"), ["look", "hold 4"])


def test_without_a_role_nothing_is_asked_of_etcd_but_a_look(config: Config, state: StateFiles, around: Around) -> None:
    assert keep_lease(config, state, world=around.world()).state is State.WARNING
    assert around.did == ["look"]


def test_a_standby_follows_who_has_the_lease(config: Config, state: StateFiles, around: Around) -> None:
    config = replace(config, hosts=(*config.hosts, HostSection("witness", "192.0.2.3")))
    standby(state)
    state.add_look(Look("witness", 1000.0, 10.0, "b", "check", State.OK, "alive", "said", peer_term=7))
    around.word = Held("witness", 20)
    keep_lease(config, state, world=around.world())
    role = state.role()
    assert (role.role, role.master, role.term) == (Role.STANDBY, "witness", 7)
    state.add_look(Look("witness", 1010.0, 20.0, "b", "check", State.OK, "alive", "said", peer_term=9))
    keep_lease(config, state, world=around.world())
    role = state.role()
    assert role.term == 9
    around.word = Held("a stranger", 20)
    keep_lease(config, state, world=around.world())
    assert state.role() == role


def test_a_master_whose_disk_is_full_is_not_held_back(
    config: Config, state: StateFiles, around: Around, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It renews, so that nobody takes its place: until when is written over what is there."""
    master(state)
    around.word = ours(1028.0)
    keep_lease(config, state, world=around.world())

    def no_room(path: Path, text: str, mode: int = 0) -> None:
        raise Failed(f"cannot write {path}: No space left on device")

    monkeypatch.setattr("nagios_failover.state_files.write_atomically", no_room)
    around.word = ours(1060.0)
    assert keep_lease(config, state, world=around.world()).state is State.OK
    assert kept(state) == (1060.0, "nabira")
    state.lease_path.unlink()
    with pytest.raises(Failed, match="No space left"):
        keep_lease(config, state, world=around.world())


# ---- promises ----


def test_a_standby_promises_and_keeps_it_for_so_long(config: Config, state: StateFiles) -> None:
    standby(state)
    assert promised(state) == ""
    assert promise(config, state, to="yasu", seconds=30) == (
        "nabira: standby, it takes no lease for 30 s, because yasu goes on without etcd"
    )
    assert promised(state) in {f"it has promised yasu to take no lease for another {seconds} s" for seconds in (29, 30)}
    state.write_promise(Promise("yasu", boot_clock() - 1, boot_id(), 30))
    assert promised(state) == ""


def test_a_garbled_promise_is_one(config: Config, state: StateFiles) -> None:
    state.promise_path.write_text("to=yasu\n")
    assert promised(state).startswith("the promise file is garbled: 'until'; remove ")


def test_a_master_that_has_given_the_lease_up_does_not_take_it_again_before_the_other_one_can(
    config: Config, state: StateFiles, around: Around
) -> None:
    config = replace(config, quorum=replace(config.quorum, etcd=("http://127.0.0.1:1",)))  # it may even be away
    master(state)
    state.write_lease(Lease(boot_clock() + 20, boot_id(), "nabira"))
    assert give(config, state, to="yasu", seconds=12) == "nabira: the lease is given up for yasu, and not taken for 12 s"
    lease = state.lease()
    assert lease is not None and lease.left(boot_clock(), boot_id()) == 0
    around.word = Free()
    assert keep_lease(config, state, world=around.world()).act is Act.MUTE
    assert around.did == ["look"]
    state.write_promise(Promise("yasu", boot_clock() - 1, boot_id(), 12))
    around.word = ours(1060.0)
    assert keep_lease(config, state, world=around.world()).act is Act.HOLD
    standby(state)
    with pytest.raises(Refused, match=r"the role is standby \(term 3\): it has no lease to give"):
        give(config, state, to="yasu", seconds=12)


def test_nothing_is_promised_by_a_master_nor_while_a_run_is_on_its_way(config: Config, state: StateFiles) -> None:
    standby(state)
    with run_lock(state.directory, wait=0), pytest.raises(LockHeld):
        promise(config, state, to="yasu", seconds=30)
    master(state)
    with pytest.raises(Refused, match=r"the role is master \(term 3\): nothing is promised"):
        promise(config, state, to="yasu", seconds=30)
    assert state.promise() is None
