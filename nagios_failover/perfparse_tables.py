"""PerfParse's tables of 2004 to 2006 (up to 0.106.1), as far as the programs that read them tell. Pure.

Ours are wider where the old ones would lose something: values are DOUBLE (a FLOAT keeps seven digits), names have room for
255 characters and are compared as Nagios compares them (C: is not c:), warn and critical hold the whole range that the plugin
printed. Times are UTC in every table, so that a change to or from summer time neither doubles an hour nor leaves one out.
Three tables are our own: how far each host's queue is loaded, what was counted on the way, and which host took over when.
"""

from __future__ import annotations

from collections.abc import Mapping

from nagios_failover.metrics import NAME_LIMIT, RANGE_LIMIT, UNIT_LIMIT
from nagios_failover.tables import Column, Table

_NAME = f"varchar({NAME_LIMIT})"
_OPTIONS = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin ROW_FORMAT=DYNAMIC"
_NUMBER = "bigint(20) unsigned"
_EMPTY = "DEFAULT ''"
_ZERO = "DEFAULT 0"

HOST_NAME = Column("host_name", _NAME, default=_EMPTY)
SERVICE = Column("service_description", _NAME, default=_EMPTY)
METRIC = Column("metric", _NAME, default=_EMPTY)
IS_DELETED = Column("is_deleted", "tinyint(4)", default=_ZERO)


def _id(name: str) -> Column:
    return Column(name, _NUMBER, default="AUTO_INCREMENT", others=("int(11)", "int(10) unsigned", "bigint(20)"))


HOSTS = Table(
    "perfdata_host",
    (_id("host_id"), HOST_NAME, IS_DELETED),
    ("PRIMARY KEY (host_id)", "UNIQUE KEY host (host_name)"),
    _OPTIONS,
)
SERVICES = Table(
    "perfdata_service",
    (_id("service_id"), HOST_NAME, SERVICE, IS_DELETED),
    ("PRIMARY KEY (service_id)", "UNIQUE KEY service (host_name, service_description)"),
    _OPTIONS,
)
METRICS = Table(
    "perfdata_service_metric",
    (
        _id("metric_id"),
        HOST_NAME,
        SERVICE,
        METRIC,
        Column("unit", f"varchar({UNIT_LIMIT})", default=_EMPTY),
        Column("last_perfdata_bin", _NUMBER, null=True, others=("int(11) NULL", "int(10) unsigned NULL", "bigint(20) NULL")),
    ),
    ("PRIMARY KEY (metric_id)", "UNIQUE KEY metric (host_name, service_description, metric)"),
    _OPTIONS,
)
BIN = Table(
    "perfdata_service_bin",
    (
        _id("id"),
        HOST_NAME,
        SERVICE,
        METRIC,
        Column("ctime", "datetime"),
        Column("value", "double", null=True, others=("double",)),
        Column("state", "tinyint(4)", default=_ZERO),
        Column("warn", f"varchar({RANGE_LIMIT})", null=True),
        Column("critical", f"varchar({RANGE_LIMIT})", null=True),
    ),
    (
        "PRIMARY KEY (id)",
        "KEY series (host_name, service_description, metric, ctime)",
        "KEY ctime (ctime)",
    ),
    _OPTIONS,
)
RAW = Table(
    "perfdata_service_raw",
    (
        _id("id"),
        HOST_NAME,
        SERVICE,
        Column("ctime", "datetime"),
        Column("output", "mediumtext", null=True),
        Column("nagios_status", "tinyint(4)", default=_ZERO),
        Column("perfdata", "mediumtext", null=True),
    ),
    ("PRIMARY KEY (id)", "KEY service (host_name, service_description, ctime)", "KEY ctime (ctime)"),
    _OPTIONS,
)
SUMMARY = Table(
    "perfdata_raw_summary_data",
    (
        Column("service_id", _NUMBER, others=("int(11)", "int(10) unsigned", "bigint(20)")),
        Column("ctime", "datetime"),
        *(
            Column(f"sum_{what}", "bigint(20)", default=_ZERO, others=("int(11)",))
            for what in ("uptime", "warntime", "criticaltime", "undeftime")
        ),
    ),
    ("PRIMARY KEY (service_id, ctime)", "KEY ctime (ctime)"),
    _OPTIONS,
)
POSITION = Table(
    "nagios_failover_position",
    (HOST_NAME, Column("queue_file", "varchar(32)", default=_EMPTY), Column("queue_offset", _NUMBER, default=_ZERO)),
    ("PRIMARY KEY (host_name, queue_file)",),
    _OPTIONS,
)
COUNT_COLUMNS = ("raw_rows", "bin_rows", "lines_aside", "metrics_aside")
COUNT = Table(
    "nagios_failover_count",
    (HOST_NAME, *(Column(name, _NUMBER, default=_ZERO) for name in COUNT_COLUMNS)),
    ("PRIMARY KEY (host_name)",),
    _OPTIONS,
)
TAKEOVER = Table(
    "nagios_failover_takeover",
    (Column("term", _NUMBER, default=_ZERO), HOST_NAME, Column("ctime", "datetime")),
    ("PRIMARY KEY (term, host_name)",),
    _OPTIONS,
)
TABLES = (HOSTS, SERVICES, METRICS, BIN, RAW, SUMMARY, POSITION, COUNT, TAKEOVER)


def is_layout_of_2007(columns: Mapping[str, Mapping[str, str]]) -> bool:
    """Are these tables (name to columns and their types) PerfParse 0.106.2's: rows by a number, times as numbers?"""
    bin_columns, raw_columns = columns.get(BIN.name, {}), columns.get(RAW.name, {})
    by_number = "metric_id" in bin_columns or "service_id" in raw_columns
    return by_number or any("int" in found.get("ctime", "") for found in (bin_columns, raw_columns))
