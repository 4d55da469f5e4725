"""Campaigns and their recipients."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StrictInt, StringConstraints

from services.gateway.schemas.fields import (
    MAX_BULK_IDS,
    Answer,
    Body,
    JsonObject,
    Moment,
    Name,
    NoNul,
    RatePerSecond,
    Reference,
    RowError,
    Time,
)

CampaignStatus = Literal["draft", "running", "paused", "completed", "cancelled"]
RecipientStatus = Literal[
    "pending", "claimed", "sent", "delivered", "opened", "clicked", "failed", "skipped", "uncertain"
]

ShortAddress = Annotated[str, StringConstraints(min_length=1, max_length=320), NoNul]
ONE_AUDIENCE = "One of segment_id, list_id and contact_ids; with none of them recipients are uploaded"
ContactIds = Annotated[list[Reference], Field(min_length=1, max_length=MAX_BULK_IDS)]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
ClockTime = Annotated[str, StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
TimeZone = Annotated[str, StringConstraints(min_length=1, max_length=64), NoNul]
MaxLate = Annotated[StrictInt, Field(ge=60, le=604_800)]
SegmentIds = Annotated[list[Reference], Field(max_length=10)]


class SendingWindow(Body):
    days: Annotated[list[Weekday], Field(min_length=1, max_length=7)]
    start: Annotated[ClockTime, Field(examples=["09:00"])]
    end: Annotated[ClockTime, Field(description="Exclusive, after `start`; up to 24:00", examples=["20:00"])]


class SendingWindows(Body):
    """By the recipient's clock: the contact's time zone, else the one its phone is from."""

    timezone: Annotated[
        TimeZone | None, Field(description="Of recipients of whom neither is known; None: the quiet hours', else UTC")
    ] = None
    windows: Annotated[list[SendingWindow], Field(min_length=1, max_length=20)]


class QuietHours(Body):
    """Every day by the recipient's clock, over midnight where `end` is the lesser. Both null: there are none."""

    start: Annotated[ClockTime | None, Field(examples=["21:00"])]
    end: Annotated[ClockTime | None, Field(examples=["08:00"])]
    timezone: Annotated[TimeZone | None, Field(description="Of recipients whose own is not known; None: UTC")] = None


class CampaignCreate(Body):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "Premium Offer",
                    "template_id": "tmpl_01h455vb4pex5vsknk084sn02q",
                    "segment_id": "seg_01h455vb4pex5vsknk084sn02q",
                }
            ]
        },
    )
    name: Name
    template_id: Reference
    sender_id: Annotated[Reference | None, Field(description="None: the default sender of the template's channel")] = (
        None
    )
    segment_id: Annotated[Reference | None, Field(description=ONE_AUDIENCE)] = None
    list_id: Annotated[Reference | None, Field(description=ONE_AUDIENCE)] = None
    contact_ids: Annotated[ContactIds | None, Field(description="Those that name nobody are left out")] = None
    exclude_segment_ids: Annotated[SegmentIds | None, Field(description="Members of these get nothing")] = None
    schedule_at: Annotated[Time | None, Field(description="When it starts by itself; a past time is at once")] = None
    schedule_max_late_seconds: Annotated[
        MaxLate | None, Field(description="Found due later than this it stays a draft, `schedule_missed`; None: 3600")
    ] = None
    sending_windows: Annotated[SendingWindows | None, Field(description="None: at any time")] = None
    rate_limit_per_second: Annotated[RatePerSecond | None, Field(description="None: the sender's")] = None
    variables: Annotated[JsonObject | None, Field(description="For every recipient, below the recipient's own")] = None


class CampaignUpdate(Body):
    # Those without None cannot be cleared; see SegmentUpdate.
    name: Name = Field(default_factory=str)
    template_id: Reference = Field(default_factory=str)
    sender_id: Reference = Field(default_factory=str)
    # Another kind of audience takes the place of one that is set to null in the same call.
    segment_id: Reference | None = None
    list_id: Reference | None = None
    contact_ids: ContactIds | None = None
    exclude_segment_ids: SegmentIds | None = None
    schedule_at: Time | None = None
    schedule_max_late_seconds: MaxLate | None = None
    sending_windows: SendingWindows | None = None
    rate_limit_per_second: RatePerSecond | None = None
    variables: JsonObject | None = None


class CampaignTest(Body):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"to": ["+14155550100"]}]})
    to: Annotated[list[ShortAddress], Field(min_length=1, max_length=10, description="Phones; or emails, by channel")]
    contact_id: Annotated[Reference | None, Field(description="Whose fields the message may use")] = None
    variables: Annotated[JsonObject | None, Field(description="Above the contact's and the campaign's")] = None


class CampaignStats(Answer):
    """total = sent + pending + skipped + uncertain; delivered + failed <= sent."""

    total: int
    sent: int
    delivered: int
    failed: int
    pending: int
    skipped: int
    uncertain: int
    opened: int
    clicked: int


class Campaign(Answer):
    id: str
    name: str
    status: CampaignStatus
    status_reason: str | None
    template_id: str
    sender_id: str
    segment_id: str | None
    list_id: str | None
    contact_ids: list[str] | None
    exclude_segment_ids: list[str]
    schedule_at: Moment | None
    schedule_max_late_seconds: int
    sending_windows: SendingWindows | None
    rate_limit_per_second: int | None
    variables: dict[str, Any]
    stats: CampaignStats
    freezing: Annotated[bool, Field(description="The audience is still being written; `stats.total` still grows")]
    test: Annotated[bool, Field(description="Made with a test key: its messages reach the sandbox provider only")]
    started_at: Moment | None
    finished_at: Moment | None
    version: int
    created_at: Moment
    updated_at: Moment


class CampaignPage(Answer):
    data: list[Campaign]
    next_cursor: str | None
    has_more: bool


class Recipient(Answer):
    id: str
    phone: Annotated[str | None, Field(description="On every channel but email")] = None
    email: Annotated[str | None, Field(description="On the email channel")] = None
    variables: dict[str, Any]
    status: RecipientStatus
    reason: Annotated[str | None, Field(description="Why it failed, was skipped or is uncertain")]
    sent_at: Moment | None
    delivered_at: Moment | None
    contact_id: str | None


class CampaignTestResult(Answer):
    phone: Annotated[str | None, Field(description="On every channel but email")] = None
    email: Annotated[str | None, Field(description="On the email channel")] = None
    status: Literal["sent", "failed", "skipped", "uncertain"]
    reason: str | None
    text: Annotated[str | None, Field(description="As it was sent")]
    subject: str | None
    provider_message_id: str | None


class CampaignTestAnswer(Answer):
    results: Annotated[list[CampaignTestResult], Field(description="In the order of `to`, each address once")]


class AudienceContact(Answer):
    """What the audience made of one contact."""

    contact_id: str
    outcome: Literal["recipient", "left_out", "not_in_audience", "undecided"]
    reason: Annotated[str | None, Field(description="Why it was left out; of a recipient, why it was not reached")]
    recipient: Annotated[Recipient | None, Field(description="Its line on the ledger")]
    instead: Annotated[Recipient | None, Field(description="Of a duplicate: the line that has its address")]


class Funnel(Answer):
    """matched = excluded + no_address + invalid + opted_out + dnc + duplicate + final."""

    matched: Annotated[int, Field(description="Everybody whom the audience names; of uploads, the rows")]
    excluded: Annotated[int, Field(description="Members of a segment in `exclude_segment_ids`")]
    no_address: int
    invalid: int
    opted_out: int
    dnc: Annotated[int, Field(description="Do not disturb, or on the do-not-contact list")]
    duplicate: Annotated[int, Field(description="The address is another recipient's")]
    final: Annotated[int, Field(description="Recipients")]


class Audience(Funnel):
    frozen: Annotated[bool, Field(description="Nobody joins or leaves any more")]
    contact: Annotated[AudienceContact | None, Field(description="Of the contact asked for")] = None


class AudienceEstimate(Funnel):
    estimate: Annotated[bool, Field(description="Reckoned from the first 20,000 contacts; otherwise exact")]


class RecipientPage(Answer):
    """By number (`page`, `per_page`), or by cursor."""

    data: list[Recipient]
    total: int | None = None
    page: int | None = None
    per_page: int | None = None
    next_cursor: str | None = None
    has_more: bool | None = None


class RecipientsUploaded(Answer):
    imported: int
    failed: int
    duplicates: int
    suppressed: int
    errors: list[RowError]
