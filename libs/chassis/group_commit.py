"""Many requests, one commit: what comes while a transaction, or a call, is under way is written by the next, together.

Each account has a lane of its own, so that no transaction holds the rows of two. A request waits until its part is
committed. What waits is bounded in number and bytes; beyond that a request is refused at once, to be sent again.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from prometheus_client import Counter, Histogram

from chassis.errors import CarillonError, Reason, ResourceExhausted
from chassis.ids import AccountId

# Of one group.
MAX_GROUP = 500
MAX_GROUP_BYTES = 4 * 1024 * 1024
MAX_WAITING = 5000
MAX_WAITING_BYTES = 32 * 1024 * 1024

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(slots=True)
class Waiting(Generic[Item, Result]):
    item: Item
    size: int
    future: asyncio.Future[Result]


@dataclass(slots=True)
class Lane(Generic[Item, Result]):
    queue: deque[Waiting[Item, Result]] = field(default_factory=deque)
    # Held, or it might be collected while it runs.
    task: asyncio.Task[None] | None = None


@dataclass(frozen=True, slots=True)
class Metrics:
    """Groups that were written, the requests in each, and requests beyond the capacity."""

    groups: Counter
    sizes: Histogram
    refused: Counter


class GroupCommit(Generic[Item, Result]):
    def __init__(
        self,
        metrics: Metrics,
        write: Callable[[AccountId, Sequence[Item]], Awaitable[Sequence[Result | CarillonError]]],
        *,
        max_waiting: int = MAX_WAITING,
        max_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        """write: at once; of each item what came of it, or why it is refused. What it raises, all of its items are
        refused with."""
        self._metrics = metrics
        self._write = write
        self._max_waiting = max_waiting
        self._max_bytes = max_bytes
        self._lanes: dict[AccountId, Lane[Item, Result]] = {}
        self._waiting = 0
        self._bytes = 0

    async def add(self, account: AccountId, item: Item, *, size: int) -> Result:
        """Answers when the item is committed. Raises ResourceExhausted(OVERLOADED), and what `write` says."""
        if self._waiting >= self._max_waiting or self._bytes + size > self._max_bytes:
            self._metrics.refused.inc()
            raise overloaded()
        lane = self._lanes.setdefault(account, Lane())
        waiting: Waiting[Item, Result] = Waiting(item, size, asyncio.get_running_loop().create_future())
        lane.queue.append(waiting)
        self._waiting += 1
        self._bytes += size
        if lane.task is None:
            lane.task = asyncio.create_task(self._run(account, lane))
        return await waiting.future

    async def _run(self, account: AccountId, lane: Lane[Item, Result]) -> None:
        """Until the lane is empty."""
        while lane.queue:
            group = next_group(lane.queue)
            try:
                settle(group, await self._write(account, [one.item for one in group]))
            except BaseException as error:
                fail(group, error)
                if not isinstance(error, Exception):
                    raise
            finally:
                self._waiting -= len(group)
                self._bytes -= sum(one.size for one in group)
            self._metrics.groups.inc()
            self._metrics.sizes.observe(len(group))
        del self._lanes[account]


def overloaded() -> ResourceExhausted:
    return ResourceExhausted(
        Reason.OVERLOADED, "More comes in than can be stored just now; send it again.", metadata={"retry_after": "1"}
    )


def next_group(queue: deque[Waiting[Item, Result]]) -> list[Waiting[Item, Result]]:
    """At least one."""
    group, size = [queue.popleft()], 0
    while queue and len(group) < MAX_GROUP and (size := size + group[-1].size) < MAX_GROUP_BYTES:
        group.append(queue.popleft())
    return group


def settle(group: Sequence[Waiting[Item, Result]], results: Sequence[Result | CarillonError]) -> None:
    for one, result in zip(group, results, strict=True):
        if one.future.done():
            # The caller is gone.
            continue
        if isinstance(result, CarillonError):
            one.future.set_exception(result)
        else:
            one.future.set_result(result)


def fail(group: Sequence[Waiting[Item, Result]], error: BaseException) -> None:
    for one in group:
        if not one.future.done():
            one.future.set_exception(error) if isinstance(error, Exception) else one.future.cancel()
