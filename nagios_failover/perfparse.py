"""PerfParse's tables on this host's own server, as the loader writes them.

One transaction holds a batch's rows, what follows from them, and how far the queue is loaded: whatever is killed, and whenever,
rows and position are of one moment. Each transaction begins by locking this host's positions. A commit that was sent to a
server that did not answer may still come to pass; whoever goes on waits for it there, and reads what became of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from nagios_failover import mysql
from nagios_failover.config import Config
from nagios_failover.load_data import NULL, allows_load_data, insert_many
from nagios_failover.metrics import Sample
from nagios_failover.perfparse_tables import BIN, COUNT, COUNT_COLUMNS, HOSTS, METRICS, POSITION, RAW, SERVICES, SUMMARY, TAKEOVER
from nagios_failover.summaries import add_summary, summaries

if TYPE_CHECKING:
    from pymysql.connections import Connection
    from pymysql.cursors import Cursor

LONGEST_CACHE = 500_000
"""Metrics remembered at a time; a site with more of them asks the server again."""

RAW_COLUMNS = ("host_name", "service_description", "ctime", "output", "nagios_status", "perfdata")
BIN_COLUMNS = ("id", "host_name", "service_description", "metric", "ctime", "value", "state", "warn", "critical")

_MOMENT = "TIMESTAMPDIFF(SECOND, '1970-01-01', ctime)"
"""UNIX_TIMESTAMP is NULL from 2038 on, where a clock may have been for a moment."""

Service = tuple[str, str]
Row = tuple[str, ...]
Newest = dict[tuple[str, str, str], tuple[int, str]]


class Batch(NamedTuple):
    """What one transaction writes: whole lines' samples, how far each file is read then, and what was set aside. `meanwhile` is
    done in steps while the server keeps us waiting, as far as it comes."""

    samples: Sequence[Sample]
    positions: Mapping[str, int]
    lines_aside: int = 0
    metrics_aside: int = 0
    meanwhile: Iterator[None] | None = None

    @property
    def bin_rows(self) -> int:
        return sum(len(sample.metrics) for sample in self.samples)


class Counts(NamedTuple):
    """What this host's loader has written in all."""

    raw_rows: int = 0
    bin_rows: int = 0
    lines_aside: int = 0
    metrics_aside: int = 0


class _Known:
    """What has been seen through this connection: it goes with it, since a transaction that fails takes its rows back."""

    def __init__(self) -> None:
        self.hosts: set[str] = set()
        self.services: dict[Service, int] = {}
        self.metrics: dict[tuple[str, str, str], int] = {}
        self.last: dict[Service, tuple[int, int]] = {}  # a service's newest sample: moment and state
        self.next_bin = 0


class PerfParse:
    """Writes batches. Every method raises Failed; the connection is then given up, and what was not committed with it."""

    def __init__(self, config: Config) -> None:
        self._database = config.database
        self._perfdata = config.perfdata
        self._this = config.this_name
        self._open = ExitStack()
        self._kept: Connection[Any] | None = None
        self._load_data = False
        self._known = _Known()

    def load(self, host: str, read: Callable[[Mapping[str, int]], Batch]) -> tuple[Batch, Counts]:
        """One transaction: `read` is given the positions of this host's queue (file to offset) and returns what follows them.
        Returns the batch as written, and all that has been written of this host so far."""
        with self._connected("trend data cannot be written") as connection:
            with connection.cursor() as cursor:
                positions = _lock(cursor, host)
                batch = read(positions)
                connection.meanwhile = batch.meanwhile  # type: ignore[attr-defined]
                self._write(cursor, batch)
                _move(cursor, host, positions, batch, forget=host == self._this)
                counts = _counted(cursor, host, batch)
            connection.commit()
            connection.meanwhile = None  # type: ignore[attr-defined]
        return batch, counts

    def note_takeover(self, term: int, moment: int) -> None:
        """This host is the master of that term since then (epoch seconds). Whoever loads later has it with the rows."""
        with self._connected("a takeover cannot be noted") as connection, connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {TAKEOVER.name} (term, host_name, ctime) VALUES (%s, %s, %s) ON DUPLICATE KEY UPDATE term = term",
                (term, self._this, utc(moment)),
            )
            connection.commit()

    def forget(self, days: int, limit: int) -> int:
        """Delete at most `limit` rows of each table that are older than `days`; returns how many there were."""
        deleted = 0
        with self._connected("old trend data cannot be deleted") as connection:
            for table in (BIN, RAW, SUMMARY):
                with connection.cursor() as cursor:
                    cursor.execute(
                        f"DELETE FROM {table.name} WHERE ctime < UTC_TIMESTAMP() - INTERVAL %s DAY ORDER BY ctime LIMIT %s",
                        (days, limit),
                    )
                    deleted += cursor.rowcount
                connection.commit()
        return deleted

    def close(self) -> None:
        self._kept = None
        self._open.close()

    @contextmanager
    def _connected(self, what: str) -> Iterator[Connection[Any]]:
        """The connection, given up with whatever goes wrong with it; `what` says what cannot be done then."""
        with mysql.told(what, hint=mysql.WRITE_HINT):
            try:
                yield self._connect()
            except BaseException:
                self.close()
                raise

    def _connect(self) -> Connection[Any]:
        if self._kept is None:
            opened = self._open.enter_context(
                mysql.connection(
                    timeout=self._database.timeout,
                    user=self._database.user,
                    password=self._database.password,
                    database=self._perfdata.database,
                    socket=self._database.socket,
                    local_infile=True,
                )
            )
            with opened.cursor() as cursor:
                # whatever this server's is: what does not fit is an error, and a backslash escapes
                cursor.execute("SET SESSION sql_mode = 'STRICT_ALL_TABLES'")
            self._load_data = allows_load_data(opened)
            self._known = _Known()
            self._kept = opened
        return self._kept

    def _write(self, cursor: Cursor, batch: Batch) -> None:
        if not batch.samples:
            return
        if len(self._known.metrics) > LONGEST_CACHE:
            self._known = _Known()
        known = self._known
        if not known.next_bin:
            cursor.execute(f"SELECT COALESCE(MAX(id), 0) + 1 FROM {BIN.name}")
            (known.next_bin,) = cursor.fetchone() or (1,)
        raw, measured, newest = self._rows(batch.samples)
        self._introduce(cursor, dict.fromkeys((row[0], row[1]) for row in raw), newest)
        insert_many(cursor, RAW, RAW_COLUMNS, raw, load_data=self._load_data)
        insert_many(cursor, BIN, BIN_COLUMNS, measured, load_data=self._load_data)
        if newest:
            cursor.executemany(
                f"INSERT INTO {METRICS.name} (metric_id, host_name, service_description, metric, unit, last_perfdata_bin) "
                "VALUES (%s, %s, %s, %s, %s, %s) "
                "ON DUPLICATE KEY UPDATE unit = VALUES(unit), last_perfdata_bin = VALUES(last_perfdata_bin)",
                [(known.metrics[key], *key, unit, row) for key, (row, unit) in newest.items()],
            )
        add_summary(cursor, summaries(batch.samples, known.last, known.services))

    def _rows(self, samples: Iterable[Sample]) -> tuple[list[Row], list[Row], Newest]:
        """Raw rows, bin rows, and of each metric its newest bin row's id and its unit."""
        raw: list[Row] = []
        measured: list[Row] = []
        newest: Newest = {}
        times: dict[int, str] = {}
        number = self._known.next_bin
        for sample in samples:
            host, service, state = named(sample.host), named(sample.service), str(sample.state)
            when = times.get(sample.moment) or times.setdefault(sample.moment, utc(sample.moment))
            raw.append((host, service, when, sample.output, state, sample.perfdata))
            for label, value, unit, warn, crit, _, _ in sample.metrics:
                label = named(label)
                text = NULL if value is None else repr(value)
                measured.append((str(number), host, service, label, when, text, state, warn or NULL, crit or NULL))
                newest[host, service, label] = (number, unit)
                number += 1
        self._known.next_bin = number
        return raw, measured, newest

    def _introduce(self, cursor: Cursor, services: Iterable[Service], metrics: Newest) -> None:
        """Hosts, services and metrics that are seen for the first time get their rows; what the tables know is remembered."""
        known = self._known
        services = list(services)
        hosts = [host for host in dict.fromkeys(host for host, _ in services) if host not in known.hosts]
        for some in _pieces(hosts):
            self._remember_hosts(cursor, some)
        new = [service for service in services if service not in known.services]
        if new:
            columns = "host_name, service_description"
            cursor.executemany(f"INSERT INTO {SERVICES.name} ({columns}) VALUES (%s, %s)", new)
            for some in _pieces(list(dict.fromkeys(host for host, _ in new))):
                self._remember_services(cursor, some)
        unknown = [(*key, unit) for key, (_, unit) in metrics.items() if key not in known.metrics]
        if unknown:
            columns = "host_name, service_description, metric, unit"
            cursor.executemany(f"INSERT INTO {METRICS.name} ({columns}) VALUES (%s, %s, %s, %s)", unknown)
            for some in _pieces(list(dict.fromkeys(key[0] for key in unknown))):
                self._remember_metrics(cursor, some)

    def _remember_hosts(self, cursor: Cursor, hosts: Sequence[str]) -> None:
        """Everything that the tables know of these hosts; those that they do not know get their row."""
        cursor.execute(f"SELECT host_name FROM {HOSTS.name} WHERE host_name IN %s", (hosts,))
        there = {str(name) for (name,) in cursor.fetchall()}
        new = [(host,) for host in hosts if host not in there]
        if new:
            cursor.executemany(f"INSERT INTO {HOSTS.name} (host_name) VALUES (%s)", new)
        self._known.hosts.update(hosts)
        self._remember_services(cursor, hosts)
        self._remember_metrics(cursor, hosts)
        newest = f"SELECT host_name, service_description, MAX(ctime) AS ctime FROM {RAW.name} WHERE host_name IN %s GROUP BY 1, 2"
        cursor.execute(
            f"SELECT host_name, service_description, {_MOMENT}, nagios_status FROM {RAW.name} "
            f"JOIN ({newest}) AS newest USING (host_name, service_description, ctime)",
            (hosts,),
        )
        for host, service, moment, state in cursor.fetchall():
            self._known.last[str(host), str(service)] = (int(moment), int(state))

    def _remember_services(self, cursor: Cursor, hosts: Sequence[str]) -> None:
        cursor.execute(f"SELECT service_id, host_name, service_description FROM {SERVICES.name} WHERE host_name IN %s", (hosts,))
        for number, host, service in cursor.fetchall():
            self._known.services[str(host), str(service)] = int(number)

    def _remember_metrics(self, cursor: Cursor, hosts: Sequence[str]) -> None:
        cursor.execute(
            f"SELECT metric_id, host_name, service_description, metric FROM {METRICS.name} WHERE host_name IN %s", (hosts,)
        )
        for number, host, service, metric in cursor.fetchall():
            self._known.metrics[str(host), str(service), str(metric)] = int(number)


def _lock(cursor: Cursor, host: str) -> dict[str, int]:
    """The host's positions, held until the transaction ends; its row of counts is what there always is to hold."""
    columns = ", ".join(("host_name", *COUNT_COLUMNS))
    cursor.execute(f"SELECT {columns} FROM {COUNT.name} WHERE host_name = %s FOR UPDATE", (host,))
    if cursor.fetchone() is None:
        cursor.execute(f"INSERT INTO {COUNT.name} (host_name) VALUES (%s)", (host,))
    cursor.execute(f"SELECT queue_file, queue_offset FROM {POSITION.name} WHERE host_name = %s FOR UPDATE", (host,))
    return {str(name): int(offset) for name, offset in cursor.fetchall()}


def _move(cursor: Cursor, host: str, before: Mapping[str, int], batch: Batch, *, forget: bool) -> None:
    """Positions of files that the batch does not name are of files that are gone: forgotten, but not those of the other host. It
    may come back with the files that were loaded here; its own loader finds them gone."""
    gone = [(host, name) for name in before if name not in batch.positions and forget]
    if gone:
        cursor.executemany(f"DELETE FROM {POSITION.name} WHERE host_name = %s AND queue_file = %s", gone)
    moved = [(host, name, offset) for name, offset in batch.positions.items() if before.get(name) != offset]
    if moved:
        cursor.executemany(
            f"INSERT INTO {POSITION.name} (host_name, queue_file, queue_offset) VALUES (%s, %s, %s) "
            "ON DUPLICATE KEY UPDATE queue_offset = VALUES(queue_offset)",
            moved,
        )


def _counted(cursor: Cursor, host: str, batch: Batch) -> Counts:
    more = Counts(len(batch.samples), batch.bin_rows, batch.lines_aside, batch.metrics_aside)
    if any(more):
        changes = ", ".join(f"{name} = {name} + %s" for name in COUNT_COLUMNS)
        cursor.execute(f"UPDATE {COUNT.name} SET {changes} WHERE host_name = %s", (*more, host))
    cursor.execute(f"SELECT {', '.join(COUNT_COLUMNS)} FROM {COUNT.name} WHERE host_name = %s", (host,))
    return Counts(*map(int, cursor.fetchone() or ()))


def _pieces(names: Sequence[str], size: int = 500) -> Iterator[Sequence[str]]:
    """What one statement names."""
    for begin in range(0, len(names), size):
        yield names[begin : begin + size]


def named(name: str) -> str:
    """The server takes names that differ in blanks behind them for one."""
    return name.rstrip(" ") if name.endswith(" ") else name


def utc(moment: int) -> str:
    """As a DATETIME column holds it; the server's own time zone has no part in it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S")
