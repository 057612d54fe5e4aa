"""A host that wakes up: what it starts as, and what Nagios is given to start with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nagios_failover.account import Account
from nagios_failover.config import Config
from nagios_failover.config_sections import HostSection
from nagios_failover.dialect import Part, drop_in
from nagios_failover.evidence import Detour, Evidence, HostReport, NoAnswer, Process
from nagios_failover.guard import World, decide, guard
from nagios_failover.journal import Journal
from nagios_failover.lease import Away, Free, Held, Word
from nagios_failover.nagios_files import read_retained_flags
from nagios_failover.retention import with_flags
from nagios_failover.role import Override, Owner, RoleRecord
from nagios_failover.shell import Output
from nagios_failover.state_files import StateFiles
from nagios_failover.witness_record import Recorded
from nagios_failover.words import Flag, Role
from tests.fake_nagios import FakeNagios
from tests.fake_world import OFF, ON, config_of, master, standby

OWN = RoleRecord(Role.MASTER, "nabira", 3, "", 1000)
SILENT = NoAnswer("no answer within 4 s")
WITNESS = Account("hb", "10.0.0.3")
RETENTION = """info {
created=1
}
program {
modified_host_attributes=0
modified_service_attributes=1
enable_notifications=1
active_service_checks_enabled=1
active_host_checks_enabled=1
process_performance_data=1
}
host {
active_host_checks_enabled=1
}
"""


def peer(role: Role | None, term: int = 0, *, since: int = 2000, problem: str = "", master: str = "") -> HostReport:
    its_master = master or ("nabira" if role is Role.STANDBY else "yasu")
    record = RoleRecord(role, its_master, term, "", since) if role else None
    return HostReport(Process.MISSING, None, None, None, None, record, role_problem=problem)


UNSEEN = Evidence(SILENT, detours=(Detour("10.0.0.3", SILENT, reached=True),))
DECIDED: list[tuple[str, Evidence, list[Recorded], Role | None, str]] = [
    ("the peer has the higher term", Evidence(peer(Role.MASTER, 4)), [], Role.STANDBY, "yasu has the higher term 4"),
    ("so it has while it takes over", Evidence(peer(Role.TAKING_OVER, 4)), [], Role.STANDBY, "yasu has the higher term 4"),
    ("the peer is its standby", Evidence(peer(Role.STANDBY, 3)), [], Role.MASTER, "yasu answers and has no higher term"),
    ("a run of its standby was given up", Evidence(peer(Role.STANDBY, 7)), [], Role.MASTER, "yasu answers and is its standby"),
    ("it is a third host's", Evidence(peer(Role.STANDBY, 7, master="witness")), [], Role.STANDBY, "yasu has the higher term 7"),
    ("the peer has an older term", Evidence(peer(Role.MASTER, 2)), [], Role.MASTER, "yasu answers and has no higher term"),
    (
        "the peer has the same term for longer",
        Evidence(peer(Role.MASTER, 3, since=999)),
        [],
        Role.STANDBY,
        "yasu has been the master with the same term for longer",
    ),
    (
        "the witness knows of a higher term, though the peer answers",
        Evidence(peer(Role.STANDBY, 3)),
        [Recorded(WITNESS, 5, "yasu")],
        Role.STANDBY,
        "the witness hb@10.0.0.3 has recorded the term 5 of yasu",
    ),
    (
        "the witness knows of none and does not reach the peer",
        UNSEEN,
        [Recorded(WITNESS, 3, "nabira")],
        Role.MASTER,
        "the witness hb@10.0.0.3 has recorded no higher term, and does not reach yasu either",
    ),
    (
        "the peer has no suite",
        Evidence(peer(None, problem="there is no /var/lib/nagios-failover")),
        [],
        Role.MASTER,
        "yasu answers, and has no suite that could have taken over",
    ),
    (
        "nobody answers",
        Evidence(SILENT, detours=(Detour("10.0.0.3", SILENT, reached=False),)),
        [Recorded(WITNESS, problem="no answer")],
        None,
        "neither yasu nor a witness with an account could say who is the master",
    ),
    (
        "the peer's role cannot be read",
        Evidence(peer(None, problem="the role file is garbled")),
        [],
        None,
        "neither yasu nor a witness with an account could say who is the master",
    ),
]


@pytest.mark.parametrize(("evidence", "recorded", "role", "why"), [row[1:] for row in DECIDED], ids=[row[0] for row in DECIDED])
def test_what_a_host_that_was_the_master_starts_as(
    tmp_path: Path, evidence: Evidence, recorded: list[Recorded], role: Role | None, why: str
) -> None:
    config = config_of(tmp_path)
    config = replace(config, paths=replace(config.paths, state=Path("/var/lib/nagios-failover")))
    decision = decide(config, OWN, 0, evidence, recorded)
    assert (decision.role, decision.why) == (role, why)


@pytest.mark.parametrize(
    ("fenced", "evidence", "role", "why"),
    [
        (4, Evidence(peer(Role.MASTER, 4)), Role.STANDBY, "it was fenced by yasu with term 4"),
        (4, Evidence(peer(Role.STANDBY, 3)), Role.STANDBY, "it was fenced by yasu with term 4"),
        (4, Evidence(peer(Role.STANDBY, 4)), Role.MASTER, "yasu answers and is its standby"),
        (3, Evidence(peer(Role.STANDBY, 3)), Role.MASTER, "yasu answers and has no higher term"),
    ],
    ids=["taken over from", "the standby has not taken over yet", "the run that fenced it was given up", "long ago"],
)
def test_a_fence_counts_unless_its_author_is_the_standby_again(
    tmp_path: Path, fenced: int, evidence: Evidence, role: Role, why: str
) -> None:
    decision = decide(config_of(tmp_path), OWN, fenced, evidence, [])
    assert (decision.role, decision.why) == (role, why)


NOBODY = Evidence(SILENT)
WELL = Evidence(peer(Role.STANDBY, 3))
UNKNOWN = "neither yasu nor a witness with an account nor etcd could say who is the master"
NOT_PASSED = "etcd knows of no higher term, and nobody else has the lease"
BY_ETCD: list[tuple[str, Word, Evidence, Role | None, str]] = [
    ("a master has reigned since", Free(4), WELL, Role.STANDBY, "etcd knows of the higher term 4"),
    ("and has the lease", Held("yasu", 9, 4), NOBODY, Role.STANDBY, "etcd knows of the higher term 4, and yasu has the lease"),
    ("another host takes over just now", Held("yasu", 9, 3), WELL, Role.STANDBY, "yasu has the lease in etcd"),
    ("it is its own still", Held("nabira", 9, 3), NOBODY, Role.MASTER, NOT_PASSED),
    ("it is nobody's", Free(3), NOBODY, Role.MASTER, NOT_PASSED),
    ("the peer's word is as good", Free(3), WELL, Role.MASTER, "yasu answers and has no higher term"),
    ("the peer's higher term is, too", Free(3), Evidence(peer(Role.MASTER, 4)), Role.STANDBY, "yasu has the higher term 4"),
    ("an etcd that was made anew knows nothing", Free(0), NOBODY, None, UNKNOWN),
    ("etcd does not answer", Away("no answer in time"), NOBODY, None, UNKNOWN),
    ("nor is it needed", Away("no answer in time"), WELL, Role.MASTER, "yasu answers and has no higher term"),
]


@pytest.mark.parametrize(("word", "evidence", "role", "why"), [row[1:] for row in BY_ETCD], ids=[row[0] for row in BY_ETCD])
def test_with_a_quorum_etcd_is_asked_too(tmp_path: Path, word: Word, evidence: Evidence, role: Role | None, why: str) -> None:
    decision = decide(config_of(tmp_path), OWN, 0, evidence, [], word)
    assert (decision.role, decision.why) == (role, why)


def test_who_has_the_lease_is_the_master_from_now_on(site: tuple[Config, StateFiles, Path]) -> None:
    config, state, _ = site
    third = HostSection("witness", "10.0.0.3")
    config = replace(config, hosts=(*config.hosts, third))
    master(state)
    asked = Asked(Evidence(peer(Role.STANDBY, 3)))
    said = guard(config, state, world=replace(asked.world, lease=lambda: Held("witness", 9, 4)))
    assert said == "nabira: a standby now, term 4: etcd knows of the higher term 4, and witness has the lease"
    role = state.role()
    assert (role.role, role.master, role.term) == (Role.STANDBY, "witness", 4)


def test_a_fence_that_was_written_here_is_a_higher_term(tmp_path: Path) -> None:
    decision = decide(config_of(tmp_path), OWN, 4, Evidence(SILENT), [])
    assert (decision.role, decision.why, decision.term) == (Role.STANDBY, "it was fenced by yasu with term 4", 4)


def test_the_flags_of_the_next_start_are_set_and_nothing_else() -> None:
    lines = list(with_flags(RETENTION.splitlines(keepends=True), OFF))
    changed = {new for old, new in zip(RETENTION.splitlines(keepends=True), lines, strict=True) if old != new}
    assert changed == {
        "modified_host_attributes=3\n",
        "modified_service_attributes=3\n",
        "enable_notifications=0\n",
        "active_service_checks_enabled=0\n",
        "active_host_checks_enabled=0\n",
    }
    assert lines[-2] == "active_host_checks_enabled=1\n", "a host's own"
    short = [line for line in RETENTION.splitlines(keepends=True) if not line.startswith("enable_notifications")]
    assert "enable_notifications=0\n" in list(with_flags(short, OFF))


@pytest.fixture
def site(tmp_path: Path) -> tuple[Config, StateFiles, Path]:
    nagios = FakeNagios(tmp_path)
    nagios.retention_file.write_text(RETENTION)
    config = config_of(tmp_path, "[run]\nguard_timeout = 3\n")
    this = replace(config.this, nagios_cfg=nagios.cfg)
    config = replace(config, hosts=(config.hosts[0], this), mail=replace(config.mail, command=("/bin/false",)))
    return config, StateFiles(tmp_path), nagios.retention_file


class Asked:
    """A world whose clock moves when somebody waits."""

    def __init__(self, *evidence: Evidence, recorded: list[Recorded] | None = None, runs: bool = False) -> None:
        self.evidence, self.now = list(evidence), 1000.06  # rounded, it would be later than now
        self.verbs: list[str] = []
        self.world = World(
            runs=lambda: runs,
            evidence=lambda: self.evidence.pop(0) if len(self.evidence) > 1 else self.evidence[0],
            recorded=lambda: recorded or [],
            root=self._root,
            uptime=lambda: self.now,
            sleep=self._sleep,
        )

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def _root(self, verb: str) -> Output:
        self.verbs.append(verb)
        return Output(0, "written", "")


@pytest.mark.parametrize(("term", "verbs"), [(3, ["database-held", "database-source"]), (4, ["database-held", "database-replica"])])
def test_the_database_starts_as_a_held_source_until_this_host_is_the_master_again(
    site: tuple[Config, StateFiles, Path], term: int, verbs: list[str]
) -> None:
    config, state, _ = with_database(site, Part.SOURCE)
    asked = Asked(Evidence(peer(Role.MASTER if term > 3 else Role.STANDBY, term)))
    guard(config, state, world=asked.world)
    assert asked.verbs == verbs and state.overrides() == []


@pytest.mark.parametrize("semi_sync", [True, False])
def test_a_promotion_that_is_not_at_its_end_is_not_ended_by_a_boot(
    site: tuple[Config, StateFiles, Path], *, semi_sync: bool
) -> None:
    """The master's database is still a replica, which has not applied all: the drop-in of a source would let it take writes."""
    config, state, _ = with_database(site, Part.REPLICA, semi_sync=semi_sync)
    asked = Asked(Evidence(peer(Role.STANDBY, 3)))
    assert guard(config, state, world=asked.world).startswith("nabira: master again")
    assert asked.verbs == ["database-replica"] and state.overrides() == []


def test_one_that_learns_nothing_remembers_that_its_database_was_the_source(site: tuple[Config, StateFiles, Path]) -> None:
    config, state, _ = with_database(site, Part.SOURCE)
    guard(config, state, world=Asked(Evidence(SILENT)).world)
    muted = Override(Owner.ISOLATED, {Flag.NOTIFICATIONS: False}, 3, 1000, writes_held=True)
    assert state.overrides() == [muted]
    (state.directory / "guard").unlink()
    with_database(site, Part.REPLICA)
    asked = Asked(Evidence(peer(Role.STANDBY, 3)))
    guard(config, state, world=asked.world)
    assert asked.verbs == ["database-held", "database-source"] and state.overrides() == [], "the next boot knows it"
    (state.directory / "guard").unlink()
    guard(config, state, world=Asked(Evidence(SILENT)).world)
    assert state.overrides() == [replace(muted, writes_held=False)], (
        "what was a replica is not made writable by the end of the mute"
    )


def test_a_held_source_keeps_the_end_of_its_binary_log_and_takes_no_writes(site: tuple[Config, StateFiles, Path]) -> None:
    """A replica's recovery would take its last transaction away, which the other host may have."""
    for semi_sync in (True, False):
        lines = drop_in(Part.HELD, semi_sync=semi_sync).splitlines()
        assert {"read_only = ON", "loose_init_rpl_role = MASTER", "loose_rpl_semi_sync_master_enabled = OFF"} <= set(lines)
    config, state, _ = with_database(site, Part.SOURCE)
    asked = Asked(Evidence(SILENT))
    guard(config, state, world=asked.world)
    assert asked.verbs == ["database-held"]


def test_a_sudoers_file_that_does_not_know_the_held_source_leaves_a_replica(site: tuple[Config, StateFiles, Path]) -> None:
    config, state, _ = with_database(site, Part.SOURCE)
    asked = Asked(Evidence(SILENT))

    def old(verb: str) -> Output:
        asked.verbs.append(verb)
        return Output(1, "", "a password is required") if verb == "database-held" else Output(0, "written", "")

    said = guard(config, state, world=replace(asked.world, root=old))
    assert asked.verbs == ["database-held", "database-replica"] and "was not written" not in said


def test_a_guard_that_is_cut_short_is_no_end_of_the_source(site: tuple[Config, StateFiles, Path]) -> None:
    config, state, _ = with_database(site, Part.SOURCE)
    cut_short = Asked(Evidence(SILENT))

    def dies(verb: str) -> Output:
        with_database(site, Part.REPLICA)
        raise KeyboardInterrupt(verb)

    with pytest.raises(KeyboardInterrupt):
        guard(config, state, world=replace(cut_short.world, root=dies))
    asked = Asked(Evidence(peer(Role.STANDBY, 3)))
    guard(config, state, world=asked.world)
    assert asked.verbs == ["database-held", "database-source"] and state.overrides() == []


def with_database(site: tuple[Config, StateFiles, Path], part: Part, *, semi_sync: bool = False) -> tuple[Config, StateFiles, Path]:
    """A master whose mysqld reads this part at its next start."""
    config, state, retention = site
    path = state.directory / "zz.cnf"
    path.write_text(drop_in(part, semi_sync=semi_sync))
    master(state)
    return replace(config, replication=replace(config.replication, drop_in=path)), state, retention


def test_a_master_again_starts_active(site: tuple[Config, StateFiles, Path]) -> None:
    config, state, retention = site
    master(state)
    state.write_override(Override(Owner.ISOLATED, {Flag.NOTIFICATIONS: False}, 3, 1))
    said = guard(config, state, world=Asked(Evidence(SILENT), Evidence(peer(Role.STANDBY, 3))).world)
    assert said == "nabira: master again, term 3: yasu answers and has no higher term"
    assert read_retained_flags(retention) == ON and state.overrides() == []


def test_one_that_was_replaced_is_a_standby_before_its_nagios_starts(site: tuple[Config, StateFiles, Path]) -> None:
    config, state, retention = site
    master(state)
    asked = Asked(Evidence(peer(Role.MASTER, 4)))
    said = guard(config, state, world=asked.world)
    assert said == "nabira: a standby now, term 4: yasu has the higher term 4"
    role = state.role()
    assert (role.role, role.master, role.term) == (Role.STANDBY, "yasu", 4) and not state.lock_path.exists()
    assert read_retained_flags(retention) == OFF
    assert [(run.kind, run.outcome) for run in Journal(state.directory).runs()] == [("guard", "done")]
    assert guard(config, state, world=asked.world) == said, "before the database and before Nagios: decided once"


def test_one_that_learns_nothing_is_mute_and_says_what_a_person_must_do(site: tuple[Config, StateFiles, Path]) -> None:
    config, state, retention = site
    master(state)
    said = guard(config, state, world=Asked(Evidence(SILENT)).world)
    assert said.startswith("nabira: mute until it is known who is the master (it was, term 3): neither yasu nor a witness")
    assert said.endswith("then run here: nagios-failover init --master --force")
    assert state.role() == replace(OWN, master="nabira") and read_retained_flags(retention) == OFF
    assert state.overrides() == [Override(Owner.ISOLATED, {Flag.NOTIFICATIONS: False}, 3, 1000)], "its last sign of the world"
    assert list((state.directory / "unsent").glob("*.json")), "mailed when possible"


def test_a_standby_and_a_host_without_a_role_start_passive(site: tuple[Config, StateFiles, Path]) -> None:
    config, state, retention = site
    assert guard(config, state, world=Asked(Evidence(SILENT)).world).startswith("nabira: Nagios starts passive: the role file ")
    assert read_retained_flags(retention) == OFF
    (state.directory / "guard").unlink()
    standby(state)
    assert guard(config, state, world=Asked(Evidence(SILENT)).world) == "nabira: its role is standby, term 3: Nagios starts passive"


def test_a_running_nagios_is_left_alone(site: tuple[Config, StateFiles, Path]) -> None:
    config, state, retention = site
    master(state)
    said = guard(config, state, world=Asked(Evidence(peer(Role.MASTER, 9)), runs=True).world)
    assert said == "nabira: Nagios runs already: there is nothing to guard"
    assert read_retained_flags(retention) == ON and state.role().role is Role.MASTER
