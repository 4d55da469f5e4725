"""The account's lock: what keeps an evaluation from missing a rule.

Whoever evaluates takes it shared, as the first statement of the transaction, and reads the rules' generation in the
next one; whoever changes the rules takes it exclusively until the commit, and raises the generation. So an evaluation
either saw the rules as changed, or committed before the change did, and then the build that follows the change sees
what it wrote. It works under READ COMMITTED only: each statement after the lock sees all that was committed before.
"""

from chassis.db import ReadTx
from chassis.ids import AccountId

# The lock's first number; apart from the single-number locks of the chassis.
SPACE = 736346
# Plans follow the tables' real size: an account may grow a thousandfold in a minute.
SHARE = "SELECT pg_advisory_xact_lock_shared($1, $2), set_config('plan_cache_mode', 'force_custom_plan', true)"
EXCLUDE_AT_ONCE = """
SELECT pg_try_advisory_xact_lock($1, $2) AS excluded, set_config('plan_cache_mode', 'force_custom_plan', true)
"""
EXCLUDE = "SELECT pg_advisory_xact_lock($1, $2)"


async def exclude_at_once(tx: ReadTx, account: AccountId) -> bool:
    """For keeping evaluations away for some milliseconds, where none is under way: whether it could be done.

    Where it could, every statement of the transaction sees the account's contacts as they stand. Must be the
    transaction's first statement, or the one before `share`.
    """
    row = await tx.fetchrow(EXCLUDE_AT_ONCE, SPACE, number(account))
    assert row is not None
    return bool(row["excluded"])


async def share(tx: ReadTx, account: AccountId) -> None:
    """For evaluating. Must be the transaction's first statement, but for a vain exclude_at_once."""
    await tx.fetchrow(SHARE, SPACE, number(account))


async def exclude(tx: ReadTx, account: AccountId) -> None:
    """For changing the rules. Waits for evaluations under way, which are short."""
    await tx.fetchrow(EXCLUDE, SPACE, number(account))


def number(account: AccountId) -> int:
    """32 random bits of the id. Two accounts that share them wait for each other, and no more than that."""
    return int.from_bytes(account.bytes[-4:], signed=True)
