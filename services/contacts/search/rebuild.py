"""Makes the search index anew from the contacts themselves: after an upgrade, or a change of how text is folded."""

from collections.abc import AsyncIterator
from itertools import groupby
from operator import itemgetter
from uuid import UUID

from chassis.db import Database
from chassis.ids import AccountId
from services.contacts.domain import search
from services.contacts.search import entries
from services.contacts.search.entries import Entry

CONTACTS = 4_000
NEXT = """
SELECT account_id, id, version, first_name, last_name, email, phone FROM contacts
WHERE (account_id, id) > ($1, $2) ORDER BY account_id, id LIMIT $3
"""


async def rebuild(db: Database) -> AsyncIterator[int]:
    """Over all accounts, while everything runs; how many contacts are done, after each transaction. May be repeated."""
    done, account, contact_id = 0, UUID(int=0), UUID(int=0)
    while True:
        async with db.across() as tx:
            rows = await tx.fetch(NEXT, account, contact_id, CONTACTS)
            for owner, own in groupby(rows, itemgetter(0)):
                await entries.keep(tx, AccountId(owner), [entry(*row[1:]) for row in map(tuple, own)], again=True)
        if not rows:
            return
        done, account, contact_id = done + len(rows), rows[-1][0], rows[-1][1]
        yield done


def entry(
    contact_id: UUID, version: int, first_name: str | None, last_name: str | None, email: str | None, phone: str | None
) -> Entry:
    text = search.kept_text(first_name=first_name, last_name=last_name, email=email, phone=phone)
    return Entry(contact_id, version, text)
