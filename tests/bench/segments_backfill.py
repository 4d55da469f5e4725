"""Filling a new segment over 1,000,000 contacts, against the bare count of the same predicate; and previews of it.

The contacts lie in the projection beforehand: some thousands made as events make them, and multiplied in the database.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from carillon.contacts.v1 import contacts_pb2
from chassis import ids
from chassis.db import Database
from deploy.local.demo.rest import Rest
from services.segments import contact_facts, preview, projection
from services.segments.domain.definitions import compile_with
from services.segments.predicate import compile_sql
from services.segments.projection import ContactVersion
from tests import throwaway_stack
from tests.bench import segment_feed
from tests.bench.measure import median
from tests.bench.record import Outcome
from tests.bench.segment_load import leaf
from tests.throwaway_stack import ThrowawayStack

CONTACTS = 1_000_000
MODELS = 10_000
BATCH = 500
ROUNDS = 3
LIMIT_RATIO = 3.0
LIMIT_PREVIEW = 1.0
# Rules that match less than a tenth; what they are called in the table.
RULES: dict[str, list[dict[str, Any]]] = {
    "a tag": [leaf("tags", "contains", "tag-7")],
    "country and stage": [leaf("country", "equals", "DE"), leaf("stage", "equals", "lead")],
    "a part of the name": [leaf("name", "contains", "farid7")],
    "custom number": [leaf("metadata.visits", "gte", 950)],
    "five conditions": [
        leaf("country", "in", ["DE", "FR"]),
        leaf("stage", "not_equals", "churned"),
        leaf("tags", "not_contains", "tag-3"),
        leaf("metadata.age", "between", [30, 50]),
        leaf("email", "ends_with", "5.com"),
    ],
    "by the clock": [leaf("country", "equals", "PL"), leaf("created_at", "in_last", "200d")],
}
OTHER_COLUMNS = """
SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
WHERE attrelid = 'contacts_projection'::regclass AND attnum > 0 AND NOT attisdropped
    AND attname NOT IN ('account_id', 'contact_id')
"""
MULTIPLY = """
INSERT INTO contacts_projection (account_id, contact_id, {columns})
SELECT account_id, uuidv7(), {columns} FROM contacts_projection, generate_series(2, {times})
"""


@dataclass(slots=True)
class Found:
    members: int = 0
    fill: list[float] = field(default_factory=list)
    count: list[float] = field(default_factory=list)
    preview: list[float] = field(default_factory=list)


async def load(stack: ThrowawayStack, account: UUID) -> None:
    models = segment_feed.people(MODELS, seed=1)
    db = await Database.open(stack.database_url("segments"), pool_size=1)
    for start in range(0, MODELS, BATCH):
        async with db.write(account) as tx:  # type: ignore[arg-type]  # an AccountId
            await projection.upsert(tx, [version(one) for one in models[start : start + BATCH]])
    await db.stop()
    connection = await asyncpg.connect(stack.database_url("segments"))
    columns = await connection.fetchval(OTHER_COLUMNS)
    await connection.execute(MULTIPLY.format(columns=columns, times=CONTACTS // MODELS), timeout=300)
    await connection.execute("VACUUM ANALYZE contacts_projection", timeout=300)
    await connection.close()


def version(contact: contacts_pb2.Contact) -> ContactVersion:
    contact_id = ids.decode("cnt", contact.id)
    assert contact_id is not None
    facts = contact_facts.facts_of(contact)
    return ContactVersion(contact_id, contact.id, 1, facts, contact.SerializeToString(), None)


async def bare_count(connection: "asyncpg.Connection[asyncpg.Record]", account: UUID, body: object) -> float:
    """Seconds."""
    rule = compile_with(orjson.dumps(body).decode(), {})
    predicate = compile_sql(rule, first=2, now=contact_facts.now_micros())
    began = time.perf_counter()
    await connection.fetchval(preview.filled(preview.COUNT, predicate), account, *predicate.args)
    return time.perf_counter() - began


async def fill(rest: Rest, connection: "asyncpg.Connection[asyncpg.Record]", body: dict[str, Any]) -> tuple[float, int]:
    """Seconds until the segment is served, and its members."""
    began = time.perf_counter()
    segment = await rest.post("/v1/segments", {"name": "Bench", **body})
    id = ids.decode("seg", segment["id"])
    # By way of the gateway, asking would take a quarter of a processor from what is measured.
    while True:
        if await connection.fetchval("SELECT next_build IS NULL FROM segments WHERE id = $1", id):
            break
        await asyncio.sleep(0.01)
    taken = time.perf_counter() - began
    members = await segment_feed.ready(rest, segment["id"])
    await rest.call("DELETE", f"/v1/segments/{segment['id']}")
    # What is left of it is dropped in the background: not beside the next measurement.
    await asyncio.sleep(2)
    return taken, members


async def measure(stack: ThrowawayStack) -> dict[str, Found]:
    found = {name: Found() for name in RULES}
    key = await asyncio.to_thread(stack.create_account, "bench backfill")
    connection = await asyncpg.connect(stack.database_url("segments"), server_settings={"jit": "off"})
    async with Rest(stack.url, key) as rest:
        first = await rest.post("/v1/segments", {"name": "First", "conditions": RULES["a tag"]})
        await segment_feed.ready(rest, first["id"])
        account = ids.decode("acct", await segment_feed.account_of(stack, first["id"]))
        assert account is not None
        await rest.call("DELETE", f"/v1/segments/{first['id']}")
        await load(stack, account)
        for turn in range(ROUNDS + 1):
            for name, conditions in RULES.items():
                body = {"conditions": conditions}
                counted = await bare_count(connection, account, body)
                filled, found[name].members = await fill(rest, connection, body)
                began = time.perf_counter()
                await rest.post("/v1/segments/preview", body)
                previewed = time.perf_counter() - began
                # The first turn warms the caches.
                if turn:
                    found[name].count.append(counted)
                    found[name].fill.append(filled)
                    found[name].preview.append(previewed)
    await connection.close()
    return found


def run(rounds: int = ROUNDS) -> Outcome:
    del rounds
    with throwaway_stack.started("bench", environ=segment_feed.ALONE) as stack:
        found = asyncio.run(measure(stack))
    rows, missed = [], []
    figures: dict[str, object] = {}
    for name, one in found.items():
        filled, counted, previewed = median(one.fill), median(one.count), median(one.preview)
        ratio = filled / counted
        rows.append([name, f"{one.members:,}", f"{filled:.2f}", f"{counted:.2f}", f"{ratio:.1f}", f"{previewed:.2f}"])
        figures[name] = {"members": one.members, "fill_s": filled, "count_s": counted, "preview_s": previewed}
        if ratio > LIMIT_RATIO:
            missed.append(f"{name}: {ratio:.1f} times the bare count, limit {LIMIT_RATIO:.0f}")
        if previewed > LIMIT_PREVIEW:
            missed.append(f"{name}: preview in {previewed:.2f} s, limit {LIMIT_PREVIEW:.0f} s")
    return Outcome(
        "segments_backfill",
        f"A new segment over {CONTACTS:,} contacts, seconds until it is served",
        ["", "members", "filled", "bare count", "ratio", "preview"],
        rows,
        figures,
        {"contacts": CONTACTS, "models": MODELS, "rounds": ROUNDS},
        missed,
    )
