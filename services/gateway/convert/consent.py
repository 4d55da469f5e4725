"""Preferences, their evidence and opt-outs."""

from typing import Any

from carillon.contacts.v1 import consent_pb2 as pb
from carillon.contacts.v1 import contacts_pb2
from formats.contact_json import CHANNELS as CHANNEL_NAMES
from services.gateway.convert.contacts import PREFERENCES, contact
from services.gateway.convert.values import CHANNELS, moment
from services.gateway.schemas.consent import Preferences


def given(body: Preferences) -> dict[str, contacts_pb2.Preference.ValueType]:
    """The channels that were sent; null is unknown."""
    return {name: preference(getattr(body, name)) for name in CHANNEL_NAMES if name in body.model_fields_set}


def preference(said: str | None) -> contacts_pb2.Preference.ValueType:
    return contacts_pb2.PREFERENCE_UNSPECIFIED if said in (None, "unknown") else PREFERENCES.value(said)


def consent(source: pb.Consent) -> dict[str, Any]:
    return {
        "id": source.id,
        "channel": CHANNELS.text(source.channel),
        "before": PREFERENCES.text(source.before),
        "after": PREFERENCES.text(source.after),
        "source": source.source,
        "text": source.text or None,
        "actor": source.actor,
        "at": moment(source.at),
    }


def optout(source: pb.Optout) -> dict[str, Any]:
    """The contact, with the channels that it opted out of."""
    channels = [
        {"channel": CHANNELS.text(one.channel), "opted_out_at": moment(one.opted_out_at)} for one in source.channels
    ]
    return {**contact(source.contact), "optouts": channels}


def rules(source: pb.ConsentRules) -> dict[str, bool]:
    return {"require_opt_in": source.require_opt_in}
