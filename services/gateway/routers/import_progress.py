"""The progress of an import as server-sent events."""

import asyncio
from collections.abc import AsyncIterator

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from carillon.contacts.v1 import contacts_pb2
from chassis.errors import CarillonError, Reason
from services.gateway.caller import Caller, CallerOf, known_id
from services.gateway.convert import imports as convert
from services.gateway.negotiation import EVENTS
from services.gateway.routes import Routes

routes = Routes("Imports")

LOOK_SECONDS = 0.5
# A line that says nothing, so that no proxy takes the connection for dead.
QUIET_SECONDS = 15.0
MOVING = frozenset(
    {
        contacts_pb2.IMPORT_STATUS_UPLOADED,
        contacts_pb2.IMPORT_STATUS_QUEUED,
        contacts_pb2.IMPORT_STATUS_RUNNING,
        contacts_pb2.IMPORT_STATUS_UNDOING,
    }
)


@routes.add(
    "GET",
    "/imports/{id}/events",
    operation_id="streamImport",
    summary="Follow an import by server-sent events",
    scope="contacts:read",
    reasons=[Reason.NOT_FOUND],
    produces=(EVENTS,),
)
async def stream_import(caller: CallerOf, id: str, request: Request) -> Response:
    """An event `progress` with the import, at first and whenever it changed; the last one, when it has ended, is
    `ended`. `text/event-stream`."""
    known = known_id("imp", id, "import")
    first = await look(caller, known)
    stream = follow(caller, first, stopping=request.app.state.stopping)
    return StreamingResponse(stream, media_type=EVENTS, headers={"Cache-Control": "no-store"})


async def follow(caller: Caller, found: contacts_pb2.Import, *, stopping: asyncio.Event) -> AsyncIterator[bytes]:
    """Ends too when the gateway is to stop or the import cannot be read: a client connects again."""
    told, quiet = b"", 0.0
    while True:
        body = orjson.dumps(convert.import_(found))
        if found.status not in MOVING:
            yield event("ended", body)
            return
        quiet += LOOK_SECONDS
        if body != told:
            yield event("progress", body)
            told, quiet = body, 0.0
        elif quiet >= QUIET_SECONDS:
            yield b": still here\n\n"
            quiet = 0.0
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await stopping.wait()
                return
        except TimeoutError:
            pass
        try:
            found = await look(caller, found.id)
        except CarillonError:
            return


async def look(caller: Caller, known: str) -> contacts_pb2.Import:
    client = caller.backends.contacts
    answer = await caller.read(client, client.stub.GetImport, contacts_pb2.GetImportRequest(id=known))
    found: contacts_pb2.Import = getattr(answer, "import")  # a keyword in Python
    return found


def event(name: str, body: bytes) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + body + b"\n\n"
