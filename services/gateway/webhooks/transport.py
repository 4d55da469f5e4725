"""One POST to an endpoint, past the guard: only the public Internet is reached, and only as far as it answers.

A name is resolved once for each connection, every address of the answer is checked, and these very addresses are
connected to: an answer that changes between look and connection is never asked for again. Redirects are not followed,
proxies of the environment not used, bodies read only so far, certificates verified.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from chassis.destinations import Refused, RefusedAddress, check_address, check_host, read_url

CONNECT_SECONDS = 5.0
# Below what common servers keep: who sends on a connection that is being closed does not know what became of it.
KEEP_ALIVE_SECONDS = 4.0
ANSWER_BYTES = 64 * 1024
# Resolving blocks a thread, for seconds where a name server is slow.
RESOLVER_THREADS = 32
USER_AGENT = "Carillon-Webhooks/1.0"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. status is None where nothing did, and error says why."""

    status: int | None
    error: str | None
    seconds: float
    retry_after: timedelta | None = None

    @property
    def taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class GuardedResolver(AbstractResolver):
    def __init__(self, *, private: bool) -> None:
        """private: any address will do."""
        self._private = private
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="webhook-resolver")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises OSError; RefusedAddress where any address is not to be reached, the others notwithstanding."""
        found = await asyncio.get_running_loop().run_in_executor(self._threads, self.look_up, host, port, family)
        results: list[ResolveResult] = []
        for kind, _, protocol, _, target in found:
            address = str(target[0])
            if not self._private:
                self._check(address)
            results.append(
                ResolveResult(
                    hostname=host, host=address, port=port, family=kind, proto=protocol, flags=socket.AI_NUMERICHOST
                )
            )
        return results

    def look_up(self, host: str, port: int, family: int) -> list[Any]:
        """The system's answer. Raises OSError."""
        return list(socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG))

    def _check(self, address: str) -> None:
        try:
            check_address(ip_address(address))
        except ValueError as error:
            raise RefusedAddress(str(error)) from error

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class Transport:
    """A component of the runner."""

    def __init__(
        self,
        *,
        timeout: float,
        private: bool,
        resolver: GuardedResolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """timeout: seconds for an attempt, from the name's look-up to the answer's end. private: for tests and laptops,
        any address and http:// too. tls: whom to trust; the system's authorities when None."""
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=min(CONNECT_SECONDS, timeout))
        self._private = private
        self._resolver = resolver or GuardedResolver(private=private)
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        connector = aiohttp.TCPConnector(
            resolver=self._resolver,
            use_dns_cache=False,
            limit=0,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            ssl=self._tls or True,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()
        await self._resolver.close()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Never raises for what the other side does."""
        began = time.monotonic()
        try:
            host = read_url(url, plain=self._private)
            if not self._private:
                check_host(host)
            status, wait = await self._post_once_more(url, body, headers)
            return Answer(status, None, time.monotonic() - began, wait)
        except Refused as error:
            found = f"address_refused: {error}"
        except aiohttp.ClientConnectorError as error:
            found = connection_fault(error)
        except TimeoutError:
            found = "timeout"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            found = f"connection_broken: {type(error).__name__}"
        return Answer(None, found, time.monotonic() - began)

    async def _post_once_more(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, timedelta | None]:
        try:
            return await self._post(url, body, headers)
        except aiohttp.ServerDisconnectedError:
            # Most likely it closed a kept connection just then. What comes twice has the same id.
            return await self._post(url, body, headers)

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, timedelta | None]:
        assert self._session is not None
        sent = {"Content-Type": "application/json", "User-Agent": USER_AGENT, **headers}
        async with self._session.post(URL(url, encoded=True), data=body, headers=sent, allow_redirects=False) as answer:
            await read_some(answer)
            return answer.status, retry_after(answer.headers.get("Retry-After"))


async def read_some(answer: aiohttp.ClientResponse) -> None:
    """To its end, so that the connection can be used again; a longer one is cut off with its connection."""
    size = 0
    while piece := await answer.content.read(ANSWER_BYTES):
        size += len(piece)
        if size > ANSWER_BYTES:
            answer.close()
            return


def connection_fault(error: aiohttp.ClientConnectorError) -> str:
    inner = error.__cause__ or error.os_error
    if isinstance(inner, RefusedAddress):
        return f"address_refused: {inner}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "name_not_resolved"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return "tls_failed"
    return "connection_refused"


def retry_after(header: str | None) -> timedelta | None:
    """Seconds or a date (RFC 9110); None for anything else."""
    if header is None:
        return None
    if header.strip().isdigit():
        return timedelta(seconds=min(int(header), 10**6))
    try:
        return max(timedelta(0), parsedate_to_datetime(header) - datetime.now(UTC))
    except (ValueError, TypeError):
        return None
