"""What to do where transactions wait for one another in a circle: an import holds a contact's list and waits for a key,
whose holder waits for the contact, say. Postgres ends one of them, and that one begins again."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import asyncpg

from chassis.errors import Reason, Unavailable

P = ParamSpec("P")
T = TypeVar("T")

# Nobody is that unlucky three times in a row.
ATTEMPTS = 3


def retried(method: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """For a method that is one transaction and changes nothing else. Raises Unavailable after ATTEMPTS deadlocks."""

    @wraps(method)
    async def again(*args: P.args, **kwargs: P.kwargs) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await method(*args, **kwargs)
            except asyncpg.DeadlockDetectedError:
                # Whoever waited has its turn first.
                await asyncio.sleep(random.uniform(0.01, 0.1) * attempt)
        raise contended()

    return again


def contended() -> Unavailable:
    return Unavailable(Reason.UNAVAILABLE, "Others keep changing the same contacts; retry in a moment.")
