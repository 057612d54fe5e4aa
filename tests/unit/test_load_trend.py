"""From queue to database, against one that keeps what was committed, loses what was not, and fails when it is told to."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from nagios_failover.config_sections import PerfdataSection
from nagios_failover.errors import Failed
from nagios_failover.load_trend import SMALLEST_BATCH, TrendLoader
from nagios_failover.metrics import Sample
from nagios_failover.perfdata import QueuedSpool
from nagios_failover.perfdata_queue import PerfdataFiles, SpoolLines
from nagios_failover.perfparse import Batch, Counts


class FakeStore:
    """A database: rows and positions change together, or not at all. `fault` is raised before the commit, or after it. It is on
    the host `this`, and has the positions of the other one's queue, too."""

    def __init__(self) -> None:
        self.this = "yasu"
        self.samples: list[Sample] = []
        self.positions: dict[str, dict[str, int]] = {"yasu": {}, "nabira": {}}
        self.counts = Counts()
        self.fault = ""
        self.batches: list[int] = []
        self.old_rows = 0
        self.steps = 0  # of what is done meanwhile

    def load(self, host: str, read: Callable[[Mapping[str, int]], Batch]) -> tuple[Batch, Counts]:
        before = dict(self.positions[host])
        batch = read(before)
        for _ in zip(range(self.steps), batch.meanwhile or (), strict=False):
            pass
        if self.fault == "before":
            raise Failed("gone before the commit")
        self.samples.extend(batch.samples)
        self.positions[host] = {**({} if host == self.this else before), **batch.positions}
        more = (len(batch.samples), batch.bin_rows, batch.lines_aside, batch.metrics_aside)
        self.counts = Counts(*(old + new for old, new in zip(self.counts, more, strict=True)))
        self.batches.append(len(batch.samples))
        if self.fault == "after":
            raise Failed("gone after the commit")
        return batch, self.counts

    def forget(self, days: int, limit: int) -> int:
        deleted = min(limit, self.old_rows)
        self.old_rows -= deleted
        return deleted

    def close(self) -> None:
        pass


class World:
    def __init__(self, state: Path) -> None:
        self.files = PerfdataFiles(state)
        self.files.claim()
        self.store = FakeStore()
        self.now = 1000.0
        self.loader = self.new_loader()

    def new_loader(self, **options: int) -> TrendLoader:
        section = PerfdataSection(**{"batch_kilobytes": 256, **options})  # type: ignore[arg-type]
        return TrendLoader("yasu", self.files, self.store, section, clock=lambda: self.now, monotonic=lambda: self.now)

    def queue(self, moment: int, *lines: str, torn: str = "") -> None:
        text = "".join(f"{line}\n" for line in lines) + torn
        (self.files.queue_directory / f"{moment}.1").write_text(text)

    def load(self, *, killed: bool = False) -> bool:
        """One batch; a killed loader removes nothing."""
        loaded = self.loader.load(self.files.queue())
        if not killed:
            self.files.remove(loaded.finished)
        return loaded.more

    def load_all(self) -> None:
        while self.load():
            pass

    def waiting(self) -> list[str]:
        return [spool.name for spool in self.files.queue()]

    def outputs(self) -> list[str]:
        return [sample.output for sample in self.store.samples]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def line(number: int, perfdata: str = "time=1s size=2B") -> str:
    return f"1763822531\tweb1\tHTTP\tline {number}\tOK\t{perfdata}"


def test_what_is_queued_is_loaded_in_order_and_the_queue_is_emptied(world: World) -> None:
    world.queue(200, line(3))
    world.queue(100, line(1), line(2))
    world.load_all()
    assert world.outputs() == ["line 1", "line 2", "line 3"]
    assert world.waiting() == []
    assert world.store.counts == Counts(3, 6, 0, 0)
    assert len(world.store.batches) == 1, "small files share a transaction"


def test_a_file_larger_than_a_batch_is_loaded_piece_by_piece(world: World) -> None:
    lines = [line(number, perfdata="x" * 200) for number in range(5000)]
    world.queue(100, *lines)
    world.queue(200, line(5000))
    world.load_all()
    assert world.outputs() == [f"line {number}" for number in range(5001)]
    assert len(world.store.batches) >= 3


@pytest.mark.parametrize("steps", [0, 3, 1000])
def test_what_is_read_while_the_server_works_is_read_once_and_in_order(
    world: World, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    lines = [line(number, perfdata="x" * 200) for number in range(5000)]
    world.queue(100, *lines[:4000])
    world.queue(200, *lines[4000:])
    world.store.steps = steps
    read: list[tuple[str, int]] = []
    read_lines = world.files.read_lines

    def noted(spool: QueuedSpool, offset: int, limit: int) -> SpoolLines:
        read.append((spool.name, offset))
        return read_lines(spool, offset, limit)

    monkeypatch.setattr(world.files, "read_lines", noted)
    world.load_all()
    assert world.outputs() == [f"line {number}" for number in range(5000)]
    assert len(read) == len(set(read)) >= 4


def test_what_was_read_ahead_is_nothing_where_a_batch_failed_or_a_file_was_dropped(world: World) -> None:
    world.store.steps = 1000
    world.loader = world.new_loader(batch_kilobytes=16)
    for moment in range(100, 700, 100):
        world.queue(moment, *(line(moment + number, perfdata="x" * 200) for number in range(100)))
    world.store.fault = "before"
    with pytest.raises(Failed):
        world.load()
    world.store.fault = ""
    world.load()
    world.loader.drop([spool for spool in world.files.queue() if spool.name == "200.1"])
    world.load_all()
    dropped = world.loader.count_files.dropped()
    assert (dropped.files, len(world.outputs()) + dropped.lines, len(set(world.outputs()))) == (1, 600, 600 - dropped.lines)


def test_a_file_that_cannot_be_read_holds_up_nothing_before_it(world: World) -> None:
    world.store.steps = 1000
    world.loader = world.new_loader(batch_kilobytes=16)
    world.queue(100, *(line(number, perfdata="x" * 200) for number in range(100)))
    (world.files.queue_directory / "200.1").mkdir()
    with pytest.raises(Failed, match="cannot read"):
        world.load_all()
    assert len(world.outputs()) == 100


@pytest.mark.parametrize("how", ["the same loader", "a loader that was killed"])
@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_failure_before_or_after_the_commit_doubles_nothing_and_loses_nothing(world: World, fault: str, how: str) -> None:
    world.queue(100, line(1), line(2), torn="tor")
    world.store.fault = fault
    with pytest.raises(Failed):
        world.load()
    if how == "a loader that was killed":
        world.loader = world.new_loader()
    world.store.fault = ""
    world.load_all()
    assert world.outputs() == ["line 1", "line 2"]
    assert world.store.counts.lines_aside == 1
    assert world.loader.count_files.aside_path.read_text().count("tor") == 1


def test_a_loader_killed_before_the_queue_loses_its_files_doubles_nothing(world: World) -> None:
    world.queue(100, line(1))
    world.load(killed=True)
    world.loader = world.new_loader()
    world.queue(200, line(2))
    world.load_all()
    assert world.outputs() == ["line 1", "line 2"]
    world.queue(300, line(3))
    world.load_all()
    assert world.store.positions["yasu"] == {"300.1": len(line(3)) + 1}, "nothing is kept of files that are gone"


def fetch(world: World, state: Path, *, term: int) -> TrendLoader:
    """What waits on yasu is copied to nabira, whose database goes on from yasu's; the loader of it there."""
    fetched = PerfdataFiles(state).fetched_from("yasu")
    into = fetched.make_empty(term)
    for spool in world.files.queue():
        shutil.copy(world.files.queue_directory / spool.name, into)
    world.store.this = "nabira"
    return TrendLoader("yasu", fetched, world.store, PerfdataSection(batch_kilobytes=16))


def test_an_old_master_that_comes_back_loads_of_its_queue_what_the_new_one_had_not(world: World, tmp_path: Path) -> None:
    """Both hosts' tables are one, by replication. Of the first file half was loaded on yasu, of the second half on nabira, the
    third was not fetched."""
    long = [line(number, perfdata="x" * 200) for number in range(300)]
    world.queue(100, *long[:150])
    world.loader.limit = SMALLEST_BATCH
    world.load()
    assert 0 < len(world.outputs()) < 150
    world.queue(200, *long[150:])
    there = fetch(world, tmp_path / "nabira", term=2)
    world.queue(300, line(300))
    for _ in range(2):
        there.limit = SMALLEST_BATCH
        there.files.remove(there.load(there.files.queue()).finished)
    assert 150 < len(world.outputs()) < 300
    world.store.this = "yasu"
    world.loader = world.new_loader()
    world.load_all()
    assert world.outputs() == [f"line {number}" for number in range(301)]
    world.queue(400, line(301))
    world.load_all()
    assert list(world.store.positions["yasu"]) == ["400.1"], "now nothing is kept of files that are gone"


def test_the_new_master_keeps_the_positions_of_the_files_that_it_fetched(world: World, tmp_path: Path) -> None:
    world.queue(100, line(1))
    there = fetch(world, tmp_path / "nabira", term=2)
    there.files.remove(there.load(there.files.queue()).finished)
    there = fetch(world, tmp_path / "nabira", term=3)
    there.load(there.files.queue())
    assert world.outputs() == ["line 1"], "fetched again from a host that is still dead"


def test_faults_at_random_points_leave_each_line_once(world: World) -> None:
    draw = random.Random(2005)
    number = 0
    for moment in range(100, 160):
        count = draw.randrange(0, 300)
        world.queue(moment, *(line(number + extra) for extra in range(count)))
        number += count
        world.loader.limit = draw.choice([SMALLEST_BATCH, 40_000])
        world.store.fault = draw.choice(["", "", "before", "after"])
        world.store.steps = draw.choice([0, 2, 1000])
        try:
            world.load(killed=draw.random() < 0.3)
        except Failed:
            world.loader = world.new_loader()
    world.store.fault = ""
    world.load_all()
    assert world.outputs() == [f"line {each}" for each in range(number)]


def test_a_malformed_line_is_set_aside_counted_and_holds_nothing_up(world: World) -> None:
    world.queue(100, line(1), "nonsense", line(2, "time=1s garbage size=2B"), torn=line(3))
    world.load_all()
    assert world.outputs() == ["line 1", "line 2"]
    assert world.store.counts == Counts(2, 4, 2, 1)
    garbage = line(2, "time=1s garbage size=2B")
    first = len(line(1)) + 1
    second, third = first + 9, first + 9 + len(garbage) + 1
    assert world.loader.count_files.aside_path.read_text() == (
        f"# 100.1:{first} it has not six fields\nnonsense\n"
        f"# 100.1:{second} no metric: garbage\n{garbage}\n"
        f"# 100.1:{third} it is cut off, or longer than a line can be\n{line(3)}\n"
    )
    assert world.loader.count_files.counts().aside_at == 1000


def test_what_is_set_aside_is_bounded(world: World) -> None:
    world.loader = world.new_loader(aside_megabytes=1)
    for moment in range(100, 104):
        world.queue(moment, *("x" * 1000 for _ in range(700)))
        world.load_all()
    sizes = [path.stat().st_size for path in world.files.directory.glob("aside*")]
    assert len(sizes) == 2 and sum(sizes) < 3_000_000
    assert world.store.counts.lines_aside == 2800


def test_batches_shrink_while_the_server_fails_and_grow_again(world: World) -> None:
    world.queue(100, line(1))
    world.store.fault = "before"
    for _ in range(12):
        with pytest.raises(Failed):
            world.load()
    assert world.loader.limit == SMALLEST_BATCH
    world.store.fault = ""
    world.load()
    assert world.loader.limit == 2 * SMALLEST_BATCH


def test_what_is_dropped_is_counted_once_with_what_was_in_it(world: World) -> None:
    world.queue(100, line(1), "nonsense", line(2))
    world.queue(200, line(3))
    queue = world.files.queue()
    world.loader.count_files.drop("100.1", lines=3, metrics=4, now=1.0)  # and was killed before it removed the file
    world.loader.drop(queue)
    dropped = world.loader.count_files.dropped()
    assert (dropped.files, dropped.lines, dropped.metrics, dropped.at, dropped.last) == (2, 4, 6, 1000, "200.1")
    assert world.waiting() == []


def test_a_drop_that_was_cut_off_is_ended_and_the_file_is_not_loaded_as_well(world: World) -> None:
    world.queue(100, line(1))
    world.queue(200, line(2))
    world.loader.count_files.drop("100.1", lines=1, metrics=2, now=1.0)  # and was killed before it removed the file
    world.loader = world.new_loader()
    world.load_all()
    assert (world.outputs(), world.loader.count_files.dropped().lines) == (["line 2"], 1)


def test_a_file_that_a_disk_does_not_give_any_more_is_dropped_with_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.queue(100, line(1))
    world.queue(200, line(2))
    read_lines = world.files.read_lines

    def some(spool: QueuedSpool, offset: int, limit: int) -> SpoolLines:
        if spool.name == "100.1":
            raise Failed("cannot read 100.1: Input/output error")
        return read_lines(spool, offset, limit)

    monkeypatch.setattr(world.files, "read_lines", some)
    world.loader.drop(world.files.queue())
    dropped = world.loader.count_files.dropped()
    assert (world.waiting(), dropped.files, dropped.lines) == ([], 2, 1)


def test_what_is_partly_loaded_is_not_counted_as_dropped_where_the_clock_was_set_back(world: World) -> None:
    world.loader = world.new_loader(batch_kilobytes=16)
    world.queue(4600, *(line(number, perfdata="x" * 200) for number in range(300)))
    world.load()
    world.queue(1000, *(line(number, perfdata="x" * 200) for number in range(300, 600)))
    world.load()
    world.loader = world.new_loader(batch_kilobytes=16)
    world.loader.drop(world.loader.droppable(world.files.queue()))
    world.load_all()
    assert len(world.outputs()) + world.loader.count_files.dropped().lines == 600


@pytest.mark.parametrize("how", ["the same loader", "a loader that was killed"])
def test_what_a_server_may_have_loaded_without_an_answer_is_not_dropped_before_it_tells(world: World, how: str) -> None:
    """Frozen in the middle of a commit: it comes to pass afterwards."""
    world.queue(100, line(1))
    world.load_all()
    world.queue(200, line(2))
    world.queue(300, line(3))
    world.store.fault = "after"
    with pytest.raises(Failed):
        world.load()
    world.queue(400, line(4))
    if how == "a loader that was killed":
        world.loader = world.new_loader()
    assert [spool.name for spool in world.loader.droppable(world.files.queue())] == ["400.1"]
    world.store.fault = ""
    world.load_all()
    assert world.outputs() == ["line 1", "line 2", "line 3", "line 4"]
    world.queue(500, line(5))
    assert [spool.name for spool in world.loader.droppable(world.files.queue())] == ["500.1"]


def test_files_without_lines_need_no_transaction(world: World) -> None:
    world.queue(100)
    world.load_all()
    assert (world.store.batches, world.waiting()) == ([], [])


def test_the_rate_is_of_the_last_minute(world: World) -> None:
    world.queue(100, *(line(number) for number in range(20)))
    world.load_all()
    assert world.loader.counts.rows_per_second == 1.0
    world.now += 61
    world.queue(200, line(1))
    world.load_all()
    assert world.loader.counts.rows_per_second == 0.05


def test_old_rows_go_in_small_pieces_and_then_there_is_rest(world: World) -> None:
    world.store.old_rows = 2500
    for _ in range(4):
        world.loader.forget()
    assert world.store.old_rows == 0
    world.store.old_rows = 10
    world.loader.forget()
    assert world.store.old_rows == 10, "it looked a moment ago, and there was nothing"
    world.now += 61
    world.loader.forget()
    assert world.store.old_rows == 0


def test_the_counts_outlive_the_loader(world: World) -> None:
    world.queue(100, line(1), "nonsense")
    world.load_all()
    world.now += 500
    world.loader = world.new_loader()
    world.queue(200, line(2))
    world.load_all()
    counts = world.loader.count_files.counts()
    assert (counts.raw_rows, counts.bin_rows, counts.lines_aside, counts.aside_at, counts.loaded_at) == (2, 4, 1, 1000, 1500)


def test_what_another_host_had_set_aside_before_is_not_news(world: World) -> None:
    world.store.counts = Counts(9, 9, 5, 5)
    world.queue(100, line(1))
    world.load()
    assert world.loader.counts.aside_at == 0
    world.queue(200, "garbage")
    world.load()
    assert (world.loader.counts.lines_aside, world.loader.counts.aside_at) == (6, 1000)
