"""Bulk events give way to work that somebody waits for, where both share the processors.

Who is at such work (an import) says so every other second, by a poke: a lost one costs that work some speed and nothing
else. Who handles bulk events and heard it rests between batches, so that they take a share of the time and no more.
What has waited for PATIENCE_SECONDS is handled at full speed all the same, so that nobody is late for good.
"""

import asyncio
import time

from nats.aio.msg import Msg

from chassis.nats import POKE, Nats

TOPIC = "haste"
# For how long a poke holds.
HEARD_SECONDS = 5.0
PATIENCE_SECONDS = 120.0


class Pace:
    def __init__(self, share: float) -> None:
        """share: above 0 and up to 1, of the time, while somebody is in haste; 1 gives way to nobody."""
        self._share = share
        self._hasty_until = 0.0

    async def listen(self, nats: Nats) -> None:
        if self._share < 1:
            await nats.subscribe(POKE + TOPIC, self._heard)

    async def _heard(self, _: Msg) -> None:
        self._hasty_until = time.monotonic() + HEARD_SECONDS

    async def rest(self, took: float, *, waited: float) -> None:
        """Behind a batch that took so many seconds and had waited for so many."""
        if waited < PATIENCE_SECONDS:
            await asyncio.sleep(min(took * (1 / self._share - 1), self._hasty_until - time.monotonic()))
