"""The contact: what it holds, how a patch is written onto it, and what a write changed."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from formats.phones import Phone
from services.contacts.domain import metadata as json_object
from services.contacts.domain import names, tags
from services.contacts.domain.metadata import Json
from services.contacts.domain.problems import Problem, Refused

Validity = Literal["valid", "invalid", "unknown"]

PHONE_CHANNELS = ["sms", "whatsapp", "rcs", "viber", "voice"]
EMAIL_CHANNELS = ["email"]

# Columns that a patch writes as they are; None clears.
TEXTS = (
    "first_name",
    "last_name",
    "stage",
    "gender",
    "language",
    "timezone",
    "external_id",
    "instagram_id",
    "channel",
    "custom_channel",
    "chat_widget_id",
    "current_campaign",
)
# Flags, with what they are when nobody said otherwise.
FLAGS = {"is_chat_window_open": False, "is_bot_active": True, "do_not_disturb": False}


class Email(NamedTuple):
    """An address as given, and folded for comparison."""

    address: str
    normal: str
    validity: Validity


@dataclass(slots=True)
class Contact:
    """A row of `contacts`, account aside. Absent texts are None."""

    id: UUID
    created_at: datetime
    updated_at: datetime
    version: int = 1
    phone: str | None = None
    phone_validity: Validity = "unknown"
    email: str | None = None
    email_normal: str | None = None
    email_validity: Validity = "unknown"
    first_name: str | None = None
    last_name: str | None = None
    # The country as given, and the one of the phone's numbering plan, which stands in for it.
    given_country: str | None = None
    phone_country: str | None = None
    stage: str | None = None
    gender: str | None = None
    language: str | None = None
    timezone: str | None = None
    tags: list[str] = field(default_factory=list)
    # JSON objects as text: most reads hand them on unparsed.
    metadata: str = "{}"
    external_id: str | None = None
    instagram_id: str | None = None
    channel: str | None = None
    custom_channel: str | None = None
    chat_widget_id: str | None = None
    current_campaign: str | None = None
    current_campaign_data: str | None = None
    is_chat_window_open: bool = False
    is_bot_active: bool = True
    do_not_disturb: bool = False
    preferences: str = "{}"
    list_ids: list[UUID] = field(default_factory=list)

    @property
    def name(self) -> str | None:
        return names.join(self.first_name, self.last_name)

    @property
    def country(self) -> str | None:
        return self.given_country or self.phone_country

    @property
    def channels(self) -> list[str]:
        """What the contact can be reached on, from its addresses."""
        return (PHONE_CHANNELS if self.phone else []) + (EMAIL_CHANNELS if self.email else [])


@dataclass(slots=True)
class Patch:
    """Fields to write, checked and normalised. None clears; what is not in `sets` stays.

    Keys are the columns of TEXTS and FLAGS, and: `phone` (Phone), `email` (Email), `given_country`, `tags` (replaces
    the set), `metadata` (Json to merge; None empties), `current_campaign_data` (Json, replaced whole), and
    `preferences` (as stored), which only the consent package writes.
    """

    sets: dict[str, object]


def apply(contact: Contact, patch: Patch) -> Contact:
    """The contact after the patch; equal to it when the patch changes nothing. Raises Refused."""
    after = copy.copy(contact)
    fill(after, patch.sets)
    return after


def fill(contact: Contact, sets: Mapping[str, object]) -> None:
    """Write a patch's sets onto the contact itself. Raises Refused when it is left without an identity."""
    for name, value in sets.items():
        writer = WRITERS.get(name)
        if writer is not None:
            writer(contact, value)
        elif value is None and name in FLAGS:
            setattr(contact, name, FLAGS[name])
        else:
            setattr(contact, name, value)
    if contact.phone is None and contact.email is None and contact.external_id is None:
        raise Refused(Problem("", "identity_required", "A contact needs at least one of phone, email and external_id."))


def write_phone(contact: Contact, value: object) -> None:
    if isinstance(value, Phone):
        contact.phone, contact.phone_country = value.e164, value.region
        contact.phone_validity = "valid" if value.valid else "invalid"
    else:
        contact.phone, contact.phone_validity, contact.phone_country = None, "unknown", None


def write_email(contact: Contact, value: object) -> None:
    if isinstance(value, Email):
        contact.email, contact.email_normal, contact.email_validity = value.address, value.normal, value.validity
    else:
        contact.email, contact.email_normal, contact.email_validity = None, None, "unknown"


def write_tags(contact: Contact, value: object) -> None:
    contact.tags = list(value) if isinstance(value, list) else []


def write_metadata(contact: Contact, value: object) -> None:
    present = parse_stored(contact.metadata)
    merged = json_object.merge(present, value) if isinstance(value, dict) else {}
    if merged != present:
        contact.metadata = json_object.dump(merged)


def write_campaign_data(contact: Contact, value: object) -> None:
    if not isinstance(value, dict):
        contact.current_campaign_data = None
    elif contact.current_campaign_data is None or parse_stored(contact.current_campaign_data) != value:
        contact.current_campaign_data = json_object.dump(value)


WRITERS = {
    "phone": write_phone,
    "email": write_email,
    "tags": write_tags,
    "metadata": write_metadata,
    "current_campaign_data": write_campaign_data,
}


def parse_stored(text: str) -> Json:
    return {} if text == "{}" else json_object.load(text)


def only_missing(contact: Contact, patch: Patch) -> Patch:
    """The part of the patch that writes what the contact lacks; tags are added, metadata keys kept."""
    sets: dict[str, object] = {}
    for name, value in patch.sets.items():
        if name == "tags":
            sets[name] = tags.add(contact.tags, value if isinstance(value, list) else [])
        elif name == "metadata" and isinstance(value, dict):
            sets[name] = {key: item for key, item in value.items() if key not in parse_stored(contact.metadata)}
        elif name not in FLAGS and getattr(contact, name) is None:
            sets[name] = value
    return Patch(sets)


def undisturbed(contact: Contact, patch: Patch) -> Patch:
    """The patch without what would disturb the contact again: no file turns do_not_disturb back, as no opt-out."""
    if not contact.do_not_disturb:
        return patch
    return Patch({name: value for name, value in patch.sets.items() if name != "do_not_disturb"})


# Field of the wire's Contact → how it is read here, for `changed_fields`, in the order of the message.
WIRE_FIELDS = (
    ("phone", "phone"),
    ("email", "email"),
    ("first_name", "first_name"),
    ("last_name", "last_name"),
    ("name", "name"),
    ("country", "country"),
    ("stage", "stage"),
    ("gender", "gender"),
    ("language", "language"),
    ("timezone", "timezone"),
    ("tags", "tags"),
    ("metadata_json", "metadata"),
    ("external_id", "external_id"),
    ("instagram_id", "instagram_id"),
    ("channel", "channel"),
    ("custom_channel", "custom_channel"),
    ("chat_widget_id", "chat_widget_id"),
    ("current_campaign", "current_campaign"),
    ("current_campaign_data_json", "current_campaign_data"),
    ("is_chat_window_open", "is_chat_window_open"),
    ("is_bot_active", "is_bot_active"),
    ("do_not_disturb", "do_not_disturb"),
    ("preferences", "preferences"),
    ("channels", "channels"),
    ("phone_validity", "phone_validity"),
    ("email_validity", "email_validity"),
    ("lists", "list_ids"),
)


def changed_fields(before: Contact, after: Contact) -> list[str]:
    """Names of the wire's Contact fields that differ, version and times aside."""
    return [wire for wire, name in WIRE_FIELDS if getattr(before, name) != getattr(after, name)]
