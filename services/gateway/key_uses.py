"""How much each key is used: counted here, added up by the hour in the database."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from chassis.errors import CarillonError
from chassis.ids import AccountId
from services.gateway.auth import Principal

log = structlog.get_logger()

# What a killed replica has counted since is lost: this is for people who look for keys in use, and no bill.
FLUSH_SECONDS = 5.0
HOUR_SECONDS = 3600


@dataclass(slots=True)
class Use:
    account: AccountId
    key_id: str
    # Hours since 1970.
    hour: int
    requests: int = 0
    # Of them, over the limit or without the scope.
    refused: int = 0

    @property
    def hour_at(self) -> datetime:
        return datetime.fromtimestamp(self.hour * HOUR_SECONDS, UTC)


# Adds the uses of one account's keys. Raises chassis errors.
Add = Callable[[AccountId, list[Use]], Awaitable[None]]


class KeyUses:
    """A component of the runner too: it writes down what is left when the process stops."""

    def __init__(self, add: Add) -> None:
        self._add = add
        self._counted: dict[tuple[str, int], Use] = {}

    def note(self, principal: Principal, *, refused: bool = False) -> None:
        hour = int(time.time()) // HOUR_SECONDS
        use = self._counted.get((principal.key_id, hour))
        if use is None:
            use = self._counted[(principal.key_id, hour)] = Use(principal.account, principal.key_id, hour)
        use.requests += 1
        use.refused += refused

    async def start(self) -> None:
        """Nothing to do: `run` is its loop."""

    async def stop(self) -> None:
        await self.flush()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """What cannot be written is dropped: counting must not fill the memory of a gateway without a database."""
        counted, self._counted = self._counted, {}
        by_account: dict[AccountId, list[Use]] = {}
        for use in counted.values():
            by_account.setdefault(use.account, []).append(use)
        for account, uses in by_account.items():
            try:
                await self._add(account, uses)
            except CarillonError as error:
                log.warning("key_uses.dropped", error=type(error).__name__)
