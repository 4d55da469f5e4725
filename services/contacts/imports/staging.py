"""Many contacts at once: COPY into a temporary table, then one statement a kind of write.

COPY into a table under row-level security is an error, hence the detour. Only the columns that the file can write go
that way; the table has the defaults of the others. For the work role.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any
from uuid import UUID

from chassis import copytext
from chassis.db import WriteTx
from chassis.ids import AccountId
from services.contacts import repository
from services.contacts.domain.contact import FLAGS, Contact
from services.contacts.domain.identity import Key

# One a session; its rows go with the transaction.
CREATE = f"""
CREATE TEMPORARY TABLE IF NOT EXISTS staged ON COMMIT DELETE ROWS
AS SELECT true AS fresh, account_id, {", ".join(repository.COLUMNS)} FROM contacts WITH NO DATA
"""
# Rows that are encoded at a time. No other task has a turn between: while they read on, the server has nothing to do.
COPY_ROWS = 500

# Each value is looked up by itself. In a join, where the planner has no statistics yet, or those of accounts that are
# smaller, it reads all contacts of the account.
BY_VALUE = "(SELECT c.id FROM contacts AS c WHERE c.account_id = $1 AND {key} OFFSET 0) AS found"
HOLDERS = {
    name: f"SELECT k.value, found.id FROM unnest($2::text[]) AS k(value) CROSS JOIN LATERAL {BY_VALUE.format(key=key)}"
    for name, key in {
        "phone": "c.phone = k.value",
        "external_id": "c.external_id = k.value",
        "email": "c.email_normal = k.value AND c.phone IS NULL",
    }.items()
}
# Answered from the index alone.
FREE_PHONES = """
SELECT k.value FROM unnest($2::text::text[]) AS k(value)
LEFT JOIN LATERAL (
    SELECT true AS there FROM contacts AS c WHERE c.account_id = $1 AND c.phone = k.value OFFSET 0
) AS found ON true WHERE found.there IS NULL
"""
INSERT = """
WITH added AS (
    INSERT INTO contacts (account_id, id, import_id, created_at, updated_at{names})
    SELECT $1, id, $2, created_at, created_at{names} FROM staged WHERE fresh
)
INSERT INTO contact_tags (account_id, tag, contact_id)
SELECT $1, tag, id FROM staged, unnest(tags) AS tag WHERE fresh
"""
# Leaves out those whose keys are taken, and answers which; each key is looked up once more for it.
INSERT_FREE = """
WITH added AS (
    INSERT INTO contacts (account_id, id, import_id, created_at, updated_at{names})
    SELECT $1, id, $2, created_at, created_at{names} FROM staged WHERE fresh
    ON CONFLICT DO NOTHING RETURNING id, tags
), tagged AS (
    INSERT INTO contact_tags (account_id, tag, contact_id)
    SELECT $1, tag, added.id FROM added, unnest(added.tags) AS tag
)
SELECT id FROM staged WHERE fresh AND id NOT IN (SELECT id FROM added)
"""
# Of contacts that this transaction has locked, so that they are where they are found. $2: their ids, which are looked
# up one by one for the same reason.
UPDATE = """
UPDATE contacts AS c SET updated_at = s.updated_at, version = s.version{changes}
FROM staged AS s WHERE NOT s.fresh AND c.account_id = $1 AND c.id = s.id AND c.ctid = ANY (ARRAY(
    SELECT found.place FROM unnest($2::uuid[]) AS k (id) CROSS JOIN LATERAL (
        SELECT h.ctid AS place FROM contacts AS h WHERE h.account_id = $1 AND h.id = k.id OFFSET 0
    ) AS found
))
"""
# For an undo: which contacts the import changed, and into which version last.
NOTE_UPDATES = """
INSERT INTO import_updates (account_id, import_id, contact_id, version)
SELECT $1, $2, id, version FROM staged WHERE NOT fresh
ON CONFLICT (account_id, import_id, contact_id) DO UPDATE SET version = excluded.version
"""
UNTAG = """
DELETE FROM contact_tags AS t USING unnest($2::text[], $3::uuid[]) AS gone(tag, contact_id)
WHERE t.account_id = $1 AND t.tag = gone.tag AND t.contact_id = gone.contact_id
"""
TAG = "INSERT INTO contact_tags (account_id, tag, contact_id) SELECT $1, * FROM unnest($2::text[], $3::uuid[])"


async def holders(tx: WriteTx, account: AccountId, keys: Iterable[tuple[Key, str]]) -> dict[tuple[Key, str], UUID]:
    """Which contacts have these keys."""
    by_name: dict[Key, list[str]] = {}
    for name, value in keys:
        by_name.setdefault(name, []).append(value)
    found: dict[tuple[Key, str], UUID] = {}
    for name, wanted in by_name.items():
        rows = await tx.fetch(HOLDERS[name], account, list(dict.fromkeys(wanted)))
        found.update({(name, row[0]): row[1] for row in rows})
    return found


@lru_cache
def insert_sql(columns: Sequence[str], statement: str) -> str:
    return statement.format(names="".join(f", {name}" for name in columns))


@lru_cache
def update_sql(columns: Sequence[str]) -> str:
    return UPDATE.format(changes="".join(f", {name} = s.{name}" for name in columns))


async def free_phones(tx: WriteTx, account: AccountId, phones: Sequence[str]) -> frozenset[str]:
    """Those of the phones that no contact has."""
    return frozenset([row[0] for row in await tx.fetch(FREE_PHONES, account, copytext.parameter(phones))])


async def insert(
    tx: WriteTx,
    account: AccountId,
    new: Sequence[Contact],
    *,
    columns: tuple[str, ...],
    pieces: Iterable[bytes] | None = None,
    import_id: UUID | None = None,
    contended: bool = True,
) -> set[UUID]:
    """columns: of Contact, those that differ from a new contact's. Returns the ids of those whose keys were taken.

    pieces: of `new_pieces`, where these are made already. contended=False: raises asyncpg.UniqueViolationError instead,
    and costs less where all are free.
    """
    staged = ("id", "created_at", *columns)
    await stage(tx, new_pieces(new, columns=columns) if pieces is None else pieces, columns=staged)
    if not contended:
        await tx.execute(insert_sql(columns, INSERT), account, import_id)
        return set()
    return await insert_free(tx, account, columns=columns, import_id=import_id)


def new_pieces(new: Sequence[Contact], *, columns: tuple[str, ...]) -> Iterator[bytes]:
    """As `insert` stages them, some hundred each."""
    return pieces_of(new, columns=("id", "created_at", *columns))


async def insert_free(
    tx: WriteTx, account: AccountId, *, columns: tuple[str, ...], import_id: UUID | None = None
) -> set[UUID]:
    """Of what is staged."""
    return {row[0] for row in await tx.fetch(insert_sql(columns, INSERT_FREE), account, import_id)}


async def update(
    tx: WriteTx, account: AccountId, changes: Sequence[tuple[Contact, Contact]], *, columns: tuple[str, ...]
) -> None:
    """Before and after of locked contacts, which differ in these columns. Raises asyncpg.UniqueViolationError."""
    staged = ("id", "updated_at", "version", *columns)
    await stage(tx, pieces_of((), [after for _, after in changes], columns=staged), columns=staged)
    await update_staged(tx, account, changes, columns=columns)


async def upsert(
    tx: WriteTx,
    account: AccountId,
    new: Sequence[Contact],
    changes: Sequence[tuple[Contact, Contact]],
    *,
    columns: tuple[str, ...],
) -> set[UUID]:
    """`update` and `insert` with one COPY."""
    staged = ("id", "created_at", "updated_at", "version", *columns)
    await stage(tx, pieces_of(new, [after for _, after in changes], columns=staged), columns=staged)
    if changes:
        await update_staged(tx, account, changes, columns=columns)
    return await insert_free(tx, account, columns=columns) if new else set()


async def update_staged(
    tx: WriteTx, account: AccountId, changes: Sequence[tuple[Contact, Contact]], *, columns: tuple[str, ...]
) -> None:
    """What is staged, and the tags."""
    done = await tx.execute(update_sql(columns), account, [after.id for _, after in changes])
    # One that was not locked may be elsewhere by now, and would be left as it is without a word.
    if done != f"UPDATE {len(changes)}":
        raise RuntimeError(f"{len(changes)} changes were to be written: {done}")
    gone = [(tag, after.id) for before, after in changes for tag in before.tags if tag not in after.tags]
    came = [(tag, after.id) for before, after in changes for tag in after.tags if tag not in before.tags]
    for sql, tagged in ((UNTAG, gone), (TAG, came)):
        if tagged:
            await tx.execute(sql, account, [tag for tag, _ in tagged], [contact_id for _, contact_id in tagged])


async def note_updates(tx: WriteTx, account: AccountId, import_id: UUID) -> None:
    """Behind `update`, of the same contacts."""
    await tx.execute(NOTE_UPDATES, account, import_id)


async def stage(tx: WriteTx, pieces: Iterable[bytes], *, columns: Sequence[str]) -> None:
    """pieces: of `pieces_of`, with these columns."""
    await tx.execute(CREATE)
    await tx.copy("staged", columns=("fresh", *columns), pieces=pieces)


def pieces_of(new: Sequence[Contact], changed: Sequence[Contact] = (), *, columns: Sequence[str]) -> Iterator[bytes]:
    for contacts, fresh in ((new, "t"), (changed, "f")):
        for start in range(0, len(contacts), COPY_ROWS):
            some = contacts[start : start + COPY_ROWS]
            yield copytext.rows([[fresh] * len(some), *(texts(some, name) for name in columns)])


async def clear(tx: WriteTx) -> None:
    """What was staged is written: for who stages again in the same transaction. New files each time: not to be called
    for nothing, as the rows go with the transaction anyway."""
    # Nothing may have been staged yet.
    await tx.execute(f"{CREATE}; TRUNCATE staged")


def texts(contacts: Sequence[Contact], column: str) -> list[str | None]:
    """The column of each contact, as COPY takes it."""
    values: list[Any] = list(map(attrgetter(column), contacts))
    write = WRITERS.get(column)
    return values if write is None else list(map(write, values))


array_of = lru_cache(maxsize=1024)(copytext.array)


def ids_array(ids: Iterable[UUID]) -> str:
    return "{" + ",".join(map(str, ids)) + "}"


# Columns that are no texts.
WRITERS: dict[str, Callable[[Any], str]] = {
    **dict.fromkeys(("id", "version"), str),
    # The rows of a slice share the moment.
    **dict.fromkeys(("created_at", "updated_at"), lru_cache(maxsize=64)(str)),
    **dict.fromkeys(FLAGS, str),
    # The reader keeps one list for equal cells.
    "tags": lambda tags: array_of(tuple(tags)) if tags else "{}",
    "list_ids": ids_array,
}
