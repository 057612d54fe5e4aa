"""@frozen: what `dataclass(frozen=True)` makes, with methods that all such classes share.

The standard library compiles six methods for each class while it is imported. That was half of what the imports of a check cost,
and a pair with the one-second settings starts several checks a second (`make bench PART=check_cost`). A new object costs more here,
so what is made by the thousand (a log's alerts, a queue's values) stays a dataclass.
"""

from __future__ import annotations

from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from typing import Any, NoReturn, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """Immutable, equal and hashed by its fields; fields(), replace() and asdict() of dataclasses work. No inheritance, no
    __post_init__, and only fields that are given to the constructor. A method that the class defines itself is kept."""
    made = dataclass(init=False, repr=False, eq=False)(cls)
    for method in (_init, _repr, _eq, _hash, _setattr, _delattr):
        name = f"__{method.__name__.removeprefix('_')}__"
        if name not in vars(cls):
            setattr(made, name, method)
    return made


def _init(self: Any, *values: Any, **named: Any) -> None:
    wanted = fields(self)
    if len(values) > len(wanted):
        raise TypeError(f"{type(self).__name__} has {len(wanted)} fields, {len(values)} values were given")
    held = vars(self)
    held.update(zip([one.name for one in wanted], values, strict=False))
    for one in wanted[len(values) :]:
        if one.name in named:
            held[one.name] = named.pop(one.name)
        elif one.default is not MISSING:
            held[one.name] = one.default
        elif one.default_factory is not MISSING:
            held[one.name] = one.default_factory()
        else:
            raise TypeError(f"{type(self).__name__}: no value for {one.name}")
    if named:
        raise TypeError(f"{type(self).__name__}: not a field, or given twice: {', '.join(named)}")


def _values(one: Any) -> tuple[Any, ...]:
    return tuple(getattr(one, known.name) for known in fields(one) if known.compare)


def _repr(self: Any) -> str:
    shown = ", ".join(f"{known.name}={getattr(self, known.name)!r}" for known in fields(self) if known.repr)
    return f"{type(self).__qualname__}({shown})"


def _eq(self: Any, other: object) -> Any:
    return _values(self) == _values(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _setattr(self: Any, name: str, value: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(self: Any, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")
