"""What a provider of any kind offers the dispatcher, and what it is given."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.campaigns.domain.sending import Answer, Keys


@dataclass(frozen=True, slots=True)
class WhatsAppTemplate:
    """A message that WhatsApp has approved, and what goes into its places, in order."""

    name: str
    language: str
    parameters: tuple[str, ...] = ()


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
    # Email only: beside the text, and where one POST takes the recipient off (RFC 8058).
    html: str | None = None
    unsubscribe_url: str | None = None
    # WhatsApp only: instead of the text.
    template: WhatsAppTemplate | None = None


class Provider(Protocol):
    """One sender's way out. It is shared by all campaigns of the sender in a process.

    It may hold connections, from `open` to `close`. A kind that speaks one message a call (most of them) extends
    `OneByOne`; a connection-oriented one (SMPP) binds in a task that `open` begins, and matches answers to messages by
    its own sequence numbers within `send`.
    """

    # What it does with the key; decides what may be repeated.
    keys: Keys
    # The most messages of one `send_many`; 1: it knows no batches.
    max_batch: int

    def open(self) -> None:
        """Called once, in the event loop, before the first message. Does not wait for connections: a message that comes
        before there is one waits within its own time, or is answered `Unavailable`.
        """
        ...

    async def close(self) -> None:
        """No connection is kept from here on. Messages under way may end, and late ones are still sent."""
        ...

    async def send(self, message: Outbound) -> Answer:
        """One attempt. Never raises for what the provider does or fails to do; may be cancelled."""
        ...

    async def send_many(self, messages: Sequence[Outbound]) -> list[Answer]:
        """One attempt for each of up to `max_batch` messages, and an answer for each in their order. As `send`."""
        ...


class OneByOne:
    """A provider without batches and without connections of its own."""

    max_batch = 1

    def open(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do."""

    async def send(self, message: Outbound) -> Answer:
        raise NotImplementedError

    async def send_many(self, messages: Sequence[Outbound]) -> list[Answer]:
        return [await self.send(message) for message in messages]
