"""The campaigns schema. Every table leads with account_id; see docs/architecture.md.

The migrations in migrations/versions make what stands here; a guard test compares the two.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from chassis import tables
from services.campaigns import tables_of_counts, tables_of_replies
from services.campaigns.columns import moment, optional, required

metadata = MetaData()
tables.add_to(metadata)
tables_of_counts.add_to(metadata)
tables_of_replies.add_to(metadata)


templates = Table(
    "templates",
    metadata,
    required("account_id", UUID()),
    required("id", UUID()),
    required("name", Text),
    required("channel", Text),
    required("body", Text),
    optional("subject", Text),
    optional("html", Text),
    # JSON object {name, language, parameters}, see contents.
    optional("whatsapp", Text),
    required("variables", ARRAY(Text)),
    required("version", BigInteger, default="1"),
    moment("created_at"),
    moment("updated_at"),
    PrimaryKeyConstraint("account_id", "id", name="templates_pkey"),
)

senders = Table(
    "senders",
    metadata,
    required("account_id", UUID()),
    required("id", UUID()),
    required("name", Text),
    required("channel", Text),
    required("address", Text),
    required("provider", Text),
    # JSON object without secrets.
    required("settings", Text),
    # Fernet token of a JSON object.
    required("secrets", LargeBinary),
    # Fernet token of the secret in the receipts path, and the SHA-256 by which it is checked.
    required("receipts_secret", LargeBinary),
    required("receipts_digest", LargeBinary),
    # 0: unlimited.
    required("rate_limit_per_second", Integer),
    required("is_default", Boolean),
    required("version", BigInteger, default="1"),
    moment("created_at"),
    moment("updated_at"),
    PrimaryKeyConstraint("account_id", "id", name="senders_pkey"),
    Index("senders_default", "account_id", "channel", unique=True, postgresql_where=text("is_default")),
)

campaigns = Table(
    "campaigns",
    metadata,
    required("account_id", UUID()),
    required("id", UUID()),
    required("name", Text),
    required("template_id", UUID()),
    required("sender_id", UUID()),
    # The template's and the sender's.
    required("channel", Text),
    # At most one of the three; none: recipients are uploaded.
    optional("segment_id", UUID()),
    optional("list_id", UUID()),
    optional("contact_ids", ARRAY(UUID())),
    # Segments whose members are left out.
    required("exclude_segment_ids", ARRAY(UUID()), default="'{}'::uuid[]"),
    required("status", Text, default="'draft'"),
    required("status_reason", Text, default="''"),
    optional("schedule_at", DateTime(timezone=True)),
    # Found due later than this it is held.
    required("schedule_max_late_seconds", Integer, default="3600"),
    # JSON, see sending_hours; null: at any time.
    optional("sending_windows", Text),
    # 0: the sender's.
    required("rate_limit_per_second", Integer),
    # JSON object.
    required("variables", Text),
    # The template's text as it was at the start; null before.
    optional("started_body", Text),
    optional("started_subject", Text),
    optional("started_html", Text),
    optional("started_whatsapp", Text),
    # Made with a test key: reaches the sandbox provider only, whatever its sender is.
    required("is_test", Boolean, default="false"),
    # The audience is still being written to the ledger.
    required("freezing", Boolean, default="false"),
    # Since then nobody joins or leaves the audience.
    optional("frozen_at", DateTime(timezone=True)),
    optional("started_at", DateTime(timezone=True)),
    optional("finished_at", DateTime(timezone=True)),
    # Of a cancelled one: none of its recipients is pending or claimed any more.
    required("settled", Boolean, default="false"),
    # Deleted for the API; the ledger is being removed.
    optional("deleted_at", DateTime(timezone=True)),
    required("version", BigInteger, default="1"),
    moment("created_at"),
    moment("updated_at"),
    PrimaryKeyConstraint("account_id", "id", name="campaigns_pkey"),
    CheckConstraint("num_nonnulls(segment_id, list_id, contact_ids) <= 1", name="campaigns_one_audience"),
    # The work lists of the scheduler, the freezer, the dispatcher, the breaker and the remover, over all accounts; and
    # whose audiences are being written, for erasures.
    Index("campaigns_due", "schedule_at", postgresql_where=text("status = 'draft' AND status_reason = ''")),
    Index("campaigns_freezing", "account_id", "id", postgresql_where=text("freezing")),
    Index("campaigns_running", "account_id", "id", postgresql_where=text("status = 'running'")),
    Index(
        "campaigns_broken",
        "account_id",
        "id",
        postgresql_where=text("status = 'paused' AND status_reason = 'provider_unavailable'"),
    ),
    Index("campaigns_unsettled", "account_id", "id", postgresql_where=text("status = 'cancelled' AND NOT settled")),
    Index("campaigns_deleted", "account_id", "id", postgresql_where=text("deleted_at IS NOT NULL")),
    Index("campaigns_template", "account_id", "template_id"),
    Index("campaigns_sender", "account_id", "sender_id"),
)

# Apart from campaigns, because a running one changes them fifty times a second.
campaign_stats = Table(
    "campaign_stats",
    metadata,
    required("account_id", UUID()),
    required("campaign_id", UUID()),
    required("total", BigInteger, default="0"),
    required("sent", BigInteger, default="0"),
    required("delivered", BigInteger, default="0"),
    required("failed", BigInteger, default="0"),
    required("pending", BigInteger, default="0"),
    required("skipped", BigInteger, default="0"),
    required("uncertain", BigInteger, default="0"),
    required("opened", BigInteger, default="0"),
    required("clicked", BigInteger, default="0"),
    # When they were last held against the ledger.
    required("reconciled_at", DateTime(timezone=True), default="'epoch'"),
    PrimaryKeyConstraint("account_id", "campaign_id", name="campaign_stats_pkey"),
    Index("campaign_stats_reconciled", "reconciled_at"),
    CheckConstraint(
        "total = sent + pending + skipped + uncertain AND delivered + failed <= sent "
        "AND least(total, sent, delivered, failed, pending, skipped, uncertain, opened, clicked) >= 0",
        name="campaign_stats_add_up",
    ),
    postgresql_with={"fillfactor": 50},
)

# How the engine stands with a campaign: what a caller never sees.
runs = Table(
    "runs",
    metadata,
    required("account_id", UUID()),
    required("campaign_id", UUID()),
    required("freeze_lease_until", DateTime(timezone=True), default="'epoch'"),
    required("freeze_generation", BigInteger, default="0"),
    # How often the ledger heard of deleted contacts while the audience was written to it.
    required("erasures", BigInteger, default="0"),
    # Rounds in which nothing went through since something last did.
    required("failed_rounds", Integer, default="0"),
    # Nothing is dispatched before.
    required("due_at", DateTime(timezone=True), default="'epoch'"),
    # Pauses for the provider's sake since something last went through.
    required("breaks", Integer, default="0"),
    # When a campaign that is paused for its provider's sake is taken up again.
    required("resume_at", DateTime(timezone=True), default="'infinity'"),
    PrimaryKeyConstraint("account_id", "campaign_id", name="runs_pkey"),
)

# The ledger.
recipients = Table(
    "recipients",
    metadata,
    required("account_id", UUID()),
    required("campaign_id", UUID()),
    required("chunk", Integer),
    required("id", UUID()),
    # Null where the address was uploaded.
    optional("contact_id", UUID()),
    required("address", Text),
    # JSON object.
    required("variables", Text),
    # An IANA name; empty where it is not known.
    required("timezone", Text, default="''"),
    required("status", Text, default="'pending'"),
    required("reason", Text, default="''"),
    required("attempts", Integer, default="0"),
    # The chunk's lease under which it was last attempted: who may write the outcome.
    required("generation", BigInteger, default="0"),
    # When the first attempt began that no answer was heard of; null where every attempt was answered.
    optional("unanswered_since", DateTime(timezone=True)),
    optional("sent_at", DateTime(timezone=True)),
    optional("delivered_at", DateTime(timezone=True)),
    optional("opened_at", DateTime(timezone=True)),
    optional("clicked_at", DateTime(timezone=True)),
    optional("provider_message_id", Text),
    required("state_revision", BigInteger, default="1"),
    # In the order in which they were added: (chunk, id).
    PrimaryKeyConstraint("account_id", "campaign_id", "chunk", "id", name="recipients_pkey"),
    Index("recipients_id", "account_id", "id", unique=True),
    # The campaign comes last, so that no planner mistakes them for a way to a chunk while it has no statistics yet;
    # and so they answer what a person was ever sent.
    Index("recipients_address", "account_id", "address", "campaign_id", unique=True),
    Index(
        "recipients_contact",
        "account_id",
        "contact_id",
        "campaign_id",
        unique=True,
        postgresql_where=text("contact_id IS NOT NULL"),
    ),
    # No index on what changes, and room in the page for another version of each line, a longer one: every step of a
    # recipient is a heap-only update, also where one statement takes all of a page.
    postgresql_with={"fillfactor": 40},
)

# Contacts whom the audience named and who are not on the ledger, and why: the funnel.
exclusions = Table(
    "exclusions",
    metadata,
    required("account_id", UUID()),
    required("campaign_id", UUID()),
    required("contact_id", UUID()),
    required("reason", Text),
    PrimaryKeyConstraint("account_id", "campaign_id", "contact_id", name="exclusions_pkey"),
)

# Addresses of uploaded files that are not on the ledger because they must not be messaged, and why.
excluded_addresses = Table(
    "excluded_addresses",
    metadata,
    required("account_id", UUID()),
    required("campaign_id", UUID()),
    required("address", Text),
    required("reason", Text),
    # The address first: it is erased with its contact.
    PrimaryKeyConstraint("account_id", "address", "campaign_id", name="excluded_addresses_pkey"),
    Index("excluded_addresses_campaign", "account_id", "campaign_id"),
)

# What became of the rows of uploaded files that are not on the ledger, or were taken off it again: the funnel.
upload_funnels = Table(
    "upload_funnels",
    metadata,
    required("account_id", UUID()),
    required("campaign_id", UUID()),
    # These are on the ledger, as skipped.
    required("excluded", BigInteger, default="0"),
    required("no_address", BigInteger, default="0"),
    required("invalid", BigInteger, default="0"),
    required("opted_out", BigInteger, default="0"),
    required("do_not_contact", BigInteger, default="0"),
    required("duplicate", BigInteger, default="0"),
    PrimaryKeyConstraint("account_id", "campaign_id", name="upload_funnels_pkey"),
)

# What a dispatcher leases: a run of recipients.
chunks = Table(
    "chunks",
    metadata,
    required("account_id", UUID()),
    required("campaign_id", UUID()),
    required("chunk", Integer),
    required("size", Integer),
    # None of its recipients is pending or claimed.
    required("done", Boolean, default="false"),
    required("due_at", DateTime(timezone=True), default="'epoch'"),
    required("lease_until", DateTime(timezone=True), default="'epoch'"),
    # Fences: who holds an older one may write nothing.
    required("lease_generation", BigInteger, default="0"),
    # Passes in a row that settled nobody.
    required("idle_passes", Integer, default="0"),
    PrimaryKeyConstraint("account_id", "campaign_id", "chunk", name="chunks_pkey"),
    Index("chunks_open", "account_id", "campaign_id", "chunk", postgresql_where=text("NOT done")),
    postgresql_with={"fillfactor": 50},
)

# The provider's names for messages: how a receipt finds its recipient. A table of its own, so that a recipient's steps
# touch no index.
provider_messages = Table(
    "provider_messages",
    metadata,
    required("account_id", UUID()),
    required("sender_id", UUID()),
    required("provider_message_id", Text),
    required("campaign_id", UUID()),
    required("chunk", Integer),
    required("recipient_id", UUID()),
    PrimaryKeyConstraint("account_id", "sender_id", "provider_message_id", name="provider_messages_pkey"),
)

# Receipts stored and not yet applied.
receipts = Table(
    "receipts",
    metadata,
    required("account_id", UUID()),
    required("sender_id", UUID()),
    required("provider_message_id", Text),
    required("status", Text),
    required("reason", Text),
    required("at", DateTime(timezone=True)),
    moment("received_at"),
    # Later than received_at once the message was not found: its send may not have been answered yet.
    moment("due_at"),
    PrimaryKeyConstraint("account_id", "sender_id", "provider_message_id", "status", name="receipts_pkey"),
    Index("receipts_due", "due_at"),
)

# What is left of a rate, shared by all replicas (GCRA): one row for a sender, one for a campaign with its own limit.
budgets = Table(
    "budgets",
    metadata,
    required("account_id", UUID()),
    # A sender's or a campaign's.
    required("owner_id", UUID()),
    # The theoretical arrival time: when the permits granted so far will have been used up.
    required("used_until", DateTime(timezone=True), default="'epoch'"),
    # A provider's Retry-After.
    required("blocked_until", DateTime(timezone=True), default="'epoch'"),
    # The pace, messages a second, that a provider's asking for a pause led to, and when; 0: none.
    required("slowed_to", Double, default="0"),
    required("slowed_at", DateTime(timezone=True), default="'epoch'"),
    PrimaryKeyConstraint("account_id", "owner_id", name="budgets_pkey"),
    postgresql_with={"fillfactor": 50},
)

# An upload of recipients while it is read; gone when it was taken into the ledger or given up.
upload_rows = Table(
    "upload_rows",
    metadata,
    required("account_id", UUID()),
    required("upload_id", UUID()),
    required("address", Text),
    required("row_number", BigInteger),
    # The id that it will have on the ledger.
    required("recipient_id", UUID()),
    required("variables", Text),
    # Must not be messaged: counted, not taken in.
    required("suppressed", Boolean),
    required("reason", Text, default="''"),
    required("timezone", Text, default="''"),
    moment("created_at"),
    PrimaryKeyConstraint("account_id", "upload_id", "address", name="upload_rows_pkey"),
    Index("upload_rows_created_at", "created_at", postgresql_using="brin"),
)

# When none of an account's campaigns sends, by the recipient's clock.
quiet_hours = Table(
    "quiet_hours",
    metadata,
    required("account_id", UUID()),
    # Minutes of the day.
    required("start_minute", Integer),
    required("end_minute", Integer),
    # Of recipients whose own is not known; empty: UTC.
    required("timezone", Text),
    PrimaryKeyConstraint("account_id", name="quiet_hours_pkey"),
)

TABLES = tuple(table.name for table in metadata.sorted_tables)
