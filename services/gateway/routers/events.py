"""The feed of events: every event of the account in one order, to page through or to follow."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import orjson
from fastapi import Header, Query
from pydantic import StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from chassis.db import Database
from chassis.errors import CarillonError, Reason
from chassis.ids import AccountId
from services.gateway.caller import CallerOf
from services.gateway.convert.events import envelope
from services.gateway.domain import event_types
from services.gateway.errors import refused_field
from services.gateway.feed import reading, repository
from services.gateway.feed.repository import Event
from services.gateway.feed.streams import Streams
from services.gateway.negotiation import EVENTS, JSON
from services.gateway.own_writes import database
from services.gateway.problem import FieldCode
from services.gateway.progress import LOOK_SECONDS, QUIET_SECONDS, STILL_HERE, ends, event_stream
from services.gateway.routers.parameters import DEFAULT_PAGE_SIZE, PageSize
from services.gateway.routes import Routes
from services.gateway.schemas import webhooks as schemas

routes = Routes("Events")

LATEST = "latest"
STREAM_PAGE = 100

Position = Annotated[str, StringConstraints(pattern=r"^(latest|[0-9]{1,18})$")]
After = Annotated[
    Position | None,
    Query(description="Events behind this position; `0` is the beginning of what is kept, `latest` its end"),
]
# Empty from clients that have seen none.
LastPosition = Annotated[str, StringConstraints(pattern=r"^(latest|[0-9]{1,18})?$")]
LastEventId = Annotated[
    LastPosition | None, Header(alias="Last-Event-ID", description="Of a stream: goes before `after`")
]
Types = Annotated[
    str | None,
    Query(
        max_length=2000,
        description="Comma separated types, or `contact.*` for all of an entity; everything without it",
        examples=["contact.*,segment.members_changed"],
    ),
]


@routes.add(
    "GET",
    "/events",
    operation_id="listEvents",
    summary="Read events in order, or follow them",
    scope="events:read",
    answer=schemas.EventPage,
    reasons=[Reason.POSITION_EXPIRED, Reason.RATE_LIMITED],
    produces=(JSON, EVENTS),
)
async def list_events(
    caller: CallerOf,
    request: Request,
    after: After = None,
    types: Types = None,
    limit: PageSize = DEFAULT_PAGE_SIZE,
    last_event_id: LastEventId = None,
) -> Response:
    """Go on with `after` = `next_after`: whoever does so misses none. Events are kept for 72 hours.

    With `Accept: text/event-stream` the answer is a stream that goes on with new events, `id` their position. It begins
    behind `Last-Event-ID` or `after`, or now.
    """
    db, account, wanted = database(request), caller.principal.account, asked_types(types)
    if EVENTS in request.headers.get("accept", ""):
        start = await position(db, account, last_event_id or after or LATEST)
        first = await reading.page(db, account, after=start, types=wanted, limit=STREAM_PAGE)
        streams: Streams = request.app.state.streams
        stream = follow(db, account, first, types=wanted, stopping=request.app.state.stopping)
        return event_stream(streams.counted(account, stream))
    start = await position(db, account, after or "0")
    page = await reading.page(db, account, after=start, types=wanted, limit=limit)
    return caller.answer(
        {"data": [shown(one) for one in page.events], "next_after": page.next_after, "has_more": page.more}
    )


async def position(db: Database, account: AccountId, asked: str) -> int:
    if asked != LATEST:
        return int(asked)
    async with db.read(account) as tx:
        return await repository.head(tx, account)


def asked_types(text: str | None) -> list[str]:
    """Raises InvalidArgument that points at /types."""
    types = [] if text is None else [one.strip() for one in text.split(",")]
    if event_types.unknown(types):
        raise refused_field("/types", FieldCode.NOT_ALLOWED, "There is no such type of event; docs/events.md has them.")
    return types


def shown(event: Event) -> dict[str, Any]:
    return envelope(
        event_id=str(event.id), event_type=event.type, time=event.time, position=event.position, data=event.data
    )


async def follow(
    db: Database, account: AccountId, page: reading.Page, *, types: list[str], stopping: asyncio.Event
) -> AsyncIterator[bytes]:
    """Ends when the gateway is to stop, or the feed cannot be read: a client connects again, with its last id."""
    yield b"retry: 1000\n\n"
    quiet = 0.0
    while True:
        for event in page.events:
            yield framed(event)
        if not page.more:
            quiet = 0.0 if page.events else quiet + LOOK_SECONDS
            if quiet >= QUIET_SECONDS:
                # An id without data is no event, but where the client goes on: else, after days in which nothing was
                # of its types, that would be a place before all that is kept.
                yield b"id: %d\n" % page.next_after + STILL_HERE
                quiet = 0.0
            if await ends(stopping):
                return
        try:
            page = await reading.page(db, account, after=page.next_after, types=types, limit=STREAM_PAGE)
        except CarillonError:
            return


def framed(event: Event) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.position, event.type.encode(), orjson.dumps(shown(event)))
