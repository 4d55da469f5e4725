"""The tables of the contacts service. Every one leads with account_id and is under row-level security.

Keyed by contact_id, so that a deleted contact has rows to lose there: contact_tags (behind the tag), contact_lists
(behind the list), consents, optouts, activity and messages.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from chassis import tables

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)
tables.add_to(metadata)


def account_column() -> Column[object]:
    return Column("account_id", UUID(), primary_key=True)


def id_column() -> Column[object]:
    return Column("id", UUID(), primary_key=True)


def time_column(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def validity_column(name: str) -> Column[object]:
    return Column(name, Text, nullable=False, server_default="unknown")


def flag_column(name: str, default: str) -> Column[object]:
    return Column(name, Boolean, nullable=False, server_default=text(default))


contacts = Table(
    "contacts",
    metadata,
    account_column(),
    id_column(),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    time_column("created_at"),
    time_column("updated_at"),
    # E.164.
    Column("phone", Text),
    validity_column("phone_validity"),
    Column("email", Text),
    # The email folded by domain.emails.fold: keys and look-ups are on it, never on an expression.
    Column("email_normal", Text),
    validity_column("email_validity"),
    Column("first_name", Text),
    Column("last_name", Text),
    Column("given_country", Text),
    # What the phone's numbering plan says.
    Column("phone_country", Text),
    Column("country", Text, Computed("coalesce(given_country, phone_country)", persisted=True)),
    Column("stage", Text),
    Column("gender", Text),
    Column("language", Text),
    Column("timezone", Text),
    # In the order in which they came; contact_tags has the same as rows.
    Column("tags", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("metadata", JSONB, nullable=False, server_default=text("'{}'")),
    Column("external_id", Text),
    Column("instagram_id", Text),
    Column("channel", Text),
    Column("custom_channel", Text),
    Column("chat_widget_id", Text),
    Column("current_campaign", Text),
    Column("current_campaign_data", JSONB),
    flag_column("is_chat_window_open", "false"),
    flag_column("is_bot_active", "true"),
    flag_column("do_not_disturb", "false"),
    # {"sms": "opted_out"}; a channel that is absent is unknown.
    Column("preferences", JSONB, nullable=False, server_default=text("'{}'")),
    Column("list_ids", ARRAY(UUID()), nullable=False, server_default=text("'{}'")),
    CheckConstraint("phone IS NOT NULL OR email IS NOT NULL OR external_id IS NOT NULL", name="identity"),
    CheckConstraint("phone_validity IN ('valid', 'invalid', 'unknown')", name="phone_validity"),
    CheckConstraint("email_validity IN ('valid', 'invalid', 'unknown')", name="email_validity"),
    # Partial, so that a contact without the key costs nothing.
    Index("contacts_phone_key", "account_id", "phone", unique=True, postgresql_where=text("phone IS NOT NULL")),
    Index(
        "contacts_external_id_key",
        "account_id",
        "external_id",
        unique=True,
        postgresql_where=text("external_id IS NOT NULL"),
    ),
    # Only contacts without a phone are told apart by their email.
    Index(
        "contacts_email_key",
        "account_id",
        "email_normal",
        unique=True,
        postgresql_where=text("phone IS NULL AND email_normal IS NOT NULL"),
    ),
    Index("contacts_email", "account_id", "email_normal", postgresql_where=text("email_normal IS NOT NULL")),
    Index("contacts_stage", "account_id", "stage", "id", postgresql_where=text("stage IS NOT NULL")),
    Index("contacts_country", "account_id", "country", "id", postgresql_where=text("country IS NOT NULL")),
)

contact_tags = Table(
    "contact_tags",
    metadata,
    account_column(),
    # Under row-level security an array operator would not use its index; equality on rows does.
    Column("tag", Text, primary_key=True),
    Column("contact_id", UUID(), primary_key=True),
)

lists = Table(
    "lists",
    metadata,
    account_column(),
    id_column(),
    # Of the name and the description; members come and go without one.
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    Column("name", Text, nullable=False),
    Column("description", Text),
    # The rows of contact_lists, counted in the transactions that write them.
    Column("member_count", BigInteger, nullable=False, server_default=text("0")),
    time_column("created_at"),
    time_column("updated_at"),
)

contact_lists = Table(
    "contact_lists",
    metadata,
    account_column(),
    # The other way round is contacts.list_ids, which always says the same.
    Column("list_id", UUID(), primary_key=True),
    Column("contact_id", UUID(), primary_key=True),
    time_column("added_at"),
)

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

tombstones = Table(
    "tombstones",
    metadata,
    account_column(),
    Column("contact_id", UUID(), primary_key=True),
    # Above every version the contact had.
    Column("version", BigInteger, nullable=False),
    time_column("deleted_at"),
)

suppressions = Table(
    "suppressions",
    metadata,
    account_column(),
    id_column(),
    Column("phone", Text),
    Column("email", Text),
    Column("email_normal", Text),
    # Empty: every channel.
    Column("channels", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("reason", Text, nullable=False, server_default=""),
    time_column("created_at"),
    CheckConstraint("(phone IS NULL) <> (email_normal IS NULL)", name="one_address"),
    UniqueConstraint("account_id", "phone"),
    UniqueConstraint("account_id", "email_normal"),
)

consents = Table(
    "consents",
    metadata,
    account_column(),
    # Evidence: nobody may UPDATE it, and only work, which erases, may DELETE.
    Column("contact_id", UUID(), primary_key=True),
    id_column(),
    Column("channel", Text, nullable=False),
    # opted_in, opted_out or unknown.
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("actor", Text, nullable=False),
    time_column("at"),
)

optouts = Table(
    "optouts",
    metadata,
    account_column(),
    # The opt-outs of contacts.preferences as rows, written with it.
    Column("contact_id", UUID(), primary_key=True),
    Column("channel", Text, primary_key=True),
    time_column("opted_out_at"),
    Index("optouts_channel", "account_id", "channel", "contact_id"),
)

consent_rules = Table(
    "consent_rules",
    metadata,
    # An account without a row has the defaults.
    account_column(),
    flag_column("require_opt_in", "false"),
    time_column("updated_at"),
)

activity = Table(
    "activity",
    metadata,
    account_column(),
    # What integrators add; the timeline's other entries are read from messages and consents.
    Column("contact_id", UUID(), primary_key=True),
    Column("at", DateTime(timezone=True), primary_key=True),
    id_column(),
    Column("type", Text, nullable=False),
    Column("channel", Text),
    Column("text", Text, nullable=False),
    Column("data", JSONB, nullable=False, server_default=text("'{}'")),
    Column("actor", Text, nullable=False),
)

messages = Table(
    "messages",
    metadata,
    account_column(),
    # One row a recipient of a campaign, as its events told; id is the recipient's.
    Column("contact_id", UUID(), primary_key=True),
    id_column(),
    Column("campaign_id", UUID(), nullable=False),
    Column("channel", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("state_revision", BigInteger, nullable=False),
    # When it came to each stage of its way, as far as was told.
    time_column("sent_at", nullable=True),
    time_column("delivered_at", nullable=True),
    time_column("opened_at", nullable=True),
    time_column("clicked_at", nullable=True),
    time_column("failed_at", nullable=True),
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
    # Since when it waits for a worker: an import that gave way to another account's goes to the end of the line.
    Column("queued_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("file_name", Text, nullable=False, server_default=""),
    # Of the file's bytes.
    Column("sha256", LargeBinary),
    # Another import of the same bytes.
    Column("duplicate_of", UUID()),
    Column("rows_total", BigInteger),
    # Of an import that waits, or waited, to be committed: imports.preview.Preview as JSON; goes with the file.
    Column("preview", JSONB),
    CheckConstraint("status IN ('uploaded', 'queued', 'running', 'completed', 'failed', 'cancelled')", name="status"),
    # The work list over all accounts.
    Index(
        "imports_waiting",
        "queued_at",
        postgresql_where=text("status IN ('queued', 'running') OR (status = 'uploaded' AND rows_total IS NULL)"),
    ),
    Index("imports_sha256", "account_id", "sha256"),
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

PROTECTED = (
    contacts,
    contact_tags,
    lists,
    contact_lists,
    bulk_jobs,
    tombstones,
    suppressions,
    consents,
    optouts,
    consent_rules,
    activity,
    messages,
    files,
    file_chunks,
    imports,
    import_errors,
    metadata.tables["outbox"],
    metadata.tables["idempotency_keys"],
)
