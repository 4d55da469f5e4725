"""A contact's snapshot in the wire's bytes, written without protobuf's objects.

An import makes one for each row, and protobuf took a fifth of its time. Many are made field by field, not contact by
contact: what no contact has costs nothing, and what many have is encoded once. A test holds the result against
`convert.contact` for any contacts. The encoding: https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from operator import attrgetter

from carillon.contacts.v1 import contacts_pb2 as pb
from carillon.events.v1 import events_pb2
from chassis import ids
from services.contacts import convert
from services.contacts.domain.contact import EMAIL_CHANNELS, PHONE_CHANNELS, Contact

# Fields of a text or nothing: the wire's name, which is the domain's but for two.
TEXTS = (
    "phone",
    "email",
    "first_name",
    "last_name",
    "name",
    "country",
    "stage",
    "gender",
    "language",
    "timezone",
    "metadata_json",
    "external_id",
    "instagram_id",
    "channel",
    "custom_channel",
    "chat_widget_id",
    "current_campaign",
    "current_campaign_data_json",
)


def varint(number: int) -> bytes:
    """number: not negative."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


# A table beats the loop for nearly every length there is.
KNOWN = 2048
LENGTHS = [varint(length) for length in range(KNOWN)]
SHORT_TEXT = 128


def length_of(raw: bytes) -> bytes:
    length = len(raw)
    return LENGTHS[length] if length < KNOWN else varint(length)


def numbers(message: type[pb.Contact]) -> dict[str, int]:
    return {field.name: field.number for field in message.DESCRIPTOR.fields}


NUMBERS = numbers(pb.Contact)
# Number and wire type: 2 for what has a length, 0 for a number.
LONG = {name: varint(number << 3 | 2) for name, number in NUMBERS.items()}
SHORT = {name: varint(number << 3) for name, number in NUMBERS.items()}
TEXT_FIELDS = [(LONG[name], attrgetter(name.removesuffix("_json"))) for name in TEXTS]
# With the length of an id.
ID = LONG["id"] + b"\x1e"
TAGS, LISTS, VERSION = LONG["tags"], LONG["lists"], SHORT["version"]
CREATED_AT, UPDATED_AT = LONG["created_at"], LONG["updated_at"]
FLAGS = [
    (SHORT[name] + b"\x01", attrgetter(name)) for name in ("is_chat_window_open", "is_bot_active", "do_not_disturb")
]
CHANGE = varint(events_pb2.ContactsChanged.DESCRIPTOR.fields_by_name["changes"].number << 3 | 2)
CONTACT = varint(events_pb2.ContactChange.DESCRIPTOR.fields_by_name["contact"].number << 3 | 2)
LISTED = varint(pb.ListContactsResponse.DESCRIPTOR.fields_by_name["contacts"].number << 3 | 2)
CHANGED_FIELD = varint(events_pb2.ContactChange.DESCRIPTOR.fields_by_name["changed_fields"].number << 3 | 2)


def repeated(tag: bytes, values: Iterable[str]) -> bytes:
    raws = [value.encode() for value in values]
    return b"".join([part for raw in raws for part in (tag, length_of(raw), raw)])


repeated_texts = lru_cache(maxsize=1024)(repeated)


def validity(name: str, value: int) -> bytes:
    return SHORT[name] + varint(value) if value else b""


# channels and validities, by whether there is a phone and an email, and what is known of them.
REACHED_ON = {
    (phone, email, phone_is, email_is): repeated(
        LONG["channels"], (PHONE_CHANNELS if phone else []) + (EMAIL_CHANNELS if email else [])
    )
    + validity("phone_validity", phone_value)
    + validity("email_validity", email_value)
    for phone in (False, True)
    for email in (False, True)
    for phone_is, phone_value in convert.VALIDITIES.items()
    for email_is, email_value in convert.VALIDITIES.items()
}


@lru_cache(maxsize=256)
def moment(time: datetime) -> bytes:
    """A Timestamp with its length."""
    raw = convert.timestamp(time).SerializeToString()
    return length_of(raw) + raw


@lru_cache(maxsize=256)
def times(created_at: datetime, updated_at: datetime) -> bytes:
    return CREATED_AT + moment(created_at) + UPDATED_AT + moment(updated_at)


@lru_cache
def heads_of(tag: bytes) -> list[bytes]:
    """Tag and length, by the length."""
    return [tag + length for length in LENGTHS[:SHORT_TEXT]]


def texts(tag: bytes, values: Sequence[str | None]) -> Sequence[bytes]:
    """A field of texts, as each message has it."""
    distinct = set(values)
    if 2 * len(distinct) <= len(values):
        encoded = {value: b"" if value is None else field(tag, value.encode()) for value in distinct}
        return [encoded[value] for value in values]
    heads = heads_of(tag)
    # As `field` does it, without a call.
    return [
        b"" if value is None else heads[len(raw)] + raw if len(raw := value.encode()) < SHORT_TEXT else field(tag, raw)
        for value in values
    ]


def field(tag: bytes, raw: bytes) -> bytes:
    return tag + length_of(raw) + raw


def contacts(rows: Sequence[Contact]) -> list[bytes]:
    """The bytes of a carillon.contacts.v1.Contact for each."""
    columns: list[Iterable[bytes]] = [[ID + ids.encode("cnt", row.id).encode() for row in rows]]
    for tag, text_of in TEXT_FIELDS:
        values = list(map(text_of, rows))
        if values.count(None) != len(values):
            columns.append(texts(tag, values))
    if any(row.tags for row in rows):
        columns.append([repeated_texts(TAGS, tuple(row.tags)) for row in rows])
    for tag, flag in FLAGS:
        if any(map(flag, rows)):
            columns.append([tag if flag(row) else b"" for row in rows])
    if any(row.preferences != "{}" for row in rows):
        columns.append([preferences(row.preferences) for row in rows])
    if any(row.list_ids for row in rows):
        columns.append([repeated(LISTS, [ids.encode("lst", list_id) for list_id in row.list_ids]) for row in rows])
    columns.append(
        [
            REACHED_ON[row.phone is not None, row.email is not None, row.phone_validity, row.email_validity]
            for row in rows
        ]
    )
    columns.append([VERSION + varint(row.version) + times(row.created_at, row.updated_at) for row in rows])
    return list(map(b"".join, zip(*columns, strict=True)))


def preferences(stored: str) -> bytes:
    return b"" if stored == "{}" else pb.Contact(preferences=convert.preferences(stored)).SerializeToString()


def changes(rows: Sequence[Contact]) -> list[bytes]:
    """A serialised ContactsChanged with one change, for each: protobuf joins such messages by joining their bytes."""
    return [field(CHANGE, field(CONTACT, raw)) for raw in contacts(rows)]


def change(row: Contact, changed: Sequence[str] = ()) -> bytes:
    """One of `changes`, with the names of the changed fields. Of one contact protobuf is the faster."""
    raw = convert.contact(row).SerializeToString()
    return field(CHANGE, field(CONTACT, raw) + repeated(CHANGED_FIELD, changed))


def page(rows: Sequence[Contact]) -> bytes:
    """A serialised carillon.contacts.v1.ListContactsResponse with these contacts."""
    return b"".join([field(LISTED, raw) for raw in contacts(rows)])
