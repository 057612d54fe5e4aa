"""A pull from a master that goes on living while its files are copied, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from nagios_failover import rsync, ssh, sync
from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.copies import Copies
from nagios_failover.errors import Failed
from nagios_failover.evidence import HostReport, Process
from nagios_failover.nagios_cfg import NagiosCfg
from nagios_failover.nagios_files import read_program_status
from nagios_failover.shell import Output
from nagios_failover.state_files import StateFiles
from nagios_failover.sync import Remote, pull
from tests.unit.snapshots import CREATED, contact, host, info, program


class Master:
    """After each file that rsync has taken it logs another line, and writes its status anew."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.log, self.status = directory / "nagios.log", directory / "status.dat"
        settings = {"log_file": str(self.log), "status_file": str(self.status), "log_archive_path": str(directory / "archives")}
        self.cfg = NagiosCfg(directory / "nagios.cfg", settings, {})
        self.moment = CREATED
        self.rsyncs: list[list[str]] = []
        self.code = 0
        self.live()

    def live(self) -> None:
        self.moment += 1
        with self.log.open("a") as log:
            log.write(f"[{self.moment}] SERVICE ALERT: web1;HTTP;CRITICAL;HARD;3;seen in silence\n")
        text = "".join([info(), program(), host("web1"), contact()])
        self.status.write_text(text.replace(f"created={CREATED}", f"created={self.moment}"))

    def rsync(self, argv: Sequence[str], *, timeout: float) -> Output:
        """It sorts what it is told to take."""
        taken = sorted(Path(word.partition(":")[2]).name for word in argv if word.startswith("192.0.2.1:"))
        self.rsyncs.append(taken)
        for name in taken:
            if (source := self.log.with_name(name)).is_file():
                (Path(argv[-1]) / name).write_text(source.read_text())
                self.live()
        return Output(self.code, "", "broken pipe")

    def told(self) -> Remote:
        report = HostReport(Process.RUNNING, 1, 1.0, self.moment, {}, None)
        return Remote(report, self.moment, self.cfg, self.log.read_text().partition("\n")[0], self.log.stat().st_size, "", "")


@pytest.fixture
def master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Master:
    there = Master(tmp_path / "there")
    monkeypatch.setattr(sync, "look_there", lambda config, timeout: there.told())
    monkeypatch.setattr(rsync, "run", there.rsync)
    monkeypatch.setattr(ssh, "held_transport", lambda config, host, timeout: ("ssh",))
    return there


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "state").mkdir()
    text = "[host yasu]\naddress = 192.0.2.1\n[host nabira]\n[witness]\naddresses = none\n[mail]\nto = a@b\n[sync]\nwatch = yes\n"
    return parse(f"{text}[paths]\nstate = {tmp_path}/state\n", hostname="nabira")


def copied(config: Config, *, handing_over: bool) -> tuple[int, int]:
    """When the copied status.dat was written, and the time of the last line of the copied log."""
    state = StateFiles(config.paths.state)
    pull(config, state, timeout=9, for_failover=True, handing_over=handing_over)
    copies = Copies(state.directory, "yasu")
    return read_program_status(copies.status).created, int((copies.incoming / "nagios.log").read_text().splitlines()[-1][1:11])


def test_of_a_master_that_hands_over_the_log_is_copied_after_its_status(config: Config, master: Master) -> None:
    """What the status shows to have been seen in silence, the log must tell: nobody else will."""
    written, logged = copied(config, handing_over=True)
    assert master.rsyncs == [["archives", "status.dat"], ["archives", "nagios.log"]]
    assert logged > written


def test_otherwise_one_rsync_copies_both(config: Config, master: Master) -> None:
    copied(config, handing_over=False)
    assert master.rsyncs == [["archives", "nagios.log", "status.dat"]]


def test_a_pull_that_breaks_off_is_a_failure(config: Config, master: Master) -> None:
    master.code = 12
    with pytest.raises(Failed, match="yasu: the pull failed: rsync ended with exit code 12: 'broken pipe'"):
        copied(config, handing_over=True)
    assert master.rsyncs == [["archives", "status.dat"]]
