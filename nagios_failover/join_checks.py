"""Before anything is replaced: is the source fit to be one, is this server fit to follow it, and which way leads there?"""

from __future__ import annotations

from collections.abc import Sequence

from nagios_failover import own_database, server_settings
from nagios_failover.config import Config
from nagios_failover.database_server import Server
from nagios_failover.dialect import Statement
from nagios_failover.errors import Refused
from nagios_failover.gtid import in_words
from nagios_failover.joining import Joining, Way
from nagios_failover.own_database import administered, source
from nagios_failover.replica_status import ReplicaStatus
from nagios_failover.run_record import REJOIN, SETUP_STANDBY


def check_source(flow: Joining) -> str:
    """Raises Refused with everything that is wrong, and where it is mended."""
    config, peer = flow.config, flow.config.peer.name
    with source(config) as there, administered(config) as here:
        found, own = own_database.settings_of(config, there), own_database.settings_of(config, here)
        mend = f"run on {peer}, as root: nagios-failover init-database --restart"
        _refuse(peer, "its database server is not ready to be a source", server_settings.wrong(config, peer, found), mend)
        _refuse(config.this_name, "the two servers do not fit", server_settings.wrong_pair(config, own, found), mend)
        _require_source(there)
        for server in (there, here):
            _require_known_databases(config, server)
        _require_transactions(config, there)
        cipher = there.rows("SHOW SESSION STATUS LIKE 'Ssl_cipher'")[0]["Value"]
        speaks = f"{there.dialect.name} {there.dialect.version}"
        return f"{peer} is a source as it should be, {speaks}, over verified TLS ({cipher})"


def _refuse(host: str, what: str, lines: Sequence[str], hint: str) -> None:
    if lines:
        raise Refused(what, host=host, detail="\n".join(lines), hint=hint)


def _require_source(there: Server) -> None:
    if there.is_read_only():
        raise Refused(
            "its database is read-only: it is not the source",
            host=there.host,
            hint=f"if {there.host} is the master, as root there: nagios-failover promote after a failover, nagios-failover "
            "init-database --restart at first",
        )


def _require_known_databases(config: Config, server: Server) -> None:
    names = [str(next(iter(row.values()))) for row in server.rows("SHOW DATABASES")]
    others = server_settings.foreign(config, names)
    if others:
        them = "it" if len(others) == 1 else "them"
        raise Refused(
            f"its server holds {', '.join(others)}, and [replication] databases does not list {them}: the whole instance is "
            "replicated, since with a filter every failover would cost a copy",
            host=server.host,
            hint=f"add {them} to [replication] databases on both hosts, or move {them} to another server",
        )


def _require_transactions(config: Config, there: Server) -> None:
    rows = there.rows(
        Statement(
            "SELECT TABLE_SCHEMA AS one, TABLE_NAME AS two, ENGINE AS engine FROM information_schema.TABLES "
            "WHERE TABLE_TYPE = 'BASE TABLE' AND ENGINE <> 'InnoDB' AND TABLE_SCHEMA IN %s",
            (config.replication.databases,),
        )
    )
    lines = [
        f"{row['one']}.{row['two']} is {row['engine']}: ALTER TABLE `{row['one']}`.`{row['two']}` ENGINE=InnoDB" for row in rows
    ]
    _refuse(there.host, "it has tables without transactions: no copy of them is consistent", lines, "run the statements there")


def _require_sight(config: Config, there: Server) -> None:
    """Before this host's databases are dropped: of what its account does not see, nothing would be copied, and nobody told."""
    held = {str(row["name"]) for row in there.rows("SELECT PRIVILEGE_TYPE AS name FROM information_schema.USER_PRIVILEGES")}
    lacking = [name for name in there.dialect.replication_privileges if " ON " not in name and name not in held]
    if lacking:
        raise Refused(
            f"its account {config.replication.replication_user} lacks {', '.join(lacking)}: what it does not see is not copied",
            host=there.host,
            hint=f"as root on {there.host}: nagios-failover init-database gives the account what it needs",
        )


def decide(flow: Joining) -> str:
    """Which way. Everything that a person must allow is asked for here, before anything is changed."""
    config = flow.config
    with source(config) as there, administered(config) as here:
        status, position = here.replica_status(), here.value(here.dialect.position)
        own = here.value(here.dialect.history)
        theirs = there.value(there.dialect.history)  # after ours: what a replica has received meanwhile is its source's
        errant = here.minus(own, theirs)
        many = in_words(here.dialect.count_alone(own, theirs, here.value))
        alone = f"{many} that {config.peer.name} has not ({errant})" if errant else ""
        stops = any(row.get("Until_Condition") not in (None, "", "None") for row in here.rows(here.dialect.replica_status))
        way, why = _way(flow, status, here.is_read_only() and not stops, position, alone)
        held = {} if way is not Way.COPY else filled(config, here)
        if errant:
            flow.note("emptied", False)  # it has been used since: what is in it is more than a copy that was cut off
        flow.note("errant", errant)
        flow.note("way", way)
        if status is not None and status.source_host != config.peer.address and not flow.replace:
            raise Refused(
                f"its server is a replica of {status.source_host}, not of {config.peer.name} ({config.peer.address})",
                host=config.this_name,
                hint="nagios-failover setup-standby --replace, if it may leave that one",
            )
        if way is Way.COPY:
            require_leave(flow, held, why)
            _require_sight(config, there)
        flow.note("databases", existing(config, there))
        flow.note("estimate", _size(config, there))
    return why


def _way(flow: Joining, status: ReplicaStatus | None, as_told: bool, position: str, alone: str) -> tuple[Way, str]:
    """`as_told`: the server is read-only, and its replica is not told to stop somewhere (by a comparison that was cut short)."""
    peer = flow.config.peer
    if flow.replace and flow.kind == SETUP_STANDBY:
        return Way.COPY, "copied anew, as --replace says"
    if alone:
        return Way.COPY, f"it has {alone}"
    doubtful = flow.notes.get("emptied")  # an earlier run emptied it, and did not see it become a whole copy
    if doubtful and status is None:
        return Way.COPY, "an earlier copy was not finished: it begins anew"
    ours = status is not None and status.source_host == peer.address and status.by_gtid and status.tls_verified
    if status is not None and ours and status.receiving and status.applying and as_told and not doubtful:
        return Way.NOTHING, f"it is a healthy replica of {peer.name}, {lag_words(status)}: left alone"
    if not position:
        return Way.COPY, "it has no history in common with the source"
    if status is not None and status.apply_errno:
        return Way.COPY, f"it cannot go on: {status.apply_error}"
    return Way.ATTACH, f"its history ({position}) is part of {peer.name}'s: it only has to be attached"


def lag_words(status: ReplicaStatus) -> str:
    return "lag unknown" if status.lag_seconds is None else f"{status.lag_seconds} s behind"


def filled(config: Config, here: Server) -> dict[str, int]:
    """Databases that hold anything -> how many tables do."""
    found: dict[str, int] = {}
    for name in existing(config, here):
        tables = here.rows(
            Statement(
                "SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_TYPE = 'BASE TABLE'",
                (name,),
            )
        )
        full = [row for row in tables if here.value(f"SELECT 1 FROM `{name}`.`{quoted(str(row['name']))}` LIMIT 1")]
        if full:
            found[name] = len(full)
    return found


def quoted(name: str) -> str:
    return name.replace("`", "``")


def require_leave(flow: Joining, held: dict[str, int], why: str) -> None:
    """Nothing is replaced without a word. An earlier copy of ours, cut off, is nobody's data; `rejoin` is such a word."""
    if not held or flow.replace or flow.kind == REJOIN or flow.notes.get("emptied"):
        return
    tables = ", ".join(f"{name} ({count} table{'s' if count > 1 else ''} with rows)" for name, count in held.items())
    raise Refused(
        f"{why}, so it has to be copied anew, and its server holds {tables}",
        host=flow.config.this_name,
        hint="give the command again with --replace, if they may be replaced by the source's",
    )


def existing(config: Config, server: Server) -> list[str]:
    names = {str(next(iter(row.values()))) for row in server.rows("SHOW DATABASES")}
    return [name for name in config.replication.databases if name in names]


def _size(config: Config, there: Server) -> int:
    """Bytes of data, about what a dump has."""
    sql = "SELECT SUM(DATA_LENGTH) FROM information_schema.TABLES WHERE TABLE_SCHEMA IN %s"
    return int(float(there.value(Statement(sql, (config.replication.databases,))) or 0))
