"""What evaluators know of a contact: a few columns of values, folded and typed once, when they are written.

A column is a field seen one way, `t:name` or `n:metadata.age`. Empty columns are left out, and so are defaults
(fields.Field.default). Custom data is seen in every way that it allows: the text `"30"` is in the text column and,
because it is written like a number, in the number column.
"""

import math
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeAlias

from services.segments.domain import moments
from services.segments.domain.text import fold

# Texts are folded, numbers doubles, times microseconds since 1970 (int).
Value: TypeAlias = str | float | int | bool
Facts: TypeAlias = Mapping[str, tuple[Value, ...]]

NUMBER = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)


class View(StrEnum):
    """How a field is seen."""

    TEXT = "t"
    # Texts that are elements of an array.
    ELEMENT = "e"
    NUMBER = "n"
    TIME = "d"
    BOOLEAN = "b"


def column(view: View, field: str) -> str:
    return _PREFIXES[view] + field


# Formatting an enumeration takes several times as long as what is done with it here.
_PREFIXES = {view: f"{view.value}:" for view in View}


def of_custom(root: str, data: Mapping[str, object]) -> dict[str, tuple[Value, ...]]:
    """The columns of custom data under its root, `metadata`.

    Keys of objects join by dots; arrays are gone through, also those in arrays. An object has no value of its own, only
    its keys have. A text that is empty counts as missing.
    """
    found: dict[str, list[Value]] = {}
    for key, value in data.items():
        _collect(found, f"{root}.{key}", value, in_array=False)
    return {name: tuple(values) if len(values) == 1 else tuple(dict.fromkeys(values)) for name, values in found.items()}


def _collect(found: dict[str, list[Value]], path: str, value: object, *, in_array: bool) -> None:
    if isinstance(value, str):
        if value:
            _collect_text(found, path, value, in_array=in_array)
    elif isinstance(value, bool):
        found.setdefault(column(View.BOOLEAN, path), []).append(value)
    elif isinstance(value, int | float):
        _collect_number(found, path, value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            _collect(found, f"{path}.{key}", inner, in_array=in_array)
    elif isinstance(value, list):
        for inner in value:
            _collect(found, path, inner, in_array=True)


def _collect_text(found: dict[str, list[Value]], path: str, value: str, *, in_array: bool) -> None:
    found.setdefault(column(View.ELEMENT if in_array else View.TEXT, path), []).append(fold(value))
    # Most texts are neither: only what begins like one is looked at.
    if value[0] in "+-0123456789":
        if NUMBER.fullmatch(value):
            _collect_number(found, path, float(value))
        else:
            moment = moments.parse_moment(value)
            if moment is not None:
                found.setdefault(column(View.TIME, path), []).append(moment)


def _collect_number(found: dict[str, list[Value]], path: str, value: float) -> None:
    number = as_double(value)
    if number is not None:
        found.setdefault(column(View.NUMBER, path), []).append(number)


def as_double(value: float) -> float | None:
    """None where the number is too large for one. -0.0 is 0.0."""
    try:
        number = float(value) + 0.0
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
