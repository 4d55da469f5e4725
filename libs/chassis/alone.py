"""One statement that is a transaction of its own: for the calls that come most, in one round trip instead of three to
six (docs/adr/0019).

It sets the account itself. The parts of a statement run in no order but that of what they take from one another, and
the policies read the account when rows are looked at: so whatever looks at a table takes the account from `entered`,
across a boundary (LATERAL … OFFSET 0) that the planner does not move.
"""

import re
from functools import cache

from chassis.idempotency import LOCK
from chassis.outbox import COLUMNS

ENTERED = """
entered AS MATERIALIZED (SELECT set_config('carillon.account', $1::uuid::text, true)::uuid AS account)
"""
ACCOUNT = re.compile(r"\$1(?!\d)")

# $1 to $12 of an insert; what its rows are made of follows.
KEY, METHOD, FINGERPRINT, RESPONSE, FIRST_COLUMN = 2, 3, 4, 5, 6
FIRST = FIRST_COLUMN + len(COLUMNS)


@cache
def reading(query: str) -> str:
    """query: of an account's rows, the account being $1."""
    inside = ACCOUNT.sub("entered.account", query)
    return f"WITH {ENTERED} SELECT found.* FROM entered CROSS JOIN LATERAL ({inside} OFFSET 0) AS found"


def inserting(rows: str) -> str:
    """rows: common table expressions that insert what `free` has one row of (`account`), or none where the call was
    answered before, and of which one is `added`, the rows that were inserted. Their parameters begin at $FIRST.

    Answers one row: whether the key was free to take (`locked`), whether rows were `added`, and what is kept under the
    key. The event and the answer are written where rows were.
    """
    return f"""
WITH {ENTERED}, kept AS MATERIALIZED (
    SELECT found.* FROM entered CROSS JOIN LATERAL (
        SELECT method, fingerprint, response FROM idempotency_keys
        WHERE account_id = entered.account AND key = ${KEY} OFFSET 0
    ) AS found
), held AS MATERIALIZED (
    SELECT account FROM entered WHERE ${KEY}::text IS NULL OR {LOCK.format(account="account", key=f"${KEY}")}
), free AS MATERIALIZED (
    SELECT account FROM held WHERE NOT EXISTS (SELECT FROM kept)
), {rows}, keeping AS (
    INSERT INTO idempotency_keys (account_id, key, method, fingerprint, response)
    SELECT account_id, ${KEY}, ${METHOD}, ${FINGERPRINT}, ${RESPONSE} FROM added WHERE ${KEY}::text IS NOT NULL
), telling AS (
    INSERT INTO outbox (account_id, {", ".join(COLUMNS)})
    SELECT account_id, {", ".join(f"${n}" for n in range(FIRST_COLUMN, FIRST))} FROM added
)
SELECT EXISTS (SELECT FROM held) AS locked, EXISTS (SELECT FROM added) AS added, kept.*
FROM entered LEFT JOIN kept ON true
"""
