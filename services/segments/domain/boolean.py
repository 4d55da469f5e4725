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


def normal(expression: Expression[L], by: Callable[[L, bool], Expression[M]], *, holds: bool = True) -> Expression[M]:
    """Its negation normal form, or that of its negation: NOT is at the leaves, and parts without a say are left out.

    by: what to put for a leaf, and for a leaf behind a NOT (False).
    """
    if isinstance(expression, Not):
        return normal(expression.part, by, holds=not holds)
    if not isinstance(expression, And | Or):
        return by(expression, holds)
    parts = [normal(part, by, holds=holds) for part in expression.parts]
    always: Expression[M] = And(())
    never: Expression[M] = Or(())
    conjunction = isinstance(expression, And) is holds
    if (never if conjunction else always) in parts:
        return never if conjunction else always
    said = tuple(part for part in parts if part != (always if conjunction else never))
    if len(said) == 1:
        return said[0]
    return And(said) if conjunction else Or(said)
