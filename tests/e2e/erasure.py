"""Where a stack still mentions somebody: every column of every table of the four databases, and both streams."""

import hashlib

import asyncpg
import nats
from nats.js.errors import NotFoundError

from chassis import ids
from chassis.nats import DEAD, EVENTS
from deploy.local.databases import SERVICES
from tests.e2e.client import Api
from tests.throwaway_stack import ThrowawayStack

COLUMNS = """
SELECT c.table_name, array_agg(CASE c.data_type WHEN 'bytea' THEN format('encode(%I, ''escape'')', c.column_name)
                                                ELSE format('%I::text', c.column_name) END) AS texts
FROM information_schema.columns AS c JOIN information_schema.tables AS t USING (table_schema, table_name)
WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' GROUP BY 1
"""
OF_ACCOUNTS = """
SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'account_id'
"""
# What a row says, bytes as far as they are text.
MENTIONED = "SELECT EXISTS (SELECT FROM {table} WHERE lower(concat_ws(' ', {texts})) ~ $1)"


async def tables(stack: ThrowawayStack, *words: str) -> set[str]:
    """`service.table` of each that has one of the words, which are in lower case."""
    found = set()
    for service in SERVICES:
        connection = await asyncpg.connect(stack.database_url(service))
        try:
            for table, texts in await connection.fetch(COLUMNS):
                sql = MENTIONED.format(table=table, texts=", ".join(texts))
                if await connection.fetchval(sql, "|".join(words)):
                    found.add(f"{service}.{table}")
        finally:
            await connection.close()
    return found


async def streams(stack: ThrowawayStack, *words: str) -> set[str]:
    """The JetStream streams with a message that has one of the words."""
    connection = await nats.connect(stack.nats_url)
    jetstream = connection.jetstream()
    found = set()
    try:
        for stream in (EVENTS, DEAD):
            state = (await jetstream.stream_info(stream)).state
            for sequence in range(max(state.first_seq, 1), state.last_seq + 1):
                try:
                    message = await jetstream.get_msg(stream, sequence)
                except NotFoundError:
                    continue
                if any(word.encode() in (message.data or b"").lower() for word in words):
                    found.add(stream)
    finally:
        await connection.close()
    return found


async def account_of(api: Api, stack: ThrowawayStack) -> str:
    """acct_…"""
    connection = await asyncpg.connect(stack.database_url("gateway"))
    try:
        digest = hashlib.sha256(api.key.encode()).digest()
        found = await connection.fetchval("SELECT account_id FROM api_keys WHERE hash = $1", digest)
    finally:
        await connection.close()
    return ids.encode("acct", found)


async def rows(stack: ThrowawayStack, account: str) -> dict[str, int]:
    """How many rows each `service.table` has of the account, where it has any."""
    found = {}
    for service in SERVICES:
        connection = await asyncpg.connect(stack.database_url(service))
        try:
            for (table,) in await connection.fetch(OF_ACCOUNTS):
                sql = f"SELECT count(*) FROM {table} WHERE account_id = $1"
                found[f"{service}.{table}"] = await connection.fetchval(sql, ids.decode("acct", account))
        finally:
            await connection.close()
    return {table: count for table, count in found.items() if count}


async def purge(stack: ThrowawayStack, account: str) -> None:
    """As docs/operations.md has an operator do it."""
    connection = await nats.connect(stack.nats_url)
    try:
        for lane in ("", ".bulk"):
            await connection.jetstream().purge_stream(EVENTS, subject=f"events.*.*.{account}{lane}")
    finally:
        await connection.close()
