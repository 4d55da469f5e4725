"""The search index, brought up to date from the outbox as the consumers would, and looked at."""

import random
from datetime import UTC, datetime
from typing import Any, cast

from chassis.consumer import Received
from chassis.db import Database
from chassis.ids import AccountId
from services.contacts.search.consumers import SearchIndexer

EVENTS = "SELECT id, type, data, bulk FROM outbox WHERE account_id = $1 ORDER BY created_at, id"


async def events(work_db: Database, account: AccountId) -> list[Received]:
    async with work_db.across() as tx:
        rows = await tx.fetch(EVENTS, account)
    now = datetime.now(UTC)
    return [
        Received(str(row["id"]), row["type"], account, now, row["data"], row["bulk"], cast(Any, None)) for row in rows
    ]


async def index(work_db: Database, account: AccountId, *, shuffled: random.Random | None = None) -> None:
    """Everything that the account's events tell of, one event at a time; shuffled: in any order and some twice."""
    told = [event for event in await events(work_db, account) if event.type.startswith("contact.")]
    if shuffled is not None:
        told += shuffled.sample(told, len(told) // 2)
        shuffled.shuffle(told)
    for event in told:
        await SearchIndexer(work_db).handle(account, [event])


async def kept_words(admin: Any, account: AccountId) -> set[tuple[str, str]]:
    """Word and contact, as the table has them."""
    rows = await admin.fetch("SELECT word, contact_id FROM search_words WHERE account_id = $1", account)
    return {(row[0], str(row[1])) for row in rows}
