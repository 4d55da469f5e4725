"""Recipients from files."""

import codecs
from typing import Any

import pytest

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.contacts.v1 import contacts_pb2 as contacts_pb
from chassis import errors
from chassis.ids import AccountId
from tests import workbooks
from tests.service.campaigns.world import World, numbers_csv, phone


async def test_every_row_is_counted_once(world: World, account: AccountId) -> None:
    world.contacts.refused = {phone(8): contacts_pb.REFUSAL_SUPPRESSED, phone(9): contacts_pb.REFUSAL_INVALID_ADDRESS}
    campaign = await world.campaign(account)
    rows = [phone(1), phone(2), "+1 (555) 000-0001", "nonsense", "", phone(8), phone(8), phone(9), "12345"]
    answer = await world.upload(account, campaign, "Phone,name\n" + "".join(f"{row},x\n" for row in rows))
    assert (answer.imported, answer.duplicates, answer.suppressed, answer.failed) == (2, 2, 1, 4)
    assert [(error.row, error.reason) for error in answer.errors] == [
        (5, "Invalid phone format"),
        (6, "Missing phone"),
        (10, "Invalid phone format"),
        (9, "Invalid phone"),
    ]
    assert (await world.check_stats(account, campaign)).pending == 2


async def test_columns_become_variables(world: World, account: AccountId) -> None:
    campaign = await world.campaign(account)
    await world.upload(account, campaign, "phone,name,code,Favourite Colour!\n+1234567890,John,SAVE20,\n")
    (line,) = await world.recipients(account, campaign)
    assert line.address == "+1234567890"
    assert line.variables_json == '{"name":"John","code":"SAVE20","favourite_colour":""}'
    assert line.status == pb.RECIPIENT_STATUS_PENDING


@pytest.mark.parametrize(
    "raw",
    [
        codecs.BOM_UTF8 + b"phone,name\n+1234567890,Zo\xc3\xab\n",
        "Mobile Number;name\r\n+1234567890;Zoë\r\n".encode("utf-16"),
        "name\tMSISDN\nZoë\t+1234567890\n".encode(),
        "phone,name\n+1234567890,Zoë\n".encode("cp1252"),
        workbooks.table([["phone", "name"], ["+1234567890", "Zoë"]]),
    ],
)
async def test_encodings_delimiters_and_headers(world: World, account: AccountId, raw: bytes) -> None:
    campaign = await world.campaign(account)
    assert (await world.upload(account, campaign, raw)).imported == 1
    (line,) = await world.recipients(account, campaign)
    assert (line.address, line.variables_json) == ("+1234567890", '{"name":"Zoë"}')


async def test_national_numbers_need_a_region(world: World, account: AccountId) -> None:
    campaign = await world.campaign(account)
    assert (await world.upload(account, campaign, "phone\n07400 123456\n")).failed == 1
    assert (await world.upload(account, campaign, "phone\n07400 123456\n", default_region="gb")).imported == 1
    assert [line.address for line in await world.recipients(account, campaign)] == ["+447400123456"]


async def test_a_second_file_adds_only_what_is_new(world: World, account: AccountId) -> None:
    campaign = await world.campaign(account)
    assert (await world.upload(account, campaign, numbers_csv(450))).imported == 450
    answer = await world.upload(account, campaign, numbers_csv(500))
    assert (answer.imported, answer.duplicates) == (50, 450)
    lines = await world.recipients(account, campaign)
    assert [line.address for line in lines] == [phone(number) for number in range(500)]
    assert (await world.check_stats(account, campaign)).total == 500


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "file_empty"),
        (b"phone,name\n", "file_empty"),
        (b"colour,size\nred,1\n", "unknown_columns"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40, "file_unreadable"),
        (b"phone\n" + b"+15550000001\n" * 400_000, "payload_too_large"),
    ],
)
async def test_bad_files_leave_nothing(world: World, account: AccountId, raw: bytes, reason: str) -> None:
    campaign = await world.campaign(account)
    with pytest.raises(errors.CarillonError) as caught:
        await world.upload(account, campaign, raw)
    assert caught.value.reason == reason
    assert (await world.check_stats(account, campaign)).total == 0
    assert await world.admin("SELECT 1 FROM upload_rows WHERE account_id = $1", account) == []


async def test_a_broken_upload_leaves_nothing(world: World, account: AccountId) -> None:
    campaign = await world.campaign(account)
    with pytest.raises(errors.CarillonError) as caught:
        await world.upload(account, campaign, numbers_csv(2000), end=False)
    assert caught.value.reason == "upload_incomplete"
    assert (await world.check_stats(account, campaign)).total == 0
    assert await world.admin("SELECT 1 FROM upload_rows WHERE account_id = $1", account) == []


async def test_only_drafts_take_files(world: World, account: AccountId) -> None:
    campaign = await world.ready(account, 1)
    await world.start(account, campaign)
    with pytest.raises(errors.FailedPrecondition) as caught:
        await world.upload(account, campaign, numbers_csv(2))
    assert caught.value.reason == "invalid_state"


async def test_a_repeated_upload_gets_its_first_answer(world: World, account: AccountId) -> None:
    campaign = await world.campaign(account)
    first = await world.upload(account, campaign, numbers_csv(10), key="file-1")
    await world.start(account, campaign)
    assert await world.upload(account, campaign, numbers_csv(10), key="file-1") == first


async def test_email_campaigns_take_emails(world: World, account: AccountId) -> None:
    template = await world.template(account, channel=contacts_pb.CHANNEL_EMAIL, subject="Hi {{ name }}")
    sender = await world.sender(account, channel=contacts_pb.CHANNEL_EMAIL)
    campaign = await world.campaign(account, template_id=template.id, sender_id=sender.id)
    answer = await world.upload(account, campaign, "E-Mail,name\nAnn@Example.com,Ann\nann@example.com,Ann\nnobody,x\n")
    assert (answer.imported, answer.duplicates, answer.failed) == (1, 1, 1)
    async with world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    (message,) = world.provider.accepted.values()
    assert (message["to"], message["subject"], message["channel"]) == ("ann@example.com", "Hi Ann", "email")


async def test_pages_by_number_and_by_cursor_agree(world: World, account: AccountId) -> None:
    campaign = await world.ready(account, 250)

    async def page(**fields: Any) -> pb.ListRecipientsResponse:
        request = pb.ListRecipientsRequest(campaign_id=campaign.id, **fields)
        answer: pb.ListRecipientsResponse = await world.call(account, "ListRecipients", request)
        return answer

    numbered = [line.address for number in (1, 2, 3) for line in (await page(page=number, per_page=100)).recipients]
    assert numbered == [line.address for line in await world.recipients(account, campaign)]
    assert (await page(page=2, per_page=20)).total == 250
    assert (await page(page=1, per_page=20, status=pb.RECIPIENT_STATUS_PENDING)).total == 250
    assert (await page(page=1, per_page=20, status=pb.RECIPIENT_STATUS_SENT)).total == 0
    with pytest.raises(errors.InvalidArgument):
        await page(page=1001, per_page=100)
    first = await page(per_page=10)
    with pytest.raises(errors.InvalidArgument) as caught:
        await page(per_page=10, cursor=first.next_cursor, status=pb.RECIPIENT_STATUS_SENT)
    assert caught.value.reason == "invalid_cursor"


async def test_the_same_key_with_another_file_is_refused(world: World, account: AccountId) -> None:
    campaign = await world.campaign(account)
    await world.upload(account, campaign, "phone\n+14155550101\n", key="k")

    with pytest.raises(errors.FailedPrecondition, match="idempotency_key_reused"):
        await world.upload(account, campaign, "phone\n+14155550102\n", key="k")
