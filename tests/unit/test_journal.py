"""The journal tells what a run was, whatever cut it short."""

from __future__ import annotations

from pathlib import Path

import pytest

from nagios_failover.errors import Failed
from nagios_failover.journal import Journal
from nagios_failover.run_record import Outcome


class Clock:
    def __init__(self) -> None:
        self.now = 1_795_000_000.0

    def __call__(self) -> float:
        self.now += 1.5
        return self.now


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path, clock=Clock())


def test_a_run_tells_its_steps_their_outcome_and_how_long_they_took(journal: Journal) -> None:
    run = journal.open("failover", 4, "nabira", trigger="event")
    run.step_started("confirm")
    run.step_done("confirm", "done", "3 looks in a row were CRITICAL", 2.0)
    run.note("flags_before", {"notifications": False})
    run.step_started("activate")
    record = run.record()
    assert (record.kind, record.term, record.host, record.trigger, record.outcome) == ("failover", 4, "nabira", "event", "running")
    assert [(step.name, step.outcome, step.seconds) for step in record.steps] == [
        ("confirm", "done", 2.0),
        ("activate", "started", None),
    ]
    assert record.ended("confirm") and not record.ended("activate") and record.begun("activate") and not record.begun("mail")
    assert record.notes == {"flags_before": {"notifications": False}}


def test_a_copy_of_hours_that_was_cut_short_is_no_run_that_a_failover_would_have_to_finish(journal: Journal) -> None:
    journal.open("setup-standby", 4, "nabira", trigger="command")
    run = journal.open("failover", 4, "nabira", trigger="event")
    assert [record.id for record in journal.open_runs()] == [run.id]


def test_an_open_run_is_found_until_it_is_closed(journal: Journal) -> None:
    run = journal.open("failover", 4, "nabira")
    assert [record.id for record in journal.open_runs()] == [run.id]
    run.close(Outcome.DONE, "nabira is the master")
    assert journal.open_runs() == []
    assert [(record.outcome, record.sentence) for record in journal.runs()] == [("done", "nabira is the master")]


def test_a_torn_last_line_is_left_out_and_written_over(journal: Journal) -> None:
    run = journal.open("failover", 4, "nabira")
    run.step_started("confirm")
    with run.path.open("a") as file:
        file.write('{"event": "done", "step": "conf')
    record = run.record()
    assert record.open and record.problem == "" and not record.ended("confirm")
    run.step_done("confirm", "done", "confirmed", 1.0)
    assert run.record().ended("confirm")


def test_a_garbled_journal_is_listed_as_such(journal: Journal, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "20261122T142501-abcd.jsonl").write_bytes(b"\x00\xff garbage\n{]\n")
    (runs / "20261122T142502-abcd.jsonl").write_text("")
    (runs / "20261122T142503-abcd.jsonl").write_text('{"event": "opened", "time": 1, "kind": "failover"}\n')
    (runs / "20261122T142504-abcd.jsonl").write_text("[1]\n" * 3)
    assert [record.outcome for record in journal.runs()] == ["garbled"] * 4
    assert journal.runs()[-1].problem == "2 lines of its journal cannot be read"
    assert journal.open_runs() == []


def test_refusals_in_the_same_words_do_not_fill_the_history(journal: Journal) -> None:
    for age in range(40):
        journal.open("failover", 4, "nabira").close(Outcome.REFUSED, f"not confirmed: yasu: status.dat is {age} s old")
    journal.open("failover", 4, "nabira").close(Outcome.REFUSED, "paused by admin")
    newest, folded = journal.runs()
    assert newest.sentence == "paused by admin"
    assert folded.repeats == 39 and folded.first < folded.opened


def test_refusals_that_alternate_do_not_fill_it_either(journal: Journal) -> None:
    for age in range(40):
        journal.open("failover", 4, "nabira").close(Outcome.REFUSED, f"not confirmed: yasu: status.dat is {age} s old")
        journal.open("failover", 4, "nabira").close(Outcome.REFUSED, "paused by admin")
    assert sorted(run.repeats for run in journal.runs()) == [39, 39]
    journal.open("failover", 4, "nabira").close(Outcome.DONE, "nabira is the master")
    journal.open("failover", 4, "nabira").close(Outcome.REFUSED, "paused by admin")
    assert len(journal.runs()) == 4, "what came before a run that did something stays before it"


def test_runs_that_did_something_are_all_kept(journal: Journal) -> None:
    for _ in range(3):
        journal.open("failover", 4, "nabira").close(Outcome.DONE, "nabira is the master")
    assert len(journal.runs()) == 3


def test_a_journal_that_cannot_be_written_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where the directory should be")
    with pytest.raises(Failed, match="cannot write"):
        Journal(tmp_path).open("failover", 1, "nabira")


def test_a_full_disk_is_a_sentence(tmp_path: Path, journal: Journal) -> None:
    run = journal.open("failover", 1, "nabira")
    run.path.unlink()
    run.path.symlink_to("/dev/full")
    with pytest.raises(Failed, match="No space left on device") as caught:
        run.step_started("confirm")
    assert "free space" in caught.value.hint
