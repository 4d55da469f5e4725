"""The gateway's secrets keys are rotated while everything runs."""

from collections.abc import Awaitable, Callable

import asyncpg
from cryptography.fernet import Fernet

from chassis import ids
from chassis.db import Database
from chassis.ids import AccountId
from chassis.resealing import Step, reseal
from chassis.sealing import Sealer
from deploy.local import databases
from services.gateway.webhooks.queue import SEALED

OLD, NEW, NOBODYS = (Fernet.generate_key().decode() for _ in range(3))
INSERT = """
INSERT INTO webhooks (account_id, id, url, description, event_types, enabled, secret, old_secret)
VALUES ($1, $2, '', '', '{}', true, $3, $4)
"""


async def resealed(db: Database, keys: str) -> Step:
    whole = Step()
    async for step in reseal(db, Sealer(keys), SEALED):
        whole.add(step)
    return whole


async def test_after_it_the_old_key_can_be_taken_away(
    make_database: Callable[[str], Awaitable[databases.Urls]], account: AccountId
) -> None:
    urls = await make_database("gateway")
    admin, db = await asyncpg.connect(urls.admin), await Database.open(urls.work, pool_size=1)
    old, strange = Sealer(OLD), ids.new()
    # More than a page; one in the midst of the rotation of its own secret, and one that no key opens.
    await admin.executemany(INSERT, [(account, ids.new(), old.seal(f"{n}"), None) for n in range(250)])
    await admin.execute(INSERT, account, ids.new(), old.seal("mine"), old.seal("before"))
    await admin.execute(INSERT, account, strange, Sealer(NOBODYS).seal("x"), None)
    lost = [ids.encode("whk", strange)]
    assert await resealed(db, f"{NEW},{OLD}") == Step(rows=252, resealed=251, lost=lost)
    alone = Sealer(NEW)
    rows = await admin.fetch("SELECT secret, old_secret, version FROM webhooks WHERE id <> $1 ORDER BY id", strange)
    assert [alone.open(row["secret"]) for row in rows] == [*(f"{n}" for n in range(250)), "mine"]
    assert alone.open(rows[-1]["old_secret"]) == "before"
    assert {row["version"] for row in rows} == {1}
    assert await resealed(db, NEW) == Step(rows=252, resealed=0, lost=lost)
    await db.stop()
    await admin.close()
