"""What the outbox holds, decoded."""

from typing import Any

from carillon.events.v1 import events_pb2

MESSAGES: dict[str, Any] = {
    "contact.created": events_pb2.ContactsChanged,
    "contact.updated": events_pb2.ContactsChanged,
    "contact.deleted": events_pb2.ContactsDeleted,
    "list.created": events_pb2.ListChanged,
    "list.updated": events_pb2.ListChanged,
    "list.deleted": events_pb2.ListDeleted,
    "suppression.created": events_pb2.SuppressionsChanged,
    "suppression.updated": events_pb2.SuppressionsChanged,
    "suppression.deleted": events_pb2.SuppressionsChanged,
    "import.completed": events_pb2.ImportCompleted,
}


async def outbox(admin, account) -> list[tuple[str, bool, Any]]:
    """Type, lane and message of every event of the account, in the order in which they were made."""
    rows = await admin.fetch(
        "SELECT type, bulk, data FROM outbox WHERE account_id = $1 ORDER BY created_at, id", account
    )
    return [(row["type"], row["bulk"], MESSAGES[row["type"]].FromString(row["data"])) for row in rows]
