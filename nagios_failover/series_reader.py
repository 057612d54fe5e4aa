"""Reads series from PerfParse's tables on this host's own server, put together there: a month is as many rows as it has slots."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nagios_failover import mysql
from nagios_failover.config import Config
from nagios_failover.errors import ConfigError, UsageError
from nagios_failover.perfparse_tables import BIN, METRICS, TAKEOVER
from nagios_failover.series import Series, Slot, Span, Takeover

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

QUERY_SECONDS = 60.0
"""A person waits for it; the loader's own time limit is for single rows."""

_NEWEST = "SUBSTRING(MAX(CONCAT(ctime, {})), 20)"
"""A time is 19 characters."""

_BY_SEVERITY = (0, 0, 1, 3, 2)
"""What FIELD counts from 1 on, with 0 for none of them: worse than UNKNOWN is CRITICAL."""

_SERIES = (
    "SELECT FLOOR((UNIX_TIMESTAMP(ctime) - %s) / %s) AS slot, COUNT(value), MIN(value), AVG(value), MAX(value), "
    f"{_NEWEST.format('value')}, MAX(FIELD(state, 0, 1, 3, 2)), "
    f"""{_NEWEST.format("COALESCE(warn, '')")}, {_NEWEST.format("COALESCE(critical, '')")} """
    f"FROM {BIN.name} WHERE host_name = %s AND service_description = %s AND metric = %s "
    "AND ctime >= FROM_UNIXTIME(%s) AND ctime < FROM_UNIXTIME(%s) GROUP BY slot ORDER BY slot"
)


def read_series(config: Config, host: str, service: str, metric: str | None, span: Span) -> tuple[list[Series], list[Takeover]]:
    """The metric, or all of the service in their order; and who took over in that time, the oldest first. Raises UsageError where
    there is none of this name, with those that are alike; Failed when the server does not answer."""
    with _cursor(config) as cursor:
        series = [
            Series(host, service, name, unit, span, _slots(cursor, host, service, name, span), newest)
            for name, unit, newest in _metrics(cursor, host, service, metric)
        ]
        return series, _takeovers(cursor, span)


@contextmanager
def _cursor(config: Config) -> Iterator[Cursor]:
    section = config.database
    if section.socket is None or not config.perfdata.load:
        raise ConfigError("no trend data is configured", hint="[database] socket = /run/mysqld/mysqld.sock, [perfdata] load = yes")
    with (
        mysql.told("trend data cannot be read", hint=mysql.WRITE_HINT),
        mysql.connection(
            timeout=QUERY_SECONDS,
            user=section.user,
            password=section.password,
            database=config.perfdata.database,
            socket=section.socket,
        ) as opened,
        opened.cursor() as cursor,
    ):
        yield cursor


def _metrics(cursor: Cursor, host: str, service: str, metric: str | None) -> Sequence[tuple[str, str, int | None]]:
    """Names, units, and when they were measured last."""
    cursor.execute(
        f"SELECT m.metric, unit, UNIX_TIMESTAMP(ctime) FROM {METRICS.name} m LEFT JOIN {BIN.name} b ON b.id = last_perfdata_bin "
        "WHERE m.host_name = %s AND m.service_description = %s ORDER BY metric_id",
        (host, service),
    )
    found = [(str(name), str(unit), None if moment is None else int(moment)) for name, unit, moment in cursor.fetchall()]
    if not found:
        cursor.execute(f"SELECT DISTINCT service_description FROM {METRICS.name} WHERE host_name = %s", (host,))
        if services := [str(row[0]) for row in cursor.fetchall()]:
            raise UsageError(f"there is no trend data of {host} {service}", hint=f"{host} has {_alike(service, services)}")
        cursor.execute(f"SELECT DISTINCT host_name FROM {METRICS.name}")
        hosts = [str(row[0]) for row in cursor.fetchall()]
        hint = f"there is some of {_alike(host, hosts)}" if hosts else "there is none at all: check_perfdata on the master says why"
        raise UsageError(f"there is no trend data of {host}", hint=hint)
    if metric is None:
        return found
    chosen = [one for one in found if one[0] == metric]
    if not chosen:
        names = [name for name, _, _ in found]
        raise UsageError(f"{host} {service} has no metric {metric!r}", hint=f"it has {_alike(metric, names)}")
    return chosen


def _alike(name: str, names: Sequence[str], most: int = 8) -> str:
    folded: dict[str, list[str]] = {}
    for other in names:
        folded.setdefault(other.casefold(), []).append(other)
    near = [other for found in difflib.get_close_matches(name.casefold(), folded, n=most, cutoff=0.4) for other in folded[found]]
    chosen = (near + [other for other in names if other not in near])[:most]
    more = len(names) - len(chosen)
    return ", ".join(chosen) + (f" and {more} more" if more else "")


def _slots(cursor: Cursor, host: str, service: str, metric: str, span: Span) -> list[Slot]:
    cursor.execute(_SERIES, (span.begin, span.width, host, service, metric, span.begin, span.end))
    return [
        Slot(
            number=int(slot),
            values=int(count),
            low=low,
            average=average,
            high=high,
            last=None if last is None else float(last),
            state=_BY_SEVERITY[severity],
            warn=warn or "",
            crit=crit or "",
        )
        for slot, count, low, average, high, last, severity, warn, crit in cursor.fetchall()
    ]


def _takeovers(cursor: Cursor, span: Span) -> list[Takeover]:
    cursor.execute(
        f"SELECT host_name, UNIX_TIMESTAMP(ctime) AS moment FROM {TAKEOVER.name} "
        "WHERE ctime >= FROM_UNIXTIME(%s) AND ctime < FROM_UNIXTIME(%s) ORDER BY moment",
        (span.begin, span.end),
    )
    return [Takeover(str(host), int(moment)) for host, moment in cursor.fetchall()]
