"""What providers post, as tests say it."""

import itertools
from typing import Any

import orjson

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis.ids import AccountId
from services.campaigns.work.receipts import ReceiptApplier
from tests.service.campaigns.world import World, numbers_csv

numbers = itertools.count(1)


def token_of(sender: pb.Sender) -> str:
    return sender.receipts_path.split("/")[3]


def told(line: pb.Recipient, status: str, **more: Any) -> dict[str, Any]:
    """A receipt of a line of the ledger."""
    return {"id": line.provider_message_id, "status": status, **more}


async def post(
    world: World,
    account: AccountId,
    sender: pb.Sender,
    hook: pb.Hook.ValueType,
    body: bytes,
    *,
    content_type: str = "application/json",
    query: str = "",
    **signatures: str,
) -> pb.TakeHookResponse:
    """signatures: headers, with underscores for hyphens."""
    request = pb.TakeHookRequest(
        sender_id=sender.id,
        token=token_of(sender),
        hook=hook,
        body=body,
        content_type=content_type,
        query=query,
        signatures={name.replace("_", "-"): value for name, value in signatures.items()},
    )
    answer: pb.TakeHookResponse = await world.call(account, "TakeHook", request)
    return answer


async def record(world: World, account: AccountId, sender: pb.Sender, *receipts: dict[str, Any]) -> int:
    answer = await post(world, account, sender, pb.HOOK_RECEIPTS, orjson.dumps({"receipts": receipts}))
    return answer.stored


async def say(
    world: World, account: AccountId, sender: pb.Sender, text: str, *, address: str, **more: Any
) -> pb.TakeHookResponse:
    """A message from somebody."""
    message = {"id": f"in-{next(numbers)}", "from": address, "to": "+15550100", "text": text, **more}
    return await post(world, account, sender, pb.HOOK_INBOUND, orjson.dumps({"messages": [message]}))


async def sent(
    world: World, account: AccountId, count: int, **fields: Any
) -> tuple[pb.Sender, pb.Campaign, list[pb.Recipient]]:
    """A campaign that went out to so many numbers. fields: of the sender."""
    sender = await world.sender(account, **fields)
    campaign = await world.campaign(account, sender_id=sender.id)
    await world.upload(account, campaign, numbers_csv(count))
    async with world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    return sender, campaign, await world.recipients(account, campaign)


async def applied(world: World) -> None:
    """Every receipt that is due."""
    while await ReceiptApplier(world.work_db).step():
        pass
