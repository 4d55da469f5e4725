"""A file that the service refuses while its client still sends it."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from chassis.errors import NotFound, Reason
from services.gateway import uploads

HEAD = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nphone\n'
REST = b"+1234567890\n\r\n--XX--\r\n"
SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/",
    "query_string": b"",
    "headers": [(b"content-type", b"multipart/form-data; boundary=XX")],
}


async def test_what_the_service_said_first_is_told_whatever_becomes_of_the_rest() -> None:
    """The rest is thrown away, and whoever reads the body for the service misses it."""
    reading, thrown_away, read_to_its_end = asyncio.Event(), asyncio.Event(), asyncio.Event()
    said = NotFound(Reason.NOT_FOUND, "There is no such campaign.")
    calls = 0

    async def receive() -> dict[str, Any]:
        nonlocal calls
        calls += 1
        if calls == 1:
            return {"type": "http.request", "body": HEAD, "more_body": True}
        if calls == 2:
            reading.set()
            await thrown_away.wait()
            return {"type": "http.disconnect"}
        thrown_away.set()
        await read_to_its_end.wait()
        return {"type": "http.request", "body": REST, "more_body": False}

    async def stream_in(_: object, parts: Any, **__: object) -> Any:
        async def consume() -> None:
            try:
                async for _ in parts:
                    pass
            finally:
                read_to_its_end.set()

        consuming.append(asyncio.create_task(consume()))
        await reading.wait()
        raise said

    consuming: list[asyncio.Task[None]] = []
    settings = SimpleNamespace(upload_limit_bytes=1000, upload_timeout_seconds=5.0)
    caller: Any = SimpleNamespace(settings=settings, outgoing=None)
    client: Any = SimpleNamespace(stream_in=stream_in)
    method: Any = None

    with pytest.raises(NotFound) as refused:
        await uploads.send(
            caller, Request(SCOPE, receive), client=client, method=method, fields=None, parts=uploads.Upload.file_bytes
        )

    assert refused.value is said
    await asyncio.gather(*consuming, return_exceptions=True)
