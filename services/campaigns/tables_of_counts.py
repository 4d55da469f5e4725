"""The tables that count what the ledger holds, beside campaign_stats."""

from sqlalchemy import BigInteger, DateTime, Integer, MetaData, PrimaryKeyConstraint, Table
from sqlalchemy.dialects.postgresql import UUID

from services.campaigns.columns import required


def add_to(metadata: MetaData) -> None:
    """Adds `campaign_minutes` and `chunk_states`."""
    # What was added to the stats within each minute: their sums are the stats. Written with them, see add_stats.
    Table(
        "campaign_minutes",
        metadata,
        required("account_id", UUID()),
        required("campaign_id", UUID()),
        required("minute", DateTime(timezone=True)),
        required("sent", BigInteger, default="0"),
        required("delivered", BigInteger, default="0"),
        required("failed", BigInteger, default="0"),
        required("skipped", BigInteger, default="0"),
        required("uncertain", BigInteger, default="0"),
        required("opened", BigInteger, default="0"),
        required("clicked", BigInteger, default="0"),
        PrimaryKeyConstraint("account_id", "campaign_id", "minute", name="campaign_minutes_pkey"),
        postgresql_with={"fillfactor": 50},
    )

    # How many recipients of a chunk are in which state, so that a page of one state need not read the ledger through:
    # an index on what changes would cost every step of a recipient. Kept by triggers, see migration 0004.
    Table(
        "chunk_states",
        metadata,
        required("account_id", UUID()),
        required("campaign_id", UUID()),
        required("chunk", Integer),
        required("pending", Integer, default="0"),
        required("claimed", Integer, default="0"),
        required("sent", Integer, default="0"),
        required("delivered", Integer, default="0"),
        required("opened", Integer, default="0"),
        required("clicked", Integer, default="0"),
        required("failed", Integer, default="0"),
        required("skipped", Integer, default="0"),
        required("uncertain", Integer, default="0"),
        PrimaryKeyConstraint("account_id", "campaign_id", "chunk", name="chunk_states_pkey"),
        postgresql_with={"fillfactor": 50},
    )
