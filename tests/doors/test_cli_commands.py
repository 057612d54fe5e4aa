"""Each command of `nagios-failover` as a subprocess: its whole output and its exit code, on a host whose Nagios is stopped."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nagios_failover.config_sections import QuorumSection
from nagios_failover.etcd import Etcd
from nagios_failover.journal import Journal
from nagios_failover.lease import Held, Lease
from nagios_failover.looks import Look
from nagios_failover.run_record import Outcome
from nagios_failover.state_files import boot_id, uptime
from nagios_failover.words import Role, State
from tests.doors.cli_site import HERE, NO_SSH, Site, said
from tests.fake_etcd import FakeEtcd


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


# --- pause and resume ---


def test_pause_without_an_end_stands_until_resume(site: Site) -> None:
    site.role(Role.STANDBY)
    output = site.run("pause", "--reason", "kernel update")
    assert output.returncode == 0
    assert re.fullmatch(
        rf"{HERE}: paused until resumed by \w+@{HERE}, since [\d :-]+: kernel update\n"
        "no failover starts while this stands; it ends with: nagios-failover resume\n",
        output.stdout,
    )
    marker = site.state.paused(time.time())
    assert marker is not None and (marker.until, marker.reason) == (None, "kernel update")
    output = site.run("resume")
    assert output.returncode == 0
    assert re.fullmatch(
        rf"{HERE}: failover may start again \(was paused until resumed by .*: kernel update\)\n"
        r"yasu: not seen \(.*Connection refused\); a pause that stands there, stays\n",
        output.stdout,
    )
    assert site.state.paused(time.time()) is None


def test_pause_for_a_time_ends_by_itself(site: Site) -> None:
    site.role(Role.STANDBY)
    before = int(time.time())
    assert site.run("pause", "--for", "10m").returncode == 0
    marker = site.state.paused(before)
    assert marker is not None and marker.until is not None and before + 600 <= marker.until <= time.time() + 600
    assert site.state.paused(before + 700) is None


def test_a_second_pause_says_what_it_replaces(site: Site) -> None:
    site.run("pause", "--reason", "one")
    output = site.run("pause", "--for", "5m", "--reason", "two\nlines")
    assert re.search(rf"^{HERE}: was paused until resumed .*: one$", output.stdout, re.MULTILINE)
    marker = site.state.paused(time.time())
    assert marker is not None and marker.reason == "two lines"


def test_resume_without_a_pause_is_no_failure(site: Site) -> None:
    output = site.run("resume")
    assert output.returncode == 0
    assert output.stdout.startswith(f"{HERE}: was not paused\n")


def test_resume_removes_a_garbled_marker(site: Site) -> None:
    site.state.paused_path.write_text("what?\n")
    output = site.run("resume")
    assert output.returncode == 0
    assert output.stdout.startswith(f"{HERE}: failover may start again (was paused by a garbled marker: ")
    assert not site.state.paused_path.exists()


def test_a_missing_state_directory_is_said_with_the_line_that_makes_it(site: Site) -> None:
    site.state.directory.rmdir()
    output = site.run("pause")
    assert (output.returncode, output.stdout) == (1, "")
    assert output.stderr.startswith(f"error: cannot write {site.state.paused_path}: No such file or directory\nhint: ")
    assert output.stderr.endswith(f"install -d -o nagios -g adm -m 2750 {site.state.directory}\n")


def test_a_disk_that_takes_nothing_is_said_and_nothing_is_changed(site: Site) -> None:
    """The same error as of a full disk, from a limit on the size of files."""
    site.role(Role.STANDBY)
    role = site.state.role_path.read_text()
    for arguments in (["pause"], ["init", "--standby", "--force"]):
        limited = (
            "import resource, sys, nagios_failover.cli as m\nresource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\nsys.exit(m.main())"
        )
        output = subprocess.run(
            [sys.executable, "-c", limited, *arguments, "-C", str(site.cfg)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (output.returncode, output.stdout) == (1, "")
        assert re.fullmatch(
            r"error: cannot write \S+: File too large\nhint: free space or mend the disk under \S+\n", output.stderr
        )
    assert site.state.role_path.read_text() == role
    assert not site.state.paused_path.exists()


# --- init ---


def test_init_writes_the_first_role_and_journals_it(site: Site) -> None:
    output = site.run("init", "--master")
    assert output.returncode == 0
    lines = output.stdout.splitlines()
    assert lines[0] == f"{HERE}: role is master, master {HERE}, term 1"
    assert re.fullmatch(r"yasu: not seen \(.*Connection refused\): what its role and term are is not known", lines[1])
    assert lines[2].startswith(f"{HERE}: ")
    role = site.state.role()
    assert (role.role, role.master, role.term) == (Role.MASTER, HERE, 1)
    assert site.state.lock_path.exists()
    (run,) = Journal(site.state.directory).runs()
    assert (run.id, run.kind, run.outcome, run.term) == (role.run, "init", Outcome.DONE, 1)


def test_init_refuses_to_overwrite_a_role_and_says_what_is_there(site: Site) -> None:
    site.role(Role.STANDBY)
    output = site.run("init", "--master")
    assert said(output) == (
        3,
        "",
        f"error: {HERE}: it has a role already: standby, master yasu, term 3\n"
        "hint: --force overwrites it; nagios-failover standdown gives a master's role back\n",
    )
    assert site.state.role().role is Role.STANDBY
    assert Journal(site.state.directory).runs() == []


def test_init_by_force_takes_a_term_above_every_known_one(site: Site) -> None:
    site.role(Role.STANDBY, term=7)
    output = site.run("init", "--master", "--force")
    assert output.returncode == 0
    lines = output.stdout.splitlines()
    assert lines[:2] == [
        f"{HERE}: role is master, master {HERE}, term 8",
        f"{HERE}: overruled by --force: it has a role already: standby, master yasu, term 7",
    ]
    assert site.state.role().term == 8


def test_init_standby_keeps_the_term_and_takes_the_flag_file_away(site: Site) -> None:
    site.role(Role.MASTER, term=7)
    assert site.run("init", "--standby", "--force").returncode == 0
    role = site.state.role()
    assert (role.role, role.master, role.term) == (Role.STANDBY, "yasu", 7)
    assert not site.state.lock_path.exists()


def test_a_master_by_force_is_above_the_fence_that_was_laid_on_it(site: Site) -> None:
    """By a switchover whose host has died before it let this one go on."""
    assert site.run("init", "--master").returncode == 0
    fence = site.state.directory / "override.fence"
    fence.write_text("notifications=off\nterm=7\nsince=1\n")
    assert f"role is master, master {HERE}, term 8" in site.run("init", "--master", "--force").stdout
    assert not fence.exists()


def test_init_over_a_garbled_role_wants_force(site: Site) -> None:
    site.state.role_path.write_text("role=king\n")
    output = site.run("init", "--standby")
    assert (output.returncode, output.stdout) == (3, "")
    assert output.stderr.startswith(f"error: {HERE}: the role file {site.state.role_path} is garbled: ")
    assert site.state.role_path.read_text() == "role=king\n"
    assert site.run("init", "--standby", "--force").returncode == 0
    assert site.state.role().role is Role.STANDBY


def test_init_gives_up_a_run_that_was_left_open(site: Site) -> None:
    site.role(Role.TAKING_OVER)
    left = Journal(site.state.directory).open("failover", 4, HERE)
    output = site.run("init", "--standby", "--force")
    assert output.returncode == 0
    assert f"{HERE}: failover run {left.id} was open and is given up" in output.stdout
    assert left.record().outcome == Outcome.INCOMPLETE


# --- history ---


def test_history_without_runs(site: Site) -> None:
    assert said(site.run("history")) == (0, f"{HERE}: no runs yet\n", "")


def test_history_lists_runs_newest_first_and_shows_one(site: Site) -> None:
    site.role(Role.STANDBY)
    journal = Journal(site.state.directory, clock=lambda: 1_800_000_000.0)
    run = journal.open("failover", 4, HERE, trigger="handler")
    run.step_started("confirm")
    run.step_done("confirm", "done", "3 of 3 looks were CRITICAL", 2.25)
    run.close(Outcome.DONE, "nabira is the master")
    newer = Journal(site.state.directory, clock=lambda: 1_800_000_600.0).open("standdown", 4, HERE)
    newer.close(Outcome.REFUSED, "no standby is seen")
    assert said(site.run("history")) == (
        0,
        "RUN                   KIND       TERM  OPENED               TOOK  OUTCOME  WHAT\n"
        f"{newer.id}  standdown  4     2027-01-15 08:10:00  0 s   refused  no standby is seen\n"
        f"{run.id}  failover   4     2027-01-15 08:00:00  0 s   done     nabira is the master\n",
        "",
    )
    assert said(site.run("history", run.id)) == (
        0,
        f"run      {run.id}\n"
        f"kind     failover on {HERE}, term 4\n"
        "opened   2027-01-15 08:00:00\n"
        "closed   2027-01-15 08:00:00 (took 0 s)\n"
        "trigger  handler\n"
        "outcome  done: nabira is the master\n"
        "\n"
        "STEP     OUTCOME  TOOK    DETAIL\n"
        "confirm  done     2.25 s  3 of 3 looks were CRITICAL\n",
        "",
    )
    given = json.loads(site.run("history", "--json").stdout)
    assert [entry["id"] for entry in given] == [newer.id, run.id]
    assert given[1]["steps"][0]["detail"] == "3 of 3 looks were CRITICAL"


def test_history_lists_a_garbled_journal_as_such(site: Site) -> None:
    runs = site.state.directory / "runs"
    runs.mkdir()
    (runs / "20270115T080000-beef.jsonl").write_text("\0\0\0not json\n")
    output = site.run("history")
    assert (output.returncode, output.stderr) == (0, "")
    assert re.search(r"20270115T080000-beef +\? .* garbled +its journal cannot be read", output.stdout)


def test_history_of_an_unknown_run_is_wrong_usage(site: Site) -> None:
    assert said(site.run("history", "1999")) == (
        2,
        "",
        "error: no run with an id that begins with '1999'\nhint: nagios-failover history\n",
    )


# --- looking, and runs by hand, on a host whose Nagios is stopped ---


def test_status_shows_what_is_wrong_and_ends_well(site: Site) -> None:
    site.role(Role.STANDBY)
    output = site.run("status")
    assert (output.returncode, output.stderr) == (0, "")
    lines = output.stdout.splitlines()
    assert lines[0] == "nobody is seen to notify; yasu could not be looked at"
    assert re.fullmatch(rf"{re.escape(HERE)} \(this\) +standby +3 +2001-09-09 01:46:40 +missing +- +not seen", lines[3])
    assert re.fullmatch(r"yasu +unknown +- +- +not seen +- +not seen", lines[4])
    assert f"look       WARNING: yasu: the host answers, ssh does not: ssh fails ({NO_SSH})" in lines
    assert "last run   none" in lines
    assert f"disagrees  {HERE}: Nagios does not run" in lines
    assert f"disagrees  yasu: not seen over ssh: {NO_SSH}" in lines


def test_status_as_json_is_one_object_with_nothing_beside_it(site: Site) -> None:
    site.role(Role.MASTER)
    status = json.loads(site.run("status", "--json").stdout)
    assert (status["this"], status["peer"]) == (HERE, "yasu")
    assert (status["hosts"][HERE]["role"], status["hosts"][HERE]["nagios"], status["hosts"][HERE]["flags"]) == (
        "master",
        "missing",
        None,
    )
    assert (status["hosts"]["yasu"]["role"], status["hosts"]["yasu"]["nagios"]) == (None, "not seen")
    assert status["failover_lock"] is True


def test_status_without_a_readable_nagios_cfg_still_shows_the_role(site: Site) -> None:
    site.role(Role.STANDBY)
    site.nagios_cfg.unlink()
    output = site.run("status")
    assert output.returncode == 0
    assert re.search(rf"^{re.escape(HERE)} \(this\) +standby", output.stdout, re.MULTILINE)
    assert f"disagrees  {HERE}: {site.nagios_cfg} does not exist (hint: " in output.stdout


def test_test_names_every_fault_with_its_fix(site: Site) -> None:
    site.role(Role.STANDBY)
    output = site.run("test")
    assert (output.returncode, output.stderr) == (1, "")
    lines = output.stdout.splitlines()
    found = {line[8:20].strip(): line[:6].strip() for line in lines if line[:6] in ("OK    ", "NOT OK", "-     ")}
    assert found == {
        "state": "OK",
        "role": "OK",
        "flags": "NOT OK",
        "nagios.cfg": "NOT OK",
        "command file": "NOT OK",
        "ssh": "NOT OK",
        "SQL": "-",
        "own database": "-",
        "replication": "-",
        "witness": "-",
        "sudo": "NOT OK",
        "mail": "OK",
    }
    bad = [index for index, line in enumerate(lines) if line.startswith("NOT OK")]
    assert all(lines[index + 1].startswith(" " * 22 + "fix: ") for index in bad)
    assert lines[-1] == f"{len(bad)} not OK"
    assert f"Subject: [nagios-failover] test mail from {HERE}\n" in (site.directory / "mail").read_text()


def test_check_config_names_lines_with_their_right_values(site: Site) -> None:
    output = site.run("check-config")
    assert (output.returncode, output.stderr) == (1, "")
    lines = output.stdout.splitlines()
    why = "a host that starts without its saved state must start as a standby; the role turns it on"
    assert lines[0] == (
        f"wrong: {HERE}: {site.nagios_cfg}: no enable_notifications (Nagios takes 1), should be enable_notifications=0: {why}"
    )
    assert f"not seen: yasu: /etc/nagios4/nagios.cfg: not seen over ssh: {NO_SSH}" in lines
    assert lines[-1] == "restart Nagios on a host after changing its nagios.cfg"


@pytest.mark.parametrize("arguments", [("failover",), ("failover", "--dry-run"), ("watch", "--once"), ("standdown",)])
def test_without_a_role_nothing_is_done(site: Site, arguments: tuple[str, ...]) -> None:
    output = site.run(*arguments)
    assert output.returncode in (1, 3)
    assert f"the role file {site.state.role_path} does not exist" in output.stderr
    assert not site.state.role_path.exists() and not site.state.lock_path.exists()


def test_a_failover_that_is_not_confirmed_is_refused(site: Site) -> None:
    site.role(Role.STANDBY)
    output = site.run("failover")
    assert (output.returncode, output.stdout) == (3, "")
    assert re.fullmatch(
        rf"error: not confirmed: yasu: the host answers, ssh does not: ssh fails \({NO_SSH}\)\n"
        r"detail: the whole run: nagios-failover history \S+\n",
        output.stderr,
    )
    assert site.state.role().role is Role.STANDBY


def test_watch_says_what_it_saw_in_one_line(site: Site) -> None:
    site.role(Role.STANDBY)
    verdict = f"WARNING: yasu: the host answers, ssh does not: ssh fails ({NO_SSH})\n"
    assert said(site.run("watch", "--once")) == (0, verdict, "")
    assert [look.by for look in site.state.looks()] == ["watch"]


def test_watch_for_cron_prints_nothing_and_mails_once_what_it_saw_twice(site: Site) -> None:
    site.role(Role.STANDBY)
    well = Look("yasu", time.time(), uptime(), boot_id(), "watch", State.OK, "alive", "yasu: alive")
    site.state.add_look(well)
    mails = []
    for _ in range(4):
        assert said(site.run("watch", "--once", "--quiet")) == (0, "", "")
        path = site.directory / "mail"
        mails.append(path.read_text().count("Subject: ") if path.exists() else 0)
    assert mails == [0, 1, 1, 1]
    assert "Master Nagios is WARNING" in (site.directory / "mail").read_text()


@pytest.mark.parametrize("quiet", [True, False])
def test_only_a_standby_watches(site: Site, quiet: bool) -> None:
    site.role(Role.MASTER)
    sentence = f"{HERE}: the role is master: there is no master to watch\n"
    assert said(site.run("watch", "--once", *(["-q"] if quiet else []))) == (0, "" if quiet else sentence, "")
    assert site.state.looks() == []


def test_a_standby_has_nothing_to_give_back(site: Site) -> None:
    site.role(Role.STANDBY)
    output = site.run("standdown")
    assert (output.returncode, output.stdout) == (3, "")
    assert output.stderr.startswith(f"error: {HERE}: the role is standby (term 3): there is nothing to give back\n")


def test_ack_without_a_failover_has_nothing_to_release(site: Site) -> None:
    assert said(site.run("ack")) == (0, f"{HERE}: acknowledged; nothing was blocked\n", "")


def test_nobody_reading_what_a_run_says_does_not_stop_it(site: Site) -> None:
    """`nagios-failover failover | head -1`: the pipe is closed before the first step says anything."""
    site.role(Role.STANDBY)
    code = "import nagios_failover.commands as c\nfor n in range(3): c._say('step')\nopen(r'{}', 'w').write('went on')"
    done = site.directory / "done"
    with subprocess.Popen([sys.executable, "-c", code.format(done)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.wait(30)
    assert done.read_text() == "went on"


def test_watch_sends_what_could_not_be_sent_before(site: Site) -> None:
    site.role(Role.STANDBY)
    text = site.cfg.read_text()
    site.cfg.write_text(re.sub(r"command = /bin/sh.*", "command = /bin/false", text))
    for _ in range(2):
        site.run("watch", "--once")
    assert len(list((site.state.directory / "unsent").glob("*.json"))) == 1
    site.cfg.write_text(text)
    assert site.run("watch", "--once").returncode == 0
    assert not list((site.state.directory / "unsent").glob("*.json"))
    assert (site.directory / "mail").read_text().count("Subject: ") == 1


def test_a_dry_run_changes_no_file(site: Site) -> None:
    site.role(Role.STANDBY)
    before = {path: path.read_bytes() for path in site.state.directory.rglob("*") if path.is_file()}
    output = site.run("failover", "--dry-run")
    assert (output.returncode, output.stderr) == (0, "")
    lines = output.stdout.splitlines()
    assert lines[0].startswith("confirm: would look at yasu until 3 looks in a row, 0.2 s apart, were CRITICAL; ")
    assert lines[-1] == "nothing was changed (dry run)"
    assert {path: path.read_bytes() for path in site.state.directory.rglob("*") if path.is_file()} == before


def test_whoever_pauses_does_not_finish_a_run_that_was_cut_off(site: Site) -> None:
    site.role(Role.STANDBY)
    left = Journal(site.state.directory).open("failover", 4, HERE, trigger="event")
    assert site.run("pause").returncode == 0
    assert left.record().open


def test_a_run_that_was_cut_off_is_finished_by_a_command(site: Site) -> None:
    """Killed after its first line: nothing was changed, so that it is given up, and the command does its own work."""
    site.role(Role.STANDBY)
    left = Journal(site.state.directory).open("failover", 4, HERE, trigger="event")
    output = site.run("resume")
    assert output.returncode == 0
    assert f"note: failover run {left.id} was open, and is refused: " in output.stderr
    assert not left.record().open


def test_a_switchover_lists_all_that_stands_in_the_way_and_changes_nothing(site: Site) -> None:
    """On the master, without [fence], without Nagios: each on a line of its own, with its hint."""
    site.role(Role.MASTER, term=7)
    for options in (["--dry-run"], []):
        output = site.run("switchover", *options)
        lines = output.stdout.splitlines()
        assert output.returncode == 3
        assert lines[:2] == [
            f"in the way: {HERE}: the role is master (hint: run it on the standby, yasu)",
            "in the way: yasu cannot be commanded: [fence] user is not set (hint: name an account that may act as the Nagios user"
            " there: [fence] user)",
        ]
        assert len([line for line in lines if line.startswith("in the way: ")]) > 3
        if options:
            assert any(line.startswith("activate: the point of no return (what fails before it is put back): ") for line in lines)
            assert output.stderr == (
                f"error: {HERE}: a switchover would not begin: see above\nhint: nothing was changed (dry run)\n"
            )
        else:
            assert "hint: nagios-failover switchover --dry-run changes nothing, and lists all\n" in output.stderr
    assert site.state.role().term == 7 and site.state.paused(0) is None


def test_status_says_whose_the_lease_is_and_which_members_of_etcd_answer(site: Site) -> None:
    site.role(Role.MASTER)
    assert "lease" not in site.run("status").stdout
    nobody = "http://127.0.0.1:1"
    with FakeEtcd() as etcd:
        with site.cfg.open("a") as file:
            file.write(f"[quorum]\netcd = {nobody}, {etcd.url}\n[fence]\nuser = nobody\n")
        here, said = "lease      not valid here: check_lease has not run yet", "1 of 2 members answer"
        refused = f"etcd       {nobody}: 127.0.0.1:1: Connection refused"
        assert f"\n{here}\netcd       nobody has the lease; {said}\n{refused}\n" in site.run("status").stdout
        Etcd(QuorumSection(etcd=(etcd.url,)), uptime).hold("yasu", 5, reign=True)
        site.state.write_lease(Lease(uptime() + 1000, boot_id(), "yasu", "HOST: master, it holds the lease for 1000 s"))
        lines = site.run("status").stdout.splitlines()
        assert f"etcd       yasu has the lease, the highest term is 5; {said}" in lines
        valid = re.compile(r"lease      valid here for another \d+ s: HOST: master, it holds the lease for 1000 s")
        assert [line for line in lines if valid.fullmatch(line)]
        given = json.loads(site.run("status", "--json").stdout)["lease"]
        assert 990 < given.pop("left") <= 1000
        assert given == {
            "holder": "yasu",
            "term": 5,
            "said": "HOST: master, it holds the lease for 1000 s",
            "etcd": {nobody: "127.0.0.1:1: Connection refused", etcd.url: None},
        }
    assert "etcd       no answer; 0 of 2 members answer" in site.run("status").stdout.splitlines()


def test_a_first_master_has_a_term_above_those_that_etcd_remembers(site: Site) -> None:
    with FakeEtcd() as etcd:
        before = Etcd(QuorumSection(etcd=(etcd.url,)), uptime)
        before.hold("yasu", 5, reign=True)
        with site.cfg.open("a") as file:
            file.write(f"[quorum]\netcd = {etcd.url}\n[fence]\nuser = nobody\n")
        assert "the lease is yasu's for another" in site.run("init", "--master", "--force").stderr
        before.release("yasu")
        site.run("init", "--master")
        role, held = site.state.role(), before.look()
    assert (role.role, role.term) == (Role.MASTER, 6)
    assert isinstance(held, Held) and (held.holder, held.term) == (HERE, 5), "its first check records its own"
