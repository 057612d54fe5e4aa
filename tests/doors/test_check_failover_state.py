"""check_failover_state as Nagios runs it: whole output, exit code, no HOME, in /tmp."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nagios_failover.journal import Journal
from nagios_failover.words import Role
from tests.doors.plugin_site import THIS, PluginSite
from tests.fake_nagios import FakeNagios

GOES_ON = "no flag is changed; Nagios goes on with notifications off, service checks off, host checks off"


class Site(PluginSite):
    def __init__(self, directory: Path, nagios: FakeNagios) -> None:
        super().__init__(directory, "check_failover_state", nagios_cfg=nagios.cfg)
        self.nagios = nagios


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with FakeNagios(tmp_path) as nagios:
        yield Site(tmp_path, nagios)


def test_a_standby_that_is_passive_is_ok(site: Site) -> None:
    site.role(Role.STANDBY)
    assert site.check() == (
        0,
        "FAILOVER OK - HOST: standby of the-other-one, term 3: notifications off, service checks off, host checks off "
        "| status_age=Ns;60;;0 term=3;;;1\n",
    )


def test_a_passive_master_is_critical(site: Site) -> None:
    site.role(Role.MASTER)
    assert site.check() == (
        2,
        "FAILOVER CRITICAL - HOST: role is master (term 3), but Nagios has notifications off, service checks off, host checks off "
        "| status_age=Ns;60;;0 term=3;;;1\n"
        "hint: the handler of this service sets them; it needs enable_event_handlers=1 and a command file that is read\n",
    )


def test_it_changes_no_flag(site: Site) -> None:
    site.role(Role.MASTER)
    site.check()
    assert site.nagios.commands == []


def test_without_a_role_it_warns_and_says_what_to_do(site: Site) -> None:
    assert site.lines() == (
        1,
        [
            f"FAILOVER WARNING - HOST: the role file STATE/role does not exist: {GOES_ON}",
            "hint: nagios-failover init --master on the host that monitors, --standby on the other",
        ],
    )


@pytest.mark.parametrize("text", ["role=king\nmaster=x\nterm=1\nrun=-\nsince=1\n", "role=master", "a|b\n"])
def test_a_garbled_role_is_a_warning_in_one_line(site: Site, text: str) -> None:
    site.state.role_path.write_text(text)
    code, lines = site.lines()
    assert code == 1
    assert lines[0].startswith("FAILOVER WARNING - HOST: the role file STATE/role is ")
    assert lines[0].endswith(GOES_ON)


def test_an_operators_switch_is_a_warning_until_it_is_switched_back(site: Site) -> None:
    site.role(Role.STANDBY)
    site.nagios.operator("ENABLE_NOTIFICATIONS")
    assert site.lines()[1] == [
        "FAILOVER WARNING - HOST: an operator's command keeps notifications on (term 3, for 0 min)",
        "hint: switch it back in Nagios when it is no longer wanted; it ends with the next role",
    ]
    site.nagios.operator("DISABLE_NOTIFICATIONS")
    assert site.check()[0] == 0
    assert not (site.state.directory / "override.operator").exists()


def test_a_run_that_was_cut_off_is_critical(site: Site) -> None:
    site.role(Role.STANDBY)
    run = Journal(site.state.directory).open("failover", 4, THIS)
    code, output = site.check()
    assert code == 2
    assert output.startswith(f"FAILOVER CRITICAL - HOST: run {run.id} (failover) was cut off: it is finished by the next call")


def test_the_worst_comes_first_and_the_rest_under_it(site: Site) -> None:
    site.role(Role.MASTER)
    site.state.lock_path.unlink()
    code, lines = site.lines()
    assert code == 2
    assert lines[0].endswith("host checks off (and 1 more)")
    assert "WARNING: HOST: failover.lock is missing although the role is master" in lines


def test_verbose_shows_what_was_looked_at(site: Site) -> None:
    site.role(Role.MASTER)
    assert "wanted: notifications on, service checks on, host checks on" in site.check("-v")[1].splitlines()


def test_status_dat_that_cannot_be_read_is_unknown(site: Site) -> None:
    site.role(Role.STANDBY)
    site.nagios.writes = False
    time.sleep(0.3)
    site.nagios.status_file.unlink()
    code, lines = site.lines()
    assert code == 3
    assert lines[0] == f"FAILOVER UNKNOWN - HOST: could not look: {site.nagios.status_file} does not exist"


def test_an_unmounted_state_directory_is_a_warning(site: Site) -> None:
    site.state.directory.rmdir()
    assert site.lines() == (
        1,
        [
            f"FAILOVER WARNING - HOST: the state directory STATE is not there (not mounted?): {GOES_ON}",
            "hint: mount it, or make it: install -d -o nagios -g adm -m 2750 STATE",
        ],
    )


def test_a_garbled_override_and_a_garbled_pause_are_warnings_and_are_left_as_they_are(site: Site) -> None:
    site.role(Role.MASTER)
    override = site.state.directory / "override.operator"
    override.write_text("notifications=of")
    site.state.paused_path.write_text("until\n")
    code, lines = site.lines()
    assert code == 1
    assert lines[0] == (
        "FAILOVER WARNING - HOST: the override file of operator is empty or cut off: "
        "which flags are wanted is unknown, none is changed (and 1 more)"
    )
    assert lines[1] == "hint: look at STATE/override.operator; remove it if the role alone shall decide"
    assert "WARNING: HOST: the pause marker STATE/paused is garbled: 'until': it counts as a pause" in lines
    assert (override.read_text(), site.state.paused_path.read_text()) == ("notifications=of", "until\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_role_file_that_may_not_be_read_is_a_warning(site: Site) -> None:
    site.role(Role.STANDBY)
    site.state.role_path.chmod(0)
    assert site.check()[0] == 1


@pytest.mark.parametrize("arguments", [("--no-such-option",), ("-t", "x"), ("extra",), ("--conf", "x")])
def test_wrong_usage_is_unknown_not_critical(site: Site, arguments: tuple[str, ...]) -> None:
    code, output = site.check(*arguments)
    assert code == 3
    assert output.startswith("FAILOVER UNKNOWN - ")
    assert output.splitlines()[1] == "hint: check_failover_state --help"


def test_a_missing_configuration_is_unknown_with_a_hint(site: Site) -> None:
    site.config.unlink()
    assert site.check() == (
        3,
        f"FAILOVER UNKNOWN - configuration file {site.config} does not exist\nhint: copy nagios-failover.cfg.sample there\n",
    )


def test_every_mistake_in_the_configuration_is_listed(site: Site) -> None:
    site.configure("[look]\ninterval = never\nfoo = 1\n")
    code, output = site.check()
    assert code == 3
    assert output.splitlines()[0] == f"FAILOVER UNKNOWN - configuration file {site.config} has 2 mistakes"
    assert [line.partition(":")[0] for line in output.splitlines()[1:3]] == ["[look] interval", "[look] foo"]


def test_an_unknown_nagios_user_is_unknown(site: Site) -> None:
    site.configure(user="no-such-user")
    code, output = site.check()
    assert code == 3
    assert "no user is called 'no-such-user'" in output


@pytest.mark.parametrize("option", ["--help", "-V"])
def test_help_and_version_are_given(site: Site, option: str) -> None:
    code, output = site.check(option)
    assert code == 3
    assert "check_failover_state" in output


def test_nothing_heavy_is_loaded() -> None:
    script = (
        "import sys, nagios_failover.plugins.check_failover_state\n"
        "print([name for name in ('fabric', 'pymysql', 'smtplib', 'rich', 'paramiko', 'ssl') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"
