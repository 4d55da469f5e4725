"""Rules and contacts for the benchmarks of segments: of every kind, and as many different ones as are asked for."""

import random
from typing import Any

import orjson

from carillon.contacts.v1 import contacts_pb2
from chassis import ids

COUNTRIES = ["DE", "FR", "ES", "IT", "PL", "NL", "BE", "AT", "CH", "US"]
STAGES = ["lead", "trial", "customer", "churned"]
NAMES = ["Ana", "Ben", "Carla", "Dmitri", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jamal"]
TAGS = 500
# 2026-01-01, in seconds.
EPOCH = 1_767_225_600


def leaf(field: str, operator: str, value: object) -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}


def definition(number: int) -> str:
    return orjson.dumps(written(number)).decode()


def written(number: int) -> dict[str, Any]:
    """The number-th rule: one to five conditions, a third of them nested, hardly two alike; a contact is in a few of a
    thousand."""
    dice = random.Random(number)
    tag = leaf("tags", "contains", f"tag-{dice.randrange(TAGS)}")
    kinds = [
        leaf("country", "in", dice.sample(COUNTRIES, 2)),
        leaf("stage", "equals", dice.choice(STAGES)),
        leaf("metadata.age", "between", sorted(dice.sample(range(18, 90), 2))),
        leaf("metadata.visits", "gte", dice.randrange(1_000)),
        leaf("metadata.plan", "equals", f"plan-{dice.randrange(50)}"),
        leaf("email", "ends_with", f"@example{dice.randrange(100)}.com"),
        leaf("name", "contains", f"{dice.choice(NAMES).lower()}{dice.randrange(10)}"),
        leaf("created_at", "in_last", f"{dice.randrange(1, 400)}d"),
        leaf("preferences.sms", "not_equals", "opted_out"),
        leaf("tags", "not_contains", f"tag-{dice.randrange(TAGS)}"),
    ]
    others = dice.sample(kinds, dice.randrange(3))
    shape = dice.randrange(6)
    if shape < 4:
        rules: dict[str, Any] = {"all": [tag, *others]}
    elif shape == 4:
        rules = {"all": [tag, {"any": [*others, dice.choice(kinds), dice.choice(kinds)]}]}
    else:
        other = leaf("tags", "contains", f"tag-{dice.randrange(TAGS)}")
        rules = {"any": [tag, {"all": [other, dice.choice(kinds[:5]), {"not": dice.choice(kinds[5:])}]}]}
    return {"rules": rules}


def contact(dice: random.Random, *, version: int = 1, contact_id: str = "") -> contacts_pb2.Contact:
    first = f"{dice.choice(NAMES)}{dice.randrange(10)}"
    number = dice.randrange(10**8)
    made = contacts_pb2.Contact(
        id=contact_id or ids.encode("cnt", ids.new()),
        version=version,
        phone=f"+4915{number:08}",
        email=f"{first}.{number}@example{number % 100}.com".lower(),
        first_name=first,
        last_name=f"Smith{number % 1000}",
        name=f"{first} Smith{number % 1000}",
        country=dice.choice(COUNTRIES),
        stage=dice.choice(STAGES),
        tags=[f"tag-{dice.randrange(TAGS)}" for _ in range(3)],
        metadata_json=orjson.dumps(
            {"age": dice.randrange(18, 90), "visits": dice.randrange(1_000), "plan": f"plan-{dice.randrange(50)}"}
        ).decode(),
        channels=["sms", "email"],
        is_bot_active=True,
        phone_validity=contacts_pb2.VALIDITY_VALID,
    )
    made.created_at.FromSeconds(EPOCH + dice.randrange(300 * 86_400))
    made.updated_at.FromSeconds(EPOCH + 300 * 86_400)
    return made
