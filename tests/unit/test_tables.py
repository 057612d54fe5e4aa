"""How a table that is there differs from what we make, where the loader would stumble over it."""

from __future__ import annotations

from nagios_failover.perfparse_tables import BIN, METRICS
from nagios_failover.tables import Found, Key

PRIMARY = Key("PRIMARY", True, ("metric_id",))
NAMES = ("host_name", "service_description", "metric")


def there(*keys: Key, numbered: tuple[str, ...] = ("metric_id",), collations: tuple[str, ...] = ("utf8mb4_bin",)) -> Found:
    columns = {column.name: f"{column.type}{' NULL' if column.null else ''}" for column in METRICS.columns}
    return Found(columns, "InnoDB", [*numbered], [*collations], [*keys])


def differences(found: Found) -> list[str]:
    return METRICS.differences(found, origin="PerfParse")


def test_keys_of_other_names_do_as_well() -> None:
    assert differences(there(PRIMARY, Key("x", True, NAMES))) == []
    keys = [Key("a", True, ("id",)), Key("b", False, (*NAMES, "ctime", "value")), Key("c", False, ("ctime",))]
    columns = {column.name: f"{column.type}{' NULL' if column.null else ''}" for column in BIN.columns}
    assert BIN.differences(Found(columns, "InnoDB", ["id"], ["utf8mb4_bin"], keys), origin="PerfParse") == []


def test_a_table_that_would_double_rows_or_be_slow_is_named_by_the_key_that_it_lacks() -> None:
    assert differences(there(PRIMARY, Key("metric", False, NAMES))) == [
        "there is no UNIQUE KEY metric (host_name, service_description, metric): "
        "ALTER TABLE perfdata_service_metric ADD UNIQUE KEY metric (host_name, service_description, metric)"
    ]


def test_a_key_that_would_refuse_rows_is_named() -> None:
    assert differences(there(PRIMARY, Key("metric", True, NAMES), Key("label", True, ("metric",)))) == [
        "its key label takes nothing twice (metric), and is not ours: ALTER TABLE perfdata_service_metric DROP KEY `label`"
    ]


def test_an_id_that_does_not_number_itself_is_named() -> None:
    assert differences(there(PRIMARY, Key("metric", True, NAMES), numbered=())) == [
        "column metric_id does not number itself: ALTER TABLE perfdata_service_metric MODIFY metric_id bigint(20) "
        "unsigned NOT NULL AUTO_INCREMENT"
    ]


def test_text_in_which_two_names_are_one_is_named() -> None:
    assert differences(there(PRIMARY, Key("metric", True, NAMES), collations=("utf8mb4_bin", "latin1_swedish_ci"))) == [
        "its text is latin1_swedish_ci, not utf8mb4_bin: "
        "ALTER TABLE perfdata_service_metric CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    ]


def test_an_id_that_is_missing_is_added_with_its_key_in_one_statement() -> None:
    found = there(Key("metric", True, NAMES))
    del found.columns["metric_id"]
    assert differences(found) == [
        "column metric_id is missing: ALTER TABLE perfdata_service_metric ADD metric_id bigint(20) unsigned NOT NULL "
        "AUTO_INCREMENT, ADD PRIMARY KEY (metric_id)"
    ]


def test_a_view_in_a_table_s_place_is_named() -> None:
    assert differences(there()._replace(engine="")) == [
        "it is a view: DROP VIEW perfdata_service_metric, and init-database makes the table"
    ]
