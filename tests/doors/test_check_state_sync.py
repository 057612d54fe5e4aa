"""check_state_sync as Nagios runs it, where there is nobody to copy from: whole output, exit code. The copying is tests/e2e's."""

import json
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

    def drift(self, **found: object) -> None:
        record = {"hint": "", "versions": ["1", "2"], **found}
        Copies(self.state.directory, PEER).drift_path.write_text(json.dumps(record))


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
    assert REFUSED in output and ";60;300;0 drift=0;;;0 log_size=200B;;;0 pull_time=0.3s;;;0 status_size=100B;;;0" in output


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


def test_objects_that_differ_are_a_warning_and_named(site: Site) -> None:
    site.role(Role.STANDBY)
    site.copied(5)
    site.drift(
        count=3, named=["service web1/NEW is only on other", "contact ann is only on HOST", "host a is only on other"], problem=""
    )
    code, output = site.check()
    assert code == 1
    assert "; 3 objects differ: service web1/NEW is only on other; contact ann is only on HOST; and 1 more | age=" in output
    assert " drift=3;;;0 " in output
    assert output.splitlines()[1:4] == [
        "service web1/NEW is only on other",
        "contact ann is only on HOST",
        "host a is only on other",
    ]
    assert "hint: nagios-failover sync-config --dry-run shows what is to be copied\n" in output


def test_objects_that_could_not_be_compared_are_a_warning(site: Site) -> None:
    site.role(Role.STANDBY)
    site.copied(5)
    site.drift(count=0, named=[], problem="other's objects.cache is not whole", hint="is the disk full there?")
    code, output = site.check()
    assert code == 1 and "; objects not compared: other's objects.cache is not whole | age=" in output
    assert "hint: is the disk full there?" in output


def test_a_record_of_the_comparison_that_is_garbled_is_none(site: Site) -> None:
    site.role(Role.STANDBY)
    site.copied(5)
    Copies(site.state.directory, PEER).drift_path.write_text("{")
    assert site.check()[0] == 0
