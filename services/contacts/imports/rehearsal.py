"""A dry run: what an import would do, found out by the same rules, with nothing written and nobody kept waiting.

What the rows before would have made of the contacts is kept in a temporary table, which lies over the real one: so the
counts are exact, and memory stays flat. It goes with the transaction, so a dry run whose worker is killed begins anew.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

from chassis import copytext
from chassis.db import WriteTx
from services.contacts import repository as contacts
from services.contacts.domain.contact import Contact
from services.contacts.domain.identity import Key
from services.contacts.imports import staging
from services.contacts.imports.record import Change, RowError
from services.contacts.imports.repository import Lease
from services.contacts.imports.resolve import Chunk, Outcome
from services.contacts.imports.rows import Known, Read, RowReader, parted
from services.contacts.imports.shown import shown_change

# Of each kind of change, of the whole file.
CHANGES_SHOWN = 20
MOST_LOOKED_AT = 500

CREATE = (
    f"CREATE TEMPORARY TABLE rehearsed ON COMMIT DROP AS SELECT {', '.join(contacts.COLUMNS)} "
    "FROM contacts WHERE account_id IS NULL",
    "CREATE INDEX ON rehearsed (id)",
    "CREATE INDEX ON rehearsed (phone)",
    "CREATE INDEX ON rehearsed (external_id)",
    "CREATE INDEX ON rehearsed (email_normal)",
    # The table has no statistics, and it grows.
    "SET LOCAL enable_seqscan = off",
)
HOLDERS = """
SELECT {column}, id FROM rehearsed WHERE {column} = ANY($2::text[]){more}
UNION ALL
SELECT {column}, id FROM contacts AS c WHERE account_id = $1 AND {column} = ANY($2::text[]){more}
AND NOT EXISTS (SELECT FROM rehearsed AS r WHERE r.id = c.id)
"""
HOLDERS_BY: dict[Key, str] = {
    "phone": HOLDERS.format(column="phone", more=""),
    "external_id": HOLDERS.format(column="external_id", more=""),
    "email": HOLDERS.format(column="email_normal", more=" AND phone IS NULL"),
}
PRESENT = f"""
SELECT {contacts.SELECTED} FROM rehearsed AS c WHERE c.id = ANY($2::uuid[])
UNION ALL
SELECT {contacts.SELECTED} FROM contacts AS c WHERE c.account_id = $1 AND c.id = ANY($2::uuid[])
AND NOT EXISTS (SELECT FROM rehearsed AS r WHERE r.id = c.id)
"""
FORGET = "DELETE FROM rehearsed WHERE id = ANY($1::uuid[])"
LISTS = "SELECT id FROM lists WHERE account_id = $1 AND id = ANY($2::uuid[])"


@dataclass(slots=True)
class Counts:
    """Of all rows so far."""

    rows: int = 0
    imported: int = 0
    updated: int = 0
    duplicates: int = 0
    failed: int = 0
    created_shown: list[Change] = field(default_factory=list)
    updated_shown: list[Change] = field(default_factory=list)


class Rehearsal:
    def __init__(self, tx: WriteTx, lease: Lease, *, reader: RowReader) -> None:
        """tx: stays open until the dry run ends, and writes nothing but its own table."""
        self._tx = tx
        self._lease = lease
        self._reader = reader
        self._began = datetime.now(UTC)
        self.counts = Counts()

    async def begin(self) -> None:
        """Before any row is read."""
        for statement in CREATE:
            await self._tx.execute(statement)

    async def chunk(self, outcomes: Sequence[Read]) -> list[RowError]:
        """Counts the rows as if they were imported; those that would fail."""
        drafts, faults = parted(outcomes)
        known = sum(isinstance(outcome, Known) for outcome in outcomes)
        holders = await self._holders({pair for draft in drafts for pair in draft.keys})
        plan = self._lease.plan
        present = await self._present(set(holders.values())) if plan.writes_present else {}
        additions = plan.additions
        if additions.add_lists:
            there = {row[0] for row in await self._tx.fetch(LISTS, self._lease.account, list(additions.add_lists))}
            additions = replace(additions, add_lists=tuple(one for one in additions.add_lists if one in there))
        outcome = Chunk(
            holders=holders,
            present=present,
            on_duplicate=plan.on_duplicate,
            additions=additions,
            reader=self._reader,
        ).resolve(drafts)
        outcome.errors.extend(faults)
        outcome.duplicate_rows += known
        await self._remember(outcome)
        self._count(outcome, rows=len(drafts) + len(faults) + known)
        return outcome.errors

    async def _holders(self, keys: Iterable[tuple[Key, str]]) -> dict[tuple[Key, str], UUID]:
        by_name: dict[Key, list[str]] = {}
        for name, value in keys:
            by_name.setdefault(name, []).append(value)
        found: dict[tuple[Key, str], UUID] = {}
        for name, values in by_name.items():
            rows = await self._tx.fetch(HOLDERS_BY[name], self._lease.account, values)
            found.update({(name, row[0]): row[1] for row in rows})
        return found

    async def _present(self, wanted: Iterable[UUID]) -> dict[UUID, Contact]:
        rows = await self._tx.fetch(PRESENT, self._lease.account, list(wanted))
        return {row["id"]: contacts.contact(row) for row in rows}

    async def _remember(self, outcome: Outcome) -> None:
        after = [*outcome.created, *(changed for _, changed in outcome.updated)]
        if not after:
            return
        if outcome.updated:
            await self._tx.execute(FORGET, [changed.id for _, changed in outcome.updated])
        rows = copytext.rows([staging.texts(after, name) for name in contacts.COLUMNS])
        await self._tx.copy("rehearsed", columns=contacts.COLUMNS, pieces=[rows])

    def _count(self, outcome: Outcome, *, rows: int) -> None:
        counts = self.counts
        counts.rows += rows
        counts.imported += outcome.imported_rows
        counts.updated += outcome.updated_rows
        counts.duplicates += outcome.duplicate_rows
        counts.failed += len(outcome.errors)
        room = CHANGES_SHOWN - len(counts.created_shown)
        counts.created_shown += [shown_change(None, made) for made in outcome.created[:room]]
        room = CHANGES_SHOWN - len(counts.updated_shown)
        # Not those that the file itself would make.
        there = [pair for pair in outcome.updated[:MOST_LOOKED_AT] if pair[0].created_at < self._began]
        counts.updated_shown += [shown_change(*pair) for pair in there[:room]]
