"""The step `database` of a stand-down: this host's database takes no writes any more, and starts as a replica from now on.

Attaching it to the new source is what a rejoin does.
"""

from __future__ import annotations

from nagios_failover import old_source
from nagios_failover.database_server import Server
from nagios_failover.errors import Failed, FailoverError
from nagios_failover.gtid import in_words
from nagios_failover.workflow import Flow, ask_root


def would_demote(flow: Flow) -> str:
    return f"would make {flow.this}'s database read-only, end its clients' connections, and write the drop-in of a replica"


def demote(flow: Flow) -> str:
    """Raises Failed when writes may still be taken, or the next start of mysqld may take them; the other half is done then."""
    said: list[str] = []
    troubles: list[Failed] = []
    if flow.config.replication.drop_in:
        try:
            said.append(ask_root(flow, "database-replica"))  # first: a server that hangs is restarted by somebody
        except Failed as error:
            troubles.append(error)
    try:
        with flow.hands.own_database() as server:
            silenced = old_source.silence(server, flow.config)
            server.acknowledge_nothing()
            said.append(f"{flow.this}'s database is read-only ({silenced.words}), its position is {silenced.position}")
            said += _compared(flow, server)
    except FailoverError as error:
        troubles.append(Failed(f"{flow.this}'s database could not be made read-only: {error.what}", hint=error.hint))
    if troubles:
        raise Failed("; ".join([*map(str, troubles), *said]), hint=troubles[0].hint)
    return "; ".join(said)


def _compared(flow: Flow, server: Server) -> list[str]:
    """What this host's database has and the new source has not: what a failover has lost, in numbers, as soon as both can be read.
    Nothing is said while the other one is not the source."""
    try:
        with flow.hands.old_source() as new:
            if new.is_read_only() or new.replica_status() is not None:
                return []
            theirs = new.value(new.dialect.history)
    except FailoverError as error:
        return [f"what of it {flow.peer}'s lacks is not known yet: {error.what}"]
    own = server.value(server.dialect.history)
    lost = server.minus(own, theirs)
    if not lost:
        return [f"{flow.peer}'s has all of it"]
    many = in_words(server.dialect.count_alone(own, theirs, server.value))
    flow.note("alone", many)
    return [f"it has {many} that {flow.peer}'s has not ({lost}): nagios-failover rejoin saves them as SQL"]
