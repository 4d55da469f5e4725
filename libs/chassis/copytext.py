"""Rows for COPY in Postgres's text format, made column by column.

asyncpg's binary encoder takes five times as long for rows of texts.
Source: https://www.postgresql.org/docs/current/sql-copy.html, "Text Format"; arrays: section 8.15.2 of the manual.
"""

import re
from collections.abc import Iterable, Sequence

NULL = r"\N"
ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
# In the elements of an array's text form.
MEANT = re.compile(r'["\\]')


def rows(columns: Sequence[Sequence[str | None]]) -> bytes:
    """columns: at least one, of equal length, without NUL characters; None is null."""
    count = len(columns[0])
    if not count:
        return b""
    nulls = [count - len([1 for value in column if value is not None]) for column in columns]
    text = joined([with_nulls(column) if some else column for column, some in zip(columns, nulls, strict=True)])  # type: ignore[misc]  # no None in the others
    # What needs escaping is rare, and shows in the whole.
    if (
        text.count("\t") != count * (len(columns) - 1)
        or text.count("\n") != count
        or text.count("\\") != sum(nulls)
        or "\r" in text
    ):
        text = joined(list(map(escaped, columns)))
    return text.encode()


def joined(columns: Sequence[Sequence[str]]) -> str:
    return "\n".join(map("\t".join, zip(*columns, strict=True))) + "\n"


def with_nulls(column: Sequence[str | None]) -> list[str]:
    return [NULL if value is None else value for value in column]


def escaped(column: Sequence[str | None]) -> list[str]:
    return [NULL if value is None else value.translate(ESCAPES) for value in column]


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
