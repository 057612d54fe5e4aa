"""The row, the table and the rights, as far as they can be told without a server (tests/e2e/test_programstatus.py has one)."""

from __future__ import annotations

from pathlib import Path

from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.init_database import grants, mismatches
from nagios_failover.programstatus import COLUMNS, PROGRAMSTATUS, row
from nagios_failover.tables import Found

AS_MADE = {column.name: column.type for column in COLUMNS}

STATUS = {
    "nagios_pid": "204",
    "daemon_mode": "1",
    "program_start": "1763822500",
    "last_log_rotation": "0",
    "enable_notifications": "1",
    "active_service_checks_enabled": "1",
    "passive_service_checks_enabled": "1",
    "active_host_checks_enabled": "1",
    "enable_event_handlers": "1",
    "obsess_over_services": "0",
    "enable_flap_detection": "0",
    "process_performance_data": "1",
    "global_host_event_handler": "",
}


def config(database: str = "", heartbeat: str = "") -> Config:
    text = (
        "[pair]\n[host yasu]\n[host nabira]\n[witness]\naddresses = none\n[mail]\nto = a@example.org\n"
        f"[database]\nsocket = /run/mysqld/mysqld.sock\n{database}\n[heartbeat]\nschema = nagios1\n{heartbeat}\n"
    )
    return parse(text, path=Path("/x.cfg"), hostname="yasu")


def test_the_row_is_status_dat_in_nagios_1x_columns() -> None:
    assert dict(zip(AS_MADE, row(1763822531, STATUS), strict=True)) == {
        "last_update": 1763822531,
        "program_start": 1763822500,
        "daemon_mode": 1,
        "nagios_pid": 204,
        "last_command_check": 0,
        "last_log_rotation": 0,
        "execute_service_checks": 1,
        "accept_passive_service_checks": 1,
        "enable_event_handlers": 1,
        "obsess_over_services": 0,
        "enable_flap_detection": 0,
        "enable_notifications": 1,
        "enable_failure_prediction": 0,
        "process_performance_data": 1,
    }


def test_what_status_dat_does_not_say_or_garbles_is_zero() -> None:
    assert row(5, {"nagios_pid": "x", "daemon_mode": "-1", "enable_notifications": "١"}) == (5, *[0] * 13)


def test_the_table_has_nagios_1x_fourteen_columns_and_transactions() -> None:
    assert len(COLUMNS) == 14
    assert "last_update datetime NOT NULL DEFAULT '0000-00-00 00:00:00'" in PROGRAMSTATUS.create()
    assert PROGRAMSTATUS.create().endswith("ENGINE=InnoDB")


def found(columns: dict[str, str], *, engine: str = "InnoDB") -> Found:
    return Found(columns, engine, [], [], [])


def test_the_table_as_we_make_it_differs_in_nothing() -> None:
    assert PROGRAMSTATUS.differences(found(AS_MADE), origin="Nagios 1.x") == []


def test_mysql_8_tells_no_width_of_integers() -> None:
    plain = {name: kind.partition("(")[0] for name, kind in AS_MADE.items()}
    assert PROGRAMSTATUS.differences(found(plain), origin="Nagios 1.x") == []


def test_what_differs_is_named_with_the_statement_that_mends_it() -> None:
    columns = {**AS_MADE, "nagios_pid": "varchar(10)", "last_update": "datetime NULL", "instance": "int(11)"}
    del columns["daemon_mode"]
    assert PROGRAMSTATUS.differences(found(columns, engine="MyISAM"), origin="Nagios 1.x") == [
        "column last_update is datetime NULL, not datetime: ALTER TABLE programstatus MODIFY last_update datetime NOT NULL "
        "DEFAULT '0000-00-00 00:00:00'",
        "column daemon_mode is missing: ALTER TABLE programstatus ADD daemon_mode tinyint(4) NOT NULL DEFAULT '0'",
        "column nagios_pid is varchar(10), not int(11): ALTER TABLE programstatus MODIFY nagios_pid int(11) NOT NULL DEFAULT '0'",
        "column instance is not of Nagios 1.x",
        "its engine is MyISAM, which knows no transactions: ALTER TABLE programstatus ENGINE=InnoDB",
    ]


def test_the_loader_is_known_by_the_socket_and_the_watcher_by_either_hosts_address() -> None:
    assert grants(config(), ["10.99.0.11", "10.99.0.12"], "10.11.14-MariaDB") == [
        "CREATE USER IF NOT EXISTS 'nagios'@'localhost' IDENTIFIED VIA unix_socket;",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON `nagios`.programstatus TO 'nagios'@'localhost';",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON `perfparse`.* TO 'nagios'@'localhost';",
        "CREATE USER IF NOT EXISTS 'nagios_failover'@'10.99.0.11' IDENTIFIED BY 'PASSWORD OF [heartbeat]';",
        "GRANT SELECT ON `nagios`.programstatus TO 'nagios_failover'@'10.99.0.11';",
        "CREATE USER IF NOT EXISTS 'nagios_failover'@'10.99.0.12' IDENTIFIED BY 'PASSWORD OF [heartbeat]';",
        "GRANT SELECT ON `nagios`.programstatus TO 'nagios_failover'@'10.99.0.12';",
    ]


def test_mysql_names_its_socket_login_otherwise() -> None:
    assert "IDENTIFIED WITH auth_socket;" in grants(config(), [], "9.7.0")[0]


def test_no_password_is_printed() -> None:
    secret = config("password = geheim", "password = geheimer\ntls_ca = /etc/ssl/ca.pem")
    printed = "\n".join(grants(secret, ["10.99.0.12"], "10.11.14-MariaDB"))
    assert "geheim" not in printed
    assert "'nagios'@'localhost' IDENTIFIED BY 'PASSWORD OF [database]';" in printed
    assert "IDENTIFIED BY 'PASSWORD OF [heartbeat]' REQUIRE SSL;" in printed


def test_a_reader_that_looks_elsewhere_is_pointed_out() -> None:
    assert mismatches(config()) == []
    assert mismatches(config(heartbeat="database = nagios1")) == [
        "[heartbeat] database is nagios1, [database] database is nagios; hint: one name"
    ]
