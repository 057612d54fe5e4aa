"""check_state_sync as Nagios runs it, where there is nobody to copy from: whole output, exit code. The copying is tests/e2e's."""

import time
from pathlib import Path

import pytest

from nagios_failover.copies import Copies, CopyRecord
from nagios_failover.words import Role
from tests.doors.plugin_site import PEER, PluginSite

REFUSED = f"not renewed: {PEER}: ssh fails: "


class Site(PluginSite):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory, "check_state_sync", extra="[sync]\nwatch = yes\n")

    def copied(self, age: int) -> None:
        copies = Copies(self.state.directory, PEER)
        copies.make()
        now = time.time()
        copies.write_record(CopyRecord(now - age, int(now) - age, 0.0, 0.3, 100, 200, "nagios.log", "archives"))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_where_it_is_not_configured_it_does_nothing(site: Site) -> None:
    site.configure("")
    assert site.check() == (0, "SYNC OK - HOST: no copy is configured ([sync] watch)\n")
    assert not (site.state.directory / "sync").exists()


@pytest.mark.parametrize("role", [Role.MASTER, Role.TAKING_OVER, Role.STANDING_DOWN])
def test_it_stops_by_itself_where_this_host_is_no_standby(site: Site, role: Role) -> None:
    site.role(role)
    assert site.check() == (0, f"SYNC OK - HOST: role {role} (term 3): nothing is copied\n")
    assert not (site.state.directory / "sync").exists()


def test_without_any_copy_it_is_critical(site: Site) -> None:
    site.role(Role.STANDBY)
    code, output = site.check()
    assert code == 2 and output.startswith(f"SYNC CRITICAL - HOST: there is no copy of {PEER}'s state; {REFUSED}")


@pytest.mark.parametrize(("age", "code", "word"), [(5, 0, "OK"), (90, 1, "WARNING"), (400, 2, "CRITICAL")])
def test_a_pull_that_fails_counts_by_the_age_of_what_is_there(site: Site, age: int, code: int, word: str) -> None:
    site.role(Role.STANDBY)
    site.copied(age)
    status, output = site.check()
    assert status == code and output.startswith(f"SYNC {word} - HOST: the copy of {PEER}'s state is {age}"[:-1])
    assert REFUSED in output and ";60;300;0 log_size=200B;;;0 pull_time=0.3s;;;0 status_size=100B;;;0" in output


def test_the_ages_can_be_given(site: Site) -> None:
    site.role(Role.STANDBY)
    site.copied(50)
    assert site.check("-w", "10", "-c", "1000")[0] == 1
    assert site.check("-w", "10", "-c", "20")[0] == 2


def test_without_a_role_it_does_not_guess(site: Site) -> None:
    code, output = site.check()
    assert code == 3 and output.startswith("SYNC UNKNOWN - the role file ")


@pytest.mark.parametrize("arguments", [["-w", "x:y"], ["--nonsense"], ["-h"]])
def test_wrong_usage_is_unknown(site: Site, arguments: list[str]) -> None:
    assert site.check(*arguments)[0] == 3
