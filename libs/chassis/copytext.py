"""Rows for COPY in Postgres's text format, made column by column.

asyncpg's binary encoder takes five times as long for rows of texts.
Source: https://www.postgresql.org/docs/current/sql-copy.html, "Text Format"; arrays: section 8.15.2 of the manual.
"""

import re
from collections.abc import Iterable, Sequence

NULL = r"\N"
ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
SPECIAL = re.compile(r"[\\\t\n\r]")
# In the elements of an array's text form.
MEANT = re.compile(r'["\\]')


def rows(columns: Sequence[Sequence[str | None]]) -> bytes:
    """columns: at least one, of equal length, without NUL characters; None is null."""
    if not columns[0]:
        return b""
    fields = map("\t".join, zip(*map(escaped, columns), strict=True))
    return ("\n".join(fields) + "\n").encode()


def escaped(column: Sequence[str | None]) -> Sequence[str]:
    # One look at the whole column: what needs escaping is rare.
    if SPECIAL.search("\0".join(filter(None, column))):
        return [NULL if value is None else value.translate(ESCAPES) for value in column]
    return [NULL if value is None else value for value in column]


def parameter(column: Sequence[str | None]) -> str:
    """A whole column as the text form of an array: as a parameter `$1::text::text[]` it costs a third of a list."""
    # One look at the whole column, as above.
    if MEANT.search("".join(filter(None, column))):
        column = [value if value is None else quoted(value) for value in column]
    return "{" + ",".join(["NULL" if value is None else f'"{value}"' for value in column]) + "}"


def numbers(column: Iterable[int]) -> str:
    """The same of whole numbers."""
    return "{" + ",".join(map(str, column)) + "}"


def quoted(value: str) -> str:
    """As it stands between the quotes of an element of an array's text form."""
    return value.replace("\\", "\\\\").replace('"', '\\"')


def array(values: Sequence[str]) -> str:
    """The text form of an array of texts, as a parameter or a field takes it."""
    if not values:
        return "{}"
    return "{" + ",".join([f'"{quoted(value)}"' for value in values]) + "}"
