"""Copying: the position at the end of a whole dump, how the source is reached, and a loader or a source that fails in between."""

import configparser
import os
from pathlib import Path

import pytest

from nagios_failover import clone
from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.dialect import MariaDB, MySQL
from nagios_failover.errors import DatabaseFault, Failed

END = b"\n-- Preferably use GTID to start replication:\n\n-- SET GLOBAL gtid_slave_pos='0-1-5,1-2-7';\n/*!40103 */;\n"
MARIADB, MYSQL = MariaDB("10.11.6"), MySQL("9.7.0")
COMPLETE = b"-- Dump completed on 2026-11-25 15:01:50\n"


def config(more: str = "") -> Config:
    text = (
        "[host yasu]\naddress = 192.0.2.11\n[host nabira]\n[witness]\naddresses = none\n[mail]\nto = a@b\n[database]\nsocket = /s\n"
        f'[replication]\nreplication_password = a"b\\c #d\ntls_ca = /etc/mysql/nagios-failover/ca.pem\nsilence_warning = 1\n'
        f"silence_critical = 2\n{more}"
    )
    return parse(text, hostname="nabira")


def test_the_position_is_that_of_a_whole_dump() -> None:
    assert clone.position_of(END + COMPLETE, MARIADB) == "0-1-5,1-2-7"
    assert clone.position_of(END, MARIADB) is None, "cut off"
    assert clone.position_of(b"INSERT INTO t VALUES ('-- SET GLOBAL gtid_slave_pos=\\'0-1-9\\';');\n" + COMPLETE, MARIADB) is None
    assert clone.position_of(b"-- SET GLOBAL gtid_slave_pos='';\n" + COMPLETE, MARIADB) == "", (
        "a source that has written nothing yet"
    )


def test_mysql_s_position_is_at_the_beginning_of_its_dump_and_may_have_several_lines() -> None:
    text = b"\n/* SET @@GLOBAL.GTID_PURGED='+3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7,\nc0ffee00:tag:1-3';*/\n"
    assert clone.position_of(text + COMPLETE, MYSQL) == "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7,c0ffee00:tag:1-3"
    assert clone.position_of(text + b"/* SET @@GLOBAL.GTID_PURGED='a:1';*/\n" + COMPLETE, MYSQL) != "a:1", "a routine's text"
    assert clone.position_of(text, MYSQL) is None, "cut off"
    assert clone.position_of(b"/* SET @@GLOBAL.GTID_PURGED='+';*/\n" + COMPLETE, MYSQL) == ""
    assert clone.position_of(END + COMPLETE, MYSQL) is None, "another one's"


def test_the_password_is_told_on_standard_input_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clone, "program", lambda _, names: names[0])
    parser = configparser.RawConfigParser(allow_no_value=True)
    parser.read_string(clone.options(config(), MARIADB))
    assert parser["client"]["password"] == r'"a\"b\\c #d"'
    assert (parser["client"]["host"], parser["client"]["ssl-ca"]) == ('"192.0.2.11"', '"/etc/mysql/nagios-failover/ca.pem"')
    assert "ssl-verify-server-cert" in parser["client"] and "compress" in parser["client"]
    argv = clone.dump_argv(MARIADB, ["nagios"])
    assert argv[:2] == ("mariadb-dump", "--defaults-file=/dev/stdin") and not any("b\\c" in word for word in argv)
    assert "\nssl-mode = VERIFY_IDENTITY\ncompression-algorithms = zlib,uncompressed\nhost = " in clone.options(config(), MYSQL)
    assert clone.dump_argv(MYSQL, ["nagios"])[:4] == (
        "mysqldump",
        "--defaults-file=/dev/stdin",
        "--single-transaction",
        "--set-gtid-purged=COMMENTED",
    )


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def lives() -> None:
    """This host's server answers."""


def hangs() -> None:
    raise DatabaseFault("database: no answer (2013)", host="nabira")


def script(directory: Path, name: str, text: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_everything_that_is_dumped_is_loaded_outside_of_the_binary_log(programs: Path) -> None:
    (programs / "dumped").write_bytes(b"x" * 300_000 + END + COMPLETE)
    script(programs, "mariadb-dump", f"cat > {programs}/told; cat {programs}/dumped")
    script(programs, "mariadb", f"cat > {programs}/loaded")
    counts: list[int] = []
    assert clone.copy(config(), MARIADB, ["nagios"], progress=counts.append, alive=lives) == "0-1-5,1-2-7"
    loaded = (programs / "loaded").read_bytes()
    assert loaded.startswith(b"SET SESSION sql_log_bin = 0;\nSELECT GET_LOCK('nagios_failover_copy', 0);\nxxx")
    assert loaded.endswith(END + COMPLETE)
    assert (programs / "told").read_text() == clone.options(config(), MARIADB)
    assert counts[-1] == 300_000 + len(END + COMPLETE)


@pytest.mark.parametrize(
    ("dump", "load", "words"),
    [
        ("echo 'Got error: 2026: TLS' >&2; exit 2", "cat > /dev/null", "yasu: the dump failed: Got error: 2026: TLS"),
        ("echo nothing", "cat > /dev/null", "yasu: the dump is cut off"),
        ("cat /dev/zero", "head -c 100000 > /dev/null; echo 'disk full' >&2; exit 1", "nabira: loading the copy failed: disk full"),
        ("exec sleep 60", "cat > /dev/null", r"nothing has come from the source for 2 s \(\[replication\] silence_critical\)"),
    ],
)
def test_a_copy_that_is_not_whole_fails_with_what_was_said(programs: Path, dump: str, load: str, words: str) -> None:
    script(programs, "mariadb-dump", dump)
    script(programs, "mariadb", load)
    with pytest.raises(Failed, match=words):
        clone.copy(config(), MARIADB, ["nagios"], progress=lambda _: None, alive=lives)


@pytest.mark.parametrize("dump", ["exec cat /dev/zero", f"cat <<'END'\n{(END + COMPLETE).decode()}END\n"])
def test_a_server_here_that_hangs_while_the_copy_is_loaded_ends_it(programs: Path, dump: str) -> None:
    """In the midst of it, or at its last statement."""
    script(programs, "mariadb-dump", dump)
    script(programs, "mariadb", "exec sleep 60")
    with pytest.raises(DatabaseFault, match="nabira: database: no answer"):
        clone.copy(config(), MARIADB, ["nagios"], progress=lambda _: None, alive=hangs)


def test_a_server_here_that_works_at_one_statement_for_long_is_waited_for(programs: Path) -> None:
    (programs / "dumped").write_bytes(b"x" * 300_000 + END + COMPLETE)
    script(programs, "mariadb-dump", f"cat {programs}/dumped")
    script(programs, "mariadb", f"sleep 3; cat > {programs}/loaded; sleep 3")
    assert clone.copy(config(), MARIADB, ["nagios"], progress=lambda _: None, alive=lives) == "0-1-5,1-2-7"
    assert (programs / "loaded").stat().st_size > 300_000


def test_a_loader_of_an_earlier_run_is_ended_first() -> None:
    asked: list[str] = []
    answers = ["17", "", ""]

    def ask(sql: str) -> str:
        asked.append(sql)
        return answers.pop(0)

    clone.wait_until_alone(ask, seconds=5)
    assert asked == ["SELECT IS_USED_LOCK('nagios_failover_copy')", "KILL 17", "SELECT IS_USED_LOCK('nagios_failover_copy')"]
