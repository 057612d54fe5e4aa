"""The step that merges the event logs: two hosts' files, a world in memory, and no Nagios that runs."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.config_values import Seconds
from nagios_failover.copies import Copies, CopyRecord
from nagios_failover.failover import run_failover
from nagios_failover.log_files import LogFile, own_archives
from nagios_failover.nagios_cfg import NagiosCfg
from nagios_failover.run_record import Outcome, RunRecord
from nagios_failover.state_files import StateFiles
from tests.fake_world import World, standby
from tests.unit.snapshots import contact, host, info, program, service

NOW = int(time.time())
MIDNIGHT = int(time.mktime((*time.localtime(NOW)[:3], 0, 0, 0, 0, 0, -1)))
DAY = 86_400


def archive(days_ago: int = 0) -> str:
    return time.strftime("nagios-%m-%d-%Y-00.log", time.localtime(MIDNIGHT - days_ago * DAY + 3600))


def line(moment: float, text: str) -> str:
    return f"[{int(moment)}] {text}\n"


class Site:
    """nabira, and its copy of yasu's files."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "nagios"
        self.archives = self.directory / "archives"
        self.archives.mkdir(parents=True)
        self.log = self.directory / "nagios.log"
        self.log.write_text("")
        cfg = self.directory / "nagios.cfg"
        cfg.write_text(
            f"log_file={self.log}\nlog_archive_path={self.archives}\nstatus_file={self.directory}/status.dat\n"
            f"state_retention_file={self.directory}/retention.dat\nlog_external_commands=0\n"
        )
        snapshot = "".join([info(), program(), host("web1"), service("web1", "HTTP"), contact()])
        (self.directory / "status.dat").write_text(snapshot.replace("nagios_pid=4711", "nagios_pid=0"))
        self.state = StateFiles(directory / "state")
        self.state.directory.mkdir()
        self.world = World(self.state, now=float(NOW))
        self.config: Config = parse(
            f"[host yasu]\naddress = 127.0.0.1\n[host nabira]\nnagios_cfg = {cfg}\n[witness]\naddresses = none\n[mail]\nto = a@b\n"
            f"[look]\nconfirm_interval = 1\ntimeout = 9\n[paths]\nstate = {self.state.directory}\n"
            "[sync]\nwatch = yes\nfetch_timeout = 2\n[ssh]\nport = 1\ntimeout = 1\n",
            hostname="nabira",
        )
        standby(self.state)
        self.copies = Copies(self.state.directory, "yasu")
        self.copies.make()
        (self.copies.incoming / "archives").mkdir()
        self.copies.status.write_text(snapshot)

    def own(self, name: str, *lines: str) -> None:
        (self.archives / name if name else self.log).write_text("".join(lines))

    def theirs(self, name: str, *lines: str) -> None:
        (self.copies.incoming / ("archives/" + name if name else "nagios.log")).write_text("".join(lines))
        self.copies.write_record(CopyRecord(NOW, NOW, 0.0, 0.1, 1, 1, "nagios.log", "archives"))

    def run(self) -> RunRecord:
        return run_failover(self.config, self.state, trigger="command", hands=self.world.hands())

    def text(self, name: str = "") -> list[str]:
        return (self.archives / name if name else self.log).read_text().splitlines(keepends=True)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def said(run: RunRecord) -> str:
    step = run.step("merge logs")
    assert step is not None
    return f"{step.outcome}: {step.detail}"


def test_log_and_archives_of_both_are_one(site: Site) -> None:
    a, b = archive(), archive(1)
    site.theirs(a, line(MIDNIGHT - 60, "theirs"), line(MIDNIGHT, "LOG ROTATION: DAILY"))
    site.theirs(b, line(MIDNIGHT - DAY - 60, "only there"))
    site.theirs("", line(MIDNIGHT, "LOG VERSION: 2.0"), line(MIDNIGHT + 1, "theirs"))
    site.own(a, line(MIDNIGHT - 70, "own"), line(MIDNIGHT - 50, "own"))
    site.own(
        "", line(MIDNIGHT, "LOG VERSION: 2.0"), line(MIDNIGHT, "CURRENT HOST STATE: web1;UP;HARD;1;"), line(MIDNIGHT + 2, "own")
    )
    os.chmod(site.archives / a, 0o600)  # noqa: PTH101
    inode = site.log.stat().st_ino
    run = site.run()
    assert said(run) == (
        f"done: yasu's nagios.log is in this host's own; 2 archives were merged: {b}, {a};"
        " 1 lines of this host's standby time say nothing and are left out"
    )
    assert run.outcome == Outcome.DONE and site.log.stat().st_ino == inode
    assert site.text() == [
        *(line(MIDNIGHT, "LOG ROTATION: DAILY"), line(MIDNIGHT, "LOG VERSION: 2.0")),
        *(line(MIDNIGHT + 1, "theirs"), line(MIDNIGHT + 2, "own")),
    ]
    assert site.text(a) == [line(MIDNIGHT - 70, "own"), line(MIDNIGHT - 60, "theirs"), line(MIDNIGHT - 50, "own")]
    assert site.text(b) == [line(MIDNIGHT - DAY - 60, "only there")]
    assert (site.archives / a).stat().st_mode & 0o777 == 0o600
    assert (site.archives / b).stat().st_mode & 0o777 == site.log.stat().st_mode & 0o777
    assert sorted(path.name for path in site.directory.rglob("*")) == sorted(
        ["archives", a, b, "nagios.cfg", "nagios.log", "retention.dat", "status.dat"]
    )
    assert site.state.merged_path.read_text() == f"{run.id} done\n"


@pytest.mark.parametrize("missed", ["here", "there"])
def test_who_did_not_rotate_at_midnight_has_its_lines_in_yesterdays_archive(site: Site, missed: str) -> None:
    a = archive()
    both_days = (line(MIDNIGHT - 5, "late"), line(MIDNIGHT + 5, "early"))
    yesterday, today = line(MIDNIGHT - 9, "yesterday"), line(MIDNIGHT + 9, "today")
    if missed == "here":
        site.own("", *both_days)
        site.theirs(a, yesterday)
        site.theirs("", today)
    else:
        site.theirs("", *both_days)
        site.own(a, yesterday)
        site.own("", today)
    site.run()
    assert site.text(a) == [yesterday, both_days[0]] and site.text() == [both_days[1], today]


@pytest.mark.parametrize("copied", ["before", "after"])
def test_what_was_written_between_midnight_and_a_slow_rotation_is_there_once_when_its_archive_comes(
    site: Site, copied: str
) -> None:
    """The other host's log was copied, and merged, before or after it was rotated."""
    a = archive()
    rotated = (line(MIDNIGHT - 5, "yesterday"), line(MIDNIGHT + 1, "slow"))
    log = (line(MIDNIGHT + 2, "LOG ROTATION: DAILY"), line(MIDNIGHT + 9, "today"))
    if copied == "after":
        site.copies.log_before.write_text("".join(rotated))
    site.theirs("", *(log if copied == "after" else rotated))
    site.own(a, line(MIDNIGHT - 4, "own"))
    site.own("", line(MIDNIGHT + 4, "own"))
    site.run()
    yesterday = [rotated[0], line(MIDNIGHT - 4, "own")]
    today = [rotated[1], log[0], line(MIDNIGHT + 4, "own"), log[1]]
    assert (site.text(a), site.text()) == (yesterday, [one for one in today if copied == "after" or one not in log])
    site.copies.log_before.unlink(missing_ok=True)
    site.theirs(a, *rotated)
    site.theirs("", *log)
    standby(site.state)
    site.run()
    assert (site.text(a), site.text()) == (yesterday, today)


@pytest.mark.parametrize("rotated", ["both", "only here", "only there"])
def test_in_the_minute_after_midnight_no_line_is_doubled_or_lost(site: Site, monkeypatch: pytest.MonkeyPatch, rotated: str) -> None:
    """A failover while one host has rotated its log and the other has not, or what it has rotated was not copied yet."""
    monkeypatch.setattr("nagios_failover.log_files.NOT_YET_SECONDS", 2 * DAY)
    a = archive()
    yesterday = [line(MIDNIGHT - 9, "own, merged there before"), line(MIDNIGHT - 8, "theirs")]
    today = [line(MIDNIGHT + 1, "theirs"), line(MIDNIGHT + 2, "own")]
    if rotated == "only here":
        site.theirs("", *yesterday, today[0])
    else:
        site.theirs(a, *yesterday)
        site.theirs("", today[0])
    if rotated == "only there":
        site.own("", yesterday[0], today[1])
    else:
        site.own(a, yesterday[0])
        site.own("", today[1])
    site.run()
    if rotated == "only there":
        assert not (site.archives / a).exists() and site.text() == yesterday + today
    else:
        assert (site.text(a), site.text()) == (yesterday, today)


def test_a_log_that_is_rotated_while_the_archives_are_listed_is_merged_behind_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = archive()
    yesterday, today = line(MIDNIGHT - 9, "own, merged there before"), line(MIDNIGHT + 1, "own")
    site.theirs("", yesterday)
    site.own("", yesterday)
    real = own_archives

    def rotating(cfg: NagiosCfg) -> dict[str, LogFile]:
        found = real(cfg)
        if not (site.archives / a).exists():
            site.log.rename(site.archives / a)
            site.own("", today)
        return found

    monkeypatch.setattr("nagios_failover.merge_logs.own_archives", rotating)
    assert said(site.run()).startswith("done: ")
    assert (site.text(a), site.text()) == ([yesterday], [today])


def test_an_archive_that_this_hosts_nagios_has_yet_to_rotate_to_is_not_made(site: Site) -> None:
    """Nagios skips its rotation where the archive is there already."""
    a = time.strftime("nagios-%m-%d-%Y-00.log", time.localtime(time.time() + DAY))  # tomorrow's, also when midnight has just passed
    site.theirs(a, line(NOW - 9, "theirs"))
    site.theirs("", line(NOW, "LOG ROTATION: DAILY"))
    site.own("", line(NOW - 10, "own"))
    site.run()
    assert not (site.archives / a).exists()


def test_what_is_no_archive_of_nagios_or_no_plain_file_is_left_there(site: Site) -> None:
    site.theirs("", line(NOW - 5, "theirs"), "torn [1] x\n", line(NOW - 4, "\0\0"), line(NOW - 3, "half")[:-1])
    site.theirs("../../x.log", line(NOW - 9, "x"))
    (site.copies.incoming / "archives" / archive()).symlink_to("/etc/passwd")
    site.own("", line(NOW - 6, "own"), "torn\n", line(NOW - 1, "own"))
    assert said(site.run()).endswith("; 3 lines of yasu's logs are none of Nagios's and are left out")
    assert site.text() == [line(NOW - 6, "own"), "torn\n", line(NOW - 5, "theirs"), line(NOW - 1, "own")]
    assert list(site.archives.iterdir()) == []


def test_without_a_copy_that_is_told_in_a_mail_of_its_own(site: Site) -> None:
    site.own("", line(NOW, "own"))
    run = site.run()
    assert said(run).startswith("failed: there is no copy of yasu's event log")
    subject, body = site.world.mails[-1]
    assert subject == "[nagios-failover] nabira: merge logs failed" and "there is no copy of yasu's event log" in body
    assert site.text() == [line(NOW, "own")]


def test_a_disk_without_room_is_told_and_nothing_is_touched(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nagios_failover.log_files.SPARE_BYTES", 1 << 60)
    site.theirs("", line(NOW - 1, "theirs"))
    site.own("", line(NOW, "own"))
    assert " MiB free, and merging needs " in said(site.run()) and site.text() == [line(NOW, "own")]


def test_a_merge_that_takes_too_long_is_ended(site: Site) -> None:
    site.config = replace(site.config, sync=replace(site.config.sync, merge_timeout=Seconds(-1.0)))
    site.theirs("", line(NOW - 1, "theirs"))
    site.own("", line(NOW, "own"))
    assert said(site.run()).startswith("failed: merging takes longer than [sync] merge_timeout")
    assert site.text() == [line(NOW, "own")]


def test_to_and_fro_no_line_is_doubled_or_lost(tmp_path: Path) -> None:
    """yasu -> nabira -> yasu -> nabira, each with lines of its own in between."""
    one, other = Site(tmp_path / "one"), Site(tmp_path / "other")
    written: Counter[str] = Counter()
    for turn in range(4):
        for name, who in (("one", one), ("other", other)):
            new = [line(NOW - 4000 + turn * 1000 + n // 2, f"{name} {n % 3}") for n in range(500)]
            written.update(new)
            who.own("", *who.text(), *new)
        old, new_master = (one, other) if turn % 2 == 0 else (other, one)
        new_master.theirs("", *old.text())
        standby(new_master.state)
        assert said(new_master.run()).startswith("done: ")
        found = new_master.text()
        assert Counter(found) == written
        assert [moment[:12] for moment in found] == sorted(moment[:12] for moment in found)
