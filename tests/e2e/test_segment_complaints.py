"""What users of other tools complain of, where segments are concerned. The threads are public.

Those that only a look inside tells are in tests/service/segments/test_complaints.py: rapidpro#709, dittofeed#1844,
mautic#8113 and dittofeed#995.
"""

from typing import Any

from tests.e2e.client import Api, eventually


def leaf(field: str, operator: str, value: object) -> dict[str, object]:
    return {"field": field, "operator": operator, "value": value}


async def segment(api: Api, *conditions: dict[str, object]) -> str:
    made = (await api.post("/v1/segments", {"name": "Watched", "conditions": conditions})).ok(201)
    return str(made["id"])


async def person(api: Api, phone: str, **fields: object) -> str:
    return str((await api.post("/v1/contacts", {"phone": phone, **fields})).ok(201)["id"])


async def becomes(api: Api, segment_id: str, phones: set[str]) -> None:
    """Members and their count."""

    async def members() -> tuple[set[str], Any]:
        found = await api.everything(f"/v1/segments/{segment_id}/members")
        count = (await api.get(f"/v1/segments/{segment_id}")).ok()["member_count"]
        return {one["contact"]["phone"] for one in found}, count

    await eventually(members, lambda seen: seen == (phones, len(phones)))


async def test_mailroom_363_every_way_to_make_a_contact_is_evaluated(api: Api) -> None:
    """mailroom#363: contacts made in some ways were in no group until somebody edited them."""
    await api.empty_address_book()
    watched = await segment(api, leaf("metadata.plan", "equals", "gold"))
    gold = {"metadata": {"plan": "gold"}}
    one, other, third, fourth = (f"+1555020000{number}" for number in range(4))
    await person(api, one, **gold)
    (await api.post("/v1/contacts/batch", {"contacts": [{"phone": other, **gold}]})).ok()
    upserted = await api.post("/v1/contacts?on_conflict=update", {"phone": third, **gold})
    assert upserted.status in (200, 201)
    file = f"phone,plan\n{fourth},gold\n".encode()
    assert (await api.upload("/v1/contacts/import", file)).ok()["imported"] == 1

    await becomes(api, watched, {one, other, third, fourth})


async def test_mautic_3790_7679_4970_who_stops_matching_leaves(api: Api) -> None:
    """mautic#3790, #7679, #4970: members stayed when they no longer matched, by whatever the rule asked."""
    await api.empty_address_book()
    phone = "+15550200010"
    made = (await api.post("/v1/lists", {"name": "Complaints"})).ok(201)["id"]
    contact = await person(api, phone, tags=["vip"], stage="lead", metadata={"seats": 10})
    (await api.post(f"/v1/lists/{made}/members", {"contact_ids": [contact]})).ok()
    by_tag = await segment(api, leaf("tags", "contains", "vip"))
    by_stage = await segment(api, leaf("stage", "equals", "lead"))
    by_number = await segment(api, leaf("metadata.seats", "gte", 10))
    by_list = await segment(api, leaf("lists", "contains", made))
    by_segment = await segment(api, leaf("segments", "contains", by_tag))
    everything = (by_tag, by_stage, by_number, by_list, by_segment)
    for one in everything:
        await becomes(api, one, {phone})

    assert (await api.call("DELETE", f"/v1/contacts/{contact}/tags/vip")).status == 204
    (await api.call("PATCH", f"/v1/contacts/{contact}", json={"stage": "customer", "metadata": {"seats": 9}})).ok()
    (await api.call("DELETE", f"/v1/lists/{made}/members", json={"contact_ids": [contact]})).ok()

    for one in everything:
        await becomes(api, one, set())


async def test_mautic_6989_who_must_not_be_contacted_is_in_the_right_segment(api: Api) -> None:
    """mautic#6989: segments of do-not-contact held the wrong people."""
    await api.empty_address_book()
    ana, ben, eve = (f"+1555020002{number}" for number in range(3))
    contact = await person(api, ana)
    await person(api, ben, do_not_disturb=True)
    await person(api, eve)
    opted_out = await segment(api, leaf("preferences.sms", "equals", "opted_out"))
    undisturbed = await segment(api, leaf("do_not_disturb", "equals", True))
    reachable = await segment(
        api, leaf("preferences.sms", "not_equals", "opted_out"), leaf("do_not_disturb", "equals", False)
    )
    await becomes(api, undisturbed, {ben})
    await becomes(api, reachable, {ana, eve})

    (await api.call("PUT", f"/v1/contacts/{contact}/preferences", json={"preferences": {"sms": "opted_out"}})).ok()

    await becomes(api, opted_out, {ana})
    await becomes(api, reachable, {eve})
    (await api.call("PUT", f"/v1/contacts/{contact}/preferences", json={"preferences": {"sms": "opted_in"}})).ok()
    await becomes(api, opted_out, set())
    await becomes(api, reachable, {ana, eve})
