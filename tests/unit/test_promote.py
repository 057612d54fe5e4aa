"""The step that makes a replica the source: in what order, with what proof, and what it says where it stops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nagios_failover.config import Config
from nagios_failover.database_server import Server
from nagios_failover.demote import demote
from nagios_failover.dialect import Part, drop_in
from nagios_failover.errors import DatabaseFault, Failed
from nagios_failover.hands import Hands
from nagios_failover.journal import Journal
from nagios_failover.promote import promote, promoted
from nagios_failover.promote_run import run_promote
from nagios_failover.promotion import Promotion, parse_promotion
from nagios_failover.replication import Memory, write_memory
from nagios_failover.run_record import Outcome, RunRecord
from nagios_failover.shell import Output
from nagios_failover.state_files import StateFiles
from nagios_failover.workflow import Flow, silent
from tests.fake_database import ROW, FakeDatabase
from tests.fake_world import World, config_of, master, standby

OPTIONS = (
    "[database]\nsocket = /run/mysqld/mysqld.sock\n[replication]\nwatch = yes\ndrop_in = {directory}/role.cnf\ndrain_timeout = 3\n"
    "old_source_timeout = 2\n"
)


class Pair:
    """nabira, whose replica follows yasu's server."""

    def __init__(self, directory: Path, more: str = "") -> None:
        self.state = StateFiles(directory)
        self.config: Config = config_of(directory, OPTIONS.format(directory=directory) + more)
        self.world = World(self.state)
        self.here = FakeDatabase("nabira", dict(ROW), read_only=True, clock=self.world._sleep)
        self.there = FakeDatabase("yasu")
        self.verbs: list[str] = []
        self.root_code = 0
        master(self.state)

    def hands(self) -> Hands:
        return replace(self.world.hands(), own_database=self.here.connect, old_source=self.there.connect, root=self._root)

    def _root(self, verb: str) -> Output:
        """Of the running server nothing but the file is touched."""
        self.verbs.append(verb)
        replication = self.config.replication
        if verb == "database-source" and replication.drop_in and not self.root_code:
            replication.drop_in.write_text(drop_in(Part.SOURCE, semi_sync=replication.semi_sync))
        return Output(self.root_code, f"{verb}: done" if not self.root_code else "", "no sudo" if self.root_code else "")

    def flow(self, **notes: object) -> Flow:
        run = Journal(self.state.directory).open("failover", 3, "nabira", trigger="event")
        return Flow(self.config, self.state, self.hands(), run, "failover", "event", silent, {"term": 3, **notes})

    def by_hand(self, *, force: bool = False) -> RunRecord:
        return run_promote(self.config, self.state, trigger="command", force=force, hands=self.hands())

    def by_hand_after_that(self, *, force: bool) -> RunRecord:
        """The failover run is over."""
        for left in Journal(self.state.directory).open_runs():
            Journal(self.state.directory).run(left.id).close(Outcome.INCOMPLETE, "over")
        return self.by_hand(force=force)

    def kept(self) -> Promotion | None:
        return parse_promotion((self.state.directory / "promotion").read_text())


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def test_the_old_source_first_then_the_relay_log_then_the_role_then_writes(pair: Pair) -> None:
    said = promote(pair.flow())
    assert said == (
        "yasu's database is read-only (0 connections ended), its position is 0-1-100; received up to 0-1-100, executed up to "
        "0-1-100; yasu's own position was 0-1-100: nothing is lost; nabira's database is writable; database-source: done"
    )
    assert pair.there.done == ["SET SESSION lock_wait_timeout = 1", "SET GLOBAL read_only = ON"]
    assert pair.here.done == [
        "START SLAVE IO_THREAD",
        "STOP SLAVE IO_THREAD",
        "STOP SLAVE",
        "RESET SLAVE ALL",
        "SET GLOBAL read_only = OFF",
    ]
    assert pair.verbs == ["database-source"]


def test_clients_of_the_old_source_are_ended_but_neither_replicas_nor_ourselves(pair: Pair) -> None:
    pair.there.sessions = [
        {"id": 11, "user": "nagios", "host": "localhost", "command": "Sleep"},
        {"id": 12, "user": "nagios_failover_replica", "host": "10.99.0.12:4711", "command": "Binlog Dump"},
        {"id": 13, "user": "nagios_failover_admin", "host": "10.99.0.12:4712", "command": "Query"},
        {"id": 14, "user": "root", "host": "localhost", "command": "Query"},
    ]
    assert "(2 connections ended)" in promote(pair.flow())
    assert pair.there.done[-2:] == ["KILL 11", "KILL 14"]


def test_a_lock_that_a_client_holds_on_the_old_source_is_broken_with_the_client(pair: Pair) -> None:
    pair.there.fails["SET GLOBAL read_only = ON"] = DatabaseFault("lock wait", code=1205, answered=True)
    pair.there.sessions = [{"id": 11, "user": "nagios", "host": "localhost", "command": "Sleep"}]
    promote(pair.flow())
    assert pair.there.done[1:3] == ["KILL 11", "SET GLOBAL read_only = ON"]


def test_what_the_old_source_had_committed_is_waited_for(pair: Pair) -> None:
    pair.there.position = pair.here.coming = "0-1-142"
    assert "yasu's own position was 0-1-142: nothing is lost" in promote(pair.flow())


def test_what_a_readable_old_source_has_and_the_replica_lacks_is_not_given_up_without_a_word(pair: Pair) -> None:
    pair.there.position = "0-1-145"
    with pytest.raises(Failed) as failed:
        promote(pair.flow())
    assert "its position is 0-1-145, not all of which has come here within 2 s; the database stays as it is" in str(failed.value)
    assert pair.here.read_only
    run = pair.by_hand_after_that(force=True)
    assert (
        "executed up to 0-1-100 (what lay between was given up); yasu's own position was 0-1-145: 45 transactions are missing"
        in (run.sentence)
    )
    kept = pair.kept()
    assert kept and kept.missing == 45


def test_mariadb_would_throw_away_what_is_not_applied_when_both_threads_stand_still(pair: Pair) -> None:
    """So neither is started; where one runs, the SQL thread is started before the I/O thread is stopped."""
    pair.there.down = True
    pair.here.behind = 3
    pair.here._show()
    assert pair.here.row is not None
    pair.here.row["Slave_IO_Running"] = pair.here.row["Slave_SQL_Running"] = "No"
    pair.here.stuck = True
    with pytest.raises(Failed, match=r"3 transactions are received and not applied: .*; the SQL thread does not run"):
        promote(pair.flow())
    assert pair.here.done == ["STOP SLAVE IO_THREAD"]
    pair.here.done.clear()
    pair.here.row["Slave_IO_Running"] = "Connecting"
    pair.here.stuck = False
    promote(pair.flow())
    assert pair.here.done[:2] == ["START SLAVE SQL_THREAD", "STOP SLAVE IO_THREAD"]


def test_an_old_source_that_cannot_be_read_is_said_and_stops_nothing(pair: Pair) -> None:
    pair.there.down = True
    said = promote(pair.flow())
    assert said.startswith("yasu's database could not be made read-only: database: no answer (2003); received up to 0-1-100, ")
    assert "what it had written after that is missing here; how much that is, is known when it can be read again" in said
    assert not pair.here.read_only


def test_a_replica_that_acknowledged_to_the_end_has_lost_nothing_acknowledged(pair: Pair) -> None:
    """It does not know any more when its source is gone: the last look does."""
    pair.there.down = True
    write_memory(pair.state.directory, Memory("boot", 1, 1.0, semi_sync=True))
    assert "what it acknowledged while replication was semi-synchronous is here, what it acknowledged without may be missing" in (
        promote(pair.flow())
    )


def test_relay_log_that_is_applied_in_time_is_waited_for(pair: Pair) -> None:
    pair.here.behind = 7
    pair.here._show()
    assert "executed up to 0-1-100" in promote(pair.flow())


def test_relay_log_that_is_not_applied_in_time_keeps_the_database_read_only(pair: Pair) -> None:
    pair.here.behind, pair.here.stuck = 7, True
    pair.here._show()
    with pytest.raises(Failed) as failed:
        promote(pair.flow())
    assert str(failed.value) == (
        "nabira: 7 transactions are received and not applied: received up to yasu-bin.000001:3570 (GTID 0-1-100), executed up to "
        "yasu-bin.000001:2870 (GTID 0-1-93); the SQL thread runs: Waiting for table metadata lock; yasu's database is read-only "
        "(0 connections ended), its position is 0-1-100; the database stays as it is"
    )
    assert failed.value.hint == (
        "when it has caught up: nagios-failover promote; to give up what is not applied: nagios-failover promote --force"
    )
    assert pair.here.read_only and pair.here.row is not None
    assert "RESET SLAVE ALL" not in pair.here.done and pair.verbs == []


def test_an_error_of_the_sql_thread_ends_the_waiting_at_once(pair: Pair) -> None:
    pair.here.behind, pair.here.sql_error = 2, (1062, "Duplicate entry '7' for key 'PRIMARY'")
    pair.here._show()
    began = pair.world.now
    with pytest.raises(Failed, match=r"the SQL thread has stopped: Duplicate entry '7' for key 'PRIMARY' \(1062\)") as failed:
        promote(pair.flow())
    assert pair.world.now - began < 3
    assert failed.value.hint.startswith("mend what the error names")


def test_the_command_does_it_again_until_it_is_done_and_then_changes_nothing(pair: Pair) -> None:
    pair.here.behind, pair.here.stuck = 7, True
    pair.here._show()
    run = pair.by_hand()
    assert run.outcome == "incomplete"
    assert run.sentence.startswith("nabira's database is not the source yet (term 3); promote: nabira: 7 transactions are received")
    pair.here.stuck = False
    run = pair.by_hand()
    assert run.outcome == "done"
    assert run.sentence.startswith("nabira's database is the source (term 3): yasu's database is read-only")
    pair.here.done.clear()
    run = pair.by_hand()
    assert (run.outcome, pair.here.done) == ("done", [])
    assert run.step("promote") is not None and "nothing is lost" in run.sentence


def test_a_person_may_give_up_what_is_not_applied(pair: Pair) -> None:
    pair.here.behind, pair.here.sql_error = 2, (1062, "Duplicate entry")
    pair.here._show()
    run = pair.by_hand(force=True)
    assert run.outcome == "done"
    assert "received up to 0-1-100, executed up to 0-1-98 (what lay between was given up)" in run.sentence
    assert not pair.here.read_only


@pytest.mark.parametrize("last", ["STOP SLAVE", "RESET SLAVE ALL", "SET GLOBAL read_only = OFF"])
def test_one_that_was_cut_short_is_finished(pair: Pair, last: str) -> None:
    pair.here.fails[last] = DatabaseFault("database: gone (2013)", code=2013)
    with pytest.raises(Failed, match=r"gone \(2013\); promotion is not at its end"):
        promote(pair.flow())
    assert promoted(pair.flow()) == ""
    assert promote(pair.flow()).endswith("nabira's database is writable; database-source: done")
    assert not pair.here.read_only and pair.here.row is None


def test_the_record_of_an_earlier_term_proves_nothing(pair: Pair) -> None:
    promote(pair.flow())
    assert promoted(pair.flow()).startswith("nabira's database is writable; received up to 0-1-100")
    assert promoted(pair.flow(term=4)) == ""


def test_a_run_that_was_killed_before_the_drop_in_says_source_writes_it(pair: Pair) -> None:
    """The database takes writes first, since a program has to be started for the file."""
    promote(pair.flow())
    assert pair.config.replication.drop_in is not None
    pair.config.replication.drop_in.write_text(drop_in(Part.REPLICA, semi_sync=False))
    assert promoted(pair.flow()) == ""
    assert promote(pair.flow()).endswith("nabira's database is writable; database-source: done")
    assert promoted(pair.flow()) != "" and pair.verbs == ["database-source", "database-source"]


def test_a_drop_in_that_cannot_be_written_is_told_and_writes_are_taken_all_the_same(pair: Pair) -> None:
    pair.root_code = 1
    flow = pair.flow()
    promote(flow)
    assert flow.passed_over == [
        "promote: a restart of nabira's mysqld forgets that it is the source: nagios-failover-root database-source ended with exit "
        "code 1: no sudo; hint: as root: nagios-failover-root database-source"
    ]
    assert not pair.here.read_only


def test_the_source_s_side_of_semi_synchronous_replication_is_switched_on_where_it_is_wanted(tmp_path: Path) -> None:
    pair = Pair(tmp_path, "semi_sync = yes\n")
    pair.here.semi_sync = {"rpl_semi_sync_master_enabled": "OFF"}
    promote(pair.flow())
    assert pair.here.done[-2:] == ["SET GLOBAL rpl_semi_sync_master_enabled = ON", "SET GLOBAL read_only = OFF"]


def test_a_server_without_semi_synchronous_replication_is_promoted_all_the_same(tmp_path: Path) -> None:
    pair = Pair(tmp_path, "semi_sync = yes\n")
    flow = pair.flow()
    promote(flow)
    assert flow.passed_over == ["promote: [replication] semi_sync is set, but the server has not got it; hint: install its plugin"]
    assert not pair.here.read_only


class TestNoReplica:
    @pytest.fixture
    def pair(self, tmp_path: Path) -> Pair:
        pair = Pair(tmp_path)
        pair.here.row = None
        return pair

    def test_it_is_refused_while_the_other_host_has_more(self, pair: Pair) -> None:
        pair.there.position = "0-1-101"
        with pytest.raises(Failed) as failed:
            promote(pair.flow())
        assert str(failed.value) == (
            "nabira: its database is no replica (it is read-only), and yasu's has transactions that it lacks: 0-1-101; "
            "the database stays as it is"
        )

    def test_it_is_refused_while_that_is_not_known(self, pair: Pair) -> None:
        pair.there.down = True
        with pytest.raises(Failed, match="whether yasu's has more is not known: database: no answer"):
            promote(pair.flow())
        assert pair.here.read_only

    def test_a_host_that_was_the_source_before_and_takes_over_again_has_it_all(self, pair: Pair) -> None:
        assert "yasu's own position was 0-1-100: nothing is lost" in promote(pair.flow())
        assert not pair.here.read_only


def test_a_server_that_is_only_watched_is_not_promoted(pair: Pair) -> None:
    pair.here.dialect = type(pair.here.dialect)("10.4.1")
    with pytest.raises(Failed, match=r"nabira: its MariaDB 10\.4\.1 is only watched"):
        promote(pair.flow())


def test_only_a_masters_database_is_promoted(pair: Pair) -> None:
    standby(pair.state)
    run = pair.by_hand()
    assert (run.outcome, pair.here.done) == ("refused", [])
    assert run.sentence.startswith("nabira: the role is standby (term 3): its database stays a replica")


def test_a_torn_record_proves_nothing() -> None:
    assert parse_promotion('{"term": 3, "run"') is None
    assert parse_promotion('{"term": 3, "other": 1}') is None


# --- standing down ---


def test_who_stands_down_takes_no_writes_any_more_and_starts_as_a_replica(pair: Pair) -> None:
    pair.here.row, pair.here.read_only = None, False
    pair.here.semi_sync = {"rpl_semi_sync_master_enabled": "ON"}
    assert demote(pair.flow()) == (
        "database-replica: done; nabira's database is read-only (0 connections ended), its position is 0-1-100; "
        "yasu's has all of it"
    )
    assert pair.here.done[-1] == "SET GLOBAL rpl_semi_sync_master_enabled = OFF"
    assert pair.here.read_only


def test_what_a_failover_has_lost_is_counted_as_soon_as_the_old_source_is_back(pair: Pair) -> None:
    pair.here.row, pair.here.read_only, pair.here.position = None, False, "0-2-145"
    pair.there.position = "0-2-100,0-1-120"
    flow = pair.flow()
    assert demote(flow).endswith(
        "its position is 0-2-145; it has 45 transactions that yasu's has not (0-2-145): nagios-failover rejoin saves them as SQL"
    )
    assert flow.notes["alone"] == "45 transactions"


def test_nothing_is_counted_while_the_other_one_is_not_the_source_or_cannot_be_read(pair: Pair) -> None:
    pair.here.row, pair.here.read_only, pair.here.position = None, False, "0-2-145"
    pair.there.read_only = True
    assert demote(pair.flow()).endswith("its position is 0-2-145")
    pair.there.down = True
    assert demote(pair.flow()).endswith("; what of it yasu's lacks is not known yet: database: no answer (2003)")


def test_a_database_that_does_not_answer_at_a_stand_down_starts_as_a_replica_all_the_same(pair: Pair) -> None:
    pair.here.down = True
    with pytest.raises(Failed) as failed:
        demote(pair.flow())
    assert str(failed.value) == (
        "nabira's database could not be made read-only: database: no answer (2003); database-replica: done"
    )
    assert pair.verbs == ["database-replica"]


def test_a_fake_server_is_one(pair: Pair) -> None:
    assert isinstance(pair.here, Server)
