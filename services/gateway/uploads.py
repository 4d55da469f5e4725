"""A file on its way from the REST client into a gRPC stream, with back-pressure all the way and nothing held.

At most one gRPC message (CHUNK_BYTES) and one network read are in memory. A declared length over the limit is refused
before anything is read; an undeclared one as soon as it is passed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from starlette.requests import ClientDisconnect, Request

from chassis.errors import CarillonError
from chassis.grpc_client import Client
from services.gateway import draining, idempotency
from services.gateway.caller import Caller
from services.gateway.draining import drain
from services.gateway.errors import too_large, upload_incomplete
from services.gateway.multipart import Event, Field, FileBegins, FileBytes, Form, boundary_of

Part = TypeVar("Part", bound=Message)
Answered = TypeVar("Answered", bound=Message)

CHUNK_BYTES = 512 * 1024


class Upload:
    """One form being received: first the fields before the file, then the file, then the fields behind it."""

    def __init__(self, request: Request, *, limit: int, fields: frozenset[str] | None) -> None:
        """limit: bytes of the whole body. Raises what `boundary_of` raises; ResourceExhausted."""
        self._declared = request.headers.get("content-length", "")
        if self._declared.isdigit() and int(self._declared) > limit:
            raise too_large(limit)
        draining.refuse_encoded(request)
        self._request = request
        self._limit = limit
        self._form = Form(boundary_of(request.headers.get("content-type")), fields=fields)
        self._source = request.stream()
        self._ahead: list[Event] = []
        self._received = 0
        self._done = False
        self.fields: list[Field] = []
        self.file = FileBegins("", "")
        # What ended the upload while it was being sent on, if anything did.
        self.failure: Exception | None = None

    async def open(self) -> None:
        """Reads up to the beginning of the file. Raises InvalidArgument where the form has none."""
        async for events in self._batches():
            for at, event in enumerate(events):
                if isinstance(event, FileBegins):
                    self.file = event
                    self._ahead = events[at + 1 :]
                    return
                self._take_field(event)
        self._form.close()

    async def file_bytes(self) -> AsyncIterator[bytes]:
        """The file in chunks of about CHUNK_BYTES; fields behind it are in `fields` when it ends."""
        held: list[bytes] = []
        size = 0
        async for events in self._batches():
            for event in events:
                if isinstance(event, FileBytes):
                    held.append(event.data)
                    size += len(event.data)
                else:
                    self._take_field(event)
            if size >= CHUNK_BYTES:
                for chunk in pieces(b"".join(held)):
                    yield chunk
                held, size = [], 0
        for chunk in pieces(b"".join(held)):
            yield chunk

    async def _batches(self) -> AsyncIterator[list[Event]]:
        if self._ahead:
            ahead, self._ahead = self._ahead, []
            yield ahead
        async for data in self._source:
            self._received += len(data)
            if self._received > self._limit:
                raise too_large(self._limit)
            events = list(self._form.feed(data))
            if events:
                yield events
        self._done = True
        self._form.close()

    def _take_field(self, event: Event) -> None:
        assert isinstance(event, Field)
        self.fields.append(event)

    def fingerprint(self) -> bytes:
        """See gateway.idempotency. Of what is known when the file begins."""
        scope = self._request.scope
        options = [part for field in self.fields for part in (field.name, field.value)]
        return idempotency.fingerprint(
            scope["method"], scope["path"], scope["query_string"], self._declared, self.file.file_name, *options
        )

    def guard(self, parts: AsyncIterator[Part]) -> AsyncIterator[Part]:
        """The same parts; remembers why they ended early, because gRPC only tells that they did."""

        async def guarded() -> AsyncIterator[Part]:
            try:
                async for part in parts:
                    yield part
            except ClientDisconnect:
                self.failure = upload_incomplete()
                raise
            except Exception as error:
                self.failure = error
                raise

        return guarded()

    async def drain(self) -> None:
        if not self._done:
            self._done = True
            await drain(self._request, received=self._received)


def pieces(data: bytes) -> list[bytes]:
    """In CHUNK_BYTES each: one network read may bring several."""
    return [data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)]


async def send(
    caller: Caller,
    request: Request,
    *,
    client: Client[Any],
    method: "grpc.aio.StreamUnaryMultiCallable[Part, Answered]",
    fields: frozenset[str] | None,
    parts: Callable[[Upload], AsyncIterator[Part]],
) -> Answered:
    """Stream the form's file to a service. fields: names of those that may be, None: any. parts: what to send, made of
    the upload.

    Raises whatever the service refuses the file for; InvalidArgument, ResourceExhausted and UnsupportedMediaType of
    its own. On every failure the stream has no `end`, so that nothing is kept.
    """
    upload = Upload(request, limit=caller.settings.upload_limit_bytes, fields=fields)
    try:
        async with asyncio.timeout(draining.BODY_SECONDS):
            await upload.open()
        key = idempotency.checked_key(request.headers.get(idempotency.HEADER))
        if key is not None:
            caller.idempotency = (key, upload.fingerprint())
        response, caller.replayed = await client.stream_in(
            method, upload.guard(parts(upload)), call=caller.outgoing, timeout=caller.settings.upload_timeout_seconds
        )
    except asyncio.CancelledError as error:
        # gRPC cancels the call when its request stream breaks; without a failure it is us who are being stopped.
        if upload.failure is None:
            raise
        await upload.drain()
        raise upload.failure from error
    except TimeoutError as error:
        raise upload_incomplete() from error
    except CarillonError as error:
        # Settled before the rest is thrown away, which whoever still reads it for the service takes for its end.
        why = upload.failure or error
        await upload.drain()
        raise why from error
    await upload.drain()
    return response
