"""Pages by number, over calls that page by cursor: the pages before the one asked for are read and dropped.

That costs a call a hundred records, so that there is an end to it; for all of a large address book the dialect has its
exports.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query

from services.gateway.errors import refused_field
from services.gateway.problem import FieldCode
from services.gateway.routers.parameters import DEFAULT_PAGE_SIZE

MAX_DEPTH = 10_000
CALL_SIZE = 100
PAGE = "From 1; page × per_page up to 10,000. For more there are exports"

# Of a page size and a cursor: the records and the cursor behind them.
Fetch = Callable[[int, str], Awaitable[tuple[Sequence[Any], str]]]


@dataclass(frozen=True, slots=True)
class Numbered:
    page: int
    per_page: int

    @property
    def skipped(self) -> int:
        return (self.page - 1) * self.per_page


async def numbered(
    page: Annotated[int, Query(ge=1, le=MAX_DEPTH, description=PAGE)] = 1,
    per_page: Annotated[int, Query(ge=1, le=100)] = DEFAULT_PAGE_SIZE,
) -> Numbered:
    if page * per_page > MAX_DEPTH:
        detail = f"page × per_page may reach {MAX_DEPTH:,}; for all of a large address book make an export."
        raise refused_field("/page", FieldCode.OUT_OF_RANGE, detail)
    return Numbered(page, per_page)


NumberedPage = Annotated[Numbered, Depends(numbered)]


@dataclass(frozen=True, slots=True)
class Found:
    records: Sequence[Any]
    # All that were passed on the way, the page's own among them.
    passed: int
    # Empty where the page is the last.
    cursor: str


async def turn_to(wanted: Numbered, fetch: Fetch) -> Found:
    """The page; empty where there are not so many."""
    passed, cursor = 0, ""
    while passed < wanted.skipped:
        dropped, cursor = await fetch(min(CALL_SIZE, wanted.skipped - passed), cursor)
        passed += len(dropped)
        if not cursor:
            return Found((), passed, "")
    records, cursor = await fetch(wanted.per_page, cursor)
    return Found(records, passed + len(records), cursor)


async def count(found: Found, fetch: Fetch) -> tuple[int, bool]:
    """All that there are, by going on behind the page; and whether that was given up at MAX_DEPTH."""
    total, cursor = found.passed, found.cursor
    while cursor and total < MAX_DEPTH:
        more, cursor = await fetch(CALL_SIZE, cursor)
        total += len(more)
    return total, bool(cursor)


def answer(wanted: Numbered, data: list[Any], *, total: int, total_is_estimate: bool) -> dict[str, Any]:
    return {
        "data": data,
        "total": total,
        "total_is_estimate": total_is_estimate,
        "page": wanted.page,
        "per_page": wanted.per_page,
    }
