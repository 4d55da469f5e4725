"""What a list of contacts is narrowed to, and the SQL that says so."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from services.contacts.arguments import Arguments
from services.contacts.domain.contact import Validity

# Ids are UUIDv7, made in the same moment as created_at: bounds on them find the place in the primary key, and
# created_at itself decides. A clock that is set between the two would have to jump further than this.
ID_SLACK = timedelta(minutes=10)
# Of Filter.opted_out: one channel or more.
ANY = "any"
EQUALITIES = ("stage", "country", "gender", "phone", "email_normal", "external_id")
# Written out, not parameters, so that the partial indexes are found.
LITERALS = ("phone_validity", "email_validity")


@dataclass(frozen=True, slots=True)
class Filter:
    """All that are given must hold; None does not narrow. Keys are normalised, times exclusive."""

    search: str | None = None
    stage: str | None = None
    country: str | None = None
    gender: str | None = None
    tag: str | None = None
    list_id: UUID | None = None
    phone: str | None = None
    email_normal: str | None = None
    external_id: str | None = None
    phone_validity: Validity | None = None
    email_validity: Validity | None = None
    # Which address a contact must have to be reached on the channel asked for.
    reached_by: Literal["phone", "email"] | None = None
    # The channel that a contact opted out of, or ANY.
    opted_out: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    updated_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Of `contacts AS c`: tables to join besides, and conditions. $1 is the account, which each statement names."""

    joins: str
    conditions: list[str]

    @property
    def also(self) -> str:
        """To be put behind a condition."""
        return "".join(f" AND {condition}" for condition in self.conditions)


def narrowing(wanted: Filter, args: Arguments) -> Narrowing:
    """Only what is asked for, so that each shape gets a plan of its own. The search is not among it."""
    joins = ""
    conditions: list[str] = []
    if wanted.tag is not None:
        joins += " JOIN contact_tags AS t ON t.account_id = $1 AND t.contact_id = c.id"
        conditions.append(f"t.tag = {args.add(wanted.tag)}")
    if wanted.list_id is not None:
        joins += " JOIN contact_lists AS l ON l.account_id = $1 AND l.contact_id = c.id"
        listed = args.add(wanted.list_id)
        conditions.append(f"l.list_id = {listed}")
        # A list that was deleted may still have rows, until the background got to them.
        conditions.append(f"EXISTS (SELECT FROM lists AS named WHERE named.account_id = $1 AND named.id = {listed})")
    if wanted.opted_out == ANY:
        conditions.append("EXISTS (SELECT FROM optouts AS o WHERE o.account_id = $1 AND o.contact_id = c.id)")
    elif wanted.opted_out is not None:
        joins += " JOIN optouts AS o ON o.account_id = $1 AND o.contact_id = c.id"
        conditions.append(f"o.channel = {args.add(wanted.opted_out)}")
    for column in EQUALITIES:
        value = getattr(wanted, column)
        if value is not None:
            conditions.append(f"c.{column} = {args.add(value)}")
    for column in LITERALS:
        value = getattr(wanted, column)
        if value is not None:
            conditions.append(f"c.{column} = '{value}'")
    if wanted.reached_by is not None:
        conditions.append(f"c.{wanted.reached_by} IS NOT NULL")
    conditions += times(wanted, args)
    return Narrowing(joins, conditions)


def times(wanted: Filter, args: Arguments) -> list[str]:
    conditions = []
    if wanted.created_after is not None:
        conditions.append(f"c.created_at > {args.add(wanted.created_after)}")
        conditions.append(f"c.id >= {args.add(first_id(wanted.created_after, -ID_SLACK))}")
    if wanted.created_before is not None:
        conditions.append(f"c.created_at < {args.add(wanted.created_before)}")
        conditions.append(f"c.id < {args.add(first_id(wanted.created_before, ID_SLACK))}")
    if wanted.updated_after is not None:
        conditions.append(f"c.updated_at > {args.add(wanted.updated_after)}")
    return conditions


def first_id(time: datetime, shift: timedelta) -> UUID:
    """The lowest UUIDv7 of a moment; the lowest or highest of all beyond the years that it can say."""
    milliseconds = int((time.timestamp() + shift.total_seconds()) * 1000)
    return UUID(int=min(max(milliseconds, 0), 2**48 - 1) << 80)
