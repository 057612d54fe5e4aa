"""Directories are read and changed without following a link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nagios_failover import tree_files
from nagios_failover.config_tree import ConfigFile
from nagios_failover.errors import Failed, Refused
from nagios_failover.tree_files import change_tree, read_tree

OWN = ("own.cfg",)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    directory = tmp_path / "conf.d"
    (directory / "hosts").mkdir(parents=True)
    (directory / "a.cfg").write_text("a\n")
    (directory / "hosts" / "web.cfg").write_text("web\n")
    return directory


def contents(directory: Path) -> dict[str, bytes]:
    return {path: file.data for path, file in read_tree(directory, own=OWN).items()}


def file(text: str, mode: int = 0o644) -> ConfigFile:
    return ConfigFile(text.encode(), mode)


def test_every_file_below_is_read_but_own_and_hidden_ones(top: Path) -> None:
    (top / "own.cfg").write_text("mine")
    (top / "hosts" / "own.cfg").write_text("mine")
    (top / ".git").mkdir()
    assert contents(top) == {"a.cfg": b"a\n", "hosts/web.cfg": b"web\n"}


def test_a_link_a_pipe_and_a_loop_are_refused(top: Path) -> None:
    (top / "x.cfg").symlink_to("/etc/passwd")
    with pytest.raises(Refused, match=r"/x\.cfg is a symbolic link"):
        contents(top)
    (top / "x.cfg").unlink()
    (top / "hosts" / "up").symlink_to("..")
    with pytest.raises(Refused, match=r"hosts/up is a symbolic link"):
        contents(top)
    (top / "hosts" / "up").unlink()
    os.mkfifo(top / "pipe")
    with pytest.raises(Refused, match="is no plain file"):
        contents(top)


def test_a_link_in_the_place_of_the_directory_leads_nowhere(top: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(top)
    with pytest.raises(Failed, match="link cannot be read: "):
        contents(tmp_path / "link")
    with pytest.raises(Failed, match="none cannot be read: No such file"):
        contents(tmp_path / "none")


def test_it_is_bounded(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_files, "SIZE_LIMIT", 5)
    with pytest.raises(Refused, match="are larger than 0 MiB together"):
        contents(top)
    monkeypatch.setattr(tree_files, "SIZE_LIMIT", 1000)
    monkeypatch.setattr(tree_files, "COUNT_LIMIT", 1)
    with pytest.raises(Refused, match="more than 1 files"):
        contents(top)
    deep = top
    for _ in range(tree_files.DEPTH_LIMIT + 1):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (top / "a.cfg").unlink()
    with pytest.raises(Refused):
        contents(top)


def test_what_somebody_else_could_change_is_refused_where_it_must_be_roots(top: Path) -> None:
    me = os.geteuid()
    assert read_tree(top, own=OWN, owner=me)
    with pytest.raises(Refused, match="is not root's alone to change"):
        read_tree(top, own=OWN, owner=me + 1)
    (top / "hosts").chmod(0o777)
    with pytest.raises(Refused, match=r"hosts/? is not root's alone to change"):
        read_tree(top, own=OWN, owner=me)


def test_a_directory_is_changed_and_keeps_what_is_its_own(top: Path) -> None:
    (top / "own.cfg").write_text("mine")
    (top / "a.cfg").chmod(0o600)
    old = read_tree(top, own=OWN)
    new = {"a.cfg": file("b\n"), "sub/new.cfg": file("n\n"), "secret.cfg": file("s\n", 0o640)}
    assert change_tree(top, old, new, group=os.getegid()) == [
        f"removed {top}/hosts/web.cfg",
        f"changed {top}/a.cfg",
        f"added {top}/secret.cfg",
        f"added {top}/sub/new.cfg",
    ]
    assert contents(top) == {path: entry.data for path, entry in new.items()}
    assert not (top / "hosts").exists() and (top / "own.cfg").read_text() == "mine"
    modes = {name: (top / name).stat().st_mode & 0o777 for name in ("a.cfg", "sub/new.cfg", "secret.cfg")}
    assert modes == {"a.cfg": 0o600, "sub/new.cfg": 0o644, "secret.cfg": 0o640}
    assert not list(top.rglob(".nagios-failover*"))


def test_a_directory_may_take_the_place_of_a_file_and_a_file_of_a_directory(top: Path) -> None:
    new = {"a.cfg/x.cfg": file("x"), "hosts": file("h")}
    change_tree(top, read_tree(top, own=OWN), new, group=os.getegid())
    assert contents(top) == {"a.cfg/x.cfg": b"x", "hosts": b"h"}
