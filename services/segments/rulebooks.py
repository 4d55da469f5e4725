"""The compiled rules of each account, kept until its generation moves on."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import orjson

from chassis import ids
from chassis.db import ReadTx, WriteTx
from chassis.ids import AccountId
from services.segments.domain.matcher import RuleSet
from services.segments.domain.rules import Condition, compile_rule

# Accounts kept compiled; a thousand rules take about a megabyte.
CACHED_ACCOUNTS = 500

GENERATION = "SELECT generation FROM rule_sets WHERE account_id = $1"
ADVANCE = """
INSERT INTO rule_sets (account_id, generation) VALUES ($1, 1)
ON CONFLICT (account_id) DO UPDATE SET generation = rule_sets.generation + 1
"""
EVALUATED = """
SELECT b.id, b.segment_id, b.state, b.conditions, s.served_build
FROM builds b JOIN segments s ON s.account_id = b.account_id AND s.id = b.segment_id
WHERE b.account_id = $1 AND b.state IN ('building', 'announcing', 'serving')
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A build that follows the contacts' changes."""

    build: UUID
    segment: str
    # Its members are the segment's, so that each step is told; otherwise it is still being filled.
    visible: bool
    # The build that it will replace, whose members keep their joined_at.
    before: UUID | None


@dataclass(frozen=True, slots=True)
class Rulebook:
    generation: int
    entries: Sequence[Entry]
    # Keyed by the place in entries.
    rules: RuleSet[int]
    places: dict[UUID, int]


class Rulebooks:
    def __init__(self) -> None:
        self._kept: OrderedDict[AccountId, Rulebook] = OrderedDict()

    async def current(self, tx: ReadTx, account: AccountId) -> Rulebook:
        """The rules as they stand, while the transaction holds the account's lock."""
        generation: int = await tx.fetchval(GENERATION, account) or 0
        book = self._kept.get(account)
        if book is None or book.generation != generation:
            book = compile_book(generation, await tx.fetch(EVALUATED, account))
            self._kept[account] = book
        self._kept.move_to_end(account)
        while len(self._kept) > CACHED_ACCOUNTS:
            self._kept.popitem(last=False)
        return book


async def advance(tx: WriteTx) -> None:
    """Tell evaluators that the rules changed. The transaction holds the account's lock exclusively."""
    await tx.execute(ADVANCE, tx.account)


def compile_book(generation: int, rows: Sequence[asyncpg.Record]) -> Rulebook:
    entries = [
        Entry(
            build=row["id"],
            segment=ids.encode("seg", row["segment_id"]),
            visible=row["state"] != "building",
            before=row["served_build"] if row["state"] == "building" else None,
        )
        for row in rows
    ]
    rules = {place: compile_rule(read_conditions(row["conditions"])) for place, row in enumerate(rows)}
    places = {entry.build: place for place, entry in enumerate(entries)}
    return Rulebook(generation, entries, RuleSet(rules), places)


def read_conditions(text: str) -> list[Condition]:
    """From builds.conditions."""
    return [
        Condition(item["field"], item["operator"], tuple(item["values"]), item["is_array"])
        for item in orjson.loads(text)
    ]


def write_conditions(conditions: Sequence[Condition]) -> str:
    """For builds.conditions."""
    return orjson.dumps(
        [{"field": c.field, "operator": c.operator, "values": c.values, "is_array": c.is_array} for c in conditions]
    ).decode()
