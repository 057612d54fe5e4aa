"""A pair of real MySQL servers of Debian unstable, which the suite's own code sets up as source and replica, watches, promotes and
demotes: `make test-long` runs it once. Inside a network namespace of its own; nothing is installed on the machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from nagios_failover.config import Config
from nagios_failover.config_file import parse
from nagios_failover.database_server import own_server, peer_server
from nagios_failover.demote import demote
from nagios_failover.dialect import Link, drop_in
from nagios_failover.journal import Journal
from nagios_failover.promote import promote, promoted
from nagios_failover.replica_health import healthy, judge
from nagios_failover.replica_status import ReplicaStatus
from nagios_failover.role import RoleRecord
from nagios_failover.root_helper import DROP_INS
from nagios_failover.shell import Output
from nagios_failover.state_files import StateFiles
from nagios_failover.watch_replication import look
from nagios_failover.words import Role
from nagios_failover.workflow import Flow, silent
from tests.fake_world import World
from tests.lab.machine import LabError
from tests.long.mysql_root import ensure_root
from tests.long.result import Result

PASSWORD: Final = "lab"
PORTS: Final = {"yasu": 33061, "nabira": 33062}


def mysql_pair(result: Result, count: int) -> None:
    """Each trial is one of the promises below, on the same pair."""
    if result.done("mysql"):
        return
    root = ensure_root()
    inside = ["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh", sys.executable, "-m", "tests.long.mysql_pair"]
    done = subprocess.run([*inside, str(root)], capture_output=True, text=True, timeout=900, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise LabError(f"the MySQL servers did not come up: {(done.stdout + done.stderr)[-1500:]}")
    for line in lines:
        found = json.loads(line)
        result.add("mysql", {"what": found["what"], "said": found["said"]}, held=found["held"], seconds=found["seconds"])
        print(f"mysql: {found['what']}: {'held' if found['held'] else 'DID NOT HOLD'}: {found['said'][:200]}", flush=True)


# --- inside ---


@dataclass
class MySQL:
    """One server: its process, and its root's SQL."""

    root: Path
    name: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def directory(self) -> Path:
        return self.root / "srv" / self.name

    @property
    def socket(self) -> Path:
        return self.directory / "mysqld.sock"

    def start(self) -> None:
        here, number = f"/srv/{self.name}", PORTS[self.name]
        argv = ["chroot", str(self.root), "/usr/sbin/mysqld", "--no-defaults", "--user=root", f"--datadir={here}/data"]
        argv += [f"--server-id={number}", f"--port={number}", f"--socket={here}/mysqld.sock", f"--pid-file={here}/pid"]
        argv += ["--bind-address=127.0.0.1", "--secure-file-priv=NULL", "--mysqlx=OFF", "--skip-name-resolve"]
        argv += ["--gtid-mode=ON", "--enforce-gtid-consistency=ON", f"--log-bin={self.name}-bin", "--relay-log=relay"]
        argv += ["--replica-net-timeout=4", "--innodb-buffer-pool-size=32M", "--innodb-redo-log-capacity=16M"]
        argv += [f"--ssl-{kind}=/srv/{name}.pem" for kind, name in (("ca", "ca"), ("cert", "cert"), ("key", "key"))]
        log = self.directory / "log"
        self.directory.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as said:
            if not (self.directory / "data").exists():
                subprocess.run([*argv, "--initialize-insecure"], stdout=said, stderr=said, check=True)
            self.process = subprocess.Popen(argv, stdout=said, stderr=said)
        deadline = time.monotonic() + 240
        while True:
            with contextlib.suppress(Exception):
                self.sql("SELECT 1")
                return
            if time.monotonic() > deadline:
                raise LabError(f"MySQL does not come up: {log.read_text(errors='replace')[-1500:]}")
            time.sleep(0.2)

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait()

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        import pymysql

        connection = pymysql.connect(unix_socket=str(self.socket), user="root", autocommit=True, ssl_disabled=True)
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return list(cursor.fetchall())
        finally:
            connection.close()


class Pair:
    """yasu the source, nabira its replica; our own code looks and acts."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.servers = {name: MySQL(root, name) for name in PORTS}
        self.yasu, self.nabira = self.servers.values()
        self.state = StateFiles(root / "srv/state")
        self.state.directory.mkdir(parents=True, exist_ok=True)
        self.term = 0

    def config(self, this: str) -> Config:
        peer = next(name for name in PORTS if name != this)
        tls = "".join(f"tls_{name} = {self.root}/srv/{name}.pem\n" for name in ("ca", "cert", "key"))
        return parse(
            "[host yasu]\naddress = 127.0.0.1\n[host nabira]\naddress = 127.0.0.1\n[witness]\naddresses = none\n[mail]\nto = a@b\n"
            f"[paths]\nstate = {self.state.directory}\n[database]\nsocket = {self.servers[this].socket}\n"
            f"[replication]\nwatch = yes\npassword = {PASSWORD}\nreplication_password = {PASSWORD}\nport = {PORTS[peer]}\n"
            f"drop_in = {self.root}/srv/{this}.cnf\n{tls}"
            "drain_timeout = 10\nold_source_timeout = 10\nconnect_retry = 1\nheartbeat_period = 1\nsemi_sync = yes\n",
            hostname=this,
        )

    def set_up(self) -> None:
        self._certificates()
        for server in self.servers.values():
            server.start()
            server.sql("SET sql_log_bin=0", *self._accounts())
            server.sql("SET sql_log_bin=0", *(f"INSTALL PLUGIN rpl_semi_sync_{part} SONAME 'semisync_{part}.so'" for part in PARTS))
        self.yasu.sql("CREATE DATABASE perfparse", "CREATE TABLE perfparse.t (id INT AUTO_INCREMENT PRIMARY KEY, v TEXT)")
        self.follow("nabira", "yasu")

    def follow(self, replica: str, source: str) -> None:
        with own_server(self.config(replica)) as server:
            dialect = server.dialect
            ca, cert, key = (Path(f"/srv/{name}.pem") for name in ("ca", "cert", "key"))
            link = Link("127.0.0.1", PORTS[source], "nagios_failover_replica", PASSWORD, ca, cert, key, 1, 1)
            server.do([*dialect.make_read_only, dialect.semi_sync_source("OFF"), dialect.semi_sync_replica("ON")])
            server.do([dialect.change_source(link), dialect.start_replica])
        with own_server(self.config(source)) as server:
            server.do([server.dialect.semi_sync_source("ON")])

    def status(self, name: str) -> ReplicaStatus:
        with own_server(self.config(name)) as server:
            found = server.replica_status()
            assert found is not None
            return found

    def wait(self, predicate: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 30
        while not predicate():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within 30 s: {what}")
            time.sleep(0.2)

    def check(self, name: str, role: Role) -> str:
        """What check_replication would say."""
        config, seen = self.config(name), look(self.config(name), self.state)
        record = RoleRecord(role, name, 1, "", 0)
        found = judge(seen, record, config.peer.name, config.peer.address, config.replication)
        return "; ".join([*(finding.sentence for finding in found), *seen.notes]) or f"{seen.server}: {healthy(seen, record)}"

    @contextlib.contextmanager
    def flow(self, name: str) -> Iterator[Flow]:
        """A run on this host; root's helper writes the drop-in."""
        self.term += 1
        config = self.config(name)
        hands = replace(
            World(self.state).hands(),
            own_database=lambda: own_server(config),
            old_source=lambda: peer_server(config),
            root=lambda verb: _write_drop_in(config, verb),
            now=time.time,
            uptime=time.monotonic,
            sleep=time.sleep,
        )
        run = Journal(self.state.directory).open("failover", self.term, name, trigger="event")
        yield Flow(config, self.state, hands, run, "failover", "event", silent, {"term": self.term})

    def _certificates(self) -> None:
        directory = self.root / "srv"
        directory.mkdir(exist_ok=True)
        script = (
            "new='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'; "
            "openssl req -x509 $new -days 30 -subj /CN=ca -keyout cakey.pem -out ca.pem; "
            "openssl req $new -subj /CN=127.0.0.1 -keyout key.pem -out csr.pem; echo subjectAltName=IP:127.0.0.1 >ext; "
            "openssl x509 -req -days 30 -in csr.pem -CA ca.pem -CAkey cakey.pem -CAcreateserial -extfile ext -out cert.pem"
        )
        subprocess.run(["sh", "-ec", script], cwd=directory, check=True, capture_output=True)

    def _accounts(self) -> Iterator[str]:
        from nagios_failover.dialect import MySQL as Dialect

        plain = [right for right in Dialect.acting_privileges if " ON " not in right]
        for place, ssl in (("localhost", ""), ("127.0.0.1", " REQUIRE SSL")):
            admin = f"nagios_failover_admin@'{place}'"
            yield f"CREATE USER {admin} IDENTIFIED BY '{PASSWORD}'{ssl}"
            yield f"GRANT {', '.join(plain)} ON *.* TO {admin}"
            yield from (f"GRANT {right} TO {admin}" for right in Dialect.acting_privileges if " ON " in right)
        yield f"CREATE USER nagios_failover_replica@'127.0.0.1' IDENTIFIED BY '{PASSWORD}' REQUIRE SSL"
        yield "GRANT REPLICATION SLAVE ON *.* TO nagios_failover_replica@'127.0.0.1'"


PARTS: Final = ("source", "replica")


def _write_drop_in(config: Config, verb: str) -> Output:
    part = DROP_INS[verb]
    assert config.replication.drop_in
    config.replication.drop_in.write_text(drop_in(part, semi_sync=config.replication.semi_sync))
    return Output(0, f"{verb}: done", "")


def follows_over_tls(pair: Pair) -> str:
    pair.yasu.sql("INSERT INTO perfparse.t (v) VALUES ('first')")
    there = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'perfparse'"
    pair.wait(lambda: pair.nabira.sql(there) == [(1,)], "the table has come")
    pair.wait(lambda: pair.nabira.sql("SELECT COUNT(*) FROM perfparse.t") == [(1,)], "the row has come")
    status = pair.status("nabira")
    assert status.receiving and status.applying and status.by_gtid and status.tls and status.tls_verified, status
    version: str = pair.yasu.sql("SELECT VERSION()")[0][0]
    return f"MySQL {version}"


def both_sides_are_well(pair: Pair) -> str:
    well = "replica of 127.0.0.1 over TLS, 0 s behind, by GTID, read-only, semi-synchronous"
    pair.wait(lambda: pair.check("nabira", Role.STANDBY).endswith(well), well)
    said = pair.check("nabira", Role.STANDBY)
    source = pair.check("yasu", Role.MASTER)
    assert source.endswith("source, writable, 1 replica attached, semi-synchronous"), source
    return f"{said}; {source}"


def an_error_is_told(pair: Pair) -> str:
    pair.nabira.sql("SET GLOBAL super_read_only=OFF", "SET sql_log_bin=0", "INSERT INTO perfparse.t (id, v) VALUES (90, 'here')")
    pair.nabira.sql("SET GLOBAL super_read_only=ON")
    pair.yasu.sql("INSERT INTO perfparse.t (id, v) VALUES (90, 'there')")
    pair.wait(lambda: not pair.status("nabira").applying, "the SQL thread stops")
    said = pair.check("nabira", Role.STANDBY)
    assert "the SQL thread does not run: " in said and "(1062)" in said, said
    pair.nabira.sql("SET GLOBAL super_read_only=OFF", "SET sql_log_bin=0", "DELETE FROM perfparse.t WHERE id = 90")
    pair.nabira.sql("SET GLOBAL super_read_only=ON", "START REPLICA")
    pair.wait(lambda: pair.status("nabira").lag_seconds == 0, "the replica is well again")
    return said


def errant_transactions_are_found(pair: Pair) -> str:
    pair.nabira.sql("SET GLOBAL read_only=OFF", "CREATE TABLE perfparse.errant (x INT)", "SET GLOBAL super_read_only=ON")
    said = pair.check("nabira", Role.STANDBY)
    uuid = pair.nabira.sql("SELECT @@server_uuid")[0][0]
    assert f"the replica has transactions that its source lacks: {uuid}:1" in said, said
    pair.nabira.sql("SET GLOBAL super_read_only=OFF", "SET sql_log_bin=0", "DROP TABLE perfparse.errant")
    executed = pair.nabira.sql(f"SELECT GTID_SUBTRACT(@@gtid_executed, '{uuid}:1')")[0][0]
    pair.nabira.sql("STOP REPLICA", "RESET BINARY LOGS AND GTIDS", f"SET GLOBAL gtid_purged='{executed}'")
    pair.nabira.sql("SET GLOBAL super_read_only=ON", "START REPLICA")
    return said


def a_replica_is_promoted(pair: Pair) -> str:
    pair.yasu.sql("INSERT INTO perfparse.t (v) VALUES ('last')")
    with pair.flow("nabira") as flow:
        said = promote(flow)
        assert ": nothing is lost; " in said, said
        assert promoted(flow), "it is done"
    pair.nabira.sql("INSERT INTO perfparse.t (v) VALUES ('new source')")
    assert pair.yasu.sql("SELECT @@super_read_only") == [(1,)]
    assert [row[0] for row in pair.nabira.sql("SELECT v FROM perfparse.t ORDER BY id")][-2:] == ["last", "new source"]
    return said


def the_old_source_follows_and_the_way_back_is_the_same(pair: Pair) -> str:
    with own_server(pair.config("yasu")) as old, peer_server(pair.config("yasu")) as new:
        lacking = old.minus(old.value(old.dialect.history), new.value(new.dialect.history))
    assert lacking == "", lacking
    pair.follow("yasu", "nabira")
    pair.wait(
        lambda: pair.yasu.sql("SELECT COUNT(*) FROM perfparse.t") == pair.nabira.sql("SELECT COUNT(*) FROM perfparse.t"),
        "caught up",
    )
    with pair.flow("nabira") as flow:
        demoted = demote(flow)
    with pair.flow("yasu") as flow:
        return f"{demoted}; {promote(flow)}"


PROMISES: Final = (
    follows_over_tls,
    both_sides_are_well,
    an_error_is_told,
    errant_transactions_are_found,
    a_replica_is_promoted,
    the_old_source_follows_and_the_way_back_is_the_same,
)


def inside(root: Path) -> None:
    """Two servers, and what they have to bear; a JSON line for each promise."""
    shutil.rmtree(root / "srv", ignore_errors=True)
    for directory in ("dev", "tmp", "srv"):
        (root / directory).mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)
    for name, minor in (("null", 3), ("zero", 5), ("random", 8), ("urandom", 9)):
        if not (root / "dev" / name).exists():
            os.mknod(root / "dev" / name, 0o20666, os.makedev(1, minor))
    pair = Pair(root)
    try:
        pair.set_up()
        for promise in PROMISES:
            began, held = time.monotonic(), True
            try:
                said = promise(pair)
            except Exception as error:  # noqa: BLE001 - what went wrong is the result
                said, held = f"{type(error).__name__}: {error}", False
            seconds = time.monotonic() - began
            print(json.dumps({"what": promise.__name__, "held": held, "said": said, "seconds": seconds}), flush=True)
    finally:
        for server in pair.servers.values():
            server.stop()
        shutil.rmtree(root / "srv", ignore_errors=True)


if __name__ == "__main__":
    inside(Path(sys.argv[1]))
