"""The loader, with a clock that only moves when it sleeps and a database that is told how to behave."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from nagios_failover.config_sections import DatabaseSection, PerfdataSection
from nagios_failover.config_values import Seconds
from nagios_failover.errors import Failed, Refused, StateUnreadable
from nagios_failover.load_perfdata import Loader, limits_of
from nagios_failover.load_trend import Loaded
from nagios_failover.perfdata import QueuedSpool
from nagios_failover.perfdata_queue import LOG_SIZE, PerfdataFiles
from nagios_failover.role import RoleRecord
from nagios_failover.words import Role

STATUS = {"nagios_pid": "204"}


class FakeHeartbeat:
    """Notes what is written; raises `trouble` while there is one."""

    def __init__(self) -> None:
        self.written: list[tuple[int, Mapping[str, str] | None]] = []
        self.attempts = 0
        self.trouble: Failed | None = None
        self.closed = False

    def write(self, moment: int, status: Mapping[str, str] | None) -> None:
        self.attempts += 1
        if self.trouble:
            raise self.trouble
        self.written.append((moment, status))

    def close(self) -> None:
        self.closed = True


class World:
    """One host: its clock, its role, its queue, its database. `at` plans what happens at a time."""

    def __init__(self, state: Path) -> None:
        self.now = 1000.0
        self.events: list[tuple[float, Callable[[], object]]] = []
        self.role = Role.MASTER
        self.term = 3
        self.takeovers: list[tuple[int, int, int]] = []  # term, moment, heartbeats before
        self.role_error: StateUnreadable | None = None
        self.status: Mapping[str, str] | None = STATUS
        self.version = 1
        self.heartbeat = FakeHeartbeat()
        self.files = PerfdataFiles(state)
        self.files.claim()
        self.fetched = self.files.fetched_from("yasu")
        self.options = DatabaseSection(socket=Path("/s"), poll=Seconds(0.5), retry=Seconds(2), linger=Seconds(60), queue_limit=3)

    def at(self, time: float, event: Callable[[], object]) -> None:
        self.events.append((time, event))

    def call(self, moment: int, counter: int = 1) -> None:
        """As process_perfdata does."""
        (self.files.queue_directory / f"{moment}.{counter}").write_text("perfdata\n")

    def become(self, role: Role) -> None:
        self.role = role

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for entry in [entry for entry in self.events if entry[0] <= self.now]:
            self.events.remove(entry)
            entry[1]()

    def record(self) -> RoleRecord:
        if self.role_error:
            raise self.role_error
        return RoleRecord(self.role, "yasu", self.term, "", 1)

    def note_takeover(self, term: int, moment: int) -> None:
        self.takeovers.append((term, moment, len(self.heartbeat.written)))

    def run(self, *, database: bool = True, trend: FakeTrend | None = None, fetched: FakeTrend | None = None) -> str:
        """Until the loader leaves by itself."""
        return Loader(
            files=self.files,
            role=self.record,
            status=lambda: self.status,
            heartbeat=self.heartbeat if database else None,
            trend=trend,
            fetched=(self.fetched, fetched) if fetched else None,
            note_takeover=self.note_takeover if trend else None,
            options=self.options,
            limits=limits_of(self.options, PerfdataSection(queue_age=Seconds(500))),
            versions=lambda: self.version,
            began_with=self.version,
            clock=lambda: self.now,
            monotonic=lambda: self.now,
            sleep=self.sleep,
        ).run()

    def queued(self) -> list[str]:
        return [spool.name for spool in self.files.queue()]

    def log(self) -> list[str]:
        text = self.files.log_path.read_text() if self.files.log_path.exists() else ""
        return [line.partition("] ")[2] for line in text.splitlines()]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_heartbeat_is_the_newest_moment_and_the_queue_is_emptied(world: World) -> None:
    world.call(990)
    world.call(995)
    assert world.run() == "no spool for 60 s"
    assert world.heartbeat.written == [(995, STATUS)]
    assert world.queued() == []
    assert world.heartbeat.closed


def test_each_call_is_a_heartbeat_of_its_own_while_the_database_answers(world: World) -> None:
    for second in range(1001, 1006):
        world.at(second, lambda moment=second: world.call(moment))  # type: ignore[misc]
    world.run()
    assert [moment for moment, _ in world.heartbeat.written] == [1001, 1002, 1003, 1004, 1005]


def test_an_unreadable_status_file_does_not_stop_the_heartbeat(world: World) -> None:
    world.status = None
    world.call(995)
    world.run()
    assert world.heartbeat.written == [(995, None)]


def test_it_lingers_after_the_last_call_then_ends(world: World) -> None:
    world.at(1050, lambda: world.call(1050))
    world.run()
    assert 1110 <= world.now <= 1112


def test_a_call_that_still_saw_the_ending_loader_is_served(world: World) -> None:
    """process_perfdata looked at the PID file, then renamed the spool; in between the loader made up its mind to end."""
    announced: list[bool] = []
    announce = world.files.announce

    def told(*, alive: bool) -> None:
        announce(alive=alive)
        announced.append(alive)
        if announced == [True, False]:
            world.call(1060)

    world.files.announce = told  # type: ignore[method-assign]
    world.run()
    assert world.heartbeat.written == [(1060, STATUS)]
    assert announced[:3] == [True, False, True]


def test_a_database_that_is_away_is_tried_again_after_a_pause_and_told_once(world: World) -> None:
    world.heartbeat.trouble = Failed("the heartbeat cannot be written: connection refused", hint="start it")
    world.call(1000)
    world.at(1100, lambda: world.become(Role.STANDBY))
    world.run()
    assert 45 <= world.heartbeat.attempts <= 51
    assert world.log() == ["the heartbeat cannot be written: connection refused; hint: start it"]
    assert world.queued() == ["1000.1"], "what was not loaded is kept"


def test_it_catches_up_when_the_database_is_back(world: World) -> None:
    world.heartbeat.trouble = Failed("away")
    for second in (1001, 1010):
        world.at(second, lambda moment=second: world.call(moment))  # type: ignore[misc]
    world.at(1020, lambda: setattr(world.heartbeat, "trouble", None))
    world.run()
    assert world.heartbeat.written == [(1010, STATUS)]
    assert world.log() == ["away", "well again: 2 spool files loaded"]


def test_the_waiting_queue_is_bounded_and_what_is_dropped_is_counted(world: World) -> None:
    world.heartbeat.trouble = Failed("away")
    for second in range(1001, 1009):
        world.at(second, lambda moment=second: world.call(moment))  # type: ignore[misc]
    world.at(1020, lambda: setattr(world.heartbeat, "trouble", None))
    world.run()
    assert world.heartbeat.written == [(1008, STATUS)]
    assert world.log() == [
        "away",
        "more waits than 3 files, 256 MB or 500 s of spool: dropping the oldest",
        "well again: 3 spool files loaded, 5 were dropped",
    ]


def test_a_standby_writes_nothing_and_keeps_what_a_master_left(world: World) -> None:
    world.role = Role.STANDBY
    world.call(995)
    assert world.run() == "the role is standby: only a master's loader writes"
    assert world.heartbeat.attempts == 0
    assert world.queued() == ["995.1"]


def test_it_ends_when_the_role_is_given_back(world: World) -> None:
    world.at(1030, lambda: world.become(Role.STANDING_DOWN))
    world.at(1031, lambda: world.call(1031))
    assert world.run() == "the role is standing-down: only a master's loader writes"
    assert world.now <= 1031
    assert world.heartbeat.attempts == 0


def test_an_unreadable_role_writes_nothing_and_loses_nothing(world: World) -> None:
    world.role_error = StateUnreadable("the role file is garbled: x", hint="look at both hosts")
    world.call(999)
    world.at(1200, lambda: setattr(world, "role_error", None))
    world.run()
    assert world.heartbeat.written == [(999, STATUS)]
    assert world.now >= 1200
    assert world.log()[0] == "the role file is garbled: x; hint: look at both hosts"


def test_without_a_database_the_queue_is_just_emptied(world: World) -> None:
    world.call(999)
    world.run(database=False)
    assert world.queued() == []
    assert world.heartbeat.attempts == 0


def test_a_changed_configuration_ends_it_before_it_writes_to_the_old_place(world: World) -> None:
    world.at(1010, lambda: setattr(world, "version", 2))
    world.at(1020, lambda: world.call(1020))
    assert world.run() == "the configuration or the program has changed"
    assert world.heartbeat.written == []
    assert world.queued() == ["1020.1"], "left to the loader that the next call starts"


def test_a_heartbeat_from_before_the_clock_was_set_back_is_not_written(world: World) -> None:
    world.call(4600)
    world.at(1010, lambda: world.call(1010))
    world.run()
    assert world.heartbeat.written == [(1010, STATUS)]
    assert world.queued() == []


def test_there_is_one_loader(world: World, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="a loader runs already"):
        PerfdataFiles(tmp_path).claim()


def test_the_pid_file_names_the_loader_while_it_runs(world: World) -> None:
    seen: list[str] = []
    world.at(1010, lambda: seen.append(world.files.pid_path.read_text()))
    world.run()
    pid, *rest = seen[0].split()
    assert (int(pid) > 1, rest) == (True, [])
    assert world.files.pid_path.read_text().split() == ["0"]


def test_the_log_is_bounded(world: World) -> None:
    for _ in range(40):
        world.files.log("x" * (LOG_SIZE // 10))
    sizes = [path.stat().st_size for path in world.files.directory.glob("loader.log*")]
    assert len(sizes) <= 2
    assert sum(sizes) < 3 * LOG_SIZE


class FakeTrend:
    """Loads a file a round, each of which takes `seconds`."""

    def __init__(self, world: World, seconds: float) -> None:
        self.world = world
        self.seconds = seconds
        self.loaded: list[str] = []
        self.heartbeats: list[int] = []
        self.dropped: list[str] = []
        self.forgot: list[int] = []  # how much was loaded then

    def load(self, queue: Sequence[QueuedSpool]) -> Loaded:
        self.heartbeats.append(len(self.world.heartbeat.written))
        self.loaded.append(queue[0].name)
        self.world.sleep(self.seconds)
        return Loaded(queue[:1], more=len(queue) > 1)

    def droppable(self, queue: Sequence[QueuedSpool]) -> Sequence[QueuedSpool]:
        return queue

    def drop(self, spools: Sequence[QueuedSpool]) -> None:
        self.dropped.extend(spool.name for spool in spools)
        self.world.files.remove(spools)

    def forget(self) -> None:
        self.forgot.append(len(self.loaded))


def test_what_the_old_master_had_not_loaded_is_loaded_first_and_under_its_own_name(world: World) -> None:
    place = world.fetched.make_empty(term=3)
    (place / "900.1").write_text("perfdata\n")
    (place / "905.1").write_text("perfdata\n")
    world.call(995)
    trend = FakeTrend(world, seconds=1)
    fetched = FakeTrend(world, seconds=1)
    world.run(trend=trend, fetched=fetched)
    assert (fetched.loaded, trend.loaded) == (["900.1", "905.1"], ["995.1"])
    assert world.fetched.queue() == [] and world.queued() == []


def test_what_is_old_is_forgotten_when_nothing_waits_however_soon_there_is_more(world: World) -> None:
    trend = FakeTrend(world, seconds=1)
    for moment in (990, 991, 992):
        world.call(moment)
    world.at(1003, lambda: world.call(1003))
    world.run(trend=trend)
    assert (trend.loaded, trend.forgot[:2]) == (["990.1", "991.1", "992.1", "1003.1"], [3, 4])


def test_a_new_fetch_begins_with_nothing(world: World) -> None:
    (world.fetched.make_empty(term=3) / "900.1").write_text("perfdata\n")
    world.fetched.make_empty(term=3)
    assert world.fetched.queue() == []


def test_what_an_earlier_term_s_fetch_left_is_not_loaded(world: World) -> None:
    """The host that it was fetched from has been the master since, and has loaded it itself."""
    (world.fetched.make_empty(term=1) / "900.1").write_text("perfdata\n")
    world.call(995)
    trend, fetched = FakeTrend(world, seconds=1), FakeTrend(world, seconds=1)
    world.run(trend=trend, fetched=fetched)
    assert (fetched.loaded, trend.loaded) == ([], ["995.1"])


def test_what_a_standby_had_kept_is_not_too_old_until_the_database_has_told_what_is_loaded(world: World) -> None:
    """A new master's loader begins before its database can be written."""
    world.heartbeat.trouble = Failed("read-only")
    world.call(1)
    world.call(995)
    world.at(1020, lambda: setattr(world.heartbeat, "trouble", None))
    world.at(1025, lambda: setattr(world.heartbeat, "trouble", Failed("away")))
    for second in (1030, 1600):
        world.at(second, lambda moment=second: world.call(moment))  # type: ignore[misc]
    world.at(1610, lambda: setattr(world.heartbeat, "trouble", None))
    trend = FakeTrend(world, seconds=1)
    world.run(trend=trend)
    assert trend.loaded == ["1.1", "995.1", "1600.1"]
    assert trend.dropped == ["1030.1"]


def test_what_waits_is_caught_up_in_order_with_a_heartbeat_before_each_batch_and_is_not_too_old(world: World) -> None:
    world.options = replace(world.options, queue_limit=100)
    for moment in range(1, 9):
        world.call(moment)
    trend = FakeTrend(world, seconds=20)
    world.run(trend=trend)
    assert trend.loaded == [f"{moment}.1" for moment in range(1, 9)]
    assert trend.heartbeats == list(range(1, 9))
    assert trend.dropped == []


def test_a_queue_that_grows_faster_than_it_is_loaded_is_bounded_too(world: World) -> None:
    for moment in range(1, 9):
        world.call(moment)
    trend = FakeTrend(world, seconds=20)
    world.run(trend=trend)
    assert trend.loaded == ["1.1", "6.1", "7.1", "8.1"]
    assert trend.dropped == ["2.1", "3.1", "4.1", "5.1"]


def test_a_takeover_is_noted_once_after_the_first_heartbeat(world: World) -> None:
    world.call(990)
    world.at(1005, lambda: world.call(1005))
    world.run(trend=FakeTrend(world, seconds=1))
    assert world.takeovers == [(3, 1, 1)]


def test_the_first_master_took_over_from_nobody(world: World) -> None:
    world.term = 1
    world.call(995)
    world.run(trend=FakeTrend(world, seconds=1))
    assert world.takeovers == []
