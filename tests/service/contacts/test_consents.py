"""What contacts said of the channels, and the evidence of it."""

import asyncpg
import pytest

from carillon.contacts.v1 import consent_pb2
from carillon.contacts.v1 import contacts_pb2 as pb
from chassis import ids
from chassis.errors import CarillonError, NotFound, Reason
from services.contacts.search.rebuild import rebuild
from tests.service.contacts.address_book import AddressBook, patch
from tests.service.contacts.events import outbox
from tests.service.contacts.test_imports import run
from tests.service.contacts.test_suppressions import OK, check

PHONE = "+14155552671"
IN, OUT, UNKNOWN = pb.PREFERENCE_OPTED_IN, pb.PREFERENCE_OPTED_OUT, pb.PREFERENCE_UNSPECIFIED

KEEP = """
INSERT INTO consents (account_id, contact_id, id, channel, before, after, source, text, actor, at)
VALUES ($1, $1, $1, 'sms', 'unknown', 'opted_out', 'form', 'No, thanks', 'key', now())
"""


async def test_evidence_is_written_once_and_never_changed(account, serve_db, work_db, admin):
    async with serve_db.write(account) as tx:
        await tx.execute(KEEP, account)
    change = "UPDATE consents SET after = 'opted_in' WHERE account_id = $1"
    for db in (serve_db, work_db):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with db.write(account) as tx:
                await tx.execute(change, account)
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await admin.execute(change, account)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with serve_db.write(account) as tx:
            await tx.execute("DELETE FROM consents WHERE account_id = $1", account)
    assert await admin.fetchval("SELECT after FROM consents WHERE account_id = $1", account) == "opted_out"


@pytest.fixture
def consent(consent_client, account) -> AddressBook:
    return AddressBook(consent_client, account)


async def prefer(consent, contact_id: str, if_version: int | None = None, **said) -> pb.Contact:
    evidence = {name: said.pop(name) for name in ("source", "text", "actor") if name in said}
    request = consent_pb2.SetPreferencesRequest(id=contact_id, preferences=said, if_version=if_version, **evidence)
    return (await consent.call("SetPreferences", request)).contact


async def evidence_of(consent, contact_id: str, **page) -> consent_pb2.ListConsentsResponse:
    return await consent.call("ListConsents", consent_pb2.ListConsentsRequest(contact_id=contact_id, **page))


async def opted_out(consent, **wanted) -> dict[str, list[str]]:
    """Contact to the channels it opted out of, of every page."""
    found: dict[str, list[str]] = {}
    cursor = ""
    while True:
        request = consent_pb2.ListOptoutsRequest(page_size=2, cursor=cursor, **wanted)
        answer = await consent.call("ListOptouts", request)
        for one in answer.optouts:
            found[one.contact.id] = [pb.Channel.Name(entry.channel)[8:].lower() for entry in one.channels]
        cursor = answer.next_cursor
        if not cursor:
            return found


async def test_a_change_bumps_the_version_tells_and_leaves_evidence(book, consent, admin, account):
    made = (await book.create(phone=PHONE)).contact
    after = await prefer(consent, made.id, sms=OUT, email=IN, source=" form ", text="No SMS", actor="key_1")
    assert (after.version, dict(after.preferences)) == (2, {"sms": OUT, "email": IN})
    assert await book.get(made.id) == after
    kind, bulk, told = (await outbox(admin, account))[-1]
    assert (kind, bulk, told.changes[0].contact) == ("contact.updated", False, after)
    assert list(told.changes[0].changed_fields) == ["preferences", "updated_at"]
    found = (await evidence_of(consent, made.id)).consents
    assert {(one.channel, one.before, one.after, one.source, one.text, one.actor) for one in found} == {
        (pb.CHANNEL_SMS, UNKNOWN, OUT, "form", "No SMS", "key_1"),
        (pb.CHANNEL_EMAIL, UNKNOWN, IN, "form", "No SMS", "key_1"),
    }
    assert all(one.id.startswith("cns_") and one.at.seconds for one in found)


async def test_what_is_so_already_changes_nothing(book, consent):
    made = (await book.create(phone=PHONE)).contact
    first = await prefer(consent, made.id, sms=OUT)
    assert await prefer(consent, made.id, sms=OUT, voice=UNKNOWN, text="again") == first
    assert len((await evidence_of(consent, made.id)).consents) == 1


async def test_evidence_pages_newest_first(book, consent):
    made = (await book.create(phone=PHONE)).contact
    for said in (OUT, IN, UNKNOWN):
        await prefer(consent, made.id, sms=said)
    first = await evidence_of(consent, made.id, page_size=2)
    rest = await evidence_of(consent, made.id, page_size=2, cursor=first.next_cursor)
    assert [(one.before, one.after) for one in [*first.consents, *rest.consents]] == [
        (IN, UNKNOWN), (OUT, IN), (UNKNOWN, OUT),
    ]  # fmt: skip
    assert (rest.next_cursor, first.consents[0].source, first.consents[0].actor) == ("", "api", "gateway")
    other = (await book.create(phone="+14155552672")).contact
    with pytest.raises(CarillonError) as caught:
        await evidence_of(consent, other.id, cursor=first.next_cursor)
    assert caught.value.reason == Reason.INVALID_CURSOR


async def test_what_is_refused(book, consent):
    made = (await book.create(phone=PHONE)).contact
    for said in ({"fax": OUT}, {"sms": OUT, "text": "x" * 2001}, {"sms": OUT, "source": "\0"}, {"sms": 9}):
        with pytest.raises(CarillonError) as caught:
            await prefer(consent, made.id, **said)
        assert caught.value.reason == Reason.VALIDATION_FAILED
    with pytest.raises(CarillonError) as caught:
        await prefer(consent, made.id, if_version=7, sms=OUT)
    assert caught.value.reason == Reason.VERSION_MISMATCH
    with pytest.raises(NotFound):
        await prefer(consent, ids.encode("cnt", ids.new()), sms=OUT)
    assert (await book.get(made.id)).version == 1


async def test_nothing_else_turns_an_opt_out_back(book, consent, worker, bulk):
    """Imports with columns of that name in each mode, upserts one by one and in a batch, an update: it stays."""
    made = (await book.create(phone=PHONE, name="Ada")).contact
    await prefer(consent, made.id, sms=OUT)
    file = f"phone,name,preferences,sms,opted_in,do_not_disturb\n{PHONE},Bea,sms=opted_in,opted_in,yes,no\n"
    for mode in (pb.ON_DUPLICATE_SKIP, pb.ON_DUPLICATE_MERGE, pb.ON_DUPLICATE_UPDATE):
        await run(book, worker, file, on_duplicate=mode)
        assert dict((await book.get(made.id)).preferences) == {"sms": OUT}
    upserted = (await book.create(upsert=True, phone=PHONE, name="Cleo", tags=["vip"])).contact
    assert (upserted.id, upserted.name, dict(upserted.preferences)) == (made.id, "Cleo", {"sms": OUT})
    (row,) = await bulk.batch(patch(phone=PHONE, name="Dora"))
    assert (row.outcome, dict((await book.get(made.id)).preferences)) == ("updated", {"sms": OUT})
    updated = await book.update(made.id, phone="+14155552672", clear=["name", "tags", "metadata_json"])
    assert dict(updated.preferences) == {"sms": OUT}
    with pytest.raises(CarillonError):
        await book.update(made.id, clear=["preferences"])
    assert await opted_out(consent) == {made.id: ["sms"]}
    assert await check(book, (made.id, "+14155552672")) == ["OPTED_OUT"]
    assert len((await evidence_of(consent, made.id)).consents) == 1


async def test_a_file_never_turns_do_not_disturb_back(book, worker):
    """An export that was made before would do so, imported again."""
    made = (await book.create(phone=PHONE, do_not_disturb=True)).contact
    file = f"phone,name,do_not_disturb\n{PHONE},Bea,no\n"
    for mode in (pb.ON_DUPLICATE_MERGE, pb.ON_DUPLICATE_UPDATE):
        await run(book, worker, file, on_duplicate=mode)
        assert (await book.get(made.id)).do_not_disturb
    assert (await book.get(made.id)).name == "Bea"
    await run(book, worker, f"phone,do_not_disturb\n+14155552673,no\n{PHONE},yes\n", on_duplicate=mode)
    assert [one.do_not_disturb for one in await book.all()] == [False, True]
    assert not (await book.update(made.id, do_not_disturb=False)).do_not_disturb


async def test_an_opt_out_holds_until_the_contact_opts_in(book, consent):
    made = (await book.create(phone=PHONE)).contact
    assert await check(book, (made.id, PHONE)) == [OK]
    await prefer(consent, made.id, sms=OUT)
    assert await check(book, (made.id, PHONE), ("", PHONE)) == ["OPTED_OUT"] * 2
    assert await check(book, (made.id, PHONE), channel=pb.CHANNEL_VOICE) == [OK]
    await prefer(consent, made.id, sms=IN)
    assert await check(book, (made.id, PHONE), ("", PHONE)) == [OK] * 2


async def test_an_email_that_opted_out_is_not_messaged_through_another_contact(book, consent, worker):
    """A file makes a second contact with it, since a phone comes before an email."""
    email = "ada@example.org"
    first = (await book.create(email=email)).contact
    await prefer(consent, first.id, email=OUT)
    await run(book, worker, f"phone,email\n{PHONE},Ada@example.org\n")
    (second,) = [one for one in await book.all() if one.id != first.id]
    asked = [(first.id, email), (second.id, email), ("", email)]
    assert await check(book, *asked, channel=pb.CHANNEL_EMAIL) == ["OPTED_OUT"] * 3
    assert await check(book, (second.id, PHONE)) == [OK]
    await prefer(consent, second.id, email=IN)
    assert await check(book, *asked[:2], channel=pb.CHANNEL_EMAIL) == ["OPTED_OUT", OK]
    await prefer(consent, second.id, email=UNKNOWN)
    assert await check(book, *asked[:2], channel=pb.CHANNEL_EMAIL) == ["OPTED_OUT"] * 2


async def test_an_account_can_ask_for_opt_in(book, consent):
    made = (await book.create(phone=PHONE)).contact
    asked = [(made.id, PHONE), ("", PHONE), ("", "+14155552699")]
    assert not (await consent.call("GetConsentRules", consent_pb2.GetConsentRulesRequest())).rules.require_opt_in
    assert await check(book, *asked) == [OK] * 3
    require = consent_pb2.UpdateConsentRulesRequest(require_opt_in=True)
    assert (await consent.call("UpdateConsentRules", require)).rules.require_opt_in
    untouched = await consent.call("UpdateConsentRules", consent_pb2.UpdateConsentRulesRequest())
    assert untouched.rules.require_opt_in
    assert await check(book, *asked) == ["OPTED_OUT"] * 3
    await prefer(consent, made.id, sms=IN)
    assert await check(book, *asked) == [OK, OK, "OPTED_OUT"]
    assert await check(book, (made.id, PHONE), channel=pb.CHANNEL_VOICE) == ["OPTED_OUT"]


async def test_opt_outs_are_listed_by_channel_and_go_with_the_opt_in(book, consent):
    made = [(await book.create(phone=f"+1415555267{n}")).contact.id for n in range(4)]
    for contact_id in made[:3]:
        await prefer(consent, contact_id, sms=OUT, voice=IN)
    await prefer(consent, made[1], viber=OUT)
    assert list((await opted_out(consent)).items()) == [
        (made[2], ["sms"]), (made[1], ["sms", "viber"]), (made[0], ["sms"]),
    ]  # fmt: skip
    assert await opted_out(consent, channel=pb.CHANNEL_VIBER) == {made[1]: ["sms", "viber"]}
    assert await opted_out(consent, channel=pb.CHANNEL_VOICE) == {}
    await prefer(consent, made[1], sms=UNKNOWN)
    await prefer(consent, made[2], sms=IN)
    assert await opted_out(consent) == {made[1]: ["viber"], made[0]: ["sms"]}
    await book.delete(made[0])
    assert await opted_out(consent) == {made[1]: ["viber"]}


async def test_opt_outs_are_searched(book, consent, work_db):
    """By words of the name and the email, and by the phone; what is found is still an opt-out, and pages."""
    people = [("+14155552671", "Ann Archer"), ("+14155552672", "Anna Baker"), ("+14155552673", "Bob Archer")]
    ann, anna, bob = [(await book.create(phone=phone, name=name)).contact.id for phone, name in people]
    silent = (await book.create(email="ann.archer@example.org")).contact.id
    for contact_id in (ann, anna, bob):
        await prefer(consent, contact_id, sms=OUT)
    await prefer(consent, anna, voice=OUT)
    async for _ in rebuild(work_db):
        pass
    assert list(await opted_out(consent, search="ann")) == [anna, ann]
    assert list(await opted_out(consent, search="archer")) == [bob, ann]
    assert list(await opted_out(consent, search="arch an")) == [ann]
    assert list(await opted_out(consent, search="2673")) == [bob]
    assert list(await opted_out(consent, search="ann", channel=pb.CHANNEL_VOICE)) == [anna]
    await prefer(consent, silent, email=OUT)
    assert list(await opted_out(consent, search="example")) == [silent]
    with pytest.raises(CarillonError) as caught:
        await opted_out(consent, search="x" * 1000)
    assert caught.value.reason == Reason.VALIDATION_FAILED


async def test_two_accounts_never_meet(book, other_book, consent, consent_client, other):
    theirs = AddressBook(consent_client, other)
    mine = (await book.create(phone=PHONE)).contact.id
    await prefer(consent, mine, sms=OUT)
    await consent.call("UpdateConsentRules", consent_pb2.UpdateConsentRulesRequest(require_opt_in=True))
    with pytest.raises(NotFound):
        await prefer(theirs, mine, sms=IN)
    with pytest.raises(NotFound):
        await evidence_of(theirs, mine)
    assert await opted_out(theirs) == {}
    assert not (await theirs.call("GetConsentRules", consent_pb2.GetConsentRulesRequest())).rules.require_opt_in
    await theirs.call("UpdateConsentRules", consent_pb2.UpdateConsentRulesRequest(require_opt_in=False))
    assert (await consent.call("GetConsentRules", consent_pb2.GetConsentRulesRequest())).rules.require_opt_in
    assert await check(other_book, ("", PHONE)) == [OK]
    covered = {"SetPreferences", "ListConsents", "ListOptouts", "GetConsentRules", "UpdateConsentRules"}
    assert covered == {method.name for method in consent_pb2.DESCRIPTOR.services_by_name["ConsentService"].methods}
