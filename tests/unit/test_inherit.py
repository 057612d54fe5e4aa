"""The steps that carry incidents over, with a world in memory and the files of two hosts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from nagios_failover.account import Account
from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.copies import Copies, CopyRecord
from nagios_failover.errors import ConfigError, CouldNotLook, Failed, FailoverError, NoReader
from nagios_failover.failover import finish, run_failover
from nagios_failover.fenced import Fenced
from nagios_failover.role import Flags
from nagios_failover.run_record import Outcome, RunRecord
from nagios_failover.state_files import StateFiles
from nagios_failover.switchover import run_switchover
from nagios_failover.verdict import Code
from nagios_failover.words import Flag, State
from tests.fake_world import CRASHED, World, config_of, standby
from tests.unit.snapshots import CREATED, comment, contact, downtime, host, info, program, service

OPEN = service("web1", "HTTP", 2, current_notification_number=1, last_notification=CREATED - 500)
THEIRS = "".join([info(), program(), host("web1"), OPEN, contact(), comment("web1", "HTTP", 7)])
OURS = "".join([info(), program(), host("web1"), service("web1", "HTTP"), contact(), downtime("web1", "HTTP", 4)])

HOST_DOWN = (State.CRITICAL, Code.HOST_DOWN, "yasu: the host is down")
THROUGH = (State.CRITICAL, Code.CRASHED, "yasu: seen through the witness hb@w: Nagios has crashed; directly ssh fails (no answer)")


class Site:
    def __init__(self, directory: Path) -> None:
        self.nagios = directory / "nagios"
        self.nagios.mkdir()
        cfg = self.nagios / "nagios.cfg"
        cfg.write_text(
            f"status_file={self.nagios}/status.dat\nstate_retention_file={self.nagios}/retention.dat\nstatus_update_interval=1\n"
            f"log_file={self.nagios}/nagios.log\nlog_archive_path={self.nagios}/archives\n"
        )
        (self.nagios / "archives").mkdir()
        self.log = self.nagios / "nagios.log"
        self.log.write_text(f"[{CREATED - 3600}] LOG VERSION: 2.0\n")
        (self.nagios / "status.dat").write_text(OURS)
        (self.nagios / "retention.dat").write_text("our own\n")
        self.state = StateFiles(directory / "state")
        self.state.directory.mkdir()
        more = "[sync]\nwatch = yes\nfetch_timeout = 2\n[ssh]\nport = 1\ntimeout = 1\n"
        self.config: Config = config_of(self.state.directory, more)
        self.config = parse(_text(self.state.directory, cfg, more), hostname="nabira")
        self.world = World(self.state)
        self.copies = Copies(self.state.directory, "yasu")
        self.copies.make()
        standby(self.state)

    def copy(self, status: str = THEIRS, log: str = "") -> None:
        self.copies.status.write_text(status)
        (self.copies.incoming / "nagios.log").write_text(log)
        self.copies.write_record(CopyRecord(CREATED + 60.0, CREATED, 0.0, 0.1, len(status), len(log), "nagios.log", "archives"))

    def run(self) -> RunRecord:
        return run_failover(self.config, self.state, trigger="command", hands=self.world.hands())

    def nagios_obeys(self, *, problems: int = 1, changed: int = 0) -> None:
        """What Nagios would have written: the command in its log, and the incidents in its status.dat."""
        now = CREATED + 100
        self.world.now = float(now)
        self.log.write_text(self.log.read_text() + f"[{now + 5}] EXTERNAL COMMAND: READ_STATE_INFORMATION;nagios-failover\n")
        many = [service("web1", f"S{number}" if number else "HTTP", 2) for number in range(problems)]
        new = [
            service("web1", f"N{number}", 0).replace("\tlast_state_change=", "\tlast_state_change=9") for number in range(changed)
        ]
        well = [] if problems else [service("web1", "HTTP")]
        text = "".join([info(), program(), host("web1"), *many, *well, *new, contact()])
        (self.nagios / "status.dat").write_text(text.replace(f"created={CREATED}", f"created={now + 1000}"))

    def retention(self) -> str:
        return (self.nagios / "retention.dat").read_text()


def _text(state: Path, cfg: Path, more: str) -> str:
    return (
        f"[host yasu]\naddress = 127.0.0.1\n[host nabira]\nnagios_cfg = {cfg}\n[witness]\naddresses = none\n[mail]\nto = a@b\n"
        f"[look]\nconfirm_interval = 1\ntimeout = 9\n[paths]\nstate = {state}\n{more}"
    )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def detail(run: RunRecord, step: str) -> str:
    found = run.step(step)
    assert found is not None
    return found.detail


def log_line(after: int, text: str) -> str:
    return f"[{CREATED + after}] {text}\n"


def test_what_only_this_host_has_goes_then_the_masters_state_is_read(site: Site) -> None:
    site.copy()
    run = site.run()
    assert run.outcome == Outcome.DONE
    assert site.world.commands[:2] == ["DEL_SVC_DOWNTIME;4", "READ_STATE_INFORMATION;nagios-failover"]
    assert "\tnotified_on_critical=1\n" in site.retention() and "enable_notifications" not in site.retention()
    assert "1 hosts and 1 services of" in detail(run, "inherit")
    assert "1 not OK (1 notified, 0 acknowledged), 1 comments, 0 downtimes" in detail(run, "inherit")


def test_a_master_that_does_not_answer_any_more_is_no_failure(site: Site) -> None:
    site.copy()
    run = site.run()
    assert detail(run, "fetch").startswith("nothing was fetched: yasu: ssh fails: ")
    assert "; the last copy is of " in detail(run, "fetch")


SLOW = Failed("ssh fails: no answer within 1 s", host="yasu")


@pytest.mark.parametrize(
    ("seen", "fault", "seconds", "pulls"),
    [
        ([CRASHED], SLOW, 0.4, 2),
        ([HOST_DOWN], SLOW, 0.4, 1),
        ([CRASHED, CRASHED, HOST_DOWN], SLOW, 0.4, 1),
        ([THROUGH], SLOW, 0.4, 1),
        ([CRASHED], SLOW, 0.6, 1),
        ([CRASHED], CouldNotLook("ssh fails: its event log cannot be read", host="yasu"), 0.4, 1),
    ],
)
def test_a_login_that_was_too_slow_is_tried_again_where_the_host_had_just_answered(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    seen: list[tuple[State, Code, str]],
    fault: FailoverError,
    seconds: float,
    pulls: int,
) -> None:
    """Within the same fetch_timeout: a host that is away must not keep the standby waiting."""
    site.copy()
    site.world.sees = seen
    limits: list[float] = []

    def pull(*_: object, timeout: float, **__: object) -> None:
        limits.append(timeout)
        site.world.now += seconds
        raise fault

    monkeypatch.setattr("nagios_failover.inherit.pull", pull)
    run = site.run()
    assert detail(run, "fetch").startswith("nothing was fetched: yasu: ssh fails: ")
    assert limits == [2.0, pytest.approx(1.1)][:pulls]
    assert run.outcome == Outcome.DONE


def test_without_any_copy_monitoring_comes_back_all_the_same(site: Site) -> None:
    run = site.run()
    assert run.outcome == Outcome.INCOMPLETE and site.world.flags[Flag.NOTIFICATIONS]
    assert "no incident was inherited: there is no copy of yasu's status.dat" in run.sentence
    assert site.retention() == "our own\n"


def test_a_garbled_copy_is_not_loaded_and_the_one_before_is(site: Site) -> None:
    site.copy(THEIRS[:-30])
    site.copies.status_before.write_text(THEIRS)
    assert site.run().outcome == Outcome.DONE
    assert "\tnotified_on_critical=1\n" in site.retention()


@pytest.mark.parametrize("garbage", ["", "\0" * 100, THEIRS[: len(THEIRS) // 2], "info {\n" + "x" * 100])
def test_what_is_not_whole_changes_nothing_and_monitoring_comes_back(site: Site, garbage: str) -> None:
    site.copy(garbage)
    run = site.run()
    assert run.outcome == Outcome.INCOMPLETE and site.world.flags[Flag.NOTIFICATIONS]
    assert site.retention() == "our own\n" and "READ_STATE_INFORMATION;nagios-failover" not in site.world.commands


def test_what_is_in_doubt_and_what_is_left_out_is_in_the_mail(site: Site) -> None:
    log = log_line(1, "SERVICE NOTIFICATION: oncall;web1;HTTP;WARNING;mail;x") + log_line(2, "LOG VERSION: 2.0")
    site.copy(THEIRS + service("web9", "HTTP"), log)
    site.run()
    body = site.world.mails[-1][1]
    assert "in doubt, and sent again: PROBLEM of web1/HTTP (logged 1 s before the last sign of life)" in body
    assert "1 blocks of the snapshot are about objects that this host does not have; among them: web9/HTTP (unknown here)" in body


def test_an_operators_word_on_the_master_is_his_here_and_said(site: Site) -> None:
    log = log_line(-900, "EXTERNAL COMMAND: DISABLE_NOTIFICATIONS;")
    site.copy(THEIRS.replace("\tenable_notifications=1\n", "\tenable_notifications=0\n"), log)
    run = site.run()
    assert site.world.flags == {Flag.NOTIFICATIONS: False, Flag.SERVICE_CHECKS: True, Flag.HOST_CHECKS: True}
    said = "an operator had switched notifications off on yasu: kept as his override"
    assert said in detail(run, "inherit") and said in site.world.mails[-1][1]
    assert "nabira is the master now (term 4): it monitors with notifications off (an override is in force)" in run.sentence
    assert [(override.owner, override.term) for override in site.state.overrides()] == [("operator", 4)]


@pytest.mark.parametrize("sent_by_us", ["DISABLE_NOTIFICATIONS", "START_EXECUTING_SVC_CHECKS"])
def test_what_the_suite_sent_after_it_to_the_same_effect_leaves_it_his(site: Site, sent_by_us: str) -> None:
    """That host's own watch sends all flags anew when one has just been switched; a host that has inherited the word sends it when
    it takes over: he is not forgotten at the next failover."""
    log = log_line(1, "EXTERNAL COMMAND: DISABLE_NOTIFICATIONS;") + log_line(1, f"EXTERNAL COMMAND: {sent_by_us};nagios-failover")
    site.copy(THEIRS.replace("\tenable_notifications=1\n", "\tenable_notifications=0\n"), log)
    site.run()
    assert [(override.owner, override.flags) for override in site.state.overrides()] == [("operator", {Flag.NOTIFICATIONS: False})]


def test_what_the_suite_switched_on_again_ends_his_word(site: Site) -> None:
    log = log_line(1, "EXTERNAL COMMAND: DISABLE_NOTIFICATIONS;")
    site.copy(log=log + log_line(2, "EXTERNAL COMMAND: ENABLE_NOTIFICATIONS;nagios-failover"))
    site.run()
    assert site.world.flags[Flag.NOTIFICATIONS] and site.state.overrides() == []


def test_what_the_suite_switched_there_is_nobodys_word(site: Site) -> None:
    log = log_line(-900, "EXTERNAL COMMAND: DISABLE_NOTIFICATIONS;nagios-failover")
    site.copy(THEIRS.replace("\tenable_notifications=1\n", "\tenable_notifications=0\n"), log)
    site.run()
    assert site.world.flags[Flag.NOTIFICATIONS] and site.state.overrides() == []


def test_an_operator_who_switched_back_wants_nothing(site: Site) -> None:
    log = log_line(1, "EXTERNAL COMMAND: DISABLE_NOTIFICATIONS;") + log_line(2, "EXTERNAL COMMAND: ENABLE_NOTIFICATIONS;")
    site.copy(log=log)
    site.run()
    assert site.world.flags[Flag.NOTIFICATIONS] and site.state.overrides() == []


def test_a_full_command_file_is_waited_for(site: Site) -> None:
    site.copy()
    hands = site.world.hands()
    full = [NoReader("the command file x is full: Nagios does not read it")] * 2

    def commands(lines: list[str]) -> None:
        if full and lines == ["DEL_SVC_DOWNTIME;4"]:
            raise full.pop()
        site.world.commands.extend(lines)

    object.__setattr__(hands, "commands", commands)
    assert run_failover(site.config, site.state, trigger="command", hands=hands).outcome == Outcome.DONE
    assert site.world.commands[:2] == ["DEL_SVC_DOWNTIME;4", "READ_STATE_INFORMATION;nagios-failover"]


def save_of_nagios(site: Site) -> None:
    (site.nagios / "nagios.tmp").write_text("saved by Nagios meanwhile\n")
    (site.nagios / "nagios.tmp").rename(site.nagios / "retention.dat")


def killed_at_the_loading(site: Site) -> RunRecord:
    """The run whose process died when its commands were in the command file; Nagios has written a status.dat since."""
    site.copy()
    (site.nagios / "status.dat").write_text(OURS.replace(f"created={CREATED}", f"created={int(time.time()) + 100}"))
    hands = site.world.hands()

    def power_cut(flags: Flags, ahead: Sequence[str]) -> list[str]:
        raise KeyboardInterrupt

    object.__setattr__(hands, "set_flags", power_cut)
    with pytest.raises(KeyboardInterrupt):
        run_failover(site.config, site.state, trigger="command", hands=hands)
    assert site.world.commands == ["DEL_SVC_DOWNTIME;4"]
    site.world.commands.clear()
    return _open(site)


def test_a_run_cut_short_at_the_loading_deletes_what_it_may_have_loaded(site: Site) -> None:
    """Nagios keeps every comment twice that it reads twice."""
    record = killed_at_the_loading(site)
    save_of_nagios(site)
    assert finish(site.config, site.state, record, hands=site.world.hands()).outcome == Outcome.DONE
    assert site.world.commands[:3] == ["DEL_SVC_DOWNTIME;4", "DEL_SVC_COMMENT;7", "READ_STATE_INFORMATION;nagios-failover"]
    assert "\tnotified_on_critical=1\n" in site.retention()


@pytest.mark.parametrize("how", ["its flags", "its log"])
def test_what_nagios_was_seen_to_obey_is_not_loaded_again(site: Site, how: str) -> None:
    """It has been active since, and what it has told would be forgotten."""
    record = killed_at_the_loading(site)
    if how == "its flags":
        site.world.flags[Flag.NOTIFICATIONS] = True
    else:
        moment = int(site.world.now) + 1
        site.log.write_text(f"[{moment}] EXTERNAL COMMAND: READ_STATE_INFORMATION;nagios-failover\n")
    assert finish(site.config, site.state, record, hands=site.world.hands()).outcome == Outcome.DONE
    assert site.world.commands == [] and all(site.world.flags.values())


def test_a_save_of_nagios_before_the_activation_takes_nothing_away(site: Site) -> None:
    site.copy()
    hands = site.world.hands()

    def saved_meanwhile(term: int, master: str) -> list[str]:
        save_of_nagios(site)
        return []

    site.config = replace(site.config, witness=replace(site.config.witness, accounts=(Account("w", "192.0.2.1"),)))
    object.__setattr__(hands, "tell_witnesses", saved_meanwhile)
    assert run_failover(site.config, site.state, trigger="command", hands=hands).outcome == Outcome.DONE
    assert "\tnotified_on_critical=1\n" in site.retention()
    assert sorted(path.name for path in site.nagios.iterdir() if "retention" in path.name) == ["retention.dat"]


def test_what_does_not_fit_into_one_write_goes_before_the_flags_and_in_order(site: Site) -> None:
    long = [f"ADD_SVC_COMMENT;web1;HTTP;1;me;{number}{'x' * 1000}" for number in range(5)]
    site.copy(log="".join(log_line(1, f"EXTERNAL COMMAND: {command}") for command in long))
    assert site.run().outcome == Outcome.DONE
    assert site.world.commands == ["DEL_SVC_DOWNTIME;4", "READ_STATE_INFORMATION;nagios-failover", *long]


def test_a_run_cut_short_among_commands_that_went_before_the_flags_gives_them_all_anew(site: Site) -> None:
    long = [f"ADD_SVC_COMMENT;web1;HTTP;1;me;{number}{'x' * 1000}" for number in range(5)]
    site.copy(log="".join(log_line(1, f"EXTERNAL COMMAND: {command}") for command in long))
    (site.nagios / "status.dat").write_text(OURS.replace(f"created={CREATED}", f"created={int(time.time()) + 100}"))
    hands = site.world.hands()

    def power_cut(lines: list[str]) -> None:
        if lines == [long[2]]:
            raise KeyboardInterrupt
        site.world.commands.extend(lines)

    object.__setattr__(hands, "commands", power_cut)
    with pytest.raises(KeyboardInterrupt):
        run_failover(site.config, site.state, trigger="command", hands=hands)
    site.log.write_text(f"[{int(site.world.now) + 1}] EXTERNAL COMMAND: READ_STATE_INFORMATION;nagios-failover\n")
    site.world.commands.clear()
    assert finish(site.config, site.state, _open(site), hands=site.world.hands()).outcome == Outcome.DONE
    assert site.world.commands == [
        *("DEL_SVC_DOWNTIME;4", "DEL_SVC_COMMENT;7", "READ_STATE_INFORMATION;nagios-failover"),
        *long,
    ]


def test_incidents_that_cannot_be_loaded_do_not_keep_monitoring_from_coming_back(site: Site) -> None:
    site.copy()
    hands = site.world.hands()

    def file_goes(term: int, master: str) -> list[str]:
        (site.nagios / "retention.dat.inherited").unlink()
        return []

    site.config = replace(site.config, witness=replace(site.config.witness, accounts=(Account("w", "192.0.2.1"),)))
    object.__setattr__(hands, "tell_witnesses", file_goes)
    run = run_failover(site.config, site.state, trigger="command", hands=hands)
    assert site.world.flags[Flag.NOTIFICATIONS] and site.retention() == "our own\n"
    assert "READ_STATE_INFORMATION;nagios-failover" not in site.world.commands
    assert f"inherit: cannot write {site.nagios}/retention.dat: No such file or directory" in run.sentence


def test_that_nagios_carried_it_out_is_seen_in_its_log_and_its_problems_are_counted(site: Site) -> None:
    site.copy()
    site.nagios_obeys()
    run = site.run()
    said = detail(run, "verify incidents")
    assert run.outcome == Outcome.DONE and said.startswith("Nagios carried out READ_STATE_INFORMATION at ")
    assert said.endswith("; 1 objects are not OK (1 were inherited, 0 have changed since)")


def test_a_command_that_is_not_in_the_log_is_told_and_no_more(site: Site) -> None:
    site.copy()
    run = site.run()
    said = f"{site.log} does not show READ_STATE_INFORMATION after 30 s"
    assert run.outcome == Outcome.DONE and site.world.flags[Flag.NOTIFICATIONS]
    assert said in detail(run, "verify incidents") and said in run.sentence and said in site.world.mails[0][1]


@pytest.mark.parametrize(("problems", "changed", "told"), [(3, 1, True), (3, 2, False), (0, 0, True), (0, 1, False)])
def test_a_difference_that_no_change_explains_is_told(site: Site, problems: int, changed: int, told: bool) -> None:
    site.copy()
    site.nagios_obeys(problems=problems, changed=changed)
    run = site.run()
    said = f"1 problems were inherited, but Nagios has {problems}, and only {changed} objects have changed since"
    assert run.outcome == Outcome.DONE and (said in site.world.mails[0][1]) is told


def _open(site: Site) -> RunRecord:
    from nagios_failover.journal import Journal

    return Journal(site.state.directory).open_runs()[0]


def test_not_configured_is_said_and_nothing_is_touched(tmp_path: Path) -> None:
    state = StateFiles(tmp_path)
    standby(state)
    world = World(state)
    run = run_failover(config_of(tmp_path), state, trigger="command", hands=world.hands())
    assert [detail(run, step) for step in ("fetch", "inherit")] == ["not configured", "not configured"]
    assert not (tmp_path / "sync").exists()


def test_with_state_to_follow_failback_is_not_automatic() -> None:
    text = "[host a]\n[host b]\n[witness]\naddresses = none\n[mail]\nto = a@b\n[pair]\nfailback = automatic\n[sync]\nwatch = yes\n"
    with pytest.raises(ConfigError) as error:
        parse(text, hostname="a")
    assert error.value.detail.startswith("[pair] failback: automatic cannot go with [sync]")


# --- from a master that hands over ---


@pytest.fixture
def handing_over(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """yasu was told to be silent two seconds before the last snapshot, and the pull brings what is copied already."""
    site.config = replace(site.config, fence=replace(site.config.fence, user="nagios"))
    site.world.fence["quiesced"] = Fenced(True, "yasu: its Nagios is silent", told_at=CREATED - 2)
    monkeypatch.setattr("nagios_failover.inherit.pull", lambda *args, **options: site.copies.record())
    return site


def switch(site: Site) -> RunRecord:
    return run_switchover(site.config, site.state, hands=site.world.hands())


def test_what_a_living_master_notified_a_moment_ago_is_not_in_doubt(handing_over: Site) -> None:
    log = log_line(-1, "SERVICE NOTIFICATION: oncall;web1;HTTP;CRITICAL;mail;x") + log_line(1, "LOG VERSION: 2.0")
    handing_over.copy(THEIRS.replace(f"last_notification={CREATED - 500}", f"last_notification={CREATED - 1}"), log)
    run = switch(handing_over)
    assert "1 not OK (1 notified, 0 acknowledged)" in detail(run, "inherit") and "in doubt" not in detail(run, "inherit")
    assert run.notes["in_doubt"] == [] and run.notes["quiet"] == CREATED - 2


def test_what_it_saw_in_silence_is_told_here_and_said(handing_over: Site) -> None:
    log = log_line(-900, "SERVICE NOTIFICATION: oncall;web1;HTTP;CRITICAL;mail;x")
    handing_over.copy(THEIRS.replace(OPEN, service("web1", "HTTP")), log + log_line(-1, "SERVICE ALERT: web1;HTTP;OK;HARD;3;fine"))
    said = "seen by yasu when it was silent already, and told by nabira: RECOVERY of web1/HTTP"
    assert said in detail(switch(handing_over), "inherit")


def test_the_runs_own_word_to_the_master_does_not_take_its_operators_away(handing_over: Site) -> None:
    log = log_line(-900, "EXTERNAL COMMAND: DISABLE_NOTIFICATIONS;")
    log += log_line(-1, "EXTERNAL COMMAND: DISABLE_NOTIFICATIONS;nagios-failover")
    handing_over.copy(THEIRS.replace("\tenable_notifications=1\n", "\tenable_notifications=0\n"), log)
    switch(handing_over)
    assert not handing_over.world.flags[Flag.NOTIFICATIONS]
