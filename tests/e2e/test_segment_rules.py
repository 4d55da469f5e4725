"""The rule language through the front door: who is in, why, until when, and what is refused."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.client import Api, eventually

Json = dict[str, Any]
NOBODY = "cnt_01h455vb4pex5vsknk084sn02q"
PREMIUM: Json = {"field": "tags", "operator": "contains", "value": "premium"}
SOON = datetime.now(UTC) + timedelta(days=10)
# A leap year, so that every day of this year was one of it.
BORN = date(1988, SOON.month, SOON.day)


def leaf(field: str, operator: str, value: object = None) -> Json:
    return {"field": field, "operator": operator, **({} if value is None else {"value": value})}


@dataclass
class People:
    """Ann, Bob and Eve, the whole address book."""

    api: Api
    ids: dict[str, str]
    list_id: str

    async def segment(self, **definition: Any) -> str:
        return str((await self.api.post("/v1/segments", {"name": "s", **definition})).ok(201)["id"])

    async def are(self, segment_id: str, names: Iterable[str]) -> None:
        """Waits until the segment is built and holds exactly these, by its members as by its count."""
        wanted = ("ready", None, {self.ids[name] for name in names})

        async def look() -> tuple[str, float | None, set[str]]:
            found = (await self.api.get(f"/v1/segments/{segment_id}")).ok()
            members = await self.api.everything(f"/v1/segments/{segment_id}/members")
            return found["status"], found["progress"], {one["contact"]["id"] for one in members}

        await eventually(look, lambda seen: seen == wanted)
        assert (await self.api.get(f"/v1/segments/{segment_id}")).ok()["member_count"] == len(wanted[2])

    async def explained(self, segment_id: str, name: str) -> Json:
        path = f"/v1/segments/{segment_id}/explain?contact_id={self.ids[name]}"
        found: Json = (await self.api.get(path)).ok()
        return found


@pytest_asyncio.fixture(scope="module")
async def people(api: Api) -> People:
    bodies: dict[str, Json] = {
        "ann": {
            "phone": "+14155550001", "name": "Ann Straße", "country": "DE", "tags": ["premium"],
            "email": "ann@example.com",
            "metadata": {"plan": {"seats": 12, "name": "Gold"}, "scores": [3, 40], "birthday": BORN.isoformat()},
        },
        # A number that is held as text, and a time.
        "bob": {
            "phone": "+14155550002", "tags": ["basic"],
            "metadata": {"plan": {"seats": "30"}, "renewal": SOON.isoformat(timespec="seconds")},
        },
        # Has next to nothing: whatever is not asked for by a negation is false of her.
        "eve": {"phone": "+14155550003", "tags": ["Premium", "vip"]},
    }  # fmt: skip
    ids = {name: (await api.post("/v1/contacts", body)).ok(201)["id"] for name, body in bodies.items()}
    preferences = {"preferences": {"sms": "opted_out"}}
    (await api.call("PUT", f"/v1/contacts/{ids['ann']}/preferences", json=preferences)).ok()
    list_id = (await api.post("/v1/lists", {"name": "Newsletter"})).ok(201)["id"]
    (await api.post(f"/v1/lists/{list_id}/members", {"contact_ids": [ids["eve"]]})).ok()
    found = People(api, ids, list_id)
    # Each one's last change has arrived: nothing is asked about half of it.
    last = [leaf("preferences.sms", "equals", "opted_out"), leaf("tags", "equals", "basic")]
    arrived = await found.segment(rules={"any": [*last, leaf("lists", "contains", list_id)]})
    await found.are(arrived, ids)
    await api.delete_all(f"/v1/segments/{arrived}")
    return found


HOLDS: dict[str, tuple[Json, list[str]]] = {
    "nested": (
        {
            "any": [
                leaf("metadata.plan.seats", "gte", 30),
                {"all": [PREMIUM], "not": leaf("country", "equals", "de")},
            ]
        },
        ["bob", "eve"],
    ),
    "a leaf alone": (PREMIUM, ["ann", "eve"]),
    "folded": (leaf("name", "ends_with", "STRASSE"), ["ann"]),
    "a number": (leaf("metadata.plan.seats", "equals", 12), ["ann"]),
    "a number held as text": (leaf("metadata.plan.seats", "equals", 30), ["bob"]),
    "a text is no number": (leaf("metadata.plan.seats", "equals", "12"), []),
    "of both types": (leaf("metadata.plan.seats", "in", [12, "30"]), ["ann", "bob"]),
    "between": (leaf("metadata.plan.seats", "between", [12, 29.5]), ["ann"]),
    "any element of an array": (leaf("metadata.scores", "gt", 30), ["ann"]),
    "not greater, or no number": (leaf("metadata.plan.seats", "not_gt", 20), ["ann", "eve"]),
    "not equal, or empty": (leaf("metadata.plan.name", "not_equals", "gold"), ["bob", "eve"]),
    "none of the tags": (leaf("tags", "not_contains", ["basic", "vip"]), ["ann"]),
    "not both tags": (leaf("tags", "not_contains_all", ["premium", "vip"]), ["ann", "bob"]),
    "no email": (leaf("email", "not_exists"), ["bob", "eve"]),
    "neither country": (leaf("country", "not_in", ["DE", "FR"]), ["bob", "eve"]),
    "not, of a group": ({"not": {"any": [leaf("email", "exists"), leaf("tags", "equals", "vip")]}}, ["bob"]),
    "opted out": (leaf("preferences.sms", "equals", "opted_out"), ["ann"]),
    "never asked": (leaf("preferences.sms", "equals", "unknown"), ["bob", "eve"]),
    "a boolean": (leaf("do_not_disturb", "not_equals", True), ["ann", "bob", "eve"]),
    "lately": (leaf("created_at", "in_last", "30d"), ["ann", "bob", "eve"]),
    "not lately": (leaf("created_at", "not_in_last", "30d"), []),
    "soon": (leaf("metadata.renewal", "in_next", "2w"), ["bob"]),
    "not so soon": (leaf("metadata.renewal", "in_next", "12h"), []),
    "a birthday to come": (leaf("metadata.birthday", "anniversary", "14d"), ["ann"]),
    "no birthday today": (leaf("metadata.birthday", "anniversary"), []),
    "after a date": (leaf("created_at", "after", "2020-01-01"), ["ann", "bob", "eve"]),
    "no message ever": (leaf("last_message_at", "not_exists"), ["ann", "bob", "eve"]),
    "no message, counted": (leaf("messages_received", "lt", 1), ["ann", "bob", "eve"]),
}


@pytest.mark.parametrize("name", HOLDS)
async def test_a_rule_holds_exactly_these(people: People, name: str) -> None:
    rule, names = HOLDS[name]
    made = await people.segment(rules=rule)
    await people.are(made, names)
    found = (await people.api.get(f"/v1/segments/{made}")).ok()
    assert (found["rules"], "conditions" in found) == (rule, False)

    async def preview() -> tuple[int, bool, set[str]]:
        answer = (await people.api.post("/v1/segments/preview", {"rules": rule})).ok()
        return answer["count"], answer["estimate"], {one["id"] for one in answer["sample"]}

    wanted = (len(names), False, {people.ids[one] for one in names})
    await eventually(preview, lambda seen: seen == wanted)
    # Both ways of asking agree on each contact.
    for one, contact_id in people.ids.items():
        explained = await people.explained(made, one)
        assert explained["contact_id"] == contact_id
        assert explained["member"] is explained["matches"] is (one in names)
        assert (explained["joined_at"] is not None) is (one in names)
    await people.api.delete_all(f"/v1/segments/{made}")


async def test_a_list(people: People) -> None:
    on_it = await people.segment(conditions=[leaf("lists", "contains", people.list_id)])
    await people.are(on_it, ["eve"])
    path = f"/v1/lists/{people.list_id}/members"
    (await people.api.post(path, {"contact_ids": [people.ids["bob"]]})).ok()
    await people.are(on_it, ["bob", "eve"])
    (await people.api.call("DELETE", path, json={"contact_ids": [people.ids["bob"]]})).ok()
    await people.are(on_it, ["eve"])
    await people.api.delete_all(f"/v1/segments/{on_it}")


async def test_segments_of_segments(people: People) -> None:
    api = people.api
    premium = await people.segment(conditions=[PREMIUM])
    german = await people.segment(conditions=[leaf("country", "equals", "DE")])
    either = await people.segment(conditions=[leaf("segments", "contains", [premium, german])])
    both = await people.segment(conditions=[leaf("segments", "contains_all", [premium, german])])
    outside = await people.segment(rules=leaf("segments", "not_contains", either))
    for segment_id, names in (either, ["ann", "eve"]), (both, ["ann"]), (outside, ["bob"]):
        await people.are(segment_id, names)

    # A contact that changes moves through all of them.
    bob = f"/v1/contacts/{people.ids['bob']}"
    (await api.post(f"{bob}/tags", {"tags": ["premium"]})).ok()
    for segment_id, names in (either, ["ann", "bob", "eve"]), (outside, []):
        await people.are(segment_id, names)
    assert (await api.call("DELETE", f"{bob}/tags/premium")).status == 204
    await people.are(outside, ["bob"])

    # A rule that changes takes those along that name it, at any distance.
    (await api.call("PUT", f"/v1/segments/{premium}", json={"rules": leaf("tags", "contains", "vip")})).ok()
    for segment_id, names in (either, ["ann", "eve"]), (both, []), (outside, ["bob"]):
        await people.are(segment_id, names)
    (await api.call("PUT", f"/v1/segments/{german}", json={"rules": leaf("tags", "contains", "basic")})).ok()
    for segment_id, names in (either, ["bob", "eve"]), (outside, ["ann"]):
        await people.are(segment_id, names)
    await api.delete_all(*(f"/v1/segments/{one}" for one in (outside, both, either, german, premium)))


async def test_a_cycle_is_refused_where_it_would_close(people: People) -> None:
    api = people.api
    first = await people.segment(conditions=[PREMIUM])
    second = await people.segment(conditions=[leaf("segments", "contains", first)])
    third = await people.segment(rules={"not": leaf("segments", "in", [second])})
    before = (await api.get(f"/v1/segments/{first}")).ok()
    for named in (first, second, third):
        conditions = [PREMIUM, leaf("segments", "contains", named)]
        answer = await api.call("PUT", f"/v1/segments/{first}", json={"conditions": conditions})
        problem = answer.refused(422, "invalid_rule")
        assert [error["pointer"] for error in problem["errors"]] == ["/conditions/1/value"]
    after = (await api.get(f"/v1/segments/{first}")).ok()
    for unchanged in ("conditions", "version", "updated_at"):
        assert after[unchanged] == before[unchanged]
    await api.delete_all(*(f"/v1/segments/{one}" for one in (third, second, first)))


async def test_a_segment_in_use_is_not_deleted(people: People) -> None:
    api = people.api
    used = await people.segment(conditions=[PREMIUM])
    users = [await people.segment(rules={"not": leaf("segments", "contains", [used])}) for _ in range(2)]
    problem = (await api.call("DELETE", f"/v1/segments/{used}")).refused(409, "segment_in_use")
    assert set(problem["used_by"]) == set(users)
    await people.are(used, ["ann", "eve"])
    await api.delete_all(f"/v1/segments/{users[0]}")
    # An edit frees it as well as a deletion does.
    (await api.call("PATCH", f"/v1/segments/{users[1]}", json={"conditions": [PREMIUM]})).ok()
    await api.delete_all(f"/v1/segments/{used}", f"/v1/segments/{users[1]}")


async def test_a_preview_keeps_nothing_and_names_whole_contacts(people: People) -> None:
    api = people.api
    before = await api.everything("/v1/segments")
    body = {"conditions": [leaf("email", "exists")]}

    async def preview() -> Json:
        found: Json = (await api.post("/v1/contacts/segments/preview", body)).ok()
        return found

    found = await eventually(preview, lambda answer: answer["count"] == 1)
    ann = (await api.get(f"/v1/contacts/{people.ids['ann']}")).ok()
    assert found == {"count": 1, "estimate": False, "sample": [ann]}
    assert await api.everything("/v1/segments") == before


async def test_a_preview_shows_ten_of_many(api: Api, people: People) -> None:
    rows = "".join(f"+1415556{number:04d},crowd\n" for number in range(25))
    (await api.upload("/v1/contacts/import", b"phone,tags\n" + rows.encode())).ok()
    body = {"conditions": [leaf("tags", "contains", "crowd")]}

    async def preview() -> tuple[int, int]:
        found = (await api.post("/v1/segments/preview", body)).ok()
        return found["count"], len({one["id"] for one in found["sample"]})

    await eventually(preview, lambda seen: seen == (25, 10))
    ids = [one["id"] for one in await api.everything("/v1/contacts?tag=crowd")]
    (await api.post("/v1/contacts/bulk-delete", {"contact_ids": ids})).ok()
    await eventually(preview, lambda seen: seen == (0, 0))


def moment(text: str) -> datetime:
    assert text.endswith("Z")
    return datetime.fromisoformat(text)


async def test_an_explanation_goes_leaf_by_leaf(people: People) -> None:
    api = people.api
    lately, wanted = leaf("created_at", "in_last", "30d"), leaf("email", "exists")
    rule = {"all": [PREMIUM, {"any": [wanted, leaf("metadata.plan.seats", "not_lt", 10)]}], "not": {"not": lately}}
    made = await people.segment(rules=rule)
    await people.are(made, ["ann", "eve"])
    eve = await people.explained(made, "eve")
    assert (eve["segment_id"], eve["contact_id"]) == (made, people.ids["eve"])
    assert (eve["member"], eve["matches"]) == (True, True)
    assert moment(eve["joined_at"]) <= moment(eve["as_of"])
    told = {one["pointer"]: one for one in eve["conditions"]}
    assert list(told) == ["/rules/all/0", "/rules/all/1/any/0", "/rules/all/1/any/1", "/rules/not/not"]
    assert [one["passed"] for one in told.values()] == [True, False, True, True]
    assert {key: told["/rules/all/0"][key] for key in ("field", "operator", "value")} == PREMIUM
    assert {one.casefold() for one in told["/rules/all/0"]["seen"]} == {"premium", "vip"}
    # Nothing there, nothing to compare with.
    assert (told["/rules/all/1/any/0"]["seen"], told["/rules/all/1/any/0"]["value"]) == (None, None)
    assert told["/rules/all/1/any/1"]["seen"] is None
    # The one that goes by the clock says when, to the moment.
    created = moment((await api.get(f"/v1/contacts/{people.ids['eve']}")).ok()["created_at"])
    assert moment(told["/rules/not/not"]["flips_at"]) == created + timedelta(days=30)
    assert eve["flips_at"] == told["/rules/not/not"]["flips_at"]
    assert {one["flips_at"] for pointer, one in told.items() if pointer != "/rules/not/not"} == {None}

    bob = await people.explained(made, "bob")
    assert (bob["member"], bob["matches"], bob["joined_at"]) == (False, False, None)
    assert [one["passed"] for one in bob["conditions"]] == [False, False, True, True]
    await api.delete_all(f"/v1/segments/{made}")


async def test_what_is_to_come_flips_when_it_begins(people: People) -> None:
    made = await people.segment(conditions=[leaf("metadata.renewal", "in_next", "2d")])
    await people.are(made, [])
    (told,) = (await people.explained(made, "bob"))["conditions"]
    assert told["passed"] is False
    assert moment(told["flips_at"]) == SOON.replace(microsecond=0) - timedelta(days=2)
    (never,) = (await people.explained(made, "eve"))["conditions"]
    assert (never["seen"], never["flips_at"]) == (None, None)
    await people.api.delete_all(f"/v1/segments/{made}")


async def test_an_explanation_of_what_is_not_there(people: People, other: Api) -> None:
    made = await people.segment(conditions=[PREMIUM])
    path = f"/v1/segments/{made}/explain"
    (await people.api.get(path)).refused(422, "validation_failed")
    for contact_id in (NOBODY, "nobody", made):
        (await people.api.get(f"{path}?contact_id={contact_id}")).refused(404, "not_found")
    stranger = (await other.post("/v1/contacts", {"phone": "+14155550009"})).ok(201)["id"]
    (await people.api.get(f"{path}?contact_id={stranger}")).refused(404, "not_found")
    (await other.get(f"{path}?contact_id={stranger}")).refused(404, "not_found")
    await people.api.delete_all(f"/v1/segments/{made}")


async def test_another_account_s_segment_cannot_be_named(people: People, other: Api) -> None:
    made = await people.segment(conditions=[PREMIUM])
    body = {"name": "theirs", "conditions": [leaf("segments", "contains", made)]}
    problem = (await other.post("/v1/segments", body)).refused(422, "invalid_rule")
    assert [error["pointer"] for error in problem["errors"]] == ["/conditions/0/value"]
    await people.api.delete_all(f"/v1/segments/{made}")


KEYS = ["all", "any"] * 4


def deep() -> Json:
    """Eight groups within one another with 100 leaves, which come to whether the innermost first one holds."""
    rule: Json = {"any": [PREMIUM, *(leaf("metadata.n", "equals", at) for at in range(15))]}
    for level in range(6, -1, -1):
        operator = "not_equals" if KEYS[level] == "all" else "equals"
        rule = {KEYS[level]: [*(leaf("metadata.n", operator, 100 * level + at) for at in range(12)), rule]}
    return rule


async def test_a_rule_of_every_depth_and_number_of_leaves(people: People) -> None:
    rule = deep()
    made = await people.segment(rules=rule)
    await people.are(made, ["ann", "eve"])
    assert (await people.api.get(f"/v1/segments/{made}")).ok()["rules"] == rule
    assert len((await people.explained(made, "bob"))["conditions"]) == 100
    preview = (await people.api.post("/v1/segments/preview", {"rules": rule})).ok()
    assert isinstance(preview["estimate"], bool)

    # One leaf more, and one group more.
    wide = {"all": [*rule["all"], PREMIUM]}
    below = "".join(f"/{key}/12" for key in KEYS[:7])
    for wrong, pointer in (wide, "/rules/all/13"), ({"not": rule}, f"/rules/not{below}"):
        answer = await people.api.call("PUT", f"/v1/segments/{made}", json={"rules": wrong})
        problem = answer.refused(422, "invalid_rule")
        assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert (await people.api.get(f"/v1/segments/{made}")).ok()["rules"] == rule
    await people.are(made, ["ann", "eve"])
    await people.api.delete_all(f"/v1/segments/{made}")


async def test_a_segment_changes_from_one_form_to_the_other(people: People) -> None:
    made = await people.segment(conditions=[PREMIUM])
    rule = {"not": PREMIUM}
    changed = (await people.api.call("PUT", f"/v1/segments/{made}", json={"rules": rule})).ok()
    assert (changed["rules"], "conditions" in changed) == (rule, False)
    await people.are(made, ["bob"])
    back = (await people.api.call("PATCH", f"/v1/segments/{made}", json={"conditions": [PREMIUM]})).ok()
    assert (back["conditions"], "rules" in back) == ([PREMIUM], False)
    await people.are(made, ["ann", "eve"])
    renamed = (await people.api.call("PATCH", f"/v1/segments/{made}", json={"name": "Renamed"})).ok()
    assert (renamed["name"], renamed["conditions"]) == ("Renamed", [PREMIUM])
    await people.api.delete_all(f"/v1/segments/{made}")
