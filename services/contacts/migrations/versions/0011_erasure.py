"""What stays of a deleted contact: suppressions and evidence of consent under a keyed hash of the address."""

from alembic import op

from chassis.migrations import protect

revision = "0011"
down_revision = "0010"

SCHEMA = """
ALTER TABLE suppressions ADD COLUMN address_hash BYTEA;
ALTER TABLE suppressions DROP CONSTRAINT suppressions_one_address_check;
ALTER TABLE suppressions ADD CONSTRAINT suppressions_one_address_check
    CHECK (num_nonnulls(phone, email_normal, address_hash) = 1);
ALTER TABLE suppressions
    ADD CONSTRAINT suppressions_account_id_address_hash_key UNIQUE (account_id, address_hash);
CREATE TABLE erased_consents (
    account_id UUID NOT NULL,
    id UUID NOT NULL,
    address_hash BYTEA NOT NULL,
    channel TEXT NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL,
    source TEXT NOT NULL,
    actor TEXT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT erased_consents_pkey PRIMARY KEY (account_id, id)
);
CREATE INDEX erased_consents_address_hash ON erased_consents (account_id, address_hash, at)
"""

# serve deletes contacts and may not delete evidence: it may have it erased, of its own account. Evidence of a contact
# that has no address any more goes; there is nothing to keep it under.
ERASE = """
CREATE FUNCTION erase_consents(account UUID, contacts UUID[], phone_hashes BYTEA[], email_hashes BYTEA[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF session_user = 'contacts_serve'
       AND account IS DISTINCT FROM nullif(current_setting('carillon.account', true), '')::uuid THEN
        RAISE insufficient_privilege;
    END IF;
    WITH taken AS (
        DELETE FROM consents AS c
        USING unnest(contacts, phone_hashes, email_hashes) AS gone(contact_id, phone_hash, email_hash)
        WHERE c.account_id = account AND c.contact_id = gone.contact_id
        RETURNING c.id, c.channel, c.before, c.after, c.source, c.actor, c.at,
            CASE WHEN c.channel = 'email' THEN coalesce(gone.email_hash, gone.phone_hash)
                 ELSE coalesce(gone.phone_hash, gone.email_hash) END AS address_hash
    )
    INSERT INTO erased_consents (account_id, id, address_hash, channel, before, after, source, actor, at)
    SELECT account, t.id, t.address_hash, t.channel, t.before, t.after, t.source, t.actor, t.at
    FROM taken AS t WHERE t.address_hash IS NOT NULL;
END $$
"""


def upgrade() -> None:
    for statement in SCHEMA.split(";\n"):
        op.execute(statement)
    protect(op, "erased_consents", service="contacts")
    op.execute("REVOKE INSERT, UPDATE, DELETE ON erased_consents FROM contacts_serve")
    op.execute(ERASE)
    op.execute("REVOKE ALL ON FUNCTION erase_consents FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION erase_consents TO contacts_serve, contacts_work")
