"""A contact's timeline and messages."""

from datetime import UTC, datetime
from uuid import UUID

from carillon.contacts.v1 import activity_pb2 as pb
from chassis import ids, paging
from chassis.call import Call
from chassis.db import Database, ReadTx
from chassis.errors import InvalidArgument, Reason
from services.contacts import errors
from services.contacts import repository as contacts
from services.contacts.activity import convert, repository
from services.contacts.activity.record import Entry, Message, Note, Reply
from services.contacts.activity.repository import TOP, Place


class ActivityService:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def timeline(self, call: Call, public_id: str, *, page_size: int, cursor: str) -> tuple[list[Entry], str]:
        """Newest first, and the cursor of the next page, empty on the last. Raises NotFound."""
        contact_id = errors.parse_id("cnt", public_id, kind="contact")
        limit = paging.page_size(page_size)
        scope = f"activity {call.account} {contact_id}"
        below = read_place(paging.decode_cursor(cursor, scope, parts=3)) if cursor else TOP
        async with self._db.read(call.account) as tx:
            await must_exist(tx, call, contact_id)
            found = await repository.timeline(tx, call.account, contact_id, below=below, limit=limit + 1)
        if len(found) <= limit:
            return found, ""
        last = found[limit - 1]
        return found[:limit], paging.encode_cursor(scope, last.at.isoformat(), str(last.ref), str(last.stage))

    async def add(self, call: Call, public_id: str, note: Note) -> pb.AddActivityResponse:
        """note: checked. Raises NotFound."""
        contact_id = errors.parse_id("cnt", public_id, kind="contact")
        async with self._db.write(call) as tx:
            if not await repository.add(tx, tx.account, contact_id, note):
                raise errors.not_found("contact", public_id)
            return await tx.reply(pb.AddActivityResponse(activity=convert.activity(entry(note))))

    async def messages(
        self, call: Call, public_id: str, *, page_size: int, cursor: str
    ) -> tuple[list[Message | Reply], str]:
        """Sent and received, the one made last first, and the cursor of the next page, empty on the last. Raises
        NotFound."""
        contact_id = errors.parse_id("cnt", public_id, kind="contact")
        limit = paging.page_size(page_size)
        scope = f"messages {call.account} {contact_id}"
        before = None
        if cursor:
            (last,) = paging.decode_cursor(cursor, scope, parts=1)
            before = ids.decode(convert.RECIPIENT, last)
        async with self._db.read(call.account) as tx:
            await must_exist(tx, call, contact_id)
            sent = await repository.messages(tx, call.account, contact_id, before=before, limit=limit + 1)
            received = await repository.replies(tx, call.account, contact_id, before=before, limit=limit + 1)
        both: list[Message | Reply] = [*sent, *received]
        found = sorted(both, key=lambda message: message.id, reverse=True)[: limit + 1]
        if len(found) <= limit:
            return found, ""
        return found[:limit], paging.encode_cursor(scope, ids.encode(convert.RECIPIENT, found[limit - 1].id))


async def must_exist(tx: ReadTx, call: Call, contact_id: UUID) -> None:
    """Raises NotFound."""
    if await contacts.get(tx, call.account, contact_id) is None:
        raise errors.not_found("contact", ids.encode("cnt", contact_id))


def read_place(parts: list[str]) -> Place:
    """Raises InvalidArgument(INVALID_CURSOR)."""
    try:
        return datetime.fromisoformat(parts[0]).astimezone(UTC), UUID(parts[1]), int(parts[2])
    except ValueError as error:
        raise InvalidArgument(Reason.INVALID_CURSOR, "The cursor was not issued for this request.") from error


def entry(note: Note) -> Entry:
    return Entry(
        at=note.at,
        ref=note.id,
        stage=0,
        type=note.type,
        channel=note.channel,
        text=note.text,
        data=note.data,
        actor=note.actor,
        campaign_id=None,
        reason="",
    )
