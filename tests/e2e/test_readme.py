"""README.md is true: its installation makes a pair out of bare hosts, and its commands print what it says."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nagios_failover.cli import build_parser
from nagios_failover.words import Role
from tests.incident_site import Site, follow_incidents
from tests.lab import Host, Lab, why_not
from tests.lab.state import ADDRESSES
from tests.lab.suite import CONFIG, MAILBOX, STATE, config_text, is_active, with_options
from tests.lab.suite_layer import source_files
from tests.readme import Block, blocks, differing
from tests.takeover import has_open_run, last_look, role_of

pytestmark = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

TOP = Path(__file__).resolve().parents[2]
SOURCE = "/usr/local/src/nagios-failover"
INSTALLATION = ("1. ", "2. ", "3. ", "4. ", "5. ", "6. ", "7. ")

#: the addresses that the README shows, for those of the lab
EXAMPLES = {"yasu": "192.0.2.11", "nabira": "192.0.2.12", "witness": "192.0.2.1"}

#: the lab has no systemd; its services are started by plain commands
SYSTEMCTL = """#!/bin/sh
for unit in "$@"; do :; done
case "$unit" in mariadb) name=mariadbd ;; nagios4) name=nagios ;; *) exit 64 ;; esac
case "$*" in
"restart $unit") /lab/service "$name" stop && /lab/service "$name" start ;;
"start $unit") /lab/service "$name" start ;;
"kill -s KILL $unit") kill -KILL "$(/lab/service "$name" pid)" ;;
*) exit 64 ;;
esac
"""

#: the lab's hosts have no network to the outside: pip takes what the root has
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


@pytest.fixture(scope="module")
def bare() -> Iterator[Lab]:
    """Two hosts with Debian's packages and nothing of ours."""
    with Lab.up(name=f"readme-{os.getpid()}", suite_on=(), profile="default") as lab:
        for host in (lab.yasu, lab.nabira):
            make_bare(lab, host)
        yield lab


@pytest.fixture(scope="module")
def pair() -> Iterator[Lab]:
    """A pair that is installed and runs, with one-second settings."""
    with Lab.up(name=f"readme-{os.getpid()}-pair") as lab:
        prepare_pair(lab)
        yield lab


def prepare_pair(lab: Lab) -> None:
    for host in (lab.yasu, lab.nabira):
        host.write("/usr/local/bin/systemctl", SYSTEMCTL, mode=0o755)
        # as long as a person's: `ack` comes before its end, however slow the machine is
        text = with_options(host.read(CONFIG), {("pair", "flap_block"): "3600"})
        host.write(CONFIG, text, group="nagios", mode=0o640)
    lab.wait(lambda: last_look(lab.nabira) == last_look(lab.yasu) == "OK", 60, "both hosts have looked at each other")


def make_bare(lab: Lab, host: Host) -> None:
    """Take away what a lab does for its tests: the account, keys, known hosts, database address, Nagios settings."""
    host.run("userdel -r hb 2>/dev/null; rm -rf ~nagios/.ssh /etc/ssh/ssh_known_hosts /etc/mysql/mariadb.conf.d/91-lab.cnf")
    monitored = "cfg_file=/etc/nagios4/objects/localhost.cfg"
    stock = Path(lab.settings.root, "etc/nagios4/nagios.cfg").read_text()
    host.write("/etc/nagios4/nagios.cfg", stock.replace(monitored, "#" + monitored))
    host.write("/usr/local/bin/systemctl", SYSTEMCTL, mode=0o755)
    archive = subprocess.run(
        ["tar", "-C", str(TOP), "-c", *(str(path.relative_to(TOP)) for path in source_files(TOP))], capture_output=True, check=True
    ).stdout
    host.run(["mkdir", "-p", SOURCE])
    unpack(host, archive)
    host.run("for name in mariadbd nagios; do /lab/service $name stop && /lab/service $name start; done", timeout=60)


def unpack(host: Host, archive: bytes) -> None:
    argv = host.exec_argv(["tar", "-C", SOURCE, "-xf", "-"])
    subprocess.run(argv, input=archive, check=True, capture_output=True, env={"PATH": os.environ["PATH"]})


def fill_in(lab: Lab, host: Host, block: Block) -> str:
    """The values that a person has instead of the README's."""
    text = block.text
    for name, example in EXAMPLES.items():
        text = text.replace(example, ADDRESSES[name])
    other = lab.nabira if host is lab.yasu else lab.yasu
    if "AAAA..." in text:
        text = re.sub(r"ssh-ed25519 AAAA\S* \S*(?=')", other.read("/var/lib/nagios/.ssh/id_ed25519.pub").strip(), text)
    return text


def run_script(lab: Lab, host: Host, block: Block) -> None:
    if "packages" in block.words:
        names = [word for word in block.text.split() if word not in ("apt-get", "install") and not word.startswith("-")]
        host.run(["dpkg", "-s", *names])  # the lab's root was made with them
        return
    host.run(["sh", "-ec", fill_in(lab, host, block)], env=OFFLINE, timeout=120)
    if CONFIG in block.text and "cp " in block.text:  # a person edits the copy
        options = lab.settings
        host.write(CONFIG, config_text(options), group="nagios", mode=0o640)


def run_block(lab: Lab, host: Host, block: Block) -> list[tuple[str, str]]:
    """Run a console block's commands; (command, what it printed as the README would show it) each."""
    if "taken-over" in block.words:
        lab.wait(lambda: len(lab.mails("nabira is the master now")) == 1 and is_active(lab.nabira), 90, "nabira has taken over")
        lab.wait(lambda: not has_open_run(lab.nabira), 60, "nabira's run is at its end")
    if "stood-down" in block.words:
        lab.wait(lambda: role_of(lab.yasu) is Role.STANDBY and last_look(lab.nabira) == "OK", 60, "yasu has stood down")
        lab.wait(lambda: not has_open_run(lab.yasu), 60, "yasu's run is at its end")
    if "well" in block.words:  # a new master's first heartbeat is a moment behind it
        wait_well(lab, host)
    if "empty-queue" in block.words:  # what came before it was the standby, a moment's more or less
        host.run(f"rm -f {STATE}/perfdata/queue/*")
    if "incident" in block.words:
        open_an_incident(lab)
    found = []
    for command in block.commands:
        text = command.text.replace(" RUN", f" {newest_run(host)}") if command.text.endswith(" RUN") else command.text
        done = host.run(text, check=False, timeout=90)
        found.append((command.text, as_readme(done.stdout + done.stderr)))
    return found


def open_an_incident(lab: Lab) -> None:
    site = Site(lab)
    if not lab.mails("PROBLEM web1/HTTP"):
        follow_incidents(lab)
        site.set("CRITICAL", "web1/HTTP")
        lab.wait(lambda: lab.mails("PROBLEM web1/HTTP"), 60, "web1/HTTP is mailed")
    site.wait_copy(*reversed(site.roles()))


def wait_well(lab: Lab, host: Host) -> None:
    looks_well = lambda: host.run("/opt/nagios-failover/bin/check_master_nagios", check=False).returncode == 0  # noqa: E731
    lab.wait(looks_well, 60, f"{host.name} sees the other host well")


def newest_run(host: Host) -> str:
    return str(json.loads(host.run("nagios-failover history --json").stdout)[0]["id"])


def as_readme(printed: str) -> str:
    """With the README's addresses in place of the lab's."""
    for name, example in EXAMPLES.items():
        printed = printed.replace(ADDRESSES[name], example)
    return printed.replace(MAILBOX, "oncall@example.com")


ONLY_LOOKS = re.compile(r"nagios-failover (?:status|test)\b|\S*/check_\w+|.* --dry-run\b")


def check_block(lab: Lab, host: Host, block: Block) -> list[tuple[str, str]]:
    """What only looks is asked three times: one look can come too late on a busy machine."""
    ran = run_block(lab, host, block)
    if all(ONLY_LOOKS.match(command.text) for command in block.commands):
        for _ in range(2):
            if not any(differing(command.prints, printed) for command, (_, printed) in zip(block.commands, ran, strict=True)):
                break
            ran = run_block(lab, host, block)
    for command, (_, printed) in zip(block.commands, ran, strict=True):
        wrong = differing(command.prints, printed)
        assert not wrong, f"README.md line {block.line}: `{command.text}` does not print\n{wrong}\nbut\n{printed}"
    return ran


def installation_blocks() -> list[Block]:
    return [block for block in blocks() if block.section.startswith(INSTALLATION)]


def install(lab: Lab) -> list[tuple[Block, str, str]]:
    """Do what the README's installation says on both hosts; what its console blocks' commands printed."""
    ran = []
    for block in installation_blocks():
        for name in block.hosts:
            if block.language == "sh":
                run_script(lab, lab.host(name), block)
                continue
            for command, printed in check_block(lab, lab.host(name), block):
                ran.append((block, command, printed))
    return ran


def pair_blocks() -> list[Block]:
    """What comes after the installation: the commands of a pair that runs."""
    found = blocks()
    last = max(number for number, block in enumerate(found) if block.section.startswith(INSTALLATION))
    return [block for block in found[last + 1 :] if not block.words & {"database", "quorum"}]


def test_the_installation_makes_a_pair_that_finds_nothing_wrong_with_itself(bare: Lab) -> None:
    assert len({block.section for block in installation_blocks()}) == len(INSTALLATION)
    install(bare)
    bare.wait(lambda: is_active(bare.yasu), 60, "yasu checks and notifies")
    for host in (bare.yasu, bare.nabira):
        wait_well(bare, host)
        for command in ("check-config", "test --no-mail"):
            said = host.run(f"nagios-failover {command}", check=False, timeout=60)
            assert said.returncode == 0, said.stdout + said.stderr


def test_every_command_prints_what_the_readme_shows(pair: Lab) -> None:
    for block in pair_blocks():
        for name in block.hosts:
            check_block(pair, pair.host(name), block)


def test_every_command_of_the_command_line_is_in_the_readme() -> None:
    shown = "\n".join(command.text for block in blocks() if block.language == "console" for command in block.commands)
    parser = build_parser()
    names = next(action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    missing = [name for name in names if f"nagios-failover {name}" not in shown]
    assert missing == []


def test_the_objects_sample_is_valid_in_a_stock_debian_configuration_as_it_is(bare: Lab) -> None:
    stock = Path(bare.settings.root, "etc/nagios4/nagios.cfg").read_text()
    bare.yasu.run("mkdir -p /tmp/stock")
    bare.yasu.write("/tmp/stock/commands.cfg", (TOP / "commands.cfg.sample").read_text())
    without_ours = stock.replace("cfg_dir=/etc/nagios4/conf.d", "cfg_file=/tmp/stock/commands.cfg")
    bare.yasu.write("/tmp/stock/nagios.cfg", without_ours)
    said = bare.yasu.run(["nagios4", "-v", "/tmp/stock/nagios.cfg"]).stdout
    assert "Total Errors:   0" in said
    # the objects that mail by the suite's own path
    assert re.findall(r"Warning: (.*)", said) == [
        *(
            f"Service '{name}' on host 'nagios-failover' has no default contacts or contactgroups defined!"
            for name in ("Failover ready", "Failover state", "Master Nagios", "Replication", "State sync", "Trend data")
        ),
        "Host 'nagios-failover' has no default contacts or contactgroups defined!",
    ]
