"""What really left, by the mail log."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from nagios_failover.findings import Audit, Finding, Kind, Sent
from nagios_failover.mail_log import Mail, compare, parse_mails
from nagios_failover.notification_rules import AllRules, Contact
from nagios_failover.one_history import History, Logged, one_history

T = 1795618800
RULES = AllRules(contacts={"oncall": Contact("oncall@example.com")})
WEB = ("web1", "HTTP")
LINE = f"[{T + 10}] SERVICE NOTIFICATION: oncall;web1;HTTP;CRITICAL;mail;x\n"
MARKS = [Mail(T, "others@example.com"), Mail(T + 900, "others@example.com")]
"""Between these the mail log tells."""


def history(*lines: str) -> History:
    return one_history("nabira", "yasu", [], lines, since=T, own_runs=[], master="yasu")


def problem(at: float, name: str = "web1/HTTP", word: str = "PROBLEM") -> Mail:
    return Mail(T + at, "oncall@example.com", f"** {word} Service Alert: {name} is CRITICAL **")


def compared(seen: History, *mails: Mail, findings: tuple[Finding, ...] = ()) -> list[Finding]:
    result = Audit(findings=list(findings))
    compare(result, seen, RULES, sorted([*MARKS, *mails], key=lambda mail: mail.time), watch_host="nagios-failover")
    return result.findings


def test_json_lines_say_who_and_what() -> None:
    text = [
        '{"time": 1795618962.5, "to": ["a@b", "c@d"], "subject": "PROBLEM"}',
        '{"arrived": "2026-11-25T15:00:00+00:00", "to": "a@b"}',
        '{"time": 7}',
        "[]",
    ]
    assert parse_mails(text, now=T) == [
        Mail(datetime.fromisoformat("2026-11-25T15:00:00+00:00").timestamp(), "a@b"),
        Mail(1795618962.5, "a@b", "PROBLEM"),
        Mail(1795618962.5, "c@d", "PROBLEM"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "Nov 25 15:02:42 host=smtp.example.com tls=on auth=off from=n@yasu recipients=a@b,c@d mailsize=99 smtpstatus=250 "
        "smtpmsg='250 taken' exitcode=EX_OK",
        "Nov 25 15:02:42 yasu postfix/smtp[123]: 4F2A: to=<a@b>, relay=x[1.2.3.4]:25, delay=0.2, dsn=2.0.0, status=sent (250 ok)",
    ],
)
def test_msmtp_and_postfix_lines_are_understood(line: str) -> None:
    now = time.mktime((2026, 11, 26, 0, 0, 0, 0, 0, -1))
    found = parse_mails([line], now=now)
    assert found[0] == Mail(time.mktime((2026, 11, 25, 15, 2, 42, 0, 0, -1)), "a@b")
    assert len(found) == (2 if "recipients" in line else 1)


def test_what_did_not_leave_is_no_mail() -> None:
    lines = [
        "Nov 25 15:02:42 host=x recipients=a@b errormsg='no route' exitcode=EX_TEMPFAIL",
        "Nov 25 15:02:42 yasu postfix/smtp[1]: 4F2A: to=<a@b>, status=deferred (timed out)",
        "something else",
        "Feb 31 15:02:42 yasu postfix/smtp[1]: 4F2A: to=<a@b>, status=sent (ok)",
    ]
    assert parse_mails(lines, now=T) == []


def test_a_time_without_a_year_is_not_in_the_future() -> None:
    [found] = parse_mails(["Dec 31 23:59:59 y postfix/smtp[1]: 4: to=<a@b>, status=sent (ok)"], now=T)
    assert time.localtime(found.time).tm_year == time.localtime(T).tm_year - 1


def test_a_line_with_its_mail_is_well() -> None:
    assert compared(history(LINE), problem(12)) == []
    assert compared(history(LINE), Mail(T + 12, "oncall@example.com")) == [], "a log without subjects"


def test_a_subject_need_not_name_the_type_but_another_one_is_another_mail() -> None:
    assert compared(history(LINE), Mail(T + 12, "oncall@example.com", "web1: HTTP is CRITICAL")) == []
    [one] = compared(history(LINE), problem(12, word="ACKNOWLEDGEMENT"))
    assert one.kind is Kind.MISSING


def test_a_line_without_a_mail_is_missing() -> None:
    [one] = compared(history(LINE), problem(12, "web10/HTTP"))
    assert (one.kind, one.notification, one.key, one.contact) == (Kind.MISSING, "PROBLEM", WEB, "oncall")
    assert one.why.endswith("and the mail log has no mail to oncall@example.com")


def test_a_mail_without_a_line_left_once_too_often() -> None:
    [one] = compared(history(LINE), problem(12), problem(14))
    assert (one.kind, one.notification, one.key) == (Kind.DOUBLED, "PROBLEM", WEB)
    assert one.why.endswith("that no NOTIFICATION line tells of")


def test_a_mail_that_no_line_of_the_known_logs_tells_of_is_in_doubt() -> None:
    well = LINE.replace("CRITICAL", "OK")
    [one] = compared(history(well), problem(12, word="RECOVERY"), problem(400))
    assert (one.kind, one.notification) == (Kind.DOUBT, "PROBLEM")
    assert compared(history(well), problem(12, word="RECOVERY"), problem(5)) == [], "it may belong to what was before"


def test_a_mail_of_a_time_that_no_log_tells_of_is_in_doubt() -> None:
    result = Audit(blind=[(T + 20, T + 60)])
    compare(result, history(LINE), RULES, [*MARKS[:1], problem(12), problem(30), *MARKS[1:]], watch_host="nagios-failover")
    assert [one.kind for one in result.findings] == [Kind.DOUBT]


def test_what_lies_outside_of_the_mail_log_is_not_judged() -> None:
    late = f"[{T + 1000}] SERVICE NOTIFICATION: oncall;web1;HTTP;CRITICAL;mail;x\n"
    assert compared(history(late)) == []


def test_the_mail_of_a_line_before_the_mail_log_begins_may_be_its_first() -> None:
    """On a busy machine a mail leaves seconds after its line."""
    early = f"[{T + 10}] SERVICE NOTIFICATION: oncall;web1;HTTP;CRITICAL;mail;x\n"
    later = f"[{T + 90}] SERVICE NOTIFICATION: oncall;web1;HTTP;CRITICAL;mail;x\n"

    def found(*lines: str, mails: tuple[Mail, ...]) -> list[Finding]:
        result = Audit()
        compare(result, history(*lines), RULES, [*mails, MARKS[1]], watch_host="nagios-failover")
        return result.findings

    assert found(early, mails=(problem(17),)) == []
    assert found(early, later, mails=(problem(17), problem(91))) == []
    assert found(early, later, mails=(Mail(T + 60, "others@example.com"), problem(91))) == [], "the first one's had left before"
    [twice] = found(early, mails=(problem(17), problem(18)))
    assert twice.kind is Kind.DOUBLED


def test_a_doubt_is_settled_by_what_left() -> None:
    seen = history(LINE, LINE.replace(f"{T + 10}", f"{T + 40}"))
    doubt = Finding(Kind.DOUBT, "PROBLEM", WEB, "oncall", T + 40, "by both", (Sent(T + 10, "yasu"), Sent(T + 40, "nabira")))
    assert compared(seen, problem(41), findings=(doubt,)) == [], "one of the two left"
    [both] = compared(seen, problem(11), problem(41), findings=(doubt,))
    assert (both.kind, both.why) == (Kind.DOUBLED, "by both; both left by the mail log")
    assert isinstance(seen.lines[0], Logged)
