"""@frozen beside dataclass(frozen=True): the same class, made twice, behaves the same."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace

import pytest

from nagios_failover.frozen import frozen


class _Told:
    name: str
    port: int = 22
    tags: list[str] = field(default_factory=list)
    told: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        return f"{self.name}:{self.port}"


def made(how: object) -> type:
    """The class above, decorated; under one name, so that its repr is the same."""
    body = {name: value for name, value in vars(_Told).items() if name not in ("__dict__", "__weakref__")}
    body["tags"], body["told"] = field(default_factory=list), field(default_factory=dict, compare=False)
    return how(type("Told", (), body))  # type: ignore[operator, no-any-return]


OURS = made(frozen)
THEIRS = made(dataclass(frozen=True))
BOTH = pytest.mark.parametrize("cls", [OURS, THEIRS])


@frozen
class Point:
    x: int
    y: int = 2

    def __repr__(self) -> str:
        return f"<{self.x}, {self.y}>"


@BOTH
def test_values_by_place_by_name_and_by_default(cls: type) -> None:
    one = cls("yasu", tags=["a"])
    assert (one.name, one.port, one.tags, one.told) == ("yasu", 22, ["a"], {})
    assert cls("yasu").tags is not cls("yasu").tags, "a factory's value is not shared"
    assert repr(one) == "Told(name='yasu', port=22, tags=['a'], told={})" and str(one) == "yasu:22"
    assert [known.name for known in fields(cls)] == ["name", "port", "tags", "told"]
    assert asdict(one) == {"name": "yasu", "port": 22, "tags": ["a"], "told": {}}
    assert replace(one, port=1) == cls("yasu", 1, ["a"])
    assert copy.deepcopy(one) == one and copy.copy(one) == one


@BOTH
def test_equal_and_hashed_by_the_fields_that_compare(cls: type) -> None:
    assert cls("yasu", told={"a": "b"}) == cls("yasu")
    assert cls("yasu") != cls("nabira") and cls("yasu") != "yasu:22" and cls("yasu") != (*("yasu", 22), [], {})
    assert hash(cls("yasu", 22, ())) == hash(cls("yasu", 22, (), {"not": "hashed"}))
    assert len({cls("yasu", 22, ()), cls("yasu", 22, ()), cls("yasu", 23, ())}) == 2


def test_two_classes_with_the_same_fields_are_not_equal() -> None:
    assert OURS("yasu") != made(frozen)("yasu")


@BOTH
def test_nothing_changes_it(cls: type) -> None:
    one = cls("yasu")
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'name'"):
        one.name = "nabira"
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'name'"):
        del one.name
    assert one == cls("yasu")


@BOTH
@pytest.mark.parametrize(
    ("values", "named"),
    [((), {}), (("a", 1, [], {}, 5), {}), (("a",), {"name": "a"}), (("a",), {"prot": 1})],
    ids=["one missing", "one too many", "given twice", "no such field"],
)
def test_what_does_not_fit_is_a_type_error(cls: type, values: tuple[object, ...], named: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        cls(*values, **named)


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(TypeError, match="Point: no value for x"):
        Point()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="Point has 2 fields, 3 values were given"):
        Point(1, 2, 3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="Point: not a field, or given twice: x, z"):
        Point(1, x=1, z=3)  # type: ignore[call-arg, misc]


def test_a_method_of_its_own_is_kept_and_it_can_be_pickled() -> None:
    assert repr(Point(1)) == "<1, 2>"
    assert pickle.loads(pickle.dumps(Point(1, 3))) == Point(1, 3)


def test_it_matches_by_place() -> None:
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)
