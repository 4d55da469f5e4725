"""The orders in which contacts are listed, and the key of a row in them: what a cursor remembers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from chassis import ids
from chassis.errors import InvalidArgument, Reason

Column = Literal["id", "updated_at", "sort_name"]
# The value sorted by, where that is not the id itself; then the id.
Key = tuple[UUID] | tuple[datetime, UUID] | tuple[str, UUID]


@dataclass(frozen=True, slots=True)
class Order:
    """By one column, equal ones by id. `id` is the order of creation."""

    column: Column = "id"
    descending: bool = True

    @property
    def columns(self) -> tuple[str, ...]:
        return ("id",) if self.column == "id" else (self.column, "id")

    @property
    def sql(self) -> str:
        return ", ".join(f"c.{column} {'DESC' if self.descending else 'ASC'}" for column in self.columns)

    @property
    def comparison(self) -> str:
        """Between a row that is to come and the last one that came."""
        return "<" if self.descending else ">"


NEWEST = Order()


def to_parts(key: Key) -> list[str]:
    *values, contact_id = key
    texts = [value.isoformat() if isinstance(value, datetime) else str(value) for value in values]
    return [*texts, ids.encode("cnt", contact_id)]


def from_parts(parts: Sequence[str], order: Order) -> Key:
    """Raises InvalidArgument(INVALID_CURSOR)."""
    contact_id = ids.decode("cnt", parts[-1])
    if contact_id is not None:
        if order.column == "id":
            return (contact_id,)
        if order.column == "sort_name" and "\0" not in parts[0]:
            return (parts[0], contact_id)
        if order.column == "updated_at":
            try:
                return (datetime.fromisoformat(parts[0]), contact_id)
            except ValueError:
                pass
    raise InvalidArgument(Reason.INVALID_CURSOR, "The cursor was not issued for this request; begin without one.")
