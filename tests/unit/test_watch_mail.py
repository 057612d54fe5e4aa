"""What a watch service says is mailed once per change, whatever becomes of the disk."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from nagios_failover import watch_mail
from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.errors import Failed
from nagios_failover.state_files import StateFiles, write_atomically
from nagios_failover.watch_mail import (
    NO_LOOK,
    OTHER_WORDS_AFTER,
    Said,
    anything_mailed,
    catch_up,
    is_told,
    left_behind,
    mail_once,
    told,
)

NAME = "Master Nagios"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateFiles:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "state").mkdir()
    return StateFiles(tmp_path / "state")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    text = (
        f"[host yasu]\n[host nabira]\n[witness]\naddresses = none\n[paths]\nstate = {tmp_path}/state\n"
        f"[mail]\nto = a@b\nmethod = command\ncommand = /bin/sh -c 'cat >> {tmp_path}/out'\n"
    )
    return parse(text, hostname="nabira")


def mails(tmp_path: Path) -> int:
    out = tmp_path / "out"
    return out.read_text().count("Subject:") if out.exists() else 0


def test_once_per_change_and_once_when_well_again(config: Config, state: StateFiles, tmp_path: Path) -> None:
    says = [
        Said(NAME, "WARNING", "passive", "yasu: passive for 3 s"),
        Said(NAME, "WARNING", "passive", "yasu: passive for 9 s"),
        Said(NAME, "CRITICAL", "crashed", "yasu: crashed"),
        Said(NAME, "CRITICAL", "host-down", "yasu: down"),
        Said(NAME, "OK", "alive", "yasu: alive"),
        Said(NAME, "OK", "alive", "yasu: alive"),
    ]
    counts = []
    for said in says:
        mail_once(config, state, said)
        counts.append(mails(tmp_path))
    assert counts == [1, 1, 2, 3, 4, 4]
    assert not anything_mailed(state, NAME)


def test_a_state_whose_reason_was_mailed_is_not_mailed_again_because_a_look_was_not_recorded(
    config: Config, state: StateFiles, tmp_path: Path
) -> None:
    counts = []
    for state_name, code in (
        ("WARNING", "passive"),
        ("CRITICAL", NO_LOOK),
        ("CRITICAL", NO_LOOK),
        ("CRITICAL", "crashed"),
        ("CRITICAL", NO_LOOK),
    ):
        mail_once(config, state, Said(NAME, state_name, code))
        counts.append(mails(tmp_path))
    assert counts == [1, 2, 2, 3, 3]


def test_other_words_of_a_run_are_mailed_but_not_every_few_seconds(
    config: Config, state: StateFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail_once(config, state, Said(NAME, "CRITICAL", "crashed", "yasu: crashed", run="run 20261122T142501-ab12 was paused"))
    mail_once(config, state, Said(NAME, "CRITICAL", "crashed", "yasu: crashed", run="run 20261122T142511-cd34 was paused"))
    mail_once(config, state, Said(NAME, "CRITICAL", "crashed", "yasu: crashed", run="the disk is full"))
    assert mails(tmp_path) == 1
    real = time.time()
    monkeypatch.setattr("nagios_failover.watch_mail.time.time", lambda: real + OTHER_WORDS_AFTER + 1)
    mail_once(config, state, Said(NAME, "CRITICAL", "crashed", "yasu: crashed", run="the disk is full"))
    assert mails(tmp_path) == 2


def test_what_a_run_has_told_is_not_told_again(config: Config, state: StateFiles, tmp_path: Path) -> None:
    told(state, Said(NAME, "WARNING", "no-standby"))
    assert is_told(state, Said(NAME, "WARNING", "no-standby"))
    mail_once(config, state, Said(NAME, "WARNING", "no-standby", "yasu: no standby"))
    assert mails(tmp_path) == 0
    mail_once(config, state, Said(NAME, "OK", "peer-standby", "yasu: standby"))
    assert mails(tmp_path) == 1


@pytest.mark.parametrize("trouble", ["away", "full"])
def test_without_a_disk_it_is_mailed_once_too(
    config: Config, state: StateFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    if trouble == "away":
        state.directory.rmdir()
    else:
        real = write_atomically

        def full(path: Path, text: str) -> None:
            if path.parent == state.directory:
                raise Failed("No space left on device")
            real(path, text)

        monkeypatch.setattr(watch_mail, "write_atomically", full)
    for _ in range(3):
        mail_once(config, state, Said(NAME, "CRITICAL", "crashed", "yasu: crashed"))
    assert mails(tmp_path) == 1
    state.directory.mkdir(exist_ok=True)
    monkeypatch.undo()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    mail_once(config, state, Said(NAME, "OK", "alive", "yasu: alive"))
    assert mails(tmp_path) == 2 and not anything_mailed(state, NAME)


def test_a_spare_place_that_is_not_ours_alone_is_not_used(config: Config, state: StateFiles, tmp_path: Path) -> None:
    spare = tmp_path / f"nagios-failover-{os.getuid()}"
    spare.mkdir(mode=0o777)
    spare.chmod(0o777)
    state.directory.rmdir()
    with pytest.raises(Failed):
        mail_once(config, state, Said(NAME, "CRITICAL", "crashed", "yasu: crashed"))
    assert mails(tmp_path) == 0 and list(spare.iterdir()) == []


def test_what_somebody_else_has_put_into_the_spare_place_is_not_believed(config: Config, state: StateFiles, tmp_path: Path) -> None:
    spare = tmp_path / f"nagios-failover-{os.getuid()}"
    spare.mkdir(mode=0o777)
    spare.chmod(0o777)
    (spare / "mailed.Master_Nagios").write_text(f"what=CRITICAL crashed\nwhy=\nat={time.time():.3f}\nservice={NAME}\n")
    assert not anything_mailed(state, NAME)
    mail_once(config, state, Said(NAME, "CRITICAL", "crashed", "yasu: crashed"))
    assert mails(tmp_path) == 1


# ---- what no handler was called for ----

ENOUGH = 39
"""Three intervals of ten seconds and a look's nine."""


def shown(tmp_path: Path, *, state: int = 0, checked: float, changed: float, what: str = "service") -> Path:
    """A status.dat that shows NAME of the watch host, or the host NAME, as Nagios writes it."""
    names = f"\thost_name={NAME}\n" if what == "host" else f"\thost_name=nagios-failover\n\tservice_description={NAME}\n"
    fields = f"\tcurrent_state={state}\n\tlast_check={int(checked)}\n\tlast_state_change={int(changed)}\n"
    path = tmp_path / "status.dat"
    path.write_text(f"programstatus {{\n\tx=1\n\t}}\n\n{what}status {{\n{names}{fields}\t}}\n")
    return path


@pytest.mark.parametrize("what", ["service", "host"])
def test_what_is_well_again_without_a_call_of_the_handler_is_mailed_later(
    config: Config, state: StateFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    mail_once(config, state, Said(NAME, "CRITICAL", "crashed", "yasu: crashed"))
    now = time.time() + 100
    monkeypatch.setattr("nagios_failover.watch_mail.time.time", lambda: now)
    status = shown(tmp_path, checked=now - 1, changed=0, what=what)
    assert [mark.what for mark in left_behind(config, state, status)] == ["CRITICAL crashed"]
    assert catch_up(config, state, status) == [f"mailed: [nagios-failover] nabira: {NAME} is OK"]
    assert "well again: nabira: Master Nagios is OK" in " ".join((tmp_path / "out").read_text().split())
    assert catch_up(config, state, status) == [] and mails(tmp_path) == 2
    mail_once(config, state, Said(NAME, "CRITICAL", "crashed", "yasu: crashed"))
    assert mails(tmp_path) == 3, "the same again is news again"


@pytest.mark.parametrize(
    ("mailed", "shows"),
    [
        (ENOUGH - 1, {"checked": 0, "changed": 1000}),  # its handler may be on its way
        (100, {"state": 2, "checked": 0, "changed": 1000}),
        (100, {"checked": 70, "changed": 1000}),  # not checked since
        (100, {"checked": 0, "changed": ENOUGH - 1}),  # well only since a moment ago
    ],
)
def test_what_a_handler_may_still_say_is_left_to_it(
    config: Config, state: StateFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mailed: int, shows: dict[str, int]
) -> None:
    """Seconds ago, each."""
    mail_once(config, state, Said(NAME, "CRITICAL", "crashed", "yasu: crashed"))
    now = time.time() + mailed
    monkeypatch.setattr("nagios_failover.watch_mail.time.time", lambda: now)
    at = {key: value if key == "state" else now - value for key, value in shows.items()}
    assert left_behind(config, state, shown(tmp_path, **at)) == []  # type: ignore[arg-type]


def test_a_mark_of_a_service_that_nagios_does_not_know_waits(
    config: Config, state: StateFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail_once(config, state, Said("Another", "CRITICAL", "crashed", "yasu: crashed"))
    now = time.time() + 100
    monkeypatch.setattr("nagios_failover.watch_mail.time.time", lambda: now)
    assert left_behind(config, state, shown(tmp_path, checked=now, changed=0)) == []
