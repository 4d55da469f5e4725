"""The search index: what is kept of each contact in search_entries, and each word of it as a row of search_words.

It follows the contacts by their events, a moment behind, in transactions of its own: an import pays nothing for it.
An entry has the version of the contact that it was made from, and only a higher one replaces it. A deleted contact
leaves its entry, empty, at the tombstone's version: a late event cannot bring its words back.
Whoever writes words of a contact holds its entry. Entries are locked in the order of ids.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from chassis.db import WriteTx
from chassis.ids import AccountId

# New entries get their words at once; of those that were there, the text that they had before is answered.
# $5: also what was made from the same version.
KEEP = """
WITH kept AS (
    INSERT INTO search_entries AS e (account_id, contact_id, version, text)
    SELECT $1, n.contact_id, n.version, n.text
    FROM unnest($2::uuid[], $3::bigint[], $4::text[]) AS n(contact_id, version, text) ORDER BY n.contact_id
    ON CONFLICT (account_id, contact_id) DO UPDATE SET version = excluded.version
    WHERE e.version < excluded.version OR ($5 AND e.version = excluded.version)
    RETURNING e.contact_id, e.text, e.xmax = 0 AS fresh
), added AS (
    INSERT INTO search_words (account_id, word, contact_id)
    SELECT $1, word, k.contact_id FROM kept AS k, unnest(string_to_array(substr(k.text, 2), ' ')) AS word
    WHERE k.fresh ORDER BY word COLLATE "C", k.contact_id
)
SELECT contact_id, text FROM kept WHERE NOT fresh
"""
# The text stays, for us to see which words it stands for.
HOLD = """
INSERT INTO search_entries AS e (account_id, contact_id, version, text)
SELECT $1, n.contact_id, n.version, ''
FROM unnest($2::uuid[], $3::bigint[]) AS n(contact_id, version) ORDER BY n.contact_id
ON CONFLICT (account_id, contact_id) DO UPDATE SET version = greatest(e.version, excluded.version)
RETURNING e.contact_id, e.text
"""
# $4 and $5, $6 and $7: words that went and came, each with its contact.
REWRITE = """
WITH written AS (
    UPDATE search_entries AS e SET text = n.text
    FROM unnest($2::uuid[], $3::text[]) AS n(contact_id, text)
    WHERE e.account_id = $1 AND e.contact_id = n.contact_id
), removed AS (
    DELETE FROM search_words AS w USING unnest($4::text[], $5::uuid[]) AS gone(word, contact_id)
    WHERE w.account_id = $1 AND w.word = gone.word AND w.contact_id = gone.contact_id
)
INSERT INTO search_words (account_id, word, contact_id)
SELECT $1, came.word, came.contact_id FROM unnest($6::text[], $7::uuid[]) AS came(word, contact_id)
ON CONFLICT DO NOTHING
"""


class Entry(NamedTuple):
    contact_id: UUID
    version: int
    # Of domain.search.kept_text.
    text: str


async def keep(tx: WriteTx, account: AccountId, new: Sequence[Entry], *, again: bool = False) -> None:
    """Each contact once. again: also replace what was made from the same version."""
    ids, versions, texts = [[entry[n] for entry in new] for n in range(3)]
    rows = await tx.fetch(KEEP, account, ids, versions, texts, again)
    if rows:
        wanted = {entry.contact_id: entry.text for entry in new}
        await rewrite(tx, account, [(row[0], row[1], wanted[row[0]]) for row in rows])


async def forget(tx: WriteTx, account: AccountId, gone: Sequence[tuple[UUID, int]]) -> None:
    """gone: deleted contacts, each with the version of its tombstone. Their words go in this transaction."""
    if gone:
        rows = await tx.fetch(HOLD, account, [one[0] for one in gone], [one[1] for one in gone])
        await rewrite(tx, account, [(row[0], row[1], "") for row in rows])


async def rewrite(tx: WriteTx, account: AccountId, changes: Sequence[tuple[UUID, str, str]]) -> None:
    """Entries that this transaction holds: contact, text before, text after."""
    changed = [change for change in changes if change[1] != change[2]]
    if not changed:
        return
    gone: list[tuple[str, UUID]] = []
    came: list[tuple[str, UUID]] = []
    for contact_id, before, after in changed:
        had, has = before.split(), after.split()
        gone += [(word, contact_id) for word in had if word not in has]
        came += [(word, contact_id) for word in has if word not in had]
    await tx.execute(
        REWRITE,
        account,
        [change[0] for change in changed],
        [change[2] for change in changed],
        [word for word, _ in gone],
        [contact_id for _, contact_id in gone],
        [word for word, _ in came],
        [contact_id for _, contact_id in came],
    )
