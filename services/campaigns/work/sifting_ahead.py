"""Pages of an audience, read and held against contacts while those before them are written."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing

from services.campaigns.peers import Page
from services.campaigns.sifting import Sifted

# Pages that contacts is asked about, or was, and that are not written.
AHEAD = 6
# Pages written in one transaction: the wait for the disk is the same for one.
TOGETHER = 4

# None: there are no more.
Queue = asyncio.Queue["asyncio.Task[Sifted] | None"]


async def together(
    pages: AsyncGenerator[Page], sift: Callable[[Page], Coroutine[None, None, Sifted]]
) -> AsyncGenerator[Sifted]:
    """The sifted pages in their order, as many in one as there are by the time they are asked for.

    An address may be in one twice. Raises what pages and sift do.
    """
    queue: Queue = asyncio.Queue(AHEAD)
    reader = asyncio.create_task(read(pages, sift, queue))
    tasks: list[asyncio.Task[Sifted]] = []
    try:
        more = True
        while more:
            ready = [await queue.get(), *drained(queue, TOGETHER - 1)]
            tasks = [task for task in ready if task is not None]
            more = len(tasks) == len(ready)
            if tasks:
                yield joined([await task for task in tasks])
        await reader
    finally:
        reader.cancel()
        tasks += [task for task in drained(queue, AHEAD) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(reader, *tasks, return_exceptions=True)


async def read(
    pages: AsyncGenerator[Page], sift: Callable[[Page], Coroutine[None, None, Sifted]], queue: Queue
) -> None:
    try:
        async with aclosing(pages):
            async for page in pages:
                await queue.put(asyncio.create_task(sift(page)))
    except Exception:
        # Whoever waits for the next page is to see it.
        await queue.put(None)
        raise
    await queue.put(None)


def drained(queue: Queue, most: int) -> list["asyncio.Task[Sifted] | None"]:
    return [queue.get_nowait() for _ in range(min(queue.qsize(), most))]


def joined(pages: Sequence[Sifted]) -> Sifted:
    return Sifted(
        [candidate for page in pages for candidate in page.kept],
        [candidate for page in pages for candidate in page.doubles],
        {contact: reason for page in pages for contact, reason in page.left_out.items()},
        min(page.erasures for page in pages),
    )
