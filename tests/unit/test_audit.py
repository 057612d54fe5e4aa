"""What an audit finds in two logs, and what it must not find."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from nagios_failover.audit import audit
from nagios_failover.findings import Audit, Finding, Kind, Sent, Takeover, clock
from nagios_failover.gap import Fields, Key
from nagios_failover.notification_rules import AllRules, Contact, Rules
from nagios_failover.one_history import one_history

T = 1795618800
"""nabira takes over at T + 100; yasu's Nagios dies at about T + 90."""
ACTIVE = T + 100
WEB: Key = ("web1", "HTTP")
RULES = Rules(interval=3600, check_interval=5, contacts=("oncall",))
CONTACTS = {"oncall": Contact("oncall@example.com"), "boss": Contact("boss@example.com", service_options="c")}


def alert(at: int, state: str, *, soft: int = 0, key: Key = WEB) -> str:
    kind = f"SERVICE ALERT: {key[0]};{key[1]}" if key[1] else f"HOST ALERT: {key[0]}"
    return f"[{T + at}] {kind};{state};{'SOFT' if soft else 'HARD'};{soft or 3};it says; a lot\n"


def mail(at: int, state: str, *, contact: str = "oncall", key: Key = WEB, said: str = "") -> str:
    names = ";".join(part for part in key if part)
    kind = "SERVICE" if key[1] else "HOST"
    return f"[{T + at}] {kind} NOTIFICATION: {contact};{names};{said or state};mail;it says; a lot\n"


def command(at: int, text: str) -> str:
    return f"[{T + at}] EXTERNAL COMMAND: {text}\n"


def active(at: int) -> str:
    return "".join(
        command(at, f"{name};nagios-failover")
        for name in ("ENABLE_NOTIFICATIONS", "START_EXECUTING_SVC_CHECKS", "START_EXECUTING_HOST_CHECKS")
    )


OPENED = mail(10, "CRITICAL") + alert(10, "CRITICAL")


def found(yasu: str, nabira: str, **given: Any) -> list[Finding]:
    return audited(yasu, nabira, **given).findings


def audited(
    yasu: str,
    nabira: str,
    *,
    rules: Mapping[Key, Rules] | None = None,
    status: Mapping[Key, Fields] | None = None,
    now: int = 1000,
    seen_at: int = 0,
    seen_active: int = 0,
    **takeover: Any,
) -> Audit:
    """As nabira, the new master, sees it."""
    history = one_history(
        "nabira",
        "yasu",
        (active(100) + nabira).splitlines(keepends=True),
        yasu.splitlines(keepends=True),
        since=T,
        own_runs=[(ACTIVE - 1, ACTIVE + 1)],
        master="nabira",
    )
    known = AllRules(dict({WEB: RULES} if rules is None else rules), dict(CONTACTS))
    run = Takeover("RUN", "nabira", float(ACTIVE + seen_active), **takeover)
    return audit(history, known, takeovers=[run], status=status or {}, seen_at=seen_at, watch_host="nagios-failover", now=T + now)


def test_an_incident_that_is_mailed_once_and_recovers_is_clean() -> None:
    result = audited(OPENED, mail(120, "OK") + alert(120, "OK"))
    assert result.findings == [] and result.notes == []
    assert result.sent == {("PROBLEM", "yasu"): 1, ("RECOVERY", "nabira"): 1}


def test_a_merged_log_counts_each_line_once() -> None:
    assert found(OPENED, OPENED + mail(120, "OK") + alert(120, "OK")) == []


def test_a_problem_that_both_mailed_is_doubled() -> None:
    again = alert(101, "CRITICAL", soft=1) + mail(103, "CRITICAL") + alert(103, "CRITICAL")
    [one] = found(OPENED, again)
    assert (one.kind, one.notification, one.name, one.contact) == (Kind.DOUBLED, "PROBLEM", "web1/HTTP", "oncall")
    assert one.why == f"by yasu at {clock(T + 10)}, by nabira at {clock(T + 103)}"
    assert [(sent.host, sent.time) for sent in one.sent] == [("yasu", T + 10), ("nabira", T + 103)]


def test_the_same_line_twice_in_one_log_is_doubled() -> None:
    assert [one.kind for one in found(mail(10, "CRITICAL") + OPENED, "")] == [Kind.DOUBLED]


def test_a_recovery_that_both_mailed_is_doubled() -> None:
    well = mail(80, "OK") + alert(80, "OK")
    [one] = found(OPENED + well, mail(120, "OK") + alert(120, "OK"))
    assert (one.kind, one.notification) == (Kind.DOUBLED, "RECOVERY")


def test_what_the_run_called_in_doubt_is_in_doubt() -> None:
    [one] = found(
        mail(89, "CRITICAL") + alert(89, "CRITICAL"),
        mail(101, "CRITICAL"),
        in_doubt=("PROBLEM of web1/HTTP (logged 1 s before the last sign of life)",),
    )
    assert one.kind is Kind.DOUBT
    assert one.why.endswith(": logged 1 s before the last sign of life")


def test_what_was_in_doubt_and_is_not_sent_again_is_named_too() -> None:
    doubt = "PROBLEM of web1/HTTP (logged 1 s before the last sign of life)"
    [one] = found(mail(89, "CRITICAL") + alert(89, "CRITICAL"), "", in_doubt=(doubt,))
    assert (one.kind, one.why) == (Kind.DOUBT, "logged 1 s before the last sign of life; not seen to be sent again")


def test_a_renotification_is_due_again_and_no_double() -> None:
    often = {WEB: Rules(interval=20, check_interval=5, contacts=("oncall",))}
    assert found(OPENED, mail(110, "CRITICAL") + mail(130, "CRITICAL"), rules=often) == []
    [early] = found(OPENED + mail(89, "CRITICAL"), mail(101, "CRITICAL"), rules=often)
    assert early.kind is Kind.DOUBLED


def test_another_state_is_another_problem() -> None:
    assert found(mail(10, "WARNING") + alert(10, "WARNING"), mail(110, "CRITICAL") + alert(110, "CRITICAL")) == []


def test_a_volatile_service_is_mailed_each_time() -> None:
    volatile = {WEB: Rules(interval=3600, check_interval=5, volatile=True, contacts=("oncall",))}
    assert found(OPENED, mail(110, "CRITICAL") + mail(115, "CRITICAL"), rules=volatile) == []


def test_without_its_definition_a_double_of_two_hosts_is_in_doubt() -> None:
    [one] = found(OPENED, mail(110, "CRITICAL"), rules={})
    assert one.kind is Kind.DOUBT and one.why.endswith("its notification_interval is not known here")


def test_a_problem_that_nobody_mailed_is_missing() -> None:
    [one] = found(alert(10, "CRITICAL"), "")
    assert (one.kind, one.notification, one.contact) == (Kind.MISSING, "PROBLEM", "")
    assert one.why == f"HARD CRITICAL since {clock(T + 10)}, as yasu logged"


def test_a_problem_that_is_over_before_it_was_mailed_is_missing() -> None:
    assert [one.kind for one in found(alert(10, "CRITICAL") + alert(12, "OK"), "")] == [Kind.MISSING]


def test_a_recovery_that_nobody_mailed_is_missing() -> None:
    [one] = found(OPENED, alert(120, "OK"))
    assert (one.kind, one.notification, one.contact) == (Kind.MISSING, "RECOVERY", "oncall")
    assert one.why == f"PROBLEM by yasu at {clock(T + 10)}, well at {clock(T + 120)}"


def test_a_recovery_is_due_to_those_who_got_the_last_problem() -> None:
    escalated = {WEB: Rules(interval=20, check_interval=5, escalated=True, contacts=("oncall",))}
    second = mail(40, "CRITICAL", contact="second")
    assert found(OPENED + second, mail(120, "OK", contact="second") + alert(120, "OK"), rules=escalated) == []
    [one] = found(OPENED + second, alert(120, "OK"), rules=escalated)
    assert one.contact == "second"


def test_a_contact_that_wants_no_recovery_gets_none() -> None:
    boss = {WEB: Rules(interval=3600, check_interval=5, contacts=("boss",))}
    assert found(mail(10, "CRITICAL", contact="boss") + alert(10, "CRITICAL"), alert(120, "OK"), rules=boss) == []


def test_a_state_that_nobody_wants_to_know_is_not_missing() -> None:
    boss = {WEB: Rules(interval=3600, check_interval=5, contacts=("boss",))}
    assert found(alert(10, "WARNING"), "", rules=boss) == []


@pytest.mark.parametrize(
    "before",
    [
        command(5, "ACKNOWLEDGE_SVC_PROBLEM;web1;HTTP;2;0;1;me;known; being mended"),
        f"[{T + 5}] SERVICE DOWNTIME ALERT: web1;HTTP;STARTED; Service has entered\n",
        f"[{T + 5}] HOST DOWNTIME ALERT: web1;STARTED; Host has entered\n",
        f"[{T + 5}] SERVICE FLAPPING ALERT: web1;HTTP;STARTED; it flaps\n",
        alert(5, "DOWN", soft=1, key=("web1", "")),
        command(5, "DISABLE_NOTIFICATIONS"),
        command(5, "DISABLE_SVC_NOTIFICATIONS;web1;HTTP"),
    ],
    ids=["acknowledged", "downtime", "host downtime", "flapping", "host down", "off", "service off"],
)
def test_what_keeps_nagios_quiet_makes_nothing_missing(before: str) -> None:
    silent = "DISABLE_NOTIFICATIONS" in before
    own = command(110, "DISABLE_NOTIFICATIONS") if silent else ""
    assert found(before + alert(10, "CRITICAL"), own, now=100 if silent else 1000) == []


def test_a_problem_that_outlives_its_downtime_is_missing() -> None:
    ended = f"[{T + 110}] SERVICE DOWNTIME ALERT: web1;HTTP;STOPPED; it left\n"
    [one] = found(f"[{T + 5}] SERVICE DOWNTIME ALERT: web1;HTTP;STARTED; it is in\n" + alert(10, "CRITICAL"), ended)
    assert (one.kind, one.time) == (Kind.MISSING, T + 110)
    began_earlier = found(alert(10, "CRITICAL"), ended)
    assert [(late.kind, late.time) for late in began_earlier] == [(Kind.MISSING, T + 110)]


def test_a_downtime_that_was_inherited_is_one_though_both_log_its_start() -> None:
    started = f"[{T + 5}] SERVICE DOWNTIME ALERT: web1;HTTP;STARTED; it is in\n"
    own = started.replace(f"{T + 5}", f"{T + 99}") + f"[{T + 110}] SERVICE DOWNTIME ALERT: web1;HTTP;STOPPED; it left\n"
    assert [one.time for one in found(started + alert(10, "CRITICAL"), own)] == [T + 110]
    assert found(started + alert(10, "CRITICAL"), own + mail(115, "CRITICAL")) == []


def test_a_normal_acknowledgement_ends_with_the_state_and_a_sticky_one_does_not() -> None:
    worse = alert(40, "CRITICAL")
    for sticky, kinds in ((1, [Kind.MISSING]), (2, [])):
        acknowledged = command(20, f"ACKNOWLEDGE_SVC_PROBLEM;web1;HTTP;{sticky};0;1;me;known")
        before = mail(10, "WARNING") + alert(10, "WARNING") + acknowledged
        assert [one.kind for one in found(before + worse, "")] == kinds


def test_a_mute_masters_incidents_are_not_missing_and_the_operators_word_is_inherited() -> None:
    off = command(5, "DISABLE_NOTIFICATIONS;")
    history = one_history(
        "nabira",
        "yasu",
        command(100, "DISABLE_NOTIFICATIONS;nagios-failover").splitlines(keepends=True)
        + command(100, "START_EXECUTING_SVC_CHECKS;nagios-failover").splitlines(keepends=True)
        + [alert(120, "CRITICAL")],
        (off + alert(10, "WARNING")).splitlines(keepends=True),
        since=T,
        own_runs=[(ACTIVE - 1, ACTIVE + 1)],
        master="nabira",
    )
    assert history.reigns.at(T + 120) == "nabira"
    known = AllRules({WEB: RULES}, dict(CONTACTS))
    assert audit(history, known, takeovers=[], status={}, watch_host="x", now=T + 1000).findings == []


def test_a_command_for_many_makes_it_a_doubt() -> None:
    [one] = found(command(5, "DISABLE_HOSTGROUP_SVC_NOTIFICATIONS;webs") + alert(10, "CRITICAL"), "")
    assert one.kind is Kind.DOUBT and one.why.endswith("DISABLE_HOSTGROUP_SVC_NOTIFICATIONS was given before")


def test_a_notification_period_makes_it_a_doubt() -> None:
    daily = {WEB: Rules(interval=0, check_interval=5, contacts=("oncall",), unsure="its notification period is workhours")}
    [one] = found(alert(10, "CRITICAL"), "", rules=daily)
    assert one.kind is Kind.DOUBT and one.why.endswith("; its notification period is workhours")


def test_a_problem_of_a_moment_ago_is_not_missing_yet() -> None:
    assert found(alert(10, "CRITICAL"), "", now=15) == []


def test_where_nothing_was_fetched_the_first_check_of_an_object_is_in_doubt() -> None:
    early = alert(101, "CRITICAL", soft=1) + mail(104, "CRITICAL") + alert(104, "CRITICAL") + mail(140, "OK") + alert(140, "OK")
    result = audited(alert(1, "OK", key=("web9", "HTTP")), early, fetched=False, known_until=T + 80)
    [one] = result.findings
    assert (one.kind, one.notification, one.time) == (Kind.DOUBT, "PROBLEM", T + 104)
    assert one.why == f"by nabira at {clock(T + 104)}: what yasu sent after {clock(T + 80)} is not known here"
    assert result.notes == [
        f"nothing could be fetched from yasu at the failover of {clock(ACTIVE)}: what it sent after {clock(T + 80)} is in its own "
        "log only; audit there when it is back"
    ]
    late = alert(150, "CRITICAL", soft=1) + mail(154, "CRITICAL") + alert(154, "CRITICAL")
    assert found("", late, fetched=False, known_until=T + 80) == []
    assert found(alert(200, "OK", key=("web9", "HTTP")), early, fetched=False) == [], "its log has been copied since"


def test_what_was_sent_before_the_run_had_seen_its_flags_in_status_dat_is_in_doubt_too() -> None:
    recovered = mail(102, "OK") + alert(102, "OK")
    [one] = found(OPENED, recovered, fetched=False, known_until=T + 80, seen_active=4)
    assert (one.kind, one.notification, one.time) == (Kind.DOUBT, "RECOVERY", T + 102)


def test_an_incident_that_the_new_master_never_learned_of_and_is_over_lacks_its_recovery() -> None:
    """Its end is in no log: only today's status.dat shows it."""
    [one] = found(OPENED, "", seen_at=T + 500)
    assert (one.kind, one.notification, one.contact) == (Kind.MISSING, "RECOVERY", "oncall")
    assert one.why == f"PROBLEM by yasu at {clock(T + 10)}, well at {clock(T + 500)}"
    assert (one.time, one.sent) == (T + 500, (Sent(T + 10, "yasu"),)), "the PROBLEM that it ends is named with it"
    assert found(OPENED, "", seen_at=T + 500, status={WEB: {"current_state": "2"}}) == []
    assert found(OPENED, "", seen_at=T + 15) == [], "too soon to tell"


def test_what_a_standby_logs_is_no_incident() -> None:
    """In redundancy mode both check; the mute one's alerts count for nothing."""
    assert found("", alert(10, "CRITICAL") + alert(50, "OK")) == []


def test_two_commands_of_a_contact_are_two_lines_of_one_notification() -> None:
    both = mail(10, "CRITICAL") + mail(10, "CRITICAL").replace(";mail;", ";page;") + alert(10, "CRITICAL")
    well = mail(120, "OK") + mail(120, "OK").replace(";mail;", ";page;") + alert(120, "OK")
    assert found(both, well) == []


def test_custom_notifications_and_acknowledgements_are_no_problems() -> None:
    others = mail(20, "", said="CUSTOM (CRITICAL)") + mail(21, "", said="ACKNOWLEDGEMENT (CRITICAL)")
    assert found(OPENED + others, mail(120, "", said="FLAPPINGSTART (CRITICAL)")) == []
