"""Lists of contacts, a page at a time."""

from chassis import paging
from chassis.call import Call
from chassis.db import Database
from services.contacts.domain.contact import Contact
from services.contacts.listing import order as orders
from services.contacts.listing import pages, totals
from services.contacts.listing.filters import Filter
from services.contacts.listing.order import Order
from services.contacts.listing.totals import Total


class ListingService:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def page(
        self, call: Call, wanted: Filter, *, order: Order, page_size: int, cursor: str, skip: int = 0
    ) -> tuple[list[Contact], str]:
        """Contacts, and the cursor of the next page, empty on the last. skip: how many are passed over before.

        Raises InvalidArgument.
        """
        limit, skip = paging.page_size(page_size), paging.skipped(skip)
        scope = f"contacts {call.account} {wanted} {order}"
        after = None
        if cursor:
            parts = paging.decode_cursor(cursor, scope, parts=len(order.columns))
            after = orders.from_parts(parts, order)
        async with self._db.read(call.account) as tx:
            if skip:
                after = await pages.key_at(tx, call.account, wanted, order=order, after=after, skip=skip)
                if after is None:
                    return [], ""
            found = await pages.page(tx, call.account, wanted, order=order, after=after, limit=limit + 1)
        shown = [hit.contact for hit in found[:limit]]
        if len(found) <= limit:
            return shown, ""
        return shown, paging.encode_cursor(scope, *orders.to_parts(found[limit - 1].key))

    async def total(self, call: Call, wanted: Filter) -> Total:
        """Of all pages. What a search finds is counted as the index has it."""
        return await totals.total(self._db, call.account, wanted)
