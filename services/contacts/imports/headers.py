"""Files without a header: their first row is data, and what stands in it tells phones and emails apart."""

from collections.abc import Sequence
from dataclasses import replace

from formats import phones
from services.contacts.addresses import read_email
from services.contacts.imports.columns import known, map_columns
from services.contacts.imports.plan import Column

# Fewer are no phone, but perhaps a year or a number of something.
PHONE_DIGITS = 8


def is_header(titles: Sequence[str]) -> bool:
    """False where no title is known and something is a phone or an email."""
    return known(titles) > 0 or not any(map(target_of, titles))


def target_of(cell: str) -> str:
    """What a cell can only be; empty where it may be anything."""
    digits = phones.compact(cell)
    if digits is not None and len(digits) >= PHONE_DIGITS:
        return "phone"
    return "email" if "@" in cell and read_email(cell) is not None else ""


def suggest(titles: Sequence[str], *, header: bool) -> tuple[Column, ...]:
    """header: of `is_header`. Without one, columns of which the first row does not say what they are are skipped."""
    columns = map_columns(titles)
    if header:
        return columns
    targets = [target_of(title) for title in titles]
    return tuple(
        replace(column, target=target if target not in targets[:at] else "")
        for at, (column, target) in enumerate(zip(columns, targets, strict=True))
    )


def titled(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Columns of a file without a header, called by what is done with them; those left out have no title."""
    return tuple(replace(column, title=column.key or column.target) for column in columns)
