"""Between real hosts: what the master has and the standby has not is named, and sync-config copies it, or leaves all as it was."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from tests.lab import Host, Lab, why_not
from tests.lab.state import LABS
from tests.lab.suite import COMMAND, CONFIG, STATE, with_options
from tests.takeover import last_look

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

CHECK = "/opt/nagios-failover/bin/check_state_sync"
HELPER = "/opt/nagios-failover/bin/nagios-failover-root"
DIRECTORY = "/etc/nagios4/conf.d"
BACKUPS = "/var/backups/nagios-failover"
SERVICE = """define service {
    use                  monitored-service
    host_name            web1
    service_description  NEW
}
"""


PATIENT = {("sync", "timeout"): "50", ("ssh", "timeout"): "10", ("look", "timeout"): "12"}
"""Nothing here is promised in seconds."""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab.up(name=f"config-{os.getpid()}") as lab:
        for host in (lab.yasu, lab.nabira):
            text = host.read(CONFIG).replace("#watch = no\n# Of one pull", "watch = yes\n# Of one pull")
            text = with_options(text.replace("#config_dirs =\n", f"config_dirs = {DIRECTORY}\n"), PATIENT)
            host.write(CONFIG, text, owner="root", group="nagios", mode=0o640)
        yield lab


def check(host: Host) -> tuple[int, str]:
    done = host.run([CHECK], user="nagios", check=False, timeout=60)
    return done.returncode, done.stdout


def sync(host: Host, *arguments: str) -> tuple[int, str, str]:
    done = host.run([COMMAND, "sync-config", *arguments], check=False, timeout=120)
    return done.returncode, done.stdout, done.stderr


def reload(lab: Lab, host: Host) -> None:
    before = host.nagios_flags()["program_start"]
    time.sleep(1.1)
    host.run("kill -HUP $(cat /run/nagios4/nagios4.pid)")
    lab.wait(lambda: host.nagios_flags().get("program_start", before) != before, 20, f"{host.name}'s Nagios has reloaded")


def files(host: Host) -> str:
    return host.run(f"cd {DIRECTORY} && ls -lnR --time-style=+ . && cat $(find . -type f | sort)").stdout


def contents(host: Host) -> str:
    return host.run(f"cd {DIRECTORY} && for f in $(find . -type f | sort); do echo $f; cat $f; done").stdout


def services(host: Host) -> int:
    return host.read("/var/lib/nagios4/objects.cache").count("define service {")


def test_with_the_same_objects_nothing_differs(lab: Lab) -> None:
    code, output = check(lab.nabira)
    assert code == 0 and "differ" not in output and " drift=0;" in output, output
    assert sync(lab.nabira, "--dry-run") == (0, "nabira: the configuration is the same as on yasu\n", "")


def test_a_new_service_is_named_shown_and_copied(lab: Lab) -> None:
    lab.yasu.write(f"{DIRECTORY}/new.cfg", SERVICE)
    lab.yasu.run(f"sed -i '0,/max_check_attempts  *3/s//max_check_attempts 4/' {DIRECTORY}/monitored.cfg")
    reload(lab, lab.yasu)
    code, output = check(lab.nabira)
    assert code == 1 and "service web1/NEW is only on yasu" in output, output
    assert "host web1: max_check_attempts 4 on yasu, 3 on nabira" in output
    before = files(lab.nabira)
    code, output, error = sync(lab.nabira, "--dry-run")
    assert (code, error) == (0, "")
    assert f"--- /dev/null\n+++ yasu:{DIRECTORY}/new.cfg\n@@ -0,0 +1,5 @@\n+define service {{\n" in output
    assert output.endswith(
        "nabira: 2 files to be changed; nagios -v takes yasu's configuration here\nnothing was changed (dry run)\n"
    )
    assert files(lab.nabira) == before
    flags = lab.nabira.nagios_flags()["enable_notifications"]
    code, output, error = sync(lab.nabira)
    assert (code, error) == (0, ""), output
    assert f"nabira: added {DIRECTORY}/new.cfg\n" in output and "nabira: Nagios takes the new configuration (nagios -v)\n" in output
    assert "nabira: Nagios has read the new configuration (reloaded in " in output
    assert contents(lab.nabira) == contents(lab.yasu)
    assert services(lab.nabira) == services(lab.yasu)
    assert lab.nabira.nagios_flags()["enable_notifications"] == flags == "0"
    code, output = check(lab.nabira)
    assert code == 0 and " drift=0;" in output, output


def test_a_command_that_changes_is_asked_for(lab: Lab) -> None:
    lab.yasu.run(f"sed -i 's|/lab/notify|/lab/notify --urgent|' {DIRECTORY}/monitored.cfg")
    before = files(lab.nabira)
    code, output, error = sync(lab.nabira)
    assert code == 3 and "nabira: commands that change: mail-host, mail-service\n" in output
    assert error == (
        "error: nabira: a command would change, and there is no terminal to ask on\n"
        "hint: run it on a terminal, or with --yes after reading the difference (--dry-run)\n"
    )
    for answer, wanted in (("n", 3), ("y", 0)):
        assert files(lab.nabira) == before
        done = lab.nabira.run(
            ["python3", "-c", TERMINAL, COMMAND, "sync-config"], check=False, timeout=120, env={"ANSWER": answer, "TERM": "dumb"}
        )
        assert done.returncode == wanted, done.stdout
        assert "nabira will run what yasu defines. Install it? [y/N] " in done.stdout
    lab.yasu.run(f"sed -i 's|/lab/notify --urgent|/lab/notify|' {DIRECTORY}/monitored.cfg")
    assert sync(lab.nabira, "--yes")[0] == 0
    assert contents(lab.nabira) == contents(lab.yasu)


#: runs the command on a terminal of its own and answers its question
TERMINAL = """
import os, pty, sys
asked = False
def read(descriptor):
    global asked
    data = os.read(descriptor, 4096)
    if b"[y/N]" in data and not asked:
        asked = True
        os.write(descriptor, os.environ["ANSWER"].encode() + b"\\n")
    return data
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:], read, lambda descriptor: b"")))
"""


def test_a_configuration_that_nagios_refuses_leaves_all_as_it_was(lab: Lab) -> None:
    before, start = files(lab.nabira), lab.nabira.nagios_flags()["program_start"]
    lab.yasu.write(f"{DIRECTORY}/broken.cfg", SERVICE.replace("web1", "no-such-host"))
    code, _, error = sync(lab.nabira, "--yes")
    assert code == 3 and error.startswith("error: nabira: yasu's configuration is not valid here: nagios -v refuses it\n"), error
    assert f"'{DIRECTORY}/broken.cfg'" in error
    assert files(lab.nabira) == before and lab.nabira.nagios_flags()["program_start"] == start
    staged = f"{STATE}/config/%2Fetc%2Fnagios4%2Fconf.d"
    done = lab.nabira.run(["sudo", "-n", HELPER, "install-config"], user="nagios", check=False, timeout=60)
    assert lab.nabira.exists(f"{staged}/broken.cfg")
    assert done.returncode == 1 and done.stderr.startswith("error: nabira: not installed, the old files are back: nabira: ")
    assert files(lab.nabira) == before and not lab.nabira.exists(f"{BACKUPS}/pending")
    lab.yasu.run(["rm", f"{DIRECTORY}/broken.cfg"])


def test_links_and_odd_names_are_refused_by_either_side(lab: Lab) -> None:
    before = files(lab.nabira)
    for make, said in (
        (f"ln -s /etc/shadow {DIRECTORY}/x.cfg", f"yasu: {DIRECTORY}/x.cfg is a symbolic link"),
        (f"touch \"$(printf '{DIRECTORY}/a\\nb.cfg')\"", f"yasu: {DIRECTORY}: a file's name is not plain: 'a\\nb.cfg'"),
        (f"mkdir {DIRECTORY}/d && ln -s ../.. {DIRECTORY}/d/up", f"yasu: {DIRECTORY}/d/up is a symbolic link"),
    ):
        lab.yasu.run(make)
        code, _, error = sync(lab.nabira, "--yes")
        assert code == 3 and error.startswith(f"error: {said}\n"), error
        done = lab.nabira.run(["sudo", "-n", HELPER, "install-config"], user="nagios", check=False)
        assert done.returncode == 3, done.stderr
        lab.yasu.run(f"rm -rf {DIRECTORY}/x.cfg {DIRECTORY}/a*b.cfg {DIRECTORY}/d")
    lab.nabira.run(f"mv {STATE}/config/%2Fetc%2Fnagios4%2Fconf.d /tmp/aside; ln -s /root {STATE}/config/%2Fetc%2Fnagios4%2Fconf.d")
    done = lab.nabira.run(["sudo", "-n", HELPER, "install-config"], user="nagios", check=False)
    lab.nabira.run(f"rm {STATE}/config/%2Fetc%2Fnagios4%2Fconf.d")
    assert done.returncode == 1 and "cannot be read" in done.stderr, "a link in the place of the fetched files leads nowhere"
    assert files(lab.nabira) == before


def test_one_that_was_killed_in_the_middle_is_put_back_by_the_next(lab: Lab) -> None:
    lab.yasu.write(f"{DIRECTORY}/new.cfg", SERVICE + SERVICE.replace("NEW", "NEWER"))
    before = files(lab.nabira)
    lab.nabira.run("mv /usr/sbin/nagios4 /usr/sbin/nagios4.real")
    lab.nabira.write(
        "/usr/sbin/nagios4",
        '#!/bin/sh\ncase $2 in /etc/*) exec sleep 60 ;; esac\nexec /usr/sbin/nagios4.real "$@"\n',
        mode=0o755,
    )
    lab.nabira.run([COMMAND, "sync-config", "--dry-run"], timeout=60)
    lab.nabira.run(
        f"{HELPER} install-config & until [ -e {BACKUPS}/pending ] && grep -q NEWER {DIRECTORY}/new.cfg; do sleep 0.05; done;"
        " kill -9 $!; mv /usr/sbin/nagios4.real /usr/sbin/nagios4"
    )
    assert files(lab.nabira) != before and lab.nabira.exists(f"{BACKUPS}/pending")
    code, output, error = sync(lab.nabira)
    assert (code, error) == (0, ""), output
    assert contents(lab.nabira) == contents(lab.yasu) and not lab.nabira.exists(f"{BACKUPS}/pending")
    assert services(lab.nabira) == services(lab.yasu) + 1, "yasu has not reloaded"
    reload(lab, lab.yasu)


def test_a_master_copies_nothing_and_nothing_is_copied_from_a_standby(lab: Lab) -> None:
    assert sync(lab.yasu) == (
        3,
        "",
        "error: yasu: role master (term 1): the configuration is copied from the master to its standby\nhint: run it on nabira\n",
    )
    role = lab.yasu.read(f"{STATE}/role")
    lab.nabira.run([COMMAND, "pause", "--reason", "yasu's Nagios is stopped for a moment"])
    lab.yasu.service("nagios").freeze()
    try:
        lab.yasu.write(f"{STATE}/role", role.replace("role=master", "role=standby"), owner="nagios", group="adm", mode=0o640)
        code, _, error = sync(lab.nabira)
    finally:
        lab.yasu.write(f"{STATE}/role", role, owner="nagios", group="adm", mode=0o640)
        lab.yasu.service("nagios").thaw()
        try:
            lab.wait(lambda: last_look(lab.nabira) == "OK", 30, "nabira sees yasu well again")
        finally:
            lab.nabira.run([COMMAND, "resume"])
    assert (code, error) == (3, "error: yasu: it is standby itself (term 1): nothing is copied from it\n")


def test_an_incident_of_a_service_that_was_copied_follows_a_failover(lab: Lab) -> None:
    began = time.time()

    def mails() -> list[str]:
        return [mail.subject for mail in lab.mails(" web1/NEWER") if mail.arrived >= began]

    def known_until() -> float:
        record = dict(line.split("=", 1) for line in lab.nabira.read(f"{STATE}/sync/yasu/record").splitlines())
        return float(record["created"])

    says = LABS / lab.name / "monitored" / "web1" / "NEWER"
    says.parent.mkdir(exist_ok=True)
    says.write_text("2 broken\n")
    lab.wait(mails, 30, "yasu mails it")
    moment = time.time()
    lab.wait(lambda: known_until() > moment + 6, 30, "nabira has copied it, and it is not in doubt any more")
    lab.yasu.service("nagios").kill9()
    lab.wait(lambda: "role=master" in lab.nabira.read(f"{STATE}/role"), 45, "nabira takes over")
    says.write_text("0 well\n")
    lab.wait(lambda: len(mails()) > 1, 30, "its recovery is mailed")
    time.sleep(3)
    assert [subject.split()[0] for subject in mails()] == ["PROBLEM", "RECOVERY"], mails()
    assert mails()[0].endswith("yasu") and mails()[1].endswith("nabira")
