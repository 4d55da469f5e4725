"""Uploaded files: rows of 1 MiB, so that any worker reaches them and nothing is held in memory."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

from chassis import ids
from chassis.db import Database, WriteTx
from chassis.ids import AccountId

CHUNK_BYTES = 1024 * 1024

CREATE = "INSERT INTO files (account_id, id, touched_at) VALUES ($1, $2, now())"
APPEND = """
WITH touched AS (
    UPDATE files SET touched_at = now(), bytes = bytes + length($4::bytea) WHERE account_id = $1 AND id = $2
)
INSERT INTO file_chunks (account_id, file_id, seq, data) VALUES ($1, $2, $3, $4)
"""
COMPLETE = "UPDATE files SET complete = true, touched_at = now() WHERE account_id = $1 AND id = $2"
READ = "SELECT data FROM file_chunks WHERE account_id = $1 AND file_id = $2 AND seq = $3"
DROP = """
WITH gone AS (DELETE FROM files WHERE account_id = $1 AND id = $2)
DELETE FROM file_chunks WHERE account_id = $1 AND file_id = $2
"""
# Of every account: uploads that broke off, and files that nobody waits for any more. For the work role.
EXPIRED = """
SELECT f.account_id, f.id, f.touched_at FROM files AS f
WHERE f.touched_at < now() - CASE WHEN f.complete THEN $1::interval ELSE least($1::interval, interval '1 hour') END
AND NOT EXISTS (SELECT FROM imports AS i WHERE i.account_id = f.account_id AND i.file_id = f.id
                AND i.status IN ('queued', 'running'))
AND NOT EXISTS (SELECT FROM exports AS e WHERE e.account_id = f.account_id AND e.file_id = f.id
                AND e.status IN ('queued', 'running'))
LIMIT 100
"""
# $3: not if it was touched since, by an import that begins.
DROP_UNTOUCHED = "DELETE FROM files WHERE account_id = $1 AND id = $2 AND touched_at = $3 RETURNING true"
DROP_CHUNKS = "DELETE FROM file_chunks WHERE account_id = $1 AND file_id = $2"
TOUCH = """
UPDATE files SET touched_at = now()
WHERE account_id = $1 AND id = (SELECT file_id FROM imports WHERE account_id = $1 AND id = $2)
"""
# What was taken out of the file goes with it.
FORGET_ROWS = """
UPDATE import_errors SET cells = NULL
WHERE account_id = $1 AND cells IS NOT NULL
AND import_id IN (SELECT id FROM imports WHERE account_id = $1 AND file_id = $2)
"""
FORGET_PREVIEW = """
UPDATE imports
SET preview = NULL, changes = NULL, status = CASE WHEN status = 'uploaded' THEN 'cancelled' ELSE status END,
    error = CASE WHEN status = 'uploaded' THEN $3 ELSE error END,
    finished_at = coalesce(finished_at, now())
WHERE account_id = $1 AND file_id = $2
"""
NEVER_COMMITTED = "The import was not committed in time; its file is gone."


class Upload:
    """A file as it comes in. Until `complete` it is invisible; the cleaner takes what breaks off."""

    def __init__(self, db: Database, account: AccountId) -> None:
        self._db = db
        self._account = account
        self._buffer = bytearray()
        self._seq = 0
        self.file_id = ids.new()

    async def start(self) -> None:
        async with self._db.write(self._account) as tx:
            await tx.execute(CREATE, self._account, self.file_id)

    async def append(self, data: bytes) -> None:
        """Any number of bytes; stored whenever a chunk is full."""
        self._buffer += data
        while len(self._buffer) >= CHUNK_BYTES:
            await self._store(bytes(self._buffer[:CHUNK_BYTES]))
            del self._buffer[:CHUNK_BYTES]

    async def end(self) -> None:
        if self._buffer:
            await self._store(bytes(self._buffer))
            self._buffer.clear()

    async def _store(self, data: bytes) -> None:
        async with self._db.write(self._account) as tx:
            await tx.execute(APPEND, self._account, self.file_id, self._seq, data)
        self._seq += 1

    async def complete(self, tx: WriteTx) -> None:
        await tx.execute(COMPLETE, self._account, self.file_id)

    async def drop(self) -> None:
        async with self._db.write(self._account) as tx:
            await tx.execute(DROP, self._account, self.file_id)


async def read(db: Database, account: AccountId, file_id: UUID) -> AsyncIterator[bytes]:
    """The chunks in order, each read by itself."""
    seq = 0
    while True:
        async with db.read(account) as tx:
            data: bytes | None = await tx.fetchval(READ, account, file_id, seq)
        if data is None:
            return
        yield data
        seq += 1


async def drop_expired(db: Database, kept: timedelta) -> int:
    """Deletes up to 100 files of any account; how many. kept: of a whole file. For the work role."""
    async with db.across() as tx:
        expired = await tx.fetch(EXPIRED, kept)
    for row in expired:
        async with db.across() as tx:
            if await tx.fetchval(DROP_UNTOUCHED, *row):
                await tx.execute(DROP_CHUNKS, row["account_id"], row["id"])
                await tx.execute(FORGET_ROWS, row["account_id"], row["id"])
                await tx.execute(FORGET_PREVIEW, row["account_id"], row["id"], NEVER_COMMITTED)
    return len(expired)


async def touch(tx: WriteTx, import_id: UUID) -> None:
    """Keep the file of the import for its full time from now on. Before the import is locked, as the cleaner does."""
    await tx.execute(TOUCH, tx.account, import_id)
