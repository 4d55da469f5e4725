"""Templates and senders, and that secrets stay secret."""

from typing import Any

import pytest

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.contacts.v1 import contacts_pb2 as contacts_pb
from chassis import errors
from chassis.ids import AccountId
from services.campaigns.tables import TABLES
from tests.service.campaigns.world import World, phone

SMS, EMAIL = contacts_pb.CHANNEL_SMS, contacts_pb.CHANNEL_EMAIL


async def refused(world: World, account: AccountId, name: str, request: object) -> errors.CarillonError:
    with pytest.raises(errors.CarillonError) as caught:
        await world.call(account, name, request)
    return caught.value


async def test_template_lists_its_variables(world: World, account: AccountId) -> None:
    template = await world.template(account, "Hi {{ name }}, {% if vip %}{{ metadata.gift }}{% endif %}")
    assert list(template.variables) == ["metadata", "name", "vip"]
    request = pb.UpdateTemplateRequest(id=template.id, body="Bye {{ who }}", if_version=1)
    changed = (await world.call(account, "UpdateTemplate", request)).template
    assert (list(changed.variables), changed.version, changed.name) == (["who"], 2, "T")
    assert (await refused(world, account, "UpdateTemplate", request)).reason == "version_mismatch"
    assert (await world.call(account, "GetTemplate", pb.GetTemplateRequest(id=template.id))).template == changed


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("a\nb {{ name", 2),
        ("{% if x %}", 1),
        ("a\n\n{{ x | nofilter }}", 3),
        ("{% include 'x' %}", 1),
        # It parses, and would run for long.
        ("{% for i in (1..1000) %}{% for j in (1..1000) %}{% endfor %}{% endfor %}", 1),
    ],
)
async def test_template_that_does_not_parse(world: World, account: AccountId, body: str, line: int) -> None:
    request = pb.CreateTemplateRequest(name="T", channel=SMS, body=body)
    error = await refused(world, account, "CreateTemplate", request)
    assert (error.reason, error.metadata) == ("invalid_template", {"line": str(line)})
    assert error.violations[0].pointer == "/body"


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"body": ""}, "/body"),
        ({"body": "x" * 65537}, "/body"),
        ({"name": ""}, "/name"),
        ({"name": "x" * 201}, "/name"),
        ({"channel": 0}, "/channel"),
        ({"subject": "x"}, "/subject"),
        ({"channel": EMAIL, "subject": "{{"}, "/subject"),
    ],
)
async def test_template_limits(world: World, account: AccountId, fields: dict[str, Any], pointer: str) -> None:
    whole: dict[str, Any] = {"name": "T", "channel": SMS, "body": "x"}
    request = pb.CreateTemplateRequest(**(whole | fields))
    assert [one.pointer for one in (await refused(world, account, "CreateTemplate", request)).violations] == [pointer]


async def test_templates_are_listed_and_deleted(world: World, account: AccountId) -> None:
    made = [await world.template(account) for _ in range(3)]
    page = await world.call(account, "ListTemplates", pb.ListTemplatesRequest(page_size=2))
    assert [one.id for one in page.templates] == [made[2].id, made[1].id]
    rest = await world.call(account, "ListTemplates", pb.ListTemplatesRequest(page_size=2, cursor=page.next_cursor))
    assert ([one.id for one in rest.templates], rest.next_cursor) == ([made[0].id], "")
    await world.call(account, "DeleteTemplate", pb.DeleteTemplateRequest(id=made[0].id))
    for name, request in (
        ("DeleteTemplate", pb.DeleteTemplateRequest(id=made[0].id)),
        ("GetTemplate", pb.GetTemplateRequest(id=made[0].id)),
        ("GetTemplate", pb.GetTemplateRequest(id="tmpl_abc123")),
    ):
        assert (await refused(world, account, name, request)).reason == "not_found"


async def test_exactly_one_sender_of_a_channel_is_the_default(world: World, account: AccountId) -> None:
    first, second = await world.sender(account), await world.sender(account)
    email = await world.sender(account, channel=EMAIL)

    async def defaults() -> list[str]:
        page = await world.call(account, "ListSenders", pb.ListSendersRequest())
        return sorted(one.id for one in page.senders if one.is_default)

    assert await defaults() == sorted([first.id, email.id])
    await world.call(account, "UpdateSender", pb.UpdateSenderRequest(id=second.id, is_default=True))
    assert await defaults() == sorted([second.id, email.id])
    error = await refused(world, account, "UpdateSender", pb.UpdateSenderRequest(id=second.id, is_default=False))
    assert error.violations[0].pointer == "/is_default"
    third = await world.sender(account, is_default=True)
    assert await defaults() == sorted([third.id, email.id])
    await world.call(account, "DeleteSender", pb.DeleteSenderRequest(id=third.id))
    assert await defaults() == sorted([first.id, email.id])


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"settings_json": "{}"}, "/settings/url"),
        ({"settings_json": '{"url": "ftp://x/"}'}, "/settings/url"),
        ({"settings_json": '{"url": "http://user:pass@x/"}'}, "/settings/url"),
        ({"settings_json": '{"url": "http://x/ y"}'}, "/settings/url"),
        ({"settings_json": "[1]"}, "/settings"),
        ({"settings_json": '{"url": "http://x/", "token": "t"}'}, "/settings/token"),
        ({"settings_json": '{"url": "http://x/", "honours_keys": 1}'}, "/settings/honours_keys"),
        ({"secrets_json": '{"authorization": "a\\nb"}'}, "/secrets/authorization"),
        ({"secrets_json": '{"other": "a"}'}, "/secrets/other"),
        ({"provider": "pigeon"}, "/provider"),
        ({"rate_limit_per_second": -1}, "/rate_limit_per_second"),
        ({"address": ""}, "/address"),
        ({"provider": "smtp", "settings_json": '{"host": "x"}'}, "/provider"),
        ({"provider": "twilio", "channel": EMAIL}, "/provider"),
        ({"provider": "twilio", "settings_json": "{}"}, "/settings/account_sid"),
        ({"provider": "twilio", "settings_json": '{"account_sid": "AC1"}'}, "/secrets/auth_token"),
        ({"provider": "smtp", "channel": EMAIL, "settings_json": '{"host": "x"}'}, "/address"),
        ({"provider": "sandbox"}, "/settings/url"),
    ],
)
async def test_sender_limits(world: World, account: AccountId, fields: dict[str, Any], pointer: str) -> None:
    whole: dict[str, Any] = {"name": "S", "channel": SMS, "address": "A", "settings_json": '{"url": "http://x/"}'}
    request = pb.CreateSenderRequest(**(whole | fields))
    found = [one.pointer for one in (await refused(world, account, "CreateSender", request)).violations]
    assert found == [pointer]


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"settings_json": '{"url": "http://10.0.0.1/"}'}, "/settings/url"),
        ({"settings_json": '{"url": "https://169.254.169.254/latest"}'}, "/settings/url"),
        ({"settings_json": '{"url": "http://[::ffff:10.0.0.1]:80/"}'}, "/settings/url"),
        ({"settings_json": '{"url": "http://2130706433/"}'}, "/settings/url"),
        ({"settings_json": '{"url": "https://sms.test/", "batch_url": "https://10.0.0.1/"}'}, "/settings/batch_url"),
        (
            {"provider": "twilio", "settings_json": '{"account_sid": "AC1", "base_url": "https://10.0.0.1"}'},
            "/settings/base_url",
        ),
        (
            {"provider": "smtp", "channel": EMAIL, "address": "a@shop.test", "settings_json": '{"host": "10.0.0.1"}'},
            "/settings/host",
        ),
    ],
)
async def test_a_sender_does_not_lead_inside(
    world: World, account: AccountId, fields: dict[str, Any], pointer: str
) -> None:
    """The test's own network is allowed besides the Internet, and no other."""
    whole: dict[str, Any] = {"name": "S", "channel": SMS, "address": "A"}
    request = pb.CreateSenderRequest(**(whole | fields))
    found = (await refused(world, account, "CreateSender", request)).violations
    assert [(one.pointer, one.code) for one in found] == [(pointer, "not_allowed")]


async def test_a_sender_is_not_led_inside_later(world: World, account: AccountId) -> None:
    sender = await world.sender(account)
    change = pb.UpdateSenderRequest(id=sender.id, settings_json='{"url": "http://10.0.0.1/"}')
    found = (await refused(world, account, "UpdateSender", change)).violations
    assert [(one.pointer, one.code) for one in found] == [("/settings/url", "not_allowed")]


async def test_a_change_is_checked_by_the_kind_of_provider(world: World, account: AccountId) -> None:
    sender = await world.sender(
        account,
        provider="smtp",
        channel=EMAIL,
        address="news@shop.test",
        settings_json='{"host": "smtp.test"}',
        secrets_json='{"password": "p"}',
    )
    for change, pointer in (
        (pb.UpdateSenderRequest(settings_json='{"url": "http://x/"}'), "/settings/url"),
        (pb.UpdateSenderRequest(secrets_json='{"authorization": "x"}'), "/secrets/authorization"),
        (pb.UpdateSenderRequest(address="SHOP"), "/address"),
    ):
        request = pb.UpdateSenderRequest(id=sender.id)
        request.MergeFrom(change)
        assert [one.pointer for one in (await refused(world, account, "UpdateSender", request)).violations] == [pointer]
    changed = pb.UpdateSenderRequest(id=sender.id, settings_json='{"host": "other.test", "port": 2525}')
    assert (await world.call(account, "UpdateSender", changed)).sender.settings_json.count("other.test") == 1


async def test_a_sender_is_tried_out(world: World, account: AccountId) -> None:
    sender = await world.sender(account)

    async def tried(**fields: str) -> pb.TestResult:
        request = pb.TestSenderRequest(**({"id": sender.id, "to": phone(1), "text": "on {{ air }}"} | fields))
        result: pb.TestResult = (await world.call(account, "TestSender", request)).result
        return result

    result = await tried()
    assert (result.status, result.text, result.address) == (pb.RECIPIENT_STATUS_SENT, "on {{ air }}", phone(1))
    assert [one["text"] for one in world.provider.accepted.values()] == ["on {{ air }}"]
    world.contacts.refused[phone(2)] = contacts_pb.REFUSAL_OPTED_OUT
    result = await tried(to=phone(2))
    assert (result.status, result.reason) == (pb.RECIPIENT_STATUS_SKIPPED, "opted_out")
    # Of a contacts service that is newer.
    world.contacts.refused[phone(3)] = 99
    assert (await tried(to=phone(3))).status == pb.RECIPIENT_STATUS_SKIPPED
    for fields, pointer in (({"to": "nobody"}, "/to"), ({"text": " "}, "/text")):
        request = pb.TestSenderRequest(**({"id": sender.id, "to": phone(1), "text": "x"} | fields))
        assert [one.pointer for one in (await refused(world, account, "TestSender", request)).violations] == [pointer]
    assert len(world.provider.requests) == 1


async def test_secrets_are_nowhere_in_the_clear(world: World, account: AccountId) -> None:
    secret = "correct-horse-battery"
    sender = await world.sender(account, secrets_json=f'{{"authorization": "{secret}"}}')
    request = pb.CreateSenderRequest(
        name="S",
        channel=SMS,
        address="A",
        settings_json='{"url": "http://x/"}',
        secrets_json=f'{{"authorization": "{secret}"}}',
    )
    kept = (await world.call(account, "CreateSender", request, key="k")).sender
    replayed = (await world.call(account, "CreateSender", request, key="k")).sender
    assert (replayed.id, replayed.receipts_path) == (kept.id, "")
    tokens = [one.receipts_path.split("/")[3].rpartition(".")[2] for one in (sender, kept)]
    assert all(len(token) >= 32 for token in tokens)
    for table in TABLES:
        for row in await world.admin(f"SELECT t::text AS line, * FROM {table} AS t WHERE account_id = $1", account):
            raw = row["line"].encode() + b"".join(value for value in row.values() if isinstance(value, bytes))
            assert secret.encode() not in raw
            assert not any(token.encode() in raw for token in tokens)
    assert secret not in str(await world.call(account, "GetSender", pb.GetSenderRequest(id=sender.id)))
