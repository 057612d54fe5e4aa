"""The run of a rejoin: its steps for the database and for Nagios, and what proves that the host is ready."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nagios_failover.config import Config
from nagios_failover.errors import Failed
from nagios_failover.join_nagios import prove_ready
from nagios_failover.joining import Joining, rehearsal
from nagios_failover.journal import Journal
from nagios_failover.rejoin import WORKFLOW
from nagios_failover.state_files import StateFiles
from nagios_failover.trials import Trial
from tests.fake_world import config_of, standby

WELL = Trial("disk", True, "nabira: 9 MiB free at least")
SETTLING = Trial("other host", False, "yasu: its heartbeat is 70 s old", "wait")
BROKEN = Trial("sudo", False, "nabira: sudo -n fails", "visudo -c")


class Site:
    def __init__(self, directory: Path) -> None:
        self.config: Config = config_of(directory)
        self.state = StateFiles(directory)
        standby(self.state)
        self.asked = 0

    def flow(self) -> Joining:
        run = Journal(self.state.directory).open("rejoin", 3, "nabira", trigger="command")
        return Joining(self.config, self.state, run, "rejoin", lambda _: None, lambda *_: None)

    def prove(self, *found: list[Trial]) -> str:
        def tries(config: Config, state: StateFiles) -> Iterator[Trial]:
            self.asked += 1
            yield from found[min(self.asked, len(found)) - 1]

        return prove_ready(self.flow(), tries)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_what_is_not_configured_is_left_out_and_the_rest_is_told(site: Site) -> None:
    """A pair without replicated databases and without [sync]."""
    steps = {step.name: step for step in rehearsal(site.config, site.state, WORKFLOW, say=lambda _: None)}
    database = ["role", "this server", "source", "compare", "attach", "save", "empty", "copy", "replicate", "catch up", "verify"]
    nagios = ["start Nagios", "term", "passive", "copy state", "merge logs", "objects", "watch services", "ready"]
    assert list(steps) == ["stand down", *database, "heartbeat", *nagios]
    left_out = [name for name, step in steps.items() if step.outcome == "skipped"]
    assert left_out == [*database, "heartbeat", "copy state", "merge logs", "objects"]


def test_ready_is_proved_when_nothing_stands_in_the_way(site: Site) -> None:
    assert site.prove([WELL, WELL]) == "nothing stands in the way of a failover or a switchover (2 things tried)"


def test_what_settles_by_itself_is_waited_for(site: Site) -> None:
    assert site.prove([WELL, SETTLING], [WELL]).startswith("nothing stands in the way") and site.asked == 2


def test_for_what_a_person_has_to_mend_nobody_waits(site: Site) -> None:
    with pytest.raises(Failed) as failed:
        site.prove([SETTLING, BROKEN])
    assert str(failed.value) == (
        "2 in the way: yasu: its heartbeat is 70 s old (hint: wait); nabira: sudo -n fails (hint: visudo -c)"
    )
    assert site.asked == 1
