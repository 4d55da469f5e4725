"""Query parameters that several calls have."""

from typing import Annotated

from fastapi import Query

from services.gateway.schemas.fields import Cursor, Limit, Region

PageSize = Annotated[Limit, Query()]
PageCursor = Annotated[Cursor | None, Query(description="`next_cursor` of the page before")]
DefaultRegion = Annotated[Region | None, Query(description="ISO 3166-1 alpha-2, for phones in national form")]
DEFAULT_PAGE_SIZE = 50
