"""One reading of every server's row. MariaDB's was taken from a live 10.11.18 (tests/fake_database.py); MySQL's are as its manuals
show them: MySQL 8.4 Reference Manual and MySQL 8.0 Reference Manual, 15.7.7.35 SHOW REPLICA STATUS Statement (8.0 keeps SHOW SLAVE
STATUS beside it, with the old names); MySQL 5.7 Reference Manual, SHOW SLAVE STATUS Statement (show-slave-status.html)."""

from __future__ import annotations

from typing import Any

import pytest

from nagios_failover.replica_status import parse
from tests.fake_database import ROW

GTIDS = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5,\n4e11fa47-71ca-11e1-9e33-c80aa9429562:1"

# the manual's example, and its columns
MYSQL_84: dict[str, Any] = {
    "Replica_IO_State": "Waiting for source to send event",
    "Source_Host": "127.0.0.1",
    "Source_User": "root",
    "Source_Port": 13000,
    "Connect_Retry": 1,
    "Source_Log_File": "binlog.000001",
    "Read_Source_Log_Pos": 927,
    "Relay_Log_File": "replica-relay-bin.000002",
    "Relay_Log_Pos": 1145,
    "Relay_Source_Log_File": "binlog.000001",
    "Replica_IO_Running": "Yes",
    "Replica_SQL_Running": "Yes",
    "Replicate_Do_DB": "",
    "Replicate_Ignore_DB": "",
    "Replicate_Do_Table": "",
    "Replicate_Ignore_Table": "",
    "Replicate_Wild_Do_Table": "",
    "Replicate_Wild_Ignore_Table": "",
    "Last_Errno": 0,
    "Last_Error": "",
    "Skip_Counter": 0,
    "Exec_Source_Log_Pos": 927,
    "Relay_Log_Space": 1355,
    "Until_Condition": "None",
    "Until_Log_File": "",
    "Until_Log_Pos": 0,
    "Source_SSL_Allowed": "Yes",
    "Source_SSL_CA_File": "/etc/ca.pem",
    "Source_SSL_CA_Path": "",
    "Source_SSL_Cert": "",
    "Source_SSL_Cipher": "",
    "Source_SSL_Key": "",
    "Seconds_Behind_Source": 0,
    "Source_SSL_Verify_Server_Cert": "Yes",
    "Last_IO_Errno": 0,
    "Last_IO_Error": "",
    "Last_SQL_Errno": 0,
    "Last_SQL_Error": "",
    "Replicate_Ignore_Server_Ids": "",
    "Source_Server_Id": 1,
    "Source_UUID": "73f86016-978b-11ee-ade5-8d2a2a562feb",
    "Source_Info_File": "mysql.slave_master_info",
    "SQL_Delay": 0,
    "SQL_Remaining_Delay": None,
    "Replica_SQL_Running_State": "Replica has read all relay log; waiting for more updates",
    "Source_Retry_Count": 10,
    "Source_Bind": "",
    "Last_IO_Error_Timestamp": "",
    "Last_SQL_Error_Timestamp": "",
    "Source_SSL_Crl": "",
    "Source_SSL_Crlpath": "",
    "Retrieved_Gtid_Set": GTIDS,
    "Executed_Gtid_Set": GTIDS,
    "Auto_Position": 1,
    "Replicate_Rewrite_DB": "",
    "Channel_Name": "",
    "Source_TLS_Version": "",
    "Source_public_key_path": "",
    "Get_Source_public_key": 0,
    "Network_Namespace": "",
}


def old(row: dict[str, Any], *without: str) -> dict[str, Any]:
    """As MySQL 8.0 and 5.7 name the columns under SHOW SLAVE STATUS."""
    return {
        name.replace("Source", "Master").replace("Replica_", "Slave_"): value for name, value in row.items() if name not in without
    }


MYSQL_80 = old(MYSQL_84)
MYSQL_57 = old(MYSQL_84, "Source_public_key_path", "Get_Source_public_key", "Network_Namespace")


@pytest.mark.parametrize("row", [MYSQL_84, MYSQL_80, MYSQL_57], ids=["8.4", "8.0", "5.7"])
def test_mysqls_of_three_generations_read_alike(row: dict[str, Any]) -> None:
    status = parse(row)
    assert status == parse(MYSQL_84)
    assert status.source_host == "127.0.0.1"
    assert status.receiving and status.applying and status.read_all and status.by_gtid and status.tls and status.tls_verified
    assert (status.received_position, status.executed_position) == (("binlog.000001", 927), ("binlog.000001", 927))
    assert status.received == status.executed == "".join(GTIDS.split())
    assert status.heartbeats is None, "the performance schema has them"


def test_a_mariadb_replica() -> None:
    status = parse(ROW)
    assert status.receiving and status.applying and status.read_all and status.by_gtid and status.tls and status.tls_verified
    assert (status.received, status.executed, status.heartbeats, status.lag_seconds) == ("0-1-100", "0-1-100", 7, 0)
    assert (status.filters, status.delay_seconds) == ((), 0)


def test_a_lag_that_is_not_known_is_not_0() -> None:
    assert parse({**ROW, "Seconds_Behind_Master": None}).lag_seconds is None
    assert parse({**ROW, "Seconds_Behind_Master": 17}).lag_seconds == 17


def test_a_thread_that_connects_receives_nothing_and_says_why() -> None:
    error = "error connecting to master 'r@yasu:3306' - retry-time: 1\n message: Access denied"
    status = parse({**ROW, "Slave_IO_Running": "Connecting", "Last_IO_Errno": 1045, "Last_IO_Error": error})
    assert (status.receiving, status.receiving_words, status.receive_errno) == (False, "Connecting", 1045)
    assert status.receive_error == "error connecting to master 'r@yasu:3306' - retry-time: 1 message: Access denied"


def test_filters_are_named_and_a_ring_s_guard_is_none() -> None:
    row = {**ROW, "Replicate_Do_DB": "nagios", "Replicate_Ignore_Server_Ids": "3", "Replicate_Wild_Ignore_Table": "a.%"}
    assert parse(row).filters == ("Replicate_Do_DB=nagios", "Replicate_Wild_Ignore_Table=a.%")


def test_without_gtid_or_tls_that_is_seen() -> None:
    plain = parse({**ROW, "Using_Gtid": "No", "Master_SSL_Allowed": "No"})
    assert (plain.by_gtid, plain.tls) == (False, False)
    assert not parse({**MYSQL_84, "Auto_Position": 0}).by_gtid


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"Master_Log_File": "b.000001", "Read_Master_Log_Pos": 900}, {"Master_Log_File": "b.000001", "Read_Master_Log_Pos": 901}),
        ({"Master_Log_File": "b.000009", "Read_Master_Log_Pos": 900}, {"Master_Log_File": "b.000010", "Read_Master_Log_Pos": 4}),
        ({"Source_Log_File": "b.000001", "Read_Source_Log_Pos": 4}, {"Source_Log_File": "b.000001", "Read_Source_Log_Pos": 5}),
        ({"Master_Log_File": "", "Read_Master_Log_Pos": 4}, {"Master_Log_File": "b.000001", "Read_Master_Log_Pos": 4}),
    ],
)
def test_what_the_replica_has_read_grows_over_the_source_s_log_files(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert parse(before).counter < parse(after).counter
