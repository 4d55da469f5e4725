"""Pages by number. What lies before a page costs the service the more the deeper it is, so that there is an end to it;
for all of a large address book the dialect has its exports.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query

from carillon.contacts.v1 import lists_pb2
from chassis.errors import Reason, Unavailable
from chassis.paging import MAX_SKIP
from services.gateway.errors import refused_field
from services.gateway.problem import FieldCode
from services.gateway.routers.parameters import DEFAULT_PAGE_SIZE

PAGE = "From 1; page × per_page up to 10,000. For more there are exports"


@dataclass(frozen=True, slots=True)
class Numbered:
    page: int
    per_page: int

    @property
    def skipped(self) -> int:
        return (self.page - 1) * self.per_page


async def numbered(
    page: Annotated[int, Query(ge=1, le=MAX_SKIP, description=PAGE)] = 1,
    per_page: Annotated[int, Query(ge=1, le=100)] = DEFAULT_PAGE_SIZE,
) -> Numbered:
    if page * per_page > MAX_SKIP:
        detail = f"page × per_page may reach {MAX_SKIP:,}; for all of a large address book make an export."
        raise refused_field("/page", FieldCode.OUT_OF_RANGE, detail)
    return Numbered(page, per_page)


NumberedPage = Annotated[Numbered, Depends(numbered)]


def total(answer: lists_pb2.ListListsResponse | lists_pb2.ListListMembersResponse) -> int | None:
    return answer.total if answer.HasField("total") else None


def answer(
    wanted: Numbered, data: list[Any], *, skipped: int, total: int | None, total_is_estimate: bool = False
) -> dict[str, Any]:
    """skipped: what the service passed over. Raises Unavailable where it is of a version that passes over nothing, or
    does not count."""
    if skipped != wanted.skipped or total is None:
        raise Unavailable(Reason.UNAVAILABLE, "Pages cannot be turned while a new version comes; retry in a moment.")
    return {
        "data": data,
        "total": total,
        "total_is_estimate": total_is_estimate,
        "page": wanted.page,
        "per_page": wanted.per_page,
    }
