from dataclasses import replace

import pytest

from nagios_failover.evidence import PauseMarker
from nagios_failover.flag_report import Limits, OpenRun, Problem, Seen, report
from nagios_failover.role import Override, Owner, RoleRecord, lapsed, role_flags, wanted_flags
from nagios_failover.status_data import ProgramStatus
from nagios_failover.words import Flag, Mode, Role, State

NOW = 10_000.0
LIMITS = Limits(status_age=60, pause=3600)
ON = {Flag.NOTIFICATIONS: True, Flag.SERVICE_CHECKS: True, Flag.HOST_CHECKS: True}
OFF = dict.fromkeys(ON, False)
MASTER = RoleRecord(Role.MASTER, "yasu", 3, "", 9_000)
STANDBY = RoleRecord(Role.STANDBY, "nabira", 3, "", 9_000)


def status(flags: dict[Flag, bool], *, age: int = 5) -> ProgramStatus:
    return ProgramStatus(created=int(NOW) - age, pid=1, program_start=1, flags=flags)


def well() -> Seen:
    return Seen(host="yasu", now=NOW, role=MASTER, status=status(ON), has_lock=True)


def muted(owner: Owner = Owner.OPERATOR, term: int = 3) -> Override:
    return Override(owner, {Flag.NOTIFICATIONS: False}, term, 9_400)


def says(seen: Seen, mode: Mode = Mode.FAILOVER) -> tuple[State, list[str]]:
    judged = report(seen, mode, LIMITS)
    return judged.state, judged.problems


def test_a_master_that_does_what_it_should() -> None:
    judged = report(well(), Mode.FAILOVER, LIMITS)
    assert (judged.state, judged.problems, dict(judged.differing)) == (State.OK, [], {})
    assert judged.sentence == "yasu: master, term 3: notifications on, service checks on, host checks on"


@pytest.mark.parametrize(("mode", "checks"), [(Mode.FAILOVER, False), (Mode.REDUNDANCY, True)])
def test_a_standby_that_does_what_it_should(mode: Mode, checks: bool) -> None:
    flags = {Flag.NOTIFICATIONS: False, Flag.SERVICE_CHECKS: checks, Flag.HOST_CHECKS: checks}
    judged = report(Seen(host="yasu", now=NOW, role=STANDBY, status=status(flags)), mode, LIMITS)
    word = "on" if checks else "off"
    assert judged.state is State.OK
    assert judged.sentence == f"yasu: standby of nabira, term 3: notifications off, service checks {word}, host checks {word}"


def test_a_master_that_came_back_passive_is_critical_and_says_which_flags() -> None:
    judged = report(replace(well(), status=status({**OFF, Flag.HOST_CHECKS: True})), Mode.FAILOVER, LIMITS)
    assert judged.state is State.CRITICAL
    assert judged.problems == ["yasu: role is master (term 3), but Nagios has notifications off, service checks off"]
    assert judged.differing == {Flag.NOTIFICATIONS: True, Flag.SERVICE_CHECKS: True}


def test_a_role_that_cannot_be_read_changes_no_flag() -> None:
    seen = replace(well(), role=Problem("the role file /x/role does not exist", "nagios-failover init"), has_lock=False)
    judged = report(seen, Mode.FAILOVER, LIMITS)
    assert judged.state is State.WARNING
    assert judged.problems == [
        "yasu: the role file /x/role does not exist: no flag is changed; "
        "Nagios goes on with notifications on, service checks on, host checks on"
    ]
    assert (judged.wanted, dict(judged.differing)) == (None, {})


def test_an_operators_flag_is_no_difference_but_is_not_forgotten() -> None:
    seen = replace(well(), overrides=[muted()], status=status({**ON, Flag.NOTIFICATIONS: False}))
    judged = report(seen, Mode.FAILOVER, LIMITS)
    assert judged.state is State.WARNING
    assert judged.problems == ["yasu: an operator's command keeps notifications off (term 3, for 10 min)"]
    assert dict(judged.differing) == {}


def test_an_override_of_another_term_has_lapsed() -> None:
    judged = report(replace(well(), overrides=[muted(term=2)]), Mode.FAILOVER, LIMITS)
    assert (judged.state, judged.overrides) == (State.OK, ())


def test_a_fence_goes_before_the_role_until_the_term_is_above_it() -> None:
    fenced = muted(Owner.FENCE, term=4)
    judged = report(replace(well(), overrides=[fenced]), Mode.FAILOVER, LIMITS)
    assert judged.differing == {Flag.NOTIFICATIONS: False}
    assert "yasu: fenced by the other host, this host keeps notifications off (term 4, for 10 min)" in judged.problems
    assert [lapsed(fenced, replace(MASTER, term=term)) for term in (3, 4, 5)] == [False, False, True]


def test_the_fence_goes_before_isolation_and_isolation_before_the_operator() -> None:
    overrides = [
        Override(Owner.FENCE, {Flag.NOTIFICATIONS: False}, 3, 1),
        Override(Owner.OPERATOR, {Flag.NOTIFICATIONS: True, Flag.SERVICE_CHECKS: False, Flag.HOST_CHECKS: False}, 3, 1),
        Override(Owner.ISOLATED, {Flag.NOTIFICATIONS: True, Flag.SERVICE_CHECKS: True}, 3, 1),
    ]
    assert wanted_flags(MASTER, Mode.FAILOVER, overrides) == {
        Flag.NOTIFICATIONS: False,
        Flag.SERVICE_CHECKS: True,
        Flag.HOST_CHECKS: False,
    }


def test_an_override_that_cannot_be_read_stops_every_correction() -> None:
    seen = replace(well(), overrides=Problem("the override file of operator is garbled: 'x'"), status=status(OFF))
    judged = report(seen, Mode.FAILOVER, LIMITS)
    assert (judged.wanted, dict(judged.differing)) == (None, {})
    assert judged.problems == [
        "yasu: the override file of operator is garbled: 'x': which flags are wanted is unknown, none is changed"
    ]


def test_a_run_on_its_way_owns_the_flags() -> None:
    taking_over = RoleRecord(Role.TAKING_OVER, "yasu", 4, "r", 9_990)
    seen = replace(well(), role=taking_over, status=status(OFF), open_runs=[OpenRun("r", "failover", 7.2)], running=True)
    judged = report(seen, Mode.FAILOVER, LIMITS)
    assert (judged.state, judged.wanted) == (State.WARNING, None)
    assert judged.problems == ["yasu: run r (failover) is on its way for 7 s"]


def test_a_run_that_was_cut_off_is_critical_whatever_the_role() -> None:
    seen = replace(well(), open_runs=[OpenRun("r", "failover", 60)])
    assert says(seen) == (
        State.CRITICAL,
        ["yasu: run r (failover) was cut off: it is finished by the next call of the handler"],
    )


def test_a_role_between_two_without_a_run_needs_a_person() -> None:
    seen = replace(well(), role=RoleRecord(Role.TAKING_OVER, "yasu", 4, "r", 9_990))
    assert says(seen) == (State.CRITICAL, ["yasu: role is taking-over (term 4), but no run is open in the journal"])


def test_a_status_file_that_is_not_written_tells_nothing_of_the_flags() -> None:
    judged = report(replace(well(), status=status(OFF, age=61)), Mode.FAILOVER, LIMITS)
    assert (judged.state, dict(judged.differing)) == (State.WARNING, {})
    assert judged.problems == ["yasu: status.dat is 61 s old, more than 60 s: the flags are not known"]


def test_a_status_file_that_cannot_be_read_is_unknown() -> None:
    seen = replace(well(), status=Problem("/x/status.dat does not exist"))
    assert says(seen) == (State.UNKNOWN, ["yasu: could not look: /x/status.dat does not exist"])


@pytest.mark.parametrize(("role", "lost"), [(MASTER, "nothing is corrected"), (STANDBY, "it would not take over")])
@pytest.mark.parametrize(
    ("key", "what"), [("enable_event_handlers", "event handlers"), ("check_service_freshness", "freshness checks of services")]
)
def test_without_event_handlers_or_freshness_checks_nothing_happens(role: RoleRecord, lost: str, key: str, what: str) -> None:
    flags = ON if role is MASTER else OFF
    for value, state, problems in (
        ("0", State.CRITICAL, [f"yasu: Nagios's {what} are off: {lost}"]),
        ("1", State.OK, []),
    ):
        seen = replace(well(), role=role, has_lock=role is MASTER)
        seen = replace(seen, status=replace(status(flags), values={key: value}))
        assert says(seen) == (state, problems)


def test_a_clock_that_was_set_back_is_said() -> None:
    assert says(replace(well(), status=status(ON, age=-50))) == (
        State.WARNING,
        ["yasu: status.dat is of 50 s in the future: the clock was set back"],
    )


@pytest.mark.parametrize(("switched", "differs"), [(9_994, True), (9_995, False), (9_999, False), (20_000, True)])
def test_what_was_switched_after_status_dat_was_written_is_not_judged_yet(switched: int, differs: bool) -> None:
    judged = report(replace(well(), status=status(OFF), switched=switched), Mode.FAILOVER, LIMITS)
    assert bool(judged.differing) is differs
    assert judged.unsettled is not differs


def test_a_pause_is_mentioned_and_one_without_an_end_is_warned_of_after_an_hour() -> None:
    pause = PauseMarker(by="root", reason="kernel", since=int(NOW) - 7_200, until=int(NOW) + 600)
    judged = report(replace(well(), paused=pause), Mode.FAILOVER, LIMITS)
    assert (judged.state, judged.notes) == (State.OK, ("paused by root (10 min left)",))
    assert says(replace(well(), paused=replace(pause, until=None, since=int(NOW) - 3_000)))[0] is State.OK
    assert says(replace(well(), paused=replace(pause, until=None))) == (
        State.WARNING,
        ["yasu: paused for 120 min by root, without an end: no failover starts"],
    )


def test_a_flag_file_that_disagrees_with_the_role_is_said() -> None:
    standby = Seen(host="yasu", now=NOW, role=STANDBY, status=status(OFF), has_lock=True)
    assert says(standby) == (
        State.WARNING,
        ["yasu: failover.lock is there although the role is standby"],
    )
    assert says(replace(well(), has_lock=False)) == (
        State.WARNING,
        ["yasu: failover.lock is missing although the role is master"],
    )


def test_a_track_file_that_disagrees_with_the_role_is_said() -> None:
    assert says(replace(well(), track_astray=True)) == (
        State.WARNING,
        ["yasu: the file track does not say that the role is master: the console's address may be astray"],
    )


def test_the_worst_finding_is_the_state() -> None:
    seen = replace(well(), status=status(OFF), setup=[Problem("a restart of Nagios loses its flags")], has_lock=False)
    state, problems = says(seen)
    assert (state, len(problems)) == (State.CRITICAL, 3)


def test_the_flags_of_the_roles() -> None:
    assert role_flags(Mode.FAILOVER, active=True) == role_flags(Mode.REDUNDANCY, active=True) == ON
    assert role_flags(Mode.FAILOVER, active=False) == OFF
