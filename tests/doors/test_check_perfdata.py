"""check_perfdata as Nagios runs it: whole output, exit code."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nagios_failover.perfdata_counts import CountFiles, LoaderCounts
from nagios_failover.words import STATUS_KEY, Role
from tests.doors.plugin_site import PEER, THIS, PluginSite

SOCKET = "[database]\nsocket = /run/mysqld/mysqld.sock\n[heartbeat]\nschema = nagios1\n"


class Site(PluginSite):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory, "check_perfdata", extra=SOCKET)
        self.perfdata = self.state.directory / "perfdata"
        (self.perfdata / "queue").mkdir(parents=True)
        self.counted = CountFiles(self.perfdata)

    def queue(self, *ages: int) -> None:
        for age in ages:
            (self.perfdata / "queue" / f"{int(time.time()) - age}.1").write_text("a line\n")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.role(Role.MASTER)
    return site


NUMBERS = "dropped_files=0c;;;0 dropped_lines=0c;;;0 files={files};;;0 lines_aside=0c;;;0 metrics_aside=0c;;;0 rows=0c;;;0"


def test_with_nothing_waiting_it_is_ok(site: Site) -> None:
    numbers = NUMBERS.format(files=0)
    assert site.check() == (
        0,
        f"PERFDATA OK - HOST: nothing waits, 0 rows/s in the last minute | age=0s;120;600;0 {numbers} rows_per_second=0;;;0 "
        "size=0B;;;0\n",
    )


@pytest.mark.parametrize(("age", "code", "word"), [(10, 0, "OK"), (200, 1, "WARNING"), (700, 2, "CRITICAL")])
def test_it_goes_by_the_age_of_the_oldest_file(site: Site, age: int, code: int, word: str) -> None:
    site.queue(age, 1)
    status, output = site.check()
    assert (status, output.partition(" - ")[0]) == (code, f"PERFDATA {word}")
    assert "HOST: 2 files wait, the oldest for " in output
    assert ("loader.log says why it waits" in output) == (code > 0)


def test_the_limits_can_be_given(site: Site) -> None:
    site.queue(50, 40, 30)
    assert site.check("-w", "10", "-c", "1000")[0] == 1
    assert site.check("-w", "10", "-c", "20")[0] == 2
    assert site.check("--files-warning", "2")[0] == 1
    assert site.check("--files-critical", "2")[0] == 2


def test_what_was_set_aside_or_dropped_is_warned_of_for_a_day(site: Site) -> None:
    now = int(time.time())
    site.counted.write_counts(LoaderCounts(100, 300, 2, 3, aside_at=now - 60, loaded_at=now, rows_per_second=6.5))
    site.counted.drop("100.1", lines=7, metrics=21, now=now - 120)
    code, output = site.check()
    assert code == 1
    assert output.startswith(
        "PERFDATA WARNING - HOST: nothing waits, 6.5 rows/s in the last minute; 1 files with 7 lines were dropped, the last "
    )
    assert "2 lines and 3 metrics are set aside, the last " in output
    assert "rows=400c" in output and "rows_per_second=6.5;" in output and "dropped_lines=7c" in output
    site.configure(SOCKET + "[perfdata]\nlost_warning = 30\n")
    assert site.check()[0] == 0


def test_what_was_set_aside_of_the_other_host_s_queue_is_warned_of_too(site: Site) -> None:
    now = int(time.time())
    fetched = CountFiles(site.perfdata / f"from-{PEER}")
    fetched.counts_path.parent.mkdir()
    fetched.write_counts(LoaderCounts(10, 30, 1, 2, aside_at=now - 60, loaded_at=now))
    code, output = site.check()
    assert code == 1
    assert "; 1 lines and 2 metrics are set aside, the last " in output
    assert f" ago (see perfdata/from-{PEER}/aside in [paths] state)" in output
    assert "lines_aside=1c" in output and "metrics_aside=2c" in output


def test_what_the_backstop_of_process_perfdata_took_counts_too(site: Site) -> None:
    (site.perfdata / "dropped.backstop").write_text("1763800000.1 5\n1763800001.1 7\n")
    code, output = site.check()
    assert code == 1 and "2 files with 12 lines were dropped" in output


def test_what_the_backstop_could_not_count_is_a_file_all_the_same(site: Site) -> None:
    (site.perfdata / "dropped.backstop").write_text("1763800000.1 \n1763800001.1 7\n17638")
    code, output = site.check()
    assert code == 1 and "3 files with 7 lines were dropped" in output


def test_a_rate_of_long_ago_is_none(site: Site) -> None:
    site.counted.write_counts(LoaderCounts(100, 300, loaded_at=int(time.time()) - 61, rows_per_second=6.5))
    site.queue(30)
    output = site.check()[1]
    assert ", 0 rows/s in the last minute" in output and "rows_per_second=0;" in output


@pytest.mark.parametrize(("setting", "code"), [("1", 0), ("0", 1)])
def test_performance_data_that_is_switched_off_in_nagios_is_warned_of(site: Site, tmp_path: Path, setting: str, code: int) -> None:
    (tmp_path / "nagios.cfg").write_text(f"status_file={tmp_path}/status.dat\n")
    flags = "".join(f"\t{key}=1\n" for key in STATUS_KEY.values())
    program = f"programstatus {{\n\tnagios_pid=1\n\tprogram_start=1\n{flags}\tprocess_performance_data={setting}\n\t}}\n"
    (tmp_path / "status.dat").write_text(f"info {{\n\tcreated={int(time.time())}\n\t}}\n\n{program}\n")
    told, output = site.check()
    assert told == code
    assert ("; Nagios hands over no performance data: it is switched off there" in output) == (code == 1), output
    assert ("hint: ENABLE_PERFORMANCE_DATA to Nagios's command file" in output) == (code == 1)


@pytest.mark.parametrize("role", [Role.STANDBY, Role.TAKING_OVER, Role.STANDING_DOWN])
def test_on_a_host_that_is_not_the_master_it_is_ok(site: Site, role: Role) -> None:
    site.role(role)
    assert site.check() == (0, f"PERFDATA OK - HOST: role {role}: no trend data is loaded here\n")
    site.queue(5000)
    kept = "1 file waits until it is the master"
    assert site.check() == (0, f"PERFDATA OK - HOST: role {role}: no trend data is loaded here; {kept}\n")


@pytest.mark.parametrize("extra", ["", SOCKET + "[perfdata]\nload = no\n"])
def test_where_it_is_not_configured_it_is_ok(site: Site, extra: str) -> None:
    site.configure(extra)
    assert site.check() == (0, "PERFDATA OK - HOST: no trend data is configured ([database] socket, [perfdata] load)\n")


def test_without_a_role_it_does_not_guess(site: Site) -> None:
    site.state.role_path.unlink()
    code, output = site.check()
    assert code == 3 and output.startswith("PERFDATA UNKNOWN - the role file ")


@pytest.mark.parametrize("arguments", [["-w", "x:y"], ["--nonsense"], ["-h"]])
def test_wrong_usage_is_unknown(site: Site, arguments: list[str]) -> None:
    assert THIS and site.check(*arguments)[0] == 3
