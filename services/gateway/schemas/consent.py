"""Preferences, their evidence, opt-outs and the account's rules of consent."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from services.gateway.schemas.contacts import Contact
from services.gateway.schemas.fields import Answer, Body, Channel, Flag, Moment, NoNul, ShortText

EVIDENCE_CHARACTERS = 2000
EXAMPLE: dict[str, Any] = {
    "preferences": {"sms": "opted_out"},
    "source": "phone call",
    "text": "Please send me no more SMS.",
}

Preference = Literal["opted_in", "opted_out", "unknown"]
EvidenceText = Annotated[str, StringConstraints(max_length=EVIDENCE_CHARACTERS), NoNul]


class Preferences(Body):
    """Channels that are absent stay; null makes one unknown."""

    sms: Preference | None = None
    whatsapp: Preference | None = None
    email: Preference | None = None
    rcs: Preference | None = None
    viber: Preference | None = None
    voice: Preference | None = None


class PreferencesUpdate(Preferences):
    """Either `preferences`, or the channels at the top."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE, {"sms": "opted_out"}]})

    preferences: Preferences | None = None
    source: Annotated[ShortText | None, Field(description="Where the contact said so; `api` when absent")] = None
    text: Annotated[EvidenceText | None, Field(description="What it said, or what it was shown")] = None


class Consent(Answer):
    id: Annotated[str, Field(examples=["cns_01h455vb4pex5vsknk084sn02q"])]
    channel: Channel
    before: Preference
    after: Preference
    source: str
    text: str | None
    actor: Annotated[str, Field(description="The id of an API key, or the name of a service")]
    at: Moment


class ConsentPage(Answer):
    data: list[Consent]
    next_cursor: str | None
    has_more: bool


class ChannelOptout(Answer):
    channel: Channel
    opted_out_at: Moment


class Optout(Contact):
    optouts: list[ChannelOptout]


class OptoutPage(Answer):
    data: list[Optout]
    next_cursor: str | None
    has_more: bool


class ConsentRules(Answer):
    require_opt_in: Annotated[
        bool, Field(description="A channel whose preference is unknown may not be messaged. Default false")
    ]


class ConsentRulesUpdate(Body):
    require_opt_in: Flag | None = None
