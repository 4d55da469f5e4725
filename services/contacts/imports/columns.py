"""Which column of a file is which field of a contact."""

from collections.abc import Sequence

from services.contacts.domain.cells import OPTOUTS_TITLE
from services.contacts.imports.plan import Column
from services.contacts.imports.titles import field_of, fields_of

IDENTITY = frozenset({"phone", "email", "external_id"})
# Of the file of failed rows: it can be mended and uploaded again as it is.
ERROR_TITLE = "carillon_error"
TITLE_CHARACTERS = 200


def known(titles: Sequence[str]) -> int:
    """How many of the titles mean a field."""
    return sum(field_of(title) is not None for title in titles)


def map_columns(titles: Sequence[str]) -> tuple[Column, ...]:
    """The first column that means a field is the field; every other titled one goes into the metadata."""
    columns: list[Column] = []
    used: set[str] = set()
    keys: set[str] = set()
    cleaned = [title.replace("\0", "").strip()[:TITLE_CHARACTERS] for title in titles]
    for title, target in zip(cleaned, fields_of(cleaned), strict=True):
        if title.lower() in (ERROR_TITLE, OPTOUTS_TITLE):
            target = ""
        elif target is None or target in used:
            # Two columns of one title would overwrite each other.
            target = "metadata" if title and title not in keys else ""
            keys.add(title)
        else:
            used.add(target)
        columns.append(Column(title, target))
    return tuple(columns)


def identifies(columns: Sequence[Column]) -> bool:
    """True where a row can say who it is about."""
    return any(column.target in IDENTITY for column in columns)
