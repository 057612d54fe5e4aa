"""The accounts of a pair: the least that each needs, from where it comes, over TLS alone."""

from nagios_failover.accounts import Account, accounts, statements
from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.dialect import MariaDB, MySQL, Statement


def config() -> Config:
    text = (
        "[host yasu]\n[host nabira]\n[witness]\naddresses = none\n[mail]\nto = a@b\n[replication]\ndatabases = nagios\n"
        "password = one\nreplication_password = two\n"
    )
    return parse(text, hostname="yasu")


def test_who_acts_who_replicates_and_from_where() -> None:
    acting = (
        "SLAVE MONITOR, BINLOG MONITOR, REPLICATION SLAVE ADMIN, REPLICATION MASTER ADMIN, READ_ONLY ADMIN, CONNECTION ADMIN, "
        "RELOAD, PROCESS",
        "*.*",
    )
    assert accounts(config(), MariaDB("10.11"), ["192.0.2.12"]) == [
        Account("nagios_failover_admin", "localhost", "one", (acting,), tls=False),
        Account("nagios_failover_admin", "192.0.2.12", "one", (acting,), tls=True),
        Account(
            "nagios_failover_replica",
            "192.0.2.12",
            "two",
            (
                ("REPLICATION SLAVE, SHOW DATABASES", "*.*"),
                ("SELECT", "mysql.proc"),
                ("SELECT, SHOW VIEW, TRIGGER, EVENT", "`nagios`.*"),
            ),
            tls=True,
        ),
    ]


def test_an_underscore_in_a_database_s_name_is_itself_alone() -> None:
    text = "[host yasu]\n[host nabira]\n[witness]\naddresses = none\n[mail]\nto = a@b\n[replication]\ndatabases = my_db\n"
    found = accounts(parse(text, hostname="yasu"), MariaDB("10.11"), ["192.0.2.12"])[-1].grants
    assert found[-1] == ("SELECT, SHOW VIEW, TRIGGER, EVENT", "`my\\_db`.*")


def test_a_right_on_one_table_is_a_grant_of_its_own() -> None:
    grants = accounts(config(), MySQL("9.7"), [])[0].grants
    assert grants[0][1] == "*.*" and " ON " not in grants[0][0]
    assert ("SELECT", "performance_schema.processlist") in grants


def test_passwords_go_beside_the_statement_never_into_it() -> None:
    one = Account("a", "192.0.2.12", "it's \\ secret", (("SELECT", "`nagios`.*"),), tls=True)
    assert statements(one) == [
        Statement("CREATE USER IF NOT EXISTS %s@%s IDENTIFIED BY %s REQUIRE SSL", ("a", "192.0.2.12", "it's \\ secret")),
        Statement("ALTER USER %s@%s IDENTIFIED BY %s REQUIRE SSL", ("a", "192.0.2.12", "it's \\ secret")),
        Statement("GRANT SELECT ON `nagios`.* TO %s@%s", ("a", "192.0.2.12")),
    ]
