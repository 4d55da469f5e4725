"""This service's own copy of the contacts: the highest version of each, tombstones included."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from chassis import copytext
from chassis.db import WriteTx
from services.segments.domain.rules import Facts

# The version before is read from the statement's snapshot, which may be older than the row that is updated, but never
# newer: where it is the one just below the new version, nothing lies between them.
UPSERT = """
WITH before AS MATERIALIZED (
    SELECT contact_id, version FROM contacts_projection WHERE account_id = $1 AND contact_id = ANY ($2::uuid[])
), written AS (
    INSERT INTO contacts_projection AS p
        (account_id, contact_id, version, deleted, name, phone, email, tags, snapshot)
    SELECT $1, c.contact_id, c.version, c.snapshot IS NULL, c.name, c.phone, c.email, c.tags::text[], c.snapshot
    FROM unnest($2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[])
        AS c (contact_id, version, name, phone, email, tags, snapshot)
    ORDER BY c.contact_id
    ON CONFLICT (account_id, contact_id) DO UPDATE SET
        version = excluded.version, deleted = excluded.deleted, name = excluded.name, phone = excluded.phone,
        email = excluded.email, tags = excluded.tags, snapshot = excluded.snapshot
    WHERE p.version < excluded.version
    RETURNING p.contact_id
)
SELECT written.contact_id, before.version FROM written LEFT JOIN before USING (contact_id)
"""


class ContactVersion(NamedTuple):
    """A contact as an event told of it."""

    contact_id: UUID
    public_id: str
    version: int
    # domain.rules.NOBODY where it was deleted.
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
    facts = [contact.facts for contact in contacts]
    rows = await tx.fetch(
        UPSERT,
        tx.account,
        [contact.contact_id for contact in contacts],
        [contact.version for contact in contacts],
        [fact.name for fact in facts],
        [fact.phone for fact in facts],
        [fact.email for fact in facts],
        [copytext.array(fact.tags) for fact in facts],
        [contact.snapshot for contact in contacts],
    )
    return dict(rows)  # type: ignore[arg-type]  # rows of two columns
