"""Where the tables keep each column of facts (domain/facts.py).

Each field of a contact has a column of contacts_projection, of one value or an array; custom data is one document,
{column: [values]}. What became of messages is in a table of its own. Empty and default are null, an empty array, or a
key that is missing.
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from services.segments.domain.facts import View, column
from services.segments.domain.fields import FIELDS, Kind, Source


class Shape(StrEnum):
    ONE = "one"
    ARRAY = "array"
    # An array in a JSON document.
    DOCUMENT = "document"


class Place(NamedTuple):
    """sql: an expression over `p`, a row of contacts_projection, or `e`, one of engagement, which may be missing."""

    sql: str
    shape: Shape
    # Of a value.
    type: str


TYPES = {
    View.TEXT: "text",
    View.ELEMENT: "text",
    View.NUMBER: "float8",
    View.TIME: "bigint",
    View.BOOLEAN: "boolean",
}
_VIEWS = {Kind.TEXT: View.TEXT, Kind.SET: View.ELEMENT, Kind.BOOLEAN: View.BOOLEAN, Kind.TIME: View.TIME}


def _own_columns(source: Source) -> Mapping[str, str]:
    """Column of facts → column of the table, where it has one of its own."""
    fields = [field for field in FIELDS.values() if field.source is source and field.kind in _VIEWS]
    return {column(_VIEWS[field.kind], field.name): field.name.replace(".", "_") for field in fields}


PROJECTED = _own_columns(Source.CONTACT)
ENGAGED = _own_columns(Source.ENGAGEMENT)
_DERIVED = {
    column(View.NUMBER, "version"): Place("p.version::float8", Shape.ONE, "float8"),
    # A default is left out.
    column(View.NUMBER, "messages_received"): Place("nullif(e.messages_received, 0)::float8", Shape.ONE, "float8"),
}
_SHAPES = {View.ELEMENT: Shape.ARRAY}


@lru_cache(maxsize=4096)
def place_of(name: str) -> Place:
    """Of any column but `t:id`, which is the key."""
    view = View(name[0])
    if name in _DERIVED:
        return _DERIVED[name]
    if name in PROJECTED:
        return Place(f"p.{PROJECTED[name]}", _SHAPES.get(view, Shape.ONE), TYPES[view])
    if name in ENGAGED:
        return Place(f"e.{ENGAGED[name]}", _SHAPES.get(view, Shape.ONE), TYPES[view])
    quoted = name.replace("'", "''")
    return Place(f"p.more -> '{quoted}'", Shape.DOCUMENT, TYPES[view])
