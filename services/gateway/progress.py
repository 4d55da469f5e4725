"""Progress as server-sent events: `progress` with the resource, at first and whenever it changed, then `ended`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from chassis.errors import CarillonError
from services.gateway.negotiation import EVENTS

LOOK_SECONDS = 0.5
QUIET_SECONDS = 15.0
# A line that says nothing, so that no proxy takes the connection for dead.
STILL_HERE = b": still here\n\n"


@dataclass(frozen=True, slots=True)
class Seen:
    """A resource at a moment."""

    body: bytes
    # Whether it may still change by itself.
    moving: bool


# Raises chassis errors.
Look = Callable[[], Awaitable[Seen]]


def seen(body: object, *, moving: bool) -> Seen:
    return Seen(orjson.dumps(body), moving)


async def stream(request: Request, look: Look) -> Response:
    """The first look is taken before the answer begins, so that an error is answered as one."""
    first = await look()
    return event_stream(follow(first, look, stopping=request.app.state.stopping))


def event_stream(events: AsyncIterator[bytes]) -> Response:
    """Closes its connection behind it: where the stream ends because the gateway stops, the client connects again at
    once, and would do so on a connection that is just being closed."""
    return StreamingResponse(events, media_type=EVENTS, headers={"Cache-Control": "no-store", "Connection": "close"})


async def follow(found: Seen, look: Look, *, stopping: asyncio.Event) -> AsyncIterator[bytes]:
    """Ends too when the gateway is to stop or the resource cannot be read: a client connects again."""
    told, quiet = b"", 0.0
    while True:
        if not found.moving:
            yield event("ended", found.body)
            return
        quiet += LOOK_SECONDS
        if found.body != told:
            yield event("progress", found.body)
            told, quiet = found.body, 0.0
        elif quiet >= QUIET_SECONDS:
            yield STILL_HERE
            quiet = 0.0
        if await ends(stopping):
            return
        try:
            found = await look()
        except CarillonError:
            return


async def ends(stopping: asyncio.Event) -> bool:
    """Wait until the next look. Whether there is none, because the gateway is to stop."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            return await stopping.wait()
    except TimeoutError:
        return False


def event(name: str, body: bytes) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + body + b"\n\n"
