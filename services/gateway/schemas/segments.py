"""Segments: groups of contacts that keep themselves up to date."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from services.gateway.schemas.contacts import Contact
from services.gateway.schemas.fields import Answer, Moment, Name
from services.gateway.schemas.lists import EXAMPLE_CONTACT
from services.gateway.schemas.rules import NESTED, PREMIUM, Conditions, Definition, Rules

EXAMPLE_SEGMENT = "seg_01h455vb4pex5vsknk084sn02q"
NAME = "Premium Customers"


class SegmentCreate(Definition):
    """Either `conditions` or `rules`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"name": NAME, "conditions": [PREMIUM]}, {"name": "Large or active", "rules": NESTED}]
        },
    )
    name: Name


class SegmentUpdate(Definition):
    """At most one of `conditions` and `rules`, which replaces the segment's rule whichever form it had."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": NAME}, {"conditions": [PREMIUM]}]}
    )
    # Absent, or a value, never null: a default_factory keeps the made-up default out of the OpenAPI.
    name: Name = Field(default_factory=str)


class SegmentPreview(Definition):
    """Either `conditions` or `rules`."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"conditions": [PREMIUM]}, {"rules": NESTED}]}
    )


class Segment(Answer):
    """With `conditions` or `rules`, whichever it was given, as they were written."""

    id: Annotated[str, Field(examples=[EXAMPLE_SEGMENT])]
    name: str
    conditions: Conditions = Field(default_factory=list)
    rules: Rules = Field(default_factory=dict)
    status: Annotated[
        Literal["building", "ready", "failed"],
        Field(description="While `building` after an edit the members are still those of the rule before"),
    ]
    progress: Annotated[
        float | None,
        Field(description="While `building`: the part of the contacts that was looked at; else null", ge=0, le=1),
    ]
    member_count: int
    as_of: Annotated[Moment, Field(description="When the count was read")]
    version: int
    created_at: Moment
    updated_at: Moment


class SegmentPage(Answer):
    data: list[Segment]
    next_cursor: str | None
    has_more: bool


class Member(Answer):
    contact: Contact
    joined_at: Moment


class MemberPage(Answer):
    data: list[Member]
    next_cursor: str | None
    has_more: bool
    revision: Annotated[int, Field(description="Events with a higher one come after this page")]


class SegmentPreviewAnswer(Answer):
    count: Annotated[int, Field(description="Contacts that the rule holds now")]
    estimate: Annotated[bool, Field(description="The count was reckoned from a sample; exact up to five conditions")]
    sample: Annotated[list[Contact], Field(description="Up to ten of them")]


FlipsAt = Annotated[Moment | None, Field(description="When its outcome changes by the clock alone; null where never")]


class ExplainedCondition(Answer):
    pointer: Annotated[
        str, Field(description="JSON pointer to it in the segment", examples=["/conditions/0", "/rules/any/1/all/0"])
    ]
    field: Annotated[str, Field(examples=["tags"])]
    operator: Annotated[str, Field(examples=["contains"])]
    value: Annotated[Any, Field(description="As written; null where there is none", examples=["premium"])]
    passed: bool
    seen: Annotated[Any, Field(description="What the contact has; null where it has nothing", examples=[["premium"]])]
    flips_at: FlipsAt


class MembershipExplanation(Answer):
    segment_id: Annotated[str, Field(examples=[EXAMPLE_SEGMENT])]
    contact_id: Annotated[str, Field(examples=[EXAMPLE_CONTACT])]
    member: Annotated[bool, Field(description="It is in the segment now")]
    joined_at: Moment | None
    matches: Annotated[
        bool,
        Field(description="What the newest rule says; differs from `member` for the moment that a change takes"),
    ]
    as_of: Moment
    flips_at: Annotated[Moment | None, Field(description="The first of its conditions' `flips_at`")]
    conditions: Annotated[list[ExplainedCondition], Field(description="In the order in which they are written")]
