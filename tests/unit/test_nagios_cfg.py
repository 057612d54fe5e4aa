from pathlib import Path

import pytest

from nagios_failover.errors import ConfigError
from nagios_failover.nagios_cfg import parse_nagios_cfg
from nagios_failover.nagios_files import read_nagios_cfg

DEBIAN = Path("/etc/nagios4/nagios.cfg")


def test_paths_are_what_the_file_says() -> None:
    cfg = parse_nagios_cfg(
        "log_file=/var/log/nagios4/nagios.log\n status_file = /x/status.dat \nlock_file=run/nagios.pid\n", DEBIAN
    )
    assert cfg.log_file == Path("/var/log/nagios4/nagios.log")
    assert cfg.status_file == Path("/x/status.dat")
    assert cfg.lock_file == Path("/etc/nagios4/run/nagios.pid")


@pytest.mark.parametrize(
    ("cfg", "retention", "pipe"),
    [
        ("/etc/nagios4/nagios.cfg", "/var/lib/nagios4/retention.dat", "/var/lib/nagios4/rw/nagios.cmd"),
        ("/usr/local/nagios/etc/nagios.cfg", "/usr/local/nagios/var/retention.dat", "/usr/local/nagios/var/rw/nagios.cmd"),
        ("/usr/local/etc/nagios/nagios.cfg", "/var/spool/nagios/retention.dat", "/var/spool/nagios/rw/nagios.cmd"),
    ],
)
def test_what_the_file_does_not_say_is_where_that_nagios_was_built_to_put_it(cfg: str, retention: str, pipe: str) -> None:
    parsed = parse_nagios_cfg("", Path(cfg))
    assert (str(parsed.state_retention_file), str(parsed.command_file)) == (retention, pipe)


def test_the_last_value_counts_and_every_value_of_a_list_is_kept() -> None:
    cfg = parse_nagios_cfg("cfg_dir=/a\ncfg_dir=/b\nstatus_file=/one\nstatus_file=/two\n", DEBIAN)
    assert cfg.lists["cfg_dir"] == ("/a", "/b")
    assert cfg.status_file == Path("/two")


def test_comments_are_whole_lines_and_a_backslash_joins_lines() -> None:
    cfg = parse_nagios_cfg("# a comment\nlog_file=/var/\\\n    log/n.log\nillegal_object_name_chars=`~!$%#\n", DEBIAN)
    assert cfg.log_file == Path("/var/log/n.log")
    assert cfg.text("illegal_object_name_chars") == "`~!$%#"


def test_numbers_are_read_as_nagios_reads_them() -> None:
    cfg = parse_nagios_cfg("a=10\nb=10 s\nc=x\nd=-1\n", DEBIAN)
    assert [cfg.number(name, 7) for name in "abcde"] == [10, 10, 0, -1, 7]


def test_flags_are_kept_only_with_retention_of_states_and_of_the_program() -> None:
    assert parse_nagios_cfg("retain_state_information=1\n").keeps_flags
    assert not parse_nagios_cfg("").keeps_flags
    assert not parse_nagios_cfg("retain_state_information=1\nuse_retained_program_state=0\n").keeps_flags


def test_a_line_that_is_no_setting_is_named() -> None:
    with pytest.raises(ConfigError, match=r"line 2 is no setting: 'what is this'"):
        parse_nagios_cfg("a=1\nwhat is this\n")


def test_a_missing_file_says_where_it_is_configured(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        read_nagios_cfg(tmp_path / "nagios.cfg")
    assert error.value.hint == "name Nagios's main file with nagios_cfg in the section [host ...]"
