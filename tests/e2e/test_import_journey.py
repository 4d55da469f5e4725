"""An import in two steps: look at the file, try it out, import it, mend what failed, take it back."""

from typing import Any

from tests.e2e.client import Api, eventually

FILE = (
    "Kunde;Handy;Stadt;Notiz\n"
    "Käthe Müller;01512 3456789;Berlin;x\n"
    "Ada Lovelace;+44 7400 123456;London;y\n"
    "Nobody;call me;Rome;z\n"
).encode()
ENDED = {"completed", "failed", "cancelled", "undone"}


async def ended(api: Api, path: str) -> Any:
    async def look() -> Any:
        return (await api.get(path)).ok()

    return await eventually(look, lambda found: found["status"] in ENDED)


async def test_upload_look_try_import_mend_and_undo(api: Api) -> None:
    await api.empty_address_book()
    made = await api.upload("/v1/imports", FILE, file_name="kunden.csv")
    held = made.ok(201)
    path = made.headers["location"]
    assert (held["status"], held["rows_total"], held["preview"]["delimiter"]) == ("uploaded", 3, ";")
    assert [column["suggested_target"] for column in held["preview"]["columns"]][1] == "phone"
    options = {"mapping": {"Kunde": "name", "Notiz": "skip", "Stadt": "metadata.city"}, "default_region": "DE"}
    (await api.post(f"{path}/commit", {**options, "tags": ["spring"], "dry_run": True})).ok(202)
    tried = await ended(api, path)
    assert (tried["dry_run"], tried["imported"], tried["failed"]) == (True, 2, 1)
    assert [change["after"]["phone"] for change in tried["changes"]] == ["+4915123456789", "+447400123456"]
    assert await api.everything("/v1/contacts") == []
    (await api.post(f"{path}/commit", {})).ok(202)
    done = await ended(api, path)
    assert (done["dry_run"], done["imported"], done["failed"], done["changes"]) == (False, 2, 1, None)
    people = {one["name"]: one for one in await api.everything("/v1/contacts?tag=spring")}
    assert people["Käthe Müller"]["metadata"] == {"city": "Berlin"}
    failed = (await api.get(f"{path}/errors?format=csv")).ok().decode("utf-8-sig")
    assert failed.splitlines() == [
        "Kunde,Handy,Stadt,Notiz,carillon_error",
        "Nobody,call me,Rome,z,Invalid phone format",
    ]
    mended = (await api.upload("/v1/contacts/import", failed.replace("call me", "+14155552671").encode())).ok()
    assert (mended["imported"], mended["failed"]) == (1, 0)
    (await api.post(f"{path}/undo")).ok(202)
    undone = await ended(api, path)
    assert (undone["status"], undone["undo"]) == ("undone", {"deleted": 2, "kept": 0})
    assert [one["phone"] for one in await api.everything("/v1/contacts")] == ["+14155552671"]
    listed = (await api.get("/v1/imports?limit=2")).ok()["data"]
    assert [one["id"] for one in listed] == [mended["import_id"], held["id"]]
