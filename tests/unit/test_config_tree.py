"""What sync-config copies is judged before anything is done with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.config_tree import (
    DIFF_LINES,
    ConfigFile,
    Tree,
    changed_macros,
    changed_paths,
    directories,
    moved,
    printable,
    refuse_name,
    unified,
)
from nagios_failover.errors import ConfigError, Refused
from nagios_failover.nagios_cfg import parse_nagios_cfg

CFG_TEXT = """# the main file
cfg_dir=/etc/n/conf.d
cfg_file=/etc/n/objects/a.cfg
cfg_file=/etc/other.cfg
#cfg_dir=/etc/n/conf.d/off
resource_file=/etc/n/objects/resource.cfg
log_file=/var/log/nagios.log
precached_object_file=/var/p
"""
CFG = parse_nagios_cfg(CFG_TEXT, Path("/etc/n/nagios.cfg"))
DIRECTORY = Path("/etc/n/conf.d")


def config(more: str = "") -> Config:
    text = f"[host yasu]\n[host nabira]\n[witness]\naddresses = none\n[mail]\nto = a@b\n[sync]\n{more}"
    return parse(text, hostname="nabira")


def tree(**files: str) -> Tree:
    return {name.replace("_", "."): ConfigFile(text.encode(), 0o644) for name, text in files.items()}


def test_only_what_nagios_reads_is_copied() -> None:
    assert directories(config("config_dirs = /etc/n/conf.d, /etc/n/objects"), CFG) == (DIRECTORY, Path("/etc/n/objects"))
    with pytest.raises(Refused, match=r"^nabira: no directory is configured to be copied$"):
        directories(config(), CFG)
    with pytest.raises(Refused, match=r"^nabira: /etc/n/nagios.cfg reads nothing from /etc/ssh "):
        directories(config("config_dirs = /etc/ssh"), CFG)


@pytest.mark.parametrize(
    ("value", "mistake"),
    [
        ("conf.d", "'conf.d' is not an absolute path"),
        ("/etc", "/etc is no directory of object configuration"),
        ("/etc/n/../ssh", "/etc/n/../ssh is no directory of object configuration"),
        ("/etc/n/conf.d /etc/n/conf.d", "is named twice"),
        ("/etc/n /etc/n/conf.d", "/etc/n/conf.d is named twice, or lies below another one"),
    ],
)
def test_directories_are_said_plainly(value: str, mistake: str) -> None:
    with pytest.raises(ConfigError) as error:
        config(f"config_dirs = {value}")
    assert mistake in error.value.detail
    with pytest.raises(ConfigError, match="has 1 mistake"):
        config("config_own = a/b.cfg")


def test_the_configuration_is_tried_out_beside_the_one_in_force() -> None:
    places = {DIRECTORY: Path("/s/1"), Path("/etc/n/objects"): Path("/s/2")}
    assert moved(CFG_TEXT, CFG, places, [DIRECTORY / "own.cfg"], Path("/s/objects.cache")).splitlines() == [
        "# the main file",
        "cfg_dir=/s/1",
        "cfg_file=/s/2/a.cfg",
        "cfg_file=/etc/other.cfg",
        "#cfg_dir=/etc/n/conf.d/off",
        "resource_file=/s/2/resource.cfg",
        "log_file=/var/log/nagios.log",
        "precached_object_file=/var/p",
        "cfg_file=/etc/n/conf.d/own.cfg",
        "precached_object_file=/s/objects.cache",
    ]


def test_a_difference_is_shown_as_diff_shows_it() -> None:
    old, new = tree(a_cfg="one\ntwo\n", gone_cfg="x\n"), tree(a_cfg="one\nthree\n", new_cfg="y\n", same_cfg="")
    assert changed_paths(old, new) == ["a.cfg", "gone.cfg", "new.cfg", "same.cfg"]
    assert list(unified(DIRECTORY, old, new, there="yasu")) == [
        "--- /etc/n/conf.d/a.cfg",
        "+++ yasu:/etc/n/conf.d/a.cfg",
        "@@ -1,2 +1,2 @@",
        " one",
        "-two",
        "+three",
        "--- /etc/n/conf.d/gone.cfg",
        "+++ /dev/null",
        "@@ -1 +0,0 @@",
        "-x",
        "--- /dev/null",
        "+++ yasu:/etc/n/conf.d/new.cfg",
        "@@ -0,0 +1 @@",
        "+y",
    ]


def test_what_is_shown_moves_no_terminal() -> None:
    assert list(unified(DIRECTORY, {}, tree(a_cfg="\x1b[2J\u202eok\n"), there="yasu"))[-1] == "+\\x1b[2J\\u202eok"
    assert printable("a\tb") == "a\tb"


def test_a_file_that_is_all_other_is_not_shown_line_by_line() -> None:
    new = tree(a_cfg="x\n" * (DIFF_LINES + 1))
    assert list(unified(DIRECTORY, {}, new, there="yasu")) == [
        f"/etc/n/conf.d/a.cfg: 0 lines here, {DIFF_LINES + 1} on yasu: too many to be shown"
    ]


def test_a_macro_of_a_resource_file_is_seen_to_change() -> None:
    old = tree(resource_cfg="# x\n$USER1$=/usr/lib\n")
    assert not changed_macros(old, tree(resource_cfg="# y\n$USER1$=/usr/lib\n"))
    assert changed_macros(old, tree(resource_cfg="# x\n$USER1$=/tmp\n"))
    assert changed_macros(old, tree(resource_cfg="$USER1$=/usr/lib\n", more_cfg=" $USER2$ = x\n"))


@pytest.mark.parametrize("name", ["a\nb", "\x1b", "", ".", "..", "x" * 256, "a\x7f"])
def test_a_name_that_is_not_plain_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="a file's name is not plain"):
        refuse_name(name, "/d")
