"""What templates of each channel hold and say, and what becomes of a recipient for whom a variable is missing."""

from typing import Any

import pytest

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.contacts.v1 import contacts_pb2 as contacts_pb
from chassis import errors, ids
from chassis.ids import AccountId
from tests.service.campaigns.world import World, member, phone

SMS, EMAIL, WHATSAPP = contacts_pb.CHANNEL_SMS, contacts_pb.CHANNEL_EMAIL, contacts_pb.CHANNEL_WHATSAPP
APPROVED = pb.WhatsAppTemplate(name="order", language="en", parameters=["{{ name }}", "{{ code }}"])


async def render(world: World, account: AccountId, template: pb.Template, **fields: Any) -> pb.RenderTemplateResponse:
    answer: pb.RenderTemplateResponse = await world.call(
        account, "RenderTemplate", pb.RenderTemplateRequest(id=template.id, **fields)
    )
    return answer


async def refused(world: World, account: AccountId, name: str, request: object) -> list[str]:
    with pytest.raises(errors.InvalidArgument) as caught:
        await world.call(account, name, request)
    return [one.pointer for one in caught.value.violations]


async def test_an_sms_says_how_it_travels(world: World, account: AccountId) -> None:
    template = await world.template(account, "Hi {{ name }}: {{ code }}")
    shown = await render(world, account, template, variables_json='{"name": "Ann", "code": "10 €"}')
    assert (shown.text, list(shown.missing), shown.HasField("subject")) == ("Hi Ann: 10 €", [], False)
    assert shown.sms == pb.SmsSize(encoding="gsm7", characters=13, parts=1)
    long = await render(world, account, template, variables_json='{"name": "Жанна", "code": "' + "x" * 70 + '"}')
    assert (long.sms.encoding, long.sms.parts) == ("ucs2", 2)


async def test_a_preview_shows_a_contact_and_what_it_lacks(world: World, account: AccountId) -> None:
    template = await world.template(account, "{{ first_name }} {{ phone }} {{ metadata.plan }} {{ code }} {{ who }}")
    ann = member(1, first_name="Ann", metadata_json='{"plan": "gold"}')
    world.contacts.add(account, ann)
    shown = await render(world, account, template, contact_id=ann.id, variables_json='{"code": "X"}')
    assert (shown.text, list(shown.missing)) == (f"Ann {phone(1)} gold X ", ["who"])
    nobody = await render(world, account, template)
    assert list(nobody.missing) == ["first_name", "phone", "metadata.plan", "code", "who"]
    unknown = pb.RenderTemplateRequest(id=template.id, contact_id=ids.encode("cnt", ids.new()))
    assert await refused(world, account, "RenderTemplate", unknown) == ["/contact_id"]
    other = AccountId(ids.new())
    with pytest.raises(errors.NotFound):
        await render(world, other, template)


async def test_what_cannot_be_rendered_says_so(world: World, account: AccountId) -> None:
    template = await world.template(account, "{{ 10 | divided_by: n }}")
    request = pb.RenderTemplateRequest(id=template.id, variables_json='{"n": 0}')
    assert await refused(world, account, "RenderTemplate", request) == ["/variables"]


async def test_an_email_has_three_parts(world: World, account: AccountId) -> None:
    template = await world.template(
        account, "Hi {{ name }} {{ unsubscribe_url }}", channel=EMAIL, subject="For {{ who }}", html="<p>{{ name }}</p>"
    )
    assert list(template.variables) == ["name", "who"]
    shown = await render(world, account, template, variables_json='{"name": "<b>", "who": "you"}')
    assert (shown.subject, shown.html, shown.HasField("sms")) == ("For you", "<p>&lt;b&gt;</p>", False)
    assert shown.text == "Hi <b> https://example.com/unsubscribe"
    cleared = pb.UpdateTemplateRequest(id=template.id, clear=["html", "subject"])
    found = (await world.call(account, "UpdateTemplate", cleared)).template
    assert (found.HasField("html"), found.HasField("subject"), list(found.variables)) == (False, False, ["name"])


async def test_a_whatsapp_template(world: World, account: AccountId) -> None:
    template = await world.template(account, "Order {{ code }}", channel=WHATSAPP, whatsapp=APPROVED)
    assert (template.whatsapp, list(template.variables)) == (APPROVED, ["code", "name"])
    shown = await render(world, account, template, variables_json='{"name": "Ann", "code": "7"}')
    assert list(shown.whatsapp.parameters) == ["Ann", "7"]


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"html": "<p>"}, "/html"),
        ({"whatsapp": APPROVED}, "/whatsapp"),
        ({"channel": EMAIL, "html": ""}, "/html"),
        ({"channel": EMAIL, "html": "{{"}, "/html"),
        ({"channel": EMAIL, "html": "x" * 65537}, "/html"),
        ({"channel": EMAIL, "subject": "x" * 1001}, "/subject"),
        ({"channel": WHATSAPP, "whatsapp": pb.WhatsAppTemplate(name="a b", language="en")}, "/whatsapp/name"),
        ({"channel": WHATSAPP, "whatsapp": pb.WhatsAppTemplate(name="a", language="e")}, "/whatsapp/language"),
        (
            {"channel": WHATSAPP, "whatsapp": pb.WhatsAppTemplate(name="a", language="en", parameters=["x", "{{"])},
            "/whatsapp/parameters/1",
        ),
        (
            {"channel": WHATSAPP, "whatsapp": pb.WhatsAppTemplate(name="a", language="en", parameters=["x"] * 21)},
            "/whatsapp/parameters",
        ),
    ],
    ids=["html", "whatsapp", "empty", "broken", "long", "subject", "name", "language", "parameter", "parameters"],
)
async def test_what_a_template_may_not_hold(
    world: World, account: AccountId, fields: dict[str, Any], pointer: str
) -> None:
    whole: dict[str, Any] = {"name": "T", "channel": SMS, "body": "x"}
    assert await refused(world, account, "CreateTemplate", pb.CreateTemplateRequest(**(whole | fields))) == [pointer]


async def test_whoever_lacks_a_variable_is_skipped_with_its_name(world: World, account: AccountId) -> None:
    template = await world.template(account, "{{ name | default: 'you' }}: {{ code }}")
    campaign = await world.campaign(account, template_id=template.id)
    rows = [f"{phone(1)},Ann,A", f"{phone(2)},,B", f"{phone(3)},Cid,", f"{phone(4)},Dan, "]
    await world.upload(account, campaign, "\n".join(["phone,name,code", *rows]))
    await world.start(account, campaign)
    async with world.working():
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    stats = await world.check_stats(account, campaign)
    assert (stats.sent, stats.skipped) == (2, 2)
    found = {one.address: one.reason for one in await world.recipients(account, campaign)}
    assert found == {phone(1): "", phone(2): "", phone(3): "missing_variable:code", phone(4): "missing_variable:code"}
    assert sorted(message["text"] for message in world.provider.accepted.values()) == ["Ann: A", "you: B"]


async def test_a_started_campaign_keeps_every_part(world: World, account: AccountId) -> None:
    template = await world.template(account, "T", channel=EMAIL, subject="S", html="<p>{{ first_name }}</p>")
    sender = await world.sender(account, channel=EMAIL)
    ann = member(1, email="Ann@example.com", first_name="A&B")
    campaign = await world.campaign(
        account, template_id=template.id, sender_id=sender.id, list_id=world.lists.add(account, [ann])
    )
    await world.start(account, campaign)
    await world.call(account, "UpdateTemplate", pb.UpdateTemplateRequest(id=template.id, html="<p>later</p>"))
    async with world.working():
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    (sent,) = world.provider.accepted.values()
    assert (sent["to"], sent["subject"], sent["html"]) == ("ann@example.com", "S", "<p>A&amp;B</p>")
    assert sent["unsubscribe_url"].startswith("http://carillon.test/t/")
