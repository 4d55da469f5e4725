"""The table of what recipients send."""

from sqlalchemy import DateTime, Index, Integer, MetaData, PrimaryKeyConstraint, Table, Text, text
from sqlalchemy.dialects.postgresql import UUID

from services.campaigns.columns import moment, optional, required


def add_to(metadata: MetaData) -> None:
    """Adds `inbound`."""
    # Messages from recipients, and opt-outs by link: stored before they are acknowledged, and told to contacts. Those
    # that are done stay for a while, so that a provider's repetition is known.
    Table(
        "inbound",
        metadata,
        required("account_id", UUID()),
        required("sender_id", UUID()),
        # The provider's name of the message; of a link its own.
        required("provider_message_id", Text),
        required("id", UUID()),
        required("channel", Text),
        required("address", Text),
        required("to_address", Text),
        required("text", Text),
        # What the whole of it means: `opt_out`, `opt_in`, empty for nothing.
        required("word", Text),
        # Where it was said: `reply`, `unsubscribe_link`.
        required("source", Text),
        required("at", DateTime(timezone=True)),
        # The line that it answers; null where none is known yet, or ever.
        optional("campaign_id", UUID()),
        optional("recipient_id", UUID()),
        moment("received_at"),
        moment("due_at"),
        required("tries", Integer, default="0"),
        optional("done_at", DateTime(timezone=True)),
        PrimaryKeyConstraint("account_id", "sender_id", "provider_message_id", name="inbound_pkey"),
        Index("inbound_due", "due_at", postgresql_where=text("done_at IS NULL")),
        # One after the other of one address.
        Index("inbound_open", "account_id", "channel", "address", "id", postgresql_where=text("done_at IS NULL")),
        Index("inbound_received_at", "received_at", postgresql_using="brin"),
    )
