"""The providers of a process: one for each sender, shared by its campaigns, so that connections are shared too."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from chassis.sealing import Sealer
from services.campaigns.providers.port import Provider
from services.campaigns.providers.registry import KINDS, SANDBOX, Reach

MOST = 500


class OpenProviders:
    """Made when they are first needed, closed when their sender has changed, or too many others came."""

    def __init__(self, reach: Reach, sealer: Sealer) -> None:
        self._reach = reach
        self._sealer = sealer
        # By account and sender, with the sender's version.
        self._open: dict[tuple[UUID, UUID], tuple[int, Provider]] = {}
        self._sandbox = KINDS[SANDBOX].make(reach, {}, {})
        self._closing: set[asyncio.Task[None]] = set()

    def of(self, row: asyncpg.Record | Mapping[str, Any], *, is_test: bool) -> Provider:
        """row: with account_id, sender_id, sender_version, provider, settings and secrets.

        is_test: whatever the sender is, nothing is sent.
        """
        if is_test:
            return self._sandbox
        key, version = (row["account_id"], row["sender_id"]), row["sender_version"]
        found = self._open.get(key)
        if found is not None and found[0] >= version:
            return found[1]
        if found is not None:
            self._let_go(key)
        elif len(self._open) >= MOST:
            self._let_go(next(iter(self._open)))
        made = KINDS[row["provider"]].make(
            self._reach, orjson.loads(row["settings"]), orjson.loads(self._sealer.open(row["secrets"]))
        )
        made.open()
        self._open[key] = (version, made)
        return made

    def _let_go(self, key: tuple[UUID, UUID]) -> None:
        _, provider = self._open.pop(key)
        task = asyncio.get_running_loop().create_task(provider.close(), name="provider-close")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def start(self) -> None:
        """Nothing to do: each is opened when it is first needed."""

    async def stop(self) -> None:
        for key in list(self._open):
            self._let_go(key)
        await asyncio.gather(*self._closing, return_exceptions=True)
