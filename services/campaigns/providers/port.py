"""What a provider of any kind offers the dispatcher."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.campaigns.domain.sending import Answer, Keys


@dataclass(frozen=True, slots=True)
class Outbound:
    """One message to one recipient."""

    # Stable over all attempts: the recipient's id, `rcp_…`.
    key: str
    to: str
    sender: str
    channel: str
    text: str
    subject: str | None
    callback_url: str


class Provider(Protocol):
    # What it does with the key; decides what may be repeated.
    keys: Keys
    # The most messages of one `send_many`; 1: it knows no batches.
    max_batch: int

    async def send(self, message: Outbound) -> Answer:
        """One attempt. Never raises for what the provider does or fails to do; may be cancelled."""
        ...

    async def send_many(self, messages: Sequence[Outbound]) -> list[Answer]:
        """One attempt for each of up to `max_batch` messages, and an answer for each in their order. As `send`."""
        ...


class OneByOne:
    """A provider without batches."""

    max_batch = 1

    async def send(self, message: Outbound) -> Answer:
        raise NotImplementedError

    async def send_many(self, messages: Sequence[Outbound]) -> list[Answer]:
        return [await self.send(message) for message in messages]
