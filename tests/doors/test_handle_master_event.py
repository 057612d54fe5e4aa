"""handle_master_event as Nagios calls it: a subprocess without a terminal, its whole output, its exit code, and what it leaves.

The other host is this machine's loopback, where nothing answers on the ssh port: the run's own looks say so, nothing fails over.
"""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nagios_failover.evidence import PauseMarker
from nagios_failover.journal import Journal
from nagios_failover.lock import run_lock
from nagios_failover.looks import Look
from nagios_failover.role import RoleRecord
from nagios_failover.state_files import StateFiles, boot_id, uptime
from nagios_failover.verdict import Code
from nagios_failover.words import Role, State

HERE = socket.gethostname()
USER = pwd.getpwuid(os.geteuid()).pw_name
DEAD = ("nagios-failover", "Master Nagios", "CRITICAL", "HARD", "3")
WELL = ("nagios-failover", "Master Nagios", "OK", "HARD", "1")
SOFT_OK = ("nagios-failover", "Master Nagios", "OK", "SOFT", "1")
HEAVY = ("fabric", "pymysql", "smtplib", "rich", "nagiosplugin", "asyncio", "email.message", "nagios_failover.failover")


class Site:
    """A host with a configuration and a state directory, but no Nagios; `mails` is what its mail command was given."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.state = StateFiles(directory / "state")
        self.state.directory.mkdir(mode=0o750)
        self.mail_file = directory / "mail"
        nagios_cfg = directory / "nagios.cfg"
        nagios_cfg.write_text(
            f"status_file={directory}/status.dat\ncommand_file={directory}/nagios.cmd\nlog_file={directory}/log\n"
        )
        self.cfg = directory / "nagios-failover.cfg"
        self.text = (
            f"[host {HERE}]\naddress = 127.0.0.1\nnagios_cfg = {nagios_cfg}\n[host yasu]\naddress = 127.0.0.1\n"
            f"[nagios]\nuser = {USER}\nverify_timeout = 1\n[paths]\nstate = {self.state.directory}\n"
            "[ssh]\nport = 1\ntimeout = 1\n[look]\nconfirm_interval = 0.2\ninterval = 10\n[witness]\naddresses = none\n"
            f"[mail]\nmethod = command\ncommand = /bin/sh {directory}/mailer\nto = oncall@example.org\n"
        )
        self.cfg.write_text(self.text)
        self.mailer("cat >> $0.tmp; echo ---- >> $0.tmp; cp $0.tmp " + str(self.mail_file))

    def mailer(self, script: str) -> None:
        (self.directory / "mailer").write_text(script + "\n")

    def role(self, role: Role) -> None:
        self.state.write_role(RoleRecord(role, HERE if role is Role.MASTER else "yasu", 3, "", int(time.time())))

    def saw(self, state: State, code: Code, sentence: str) -> None:
        self.state.add_look(Look("yasu", time.time(), uptime(), boot_id(), "check", state, code, sentence))

    def call(self, *arguments: str, config: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "nagios_failover.handlers.handle_master_event", "-C", str(config or self.cfg), *arguments],
            capture_output=True,
            text=True,
            timeout=20,
            cwd="/tmp",
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": str(self.directory)},
            check=False,
        )

    def log(self) -> str:
        path = self.state.directory / "handler.log"
        return path.read_text() if path.exists() else ""

    def mails(self) -> list[str]:
        return self.mail_file.read_text().split("----\n")[:-1] if self.mail_file.exists() else []

    def files(self) -> set[str]:
        return {str(path.relative_to(self.directory)) for path in self.directory.rglob("*")}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def wait(until: Callable[[], object], what: str, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def quiet(done: subprocess.CompletedProcess[str]) -> bool:
    return (done.returncode, done.stdout, done.stderr) == (0, "", "")


# --- nothing to do ---


@pytest.mark.parametrize(
    "macros",
    [
        WELL,
        ("nagios-failover", "Master Nagios", "CRITICAL", "SOFT", "1"),
        ("nagios-failover", "Failover state", "OK", "HARD", "1"),
        ("web1", "HTTP", "CRITICAL", "HARD", "3"),
        ("web1", "DOWN", "HARD", "3"),
    ],
)
def test_with_nothing_to_do_it_is_gone_and_has_left_nothing(site: Site, macros: tuple[str, ...]) -> None:
    site.role(Role.STANDBY)
    before = site.files()
    assert quiet(site.call(*macros))
    assert site.files() == before


def test_with_nothing_to_do_it_loads_nothing_heavy(site: Site) -> None:
    site.role(Role.MASTER)
    site.saw(State.WARNING, Code.PEER_GONE, "yasu: no standby: ssh fails")
    warning = ("nagios-failover", "Master Nagios", "WARNING", "HARD", "3")
    assert quiet(site.call(*warning))
    wait(site.mails, "the first call mails")
    for macros in (warning, SOFT_OK, ("web1", "HTTP", "CRITICAL", "HARD", "3")):
        code = (
            "import sys\nfrom nagios_failover.handlers.handle_master_event import main\n"
            f"try:\n    main.__wrapped__(['-C', {str(site.cfg)!r}, *{macros!r}])\n"
            f"except SystemExit as end:\n    print(end.code, [name for name in {HEAVY!r} if name in sys.modules])\n"
        )
        if macros == SOFT_OK:
            (site.state.directory / "mailed.Master_Nagios").unlink(missing_ok=True)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False)
        assert done.stdout == "0 []\n", (macros, done.stdout, done.stderr)


# --- wrong macros, wrong configuration ---


@pytest.mark.parametrize(
    ("macros", "what", "hint"),
    [
        (
            ("nagios-failover", "Master Nagios", "DEAD", "HARD", "3"),
            "unknown state 'DEAD'",
            "one of OK, WARNING, CRITICAL, UNKNOWN",
        ),
        (
            ("nagios-failover", "Master\nNagios", "CRITICAL", "HARD", "3"),
            "a macro holds a character that no object's name has: 'Master\\nNagios'",
            "nothing was done",
        ),
        (
            ("$(reboot)", "Master Nagios", "CRITICAL", "HARD", "3"),
            "a macro holds a character that no object's name has: '$(reboot)'",
            "nothing was done",
        ),
        (
            ("nagios-failover", "Master Nagios", "CRITICAL"),
            "3 macros instead of 5 (service) or 4 (host)",
            "compare the event handler's command_line with commands.cfg.sample",
        ),
    ],
)
def test_macros_that_are_off_are_a_sentence_here_and_in_the_log_and_never_a_run(
    site: Site, macros: tuple[str, ...], what: str, hint: str
) -> None:
    site.role(Role.STANDBY)
    done = site.call(*macros)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {what}\nhint: {hint}\n")
    assert f"error: {what}; hint: {hint}\n" in site.log()
    assert Journal(site.state.directory).runs() == []


def test_unknown_options_and_a_missing_configuration_are_sentences(site: Site, tmp_path: Path) -> None:
    done = site.call("--frobnicate", *DEAD)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: unrecognized arguments: --frobnicate\nhint: ")
    done = site.call(*DEAD, config=tmp_path / "away.cfg")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: configuration file {tmp_path}/away.cfg does not exist\nhint: copy nagios-failover.cfg.sample there\n"
    )


# --- HARD CRITICAL ---


def test_a_death_that_is_not_confirmed_is_refused_journaled_and_mailed_once(site: Site) -> None:
    site.role(Role.STANDBY)

    def refused() -> list[int]:
        """For each run in the journal, how often it was refused before."""
        journal = Journal(site.state.directory)
        return [] if journal.open_runs() else [run.repeats for run in journal.runs()]

    for before in range(3):
        assert quiet(site.call(*DEAD))
        wait(lambda before=before: refused() == [before], "the run ends")  # type: ignore[misc]
    (run,) = Journal(site.state.directory).runs()
    assert run.outcome == "refused" and run.sentence.startswith("not confirmed: yasu: the host answers"), run.sentence
    assert run.repeats == 2
    wait(site.mails, "the mail")
    (mail,) = site.mails()
    assert f"Subject: [nagios-failover] {HERE}: Master Nagios is CRITICAL" in mail
    assert "To: oncall@example.org" in mail and "Auto-Submitted: auto-generated" in mail
    assert "failover refused: not confirmed: yasu: the host answers" in mail
    assert site.state.role().role is Role.STANDBY and not site.state.lock_path.exists()


def test_twenty_calls_at_once_are_one_run_at_a_time_and_one_mail(site: Site) -> None:
    site.role(Role.STANDBY)
    site.state.pause(PauseMarker("admin", "maintenance", 1000, None))
    command = [sys.executable, "-m", "nagios_failover.handlers.handle_master_event", "-C", str(site.cfg), *DEAD]
    calls = [subprocess.Popen(command, cwd="/tmp") for _ in range(20)]
    assert [call.wait(timeout=30) for call in calls] == [0] * 20
    wait(site.mails, "the mail")
    time.sleep(2)
    assert len(site.mails()) == 1 and "paused until resumed by admin: maintenance" in site.mails()[0]
    assert len(Journal(site.state.directory).runs()) == 1


def test_it_is_mailed_when_it_is_well_again(site: Site) -> None:
    site.role(Role.STANDBY)
    site.saw(State.WARNING, Code.PASSIVE, "yasu: alive, but nobody monitors")
    warning = ("nagios-failover", "Master Nagios", "WARNING", "HARD", "3")
    assert quiet(site.call(*warning)) and quiet(site.call(*warning))
    wait(site.mails, "the mail")
    site.saw(State.OK, Code.ALIVE, "yasu: Nagios (PID 7) is alive")
    assert quiet(site.call(*WELL))
    wait(lambda: len(site.mails()) == 2, "the second mail")
    assert quiet(site.call(*WELL))
    time.sleep(0.7)
    first, second = site.mails()
    assert "yasu: alive, but nobody monitors." in first
    assert "Master Nagios is OK" in second and "well again: yasu: Nagios (PID 7) is alive." in second


def test_what_the_macros_cannot_tell_the_recorded_look_does_and_without_one_it_is_said(site: Site) -> None:
    site.role(Role.MASTER)
    assert quiet(site.call("nagios-failover", "Master Nagios", "CRITICAL", "HARD", "3"))
    wait(site.mails, "the mail")
    assert f"{HERE}: Master Nagios is CRITICAL, but no look that says so was recorded." in site.mails()[0]
    assert "is check_master_nagios broken here?" in site.mails()[0]


def test_a_mail_that_cannot_be_sent_waits_and_the_next_call_sends_it(site: Site) -> None:
    site.role(Role.STANDBY)
    site.mailer("echo nobody listens >&2; exit 75")
    site.saw(State.WARNING, Code.PASSIVE, "yasu: alive, but nobody monitors")
    assert quiet(site.call("nagios-failover", "Master Nagios", "WARNING", "HARD", "3"))
    failed = "the mail was not sent: /bin/sh: exit code 75"
    wait(lambda: site.log().count(failed) == 2, "both its tries are in the log: nobody holds the queue any more")
    site.mailer(f"cat > $0.tmp; echo ---- >> $0.tmp; cp $0.tmp {site.mail_file}")
    assert quiet(site.call("nagios-failover", "Master Nagios", "WARNING", "SOFT", "1"))
    wait(site.mails, "the mail")
    assert "yasu: alive, but nobody monitors" in site.mails()[0]
    wait(lambda: not list((site.state.directory / "unsent").glob("*.json")), "the queue is empty")


def test_a_lock_that_is_held_for_longer_than_any_run_takes_is_mailed(site: Site) -> None:
    site.role(Role.STANDBY)
    with run_lock(site.state.directory, wait=0):
        assert quiet(site.call(*DEAD))
        time.sleep(1.5)
        assert not site.mails(), "a run on its way tells people itself"
        os.utime(site.state.directory / "run.lock", (1000, 1000))
        assert quiet(site.call(*DEAD))
        wait(site.mails, "the mail")
    assert f"a run is on its way: PID {os.getpid()}, for " in site.mails()[0]


# --- state that is away or garbled ---


def test_a_garbled_role_is_mailed_and_nothing_is_started(site: Site) -> None:
    site.state.role_path.write_text("garbage\n")
    for _ in range(2):
        assert quiet(site.call(*DEAD))
        time.sleep(0.7)
    wait(site.mails, "the mail")
    (mail,) = site.mails()
    assert "no failover: the role file" in mail and "is garbled: 'garbage'" in mail
    assert Journal(site.state.directory).runs() == [] and site.state.role_path.read_text() == "garbage\n"


def test_an_unmounted_state_directory_is_mailed_once(site: Site) -> None:
    site.state.directory.rmdir()
    for _ in range(2):
        assert quiet(site.call("nagios-failover", "Failover state", "WARNING", "HARD", "1"))
        time.sleep(1)
    wait(site.mails, "the mail")
    assert len(site.mails()) == 1 and "is not there (not mounted?)" in site.mails()[0]
    assert not site.state.directory.exists()


def test_a_world_readable_password_is_refused(site: Site) -> None:
    site.cfg.write_text(site.text + "[heartbeat]\npassword = secret\n")
    site.cfg.chmod(0o644)
    done = site.call(*DEAD)
    assert done.returncode == 2 and "holds a password and everybody can read it" in done.stderr
    assert Journal(site.state.directory).runs() == []


# --- dry run, help ---


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(site: Site) -> None:
    site.role(Role.STANDBY)
    before = site.files()
    done = site.call("--dry-run", *DEAD)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and done.stderr == ""
    assert lines[0] == "Master Nagios is HARD CRITICAL: look, confirm and fail over"
    assert lines[1].startswith(
        "confirm: would look at yasu until 3 looks in a row, 0.2 s apart, were CRITICAL; by this look it would"
    )
    assert lines[3].startswith("register: would write role taking-over with term 4 to ")
    assert lines[-1] == "nothing was changed (dry run)" and len(lines) == 21
    assert {name for name in site.files() if "/ssh" not in name} == before
    done = site.call("--dry-run", "web1", "HTTP", "CRITICAL", "HARD", "3")
    assert done.stdout == "nothing to do: web1 is neither nagios-failover nor yasu\n" and done.returncode == 0


def test_a_dry_run_under_a_pause_is_refused_with_exit_code_3(site: Site) -> None:
    site.role(Role.STANDBY)
    site.state.pause(PauseMarker("admin", "maintenance", 1000, None))
    done = site.call("--dry-run", *DEAD)
    assert done.returncode == 3
    assert done.stderr == f"error: {HERE}: paused until resumed by admin: maintenance\nhint: nagios-failover resume on {HERE}\n"


def test_help(site: Site) -> None:
    done = site.call("--help")
    assert done.returncode == 0 and done.stdout.startswith(
        "usage: handle_master_event [-C FILE] [--dry-run] HOST [SERVICE] STATE TYPE"
    )
