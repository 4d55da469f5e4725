"""The tables of the contacts service. Every one leads with account_id and is under row-level security.

Keyed by contact_id, so that a deleted contact has rows to lose there: contact_tags (behind the tag), contact_lists
(behind the list), consents, optouts, activity and messages.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from services.contacts.tables.columns import (
    account_column,
    flag_column,
    id_column,
    time_column,
    validity_column,
)
from services.contacts.tables.columns import metadata as metadata
from services.contacts.tables.jobs import bulk_jobs, exports, file_chunks, files, import_errors, import_updates, imports
from services.contacts.tables.search import search_entries, search_words

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
    # What lists are sorted by; empty without a name. Cut, so that a cursor stays short.
    Column(
        "sort_name",
        Text(collation="C"),
        Computed(
            "left(lower(normalize(coalesce(first_name || ' ' || last_name, first_name, last_name, ''), NFKD)), 100)",
            persisted=True,
        ),
    ),
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
    # The import that made it. Without an index: an undo finds the contacts of an import by the span of their ids.
    Column("import_id", UUID()),
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
    Index("contacts_gender", "account_id", "gender", "id", postgresql_where=text("gender IS NOT NULL")),
    Index("contacts_phone_invalid", "account_id", "id", postgresql_where=text("phone_validity = 'invalid'")),
    Index("contacts_email_invalid", "account_id", "id", postgresql_where=text("email_validity = 'invalid'")),
    Index("contacts_sort_name", "account_id", "sort_name", "id"),
    Index("contacts_updated_at", "account_id", "updated_at", "id"),
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
    # Instead of an address whose contact was deleted: see erasure.hashing.
    Column("address_hash", LargeBinary),
    CheckConstraint("num_nonnulls(phone, email_normal, address_hash) = 1", name="one_address"),
    UniqueConstraint("account_id", "phone"),
    UniqueConstraint("account_id", "email_normal"),
    UniqueConstraint("account_id", "address_hash"),
)

suppression_uploads = Table(
    "suppression_uploads",
    metadata,
    account_column(),
    # Addresses of a file until its end, when they go on the list together.
    Column("upload_id", UUID(), primary_key=True),
    # E.164, or the email folded.
    Column("address", Text, primary_key=True),
    # Of the entry to be.
    Column("id", UUID(), nullable=False),
    # As given; null for a phone.
    Column("email", Text),
    Column("reason", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
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

erased_consents = Table(
    "erased_consents",
    metadata,
    account_column(),
    id_column(),
    # Of a deleted contact's address on the channel: see erasure.hashing. serve may only read it.
    Column("address_hash", LargeBinary, nullable=False),
    Column("channel", Text, nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("actor", Text, nullable=False),
    time_column("at"),
    Index("erased_consents_address_hash", "account_id", "address_hash", "at"),
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

replies = Table(
    "replies",
    metadata,
    account_column(),
    # One row a message that came from the contact.
    Column("contact_id", UUID(), primary_key=True),
    id_column(),
    time_column("at"),
    Column("channel", Text, nullable=False),
    Column("address", Text, nullable=False),
    # Of ours, as the provider says.
    Column("to_address", Text, nullable=False),
    Column("text", Text, nullable=False),
    # What it answers, where that is known.
    Column("campaign_id", UUID()),
    Column("recipient_id", UUID()),
)

PROTECTED = (
    contacts,
    contact_tags,
    search_entries,
    search_words,
    lists,
    contact_lists,
    bulk_jobs,
    tombstones,
    suppressions,
    suppression_uploads,
    consents,
    erased_consents,
    optouts,
    consent_rules,
    activity,
    messages,
    replies,
    files,
    file_chunks,
    imports,
    import_errors,
    import_updates,
    exports,
    metadata.tables["outbox"],
    metadata.tables["idempotency_keys"],
)
