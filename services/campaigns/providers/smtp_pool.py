"""Connections to one SMTP server: opened when they are needed, kept while they are, never more than so many."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiosmtplib import SMTP

# Shorter than servers wait for a command (RFC 5321 4.5.3.2.7: five minutes), and than firewalls remember.
IDLE_SECONDS = 20.0
# Servers close connections that have sent too much.
MOST_MAILS = 500


class Busy(Exception):
    """No connection came free in time."""


class Pool:
    def __init__(self, make: Callable[[], Awaitable[SMTP]], *, most: int) -> None:
        """make: an open connection. most: open at once."""
        self._make = make
        self._free = asyncio.Semaphore(most)
        # The last one used is taken first, so that the others grow old.
        self._idle: list[SMTP] = []
        self._mails: dict[SMTP, int] = {}
        self._timers: dict[SMTP, asyncio.TimerHandle] = {}
        self._closed = False

    @asynccontextmanager
    async def connection(self, *, wait: float) -> AsyncIterator[tuple[SMTP, bool]]:
        """An open connection, and whether it was used before. After an error it is not used again.

        Raises Busy after `wait` seconds without one, SMTPException and OSError where none can be opened.
        """
        try:
            async with asyncio.timeout(wait):
                await self._free.acquire()
        except TimeoutError as error:
            raise Busy from error
        connection: SMTP | None = None
        is_whole = False
        try:
            connection, is_used = await self._take()
            yield connection, is_used
            is_whole = True
        finally:
            self._free.release()
            if connection is not None:
                self._give_back(connection, is_whole=is_whole)

    async def _take(self) -> tuple[SMTP, bool]:
        while self._idle:
            connection = self._idle.pop()
            self._timers.pop(connection).cancel()
            if connection.is_connected:
                return connection, True
            self._forget(connection)
        return await self._make(), False

    def _give_back(self, connection: SMTP, *, is_whole: bool) -> None:
        mails = self._mails.get(connection, 0) + 1
        if not is_whole or self._closed or mails >= MOST_MAILS or not connection.is_connected:
            self._forget(connection)
            return
        self._mails[connection] = mails
        self._idle.append(connection)
        loop = asyncio.get_running_loop()
        self._timers[connection] = loop.call_later(IDLE_SECONDS, self._expire, connection)

    def _expire(self, connection: SMTP) -> None:
        self._timers.pop(connection, None)
        if connection in self._idle:
            self._idle.remove(connection)
            self._forget(connection)

    def _forget(self, connection: SMTP) -> None:
        self._mails.pop(connection, None)
        connection.close()

    def close(self) -> None:
        """Those at rest now, the others when they come back."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for connection in self._idle:
            self._forget(connection)
        self._idle.clear()
