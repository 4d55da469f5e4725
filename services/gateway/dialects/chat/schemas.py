"""Bodies and answers of the chat dialect, under the names that its document prints."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from services.gateway.dialects.ignored import DialectBody
from services.gateway.schemas.fields import Answer, Channel, Flag, JsonObject, Moment, Reference, ShortText, Text

CREATE: dict[str, Any] = {
    "phoneNumber": "+1234567890",
    "firstName": "John",
    "lastName": "Doe",
    "email": "john@example.com",
    "currentCampaignData": {"step": 2},
    "is_bot_active": True,
}
EXAMPLE_CONTACT = "cnt_01h455vb4pex5vsknk084sn02q"
EXAMPLE_LIST = "lst_01h455vb4pex5vsknk084sn02q"


class ChatContactCreate(DialectBody):
    model_config = ConfigDict(json_schema_extra={"examples": [CREATE]})

    phone: Annotated[ShortText, Field(alias="phoneNumber", description="With its country code")]
    first_name: Annotated[ShortText | None, Field(alias="firstName")] = None
    last_name: Annotated[ShortText | None, Field(alias="lastName")] = None
    email: Text | None = None
    instagram_id: Annotated[ShortText | None, Field(alias="instagramId")] = None
    current_campaign: Annotated[ShortText | None, Field(alias="currentCampaign")] = None
    current_campaign_data: Annotated[JsonObject | None, Field(alias="currentCampaignData")] = None
    channel: ShortText | None = None
    is_chat_window_open: Annotated[Flag | None, Field(alias="isChatWindowOpen")] = None
    external_id: Annotated[ShortText | None, Field(alias="externalId")] = None
    custom_channel: Annotated[ShortText | None, Field(alias="customChannel")] = None
    chat_widget_id: Annotated[ShortText | None, Field(alias="chatWidgetId")] = None
    is_bot_active: Annotated[Flag | None, Field(description="true where it is not given")] = None
    do_not_disturb: Flag | None = None


class ChatContactUpdate(DialectBody):
    """Absent fields stay, null clears one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"firstName": "Jane", "do_not_disturb": True}]})

    first_name: Annotated[ShortText | None, Field(alias="firstName")] = None
    last_name: Annotated[ShortText | None, Field(alias="lastName")] = None
    email: Text | None = None
    is_bot_active: Flag | None = None
    do_not_disturb: Flag | None = None


class ChatListMember(DialectBody):
    model_config = ConfigDict(json_schema_extra={"examples": [{"contactId": EXAMPLE_CONTACT, "listId": EXAMPLE_LIST}]})

    contact_id: Annotated[Reference, Field(alias="contactId")]
    list_id: Annotated[Reference, Field(alias="listId")]


class ChatContact(Answer):
    id: Annotated[str, Field(examples=[EXAMPLE_CONTACT])]
    contact_id: Annotated[str, Field(alias="contactId", description="The id, as the other calls name it")]
    phone: Annotated[str | None, Field(alias="phoneNumber")]
    first_name: Annotated[str, Field(alias="firstName", description="`Unknown` where there is none")]
    last_name: Annotated[str, Field(alias="lastName", description="`Unknown` where there is none")]
    email: str | None
    instagram_id: Annotated[str | None, Field(alias="instagramId")]
    current_campaign: Annotated[str | None, Field(alias="currentCampaign")]
    current_campaign_data: Annotated[dict[str, Any] | None, Field(alias="currentCampaignData")]
    channel: str | None
    is_chat_window_open: Annotated[bool, Field(alias="isChatWindowOpen")]
    external_id: Annotated[str | None, Field(alias="externalId")]
    custom_channel: Annotated[str | None, Field(alias="customChannel")]
    chat_widget_id: Annotated[str | None, Field(alias="chatWidgetId")]
    is_bot_active: bool
    do_not_disturb: bool


class ChatMembership(Answer):
    """How things stand after the call."""

    contact_id: Annotated[str, Field(alias="contactId")]
    list_id: Annotated[str, Field(alias="listId")]
    is_member: Annotated[bool, Field(alias="isMember")]
    changed: Annotated[bool, Field(description="false where it was so before")]


class ChatMessage(Answer):
    id: Annotated[str, Field(examples=["rcp_01h455vb4pex5vsknk084sn02q"])]
    campaign_id: Annotated[str, Field(alias="campaignId")]
    channel: Channel
    to: Annotated[str, Field(description="The phone or email it went to")]
    status: Literal["sent", "delivered", "opened", "clicked", "failed"]
    reason: Annotated[str | None, Field(description="Why it failed")]
    sent_at: Annotated[Moment | None, Field(alias="sentAt")]
    delivered_at: Annotated[Moment | None, Field(alias="deliveredAt")]
    opened_at: Annotated[Moment | None, Field(alias="openedAt")]
    clicked_at: Annotated[Moment | None, Field(alias="clickedAt")]
    failed_at: Annotated[Moment | None, Field(alias="failedAt")]
