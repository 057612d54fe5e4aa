"""What the long part of cut links takes for the README's table, and what it does not; and what its recorder reads."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from tests.lab import Host
from tests.long.links import LATE_ISOLATION, LONG, SHORT, Cut, Windows, judge
from tests.notification_recorder import Followed
from tests.notification_stream import LOGGED, among

NEVER: Windows = {"log": None, "flags": None, "mail": None}
UNTIL_MENDED: Windows = {"log": (13.6, 93.9), "flags": (15.7, 93.6), "mail": (13.8, 94.2)}
UNTIL_ISOLATED: Windows = {"log": (9.0, 13.0), "flags": (10.0, 13.5), "mail": None}
BOTH, STANDBY_ONLY = Cut(LONG, "both directions", "both"), Cut(LONG, "both directions", "the standby")
LATE = Cut(LONG, "both directions", "the standby", LATE_ISOLATION)


@pytest.mark.parametrize(
    ("cut", "account", "measured"),
    [
        (BOTH, True, NEVER),
        (BOTH, False, UNTIL_MENDED),
        (STANDBY_ONLY, True, UNTIL_ISOLATED),
        (STANDBY_ONLY, False, NEVER),
        (LATE, False, {**NEVER, "log": (20.0, 45.0)}),
        (Cut(LONG, "both directions", "none"), False, NEVER),
        (Cut(SHORT, "both directions", "the standby"), False, NEVER),
    ],
    ids=str,
)  # fmt: skip
def test_the_table_holds(cut: Cut, account: bool, measured: Windows) -> None:
    judge(cut, measured, 91.0, account=account)


@pytest.mark.parametrize(
    ("cut", "account", "measured"),
    [
        (BOTH, True, {**NEVER, "flags": (9.0, 9.1)}),
        (BOTH, False, NEVER),
        (BOTH, False, {**UNTIL_MENDED, "mail": (13.8, 107.5)}),
        (STANDBY_ONLY, True, {**UNTIL_ISOLATED, "mail": (9.0, 9.5)}),
        (LATE, True, NEVER),
        (LATE, True, {**NEVER, "log": (20.0, 57.0)}),
        (STANDBY_ONLY, False, {**UNTIL_ISOLATED, "log": (9.0, 25.0)}),
        (Cut(SHORT, "both directions", "the standby"), False, UNTIL_ISOLATED),
    ],
    ids=str,
)  # fmt: skip
def test_what_the_table_does_not_say_is_seen(cut: Cut, account: bool, measured: Windows) -> None:
    with pytest.raises(AssertionError):
        judge(cut, measured, 91.0, account=account)


def test_a_log_is_followed_from_now_on_and_a_line_counts_when_it_is_whole(tmp_path: Path) -> None:
    class Outside:
        def from_outside(self, _: str) -> Path:
            return log

    log, line = tmp_path / "nagios.log", f"[1764140000{LOGGED};lab;who notifies?\n"
    log.write_text(line)
    followed = Followed(cast("Host", Outside()))
    followed.read()
    assert followed.moments == []
    for text, seen in ((line[:30], 0), (line[30:], 1), ("[1764140001] EXTERNAL COMMAND: whatever\n" + line, 2)):
        with log.open("a") as end:
            end.write(text)
        followed.read()
        assert len(followed.moments) == seen


def test_two_notify_at_once_where_their_moments_are_near() -> None:
    assert among([1.0, 1.5, 2.0, 9.0], [3.0, 3.5, 20.0]) == [2.0, 3.0]
    assert among([1.0, 1.5], [3.0, 3.5]) == []
    assert among([], [3.0]) == []
