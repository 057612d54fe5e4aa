"""What the log says after the last snapshot is in the state before Nagios loads it."""

from __future__ import annotations

from nagios_failover.event_log import Alert
from nagios_failover.gap import Gap, read_gap, told_problems
from tests.unit.snapshots import CREATED, comment, contact, downtime, host, info, program, service
from tests.unit.test_incidents import WATCH, block_of, convert, own_of

TEXT = "".join([info(), program(), host("web1"), service("web1", "HTTP"), service("web1", "LOAD"), contact()])
OPEN = service("web1", "HTTP", 2, current_notification_number=1, last_notification=CREATED - 500)


def stamped(*lines: str) -> list[str]:
    """`+5 TEXT`: five seconds after the snapshot."""
    return [f"[{CREATED + int(line.split(' ', 1)[0])}] {line.split(' ', 1)[1]}\n" for line in lines]


def gap_of(*lines: str, until: int = CREATED + 60, doubt: float = 2, quiet: int = 0) -> Gap:
    return read_gap(stamped(*lines), since=CREATED, until=until, doubt=doubt, watch_host=WATCH, quiet=quiet)


def http(*lines: str, text: str = TEXT, until: int = CREATED + 60, gap: Gap | None = None) -> dict[str, str]:
    made, inherited = convert(text, own_of(text), gap or gap_of(*lines, until=until))
    fields = dict(
        line[1:].split("=", 1) for line in block_of(made, "service_description=HTTP", "check_command=check").split("\n")[1:-1]
    )
    return {**fields, "in_doubt": ";".join(inherited.in_doubt), "untold": ";".join(inherited.untold)}


PROBLEM = (
    "+1 SERVICE ALERT: web1;HTTP;CRITICAL;SOFT;1;no answer",
    "+2 SERVICE ALERT: web1;HTTP;CRITICAL;SOFT;2;no answer",
    "+3 SERVICE NOTIFICATION: oncall;web1;HTTP;CRITICAL;mail-service;no; answer",
    "+3 SERVICE NOTIFICATION: boss;web1;HTTP;CRITICAL;mail-service;no; answer",
    "+3 SERVICE ALERT: web1;HTTP;CRITICAL;HARD;3;no; answer",
)
RECOVERY = (
    "+8 SERVICE NOTIFICATION: oncall;web1;HTTP;OK;mail-service;fine",
    "+8 SERVICE ALERT: web1;HTTP;OK;HARD;3;fine",
)


def with_open(**values: object) -> str:
    return TEXT.replace(
        service("web1", "HTTP"),
        service("web1", "HTTP", 2, current_notification_number=1, last_notification=CREATED - 500, **values),
    )


def test_a_problem_opened_and_mailed_in_the_gap_is_open_and_mailed_once() -> None:
    fields = http(*PROBLEM)
    assert (fields["current_state"], fields["state_type"], fields["current_attempt"]) == ("2", "1", "3")
    assert fields["current_notification_number"] == "1", "two contacts are one notification"
    assert fields["last_notification"] == str(CREATED + 3) and fields["notified_on_critical"] == "1"
    assert fields["plugin_output"] == "no; answer" and fields["last_state_change"] == str(CREATED + 3)
    assert fields["in_doubt"] == ""


def test_a_problem_still_soft_goes_on_from_its_attempt() -> None:
    fields = http(*PROBLEM[:2])
    assert (fields["current_state"], fields["state_type"], fields["current_attempt"]) == ("2", "0", "2")
    assert "notified_on_critical" not in fields


def test_a_recovery_mailed_in_the_gap_is_over() -> None:
    fields = http(*RECOVERY, text=with_open())
    assert (fields["current_state"], fields["current_notification_number"], fields["last_notification"]) == ("0", "0", "0")
    assert "notified_on_critical" not in fields


def test_opened_and_closed_in_the_gap_leaves_nothing() -> None:
    fields = http(*PROBLEM, *RECOVERY)
    assert (fields["current_state"], fields["current_notification_number"], fields["state_type"]) == ("0", "0", "1")


def test_a_problem_mailed_in_the_last_seconds_is_sent_again() -> None:
    fields = http(*PROBLEM, until=CREATED + 5)
    assert (fields["current_state"], fields["state_type"], fields["current_attempt"]) == ("2", "0", "2"), "one check before HARD"
    assert fields["current_notification_number"] == "0", "and it counts as the first"
    assert fields["notified_on_critical"] == "1", "it has left in most cases: if it is well already, its recovery is due"
    assert fields["in_doubt"] == "PROBLEM of web1/HTTP (logged 2 s before the last sign of life)"


def test_one_second_earlier_it_is_not() -> None:
    assert http(*PROBLEM, until=CREATED + 6)["in_doubt"] == ""


def test_a_recovery_mailed_in_the_last_seconds_is_sent_again() -> None:
    fields = http(*RECOVERY, text=with_open(), until=CREATED + 9)
    assert (fields["current_state"], fields["state_type"], fields["current_notification_number"]) == ("2", "1", "1")
    assert fields["notified_on_critical"] == "1"
    assert fields["in_doubt"] == "RECOVERY of web1/HTTP (logged 1 s before the last sign of life)"


def test_a_recovery_in_doubt_goes_to_those_whom_the_escalation_told() -> None:
    escalated = TEXT.replace(
        service("web1", "HTTP"),
        service("web1", "HTTP", 2, current_notification_number=3, last_notification=CREATED - 500),
    )
    assert http(*RECOVERY, text=escalated, until=CREATED + 9)["current_notification_number"] == "3"


def test_a_recovery_in_doubt_that_the_snapshot_has_already_is_sent_again() -> None:
    lines = ("-1 SERVICE NOTIFICATION: oncall;web1;HTTP;OK;mail-service;fine", "-1 SERVICE ALERT: web1;HTTP;OK;HARD;3;fine")
    fields = http(*lines, until=CREATED)
    assert (fields["current_state"], fields["notified_on_critical"]) == ("2", "1")


def test_an_old_recovery_is_no_business_of_the_gap() -> None:
    lines = ("-9 SERVICE NOTIFICATION: oncall;web1;HTTP;OK;mail-service;fine",)
    assert http(*lines, until=CREATED)["current_state"] == "0"


def test_what_the_snapshot_has_is_not_counted_twice() -> None:
    text = TEXT.replace(
        service("web1", "HTTP"), service("web1", "HTTP", 2, current_notification_number=1, last_notification=CREATED)
    )
    lines = ("+0 SERVICE NOTIFICATION: oncall;web1;HTTP;CRITICAL;mail-service;x", "+0 SERVICE ALERT: web1;HTTP;CRITICAL;HARD;3;x")
    assert http(*lines, text=text)["current_notification_number"] == "1"


def test_a_renotification_counts() -> None:
    fields = http("+4 SERVICE NOTIFICATION: oncall;web1;HTTP;CRITICAL;mail-service;x", text=with_open())
    assert (fields["current_notification_number"], fields["last_notification"]) == ("2", str(CREATED + 4))


def test_what_is_no_problem_notification_does_not_count() -> None:
    kinds = ("CUSTOM (CRITICAL)", "ACKNOWLEDGEMENT (CRITICAL)", "FLAPPINGSTART (CRITICAL)", "DOWNTIMESTART (CRITICAL)")
    fields = http(*(f"+4 SERVICE NOTIFICATION: oncall;web1;HTTP;{kind};mail;x;me;why" for kind in kinds), text=with_open())
    assert (fields["current_notification_number"], fields["last_notification"]) == ("1", str(CREATED - 500))


def test_an_acknowledgement_in_the_gap_holds_with_its_comment() -> None:
    line = "+4 EXTERNAL COMMAND: ACKNOWLEDGE_SVC_PROBLEM;web1;HTTP;2;1;1;me;known; being mended"
    made, inherited = convert(with_open(), own_of(TEXT), gap_of(line))
    fields = http(line, text=with_open())
    assert (fields["problem_has_been_acknowledged"], fields["acknowledgement_type"]) == ("1", "2")
    added = block_of(made, "comment_data=known; being mended")
    assert "\tcomment_id=40\n" in added and "\tentry_type=4\n" in added and "\tpersistent=1\n" in added
    assert "\tnext_comment_id=41\n" in made and inherited.deletes == ["DEL_SVC_COMMENT;40"]


def test_an_acknowledgement_ends_as_nagios_ends_it() -> None:
    normal = "+4 EXTERNAL COMMAND: ACKNOWLEDGE_SVC_PROBLEM;web1;HTTP;1;1;1;me;known"
    sticky = "+4 EXTERNAL COMMAND: ACKNOWLEDGE_SVC_PROBLEM;web1;HTTP;2;1;1;me;known"
    other = "+5 SERVICE ALERT: web1;HTTP;WARNING;HARD;3;better"
    acknowledged = "problem_has_been_acknowledged"
    assert http(normal, other, text=with_open())[acknowledged] == "0"
    assert http(sticky, other, text=with_open())[acknowledged] == "1"
    assert http(sticky, *RECOVERY, text=with_open())[acknowledged] == "0"
    assert http(sticky, "+5 EXTERNAL COMMAND: REMOVE_SVC_ACKNOWLEDGEMENT;web1;HTTP", text=with_open())[acknowledged] == "0"
    assert http(sticky)[acknowledged] == "0", "there is nothing to acknowledge"


def test_a_host_that_went_down_in_the_gap_is_down() -> None:
    lines = ("+2 HOST NOTIFICATION: oncall;web1;DOWN;mail-host;gone", "+2 HOST ALERT: web1;DOWN;HARD;3;gone")
    made, _ = convert(TEXT, own_of(TEXT), gap_of(*lines))
    fields = block_of(made, "host_name=web1", "current_state=1")
    assert "\tnotified_on_down=1\n" in fields and f"\tlast_time_down={CREATED + 2}\n" in fields


def test_a_downtime_that_ended_in_the_gap_is_over() -> None:
    text = TEXT + downtime("web1", "HTTP", 3, end_time=CREATED + 5)
    stopped = "+5 SERVICE DOWNTIME ALERT: web1;HTTP;STOPPED; Service has exited from a period of scheduled downtime"
    assert "servicedowntime" in convert(text, own_of(TEXT), gap_of())[0]
    assert "servicedowntime" not in convert(text, own_of(TEXT), gap_of(stopped))[0]


def test_a_flexible_downtime_that_began_in_the_gap_has_begun() -> None:
    text = TEXT + downtime("web1", "HTTP", 3, fixed=0, is_in_effect=0, start_notification_sent=0)
    started = "+5 SERVICE DOWNTIME ALERT: web1;HTTP;STARTED; Service has entered a period of scheduled downtime"
    waiting = convert(text, own_of(TEXT), gap_of())[0]
    begun = convert(text, own_of(TEXT), gap_of(started))[0]
    assert "\tis_in_effect=0\n" in waiting and "\tis_in_effect=1\n" in begun and f"\tflex_downtime_start={CREATED + 5}\n" in begun


def test_what_was_deleted_in_the_gap_stays_deleted() -> None:
    text = TEXT + comment("web1", "HTTP", 7) + downtime("web1", "HTTP", 3)
    made, _ = convert(
        text, own_of(TEXT), gap_of("+1 EXTERNAL COMMAND: DEL_SVC_COMMENT;7", "+1 EXTERNAL COMMAND: DEL_SVC_DOWNTIME;3")
    )
    assert "servicecomment" not in made and "servicedowntime" not in made


def test_an_operators_commands_are_given_anew_but_none_that_rules_the_program() -> None:
    lines = (
        "+1 EXTERNAL COMMAND: SCHEDULE_SVC_DOWNTIME;web1;HTTP;1;2;1;0;0;me;planned; really",
        "+1 EXTERNAL COMMAND: DISABLE_SVC_NOTIFICATIONS;web1;HTTP",
        "+1 EXTERNAL COMMAND: DISABLE_NOTIFICATIONS;",
        "+1 EXTERNAL COMMAND: SHUTDOWN_PROGRAM",
        "+1 EXTERNAL COMMAND: READ_STATE_INFORMATION;nagios-failover",
        "+1 EXTERNAL COMMAND: SCHEDULE_FORCED_SVC_CHECK;web1;HTTP;1",
        "+1 EXTERNAL COMMAND: PROCESS_SERVICE_CHECK_RESULT;web1;HTTP;2;x",
        f"+1 EXTERNAL COMMAND: ADD_HOST_COMMENT;{WATCH};1;me;mine",
        "-1 EXTERNAL COMMAND: ADD_HOST_COMMENT;web1;1;me;before the snapshot",
    )
    _, inherited = convert(TEXT, own_of(TEXT), gap_of(*lines))
    assert inherited.replay == [
        "SCHEDULE_SVC_DOWNTIME;web1;HTTP;1;2;1;0;0;me;planned; really",
        "DISABLE_SVC_NOTIFICATIONS;web1;HTTP",
    ]


def test_a_command_of_the_snapshots_own_second_is_not_given_twice() -> None:
    line = "+0 EXTERNAL COMMAND: ADD_SVC_COMMENT;web1;HTTP;1;me;seen"
    assert convert(TEXT, own_of(TEXT), gap_of(line))[1].replay == ["ADD_SVC_COMMENT;web1;HTTP;1;me;seen"]
    assert convert(TEXT + comment("web1", "HTTP", 7), own_of(TEXT), gap_of(line))[1].replay == []


def test_flapping_that_began_in_the_gap_is_flapping() -> None:
    line = (
        "+4 SERVICE FLAPPING ALERT: web1;HTTP;STARTED; Service appears to have started flapping (31.2% change >= 30.0% threshold)"
    )
    fields = http(line)
    assert fields["is_flapping"] == "1" and fields["state_history"].count(",") == 20


def test_a_problem_in_doubt_of_a_service_with_one_attempt_is_open_and_not_yet_hard() -> None:
    """Any next check is its last one: the PROBLEM if it is failed still, the RECOVERY if it is well."""
    single = http(*PROBLEM[2:], text=TEXT.replace("max_attempts=3", "max_attempts=1"), until=CREATED + 5)
    assert (single["current_state"], single["state_type"], single["current_attempt"]) == ("2", "0", "1")
    assert (single["current_notification_number"], single["notified_on_critical"]) == ("0", "1")


def test_a_problem_in_doubt_of_a_host_stays_hard_and_was_up_before() -> None:
    """SOFT, Nagios 4.4 would never make it HARD again, and would tell nobody of its recovery."""
    lines = ("+2 HOST NOTIFICATION: oncall;web1;DOWN;mail-host;gone", "+2 HOST ALERT: web1;DOWN;HARD;3;gone")
    made, inherited = convert(TEXT, own_of(TEXT), gap_of(*lines, until=CREATED + 3))
    fields = dict(line[1:].split("=", 1) for line in block_of(made, "host_name=web1", "current_state=1").split("\n")[1:-1])
    assert (fields["state_type"], fields["current_attempt"], fields["last_hard_state"]) == ("1", "3", "0")
    assert (fields["current_notification_number"], fields["notified_on_down"]) == ("0", "1")
    assert fields["last_notification"] == str(CREATED + 2), "or the check of a service on it would notify first"
    assert inherited.in_doubt == ["PROBLEM of web1 (logged 1 s before the last sign of life)"]


def test_a_torn_last_line_says_nothing() -> None:
    gap = read_gap(["[17953", f"[{CREATED + 1}] SERVICE ALERT: web1;HT"], since=CREATED, until=0, doubt=2, watch_host=WATCH)
    assert gap.events == {} and gap.until == CREATED + 1


def test_states_that_a_log_begins_with_are_no_events() -> None:
    gap = gap_of("+1 CURRENT SERVICE STATE: web1;HTTP;CRITICAL;HARD;3;x", "+1 LOG ROTATION: DAILY", "+1 LOG VERSION: 2.0")
    assert gap.events == {} and gap.lines == 3
    assert not any(isinstance(event, Alert) for events in gap.events.values() for event in events)


# --- a master that hands over: told to be silent two seconds before the snapshot ---

QUIET = CREATED - 2


def handed_over(*lines: str, text: str = TEXT, earlier: tuple[str, ...] = ()) -> dict[str, str]:
    gap = gap_of(*lines, until=CREATED + 4, quiet=QUIET)
    gap.told = told_problems(stamped(*earlier, *lines), gap.recovered_in_silence())
    return http(text=text, gap=gap)


def test_what_a_master_that_hands_over_has_logged_has_left() -> None:
    fields = handed_over(*PROBLEM[2:], text=TEXT)
    assert (fields["current_state"], fields["state_type"], fields["current_notification_number"]) == ("2", "1", "1")
    assert (fields["in_doubt"], fields["untold"]) == ("", "")
    snapshot = with_open().replace(str(CREATED - 500), str(CREATED - 1))
    assert handed_over(text=snapshot)["current_notification_number"] == "1", "in the snapshot already"


def test_a_problem_that_it_saw_in_silence_becomes_hard_once_more_here() -> None:
    fields = handed_over(*PROBLEM[:2], PROBLEM[4])
    assert (fields["state_type"], fields["current_attempt"], fields["current_notification_number"]) == ("0", "2", "0")
    assert fields["untold"] == "PROBLEM of web1/HTTP" and "notified_on_critical" not in fields


def test_a_problem_that_the_snapshot_has_already_but_nobody_was_told_does_too() -> None:
    silent = TEXT.replace(service("web1", "HTTP"), service("web1", "HTTP", 2))
    fields = handed_over("-1 SERVICE ALERT: web1;HTTP;CRITICAL;HARD;3;no answer", text=silent)
    assert (fields["state_type"], fields["current_attempt"], fields["untold"]) == ("0", "2", "PROBLEM of web1/HTTP")


def test_a_problem_that_was_logged_a_second_before_its_alert_is_not_told_twice() -> None:
    """Nagios writes the notification first, and each line has its own second: the master was told to be silent in the alert's."""
    told = service("web1", "HTTP", 2, current_notification_number=1, last_notification=QUIET - 1)
    lines = ("-3 " + PROBLEM[2].partition(" ")[2], "-2 " + PROBLEM[4].partition(" ")[2])
    fields = handed_over(*lines, text=TEXT.replace(service("web1", "HTTP"), told))
    assert (fields["state_type"], fields["current_notification_number"], fields["untold"]) == ("1", "1", "")


def test_a_worse_problem_that_it_saw_in_silence_is_told_here() -> None:
    """People were told of a WARNING: its number stays, and Nagios has forgotten the time with the change."""
    worse = service("web1", "HTTP", 2, current_notification_number=1, last_notification=0)
    fields = handed_over("-1 " + PROBLEM[4].partition(" ")[2], text=TEXT.replace(service("web1", "HTTP"), worse))
    assert (fields["state_type"], fields["current_attempt"], fields["untold"]) == ("0", "2", "PROBLEM of web1/HTTP")


def test_a_recovery_that_it_saw_in_silence_is_told_here() -> None:
    fields = handed_over(RECOVERY[1], text=with_open())
    assert (fields["current_state"], fields["current_notification_number"]) == ("2", "1"), "the next check finds it well"
    assert fields["untold"] == "RECOVERY of web1/HTTP"
    assert handed_over(*RECOVERY, text=with_open())["current_state"] == "0", "one that was told is over"


def test_a_recovery_that_the_snapshot_has_already_is_told_if_people_were_told_of_the_problem() -> None:
    recovered, told = "-1 SERVICE ALERT: web1;HTTP;OK;HARD;3;fine", PROBLEM[2].replace("+3 ", "-900 ")
    well = TEXT.replace(service("web1", "HTTP"), service("web1", "HTTP", last_time_critical=CREATED - 2))
    assert handed_over(recovered, text=well)["untold"] == ""
    fields = handed_over(recovered, text=well, earlier=(told,))
    assert (fields["current_state"], fields["untold"]) == ("2", "RECOVERY of web1/HTTP")
    over = (told, RECOVERY[0].replace("+8 ", "-800 "))
    assert handed_over(recovered, text=well, earlier=over)["untold"] == ""


def test_what_is_known_to_be_a_problem_is_not_loaded_as_well_to_be_told_of_another() -> None:
    warned = TEXT.replace(
        service("web1", "HTTP"),
        service("web1", "HTTP", 1, max_attempts=1, current_notification_number=1, last_notification=CREATED - 500),
    )
    fields = handed_over("+1 SERVICE ALERT: web1;HTTP;CRITICAL;HARD;1;no answer", text=warned)
    assert (fields["current_state"], fields["last_notification"], fields["untold"]) == ("2", "0", "PROBLEM of web1/HTTP")
