"""DESIGN's table, row by row: the evidence, and the whole sentence that it means."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from nagios_failover.evidence import (
    Blocked,
    Evidence,
    Heartbeat,
    HostReport,
    NoAnswer,
    PauseMarker,
    Process,
)
from nagios_failover.limits import Limits
from nagios_failover.verdict import Code
from nagios_failover.verdict_of_master import judge_master
from nagios_failover.words import Role, State
from tests.evidence_samples import (
    BETWEEN,
    CRITICAL,
    CRITICALS,
    DEAF,
    DENIED,
    DIRECT,
    FRESH,
    HEARS,
    HIDDEN,
    LIMITS,
    MASTER,
    NO_NOTIFICATIONS,
    OFF,
    OK,
    REFUSED,
    SILENT,
    SSH,
    STALE,
    UNKNOWN,
    VIA,
    WARNING,
    Row,
    evidences,
    limits,
    missing,
    report,
    stopped,
    through,
)

# The rows of DESIGN.md section 4, from the top.
TABLE: list[Row] = [
    # process: could not look
    ("hidden process", Evidence(report(HIDDEN), STALE), WARNING, Code.BLOCKED,
     "yasu: could not look: PID 4711 cannot be looked at: other users' processes are hidden there"),
    ("unreadable status.dat", Evidence(report(Blocked("/x/status.dat is not readable"), None), SILENT), WARNING, Code.BLOCKED,
     "yasu: could not look: /x/status.dat is not readable"),
    ("unknown host key", Evidence(Blocked("its host key is unknown (Host key verification failed.)"), STALE), WARNING, Code.BLOCKED,
     "yasu: could not look: its host key is unknown (Host key verification failed.)"),
    # running, fresh
    ("alive", Evidence(report(), FRESH), OK, Code.ALIVE,
     "yasu: Nagios (PID 4711) is alive, status.dat is 3 s old, the heartbeat is 5 s old"),
    ("alive without a database", Evidence(report()), OK, Code.ALIVE, "yasu: Nagios (PID 4711) is alive, status.dat is 3 s old"),
    ("alive, its clock a second ahead", Evidence(report(age=-1)), OK, Code.ALIVE,
     "yasu: Nagios (PID 4711) is alive, status.dat is 0 s old"),
    ("alive, a heartbeat without a PID", Evidence(report(), Heartbeat(5, 0)), OK, Code.ALIVE,
     "yasu: Nagios (PID 4711) is alive, status.dat is 3 s old, the heartbeat is 5 s old"),
    ("passive", Evidence(report(flags=OFF, role=replace(MASTER, role=Role.STANDBY)), FRESH), WARNING, Code.PASSIVE,
     "yasu: alive, but it checks or notifies nothing (notifications off, service checks off, host checks off); "
     "its role is standby; nobody monitors"),
    ("passive, no suite there", Evidence(report(flags=NO_NOTIFICATIONS, role=None)), WARNING, Code.PASSIVE,
     "yasu: alive, but it checks or notifies nothing (notifications off, service checks on, host checks on); "
     "its role is unknown (no suite there); nobody monitors"),
    ("passive, its role file is gone", Evidence(report(flags=OFF, role=None, role_problem="there is no /x/role")),
     WARNING, Code.PASSIVE,
     "yasu: alive, but it checks or notifies nothing (notifications off, service checks off, host checks off); "
     "its role is unknown (there is no /x/role); nobody monitors"),
    ("hand-over offered", Evidence(report(role=replace(MASTER, handover="nabira")), FRESH), WARNING, Code.HANDOVER,
     "yasu: Nagios (PID 4711) is alive, status.dat is 3 s old, and it offers the role to nabira (term 4)"),
    # running, fresh, heartbeat anything else
    ("between the ages", Evidence(report(), BETWEEN), WARNING, Code.STALE_HEARTBEAT,
     "yasu: Nagios (PID 4711) is alive, status.dat is 3 s old, but its database link is lost or slow, the heartbeat is 100 s old"),
    ("stale heartbeat", Evidence(report(), STALE), WARNING, Code.STALE_HEARTBEAT,
     "yasu: Nagios (PID 4711) is alive, status.dat is 3 s old, but its database link is lost or slow, the heartbeat is 400 s old"),
    ("another process's heartbeat", Evidence(report(), Heartbeat(5, 99)), WARNING, Code.STALE_HEARTBEAT,
     "yasu: Nagios (PID 4711) is alive, status.dat is 3 s old, the heartbeat is 5 s old and of another process (PID 99): "
     "Nagios was just restarted, or another one writes there"),
    ("another process's old heartbeat", Evidence(report(), Heartbeat(400, 99)), WARNING, Code.STALE_HEARTBEAT,
     "yasu: Nagios (PID 4711) is alive, status.dat is 3 s old, but its database link is lost or slow, "
     "the heartbeat is 400 s old and of another process (PID 99)"),
    ("database silent", Evidence(report(), SILENT), WARNING, Code.NO_HEARTBEAT,
     "yasu: Nagios (PID 4711) is alive, status.dat is 3 s old, but its database does not answer (no answer within 3 s)"),
    ("database denied", Evidence(report(), DENIED), WARNING, Code.NO_HEARTBEAT,
     "yasu: Nagios (PID 4711) is alive, status.dat is 3 s old, but could not look at its heartbeat: "
     "access denied (1045: Access denied for user 'w'@'h')"),
    # status.dat between its ages, gone, or from the future: anything else
    ("status.dat is late", Evidence(report(age=45), FRESH), WARNING, Code.AGING,
     "yasu: Nagios (PID 4711) is alive, status.dat is 45 s old: beyond the warning age, the heartbeat is 5 s old"),
    ("status.dat is late, no database", Evidence(report(age=45)), WARNING, Code.AGING,
     "yasu: Nagios (PID 4711) is alive, status.dat is 45 s old: beyond the warning age"),
    ("running, no status.dat", Evidence(report(age=None), STALE), WARNING, Code.STATUS_STALE,
     "yasu: Nagios (PID 4711) runs but has no status.dat: it just started, or cannot write it"),
    ("status.dat from the future", Evidence(report(age=-3600), SILENT), WARNING, Code.UNCLEAR,
     "yasu: status.dat is dated 3600 s in the future: its clock was set, Nagios (PID 4711) has not written since"),
    # running or stopped, stale, heartbeat fresh
    ("status.dat not written", Evidence(report(age=100), FRESH), WARNING, Code.STATUS_STALE,
     "yasu: status.dat is 100 s old, but the heartbeat is fresh: status.dat is not written (disk full?), or Nagios just stopped"),
    ("stopped, stale, heartbeat still fresh", Evidence(stopped(100), FRESH), WARNING, Code.STATUS_STALE,
     "yasu: status.dat is 100 s old, but the heartbeat is fresh: status.dat is not written (disk full?), or Nagios just stopped"),
    # running, stale, heartbeat anything else
    ("hung, heartbeat stale", Evidence(report(age=100), STALE), CRITICAL, Code.HUNG,
     "yasu: Nagios (PID 4711) hangs: status.dat is 100 s old, the heartbeat is 400 s old"),
    ("hung, heartbeat between", Evidence(report(age=100), BETWEEN), CRITICAL, Code.HUNG,
     "yasu: Nagios (PID 4711) hangs: status.dat is 100 s old, the heartbeat is 100 s old"),
    ("hung, no heartbeat", Evidence(report(age=100), SILENT), CRITICAL, Code.HUNG,
     "yasu: Nagios (PID 4711) hangs: status.dat is 100 s old, no heartbeat (no answer within 3 s)"),
    ("hung, no database", Evidence(report(age=100)), CRITICAL, Code.HUNG, "yasu: Nagios (PID 4711) hangs: status.dat is 100 s old"),
    ("stale, heartbeat not to be seen", Evidence(report(age=100), DENIED), WARNING, Code.BLOCKED,
     "yasu: status.dat is 100 s old, and could not look at its heartbeat: access denied (1045: Access denied for user 'w'@'h'): "
     "could not tell whether Nagios hangs"),
    # stopped, heartbeat not fresh
    ("stopped", Evidence(stopped(100), STALE), CRITICAL, Code.STOPPED,
     "yasu: Nagios (PID 4711) is stopped (state T), status.dat is 100 s old, the heartbeat is 400 s old"),
    ("stopped, status.dat still fresh", Evidence(stopped(3)), CRITICAL, Code.STOPPED,
     "yasu: Nagios (PID 4711) is stopped (state T), status.dat is 3 s old"),
    ("stopped, no status.dat", Evidence(stopped(None), SILENT), CRITICAL, Code.STOPPED,
     "yasu: Nagios (PID 4711) is stopped (state T), status.dat is gone, no heartbeat (no answer within 3 s)"),
    ("stopped just now", Evidence(stopped(3), FRESH), WARNING, Code.UNCLEAR,
     "yasu: Nagios (PID 4711) is stopped (state T), status.dat is 3 s old, the heartbeat is 5 s old: not stale yet"),
    ("stopped, heartbeat not to be seen", Evidence(stopped(100), DENIED), WARNING, Code.BLOCKED,
     "yasu: status.dat is 100 s old, and could not look at its heartbeat: access denied (1045: Access denied for user 'w'@'h'): "
     "could not tell whether Nagios hangs"),
    # missing
    ("missing, yet status.dat advances", Evidence(missing(status_advanced=True), STALE), WARNING, Code.PROCESS_UNSEEN,
     "yasu: could not see the process: PID 4711 is missing, but status.dat advances"),
    ("stopped cleanly", Evidence(missing(None, gone_for=16), FRESH), CRITICAL, Code.STOPPED_CLEANLY,
     "yasu: Nagios was stopped cleanly and has not come back"),
    ("restarting", Evidence(missing(None, gone_for=14), SILENT), WARNING, Code.RESTARTING,
     "yasu: Nagios was stopped cleanly; a restart is given 15 s"),
    ("stopped under a pause", Evidence(missing(None, gone_for=900, paused=PauseMarker("ada", "new disk", 1, None)), STALE), WARNING,
     Code.PAUSED, "yasu: Nagios is stopped cleanly under a pause (new disk, by ada)"),
    ("crashed", Evidence(missing(5), FRESH), CRITICAL, Code.CRASHED,
     "yasu: Nagios has crashed: PID 4711 is gone, status.dat is 5 s old"),
    ("crashed, whatever the database says", Evidence(missing(500), DENIED), CRITICAL, Code.CRASHED,
     "yasu: Nagios has crashed: PID 4711 is gone, status.dat is 500 s old"),
    # ssh fails
    ("ssh broken", Evidence(REFUSED, FRESH, reachable=True, witnesses=DEAF), WARNING, Code.SSH_BROKEN,
     "yasu: alive, ssh is broken: connect to host yasu port 22: Connection refused, the heartbeat is 5 s old"),
    ("ssh broken, heartbeat between", Evidence(REFUSED, BETWEEN, reachable=True), WARNING, Code.SSH_BROKEN,
     "yasu: alive, ssh is broken: connect to host yasu port 22: Connection refused, the heartbeat is 100 s old"),
    ("not seen alive", Evidence(REFUSED, STALE, reachable=True, witnesses=HEARS), CRITICAL, Code.NOT_SEEN_ALIVE,
     f"yasu: Nagios is not seen alive: {SSH}, the heartbeat is 400 s old; the host answers"),
    ("not seen alive, witness = none", Evidence(REFUSED, STALE, reachable=True), CRITICAL, Code.NOT_SEEN_ALIVE,
     f"yasu: Nagios is not seen alive: {SSH}, the heartbeat is 400 s old; the host answers"),
    ("services silent", Evidence(REFUSED, SILENT, reachable=True, witnesses=HEARS), WARNING, Code.SERVICES_SILENT,
     f"yasu: the host answers, ssh and database do not: {SSH}, no heartbeat (no answer within 3 s)"),
    ("ssh silent, no database", Evidence(REFUSED, reachable=True, witnesses=HEARS), WARNING, Code.SERVICES_SILENT,
     f"yasu: the host answers, ssh does not: {SSH}"),
    ("host down", Evidence(REFUSED, SILENT, reachable=False, witnesses=HEARS), CRITICAL, Code.HOST_DOWN,
     f"yasu: the host is down: {SSH}, no heartbeat (no answer within 3 s); it does not answer at all"),
    ("host down, witness = none, no database", Evidence(REFUSED, reachable=False), CRITICAL, Code.HOST_DOWN,
     f"yasu: the host is down: {SSH}; it does not answer at all"),
    ("host down, one of two witnesses answers", Evidence(REFUSED, reachable=False, witnesses=HEARS + DEAF),
     CRITICAL, Code.HOST_DOWN,
     f"yasu: the host is down: {SSH}; it does not answer at all"),
    ("host down, but it replicates", Evidence(REFUSED, SILENT, reachable=False, witnesses=HEARS, replicating=True), WARNING,
     Code.REPLICATING, f"yasu: the host seems down ({SSH}), but the local replica still hears from it"),
    ("host down, replication silent", Evidence(REFUSED, SILENT, reachable=False, witnesses=HEARS, replicating=False), CRITICAL,
     Code.HOST_DOWN, f"yasu: the host is down: {SSH}, no heartbeat (no answer within 3 s); it does not answer at all"),
    ("host down, replication not to be seen", Evidence(REFUSED, reachable=False, replicating=Blocked("this host's replica: x")),
     WARNING, Code.BLOCKED, "yasu: could not look: this host's replica: x"),
    ("cut off", Evidence(REFUSED, SILENT, reachable=False, witnesses=DEAF), UNKNOWN, Code.CUT_OFF,
     f"yasu: this standby is cut off: {SSH}, and no witness answers (10.0.0.1, 10.0.0.2)"),
    ("cut off, whatever else", Evidence(REFUSED, DENIED, reachable=True, witnesses=DEAF), UNKNOWN, Code.CUT_OFF,
     f"yasu: this standby is cut off: {SSH}, and no witness answers (10.0.0.1, 10.0.0.2)"),
    # anything else
    ("ssh fails, heartbeat not to be seen", Evidence(REFUSED, DENIED, reachable=False, witnesses=HEARS), WARNING, Code.BLOCKED,
     f"yasu: {SSH}, and could not look at its heartbeat: access denied (1045: Access denied for user 'w'@'h')"),
    ("only its database answers", Evidence(REFUSED, STALE, reachable=False, witnesses=HEARS), WARNING, Code.UNCLEAR,
     f"yasu: its database answers, the rest of the host does not: {SSH}, the heartbeat is 400 s old"),
    ("name not to be resolved", Evidence(REFUSED, SILENT, reachable=Blocked("the name yasu cannot be resolved")),
     WARNING, Code.BLOCKED,
     "yasu: could not look: the name yasu cannot be resolved"),
    ("never asked whether it answers", Evidence(REFUSED, SILENT), WARNING, Code.BLOCKED,
     f"yasu: could not look: {SSH}, and whether the host answers at all was not asked"),
]  # fmt: skip


@pytest.mark.parametrize(("evidence", "state", "code", "sentence"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_row_of_the_table(evidence: Evidence, state: State, code: Code, sentence: str) -> None:
    verdict = judge_master("yasu", evidence, LIMITS)
    assert (verdict.state, verdict.code, verdict.sentence) == (state, code, sentence)


# ssh fails, but a witness has an account: what came that way is judged by the same ladder.
THROUGH: list[Row] = [
    ("the link is cut", Evidence(REFUSED, SILENT, False, HEARS, detours=through(report())), WARNING, Code.ALIVE_THROUGH,
     f"{VIA}Nagios (PID 4711) is alive, status.dat is 3 s old{DIRECT}"),
    ("ssh is broken", Evidence(REFUSED, FRESH, True, HEARS, detours=through(report())), WARNING, Code.ALIVE_THROUGH,
     f"{VIA}Nagios (PID 4711) is alive, status.dat is 3 s old, the heartbeat is 5 s old{DIRECT}"),
    ("crashed", Evidence(REFUSED, SILENT, False, HEARS, detours=through(missing())), CRITICAL, Code.CRASHED,
     f"{VIA}Nagios has crashed: PID 4711 is gone, status.dat is 3 s old{DIRECT}"),
    ("crashed, though no other witness answers", Evidence(REFUSED, SILENT, False, DEAF, detours=through(missing())), CRITICAL,
     Code.CRASHED, f"{VIA}Nagios has crashed: PID 4711 is gone, status.dat is 3 s old{DIRECT}"),
    ("hung", Evidence(REFUSED, SILENT, False, HEARS, detours=through(report(age=100))), CRITICAL, Code.HUNG,
     f"{VIA}Nagios (PID 4711) hangs: status.dat is 100 s old{DIRECT}"),
    ("passive", Evidence(REFUSED, detours=through(report(flags=NO_NOTIFICATIONS))), WARNING, Code.PASSIVE,
     f"{VIA}alive, but it checks or notifies nothing (notifications off, service checks on, host checks on); "
     f"its role is master; nobody monitors{DIRECT}"),
    ("could not look there", Evidence(REFUSED, SILENT, False, HEARS, detours=through(Blocked("ssh access denied"))), WARNING,
     Code.BLOCKED, f"{VIA}could not look: ssh access denied{DIRECT}"),
    ("the witness does not reach it either", Evidence(REFUSED, SILENT, False, HEARS, detours=through(SILENT)), CRITICAL,
     Code.HOST_DOWN,
     f"yasu: the host is down: {SSH}, no heartbeat (no answer within 3 s); it does not answer at all, nor through the witness w2"),
    ("the witness lets nobody in", Evidence(REFUSED, SILENT, False, HEARS, detours=through(DENIED, reached=False)), CRITICAL,
     Code.HOST_DOWN, f"yasu: the host is down: {SSH}, no heartbeat (no answer within 3 s); it does not answer at all"),
    ("only the witness's ssh answers", Evidence(REFUSED, SILENT, False, DEAF, detours=through(SILENT)), CRITICAL,
     Code.HOST_DOWN,
     f"yasu: the host is down: {SSH}, no heartbeat (no answer within 3 s); it does not answer at all, nor through the witness w2"),
]  # fmt: skip


@pytest.mark.parametrize(("evidence", "state", "code", "sentence"), [row[1:] for row in THROUGH], ids=[row[0] for row in THROUGH])
def test_row_through_a_witness(evidence: Evidence, state: State, code: Code, sentence: str) -> None:
    verdict = judge_master("yasu", evidence, LIMITS)
    assert (verdict.state, verdict.code, verdict.sentence) == (state, code, sentence)
    by_choice = judge_master("yasu", evidence, CRITICALS)
    assert by_choice.state is state, "database_down = critical is about a database, not about a link that is cut"


# What a site may choose in writing: stale_heartbeat, database_down and unreachable_services = critical.
BY_CHOICE: list[tuple[str, Evidence, State]] = [
    ("the rule of 2005", Evidence(report(), STALE), CRITICAL),
    ("not before the heartbeat is stale", Evidence(report(), BETWEEN), WARNING),
    ("not right after a restart", Evidence(report(), Heartbeat(5, 99)), WARNING),
    ("not when it could not be looked at", Evidence(report(), DENIED), WARNING),
    ("database down", Evidence(report(), SILENT), CRITICAL),
    ("a hung host", Evidence(REFUSED, SILENT, reachable=True, witnesses=HEARS, replicating=False), CRITICAL),
    ("a hung host, without replication", Evidence(REFUSED, SILENT, reachable=True, witnesses=HEARS), CRITICAL),
    ("not a host that replicates", Evidence(REFUSED, SILENT, reachable=True, witnesses=HEARS, replicating=True), WARNING),
    ("not when replication is not to be seen", Evidence(REFUSED, SILENT, reachable=True, replicating=Blocked("x")), WARNING),
    ("never when cut off", Evidence(REFUSED, SILENT, reachable=True, witnesses=DEAF, replicating=False), UNKNOWN),
]


@pytest.mark.parametrize(("evidence", "state"), [row[1:] for row in BY_CHOICE], ids=[row[0] for row in BY_CHOICE])
def test_row_by_choice(evidence: Evidence, state: State) -> None:
    assert judge_master("yasu", evidence, CRITICALS).state is state


def test_hints_come_with_what_could_not_be_looked_at() -> None:
    for evidence in (
        Evidence(report(HIDDEN)),
        Evidence(report(), DENIED),
        Evidence(REFUSED, DENIED),
        Evidence(report(age=99), DENIED),
    ):
        assert judge_master("yasu", evidence, LIMITS).hint


@given(evidences, limits)
def test_what_could_not_be_looked_at_is_never_critical(evidence: Evidence, limits: Limits) -> None:
    evidence = replace(evidence, detours=())
    state = judge_master("yasu", evidence, limits).state
    ssh = evidence.ssh
    if isinstance(ssh, Blocked) or (isinstance(ssh, HostReport) and isinstance(ssh.process, Blocked)):
        assert state is WARNING
    if isinstance(ssh, NoAnswer) and (isinstance(evidence.heartbeat, Blocked) or isinstance(evidence.reachable, Blocked | None)):
        fresh = isinstance(evidence.heartbeat, Heartbeat) and evidence.heartbeat.age <= 300
        assert state in (WARNING, UNKNOWN) or fresh
    if isinstance(ssh, HostReport) and ssh.process is not Process.MISSING and isinstance(evidence.heartbeat, Blocked):
        assert state is not CRITICAL


@given(evidences, limits)
def test_a_standby_that_no_witness_hears_never_says_critical_of_a_host_that_ssh_does_not_reach(
    evidence: Evidence, limits: Limits
) -> None:
    if isinstance(evidence.ssh, NoAnswer) and evidence.witnesses == DEAF and not any(one.reached for one in evidence.detours):
        assert judge_master("yasu", evidence, limits).state is not CRITICAL


@given(evidences, limits)
def test_a_living_nagios_is_never_critical_unless_chosen(evidence: Evidence, limits: Limits) -> None:
    seen = evidence.report
    if seen and seen.process is Process.RUNNING and seen.status_age is not None and 0 <= seen.status_age <= 60:
        assert judge_master("yasu", evidence, LIMITS).state is not CRITICAL
