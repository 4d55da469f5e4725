"""A thin client of the public REST API, as any customer would write one."""

import asyncio
import io
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

CALL_SECONDS = 30.0
UPLOAD_SECONDS = 300.0
# Above what the demo and the benchmarks keep open at a time.
CONNECTIONS = 64


class Refused(Exception):
    """The API answered with a problem document, or with something else than was expected."""

    def __init__(self, call: str, status: int, body: str) -> None:
        super().__init__(f"{call} answered {status}: {body[:1000]}")
        self.status = status


# Answers that say nothing of the request: something is being restarted.
PASSING = (502, 503, 504)
RETRY_SECONDS = 0.2


class Rest:
    """The API as seen with one key. Use as a context manager."""

    def __init__(self, url: str, key: str, *, patience_seconds: float = 0.0) -> None:
        """patience_seconds: for so long a call is repeated while the API, or a part of it, is down."""
        self.url = url
        self._patience_seconds = patience_seconds
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {key}"},
            connector=aiohttp.TCPConnector(limit=CONNECTIONS),
            timeout=aiohttp.ClientTimeout(total=CALL_SECONDS),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def get(self, path: str, **query: str) -> Any:
        return await self.call("GET", path, query=query)

    async def post(self, path: str, body: object = None) -> Any:
        return await self.call("POST", path, body=body)

    async def call(self, method: str, path: str, *, body: object = None, query: dict[str, str] | None = None) -> Any:
        """The answer's JSON, None where it has no body. Raises Refused for anything but 2xx.

        A POST carries an Idempotency-Key, so that its repetition does nothing twice.
        """
        headers = {"Idempotency-Key": secrets.token_hex(16)} if method == "POST" else None
        deadline = time.monotonic() + self._patience_seconds
        repeated = False
        while True:
            try:
                async with self._session.request(
                    method, self.url + path, json=body, params=query, headers=headers
                ) as answer:
                    return await _content(answer, f"{method} {path}")
            except (Refused, aiohttp.ClientError, TimeoutError) as error:
                if repeated and method == "DELETE" and isinstance(error, Refused) and error.status == 404:
                    return None  # The call before, whose answer was lost, did it.
                if time.monotonic() > deadline or not _passes(error, repeated=repeated):
                    raise
            repeated = True
            await asyncio.sleep(RETRY_SECONDS)

    async def upload(
        self, path: str, file: Path, *, on_bytes: Callable[[int, int], None], headers: dict[str, str] | None = None
    ) -> Any:
        """POSTs `file` as multipart; `on_bytes` is told how many bytes were read for sending, of how many."""
        with Counted(file, on_bytes) as content:
            form = aiohttp.FormData()
            form.add_field("file", content, filename=file.name, content_type="text/csv")
            timeout = aiohttp.ClientTimeout(total=UPLOAD_SECONDS)
            async with self._session.post(self.url + path, data=form, headers=headers, timeout=timeout) as answer:
                return await _content(answer, f"POST {path}")


class Counted(io.BufferedReader):
    """A file that tells how much of it has been read."""

    def __init__(self, path: Path, on_bytes: Callable[[int, int], None]) -> None:
        super().__init__(io.FileIO(path))
        self._on_bytes = on_bytes
        self._size = path.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._on_bytes(self.tell(), self._size)
        return data


def _passes(error: Exception, *, repeated: bool) -> bool:
    """Whether the same call may do better in a moment. 409 to a repetition: the first one is still under way."""
    return not isinstance(error, Refused) or error.status in PASSING or (repeated and error.status == 409)


async def _content(answer: aiohttp.ClientResponse, call: str) -> Any:
    if not answer.ok:
        raise Refused(call, answer.status, await answer.text())
    return await answer.json() if answer.status != 204 else None


@asynccontextmanager
async def control(carrier_url: str, changes: dict[str, object]) -> AsyncIterator[None]:
    """The carrier simulator behaving otherwise for a while; afterwards as it did before."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_SECONDS)) as session:
        async with session.get(f"{carrier_url}/control") as answer:
            before = await _content(answer, "GET /control")
        try:
            async with session.put(f"{carrier_url}/control", json=changes) as answer:
                await _content(answer, "PUT /control")
            yield
        finally:
            restored = {name: before[name] for name in changes}
            async with session.put(f"{carrier_url}/control", json=restored) as answer:
                await _content(answer, "PUT /control")
