"""A contact's timeline and messages."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from services.gateway.schemas.fields import Answer, Body, Channel, JsonObject, Moment, NoNul, ShortText, Time

TEXT_CHARACTERS = 10_000
EXAMPLE: dict[str, Any] = {"type": "agent.note", "text": "Asked to be called back.", "data": {"ticket": 4711}}

EntryText = Annotated[str, StringConstraints(max_length=TEXT_CHARACTERS), NoNul]
MessageStatus = Literal["sent", "delivered", "opened", "clicked", "failed", "received"]


class ActivityCreate(Body):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE]})

    type: Annotated[ShortText, Field(description="Such as `agent.note`; not `message.…` or `contact.…`")]
    text: EntryText | None = None
    data: JsonObject | None = None
    channel: Channel | None = None
    at: Annotated[Time | None, Field(description="Now when absent; not in the future")] = None


class Activity(Answer):
    id: Annotated[str, Field(examples=["act_01h455vb4pex5vsknk084sn02q"])]
    type: Annotated[
        str,
        Field(
            description=(
                "`message.sent`, `message.delivered`, `message.opened`, `message.clicked`, `message.failed`, "
                "`message.received`, "
                "`contact.opted_in`, `contact.opted_out`, `contact.preference_cleared`, or an integrator's"
            ),
            examples=["message.delivered"],
        ),
    ]
    at: Moment
    channel: Channel | None
    text: str | None
    data: dict[str, Any]
    actor: Annotated[str | None, Field(description="The id of an API key, or the name of a service")]
    message_id: str | None
    campaign_id: str | None


class ActivityPage(Answer):
    data: list[Activity]
    next_cursor: str | None
    has_more: bool


class Message(Answer):
    id: Annotated[
        str,
        Field(description="The recipient's, or `msg_…` of an inbound one", examples=["rcp_01h455vb4pex5vsknk084sn02q"]),
    ]
    direction: Literal["outbound", "inbound"]
    campaign_id: Annotated[str | None, Field(description="Of an inbound one the campaign that it answers")]
    channel: Channel
    from_: Annotated[str | None, Field(alias="from", description="Of an inbound one the contact's phone or email")]
    to: Annotated[str | None, Field(description="The phone or email it went to")]
    text: Annotated[str | None, Field(description="Of an inbound one")]
    status: MessageStatus
    reason: Annotated[str | None, Field(description="Why it failed")]
    sent_at: Moment | None
    delivered_at: Moment | None
    opened_at: Moment | None
    clicked_at: Moment | None
    failed_at: Moment | None
    received_at: Moment | None


class MessagePage(Answer):
    data: list[Message]
    next_cursor: str | None
    has_more: bool
