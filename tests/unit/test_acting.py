"""What the handler mails of a watch service."""

from __future__ import annotations

from pathlib import Path

import pytest

from nagios_failover import acting
from nagios_failover.config_file import parse
from nagios_failover.event import parse_event
from nagios_failover.flag_report import Limits, OpenRun, Problem, Seen, report
from nagios_failover.state_files import StateFiles
from nagios_failover.words import Mode

TEXT = "[host yasu]\n[host nabira]\n[witness]\naddresses = none\n[mail]\nto = a@b\n"


@pytest.mark.parametrize(("seconds", "is_mailed"), [(2.0, False), (100_000.0, True)])
def test_a_run_that_began_since_the_state_watch_spoke_tells_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, is_mailed: bool
) -> None:
    config = parse(TEXT, hostname="nabira")
    unseen = Problem("not looked at", "")
    seen = Seen(host="nabira", now=0, role=unseen, status=unseen, open_runs=[OpenRun("r", "failover", seconds)], running=True)
    monkeypatch.setattr("nagios_failover.flags.compare", lambda *_: report(seen, Mode.FAILOVER, Limits(60, 60)))
    event = parse_event([config.nagios.watch_host, config.nagios.state_watch, "WARNING", "HARD", "1"])
    said = acting.what_is_said(event, None, config, StateFiles(tmp_path), "")
    assert (said is not None) is is_mailed
