"""The mild fence: real POSIX sh, a real process to end, and a Nagios in miniature that obeys or does not."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nagios_failover import shell
from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.config_values import Seconds
from nagios_failover.errors import CouldNotLook
from nagios_failover.fenced import Fenced, fenced_from
from nagios_failover.fencing import fence_mild, quiesce, unfence
from nagios_failover.role import Owner, RoleRecord, parse_override
from nagios_failover.shell import Output
from nagios_failover.state_files import StateFiles
from nagios_failover.words import Flag, Role
from tests.fake_nagios import FakeNagios
from tests.unit.test_probe import running

OFF = dict.fromkeys(Flag, False)
ALL_OFF = "notifications off, service checks off, host checks off"


def config_of(top: Path, mode: str = "failover") -> Config:
    text = (
        f"[pair]\nmode = {mode}\n[host yasu]\nnagios_cfg = {top}/nagios.cfg\n[host nabira]\n[witness]\naddresses = none\n"
        f"[mail]\nto = a@b\n[fence]\nuser = nagios\nverify_timeout = 4\n[paths]\nstate = {top}/state\n"
    )
    return parse(text, hostname="nabira")


def here(script: str) -> Output:
    return shell.run(("sh", "-c", script), timeout=20)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with running(tmp_path) as process:
        yield process


@pytest.fixture
def nagios(tmp_path: Path, process: subprocess.Popen[bytes]) -> Iterator[FakeNagios]:
    nagios = FakeNagios(tmp_path, flags=(1, 1, 1))
    nagios.pid = process.pid
    nagios.configure(status_update_interval="1")
    nagios.write_status()
    with nagios:
        yield nagios


def with_suite(top: Path, role: Role = Role.MASTER) -> StateFiles:
    (top / "state").mkdir()
    state = StateFiles(top / "state")
    state.write_role(RoleRecord(role, "yasu", 3, "", 1000))
    return state


def test_an_active_master_is_muted_and_read_back(tmp_path: Path, nagios: FakeNagios) -> None:
    state = with_suite(tmp_path)
    fenced = fence_mild(config_of(tmp_path), 4, run=here)
    assert (fenced.proved, fenced.sentence) == (
        True,
        f"yasu: its Nagios has {ALL_OFF}, seen in its status.dat; its suite keeps it so",
    )
    assert fenced.was_on == dict.fromkeys(Flag, True)
    assert fenced_from(fenced.note()) == fenced
    tagged = [f"{name};nagios-failover" for name in ("DISABLE_NOTIFICATIONS", "STOP_EXECUTING_SVC_CHECKS")]
    assert nagios.commands == [*tagged, "STOP_EXECUTING_HOST_CHECKS;nagios-failover", "SAVE_STATE_INFORMATION;nagios-failover"]
    (override,) = state.overrides()
    assert (override.owner, override.flags, override.term) == (Owner.FENCE, OFF, 4)
    assert (tmp_path / "state" / "override.fence").stat().st_mode & 0o777 == 0o640


def test_what_an_abort_took_it_gives_back(tmp_path: Path, nagios: FakeNagios) -> None:
    state = with_suite(tmp_path)
    fenced = fence_mild(config_of(tmp_path), 4, run=here)
    assert unfence(config_of(tmp_path), 4, fenced.was_on, run=here) == Fenced(True, "yasu: its Nagios was switched on again")
    time.sleep(0.2)
    assert set(nagios.flags.values()) == {1} and state.overrides() == []


def test_a_master_is_quiesced_and_kept_so_by_its_suite(tmp_path: Path, nagios: FakeNagios) -> None:
    state, began = with_suite(tmp_path), int(time.time())
    quiet = quiesce(config_of(tmp_path), 4, run=here)
    assert (quiet.proved, quiet.sentence) == (True, f"yasu: its Nagios has {ALL_OFF}, seen in its status.dat")
    assert quiet.was_on == dict.fromkeys(Flag, True) and [override.term for override in state.overrides()] == [4]
    assert began <= quiet.told_at <= time.time()


def test_a_link_that_breaks_when_it_was_told_leaves_word_of_what_was_on(tmp_path: Path, nagios: FakeNagios) -> None:
    """It may be silent: what puts it back must know."""
    with_suite(tmp_path)
    nagios.writes = False
    asked: list[str] = []

    def broken(script: str) -> Output:
        asked.append(script)
        if len(asked) > 2:
            raise CouldNotLook("the fence account's connection broke: EOF")
        return here(script)

    quiet = quiesce(config_of(tmp_path), 4, run=broken)
    assert (quiet.proved, quiet.was_on) == (False, dict.fromkeys(Flag, True))
    assert quiet.sentence == "yasu: its Nagios was not seen to be muted: the fence account's connection broke: EOF"


def test_an_order_that_comes_too_late_is_not_carried_out(tmp_path: Path, nagios: FakeNagios) -> None:
    """Its disk stood still, and who gave it has gone on without: what took it back was there before it."""
    state = with_suite(tmp_path)

    def slow(script: str) -> Output:
        return here(f"sync() {{ sleep 2; }}\n{script}")

    config = replace(config_of(tmp_path), fence=replace(config_of(tmp_path).fence, timeout=Seconds(2)))
    quiet = quiesce(config, 4, run=slow)
    assert not quiet.proved and quiet.was_on == dict.fromkeys(Flag, True)
    assert quiet.sentence == (
        "yasu: its Nagios was not seen to be muted (override failed; commands failed: it is too late for them)"
    )
    assert nagios.commands == [] and state.overrides() == [] and list((tmp_path / "state").glob(".override*")) == []


def test_one_that_does_not_obey_is_not_killed_by_a_switchover(
    tmp_path: Path, nagios: FakeNagios, process: subprocess.Popen[bytes]
) -> None:
    nagios.obeys = False
    quiet = quiesce(config_of(tmp_path), 4, run=here)
    assert not quiet.proved and quiet.sentence.startswith("yasu: its Nagios was not seen to be muted (")
    assert process.poll() is None and quiet.was_on == dict.fromkeys(Flag, True)


def test_flags_that_were_off_before_it_was_told_prove_nothing(tmp_path: Path, nagios: FakeNagios) -> None:
    nagios.shall_have(0)
    nagios.obeys = nagios.writes = False
    assert not quiesce(config_of(tmp_path), 4, run=here).proved


def test_in_redundancy_mode_a_fenced_host_may_go_on_checking(tmp_path: Path, nagios: FakeNagios) -> None:
    with_suite(tmp_path)
    fenced = fence_mild(config_of(tmp_path, "redundancy"), 4, run=here)
    assert fenced.proved and nagios.commands == ["DISABLE_NOTIFICATIONS;nagios-failover", "SAVE_STATE_INFORMATION;nagios-failover"]
    text = (tmp_path / "state" / "override.fence").read_text()
    assert parse_override(Owner.FENCE, text).flags == {Flag.NOTIFICATIONS: False}


def test_without_the_suite_there_sh_and_the_command_file_are_enough(tmp_path: Path, nagios: FakeNagios) -> None:
    fenced = fence_mild(config_of(tmp_path), 4, run=here)
    assert (fenced.proved, fenced.sentence) == (True, f"yasu: its Nagios has {ALL_OFF}, seen in its status.dat")
    assert not (tmp_path / "state").exists()


def test_one_that_does_not_obey_is_killed(tmp_path: Path, nagios: FakeNagios, process: subprocess.Popen[bytes]) -> None:
    nagios.obeys = False
    began = time.monotonic()
    fenced = fence_mild(config_of(tmp_path), 4, run=here)
    assert (fenced.proved, fenced.sentence) == (
        True,
        f"yasu: its Nagios (PID {process.pid}) was killed: it did not show its flags off",
    )
    assert process.wait(5) == -signal.SIGKILL and time.monotonic() - began > 4


def test_a_stopped_one_is_killed_at_once(tmp_path: Path, nagios: FakeNagios, process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    fenced = fence_mild(config_of(tmp_path), 4, run=here)
    assert (fenced.proved, fenced.sentence) == (True, f"yasu: its Nagios (PID {process.pid}) was killed: it is stopped")
    assert time.monotonic() - began < 4 and nagios.commands == []


def test_one_that_is_gone_is_proved_and_its_suite_is_told_all_the_same(tmp_path: Path, nagios: FakeNagios) -> None:
    with_suite(tmp_path)
    nagios.pid = 4_000_000
    nagios.write_status()
    fenced = fence_mild(config_of(tmp_path), 4, run=here)
    assert (fenced.proved, fenced.sentence) == (True, "yasu: its Nagios does not run; its suite keeps it so")
    assert nagios.commands == []


def test_a_passive_standby_is_left_alone(tmp_path: Path, nagios: FakeNagios) -> None:
    state = with_suite(tmp_path, Role.STANDBY)
    nagios.shall_have(0)
    fenced = fence_mild(config_of(tmp_path), 4, run=here)
    assert (fenced.proved, fenced.sentence) == (True, "yasu: its Nagios is a standby's: passive already")
    assert nagios.commands == [] and state.overrides() == []


def test_a_host_that_is_not_reached_is_a_sentence(tmp_path: Path) -> None:
    def unreachable(script: str) -> Output:
        raise CouldNotLook("directly: timed out", hint="look there")

    assert fence_mild(config_of(tmp_path), 4, run=unreachable) == Fenced(
        False, "yasu: not fenced over ssh: directly: timed out", "look there"
    )


def test_an_account_that_runs_nothing_is_a_sentence(tmp_path: Path) -> None:
    fenced = fence_mild(config_of(tmp_path), 4, run=lambda script: Output(1, "", "This account is currently not available.\n"))
    assert fenced == Fenced(
        False,
        "yasu: not fenced over ssh: the fence account runs nothing: exit code 1 This account is currently not available.",
        "nagios needs an ordinary shell there (chsh -s /bin/sh)",
    )
