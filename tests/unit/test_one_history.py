"""Two logs become one: each line once, and whose it was."""

from __future__ import annotations

from nagios_failover.event_log import ExternalCommand, Notification
from nagios_failover.one_history import History, one_history

T = 1795618800
RUNS = [(T + 99.0, T + 101.0)]


def line(at: int, text: str) -> str:
    return f"[{T + at}] {text}\n"


def on(at: int) -> str:
    return line(at, "EXTERNAL COMMAND: ENABLE_NOTIFICATIONS;nagios-failover")


def off(at: int) -> str:
    return line(at, "EXTERNAL COMMAND: DISABLE_NOTIFICATIONS;nagios-failover")


def mailed(at: int, name: str) -> str:
    return line(at, f"SERVICE NOTIFICATION: oncall;{name};HTTP;CRITICAL;mail;x")


def history(own: list[str], copied: list[str], *, master: str = "nabira", since: int = T) -> History:
    return one_history("nabira", "yasu", own, copied, since=since, own_runs=RUNS, master=master)


def senders(seen: History) -> list[tuple[str, str]]:
    return [(one.line.host, one.host) for one in seen.lines if isinstance(one.line, Notification)]


def test_each_line_belongs_to_the_log_that_has_it() -> None:
    seen = history([on(100), mailed(120, "web2")], [mailed(10, "web1")])
    assert senders(seen) == [("web1", "yasu"), ("web2", "nabira")]
    assert seen.until == {"nabira": T + 120, "yasu": T + 10}


def test_a_line_of_both_logs_counts_once_and_is_the_masters_of_then() -> None:
    own = [mailed(10, "web1"), on(100), mailed(120, "web2")]
    assert senders(history(own, [mailed(10, "web1")])) == [("web1", "yasu"), ("web2", "nabira")]


def test_a_line_that_one_log_has_twice_counts_twice() -> None:
    twice = [mailed(10, "web1"), mailed(10, "web1")]
    assert senders(history([on(100)], twice)) == [("web1", "yasu")] * 2
    assert senders(history([*twice, on(100)], twice)) == [("web1", "yasu")] * 2


def test_a_file_that_holds_again_what_an_earlier_one_had_counts_once() -> None:
    rotated = [mailed(10, "web1"), mailed(20, "web1"), on(100)]
    assert senders(history([*rotated, *rotated, mailed(120, "web1")], [])) == [("web1", "nabira")] * 3


def test_the_reigns_follow_our_own_switches() -> None:
    seen = history([on(100), line(150, "EXTERNAL COMMAND: ENABLE_NOTIFICATIONS;"), off(200)], [on(200)])
    assert [seen.reigns.at(T + moment) for moment in (50, 100, 199, 201)] == ["yasu", "nabira", "nabira", "yasu"]


def test_the_old_master_that_comes_back_and_stands_down_does_not_reign() -> None:
    seen = history([on(100)], [on(-50), off(160)], since=T - 100)
    assert [seen.reigns.at(T + moment) for moment in (-60, 50, 120, 170)] == ["nabira", "yasu", "nabira", "nabira"]


def test_a_master_that_hands_over_reigns_until_the_other_is_switched_on() -> None:
    """Twice: yasu's turn to be silent, then nabira's. And once it is let go on."""
    seen = history([on(103), off(200)], [off(100), on(203)], master="yasu")
    assert [seen.reigns.at(T + moment) for moment in (99, 102, 103, 202, 203)] == ["yasu", "yasu", "nabira", "nabira", "yasu"]
    let_go_on = history([on(103), off(200)], [off(100), on(203), off(250), on(252)], master="yasu")
    assert [let_go_on.reigns.at(T + moment) for moment in (249, 251, 252)] == ["yasu"] * 3


def test_three_failovers_round_with_merged_logs() -> None:
    """yasu until 100, nabira until 300, yasu until 500, nabira: both logs hold all that came before."""
    runs = [(T + 99.0, T + 101.0), (T + 499.0, T + 501.0)]
    all_of_yasu = [mailed(10, "web1"), on(100), mailed(120, "web2"), on(300), mailed(320, "web3")]
    own = [*all_of_yasu, on(500), mailed(520, "web4")]
    seen = one_history("nabira", "yasu", own, all_of_yasu, since=T, own_runs=runs, master="nabira")
    assert senders(seen) == [("web1", "yasu"), ("web2", "nabira"), ("web3", "yasu"), ("web4", "nabira")]
    assert [one.host for one in seen.lines if isinstance(one.line, ExternalCommand)] == ["nabira", "yasu", "nabira"]


def test_without_a_switch_the_role_tells() -> None:
    assert history([], [], master="yasu").reigns.at(T) == "yasu"


def test_where_an_operator_keeps_notifications_off_the_checks_tell() -> None:
    checks = line(100, "EXTERNAL COMMAND: START_EXECUTING_SVC_CHECKS;nagios-failover")
    assert history([off(100), checks], []).reigns.at(T + 101) == "nabira"


def test_torn_and_older_lines_are_left_out() -> None:
    seen = history(["[17", "torn", mailed(-10, "web9"), line(5, "LOG VERSION: 2.0")], [])
    assert seen.lines == [] and seen.until == {"nabira": T + 5}


def test_the_others_switching_on_beside_this_hosts_first_role_as_a_standby_is_the_others() -> None:
    """Both begin in the same seconds; after a merge both logs have both hosts' lines."""
    lines = [on(1), off(2), mailed(10, "web1"), on(100), mailed(120, "web2")]
    seen = one_history("nabira", "yasu", lines, lines, since=T, own_runs=RUNS, own_ends=[(T + 1.5, T + 2.5)], master="nabira")
    assert senders(seen) == [("web1", "yasu"), ("web2", "nabira")]
