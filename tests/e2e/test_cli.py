"""Every command on a real pair: what it prints, what it finds, and whose files it leaves."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from nagios_failover.errors import REFUSED
from tests.lab import Host, Lab, why_not
from tests.lab.state import Mode, Profile
from tests.lab.suite import COMMAND, CONFIG, STATE, is_active, notifies, one_second_options
from tests.switching import TRIES, by_hand

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

NAGIOS_CFG = "/etc/nagios4/nagios.cfg"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(name=f"cli-{os.getpid()}") as lab:
        yield lab


def call(host: Host, *arguments: str, user: str = "root") -> subprocess.CompletedProcess[str]:
    return host.run([COMMAND, *arguments], user=user, check=False, timeout=60)


def good(host: Host, *arguments: str) -> str:
    output = call(host, *arguments)
    assert (output.returncode, output.stderr) == (0, ""), output.stdout + output.stderr
    return output.stdout


def seen(host: Host) -> dict[str, object]:
    found: dict[str, object] = json.loads(good(host, "status", "--json"))
    return found


@contextmanager
def edited(host: Host, path: str, change: Callable[[str], str], *, group: str = "root", mode: int = 0o644) -> Iterator[None]:
    """The file changed for a while, and put back as it was."""
    before = host.read(path)
    host.write(path, change(before), group=group, mode=mode)
    try:
        yield
    finally:
        host.write(path, before, group=group, mode=mode)


def with_option(section: str, option: str, value: str) -> Callable[[str], str]:
    """The configuration with the option set; it stands in the section already, or is commented out there."""

    def change(text: str) -> str:
        head, title, tail = text.partition(f"[{section}]\n")
        lines = tail.split("\n")
        at = next(i for i, line in enumerate(lines) if line.lstrip("#").startswith(f"{option} ="))
        lines[at] = f"{option} = {value}"
        return head + title + "\n".join(lines)

    return change


# --- a healthy pair ---


def test_both_hosts_show_the_same_healthy_pair(lab: Lab) -> None:
    for host in (lab.yasu, lab.nabira):
        lines = until_said(lab, host, "status", "\nlook       OK: ").splitlines()
        assert lines[0] == "yasu monitors and notifies (master, term 1)"
        assert lines[-1] == "disagrees  nothing"
        assert any(line.startswith("look       OK: ") for line in lines)


def test_json_shows_both_hosts(lab: Lab) -> None:
    status = seen_both(lab, lab.nabira)
    assert (status["this"], status["peer"], status["mode"]) == ("nabira", "yasu", "failover")
    assert {name: (host["role"], host["term"], host["nagios"]) for name, host in status["hosts"].items()} == {
        "nabira": ("standby", 1, "running"),
        "yasu": ("master", 1, "running"),
    }
    assert status["hosts"]["yasu"]["pid"] == lab.yasu.nagios_pid()
    assert status["hosts"]["yasu"]["flags"] == {"notifications": True, "service_checks": True, "host_checks": True}
    assert status["disagreements"] == []
    assert status["last_run"]["kind"] == "init"


def test_everything_that_test_tries_is_in_order_and_the_mail_arrives(lab: Lab) -> None:
    for host in (lab.yasu, lab.nabira):
        lines = until_said(lab, host, "test", "\nall OK\n").splitlines()
        assert lines[-1] == "all OK"
        tried = {line.split()[1]: line.split()[0] for line in lines[:-2]}
        assert {name for name, word in tried.items() if word != "OK"} == {"replication"}, "not configured here"
        assert tried["replication"] == "-"
        lab.wait(lambda: lab.mails(f"test mail from {host.name}"), 10, "the test mail")  # noqa: B023


def test_without_mail_nothing_is_sent(lab: Lab) -> None:
    before = len(lab.mails("test mail"))
    assert "not sent (--no-mail): would go to failover@witness" in good(lab.nabira, "test", "--no-mail")
    time.sleep(1)
    assert len(lab.mails("test mail")) == before


def test_check_config_finds_nothing_wrong_in_what_the_readme_tells_to_write(lab: Lab) -> None:
    for host in (lab.yasu, lab.nabira):
        assert good(host, "check-config").splitlines()[-1].startswith("nothing wrong")


# --- what test finds ---


def fault(host: Host, name: str) -> tuple[str, str]:
    """The line that `test` says of it, and the fix under that."""
    output = call(host, "test", "--no-mail")
    assert output.returncode == 1, output.stdout + output.stderr
    lines = output.stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith(f"NOT OK  {name}"))
    return lines[at].removeprefix(f"NOT OK  {name}").strip(), lines[at + 1].strip() if at + 1 < len(lines) else ""


def test_a_stopped_nagios_here_is_found(lab: Lab) -> None:
    lab.nabira.service("nagios").stop()
    try:
        sentence, fix = fault(lab.nabira, "command file")
        assert "nagios.cmd does not exist" in sentence or "nobody reads the command file" in sentence
        assert fix.startswith("fix: start Nagios")
        assert "nabira: Nagios does not run" in good(lab.nabira, "status")
    finally:
        lab.nabira.service("nagios").start()
        lab.wait(lambda: lab.nabira.nagios_pid(), 20, "nabira's Nagios")


def test_an_unknown_host_key_is_found(lab: Lab) -> None:
    with edited(lab.nabira, "/etc/ssh/ssh_known_hosts", lambda _: "# none\n"):
        sentence, fix = fault(lab.nabira, "ssh")
        assert sentence.startswith("yasu: its host key is unknown")
        assert "known_hosts" in fix


def test_a_stopped_sshd_is_found(lab: Lab) -> None:
    lab.yasu.service("sshd").stop()
    try:
        sentence, fix = fault(lab.nabira, "ssh")
        assert sentence.startswith("yasu: ") and "refused" in sentence
        assert fix == "fix: ssh -l hb 10.99.0.11 as nagios, by hand, shows why"
    finally:
        lab.yasu.service("sshd").start()


def test_a_database_that_does_not_answer_is_found(lab: Lab) -> None:
    lab.yasu.service("mariadbd").stop()
    try:
        sentence, fix = fault(lab.nabira, "SQL")
        assert sentence.startswith("yasu: 10.99.0.11:3306 does not answer: ")
        assert "bind-address" in fix
    finally:
        lab.yasu.service("mariadbd").start()


def test_missing_rights_to_sudo_are_found(lab: Lab) -> None:
    with edited(lab.nabira, "/etc/sudoers.d/nagios-failover", lambda _: "# none\n", mode=0o440):
        sentence, fix = fault(lab.nabira, "sudo")
        assert "password is required" in sentence
        assert "sudoers.sample" in fix


def test_a_mail_path_that_does_not_work_is_found(lab: Lab) -> None:
    change = with_option("mail", "command", "/bin/false")
    with edited(lab.nabira, CONFIG, change, group="nagios", mode=0o640):
        output = call(lab.nabira, "test")
        assert output.returncode == 1
        assert any(line.startswith("NOT OK  mail") for line in output.stdout.splitlines())


def test_a_silent_witness_is_found(lab: Lab) -> None:
    with edited(lab.nabira, CONFIG, with_option("witness", "addresses", "10.99.0.77"), group="nagios", mode=0o640):
        sentence, fix = fault(lab.nabira, "witness")
        assert sentence.startswith("10.99.0.77 does not answer: ")
        assert "[witness] addresses" in fix


def test_event_handlers_that_were_switched_off_in_the_running_nagios_are_found(lab: Lab) -> None:
    """nagios.cfg is right, and still nobody would fail over."""
    pipe = "/var/lib/nagios4/rw/nagios.cmd"
    lab.nabira.run(f'echo "[$(date +%s)] DISABLE_EVENT_HANDLERS" > {pipe}')
    try:
        lab.wait(lambda: "event handlers" in call(lab.nabira, "test", "--no-mail").stdout, 20, "test says so")
        sentence, _ = fault(lab.nabira, "flags")
        assert sentence.startswith("nabira: ")
        assert "event handlers" in good(lab.nabira, "status")
    finally:
        lab.nabira.run(f'echo "[$(date +%s)] ENABLE_EVENT_HANDLERS" > {pipe}')
    lab.wait(lambda: call(lab.nabira, "test", "--no-mail").returncode == 0, 20, "all is well again")


# --- what check-config finds ---

DEBIAN_WRONG = {
    "process_performance_data": ("0", "1"),
    "service_freshness_check_interval": ("60", one_second_options()[("look", "interval")]),
    "additional_freshness_latency": ("15", "0"),
    "status_update_interval": ("10", "2"),
    "enable_notifications": ("1", "0"),
    "execute_service_checks": ("1", "0"),
    "execute_host_checks": ("1", "0"),
    "retained_process_host_attribute_mask": ("8203", "0"),
}


def spoil(text: str) -> str:
    kept = [line for line in text.splitlines() if line.partition("=")[0].strip() not in DEBIAN_WRONG]
    return "\n".join([*kept, *(f"{name}={wrong}" for name, (wrong, _) in DEBIAN_WRONG.items()), ""])


@pytest.mark.parametrize("spoilt", ["yasu", "nabira"])
def test_the_packages_defaults_are_listed_with_their_right_values_from_either_host(lab: Lab, spoilt: str) -> None:
    with edited(lab.host(spoilt), NAGIOS_CFG, spoil):
        for host in (lab.yasu, lab.nabira):
            output = call(host, "check-config")
            assert output.returncode == 1
            for name, (wrong, right) in DEBIAN_WRONG.items():
                assert f"wrong: {spoilt}: {NAGIOS_CFG}: {name}={wrong}, should be {name}={right}: " in output.stdout
            assert output.stdout.count("wrong: ") == len(DEBIAN_WRONG)


def test_a_database_on_the_loopback_is_listed_from_either_host(lab: Lab) -> None:
    bind = "/etc/mysql/mariadb.conf.d/zz-loopback.cnf"
    lab.yasu.write(bind, "[mysqld]\nbind-address = 127.0.0.1\n")
    try:
        restart(lab.yasu, "mariadbd")
        for host in (lab.yasu, lab.nabira):
            output = call(host, "check-config")
            assert output.returncode == 1
            assert "wrong: yasu: MariaDB: bind-address = 127.0.0.1, should be bind-address = 0.0.0.0: " in output.stdout
    finally:
        lab.yasu.run(f"rm {bind}")
        restart(lab.yasu, "mariadbd")


def restart(host: Host, name: str) -> None:
    host.service(name).stop()
    host.service(name).start()


def test_an_address_that_only_dns_knows_is_listed_and_shown_resolved(lab: Lab) -> None:
    with edited(lab.nabira, CONFIG, with_option("host yasu", "address", "yasu.example.org"), group="nagios", mode=0o640):
        output = call(lab.nabira, "check-config")
        assert output.returncode == 1
        assert f"wrong: nabira: {CONFIG}: [host yasu] address = yasu.example.org, should be its IP address, or " in output.stdout
    with edited(lab.nabira, CONFIG, with_option("host yasu", "address", "yasu"), group="nagios", mode=0o640):
        assert good(lab.nabira, "check-config").splitlines()[-1].startswith("nothing wrong")
        assert "; yasu is 10.99.0.11\n" in good(lab.nabira, "test", "--no-mail")


def test_a_replica_that_would_not_notice_a_silent_source_is_listed(lab: Lab) -> None:
    lab.nabira.run(["mariadb", "-e", "CREATE USER nagios_failover_admin@localhost IDENTIFIED BY 'lab'"])
    with edited(lab.nabira, CONFIG, with_option("replication", "watch", "yes"), group="nagios", mode=0o640):
        output = call(lab.nabira, "check-config")
        assert output.returncode == 1
        assert "wrong: nabira: MariaDB: slave_net_timeout = 60, should be slave_net_timeout = 4: " in output.stdout


# --- whose files ---


def test_another_user_is_sent_away(lab: Lab) -> None:
    output = call(lab.nabira, "status", user="hb")
    assert (output.returncode, output.stdout) == (2, "")
    assert output.stderr.startswith("error: ") and "\nhint: " in output.stderr


# --- pause and resume ---


def test_a_pause_on_either_host_is_seen_on_both(lab: Lab) -> None:
    for paused, other in ((lab.nabira, lab.yasu), (lab.yasu, lab.nabira)):
        good(paused, "pause", "--for", "10m", "--reason", "kernel update")
        for host in (paused, other):
            until_said(lab, host, "status", f"pause      {paused.name}: paused until 20")
        until_said(lab, other, "resume", f"{other.name}: was not paused\n{paused.name}: paused until ")
        until_said(lab, other, "resume", f"to end that too, run on {paused.name}: nagios-failover resume\n")
        assert good(paused, "resume").startswith(f"{paused.name}: failover may start again (was paused until ")
        until_said(lab, other, "resume", f"{other.name}: was not paused\n{paused.name}: not paused\n")


def test_a_master_stopped_cleanly_under_its_own_pause_is_not_failed_over(lab: Lab) -> None:
    good(lab.yasu, "pause", "--reason", "kernel update")
    lab.yasu.service("nagios").stop()
    try:
        until_said(
            lab,
            lab.nabira,
            "status",
            "look       WARNING: yasu: Nagios is stopped cleanly under a pause (kernel update, by root@yasu)",
        )
        time.sleep(12)  # well beyond restart_grace and three looks
        assert not notifies(lab.nabira)
        assert "standby" in lab.nabira.read(f"{STATE}/role")
    finally:
        lab.yasu.service("nagios").start()
        lab.wait(lambda: is_active(lab.yasu), 30, "yasu is the master again")
        good(lab.yasu, "resume")


def until_said(lab: Lab, host: Host, command: str, words: str) -> str:
    """A busy machine can let a look's ssh time out; the next one sees it. Returns what was printed then."""

    def says() -> str:
        output = call(host, *command.split())
        return output.stdout if output.returncode == 0 and words in output.stdout else ""

    return lab.wait(says, 30, f"{command} on {host.name} says {words!r}")


def seen_both(lab: Lab, host: Host) -> dict[str, Any]:
    """`status --json` of a look that has reached the other host, whose Nagios runs."""

    def reached() -> list[dict[str, Any]]:
        status: dict[str, Any] = json.loads(good(host, "status", "--json"))
        return [status] if all(one["nagios"] == "running" for one in status["hosts"].values()) else []

    return lab.wait(reached, 30, f"{host.name} sees both")[0]


# --- roles ---


def test_a_second_master_is_refused(lab: Lab) -> None:
    lab.nabira.run(f"mv {STATE}/role {STATE}/role.away")
    try:
        output = call(lab.nabira, "init", "--master")
        assert (output.returncode, output.stdout) == (3, "")
        assert output.stderr.startswith("error: nabira: yasu has the role master with term 1; a second master cannot be\nhint: ")
        assert not lab.nabira.exists(f"{STATE}/role")
    finally:
        lab.nabira.run(f"mv {STATE}/role.away {STATE}/role")


def state_tree(host: Host) -> str:
    """What a run changes, and a dry run must not; the watch goes on meanwhile and writes its own files."""
    return host.run(
        f"cd {STATE} && find role failover.lock override.* paused runs -type f 2>/dev/null | sort | xargs sha256sum"
    ).stdout


STEPS = (
    "confirm", "lease", "register", "pre hook", "fence, mild", "fetch", "fence, hard", "inherit", "start Nagios", "tell witnesses",
    "activate", "check at once", "promote", "fetch queue", "perfdata services", "post hook", "verify incidents",
    "mail", "merge logs",
)  # fmt: skip


def test_failover_dry_run_walks_the_list_and_changes_nothing(lab: Lab) -> None:
    before = state_tree(lab.nabira)
    lines = good(lab.nabira, "failover", "--dry-run").splitlines()
    assert tuple(line.partition(": ")[0] for line in lines[:-1]) == STEPS
    assert lines[0].startswith(
        "confirm: would look at yasu until 3 looks in a row, 1 s apart, were CRITICAL; by this look it would find "
    )
    assert lines[1] == "lease: not configured"
    assert lines[2] == f"register: would write role taking-over with term 2 to {STATE}/role, and failover.lock beside it"
    assert lines[-1] == "nothing was changed (dry run)"
    assert state_tree(lab.nabira) == before
    assert is_active(lab.yasu) and not notifies(lab.nabira)


def test_failover_by_hand_over_a_living_master_is_refused(lab: Lab) -> None:
    output = call(lab.nabira, "failover")
    assert (output.returncode, output.stdout) == (3, "")
    assert output.stderr.startswith("error: not confirmed: yasu: "), output.stderr
    assert "\ndetail: the whole run: nagios-failover history " in output.stderr
    assert is_active(lab.yasu) and not notifies(lab.nabira)
    assert lab.nabira.read(f"{STATE}/role").startswith("role=standby\n")


def test_every_command_as_root_leaves_nothing_of_roots_and_the_handler_still_works(lab: Lab) -> None:
    """What a root shell leaves behind must not keep Nagios's own handler from failing over at night."""
    for host in (lab.yasu, lab.nabira):
        for arguments in (
            ("status",), ("status", "--json"), ("test", "--no-mail"), ("check-config",), ("init", "--standby"), ("init-database",),
            ("failover", "--dry-run"), ("pause",), ("resume",), ("ack",), ("history",), ("history", "--json"),
        ):  # fmt: skip
            output = call(host, *arguments)
            assert "fault" not in output.stderr, (arguments, output.stderr)
        roots = host.run(["find", STATE, "-ignore_readdir_race", "(", "-user", "root", "-o", "-group", "root", ")"]).stdout
        assert roots == ""
        assert host.run(["stat", "-c", "%U %G %a", STATE]).stdout == "nagios adm 2750\n"
    lab.yasu.service("nagios").kill9()
    lab.wait(lambda: is_active(lab.nabira), 40, "nabira checks and notifies")
    lab.wait(lambda: seen(lab.nabira)["open_runs"] == [], 20, "the run is closed")
    output = call(lab.nabira, "history")
    assert "failover" in output.stdout.splitlines()[1] and " done " in output.stdout.splitlines()[1]
    summary = good(lab.nabira, "status").splitlines()
    assert summary[0] == "nabira monitors and notifies (master, term 2)"
    roots = lab.nabira.run(["find", STATE, "-ignore_readdir_race", "-user", "root"]).stdout
    assert roots == ""


# --- by hand, from here on in this order: nabira is the master, yasu's Nagios is dead ---


def test_the_repaired_host_is_a_standby_again_and_takes_the_role_back_by_hand(lab: Lab) -> None:
    refused = call(lab.nabira, "standdown")
    assert (refused.returncode, refused.stderr.startswith("error: nabira: there is no live standby: yasu: ")) == (3, True)
    lab.yasu.service("nagios").start()
    lab.wait(lambda: not notifies(lab.yasu), 30, "yasu stands down by itself")
    lab.wait(lambda: seen(lab.yasu)["disagreements"] == [], 20, "yasu fits in as the standby")
    until_said(lab, lab.yasu, "status", "nabira monitors and notifies (master, term 2)\n")

    lines = by_hand(lab.nabira, "standdown").splitlines()
    assert [line.split(":")[0] for line in lines[:6]] == ["check", "register", "mute", "database", "become standby", "mail"]
    assert lines[6] == "nabira is the standby now (term 2): nobody monitors until you run on yasu: nagios-failover failover"
    until_said(lab, lab.yasu, "status", "NOBODY notifies\n")

    lines = by_hand(lab.yasu, "failover").splitlines()
    assert lines[0].startswith("confirm: done: nabira: alive, but it checks or notifies nothing")
    assert lines[-2].startswith("yasu is the master now (term 3): it checks and notifies since ")
    assert is_active(lab.yasu) and not notifies(lab.nabira)
    run = lines[-1].removeprefix("the whole run: nagios-failover history ")
    shown = good(lab.yasu, "history", run)
    assert f"run      {run}\nkind     failover on yasu, term 3\n" in shown
    assert "activate" in shown and "trigger  command" in shown
    lab.wait(lambda: seen(lab.nabira)["disagreements"] == [], 20, "nabira fits in as the standby")


def test_a_person_fails_over_a_paused_pair_and_a_killed_run_is_finished_by_any_command(lab: Lab) -> None:
    """The automation is paused, and Nagios's event handlers are off, so that it is the command that finishes the run."""
    good(lab.nabira, "pause", "--reason", "by hand today")
    lab.nabira.run('echo "[$(date +%s)] DISABLE_EVENT_HANDLERS" > /var/lib/nagios4/rw/nagios.cmd')
    lab.yasu.service("nagios").kill9()
    lab.wait(lambda: lab.nabira.nagios_flags().get("enable_event_handlers") == "0", 20, "event handlers are off")
    for _ in range(TRIES):  # one whose look reaches nobody in time refuses, and has begun nothing
        killed = lab.nabira.run([COMMAND, "failover"], check=False, timeout=60, env={"NAGIOS_FAILOVER_CRASH_AFTER": "register"})
        if killed.returncode != REFUSED:
            break
    assert killed.returncode not in (0, 1, 2, 3, 4)
    assert lab.nabira.read(f"{STATE}/role").startswith("role=taking-over\n")
    output = call(lab.nabira, "status")
    assert output.returncode == 0
    assert "was open, and is done: nabira is the master now (term 4)" in output.stderr
    assert output.stdout.startswith("nabira monitors and notifies (master, term 4)\n")
    assert is_active(lab.nabira)
    good(lab.nabira, "resume")


# --- other pairs ---


@pytest.mark.parametrize(("mode", "profile"), [("redundancy", "one-second"), ("failover", "default")])
def test_a_pair_set_up_from_the_samples_has_no_wrong_line(mode: Mode, profile: Profile) -> None:
    with Lab.up(name=f"cli-{mode[:4]}-{os.getpid()}", mode=mode, profile=profile) as pair:
        for host in (pair.yasu, pair.nabira):
            assert good(host, "check-config").splitlines()[-1].startswith("nothing wrong")
            until_said(pair, host, "status", "\ndisagrees  nothing\n")
            until_said(pair, host, "test --no-mail", "\nall OK\n")


def test_cron_starts_a_cold_standby_as_the_script_of_2005_did() -> None:
    with Lab.up(name=f"cli-cold-{os.getpid()}") as pair:
        for host in (pair.yasu, pair.nabira):
            text = with_option("pair", "standby", "cold")(host.read(CONFIG))
            host.write(CONFIG, text, group="nagios", mode=0o640)
        pair.nabira.service("nagios").stop()
        watch = [COMMAND, "watch", "--once"]

        def well() -> bool:
            seen = pair.nabira.run(watch, user="nagios", check=False)
            assert (seen.returncode, seen.stderr) == (0, "")
            return seen.stdout.startswith("OK: yasu: Nagios (PID ")

        pair.wait(well, 20, "the look at a living master, which has written its first heartbeat")
        until_said(pair, pair.nabira, "status", "\ndisagrees  nothing\n")
        until_said(pair, pair.nabira, "test --no-mail", "\nall OK\n")
        quiet = [*watch, "--quiet"]
        silent = pair.nabira.run(quiet, user="nagios", check=False)
        assert (silent.returncode, silent.stdout, silent.stderr) == (0, "", "")
        pair.yasu.service("nagios").kill9()
        for _ in range(TRIES):  # cron comes again: a look that reaches nobody in time is no failover
            taken = pair.nabira.run(watch, user="nagios", check=False, timeout=120)
            if taken.returncode != REFUSED and "is the master now" in taken.stdout:
                break
        assert taken.returncode == 0, taken.stdout + taken.stderr
        assert taken.stdout.startswith("CRITICAL: yasu: Nagios has crashed: PID ")
        assert "start Nagios: done: " in taken.stdout
        assert "nabira is the master now (term 2): it checks and notifies since " in taken.stdout
        assert is_active(pair.nabira)
        after = pair.nabira.run(quiet, user="nagios", check=False)
        assert (after.returncode, after.stdout, after.stderr) == (0, "", "")


def test_a_master_that_never_had_the_suite_is_shown_as_such() -> None:
    with Lab.up(name=f"cli-bare-{os.getpid()}", suite_on=("nabira",)) as pair:
        text = with_option("heartbeat", "schema", "none")(pair.nabira.read(CONFIG))  # nobody writes one there
        pair.nabira.write(CONFIG, text, group="nagios", mode=0o640)
        status = seen_both(pair, pair.nabira)
        yasu = status["hosts"]["yasu"]
        assert (yasu["suite"], yasu["role"], yasu["nagios"]) == (False, None, "running")
        assert status["summary"] == "yasu monitors and notifies (without a role file)"
        assert status["disagreements"] == []
        lines = until_said(pair, pair.nabira, "test --no-mail", "\nall OK\n").splitlines()
        assert lines[-1] == "all OK"
        assert any("yasu: Nagios is running" in line and line.endswith("no suite there") for line in lines)
        assert "wrong: yasu" not in call(pair.nabira, "check-config").stdout
