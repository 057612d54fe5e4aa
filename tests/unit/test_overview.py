"""`status`: who monitors, and what does not fit together. Whole sentences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nagios_failover.as_json import overview_json
from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.evidence import PauseMarker
from nagios_failover.overview import HostView, LeaseView, Overview, disagreements, summary
from nagios_failover.role import RoleRecord, role_flags, wanted_flags
from nagios_failover.verdict import Code, Verdict
from nagios_failover.words import Mode, Role, State

CONFIG: Config = parse(
    "[host yasu]\naddress=192.0.2.1\n[host nabira]\n[witness]\naddresses=none\n[mail]\nto=a@b\n", path=Path("/x"), hostname="nabira"
)


def view(name: str, role: Role, *, master: str = "yasu", term: int = 3) -> HostView:
    """A healthy host of that role."""
    record = RoleRecord(role=role, master=master, term=term, run="", since=1000)
    return HostView(
        name=name,
        address=name,
        role=record,
        nagios="running",
        pid=77,
        status_age=1.0,
        flags=role_flags(Mode.FAILOVER, active=record.active),
        wanted=wanted_flags(record, Mode.FAILOVER, ()),
        suite=True,
    )


MASTER = view("yasu", Role.MASTER)
STANDBY = view("nabira", Role.STANDBY)


def overview(this: HostView = STANDBY, peer: HostView = MASTER, **more: object) -> Overview:
    lock = this.role is not None and this.role.role is not Role.STANDBY
    verdict = Verdict(State.OK, Code.ALIVE, "yasu: alive")
    return replace(Overview(CONFIG, this, peer, verdict, (), lock, 2000.0), **more)  # type: ignore[arg-type]


def unseen(name: str) -> HostView:
    return HostView(name, name, problems=(f"{name}: not seen over ssh: timed out",))


def test_a_healthy_pair_disagrees_in_nothing() -> None:
    assert disagreements(overview()) == []
    assert summary(overview()) == "yasu monitors and notifies (master, term 3)"


@pytest.mark.parametrize(
    ("this", "peer", "sentence"),
    [
        (STANDBY, replace(MASTER, nagios="missing"), "NOBODY notifies"),
        (STANDBY, unseen("yasu"), "nobody is seen to notify; yasu could not be looked at"),
        (view("nabira", Role.MASTER, term=4), MASTER, "TWO hosts notify: nabira and yasu"),
        (STANDBY, replace(MASTER, role=None, wanted=None, suite=False), "yasu monitors and notifies (without a role file)"),
    ],
)
def test_who_monitors_is_one_sentence(this: HostView, peer: HostView, sentence: str) -> None:
    assert summary(overview(this, peer)) == sentence


def test_a_stopped_nagios_does_not_notify_whatever_its_status_says() -> None:
    assert not replace(MASTER, nagios="stopped").active


@pytest.mark.parametrize(
    ("this", "peer", "sentence"),
    [
        (STANDBY, replace(MASTER, nagios="missing"), "yasu: Nagios does not run"),
        (STANDBY, replace(MASTER, nagios="stopped"), "yasu: Nagios (PID 77) is stopped (state T)"),
        (STANDBY, unseen("yasu"), "yasu: not seen over ssh: timed out"),
        (
            STANDBY,
            replace(MASTER, flags=role_flags(Mode.FAILOVER, active=False)),
            "yasu: role is master, but Nagios has notifications off, service checks off, host checks off; "
            "nagios-failover status there says why",
        ),
        (
            view("nabira", Role.MASTER, master="nabira", term=4),
            replace(MASTER, nagios="missing", flags=None),
            "both hosts have the role master: nabira term 4, yasu term 3; yasu has the lower term and stands down",
        ),
        (
            view("nabira", Role.MASTER, master="nabira"),
            MASTER,
            "both hosts have the role master: nabira term 3, yasu term 3; the terms are equal",
        ),
        (
            STANDBY,
            view("yasu", Role.STANDBY, master="nabira"),
            "both hosts have the role standby: nobody monitors until you run on one of them: nagios-failover failover",
        ),
        (view("nabira", Role.STANDBY, master="yarra"), MASTER, "nabira takes yarra for the master, yasu takes yasu"),
        (view("nabira", Role.STANDBY, term=9), MASTER, "nabira: term 9 is above the term of the master yasu, 3"),
    ],
)
def test_what_does_not_fit_is_said_with_the_host_first(this: HostView, peer: HostView, sentence: str) -> None:
    assert sentence in disagreements(overview(this, peer))


def test_what_the_state_watch_finds_on_this_host_comes_first() -> None:
    found = "nabira: role is standby (term 3), but Nagios has notifications on"
    this = replace(STANDBY, problems=(found,))
    assert disagreements(overview(this, replace(MASTER, nagios="missing"))) == [found, "yasu: Nagios does not run"]


def test_json_has_everything_under_stable_keys() -> None:
    marker = PauseMarker(by="root@yasu", reason="kernel", since=1500, until=None)
    given = overview_json(overview(peer=replace(MASTER, paused=marker)))
    assert set(given) == {
        "this", "peer", "time", "mode", "failback", "summary", "hosts", "verdict", "lease", "disagreements",
        "failover_lock", "open_runs", "last_run",
    }  # fmt: skip
    assert given["hosts"]["yasu"] == {
        "address": "yasu",
        "suite": True,
        "role": "master",
        "master": "yasu",
        "term": 3,
        "since": 1000,
        "run": None,
        "nagios": "running",
        "pid": 77,
        "status_age": 1.0,
        "flags": {"notifications": True, "service_checks": True, "host_checks": True},
        "wanted_flags": {"notifications": True, "service_checks": True, "host_checks": True},
        "overrides": {},
        "paused": {"by": "root@yasu", "reason": "kernel", "since": 1500, "until": None},
        "problems": [],
    }
    assert given["lease"] is None, "without [quorum]"
    members = (("https://192.0.2.1:2379", ""), ("https://192.0.2.2:2379", "Connection refused"))
    lease = LeaseView("yasu", 3, 0.0, "nabira: standby, the lease is yasu's for 29 s", members)
    assert overview_json(overview(lease=lease))["lease"] == {
        "holder": "yasu",
        "term": 3,
        "left": 0.0,
        "said": "nabira: standby, the lease is yasu's for 29 s",
        "etcd": {"https://192.0.2.1:2379": None, "https://192.0.2.2:2379": "Connection refused"},
    }
    assert given["verdict"] == {"state": "OK", "code": "alive", "sentence": "yasu: alive", "hint": ""}
