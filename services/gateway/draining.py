"""Reading bodies, and what a refused client still sends.

An answer given before the body was read closes the connection under a client that is still writing, and many clients
then report a broken pipe instead of the answer. So a body of bearable size is read to its end and thrown away first.
One that is declared larger is refused at once.
"""

import asyncio

from starlette.requests import ClientDisconnect, Request

from services.gateway.errors import malformed, media_type, too_large

# Of a body that is no upload. Who sends one a byte at a time is not waited for.
BODY_SECONDS = 30.0
DRAIN_BYTES = 32 << 20
DRAIN_SECONDS = 5.0


def refuse_encoded(request: Request) -> None:
    """Raises UnsupportedMediaType for a body that would have to be unpacked."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise media_type("sent as it is, without a Content-Encoding")


async def read_up_to(request: Request, limit: int) -> bytes:
    """The body, up to `limit` bytes. Raises ResourceExhausted(PAYLOAD_TOO_LARGE) beyond, once it is drained, and
    InvalidArgument where it does not come to its end in time."""
    declared = "" if "transfer-encoding" in request.headers else request.headers.get("content-length", "")
    whole = int(declared) if declared.isdigit() else None
    chunks, size, more = [], 0, True
    try:
        async with asyncio.timeout(BODY_SECONDS):
            # What was declared is all that there is. To ask for the end behind it would be another way to the server's
            # thread and back, as long as that of the body.
            while more and size <= limit and size != whole:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                more = message.get("more_body", False)
    except TimeoutError as error:
        raise malformed(f"The body did not come to its end within {BODY_SECONDS:.0f} seconds.") from error
    if size > limit:
        await drain(request, received=size)
        raise too_large(limit)
    return b"".join(chunks)


async def drain(request: Request, *, received: int = 0) -> None:
    """received: bytes read of the body so far. Gives up after DRAIN_BYTES and DRAIN_SECONDS."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > DRAIN_BYTES:
        return
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            more = True
            while more and received < DRAIN_BYTES:
                message = await request.receive()
                received += len(message.get("body", b""))
                more = message.get("more_body", False)
    except TimeoutError:
        return
