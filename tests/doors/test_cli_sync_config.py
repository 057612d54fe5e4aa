"""`nagios-failover sync-config` where it must not begin: whole output, exit code. The copying is tests/e2e's."""

from pathlib import Path

import pytest

from nagios_failover.words import Role
from tests.doors.cli_site import HERE, NO_SSH, Site, said


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.cfg.write_text(site.cfg.read_text() + f"[sync]\nconfig_dirs = {tmp_path}/conf.d\n")
    site.nagios_cfg.write_text(site.nagios_cfg.read_text() + f"cfg_dir={tmp_path}/conf.d\n")
    site.role(Role.STANDBY)
    return site


def test_without_a_directory_it_says_how_to_name_one(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.role(Role.STANDBY)
    assert said(site.run("sync-config")) == (
        3,
        "",
        f"error: {HERE}: no directory is configured to be copied\n"
        "hint: [sync] config_dirs = /etc/nagios4/conf.d in nagios-failover.cfg of both hosts\n",
    )


@pytest.mark.parametrize("role", [Role.MASTER, Role.TAKING_OVER, Role.STANDING_DOWN])
def test_a_host_that_is_no_standby_copies_nothing(site: Site, role: Role) -> None:
    site.role(role)
    code, output, error = said(site.run("sync-config", "--dry-run"))
    assert (code, output) == (3, "")
    assert error == (
        f"error: {HERE}: role {role} (term 3): the configuration is copied from the master to its standby\nhint: run it on yasu\n"
    )


def test_a_master_that_does_not_answer_is_a_failure(site: Site) -> None:
    code, output, error = said(site.run("sync-config"))
    assert (code, output) == (1, "")
    assert error.startswith("error: yasu: ssh fails: ") and NO_SSH in error


def test_a_directory_that_nagios_does_not_read_is_refused(site: Site, tmp_path: Path) -> None:
    site.nagios_cfg.write_text(site.nagios_cfg.read_text().replace("cfg_dir=", "#cfg_dir="))
    code, _, error = said(site.run("sync-config"))
    assert code == 3
    assert error.startswith(f"error: {HERE}: {site.nagios_cfg} reads nothing from {tmp_path}/conf.d ([sync] config_dirs)\n")
