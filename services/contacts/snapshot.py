"""A contact's snapshot in the wire's bytes, written without protobuf's objects.

An import makes one for each row, and protobuf took a fifth of its time. A test holds the result against
`convert.contact` for any contact. The encoding: https://protobuf.dev/programming-guides/encoding/
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
texts_of = attrgetter(*(name.removesuffix("_json") for name in TEXTS))


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


def length_of(raw: bytes) -> bytes:
    length = len(raw)
    return LENGTHS[length] if length < KNOWN else varint(length)


def numbers(message: type[pb.Contact]) -> dict[str, int]:
    return {field.name: field.number for field in message.DESCRIPTOR.fields}


NUMBERS = numbers(pb.Contact)
# Number and wire type: 2 for what has a length, 0 for a number.
LONG = {name: varint(number << 3 | 2) for name, number in NUMBERS.items()}
SHORT = {name: varint(number << 3) for name, number in NUMBERS.items()}
TEXT_TAGS = [LONG[name] for name in TEXTS]
ID, TAGS, LISTS, VERSION = LONG["id"], LONG["tags"], LONG["lists"], SHORT["version"]
CREATED_AT, UPDATED_AT = LONG["created_at"], LONG["updated_at"]
FLAGS = [
    (SHORT[name] + b"\x01", attrgetter(name)) for name in ("is_chat_window_open", "is_bot_active", "do_not_disturb")
]
CHANGE = varint(events_pb2.ContactsChanged.DESCRIPTOR.fields_by_name["changes"].number << 3 | 2)
CONTACT = varint(events_pb2.ContactChange.DESCRIPTOR.fields_by_name["contact"].number << 3 | 2)
CHANGED_FIELD = varint(events_pb2.ContactChange.DESCRIPTOR.fields_by_name["changed_fields"].number << 3 | 2)


def repeated(tag: bytes, values: Iterable[str]) -> bytes:
    raws = [value.encode() for value in values]
    return b"".join([part for raw in raws for part in (tag, length_of(raw), raw)])


# channels, by whether there is a phone and an email.
REACHED_ON = {
    (phone, email): repeated(LONG["channels"], (PHONE_CHANNELS if phone else []) + (EMAIL_CHANNELS if email else []))
    for phone in (False, True)
    for email in (False, True)
}
PHONE_VALIDITY = {
    name: SHORT["phone_validity"] + varint(value) if value else b"" for name, value in convert.VALIDITIES.items()
}
EMAIL_VALIDITY = {
    name: SHORT["email_validity"] + varint(value) if value else b"" for name, value in convert.VALIDITIES.items()
}


@lru_cache(maxsize=256)
def moment(time: datetime) -> bytes:
    """A Timestamp with its length."""
    raw = convert.timestamp(time).SerializeToString()
    return length_of(raw) + raw


def contact(row: Contact) -> bytes:
    """The bytes of a carillon.contacts.v1.Contact."""
    parts: list[bytes] = [ID, b"\x1e", ids.encode("cnt", row.id).encode()]
    for tag, text in zip(TEXT_TAGS, texts_of(row)):  # noqa: B905
        if text is not None:
            raw = text.encode()
            parts += (tag, LENGTHS[len(raw)] if len(raw) < KNOWN else varint(len(raw)), raw)
    if row.tags:
        parts.append(repeated(TAGS, row.tags))
    for tag, flag in FLAGS:
        if flag(row):
            parts.append(tag)
    if row.preferences != "{}":
        parts.append(pb.Contact(preferences=convert.preferences(row.preferences)).SerializeToString())
    if row.list_ids:
        parts.append(repeated(LISTS, [ids.encode("lst", list_id) for list_id in row.list_ids]))
    parts += (
        REACHED_ON[bool(row.phone), bool(row.email)],
        PHONE_VALIDITY[row.phone_validity],
        EMAIL_VALIDITY[row.email_validity],
        VERSION,
        varint(row.version),
        CREATED_AT,
        moment(row.created_at),
        UPDATED_AT,
        moment(row.updated_at),
    )
    return b"".join(parts)


def change(row: Contact, changed: Sequence[str] = ()) -> bytes:
    """A serialised ContactsChanged with one change: protobuf joins such messages by joining their bytes."""
    snapshot = contact(row)
    entry = b"".join((CONTACT, length_of(snapshot), snapshot))
    if changed:
        entry += repeated(CHANGED_FIELD, changed)
    return b"".join((CHANGE, length_of(entry), entry))
