"""The search index, and what lists of contacts are sorted and filtered by."""

from alembic import op

from chassis.migrations import protect

revision = "0009"
down_revision = "0008"

SCHEMA = """
CREATE TABLE search_entries (
    account_id UUID NOT NULL,
    contact_id UUID NOT NULL,
    version BIGINT NOT NULL,
    text TEXT COLLATE "C" NOT NULL,
    CONSTRAINT search_entries_pkey PRIMARY KEY (account_id, contact_id)
);

CREATE TABLE search_words (
    account_id UUID NOT NULL,
    word TEXT COLLATE "C" NOT NULL,
    contact_id UUID NOT NULL,
    CONSTRAINT search_words_pkey PRIMARY KEY (account_id, word, contact_id)
);

ALTER TABLE contacts ADD COLUMN sort_name TEXT COLLATE "C" GENERATED ALWAYS AS
    (left(lower(normalize(coalesce(first_name || ' ' || last_name, first_name, last_name, ''), NFKD)), 100)) STORED;
CREATE INDEX contacts_sort_name ON contacts (account_id, sort_name, id);
CREATE INDEX contacts_updated_at ON contacts (account_id, updated_at, id);
CREATE INDEX contacts_gender ON contacts (account_id, gender, id) WHERE gender IS NOT NULL;
CREATE INDEX contacts_phone_invalid ON contacts (account_id, id) WHERE phone_validity = 'invalid';
CREATE INDEX contacts_email_invalid ON contacts (account_id, id) WHERE email_validity = 'invalid'
"""

PROTECTED = ("search_entries", "search_words")


def upgrade() -> None:
    for statement in SCHEMA.split(";\n"):
        op.execute(statement)
    protect(op, *PROTECTED, service="contacts")
