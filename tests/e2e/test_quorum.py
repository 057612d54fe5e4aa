"""The master's role as a lease in a real etcd: three hosts, each a member and a Nagios, over TLS with client certificates."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from nagios_failover.errors import REFUSED
from tests.e2e.test_isolation import stand_down, take_role
from tests.lab import Host, Lab, etcd, why_not
from tests.lab.debian_root import CHECKOUT
from tests.lab.lab import PATIENCE
from tests.lab.suite import COMMAND, CONFIG, STATE, is_active, notifies
from tests.lease_recorder import Recorder
from tests.notification_stream import LOG, MARK, PIPE
from tests.readme import Command, blocks, differing
from tests.switching import TRIES, by_hand, switchover
from tests.takeover import role_of

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

BIN = "/opt/nagios-failover/bin"
QUORUM_OBJECTS = "/etc/nagios4/conf.d/nagios-failover-quorum.cfg"
RETENTION = "/var/lib/nagios4/retention.dat"
MONITORED = "/etc/nagios4/conf.d/monitored.cfg"
MUTED = "EXTERNAL COMMAND: DISABLE_NOTIFICATIONS;nagios-failover"
RENEW, LEASE, STATUS = 3.0, 20.0, 1.0
OPTIONS = {
    ("heartbeat", "schema"): "none",
    ("database", "socket"): "none",
    ("witness", "addresses"): "none",
    ("look", "unreachable_services"): "critical",
}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(name=f"quorum-{os.getpid()}", suite_on=("yasu", "nabira", "witness")) as lab:
        etcd.third_nagios(lab)
        etcd.start(lab)
        hosts = list(lab.hosts.values())
        lab.nabira.run([COMMAND, "pause"])
        for host in hosts:
            host.run("usermod -s /bin/sh nagios")
            keys = "".join(other.read("/var/lib/nagios/.ssh/id_ed25519.pub") for other in hosts)
            host.write("/var/lib/nagios/.ssh/authorized_keys", keys, owner="nagios", mode=0o600)
            host.write(CONFIG, etcd.configuration(lab, OPTIONS), group="nagios", mode=0o640)
            text = (CHECKOUT / "quorum.cfg.sample").read_text()
            host.write(QUORUM_OBJECTS, re.sub(r"(freshness_threshold +)5 ", r"\g<1>1 ", text))
            host.run(f"sed -i 's#/lab/notify#{BIN}/notify_if_master {STATE} /lab/notify#' {MONITORED}")
            host.run("/usr/sbin/nagios4 -v /etc/nagios4/nagios.cfg")
            host.service("nagios").restart()
        lab.wait(lambda: lab.witness.nagios_flags(), 30, "Nagios writes status.dat on the third host")
        lab.witness.run([COMMAND, "init", "--standby"])
        lab.nabira.run([COMMAND, "resume"])
        yield lab


@pytest.fixture
def well(lab: Lab) -> Lab:
    """Whatever a test before left: links whole, all on and thawed, etcd and Nagios running, one master with the lease."""
    for host in lab.hosts.values():
        lab.mend(host)
        if not host.is_on():
            host.on()
        if host.is_frozen():
            host.thaw()
        for name in ("etcd", "nagios"):
            host.service(name).start()
    lab.wait(lambda: healthy(lab), 90, "one master with the lease, two standbys", shown=lambda: everything(lab))
    if master_of(lab)[0] is lab.witness:  # it has the mail sink, and is not to be frozen
        stand_down(lab, lab.witness)
        take_role(lab, lab.yasu)
        lab.wait(lambda: healthy(lab), 60, "yasu is the master again", shown=lambda: everything(lab))
    return lab


def healthy(lab: Lab) -> bool:
    masters = [host for host in lab.hosts.values() if str(role_of(host)) == "master"]
    if len(masters) != 1 or not is_active(masters[0]) or lease(masters[0]).get("holder") != masters[0].name:
        return False
    others = [host for host in lab.hosts.values() if host is not masters[0]]
    return all(
        str(role_of(host)) == "standby" and not notifies(host) and lease(host).get("holder") == masters[0].name for host in others
    ) and not lab.hosts[masters[0].name].exists(f"{STATE}/override.lease")


def everything(lab: Lab) -> str:
    return "\n".join(
        f"--- {host.name}\n{host.read(f'{STATE}/role')}{lease(host)}\n{host.nagios_flags().get('enable_notifications')}\n"
        + host.run(f"tail -5 {STATE}/handler.log; {COMMAND} history | head -5", check=False).stdout
        for host in lab.hosts.values()
        if host.is_on() and not host.is_frozen()
    )


def master_of(lab: Lab) -> tuple[Host, list[Host]]:
    master = next(host for host in lab.hosts.values() if str(role_of(host)) == "master")
    return master, [host for host in lab.hosts.values() if host is not master]


def lease(host: Host) -> dict[str, str]:
    try:
        return dict(line.split("=", 1) for line in host.read(f"{STATE}/lease").splitlines())
    except FileNotFoundError:
        return {}


def said(host: Host) -> str:
    """The keeper's last sentence."""
    return lease(host).get("said", "")


def check(host: Host) -> str:
    return host.run([f"{BIN}/check_lease"], user="nagios", check=False).stdout.splitlines()[0].partition(" |")[0]


def wait_for_check(lab: Lab, host: Host, sentence: str) -> None:
    """Each member of etcd has half a second to answer: a check that one of them has kept waiting is made anew."""
    lab.wait(lambda: re.fullmatch(sentence, check(host)), 15, f"{host.name}: {sentence}", shown=lambda: check(host))


def field(name: str, record: str) -> str:
    return str(re.findall(rf"^{name}=(.*)$", record, re.M)[0])


def journal(host: Host) -> str:
    return host.run([COMMAND, "history"]).stdout


def taken_over(lab: Lab, standbys: list[Host]) -> Host:
    """Exactly one of them."""
    lab.wait(
        lambda: [h for h in standbys if is_active(h) and str(role_of(h)) == "master"],
        90,
        "one takes over",
        shown=lambda: everything(lab),
    )
    return next(h for h in standbys if str(role_of(h)) == "master")


def test_the_master_renews_and_the_others_look(well: Lab) -> None:
    master, standbys = master_of(well)
    assert master is well.yasu
    wait_for_check(well, master, r"LEASE OK - yasu: master, it holds the lease for \d+ s")
    for host in standbys:
        wait_for_check(well, host, rf"LEASE OK - {host.name}: standby, the lease is yasu's for \d+ s")
    health = f"ETCDCTL_API=3 etcdctl --endpoints https://{well.yasu.address}:2379 --cacert {etcd.TLS}/ca.pem endpoint health"
    with_certificate = f"{health} --cert {etcd.TLS}/cert.pem --key {etcd.TLS}/key.pem"
    well.wait(lambda: well.nabira.run(with_certificate, check=False).returncode == 0, 15, "who has one is let in")
    assert well.nabira.run(health, check=False).returncode != 0, "who has no certificate is not let in"


def test_the_readme_prints_what_is_printed(well: Lab) -> None:
    """Its addresses and its lease of 30 s aside."""
    for block in blocks():
        if "quorum" not in block.words:
            continue
        host = well.host(block.hosts[0])
        for command in block.commands:
            wait_until_printed(well, host, command, f"README.md line {block.line}: `{command.text}`")


def wait_until_printed(lab: Lab, host: Host, command: Command, where: str) -> None:
    printed = ""

    def fits() -> bool:
        nonlocal printed
        printed = host.run(command.text, check=False, timeout=60).stdout
        printed = printed.replace("10.99.0.", "192.0.2.").replace("192.0.2.13", "192.0.2.21")
        return not differing(command.prints, printed)

    lab.wait(fits, 15, f"{where} prints it", shown=lambda: f"no {differing(command.prints, printed)} in\n{printed}")


def test_a_dead_member_is_not_even_noticed_and_a_dead_standby_is_named(well: Lab) -> None:
    """The second one, too, at which the master's own watch does not look."""
    master, standbys = master_of(well)
    with Recorder(well) as recorder:
        standbys[0].service("etcd").kill9()
        standbys[1].service("nagios").kill9()
        time.sleep(LEASE)
        gone = f"but {standbys[1].name} no longer looks for it: no standby"
        well.wait(lambda: said(master).endswith(gone), 15, "it is missed", shown=lambda: everything(well))
        warning = rf"LEASE WARNING - {master.name}: master, it holds the lease for \d+ s, {gone}"
        wait_for_check(well, master, warning)
        assert not master.exists(f"{STATE}/override.lease")
        standbys[1].service("nagios").start()
        well.wait(lambda: "no longer looks" not in said(master), 15, "it is seen again", shown=lambda: everything(well))
        wait_for_check(well, master, f"LEASE OK - {master.name}: master, it holds the lease.*")
    assert recorder.holders == [master.name]
    standbys[0].service("etcd").start()


def test_without_a_majority_the_master_goes_on_by_promises_and_nobody_takes_over(well: Lab) -> None:
    master, standbys = master_of(well)
    with Recorder(well) as recorder:
        for host in standbys:
            host.service("etcd").kill9()
        well.wait(lambda: "it goes on for" in said(master), 30, "the standbys have promised", shown=lambda: everything(well))
        time.sleep(LEASE)
        assert is_active(master) and "etcd does not renew the lease" in said(master) and float(lease(master)["until"]) > uptime()
        wait_for_check(well, standbys[0], f"LEASE WARNING - {standbys[0].name}: standby; etcd does not answer.*")
        # one that does not answer: the master is mute before its lease can be over
        until = float(lease(master)["until"])
        log_before = len(master.read(LOG))
        standbys[1].freeze()
        deadline = time.monotonic() + 3 * LEASE * PATIENCE
        while (renewed := float(lease(master)["until"])) > 0:
            assert time.monotonic() < deadline, f"it still goes on\n{everything(well)}"
            until = renewed
            time.sleep(0.1)
        obeyed = well.wait(lambda: obeyed_by(master, log_before), 20, "its Nagios has obeyed")
        well.wait(lambda: not notifies(master), 20, "its flags are off")
        print(f"measured: flags off {until - obeyed:.1f} s before the end of the lease")
        assert "notifies nobody and checks nothing" in said(master)
        assert obeyed < until
        standbys[1].thaw()
        well.wait(lambda: is_active(master), 60, "it goes on when all promise again", shown=lambda: everything(well))
        # now the master dies: etcd is away, so nobody takes its place
        master.service("nagios").kill9()
        refused = "without the lease nobody takes over, and etcd does not give it"
        well.wait(lambda: refused in journal(standbys[0]), 60, "a failover was refused", shown=lambda: everything(well))
        assert not any(is_active(host) for host in standbys)
        for host in standbys:
            host.service("etcd").start()
        new = taken_over(well, standbys)
        # and is started again: what it starts as, etcd knows
        decided = master.run([COMMAND, "guard"], timeout=60).stdout
        print(f"seen: {decided}")
        why = rf"etcd knows of the higher term \d+, and {new.name} has the lease|{new.name} has the lease in etcd"
        assert re.fullmatch(rf"{master.name}: a standby now, term \d+: ({why})\n", decided), decided
        assert str(role_of(master)) == "standby" and f"master={new.name}\n" in master.read(f"{STATE}/role")
        assert "\nenable_notifications=0\n" in master.read(RETENTION)
        master.service("nagios").start()
    assert recorder.doubled == []
    print(f"measured: the lease was {' > '.join(recorder.holders)}")
    held = [name for name in recorder.holders if name]
    assert held[-1:] == [new.name] and set(held[:-1]) == {master.name}, held


def test_of_two_standbys_exactly_one_takes_over_from_an_isolated_master_which_is_mute_by_then(well: Lab) -> None:
    master, standbys = master_of(well)
    with Recorder(well) as recorder:
        well.cut(master)
        well.wait(lambda: not notifies(master), 60, "the isolated master is mute", shown=lambda: said(master))
        assert all(str(role_of(host)) == "standby" or not is_active(host) for host in standbys), "before anybody else is active"
        new = taken_over(well, standbys)
        other = next(host for host in standbys if host is not new)
        well.wait(
            lambda: lease(other).get("holder") == new.name and f"master={new.name}" in other.read(f"{STATE}/role"),
            30,
            "the other one follows",
        )
        assert str(role_of(other)) == "standby" and not notifies(other)
        well.mend(master)
        well.wait(lambda: str(role_of(master)) == "standby", 60, "the old one has stood down", shown=lambda: everything(well))
    assert recorder.doubled == []
    assert [name for name in recorder.holders if name] == [master.name, new.name]


FREE = """
import sys, time
sys.path.insert(0, "")
from nagios_failover.config_file import load
from nagios_failover.etcd import Etcd
from nagios_failover.lease_keeper import boot_clock
from nagios_failover.state_files import StateFiles
config = load()
term = StateFiles(config.paths.state).role().term
while getattr(Etcd(config.quorum, boot_clock).look(), "term", 0) < term:
    time.sleep(0.1)
end = time.monotonic() + 5
while time.monotonic() < end:
    Etcd(config.quorum, boot_clock).release(config.this_name)
    time.sleep(0.1)
"""
"""The lease is nobody's, again and again, for some seconds: as when the new master's machine is too busy to renew it. By then it
has renewed it once as the master, since one that has just taken it has it for a while."""


def ask_again_and_again(host: Host, ask: str) -> None:
    """While it is still told to notify, and a little longer."""
    deadline = time.monotonic() + 30
    while notifies(host) and time.monotonic() < deadline:
        host.shout(ask)
        time.sleep(0.2)


def mute_after(host: Host, log_before: int, since: float) -> tuple[float, float]:
    """Seconds until Nagios had obeyed, by its log, and until its status.dat showed it."""
    obeyed = 0.0
    while time.time() < since + 30:
        if not obeyed and MUTED in host.read(LOG)[log_before:]:
            obeyed = time.time() - since
        if not notifies(host):
            seen = time.time() - since
            return obeyed or seen, seen
        time.sleep(0.05)
    raise AssertionError("it was not muted within 30 s")


def obeyed_by(host: Host, log_before: int) -> float:
    """The uptime by which Nagios has switched its notifications off, by the second that its log gives it; 0.0: not yet."""
    seconds = re.findall(rf"^\[(\d+)\] {MUTED}", host.read(LOG)[log_before:], re.M)
    now = uptime()
    return min(now, int(seconds[0]) + 1 - time.time() + now) if seconds else 0.0


def without_notifications(log: str) -> str:
    return "\n".join(line for line in log.splitlines() if "wproc" not in line and "CUSTOM" not in line)


def test_a_holder_that_was_frozen_for_longer_than_its_lease_mails_nothing_when_it_goes_on(well: Lab) -> None:
    master, standbys = master_of(well)
    with Recorder(well) as recorder:
        log_before = len(master.read(LOG))
        master.freeze()
        new = taken_over(well, standbys)
        mails_before = len(well.mails())
        ask = f'echo "[$(date +%s)] SEND_CUSTOM_SVC_NOTIFICATION;web12;HTTP;0;lab;who notifies?" > {PIPE}'
        master.shout(ask)  # what Nagios reads first when it goes on
        pool = ThreadPoolExecutor(2)
        free = pool.submit(new.run, ["/opt/nagios-failover/bin/python", "-c", FREE], user="nagios")
        asking = pool.submit(ask_again_and_again, master, ask)
        thawed_at = time.time()
        master.thaw()
        obeyed_after, seen_after = mute_after(master, log_before, thawed_at)
        asking.result()
        held_back = "notify_if_master: held back: this host has no lease"
        well.wait(lambda: held_back in master.read(LOG)[log_before:], 30, "a mail was held back", shown=lambda: everything(well))
        log = master.read(LOG)[log_before:]
        assert "SERVICE NOTIFICATION: oncall;web12;HTTP;CUSTOM" in log, "Nagios wanted to"
        sent = [mail for mail in well.mails()[mails_before:] if f"sent by {master.name}" in mail.subject]
        assert sent == []
        print(f"measured: flags off {obeyed_after:.1f} s after the thaw, in status.dat after {seen_after:.1f} s")
        limit = RENEW * PATIENCE  # a machine that runs several labs takes seconds to start what a thawed host starts at once
        assert obeyed_after < limit, f"not within one renewal interval:\n{without_notifications(log)}"
        assert seen_after < limit + STATUS, "and what Nagios takes to write it down"
        passed = "the lease has been another master's with term"
        well.wait(
            lambda: passed in said(master) or str(role_of(master)) == "standby", 30, "it knows", shown=lambda: everything(well)
        )
        print(f"seen: {said(master)}")
        free.result()
        pool.shutdown()
        well.wait(lambda: str(role_of(master)) == "standby", 60, "it has stood down", shown=lambda: everything(well))
        well.wait(lambda: healthy(well), 60, "the new one has its lease again", shown=lambda: everything(well))
        new.run(ask)
        well.wait(lambda: [m for m in well.mails(MARK) if f"sent by {new.name}" in m.subject], 10, "the new one mails")
    assert recorder.doubled == []
    held = [name for name in recorder.holders if name]
    assert held[:2] == [master.name, new.name] and set(held[1:]) == {new.name}, "a free lease is not for the term before"


RACE = """
import sys, threading
sys.path.insert(0, "")
from dataclasses import replace
from nagios_failover.config_file import load
from nagios_failover.etcd import Etcd
from nagios_failover.lease import Ours
from nagios_failover.lease_keeper import boot_clock
config = load()
quorum = replace(config.quorum, name=sys.argv[1], timeout=10)
names = [f"{config.this_name}-{n}" for n in range(6)]
start, won = threading.Barrier(len(names)), []
def contend(name):
    start.wait()
    if isinstance(Etcd(quorum, boot_clock).hold(name, 1), Ours):
        won.append(name)
threads = [threading.Thread(target=contend, args=(name,)) for name in names]
[t.start() for t in threads], [t.join() for t in threads]
print(*won)
"""


def test_of_eighteen_contenders_on_three_hosts_exactly_one_wins(well: Lab) -> None:
    for race in ("race-1", "race-2", "race-3"):
        contend = ["/opt/nagios-failover/bin/python", "-c", RACE, race]
        with ThreadPoolExecutor(3) as pool:
            runs = [pool.submit(host.run, contend, user="nagios") for host in well.hosts.values()]
        won = [name for run in runs for name in run.result().stdout.split()]
        assert len(won) == 1, won


SAME_TERM = """
import sys
sys.path.insert(0, "")
from dataclasses import replace
from nagios_failover.config_file import load
from nagios_failover.etcd import Etcd
from nagios_failover.lease_keeper import boot_clock
etcd = Etcd(replace(load().quorum, name=sys.argv[1], timeout=10), boot_clock)
first = [etcd.hold("nabira", 4), etcd.hold("nabira", 4, reign=True), etcd.release("nabira")]
second = [etcd.hold("witness", 4), etcd.hold("witness", 4, reign=True)]
after = [etcd.hold("nabira", 4, reign=True), etcd.release("nabira"), etcd.hold("witness", 5), etcd.hold("witness", 5, reign=True)]
late = [etcd.hold("nabira", 4, reign=True), etcd.hold("nabira", 5, reign=True)]
for words in (first, second, after, late):
    print(*(type(word).__name__ for word in words))
"""


def test_what_one_has_reigned_with_is_not_for_another_run_of_the_same_term(well: Lab) -> None:
    """Two standbys see the master die, and give their runs the same term; the first one is too busy then to renew its lease."""
    said = well.nabira.run(["/opt/nagios-failover/bin/python", "-c", SAME_TERM, "same-term"], user="nagios").stdout
    assert said.splitlines() == ["Ours Ours Free", "Outranked Outranked", "Ours Free Ours Ours", "Outranked Outranked"]


def test_of_two_masters_with_one_term_the_one_without_the_lease_stands_down_and_fences_nobody(well: Lab) -> None:
    """A run that was frozen between its last look at its lease and its role leaves a host like that; here it was it first."""
    master, standbys = master_of(well)
    second = standbys[0]
    record = master.read(f"{STATE}/role")
    term, earlier = field("term", record), int(field("since", record)) - 5
    text = re.sub(r"since=\d+", f"since={earlier}", record.replace(f"master={master.name}", f"master={second.name}"))
    with Recorder(well) as recorder:
        second.write(f"{STATE}/role", text, owner="nagios")
        well.wait(lambda: str(role_of(second)) == "standby", 60, "it has stood down", shown=lambda: everything(well))
        why = f"{master.name}: it is the master with term {term} as this host is, and has the lease: this host stands down"
        assert why in second.run([COMMAND, "history", field("run", second.read(f"{STATE}/role"))]).stdout
        well.wait(lambda: healthy(well), 60, "all follow", shown=lambda: everything(well))
    assert master.read(f"{STATE}/role") == record, "it has gone on all along"
    assert f"{master.name} notified beside the master" not in journal(second)
    assert recorder.doubled == []


def ready_to_switch(lab: Lab, new: Host) -> None:
    lab.wait(
        lambda: switchover(new, "--dry-run").returncode == 0,
        60,
        "nothing is in the way",
        poll=1,
        shown=lambda: switchover(new, "--dry-run").stdout,
    )


def test_a_switchover_takes_the_lease_along(well: Lab) -> None:
    master, standbys = master_of(well)
    new = standbys[0]
    with Recorder(well) as recorder:
        ready_to_switch(well, new)
        by_hand(new, "switchover")
        assert str(role_of(new)) == "master" and str(role_of(master)) == "standby"
        well.wait(lambda: healthy(well), 60, "all follow", shown=lambda: everything(well))
    assert recorder.doubled == []


def test_a_switchover_of_the_third_host_that_was_killed_lets_its_own_master_go_on(well: Lab) -> None:
    """The first of its other hosts by the file is not the one that it has silenced."""
    nabira, witness = well.nabira, well.witness
    if master_of(well)[0] is not nabira:
        ready_to_switch(well, nabira)
        by_hand(nabira, "switchover")
        well.wait(lambda: healthy(well), 60, "nabira is the master", shown=lambda: everything(well))
    record, log_before = nabira.read(f"{STATE}/role"), len(well.yasu.read(LOG))
    for _ in range(TRIES):  # refused while a look hits a time-out
        ready_to_switch(well, witness)
        killed = switchover(witness, crash_after="lease")
        if killed.returncode != REFUSED:
            break
    assert killed.returncode == 137, killed.stdout + killed.stderr
    well.wait(lambda: " aborted " in journal(witness), 60, "it is put back", shown=lambda: everything(well))
    well.wait(lambda: healthy(well), 60, "all is as it was", shown=lambda: everything(well))
    assert nabira.read(f"{STATE}/role") == record
    assert "EXTERNAL COMMAND: ENABLE_NOTIFICATIONS" not in well.yasu.read(LOG)[log_before:], "who was not silenced is told nothing"


def test_a_master_that_has_the_lease_outlives_a_fence_that_nobody_took_back(well: Lab) -> None:
    """The link was cut when a run of a host that it does not look at was given up, say."""
    master, _ = master_of(well)
    record = master.read(f"{STATE}/role")
    above_all, long_ago = int(field("term", record)) + 100, int(time.time()) - 3600
    flags = "".join(f"{flag}=off\n" for flag in ("notifications", "service_checks", "host_checks"))
    master.write(f"{STATE}/override.fence", f"{flags}term={above_all}\nsince={long_ago}\n", owner="nagios")
    fence = f"{STATE}/override.fence"
    well.wait(lambda: not master.exists(fence), 60, "it is lifted", shown=lambda: everything(well))
    assert f"{master.name}: not fenced any more: it has the lease" in master.read(f"{STATE}/handler.log")
    well.wait(lambda: healthy(well), 60, "it goes on", shown=lambda: everything(well))
    assert master.read(f"{STATE}/role") == record


def uptime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
