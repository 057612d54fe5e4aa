"""Role and flags on real hosts: what brings a master back active and a standby passive, and what nobody turns back."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from tests.lab import Host, Lab, why_not
from tests.lab.state import Mode
from tests.lab.suite import COMMAND, CONFIG, STATE, SUDOERS

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

BIN = "/opt/nagios-failover/bin"
CHECK = f"{BIN}/check_failover_state"
ROOT = f"{BIN}/nagios-failover-root"
LOG = "/var/log/nagios4/nagios.log"
PIPE = "/var/lib/nagios4/rw/nagios.cmd"
RETENTION = "/var/lib/nagios4/retention.dat"
KEYS = ("enable_notifications", "active_service_checks_enabled", "active_host_checks_enabled")
ON, OFF = ("1", "1", "1"), ("0", "0", "0")
MAILED = f"{STATE}/mailed.Failover_state"
COMMANDS = (
    ("DISABLE_NOTIFICATIONS", "ENABLE_NOTIFICATIONS"),
    ("STOP_EXECUTING_SVC_CHECKS", "START_EXECUTING_SVC_CHECKS"),
    ("STOP_EXECUTING_HOST_CHECKS", "START_EXECUTING_HOST_CHECKS"),
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(name=f"flags-{os.getpid()}") as lab:
        yield lab


@pytest.fixture
def pair(lab: Lab) -> Iterator[Lab]:
    """A paused pair, since these tests stop the master's Nagios: yasu is the master, nabira its standby, both as they should be."""
    lab.nabira.run([COMMAND, "pause", "--reason", "the tests stop yasu's Nagios"])
    for host, wanted in ((lab.yasu, ON), (lab.nabira, OFF)):
        for command, now, then in zip(COMMANDS, flags(host), wanted, strict=True):
            if now != then:  # a test before this one has failed
                operator(host, command[int(then)])
    well(lab)
    yield lab


def flags(host: Host) -> tuple[str, ...]:
    return shown_by(host.nagios_flags())


def shown_by(block: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(block.get(key, "") for key in KEYS)


def check(host: Host, user: str = "nagios") -> tuple[int, str]:
    """Exit code and first line of check_failover_state, as Nagios runs it."""
    done = host.run([CHECK], user=user, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()[0].partition(" |")[0]


def well(lab: Lab) -> None:
    lab.wait(lambda: flags(lab.yasu) == ON, 20, "yasu is active")
    lab.wait(lambda: flags(lab.nabira) == OFF, 20, "nabira is passive")
    for host in (lab.yasu, lab.nabira):
        lab.wait(lambda host=host: check(host)[0] == 0, 20, f"{host.name} is as it should be")  # type: ignore[misc]
        lab.wait(lambda host=host: not host.exists(MAILED), 20, f"{host.name}'s Nagios has seen it, too")  # type: ignore[misc]


def switches(host: Host, since: int) -> list[str]:
    """The flag commands that Nagios has logged since `since` lines."""
    lines = host.read(LOG).splitlines()[since:]
    commands = [line.partition("EXTERNAL COMMAND: ")[2] for line in lines if "EXTERNAL COMMAND: " in line]
    return [command for command in commands if command.startswith(("ENABLE_N", "DISABLE_N", "START_EXEC", "STOP_EXEC"))]


def log_lines(host: Host) -> int:
    return len(host.read(LOG).splitlines())


def operator(host: Host, command: str) -> None:
    """A Nagios that has just started makes its pipe after its first status.dat; a file in its place would keep it from doing so."""
    host.run(f'until [ -p {PIPE} ]; do sleep 0.05; done; echo "[$(date +%s)] {command}" > {PIPE}')


def after(lab: Lab, host: Host, event: Callable[[Host], None]) -> tuple[str, ...]:
    """The first flags that Nagios shows after a start of any kind."""
    time.sleep(1.0 - time.time() % 1.0)
    began = int(time.time())
    event(host)

    def shown() -> tuple[str, ...] | None:
        seen = host.nagios_flags()
        return shown_by(seen) if int(seen.get("program_start", "0")) >= began else None

    return lab.wait(shown, 20, f"{host.name}'s Nagios has started", poll=0.02) or ()


def stays(host: Host, expected: tuple[str, ...], seconds: float) -> None:
    """Over this time no status.dat shows anything else."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert flags(host) == expected
        time.sleep(0.2)


# ---- how the flags are set ----


def test_what_the_suite_switches_is_logged_as_ours(lab: Lab) -> None:
    log = lab.yasu.read(LOG)
    for command in ("ENABLE_NOTIFICATIONS", "START_EXECUTING_SVC_CHECKS", "START_EXECUTING_HOST_CHECKS", "SAVE_STATE_INFORMATION"):
        assert f"EXTERNAL COMMAND: {command};nagios-failover\n" in log


def test_every_file_of_the_state_is_the_nagios_users(pair: Lab) -> None:
    """Root's commands have run on both hosts by now."""
    for host in (pair.yasu, pair.nabira):
        check(host, user="root")
        assert check(host, user="nagios")[0] == 0
        assert host.run(f"find {STATE} -ignore_readdir_race ! -user nagios").stdout == ""
        readable = f"find {STATE} -ignore_readdir_race -path {STATE}/perfdata -prune -o -type f -perm /007 -print"
        assert host.run(readable).stdout == ""


def test_another_user_is_told_how(pair: Lab) -> None:
    done = pair.yasu.run([CHECK], user="hb", check=False)
    assert done.returncode == 3
    assert "nagios" in done.stdout


def test_the_maintenance_account_may_read_role_and_pause(pair: Lab) -> None:
    assert "role=standby\n" in pair.nabira.run(["cat", f"{STATE}/role", f"{STATE}/paused"], user="hb").stdout


# ---- what brings a master back active, a standby passive ----


def clean_restart(host: Host) -> None:
    host.service("nagios").restart()


def reload(host: Host) -> None:
    host.run(["kill", "-HUP", str(host.nagios_pid())])


def rotate(host: Host) -> None:
    host.run(f"mv {LOG} /var/log/nagios4/archives/nagios-01-01-2026-00.log && kill -HUP {host.nagios_pid()}")


def without_retention(host: Host) -> None:
    host.service("nagios").stop()
    host.run(["rm", "-f", RETENTION])
    host.service("nagios").start()


def crash(host: Host) -> None:
    host.service("nagios").kill9()
    host.service("nagios").start()


def reboot(host: Host) -> None:
    host.reboot()


def power_cut(host: Host) -> None:
    host.off()
    host.on()


@pytest.mark.parametrize("event", [clean_restart, reload, crash, reboot, power_cut])
def test_a_master_comes_back_active_and_a_standby_passive(pair: Lab, event: Callable[[Host], None]) -> None:
    for host, expected in ((pair.yasu, ON), (pair.nabira, OFF)):
        before = log_lines(host)
        assert after(pair, host, event) == expected, f"{host.name} after {event.__name__}"
        stays(host, expected, 2)
        assert switches(host, before) == [], "Nagios itself kept them: nothing had to be corrected"
    well(pair)


def test_a_power_cut_one_second_after_the_activation_comes_back_active(pair: Lab) -> None:
    yasu = pair.yasu
    assert after(pair, yasu, without_retention) == OFF
    pair.wait(lambda: flags(yasu) == ON, 20, "the handler has made yasu active")
    time.sleep(1)
    assert after(pair, yasu, power_cut) == ON
    well(pair)


def test_a_master_whose_retention_is_gone_comes_back_active(pair: Lab) -> None:
    yasu = pair.yasu
    assert after(pair, yasu, without_retention) == OFF, "a start is passive"
    began = time.monotonic()
    pair.wait(lambda: flags(yasu) == ON, 15, "its state watch has made it active")
    assert time.monotonic() - began < 10
    well(pair)


def test_a_standby_whose_retention_is_gone_stays_passive(pair: Lab) -> None:
    assert after(pair, pair.nabira, without_retention) == OFF
    stays(pair.nabira, OFF, 5)


def test_flags_that_were_lost_are_corrected_whoever_the_host_is(pair: Lab) -> None:
    """Lost without a word in the log: a retention file of the other role."""
    for host, kept, expected in ((pair.yasu, "0", ON), (pair.nabira, "1", OFF)):
        host.service("nagios").stop()
        program = f"modified_host_attributes=3\nmodified_service_attributes=3\n{''.join(f'{key}={kept}' + chr(10) for key in KEYS)}"
        host.write(RETENTION, f"info {{\ncreated=1\nversion=4.4.6\n}}\nprogram {{\n{program}}}\n", owner="nagios", mode=0o600)
        host.service("nagios").start()
        pair.wait(lambda host=host, expected=expected: flags(host) == expected, 15, f"{host.name} is corrected")  # type: ignore[misc]
    well(pair)


# ---- what nobody turns back ----


@pytest.mark.parametrize("damage", [f"rm {STATE}/role", f"printf 'role=mas' > {STATE}/role", f"mv {STATE} {STATE}.away"])
def test_a_master_without_a_readable_role_goes_on_and_says_so(pair: Lab, damage: str) -> None:
    yasu = pair.yasu
    before, checked, mailed = log_lines(yasu), len(yasu.checked()), len(pair.mails())
    yasu.run(f"cp -a {STATE}/role /root/role; {damage}")
    try:
        code, line = check(yasu)
        assert code == 1
        assert line.endswith("no flag is changed; Nagios goes on with notifications on, service checks on, host checks on")
        stays(yasu, ON, 6)
        assert switches(yasu, before) == []
        assert len(yasu.checked()) > checked
        hard = "Failover state;WARNING;HARD"
        pair.wait(lambda: any(hard in line for line in yasu.read(LOG).splitlines()[before:]), 20, "it is HARD")
        told = pair.wait(
            lambda: [mail for mail in pair.mails()[mailed:] if "no flag is changed" in mail.body], 20, "a mail says so"
        )
        assert len(told) == 1, "".join(f"\n{mail.subject} {mail.body}" for mail in told)
    finally:
        yasu.run(f"[ -d {STATE} ] || mv {STATE}.away {STATE}; cp -a /root/role {STATE}/role")
    well(pair)


def test_without_a_role_and_without_retention_a_start_is_passive(pair: Lab) -> None:
    yasu = pair.yasu
    yasu.run(f"mv {STATE}/role /root/role")
    try:
        assert after(pair, yasu, without_retention) == OFF
        stays(yasu, OFF, 6)
        assert check(yasu)[0] == 1
    finally:
        yasu.run(f"mv /root/role {STATE}/role")
    well(pair)


def test_an_operators_flag_is_kept_and_not_forgotten(pair: Lab) -> None:
    yasu = pair.yasu
    before = log_lines(yasu)
    operator(yasu, "DISABLE_NOTIFICATIONS")
    pair.wait(lambda: flags(yasu)[0] == "0", 10, "Nagios has obeyed the operator")
    muted = ("0", "1", "1")
    stays(yasu, muted, 8)
    code, line = check(yasu)
    assert code == 1
    assert line.startswith("FAILOVER WARNING - yasu: an operator's command keeps notifications off (term 1, for ")
    assert "Failover state;CRITICAL" not in "\n".join(yasu.read(LOG).splitlines()[before:]), "it was never taken for a fault"
    assert after(pair, yasu, clean_restart) == muted, "his word outlives a restart"
    stays(yasu, muted, 4)
    assert after(pair, yasu, without_retention) == OFF
    pair.wait(lambda: flags(yasu) == muted, 15, "the checks are on again, the notifications are not")
    stays(yasu, muted, 4)
    assert after(pair, yasu, power_cut) == muted
    operator(yasu, "ENABLE_NOTIFICATIONS")
    well(pair)


def test_what_a_handler_that_was_killed_has_not_mailed_is_mailed_by_the_next_one(pair: Lab) -> None:
    """Nagios calls it once when a service is OK again. Its mark, left behind, would keep the next mail of the same from people."""
    yasu, mark = pair.yasu, f"{STATE}/mailed.Master_Nagios"
    mailed = len(pair.mails())
    yasu.write(mark, f"what=WARNING\nwhy=\nat={time.time():.3f}\nservice=Master Nagios\n", owner="nagios", mode=0o640)
    pair.wait(lambda: not yasu.exists(mark), 40, "the state watch has seen it")
    ok = f"{yasu.name}: Master Nagios is OK"
    said = pair.wait(lambda: [mail for mail in pair.mails()[mailed:] if ok in mail.subject], 10, "a mail says it")
    well(pair)
    assert len(said) == 1 and "well again" in said[0].body, said


def test_an_operators_flag_is_seen_through_a_rotation_of_the_log(pair: Lab) -> None:
    yasu = pair.yasu
    yasu.service("nagios").freeze()  # nobody reads the log meanwhile
    yasu.run(f'echo "[$(date +%s)] STOP_EXECUTING_HOST_CHECKS" > {PIPE}')
    yasu.service("nagios").thaw()
    pair.wait(lambda: flags(yasu)[2] == "0", 10, "Nagios has obeyed the operator")
    after(pair, yasu, rotate)
    stays(yasu, ("1", "1", "0"), 6)
    operator(yasu, "START_EXECUTING_HOST_CHECKS")
    well(pair)


def test_on_a_standby_an_operators_flag_is_kept_too(pair: Lab) -> None:
    nabira = pair.nabira
    operator(nabira, "ENABLE_NOTIFICATIONS")
    pair.wait(lambda: flags(nabira)[0] == "1", 10, "Nagios has obeyed the operator")
    stays(nabira, ("1", "0", "0"), 6)
    operator(nabira, "DISABLE_NOTIFICATIONS")
    well(pair)


def test_a_fenced_master_stays_fenced_until_the_fence_is_lifted(pair: Lab) -> None:
    yasu = pair.yasu
    yasu.write(f"{STATE}/override.fence", f"notifications=off\nterm=9\nsince={int(time.time())}\n", owner="nagios", mode=0o640)
    try:
        muted = ("0", "1", "1")
        pair.wait(lambda: flags(yasu) == muted, 15, "yasu is muted")
        assert after(pair, yasu, clean_restart) == muted
        stays(yasu, muted, 4)
        before = log_lines(yasu)
        operator(yasu, "ENABLE_NOTIFICATIONS")
        pair.wait(lambda: "ENABLE_NOTIFICATIONS;" in switches(yasu, before), 10, "Nagios has obeyed the operator")
        undone = "DISABLE_NOTIFICATIONS;nagios-failover"
        pair.wait(
            lambda: [switch for switch in switches(yasu, before) if "_NOTIFICATIONS;" in switch][-1] == undone,
            15,
            "the fence goes before the operator",
        )
        pair.wait(lambda: flags(yasu) == muted, 10, "yasu is muted again")
        told = "FAILOVER WARNING - yasu: fenced by the other host, this host keeps notifications off (term 9, for "
        pair.wait(lambda: check(yasu)[1].startswith(told), 10, "the state watch says who mutes it")
    finally:
        yasu.run(["rm", f"{STATE}/override.fence"])
    well(pair)


@pytest.mark.parametrize(
    ("what", "name"), [("event handlers", "EVENT_HANDLERS"), ("freshness checks of services", "SERVICE_FRESHNESS_CHECKS")]
)
def test_a_standby_whose_watch_was_switched_off_is_critical(pair: Lab, what: str, name: str) -> None:
    nabira = pair.nabira
    operator(nabira, f"DISABLE_{name}")
    try:
        line = f"FAILOVER CRITICAL - nabira: Nagios's {what} are off: it would not take over"
        pair.wait(lambda: check(nabira) == (2, line), 10, "check_failover_state says so")
        assert line.partition(" - ")[2] in nabira.run([COMMAND, "status"], check=False).stdout
    finally:
        operator(nabira, f"ENABLE_{name}")
    well(pair)


# ---- what stands in the way ----


def test_a_full_disk_changes_no_flag_and_loses_nothing(pair: Lab) -> None:
    """Nagios then installs an empty status.dat: what is not seen is not corrected."""
    yasu = pair.yasu
    before = log_lines(yasu)

    def could_not_look() -> bool:
        """status.dat is empty and whole in turn: each new one takes what the one before it gave back."""
        yasu.fill()
        return "hint: is the disk full?" in yasu.run([CHECK], user="nagios", check=False).stdout

    try:
        pair.wait(could_not_look, 30, "the state watch could not look")
        checked = len(yasu.checked())
        pair.wait(lambda: len(yasu.checked()) > checked, 20, "Nagios goes on monitoring")
    finally:
        yasu.unfill()
    well(pair)
    assert switches(yasu, before) == []
    assert "role=master\n" in yasu.read(f"{STATE}/role")


def test_a_plain_file_for_a_command_file_is_said_and_left_alone(pair: Lab) -> None:
    yasu = pair.yasu
    yasu.run(f"mv {PIPE} {PIPE}.away; install -o nagios -m 0660 /dev/null {PIPE}")
    try:
        done = yasu.run(
            [f"{BIN}/python", "-c", SET_FLAGS],
            user="nagios",
            check=False,
        )
        assert done.stdout == (
            f"NoReader: yasu: the command file {PIPE} is a plain file, not a pipe: something wrote to it while Nagios was stopped\n"
            f"hint: rm {PIPE}, then restart Nagios\n"
        )
        assert yasu.read(PIPE) == ""
    finally:
        yasu.run(f"mv {PIPE}.away {PIPE}")
    well(pair)


SET_FLAGS = """
from nagios_failover.config_file import load
from nagios_failover.errors import FailoverError
from nagios_failover.flags import set_flags
from nagios_failover.words import Flag
try:
    set_flags(load(), {Flag.NOTIFICATIONS: True}, verify_timeout=1)
except FailoverError as error:
    print(f"{type(error).__name__}: {error}")
    print(f"hint: {error.hint}")
"""


def test_a_stopped_nagios_is_no_reader(pair: Lab) -> None:
    """It leaves its pipe behind."""
    pair.yasu.service("nagios").stop()
    try:
        done = pair.yasu.run([f"{BIN}/python", "-c", SET_FLAGS], user="nagios")
        assert done.stdout == f"NoReader: yasu: nobody reads the command file {PIPE}\nhint: start Nagios\n"
        pair.yasu.run(["rm", PIPE])
        done = pair.yasu.run([f"{BIN}/python", "-c", SET_FLAGS], user="nagios")
        assert done.stdout.startswith(f"NoReader: yasu: the command file {PIPE} does not exist\nhint: start Nagios;")
        assert not pair.yasu.exists(PIPE)
    finally:
        pair.yasu.service("nagios").start()
    well(pair)


# ---- root's part ----


def test_the_sudoers_sample_is_valid_and_gives_the_nagios_user_four_verbs(pair: Lab) -> None:
    yasu = pair.yasu
    assert yasu.run(["visudo", "-cf", SUDOERS]).stdout == f"{SUDOERS}: parsed OK\n"
    assert yasu.run(["sudo", "-n", ROOT, "version"], user="nagios").stdout.startswith("nagios-failover-root ")
    for arguments in (["stop-nagios"], ["version", "x"], ["-C", "/tmp/x"], []):
        assert yasu.run(["sudo", "-n", ROOT, *arguments], user="nagios", check=False).returncode != 0
    assert yasu.run(["sudo", "-n", "id"], user="nagios", check=False).returncode != 0
    assert yasu.run(["sudo", "-n", ROOT, "version"], user="hb", check=False).returncode != 0


def test_root_starts_and_stops_the_masters_services(pair: Lab) -> None:
    yasu = pair.yasu
    before = yasu.read(CONFIG)
    yasu.run(["sed", "-i", "s/^#perfdata_services =.*/perfdata_services = cron/", CONFIG])
    try:
        yasu.run(["/lab/service", "cron", "stop"])
        assert yasu.run(["sudo", "-n", ROOT, "start-perfdata"], user="nagios").stdout == "yasu: cron started\n"
        assert yasu.service("cron").pid()
        assert yasu.run(["sudo", "-n", ROOT, "stop-perfdata"], user="nagios").stdout == "yasu: cron stopped\n"
        assert not yasu.service("cron").pid()
        yasu.run(["chmod", "g+w", CONFIG])
        refused = yasu.run(["sudo", "-n", ROOT, "start-perfdata"], user="nagios", check=False)
        assert refused.returncode == 3
        assert refused.stderr.startswith(f"error: {CONFIG} is not root's alone to change")
        assert not yasu.service("cron").pid()
    finally:
        yasu.write(CONFIG, before, group="nagios", mode=0o640)
        yasu.run(["/lab/service", "cron", "start"], check=False)


def test_root_starts_a_stopped_nagios(pair: Lab) -> None:
    yasu = pair.yasu
    yasu.service("nagios").stop()
    assert yasu.run(["sudo", "-n", ROOT, "start-nagios"], user="nagios").stdout == "yasu: nagios4 started\n"
    pair.wait(lambda: yasu.nagios_pid(), 10, "Nagios runs")
    well(pair)


# ---- redundancy mode ----


@pytest.fixture(scope="module")
def redundancy() -> Iterator[Lab]:
    mode: Mode = "redundancy"
    with Lab.up(name=f"flags-r-{os.getpid()}", mode=mode) as lab:
        lab.nabira.run([COMMAND, "pause", "--reason", "the tests stop yasu's Nagios"])
        yield lab


def test_in_redundancy_mode_the_standby_checks_and_is_mute(redundancy: Lab) -> None:
    mute = ("0", "1", "1")
    nabira = redundancy.nabira
    redundancy.wait(lambda: flags(nabira) == mute and flags(redundancy.yasu) == ON, 20, "both are as they should be")
    assert check(nabira)[0] == 0
    for event in (power_cut, without_retention):
        assert after(redundancy, nabira, event) == mute, f"after {event.__name__}"
        stays(nabira, mute, 4)
