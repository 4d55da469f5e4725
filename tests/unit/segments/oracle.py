"""The naive evaluator: what a definition means, read as it is written, for one contact and one condition at a time.

In the words of the contract (grammar.py has them), and with nothing of what it checks: how text folds, what a number or
a time looks like and where custom data lies is said here a second time, so that a slip there shows.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from carillon.contacts.v1 import contacts_pb2
from tests.unit.segments.readings import EPOCH, as_number, duration, is_written_like_a_number, micros_of, same_case

Definition = Mapping[str, Any]
Node = Mapping[str, Any]

PREFERENCES = ["unknown", "opted_in", "opted_out"]
VALIDITIES = ["unknown", "valid", "invalid"]
FLAGS = ("is_bot_active", "do_not_disturb", "is_chat_window_open")


class Moment(NamedTuple):
    """Microseconds since 1970."""

    micros: int


class Seen(NamedTuple):
    """A value that a contact has of a field. Empty texts and nulls are none."""

    value: str | float | bool | Moment
    # Of a set, or of an array in custom data.
    is_element: bool = False


@dataclass(frozen=True)
class World:
    """What a rule is asked about."""

    contact: contacts_pb2.Contact
    # A row of the table, or nothing.
    engagement: Mapping[str, Any]
    # Microseconds since 1970.
    now: int
    segments: Mapping[str, Definition]


def holds(
    definition: Definition,
    contact: contacts_pb2.Contact,
    engagement: Mapping[str, Any],
    now: int,
    segments: Mapping[str, Definition],
) -> bool:
    return definition_holds(definition, World(contact, engagement, now, segments))


def definition_holds(definition: Definition, world: World) -> bool:
    if "rules" in definition:
        return node_holds(definition["rules"], world)
    return all(leaf_holds(leaf, world) for leaf in definition["conditions"])


def node_holds(node: Node, world: World) -> bool:
    if "field" in node:
        return leaf_holds(node, world)
    must_hold = []
    if "all" in node:
        must_hold.append(all(node_holds(inner, world) for inner in node["all"]))
    if "any" in node:
        must_hold.append(any(node_holds(inner, world) for inner in node["any"]))
    if "not" in node:
        must_hold.append(not node_holds(node["not"], world))
    return all(must_hold)


def leaf_holds(leaf: Node, world: World) -> bool:
    field, operator = leaf["field"], leaf["operator"]
    value: Any = leaf.get("value")
    if operator.startswith("not_"):
        return not leaf_holds({**leaf, "operator": operator[len("not_") :]}, world)
    if field == "segments":
        named: list[str] = value if isinstance(value, list) else [value]
        inside = [definition_holds(world.segments[segment], world) for segment in named]
        return all(inside) if operator == "contains_all" else any(inside)
    return OPERATORS[operator](seen_of(field, world), value, world.now)


# What there is to see.


def seen_of(field: str, world: World) -> list[Seen]:
    return [seen for seen in every_seen(field, world) if seen.value != ""]


def every_seen(field: str, world: World) -> Iterator[Seen]:
    contact, engagement = world.contact, world.engagement
    root, _, path = field.partition(".")
    if root == "metadata":
        yield from at_path(json.loads(contact.metadata_json or "{}"), path, is_element=False)
    elif root == "current_campaign_data":
        yield from at_path(json.loads(contact.current_campaign_data_json or "{}"), path, is_element=False)
    elif root == "preferences":
        yield Seen(PREFERENCES[contact.preferences.get(path, 0)])
    elif root == "validity":
        yield Seen(VALIDITIES[getattr(contact, f"{path}_validity")])
    elif field in ("tags", "lists", "channels"):
        yield from [Seen(value, True) for value in getattr(contact, field)]
    elif field == "campaigns":
        yield from [Seen(value, True) for value in engagement.get("campaigns", [])]
    elif field == "messages_received":
        yield Seen(float(engagement.get("messages_received", 0)))
    elif field.startswith("last_") and field.endswith("_at"):
        if engagement.get(field) is not None:
            yield Seen(Moment(engagement[field]))
    elif field in ("created_at", "updated_at"):
        if contact.HasField(field):  # type: ignore[arg-type]  # one of its fields
            yield Seen(Moment(getattr(contact, field).ToMicroseconds()))
    elif field == "version":
        yield Seen(float(contact.version))
    elif field in FLAGS:
        yield Seen(bool(getattr(contact, field)))
    else:
        yield Seen(getattr(contact, field))


def at_path(data: object, path: str, *, is_element: bool) -> Iterator[Seen]:
    """Values at a path of keys that dots join. Keys may have dots themselves, so there may be several ways to it."""
    if isinstance(data, list):
        for inner in data:
            yield from at_path(inner, path, is_element=True)
    elif isinstance(data, dict):
        for key, inner in data.items():
            if key == path:
                yield from values_of(inner, is_element=is_element)
            elif path.startswith(key + "."):
                yield from at_path(inner, path[len(key) + 1 :], is_element=is_element)


def values_of(data: object, *, is_element: bool) -> Iterator[Seen]:
    """An object has no value of its own."""
    if isinstance(data, list):
        for inner in data:
            yield from values_of(inner, is_element=True)
    elif isinstance(data, str | bool) or (isinstance(data, int | float) and as_number(data) is not None):
        yield Seen(data, is_element)


# What the operators ask.


def equals(seen: Seen, wanted: Any) -> bool:
    if isinstance(wanted, bool):
        return isinstance(seen.value, bool) and seen.value is wanted
    if isinstance(wanted, str):
        return isinstance(seen.value, str) and same_case(seen.value) == same_case(wanted)
    number = number_of(seen)
    return number is not None and number == float(wanted)


def contains(seen: Seen, wanted: Any) -> bool:
    if isinstance(wanted, str) and isinstance(seen.value, str) and not seen.is_element:
        return same_case(wanted) in same_case(seen.value)
    return equals(seen, wanted)


def starts_with(seen: Seen, wanted: Any) -> bool:
    folded = same_case(wanted)
    return isinstance(seen.value, str) and same_case(seen.value)[: len(folded)] == folded


def ends_with(seen: Seen, wanted: Any) -> bool:
    text = same_case(seen.value) if isinstance(seen.value, str) else ""
    ending = same_case(wanted)
    return len(text) >= len(ending) and text[len(text) - len(ending) :] == ending


Test = Callable[[list[Seen], Any, int], bool]


def any_of(compares: Callable[[Seen, Any], bool]) -> Test:
    def test(seen: list[Seen], value: Any, now: int) -> bool:
        return any(compares(one, wanted) for one in seen for wanted in (value if isinstance(value, list) else [value]))

    return test


def contains_all(seen: list[Seen], value: Any, now: int) -> bool:
    return all(any(equals(one, wanted) for one in seen) for wanted in value)


def number(compares: Callable[[float, float], bool]) -> Test:
    def test(seen: list[Seen], value: Any, now: int) -> bool:
        numbers = [found for one in seen if (found := number_of(one)) is not None]
        return any(compares(one, float(value)) for one in numbers)

    return test


def time(compares: Callable[[int, Any, int], bool]) -> Test:
    def test(seen: list[Seen], value: Any, now: int) -> bool:
        return any(compares(found, value, now) for one in seen if (found := moment_of(one)) is not None)

    return test


def between(seen: list[Seen], value: Any, now: int) -> bool:
    low, high = value
    if isinstance(low, str):
        first, last = micros_of(low), micros_of(high)
        assert first is not None
        assert last is not None
        return any(first <= at <= last for one in seen if (at := moment_of(one)) is not None)
    return any(float(low) <= found <= float(high) for one in seen if (found := number_of(one)) is not None)


def in_last(at: int, value: str, now: int) -> bool:
    return at <= now < at + duration(value)


def in_next(at: int, value: str, now: int) -> bool:
    return at - duration(value) <= now < at


def anniversary(at: int, value: str | None, now: int) -> bool:
    """Day by day from today."""
    try:
        born = EPOCH + timedelta(microseconds=at)
    except OverflowError:
        return False
    today = EPOCH + timedelta(microseconds=now)
    days = 0 if value is None else duration(value) // duration("1d")
    return any(celebrates(born, today + timedelta(days=later)) for later in range(days + 1))


def celebrates(born: datetime, day: datetime) -> bool:
    """Whoever was born on 29 February does so on the last of February."""
    if (born.month, born.day) == (2, 29):
        return day.month == 2 and (day + timedelta(days=1)).month == 3
    return (born.month, born.day) == (day.month, day.day)


OPERATORS: Mapping[str, Test] = {
    "equals": any_of(equals),
    "in": any_of(equals),
    "contains": any_of(contains),
    "contains_any": any_of(equals),
    "contains_all": contains_all,
    "starts_with": any_of(starts_with),
    "ends_with": any_of(ends_with),
    "gt": number(lambda one, other: one > other),
    "gte": number(lambda one, other: one >= other),
    "lt": number(lambda one, other: one < other),
    "lte": number(lambda one, other: one <= other),
    "between": between,
    "before": time(lambda at, value, now: at < (micros_of(value) or 0)),
    "after": time(lambda at, value, now: at > (micros_of(value) or 0)),
    "in_last": time(in_last),
    "in_next": time(in_next),
    "anniversary": time(anniversary),
    "exists": lambda seen, value, now: bool(seen),
}


# What a value can be read as.


def number_of(seen: Seen) -> float | None:
    value = seen.value
    if isinstance(value, str):
        return as_number(float(value)) if is_written_like_a_number(value) else None
    return None if isinstance(value, bool | Moment) else as_number(value)


def moment_of(seen: Seen) -> int | None:
    if isinstance(seen.value, Moment):
        return seen.value.micros
    return micros_of(seen.value) if isinstance(seen.value, str) else None
