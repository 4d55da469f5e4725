"""Boolean expressions over leaves of any kind."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

L = TypeVar("L")
M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class And(Generic[L]):
    """True where every part is; without parts, always."""

    parts: tuple["Expression[L]", ...]


@dataclass(frozen=True, slots=True)
class Or(Generic[L]):
    """True where any part is; without parts, never."""

    parts: tuple["Expression[L]", ...]


@dataclass(frozen=True, slots=True)
class Not(Generic[L]):
    part: "Expression[L]"


Expression: TypeAlias = And[L] | Or[L] | Not[L] | L


def leaves(expression: Expression[L]) -> Iterator[L]:
    """From left to right, repetitions included."""
    if isinstance(expression, And | Or):
        for part in expression.parts:
            yield from leaves(part)
    elif isinstance(expression, Not):
        yield from leaves(expression.part)
    else:
        yield expression


def replace(expression: Expression[L], by: Callable[[L], Expression[M]]) -> Expression[M]:
    """The same expression with each leaf replaced."""
    if isinstance(expression, And):
        return And(tuple(replace(part, by) for part in expression.parts))
    if isinstance(expression, Or):
        return Or(tuple(replace(part, by) for part in expression.parts))
    if isinstance(expression, Not):
        return Not(replace(expression.part, by))
    return by(expression)
