"""The sandbox: sends nothing and accepts everything. All that a test key's campaigns reach."""

from collections.abc import Sequence
from datetime import timedelta

from services.campaigns.domain.sending import Accepted, Answer, Keys
from services.campaigns.providers.port import OneByOne, Outbound

PREFIX = "sandbox_"


class Sandbox(OneByOne):
    keys = Keys(honoured=True, kept=timedelta(days=365))
    max_batch = 500

    async def send(self, message: Outbound) -> Answer:
        return Accepted(PREFIX + message.key)

    async def send_many(self, messages: Sequence[Outbound]) -> list[Answer]:
        return [Accepted(PREFIX + message.key) for message in messages]
