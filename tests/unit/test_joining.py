"""A run of setup-standby or rejoin: what it ends as, what the next one knows of one that was cut short, and which way it takes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from nagios_failover import join_checks
from nagios_failover.database_server import Server
from nagios_failover.dialect import Statement, dialect_of
from nagios_failover.errors import Failed, Incomplete, Refused
from nagios_failover.join_checks import _require_sight, _way
from nagios_failover.joining import Joining, Way, Workflow, rehearsal, require_standby, run_joining
from nagios_failover.journal import Journal
from nagios_failover.lock import LockHeld, run_lock
from nagios_failover.replica_status import ReplicaStatus, parse
from nagios_failover.run_record import Outcome
from nagios_failover.state_files import StateFiles
from nagios_failover.steps import Step, Weight
from tests.fake_world import config_of, master, standby

SOURCE = "192.0.2.11"
HEALTHY = parse(
    {
        "Master_Host": SOURCE,
        "Slave_IO_Running": "Yes",
        "Slave_SQL_Running": "Yes",
        "Seconds_Behind_Master": 0,
        "Using_Gtid": "Slave_Pos",
        "Master_SSL_Allowed": "Yes",
        "Master_SSL_Verify_Server_Cert": "Yes",
    }
)


@pytest.fixture
def state(tmp_path: Path) -> StateFiles:
    files = StateFiles(tmp_path)
    standby(files)
    return files


def workflow(act: Callable[[Joining], str], kind: str = "setup-standby") -> Workflow:
    return Workflow(kind, (Step("act", lambda flow: "would act", act, Weight.FATAL),), lambda flow: "it is done")


def run(state: StateFiles, act: Callable[[Joining], str], kind: str = "setup-standby") -> Joining | None:
    """The flow that the step saw."""
    seen: list[Joining] = []

    def watched(flow: Joining) -> str:
        seen.append(flow)
        return act(flow)

    try:
        run_joining(config_of(state.directory), state, workflow(watched, kind), say=lambda _: None, progress=lambda *_: None)
    finally:
        assert len(seen) <= 1
    return seen[0] if seen else None


def newest(state: StateFiles) -> tuple[str, str]:
    record = Journal(state.directory).runs()[0]
    return record.outcome, record.sentence


def test_a_whole_run_is_done(state: StateFiles) -> None:
    run(state, lambda flow: "acted")
    assert newest(state) == (Outcome.DONE, "it is done")


def test_a_refusal_says_where_the_run_can_be_read(state: StateFiles) -> None:
    def refuse(flow: Joining) -> str:
        raise Refused("no", host="nabira", detail="one\ntwo", hint="do this")

    with pytest.raises(Refused) as error:
        run(state, refuse)
    assert error.value.detail.startswith("one\ntwo\nthe whole run: nagios-failover history ")
    assert newest(state) == (Outcome.REFUSED, "nabira: no; one; two; hint: do this")


def test_a_failure_before_anything_was_changed_is_a_failure(state: StateFiles) -> None:
    def fail(flow: Joining) -> str:
        raise Failed("no answer", host="yasu")

    with pytest.raises(Failed):
        run(state, fail)
    assert newest(state) == (Outcome.ABORTED, "act: yasu: no answer")


def half(flow: Joining) -> str:
    flow.note("changed", True)
    flow.note("emptied", True)
    raise Failed("the source is gone", hint="give the command again")


def test_half_a_copy_is_incomplete_and_the_next_run_may_begin_it_anew_without_a_word(state: StateFiles) -> None:
    with pytest.raises(Incomplete, match="nabira's database is no whole copy: act: the source is gone"):
        run(state, half)
    assert newest(state)[0] == Outcome.INCOMPLETE
    flow = run(state, lambda flow: "acted", "rejoin")
    assert flow is not None and flow.notes["emptied"] is True
    later = run(state, lambda flow: "acted")
    assert later is not None and "emptied" not in later.notes, "the run after the one that ended well has nothing to begin anew"


def test_a_killed_run_is_closed_by_the_next(state: StateFiles) -> None:
    killed = Journal(state.directory).open("setup-standby", 3, "nabira", trigger="command")
    killed.note("emptied", True)
    flow = run(state, lambda flow: "acted")
    assert flow is not None and flow.notes["emptied"] is True
    record = killed.record()
    assert record.outcome == Outcome.ABORTED and record.sentence == f"it was cut short; run {flow.run.id} does it"


def test_an_interrupted_run_is_closed(state: StateFiles) -> None:
    def interrupt(flow: Joining) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(state, interrupt)
    assert newest(state) == (Outcome.ABORTED, "interrupted; give the command again")


def test_there_is_one_at_a_time_and_a_failover_does_not_wait_for_it(state: StateFiles) -> None:
    with run_lock(state.directory, wait=0, name="setup.lock"):
        with pytest.raises(LockHeld):
            run(state, lambda flow: "acted")
        with run_lock(state.directory, wait=0):
            pass


def test_a_dry_run_writes_nothing(state: StateFiles) -> None:
    said: list[str] = []
    rehearsal(config_of(state.directory), state, workflow(lambda flow: "acted"), say=said.append)
    assert said == ["act: would act"] and Journal(state.directory).runs() == []


def test_a_failover_in_the_middle_of_it_ends_it(state: StateFiles) -> None:
    def taken_over(flow: Joining) -> str:
        master(state)
        return require_standby(flow)

    with pytest.raises(Refused, match=r"nabira: its role is master \(term 3\): its database is not a replica"):
        run(state, taken_over)


WAYS: tuple[tuple[ReplicaStatus | None, bool, str, str, Way], ...] = (
    (HEALTHY, True, "0-1-5", "", Way.NOTHING),
    (HEALTHY, True, "", "", Way.NOTHING),  # of a source that has written nothing yet
    (HEALTHY, False, "0-1-5", "", Way.ATTACH),  # writable, or told to stop somewhere
    (replace(HEALTHY, tls_verified=False), True, "0-1-5", "", Way.ATTACH),
    (replace(HEALTHY, by_gtid=False), True, "0-1-5", "", Way.ATTACH),
    (replace(HEALTHY, applying=False), True, "0-1-5", "", Way.ATTACH),
    (replace(HEALTHY, receiving=False), True, "0-1-5", "", Way.ATTACH),
    (replace(HEALTHY, applying=False, apply_errno=1062, apply_error="Duplicate entry"), True, "0-1-5", "", Way.COPY),
    (HEALTHY, True, "0-1-5,0-2-6", "0-2-6", Way.COPY),
    (None, True, "0-1-5", "", Way.ATTACH),
    (None, True, "", "", Way.COPY),
)


@pytest.mark.parametrize(("status", "as_told", "position", "errant", "way"), WAYS)
def test_which_way_leads_to_a_replica(
    tmp_path: Path, status: ReplicaStatus | None, as_told: bool, position: str, errant: str, way: Way
) -> None:
    files = StateFiles(tmp_path)
    config = config_of(tmp_path)
    config = replace(config, hosts=(replace(config.hosts[0], address=SOURCE), config.hosts[1]))
    flow = Joining(config, files, Journal(tmp_path).run("x"), "rejoin", lambda _: None, lambda *_: None)
    assert _way(flow, status, as_told, position, errant)[0] is way
    flow.notes["emptied"] = True
    again = _way(flow, status, as_told, position, errant)[0]
    if status is None:
        assert again is Way.COPY, "half a copy has no history worth going on from"
    else:
        assert again is not Way.NOTHING, "killed just after it began to replicate: the tables are compared once more"


class _There:
    """A source whose account has these privileges on everything."""

    host = "yasu"
    dialect = dialect_of("10.11.6-MariaDB mariadb.org binary distribution", "yasu")

    def __init__(self, *held: str) -> None:
        self._held = held

    def rows(self, statement: Statement | str) -> list[dict[str, str]]:
        assert "information_schema.USER_PRIVILEGES" in str(statement)
        return [{"name": name} for name in self._held]


def test_an_account_that_does_not_see_the_databases_is_refused_before_anything_is_dropped(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    with pytest.raises(Refused) as raised:
        _require_sight(config, cast(Server, _There("REPLICATION SLAVE")))
    assert str(raised.value) == (
        f"yasu: its account {config.replication.replication_user} lacks SHOW DATABASES: what it does not see is not copied"
    )
    assert raised.value.hint == "as root on yasu: nagios-failover init-database gives the account what it needs"
    _require_sight(config, cast(Server, _There("REPLICATION SLAVE", "SHOW DATABASES")))


class Following:
    """Both servers, as they are while the one replicates from the other: with every question both have a transaction more."""

    host = "yasu"
    dialect = dialect_of("10.11.6-MariaDB", "yasu")
    number = 5

    def value(self, statement: Statement) -> str:
        self.number += 1
        return f"0-1-{self.number}"

    def minus(self, one: str, other: str) -> str:
        return self.dialect.minus(one, other, self.value)

    def replica_status(self) -> ReplicaStatus | None:
        return replace(HEALTHY, source_host="yasu")

    def is_read_only(self) -> bool:
        return True

    def rows(self, statement: Statement) -> list[dict[str, object]]:
        return []


def test_what_a_replica_receives_while_it_is_compared_is_not_its_own(state: StateFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Following()
    for name in ("source", "administered"):
        monkeypatch.setattr(join_checks, name, lambda config: nullcontext(server))
    monkeypatch.setattr(join_checks, "existing", lambda config, there: [])
    monkeypatch.setattr(join_checks, "_size", lambda config, there: 0)
    flow = run(state, join_checks.decide)
    assert flow is not None and (flow.notes["errant"], flow.way) == ("", Way.NOTHING)
