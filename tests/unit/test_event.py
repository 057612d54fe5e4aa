"""What Nagios tells the handler, and what follows from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nagios_failover.config import Config
from nagios_failover.errors import UsageError
from nagios_failover.event import Act, Event, concerns_us, decide, parse_event
from nagios_failover.looks import Look
from nagios_failover.role import RoleRecord
from nagios_failover.verdict import Code
from nagios_failover.words import HostState, Role, State, StateType
from tests.fake_world import config_of

WATCH = "nagios-failover"
FORBIDDEN = "a macro holds a character that no object's name has: "
STANDBY = RoleRecord(Role.STANDBY, "yasu", 3, "", 1)
MASTER = RoleRecord(Role.MASTER, "nabira", 3, "", 1)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return config_of(tmp_path)


@pytest.fixture
def automatic(tmp_path: Path) -> Config:
    return config_of(tmp_path, "[pair]\nfailback = automatic\n")


def look(code: Code, state: State = State.WARNING) -> Look:
    return Look("yasu", 1.0, 1.0, "boot", "check", state, code, "a sentence")


def event(state: str, kind: str = "HARD", service: str = "Master Nagios") -> Event:
    return parse_event((WATCH, service, state, kind, "3"))


def test_the_service_form_and_the_host_form() -> None:
    assert parse_event((WATCH, "Master Nagios", "CRITICAL", "HARD", "3")) == Event(
        WATCH, "Master Nagios", State.CRITICAL, StateType.HARD, 3
    )
    assert parse_event(("yasu", "DOWN", "SOFT", "1")) == Event("yasu", None, HostState.DOWN, StateType.SOFT, 1)


@pytest.mark.parametrize(
    ("macros", "sentence"),
    [
        ((), "0 macros instead of 5 (service) or 4 (host)"),
        (("a", "b", "c", "d", "e", "f"), "6 macros instead of 5 (service) or 4 (host)"),
        ((WATCH, "Master Nagios", "critical", "HARD", "3"), "unknown state 'critical'"),
        ((WATCH, "Master Nagios", "DOWN", "HARD", "3"), "unknown state 'DOWN'"),
        (("yasu", "CRITICAL", "HARD", "3"), "unknown state 'CRITICAL'"),
        ((WATCH, "Master Nagios", "CRITICAL", "hard", "3"), "unknown state type 'hard'"),
        ((WATCH, "Master Nagios", "CRITICAL", "HARD", "three"), "'three' is not the number of an attempt"),
        ((WATCH, "Master Nagios", "CRITICAL", "HARD", "٣"), "'٣' is not the number of an attempt"),
        (
            (WATCH, "Master\nNagios", "CRITICAL", "HARD", "3"),
            f"{FORBIDDEN}'Master\\nNagios'",
        ),
        ((WATCH, "a'b", "CRITICAL", "HARD", "3"), f'{FORBIDDEN}"a\'b"'),
        ((WATCH, "a;b", "CRITICAL", "HARD", "3"), f"{FORBIDDEN}'a;b'"),
        ((WATCH, "$(id)", "CRITICAL", "HARD", "3"), f"{FORBIDDEN}'$(id)'"),
        ((WATCH, "$SERVICEDESC$", "CRITICAL", "HARD", "3"), f"{FORBIDDEN}'$SERVICEDESC$'"),
        ((WATCH, "", "CRITICAL", "HARD", "3"), "an empty name"),
    ],
)
def test_macros_that_nagios_does_not_give_are_refused_in_a_sentence(macros: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_event(macros)
    assert str(caught.value) == sentence and caught.value.hint


def test_only_the_watch_host_and_the_other_host_concern_us(config: Config) -> None:
    assert concerns_us(event("OK"), config)
    assert not concerns_us(parse_event(("web1", "Master Nagios", "CRITICAL", "HARD", "3")), config)
    assert concerns_us(parse_event(("yasu", "DOWN", "HARD", "3")), config)
    assert not concerns_us(parse_event(("nabira", "DOWN", "HARD", "3")), config)
    assert not concerns_us(parse_event(("web1", "DOWN", "HARD", "3")), config)


@pytest.mark.parametrize("state", ["OK", "WARNING", "UNKNOWN"])
def test_nothing_but_critical_starts_a_failover(config: Config, state: str) -> None:
    assert decide(event(state), config, STANDBY, None) is Act.NOTHING


def test_hard_critical_of_the_masters_watch_starts_one_even_without_a_recorded_look(config: Config) -> None:
    assert decide(event("CRITICAL"), config, STANDBY, None) is Act.FAILOVER
    assert decide(event("CRITICAL"), config, STANDBY, look(Code.ALIVE, State.OK)) is Act.FAILOVER, "the run looks for itself"


def test_soft_states_and_other_services_start_none(config: Config) -> None:
    assert decide(event("CRITICAL", "SOFT"), config, STANDBY, None) is Act.NOTHING
    assert decide(event("CRITICAL", service="Another"), config, STANDBY, None) is Act.NOTHING


@pytest.mark.parametrize(
    ("state", "kind", "act"),
    [
        ("DOWN", "HARD", Act.FAILOVER),
        ("DOWN", "SOFT", Act.NOTHING),
        ("UNREACHABLE", "HARD", Act.NOTHING),
        ("UP", "HARD", Act.NOTHING),
    ],
)
def test_in_the_host_form_only_hard_down_starts_one(config: Config, state: str, kind: str, act: Act) -> None:
    assert decide(parse_event(("yasu", state, kind, "3")), config, STANDBY, None) is act


def test_without_a_readable_role_nothing_is_started(config: Config) -> None:
    assert decide(event("CRITICAL"), config, None, None) is Act.NOTHING


@pytest.mark.parametrize("code", [Code.PEER_GONE, Code.PEER_ACTIVE, Code.CRASHED])
def test_a_master_never_fails_over(config: Config, code: Code) -> None:
    assert decide(event("CRITICAL"), config, MASTER, look(code, State.CRITICAL)) is Act.NOTHING


def test_two_masters_are_fenced_at_the_first_look_where_there_is_something_to_fence_with(tmp_path: Path) -> None:
    able = config_of(tmp_path, "[fence]\nuser = nagios\n")
    beside = look(Code.PEER_ACTIVE, State.CRITICAL)
    for kind in ("SOFT", "HARD"):
        assert decide(event("CRITICAL", kind), able, MASTER, beside) is Act.FENCE
    assert decide(event("CRITICAL"), able, STANDBY, beside) is Act.FAILOVER
    assert decide(event("CRITICAL"), able, MASTER, look(Code.PEER_OUTRANKS, State.CRITICAL)) is Act.STAND_DOWN
    preferred = config_of(tmp_path, "[fence]\nuser = nagios\n[pair]\nfailback = automatic\n")
    assert decide(event("CRITICAL"), preferred, MASTER, beside) is Act.GIVE_BACK


def test_a_master_that_is_outranked_stands_down(config: Config) -> None:
    assert decide(event("CRITICAL"), config, MASTER, look(Code.PEER_OUTRANKS, State.CRITICAL)) is Act.STAND_DOWN


def test_the_state_watch_is_corrected_in_every_role(config: Config) -> None:
    for role in (STANDBY, MASTER, None):
        assert decide(event("WARNING", service="Failover state"), config, role, None) is Act.CORRECT


def test_the_way_back_is_automatic_only_where_it_is_configured(config: Config, automatic: Config) -> None:
    assert decide(event("WARNING"), config, MASTER, look(Code.PEER_RETURNED)) is Act.NOTHING
    assert decide(event("WARNING"), automatic, MASTER, look(Code.PEER_RETURNED)) is Act.GIVE_BACK
    assert decide(event("CRITICAL"), automatic, MASTER, look(Code.PEER_ACTIVE, State.CRITICAL)) is Act.GIVE_BACK
    assert decide(event("WARNING"), automatic, MASTER, look(Code.PEER_GONE)) is Act.WITHDRAW


def test_only_the_preferred_host_takes_what_is_offered(tmp_path: Path, automatic: Config) -> None:
    assert decide(event("WARNING"), automatic, STANDBY, look(Code.HANDOVER)) is Act.NOTHING, "nabira is not the preferred host"
    preferred = config_of(tmp_path, "[pair]\nfailback = automatic\npreferred = nabira\n")
    assert decide(event("WARNING"), preferred, STANDBY, look(Code.HANDOVER)) is Act.FAILBACK
