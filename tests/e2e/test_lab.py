"""The lab itself: every fault that the other tests rely on is what it says it is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.lab import Host, Lab, LabError, Service, why_not
from tests.lab.cgroup import Cgroup
from tests.lab.state import LABS, loop_files

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

NAME = f"lab-{os.getpid()}"
TOP = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(name=NAME, suite_on=()) as lab:
        yield lab


def pings(host: Host, other: str) -> bool:
    return host.run(["ping", "-n", "-q", "-c", "1", "-W", "1", other], check=False).returncode == 0


def ssh(host: Host, other: str, command: str = "true", seconds: int = 20) -> subprocess.CompletedProcess[str]:
    """As Nagios does it; exit code 255 when ssh itself failed."""
    options = ("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", f"ConnectTimeout={seconds}")
    return host.run(["ssh", *options, "-l", "hb", other, command], user="nagios", check=False, timeout=30)


def has_ended(service: Service) -> bool:
    return service.pid() is None


def activate(host: Host) -> None:
    names = ("START_EXECUTING_SVC_CHECKS", "START_EXECUTING_HOST_CHECKS", "ENABLE_NOTIFICATIONS")
    host.run("cat > /var/lib/nagios4/rw/nagios.cmd", stdin="".join(f"[{int(time.time())}] {name}\n" for name in names))


def test_both_nagios_hosts_reach_each_other_as_the_maintenance_account(lab: Lab) -> None:
    for host, other in ((lab.yasu, lab.nabira), (lab.nabira, lab.yasu)):
        said = ssh(host, other.name, "id -un; cat /proc/sys/kernel/hostname; grep -c info /var/lib/nagios4/status.dat")
        assert said.returncode == 0, said.stderr
        assert said.stdout.splitlines() == ["hb", other.name, "1"]


def test_the_nagios_user_finds_the_environment_of_a_handler(lab: Lab) -> None:
    said = lab.yasu.run("id -un; pwd; umask; echo ${HOME-no home}", user="nagios").stdout.split("\n")
    assert said[:4] == ["nagios", "/tmp", "0022", "no home"]


def test_a_command_that_fails_or_hangs_says_so_and_leaves_nothing_running(lab: Lab) -> None:
    with pytest.raises(AssertionError, match="yasu: `echo no >&2; exit 3` as root ended with exit code 3:\nno"):
        lab.yasu.run("echo no >&2; exit 3")
    with pytest.raises(subprocess.TimeoutExpired):
        lab.yasu.run("sleep 4321; true", timeout=0.5)
    assert lab.yasu.run(["pgrep", "-f", "^sleep 4321"], check=False).stdout == ""


def test_the_hosts_see_nothing_of_the_machine_outside(lab: Lab) -> None:
    assert lab.yasu.run("ls /root /home /mnt /media /opt").stdout.split() == [
        *("/home:", "hb", "/media:", "/mnt:", "/opt:", "nagios-failover", "/root:"),
    ]
    assert int(lab.yasu.run("ls -d /proc/[0-9]* | wc -l").stdout) < 30
    interfaces = lab.yasu.run("ls /proc/sys/net/ipv4/conf").stdout.split()
    assert sorted(interfaces) == ["all", "default", "eth0", "lo"]
    assert lab.yasu.run("mknod /tmp/disk b 7 0", check=False).returncode != 0
    assert lab.yasu.run("date -s 2001-01-01", check=False).returncode != 0


def test_the_outside_sees_no_mount_and_no_interface_of_the_lab(lab: Lab) -> None:
    assert NAME not in Path("/proc/self/mountinfo").read_text()
    interfaces = {path.name for path in Path("/sys/class/net").iterdir()}
    assert not interfaces & {"lab", "yasu", "nabira", "witness"}
    routes = Path("/proc/net/fib_trie").read_text()
    assert lab.yasu.address.rpartition(".")[0] not in routes
    assert lab.yasu.address in lab.yasu.run("cat /proc/net/fib_trie").stdout


def test_checks_follow_what_a_test_sets_and_mail_arrives_at_the_witness(lab: Lab) -> None:
    assert lab.nabira.checked() == []
    activate(lab.yasu)
    lab.set_state("web3", "HTTP", "CRITICAL", "nobody answers")
    mail = lab.wait(lambda: lab.mails("PROBLEM web3/HTTP"), 30, "a mail about web3/HTTP")[0]
    assert mail.subject == "PROBLEM web3/HTTP is CRITICAL, sent by yasu"
    assert mail.to == ("oncall@witness",)
    assert "HTTP CRITICAL - nobody answers\n" in mail.body
    seen = [when for when, host, service in lab.yasu.checked() if (host, service) == ("web3", "HTTP")]
    assert len(seen) >= 3
    assert abs(seen[-1] - time.time()) < 20
    lab.set_state("web3", "HTTP", "OK")
    lab.wait(lambda: lab.mails("RECOVERY web3/HTTP is OK"), 30, "a recovery mail")
    assert lab.nabira.checked() == []
    with pytest.raises(LabError, match="no monitored service is called web99/HTTP"):
        lab.set_state("web99", "HTTP", "OK")


def test_a_power_cut_ends_everything_and_keeps_the_disk(lab: Lab) -> None:
    lab.nabira.write("/var/lib/kept", "still here\n")
    lab.nabira.run("echo gone > /tmp/lost; sleep 1000 > /dev/null 2>&1 &")
    lab.nabira.off()
    assert Cgroup(NAME, "nabira").pids() == []
    assert not pings(lab.yasu, "nabira")
    with pytest.raises(LabError, match="nabira is off"):
        lab.nabira.run("true")
    lab.nabira.on()
    assert lab.nabira.read("/var/lib/kept") == "still here\n"
    assert not lab.nabira.exists("/tmp/lost")
    lab.wait(lambda: ssh(lab.yasu, "nabira").returncode == 0, 10, "nabira answers ssh again")
    lab.wait(lambda: lab.nabira.service("mariadbd").pid() and lab.nabira.nagios_pid(), 10, "its services run again")


def test_a_reboot_stops_services_in_order_and_keeps_the_disk(lab: Lab) -> None:
    lab.nabira.write("/var/lib/kept", "still here\n")
    lab.nabira.reboot()
    assert lab.nabira.read("/var/lib/kept") == "still here\n"
    assert "Successfully shutdown" in lab.nabira.read("/var/log/nagios4/nagios.log")
    assert "Shutdown complete" in lab.nabira.read("/var/log/mysql/error.log")


def test_a_frozen_host_answers_ping_and_takes_connections_but_nothing_more(lab: Lab) -> None:
    lab.nabira.freeze()
    try:
        assert pings(lab.yasu, "nabira")
        connected = lab.yasu.run(
            ["python3", "-c", "import socket; socket.create_connection(('nabira', 22), 2); print('connected')"]
        )
        assert connected.stdout == "connected\n"
        began = time.monotonic()
        assert ssh(lab.yasu, "nabira", seconds=2).returncode == 255
        assert time.monotonic() - began >= 1.9
        with pytest.raises(LabError, match="nabira is frozen"):
            lab.nabira.run("true")
        assert lab.nabira.read("/etc/hostname") == "nabira\n"
    finally:
        lab.nabira.thaw()
    assert ssh(lab.yasu, "nabira").returncode == 0


def test_a_frozen_host_can_lose_its_power(lab: Lab) -> None:
    lab.nabira.freeze()
    lab.nabira.off()
    lab.nabira.on()
    assert not lab.nabira.is_frozen()
    assert lab.nabira.run("echo well").stdout == "well\n"


def test_a_cut_link_drops_what_is_established_too_and_can_be_mended(lab: Lab) -> None:
    talk = "n=0; while n=$((n + 1)); do echo $n; sleep 0.3; done"
    alive = "-o BatchMode=yes -o ServerAliveInterval=1 -o ServerAliveCountMax=1"
    lab.yasu.run(f"ssh {alive} -l hb nabira '{talk}' > /tmp/talk 2>&1 &", user="nagios")
    lab.wait(lambda: "2\n" in lab.yasu.read("/tmp/talk"), 10, "the talk has begun")
    lab.cut("yasu", "nabira")
    assert not pings(lab.yasu, "nabira")
    assert not pings(lab.nabira, "yasu")
    assert pings(lab.yasu, "witness")
    heard = lab.yasu.read("/tmp/talk")
    time.sleep(2.5)
    assert not [line for line in lab.yasu.read("/tmp/talk")[len(heard) :].splitlines() if line.isdigit()]
    lab.mend("yasu", "nabira")
    assert pings(lab.yasu, "nabira")


def test_a_one_way_cut_lets_the_other_direction_pass(lab: Lab) -> None:
    counter = "grep -h Icmp: /proc/net/snmp | tail -1 | cut -d' ' -f10"  # InEchos
    lab.cut("yasu", "nabira", one_way=True)
    try:
        before = int(lab.yasu.run(counter).stdout)
        assert not pings(lab.nabira, "yasu")  # the question arrives, the answer does not
        assert int(lab.yasu.run(counter).stdout) == before + 1
        before = int(lab.nabira.run(counter).stdout)
        assert not pings(lab.yasu, "nabira")  # not even the question arrives
        assert int(lab.nabira.run(counter).stdout) == before
    finally:
        lab.mend("yasu", "nabira")


def test_a_host_cut_from_all_stays_cut_over_a_power_cycle(lab: Lab) -> None:
    lab.cut("nabira", "all")
    try:
        lab.nabira.off()
        lab.nabira.on()
        assert not pings(lab.nabira, "witness")
        assert not pings(lab.yasu, "nabira")
        assert pings(lab.yasu, "witness")
    finally:
        lab.mend("nabira", "all")
    assert pings(lab.nabira, "witness")


def test_a_slow_link_delays_ssh_and_sql_from_one_side_only(lab: Lab) -> None:
    def seconds(host: Host, other: str) -> float:
        began = time.monotonic()
        assert ssh(host, other).returncode == 0
        return time.monotonic() - began

    def shortest(host: Host, other: str) -> float:  # a busy machine makes some logins longer, a slow link makes each
        return min(seconds(host, other) for _ in range(3))

    quick = shortest(lab.yasu, "nabira")
    lab.slow("yasu", "nabira", 0.15)
    try:
        assert shortest(lab.yasu, "nabira") > quick + 0.9  # several questions, each 0.15 s late, and so their answers
        assert shortest(lab.nabira, "yasu") < quick + 0.9
        seen = lab.yasu.run(["ssh", "-o", "BatchMode=yes", "-l", "hb", "nabira", "echo $SSH_CONNECTION"], user="nagios").stdout
        assert seen.split()[0] == lab.yasu.address
        began = time.monotonic()
        refused = lab.yasu.run(["mariadb", "--protocol=tcp", "-h", "nabira", "-u", "nobody", "-e", "SELECT 1"], check=False)
        assert "ERROR" in refused.stderr
        assert time.monotonic() - began >= 0.15
    finally:
        lab.mend("yasu", "nabira")
    assert shortest(lab.yasu, "nabira") < quick + 0.9


def test_a_full_disk_takes_nothing_more_until_it_is_freed(lab: Lab) -> None:
    lab.nabira.fill()
    try:
        full = lab.nabira.run("dd if=/dev/zero of=/var/lib/more bs=1M count=1", check=False)
        assert "No space left on device" in full.stderr
        assert lab.nabira.run("echo room > /run/more; cat /run/more").stdout == "room\n"
    finally:
        lab.nabira.unfill()
    lab.nabira.run("dd if=/dev/zero of=/var/lib/more bs=1M count=1; rm /var/lib/more")


def test_services_stop_start_die_and_freeze_one_by_one(lab: Lab) -> None:
    for name in ("sshd", "mariadbd", "nagios"):
        service = lab.nabira.service(name)
        first = service.pid()
        service.stop()
        assert service.pid() is None
        service.start()
        second = service.pid()
        assert second not in (None, first)
        service.freeze()
        assert lab.nabira.run(["ps", "-o", "stat=", "-p", str(second)]).stdout.startswith("T")
        service.thaw()
        service.kill9()
        lab.wait(partial(has_ended, service), 5, f"{name} is gone")
        service.start()
    lab.wait(lambda: lab.nabira.nagios_flags().get("enable_notifications") == "0", 10, "Nagios writes status.dat again")


def test_a_frozen_sshd_takes_the_connection_and_says_nothing(lab: Lab) -> None:
    lab.nabira.service("sshd").freeze()
    try:
        said = ssh(lab.yasu, "nabira", seconds=1)
        assert said.returncode == 255
        assert "timed out" in said.stderr
    finally:
        lab.nabira.service("sshd").thaw()


def test_two_labs_side_by_side_do_not_meet(lab: Lab) -> None:
    with Lab.up(name=f"{NAME}-b", suite_on=()) as other:
        other.nabira.off()
        assert lab.nabira.is_on()
        assert pings(lab.yasu, "nabira")
        assert not pings(other.yasu, "nabira")
        other.yasu.write("/var/lib/mine", "b\n")
        assert not lab.yasu.exists("/var/lib/mine")
    assert not (LABS / f"{NAME}-b").exists()
    assert not Cgroup(f"{NAME}-b").path.exists()
    assert not [image for image in loop_files() if f"/{NAME}-b/" in image]


@pytest.mark.parametrize("after_seconds", [0.2, 0.5, 0.9])
def test_an_up_killed_at_any_moment_leaves_nothing_that_the_next_one_trips_over(lab: Lab, after_seconds: float) -> None:
    name = f"{NAME}-k"
    argv = [sys.executable, "-m", "tests.lab", "up", "--name", name, "--suite-on", ""]
    started = subprocess.Popen(argv, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    time.sleep(after_seconds)
    started.send_signal(signal.SIGKILL)
    started.communicate()
    with Lab.up(name=name, suite_on=()) as again:
        assert ssh(again.nabira, "yasu").returncode == 0
    assert not (LABS / name).exists()
    assert not Cgroup(name).path.exists()
    assert not [image for image in loop_files() if f"/{name}/" in image]


def cli(*words: str) -> subprocess.CompletedProcess[str]:
    """python -m tests.lab VERB --name NAME ..."""
    argv = [sys.executable, "-m", "tests.lab", words[0], "--name", NAME, *words[1:]]
    return subprocess.run(argv, cwd=TOP, capture_output=True, text=True, timeout=60, check=False)


def test_everything_can_be_done_by_hand_from_another_process(lab: Lab) -> None:
    assert cli("exec", "yasu", "--", "sh", "-c", "hostname; exit 7").stdout == "yasu\n"
    assert cli("exec", "yasu", "--", "sh", "-c", "exit 7").returncode == 7
    assert cli("cut", "yasu", "nabira", "--one-way").stdout == "cut: nothing passes from yasu to nabira\n"
    assert cli("slow", "nabira", "witness", "--delay", "1.5").returncode == 0
    table = cli("status").stdout.splitlines()
    assert table[0] == f"lab '{NAME}': bookworm, failover mode, failback manual, one-second settings"
    assert [line.split()[:3] for line in table[2:5]] == [
        ["yasu", "10.99.0.11", "on"], ["nabira", "10.99.0.12", "on"], ["witness", "10.99.0.13", "on"],
    ]  # fmt: skip
    assert table[5:] == ["cut: yasu -> nabira", "slow: nabira -> witness by 1.5 s"]
    assert cli("mend", "yasu", "nabira").returncode == cli("mend", "nabira", "witness").returncode == 0
    assert pings(lab.yasu, "nabira")
    assert cli("freeze", "nabira").returncode == 0
    assert lab.nabira.is_frozen()
    said = cli("exec", "nabira", "--", "true")
    assert (said.returncode, said.stderr) == (1, "error: nabira is frozen, nothing runs there; thaw it first\n")
    assert cli("thaw", "nabira").returncode == 0
    assert cli("off", "witness").stdout == "witness is off (power cut)\n"
    assert not lab.witness.is_on()
    assert cli("on", "witness").returncode == 0
    lab.yasu.run("echo body | mail -s by-hand oncall@witness", user="nagios")
    lab.wait(lambda: lab.mails("by-hand"), 10, "the mail")
    last = json.loads(cli("mail", "--json").stdout.splitlines()[-1])
    assert (last["sender"], last["to"], last["subject"], last["body"]) == ("nagios@yasu", ["oncall@witness"], "by-hand", "body\n")
    assert cli("mail").stdout.splitlines()[-1].endswith("nagios@yasu -> oncall@witness: by-hand")
    assert cli("set", "web5", "LOAD", "warning", "--output", "busy").stdout == "web5/LOAD is WARNING from the next check on\n"
    wrong = cli("off", "nosuch")
    assert (wrong.returncode, wrong.stderr) == (1, "error: no host is called 'nosuch': there are yasu, nabira, witness\n")


def is_active(host: Host) -> bool:
    flags = host.nagios_flags()
    names = ("enable_notifications", "active_service_checks_enabled", "active_host_checks_enabled")
    return [flags.get(name) for name in names] == ["1", "1", "1"]


def test_a_healthy_pair_is_up_within_twenty_seconds_and_only_the_master_checks() -> None:
    began = time.monotonic()
    with Lab.up(name=f"{NAME}-p") as pair:
        assert time.monotonic() - began < 20
        assert is_active(pair.yasu)
        pair.wait(pair.yasu.checked, 15, "yasu checks")
        assert pair.nabira.nagios_flags()["enable_notifications"] == "0"
        assert pair.nabira.checked() == []


def test_a_master_that_never_had_the_suite_keeps_its_ordinary_flags() -> None:
    with Lab.up(name=f"{NAME}-o", suite_on=("nabira",)) as pair:
        assert not pair.yasu.exists("/opt/nagios-failover/bin/check_master_nagios")
        assert pair.nabira.exists("/opt/nagios-failover/bin/check_master_nagios")
        assert "enable_notifications=1\n" in pair.yasu.read("/etc/nagios4/nagios.cfg")
        assert is_active(pair.yasu)


def test_without_root_the_command_says_so_in_a_sentence() -> None:
    """From a copy that anybody can read: a checkout in /root is not."""
    with tempfile.TemporaryDirectory() as place:
        copy = shutil.copytree(TOP / "tests", Path(place) / "tests", ignore=shutil.ignore_patterns("__pycache__"))
        Path(place).chmod(0o755)
        says_so_in_a_sentence(copy.parent)


def says_so_in_a_sentence(top: Path) -> None:
    argv = ["setpriv", "--reuid=65534", "--clear-groups", "/usr/bin/python3", "-m", "tests.lab", "up"]
    said = subprocess.run(argv, cwd=top, capture_output=True, text=True, check=False)
    assert said.returncode == 69, said.stderr
    assert said.stderr == (
        "error: the lab needs root (namespaces, mounts, a bridge) and this is uid 65534; "
        "run it as root, or leave the lab tests out\n"
    )
