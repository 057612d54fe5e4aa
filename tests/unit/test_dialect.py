"""The two dialects: which one a server speaks, and what goes out to it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import nagios_failover
from nagios_failover.dialect import Dialect, Link, MariaDB, MySQL, OldMySQL, Statement, dialect_of
from nagios_failover.errors import Refused


@pytest.mark.parametrize(
    ("said", "kind", "version", "acts"),
    [
        ("10.5.0-MariaDB mariadb.org binary distribution", MariaDB, "10.5.0", True),
        ("10.11.14-MariaDB-0+deb12u2-log Debian 12", MariaDB, "10.11.14", True),
        ("11.8.2-MariaDB-1 Debian", MariaDB, "11.8.2", True),
        ("9.7.0 (Debian)", MySQL, "9.7.0", True),
        ("8.4.3 MySQL Community Server - GPL", MySQL, "8.4.3", True),
        ("8.4.0-0 Percona Server (GPL), Release 0", MySQL, "8.4.0", True),
        ("8.3.0 MySQL Community Server - GPL", OldMySQL, "8.3.0", False),
        ("8.0.40-0ubuntu0.22.04.1 (Ubuntu)", OldMySQL, "8.0.40", False),
        ("5.7.44-log MySQL Community Server (GPL)", OldMySQL, "5.7.44", False),
    ],
)
def test_a_server_is_known_by_what_it_says_of_itself(said: str, kind: type[Dialect], version: str, *, acts: bool) -> None:
    dialect = dialect_of(said, "yasu")
    assert (type(dialect), dialect.version, dialect.acts) == (kind, version, acts)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("10.4.34-MariaDB Debian", "yasu: its MariaDB 10.4.34 is too old"),
        ("5.6.51 MySQL Community Server (GPL)", "yasu: its MySQL 5.6.51 is too old"),
        ("PostgreSQL 15.4", "yasu: its MySQL PostgreSQL is too old"),
    ],
)
def test_older_ones_are_refused_with_a_sentence(said: str, sentence: str) -> None:
    with pytest.raises(Refused) as refused:
        dialect_of(said, "yasu")
    assert str(refused.value) == sentence
    assert "or later" in refused.value.hint


def test_old_spellings_appear_nowhere_else() -> None:
    """Of statements, of columns, and of settings."""
    old = re.compile(r"(?i:slave|(?:show|reset|change) master|semi_sync_master)|MASTER_(?:HOST|USER|SSL|GTID|LOG|USE)")
    package = Path(nagios_failover.__file__).parent
    files = [
        path for directory in (package, package.parent / "plugins", package.parent / "handlers") for path in directory.iterdir()
    ]
    found = {path.name for path in files if path.suffix != ".pyc" and path.is_file() and old.search(path.read_text())}
    assert len(files) > 100 and found == {"dialect.py", "replica_status.py", "server_settings.py"}


def test_what_is_only_watched_is_not_acted_upon() -> None:
    dialect_of("8.4.0 MySQL", "yasu").require_acting("yasu")
    with pytest.raises(Refused, match=r"its MySQL 8\.0\.36 is only watched: promotion and rejoining need MySQL 8\.4 or later"):
        dialect_of("8.0.36 MySQL", "yasu").require_acting("yasu")


LINK = Link("192.0.2.11", 3306, "replica", "it's secret", Path("/ca.pem"), Path("/cert.pem"), Path("/key.pem"), 5, 2)


def test_a_mariadb_replica_follows_by_gtid_over_verified_tls() -> None:
    sql, values = MariaDB("10.11.6").change_source(LINK)
    assert sql == (
        "CHANGE MASTER TO MASTER_HOST = %s, MASTER_PORT = %s, MASTER_USER = %s, MASTER_PASSWORD = %s, MASTER_CONNECT_RETRY = %s, "
        "MASTER_HEARTBEAT_PERIOD = %s, MASTER_SSL = %s, MASTER_SSL_CA = %s, MASTER_SSL_CERT = %s, MASTER_SSL_KEY = %s, "
        "MASTER_SSL_VERIFY_SERVER_CERT = %s, MASTER_USE_GTID = slave_pos"
    )
    assert values == ("192.0.2.11", 3306, "replica", "it's secret", 5, 2, 1, "/ca.pem", "/cert.pem", "/key.pem", 1)


def test_a_mysql_replica_never_gives_up_and_follows_by_gtid_over_verified_tls() -> None:
    sql, values = MySQL("9.7.0").change_source(LINK)
    assert sql == (
        "CHANGE REPLICATION SOURCE TO SOURCE_HOST = %s, SOURCE_PORT = %s, SOURCE_USER = %s, SOURCE_PASSWORD = %s, "
        "SOURCE_CONNECT_RETRY = %s, SOURCE_RETRY_COUNT = %s, SOURCE_HEARTBEAT_PERIOD = %s, SOURCE_SSL = %s, SOURCE_SSL_CA = %s, "
        "SOURCE_SSL_CERT = %s, SOURCE_SSL_KEY = %s, SOURCE_SSL_VERIFY_SERVER_CERT = %s, GET_SOURCE_PUBLIC_KEY = %s, "
        "SOURCE_AUTO_POSITION = 1"
    )
    assert values == ("192.0.2.11", 3306, "replica", "it's secret", 5, 0, 2, 1, "/ca.pem", "/cert.pem", "/key.pem", 1, 0)


def test_a_copy_begins_with_the_history_of_its_source() -> None:
    assert MariaDB("10.11.6").begin_at("0-1-250", "0-2-200,0-1-263") == [
        ("SET GLOBAL gtid_binlog_state = %s", ("0-2-200,0-1-250",)),
        ("SET GLOBAL gtid_slave_pos = %s", ("0-1-250",)),
    ]
    uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
    assert MySQL("9.7.0").begin_at(f"{uuid}:1-5", f"{uuid}:1-7") == [("SET GLOBAL gtid_purged = %s", (f"{uuid}:1-5",))]


def test_a_mysql_that_was_no_replica_knows_by_itself_where_to_go_on() -> None:
    assert MariaDB("10.11.6").go_on_from("0-1-9") == [("SET GLOBAL gtid_slave_pos = %s", ("0-1-9",))]
    assert MySQL("9.7.0").go_on_from("3e11fa47:1-5") == []


def test_what_one_server_alone_has_is_cut_out_of_its_binary_log() -> None:
    new, old, mysql = MariaDB("10.11.6"), MariaDB("10.6.1"), MySQL("9.7.0")
    assert new.fork("0-1-5,0-2-9", "0-1-7,0-2-8") == "0-2-8" and old.fork("0-1-5,0-2-9", "0-1-7,0-2-8") == ""
    assert new.binlog_arguments("0-2-8", "0-2-9") == ("--start-position=0-2-8",) and new.binlog_arguments("", "0-2-9") == ()
    assert mysql.binlog_arguments(mysql.fork("3e11:1-5", "3e11:1-3"), "3e11:4-5") == ("--include-gtids=3e11:4-5",)
    assert old.count_alone("0-1-5,0-2-9", "0-1-7,0-2-8", lambda _: "") == 1
    assert mysql.count_alone("3e11:1-5", "3e11:1-3", lambda _: "3e11:4-5") == 2
    assert mysql.still_logged("3e11:4-5", lambda _: "3e11:4-5") and not mysql.still_logged("3e11:4-5", lambda _: "3e11:5")


def test_a_snapshot_of_mysql_holds_commits_up_for_the_moment_in_which_it_begins() -> None:
    asked: list[str] = []

    def rows(statement: Statement) -> list[dict[str, object]]:
        asked.append(statement.sql)
        return [{"File": "binlog.000002", "Position": 197, "Executed_Gtid_Set": "3e11:1-5,\nc0ff:1"}]

    assert MySQL("9.7.0").snapshot(rows) == (("binlog.000002", 197), "3e11:1-5,c0ff:1")
    assert asked == [
        "SET SESSION lock_wait_timeout = 5",
        "FLUSH TABLES WITH READ LOCK",
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT",
        "SHOW BINARY LOG STATUS",
        "UNLOCK TABLES",
    ]


def test_without_a_ca_tls_is_off_and_not_half_on() -> None:
    for dialect in (MariaDB("10.11.6"), MySQL("9.7.0")):
        sql, values = dialect.change_source(Link("192.0.2.11", 3306, "replica", ""))
        options = dict(zip([part.split()[0] for part in sql.partition(" TO ")[2].split(", ")], values, strict=False))
        assert {int(str(value)) for name, value in options.items() if name.endswith(("_SSL", "_VERIFY_SERVER_CERT"))} == {0}


def test_histories_are_compared_here_for_mariadb_and_by_the_server_for_mysql() -> None:
    asked: list[Statement] = []

    def ask(statement: Statement) -> str:
        asked.append(statement)
        return "3e11fa47:5,\n2174b383:1"

    assert MariaDB("10.11.6").minus("0-1-9,0-2-4", "0-1-9", ask) == "0-2-4"
    assert asked == []
    assert MySQL("9.7.0").minus("3e11fa47:1-5", "3e11fa47:1-4", ask) == "3e11fa47:5,2174b383:1"
    assert asked == [Statement("SELECT GTID_SUBTRACT(%s, %s)", ("3e11fa47:1-5", "3e11fa47:1-4"))]


def test_a_wait_says_for_what_and_how_long() -> None:
    assert MariaDB("10.11.6").wait_for("0-1-9", 1.5) == ("SELECT MASTER_GTID_WAIT(%s, %s)", ("0-1-9", 1.5))
    assert MySQL("9.7.0").wait_for("3e11:1-5", 1.5) == ("SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, %s)", ("3e11:1-5", 1.5))


def test_mysql_s_role_is_never_persisted_where_it_would_outrank_the_drop_in() -> None:
    dialect = MySQL("9.7.0")
    assert not any("PERSIST" in statement for statement in (*dialect.make_read_only, *dialect.make_writable))
