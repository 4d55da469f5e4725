"""Secrets keys are rotated while everything runs."""

from cryptography.fernet import Fernet

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis.ids import AccountId
from chassis.resealing import Step, reseal
from chassis.sealing import Sealer
from services.campaigns.repository.senders import SEALED
from tests.service.campaigns.world import SECRETS_KEY, World

NEW = Fernet.generate_key().decode()


async def resealed(world: World, keys: str) -> Step:
    whole = Step()
    async for step in reseal(world.work_db, Sealer(keys), SEALED):
        whole.add(step)
    return whole


async def test_after_it_the_old_key_can_be_taken_away(world: World, account: AccountId) -> None:
    made = [await world.sender(account, secrets_json=f'{{"authorization": "token {n}"}}') for n in range(3)]
    assert await resealed(world, f"{NEW},{SECRETS_KEY}") == Step(rows=3, resealed=3)
    # Whoever still has both keys reads on.
    rows = await world.admin("SELECT secrets, receipts_secret, version FROM senders ORDER BY id")
    alone = Sealer(NEW)
    assert [alone.open(row["secrets"]) for row in rows] == [f'{{"authorization":"token {n}"}}' for n in range(3)]
    paths = [alone.open(row["receipts_secret"]) for row in rows]
    assert all(path in sender.receipts_path for path, sender in zip(paths, made, strict=True))
    assert [row["version"] for row in rows] == [1, 1, 1]
    assert await resealed(world, NEW) == Step(rows=3, resealed=0)


async def test_what_no_key_opens_is_named_and_left(world: World, account: AccountId) -> None:
    sender = await world.sender(account)
    assert await resealed(world, NEW) == Step(rows=1, resealed=0, lost=[sender.id])
    found = (await world.call(account, "GetSender", pb.GetSenderRequest(id=sender.id))).sender
    assert found.receipts_path == sender.receipts_path


async def test_it_goes_through_pages_of_every_account(world: World, account: AccountId) -> None:
    await world.sender(account)
    await world.admin(
        "INSERT INTO senders SELECT gen_random_uuid(), gen_random_uuid(), name, channel, address, provider, settings,"
        " secrets, receipts_secret, receipts_digest, rate_limit_per_second, is_default"
        " FROM senders, generate_series(1, 450)"
    )
    assert await resealed(world, f"{NEW},{SECRETS_KEY}") == Step(rows=451, resealed=451)
