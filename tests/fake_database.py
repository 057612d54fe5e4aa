"""A MariaDB server in memory: what a promotion asks it and does to it. The lab holds real ones against the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from nagios_failover.database_server import Server
from nagios_failover.dialect import Dialect, MariaDB, Statement
from nagios_failover.errors import DatabaseFault

ROW: dict[str, Any] = {
    "Connection_name": "",
    "Slave_SQL_State": "Slave has read all relay log; waiting for more updates",
    "Slave_IO_State": "Waiting for master to send event",
    "Master_Host": "10.99.0.11",
    "Master_User": "nagios_failover_replica",
    "Master_Port": 3306,
    "Connect_Retry": 1,
    "Master_Log_File": "yasu-bin.000001",
    "Read_Master_Log_Pos": 3570,
    "Relay_Log_File": "nabira-relay.000002",
    "Relay_Log_Pos": 2122,
    "Relay_Master_Log_File": "yasu-bin.000001",
    "Slave_IO_Running": "Yes",
    "Slave_SQL_Running": "Yes",
    "Replicate_Do_DB": "",
    "Replicate_Ignore_DB": "",
    "Replicate_Do_Table": "",
    "Replicate_Ignore_Table": "",
    "Replicate_Wild_Do_Table": "",
    "Replicate_Wild_Ignore_Table": "",
    "Last_Errno": 0,
    "Last_Error": "",
    "Skip_Counter": 0,
    "Exec_Master_Log_Pos": 3570,
    "Relay_Log_Space": 2428,
    "Until_Condition": "None",
    "Until_Log_File": "",
    "Until_Log_Pos": 0,
    "Master_SSL_Allowed": "Yes",
    "Master_SSL_CA_File": "/etc/mysql/tls/ca.pem",
    "Master_SSL_CA_Path": "",
    "Master_SSL_Cert": "/etc/mysql/tls/cert.pem",
    "Master_SSL_Cipher": "",
    "Master_SSL_Key": "/etc/mysql/tls/key.pem",
    "Seconds_Behind_Master": 0,
    "Master_SSL_Verify_Server_Cert": "Yes",
    "Last_IO_Errno": 0,
    "Last_IO_Error": "",
    "Last_SQL_Errno": 0,
    "Last_SQL_Error": "",
    "Replicate_Ignore_Server_Ids": "",
    "Master_Server_Id": 1,
    "Master_SSL_Crl": "",
    "Master_SSL_Crlpath": "",
    "Using_Gtid": "Slave_Pos",
    "Gtid_IO_Pos": "0-1-100",
    "Replicate_Do_Domain_Ids": "",
    "Replicate_Ignore_Domain_Ids": "",
    "Parallel_Mode": "optimistic",
    "SQL_Delay": 0,
    "SQL_Remaining_Delay": None,
    "Slave_SQL_Running_State": "Slave has read all relay log; waiting for more updates",
    "Slave_DDL_Groups": 0,
    "Slave_Non_Transactional_Groups": 0,
    "Slave_Transactional_Groups": 2,
    "Replicate_Rewrite_DB": "",
    "Retried_transactions": 0,
    "Max_relay_log_size": 1073741824,
    "Executed_log_entries": 18,
    "Slave_received_heartbeats": 7,
    "Slave_heartbeat_period": 1.0,
    "Gtid_Slave_Pos": "0-1-100",
}
"""SHOW ALL SLAVES STATUS of a healthy replica, as MariaDB 10.11.18 gives it."""


@dataclass
class FakeDatabase(Server):
    """`row` None: no replica. `behind`: transactions received and not applied; `slow` of them are never applied. `position` is what
    a source has written; `coming` arrives at a replica as soon as it is asked again. `done` has every statement that changed
    something. `fails`: statement -> the fault that it ends with."""

    host: str
    row: dict[str, Any] | None = None
    read_only: bool = False
    position: str = "0-1-100"
    coming: str = ""
    behind: int = 0
    stuck: bool = False
    sql_error: tuple[int, str] = (0, "")
    sessions: list[dict[str, Any]] = field(default_factory=list)
    semi_sync: dict[str, str] = field(default_factory=dict)
    fails: dict[str, DatabaseFault] = field(default_factory=dict)
    down: bool = False
    done: list[str] = field(default_factory=list)
    clock: Callable[[float], None] = lambda seconds: None
    dialect: Dialect = field(default_factory=lambda: MariaDB("10.11.18"))

    def __post_init__(self) -> None:
        if self.row is not None:
            self._show()

    @contextmanager
    def connect(self) -> Iterator[Server]:
        if self.down:
            raise DatabaseFault("database: no answer (2003)", host=self.host, hint="is its database server running?", code=2003)
        yield self

    def rows(self, statement: Statement | str) -> list[dict[str, Any]]:
        sql, values = statement if isinstance(statement, Statement) else Statement(statement)
        dialect, answer = self.dialect, None
        if sql in self.fails:
            raise self.fails.pop(sql)
        if sql == dialect.replica_status:
            self._arrive()
            return [dict(self.row)] if self.row else []
        if sql == dialect.is_read_only:
            answer = "1" if self.read_only else "0"
        elif sql == dialect.gtid_of_the_binlog or sql == dialect.history:
            answer = self.position
        elif sql == dialect.sessions:
            return self.sessions
        elif sql == dialect.wait_for("", 0).sql:
            answer = self._apply(float(str(values[1])))
        elif sql.startswith("SHOW GLOBAL"):
            return [{"Variable_name": name, "Value": value} for name, value in self.semi_sync.items() if name in values]
        else:
            self.done.append(sql)
            self._change(sql)
        return [{"answer": answer}]

    def _change(self, sql: str) -> None:
        dialect = self.dialect
        if sql in dialect.make_read_only:
            self.read_only = True
        elif sql in dialect.make_writable:
            self.read_only = False
        elif sql == dialect.forget_replication:
            self.row = None
        elif sql.startswith("KILL "):
            self.sessions = [session for session in self.sessions if sql != dialect.kill(session["id"])]
        elif sql == dialect.start_applying and self.row and not self.sql_error[0]:
            self.row["Slave_SQL_Running"] = "Yes"

    def _arrive(self) -> None:
        if self.coming and self.row:
            self.row["Gtid_IO_Pos"] = self.row["Gtid_Slave_Pos"] = self.coming
            self.coming = ""

    def _apply(self, seconds: float) -> str:
        if self.stuck or self.sql_error[0]:
            self.clock(seconds)
            return "-1" if self.behind else "0"
        self.behind = 0
        self._show()
        return "0"

    def _show(self) -> None:
        assert self.row is not None
        number = int(str(self.row["Gtid_IO_Pos"]).rpartition("-")[2])
        self.row["Gtid_Slave_Pos"] = f"0-1-{number - self.behind}"
        self.row["Exec_Master_Log_Pos"] = int(self.row["Read_Master_Log_Pos"]) - 100 * self.behind
        state = "Slave has read all relay log; waiting for more updates"
        self.row["Slave_SQL_Running_State"] = "Waiting for table metadata lock" if self.behind else state
        self.row["Last_SQL_Errno"], self.row["Last_SQL_Error"] = self.sql_error
        if self.sql_error[0]:
            self.row["Slave_SQL_Running"] = "No"
