"""A contact that is deleted: a tombstone and keyed hashes stay, which still refuse, and nothing else."""

import pytest

from carillon.contacts.v1 import consent_pb2, lists_pb2
from carillon.contacts.v1 import contacts_pb2 as pb
from chassis.call import Outgoing
from services.contacts.erasure.hashing import AddressHash
from tests.service.contacts.conftest import ERASURE_KEY
from tests.service.contacts.events import outbox

PHONE, EMAIL, NAME = "+4915777000111", "Zoe.Zyx@example.org", "Zyxquartz"
MENTIONS = ("4915777000111", "zoe.zyx", "zyxquartz")
# What expires instead: see test_retention.
EXPIRING = {"outbox", "idempotency_keys", "file_chunks"}

# Every table has the account; other tests' accounts may mention the same person.
COLUMNS = """
SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns AS c
JOIN information_schema.tables AS t USING (table_schema, table_name)
WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND t.table_name <> 'alembic_version'
"""


async def mentions(admin, account) -> set[str]:
    """Tables where a column of the account's rows holds one of the words, bytes read as text among them."""
    found = set()
    for table, column, kind in await admin.fetch(COLUMNS):
        read = f"lower(encode({column}, 'escape'))" if kind == "bytea" else f"lower({column}::text)"
        for word in MENTIONS:
            there = f"SELECT EXISTS (SELECT FROM {table} WHERE account_id = $1 AND strpos({read}, $2) > 0)"
            if await admin.fetchval(there, account, word):
                found.add(table)
    return found


async def say(consent_client, account, contact_id: str, **said) -> None:
    numbers = {"in": pb.PREFERENCE_OPTED_IN, "out": pb.PREFERENCE_OPTED_OUT}
    request = consent_pb2.SetPreferencesRequest(
        id=contact_id,
        preferences={channel: numbers[what] for channel, what in said.items()},
        source="form",
        text=f"{NAME} asked by {PHONE}",
    )
    await consent_client.unary(
        consent_client.stub.SetPreferences, request, call=Outgoing(account), timeout=10, safe=True
    )


async def refusals(book, channel, *addresses: str) -> list[pb.Refusal.ValueType]:
    asked = pb.CheckMessageableRequest(channel=channel, targets=[pb.Target(address=one) for one in addresses])
    return list((await book.call("CheckMessageable", asked)).refusals)


async def add_history(admin, account, contact_id) -> None:
    await admin.execute(
        "INSERT INTO messages (account_id, contact_id, id, campaign_id, channel, address, status, reason, "
        "state_revision) SELECT account_id, id, id, id, 'sms', phone, 'sent', '', 1 FROM contacts "
        "WHERE account_id = $1 AND phone = $2",
        account,
        PHONE,
    )
    await admin.execute(
        "INSERT INTO activity (account_id, contact_id, at, id, type, text, actor) "
        "SELECT account_id, id, now(), id, 'agent.note', 'called ' || phone, 'key' FROM contacts "
        "WHERE account_id = $1 AND phone = $2",
        account,
        PHONE,
    )


async def test_nothing_of_a_deleted_contact_stays(book, lists, consent_client, worker, admin, account):
    job = await book.upload(f"phone,email,name,city\n{PHONE},{EMAIL},{NAME},{NAME}\nbad,{EMAIL},{NAME},x\n".encode())
    while await worker.run_once():
        pass
    assert (await book.progress(job.id)).imported == 1
    contact = (await book.page(phone=PHONE)).contacts[0]
    board = await lists.create()
    await lists.call("AddListMembers", lists_pb2.AddListMembersRequest(list_ids=[board.id], contact_ids=[contact.id]))
    await book.update(contact.id, tags=[NAME], stage=NAME)
    await say(consent_client, account, contact.id, sms="out", email="in")
    await add_history(admin, account, contact.id)
    await book.call("CreateSuppression", pb.CreateSuppressionRequest(email=EMAIL, reason=NAME))
    assert await mentions(admin, account) > {
        "contacts",
        "consents",
        "messages",
        "activity",
        "suppressions",
        "contact_tags",
    }
    await book.delete(contact.id)
    # The rows of a file that were refused go with the file.
    assert await mentions(admin, account) <= EXPIRING | {"import_errors"}
    assert await admin.fetchval("SELECT count(*) FROM optouts WHERE account_id = $1", account) == 0
    evidence = await admin.fetch("SELECT * FROM erased_consents WHERE account_id = $1 ORDER BY channel", account)
    hashes = AddressHash(ERASURE_KEY)
    assert [(row["channel"], row["after"], row["source"], row["address_hash"]) for row in evidence] == [
        ("email", "opted_in", "form", hashes.of(account, EMAIL.lower(), by_email=True)),
        ("sms", "opted_out", "form", hashes.of(account, PHONE, by_email=False)),
    ]
    kind, _, event = (await outbox(admin, account))[-1]
    deletion = event.deletions[0]
    assert (kind, deletion.id, deletion.phone, deletion.email) == ("contact.deleted", contact.id, PHONE, EMAIL)
    assert deletion.phone_hash == hashes.of(account, PHONE, by_email=False)


async def test_an_opt_out_outlives_its_contact(book, other_book, consent_client, account):
    gone = (await book.create(phone=PHONE, email=EMAIL)).contact
    await say(consent_client, account, gone.id, sms="out")
    await book.delete(gone.id)
    assert await refusals(book, pb.CHANNEL_SMS, PHONE, "+4915777000112") == [
        pb.REFUSAL_SUPPRESSED,
        pb.REFUSAL_UNSPECIFIED,
    ]
    assert await refusals(book, pb.CHANNEL_WHATSAPP, PHONE) == [pb.REFUSAL_UNSPECIFIED]
    assert await refusals(book, pb.CHANNEL_EMAIL, EMAIL) == [pb.REFUSAL_UNSPECIFIED]
    assert await refusals(other_book, pb.CHANNEL_SMS, PHONE) == [pb.REFUSAL_UNSPECIFIED]
    again = (await book.create(phone=PHONE)).contact
    asked = pb.CheckMessageableRequest(channel=pb.CHANNEL_SMS, targets=[pb.Target(contact_id=again.id, address=PHONE)])
    assert list((await book.call("CheckMessageable", asked)).refusals) == [pb.REFUSAL_SUPPRESSED]


async def test_who_opts_in_again_is_messaged_again(book, consent_client, account):
    gone = (await book.create(phone=PHONE, email=EMAIL)).contact
    await say(consent_client, account, gone.id, sms="out", viber="out", email="out")
    await book.delete(gone.id)
    again = (await book.create(phone=PHONE, email=EMAIL)).contact
    await say(consent_client, account, again.id, sms="in")
    assert await refusals(book, pb.CHANNEL_SMS, PHONE) == [pb.REFUSAL_UNSPECIFIED]
    assert await refusals(book, pb.CHANNEL_VIBER, PHONE) == [pb.REFUSAL_SUPPRESSED]
    assert await refusals(book, pb.CHANNEL_EMAIL, EMAIL) == [pb.REFUSAL_SUPPRESSED]
    await say(consent_client, account, again.id, viber="in", email="in")
    assert not (await book.call("ListSuppressions", pb.ListSuppressionsRequest())).suppressions


async def test_an_opt_in_takes_nobody_off_the_do_not_contact_list(book, consent_client, account):
    await book.call("CreateSuppression", pb.CreateSuppressionRequest(phone=PHONE, channels=[pb.CHANNEL_SMS]))
    gone = (await book.create(phone=PHONE)).contact
    await say(consent_client, account, gone.id, viber="out")
    await book.delete(gone.id)
    again = (await book.create(phone=PHONE)).contact
    await say(consent_client, account, again.id, sms="in", viber="in")
    assert await refusals(book, pb.CHANNEL_SMS, PHONE) == [pb.REFUSAL_SUPPRESSED]


async def test_what_two_deletions_refuse_adds_up(book, consent_client, account):
    for said in ({"sms": "out"}, {"viber": "out"}, {}):
        contact = (await book.create(phone=PHONE)).contact
        if said:
            await say(consent_client, account, contact.id, **said)
        await book.delete(contact.id)
    for channel in (pb.CHANNEL_SMS, pb.CHANNEL_VIBER):
        assert await refusals(book, channel, PHONE) == [pb.REFUSAL_SUPPRESSED]
    assert await refusals(book, pb.CHANNEL_VOICE, PHONE) == [pb.REFUSAL_UNSPECIFIED]
    entries = (await book.call("ListSuppressions", pb.ListSuppressionsRequest())).suppressions
    assert [(entry.HasField("phone"), len(entry.channels)) for entry in entries] == [(False, 2)]


@pytest.mark.parametrize("channel", [pb.CHANNEL_SMS, pb.CHANNEL_VOICE])
async def test_do_not_disturb_outlives_its_contact_on_every_channel(book, channel):
    gone = (await book.create(phone=PHONE, do_not_disturb=True)).contact
    await book.call("BulkDeleteContacts", pb.BulkDeleteContactsRequest(ids=[gone.id]))
    assert await refusals(book, channel, PHONE) == [pb.REFUSAL_SUPPRESSED]


async def test_an_entry_of_the_list_stays_in_force_and_can_be_taken_off_by_its_id(book):
    entry = (await book.call("CreateSuppression", pb.CreateSuppressionRequest(phone=PHONE))).suppression
    contact = (await book.create(phone=PHONE)).contact
    await book.delete(contact.id)
    assert await refusals(book, pb.CHANNEL_VOICE, PHONE) == [pb.REFUSAL_SUPPRESSED]
    await book.call("DeleteSuppression", pb.DeleteSuppressionRequest(id=entry.id))
    assert await refusals(book, pb.CHANNEL_VOICE, PHONE) == [pb.REFUSAL_UNSPECIFIED]


async def test_serve_erases_evidence_of_its_own_account_only(serve_db, account, other):
    with pytest.raises(Exception, match="insufficient_privilege"):
        async with serve_db.write(account) as tx:
            await tx.execute("SELECT erase_consents($1, '{}', '{}', '{}')", other)


def test_a_short_key_is_refused():
    with pytest.raises(ValueError, match="fewer than 32"):
        AddressHash("c2hvcnQ=")
