"""What providers post: whose it is, whether it is signed, how it is said."""

import asyncio
import hashlib
import hmac
from functools import partial
from types import NoneType
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.contacts.v1 import contacts_pb2 as contacts_pb
from chassis import errors
from chassis.ids import AccountId
from chassis.sealing import Sealer
from services.campaigns.hooks.signatures import sha1
from tests.service.campaigns.hooks import applied, post, record, say, sent, token_of, told
from tests.service.campaigns.world import PUBLIC_URL, SECRETS_KEY, World, phone
from tests.service.stack import eventually, measured

FORM = "application/x-www-form-urlencoded"
RECEIPTS, INBOUND = pb.HOOK_RECEIPTS, pb.HOOK_INBOUND
AUTH_TOKEN = "twilio's own"


async def stored(world: World, account: AccountId) -> int:
    rows = await world.admin("SELECT FROM receipts WHERE account_id = $1", account)
    return len(rows) + len(await world.admin("SELECT FROM inbound WHERE account_id = $1", account))


async def twilio(world: World, account: AccountId, channel: Any = contacts_pb.CHANNEL_SMS) -> pb.Sender:
    """A sender of the kind; set up past the checks of providers, which are not this test's."""
    sender = await world.sender(account, channel=channel)
    secrets = Sealer(SECRETS_KEY).seal(orjson.dumps({"auth_token": AUTH_TOKEN}).decode())
    await world.admin("UPDATE senders SET provider = 'twilio', secrets = $2 WHERE account_id = $1", account, secrets)
    return sender


def called(sender: pb.Sender, name: str) -> str:
    return f"{PUBLIC_URL}/hooks/{sender.id}/{token_of(sender)}/{name}"


def signed(url: str, form: dict[str, str], token: str = AUTH_TOKEN) -> str:
    return sha1(token, url + "".join(name + form[name] for name in sorted(form)))


async def post_form(
    world: World, account: AccountId, sender: pb.Sender, hook: Any, form: dict[str, str], signature: str | None = None
) -> pb.TakeHookResponse:
    name = "receipts" if hook == RECEIPTS else "inbound"
    given = signed(called(sender, name), form) if signature is None else signature
    headers = {"x_twilio_signature": given} if given else {}
    return await post(world, account, sender, hook, urlencode(form).encode(), content_type=FORM, **headers)


@pytest.mark.parametrize(
    ("said", "expected"),
    [("delivered", "delivered"), ("read", "opened"), ("undelivered", "failed"), ("failed", "failed")],
)
async def test_twilios_statuses(world: World, account: AccountId, said: str, expected: str) -> None:
    sender = await twilio(world, account)
    form = {"MessageSid": "SM1", "MessageStatus": said, "To": "+15550000001"}
    if expected == "failed":
        form["ErrorCode"] = "30003"
    assert (await post_form(world, account, sender, RECEIPTS, form)).stored == 1
    (row,) = await world.admin("SELECT * FROM receipts WHERE account_id = $1", account)
    reason = "provider_error_30003" if expected == "failed" else ""
    assert (row["provider_message_id"], row["status"], row["reason"]) == ("SM1", expected, reason)


@pytest.mark.parametrize("said", ["queued", "sent", "sending", "accepted", "new one"])
async def test_what_is_on_its_way_is_acknowledged_and_says_nothing(world: World, account: AccountId, said: str) -> None:
    sender = await twilio(world, account)
    answer = await post_form(world, account, sender, RECEIPTS, {"MessageSid": "SM1", "MessageStatus": said})
    assert answer.stored == await stored(world, account) == 0


async def test_twilios_messages(world: World, account: AccountId) -> None:
    sender = await twilio(world, account, contacts_pb.CHANNEL_WHATSAPP)
    form = {"MessageSid": "SM2", "From": "whatsapp:+15550000001", "To": "whatsapp:+15550100", "Body": "hällo & mehr"}
    answer = await post_form(world, account, sender, INBOUND, form)
    assert (answer.content_type, answer.body.endswith(b"<Response></Response>")) == ("text/xml", True)
    (row,) = await world.admin("SELECT * FROM inbound WHERE account_id = $1", account)
    assert (row["address"], row["to_address"], row["text"]) == ("+15550000001", "+15550100", "hällo & mehr")
    assert row["channel"] == "whatsapp"


async def test_twilios_json_is_signed_over_the_url_with_the_bodys_hash(world: World, account: AccountId) -> None:
    sender = await twilio(world, account)
    body = b'{"MessageSid": "SM1", "MessageStatus": "delivered"}'
    query = f"bodySHA256={hashlib.sha256(body).hexdigest()}"
    signature = sha1(AUTH_TOKEN, f"{called(sender, 'receipts')}?{query}")
    assert (await post(world, account, sender, RECEIPTS, body, query=query, x_twilio_signature=signature)).stored == 1
    with pytest.raises(errors.Unauthenticated):
        await post(world, account, sender, RECEIPTS, body + b" ", query=query, x_twilio_signature=signature)


@pytest.mark.parametrize("hook", [RECEIPTS, INBOUND], ids=["receipts", "inbound"])
async def test_twilio_must_sign(world: World, account: AccountId, hook: Any) -> None:
    sender = await twilio(world, account)
    form = {"MessageSid": "SM1", "MessageStatus": "delivered", "From": "+15550000001", "Body": "STOP"}
    right, other = (called(sender, name) for name in ("receipts", "inbound"))
    if hook == INBOUND:
        right, other = other, right
    wrong = [
        "",
        signed(right, form, "another token"),
        signed(other, form),
        signed(right, form | {"Body": "START"}),
        sha1("", right),
    ]
    for signature in wrong:
        with pytest.raises(errors.Unauthenticated):
            await post_form(world, account, sender, hook, form, signature)
    assert await stored(world, account) == 0
    await post_form(world, account, sender, hook, form)
    assert await stored(world, account) == 1


async def test_a_sender_with_a_secret_takes_signed_posts_only(world: World, account: AccountId) -> None:
    sender = await world.sender(account, secrets_json='{"webhook_secret": "s3cret"}')
    body = b'{"receipts": [{"id": "x", "status": "delivered"}]}'
    right = "sha256=" + hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    for wrong in ({}, {"x_hub_signature_256": right[:-1] + "x"}, {"x_hub_signature_256": right[7:]}):
        with pytest.raises(errors.Unauthenticated):
            await post(world, account, sender, RECEIPTS, body, **wrong)
    assert await stored(world, account) == 0
    assert (await post(world, account, sender, RECEIPTS, body, x_hub_signature_256=right)).stored == 1


async def test_a_form_says_the_same_as_json(world: World, account: AccountId) -> None:
    sender, campaign, lines = await sent(world, account, 2)
    for line, form in ((lines[0], True), (lines[1], False)):
        body = urlencode(told(line, "delivered")).encode()
        if form:
            await post(world, account, sender, RECEIPTS, body, content_type=f"{FORM}; charset=utf-8")
        else:
            await record(world, account, sender, told(line, "delivered"))
    message = urlencode({"id": "m", "from": phone(1), "text": "naïve"}).encode()
    await post(world, account, sender, INBOUND, message, content_type=FORM)
    await applied(world)
    assert (await world.check_stats(account, campaign)).delivered == 2
    (row,) = await world.admin("SELECT text FROM inbound WHERE account_id = $1", account)
    assert row["text"] == "naïve"


@pytest.mark.parametrize(
    ("hook", "body", "pointer"),
    [
        (RECEIPTS, b"not json", ""),
        (RECEIPTS, b"[]", "/receipts"),
        (RECEIPTS, b'{"receipts": {}}', "/receipts"),
        (RECEIPTS, b'{"receipts": [1]}', "/receipts/0"),
        (RECEIPTS, b'{"receipts": [{"id": "x", "status": "delivered"}, {"id": "y"}]}', "/receipts/1/status"),
        (RECEIPTS, b'{"receipts": [{"id": "", "status": "failed"}]}', "/receipts/0/id"),
        (RECEIPTS, b'{"receipts": [{"id": "%s", "status": "failed"}]}' % (b"x" * 257), "/receipts/0/id"),
        (RECEIPTS, b'{"receipts": [{"id": "x", "status": "failed", "reason": 1}]}', "/receipts/0/reason"),
        (RECEIPTS, b'{"receipts": [{"id": "x", "status": "failed", "at": "soon"}]}', "/receipts/0/at"),
        (RECEIPTS, b'{"receipts": [%s]}' % b",".join([b"{}"] * 1001), "/receipts"),
        (INBOUND, b'{"messages": [{"id": "x", "text": "STOP"}]}', "/messages/0/from"),
        (INBOUND, b'{"messages": [{"from": "+15550000001", "text": "STOP"}]}', "/messages/0/id"),
        (INBOUND, b'{"receipts": []}', "/messages"),
    ],
    ids=["no json", "a list", "no list", "no object", "no status", "no id", "a long id", "a reason that is a number",
         "no time", "too many", "from nobody", "a message without id", "the other hook's"],
)  # fmt: skip
async def test_what_is_wrong_is_named_and_nothing_stored(
    world: World, account: AccountId, hook: Any, body: bytes, pointer: str
) -> None:
    sender = await world.sender(account)
    with pytest.raises(errors.InvalidArgument) as caught:
        await post(world, account, sender, hook, body)
    assert caught.value.violations[0].pointer == pointer
    assert await stored(world, account) == 0


async def test_posts_that_come_together_are_taken_or_refused_each(world: World, account: AccountId) -> None:
    sender = await world.sender(account)

    def one(number: int, **fields: Any) -> pb.TakeHookRequest:
        body = orjson.dumps({"receipts": [{"id": f"m{number}", "status": "delivered"}]})
        base: dict[str, Any] = {"sender_id": sender.id, "token": token_of(sender), "hook": RECEIPTS, "body": body}
        return pb.TakeHookRequest(**(base | fields))

    message = orjson.dumps({"messages": [{"id": "m3", "from": "+15550001", "text": "hi"}]})
    posts = [one(0), one(1, token="wrong"), one(2, body=b"{"), one(3, hook=INBOUND, body=message), one(4)]
    answer = await world.call(account, "TakeReceipts", pb.TakeReceiptsRequest(posts=posts))
    refusals = [errors.from_bytes(result.refused) if result.refused else None for result in answer.results]
    expected = [NoneType, errors.Unauthenticated, errors.InvalidArgument, errors.InvalidArgument, NoneType]
    assert [type(refusal) for refusal in refusals] == expected
    assert [result.taken.stored for result in answer.results] == [1, 0, 0, 0, 1]
    rows = await world.admin("SELECT provider_message_id FROM receipts WHERE account_id = $1 ORDER BY 1", account)
    assert [row["provider_message_id"] for row in rows] == ["m0", "m4"]
    for wrong in ([], [one(0)] * 501):
        with pytest.raises(errors.InvalidArgument):
            await world.call(account, "TakeReceipts", pb.TakeReceiptsRequest(posts=wrong))


async def test_odd_characters_are_kept_from_the_database(world: World, account: AccountId) -> None:
    sender = await world.sender(account)
    await record(world, account, sender, {"id": "a\0b", "status": "failed", "reason": "no\0" + "x" * 900})
    await say(world, account, sender, "a\0b" + "ü" * 20_000, address="TELECOM")
    (receipt,) = await world.admin("SELECT * FROM receipts WHERE account_id = $1", account)
    assert (receipt["provider_message_id"], len(receipt["reason"])) == ("ab", 500)
    (message,) = await world.admin("SELECT * FROM inbound WHERE account_id = $1", account)
    assert (message["address"], len(message["text"])) == ("TELECOM", 10_000)


async def test_many_at_once_share_commits_and_none_is_lost(world: World, account: AccountId, other: AccountId) -> None:
    """Two accounts, good ones and bad ones, all in flight together."""
    senders = {account: await world.sender(account), other: await world.sender(other)}
    before = measured("carillon_campaigns_hook_commits_total", kind="hooks")

    async def one(number: int) -> int:
        who = account if number % 2 else other
        status = "nonsense" if number % 10 == 3 else "delivered"
        return await record(world, who, senders[who], {"id": f"m{number}", "status": status})

    async with world.holding("LOCK TABLE receipts IN SHARE MODE"):
        under_way = asyncio.gather(*(one(number) for number in range(200)), return_exceptions=True)
        # An account's first, and behind it whatever comes meanwhile.
        await eventually(partial(world.so_many_wait, 2))
    answers = await under_way
    refused = [at for at, answer in enumerate(answers) if isinstance(answer, errors.InvalidArgument)]
    assert refused == [number for number in range(200) if number % 10 == 3]
    rows = await world.admin("SELECT account_id, provider_message_id FROM receipts")
    names = {(row["account_id"], row["provider_message_id"]) for row in rows}
    assert names == {
        (account if number % 2 else other, f"m{number}") for number in range(200) if number not in set(refused)
    }
    assert measured("carillon_campaigns_hook_commits_total", kind="hooks") - before < len(names)


async def test_the_same_from_all_sides_at_once_is_stored_once(world: World, account: AccountId) -> None:
    sender = await world.sender(account)
    receipts = [{"id": f"m{number}", "status": "delivered"} for number in range(50)]
    await asyncio.gather(*(record(world, account, sender, *receipts[:: -1 if at % 2 else 1]) for at in range(20)))
    assert await stored(world, account) == 50
