"""This service's own copy of the contacts: the highest version of each, tombstones included."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

import asyncpg
import orjson

from carillon.contacts.v1 import contacts_pb2
from chassis import copytext, ids
from chassis.db import ReadTx, WriteTx
from services.segments.columns import PROJECTED, TYPES
from services.segments.contact_facts import NOBODY, facts_of
from services.segments.domain.facts import Facts, View
from services.segments.domain.fields import CUSTOM, EVERY_VERSION
from services.segments.domain.matcher import reads_of

# Kept elsewhere in the row: the key, and the version.
NOT_PROJECTED = ("t:id", "n:version")

# The version before is read from the statement's snapshot, which may be older than the row that is updated, but never
# newer: where it is the one just below the new version, nothing lies between them.
UPSERT = """
WITH before AS MATERIALIZED (
    SELECT contact_id, version FROM contacts_projection WHERE account_id = $1 AND contact_id = ANY ($2::uuid[])
), written AS (
    INSERT INTO contacts_projection AS p (account_id, contact_id, version, deleted, snapshot{names})
    SELECT $1, c.contact_id, c.version, c.snapshot IS NULL, c.snapshot{values}
    FROM unnest($2::uuid[], $3::bigint[], $4::bytea[]{parameters}) AS c (contact_id, version, snapshot{names})
    ORDER BY c.contact_id
    ON CONFLICT (account_id, contact_id) DO UPDATE SET
        version = excluded.version, deleted = excluded.deleted, snapshot = excluded.snapshot, {updates}
    WHERE p.version < excluded.version
    RETURNING p.contact_id
)
SELECT written.contact_id, before.version FROM written LEFT JOIN before USING (contact_id)
"""
# The next version of contacts that are here, with the columns that it changed: the others are as they were. Nothing is
# locked unless all are here: rows and those that are still to be inserted are taken in one order.
ADVANCE = """
WITH held AS MATERIALIZED (
    SELECT contact_id, version FROM contacts_projection
    WHERE account_id = $1 AND contact_id = ANY ($2::uuid[]) AND (
        SELECT count(*) FROM contacts_projection WHERE account_id = $1 AND contact_id = ANY ($2::uuid[])
    ) = cardinality($2::uuid[])
    ORDER BY contact_id FOR NO KEY UPDATE
)
UPDATE contacts_projection p SET version = c.version, snapshot = c.snapshot{updates}
FROM unnest($2::uuid[], $3::bigint[], $4::bytea[]{parameters}) AS c (contact_id, version, snapshot{names}), held
WHERE held.contact_id = c.contact_id AND held.version = c.version - 1
    AND p.account_id = $1 AND p.contact_id = c.contact_id AND NOT p.deleted
RETURNING p.contact_id
"""
OF_ACCOUNT = "SELECT FROM contacts_projection WHERE account_id = $1"
# Rows whose columns are not what their snapshot says.
DIFFERING = """
SELECT p.contact_id FROM unnest($2::uuid[]{parameters}) AS c (contact_id{names})
JOIN contacts_projection p ON p.account_id = $1 AND p.contact_id = c.contact_id
WHERE p.deleted <> (p.snapshot IS NULL) OR ({columns}) IS DISTINCT FROM ({values})
"""
# So that the upsert takes the version that is there already.
BELOW = """
UPDATE contacts_projection SET version = version - 1 WHERE account_id = $1 AND contact_id = ANY ($2::uuid[])
"""
# A contact that only messages told of so far is held by a tombstone of version 0, below any event's. Those that are
# there are locked on the way, although nothing is updated: in one order with those that are not.
HOLD_PLACE = """
INSERT INTO contacts_projection AS p (account_id, contact_id, version, deleted)
SELECT $1, contact_id, 0, true FROM unnest($2::uuid[]) AS c (contact_id) ORDER BY contact_id
ON CONFLICT (account_id, contact_id) DO UPDATE SET version = p.version WHERE false
"""
HOLD = """
SELECT contact_id, version, snapshot FROM contacts_projection
WHERE account_id = $1 AND contact_id = ANY ($2::uuid[]) ORDER BY contact_id FOR NO KEY UPDATE
"""
HOLD_FREE = f"{HOLD} SKIP LOCKED"
MORE = "more"
# By column: what a change must name to change it.
READS = {column: reads_of(column) for column in PROJECTED} | {MORE: frozenset(CUSTOM.values())}
UPDATES = ", ".join(f"{name} = excluded.{name}" for name in [*PROJECTED.values(), MORE])


class ContactVersion(NamedTuple):
    """A contact as an event told of it."""

    contact_id: UUID
    public_id: str
    version: int
    # contact_facts.NOBODY where it was deleted.
    facts: Facts
    # The serialised Contact; None where it was deleted.
    snapshot: bytes | None
    # The fields that this version changed; None where that is not known, or was everything.
    changed: frozenset[str] | None

    @property
    def deleted(self) -> bool:
        return self.snapshot is None


async def upsert(tx: WriteTx, contacts: Sequence[ContactVersion]) -> dict[UUID, int | None]:
    """Keep what is newer than what is there, locking the rows in order of id. Each contact may occur once.

    Returns the contacts written, with the version they had here before (None: there was none).
    """
    written = await advance(tx, contacts)
    others = [contact for contact in contacts if contact.contact_id not in written] if written else contacts
    if not others:
        return written
    columns = encoded([contact.facts for contact in others])
    rows = await tx.fetch(statement(tuple(columns)), tx.account, *versions(others), *columns.values())
    return written | dict(rows)  # type: ignore[arg-type]  # rows of two columns


async def advance(tx: WriteTx, contacts: Sequence[ContactVersion]) -> dict[UUID, int | None]:
    """Where all say what changed: write that, of those whose version before is here. They, with that version."""
    changes = [contact.changed for contact in contacts if contact.changed is not None]
    if not changes or len(changes) < len(contacts):
        return {}
    changed = frozenset().union(*changes) | {EVERY_VERSION}
    wanted = frozenset(column for column, reads in READS.items() if not changed.isdisjoint(reads))
    columns = encoded([contact.facts for contact in contacts], wanted)
    sql = advancing(tuple(columns), tuple(sorted(wanted.difference(columns))))
    rows = await tx.fetch(sql, tx.account, *versions(contacts), *columns.values())
    advanced = {row["contact_id"] for row in rows}
    return {contact.contact_id: contact.version - 1 for contact in contacts if contact.contact_id in advanced}


def versions(contacts: Sequence[ContactVersion]) -> tuple[list[UUID], list[int], list[bytes | None]]:
    """The first parameters of both statements, after the account."""
    return (
        [contact.contact_id for contact in contacts],
        [contact.version for contact in contacts],
        [contact.snapshot for contact in contacts],
    )


async def hold(tx: WriteTx, contacts: Sequence[UUID]) -> list[ContactVersion]:
    """Lock the contacts' rows, in order of id, making those that are not there; as they stand."""
    await tx.execute(HOLD_PLACE, tx.account, contacts)
    return [stored(row) for row in await tx.fetch(HOLD, tx.account, contacts)]


async def hold_free(tx: WriteTx, contacts: Sequence[UUID]) -> list[ContactVersion]:
    """Lock the rows that nobody else holds. Whoever holds one evaluates it."""
    return [stored(row) for row in await tx.fetch(HOLD_FREE, tx.account, contacts)]


def stored(row: asyncpg.Record) -> ContactVersion:
    """row: contact_id, version, snapshot."""
    snapshot = row["snapshot"]
    facts = NOBODY if snapshot is None else facts_of(contacts_pb2.Contact.FromString(snapshot))
    public_id = ids.encode("cnt", row["contact_id"])
    return ContactVersion(row["contact_id"], public_id, row["version"], facts, snapshot, None)


async def differing(tx: ReadTx, account: UUID, contacts: Sequence[ContactVersion]) -> frozenset[UUID]:
    """Those of the contacts, which came of `stored`, whose columns are not those of their facts."""
    columns = encoded([contact.facts for contact in contacts])
    sql, wanted = comparison(tuple(columns)), [contact.contact_id for contact in contacts]
    return frozenset(row["contact_id"] for row in await tx.fetch(sql, account, wanted, *columns.values()))


async def rewrite(tx: WriteTx, contacts: Sequence[ContactVersion]) -> None:
    """Make the columns anew at the versions that the contacts have; their rows are locked."""
    await tx.execute(BELOW, tx.account, [contact.contact_id for contact in contacts])
    await upsert(tx, contacts)


# There are as many statements as batches differ in what their contacts have: few, for an account's contacts are alike.
@lru_cache(maxsize=1024)
def statement(columns: tuple[str, ...]) -> str:
    """That writes these columns, and clears all others."""
    names = [name_of(column) for column in columns]
    return UPSERT.format(
        names="".join(f", {name}" for name in names),
        values="".join(f", {value_of(column)}" for column in columns),
        parameters=parameters(columns, first=5),
        updates=UPDATES,
    )


@lru_cache(maxsize=1024)
def advancing(columns: tuple[str, ...], cleared: tuple[str, ...]) -> str:
    """That writes some columns, clears some, and leaves the others."""
    names = [name_of(column) for column in columns]
    updates = [f", {name} = {value_of(column)}" for name, column in zip(names, columns, strict=True)]
    return ADVANCE.format(
        names="".join(f", {name}" for name in names),
        parameters=parameters(columns, first=5),
        updates="".join([*updates, *(f", {name_of(column)} = NULL" for column in cleared)]),
    )


def parameters(columns: Sequence[str], *, first: int) -> str:
    return "".join(f", ${number}::text::{type_of(column)}[]" for number, column in enumerate(columns, first))


@lru_cache(maxsize=1024)
def comparison(columns: tuple[str, ...]) -> str:
    """Of these columns with values, and of all others with null."""
    given = {name_of(column): value_of(column) for column in columns}
    everything = [*PROJECTED.values(), MORE]
    return DIFFERING.format(
        parameters=parameters(columns, first=3),
        names="".join(f", {name}" for name in given),
        columns=", ".join(f"p.{name}" for name in everything),
        values=", ".join(given.get(name, "NULL") for name in everything),
    )


def name_of(column: str) -> str:
    return MORE if column == MORE else PROJECTED[column]


def type_of(column: str) -> str:
    """Of a value in a parameter. Arrays are texts there: arrays of arrays would have to be of one length."""
    return "text" if column == MORE or column[0] == View.ELEMENT else TYPES[View(column[0])]


def value_of(column: str) -> str:
    """Of a parameter's row `c`, as the table has it."""
    cast = "::jsonb" if column == MORE else "::text[]" if column[0] == View.ELEMENT else ""
    return f"c.{name_of(column)}{cast}"


def encoded(batch: Sequence[Facts], wanted: frozenset[str] | None = None) -> dict[str, str]:
    """The batch column by column, for what any of its contacts has; in one order, so that statements are few.

    wanted: the columns to look at, MORE among them. Each is the text form of an array: the driver takes several times
    as long for lists.
    """
    present = frozenset().union(*batch)
    projected = present & PROJECTED.keys() if wanted is None else present & wanted
    columns: dict[str, list[str | None]] = {}
    for name in sorted(projected):
        if name[0] == View.TEXT:
            columns[name] = [facts[name][0] if name in facts else None for facts in batch]  # type: ignore[misc]  # texts
        elif name[0] == View.ELEMENT:
            columns[name] = [array(facts[name]) if name in facts else None for facts in batch]
        else:
            columns[name] = [str(facts[name][0]) if name in facts else None for facts in batch]
    custom = present.difference(PROJECTED, NOT_PROJECTED) if wanted is None or MORE in wanted else None
    if custom:
        columns[MORE] = [document(facts, custom) for facts in batch]
    return {name: copytext.parameter(column) for name, column in columns.items()}


def document(facts: Facts, custom: frozenset[str]) -> str | None:
    more = {name: facts[name] for name in facts.keys() & custom}
    return orjson.dumps(more).decode() if more else None


# The sets of an account's contacts are mostly the same few.
@lru_cache(maxsize=4096)
def array(values: tuple[str, ...]) -> str:
    return copytext.array(values)
