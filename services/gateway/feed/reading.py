"""Pages of the feed."""

from collections.abc import Sequence
from dataclasses import dataclass

from chassis.db import Database
from chassis.errors import FailedPrecondition, Reason
from chassis.ids import AccountId
from services.gateway import plans
from services.gateway.domain import event_types
from services.gateway.errors import refused_field
from services.gateway.feed import repository
from services.gateway.feed.repository import Event, Glance
from services.gateway.problem import FieldCode

# Events looked at for a page, where few are of a type that is asked for.
SCANNED = 2000
# Of their data in protobuf; JSON has three times that. One event is always given.
PAGE_BYTES = 2 << 20


@dataclass(frozen=True, slots=True)
class Page:
    events: list[Event]
    # Where the next page begins: the last position that was looked at.
    next_after: int
    # There is more that was not looked at.
    more: bool


async def page(db: Database, account: AccountId, *, after: int, types: Sequence[str], limit: int) -> Page:
    """after: 0 is the beginning. A page may be empty although more follows, where nothing of the types was in it.

    Raises FailedPrecondition(POSITION_EXPIRED) where events behind `after` are no longer kept, and InvalidArgument for
    an `after` that was never given: who waited there would miss all that come before.
    """
    async with db.read(account, snapshot=True) as tx:
        await plans.by_index(tx)
        head = await repository.head(tx, account)
        if after > head:
            raise refused_field("/after", FieldCode.OUT_OF_RANGE, f"There is no such position; the last one is {head}.")
        if after > 0:
            first = await repository.first(tx, account)
            if after < (first - 1 if first is not None else head):
                raise expired(first if first is not None else head + 1)
        glances = await repository.scan(tx, account, after=after, limit=SCANNED)
        taken, last = choose(glances, types=types, limit=limit)
        events = await repository.pick(tx, account, taken) if taken else []
    return Page(events, max(after, last), last < (glances[-1].position if glances else 0) or len(glances) == SCANNED)


def choose(glances: Sequence[Glance], *, types: Sequence[str], limit: int) -> tuple[list[int], int]:
    """The positions to give, and the last that was looked at; 0 where there is nothing."""
    taken: list[int] = []
    size = last = 0
    for one in glances:
        wanted = event_types.matches(types, one.type)
        if wanted and taken and (len(taken) == limit or size + one.size > PAGE_BYTES):
            break
        if wanted:
            taken.append(one.position)
            size += one.size
        last = one.position
    return taken, last


def expired(first: int) -> FailedPrecondition:
    return FailedPrecondition(
        Reason.POSITION_EXPIRED,
        "Events behind this position are no longer kept, so that some would be missed. "
        "Read the resources anew, and go on from the `after` given here.",
        metadata={"resume_after": str(first - 1)},
    )
