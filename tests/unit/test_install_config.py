"""What root does with fetched files: installed whole and taken by Nagios, or everything is as it was; killed, the next mends it."""

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path

import pytest

from nagios_failover import install_config
from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.errors import Failed, Incomplete, Refused
from nagios_failover.install_config import install, restore, staged, was_cut_short
from nagios_failover.tree_files import change_tree

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

HERE = socket.gethostname()


class Site:
    """A nagios.cfg with one directory, and a Nagios that refuses every file that says `broken`."""

    def __init__(self, top: Path) -> None:
        self.directory = top / "etc" / "conf.d"
        self.directory.mkdir(parents=True)
        self.backups = top / "backups"
        binary = top / "nagios4"
        binary.write_text(
            "#!/bin/sh\n"
            f'[ "$1" = -v ] && [ "$2" = {top}/nagios.cfg ] || exit 9\n'
            f"if grep -rq broken {self.directory}; then echo '   Error: it is broken'; exit 1; fi\n"
        )
        binary.chmod(0o755)
        (top / "nagios.cfg").write_text(f"cfg_dir={self.directory}\n")
        me = pwd.getpwuid(os.geteuid()).pw_name
        self.config: Config = parse(
            f"[host {HERE}]\nnagios_cfg = {top}/nagios.cfg\nnagios_binary = {binary}\n[host other]\n[witness]\naddresses = none\n"
            f"[mail]\nto = a@b\n[nagios]\nuser = {me}\n[paths]\nstate = {top}/state\n[sync]\nconfig_dirs = {self.directory}\n",
            hostname=HERE,
        )
        self.staged = staged(self.config.paths.state, self.directory)
        self.staged.mkdir(parents=True)
        for place in (self.directory, self.staged):
            (place / "a.cfg").write_text("a\n")
        (self.directory / "nagios-failover.cfg").write_text("ours\n")

    def install(self) -> list[str]:
        return [sentence.removeprefix(f"{HERE}: ") for sentence in install(self.config, backups=self.backups)]

    def restore(self) -> list[str]:
        return [sentence.removeprefix(f"{HERE}: ") for sentence in restore(self.config, backups=self.backups)]

    def now(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in sorted(self.directory.rglob("*")) if path.is_file()}

    @property
    def pending(self) -> bool:
        return was_cut_short(self.backups)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_the_fetched_files_are_installed_and_this_hosts_own_stay(site: Site) -> None:
    (site.staged / "b.cfg").write_text("b\n")
    (site.staged / "a.cfg").unlink()
    assert site.install() == [
        f"removed {site.directory}/a.cfg",
        f"added {site.directory}/b.cfg",
        "Nagios takes the new configuration (nagios -v)",
    ]
    assert site.now() == {"b.cfg": "b\n", "nagios-failover.cfg": "ours\n"} and not site.pending
    assert [path.stat().st_mode & 0o777 for path in (site.backups, site.backups / "old")] == [0o755, 0o700]
    assert site.restore() == ["the files of before are back"]
    assert site.now() == {"a.cfg": "a\n", "nagios-failover.cfg": "ours\n"}


def test_the_same_files_are_left_as_they_are(site: Site) -> None:
    assert site.install() == ["the files are the same already"]
    with pytest.raises(Refused, match="there is nothing to be put back"):
        site.restore()


def test_what_nagios_refuses_is_taken_back(site: Site) -> None:
    (site.staged / "b.cfg").write_text("broken\n")
    before = site.now()
    with pytest.raises(Failed) as error:
        site.install()
    assert error.value.what.startswith(f"not installed, the old files are back: {HERE}: ")
    assert error.value.detail == "Error: it is broken"
    assert site.now() == before and not site.pending


def test_a_disk_that_is_full_half_way_leaves_the_old_files(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    (site.staged / "a.cfg").write_text("changed\n")
    (site.staged / "b.cfg").write_text("b\n")
    before = site.now()
    real = change_tree

    def half(*args: object, **kwargs: object) -> list[str]:
        monkeypatch.setattr(install_config, "change_tree", real)
        (site.directory / "a.cfg").write_text("changed\n")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(install_config, "change_tree", half)
    with pytest.raises(Failed, match="No space left on device"):
        site.install()
    assert site.now() == before and not site.pending


@pytest.mark.parametrize("again", ["install", "restore"])
def test_one_that_is_killed_is_mended_by_the_next(site: Site, monkeypatch: pytest.MonkeyPatch, again: str) -> None:
    (site.staged / "b.cfg").write_text("b\n")

    def killed(config: Config) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(install_config, "verify", killed)
        site.install()
    assert site.pending and "b.cfg" in site.now()
    if again == "restore":
        site.restore()
        assert site.now() == {"a.cfg": "a\n", "nagios-failover.cfg": "ours\n"}
    else:
        assert site.install()[0] == "an earlier install was cut short: its old files were put back first"
        assert site.now() == {"a.cfg": "a\n", "b.cfg": "b\n", "nagios-failover.cfg": "ours\n"}
    assert not site.pending


def test_one_that_can_not_be_taken_back_is_said_with_where_the_old_files_are(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    (site.staged / "b.cfg").write_text("b\n")

    def full(*args: object, **kwargs: object) -> list[str]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(install_config, "change_tree", full)
    with pytest.raises(Incomplete) as error:
        site.install()
    assert error.value.hint == f"they are in {site.backups}/old; nagios-failover sync-config tries it again"
    assert site.pending


def test_a_directory_that_is_not_roots_alone_is_refused(site: Site) -> None:
    site.directory.chmod(0o775)
    with pytest.raises(Refused, match="is not root's alone to change"):
        site.install()
    site.directory.chmod(0o755)
    (site.directory / "a.cfg").chmod(0o666)
    with pytest.raises(Refused, match=r"a\.cfg is not root's alone to change"):
        site.install()
    site.directory.rename(site.directory.with_name("real"))
    site.directory.symlink_to(site.directory.with_name("real"))
    with pytest.raises(Refused, match="is a symbolic link"):
        site.install()


def test_links_among_the_fetched_files_are_refused(site: Site) -> None:
    (site.staged / "x.cfg").symlink_to("/etc/shadow")
    before = site.now()
    with pytest.raises(Refused, match="is a symbolic link"):
        site.install()
    assert site.now() == before and not site.pending
