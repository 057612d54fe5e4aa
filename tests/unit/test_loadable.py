"""What Nagios must not load while it runs is refused, whoever made it."""

from __future__ import annotations

import pytest

from nagios_failover.errors import Refused
from nagios_failover.gap import Gap
from nagios_failover.incidents import Conversion, Flapping
from nagios_failover.loadable import loadable
from tests.unit.snapshots import CREATED, comment, host, program, service
from tests.unit.test_incidents import SNAPSHOT, WATCH, in_pieces, own_of


def pieces_of(text: str) -> list[bytes]:
    return [part.encode() + b"\t}\n\n" for part in text.split("\t}\n\n")[:-1]]


def test_what_is_made_is_loadable() -> None:
    conversion = Conversion(own_of(), Gap(CREATED, CREATED, doubt=2), watch_host=WATCH, flapping=Flapping())
    made = list(conversion.lines(in_pieces(SNAPSHOT)))
    assert list(loadable(made, watch_host=WATCH)) == made


@pytest.mark.parametrize(
    ("unfiltered", "why"),
    [
        (service(WATCH, "Master Nagios", 2).replace("servicestatus", "service"), "a state of the watch host"),
        (comment(WATCH, "Master Nagios", 10), "a state of the watch host"),
        (host(WATCH).replace("hoststatus", "host"), "a state of the watch host"),
        (program().replace("programstatus", "program"), "a program block with the flags"),
        (SNAPSHOT, "a status file"),
        ("program {\nenable_notifications=1\n}\nhost {\nhost_name=web1\n}\n\t}\n\n", "a program block"),  # as Nagios retains it
        ("service {\nhost_name=nagios-failover\nservice_description=x\n}\n\t}\n\n", "a state of the watch host"),
    ],
)
def test_an_unfiltered_file_is_refused(unfiltered: str, why: str) -> None:
    """With these loaded, one host took over twelve times in 36 seconds."""
    with pytest.raises(Refused, match=why):
        list(loadable(pieces_of(unfiltered), watch_host=WATCH))
