"""Hypothesis's contacts, engagement and definitions.

A case plays with a few fields and a few values, so that rules meet what contacts have and hold about as often as not;
over many cases there are all fields, all operators and the values that break comparisons.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from carillon.contacts.v1 import contacts_pb2
from chassis import ids
from services.segments.contact_facts import engagement_facts, facts_of
from services.segments.domain.comparisons import Compiled, compile_rule
from services.segments.domain.facts import Facts
from services.segments.domain.fields import CUSTOM, FIELDS, Field, Kind, Source, find
from services.segments.domain.grammar import OPERATORS, RANGES, Operator, parse
from tests.unit.segments.values import DAYS, DURATIONS, NOWS, TOO_LARGE, Picker, written

CONTACT_IDS = [ids.encode("cnt", UUID(int=0x0190_0000_0000_7000_8000_0000_0000_0000 + place)) for place in range(8)]
# Where custom data may lie: a key with a dot of its own, one that SQL must quote.
KEYS = ["a", "b", "a.b", "o'k", "ключ"]
PATHS = ["metadata.a", "metadata.a.b", "metadata.b", "metadata.o'k", "metadata.ключ", "current_campaign_data.a"]
STATES = {"preferences": ["unknown", "opted_in", "opted_out"], "validity": ["unknown", "valid", "invalid"]}
# Ids, which are in lower case.
CAMPAIGNS = ["cmp_a", "cmp_ab", "cmp_b"]
COUNTS: Sequence[float] = [0, 1, 2, 3, 4.0, 2.5, 6]
# The more there is to ask, the more often.
KINDS = [*[Kind.CUSTOM] * 4, *[Kind.TIME] * 3, *[Kind.TEXT, Kind.SET] * 2, Kind.NUMBER, Kind.BOOLEAN, Kind.ID]
BY_KIND: Mapping[Kind, Sequence[Field]] = {
    kind: [found for name in [*FIELDS, *PATHS] if (found := find(name)) is not None and found.kind is kind]
    for kind in set(KINDS)
}
NEVER_EMPTY = {"id", "version", *(name for name, field in FIELDS.items() if field.default is not None)}
# A row of the table engagement of which nothing is known.
NO_ENGAGEMENT: dict[str, Any] = {
    field.name: None if field.kind is Kind.TIME else 0 if field.kind is Kind.NUMBER else []
    for field in FIELDS.values()
    if field.source is Source.ENGAGEMENT
}


@dataclass(frozen=True)
class Person:
    contact: contacts_pb2.Contact
    # A row of the table engagement, or empty.
    engagement: Mapping[str, Any]

    @property
    def facts(self) -> Facts:
        return facts_of(self.contact) | (engagement_facts(self.engagement) if self.engagement else {})


@dataclass(frozen=True)
class Case:
    """Rules over one another's segments, people of distinct ids, and the time."""

    definitions: list[dict[str, Any]]
    segments: Mapping[str, dict[str, Any]]
    people: list[Person]
    now: int

    def compiled(self) -> dict[int, Compiled]:
        """By place."""
        return {place: self.compile(definition) for place, definition in enumerate(self.definitions)}

    def compile(self, definition: dict[str, Any]) -> Compiled:
        return compile_rule(parse(definition), lambda segment: self.compile(self.segments[segment]))

    def facts(self) -> list[Facts]:
        return [person.facts for person in self.people]


@st.composite
def cases(draw: st.DrawFn, most: int = 6) -> Case:
    """most: people there are."""
    pick = Picker(draw)
    fields = [pick.of(BY_KIND[kind]) for kind in pick.some(KINDS, 1, 3)]
    people = [person(pick, contact_id, fields) for contact_id in CONTACT_IDS[: pick.number(1, most)]]
    segments: dict[str, dict[str, Any]] = {}
    for place in range(pick.of([0, 0, 1, 2])):
        segments[f"seg_{place}"] = definition(pick, fields, list(segments))
    rules = [definition(pick, fields, list(segments)) for _ in range(pick.number(1, 4))]
    return Case(rules, segments, people, pick.now)


# People.


def person(pick: Picker, contact_id: str, fields: Sequence[Field]) -> Person:
    contact = contacts_pb2.Contact(id=contact_id, version=pick.number(1, 6), is_bot_active=True, metadata_json="{}")
    row: dict[str, Any] = {}
    for field in fields:
        if pick.once_in(5):
            continue
        if field.source is Source.ENGAGEMENT:
            row = (row or NO_ENGAGEMENT) | {field.name: engaged(pick, field)}
        else:
            fill(pick, contact, field)
    return Person(contact, row)


def fill(pick: Picker, contact: contacts_pb2.Contact, field: Field) -> None:
    """Give the contact something of the field. Its id and its version it has."""
    root, _, path = field.name.partition(".")
    if field.kind is Kind.CUSTOM:
        setattr(contact, CUSTOM[root], json.dumps(custom(pick), ensure_ascii=False))
    elif root == "preferences":
        contact.preferences[path] = pick.of(contacts_pb2.Preference.values())
    elif root == "validity":
        setattr(contact, f"{path}_validity", pick.of(contacts_pb2.Validity.values()))
    elif field.kind is Kind.SET:
        present = getattr(contact, field.name)
        del present[:]
        present.extend(pick.some(pick.texts, 0, 3))
    elif field.kind is Kind.BOOLEAN:
        setattr(contact, field.name, pick.of([False, True]))
    elif field.kind is Kind.TIME:
        getattr(contact, field.name).FromMicroseconds(pick.of(pick.times))
    elif field.kind is Kind.TEXT:
        setattr(contact, field.name, pick.of(pick.texts))


def engaged(pick: Picker, field: Field) -> object:
    if field.kind is Kind.TIME:
        return pick.of([*pick.times, None])
    return pick.number(0, 6) if field.kind is Kind.NUMBER else sorted(set(pick.some(CAMPAIGNS, 0, 3)))


def custom(pick: Picker) -> dict[str, Any]:
    """Scalars, arrays, objects, arrays of objects and arrays in arrays, over KEYS."""
    data: dict[str, Any] = {}
    for key in KEYS:
        shape = pick.number(0, 7)
        if shape == 1:
            data[key] = [part(pick) for _ in range(pick.number(0, 3))]
        elif shape == 2:
            data[key] = {"b": part(pick), "c": pick.of(pick.scalars)}
        elif shape:
            data[key] = pick.of(pick.scalars)
    return data


def part(pick: Picker) -> object:
    """Of an array or an object."""
    shape = pick.number(0, 5)
    if shape == 1:
        return {"b": pick.of(pick.scalars)}
    return pick.some(pick.scalars, 0, 2) if shape == 2 else pick.of(pick.scalars)


# Definitions.


def definition(pick: Picker, fields: Sequence[Field], segments: Sequence[str]) -> dict[str, Any]:
    """A valid one, which may name the segments."""
    if pick.once_in(3):
        return {"conditions": [leaf(pick, fields, segments) for _ in range(pick.number(1, 2))]}
    return {"rules": node(pick, fields, segments, depth=pick.number(0, 3))}


def node(pick: Picker, fields: Sequence[Field], segments: Sequence[str], *, depth: int) -> dict[str, Any]:
    """A group has one key or several."""
    if depth == 0:
        return leaf(pick, fields, segments)
    group: dict[str, Any] = {}
    keys = pick.of([["all"], ["any"], ["not"], ["all", "any"], ["any", "not"], ["not", "any", "all"]])
    for key in keys:
        inside = [
            node(pick, fields, segments, depth=depth - 1 if place == 0 else 0)
            for place in range(1 if key == "not" else pick.number(1, 3))
        ]
        group[key] = inside[0] if key == "not" else inside
        # One branch is enough.
        depth = 1
    return group


def leaf(pick: Picker, fields: Sequence[Field], segments: Sequence[str]) -> dict[str, Any]:
    field = FIELDS["segments"] if segments and pick.once_in(4) else pick.of(fields)
    operator = pick.of(sorted(OPERATORS[pick.custom_kind if field.kind is Kind.CUSTOM else field.kind]))
    if operator is Operator.EXISTS and field.name in NEVER_EMPTY and pick.once_in(2):
        operator = Operator.EQUALS
    condition = {"field": field.name, "operator": f"{pick.of(['', '', 'not_'])}{operator}"}
    value = value_for(pick, field, operator, segments)
    # Left out as often as null.
    return condition if value is None and pick.once_in(2) else condition | {"value": value}


def value_for(pick: Picker, field: Field, operator: Operator, segments: Sequence[str]) -> object:
    if operator is Operator.EXISTS:
        return None
    if operator is Operator.ANNIVERSARY:
        return pick.of(DAYS)
    if operator in (Operator.IN_LAST, Operator.IN_NEXT):
        return pick.of(DURATIONS)
    if operator in (Operator.BEFORE, Operator.AFTER):
        return pick.of(pick.time_texts)
    numbers = [number for number in pick.numbers if number != TOO_LARGE] if field.kind is Kind.CUSTOM else COUNTS
    if operator in RANGES:
        return pick.of(numbers)
    if operator is Operator.BETWEEN:
        kind = pick.custom_kind if field.kind is Kind.CUSTOM else field.kind
        if kind is Kind.TIME or (kind is Kind.CUSTOM and pick.once_in(2)):
            return [written(end) for end in sorted([pick.of(pick.times), pick.of(pick.times)])]
        return sorted([pick.of(numbers), pick.of(numbers)])
    values = values_for(pick, field, operator, segments)
    if operator in (Operator.IN, Operator.CONTAINS_ANY, Operator.CONTAINS_ALL) or pick.once_in(2):
        return pick.some(values, 1, 3)
    return pick.of(values)


def values_for(pick: Picker, field: Field, operator: Operator, segments: Sequence[str]) -> Sequence[Any]:
    root, _, _ = field.name.partition(".")
    of_kind: Mapping[Kind, Sequence[Any]] = {
        Kind.SEGMENTS: segments,
        Kind.ID: [*CONTACT_IDS[:4], CONTACT_IDS[0].upper(), CONTACT_IDS[0][:-1], "cnt_?"],
        Kind.NUMBER: COUNTS,
        Kind.BOOLEAN: [False, True],
    }
    if field.kind in of_kind:
        return of_kind[field.kind]
    if field.kind is Kind.CUSTOM:
        return custom_values(pick, operator)
    if root in STATES:
        texts = STATES[root]
    elif field.name == "campaigns":
        texts = [*CAMPAIGNS, "CMP_A"]
    else:
        texts = pick.texts
    if operator in (Operator.STARTS_WITH, Operator.CONTAINS):
        return [*texts, texts[0][:1]]
    return [*texts, texts[0][-1:]] if operator is Operator.ENDS_WITH else texts


def custom_values(pick: Picker, operator: Operator) -> Sequence[Any]:
    wanted = [value for value in pick.scalars if value not in (None, "", TOO_LARGE)]
    if operator in (Operator.STARTS_WITH, Operator.ENDS_WITH):
        return [value for value in wanted if isinstance(value, str)]
    return wanted


# Somebody who has everything.

A_VALUE: Mapping[Kind, Any] = {
    Kind.ID: CONTACT_IDS[0],
    Kind.TEXT: "opted_in",
    Kind.NUMBER: 3,
    Kind.TIME: "2026-06-15",
    Kind.SET: "a",
    Kind.BOOLEAN: True,
    Kind.CUSTOM: "a",
}


def everything() -> Person:
    """Something of every field, mostly what A_VALUE has of its kind, and nothing that is a default."""
    contact = contacts_pb2.Contact(id=CONTACT_IDS[0], version=3)
    contact.metadata_json = json.dumps({key: ["a", "3", 3, True, "2026-06-15", {"b": "a"}] for key in KEYS})
    contact.current_campaign_data_json = contact.metadata_json
    contact.phone_validity = contact.email_validity = contacts_pb2.VALIDITY_VALID
    for field in FIELDS.values():
        value = A_VALUE.get(field.kind)
        root, _, path = field.name.partition(".")
        if root == "preferences":
            contact.preferences[path] = contacts_pb2.PREFERENCE_OPTED_IN
        elif field.source is Source.ENGAGEMENT or root == "validity":
            continue
        elif field.kind is Kind.SET:
            getattr(contact, field.name).append(value)
        elif field.kind is Kind.TIME:
            getattr(contact, field.name).FromJsonString(f"{value}T00:00:00Z")
        elif field.kind is Kind.TEXT or field.default is False:
            setattr(contact, field.name, value)
    times = {name: NOWS[1] for name, none in NO_ENGAGEMENT.items() if none is None}
    return Person(contact, {"messages_received": 3, "campaigns": ["a"], **times})
