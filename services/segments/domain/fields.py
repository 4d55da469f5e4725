"""What rules can ask about: each field with its type, and what in a contact it is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """A field's type, which decides what operators it takes."""

    # An id, compared whole.
    ID = "id"
    TEXT = "text"
    NUMBER = "number"
    TIME = "time"
    # A set of texts.
    SET = "set"
    BOOLEAN = "boolean"
    # Custom data: whatever is there, read as the operator and the value ask for.
    CUSTOM = "custom"
    # Other segments.
    SEGMENTS = "segments"


class Source(StrEnum):
    """Who tells of a field."""

    # The contacts service, with every version of a contact.
    CONTACT = "contact"
    # The campaigns service, by what became of messages.
    ENGAGEMENT = "engagement"


# In `reads`: changes with every version of a contact.
EVERY_VERSION = "version"


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    kind: Kind
    # Names of the wire's Contact fields, as `changed_fields` has them, or of engagement fields.
    reads: frozenset[str]
    source: Source = Source.CONTACT
    # What a contact has of which nothing else is known. Facts leave it out.
    default: str | float | bool | None = None


CHANNELS = ("sms", "whatsapp", "email", "rcs", "viber", "voice")
UNKNOWN = "unknown"
CUSTOM = {"metadata": "metadata_json", "current_campaign_data": "current_campaign_data_json"}
MAX_PATH = 300


def _contact(kind: Kind, *names: str, default: bool | None = None) -> list[Field]:
    return [Field(name, kind, frozenset({name}), default=default) for name in names]


def _engagement(kind: Kind, *names: str, default: float | None = None) -> list[Field]:
    return [Field(name, kind, frozenset({name}), Source.ENGAGEMENT, default) for name in names]


_ALL = [
    Field("id", Kind.ID, frozenset()),
    Field("name", Kind.TEXT, frozenset({"name", "first_name", "last_name"})),
    *_contact(Kind.TEXT, "first_name", "last_name", "phone", "email", "country", "stage", "gender", "language"),
    *_contact(Kind.TEXT, "timezone", "external_id", "instagram_id", "channel", "custom_channel", "chat_widget_id"),
    *_contact(Kind.TEXT, "current_campaign"),
    *[Field(f"preferences.{name}", Kind.TEXT, frozenset({"preferences"}), default=UNKNOWN) for name in CHANNELS],
    *[
        Field(f"validity.{name}", Kind.TEXT, frozenset({f"{name}_validity"}), default=UNKNOWN)
        for name in ("phone", "email")
    ],
    *_contact(Kind.SET, "tags", "lists", "channels"),
    *_contact(Kind.BOOLEAN, "is_chat_window_open", "do_not_disturb", default=False),
    *_contact(Kind.BOOLEAN, "is_bot_active", default=True),
    *[Field(name, Kind.TIME, frozenset({EVERY_VERSION})) for name in ("created_at", "updated_at")],
    Field("version", Kind.NUMBER, frozenset({EVERY_VERSION})),
    *_engagement(Kind.TIME, "last_message_at", "last_delivered_at", "last_opened_at", "last_replied_at"),
    *_engagement(Kind.NUMBER, "messages_received", default=0.0),
    *_engagement(Kind.SET, "campaigns"),
    Field("segments", Kind.SEGMENTS, frozenset()),
]
FIELDS: Mapping[str, Field] = {field.name: field for field in _ALL}


def find(name: str) -> Field | None:
    """`metadata.PATH` and `current_campaign_data.PATH` are fields for any path: keys joined by dots."""
    if name in FIELDS:
        return FIELDS[name]
    root, dot, path = name.partition(".")
    if root not in CUSTOM or not dot or not path or len(path) > MAX_PATH or "\0" in path:
        return None
    return Field(name, Kind.CUSTOM, frozenset({CUSTOM[root]}))
