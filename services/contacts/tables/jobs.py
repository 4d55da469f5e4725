"""What goes on in the background: files, imports, exports, changes to many contacts."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID

from services.contacts.tables.columns import account_column, id_column, metadata, time_column

bulk_jobs = Table(
    "bulk_jobs",
    metadata,
    account_column(),
    id_column(),
    Column("status", Text, nullable=False, server_default="queued"),
    # domain.change.Change as JSON.
    Column("change", JSONB, nullable=False),
    # Whom to change: a serialised ListContactsRequest, or else the members of a list that was deleted.
    Column("filter", LargeBinary),
    Column("of_list", UUID()),
    # The id that the last chunk ended with; the next goes on below it.
    Column("done_to", UUID()),
    Column("changed", BigInteger, nullable=False, server_default=text("0")),
    Column("unchanged", BigInteger, nullable=False, server_default=text("0")),
    Column("failed", BigInteger, nullable=False, server_default=text("0")),
    Column("error", Text, nullable=False, server_default=""),
    # Failures since the last chunk that went well.
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    # Of the request: the events of the job continue its trace.
    Column("traceparent", Text, nullable=False, server_default=""),
    time_column("created_at"),
    # Its turn; each chunk sends it behind the others.
    time_column("due_at"),
    time_column("finished_at", nullable=True),
    CheckConstraint("status IN ('queued', 'running', 'completed', 'failed')", name="status"),
    CheckConstraint("(filter IS NULL) <> (of_list IS NULL)", name="target"),
    # The work list over all accounts.
    Index("bulk_jobs_open", "due_at", postgresql_where=text("status IN ('queued', 'running')")),
)

files = Table(
    "files",
    metadata,
    account_column(),
    id_column(),
    # Set when the upload ended; until then nothing refers to the file and the cleaner may take it.
    Column("complete", Boolean, nullable=False, server_default=text("false")),
    Column("bytes", BigInteger, nullable=False, server_default=text("0")),
    time_column("touched_at"),
    Index("files_touched_at", "touched_at"),
)

file_chunks = Table(
    "file_chunks",
    metadata,
    account_column(),
    Column("file_id", UUID(), primary_key=True),
    Column("seq", Integer, primary_key=True),
    # 1 MiB, the last one less. Stored out of line and uncompressed: see the migration.
    Column("data", LargeBinary, nullable=False),
)

imports = Table(
    "imports",
    metadata,
    account_column(),
    id_column(),
    Column("file_id", UUID(), nullable=False),
    Column("status", Text, nullable=False),
    # How to read the file and what to do with its rows: imports.plan.Plan as JSON.
    Column("plan", JSONB, nullable=False),
    Column("bytes_total", BigInteger, nullable=False),
    Column("bytes_done", BigInteger, nullable=False, server_default=text("0")),
    # Records of the file that are dealt with, the header and blank ones among them: where a killed job resumes.
    Column("records_done", BigInteger, nullable=False, server_default=text("0")),
    Column("rows", BigInteger, nullable=False, server_default=text("0")),
    Column("imported", BigInteger, nullable=False, server_default=text("0")),
    Column("updated", BigInteger, nullable=False, server_default=text("0")),
    Column("duplicates", BigInteger, nullable=False, server_default=text("0")),
    Column("failed", BigInteger, nullable=False, server_default=text("0")),
    Column("error", Text, nullable=False, server_default=""),
    # Who works on it: the one with the current generation, until lease_until. See imports.job.
    Column("lease_generation", BigInteger, nullable=False, server_default=text("0")),
    time_column("lease_until", nullable=True),
    # Claims since the last progress; a file that kills its worker is given up.
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    time_column("created_at"),
    time_column("finished_at", nullable=True),
    # Since when it waits for a worker, or for its next step: one that gave way, or made a step, goes to the end of the
    # line. What stands still for long is stuck: see looks.
    Column("queued_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("file_name", Text, nullable=False, server_default=""),
    # Of the file's bytes.
    Column("sha256", LargeBinary),
    # Another import of the same bytes.
    Column("duplicate_of", UUID()),
    Column("rows_total", BigInteger),
    # Of an import that waits, or waited, to be committed: imports.preview.Preview as JSON; goes with the file.
    Column("preview", JSONB),
    # Of a dry run: a list of imports.record.Change as JSON; goes with the file.
    Column("changes", JSONB),
    # Of the contacts that it made; null where it made none.
    Column("first_contact_id", UUID()),
    Column("last_contact_id", UUID()),
    # Up to where these are dealt with by an undo.
    Column("undo_position", UUID()),
    Column("undo_deleted", BigInteger, nullable=False, server_default=text("0")),
    Column("undo_kept", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint(
        "status IN ('uploaded', 'queued', 'running', 'completed', 'failed', 'cancelled', 'undoing', 'undone')",
        name="status",
    ),
    # The work list over all accounts.
    Index(
        "imports_waiting",
        "queued_at",
        postgresql_where=text("status IN ('queued', 'running') OR (status = 'uploaded' AND rows_total IS NULL)"),
    ),
    Index("imports_undoing", "queued_at", postgresql_where=text("status = 'undoing'")),
    Index("imports_sha256", "account_id", "sha256"),
    # Over all accounts: see search.consumers.
    Index("imports_finished_at", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
)

import_updates = Table(
    "import_updates",
    metadata,
    account_column(),
    # Contacts that an import changed, but for those that it made by the same chunk.
    Column("import_id", UUID(), primary_key=True),
    Column("contact_id", UUID(), primary_key=True),
    # Which it wrote last.
    Column("version", BigInteger, nullable=False),
)

import_errors = Table(
    "import_errors",
    metadata,
    account_column(),
    Column("import_id", UUID(), primary_key=True),
    # 1-based; the header is row 1.
    Column("row", BigInteger, primary_key=True),
    Column("code", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("column_name", Text, nullable=False, server_default=""),
    # A JSON array; goes with the file.
    Column("cells", Text),
)

exports = Table(
    "exports",
    metadata,
    account_column(),
    id_column(),
    Column("resource", Text, nullable=False),
    Column("format", Text, nullable=False),
    # What was asked for: a serialised CreateExportRequest.
    Column("request", LargeBinary, nullable=False),
    Column("status", Text, nullable=False, server_default="queued"),
    # Made with the first piece; whole, and seen by anybody, when the export is completed.
    Column("file_id", UUID(), nullable=False),
    # Where a killed job goes on: behind the records of the pieces that are stored.
    Column("position", Text, nullable=False, server_default=""),
    Column("chunks", Integer, nullable=False, server_default=text("0")),
    Column("rows", BigInteger, nullable=False, server_default=text("0")),
    Column("bytes", BigInteger, nullable=False, server_default=text("0")),
    Column("error", Text, nullable=False, server_default=""),
    Column("traceparent", Text, nullable=False, server_default=""),
    # Who works on it: the one with the current generation, until lease_until. See exports.job.
    Column("lease_generation", BigInteger, nullable=False, server_default=text("0")),
    time_column("lease_until", nullable=True),
    # Claims since the last progress.
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    time_column("created_at"),
    time_column("finished_at", nullable=True),
    time_column("expires_at", nullable=True),
    CheckConstraint("status IN ('queued', 'running', 'completed', 'failed')", name="status"),
    # The work lists over all accounts.
    Index("exports_open", "created_at", postgresql_where=text("status IN ('queued', 'running')")),
    Index("exports_expires_at", "expires_at", postgresql_where=text("expires_at IS NOT NULL")),
)
