"""A throw-away Postgres with one protected table and an outbox, as the services have them."""

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from deploy.local import postgres

ACCOUNT = uuid.UUID("01890a5d-ac96-774b-bcce-b302099a8057")
ROWS = 10_000
SERVE_PASSWORD = "bench"  # of a role in a throw-away server on the loopback address

SCHEMA = f"""
CREATE TABLE contact (
  account_id uuid NOT NULL, id uuid NOT NULL, phone text COLLATE "C", email text, first_name text, last_name text,
  country text, tags text[] NOT NULL DEFAULT '{{}}', metadata jsonb NOT NULL DEFAULT '{{}}',
  version bigint NOT NULL DEFAULT 1, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL
  DEFAULT now(), PRIMARY KEY (account_id, id), UNIQUE (account_id, phone));
CREATE TABLE outbox (
  account_id uuid NOT NULL, id uuid NOT NULL, type text NOT NULL, data bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(), published_at timestamptz, PRIMARY KEY (account_id, id));
CREATE TABLE plain (LIKE contact INCLUDING DEFAULTS);
CREATE ROLE serve LOGIN PASSWORD '{SERVE_PASSWORD}';
GRANT SELECT, INSERT ON contact, outbox TO serve;
GRANT ALL ON plain TO serve;
ALTER TABLE contact ENABLE ROW LEVEL SECURITY;
ALTER TABLE outbox ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON contact USING (account_id = nullif(current_setting('carillon.account', true), '')::uuid);
CREATE POLICY own ON outbox USING (account_id = nullif(current_setting('carillon.account', true), '')::uuid);
INSERT INTO contact (account_id, id, phone, email, first_name, last_name, country, tags, metadata)
SELECT '{ACCOUNT}', lpad(to_hex(n), 32, '0')::uuid, '+4915' || (100000000 + n), 'p' || n || '@example.com',
  'Käthe', 'Müller', 'DE', '{{premium,active}}', '{{"city": "Köln", "plan": "plus"}}'
FROM generate_series(1, {ROWS}) n;
ANALYZE contact;
"""


@contextmanager
def database() -> Iterator[str]:
    """The URL of the serving role; durable, since commits are part of what is measured."""
    with tempfile.TemporaryDirectory(prefix="carillon-bench-") as folder:
        server = postgres.start(Path(folder) / "postgres")
        try:
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute(SCHEMA)
            port = server.port
            yield postgres.url(port, postgres.SUPERUSER, user="serve", password=SERVE_PASSWORD)
        finally:
            server.stop(remove=True)


def contact_id(number: int) -> uuid.UUID:
    """Of the row with this number, from 1."""
    return uuid.UUID(int=number)
