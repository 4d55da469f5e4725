"""Seeds 002 and 004: contacts are searched, filtered and paged through, as soon as they are there."""

from tests.e2e.client import Api, eventually

PEOPLE = (
    {"phone": "+14155550120", "name": "Käthe Brandt", "email": "kaethe@example.org", "stage": "lead", "country": "DE"},
    {"phone": "+14155550121", "name": "Kate Brown", "gender": "female", "stage": "customer"},
    {"email": "ken@example.com", "name": "Ken Ogden"},
)


async def names(api: Api, query: str) -> list[str]:
    return [one["name"] for one in (await api.get(f"/v1/contacts?{query}")).ok()["data"]]


async def test_contacts_are_found(api: Api) -> None:
    await api.empty_address_book()
    made = [(await api.post("/v1/contacts", person)).ok(201) for person in PEOPLE]
    both = ["Kate Brown", "Käthe Brandt"]
    assert await eventually(lambda: names(api, "search=kat+br"), lambda found: len(found) == 2) == both
    assert await names(api, "search=KÄTHE") == ["Käthe Brandt"]
    assert await names(api, "search=0121") == ["Kate Brown"]
    assert await names(api, "search=+1 415 555") == both
    assert await names(api, "search=example.org") == ["Käthe Brandt"]
    assert await names(api, "search=kat&stage=lead&country=de") == ["Käthe Brandt"]
    assert await names(api, "gender=female") == ["Kate Brown"]
    assert await names(api, "channel=email&validity=email:valid&sort=name") == ["Käthe Brandt", "Ken Ogden"]
    assert await names(api, "validity=unknown") == ["Ken Ogden"]
    await api.call("DELETE", f"/v1/contacts/{made[1]['id']}")
    assert await names(api, "search=kat+br") == ["Käthe Brandt"]


async def test_a_list_is_walked_and_counted(api: Api) -> None:
    await api.empty_address_book()
    for person in PEOPLE:
        (await api.post("/v1/contacts", person)).ok(201)
    first = (await api.get("/v1/contacts?sort=name&limit=2&include_total=true")).ok()
    assert (first["total"], first["total_is_estimate"], first["has_more"]) == (3, False, True)
    rest = (await api.get(f"/v1/contacts?sort=name&limit=2&cursor={first['next_cursor']}")).ok()
    assert [one["name"] for one in first["data"] + rest["data"]] == ["Kate Brown", "Käthe Brandt", "Ken Ogden"]
    foreign = await api.get(f"/v1/contacts?sort=-name&limit=2&cursor={first['next_cursor']}")
    foreign.refused(400, "invalid_cursor")
