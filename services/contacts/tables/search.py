"""The search index."""

from sqlalchemy import BigInteger, Column, Table, Text
from sqlalchemy.dialects.postgresql import UUID

from services.contacts.tables.columns import account_column, metadata

search_entries = Table(
    "search_entries",
    metadata,
    account_column(),
    # Of deleted contacts too: see search.entries.
    Column("contact_id", UUID(), primary_key=True),
    Column("version", BigInteger, nullable=False),
    # The words of the contact, each once and behind a blank.
    Column("text", Text(collation="C"), nullable=False),
)

search_words = Table(
    "search_words",
    metadata,
    account_column(),
    # Compared byte by byte: ranges are all that finds a beginning under row-level security.
    Column("word", Text(collation="C"), primary_key=True),
    Column("contact_id", UUID(), primary_key=True),
)
