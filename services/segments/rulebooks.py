"""The compiled rules of each account, kept until its generation moves on."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import orjson

from chassis import ids
from chassis.db import ReadTx, WriteTx
from chassis.ids import AccountId
from services.segments.domain.comparisons import Compiled
from services.segments.domain.definitions import compile_with
from services.segments.domain.matcher import RuleSet

# Accounts kept compiled; a thousand rules take about a megabyte.
CACHED_ACCOUNTS = 500

GENERATION = "SELECT generation FROM rule_sets WHERE account_id = $1"
ADVANCE = """
INSERT INTO rule_sets (account_id, generation) VALUES ($1, 1)
ON CONFLICT (account_id) DO UPDATE SET generation = rule_sets.generation + 1
"""
EVALUATED = """
SELECT b.id, b.segment_id, b.state, s.served_build
FROM builds b JOIN segments s ON s.account_id = b.account_id AND s.id = b.segment_id
WHERE b.account_id = $1 AND b.state IN ('building', 'announcing', 'serving')
"""
DEFINITIONS = "SELECT id, definition, inlined FROM builds WHERE account_id = $1 AND id = ANY ($2::uuid[])"


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
    places: Mapping[UUID, int]
    # By build, whose rule never changes: most of them outlive a generation.
    compiled: Mapping[UUID, Compiled]


NO_RULES = Rulebook(0, [], RuleSet({}), {}, {})


class Rulebooks:
    def __init__(self) -> None:
        self._kept: OrderedDict[AccountId, Rulebook] = OrderedDict()

    async def current(self, tx: ReadTx, account: AccountId) -> Rulebook:
        """The rules as they stand, while the transaction holds the account's lock."""
        generation: int = await tx.fetchval(GENERATION, account) or 0
        book = self._kept.get(account, NO_RULES)
        if book.generation != generation:
            book = await read_book(tx, account, generation, book.compiled)
        self._kept[account] = book
        self._kept.move_to_end(account)
        while len(self._kept) > CACHED_ACCOUNTS:
            self._kept.popitem(last=False)
        return book


async def advance(tx: WriteTx) -> None:
    """Tell evaluators that the rules changed. The transaction holds the account's lock exclusively."""
    await tx.execute(ADVANCE, tx.account)


async def read_book(tx: ReadTx, account: AccountId, generation: int, known: Mapping[UUID, Compiled]) -> Rulebook:
    rows = await tx.fetch(EVALUATED, account)
    entries = [entry_of(row) for row in rows]
    unknown = [entry.build for entry in entries if entry.build not in known]
    made = {row["id"]: compiled_of(row) for row in await tx.fetch(DEFINITIONS, account, unknown)} if unknown else {}
    compiled = {entry.build: made[entry.build] if entry.build in made else known[entry.build] for entry in entries}
    rules = RuleSet({place: compiled[entry.build] for place, entry in enumerate(entries)})
    places = {entry.build: place for place, entry in enumerate(entries)}
    return Rulebook(generation, entries, rules, places, compiled)


def entry_of(row: asyncpg.Record) -> Entry:
    return Entry(
        build=row["id"],
        segment=ids.encode("seg", row["segment_id"]),
        visible=row["state"] != "building",
        before=row["served_build"] if row["state"] == "building" else None,
    )


def compiled_of(row: asyncpg.Record) -> Compiled:
    """row: with a build's definition and inlined."""
    return compile_with(row["definition"], orjson.loads(row["inlined"]))
