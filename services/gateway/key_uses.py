"""How much each key is used: counted here, added up by the hour in the database."""

import asyncio
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


@dataclass(slots=True)
class Use:
    account: AccountId
    key_id: str
    hour_at: datetime
    requests: int = 0
    # Of them, over the limit or without the scope.
    refused: int = 0


# Adds the uses of one account's keys. Raises chassis errors.
Add = Callable[[AccountId, list[Use]], Awaitable[None]]


class KeyUses:
    """A component of the runner too: it writes down what is left when the process stops."""

    def __init__(self, add: Add) -> None:
        self._add = add
        self._counted: dict[tuple[str, datetime], Use] = {}

    def note(self, principal: Principal, *, refused: bool = False) -> None:
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
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
