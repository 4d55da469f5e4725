"""Requests that come while a transaction runs share the next; one that is refused keeps nobody else."""

import asyncio
from collections.abc import Sequence

import pytest
from prometheus_client import Counter, Histogram

from chassis import ids
from chassis.errors import CarillonError, InvalidArgument, Reason, ResourceExhausted, Unavailable
from chassis.group_commit import GroupCommit, Metrics
from chassis.ids import AccountId

METRICS = Metrics(
    Counter("test_groups_total", "", registry=None),
    Histogram("test_group_size", "", registry=None),
    Counter("test_refused_total", "", registry=None),
)
ONE, OTHER = AccountId(ids.new()), AccountId(ids.new())


class Store:
    """Writes when it is let."""

    def __init__(self) -> None:
        self.groups: list[tuple[AccountId, list[str]]] = []
        # One for each transaction that has begun.
        self.begun = asyncio.Semaphore(0)
        self.free = asyncio.Event()
        self.fails: Exception | None = None

    async def write(self, account: AccountId, items: Sequence[str]) -> list[str | CarillonError]:
        self.groups.append((account, list(items)))
        self.begun.release()
        await self.free.wait()
        if self.fails is not None:
            raise self.fails
        return [InvalidArgument(Reason.VALIDATION_FAILED, "bad") if item == "bad" else item.upper() for item in items]


async def test_those_that_wait_share_a_commit() -> None:
    store = Store()
    commits: GroupCommit[str, str] = GroupCommit(METRICS, store.write)
    first = asyncio.create_task(commits.add(ONE, "a", size=1))
    await store.begun.acquire()
    rest = [asyncio.create_task(commits.add(ONE, item, size=1)) for item in ("b", "bad", "c")]
    other = asyncio.create_task(commits.add(OTHER, "d", size=1))
    await store.begun.acquire()
    assert not any(task.done() for task in (first, *rest, other))
    store.free.set()
    results = await asyncio.gather(first, *rest, other, return_exceptions=True)
    assert [one for one in results if not isinstance(one, Exception)] == ["A", "B", "C", "D"]
    assert isinstance(results[2], InvalidArgument)
    # Each account's in a transaction of its own.
    assert sorted(store.groups) == sorted([(ONE, ["a"]), (OTHER, ["d"]), (ONE, ["b", "bad", "c"])])


@pytest.mark.parametrize(("limit", "size"), [({"max_waiting": 3}, 1), ({"max_bytes": 30}, 10)], ids=["number", "bytes"])
async def test_beyond_the_capacity_it_says_so_at_once(limit: dict[str, int], size: int) -> None:
    store = Store()
    commits: GroupCommit[str, str] = GroupCommit(METRICS, store.write, **limit)
    waiting = [asyncio.create_task(commits.add(ONE, str(at), size=size)) for at in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(ResourceExhausted) as caught:
        await commits.add(OTHER, "more", size=size)
    assert (caught.value.reason, caught.value.metadata["retry_after"]) == ("overloaded", "1")
    store.free.set()
    assert await asyncio.gather(*waiting) == ["0", "1", "2"]
    assert await commits.add(OTHER, "again", size=size) == "AGAIN"


async def test_what_the_database_refuses_all_are_told_and_the_next_are_written() -> None:
    store = Store()
    store.free.set()
    store.fails = Unavailable("unavailable", "down")
    commits: GroupCommit[str, str] = GroupCommit(METRICS, store.write, max_waiting=2)
    found = await asyncio.gather(*(commits.add(ONE, item, size=1) for item in "ab"), return_exceptions=True)
    assert [type(one) for one in found] == [Unavailable, Unavailable]
    store.fails = None
    assert await commits.add(ONE, "c", size=1) == "C"


async def test_who_stops_waiting_keeps_nobody() -> None:
    store = Store()
    commits: GroupCommit[str, str] = GroupCommit(METRICS, store.write)
    gone, stays = (asyncio.create_task(commits.add(ONE, item, size=1)) for item in "ab")
    await store.begun.acquire()
    gone.cancel()
    store.free.set()
    assert await stays == "B"
