"""One statement that is a transaction of its own: for the calls that come most, in one round trip instead of three to
six (docs/adr/0019).

It sets the account itself. The parts of a statement run in no order but that of what they take from one another, and
the policies read the account when rows are looked at: so whatever looks at a table takes the account from `entered`,
across a boundary (LATERAL … OFFSET 0) that the planner does not move.
"""

import re
from functools import cache

from chassis.idempotency import LOCK
from chassis.outbox import COLUMNS, TYPES

ENTERED = """
entered AS MATERIALIZED (SELECT set_config('carillon.account', $1::uuid::text, true)::uuid AS account)
"""
ACCOUNT = re.compile(r"\$1(?!\d)")

# What an insertion is made of, in arrays of one element each: $3 and on, behind the account and the patience.
GIVEN = {
    "key": "text",
    "method": "text",
    "fingerprint": "bytea",
    "response": "bytea",
    **{f"event_{name}": kind for name, kind in zip(COLUMNS, TYPES, strict=True)},
    "id": "uuid",
    "body": "text",
}


@cache
def reading(query: str) -> str:
    """query: of an account's rows, the account being $1."""
    inside = ACCOUNT.sub("entered.account", query)
    return f"WITH {ENTERED} SELECT found.* FROM entered CROSS JOIN LATERAL ({inside} OFFSET 0) AS found"


def inserting(rows: str) -> str:
    """rows: common table expressions that insert what `free` has rows of (account, id, body: the JSON of one), and of
    which one is `added`: account_id and id of the rows that were inserted. They take the place of `rows` in what is
    written for each: the event, and the answer under the key.

    Answers a row for each insertion, in their order: whether its key was free to take (`locked`), whether it was
    `added`, and what is kept under the key.
    """
    arrays = ", ".join(f"${at}::{kind}[]" for at, kind in enumerate(GIVEN.values(), 3))
    event = ", ".join(COLUMNS)
    return f"""
WITH {ENTERED}, patience AS MATERIALIZED (
    SELECT account, set_config('lock_timeout', $2, true) FROM entered
), given AS MATERIALIZED (
    SELECT account, one.* FROM patience
    CROSS JOIN LATERAL unnest({arrays}) WITH ORDINALITY AS one ({", ".join(GIVEN)}, place)
), kept AS MATERIALIZED (
    SELECT given.place, found.* FROM given CROSS JOIN LATERAL (
        SELECT method, fingerprint, response FROM idempotency_keys
        WHERE account_id = given.account AND key = given.key OFFSET 0
    ) AS found
), held AS MATERIALIZED (
    SELECT place FROM given WHERE key IS NULL OR {LOCK.format(account="account", key="key")}
), free AS MATERIALIZED (
    SELECT account, id, body FROM given
    WHERE place IN (SELECT place FROM held) AND place NOT IN (SELECT place FROM kept) ORDER BY place
), {rows}, keeping AS (
    INSERT INTO idempotency_keys (account_id, key, method, fingerprint, response)
    SELECT account_id, key, method, fingerprint, response FROM added JOIN given USING (id) WHERE key IS NOT NULL
), telling AS (
    INSERT INTO outbox (account_id, {event})
    SELECT account_id, {", ".join(f"event_{name}" for name in COLUMNS)} FROM added JOIN given USING (id)
)
SELECT held.place IS NOT NULL AS locked, added.id IS NOT NULL AS added, kept.method, kept.fingerprint, kept.response
FROM given LEFT JOIN held USING (place) LEFT JOIN added USING (id) LEFT JOIN kept USING (place) ORDER BY place
"""
