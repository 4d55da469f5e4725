"""The do-not-contact list, and the question whom a message may go to."""

from collections.abc import Sequence
from datetime import UTC, datetime

from carillon.contacts.v1 import contacts_pb2 as pb
from carillon.events.v1 import events_pb2
from chassis import ids, paging
from chassis.call import Call
from chassis.db import Database
from chassis.errors import AlreadyExists, Reason
from formats import phones
from services.contacts import convert, errors
from services.contacts.addresses import read_email
from services.contacts.domain import limits, messaging
from services.contacts.domain.messaging import Refusal
from services.contacts.domain.problems import Problem, Refused, invalid
from services.contacts.erasure.hashing import AddressHash
from services.contacts.intake import INVALID_EMAIL, INVALID_PHONE, read_region
from services.contacts.suppressions import repository
from services.contacts.suppressions.record import Suppression
from services.contacts.suppressions.repository import Target


class SuppressionService:
    def __init__(self, db: Database, hashes: AddressHash) -> None:
        self._db = db
        self._hashes = hashes

    async def create(self, call: Call, request: pb.CreateSuppressionRequest) -> pb.CreateSuppressionResponse:
        """Raises InvalidArgument, AlreadyExists(SUPPRESSION_EXISTS)."""
        with errors.refusing():
            new = read(request)
        async with self._db.write(call) as tx:
            if not await repository.insert(tx, tx.account, new):
                existing = await repository.holder(tx, tx.account, new)
                raise AlreadyExists(
                    Reason.SUPPRESSION_EXISTS,
                    "The address is on the do-not-contact list already.",
                    metadata={"existing_id": ids.encode("sup", existing)} if existing is not None else None,
                )
            message = convert.suppression(new)
            tx.add_event("suppression.created", events_pb2.SuppressionsChanged(suppressions=[message]))
            return await tx.reply(pb.CreateSuppressionResponse(suppression=message))

    async def page(self, call: Call, *, page_size: int, cursor: str) -> tuple[list[Suppression], str]:
        """Newest first, and the cursor of the next page, empty on the last."""
        limit = paging.page_size(page_size)
        scope = f"suppressions {call.account}"
        before = None
        if cursor:
            (last,) = paging.decode_cursor(cursor, scope, parts=1)
            before = ids.decode("sup", last)
        async with self._db.read(call.account) as tx:
            found = await repository.page(tx, call.account, before=before, limit=limit + 1)
        if len(found) <= limit:
            return found, ""
        return found[:limit], paging.encode_cursor(scope, ids.encode("sup", found[limit - 1].id))

    async def delete(self, call: Call, public_id: str) -> pb.DeleteSuppressionResponse:
        """Raises NotFound."""
        suppression_id = errors.parse_id("sup", public_id, kind="suppression")
        async with self._db.write(call) as tx:
            gone = await repository.delete(tx, tx.account, suppression_id)
            if gone is None:
                raise errors.not_found("suppression", public_id)
            told = events_pb2.SuppressionsChanged(suppressions=[convert.suppression(gone)])
            tx.add_event("suppression.deleted", told)
            return await tx.reply(pb.DeleteSuppressionResponse())

    async def check(self, call: Call, channel: str, *, targets: Sequence[pb.Target]) -> list[Refusal | None]:
        """Why each target may not be messaged on the channel now; None where it may. In the order asked."""
        if len(targets) > limits.MESSAGEABLE_TARGETS:
            raise errors.invalid([invalid("targets", f"At most {limits.MESSAGEABLE_TARGETS} targets at once.")])
        by_email = channel == "email"
        addresses = [messaging.fold(target.address, by_email=by_email) for target in targets]
        hashes = self._hashes.of_all(call.account, addresses, by_email=by_email)
        asked = [
            Target(bool(target.contact_id), ids.decode("cnt", target.contact_id), address, hashed)
            for target, address, hashed in zip(targets, addresses, hashes, strict=True)
        ]
        standings = await repository.standings(self._db, call.account, asked, channel=channel, by_email=by_email)
        return [
            messaging.refusal(standings.get(place), address, by_email=by_email)
            for place, address in enumerate(addresses)
        ]


def read(request: pb.CreateSuppressionRequest) -> Suppression:
    """Raises Refused."""
    problems: list[Problem] = []
    if request.HasField("phone") == request.HasField("email"):
        problems.append(Problem("", "validation_failed", "Exactly one of phone and email is needed."))
    phone = phones.normalise(request.phone, read_region(request.default_region)) if request.HasField("phone") else None
    if request.HasField("phone") and phone is None:
        problems.append(Problem("/phone", "invalid_phone", INVALID_PHONE))
    email = read_email(request.email) if request.HasField("email") else None
    if request.HasField("email") and email is None:
        problems.append(Problem("/email", "invalid_email", INVALID_EMAIL))
    if len(request.reason) > limits.REASON_CHARACTERS or "\0" in request.reason:
        problems.append(invalid("reason", f"reason has at most {limits.REASON_CHARACTERS} characters."))
    if any(channel not in convert.CHANNEL_NAMES for channel in request.channels):
        problems.append(invalid("channels", "A channel is not known."))
    if problems:
        raise Refused(*problems)
    return Suppression(
        id=ids.new(),
        phone=phone.e164 if phone is not None else None,
        email=email.address if email is not None else None,
        email_normal=email.normal if email is not None else None,
        channels=sorted({convert.CHANNEL_NAMES[channel] for channel in request.channels}),
        reason=request.reason,
        created_at=datetime.now(UTC),
    )
