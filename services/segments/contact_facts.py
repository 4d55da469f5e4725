"""A contact, and what became of its messages, as the columns that rules compare (domain/facts.py).

Made of the messages that events carry, which the domain does not know. What is shown of a field to people is here too.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any

import orjson
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.contacts.v1 import contacts_pb2
from services.segments.domain.facts import Facts, Value, View, column, of_custom
from services.segments.domain.fields import CHANNELS, CUSTOM, FIELDS, UNKNOWN, Field, Kind, Source
from services.segments.domain.moments import EPOCH, MICROSECOND
from services.segments.domain.text import fold

# Of a contact that is gone.
NOBODY: Facts = {}

PREFERENCES = {contacts_pb2.PREFERENCE_OPTED_IN: "opted_in", contacts_pb2.PREFERENCE_OPTED_OUT: "opted_out"}
VALIDITIES: Mapping[int, tuple[str]] = {
    contacts_pb2.VALIDITY_VALID: ("valid",),
    contacts_pb2.VALIDITY_INVALID: ("invalid",),
}
EMPTY_JSON = "{}"


def _of_kind(view: View, kind: Kind) -> dict[str, str]:
    """Column → field of the wire's Contact."""
    fields = [field for field in FIELDS.values() if field.kind is kind and field.source is Source.CONTACT]
    return {column(view, field.name): field.name for field in fields if "." not in field.name}


# Attributes are read many at a time, which takes a third of the time that going through the fields that are set does.
_TEXTS, _SETS, _TIMES = _of_kind(View.TEXT, Kind.TEXT), _of_kind(View.ELEMENT, Kind.SET), _of_kind(View.TIME, Kind.TIME)
_VALIDITIES = {column(View.TEXT, f"validity.{name}"): f"{name}_validity" for name in ("phone", "email")}
_texts_of, _sets_of, _times_of = attrgetter(*_TEXTS.values()), attrgetter(*_SETS.values()), attrgetter(*_TIMES.values())
_validities_of = attrgetter(*_VALIDITIES.values())
_PREFERENCES = {name: column(View.TEXT, f"preferences.{name}") for name in CHANNELS}
_ID, _VERSION = column(View.TEXT, "id"), column(View.NUMBER, "version")
_BOT, _DISTURB, _CHAT = (
    column(View.BOOLEAN, name) for name in ("is_bot_active", "do_not_disturb", "is_chat_window_open")
)


def facts_of(contact: contacts_pb2.Contact) -> dict[str, tuple[Value, ...]]:
    """What is empty, and what is its field's default, is left out."""
    facts: dict[str, tuple[Value, ...]] = {_ID: (contact.id,), _VERSION: (float(contact.version),)}
    for name, text in zip(_TEXTS, _texts_of(contact), strict=True):
        if text:
            facts[name] = (text.lower() if text.isascii() else fold(text),)
    for name, texts in zip(_SETS, _sets_of(contact), strict=True):
        if texts:
            facts[name] = _folded(tuple(texts))
    for name, at in zip(_TIMES, _times_of(contact), strict=True):
        seconds = at.seconds
        if seconds:
            facts[name] = (seconds * 1_000_000 + at.nanos // 1_000,)
    for name, validity in zip(_VALIDITIES, _validities_of(contact), strict=True):
        if validity in VALIDITIES:
            facts[name] = VALIDITIES[validity]
    if not contact.is_bot_active:
        facts[_BOT] = (False,)
    if contact.do_not_disturb:
        facts[_DISTURB] = (True,)
    if contact.is_chat_window_open:
        facts[_CHAT] = (True,)
    if contact.preferences:
        for channel, preference in contact.preferences.items():
            if channel in _PREFERENCES and preference in PREFERENCES:
                facts[_PREFERENCES[channel]] = (PREFERENCES[preference],)
    metadata = contact.metadata_json
    if metadata and metadata != EMPTY_JSON:
        facts.update(of_custom("metadata", decoded(metadata)))
    if contact.current_campaign_data_json:
        facts.update(of_custom("current_campaign_data", decoded(contact.current_campaign_data_json)))
    return facts


def decoded(text: str) -> Any:
    """JSON that the contacts service took. Raises ValueError."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        # It refuses integers beyond doubles, which JSON has.
        return json.loads(text)


# The sets of an account's contacts are mostly the same few.
@lru_cache(maxsize=4096)
def _folded(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([fold(text) for text in texts]))


def micros_of(at: Timestamp) -> int:
    return at.seconds * 1_000_000 + at.nanos // 1_000


def time_of(micros: int) -> datetime:
    return EPOCH + micros * MICROSECOND


_ENGAGED_TIMES = {
    field.name: column(View.TIME, field.name)
    for field in FIELDS.values()
    if field.source is Source.ENGAGEMENT and field.kind is Kind.TIME
}
_RECEIVED, _CAMPAIGNS = column(View.NUMBER, "messages_received"), column(View.ELEMENT, "campaigns")


def engagement_facts(row: Mapping[str, Any]) -> dict[str, tuple[Value, ...]]:
    """row: of the table engagement."""
    facts: dict[str, tuple[Value, ...]] = {
        made: (row[name],) for name, made in _ENGAGED_TIMES.items() if row[name] is not None
    }
    if row["messages_received"]:
        facts[_RECEIVED] = (float(row["messages_received"]),)
    if row["campaigns"]:
        facts[_CAMPAIGNS] = tuple(row["campaigns"])
    return facts


def shown(field: Field, contact: contacts_pb2.Contact, engagement: Mapping[str, Any]) -> object:
    """What the contact has of a field, as people wrote it and JSON has it; None where it has nothing.

    engagement: a row of the table, or nothing.
    """
    name = field.name
    if field.source is Source.ENGAGEMENT:
        value = engagement.get(name, field.default)
        if field.kind is Kind.TIME and value is not None:
            return time_of(value).isoformat().replace("+00:00", "Z")
        return int(value) if name == "messages_received" else value or None
    root, _, path = name.partition(".")
    if root in CUSTOM:
        # With integers as large as they were written.
        return _at_path(json.loads(getattr(contact, CUSTOM[root]) or EMPTY_JSON), path)
    if root == "preferences":
        return PREFERENCES.get(contact.preferences.get(path, contacts_pb2.PREFERENCE_UNSPECIFIED), UNKNOWN)
    if root == "validity":
        return VALIDITIES.get(getattr(contact, f"{path}_validity"), (UNKNOWN,))[0]
    if name == "version":
        return contact.version
    if field.kind is Kind.SET:
        return list(getattr(contact, name)) or None
    if field.kind is Kind.BOOLEAN:
        return bool(getattr(contact, name))
    # Times come out as RFC 3339.
    return MessageToDict(contact, preserving_proto_field_name=True).get(name)


def _at_path(data: object, path: str) -> object:
    """The value under keys joined by dots; of an array those of its elements; keys may have dots themselves."""
    if not path:
        return data
    if isinstance(data, list):
        found = [value for one in data if (value := _at_path(one, path)) is not None]
        return found or None
    if not isinstance(data, dict):
        return None
    for key, inner in data.items():
        if path == key and inner is not None:
            return inner
        if path.startswith(f"{key}.") and (value := _at_path(inner, path[len(key) + 1 :])) is not None:
            return value
    return None


def now_micros() -> int:
    """The clock of evaluations."""
    return (datetime.now(UTC) - EPOCH) // MICROSECOND
