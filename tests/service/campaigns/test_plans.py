"""The hot statements read a chunk, not a campaign, also before the database has any statistics."""

from typing import Any

import asyncpg
import orjson
import pytest

from chassis import ids
from chassis.ids import AccountId
from services.campaigns.repository import dispatch, finishing, freezing, recipients
from tests.service.campaigns.world import World

CHUNK = 3
ONE = [ids.new()]
COLUMNS = [ONE, ["sent"], [""], ["x"], [True], [True]]
# The arguments behind account and campaign.
STATEMENTS: dict[str, tuple[str, list[Any]]] = {
    "OPEN": (dispatch.OPEN, [CHUNK]),
    "INTEND": (dispatch.INTEND, [CHUNK, 1, 5.0, ONE]),
    "FROM_CLAIMED": (dispatch.FROM_CLAIMED, [CHUNK, 1, *COLUMNS, *ONE]),
    "FROM_CLAIMED_WITH_TAKEN": (dispatch.FROM_CLAIMED_WITH_TAKEN, [CHUNK, 1, *COLUMNS, *ONE]),
    "FROM_UNCERTAIN": (dispatch.FROM_UNCERTAIN, [CHUNK, 1, *COLUMNS, *ONE]),
    "LEAVE_OUT": (dispatch.LEAVE_OUT, [CHUNK, 1, ONE, ["skipped"], ["cancelled"]]),
    "RELEASE": (dispatch.RELEASE, [CHUNK, 1, 0.0, 0]),
    "CLOSE_RECIPIENTS": (finishing.CLOSE_RECIPIENTS, [[1, 2, CHUNK], 1, CHUNK]),
    "CANCEL": (recipients.CANCEL, [[1, 2, CHUNK], 1, CHUNK, 10_000]),
    "DELETE_RECIPIENTS": (finishing.DELETE_RECIPIENTS, [[1, 2, CHUNK], 1, CHUNK]),
}


def scans(plan: dict[str, Any]) -> list[str]:
    """How recipients are reached."""
    found = [scan for child in plan.get("Plans", []) for scan in scans(child)]
    if plan.get("Relation Name") == "recipients" and "Scan" in plan["Node Type"]:
        found.append(f"{plan['Node Type']} {plan.get('Index Name', '')} {plan.get('Index Cond', '')}")
    return found


@pytest.mark.parametrize("options", ["FORMAT JSON", "FORMAT JSON, GENERIC_PLAN"], ids=["custom", "generic"])
@pytest.mark.parametrize("name", STATEMENTS)
async def test_recipients_are_reached_by_their_chunk(world: World, account: AccountId, name: str, options: str) -> None:
    campaign = await world.ready(account, 2_000)
    campaign_id = ids.decode("cmp", campaign.id)
    sql, more = STATEMENTS[name]
    connection = await asyncpg.connect(world.admin_url)
    try:
        (plan,) = orjson.loads(await connection.fetchval(f"EXPLAIN ({options}) {sql}", account, campaign_id, *more))
    finally:
        await connection.close()
    found = scans(plan["Plan"])
    # By its place: a line that the same statement has found already.
    by_key = [scan for scan in found if not scan.startswith("Tid Scan")]
    assert by_key
    assert len(found) - len(by_key) == (name == "CANCEL")
    for scan in by_key:
        assert "recipients_pkey" in scan
        assert "(chunk " in scan


async def test_what_an_earlier_freeze_wrote_is_found_by_the_contact(world: World, account: AccountId) -> None:
    campaign = await world.ready(account, 2_000)
    campaign_id = ids.decode("cmp", campaign.id)
    connection = await asyncpg.connect(world.admin_url)
    try:
        (plan,) = orjson.loads(
            await connection.fetchval(f"EXPLAIN (FORMAT JSON) {freezing.WRITTEN}", account, campaign_id, ONE)
        )
    finally:
        await connection.close()
    (scan,) = scans(plan["Plan"])
    assert "recipients_contact" in scan
