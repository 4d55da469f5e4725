"""Every row of an account goes, nobody else's does, and what was stopped halfway is repeated."""

from chassis import erasing
from chassis.erasing import erase
from chassis.ids import AccountId
from tests.service.chassis.conftest import METADATA, Databases

NOTES = "INSERT INTO notes SELECT $1, at, 'mine' FROM generate_series(1, 10) AS at"
KEYS = """
INSERT INTO idempotency_keys (account_id, key, method, fingerprint, response) VALUES ($1, 'k', 'm', '', '')
"""


async def rows(dbs: Databases, account: AccountId) -> dict[str, int]:
    async with dbs.work.across() as tx:
        return {
            table: await tx.fetchval(f"SELECT count(*) FROM {table} WHERE account_id = $1", account)
            for table in METADATA.tables
        }


async def test_an_account_goes_with_every_row_and_no_other_does(
    dbs: Databases, account: AccountId, other: AccountId, monkeypatch
) -> None:
    monkeypatch.setattr(erasing, "ROWS", 4)
    for whose in (account, other):
        async with dbs.work.write(whose) as tx:
            await tx.execute(NOTES, whose)
            await tx.execute(KEYS, whose)
    before = await rows(dbs, other)
    assert before == {"notes": 10, "idempotency_keys": 1, "outbox": 0}
    assert await rows(dbs, account) == before

    # Stopped after its first transaction.
    erasing_once = erase(dbs.work, account, METADATA, first=("notes",))
    assert await anext(erasing_once) == ("notes", 4)
    await erasing_once.aclose()
    assert (await rows(dbs, account))["notes"] == 6

    again = [step async for step in erase(dbs.work, account, METADATA, first=("notes",))]
    assert again == [("notes", 4), ("notes", 2), ("idempotency_keys", 1)]
    assert set((await rows(dbs, account)).values()) == {0}
    assert [step async for step in erase(dbs.work, account, METADATA)] == []
    assert await rows(dbs, other) == before
