"""Events as the services tell them: through NATS, or straight to the feed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from google.protobuf.message import Message

from carillon.contacts.v1 import contacts_pb2
from carillon.events.v1 import events_pb2
from chassis import ids
from chassis.consumer import Received
from chassis.ids import AccountId, encode_account
from chassis.nats import Nats


def contact(name: str, version: int = 1) -> events_pb2.ContactsChanged:
    """A change of the contact that the name stands for."""
    return events_pb2.ContactsChanged(
        changes=[events_pb2.ContactChange(contact=contacts_pb2.Contact(id=name, version=version))]
    )


def event(
    account: AccountId, message: Message, *, event_type: str = "contact.updated", event_id: UUID | None = None
) -> Received:
    """As a consumer gets it."""
    return Received(
        id=str(event_id or ids.new()),
        type=event_type,
        account=account,
        time=datetime.now(UTC),
        data=message.SerializeToString(),
        bulk=False,
        message=SimpleNamespace(),  # type: ignore[arg-type]  # the writer does not look at it
    )


async def publish(
    nats: Nats,
    account: AccountId,
    message: Message,
    *,
    event_type: str = "contact.updated",
    bulk: bool = False,
    event_id: UUID | None = None,
) -> str:
    """The event's id."""
    name = str(event_id or ids.new())
    headers = {
        "ce-id": name, "ce-type": event_type, "ce-time": datetime.now(UTC).isoformat(), "ce-source": "carillon/test",
    }  # fmt: skip
    lane = ".bulk" if bulk else ""
    await nats.jetstream.publish(
        f"events.{event_type}.{encode_account(account)}{lane}", message.SerializeToString(), headers=headers
    )
    return name


def versions(bodies: Sequence[dict[str, Any]], name: str) -> list[int]:
    """Of the contact, in the order of the bodies."""
    return [
        change["contact"]["version"]
        for body in bodies
        for change in body["data"]["changes"]
        if change["contact"]["id"] == name
    ]
