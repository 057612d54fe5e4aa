"""How the README is read by its own tests: what counts as the same output, and what does not."""

from __future__ import annotations

import re
import subprocess

from tests.readme import README, blocks, differing

TOP = README.parent
TEXT = """# Title
## First steps
```sh both
true
```
```console yasu stood-down
# nagios-failover history
RUN  KIND
20261122T152257-1053  failover  1.34 s
```
"""


def test_a_block_knows_its_section_its_hosts_and_its_commands() -> None:
    script, session = blocks(TEXT)
    assert (script.language, script.hosts, script.section, script.text) == ("sh", ("yasu", "nabira"), "First steps", "true\n")
    assert (session.hosts, session.line) == (("yasu",), 7)
    (command,) = session.commands
    assert command.text == "nagios-failover history"
    assert command.prints == ("RUN  KIND", "20261122T152257-1053  failover  1.34 s")


def test_numbers_run_ids_and_column_widths_may_differ() -> None:
    assert differing(("20261122T152257-1053  failover  1.34 s",), "20270101T000000-ffff     failover   15 ms\n") == []
    assert differing(("heartbeat 0 s old on 192.0.2.11",), "heartbeat 12 s old on 192.0.2.11") == []


def test_words_their_order_and_their_presence_may_not() -> None:
    assert differing(("yasu: master",), "yasu: standby") == ["yasu: master"]
    assert differing(("one", "two"), "two\none") == ["two"]
    assert differing(("one",), "") == ["one"]


def test_three_dots_stand_for_any_lines() -> None:
    assert differing(("first", "...", "last"), "first\nsecond\nlast") == []


def test_every_file_that_the_readme_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README.read_text())
    assert links
    assert [link for link in links if not (TOP / link).exists()] == []


def test_make_alone_lists_the_targets() -> None:
    said = subprocess.run(["make", "--no-print-directory"], cwd=TOP, capture_output=True, text=True, check=True).stdout
    for target in ("check", "test", "test-long", "bench", "demo"):
        assert re.search(rf"^  make {target} ", said, re.M), target


#: Commands that stand indented between the README's paragraphs, in no block: tests of their own run them, or, for Debian's packages
#: and systemd, what a lab has in their place. Each has the file that does, and a piece of it there.
RUN_BY = {
    "usermod -s /bin/sh nagios": ("tests/switching.py", "usermod -s /bin/sh nagios"),
    "echo 'ssh-ed25519 AAAA... nagios@the-other-host' >> ~nagios/.ssh/authorized_keys": (
        "tests/switching.py",
        "/.ssh/authorized_keys",
    ),
    "cp /usr/local/src/nagios-failover/quorum.cfg.sample /etc/nagios4/conf.d/nagios-failover-quorum.cfg": (
        *("tests/e2e/test_quorum.py", "quorum.cfg.sample"),
    ),
    "install -m 0755 /usr/local/src/nagios-failover/guard-hook.sample /etc/nagios-failover/guard-hook": (
        *("tests/e2e/test_rejoin_database.py", "guard-hook.sample"),
    ),
    "nagios-failover sync-config --dry-run": ("tests/e2e/test_sync_config.py", "--dry-run"),
    "nagios-failover sync-config": ("tests/e2e/test_sync_config.py", '[COMMAND, "sync-config"'),
    "nagios-failover promote": ("tests/e2e/test_promote.py", '[COMMAND, "promote"'),
    "apt-get install keepalived": ("tests/lab/debian_root.py", "keepalived"),
    "cp /usr/local/src/nagios-failover/keepalived.conf.sample /etc/keepalived/keepalived.conf": (
        *("tests/e2e/test_console.py", "keepalived.conf.sample"),
    ),
    "systemctl restart keepalived": ("tests/e2e/test_console.py", "start_keepalived"),
}


def test_a_command_outside_of_the_blocks_is_run_by_the_test_that_is_named_here() -> None:
    outside = re.sub(r"^```.*?^```$", "", README.read_text(), flags=re.S | re.M)
    indented = [line.strip() for line in outside.splitlines() if line.startswith("    ")]
    no_commands = (" =", " + ", " on yasu")  # options, a formula, what a check prints
    commands = [line for line in indented if re.match("[a-z-]+ ", line) and not any(sign in line for sign in no_commands)]
    assert commands == list(RUN_BY)
    for file, piece in RUN_BY.values():
        assert piece in (TOP / file).read_text(), f"{file} has no {piece} any more"
